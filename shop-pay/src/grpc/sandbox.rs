//! `SandboxService`: the buyer's side of the sandbox, for a gateway in another process.

use shop_common::{code::ShopCode, error::ShopError, id::PayId};
use shop_proto::pay::v1::{PayLikeABuyerRequest, PayLikeABuyerResponse, sandbox_service_server::SandboxService};
use tonic::{Request, Response, Status};

use crate::channel::sandbox::Sandbox;

#[tonic::async_trait]
impl SandboxService for Sandbox {
    async fn pay_like_a_buyer(
        &self,
        request: Request<PayLikeABuyerRequest>,
    ) -> Result<Response<PayLikeABuyerResponse>, Status> {
        let pay_id = request.into_inner().pay_id;
        if pay_id <= 0 {
            return Err(ShopError::at(ShopCode::ParameterInvalid, "pay_id").into());
        }
        Sandbox::pay_like_a_buyer(self, PayId::new(pay_id)).await?;
        Ok(Response::new(PayLikeABuyerResponse {}))
    }
}
