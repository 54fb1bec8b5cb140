//! Reads our side, and does what can be done about a gap without an operator.

use std::sync::Arc;

use shop_common::{
    error::{Result, ShopError},
    id::{PayId, RefundId},
};

use super::{
    gaps::{Action, Compared, Gap, compare},
    statement::{Day, Line},
};
use crate::{
    channel::Return,
    payment::{
        refund::{Answer, State},
        settle::Verdict,
    },
    store,
    sweep::{Sweeper, ask_again},
    tx::AnswerRefund,
};

/// Holds statements against the books of a pay service, running or not.
#[derive(Clone)]
pub struct Reconciler(pub(crate) Arc<Sweeper>);

/// What became of a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Both sides agree now; in words.
    Settled(&'static str),
    /// It stays open; in words.
    Open(String),
}

impl Reconciler {
    /// Holds the `lines` of `channel` of `day` against our books.
    ///
    /// # Errors
    /// The database is away.
    pub async fn compare(&self, channel: &str, day: Day, lines: &[Line]) -> Result<Compared> {
        let pay_ids: Vec<i64> = lines.iter().map(|line| line.movement.pay_id().get()).collect();
        let refund_ids: Vec<i64> = lines.iter().filter_map(|line| Some(line.movement.refund_id()?.get())).collect();
        let ours = store::books(self.0.db.read(), channel, day.bounds(), &pay_ids, &refund_ids).await;
        Ok(compare(day, lines, &ours.map_err(ShopError::from)?))
    }

    /// Whether the channel can be asked about a gap: it is one of the configured.
    pub fn can_ask(&self, channel: &str) -> bool {
        self.0.channels.get(channel).is_ok()
    }

    /// Does what can be done about `gap`; a second time changes nothing.
    pub async fn take(&self, channel: &str, gap: &Gap) -> Taken {
        let taken = match (gap.action, gap.refund_id) {
            (Action::AskPayment, _) => self.ask_payment(channel, gap.pay_id).await,
            (Action::AskRefund, Some(refund_id)) => self.ask_refund(channel, gap.pay_id, refund_id).await,
            (Action::Operator | Action::AskRefund, _) => Ok(Taken::Open("for an operator".to_owned())),
        };
        taken.unwrap_or_else(|error| Taken::Open(format!("not known: {error}")))
    }

    /// Whatever the statement says, only the channel's own answer is settled.
    async fn ask_payment(&self, name: &str, pay_id: PayId) -> Result<Taken> {
        let asked = self.0.settling.ask(self.0.channels.get(name)?, pay_id).await?;
        let Some((verdict, _)) = asked else {
            return Ok(Taken::Open("the channel does not call it paid".to_owned()));
        };
        Ok(match verdict {
            Verdict::Applied => Taken::Settled("settled: the channel calls it paid"),
            Verdict::AlreadyApplied | Verdict::RefundStarted => {
                Taken::Settled("the channel calls it paid, as we do: it belongs to the statement of another day")
            }
            _ => Taken::Open(format!("the channel's answer was judged {verdict:?}")),
        })
    }

    /// Under the same number, so the channel pays it back once.
    async fn ask_refund(&self, channel: &str, pay_id: PayId, refund_id: RefundId) -> Result<Taken> {
        let known = store::refund(self.0.db.read(), refund_id).await.map_err(ShopError::from)?;
        let Some(refund) = known.filter(|refund| refund.pay_id == pay_id) else {
            return Ok(Taken::Open("there is no such refund".to_owned()));
        };
        let amount = refund.amount;
        let wanted = Return { refund_id, pay_id, amount };
        let Some(answer) = ask_again(self.0.channels.get(channel)?, wanted).await? else {
            return Ok(Taken::Open("the channel works on it".to_owned()));
        };
        self.0.answer_refund.run(AnswerRefund { refund_id, pay_id, answer: answer.clone() }, None).await?;
        Ok(match (answer, refund.state) {
            (Answer::Done, State::Done) => {
                Taken::Settled("the channel calls it paid back, as we do: it belongs to the statement of another day")
            }
            (Answer::Done, State::Open) => Taken::Settled("noted: the channel has paid it back"),
            (Answer::Done, State::Refused) => {
                Taken::Open("the channel had refused it, and now calls it done".to_owned())
            }
            (Answer::Refused(why), _) => Taken::Open(format!("the channel refuses it: {why}")),
        })
    }
}
