//! All rows of a schema as text: equal texts mean equal rows, whichever engine they stand in.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, DatabaseBackend, QueryResult, Statement};
use shop_common::db::{Db, Reader};

/// Where sqlx keeps what was migrated, with the time it was.
const MIGRATIONS: &str = "_sqlx_migrations";

/// Every row of every table but the migrations, sorted: for *no new rows* and *the same rows*.
///
/// One line for a table (`trade_goods`), one for each of its rows (`  goods_id=1 goods_name=desk`). Text is escaped,
/// bytes are hexadecimal.
pub async fn dump(db: &Db) -> String {
    let db = db.read();
    let mut text = String::new();
    for table in strings(&ask(db, tables(db.get_database_backend())).await, "name") {
        if table == MIGRATIONS {
            continue;
        }
        let mut rows = rows(db, &table).await;
        rows.sort_unstable();
        writeln!(text, "{table}").expect("a string takes it");
        for row in rows {
            writeln!(text, "  {row}").expect("a string takes it");
        }
    }
    text
}

async fn rows(db: &Reader, table: &str) -> Vec<String> {
    let columns = ask(db, &columns(db.get_database_backend(), table)).await;
    let kinds = strings(&columns, "kind");
    let names = strings(&columns, "name");
    let shown: Vec<String> = names
        .iter()
        .zip(&kinds)
        .map(|(name, kind)| {
            let bytes = kind.to_ascii_lowercase().ends_with("blob");
            if bytes { format!("HEX({name}) AS {name}") } else { format!("CAST({name} AS CHAR) AS {name}") }
        })
        .collect();
    let found = ask(db, &format!("SELECT {} FROM {table}", shown.join(", "))).await;
    found.iter().map(|row| names.iter().map(|name| cell(row, name)).collect::<Vec<_>>().join(" ")).collect()
}

fn cell(row: &QueryResult, name: &str) -> String {
    let value: Option<String> = row.try_get("", name).expect("every column was cast to text");
    value.map_or_else(|| format!("{name}=NULL"), |value| format!("{name}={}", value.escape_debug()))
}

fn tables(backend: DatabaseBackend) -> &'static str {
    match backend {
        DatabaseBackend::MySql => {
            "SELECT CAST(table_name AS CHAR) AS name FROM information_schema.tables
             WHERE table_schema = DATABASE() ORDER BY name"
        }
        _ => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    }
}

fn columns(backend: DatabaseBackend, table: &str) -> String {
    match backend {
        DatabaseBackend::MySql => format!(
            "SELECT CAST(column_name AS CHAR) AS name, CAST(data_type AS CHAR) AS kind FROM information_schema.columns
             WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"
        ),
        _ => format!("SELECT name, type AS kind FROM pragma_table_info('{table}') ORDER BY cid"),
    }
}

async fn ask(db: &Reader, sql: &str) -> Vec<QueryResult> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn strings(rows: &[QueryResult], column: &str) -> Vec<String> {
    rows.iter().map(|row| row.try_get("", column).expect("a name")).collect()
}
