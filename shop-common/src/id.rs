//! Ids: one newtype per thing, and the snowflake generator behind a guard.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use snowflake::SnowflakeIdGenerator;

use crate::{code::ShopCode, error::ShopError};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The id of this number.
            pub const fn new(id: i64) -> Self {
                Self(id)
            }

            /// Its number.
            pub const fn get(self) -> i64 {
                self.0
            }

            /// The id a client sent as `field`.
            ///
            /// # Errors
            /// `SHOP_REQUEST_PARAMETER_VALID` unless it is > 0.
            pub fn parse(id: i64, field: &'static str) -> Result<Self, ShopError> {
                if id > 0 { Ok(Self(id)) } else { Err(ShopError::invalid(field, "an id is greater than zero")) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        /// As a string: JavaScript rounds integers above 2^53.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        /// From a string or an integer, never through a float.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(IdVisitor).map(Self)
            }
        }
    )*};
}

ids! {
    /// An order.
    OrderId
    /// A user.
    UserId
    /// One of the goods.
    GoodsId
    /// A coupon.
    CouponId
    /// A payment.
    PayId
    /// A refund.
    RefundId
}

struct IdVisitor;

impl de::Visitor<'_> for IdVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id as a decimal string or an integer")
    }

    fn visit_i64<E: de::Error>(self, id: i64) -> Result<i64, E> {
        Ok(id)
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<i64, E> {
        i64::try_from(id).map_err(|_| E::custom("an id fits a signed 64-bit integer"))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
        canonical_integer(text)
            .ok_or_else(|| E::custom("an id is a decimal string without sign, zeros or spaces in front"))
    }
}

/// The integer that is written exactly like this: no plus sign, no zeros or blanks in front.
pub fn canonical_integer(text: &str) -> Option<i64> {
    text.parse().ok().filter(|integer: &i64| integer.to_string() == text)
}

/// 2024-01-01T00:00:00Z: ids stay positive until about 2093.
const EPOCH: Duration = Duration::from_secs(1_704_067_200);
/// Longest wait for a clock that was set back.
const PATIENCE_MS: u64 = 5_000;
/// The highest worker number.
pub const WORKER_MAX: i32 = 1023;
/// Bits of an id below its milliseconds.
const CLOCK_SHIFT: u32 = 22;

/// Makes ids: strictly increasing, whatever the clock does (trap 19).
///
/// rs-snowflake repeats ids silently when the clock steps back and takes any worker number; hence the guard. There is
/// one generator in a process, and it cannot be copied.
#[derive(Debug)]
pub struct Generator {
    worker: i32,
    /// Whether somebody else may have the worker number.
    is_revoked: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    engine: SnowflakeIdGenerator,
    last: i64,
}

/// By how many milliseconds the clock is behind the last id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Behind(u64);

/// The worker number is not in 0..=1023.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id.worker must be in 0..=1023, not {0}")]
pub struct BadWorker(pub i32);

impl Generator {
    /// A generator of `worker`, a number in 0..=1023 that no other running process has.
    ///
    /// # Errors
    /// [`BadWorker`].
    pub fn new(worker: i32) -> Result<Self, BadWorker> {
        if !(0..=WORKER_MAX).contains(&worker) {
            return Err(BadWorker(worker));
        }
        let engine = SnowflakeIdGenerator::with_epoch(worker / 32, worker % 32, UNIX_EPOCH + EPOCH);
        Ok(Self { worker, is_revoked: AtomicBool::new(false), state: Mutex::new(State { engine, last: 0 }) })
    }

    /// The same, going on behind `last`, an id that was made before.
    ///
    /// # Errors
    /// [`BadWorker`].
    pub fn after(worker: i32, last: i64) -> Result<Self, BadWorker> {
        let mut generator = Self::new(worker)?;
        generator.state.get_mut().unwrap_or_else(PoisonError::into_inner).last = last;
        Ok(generator)
    }

    /// Its worker number.
    pub const fn worker(&self) -> i32 {
        self.worker
    }

    /// Makes no more ids: somebody else may have the number.
    pub(crate) fn revoke(&self) {
        self.is_revoked.store(true, Ordering::SeqCst);
    }

    /// Makes ids again.
    pub(crate) fn allow(&self) {
        self.is_revoked.store(false, Ordering::SeqCst);
    }

    /// The next id, greater than every id before. A clock that was set back a little is waited for.
    ///
    /// # Errors
    /// `SHOP_UNAVAILABLE` when the clock was set back by more than five seconds, or the claim of the number is lost.
    pub async fn next(&self) -> Result<i64, ShopError> {
        if self.is_revoked.load(Ordering::SeqCst) {
            return Err(ShopCode::Unavailable.into());
        }
        self.next_of(SnowflakeIdGenerator::real_time_generate).await
    }

    async fn next_of(&self, mut generate: impl FnMut(&mut SnowflakeIdGenerator) -> i64) -> Result<i64, ShopError> {
        for _ in 0..PATIENCE_MS {
            match self.try_next(&mut generate) {
                Ok(id) => return Ok(id),
                // It will not catch up while anybody waits.
                Err(Behind(millis)) if millis > PATIENCE_MS => break,
                Err(Behind(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        metrics::counter!("shop_ids_refused_total").increment(1);
        tracing::error!("the clock was set back; no ids are issued until it has caught up");
        Err(ShopCode::Unavailable.into())
    }

    fn try_next(&self, generate: impl FnOnce(&mut SnowflakeIdGenerator) -> i64) -> Result<i64, Behind> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let id = generate(&mut state.engine);
        if id <= state.last {
            return Err(Behind((state.last >> CLOCK_SHIFT).abs_diff(id >> CLOCK_SHIFT)));
        }
        state.last = id;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc};

    use super::*;

    #[test]
    fn a_worker_out_of_range_is_refused() {
        assert_eq!(Generator::new(-1).err(), Some(BadWorker(-1)));
        assert_eq!(Generator::new(1024).err(), Some(BadWorker(1024)));
    }

    /// The id of this millisecond and place.
    const fn at(millis: i64, place: i64) -> i64 {
        (millis << CLOCK_SHIFT) + place
    }

    #[tokio::test]
    async fn a_generator_goes_on_behind_the_last_id() {
        let last = Generator::new(1).unwrap().next().await.unwrap();
        assert!(Generator::after(1, last).unwrap().next().await.unwrap() > last);
        assert_eq!(Generator::after(1, i64::MAX).unwrap().next().await.unwrap_err().code, ShopCode::Unavailable);
        assert_eq!(Generator::after(1024, last).err(), Some(BadWorker(1024)));
    }

    #[test]
    fn a_clock_set_back_never_repeats_an_id() {
        let generator = Generator::new(1).unwrap();
        assert_eq!(generator.try_next(|_| at(10, 0)), Ok(at(10, 0)));
        assert_eq!(generator.try_next(|_| at(10, 0)), Err(Behind(0)));
        assert_eq!(generator.try_next(|_| at(7, 5)), Err(Behind(3)));
        assert_eq!(generator.try_next(|_| at(10, 1)), Ok(at(10, 1)));
    }

    #[tokio::test]
    async fn a_small_step_back_is_waited_for() {
        let generator = Generator::new(1).unwrap();
        let mut clock = [at(10, 0), at(7, 0), at(8, 0), at(9, 0), at(10, 0), at(10, 1)].into_iter();
        assert_eq!(generator.next_of(|_| clock.next().unwrap()).await, Ok(at(10, 0)));
        assert_eq!(generator.next_of(|_| clock.next().unwrap()).await, Ok(at(10, 1)));
    }

    #[tokio::test]
    async fn a_big_step_back_is_refused_at_once_until_the_clock_has_caught_up() {
        const HOUR: i64 = 3_600_000;
        let generator = Generator::new(1).unwrap();
        let mut asked = 0;
        let mut ask = async |millis| {
            let tick = |_: &mut SnowflakeIdGenerator| {
                asked += 1;
                at(millis, 0)
            };
            generator.next_of(tick).await.map_err(|error| error.code)
        };
        assert_eq!(ask(2 * HOUR).await, Ok(at(2 * HOUR, 0)));
        assert_eq!(ask(HOUR).await, Err(ShopCode::Unavailable));
        assert_eq!(ask(2 * HOUR + 1).await, Ok(at(2 * HOUR + 1, 0)));
        assert_eq!(asked, 3, "nobody waited");
    }

    #[test]
    fn a_millisecond_that_is_full_is_followed_by_the_next() {
        let generator = Generator::new(1).unwrap();
        let mut last = 0;
        for _ in 0..5 * 4096 {
            let id = generator.try_next(SnowflakeIdGenerator::real_time_generate).unwrap();
            assert!(id > last, "{id} after {last}");
            last = id;
        }
    }

    #[test]
    fn ids_last_until_2093() {
        let last_millis = i64::MAX >> CLOCK_SHIFT;
        let year_2093 = 3_881_520_000_000;
        assert!(i64::try_from(EPOCH.as_millis()).unwrap() + last_millis > year_2093);
    }

    #[test]
    fn ids_are_written_as_strings() {
        assert_eq!(serde_json::to_string(&OrderId::new(9_007_199_254_740_993)).unwrap(), "\"9007199254740993\"");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ids_are_unique_over_many_tasks() {
        let generator = Arc::new(Generator::new(1023).unwrap());
        let tasks = (0..8).map(|_| {
            let generator = Arc::clone(&generator);
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..5_000 {
                    ids.push(generator.next().await.unwrap());
                }
                ids
            })
        });
        let mut seen = HashSet::new();
        for ids in futures::future::join_all(tasks).await {
            for id in ids.unwrap() {
                assert!(id > 0 && seen.insert(id));
            }
        }
        assert_eq!(seen.len(), 40_000);
    }

    #[test]
    fn ids_are_read_from_strings_and_integers_only() {
        let read = |text: &str| serde_json::from_str::<OrderId>(text).ok().map(OrderId::get);
        assert_eq!(read("352537369385242624"), Some(352_537_369_385_242_624));
        assert_eq!(read("\"9007199254740993\""), Some(9_007_199_254_740_993));
        assert_eq!(read("9007199254740993"), Some(9_007_199_254_740_993));
        for refused in ["1.0", "1e3", "\"007\"", "\"+7\"", "\" 7\"", "\"\"", "9223372036854775808", "null", "true"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
