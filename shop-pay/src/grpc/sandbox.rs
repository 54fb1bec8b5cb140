//! `SandboxService`: the sandbox as its buyers and its merchant see it, for the gateway.

use shop_common::{error::ShopError, id::PayId};
use shop_proto::pay::v1::{
    GetStatementRequest, GetStatementResponse, GetTradeRequest, GetTradeResponse, PayLikeABuyerRequest,
    PayLikeABuyerResponse, PaymentStatus, sandbox_service_server::SandboxService,
};
use tonic::{Request, Response, Status};

use crate::{
    channel::{TradeStatus, sandbox::Sandbox},
    reconcile::statement::Day,
};

#[tonic::async_trait]
impl SandboxService for Sandbox {
    async fn pay_like_a_buyer(
        &self,
        request: Request<PayLikeABuyerRequest>,
    ) -> Result<Response<PayLikeABuyerResponse>, Status> {
        let pay_id = PayId::parse(request.into_inner().pay_id, "pay_id")?;
        Sandbox::pay_like_a_buyer(self, pay_id).await?;
        Ok(Response::new(PayLikeABuyerResponse {}))
    }

    async fn get_trade(&self, request: Request<GetTradeRequest>) -> Result<Response<GetTradeResponse>, Status> {
        let pay_id = PayId::parse(request.into_inner().pay_id, "pay_id")?;
        let (amount, status) = self.look(pay_id).await?;
        let status = match status {
            TradeStatus::Wait => PaymentStatus::Paying,
            TradeStatus::Success => PaymentStatus::Paid,
            TradeStatus::Closed => PaymentStatus::Unpaid,
        };
        Ok(Response::new(GetTradeResponse { amount_fen: amount.get(), status: status.into() }))
    }

    async fn get_statement(
        &self,
        request: Request<GetStatementRequest>,
    ) -> Result<Response<GetStatementResponse>, Status> {
        let day = request.into_inner().day.parse::<Day>();
        let day = day.map_err(|error| ShopError::invalid("day", error.to_string()))?;
        Ok(Response::new(GetStatementResponse { csv: self.statement(day).await?.into_bytes() }))
    }
}
