//! `trade_pay`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_pay")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub pay_id: i64,
    pub order_id: i64,
    pub user_id: i64,
    pub channel: String,
    #[sea_orm(column_name = "pay_amount_fen")]
    pub amount_fen: i64,
    pub is_paid: i16,
    pub open_key: Option<String>,
    pub pay_url: String,
    pub channel_trade_no: Option<String>,
    pub add_ms: i64,
    pub pay_ms: Option<i64>,
    pub closed_ms: Option<i64>,
    pub refund_fen: i64,
    pub owed: i64,
    pub due_ms: Option<i64>,
    pub attempts: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
