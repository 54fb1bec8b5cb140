//! The provider's notifications: signed anew each time, sent on Alipay's schedule until `success` is read.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::{BoxFuture, join_all};
use shop_common::{
    db::Failure,
    due::Sweep,
    error::ShopError,
    id::PayId,
    link::{Link, call},
    time::Millis,
};
use shop_proto::pay::v1::{CallbackPaymentRequest, pay_service_client::PayServiceClient};

use super::{
    NAME, Sandbox,
    body::{Body, CURRENCY, Status},
    signature::HEADER,
    store::{self, DueNotice},
};

/// What lies between one notification and the next; after the last of eight the provider gives up.
pub const GAPS: [Duration; 7] = [
    Duration::from_mins(4),
    Duration::from_mins(10),
    Duration::from_mins(10),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(6),
    Duration::from_hours(15),
];

/// Longest wait for the shop's answer, as with Alipay.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Most notifications of one round.
const LIMIT: u64 = 256;

/// Brings a notification to the shop; answers with what the shop wrote back.
pub type Deliver = Arc<dyn Fn(CallbackPaymentRequest) -> BoxFuture<'static, Result<Vec<u8>, ShopError>> + Send + Sync>;

/// Delivers by `CallbackPayment`, as the gateway does.
pub fn deliver_over(pay: Link) -> Deliver {
    Arc::new(move |request| {
        let mut client = PayServiceClient::new(pay.clone());
        Box::pin(async move {
            let answer = client.callback_payment(call(request, TIMEOUT)).await;
            answer.map(|answer| answer.into_inner().ack_body).map_err(|status| ShopError::from_status(&status))
        })
    })
}

/// Sends what is due.
pub struct Resend {
    sandbox: Sandbox,
    deliver: Deliver,
}

impl Resend {
    /// The notifications of `sandbox`, brought by `deliver`.
    pub fn new(sandbox: Sandbox, deliver: Deliver) -> Self {
        Self { sandbox, deliver }
    }

    async fn send(&self, notice: DueNotice, now: Millis) -> Option<PayId> {
        let pay_id = notice.pay_id;
        let request = match self.sandbox.signed(notice, now) {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(pay.id = %pay_id, %error, "sandbox notification cannot be signed");
                return None;
            }
        };
        match (self.deliver)(request).await {
            Ok(ack) if ack == super::SUCCESS => return Some(pay_id),
            Ok(_) => tracing::warn!(pay.id = %pay_id, "sandbox notification not acknowledged; it comes again"),
            Err(error) => tracing::warn!(pay.id = %pay_id, %error, "sandbox notification refused; it comes again"),
        }
        None
    }
}

#[async_trait]
impl Sweep for Resend {
    fn name(&self) -> &'static str {
        "sandbox notifications"
    }

    async fn run_once(&self, now: Millis) -> Result<usize, Failure> {
        let due = store::claim_notices(&self.sandbox.db, &GAPS, LIMIT, now).await?;
        let claimed = due.len();
        let sent = join_all(due.into_iter().map(|notice| self.send(notice, now))).await;
        let acknowledged: Vec<PayId> = sent.into_iter().flatten().collect();
        if !acknowledged.is_empty() {
            store::acknowledge(&self.sandbox.db, &acknowledged).await?;
        }
        Ok(claimed)
    }
}

impl Sandbox {
    /// The notification as it goes over the wire: the same body each time, signed at `now`.
    fn signed(&self, notice: DueNotice, now: Millis) -> Result<CallbackPaymentRequest, ShopError> {
        let body = Body {
            notify_id: notice.notify_id,
            pay_id: notice.pay_id,
            channel_trade_no: notice.trade_no,
            merchant_id: self.merchant_id.to_string(),
            amount_fen: notice.amount.get().into(),
            currency: CURRENCY.to_owned(),
            status: Status::Success,
            paid_at_ms: Some(notice.paid_ms),
        };
        let body = body.to_bytes()?;
        let headers = [(HEADER.to_owned(), self.keys.sign(&body, now)?)].into();
        Ok(CallbackPaymentRequest { channel: NAME.to_owned(), headers, body })
    }
}
