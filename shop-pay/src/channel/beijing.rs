//! The time of day of the channels: Beijing's, without a zone.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
};
use shop_common::time::Millis;

const BEIJING: Offset = Offset::constant(8);
const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// `2026-11-24 08:30:00` in Beijing; anything else is none.
pub(crate) fn read(text: &str) -> Option<Millis> {
    millis(DateTime::strptime(FORMAT, text).ok()?)
}

/// As [`read`] reads it; parts of a second are dropped.
pub(crate) fn written(moment: Millis) -> String {
    let timestamp = Timestamp::from_millisecond(moment.get()).unwrap_or_default();
    BEIJING.to_datetime(timestamp).strftime(FORMAT).to_string()
}

/// The day it is in Beijing.
pub(crate) fn date(moment: Millis) -> Option<Date> {
    Some(BEIJING.to_datetime(Timestamp::from_millisecond(moment.get()).ok()?).date())
}

/// The moment a clock in Beijing shows `local`.
pub(crate) fn millis(local: DateTime) -> Option<Millis> {
    let zoned = TimeZone::fixed(BEIJING).to_timestamp(local).ok()?;
    Some(Millis::new(zoned.as_millisecond()))
}
