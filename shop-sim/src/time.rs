//! The providers' time of day: Beijing's, `2026-11-24 08:30:00` without a zone.

use jiff::{Timestamp, civil::Date, tz::Offset, tz::TimeZone};
use shop_common::time::Millis;

const BEIJING: Offset = Offset::constant(8);

/// As the providers write it.
pub fn written(moment: Millis) -> String {
    let timestamp = Timestamp::from_millisecond(moment.get()).unwrap_or_default();
    BEIJING.to_datetime(timestamp).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// As WeChat Pay writes it in its API: RFC 3339 with the zone.
pub fn rfc3339(moment: Millis) -> String {
    let timestamp = Timestamp::from_millisecond(moment.get()).unwrap_or_default();
    BEIJING.to_datetime(timestamp).strftime("%Y-%m-%dT%H:%M:%S+08:00").to_string()
}

/// The first moment of a day like `2026-11-24`, and the first one after it.
pub fn day(text: &str) -> Option<(Millis, Millis)> {
    let date: Date = text.parse().ok()?;
    let start = |date: Date| {
        let zoned = TimeZone::fixed(BEIJING).to_timestamp(date.at(0, 0, 0, 0)).ok()?;
        Some(Millis::new(zoned.as_millisecond()))
    };
    Some((start(date)?, start(date.tomorrow().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_in_beijing() {
        let (from, until) = day("2026-11-24").unwrap();
        assert_eq!((written(from), until.get() - from.get()), ("2026-11-24 00:00:00".to_owned(), 86_400_000));
        assert_eq!(day("2026-13-01"), None);
    }
}
