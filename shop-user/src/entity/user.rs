//! `trade_user`, less what nobody here may read: password and mobile.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_user")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    pub user_name: String,
    #[sea_orm(column_name = "user_score")]
    pub score: i64,
    #[sea_orm(column_name = "user_money_fen")]
    pub balance_fen: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
