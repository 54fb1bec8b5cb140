//! The row.
#![expect(unreachable_pub, reason = "the derive makes public what must not name less")]

use sea_orm::entity::prelude::*;

/// `msg_status`: to be sent.
pub(super) const TO_BE_SENT: i16 = 0;
/// `msg_status`: the broker will never take it.
pub(super) const PARKED: i16 = 2;
/// `msg_status`: discarded by an operator.
pub(super) const DISCARDED: i16 = 3;

/// A message that is owed.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_mq_producer_temp")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub group_name: String,
    pub msg_topic: String,
    pub msg_tag: String,
    pub msg_key: String,
    pub msg_body: String,
    pub msg_status: i16,
    pub traceparent: String,
    pub create_ms: i64,
    pub due_ms: Option<i64>,
    pub attempts: i64,
    pub remark: Option<String>,
    pub deliver_at_ms: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
