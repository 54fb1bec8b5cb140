//! gRPC of the coupon service: protocol in, commands out. No SQL and no rules.

use shop_common::{
    batch::Batcher,
    code::ShopCode,
    db::Db,
    error::ShopError,
    hold::{Done, Undone},
    id::{CouponId, OrderId, UserId},
    lookup::Lookup,
    money::Fen,
    service::{do_all, undo_all},
};
use shop_proto::coupon::v1::{
    Coupon, GetCouponRequest, ListCouponsRequest, ListCouponsResponse, RedeemCouponCommand, RedeemCouponRequest,
    RedeemCouponResponse, ReinstateCouponRequest, ReinstateCouponResponse, coupon_service_server::CouponService,
    redemption_service_server::RedemptionService,
};
use tonic::{Request, Response, Status};

use crate::{
    coupon::Redemption,
    entity::coupon::Model,
    store,
    tx::{RedeemCoupon, ReinstateCoupon},
};

/// Most coupons of one list.
const COUPONS_MAX: u64 = 1000;

/// The coupons of users.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    pub(crate) db: Db,
    pub(crate) coupons: Lookup<i64, Model>,
}

#[tonic::async_trait]
impl CouponService for Wallet {
    async fn get_coupon(&self, request: Request<GetCouponRequest>) -> Result<Response<Coupon>, Status> {
        let request = request.into_inner();
        let coupon_id = CouponId::parse(request.coupon_id, "coupon_id")?;
        let user_id = UserId::parse(request.user_id, "user_id")?;
        let row = self.coupons.get(coupon_id.get()).await?;
        let own = row.filter(|row| row.user_id == user_id.get());
        let row = own.ok_or(ShopError::at(ShopCode::CouponNotFound, "coupon_id"))?;
        Ok(Response::new(row.into()))
    }

    async fn list_coupons(
        &self,
        request: Request<ListCouponsRequest>,
    ) -> Result<Response<ListCouponsResponse>, Status> {
        let user_id = UserId::parse(request.into_inner().user_id, "user_id")?;
        let rows = store::coupons(self.db.read(), user_id, COUPONS_MAX).await.map_err(ShopError::from)?;
        Ok(Response::new(ListCouponsResponse { coupons: rows.into_iter().map(Coupon::from).collect() }))
    }
}

/// Coupons of orders.
#[derive(Clone, Debug)]
pub(crate) struct Redemptions {
    pub(crate) redeem: Batcher<RedeemCoupon, Done>,
    pub(crate) reinstate: Batcher<ReinstateCoupon, Undone>,
}

#[tonic::async_trait]
impl RedemptionService for Redemptions {
    async fn redeem_coupon(
        &self,
        request: Request<RedeemCouponRequest>,
    ) -> Result<Response<RedeemCouponResponse>, Status> {
        let commands = request.into_inner().commands;
        let outcomes = do_all(&self.redeem, commands, |command| command.context.as_ref()).await?;
        Ok(Response::new(RedeemCouponResponse { outcomes }))
    }

    async fn reinstate_coupon(
        &self,
        request: Request<ReinstateCouponRequest>,
    ) -> Result<Response<ReinstateCouponResponse>, Status> {
        let commands = request.into_inner().commands.into_iter();
        let commands = commands.map(|command| ReinstateCoupon { order_id: OrderId::new(command.order_id) });
        Ok(Response::new(ReinstateCouponResponse { outcomes: undo_all(&self.reinstate, commands).await? }))
    }
}

impl From<RedeemCouponCommand> for RedeemCoupon {
    fn from(command: RedeemCouponCommand) -> Self {
        let redemption = Redemption {
            coupon_id: CouponId::new(command.coupon_id),
            user_id: UserId::new(command.user_id),
            items_total: Fen::new(command.items_total_fen),
            discount: Fen::new(command.discount_fen),
        };
        Self { order_id: OrderId::new(command.order_id), redemption }
    }
}

impl From<Model> for Coupon {
    fn from(row: Model) -> Self {
        Self {
            coupon_id: row.coupon_id,
            user_id: row.user_id,
            discount_fen: row.discount_fen,
            minimum_fen: row.minimum_fen,
            used: row.is_used == 1,
            order_id: row.order_id,
            used_ms: row.used_ms,
            valid_from_ms: row.valid_from_ms,
            valid_until_ms: row.valid_until_ms,
        }
    }
}
