//! Writers of one SQLite file share commits, and nothing else.

use std::{
    sync::{Arc, Mutex},
    task::Poll,
};

use shop_common::{
    batch::{Batcher, Command, Limits},
    db::{Db, Failure},
    sql::insert_many,
    time::{Clock, Millis},
};
use shop_testkit::{TestDb, sqlite};
use tokio::{
    runtime::Builder,
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use crate::item::{self, ids, item};

/// A writer of row 1 that is inside of its transaction until it is told to go on.
struct First {
    written: JoinHandle<Result<(), Failure>>,
    go_on: Arc<Notify>,
}

async fn first(test: &TestDb) -> First {
    let (db, go_on) = (test.db.clone(), Arc::new(Notify::new()));
    let (told, is_inside) = (Arc::clone(&go_on), oneshot::channel());
    let (inside, is_inside) = is_inside;
    let written = tokio::spawn(async move {
        db.write_tx(async |tx| {
            insert_many(tx, vec![item(1, "1", 0)]).await?;
            inside.send(()).unwrap();
            told.notified().await;
            Ok(())
        })
        .await
    });
    is_inside.await.unwrap();
    First { written, go_on }
}

fn write(db: &Db, id: i64) -> impl Future<Output = Result<(), Failure>> {
    item::insert(db, vec![item(id, id.to_string(), 0)])
}

#[tokio::test]
async fn who_queued_up_goes_on_in_the_same_transaction() {
    let test = sqlite(&[item::FILE]).await;
    let First { written, go_on } = first(&test).await;
    let mut second = Box::pin(test.db.write_tx(async |tx| {
        assert_eq!(ids(&test.db).await, [0_i64; 0], "the first is not committed yet");
        assert_eq!(item::quantity(tx, 1).await?, 0, "and is seen from inside");
        insert_many(tx, vec![item(2, "2", 0)]).await
    }));
    assert!(futures::poll!(&mut second).is_pending(), "it queues up");
    go_on.notify_one();
    second.await.unwrap();
    written.await.unwrap().unwrap();
    assert_eq!(ids(&test.connect_again().await).await, [1, 2], "durable when they are answered");
}

#[derive(Clone, Copy, Debug)]
struct Insert(i64);

impl Command for Insert {}

#[tokio::test]
async fn what_arrives_while_a_batch_waits_for_its_turn_goes_with_it() {
    let test = sqlite(&[item::FILE]).await;
    let First { written, go_on } = first(&test).await;
    let batches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&batches);
    let clock = Clock::manual(Millis::new(0));
    let batcher =
        Batcher::<Insert, ()>::of_transactions(test.db.clone(), clock, Limits::default(), move |tx, commands, _| {
            let ids: Vec<i64> = commands.iter().map(|insert| insert.0).collect();
            seen.lock().unwrap().push(ids.clone());
            Box::pin(async move {
                insert_many(tx, ids.iter().map(|id| item(*id, id.to_string(), 0)).collect()).await?;
                Ok(vec![(); ids.len()])
            })
        });
    let mut early = Box::pin(batcher.run(Insert(2), None));
    assert!(futures::poll!(&mut early).is_pending());
    // Whoever comes second finds the batcher waiting for its turn.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let mut late = Box::pin(batcher.run(Insert(3), None));
    assert!(futures::poll!(&mut late).is_pending());
    go_on.notify_one();
    written.await.unwrap().unwrap();
    early.await.unwrap();
    late.await.unwrap();
    assert_eq!(*batches.lock().unwrap(), [[2, 3]]);
}

#[tokio::test]
async fn who_fails_takes_nobody_with_it() {
    let test = sqlite(&[item::FILE]).await;
    let First { written, go_on } = first(&test).await;
    let mut fails = Box::pin(test.db.write_tx(async |tx| {
        insert_many(tx, vec![item(2, "2", 0)]).await?;
        Err::<(), _>(Failure::guard("item"))
    }));
    let mut twice = Box::pin(write(&test.db, 1));
    let mut last = Box::pin(write(&test.db, 3));
    for waiting in [futures::poll!(&mut fails), futures::poll!(&mut twice), futures::poll!(&mut last)] {
        assert!(waiting.is_pending());
    }
    go_on.notify_one();
    assert!(matches!(fails.await, Err(Failure::Rollback(why)) if why.contains("guard")));
    assert!(matches!(twice.await, Err(Failure::Rollback(_))), "the key is there already, though not committed");
    last.await.unwrap();
    written.await.unwrap().unwrap();
    assert_eq!(ids(&test.connect_again().await).await, [1, 3]);
}

#[tokio::test]
async fn who_goes_away_in_its_body_is_rolled_back_and_the_others_are_told() {
    let test = sqlite(&[item::FILE]).await;
    let First { written, go_on } = first(&test).await;
    let (inside, is_inside) = oneshot::channel();
    let mut leaves = Box::pin(test.db.write_tx(async |tx| {
        insert_many(tx, vec![item(2, "2", 0)]).await?;
        inside.send(()).unwrap();
        std::future::pending::<Result<(), Failure>>().await
    }));
    assert!(futures::poll!(&mut leaves).is_pending());
    go_on.notify_one();
    tokio::select! {
        _ = &mut leaves => unreachable!(),
        inside = is_inside => inside.unwrap(),
    }
    drop(leaves);
    assert!(matches!(written.await.unwrap(), Err(Failure::Rollback(_))), "it may run again");
    write(&test.db, 3).await.unwrap();
    assert_eq!(ids(&test.db).await, [3], "the connection is good for the next one");
}

#[tokio::test]
async fn who_goes_away_after_its_body_leaves_no_transaction_open() {
    let test = sqlite(&[item::FILE]).await;
    let First { written, go_on } = first(&test).await;
    go_on.notify_one();
    written.abort();
    drop(written.await);
    // Another process would wait for the file as long as a transaction is open.
    write(&test.connect_again().await, 2).await.unwrap();
}

/// A runtime that ends while a writer runs starts no task any more, and so nobody is left to commit.
#[tokio::test]
async fn what_nobody_is_left_to_commit_is_given_up_when_the_database_is_closed() {
    let test = sqlite(&[item::FILE]).await;
    let (go_on, (inside, is_inside)) = (Notify::new(), oneshot::channel());
    let mut writing = Box::pin(test.db.write_tx(async |tx| {
        insert_many(tx, vec![item(1, "1", 0)]).await?;
        inside.send(()).unwrap();
        go_on.notified().await;
        Ok(())
    }));
    tokio::select! {
        _ = &mut writing => unreachable!(),
        inside = is_inside => inside.unwrap(),
    }
    let ended = Builder::new_current_thread().build().unwrap();
    let handle = ended.handle().clone();
    ended.shutdown_background();
    go_on.notify_one();
    let outcome = {
        let _ended = handle.enter();
        futures::poll!(&mut writing)
    };
    assert!(matches!(outcome, Poll::Ready(Err(Failure::Down(_)))), "{outcome:?}");
    let other = test.connect_again().await;
    test.db.clone().close().await;
    write(&other, 2).await.unwrap();
    assert_eq!(ids(&other).await, [2]);
}
