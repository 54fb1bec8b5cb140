//! A closed loop for benchmarks: so many callers, each with its next command as soon as the last one is durable.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use shop_common::batch::{Batcher, Command};

/// Runs `commands` by `callers`; how long it took until all were durable.
///
/// # Panics
/// When a command was not run.
pub async fn closed_loop<C: Command, O: Send + 'static>(
    batcher: &Batcher<C, O>,
    commands: Vec<C>,
    callers: usize,
) -> Duration {
    let (commands, next) = (Arc::new(commands), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let callers = (0..callers).map(|_| {
        let (batcher, commands, next) = (batcher.clone(), Arc::clone(&commands), Arc::clone(&next));
        tokio::spawn(async move {
            while let Some(command) = commands.get(next.fetch_add(1, Ordering::Relaxed)) {
                batcher.run(command.clone(), None).await.expect("a benchmark's queue is long enough");
            }
        })
    });
    for caller in futures::future::join_all(callers).await {
        caller.expect("no caller panics");
    }
    started.elapsed()
}
