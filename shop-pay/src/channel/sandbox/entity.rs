//! Rows of the provider's books.

#![expect(unreachable_pub, reason = "sea-orm derives public items for public rows")]

pub(super) mod trade {
    //! `sandbox_trade`.

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sandbox_trade")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub pay_id: i64,
        pub amount_fen: i64,
        pub state: i16,
        pub trade_no: String,
        pub notify_id: Option<String>,
        pub create_ms: i64,
        pub paid_ms: Option<i64>,
        pub refund_fen: i64,
        pub due_ms: Option<i64>,
        pub attempts: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod refund {
    //! `sandbox_refund`.

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sandbox_refund")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub refund_id: i64,
        pub pay_id: i64,
        pub amount_fen: i64,
        pub create_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
