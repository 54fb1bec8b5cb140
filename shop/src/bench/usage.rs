//! What the process has used of the machine.

use std::time::Duration;

use nix::{
    errno::Errno,
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
    },
};

/// CPU time and memory of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// In user and kernel mode, all threads.
    pub(super) cpu: Duration,
    /// The most it ever had in memory, in KiB.
    pub(super) peak_rss_kib: u64,
}

impl Usage {
    pub(super) fn of_process() -> Result<Self, Errno> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let micros = (usage.user_time() + usage.system_time()).num_microseconds();
        Ok(Self {
            cpu: Duration::from_micros(u64::try_from(micros).unwrap_or_default()),
            peak_rss_kib: u64::try_from(usage.max_rss()).unwrap_or_default(),
        })
    }

    /// The CPU time since `before`; the peak has no before.
    #[must_use]
    pub(super) fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(before.cpu), ..self }
    }
}
