//! `trade_pay_rejected`: notifications that were not believed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_pay_rejected")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub create_ms: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub body_hash: String,
    pub reason: String,
    pub field: String,
    pub body_bytes: i64,
    #[sea_orm(column_type = "Blob")]
    pub body: Vec<u8>,
    pub headers: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
