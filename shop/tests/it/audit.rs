//! The audit over rows written by hand: clean where all is well, and one corruption at a time.

mod corruptions;
mod fixture;

use std::{collections::BTreeSet, future::ready, time::Duration};

use sea_orm::Value;
use shop::audit::{Options, Pending, Report, audit, audit_paced};
use shop_common::{
    migrate::seed,
    sql::insert_rows,
    time::{Clock, Millis},
};
use shop_pay::channel::sandbox::GAPS;

use self::{
    corruptions::CORRUPTIONS,
    fixture::{NOW, Shop},
};

/// Looks twice without a pause.
fn at_once() -> Options {
    Options { confirm: Duration::ZERO, ..Options::default() }
}

async fn look(shop: &Shop, options: &Options) -> Report {
    audit(&shop.schemas, options, &Clock::manual(NOW)).await.unwrap()
}

/// Looks at a standing clock, with `pause` in place of time.
async fn paced<F: Future<Output = ()>>(shop: &Shop, options: &Options, pause: impl Fn(Duration) -> F) -> Report {
    audit_paced(&shop.schemas, options, &Clock::manual(NOW), pause).await.unwrap()
}

fn violated(report: &Report) -> BTreeSet<&str> {
    report.checks.iter().filter(|check| !check.violations.is_empty()).map(|check| check.id).collect()
}

#[tokio::test]
async fn a_shop_in_which_all_is_well_is_clean() {
    for shop in Shop::all_well().await {
        let report = look(&shop, &at_once()).await;
        assert!(report.is_clean(), "{}\n{report}", shop.name);
        let ids: Vec<&str> = report.checks.iter().map(|check| check.id).collect();
        assert_eq!(ids, (1..=20).map(|number| format!("I{number:02}")).collect::<Vec<_>>());
        let idle: Vec<&str> = report.checks.iter().filter(|check| check.checked == 0).map(|check| check.id).collect();
        assert!(idle.is_empty(), "{}: everything has rows: {idle:?}", shop.name);
        assert_eq!(report.pending, Pending { messages: 1, ..Pending::default() }, "{}", shop.name);
    }
}

#[tokio::test]
async fn the_rows_of_the_course_are_clean() {
    for shop in Shop::empty().await {
        for (service, rows) in [("goods", shop_goods::SEED), ("coupon", shop_coupon::SEED), ("user", shop_user::SEED)] {
            seed(shop.db(service), rows).await.unwrap();
        }
        let report = look(&shop, &at_once()).await;
        assert!(report.is_clean(), "{}\n{report}", shop.name);
        assert_eq!(report.check("I01").unwrap().checked, 1, "{}", shop.name);
        assert!(report.pending.is_nothing(), "{}", shop.name);
    }
}

#[tokio::test]
async fn every_corruption_is_found() {
    let mut tripped = BTreeSet::new();
    for shop in Shop::all_well().await {
        for (invariant, id, text, service, statements) in CORRUPTIONS {
            shop.corrupt(service, statements).await;
            let report = look(&shop, &at_once()).await;
            let mut violations = report.check(invariant).unwrap().violations.iter();
            let is_found =
                violations.any(|found| found.text == *text && (id.is_empty() || found.ids.contains(&(*id).to_owned())));
            assert!(is_found, "{}: {invariant} does not say {text:?} after {statements}\n{report}", shop.name);
            tripped.insert(*invariant);
            shop.reset(service).await;
        }
        let report = look(&shop, &at_once()).await;
        assert!(report.is_clean(), "{}: one corruption at a time\n{report}", shop.name);
    }
    let all: BTreeSet<String> = (1..=20).map(|number| format!("I{number:02}")).collect();
    assert_eq!(tripped.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), all);
}

/// Of a shop that is stopped nobody knows more than that it is late.
#[tokio::test]
async fn what_is_only_late_says_so() {
    for shop in Shop::all_well().await {
        let told = |report: &Report| {
            let late =
                report.checks.iter().flat_map(|check| &check.violations).filter(|violation| violation.late).count();
            (late, report.to_string().contains("if the shop is stopped, start it"))
        };
        assert_eq!(told(&look(&shop, &at_once()).await), (0, false), "{}", shop.name);
        shop.corrupt("user", "UPDATE trade_user SET user_score = 981 WHERE user_id = 11").await;
        assert_eq!(told(&look(&shop, &at_once()).await), (0, false), "{}: it is wrong, not late", shop.name);
        shop.corrupt("goods", "UPDATE trade_goods_hold SET due_ms = 939999 WHERE order_id = 107").await;
        shop.corrupt("order", "UPDATE trade_order SET owed = 8, due_ms = 939999 WHERE order_id = 101").await;
        shop.corrupt("order", "UPDATE trade_mq_producer_temp SET create_ms = 939999").await;
        let report = look(&shop, &at_once()).await;
        assert_eq!(told(&report), (3, true), "{}\n{report}", shop.name);
    }
}

#[tokio::test]
async fn work_in_flight_is_no_violation() {
    for shop in Shop::all_well().await {
        shop.put_in_flight().await;
        let report = look(&shop, &at_once()).await;
        assert!(report.is_clean(), "{}\n{report}", shop.name);
        let pending = Pending { orders: 3, payments: 4, refunds: 1, holds: 1, notices: 1, messages: 1 };
        assert_eq!(report.pending, pending, "{}", shop.name);
    }
}

/// The very same rows, once their owners say that nothing is owed.
#[tokio::test]
async fn what_was_in_flight_is_a_violation_once_nobody_owes_it() {
    for shop in Shop::all_well().await {
        shop.put_in_flight().await;
        shop.corrupt("order", "UPDATE trade_order SET owed = 0, due_ms = NULL WHERE order_id = 112").await;
        shop.corrupt("pay", "UPDATE trade_pay SET owed = 0, due_ms = NULL WHERE owed <> 0").await;
        let report = look(&shop, &at_once()).await;
        let expected = ["I02", "I05", "I06", "I07", "I08", "I10", "I13", "I15", "I20"];
        assert_eq!(violated(&report), BTreeSet::from(expected), "{}\n{report}", shop.name);
    }
}

#[tokio::test]
async fn what_is_gone_at_the_second_look_does_not_count() {
    for shop in Shop::all_well().await {
        shop.corrupt("goods", "UPDATE trade_goods_hold SET order_id = 990 WHERE order_id = 103").await;
        let options = Options { confirm: Duration::from_secs(7), ..Options::default() };
        let report = paced(&shop, &options, async |pause| {
            assert_eq!(pause, options.confirm);
            shop.reset("goods").await;
        })
        .await;
        assert!(report.is_clean(), "{}\n{report}", shop.name);
    }
}

#[tokio::test]
async fn what_the_second_look_finds_elsewhere_does_not_count() {
    for shop in Shop::all_well().await {
        let stranger = |order: u32| format!("UPDATE trade_goods_hold SET order_id = {order} WHERE order_id = 103");
        shop.corrupt("goods", &stranger(990)).await;
        let report = paced(&shop, &at_once(), async |_| {
            shop.reset("goods").await;
            shop.corrupt("goods", &stranger(991)).await;
        })
        .await;
        let named =
            |id: &str| report.checks.iter().flat_map(|check| &check.violations).any(|v| v.ids.contains(&id.to_owned()));
        assert!(!named("990") && !named("991"), "{}: neither was seen twice\n{report}", shop.name);
        assert_eq!(violated(&report), BTreeSet::from(["I20"]), "{}: the missing hold of 103 was", shop.name);
    }
}

#[tokio::test]
async fn what_is_wrong_within_one_schema_counts_at_once() {
    for shop in Shop::all_well().await {
        shop.corrupt("user", "UPDATE trade_user SET user_score = 981 WHERE user_id = 11").await;
        let report = paced(&shop, &at_once(), async |_| panic!("{}: there is nothing to confirm", shop.name)).await;
        assert_eq!(violated(&report), BTreeSet::from(["I14"]), "{}", shop.name);
    }
}

#[tokio::test]
async fn waiting_ends_when_nothing_is_in_flight() {
    for shop in Shop::all_well().await {
        shop.put_in_flight().await;
        let options = Options { wait: Some(Duration::from_secs(60)), ..at_once() };
        let clock = Clock::manual(NOW);
        let finish = async |pause| {
            clock.advance(pause);
            for service in ["goods", "coupon", "user", "order", "pay"] {
                shop.reset(service).await;
            }
            shop.corrupt("order", "DELETE FROM trade_mq_producer_temp").await;
        };
        let report = audit_paced(&shop.schemas, &options, &clock, finish).await.unwrap();
        assert!(report.is_clean() && report.pending.is_nothing(), "{}\n{report}", shop.name);
        assert!(clock.now() < NOW.after(Duration::from_secs(1)), "{}: one pause is enough", shop.name);
    }
}

/// A payment that its buyer has not paid yet, and notifications of the sandbox that come again after hours.
#[tokio::test]
async fn nobody_waits_for_what_is_not_due_for_hours() {
    for shop in Shop::all_well().await {
        shop.corrupt("order", "DELETE FROM trade_mq_producer_temp").await;
        let open = "UPDATE trade_pay SET attempts = 99 WHERE pay_id = 208 AND owed = 32";
        shop.corrupt("pay", open).await;
        // Claimed for sending six seconds ago, and refused; and the third time.
        let gap = i64::try_from(GAPS[0].as_millis()).unwrap();
        let refused = |ago: i64| {
            let due = NOW.get() + gap - ago;
            format!("UPDATE sandbox_trade SET due_ms = {due}, attempts = 1 WHERE pay_id = 201")
        };
        shop.corrupt("pay", &refused(6_000)).await;
        shop.corrupt("pay", "UPDATE sandbox_trade SET due_ms = 9000000, attempts = 3 WHERE pay_id = 204").await;
        let wait = Options { wait: Some(Duration::from_secs(60)), ..at_once() };
        let report = paced(&shop, &wait, async |_| panic!("{}: nobody waits for it", shop.name)).await;
        assert!(report.is_clean() && report.pending.is_nothing(), "{}\n{report}", shop.name);
        shop.corrupt("pay", &refused(4_000)).await;
        let report = look(&shop, &at_once()).await;
        assert_eq!(report.pending, Pending { notices: 1, ..Pending::default() }, "{}: on its way", shop.name);
    }
}

#[tokio::test]
async fn waiting_ends_when_time_is_up() {
    for shop in Shop::all_well().await {
        shop.put_in_flight().await;
        shop.corrupt("order", "DELETE FROM trade_mq_producer_temp").await;
        let options = Options { wait: Some(Duration::from_secs(5)), ..at_once() };
        let clock = Clock::manual(Millis::new(NOW.get() - 5_000));
        let pass = |pause| {
            clock.advance(pause);
            ready(())
        };
        let report = audit_paced(&shop.schemas, &options, &clock, pass).await.unwrap();
        assert!(report.is_clean(), "{}\n{report}", shop.name);
        assert_eq!(clock.now(), NOW, "{}", shop.name);
        assert_eq!(report.pending.orders, 3, "{}: it says what it left out", shop.name);
    }
}

#[tokio::test]
async fn without_a_broker_messages_stay() {
    for shop in Shop::all_well().await {
        shop.corrupt("order", "UPDATE trade_mq_producer_temp SET create_ms = 0").await;
        let away = Options { broker_reachable: false, wait: Some(Duration::from_secs(60)), ..at_once() };
        let report = paced(&shop, &away, async |_| panic!("{}: nobody waits for what cannot leave", shop.name)).await;
        assert!(report.is_clean() && report.pending.is_nothing(), "{}\n{report}", shop.name);
        assert_eq!(violated(&look(&shop, &at_once()).await), BTreeSet::from(["I16"]), "{}", shop.name);
    }
}

#[tokio::test]
async fn what_an_operator_has_discarded_is_no_violation() {
    for shop in Shop::all_well().await {
        let by = "operator = 'mary', operator_ms = 1, note = 'known'";
        shop.corrupt("user", &format!("UPDATE trade_mq_consumer_log SET consumer_status = 3, {by}")).await;
        let parked = format!("UPDATE trade_mq_producer_temp SET create_ms = 0, msg_status = 3, due_ms = NULL, {by}");
        shop.corrupt("order", &parked).await;
        let report = look(&shop, &at_once()).await;
        assert!(report.is_clean() && report.pending.is_nothing(), "{}\n{report}", shop.name);
    }
}

#[tokio::test]
async fn what_the_broker_delivers_once_more_is_in_flight() {
    for shop in Shop::all_well().await {
        shop.corrupt("user", "UPDATE trade_mq_consumer_log SET consumer_status = 2, retry_ms = 940001").await;
        let report = look(&shop, &at_once()).await;
        assert!(report.is_clean(), "{}\n{report}", shop.name);
        assert_eq!(report.pending, Pending { messages: 2, ..Pending::default() }, "{}", shop.name);
    }
}

#[tokio::test]
async fn a_table_of_many_pages_is_read_whole() {
    const GOODS: i64 = 20_001;
    for shop in Shop::empty().await {
        let goods = (1..=GOODS).map(|id| vec![id.into(), "many".into(), 5_i64.into(), 1_i64.into(), 0_i64.into()]);
        let opening = (1..=GOODS).map(|id| [0, id, 0, 5, 0].map(Value::from).to_vec());
        let (goods, opening): (Vec<_>, Vec<_>) = (goods.collect(), opening.collect());
        let written = shop.schemas.goods.write_tx(async |tx| {
            let columns = ["goods_id", "goods_name", "goods_number", "goods_price_fen", "add_ms"];
            insert_rows(tx, "trade_goods", &columns, &goods).await?;
            let columns = ["ref_id", "goods_id", "log_type", "goods_number", "log_ms"];
            insert_rows(tx, "trade_goods_number_log", &columns, &opening).await
        });
        written.await.unwrap();
        let report = look(&shop, &at_once()).await;
        assert!(report.is_clean(), "{}\n{report}", shop.name);
        assert_eq!(report.check("I01").unwrap().checked, 20_001, "{}", shop.name);
    }
}

#[tokio::test]
async fn a_schema_that_cannot_be_read_is_no_clean_shop() {
    for shop in Shop::all_well().await {
        shop.corrupt("pay", "DROP TABLE trade_refund").await;
        assert!(audit(&shop.schemas, &at_once(), &Clock::manual(NOW)).await.is_err(), "{}", shop.name);
    }
}

/// It may run in a task of its own.
#[tokio::test]
async fn an_audit_can_be_spawned() {
    let shop = Shop::all_well().await.remove(0);
    let schemas = shop.schemas.clone();
    let spawned = tokio::spawn(async move { audit(&schemas, &at_once(), &Clock::manual(Millis::new(2))).await });
    assert!(spawned.await.unwrap().unwrap().is_clean());
}
