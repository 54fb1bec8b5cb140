//! A service under test: what it is given, and messages for it to hear.

use std::sync::Arc;

use serde::Serialize;
use shop_common::{
    mq::{Bus, Outgoing, memory::MemoryBus},
    service::Deps,
    shutdown::{self, Switch},
    time::Clock,
};
use shop_proto::topic::Kind;

use crate::{TestDb, participant::NOW};

/// What a service is given, on a bus that is stepped, at [`NOW`]; it stops when the switch is dropped.
pub fn deps(test: &TestDb, bus: Arc<MemoryBus>) -> (Deps, Switch) {
    let (switch, shutdown) = shutdown::channel();
    let (db, clock) = (test.db.clone(), Clock::manual(NOW));
    (Deps { db, bus, clock, instance: "test".to_owned(), shutdown }, switch)
}

/// Hands the broker messages of `kind`, each a key and an event.
pub async fn publish(bus: &MemoryBus, kind: Kind, messages: &[(i64, impl Serialize)]) {
    let message = |key: i64, body: String| Outgoing {
        group: kind.producer.to_owned(),
        topic: kind.topic.to_owned(),
        tag: kind.tag.to_owned(),
        key: key.to_string(),
        body,
        traceparent: String::new(),
        delay: None,
    };
    let outgoing = messages.iter().map(|(key, event)| message(*key, serde_json::to_string(event).expect("plain JSON")));
    for published in bus.publish(outgoing.collect()).await {
        published.expect("the broker in memory is there");
    }
}
