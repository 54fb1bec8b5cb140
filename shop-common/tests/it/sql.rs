//! Statements over many rows do what many statements would.

use std::time::Duration;

use sea_orm::{EntityTrait, QueryFilter, Value, entity::prelude::*};
use shop_common::{
    db::{Failure, Row, Tx},
    sql::{self, Update},
};
use shop_testkit::{databases, dump};

use crate::item::{self, Column, Entity, insert, item};

const ADD: Update = Update {
    table: "item",
    values: &["k", "delta"],
    set: "quantity = t.quantity + v.delta",
    guard: "t.id = v.k AND t.quantity + v.delta >= 0",
};

const RENAME: Update =
    Update { table: "item", values: &["k", "n", "why"], set: "name = v.n, note = v.why", guard: "t.id = v.k" };

/// Snowflake ids: the smallest that a float cannot tell from its neighbour, and on.
const FIRST: i64 = (1 << 53) - 1;

fn many(count: i64) -> Vec<item::ActiveModel> {
    (0..count).map(|n| item(FIRST + n, format!("item {n}"), n)).collect()
}

fn deltas(count: i64, delta: impl Fn(i64) -> i64) -> Vec<Vec<Value>> {
    (0..count).map(|n| vec![Value::from(FIRST + n), Value::from(delta(n))]).collect()
}

#[tokio::test]
async fn every_row_gets_its_own_values() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, many(700)).await.unwrap();
        test.db.write_tx(async |tx| ADD.run(tx, &deltas(700, |n| n * 10 + 1)).await).await.unwrap();
        let quantities: Vec<i64> = item::all(&test.db).await.iter().map(|item| item.quantity).collect();
        assert_eq!(quantities, (0..700).map(|n| n * 11 + 1).collect::<Vec<_>>(), "{}", test.name);
    }
}

#[tokio::test]
async fn no_rows_are_no_statement() {
    for test in databases(&[item::FILE]).await {
        test.db.write_tx(async |tx| ADD.run(tx, &[]).await).await.unwrap();
        test.db.write_tx(async |tx| sql::insert_many(tx, Vec::<item::ActiveModel>::new()).await).await.unwrap();
        test.db.write_tx(async |tx| sql::insert_rows(tx, "item", &["id"], &[]).await).await.unwrap();
        assert_eq!(dump(&test.db).await, "item\n", "{}", test.name);
    }
}

#[tokio::test]
async fn one_guard_that_does_not_hold_takes_all_back() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, many(300)).await.unwrap();
        let before = dump(&test.db).await;
        // The last of them is in the second statement: the first has run by then.
        let missed = deltas(300, |n| if n == 299 { -300 } else { 1 });
        let failed = test.db.write_tx(async |tx| ADD.run(tx, &missed).await).await;
        assert!(matches!(&failed, Err(Failure::Rollback(why)) if why.contains("guard on item")), "{failed:?}");
        assert_eq!(dump(&test.db).await, before, "{}", test.name);
    }
}

#[tokio::test]
async fn a_row_that_is_not_there_is_a_guard_that_does_not_hold() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, many(3)).await.unwrap();
        let failed = test.db.write_tx(async |tx| ADD.run(tx, &deltas(4, |_| 1)).await).await;
        assert!(matches!(failed, Err(Failure::Rollback(_))), "{}: {failed:?}", test.name);
    }
}

#[tokio::test]
async fn a_value_that_is_there_already_counts_as_changed() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, many(3)).await.unwrap();
        let before = dump(&test.db).await;
        test.db.write_tx(async |tx| ADD.run(tx, &deltas(3, |_| 0)).await).await.unwrap();
        assert_eq!(dump(&test.db).await, before, "{}", test.name);
    }
}

#[tokio::test]
async fn writers_of_other_rows_do_not_wait() {
    // SQLite has one writer.
    for test in databases(&[item::FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        insert(&test.db, many(8)).await.unwrap();
        let meanwhile = test.db.write_tx(async |tx| {
            ADD.run(tx, &deltas(4, |_| 1)).await?;
            let others: Vec<_> = deltas(8, |_| 1).split_off(4);
            let other = test.db.write_tx(async |other| ADD.run(other, &others).await);
            Ok(tokio::time::timeout(Duration::from_secs(20), other).await)
        });
        meanwhile.await.unwrap().expect("it does not wait").unwrap();
        let quantities: Vec<i64> = item::all(&test.db).await.iter().map(|item| item.quantity).collect();
        assert_eq!(quantities, (1..=8).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn text_and_null_keep_their_form() {
    let long = "é".repeat(200);
    for test in databases(&[item::FILE]).await {
        insert(&test.db, many(4)).await.unwrap();
        let names = [("a", None), ("A", Some("")), (long.as_str(), Some(long.as_str())), ("12", None)];
        let rows = names.iter().enumerate().map(|(n, (name, note))| {
            let id = FIRST + i64::try_from(n).unwrap();
            vec![Value::from(id), Value::from(*name), Value::from(note.map(str::to_owned))]
        });
        let rows: Vec<_> = rows.collect();
        test.db.write_tx(async |tx| RENAME.run(tx, &rows).await).await.unwrap();
        let all = item::all(&test.db).await;
        let found: Vec<_> = all.iter().map(|item| (item.name.as_str(), item.note.as_deref())).collect();
        assert_eq!(found, names, "{}", test.name);
    }
}

#[tokio::test]
async fn rows_of_values_are_inserted_as_they_are() {
    for test in databases(&[item::FILE]).await {
        let rows: Vec<Vec<Value>> =
            (0..300).map(|n: i64| vec![Value::from(FIRST + n), format!("item {n}").into(), Value::from(n)]).collect();
        let columns = ["id", "name", "quantity"];
        test.db.write_tx(async |tx| sql::insert_rows(tx, "item", &columns, &rows).await).await.unwrap();
        let other = databases(&[item::FILE]).await.into_iter().find(|other| other.name == test.name).unwrap();
        insert(&other.db, many(300)).await.unwrap();
        assert_eq!(dump(&test.db).await, dump(&other.db).await, "{}", test.name);

        let again = test.db.write_tx(async |tx| sql::insert_rows(tx, "item", &columns, &rows[..1]).await).await;
        assert!(matches!(again, Err(Failure::Rollback(_))), "{}: {again:?}", test.name);
    }
}

#[tokio::test]
async fn a_padded_list_finds_each_row_once() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, many(5)).await.unwrap();
        let wanted = sql::padded([FIRST + 4, FIRST, FIRST + 2, FIRST, FIRST + 99]);
        let found = Entity::find().filter(Column::Id.is_in(wanted)).all(test.db.read()).await.unwrap();
        assert_eq!(found.len(), 3, "{}", test.name);
    }
}

#[tokio::test]
async fn rows_are_found_by_their_keys_and_read_by_the_names_of_their_columns() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![item(3, "three", 30), item(1, "one", 10), item(2, "two", 20)]).await.unwrap();
        let (columns, keys) = ("quantity, note, id AS k, name", vec![3, 9, 1, 3]);
        let locked = async |tx: &Tx| sql::locked(tx, columns, "item", "id", keys.clone()).await;
        let rows = test.db.write_tx(locked).await.unwrap();
        let read = |row: &Row| {
            let (name, note): (String, Option<String>) = (row.get("name").unwrap(), row.find("note").unwrap());
            (row.get::<i64>("k").unwrap(), name, row.get::<i64>("quantity").unwrap(), note)
        };
        let one = (1, "one".to_owned(), 10, None);
        let three = (3, "three".to_owned(), 30, None);
        assert_eq!(rows.iter().map(read).collect::<Vec<_>>(), [one, three], "{}", test.name);
        let found = sql::found(test.db.read(), columns, "item", "id", keys.clone()).await.unwrap();
        assert_eq!(found.len(), 2, "{}", test.name);
        assert!(sql::found(test.db.read(), columns, "item", "id", Vec::new()).await.unwrap().is_empty());
        for row in &rows {
            assert!(row.get::<String>("note").is_err(), "{}: a null is no text", test.name);
            assert!(row.get::<i64>("name").is_err() && row.find::<i64>("name").is_err(), "{}: another type", test.name);
            // The driver of MySQL takes a column that is not there for a null.
            assert!(row.get::<i64>("due_ms").is_err(), "{}: not asked for", test.name);
        }
    }
}
