//! The shop under load: a fresh one in this process, or one that runs elsewhere.

use std::path::PathBuf;

use metrics_exporter_prometheus::PrometheusHandle;
use shop_pay::SandboxConfig;
use tempfile::TempDir;

use super::Outcome;
use crate::{
    assemble::open_all_to_look,
    audit::Schemas,
    config::{Config, fresh},
    running::Shop,
};

/// The shop under load.
pub(super) struct World {
    /// Its databases.
    pub(super) schemas: Schemas,
    /// Where its gRPC is.
    pub(super) grpc: String,
    /// Where its REST is.
    pub(super) rest: String,
    /// What signs its callbacks.
    pub(super) sandbox: SandboxConfig,
    place: Place,
}

enum Place {
    /// In this process, in a directory that goes away with it.
    Here(Box<Shop>, TempDir),
    /// Elsewhere; where its SQLite files lie, if it has such.
    There(Option<PathBuf>),
}

impl World {
    /// A fresh shop in a directory of its own.
    pub(super) async fn embedded(
        config_of: impl Fn(&[(&str, String)]) -> Outcome<Config>,
        metrics: PrometheusHandle,
    ) -> Outcome<Self> {
        let dir = config_of(&[])?.fresh_dir()?;
        let config = config_of(&fresh(dir.path()))?;
        let shop = Shop::start(&config, Some(metrics)).await?;
        Ok(Self {
            schemas: shop.services.schemas.clone(),
            grpc: format!("http://{}", shop.grpc),
            rest: format!("http://{}", shop.web.first().ok_or("no gateway")?),
            sandbox: config.pay.sandbox.clone(),
            place: Place::Here(Box::new(shop), dir),
        })
    }

    /// The shop at `target`, whose databases are those of the configuration.
    pub(super) async fn elsewhere(config: &Config, target: &str) -> Outcome<Self> {
        let is_sqlite = config.order.database.url.reveal().starts_with("sqlite:");
        Ok(Self {
            schemas: open_all_to_look(config).await?,
            grpc: target.to_owned(),
            rest: target.trim_end_matches('/').to_owned(),
            sandbox: config.pay.sandbox.clone(),
            place: Place::There(is_sqlite.then(|| config.data_dir.clone())),
        })
    }

    /// Whether the shop is in this process.
    pub(super) const fn is_embedded(&self) -> bool {
        matches!(self.place, Place::Here(..))
    }

    /// A directory on the disk of its SQLite files; none where it has another engine.
    pub(super) fn engine(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Here(_, dir) => dir.path().parent().map(PathBuf::from),
            Place::There(dir) => dir.clone(),
        }
    }

    /// Stops what was started.
    pub(super) async fn stop(self) {
        match self.place {
            Place::Here(shop, _) => shop.stop().await,
            Place::There(_) => self.schemas.close().await,
        }
    }
}
