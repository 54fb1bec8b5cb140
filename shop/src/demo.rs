//! `shop demo`: the tutorial's order on real parts in a fresh directory, every figure compared with what it must be.

mod report;
mod story;

pub use report::{Figure, Report};

use std::{error::Error, time::Instant};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::{config::Config, running::Shop};

/// What the demo runs on: its own directory and ports, sweepers that come too late to help, and no look ahead, so that
/// the second order is refused by who keeps the balance, in the middle of its saga.
fn flags(data_dir: &str) -> Vec<(&'static str, String)> {
    vec![
        ("data_dir", data_dir.to_owned()),
        ("grpc.listen", "127.0.0.1:0".to_owned()),
        ("web.listen", "127.0.0.1:0".to_owned()),
        ("sweeper.interval_ms", "600000".to_owned()),
        ("order.look_before_saga", "false".to_owned()),
    ]
}

/// Runs the demo.
///
/// # Errors
/// The shop could not be started or asked; a figure that is wrong is not an error but stands in the report.
pub async fn demo(metrics: PrometheusHandle) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let started = Instant::now();
    let data_dir = tempfile::tempdir()?;
    let config = Config::read(None, &flags(&data_dir.path().display().to_string()))?;
    let shop = Shop::start(&config, Some(metrics.clone())).await?;
    crate::seed::seed(&shop.services.schemas).await?;
    let told = story::tell(&shop, &metrics).await;
    shop.stop().await;
    let mut report = told?;
    report.seconds = started.elapsed().as_secs();
    Ok(report)
}
