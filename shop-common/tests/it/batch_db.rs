//! The Batcher over real transactions: one poisonous command never fails its neighbours, and what was answered is there.

use std::time::Duration;

use futures::future::BoxFuture;
use shop_common::{
    batch::{Batcher, Command, Limits, NotDone},
    db::{Db, Result, Tx},
    sql,
    time::{Clock, Millis},
};
use shop_testkit::{databases, eventually};

use crate::item::{self, ids, insert, item};

/// Inserts an item; what goes wrong is decided by the command.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Insert {
    Plain(i64),
    /// Under a name that is taken.
    Taken(i64),
    /// Panics once its row is written.
    Panic(i64),
    /// Hangs once its row is written.
    Hang(i64),
}

impl Command for Insert {}

const TAKEN: &str = "taken";

fn body<'a>(tx: &'a Tx, commands: &'a [Insert], _now: Millis) -> BoxFuture<'a, Result<Vec<i64>>> {
    Box::pin(async move {
        let (mut rows, mut done) = (Vec::new(), Vec::new());
        for command in commands {
            let (Insert::Plain(id) | Insert::Taken(id) | Insert::Panic(id) | Insert::Hang(id)) = command;
            let name = if matches!(command, Insert::Taken(_)) { TAKEN.to_owned() } else { format!("item {id}") };
            rows.push(item(*id, name, 1));
            done.push(id * 2);
        }
        sql::insert_many(tx, rows).await?;
        assert!(!commands.iter().any(|command| matches!(command, Insert::Panic(_))), "poison");
        if commands.iter().any(|command| matches!(command, Insert::Hang(_))) {
            std::future::pending::<()>().await;
        }
        Ok(done)
    })
}

fn batcher(db: &Db, limits: Limits) -> Batcher<Insert, i64> {
    Batcher::of_transactions(db.clone(), Clock::manual(Millis::new(1)), limits, body)
}

/// 64 commands, the 40th of them `poison`.
fn with_poison(poison: Insert) -> Vec<(Insert, Option<tokio::time::Instant>)> {
    let mut commands: Vec<_> = (1..=64).map(|id| (Insert::Plain(id), None)).collect();
    commands[39].0 = poison;
    commands
}

#[tokio::test]
async fn sixty_three_of_sixty_four_are_durable() {
    for poison in [Insert::Taken(40), Insert::Panic(40)] {
        for test in databases(&[item::FILE]).await {
            insert(&test.db, vec![item(0, TAKEN, 1)]).await.unwrap();
            let outcomes = batcher(&test.db, Limits::default()).run_all(with_poison(poison.clone())).await;
            for (id, outcome) in (1..).zip(&outcomes) {
                match id {
                    40 => assert!(matches!(outcome, Err(NotDone::Unknown(_))), "{}: {outcome:?}", test.name),
                    _ => assert_eq!(*outcome, Ok(id * 2), "{}: {poison:?}", test.name),
                }
            }
            let there: Vec<i64> = (0..=64).filter(|id| *id != 40).collect();
            assert_eq!(ids(&test.connect_again().await).await, there, "{}: {poison:?}", test.name);
        }
    }
}

#[tokio::test]
async fn a_body_that_is_ended_leaves_nothing() {
    for test in databases(&[item::FILE]).await {
        let batcher = batcher(&test.db, Limits { body_ms: 300, ..Limits::default() });
        let ended = batcher.run(Insert::Hang(1), None).await;
        assert!(matches!(ended, Err(NotDone::Unknown(_))), "{}: {ended:?}", test.name);
        assert_eq!(batcher.run(Insert::Plain(2), None).await, Ok(4), "{}: its locks are gone too", test.name);
        assert_eq!(ids(&test.connect_again().await).await, [2], "{}", test.name);
    }
}

#[tokio::test]
async fn a_caller_who_leaves_finds_his_row_later() {
    for test in databases(&[item::FILE]).await {
        let batcher = batcher(&test.db, Limits::default());
        let mut leaving = Box::pin(batcher.run(Insert::Plain(1), None));
        assert!(futures::FutureExt::now_or_never(&mut leaving).is_none());
        drop(leaving);
        eventually("the row is there", Duration::from_secs(10), async || ids(&test.db).await == [1]).await;
    }
}
