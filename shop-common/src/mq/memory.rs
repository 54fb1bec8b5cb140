//! The bus in memory: one process, the semantics of RocketMQ, and nothing moves until it is told to.
//!
//! One [`MemoryBus`] is one connection; [`MemoryBus::join`] opens another to the same broker, as another process would.
//! Time is virtual ([`MemoryBus::advance`]), except under [`MemoryBus::auto`]. Nothing is kept on disk.

mod state;
#[cfg(test)]
mod tests;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::state::{Lot, State};
use super::{Bus, Handler, NotHandled, Outgoing, PublishError, Subscription, rules};

/// How often [`MemoryBus::auto`] looks.
const TICK: Duration = Duration::from_millis(10);

/// What goes wrong, each in percent. The same seed and the same calls go wrong in the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Seed of the dice.
    pub seed: u64,
    /// A delivery to one group (broadcasting: one member) never happens.
    pub drop: u8,
    /// A delivery happens twice.
    pub duplicate: u8,
    /// What is due is delivered out of order.
    pub reorder: u8,
    /// A delivery comes up to a minute late.
    pub delay: u8,
    /// Publishing and subscribing find the broker away.
    pub fail: u8,
    /// A message is stored though its sender is told the broker was away.
    pub lost_ack: u8,
}

/// One connection to a broker in memory.
pub struct MemoryBus {
    broker: Arc<Broker>,
    client: u64,
    closed: AtomicBool,
}

#[derive(Default)]
struct Broker {
    state: Mutex<State>,
    /// Held while a handler runs, so that stopping can wait for it.
    handling: tokio::sync::Mutex<()>,
    clients: AtomicU64,
}

/// A delivery being handled: one whose member dies meanwhile comes again, as from a broker that was told of no end.
struct InHand<'a> {
    broker: &'a Broker,
    lot: Option<Lot>,
}

impl MemoryBus {
    /// A broker without messages that delivers only when stepped.
    pub fn new() -> Arc<Self> {
        Self::connect(Arc::default())
    }

    /// A broker that delivers by itself, in real time, until its last connection is dropped. Needs a running runtime.
    pub fn auto() -> Arc<Self> {
        let bus = Self::new();
        tokio::spawn(deliver_until_dropped(Arc::downgrade(&bus.broker)));
        bus
    }

    /// Another connection to the same broker. A member that subscribes again under its name goes on where it was.
    pub fn join(&self) -> Arc<Self> {
        Self::connect(self.broker.clone())
    }

    /// Delivers all that is due, and all that becomes due at once by it; says how many deliveries that were.
    pub async fn deliver_all(&self) -> usize {
        self.broker.deliver_all().await
    }

    /// Moves the virtual time on. Delivers nothing.
    pub fn advance(&self, duration: Duration) {
        self.broker.state().advance(duration);
    }

    /// Virtual time since the broker began.
    pub fn now(&self) -> Duration {
        self.broker.state().now()
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.broker.state().set_faults(faults);
    }

    /// All messages stored so far, in their order.
    pub fn published(&self) -> Vec<Outgoing> {
        self.broker.state().published()
    }

    /// Stores a message whose body need not be text, as a foreign sender could.
    pub fn publish_bytes(&self, topic: &str, tag: &str, body: &[u8]) {
        self.broker.state().store_bytes(topic, tag, body);
    }

    fn connect(broker: Arc<Broker>) -> Arc<Self> {
        let client = broker.clients.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { broker, client, closed: AtomicBool::new(false) })
    }

    fn open(&self) -> Result<(), PublishError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(PublishError::Unavailable("shut down".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let mut state = self.broker.state();
        let publish = |message| {
            rules::message(&message)?;
            self.open()?;
            state.publish(message)
        };
        messages.into_iter().map(publish).collect()
    }

    async fn subscribe(&self, subscription: Subscription, handler: Handler) -> Result<(), PublishError> {
        rules::subscription(&subscription)?;
        self.open()?;
        self.broker.state().subscribe(self.client, subscription, handler)
    }

    async fn stop_consumers(&self) {
        self.broker.state().leave(self.client);
        drop(self.broker.handling.lock().await);
    }

    async fn shutdown(&self) {
        self.closed.store(true, Ordering::Release);
        self.stop_consumers().await;
    }
}

impl Broker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn deliver_all(&self) -> usize {
        let mut delivered = 0;
        loop {
            let handling = self.handling.lock().await;
            let Some(lot) = self.state().next_lot() else { return delivered };
            delivered += lot.messages.len();
            let handled = (lot.handler)(lot.incoming());
            let in_hand = InHand { broker: self, lot: Some(lot) };
            // A handler that panics has not handled, as with RocketMQ.
            let handled = AssertUnwindSafe(handled).catch_unwind().await;
            let handled = handled.unwrap_or_else(|_| Err(NotHandled::all("the handler panicked")));
            in_hand.settle(handled.err());
            drop(handling);
        }
    }
}

impl InHand<'_> {
    fn settle(mut self, failed: Option<NotHandled>) {
        if let Some(lot) = self.lot.take() {
            self.broker.state().settle(lot, failed);
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(lot) = self.lot.take() {
            self.broker.state().give_back(lot);
        }
    }
}

async fn deliver_until_dropped(broker: Weak<Broker>) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        let now = tick.tick().await;
        let Some(broker) = broker.upgrade() else { return };
        broker.state().advance(now.saturating_duration_since(last));
        last = now;
        broker.deliver_all().await;
    }
}
