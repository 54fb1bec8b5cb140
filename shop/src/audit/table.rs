//! Reading a whole table, page by page, in the order of its key.

use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Statement, Value};
use shop_common::db::{Result, Tx};

/// Most rows of one page.
const PAGE: usize = 10_000;

/// A table and what is read of it.
pub(super) struct Table<R> {
    /// Name in SQL.
    pub(super) name: &'static str,
    /// What is selected.
    pub(super) columns: &'static str,
    /// Its primary key, in order.
    pub(super) key: &'static [&'static str],
    /// The values of the key.
    pub(super) key_of: fn(&R) -> Vec<Value>,
}

impl<R: FromQueryResult> Table<R> {
    /// Every row, by key.
    pub(super) async fn read(&self, tx: &Tx) -> Result<Vec<R>> {
        let mut rows: Vec<R> = Vec::new();
        loop {
            let page = R::find_by_statement(self.page(tx.get_database_backend(), rows.last())).all(tx).await?;
            let is_last = page.len() < PAGE;
            rows.extend(page);
            if is_last {
                return Ok(rows);
            }
        }
    }

    fn page(&self, backend: DatabaseBackend, last: Option<&R>) -> Statement {
        let Self { name, columns, key, key_of } = self;
        let (after, values) = last.map_or_else(Default::default, |last| after(key, &key_of(last)));
        let text = format!("SELECT {columns} FROM {name}{after} ORDER BY {} LIMIT {PAGE}", key.join(", "));
        Statement::from_sql_and_values(backend, text, values)
    }
}

/// Rows above a key: `a > ? OR (a = ? AND b > ?)`, after an `a >= ?` that lets the engine start at the right place.
fn after(key: &[&str], values: &[Value]) -> (String, Vec<Value>) {
    let Some((first, first_value)) = key.first().zip(values.first()) else { return Default::default() };
    let mut given = vec![first_value.clone()];
    let mut either = Vec::new();
    for (length, (column, value)) in key.iter().zip(values).enumerate() {
        let mut all: Vec<String> = key.iter().take(length).map(|same| format!("{same} = ?")).collect();
        all.push(format!("{column} > ?"));
        either.push(format!("({})", all.join(" AND ")));
        given.extend(values.iter().take(length).cloned());
        given.push(value.clone());
    }
    (format!(" WHERE {first} >= ? AND ({})", either.join(" OR ")), given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_starts_above_the_last_key() {
        let (text, values) = after(&["a", "b", "c"], &[1.into(), 2.into(), 3.into()]);
        assert_eq!(text, " WHERE a >= ? AND ((a > ?) OR (a = ? AND b > ?) OR (a = ? AND b = ? AND c > ?))");
        assert_eq!(values, [1, 1, 1, 2, 1, 2, 3].map(Value::from));
    }
}
