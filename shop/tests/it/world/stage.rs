//! A shop as it stood at one moment: many tests begin from it, each on copies of its databases.

use std::path::PathBuf;

use shop_common::{
    mq::memory::MemoryBus,
    time::{Clock, Millis},
};
use shop_testkit::Snapshot;

use super::{World, config_of};

/// The services, each with its place among the schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Goods,
    Coupon,
    User,
    Order,
    Pay,
}

impl Service {
    const fn place(self) -> usize {
        match self {
            Self::Goods => 0,
            Self::Coupon => 1,
            Self::User => 2,
            Self::Order => 3,
            Self::Pay => 4,
        }
    }
}

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
        self.play_from(self.databases.iter(), keys).await
    }

    /// The same, but the rows of one service are those of `older`.
    pub(crate) async fn play_but(&self, service: Service, older: &Self) -> World {
        let rows = self.databases.iter().zip(&older.databases).enumerate();
        let rows = rows.map(|(at, (newer, older))| if at == service.place() { older } else { newer });
        self.play_from(rows, &[]).await
    }

    /// Where the rows of a service lie.
    pub(crate) fn file(&self, service: Service) -> PathBuf {
        self.databases[service.place()].file()
    }

    async fn play_from(&self, snapshots: impl Iterator<Item = &Snapshot>, keys: &[(&str, &str)]) -> World {
        let mut databases = Vec::new();
        for snapshot in snapshots {
            databases.push(snapshot.open().await);
        }
        let config = config_of(&databases, keys);
        World::start_at(databases, config, MemoryBus::new(), Clock::manual(self.now)).await
    }
}
