//! `trade_user_score_log`: the points ledger.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_user_score_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub ref_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub log_type: i16,
    #[sea_orm(column_name = "score")]
    pub delta: i64,
    pub create_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
