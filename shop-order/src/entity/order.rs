//! `trade_order`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "trade_order")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: i64,
    pub user_id: i64,
    pub request_id: String,
    pub request_hash: String,
    pub order_status: i16,
    pub pay_status: i16,
    pub shipping_status: Option<i16>,
    pub address: String,
    pub consignee: String,
    pub phone: String,
    #[sea_orm(column_name = "goods_amount_fen")]
    pub items_total_fen: i64,
    #[sea_orm(column_name = "shipping_fee_fen")]
    pub shipping_fen: i64,
    #[sea_orm(column_name = "order_amount_fen")]
    pub order_total_fen: i64,
    pub coupon_id: Option<i64>,
    #[sea_orm(column_name = "coupon_paid_fen")]
    pub coupon_discount_fen: i64,
    #[sea_orm(column_name = "money_paid_fen")]
    pub balance_used_fen: i64,
    #[sea_orm(column_name = "pay_amount_fen")]
    pub amount_due_fen: i64,
    pub refuse_code: Option<i32>,
    pub refuse_field: Option<String>,
    pub refuse_message: Option<String>,
    pub cancel_cause: Option<i16>,
    pub cancel_reason: Option<String>,
    pub pay_id: Option<i64>,
    pub add_ms: i64,
    pub confirm_ms: Option<i64>,
    pub pay_ms: Option<i64>,
    pub cancel_ms: Option<i64>,
    pub pay_deadline_ms: Option<i64>,
    pub closing_ms: Option<i64>,
    pub owed: i64,
    pub due_ms: Option<i64>,
    pub attempts: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
