//! `RefundService`: what operators call.

use shop_common::{
    error::{Result, ShopError},
    id::PayId,
    money::Fen,
    page::Page,
    time::Millis,
};
use shop_proto::pay::v1::{
    self as wire, ListRefundsRequest, ListRefundsResponse, RefundPaymentRequest, RefundPaymentResponse,
    RetryRefundRequest, RetryRefundResponse, refund_service_server::RefundService,
};
use tonic::{Request, Response, Status};

use crate::{
    payment::refund::{self, Cause, Refund, State},
    refunds::Refunds,
};

#[tonic::async_trait]
impl RefundService for Refunds {
    async fn refund_payment(
        &self,
        request: Request<RefundPaymentRequest>,
    ) -> Result<Response<RefundPaymentResponse>, Status> {
        let RefundPaymentRequest { pay_id, request_id, amount_fen, reason, operator } = request.into_inner();
        let said = refund::Request { request_id, reason, operator };
        let refund = self.refund(pay_id, amount_fen.map(Fen::new), said).await?;
        Ok(Response::new(RefundPaymentResponse { refund: Some(refund.into()) }))
    }

    async fn retry_refund(
        &self,
        request: Request<RetryRefundRequest>,
    ) -> Result<Response<RetryRefundResponse>, Status> {
        let refund = self.retry(request.into_inner().refund_id).await?;
        Ok(Response::new(RetryRefundResponse { refund: Some(refund.into()) }))
    }

    async fn list_refunds(
        &self,
        request: Request<ListRefundsRequest>,
    ) -> Result<Response<ListRefundsResponse>, Status> {
        let request = request.into_inner();
        let pay_id = (request.pay_id != 0).then(|| PayId::parse(request.pay_id, "pay_id")).transpose()?;
        let wanted = (!request.status.is_empty()).then(|| state(&request.status)).transpose()?;
        let page = Page::parse(request.page_size, &request.page_token)?;
        let (refunds, next_page_token) = self.list(pay_id, wanted, page).await?;
        let refunds = refunds.into_iter().map(wire::Refund::from).collect();
        Ok(Response::new(ListRefundsResponse { refunds, next_page_token }))
    }
}

fn state(name: &str) -> Result<State> {
    match wire::refund::Status::from_str_name(name) {
        Some(wire::refund::Status::Open) => Ok(State::Open),
        Some(wire::refund::Status::Done) => Ok(State::Done),
        Some(wire::refund::Status::Refused) => Ok(State::Refused),
        None => Err(ShopError::invalid("status", "OPEN, DONE or REFUSED")),
    }
}

const fn status(state: State) -> wire::refund::Status {
    match state {
        State::Open => wire::refund::Status::Open,
        State::Done => wire::refund::Status::Done,
        State::Refused => wire::refund::Status::Refused,
    }
}

const fn cause(cause: Cause) -> wire::refund::Cause {
    match cause {
        Cause::OrderCancelled => wire::refund::Cause::OrderCancelled,
        Cause::PaidByOther => wire::refund::Cause::PaidByOther,
        Cause::WrongAmount => wire::refund::Cause::WrongAmount,
        Cause::OrderRefunded => wire::refund::Cause::OrderRefunded,
        Cause::Operator => wire::refund::Cause::Operator,
    }
}

impl From<Refund> for wire::Refund {
    fn from(refund: Refund) -> Self {
        Self {
            refund_id: refund.refund_id.get(),
            pay_id: refund.pay_id.get(),
            order_id: refund.order_id.get(),
            amount_fen: refund.amount.get(),
            status: status(refund.state).into(),
            cause: cause(refund.cause).into(),
            reason: refund.request.map(|request| request.reason).unwrap_or_default(),
            remark: refund.remark.unwrap_or_default(),
            created_ms: refund.created.get(),
            done_ms: refund.done.map(Millis::get),
        }
    }
}
