//! The database of one service is restored to an earlier moment while everybody else is ahead (F91): what the audit says,
//! what mends itself, and what an operator does by the statements of docs/restore.md, which are taken from there.

use std::{collections::BTreeSet, time::Duration};

use sea_orm::ConnectionTrait;
use shop_common::db::Db;
use shop_pay::reconcile::statement::{Day, Format};
use shop_proto::{
    order::v1::{ConfirmOrderRequest, Order, OrderStatus},
    pay::v1::Payment,
};
use shop_testkit::participant::{execute, number};

use crate::{
    paid_suite::paid_back,
    world::{
        World,
        data::{BALANCE, BALANCE_USED, COUPON, DUE, GOODS, Look, QUANTITY, SCORE, STOCK, USER, line, order, plain},
        stage::{Service, Stage},
    },
};

const MANUAL: &str = include_str!("../../../docs/restore.md");
const GIVE_BACK: &str = "order schema: everybody is asked again to give back";
const JUDGE: &str = "pay schema: payments are judged again, points credited and reversed again";
const LOST_ORDER: &str = "order schema: an order that is lost gives everything back";
const LOST_LINE: &str = "order schema: each of its lines";
const LOST_PAYMENT: &str = "pay schema: a payment that is lost is asked about";
const LOST_REFUND: &str = "pay schema: a refund that is lost is asked about under its number";
const CLOSE: &str = "order schema: the payments of paid orders are closed again";

/// Longer than an unpaid order, a stock hold or a silent payment may stand.
const HOURS: u64 = 2;

/// What happened before the dump and after it.
struct Story {
    dumped: Stage,
    lost: Stage,
    /// Paid since.
    paid: (Order, Payment),
    /// Paid before, refunded since.
    refunded: (Order, Payment),
    /// Placed before, cancelled since.
    cancelled: Order,
    /// Placed and paid since, with coupon and balance.
    placed: (Order, Payment),
    /// Placed with balance and cancelled since.
    gone: Order,
}

/// As everything ends if nothing is lost.
const WHOLE: Look =
    Look { stock: STOCK - 1 - 2, balance: BALANCE - BALANCE_USED, score: SCORE + 2 * (DUE / 100), spent_by: None };

async fn story() -> Story {
    let world = World::new(&[]).await.stocked().await;
    let one = |key: &str| plain(key, USER, vec![line(GOODS, 1)]);
    let paid = world.confirm(one("paid")).await.unwrap();
    let payment = world.pay_for(&paid).await.unwrap();
    let refunded = world.confirm(one("refunded")).await.unwrap();
    let refunded_payment = world.paid(&refunded).await;
    let cancelled = world.confirm(one("cancelled")).await.unwrap();
    world.settle_everything().await;
    let dumped = world.stage().await;

    world.later(Duration::from_mins(1));
    world.buyer_pays(payment.pay_id).await;
    world.sandbox_notifies().await;
    world.cancel(refunded.order_id, USER).await.unwrap();
    world.cancel(cancelled.order_id, USER).await.unwrap();
    let placed = world.confirm(order("placed")).await.unwrap();
    let placed_payment = world.paid(&placed).await;
    let gone = world.confirm(ConfirmOrderRequest { balance_used_fen: 1_000, ..one("gone") }).await.unwrap();
    world.cancel(gone.order_id, USER).await.unwrap();
    world.settle_everything().await;
    assert_eq!(world.look().await, Look { spent_by: Some(placed.order_id), ..WHOLE });
    let lost = world.stage().await;
    world.end().await;
    let (paid, refunded, placed) = ((paid, payment), (refunded, refunded_payment), (placed, placed_payment));
    Story { dumped, lost, paid, refunded, cancelled, placed, gone }
}

impl Story {
    /// The shop after `service` was restored; nothing has moved yet.
    async fn restored(&self, service: Service) -> World {
        self.lost.play_but(service, &self.dumped).await
    }

    /// Nothing is missing in the end, and nothing happened twice.
    async fn assert_whole(&self, world: &World) {
        world.settle_everything().await;
        world.assert_clean("repaired").await;
        assert_eq!(world.look().await, Look { spent_by: Some(self.placed.0.order_id), ..WHOLE });
        for ((order, _), back) in [(&self.paid, 0), (&self.refunded, DUE), (&self.placed, 0)] {
            assert_eq!(paid_back(world, order).await, back, "{}", order.order_id);
        }
    }
}

/// A statement of the manual by its first line, with these values; a day before the dump is early enough.
async fn by_the_manual(db: &Db, world: &World, what: &str, values: &[(&str, String)]) {
    let (_, after) = MANUAL.split_once(&format!("```sql\n-- {what}\n")).unwrap_or_else(|| panic!("no {what}"));
    let (sql, _) = after.split_once("```").unwrap();
    let now = world.clock.now().get();
    let day = i64::try_from(Duration::from_hours(24).as_millis()).unwrap();
    let known = [(":since", (now - day).to_string()), (":now", now.to_string())];
    let sql = known.iter().chain(values).fold(sql.to_owned(), |sql, (name, value)| sql.replace(name, value));
    assert!(!sql.contains(" :") && !sql.contains("':"), "{sql}");
    execute(db, &sql).await;
}

fn id(name: &str, id: i64) -> (&str, String) {
    (name, id.to_string())
}

/// Hours pass, and everybody does what he does by himself.
async fn hours_pass(world: &World) {
    for _ in 0..HOURS * 4 {
        world.later(Duration::from_mins(15));
        while world.messages().await + world.sweep().await > 0 {}
    }
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

async fn violated(world: &World) -> BTreeSet<String> {
    world.violated().await.into_iter().collect()
}

#[tokio::test]
async fn goods_know_again_what_is_sold_and_what_came_back() {
    let story = story().await;
    let world = story.restored(Service::Goods).await;
    assert_eq!(violated(&world).await, set(&["I02", "I20"]));
    hours_pass(&world).await;
    assert_eq!(violated(&world).await, set(&["I02", "I20"]), "what was released is known again, and no more");
    assert_eq!(world.stock(GOODS).await, STOCK - 1, "of what was sold since nobody knows");

    by_the_manual(&world.schemas.order, &world, GIVE_BACK, &[]).await;
    assert!(world.retake().await.is_clean());
    story.assert_whole(&world).await;
    assert!(world.retake().await.is_clean(), "a second time takes nothing");
    story.assert_whole(&world).await;
}

#[tokio::test]
async fn goods_that_are_gone_meanwhile_are_said_to_be() {
    let story = story().await;
    let world = story.restored(Service::Goods).await;
    let rest = world.stock(GOODS).await;
    let faster = plain("faster", USER, vec![line(GOODS, rest.try_into().unwrap())]);
    world.confirm(faster).await.unwrap();
    let report = world.retake().await;
    assert!(!report.is_clean());
    let refused = format!("order {} does not hold its stock: SHOP_GOODS_NUM_NOT_ENOUGH", story.placed.0.order_id);
    assert!(report.to_string().contains(&refused), "{report}");
    by_the_manual(&world.schemas.order, &world, GIVE_BACK, &[]).await;
    while world.messages().await + world.sweep().await > 0 {}
    assert_eq!(violated(&world).await, set(&["I02"]), "it stays on the list");
}

#[tokio::test]
async fn coupons_know_again_who_has_spent_them() {
    let story = story().await;
    let world = story.restored(Service::Coupon).await;
    assert_eq!(violated(&world).await, set(&["I08"]));
    hours_pass(&world).await;
    assert_eq!(violated(&world).await, set(&["I08"]), "nothing of it comes back by itself");
    by_the_manual(&world.schemas.order, &world, GIVE_BACK, &[]).await;
    assert!(world.retake().await.is_clean());
    story.assert_whole(&world).await;
}

#[tokio::test]
async fn users_have_again_what_they_had() {
    let story = story().await;
    let world = story.restored(Service::User).await;
    assert_eq!(violated(&world).await, set(&["I05", "I06", "I13", "I20"]));
    hours_pass(&world).await;
    assert_eq!(violated(&world).await, set(&["I05", "I06", "I13", "I20"]), "nothing of it comes back by itself");
    by_the_manual(&world.schemas.order, &world, GIVE_BACK, &[]).await;
    by_the_manual(&world.schemas.pay, &world, JUDGE, &[]).await;
    assert!(world.retake().await.is_clean());
    story.assert_whole(&world).await;
}

/// The orders that the others know of and their own service does not.
async fn orders_are_made_anew(story: &Story, world: &World) {
    let (placed, gone) = (&story.placed.0, &story.gone);
    for (order, quantity, money, pay, coupon) in
        [(placed, i64::from(QUANTITY), BALANCE_USED, DUE, COUPON.to_string()), (gone, 1, 1_000, 0, "NULL".to_owned())]
    {
        let values = [
            id(":order_id", order.order_id),
            id(":user_id", USER),
            id(":money_fen", money),
            id(":pay_fen", pay),
            (":coupon_id", coupon),
            id(":goods_id", GOODS),
            id(":line_no", 1),
            id(":quantity", quantity),
        ];
        by_the_manual(&world.schemas.order, world, LOST_ORDER, &values).await;
        by_the_manual(&world.schemas.order, world, LOST_LINE, &values).await;
    }
}

/// What is left when the orders placed since are given back.
const WITHOUT_THE_PLACED: Look = Look { stock: STOCK - 1, balance: BALANCE, score: SCORE + DUE / 100, spent_by: None };

#[tokio::test]
async fn orders_are_judged_again_and_the_lost_ones_give_everything_back() {
    let story = story().await;
    let world = story.restored(Service::Order).await;
    let found = violated(&world).await;
    assert!(found.is_superset(&set(&["I02", "I03", "I07", "I10", "I11", "I20"])), "{found:?}");
    orders_are_made_anew(&story, &world).await;
    by_the_manual(&world.schemas.pay, &world, JUDGE, &[]).await;
    hours_pass(&world).await;
    world.settle_everything().await;
    world.assert_clean("repaired").await;
    assert_eq!(world.look().await, WITHOUT_THE_PLACED);
    for (order, status) in [
        (&story.paid.0, OrderStatus::Confirmed),
        (&story.refunded.0, OrderStatus::Refunded),
        (&story.cancelled, OrderStatus::Cancelled),
        (&story.placed.0, OrderStatus::Invalid),
        (&story.gone, OrderStatus::Invalid),
    ] {
        assert_eq!(world.status(order.order_id).await, status, "{}", order.order_id);
    }
    for ((order, _), back) in [(&story.paid, 0), (&story.refunded, DUE), (&story.placed, DUE)] {
        assert_eq!(paid_back(&world, order).await, back, "{}", order.order_id);
    }
}

/// Nobody reads the manual: nothing is lost but the order, and nothing is silent.
#[tokio::test]
async fn an_order_that_was_paid_and_timed_out_is_on_the_list_until_its_money_goes_back() {
    let story = story().await;
    let world = story.restored(Service::Order).await;
    hours_pass(&world).await;
    let found = violated(&world).await;
    assert!(found.is_superset(&set(&["I03", "I07", "I10", "I11", "I20"])), "{found:?}");
    let (paid, payment) = &story.paid;
    assert_eq!(world.status(paid.order_id).await, OrderStatus::Cancelled);
    assert_eq!(paid_back(&world, paid).await, 0, "and its payment is kept");
    let held = "stock is held for an order that does not exist; nothing is released".to_owned();
    assert!(world.alarms.take().contains(&held));
    assert_eq!(world.stock(GOODS).await, STOCK - 2, "the lost order's stock is not sold to anybody");

    orders_are_made_anew(&story, &world).await;
    by_the_manual(&world.schemas.pay, &world, JUDGE, &[]).await;
    world.settle_everything().await;
    world.assert_clean("repaired").await;
    assert_eq!(paid_back(&world, paid).await, DUE, "{}", payment.pay_id);
    let nothing = Look { stock: STOCK, score: SCORE, ..WITHOUT_THE_PLACED };
    assert_eq!(world.look().await, nothing);
}

/// What the provider's statement has and our books have not, as reconciled.
async fn gaps(world: &World) -> usize {
    let pay = &world.process().services.pay;
    let day: Day = "2023-11-15".parse().unwrap();
    let csv = pay.sandbox().unwrap().statement(day).await.unwrap();
    let statement = "sandbox".parse::<Format>().unwrap().read(csv.as_bytes()).unwrap();
    pay.reconciler().compare("sandbox", day, &statement.lines).await.unwrap().gaps.len()
}

#[tokio::test]
async fn payments_are_asked_about_and_refunds_looked_up_under_their_numbers() {
    let story = story().await;
    let world = story.restored(Service::Pay).await;
    the_provider_is_ahead(&world, &story.lost).await;
    let found = violated(&world).await;
    assert!(found.is_superset(&set(&["I10", "I13", "I20"])), "{found:?}");
    hours_pass(&world).await;
    let (paid, payment) = &story.paid;
    let is_paid = format!("SELECT is_paid AS n FROM trade_pay WHERE pay_id = {}", payment.pay_id);
    assert_eq!(number(&world.schemas.pay, &is_paid).await, 2, "asked about, it is paid");
    assert_eq!(world.status(paid.order_id).await, OrderStatus::Confirmed);
    let found = violated(&world).await;
    assert!(found.is_superset(&set(&["I10", "I13", "I20"])), "{found:?}");
    assert_eq!(gaps(&world).await, 2, "a payment and a refund that only the provider knows");

    let (placed, lost) = &story.placed;
    let values = [
        id(":order_id", placed.order_id),
        id(":user_id", USER),
        id(":pay_id", lost.pay_id),
        id(":pay_fen", DUE),
        (":channel", "sandbox".to_owned()),
    ];
    by_the_manual(&world.schemas.pay, &world, LOST_PAYMENT, &values).await;
    let refund_id = number(&world.schemas.pay, "SELECT refund_id AS n FROM sandbox_refund").await;
    let values = [id(":refund_id", refund_id), id(":pay_id", story.refunded.1.pay_id), id(":fen", DUE)];
    by_the_manual(&world.schemas.pay, &world, LOST_REFUND, &values).await;
    for statement in [GIVE_BACK, CLOSE] {
        by_the_manual(&world.schemas.order, &world, statement, &[]).await;
    }
    story.assert_whole(&world).await;
    assert_eq!(gaps(&world).await, 0);
}

/// The sandbox stands in for a provider, which loses nothing when we do.
async fn the_provider_is_ahead(world: &World, newest: &Stage) {
    let file = newest.file(Service::Pay);
    let copy = format!(
        "ATTACH '{}' AS ahead;
         INSERT OR REPLACE INTO sandbox_trade SELECT * FROM ahead.sandbox_trade;
         INSERT OR REPLACE INTO sandbox_refund SELECT * FROM ahead.sandbox_refund;
         DETACH ahead",
        file.display()
    );
    world.schemas.pay.read().execute_unprepared(&copy).await.unwrap();
}

/// What an operator types runs on MySQL as it does on SQLite, and does what it says to the rows.
#[tokio::test]
async fn every_statement_of_the_manual_runs_on_every_engine() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let paid = world.confirm(order("paid")).await.unwrap();
        let payment = world.paid(&paid).await;
        world.settle_everything().await;
        let (lost, lost_payment, refund) = (paid.order_id + 1, payment.pay_id + 1, payment.pay_id + 2);
        let values = [
            id(":order_id", lost),
            id(":user_id", USER),
            id(":money_fen", BALANCE_USED),
            id(":pay_fen", DUE),
            (":coupon_id", "NULL".to_owned()),
            id(":goods_id", GOODS),
            id(":line_no", 1),
            id(":quantity", 1),
            id(":pay_id", lost_payment),
            (":channel", "sandbox".to_owned()),
            id(":refund_id", refund),
            id(":fen", DUE),
        ];
        let (orders, payments) = (&world.schemas.order, &world.schemas.pay);
        for (db, what) in [
            (orders, LOST_ORDER),
            (orders, LOST_LINE),
            (orders, GIVE_BACK),
            (orders, CLOSE),
            (payments, LOST_PAYMENT),
            (payments, LOST_REFUND),
            (payments, JUDGE),
        ] {
            by_the_manual(db, &world, what, &values).await;
        }
        for (db, sql, expected) in [
            (orders, format!("SELECT owed AS n FROM trade_order WHERE order_id = {lost} AND order_status = 3"), 13),
            (orders, format!("SELECT owed AS n FROM trade_order WHERE order_id = {}", paid.order_id), 8),
            (orders, format!("SELECT COUNT(*) AS n FROM trade_order_item WHERE order_id = {lost}"), 1),
            (payments, format!("SELECT COUNT(*) AS n FROM trade_pay_order WHERE order_id = {lost}"), 1),
            (payments, format!("SELECT owed AS n FROM trade_pay WHERE pay_id = {lost_payment}"), 40),
            (payments, format!("SELECT order_id AS n FROM trade_refund WHERE refund_id = {refund}"), lost),
            (payments, format!("SELECT owed AS n FROM trade_pay WHERE pay_id = {}", payment.pay_id), 3),
        ] {
            assert_eq!(number(db, &sql).await, expected, "{sql}");
        }
        world.end().await;
    }
}
