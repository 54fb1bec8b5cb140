//! What the clients asked and what they were answered. A request stands here before it is sent.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use shop_common::{
    code::{ShopCode, Verdict},
    error::ShopError,
};
use shop_proto::{
    order::v1::{ConfirmOrderRequest, Order},
    pay::v1::Payment,
};
use tonic::Status;

/// One answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer<T> {
    /// It is done.
    Done(T),
    /// A definite no.
    Refused(ShopCode),
    /// Nothing is known, or nothing was done: ask again.
    Open,
}

/// A request to place an order, and all answers to it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) request: ConfirmOrderRequest,
    pub(super) answers: Vec<Answer<Order>>,
    pub(super) pay: Option<Pay>,
}

/// How an order is paid, and how far that got.
#[derive(Clone, Debug)]
pub(super) struct Pay {
    pub(super) way: Way,
    /// All payments that were acknowledged.
    pub(super) created: Vec<Payment>,
    /// Whether the payment itself was acknowledged: by the page, or by `success`.
    pub(super) is_acknowledged: bool,
}

/// How an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// On the sandbox's page.
    Page,
    /// By a notification that the test signs.
    Notice,
}

/// The log; clones are one.
#[derive(Clone)]
pub(super) struct Log(Arc<Mutex<Inner>>);

struct Inner {
    file: File,
    asked: BTreeMap<String, Asked>,
}

impl<T> Answer<T> {
    /// What a client may conclude from `answer`.
    pub(super) fn of(answer: Result<T, Status>) -> Self {
        match answer {
            Ok(done) => Self::Done(done),
            Err(status) => {
                let error = ShopError::from_status(&status);
                assert!(!status.message().contains("internal error"), "a bug of the shop: {status:?}");
                if error.verdict() == Verdict::Refused { Self::Refused(error.code) } else { Self::Open }
            }
        }
    }
}

impl Asked {
    /// The last answer, unless the question is open.
    pub(super) fn definite(&self) -> Option<&Answer<Order>> {
        self.answers.last().filter(|answer| **answer != Answer::Open)
    }

    /// The order, if it was ever acknowledged.
    pub(super) fn order(&self) -> Option<&Order> {
        self.answers.iter().find_map(|answer| if let Answer::Done(order) = answer { Some(order) } else { None })
    }
}

impl Log {
    pub(super) fn create(path: &Path) -> Self {
        Self(Arc::new(Mutex::new(Inner { file: File::create(path).unwrap(), asked: BTreeMap::new() })))
    }

    /// Writes down that `request` is about to be sent, for the first time or again.
    pub(super) fn ask(&self, request: &ConfirmOrderRequest, way: Option<Way>) {
        let mut inner = self.0.lock().unwrap();
        writeln!(inner.file, "ask {request:?}").unwrap();
        let pay = way.map(|way| Pay { way, created: Vec::new(), is_acknowledged: false });
        let asked = Asked { request: request.clone(), answers: Vec::new(), pay };
        inner.asked.entry(request.request_id.clone()).or_insert(asked);
    }

    /// Writes down what came back.
    pub(super) fn answered(&self, request_id: &str, answer: Answer<Order>) {
        self.change(request_id, &format!("{answer:?}"), |asked| asked.answers.push(answer));
    }

    /// Writes down what became of the payment.
    pub(super) fn pay(&self, request_id: &str, what: &str, change: impl FnOnce(&mut Pay)) {
        self.change(request_id, what, |asked| change(asked.pay.as_mut().unwrap()));
    }

    fn change(&self, request_id: &str, what: &str, change: impl FnOnce(&mut Asked)) {
        let mut inner = self.0.lock().unwrap();
        writeln!(inner.file, "{request_id}: {what}").unwrap();
        change(inner.asked.get_mut(request_id).unwrap());
    }

    /// Everything, by request.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.values().cloned().collect()
    }

    /// One request.
    pub(super) fn of(&self, request_id: &str) -> Asked {
        self.0.lock().unwrap().asked[request_id].clone()
    }

    fn count(&self, which: impl Fn(&Asked) -> bool) -> usize {
        self.asked().iter().filter(|asked| which(asked)).count()
    }

    /// How much was done.
    pub(super) fn summary(&self) -> String {
        let cancelled = |asked: &Asked| matches!(asked.definite(), Some(Answer::Refused(_)));
        format!(
            "{} requests, {} orders, {} cancelled, {} once without an answer, {} payments acknowledged",
            self.count(|_| true),
            self.count(|asked| asked.order().is_some()),
            self.count(cancelled),
            self.count(was_open),
            self.count(is_paid),
        )
    }

    /// A run in which nothing was interrupted or paid shows nothing.
    pub(super) fn is_worth_something(&self, rounds: u64) {
        let rounds = usize::try_from(rounds).unwrap();
        assert!(self.count(|asked| asked.order().is_some()) > rounds, "{}", self.summary());
        assert!(self.count(was_open) >= rounds / 2, "{}", self.summary());
        assert!(self.count(is_paid) >= rounds / 2, "{}", self.summary());
    }
}

fn was_open(asked: &Asked) -> bool {
    asked.answers.contains(&Answer::Open)
}

fn is_paid(asked: &Asked) -> bool {
    asked.pay.as_ref().is_some_and(|pay| pay.is_acknowledged)
}
