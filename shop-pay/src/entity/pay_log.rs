//! `trade_pay_log`: one row per payment that was paid.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_pay_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub pay_id: i64,
    pub order_id: i64,
    #[sea_orm(column_name = "pay_amount_fen")]
    pub amount_fen: i64,
    pub channel_trade_no: String,
    pub log_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
