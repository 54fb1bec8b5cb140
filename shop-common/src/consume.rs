//! Listening: decode, set aside what cannot be decoded, hand the rest over as one batch.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use shop_proto::{event, topic::Kind};

use crate::{
    db::Db,
    error::ShopError,
    mq::{Handler, Incoming, NotHandled, SharedBus, Subscription},
    parked::park,
    shutdown::Shutdown,
    time::Clock,
    trace::TraceParent,
};

/// Pause before the next try to reach a broker that is away.
const RETRY: Duration = Duration::from_secs(2);

/// A handler of events of type `E`: undecodable messages are parked, so that they hold up nobody.
pub fn handler<E, F>(db: Db, clock: Clock, group: &'static str, act: F) -> Handler
where
    E: DeserializeOwned + Send + 'static,
    F: Fn(Vec<E>) -> BoxFuture<'static, Result<(), ShopError>> + Send + Sync + 'static,
{
    let act = Arc::new(act);
    Arc::new(move |messages: Vec<Incoming>| {
        let (db, clock, act) = (db.clone(), clock.clone(), Arc::clone(&act));
        Box::pin(async move {
            let trace = TraceParent::from_header(messages.first().map(|message| message.traceparent.as_str()));
            let mut events = Vec::with_capacity(messages.len());
            for message in &messages {
                match event::decode::<E>(&message.body) {
                    Ok(event) => events.push(event),
                    Err(event::Undecodable(why)) => {
                        tracing::error!(group, msg.key = message.key, why, "message parked: it cannot be decoded");
                        park(&db, group, message, &why, clock.now())
                            .await
                            .map_err(|error| NotHandled(error.to_string()))?;
                    }
                }
            }
            if events.is_empty() {
                return Ok(());
            }
            let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
            trace.scope(act(events)).await.map_err(|error| {
                tracing::warn!(group, %error, trace_id = trace.trace_id(), "messages not handled");
                NotHandled(error.to_string())
            })?;
            metrics::counter!("shop_messages_handled_total", "group" => group).increment(count);
            Ok(())
        })
    })
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
