//! How the messages of a topic are cut into what is sent at once, and what each then is told. No client here.

use std::collections::VecDeque;

use async_trait::async_trait;

use crate::mq::{Outgoing, PublishError};

/// Most messages sent as one batch.
const SEND_BATCH: usize = 128;
/// Most body bytes sent as one batch.
const SEND_BATCH_BYTES: usize = 1024 * 1024;
/// Who sends.
#[async_trait]
pub(super) trait SendUnit: Sync {
    /// Sends one message, or several without delay as a batch.
    async fn send_unit(&self, unit: &[Outgoing]) -> Result<(), PublishError>;
}

/// Sends `messages` in their order. The first unit that finds the broker away ends it for the rest: each further try
/// would cost another timeout.
pub(super) async fn send_in_units(
    sender: &(impl SendUnit + ?Sized),
    messages: &[Outgoing],
) -> Vec<Result<(), PublishError>> {
    let mut verdicts = Vec::with_capacity(messages.len());
    let mut waiting: VecDeque<&[Outgoing]> = units(messages).into();
    while let Some(unit) = waiting.pop_front() {
        match sender.send_unit(unit).await {
            // All were refused for one: each must get its own verdict, or that one blocks the others for ever.
            Err(PublishError::Rejected(_)) if unit.len() > 1 => {
                unit.chunks(1).rev().for_each(|one| waiting.push_front(one));
            }
            Err(away @ PublishError::Unavailable(_)) => {
                verdicts.resize(messages.len(), Err(away));
                return verdicts;
            }
            verdict => verdicts.resize(verdicts.len() + unit.len(), verdict),
        }
    }
    verdicts
}

/// Cuts the messages of a topic into what goes at once: a delayed or large one alone, the others in bounded batches.
fn units(messages: &[Outgoing]) -> Vec<&[Outgoing]> {
    let mut units = Vec::new();
    let mut rest = messages;
    while !rest.is_empty() {
        let (unit, tail) = rest.split_at(batch_len(rest).max(1));
        units.push(unit);
        rest = tail;
    }
    units
}

fn batch_len(messages: &[Outgoing]) -> usize {
    let mut bytes = 0;
    let fits = |message: &&Outgoing| {
        bytes += message.body.len();
        message.delay.is_none_or(|delay| delay.is_zero()) && bytes <= SEND_BATCH_BYTES
    };
    messages.iter().take(SEND_BATCH).take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    fn message(body: &str) -> Outgoing {
        Outgoing {
            group: "g".to_owned(),
            topic: "t".to_owned(),
            tag: String::new(),
            key: String::new(),
            body: body.to_owned(),
            traceparent: String::new(),
            delay: None,
        }
    }

    fn sizes(messages: &[Outgoing]) -> Vec<usize> {
        units(messages).into_iter().map(<[_]>::len).collect()
    }

    #[test]
    fn batches_hold_at_most_128_messages() {
        assert_eq!(sizes(&vec![message("x"); 300]), [128, 128, 44]);
        assert_eq!(sizes(&[]), [0; 0]);
    }

    #[test]
    fn batches_hold_at_most_a_mebibyte() {
        assert_eq!(sizes(&vec![message(&"x".repeat(400 * 1024)); 5]), [2, 2, 1]);
        let large = message(&"x".repeat(SEND_BATCH_BYTES + 1));
        assert_eq!(sizes(&[message("x"), large, message("x"), message("x")]), [1, 1, 2]);
    }

    #[test]
    fn a_delayed_message_goes_alone() {
        let delayed = Outgoing { delay: Some(Duration::from_secs(1)), ..message("x") };
        assert_eq!(sizes(&[message("x"), message("x"), delayed.clone(), delayed, message("x")]), [2, 1, 1, 1]);
    }

    /// A broker that takes no "illegal", goes away after `takes` sends, and counts.
    struct Sender {
        takes: usize,
        sends: AtomicUsize,
    }

    #[async_trait]
    impl SendUnit for Sender {
        async fn send_unit(&self, unit: &[Outgoing]) -> Result<(), PublishError> {
            if self.sends.fetch_add(1, Ordering::Relaxed) >= self.takes {
                return Err(PublishError::Unavailable("away".to_owned()));
            }
            if unit.iter().any(|message| message.body == "illegal") {
                return Err(PublishError::Rejected("illegal".to_owned()));
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_refused_batch_is_sent_one_by_one() {
        let sender = Sender { takes: 10, sends: AtomicUsize::new(0) };
        let verdicts = send_in_units(&sender, &["a", "illegal", "b"].map(message)).await;
        assert_eq!(verdicts, [Ok(()), Err(PublishError::Rejected("illegal".to_owned())), Ok(())]);
    }

    #[tokio::test]
    async fn the_first_unit_that_finds_the_broker_away_ends_it() {
        let sender = Sender { takes: 1, sends: AtomicUsize::new(0) };
        let verdicts = send_in_units(&sender, &vec![message("x"); 300]).await;
        assert_eq!((sender.sends.into_inner(), verdicts.len()), (2, 300));
        assert_eq!(verdicts.iter().position(Result::is_err), Some(128));
        assert_eq!(verdicts.last(), Some(&Err(PublishError::Unavailable("away".to_owned()))));
    }
}
