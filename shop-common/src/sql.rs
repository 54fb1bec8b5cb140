//! Statements over many rows whose text takes few distinct lengths, so that prepared statements are reused.
//!
//! A connection keeps 500 prepared statements; every distinct list length is one more, and each eviction costs MySQL a
//! delayed ACK (44 ms measured). So lists are padded to powers of two, and rows are written in runs of at most 64 or of a
//! power of two: few long statements are better than many short ones.

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseBackend, EntityName, EntityTrait, IdenStatic, Iterable, Statement, Value,
};

use crate::db::{Failure, Result, Row, Rows, Tx};

/// Most rows one statement writes: SQLite takes 32,766 variables.
const ROWS: usize = 256;
/// Up to this many rows are one statement, whatever their number.
const EXACT: usize = 64;

/// As much of a text as a column of so many characters holds.
pub fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// `values` sorted, each once, padded to a power of two by repeating the last: for `IN` lists.
pub fn padded<T: Clone + Ord>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut list: Vec<T> = values.into_iter().collect();
    list.sort_unstable();
    list.dedup();
    if let Some(last) = list.last().cloned() {
        list.resize(list.len().next_power_of_two(), last);
    }
    list
}

/// `columns` of those rows of `table` whose `key` is one of `keys`, in the order of their keys; locked until `tx` ends.
///
/// # Errors
/// The database's.
pub async fn locked(tx: &Tx, columns: &str, table: &str, key: &str, keys: Vec<i64>) -> Result<Vec<Row>> {
    by_key(tx, columns, table, key, keys, &in_order_locked(tx, key)).await
}

/// The end of a `SELECT` whose rows come in the order of `key`, locked until `tx` ends.
pub fn in_order_locked(tx: &Tx, key: &str) -> String {
    format!(" ORDER BY {key}{}", on_mysql(tx, " FOR UPDATE"))
}

/// The end of a `SELECT` that leaves out what others have locked, and locks the rest until `tx` ends.
pub fn skip_locked(tx: &Tx) -> &'static str {
    on_mysql(tx, " FOR UPDATE SKIP LOCKED")
}

/// SQLite has one writer at a time, and no words for locks.
fn on_mysql(tx: &Tx, words: &'static str) -> &'static str {
    if tx.get_database_backend() == DatabaseBackend::MySql { words } else { "" }
}

/// `columns` of those rows of `table` whose `key` is one of `keys`, in no order.
///
/// # Errors
/// The database's.
pub async fn found(db: &impl Rows, columns: &str, table: &str, key: &str, keys: Vec<i64>) -> Result<Vec<Row>> {
    by_key(db, columns, table, key, keys, "").await
}

async fn by_key(db: &impl Rows, columns: &str, table: &str, key: &str, keys: Vec<i64>, tail: &str) -> Result<Vec<Row>> {
    let keys = padded(keys);
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let marks = vec!["?"; keys.len()].join(", ");
    let text = format!("SELECT {columns} FROM {table} WHERE {key} IN ({marks}){tail}");
    let keys = keys.into_iter().map(Value::from);
    db.rows(Statement::from_sql_and_values(db.get_database_backend(), text, keys)).await
}

/// Splits `rows` into runs whose lengths are powers of two, at most [`ROWS`], and a rest of at most [`EXACT`].
fn runs<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let is_one = |length: &usize| *length <= EXACT || length.is_power_of_two();
        let length = (1..=rest.len().min(ROWS)).rev().find(is_one)?;
        let (run, tail) = rest.split_at_checked(length)?;
        rest = tail;
        Some(run)
    })
}

/// Inserts rows, all with the columns that the first has set; the caller has decided under lock that none of them is there.
///
/// # Errors
/// [`Failure::Rollback`] when a unique key says otherwise: load again and decide again.
pub async fn insert_many<A>(tx: &Tx, rows: Vec<A>) -> Result<()>
where
    A: ActiveModelTrait,
{
    let Some(first) = rows.first() else { return Ok(()) };
    let columns: Vec<_> =
        <A::Entity as EntityTrait>::Column::iter().filter(|column| !first.is_not_set(*column)).collect();
    let names: Vec<&str> = columns.iter().map(IdenStatic::as_str).collect();
    let table = A::Entity::default();
    let values = rows.into_iter().map(|mut row| {
        let values = columns.iter().map(|column| row.take(*column).into_value());
        values.collect::<Option<Vec<Value>>>().ok_or_else(|| Failure::guard(table.table_name()))
    });
    insert_rows(tx, table.table_name(), &names, &values.collect::<Result<Vec<_>>>()?).await
}

/// Inserts rows of values in the order of `columns`; otherwise as [`insert_many`].
pub async fn insert_rows(tx: &Tx, table: &str, columns: &[&str], rows: &[Vec<Value>]) -> Result<()> {
    for run in runs(rows) {
        let marks = format!("({})", vec!["?"; columns.len()].join(", "));
        let text = format!("INSERT INTO {table} ({}) VALUES {}", columns.join(", "), vec![marks; run.len()].join(", "));
        let values: Vec<Value> = run.iter().flatten().cloned().collect();
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), text, values)).await?;
    }
    Ok(())
}

/// An `UPDATE` of many rows, each by its own values.
///
/// The values stand in a derived table `v`; the row to change is `t`. No expression of `set` may read a column that
/// the same statement assigns: MySQL sees the new value, SQLite the old one.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// Table to change, `t` in the expressions.
    pub table: &'static str,
    /// Names of the values, columns of `v`; none may be a column of the table.
    pub values: &'static [&'static str],
    /// What is assigned, for example `goods_number = t.goods_number + v.delta`.
    pub set: &'static str,
    /// Which row, and the guard that was decided under lock, for example `t.goods_id = v.id AND t.goods_number + v.delta >= 0`.
    pub guard: &'static str,
}

impl Update {
    /// Changes one row for each of `rows`.
    ///
    /// # Errors
    /// [`Failure::Rollback`] when fewer rows match than were given: a guard did not hold.
    pub async fn run(&self, tx: &Tx, rows: &[Vec<Value>]) -> Result<()> {
        for run in runs(rows) {
            let backend = tx.get_database_backend();
            let values: Vec<Value> = run.iter().flatten().cloned().collect();
            let changed =
                tx.execute_raw(Statement::from_sql_and_values(backend, self.text(backend, run.len()), values)).await?;
            if changed.rows_affected() != u64::try_from(run.len()).unwrap_or(u64::MAX) {
                return Err(Failure::guard(self.table));
            }
        }
        Ok(())
    }

    fn text(&self, backend: DatabaseBackend, rows: usize) -> String {
        let Self { table, set, guard, .. } = self;
        let named: Vec<String> = self.values.iter().map(|name| format!("? AS {name}")).collect();
        let marks = vec!["?"; self.values.len()].join(", ");
        let mut derived = format!("SELECT {}", named.join(", "));
        for _ in 1..rows {
            derived.push_str(" UNION ALL SELECT ");
            derived.push_str(&marks);
        }
        match backend {
            // In this order, whatever the statistics say: a scan of the table would lock the rows of other writers.
            DatabaseBackend::MySql => {
                format!("UPDATE ({derived}) AS v STRAIGHT_JOIN {table} AS t ON {guard} SET {set}")
            }
            _ => format!("UPDATE {table} AS t SET {set} FROM ({derived}) AS v WHERE {guard}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_take_few_lengths() {
        assert_eq!(padded([3, 1, 2, 1]), [1, 2, 3, 3]);
        assert_eq!(padded(Vec::<i64>::new()), Vec::<i64>::new());
        let lengths = |n: usize| runs(&vec![0; n]).map(<[i32]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(0), Vec::<usize>::new());
        assert_eq!(lengths(7), [7]);
        assert_eq!(lengths(600), [256, 256, 64, 24]);
    }
}
