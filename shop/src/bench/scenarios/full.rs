//! An order, its payment, the signed callback, and the wait until order and points have heard of it.

use std::time::Duration;

use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    money::Fen,
    time::Clock,
};
use shop_proto::order::v1::{ConfirmOrderRequest, Order, PayStatus};
use shop_replay::{
    notification::Key,
    signer::{Signed, Signer, Trade},
};
use tokio::time::{Instant, sleep};

use super::{Scene, Seen};

/// Pause after the first look, doubled after each up to the longest: looking must not be what the shop is busy with.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(160);
/// Longest wait for what messages bring.
const PATIENCE: Duration = Duration::from_secs(30);
/// Fen of one point.
const FEN_OF_A_POINT: i64 = 100;

impl Scene {
    pub(super) async fn full(&self, wanted: ConfirmOrderRequest) -> Seen {
        let mut seen = Seen::default();
        let before = self.client.score(wanted.user_id).await;
        let placed = self.client.confirm(wanted).await;
        if !seen.must_confirm("an order to be paid", &placed) {
            return seen;
        }
        let paid = async { self.pay(&placed?, before?).await };
        match paid.await {
            Ok(()) => {
                seen.answers.push("paid");
                seen.is_served = true;
            }
            Err(error) => {
                seen.must_fail("the payment of an order", &error, &[]);
            }
        }
        seen
    }

    /// The channel's notification that `pay_id` was paid.
    fn notice(&self, pay_id: i64, amount: Fen) -> Option<Signed> {
        let (signer, now) = (self.signer.as_ref()?, Clock::system().now());
        let body = signer.notification(&Trade { pay_id, amount, paid: now }).ok()?;
        signer.sign(&body, Key::Ours, now).ok()
    }

    async fn pay(&self, order: &Order, score_before: i64) -> Result<()> {
        let pay_id = self.client.create_payment(order).await?;
        let notice = self.notice(pay_id, Fen::new(order.amount_due_fen));
        self.client.notify(notice.ok_or(ShopError::from(ShopCode::ChannelUnknown))?).await?;
        let score = score_before.saturating_add(order.amount_due_fen / FEN_OF_A_POINT);
        let end = Instant::now() + PATIENCE;
        let (mut is_paid, mut is_credited, mut pause) = (false, false, PAUSE);
        while Instant::now() < end {
            is_paid =
                is_paid || self.client.order(order.order_id, order.user_id).await?.pay_status() == PayStatus::Paid;
            is_credited = is_credited || self.client.score(order.user_id).await? == score;
            if is_paid && is_credited {
                return Ok(());
            }
            sleep(pause).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
        Err(ShopCode::Unknown.into())
    }
}
