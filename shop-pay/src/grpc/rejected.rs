//! Notifications that were not believed: counted always, recorded and logged up to a rate for each channel (F48).
//!
//! What is recorded is for an operator who looks for a wrong key or an attacker; nothing is decided by it. Nobody is
//! asked because of a forgery: a payment that was really paid is found by asking about silent ones.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use shop_common::{db::Db, error::ShopError, sql::cut, time::Millis};
use shop_proto::pay::v1::CallbackPaymentRequest;

use super::pay::signed_headers;
use crate::{channel::PaymentChannel, store};

/// Most records of one channel in one minute.
const PER_MINUTE: u32 = 10;
/// As much of a header as is recorded.
const HEADER_CHARS: usize = 1024;

/// The records of what was not believed.
#[derive(Debug)]
pub(crate) struct Rejected {
    db: Db,
    windows: Mutex<BTreeMap<&'static str, Window>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    minute: i64,
    records: u32,
}

impl Rejected {
    /// Records in `db`.
    pub(crate) fn new(db: Db) -> Self {
        Self { db, windows: Mutex::default() }
    }

    /// Counts a notification of `channel` that was not believed because of `why`; records it while the rate allows.
    pub(crate) async fn note(
        &self,
        channel: &dyn PaymentChannel,
        request: &CallbackPaymentRequest,
        why: &ShopError,
        now: Millis,
    ) {
        let (name, bytes) = (channel.name(), request.body.len());
        metrics::counter!("shop_pay_notifications_refused_total", "channel" => name).increment(1);
        if !self.may_record(name, now) {
            return;
        }
        tracing::warn!(channel = name, bytes, error = %why, "notification refused");
        let headers = signed_headers(channel, request, |value| cut(value, HEADER_CHARS));
        if let Err(failure) = store::reject(&self.db, name, headers, &request.body, why, now).await {
            tracing::warn!(channel = name, %failure, "a refused notification was not recorded");
        }
    }

    fn may_record(&self, channel: &'static str, now: Millis) -> bool {
        let minute = now.get() / 60_000;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(channel).or_default();
        if window.minute != minute {
            *window = Window { minute, records: 0 };
        }
        window.records = window.records.saturating_add(1);
        window.records <= PER_MINUTE
    }
}
