//! What a buyer looks at: goods, own coupons, own balance and points.

use axum::{Json, extract::State};
use serde::Serialize;
use shop_common::{
    id::{CouponId, GoodsId, OrderId, UserId},
    money::Fen,
};
use shop_proto::{coupon::v1 as coupon, goods::v1 as goods, user::v1 as user};
use utoipa::ToSchema;

use crate::{
    app::App,
    json::Moment,
    params::{PageParams, Params, PathId, User},
    problem::{Problem, ProblemBody},
};

/// One of the goods.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are what clients rely on")]
pub(crate) struct Goods {
    #[schema(value_type = String, example = "345959443973935104")]
    goods_id: GoodsId,
    goods_name: String,
    goods_desc: String,
    #[schema(value_type = String, example = "1000.00")]
    price: Fen,
    /// Units on the shelf now.
    #[schema(example = 1000)]
    stock_on_hand: i64,
    #[schema(value_type = String, format = DateTime)]
    added_ms: Moment,
}

/// A page of the catalogue, by id.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GoodsPage {
    goods: Vec<Goods>,
    /// Empty on the last page.
    next_page_token: String,
}

/// A coupon of the acting user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are what clients rely on")]
pub(crate) struct Coupon {
    #[schema(value_type = String, example = "345988230098857984")]
    coupon_id: CouponId,
    #[schema(value_type = String, example = "345963634385633280")]
    user_id: UserId,
    /// What it takes off.
    #[schema(value_type = String, example = "20.00")]
    discount: Fen,
    /// Smallest items' total it may be used on.
    #[schema(value_type = String, example = "0.00")]
    minimum: Fen,
    /// Whether an order has spent it.
    used: bool,
    /// The order that spent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    used_ms: Option<Moment>,
    /// Absent: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_from_ms: Option<Moment>,
    /// Exclusive; absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until_ms: Option<Moment>,
}

/// The coupons of the acting user, by id.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Coupons {
    coupons: Vec<Coupon>,
}

/// The acting user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Me {
    #[schema(value_type = String, example = "345963634385633280")]
    user_id: UserId,
    user_name: String,
    #[schema(value_type = String, example = "1000.00")]
    balance: Fen,
    /// Points.
    #[schema(example = 100)]
    score: i64,
}

/// The catalogue, page by page.
#[utoipa::path(
    get, path = "/api/v1/goods", tag = "catalogue", params(PageParams),
    responses(
        (status = 200, description = "A page", body = GoodsPage),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list_goods(
    State(app): State<App>,
    Params(PageParams { page_size, page_token }): Params<PageParams>,
) -> Result<Json<GoodsPage>, Problem> {
    let request = goods::ListGoodsRequest { page_size, page_token };
    let page = app.goods().list_goods(app.call(request)).await?.into_inner();
    let goods = page.goods.into_iter().map(Goods::from).collect();
    Ok(Json(GoodsPage { goods, next_page_token: page.next_page_token }))
}

/// One of the goods.
#[utoipa::path(
    get, path = "/api/v1/goods/{id}", tag = "catalogue",
    params(("id" = String, Path, description = "The goods")),
    responses(
        (status = 200, description = "The goods", body = Goods),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get_goods(State(app): State<App>, PathId(goods_id): PathId) -> Result<Json<Goods>, Problem> {
    let request = goods::GetGoodsRequest { goods_id };
    Ok(Json(app.goods().get_goods(app.call(request)).await?.into_inner().into()))
}

/// The coupons of the acting user.
#[utoipa::path(
    get, path = "/api/v1/coupons", tag = "catalogue",
    params(("x-user-id" = String, Header, description = "The acting user")),
    responses(
        (status = 200, description = "All of them", body = Coupons),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list_coupons(State(app): State<App>, User(user): User) -> Result<Json<Coupons>, Problem> {
    let request = coupon::ListCouponsRequest { user_id: user.get() };
    let coupons = app.coupons().list_coupons(app.call(request)).await?.into_inner().coupons;
    Ok(Json(Coupons { coupons: coupons.into_iter().map(Coupon::from).collect() }))
}

/// The acting user, with balance and points.
#[utoipa::path(
    get, path = "/api/v1/users/me", tag = "catalogue",
    params(("x-user-id" = String, Header, description = "The acting user")),
    responses(
        (status = 200, description = "The user", body = Me),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn me(State(app): State<App>, User(user): User) -> Result<Json<Me>, Problem> {
    let request = user::GetUserRequest { user_id: user.get() };
    let user = app.users().get_user(app.call(request)).await?.into_inner();
    Ok(Json(Me {
        user_id: UserId::new(user.user_id),
        user_name: user.user_name,
        balance: Fen::new(user.balance_fen),
        score: user.score,
    }))
}

impl From<goods::Goods> for Goods {
    fn from(goods: goods::Goods) -> Self {
        Self {
            goods_id: GoodsId::new(goods.goods_id),
            goods_name: goods.goods_name,
            goods_desc: goods.goods_desc,
            price: Fen::new(goods.price_fen),
            stock_on_hand: goods.stock_on_hand,
            added_ms: Moment(goods.added_ms),
        }
    }
}

impl From<coupon::Coupon> for Coupon {
    fn from(coupon: coupon::Coupon) -> Self {
        Self {
            coupon_id: CouponId::new(coupon.coupon_id),
            user_id: UserId::new(coupon.user_id),
            discount: Fen::new(coupon.discount_fen),
            minimum: Fen::new(coupon.minimum_fen),
            used: coupon.used,
            order_id: coupon.order_id.map(OrderId::new),
            used_ms: coupon.used_ms.map(Moment),
            valid_from_ms: coupon.valid_from_ms.map(Moment),
            valid_until_ms: coupon.valid_until_ms.map(Moment),
        }
    }
}
