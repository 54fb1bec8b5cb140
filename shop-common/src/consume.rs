//! Listening: decode, set aside what cannot be decoded, hand the rest over as one batch, keep what fails.

use std::{marker::PhantomData, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use serde::de::DeserializeOwned;
use shop_proto::{
    event,
    topic::{Delivery, Kind, delivery_of},
};

use crate::{
    db::{Db, Failure},
    error::ShopError,
    mq::{Handler, Incoming, NotHandled, SharedBus, Subscription, retry_after},
    parked::{self, Unhandled},
    shutdown::Shutdown,
    time::Clock,
    trace::TraceParent,
};

/// Pause before the next try to reach a broker that is away.
const RETRY: Duration = Duration::from_secs(2);

/// A handler of events of type `E`: what cannot be decoded is kept, so that it holds up nobody, and so is what `act` fails
/// on, for as long as it fails. A batch that fails is tried one by one, so that a message fails alone.
pub fn handler<E, F>(db: Db, clock: Clock, group: &'static str, act: F) -> Handler
where
    E: DeserializeOwned + Send + 'static,
    F: Fn(Vec<E>) -> BoxFuture<'static, Result<(), ShopError>> + Send + Sync + 'static,
{
    // A broadcast that fails is gone, and what it hints at is owed elsewhere: there is nothing to resend.
    let is_retried = delivery_of(group) != Some(Delivery::Broadcasting);
    let listener = Arc::new(Listener { db, clock, group, is_retried, act, event: PhantomData });
    Arc::new(move |messages: Vec<Incoming>| {
        let listener = Arc::clone(&listener);
        Box::pin(async move {
            let trace = TraceParent::from_header(messages.first().map(|message| message.traceparent.as_str()));
            trace.scope(listener.handle(&messages)).await
        })
    })
}

struct Listener<E, F> {
    db: Db,
    clock: Clock,
    group: &'static str,
    is_retried: bool,
    act: F,
    event: PhantomData<fn() -> E>,
}

impl<E, F> Listener<E, F>
where
    E: DeserializeOwned + Send + 'static,
    F: Fn(Vec<E>) -> BoxFuture<'static, Result<(), ShopError>> + Send + Sync + 'static,
{
    async fn handle(&self, messages: &[Incoming]) -> Result<(), NotHandled> {
        let (positions, events) = self.decode(messages).await.map_err(|error| NotHandled::all(error.to_string()))?;
        if positions.is_empty() {
            return Ok(());
        }
        let decodable: Vec<&Incoming> = positions.iter().filter_map(|position| messages.get(*position)).collect();
        let failures = self.act_on(&decodable, events).await;
        let (mut handled, mut failed, mut only) = (Vec::new(), Vec::new(), Vec::new());
        for ((position, message), failure) in positions.into_iter().zip(decodable).zip(&failures) {
            match failure {
                None => handled.push(message),
                Some(why) => {
                    failed.push((message, why.as_str()));
                    only.push(position);
                }
            }
        }
        let count = |messages: usize| u64::try_from(messages).unwrap_or(u64::MAX);
        metrics::counter!("shop_messages_handled_total", "group" => self.group).increment(count(handled.len()));
        metrics::counter!("shop_messages_failed_total", "group" => self.group).increment(count(failed.len()));
        let noted = parked::handled(&self.db, self.group, &handled, self.clock.now()).await;
        if let Some((_, why)) = failed.first() {
            self.keep(&failed).await;
            return Err(NotHandled { why: (*why).to_owned(), only });
        }
        noted.map_err(|error| NotHandled::all(error.to_string()))
    }

    /// The events, and where among `messages` each stands. Keeps what is none, which no redelivery would change.
    async fn decode(&self, messages: &[Incoming]) -> Result<(Vec<usize>, Vec<E>), Failure> {
        let (mut positions, mut events, mut undecodable) = (Vec::new(), Vec::new(), Vec::new());
        for (position, message) in messages.iter().enumerate() {
            match event::decode::<E>(&message.body) {
                Ok(event) => {
                    positions.push(position);
                    events.push(event);
                }
                Err(event::Undecodable(why)) => {
                    let (group, key) = (self.group, message.key.as_str());
                    metrics::counter!("shop_messages_parked_total", "at" => "in").increment(1);
                    tracing::error!(group, msg.key = key, why, "message parked: it cannot be decoded");
                    undecodable.push((message, why));
                }
            }
        }
        let unhandled: Vec<Unhandled<'_>> =
            undecodable.iter().map(|(message, reason)| Unhandled { message, reason, retry: None }).collect();
        parked::keep(&self.db, self.group, &unhandled, self.clock.now()).await?;
        Ok((positions, events))
    }

    /// Why each of `messages` was not handled, if it was not.
    async fn act_on(&self, messages: &[&Incoming], events: Vec<E>) -> Vec<Option<String>> {
        let Err(why) = self.attempt(events).await else { return vec![None; messages.len()] };
        if messages.len() == 1 {
            return vec![Some(why)];
        }
        let (group, count) = (self.group, messages.len());
        tracing::warn!(group, count, why, "messages not handled together; trying one by one");
        let alone = messages.iter().map(|message| async {
            let event = event::decode::<E>(&message.body).map_err(|event::Undecodable(why)| why);
            match event {
                Ok(event) => self.attempt(vec![event]).await.err(),
                Err(why) => Some(why),
            }
        });
        join_all(alone).await
    }

    async fn attempt(&self, events: Vec<E>) -> Result<(), String> {
        // A panic is about one message as an error is, and must not take its neighbours along.
        let acted = AssertUnwindSafe(async { (self.act)(events).await }).catch_unwind().await;
        acted.map_err(|_| "the handler panicked".to_owned())?.map_err(|error| error.to_string())
    }

    /// Keeps what failed, where it comes again; the broker is told in any case.
    async fn keep(&self, failed: &[(&Incoming, &str)]) {
        let (group, now, trace_id) = (self.group, self.clock.now(), TraceParent::current().trace_id());
        let mut unhandled = Vec::with_capacity(failed.len());
        for (message, reason) in failed {
            let retry = retry_after(message.attempt).filter(|_| self.is_retried).map(|pause| now.after(pause));
            if self.is_retried && retry.is_none() {
                tracing::error!(
                    group,
                    msg.key = message.key,
                    reason,
                    trace_id,
                    "message is dead: an operator must look"
                );
            } else {
                tracing::warn!(group, msg.key = message.key, reason, trace_id, "message not handled");
            }
            unhandled.push(Unhandled { message, reason, retry });
        }
        if self.is_retried
            && let Err(error) = parked::keep(&self.db, group, &unhandled, now).await
        {
            tracing::warn!(group, %error, "messages that failed were not kept; the broker has them");
        }
    }
}

/// Subscribes `service` to `kind`, as soon as the broker can be reached: a service starts without it.
pub fn subscribe(
    bus: SharedBus,
    kind: Kind,
    service: &'static str,
    instance: &str,
    handler: Handler,
    shutdown: Shutdown,
) {
    let Some(group) = kind.group_of(service) else { return };
    let subscription = Subscription {
        group: group.to_owned(),
        topic: kind.topic.to_owned(),
        tags: vec![kind.tag.to_owned()],
        delivery: kind.delivery,
        instance: format!("{service}-{instance}"),
    };
    tokio::spawn(async move {
        while !shutdown.is_stopped() {
            let Err(error) = bus.subscribe(subscription.clone(), Arc::clone(&handler)).await else { return };
            tracing::warn!(group, %error, "not subscribed; trying again");
            shutdown.race(tokio::time::sleep(RETRY)).await;
        }
    });
}
