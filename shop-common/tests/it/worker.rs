//! Two processes never make ids with one worker number for one database (F74).

use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait, DatabaseBackend, Statement};
use shop_common::{
    id::Generator,
    migrate::MESSAGES,
    worker::{Claim, NotClaimed},
};
use shop_testkit::{databases, eventually};

const PATIENCE: Duration = Duration::from_secs(30);

fn ids(worker: i32) -> Arc<Generator> {
    Arc::new(Generator::new(worker).unwrap())
}

#[tokio::test]
async fn a_number_has_one_owner_for_each_database() {
    let tests = databases(&[MESSAGES]).await;
    for test in &tests {
        let claim = Claim::take(&test.db, &ids(7)).await.unwrap();
        let other = test.connect_again().await;
        let refused = Claim::take(&other, &ids(7)).await;
        assert!(matches!(refused, Err(NotClaimed::Taken(7))), "{}: {refused:?}", test.name);
        drop(Claim::take(&other, &ids(8)).await.unwrap());
        drop(claim);
        eventually("it is free again", PATIENCE, async || Claim::take(&other, &ids(7)).await.is_ok()).await;
    }
    for again in databases(&[MESSAGES]).await {
        let _claims =
            (Claim::take(&tests[0].db, &ids(7)).await.unwrap(), Claim::take(&again.db, &ids(7)).await.unwrap());
    }
}

/// The server gives the lock of a broken connection away: whoever had it makes no ids until it has it back.
#[tokio::test]
async fn a_claim_that_is_lost_stops_the_ids() {
    for test in databases(&[MESSAGES]).await {
        if test.db.read().get_database_backend() != DatabaseBackend::MySql {
            continue;
        }
        let (mine, other) = (ids(7), test.connect_again().await);
        let _claim = Claim::take(&test.db, &mine).await.unwrap();
        let first = mine.next().await.unwrap();
        let owner = "SELECT IS_USED_LOCK(CONCAT('shop.', MD5(DATABASE()), '.worker.7')) AS n";
        let owner = other.read().query_one_raw(Statement::from_string(DatabaseBackend::MySql, owner)).await.unwrap();
        let owner: i64 = owner.unwrap().try_get("", "n").unwrap();
        other.read().execute_unprepared(&format!("KILL {owner}")).await.unwrap();

        let mut theirs = None;
        eventually("somebody else takes it, or it is back", PATIENCE, async || {
            theirs = Claim::take(&other, &ids(7)).await.ok();
            theirs.is_some()
        })
        .await;
        eventually("no more ids", PATIENCE, async || mine.next().await.is_err()).await;
        drop(theirs);
        eventually("ids again", PATIENCE, async || mine.next().await.is_ok_and(|id| id > first)).await;
    }
}
