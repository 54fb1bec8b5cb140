//! A broker that answers as it is told.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use shop_common::mq::{Bus, Handler, Outgoing, PublishError, Subscription};
use tokio::sync::Semaphore;

type Answer = Result<(), PublishError>;

/// What becomes of a publish.
type Act = Box<dyn FnMut(&Outgoing) -> Answer + Send>;

pub(crate) struct Script {
    act: Mutex<Act>,
    stored: Mutex<Vec<Outgoing>>,
    /// Publishes that stored and have not answered; they never do.
    pub(crate) hanging: Semaphore,
    hang: Mutex<bool>,
    /// Subscribes that still find the broker away.
    pub(crate) away: Mutex<u32>,
    pub(crate) subscribed: Mutex<Vec<Subscription>>,
}

impl Script {
    /// Stores everything.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            act: Mutex::new(Box::new(|_| Ok(()))),
            stored: Mutex::default(),
            hanging: Semaphore::new(0),
            hang: Mutex::default(),
            away: Mutex::default(),
            subscribed: Mutex::default(),
        })
    }

    /// Answers so from now on.
    pub(crate) fn answer(&self, act: impl FnMut(&Outgoing) -> Answer + Send + 'static) {
        *self.act.lock().unwrap() = Box::new(act);
    }

    /// From now on stores, and never answers.
    pub(crate) fn hang(&self, hang: bool) {
        *self.hang.lock().unwrap() = hang;
    }

    pub(crate) fn stored(&self) -> Vec<Outgoing> {
        self.stored.lock().unwrap().clone()
    }

    /// The keys of what is stored, in the order it came.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.stored().into_iter().map(|message| message.key).collect()
    }
}

#[async_trait]
impl Bus for Script {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Answer> {
        let mut answers = Vec::new();
        for message in messages {
            // Not held while it acts: an act may panic.
            let answer = {
                let mut act = std::mem::replace(&mut *self.act.lock().unwrap(), Box::new(|_| Ok(())));
                let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&message)));
                *self.act.lock().unwrap() = act;
                answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            if answer.is_ok() {
                self.stored.lock().unwrap().push(message);
            }
            answers.push(answer);
        }
        if *self.hang.lock().unwrap() {
            self.hanging.add_permits(1);
            std::future::pending::<()>().await;
        }
        answers
    }

    async fn subscribe(&self, subscription: Subscription, _handler: Handler) -> Result<(), PublishError> {
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Err(PublishError::Unavailable("no broker".to_owned()));
        }
        self.subscribed.lock().unwrap().push(subscription);
        Ok(())
    }

    async fn stop_consumers(&self) {}

    async fn shutdown(&self) {}
}
