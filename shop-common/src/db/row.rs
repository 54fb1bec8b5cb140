//! A row of either engine, read by the names of its columns.
//!
//! For what is read again and again: a row of sea-orm's has a copy of the name of each of its columns, and its value is
//! found by comparing them.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, TryGetable, Value, sea_query::ValueType};

use super::Result;

/// One row of a result.
#[derive(Debug)]
pub struct Row(Cells);

#[derive(Debug)]
enum Cells {
    Sqlite { names: Arc<[String]>, values: Vec<Option<Value>> },
    MySql(QueryResult),
}

/// What a column can hold.
pub trait Cell: ValueType + TryGetable + Into<Value> {}

impl<T: ValueType + TryGetable + Into<Value>> Cell for T {}

/// What answers with rows: a transaction, or a reader outside of any.
#[async_trait]
pub trait Rows: ConnectionTrait {
    /// The rows that `statement` finds.
    async fn rows(&self, statement: Statement) -> Result<Vec<Row>>;
}

impl Row {
    /// `values` in the order of `names`; none for a null.
    pub(super) const fn of_sqlite(names: Arc<[String]>, values: Vec<Option<Value>>) -> Self {
        Self(Cells::Sqlite { names, values })
    }

    pub(super) const fn of_mysql(row: QueryResult) -> Self {
        Self(Cells::MySql(row))
    }

    /// What stands in `column`.
    ///
    /// # Errors
    /// There is no such column, it holds a null, or something of another type.
    pub fn get<T: Cell>(&self, column: &str) -> Result<T> {
        self.find(column)?.ok_or_else(|| DbErr::Type(format!("{column} is null")).into())
    }

    /// What stands in `column`; none where it is a null.
    ///
    /// # Errors
    /// There is no such column, or it holds something of another type.
    pub fn find<T: Cell>(&self, column: &str) -> Result<Option<T>> {
        match &self.0 {
            Cells::MySql(row) => Ok(row.try_get("", column)?),
            Cells::Sqlite { names, values } => {
                let cells = names.iter().zip(values).find(|(name, _)| *name == column);
                let (_, cell) = cells.ok_or_else(|| DbErr::Type(format!("there is no column {column}")))?;
                let Some(value) = cell else { return Ok(None) };
                let read = <T as ValueType>::try_from(value.clone());
                Ok(Some(read.map_err(|_| DbErr::Type(format!("{column} is of another type")))?))
            }
        }
    }
}
