//! Notifications of payments that are made for them.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use shop_common::{money::Fen, time::Millis};

use crate::{
    notification::{Expect, Notification, PaymentRef, Sign},
    signer::{Change, Signer, Signers, Trade, Unsignable},
    target::{BadTarget, Target, Wanted},
};

/// Orders that are placed at once.
const AT_ONCE: usize = 32;

/// Payments that could not be made, or notifications of them that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BadSource {
    /// The shop.
    #[error(transparent)]
    Target(#[from] BadTarget),
    /// The channel.
    #[error("notifications of the channel cannot be written")]
    Unsignable(#[from] Unsignable),
}

/// Makes a payment for each of `wanted` and writes its notification, a millisecond of the channel's time apart. `placed`
/// is told of each payment.
///
/// # Errors
/// [`BadSource`]; the payments that were made stay.
pub async fn generate(
    target: &Target,
    signer: &dyn Signer,
    wanted: Vec<Wanted>,
    now: Millis,
    placed: impl Fn(&PaymentRef),
) -> Result<Vec<Notification>, BadSource> {
    let payments = place(target, wanted, placed).await?;
    let notifications = payments.iter().zip(0..).map(|(payment, number)| {
        let trade = Trade { pay_id: payment.pay_id, amount: payment.amount, paid: now };
        let body = signer.notification(&trade)?;
        let genuine = Notification::genuine(signer.channel(), body, Duration::from_millis(number));
        Ok(Notification { payment: Some(*payment), ..genuine })
    });
    notifications.collect::<Result<_, Unsignable>>().map_err(BadSource::from)
}

/// In the order of `wanted`.
async fn place(
    target: &Target,
    wanted: Vec<Wanted>,
    placed: impl Fn(&PaymentRef),
) -> Result<Vec<PaymentRef>, BadTarget> {
    let placing = wanted.into_iter().map(|wanted| async move { target.place(&wanted).await });
    stream::iter(placing).buffered(AT_ONCE).inspect_ok(placed).try_collect().await
}

/// The payments that a recording is about, with their amounts: what a fresh shop must have to be told of them.
pub fn payments_of(recorded: &[Notification], signers: &Signers) -> BTreeMap<i64, Fen> {
    let about = |notification: &Notification| match notification.payment {
        Some(payment) => Some((payment.pay_id, payment.amount)),
        None if notification.expect == Expect::Accepted => {
            let said = signers.get(&notification.channel)?.read(&notification.body)?;
            Some((said.pay_id, said.amount))
        }
        None => None,
    };
    recorded.iter().filter_map(about).collect()
}

/// Makes a payment of a fresh shop for each payment of a recording, whose numbers in the recording become the new ones.
/// What must be accepted is signed anew: another number is another body.
///
/// # Errors
/// [`BadSource`].
pub async fn rebind(
    target: &Target,
    signers: &Signers,
    recorded: Vec<Notification>,
    wanted: Vec<(i64, Wanted)>,
    placed: impl Fn(&PaymentRef),
) -> Result<Vec<Notification>, BadSource> {
    let (old, wanted): (Vec<i64>, Vec<Wanted>) = wanted.into_iter().unzip();
    let new: BTreeMap<i64, PaymentRef> = old.into_iter().zip(place(target, wanted, placed).await?).collect();
    Ok(recorded.into_iter().map(|notification| rebound(notification, signers, &new)).collect())
}

fn rebound(mut notification: Notification, signers: &Signers, new: &BTreeMap<i64, PaymentRef>) -> Notification {
    let signer = signers.get(&notification.channel);
    let said = signer.and_then(|signer| Some((signer, signer.read(&notification.body)?.pay_id)));
    if let Some((signer, pay_id)) = said
        && let Some(payment) = new.get(&pay_id)
        && let Some(body) = signer.alter(&notification.body, Change::PayId(payment.pay_id))
    {
        notification.body = body;
        if notification.expect == Expect::Accepted {
            notification.sign = Some(notification.sign.unwrap_or(Sign::OURS));
        }
    }
    let known = notification.payment.map(|payment| payment.pay_id).or(said.map(|(_, pay_id)| pay_id));
    notification.payment = known.and_then(|pay_id| new.get(&pay_id).copied());
    notification
}
