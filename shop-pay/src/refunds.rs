//! Refunds as an operator asks for them and sees them: the one entry behind gRPC and the command line.

use std::sync::Arc;

use shop_common::{
    batch::Batcher,
    code::ShopCode,
    db::Db,
    due::Wake,
    error::{Result, ShopError},
    id::{Generator, PayId, RefundId},
    money::Fen,
    page::Page,
    text,
};

use crate::{
    payment::refund::{NewRefund, Refund, Request, State},
    store,
    tx::{RefundPayment, RetryRefund},
};

/// Longest name of an operator.
const OPERATOR_CHARS: usize = 64;

/// Refunds; clones share their queues.
#[derive(Clone)]
pub struct Refunds {
    pub(crate) db: Db,
    pub(crate) ids: Arc<Generator>,
    pub(crate) refund: Batcher<RefundPayment, Result<Refund>>,
    pub(crate) retry: Batcher<RetryRefund, Option<Refund>>,
    pub(crate) wake: Wake,
}

impl Refunds {
    /// Promises a payment back, `amount` of it or all that is left; the sweeper then asks the channel. Durable when it
    /// answers. The same key and content again: the same refund.
    ///
    /// # Errors
    /// `SHOP_REQUEST_PARAMETER_VALID`, `SHOP_PAYMENT_NOT_FOUND`, `SHOP_PAYMENT_NOT_PAID`, `SHOP_REFUND_TOO_MUCH`,
    /// `SHOP_IDEMPOTENCY_CONFLICT`.
    pub async fn refund(&self, pay_id: i64, amount: Option<Fen>, request: Request) -> Result<Refund> {
        let pay_id = PayId::parse(pay_id, "pay_id")?;
        if amount.is_some_and(|amount| amount <= Fen::ZERO) {
            return Err(ShopError::invalid("amount_fen", "an amount is greater than zero"));
        }
        let request = checked(request)?;
        let refund_id = RefundId::new(self.ids.next().await?);
        let refund = self.refund.run(RefundPayment(NewRefund { refund_id, pay_id, amount, request }), None).await??;
        self.wake.now();
        if refund.refund_id == refund_id {
            let amount = refund.amount;
            let (reason, operator) = refund.request.as_ref().map(|it| (&*it.reason, &*it.operator)).unwrap_or_default();
            tracing::info!(refund.id = %refund_id, pay.id = %pay_id, %amount, reason, operator, "payment {pay_id}: {amount} go back");
        }
        Ok(refund)
    }

    /// Asks the channel anew for a refund it refused; any other is answered as it is.
    ///
    /// # Errors
    /// `SHOP_REFUND_NOT_FOUND`.
    pub async fn retry(&self, refund_id: i64) -> Result<Refund> {
        let refund_id = RefundId::parse(refund_id, "refund_id")?;
        let known = store::refund(self.db.read(), refund_id).await.map_err(ShopError::from)?;
        let unknown = || ShopError::at(ShopCode::RefundNotFound, "refund_id");
        let pay_id = known.ok_or_else(unknown)?.pay_id;
        let refund = self.retry.run(RetryRefund { refund_id, pay_id }, None).await?.ok_or_else(unknown)?;
        self.wake.now();
        Ok(refund)
    }

    /// A page of refunds, newest first, and the token of the next; of one payment or all, in one state or any.
    ///
    /// # Errors
    /// The database is away.
    pub async fn list(&self, pay_id: Option<PayId>, state: Option<State>, page: Page) -> Result<(Vec<Refund>, String)> {
        let before = page.after.unwrap_or(i64::MAX);
        let found = store::refund_page(self.db.read(), store::Wanted { pay_id, state }, before, page.limit()).await;
        Ok(page.cut(found.map_err(ShopError::from)?, |refund| refund.refund_id.get()))
    }
}

fn checked(Request { request_id, reason, operator }: Request) -> Result<Request> {
    if reason.trim().is_empty() {
        return Err(ShopError::invalid("reason", "say why"));
    }
    Ok(Request {
        request_id: text::request_id(request_id)?,
        reason: text::free(reason, text::TEXT_CHARS, "reason")?,
        operator: text::free(operator, OPERATOR_CHARS, "operator")?,
    })
}
