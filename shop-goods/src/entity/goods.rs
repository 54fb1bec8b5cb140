//! `trade_goods`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_goods")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub goods_id: i64,
    pub goods_name: String,
    #[sea_orm(column_name = "goods_number")]
    pub stock_on_hand: i64,
    #[sea_orm(column_name = "goods_price_fen")]
    pub price_fen: i64,
    pub goods_desc: String,
    pub add_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
