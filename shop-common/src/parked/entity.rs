//! The row.
#![expect(unreachable_pub, reason = "sea-orm derives public items for public rows")]

use sea_orm::entity::prelude::*;

/// `consumer_status`: handled after all.
pub(super) const HANDLED: i16 = 1;
/// `consumer_status`: failed.
pub(super) const FAILED: i16 = 2;
/// `consumer_status`: discarded by an operator.
pub(super) const DISCARDED: i16 = 3;

/// A message that could not be handled.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_mq_consumer_log")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub group_name: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub msg_tag: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub msg_key: String,
    pub msg_id: String,
    pub msg_topic: String,
    #[sea_orm(column_type = "Blob")]
    pub msg_body: Vec<u8>,
    pub consumer_status: i16,
    pub consumer_times: i64,
    pub consumer_ms: i64,
    pub remark: String,
    pub retry_ms: Option<i64>,
    pub operator: Option<String>,
    pub operator_ms: Option<i64>,
    pub note: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The row of a key.
pub(super) fn row(group: &str, tag: &str, key: &str) -> Select<Entity> {
    Entity::find().filter(Column::GroupName.eq(group)).filter(Column::MsgTag.eq(tag)).filter(Column::MsgKey.eq(key))
}
