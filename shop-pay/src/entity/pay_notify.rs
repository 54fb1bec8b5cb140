//! `trade_pay_notify`: genuine notifications.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_pay_notify")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub notify_id: String,
    pub pay_id: i64,
    pub body_hash: String,
    #[sea_orm(column_type = "Blob")]
    pub body: Vec<u8>,
    pub headers: String,
    pub verdict: String,
    pub times: i64,
    pub create_ms: i64,
    pub last_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
