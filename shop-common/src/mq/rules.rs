//! What RocketMQ can carry at all: the rules of its validators and of its record format, asked before anything is sent.
//!
//! Both buses refuse the same, so that a test with the memory bus parks what the broker would never take.

use std::time::Duration;

use super::{Outgoing, PublishError, Subscription};

/// Longest topic and group, bytes.
const NAME_MAX: usize = 120;
/// A body must be shorter than this, bytes: the broker's `maxMessageSize`.
const BODY_MAX: usize = 4 * 1024 * 1024;
/// Tag, key and trace together, bytes: the record counts its properties in 15 bits, and the client's own come on top.
const PROPERTIES_MAX: usize = 16 * 1024;
/// Seconds of the broker's delay levels 1 to 18; level 3 onward are the pauses before the 1st to 16th redelivery.
pub(super) const LEVEL_SECONDS: [u64; 18] =
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
/// The first level.
const SHORTEST_DELAY: Duration = Duration::from_secs(1);
/// Longest delay: the last level.
const DELAY_MAX: Duration = Duration::from_hours(2);

/// The pause after which a group gets a message again that it has not handled `attempt` times; none: it is dead.
pub fn retry_after(attempt: u32) -> Option<Duration> {
    let level = usize::try_from(attempt).ok()?.checked_add(1)?;
    LEVEL_SECONDS.get(level).map(|seconds| Duration::from_secs(*seconds))
}

/// The longest delay the broker can keep exactly that is no longer than `wish`, and not under a second: whoever waits for
/// a moment comes there in a few such steps.
pub fn delay_within(wish: Duration) -> Duration {
    let levels = LEVEL_SECONDS.iter().rev().map(|seconds| Duration::from_secs(*seconds));
    levels.into_iter().find(|level| *level <= wish).unwrap_or(SHORTEST_DELAY)
}

/// Refuses a message no broker would ever accept.
///
/// # Errors
/// [`PublishError::Rejected`].
pub(super) fn message(message: &Outgoing) -> Result<(), PublishError> {
    name("topic", &message.topic)?;
    property("tag", &message.tag)?;
    property("key", &message.key)?;
    property("traceparent", &message.traceparent)?;
    let properties = message.tag.len() + message.key.len() + message.traceparent.len();
    refuse(properties > PROPERTIES_MAX, || format!("tag, key and trace of {properties} bytes"))?;
    refuse(message.body.is_empty(), || "empty body".to_owned())?;
    refuse(message.body.len() >= BODY_MAX, || format!("body of {} bytes", message.body.len()))?;
    refuse(message.delay > Some(DELAY_MAX), || format!("delay of {:?}", message.delay))
}

/// Refuses a subscription that would start and hear nothing, or leave the offsets directory.
///
/// # Errors
/// [`PublishError::Rejected`].
pub(super) fn subscription(subscription: &Subscription) -> Result<(), PublishError> {
    name("topic", &subscription.topic)?;
    name("group", &subscription.group)?;
    check_instance(&subscription.instance)?;
    subscription.tags.iter().try_for_each(|tag| {
        refuse(tag.is_empty(), || "empty tag".to_owned())?;
        property("tag", tag)
    })
}

/// `^[%|a-zA-Z0-9_-]+$`.
/// Refuses a name of an instance that no member of a group may have.
///
/// # Errors
/// [`PublishError::Rejected`].
pub fn check_instance(instance: &str) -> Result<(), PublishError> {
    name("instance", instance)
}

fn name(what: &str, name: &str) -> Result<(), PublishError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "%|_-".contains(c);
    refuse(name.is_empty() || name.len() > NAME_MAX || !name.chars().all(legal), || format!("illegal {what} {name:?}"))
}

/// Properties are stored separated by control characters, keys by blanks, and tag expressions by `||`.
fn property(what: &str, value: &str) -> Result<(), PublishError> {
    let illegal = |c: char| c.is_control() || c.is_whitespace() || c == '|';
    refuse(value.contains(illegal), || format!("illegal {what} {value:?}"))
}

fn refuse(illegal: bool, reason: impl Fn() -> String) -> Result<(), PublishError> {
    if illegal { Err(PublishError::Rejected(reason())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_is_waited_for_in_steps_that_the_broker_knows() {
        for (wish, steps) in
            [(0, vec![1]), (1, vec![1]), (100, vec![60, 30, 10]), (1800, vec![1800]), (7201, vec![7200, 1])]
        {
            let (mut left, mut taken) = (Duration::from_secs(wish), Vec::new());
            loop {
                let step = delay_within(left);
                taken.push(step.as_secs());
                left = left.saturating_sub(step);
                if left.is_zero() {
                    break;
                }
            }
            assert_eq!(taken, steps, "{wish} s");
        }
        assert_eq!(delay_within(Duration::from_millis(1999)), Duration::from_secs(1));
    }
}
