//! What the broker in memory knows: logs, groups and how far each has read. No handler runs here and nothing waits.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use shop_proto::topic::Delivery;

use super::Faults;
use crate::mq::{BATCH, Handler, Incoming, NotHandled, Outgoing, PublishError, Subscription, rules::retry_after};

/// The longest a delivery comes late, seconds.
const LATE_MAX: u64 = 60;

/// The broker.
pub(super) struct State {
    now: Duration,
    published: Vec<Outgoing>,
    logs: HashMap<String, Vec<Incoming>>,
    /// Delayed messages, which enter their log when due.
    scheduled: Vec<(Duration, Incoming)>,
    queues: BTreeMap<Place, Queue>,
    dice: Dice,
    ids: u64,
}

/// Whose queue of what.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    group: String,
    topic: String,
    /// The member it belongs to; none: to the group.
    owner: Option<String>,
}

/// What one group (broadcasting: one member) has yet to get from one topic. Stays when all members have left.
#[derive(Default)]
struct Queue {
    tags: Vec<String>,
    read: usize,
    pending: Vec<Pending>,
    members: Vec<Member>,
    turn: usize,
}

struct Member {
    client: u64,
    instance: String,
    handler: Handler,
}

/// A delivery to come.
pub(super) struct Pending {
    due: Duration,
    message: Incoming,
}

/// Deliveries that are being handled.
pub(super) struct Lot {
    place: Place,
    pub(super) handler: Handler,
    pub(super) messages: Vec<Pending>,
}

struct Dice {
    faults: Faults,
    rng: StdRng,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now: Duration::ZERO,
            published: Vec::new(),
            logs: HashMap::new(),
            scheduled: Vec::new(),
            queues: BTreeMap::new(),
            dice: Dice::new(Faults::default()),
            ids: 0,
        }
    }
}

impl State {
    pub(super) fn now(&self) -> Duration {
        self.now
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        self.now = self.now.saturating_add(duration);
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.dice = Dice::new(faults);
    }

    pub(super) fn published(&self) -> Vec<Outgoing> {
        self.published.clone()
    }

    pub(super) fn publish(&mut self, message: Outgoing) -> Result<(), PublishError> {
        self.dice.available(self.dice.faults.fail)?;
        let stored = Incoming {
            msg_id: self.next_id(),
            topic: message.topic.clone(),
            tag: message.tag.clone(),
            key: message.key.clone(),
            body: message.body.clone().into_bytes(),
            traceparent: message.traceparent.clone(),
            attempt: 1,
        };
        self.scheduled.push((self.now.saturating_add(message.delay.unwrap_or_default()), stored));
        self.published.push(message);
        self.dice.available(self.dice.faults.lost_ack)
    }

    pub(super) fn store_bytes(&mut self, topic: &str, tag: &str, body: &[u8]) {
        let msg_id = self.next_id();
        let (topic, tag, body) = (topic.to_owned(), tag.to_owned(), body.to_vec());
        let message = Incoming { msg_id, topic, tag, key: String::new(), body, traceparent: String::new(), attempt: 1 };
        self.scheduled.push((self.now, message));
    }

    pub(super) fn subscribe(
        &mut self,
        client: u64,
        subscription: Subscription,
        handler: Handler,
    ) -> Result<(), PublishError> {
        self.dice.available(self.dice.faults.fail)?;
        let Subscription { group, topic, tags, delivery, instance } = subscription;
        let taken = |(place, queue): (&Place, &Queue)| {
            place.group == group && queue.members.iter().any(|member| member.instance == instance)
        };
        if self.queues.iter().any(taken) {
            return Err(PublishError::Unavailable(format!("{instance} is in {group} already")));
        }
        let owner = (delivery == Delivery::Broadcasting).then(|| instance.clone());
        let queue = self.queues.entry(Place { group, topic, owner }).or_default();
        queue.tags = tags;
        queue.members.push(Member { client, instance, handler });
        Ok(())
    }

    pub(super) fn leave(&mut self, client: u64) {
        for queue in self.queues.values_mut() {
            queue.members.retain(|member| member.client != client);
        }
    }

    /// Takes what one member is to handle next.
    pub(super) fn next_lot(&mut self) -> Option<Lot> {
        self.log_due();
        for (place, queue) in &mut self.queues {
            queue.read_on(self.logs.get(&place.topic).map_or(&[], Vec::as_slice), self.now, &mut self.dice);
            if let Some((handler, messages)) = queue.take(self.now, &mut self.dice) {
                return Some(Lot { place: place.clone(), handler, messages });
            }
        }
        None
    }

    /// Ends a lot. What failed a group gets again later or as its dead letter; a broadcast is gone.
    pub(super) fn settle(&mut self, lot: Lot, failed: Option<NotHandled>) {
        let Some(failed) = failed.filter(|_| lot.place.owner.is_none()) else { return };
        let Some(queue) = self.queues.get_mut(&lot.place) else { return };
        let not_handled = lot.messages.into_iter().enumerate().filter(|(position, _)| failed.is_about(*position));
        for (_, Pending { mut message, .. }) in not_handled {
            let pause = retry_after(message.attempt);
            message.attempt = message.attempt.saturating_add(1);
            if let Some(pause) = pause {
                queue.pending.push(Pending { due: self.now + pause, message });
            } else {
                message.topic = format!("%DLQ%{}", lot.place.group);
                self.scheduled.push((self.now, message));
            }
        }
    }

    /// Takes back a lot of which nobody says whether it was handled.
    pub(super) fn give_back(&mut self, lot: Lot) {
        if let Some(queue) = self.queues.get_mut(&lot.place) {
            queue.pending.extend(lot.messages);
        }
    }

    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("memory-{:08}", self.ids)
    }

    fn log_due(&mut self) {
        let now = self.now;
        for (_, message) in self.scheduled.extract_if(.., |(due, _)| *due <= now) {
            self.logs.entry(message.topic.clone()).or_default().push(message);
        }
    }
}

impl Lot {
    pub(super) fn incoming(&self) -> Vec<Incoming> {
        self.messages.iter().map(|pending| pending.message.clone()).collect()
    }
}

impl Queue {
    /// Makes deliveries of what came since, as far as the tags are asked for and the dice allow.
    fn read_on(&mut self, log: &[Incoming], now: Duration, dice: &mut Dice) {
        if self.members.is_empty() {
            return;
        }
        for message in log.iter().skip(self.read) {
            let asked = self.tags.is_empty() || self.tags.contains(&message.tag);
            if asked && !dice.roll(dice.faults.drop) {
                for _ in 0..=u8::from(dice.roll(dice.faults.duplicate)) {
                    let late = if dice.roll(dice.faults.delay) { dice.rng.random_range(1..=LATE_MAX) } else { 0 };
                    let due = now.saturating_add(Duration::from_secs(late));
                    self.pending.push(Pending { due, message: message.clone() });
                }
            }
        }
        self.read = log.len();
    }

    /// The share of the member whose turn it is.
    fn take(&mut self, now: Duration, dice: &mut Dice) -> Option<(Handler, Vec<Pending>)> {
        let due = self.pending.iter().filter(|pending| pending.due <= now).count();
        let share = due.div_ceil(self.members.len().max(1)).min(BATCH);
        let member = self.members.get(self.turn % self.members.len().max(1))?;
        if share == 0 {
            return None;
        }
        if dice.roll(dice.faults.reorder) {
            self.pending.shuffle(&mut dice.rng);
        }
        self.turn = self.turn.wrapping_add(1);
        let taken = self.pending.extract_if(.., |pending| pending.due <= now).take(share).collect();
        Some((member.handler.clone(), taken))
    }
}

impl Dice {
    fn new(faults: Faults) -> Self {
        Self { faults, rng: StdRng::seed_from_u64(faults.seed) }
    }

    fn roll(&mut self, percent: u8) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn available(&mut self, fail: u8) -> Result<(), PublishError> {
        if self.roll(fail) { Err(PublishError::Unavailable("broker away".to_owned())) } else { Ok(()) }
    }
}
