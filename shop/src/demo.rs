//! `shop demo`: the tutorial's order on real parts in a fresh directory, every figure compared with what it must be.

mod report;
mod story;

pub use report::{Figure, Report};

use std::{error::Error, time::Instant};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::{
    config::{Config, fresh},
    running::Shop,
};

/// What the demo runs on beside what every fresh shop has: sweepers that come too late to help, and no look ahead, so
/// that the second order is refused by who keeps the balance, in the middle of its saga.
const OWN: [(&str, &str); 2] = [("sweeper.interval_ms", "600000"), ("order.look_before_saga", "false")];

/// Runs the demo. `config_of` reads the configuration under further flags.
///
/// # Errors
/// The shop could not be started or asked; a figure that is wrong is not an error but stands in the report.
pub async fn demo(
    config_of: impl Fn(&[(&str, String)]) -> Result<Config, Box<dyn Error + Send + Sync>>,
    metrics: PrometheusHandle,
) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let started = Instant::now();
    let dir = config_of(&[])?.fresh_dir()?;
    let own = OWN.map(|(key, value)| (key, value.to_owned()));
    let config = config_of(&fresh(dir.path()).into_iter().chain(own).collect::<Vec<_>>())?;
    let shop = Shop::start(&config, Some(metrics.clone())).await?;
    crate::seed::seed(&shop.services.schemas).await?;
    let told = story::tell(&shop, &metrics).await;
    shop.stop().await;
    let mut report = told?;
    report.seconds = started.elapsed().as_secs();
    Ok(report)
}
