//! `trade_coupon`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_coupon")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub coupon_id: i64,
    #[sea_orm(column_name = "coupon_price_fen")]
    pub discount_fen: i64,
    pub user_id: i64,
    pub order_id: Option<i64>,
    pub is_used: i16,
    pub used_ms: Option<i64>,
    pub minimum_fen: i64,
    pub valid_from_ms: Option<i64>,
    pub valid_until_ms: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
