//! A table with everything a service's table can have: a key, a unique key, a check, `due_ms` and `attempts`.

use sea_orm::{EntityTrait, QueryOrder, Set, entity::prelude::*};
use shop_common::{
    db::{Db, Result, Tx},
    migrate::SqlFile,
    sql,
};

pub(crate) const FILE: SqlFile = SqlFile {
    version: 2,
    name: "item",
    sql: "CREATE TABLE item (
        id       BIGINT       NOT NULL PRIMARY KEY,
        name     VARCHAR(255) NOT NULL,
        quantity BIGINT       NOT NULL,
        note     VARCHAR(255) NULL,
        due_ms   BIGINT       NULL,
        attempts BIGINT       NOT NULL DEFAULT 0,
        CONSTRAINT uq_item_name UNIQUE (name),
        CHECK (quantity >= 0)
    );
    CREATE INDEX ix_item_due ON item (due_ms);",
};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "item")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) quantity: i64,
    pub(crate) note: Option<String>,
    pub(crate) due_ms: Option<i64>,
    pub(crate) attempts: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// `quantity` of an item that is due never.
pub(crate) fn item(id: i64, name: impl Into<String>, quantity: i64) -> ActiveModel {
    ActiveModel {
        id: Set(id),
        name: Set(name.into()),
        quantity: Set(quantity),
        note: Set(None),
        due_ms: Set(None),
        attempts: Set(0),
    }
}

/// An item that is due.
pub(crate) fn due(id: i64, due_ms: i64) -> ActiveModel {
    ActiveModel { due_ms: Set(Some(due_ms)), ..item(id, id.to_string(), 0) }
}

pub(crate) async fn insert(db: &Db, items: Vec<ActiveModel>) -> Result<()> {
    db.write_tx(async |tx| sql::insert_many(tx, items).await).await
}

/// These owe nothing more.
pub(crate) async fn done(db: &Db, ids: Vec<i64>) -> Result<()> {
    db.write_tx(async |tx| {
        let set = Entity::update_many().col_expr(Column::DueMs, Expr::value(Option::<i64>::None));
        set.filter(Column::Id.is_in(ids)).exec(tx).await?;
        Ok(())
    })
    .await
}

pub(crate) async fn all(db: &Db) -> Vec<Model> {
    Entity::find().order_by_asc(Column::Id).all(db.read()).await.unwrap()
}

pub(crate) async fn ids(db: &Db) -> Vec<i64> {
    all(db).await.iter().map(|item| item.id).collect()
}

pub(crate) async fn quantity(tx: &Tx, id: i64) -> Result<i64> {
    Ok(Entity::find_by_id(id).one(tx).await?.unwrap().quantity)
}

pub(crate) async fn set_quantity(tx: &Tx, id: i64, quantity: i64) -> Result<()> {
    let set = Entity::update_many().col_expr(Column::Quantity, Expr::value(quantity));
    set.filter(Column::Id.eq(id)).exec(tx).await?;
    Ok(())
}
