//! How far the load is, for people on a terminal.

use std::{
    io::{self, IsTerminal},
    sync::PoisonError,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{args::Args, load::Shared};

/// How often it moves.
const TICK: Duration = Duration::from_millis(250);
const STYLE: &str = "{bar:40} {pos}/{len} s  {msg}";

/// The bar of a running load.
pub(super) struct Progress {
    stop: oneshot::Sender<()>,
    moving: JoinHandle<()>,
}

/// Starts the bar, on standard error and only if that is a terminal.
pub(super) fn start(args: &Args, tally: Shared) -> Progress {
    let bar = if io::stderr().is_terminal() { ProgressBar::new(args.duration) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template(STYLE) {
        bar.set_style(style);
    }
    let (stop, mut stopped) = oneshot::channel();
    let started = Instant::now();
    let moving = tokio::spawn(async move {
        while tokio::time::timeout(TICK, &mut stopped).await.is_err() {
            let (confirmed, wrong) = {
                let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                (tally.confirmed, tally.wrong)
            };
            bar.set_position(started.elapsed().as_secs());
            bar.set_message(format!("{confirmed} orders, {wrong} wrong answers"));
        }
        bar.finish_and_clear();
    });
    Progress { stop, moving }
}

impl Progress {
    /// Takes the bar away.
    pub(super) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.moving.await {
            tracing::warn!(%error, "the progress bar ended badly");
        }
    }
}
