//! `trade_goods_number_log`: the stock ledger.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_goods_number_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub ref_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub goods_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub log_type: i16,
    #[sea_orm(column_name = "goods_number")]
    pub delta: i64,
    pub log_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
