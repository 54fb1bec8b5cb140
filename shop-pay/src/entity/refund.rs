//! `trade_refund`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_refund")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub refund_id: i64,
    pub pay_id: i64,
    pub order_id: i64,
    pub cause: i16,
    pub cause_id: i64,
    pub request_id: Option<String>,
    pub reason: Option<String>,
    pub operator: Option<String>,
    pub amount_fen: i64,
    pub state: i16,
    pub create_ms: i64,
    pub done_ms: Option<i64>,
    pub remark: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
