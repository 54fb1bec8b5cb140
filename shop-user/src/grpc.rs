//! gRPC of the user service: protocol in, commands out. No SQL and no rules.

use shop_common::{
    batch::Batcher,
    code::ShopCode,
    db::Db,
    error::ShopError,
    hold::{Done, Undone},
    id::{OrderId, PayId, UserId},
    lookup::Lookup,
    money::Fen,
    service::{COMMANDS_PER_CALL, do_all, undo_all},
};
use shop_proto::user::v1::{
    AwardPointsCommand, AwardPointsRequest, AwardPointsResponse, DebitBalanceCommand, DebitBalanceRequest,
    DebitBalanceResponse, GetBalancesRequest, GetBalancesResponse, GetUserRequest, RefundBalanceRequest,
    RefundBalanceResponse, ReversePointsRequest, ReversePointsResponse, User, balance_service_server::BalanceService,
    points_service_server::PointsService, user_service_server::UserService,
};
use tonic::{Request, Response, Status};

use crate::{
    entity::user::Model,
    store,
    tx::{AwardPoints, DebitBalance, RefundBalance, ReversePoints},
};

/// Users as others may see them.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub(crate) users: Lookup<i64, Model>,
}

#[tonic::async_trait]
impl UserService for Users {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let user_id = UserId::parse(request.into_inner().user_id, "user_id")?;
        let row = self.users.get(user_id.get()).await?;
        let row = row.ok_or(ShopError::at(ShopCode::UserNotFound, "user_id"))?;
        Ok(Response::new(row.into()))
    }
}

/// Balance of orders.
#[derive(Clone, Debug)]
pub(crate) struct Balance {
    pub(crate) db: Db,
    pub(crate) debit: Batcher<DebitBalance, Done>,
    pub(crate) refund: Batcher<RefundBalance, Undone>,
}

#[tonic::async_trait]
impl BalanceService for Balance {
    async fn get_balances(
        &self,
        request: Request<GetBalancesRequest>,
    ) -> Result<Response<GetBalancesResponse>, Status> {
        let user_ids = request.into_inner().user_ids;
        COMMANDS_PER_CALL.check(user_ids.len())?;
        let balances = store::balances(self.db.read(), user_ids).await.map_err(ShopError::from)?;
        Ok(Response::new(GetBalancesResponse { balances }))
    }

    async fn debit_balance(
        &self,
        request: Request<DebitBalanceRequest>,
    ) -> Result<Response<DebitBalanceResponse>, Status> {
        let commands = request.into_inner().commands;
        let outcomes = do_all(&self.debit, commands, |command| command.context.as_ref()).await?;
        Ok(Response::new(DebitBalanceResponse { outcomes }))
    }

    async fn refund_balance(
        &self,
        request: Request<RefundBalanceRequest>,
    ) -> Result<Response<RefundBalanceResponse>, Status> {
        let commands = request.into_inner().commands.into_iter();
        let commands = commands.map(|command| RefundBalance { order_id: OrderId::new(command.order_id) });
        Ok(Response::new(RefundBalanceResponse { outcomes: undo_all(&self.refund, commands).await? }))
    }
}

/// Points of payments.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    pub(crate) award: Batcher<AwardPoints, Done>,
    pub(crate) reverse: Batcher<ReversePoints, Undone>,
}

#[tonic::async_trait]
impl PointsService for Points {
    async fn award_points(
        &self,
        request: Request<AwardPointsRequest>,
    ) -> Result<Response<AwardPointsResponse>, Status> {
        let commands = request.into_inner().commands;
        let outcomes = do_all(&self.award, commands, |command| command.context.as_ref()).await?;
        Ok(Response::new(AwardPointsResponse { outcomes }))
    }

    async fn reverse_points(
        &self,
        request: Request<ReversePointsRequest>,
    ) -> Result<Response<ReversePointsResponse>, Status> {
        let commands = request.into_inner().commands.into_iter();
        let commands = commands.map(|command| ReversePoints { pay_id: PayId::new(command.pay_id) });
        Ok(Response::new(ReversePointsResponse { outcomes: undo_all(&self.reverse, commands).await? }))
    }
}

impl From<DebitBalanceCommand> for DebitBalance {
    fn from(command: DebitBalanceCommand) -> Self {
        Self {
            order_id: OrderId::new(command.order_id),
            user_id: UserId::new(command.user_id),
            amount: Fen::new(command.amount_fen),
        }
    }
}

impl From<AwardPointsCommand> for AwardPoints {
    fn from(command: AwardPointsCommand) -> Self {
        Self {
            pay_id: PayId::new(command.pay_id),
            user_id: UserId::new(command.user_id),
            paid: Fen::new(command.paid_fen),
        }
    }
}

impl From<Model> for User {
    fn from(row: Model) -> Self {
        Self { user_id: row.user_id, user_name: row.user_name, balance_fen: row.balance_fen, score: row.score }
    }
}
