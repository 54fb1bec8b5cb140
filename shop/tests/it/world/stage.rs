//! A shop as it stood at one moment: many tests begin from it, each on copies of its databases.

use shop_common::{
    mq::memory::MemoryBus,
    time::{Clock, Millis},
};
use shop_testkit::Snapshot;

use super::{World, config_of};

/// A shop on SQLite in which nothing is under way.
pub(crate) struct Stage {
    databases: Vec<Snapshot>,
    now: Millis,
}

impl World {
    /// This shop as it is now.
    pub(crate) async fn stage(&self) -> Stage {
        self.assert_clean("a stage is at rest").await;
        let mut databases = Vec::new();
        for database in &self.databases {
            databases.push(Snapshot::of(database).await);
        }
        Stage { databases, now: self.clock.now() }
    }

    /// Closes what many worlds would keep open.
    pub(crate) async fn end(mut self) {
        self.kill().await;
        Box::pin(self.schemas.close()).await;
    }
}

impl Stage {
    /// A shop that goes on from there, with these keys of the configuration and a broker that has never heard of it.
    pub(crate) async fn play(&self, keys: &[(&str, &str)]) -> World {
        let mut databases = Vec::new();
        for snapshot in &self.databases {
            databases.push(snapshot.open().await);
        }
        let config = config_of(&databases, keys);
        World::start_at(databases, config, MemoryBus::new(), Clock::manual(self.now)).await
    }
}
