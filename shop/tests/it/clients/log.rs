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
    order::v1::{ConfirmOrderRequest, Order, OrderStatus},
    pay::v1::Payment,
};
use tonic::Status;

/// One answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer<T> {
    /// It is done.
    Done(T),
    /// A definite no.
    Refused(ShopCode),
    /// Nothing is known, or nothing was done: ask again.
    Open,
}

/// A request to place an order, and all answers to it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) request: ConfirmOrderRequest,
    pub(crate) answers: Vec<Answer<Order>>,
    pub(crate) pay: Option<Pay>,
    /// Whether its buyer changes his mind.
    pub(crate) cancel: Option<Cancel>,
    /// The order as it was last seen.
    seen: Option<Order>,
}

/// How far a cancel got.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cancel {
    /// Whether the shop may have heard of it.
    pub(crate) is_asked: bool,
    /// Whether the shop said that the order is cancelled.
    pub(crate) is_acknowledged: bool,
}

/// How an order is paid, and how far that got.
#[derive(Clone, Debug)]
pub(crate) struct Pay {
    pub(crate) way: Way,
    /// All payments that were acknowledged.
    pub(crate) created: Vec<Payment>,
    /// Whether the payment itself was acknowledged: by the page, or by `success`.
    pub(crate) is_acknowledged: bool,
}

/// How an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// On the sandbox's page.
    Page,
    /// By a notification that the test signs.
    Notice,
}

/// The log; clones are one.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Inner>>);

struct Inner {
    file: File,
    asked: BTreeMap<String, Asked>,
}

impl<T> Answer<T> {
    /// What a client may conclude from `answer`.
    pub(crate) fn of(answer: Result<T, Status>) -> Self {
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
    pub(crate) fn definite(&self) -> Option<&Answer<Order>> {
        self.answers.last().filter(|answer| **answer != Answer::Open)
    }

    /// Whether what the client wants of the order beyond its confirmation is acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        match (&self.cancel, &self.pay) {
            (Some(cancel), _) => cancel.is_acknowledged,
            (None, Some(pay)) => pay.is_acknowledged,
            (None, None) => true,
        }
    }

    /// The order, if it was ever acknowledged and stands.
    pub(crate) fn standing(&self) -> Option<&Order> {
        self.order().filter(|_| self.cancel.is_none())
    }

    /// The order, if it was ever acknowledged.
    pub(crate) fn order(&self) -> Option<&Order> {
        self.answers.iter().find_map(|answer| if let Answer::Done(order) = answer { Some(order) } else { None })
    }
}

impl Log {
    pub(crate) fn create(path: &Path) -> Self {
        Self(Arc::new(Mutex::new(Inner { file: File::create(path).unwrap(), asked: BTreeMap::new() })))
    }

    /// Writes down that `request` is about to be sent, for the first time or again.
    pub(crate) fn ask(&self, request: &ConfirmOrderRequest, way: Option<Way>, is_cancelled: bool) {
        let mut inner = self.0.lock().unwrap();
        writeln!(inner.file, "ask {request:?}").unwrap();
        let pay = way.map(|way| Pay { way, created: Vec::new(), is_acknowledged: false });
        let cancel = is_cancelled.then(Cancel::default);
        let asked = Asked { request: request.clone(), answers: Vec::new(), pay, cancel, seen: None };
        inner.asked.entry(request.request_id.clone()).or_insert(asked);
    }

    /// Writes down what came back.
    pub(crate) fn answered(&self, request_id: &str, answer: Answer<Order>) {
        self.change(request_id, &format!("{answer:?}"), |asked| asked.answers.push(answer));
    }

    /// Writes down what became of the payment.
    pub(crate) fn pay(&self, request_id: &str, what: &str, change: impl FnOnce(&mut Pay)) {
        self.change(request_id, what, |asked| change(asked.pay.as_mut().unwrap()));
    }

    /// Writes down what became of the cancel.
    pub(crate) fn cancel(&self, request_id: &str, what: &str, change: impl FnOnce(&mut Cancel)) {
        self.change(request_id, what, |asked| change(asked.cancel.as_mut().unwrap()));
    }

    /// Writes down how an order stands; it must not have stood further before.
    pub(crate) fn seen(&self, request_id: &str, now: &Order) {
        let what = format!("seen {:?} {:?}", now.status(), now.pay_status());
        self.change(request_id, &what, |asked| {
            if let Some(before) = asked.seen.replace(now.clone()) {
                assert!(goes_on(&before, now), "{before:?}, then {now:?}");
            }
        });
    }

    fn change(&self, request_id: &str, what: &str, change: impl FnOnce(&mut Asked)) {
        let mut inner = self.0.lock().unwrap();
        writeln!(inner.file, "{request_id}: {what}").unwrap();
        change(inner.asked.get_mut(request_id).unwrap());
    }

    /// Everything, by request.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.values().cloned().collect()
    }

    /// One request.
    pub(crate) fn of(&self, request_id: &str) -> Asked {
        self.0.lock().unwrap().asked[request_id].clone()
    }

    fn count(&self, which: impl Fn(&Asked) -> bool) -> usize {
        self.asked().iter().filter(|asked| which(asked)).count()
    }

    /// How much was done.
    pub(crate) fn summary(&self) -> String {
        let given_up = |asked: &Asked| matches!(asked.definite(), Some(Answer::Refused(_)));
        format!(
            "{} requests, {} orders, {} given up, {} once without an answer, {} payments and {} cancels acknowledged",
            self.count(|_| true),
            self.count(|asked| asked.order().is_some()),
            self.count(given_up),
            self.count(was_open),
            self.count(is_paid),
            self.count(|asked| asked.cancel.is_some_and(|cancel| cancel.is_acknowledged)),
        )
    }

    /// Where nothing is wrong but that the shop dies, only what its death interrupted is given up.
    pub(crate) fn nothing_is_given_up_alive(&self) {
        for asked in self.asked() {
            let is_given_up = matches!(asked.definite(), Some(Answer::Refused(_)));
            assert!(!is_given_up || was_open(&asked), "cancelled, but nobody interrupted it: {asked:?}");
        }
    }

    /// A run in which nothing was interrupted or paid shows nothing.
    pub(crate) fn is_worth_something(&self, rounds: u64) {
        let rounds = usize::try_from(rounds).unwrap();
        assert!(self.count(|asked| asked.order().is_some()) > rounds, "{}", self.summary());
        assert!(self.count(was_open) >= rounds / 2, "{}", self.summary());
        assert!(self.count(is_paid) >= rounds / 2, "{}", self.summary());
    }
}

/// Whether an order may stand as `now` after it has stood as `before` (H8).
fn goes_on(before: &Order, now: &Order) -> bool {
    let is_over = [OrderStatus::Cancelled, OrderStatus::Refunded].contains(&before.status());
    let status_stays = before.status() == now.status();
    (status_stays || !is_over) && now.status() >= before.status() && now.pay_status() >= before.pay_status()
}

fn was_open(asked: &Asked) -> bool {
    asked.answers.contains(&Answer::Open)
}

fn is_paid(asked: &Asked) -> bool {
    asked.pay.as_ref().is_some_and(|pay| pay.is_acknowledged)
}
