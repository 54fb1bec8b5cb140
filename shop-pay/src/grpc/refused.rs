//! Notifications that were not genuine: logged up to a rate per minute, always counted, never written to the database.

use std::sync::{Mutex, PoisonError};

use shop_common::{error::ShopError, time::Millis};

/// Most lines of one minute.
const PER_MINUTE: u32 = 60;

/// The log of what was refused.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<Window>);

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    minute: i64,
    lines: u32,
}

impl Refused {
    /// Counts a notification of `channel` that was refused, and logs it while the rate allows.
    pub(crate) fn note(&self, channel: &str, bytes: usize, error: &ShopError, now: Millis) {
        metrics::counter!("shop_pay_notifications_refused_total", "channel" => channel.to_owned()).increment(1);
        if self.may_log(now) {
            tracing::warn!(channel, bytes, %error, "notification refused");
        }
    }

    fn may_log(&self, now: Millis) -> bool {
        let minute = now.get() / 60_000;
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.minute != minute {
            *window = Window { minute, lines: 0 };
        }
        window.lines = window.lines.saturating_add(1);
        window.lines <= PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_forgeries_does_not_flood_the_log() {
        let refused = Refused::default();
        let logged = |at| (0..1000).filter(|_| refused.may_log(Millis::new(at))).count();
        assert_eq!((logged(1), logged(59_999), logged(60_000)), (60, 0, 60));
    }
}
