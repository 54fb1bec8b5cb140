//! The paid topic in all its moods (F45, F50 to F53): whatever becomes of its messages, money that arrived is bound to
//! one order with its points, or goes back.
//!
//! Three orders, each paid at the channel: one that lives; one that its buyer has cancelled meanwhile; one that was paid
//! twice.

use std::time::Duration;

use futures::future::join_all;
use shop_common::mq::memory::Faults as BusFaults;
use shop_proto::{
    event::{PaymentSucceeded, VERSION},
    order::v1::{Order, OrderStatus, PayStatus},
    pay::v1::{Payment, callback_payment_response::Outcome},
    topic::PAY_SUCCESS,
};
use shop_testkit::{
    dump,
    participant::{execute, number},
    service::publish,
};

use crate::world::{
    World,
    data::{DUE, GOODS, Look, PRICE, SCORE, STOCK, UNTOUCHED, USER, line, order, plain, taken_by},
    faults::{AWARD, CLOSE, Calls, Fault, MARK, PAY_STATES, RELEASE, REVERSE, STATES},
    signed,
};

const LIVES: i64 = 12;
const CANCELLED: i64 = 13;
const TWICE: i64 = 14;
const ALL: [i64; 3] = [LIVES, CANCELLED, TWICE];
/// Whom the sweepers ask for what follows from a payment and from a cancel.
const ASKED: [&str; 5] = [MARK, AWARD, REVERSE, CLOSE, RELEASE];
/// Two of 50.00 and 10.00 shipping; 110 points.
const AMOUNT: i64 = 2 * PRICE + 1_000;
const POINTS: i64 = 110;

/// What a customer has in the end: points, state and payment of the order, and what the channel paid back to them.
type End = (i64, i64, OrderStatus, PayStatus, i64);

const END: [End; 3] = [
    (LIVES, SCORE + POINTS, OrderStatus::Confirmed, PayStatus::Paid, 0),
    (CANCELLED, SCORE, OrderStatus::Cancelled, PayStatus::Paying, AMOUNT),
    (TWICE, SCORE + POINTS, OrderStatus::Confirmed, PayStatus::Paid, AMOUNT),
];

/// A shop whose customers have paid at the channel, but which knows nothing of it yet.
async fn paid_at_the_channel(world: World) -> World {
    world.add_goods(GOODS, STOCK, PRICE).await;
    world.add_users(&ALL, 0).await;
    for user in ALL {
        let order = world.confirm(plain(&format!("k{user}"), user, vec![line(GOODS, 2)])).await.unwrap();
        assert_eq!(order.amount_due_fen, AMOUNT);
        let payment = world.pay_for(&order).await.unwrap();
        if user == TWICE {
            let second = another_payment(&world, &payment).await;
            world.buyer_pays(second).await;
        }
        world.buyer_pays(payment.pay_id).await;
        if user == CANCELLED {
            world.cancel(order.order_id, user).await.unwrap();
        }
    }
    world
}

/// A payment of the same order that was closed when its buyer paid it: the shop hands out one open payment of an order
/// and channel, and there is one channel here. Its number.
async fn another_payment(world: &World, payment: &Payment) -> i64 {
    let Payment { pay_id: first, order_id, amount_fen, .. } = payment;
    let second = first + 1;
    let ours = format!(
        "INSERT INTO trade_pay (pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, pay_url, add_ms, closed_ms)
         VALUES ({second}, {order_id}, {TWICE}, 'sandbox', {amount_fen}, 0, '', 1, 1)"
    );
    let theirs = format!(
        "INSERT INTO sandbox_trade (pay_id, amount_fen, state, trade_no, create_ms)
         VALUES ({second}, {amount_fen}, 0, 'SB{second}', 1)"
    );
    execute(&world.schemas.pay, &ours).await;
    execute(&world.schemas.pay, &theirs).await;
    second
}

async fn ends(world: &World) -> Vec<End> {
    let mut ends = Vec::new();
    for user in ALL {
        let order = world.order(world.order_under(&format!("k{user}")).await, user).await.unwrap();
        ends.push((user, score(world, user).await, order.status(), order.pay_status(), paid_back(world, &order).await));
    }
    ends
}

/// What the channel has paid back, by its own books.
pub(crate) async fn paid_back(world: &World, order: &Order) -> i64 {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(r.amount_fen), 0) AS SIGNED) AS n FROM sandbox_refund r JOIN trade_pay p ON p.pay_id = r.pay_id
         WHERE p.order_id = {}",
        order.order_id
    );
    number(&world.schemas.pay, &sql).await
}

async fn check(world: &World, mood: &str) {
    assert_eq!(ends(world).await, END, "{mood}");
    let stock = STOCK - 4;
    assert_eq!(world.stock(GOODS).await, stock, "{mood}");
    let refunds = "SELECT COUNT(*) AS n FROM sandbox_refund";
    assert_eq!(number(&world.schemas.pay, refunds).await, 2, "{mood}: each once");
    let paid = "SELECT COUNT(*) AS n FROM trade_pay WHERE is_paid = 2";
    assert_eq!(number(&world.schemas.pay, paid).await, 4, "{mood}: no money is ignored");
}

/// The order that lives as the messages alone have left it.
async fn lives(world: &World) -> (PayStatus, i64) {
    let order = world.order(world.order_under("k12").await, LIVES).await.unwrap();
    (order.pay_status(), score(world, LIVES).await)
}

async fn score(world: &World, user: i64) -> i64 {
    number(&world.schemas.user, &format!("SELECT user_score AS n FROM trade_user WHERE user_id = {user}")).await
}

#[tokio::test]
async fn delivered() {
    for world in World::on_all_engines(&[]).await {
        let world = paid_at_the_channel(world).await;
        world.sandbox_notifies().await;
        assert_eq!(lives(&world).await, (PayStatus::Paying, SCORE), "{}", world.name);
        world.messages().await;
        assert_eq!(lives(&world).await, (PayStatus::Paid, SCORE + POINTS), "{}: no sweeper ran", world.name);
        world.settle_everything().await;
        world.assert_clean("delivered").await;
        check(&world, world.name).await;
    }
}

#[tokio::test]
async fn dropped() {
    let world = paid_at_the_channel(World::new(&[]).await).await;
    world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
    world.sandbox_notifies().await;
    assert_eq!(world.messages().await, 0);
    assert_eq!(lives(&world).await, (PayStatus::Paying, SCORE));
    world.settle_everything().await;
    world.assert_clean("dropped").await;
    check(&world, "dropped").await;
}

#[tokio::test]
async fn doubled() {
    let world = paid_at_the_channel(World::new(&[]).await).await;
    world.broker.set_faults(BusFaults { duplicate: 100, reorder: 100, ..BusFaults::default() });
    world.sandbox_notifies().await;
    assert!(world.messages().await >= 16, "four payments, two services, twice");
    world.settle_everything().await;
    world.assert_clean("doubled").await;
    check(&world, "doubled").await;
}

#[tokio::test]
async fn forged() {
    let world = paid_at_the_channel(World::new(&[]).await).await;
    world.messages().await;
    let before = (dump(&world.schemas.user).await, dump(&world.schemas.order).await);
    let unpaid = number(&world.schemas.pay, "SELECT MIN(pay_id) AS n FROM trade_pay").await;
    let order_id = world.order_under("k12").await;
    let forged =
        |pay_id, version| (pay_id, PaymentSucceeded { version, pay_id, order_id, pay_amount: "110.00".to_owned() });
    publish(&world.broker, PAY_SUCCESS, &[forged(unpaid, VERSION), forged(999, VERSION), forged(-1, VERSION)]).await;
    publish(&world.broker, PAY_SUCCESS, &[forged(unpaid, VERSION + 1)]).await;
    for garbage in [&b"\xff\x00"[..], b"", b"{}", br#"{"version":1,"payId":1,"orderId":"1","payAmount":"1"}"#] {
        world.broker.publish_bytes(PAY_SUCCESS.topic, PAY_SUCCESS.tag, garbage);
    }
    assert!(world.messages().await >= 16, "eight messages, two services");
    for db in [&world.schemas.user, &world.schemas.order] {
        assert_eq!(number(db, "SELECT COUNT(*) AS n FROM trade_mq_consumer_log").await, 5, "what cannot be read");
        execute(db, "DELETE FROM trade_mq_consumer_log").await;
    }
    assert_eq!((dump(&world.schemas.user).await, dump(&world.schemas.order).await), before, "nobody believed a word");

    world.sandbox_notifies().await;
    world.settle_everything().await;
    world.assert_clean("forged").await;
    check(&world, "forged").await;
}

#[tokio::test]
async fn arriving_after_a_restart_only() {
    let mut world = paid_at_the_channel(World::new(&[]).await).await;
    world.sandbox_notifies().await;
    assert_ne!(world.relay().await, 0, "the broker has them");
    world.restart().await;
    assert_eq!(lives(&world).await, (PayStatus::Paying, SCORE));
    world.messages().await;
    assert_eq!(lives(&world).await, (PayStatus::Paid, SCORE + POINTS));
    world.settle_everything().await;
    world.assert_clean("after a restart").await;
    check(&world, "after a restart").await;
}

#[tokio::test]
async fn without_a_broker() {
    let world = paid_at_the_channel(World::without_broker(&[]).await).await;
    world.settle_without_broker().await;
    world.assert_clean_without_broker("without a broker").await;
    check(&world, "without a broker").await;
    assert_ne!(world.outbox_rows().await, 0);
    world.broker.set_faults(BusFaults::default());
    world.settle_everything().await;
    world.assert_clean("the broker came at last").await;
    check(&world, "the broker came at last").await;
}

/// Whatever is asked of another service fails in each way once, and it is away for a while.
#[tokio::test]
async fn whoever_is_asked_in_vain_is_asked_again() {
    for fault in [Fault::RefuseBefore, Fault::ErrorAfter] {
        let world = paid_at_the_channel(World::new(&[]).await).await;
        world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
        for path in ASKED {
            world.faults.on(path, Calls::All, fault);
        }
        world.sandbox_notifies().await;
        for _ in 0..3 {
            world.sweep().await;
            world.later(Duration::from_secs(61));
        }
        assert!(world.faults.arrived(MARK) > 1 && world.faults.arrived(CLOSE) > 1, "{fault:?}: asked again");
        for path in ASKED {
            world.faults.on(path, Calls::Next, fault);
        }
        world.settle_everything().await;
        world.assert_clean(&format!("{fault:?}")).await;
        check(&world, &format!("{fault:?}")).await;
        for path in ASKED {
            assert!(world.faults.arrived(path) > 1, "{fault:?} {path}: asked again");
        }
    }
}

/// A listener that cannot ask the owner believes nothing; a paid message comes again, a cancel is left to the sweeper.
#[tokio::test]
async fn a_listener_that_cannot_ask_does_nothing() {
    let world = paid_at_the_channel(World::new(&[]).await).await;
    world.sandbox_notifies().await;
    for path in [STATES, PAY_STATES] {
        world.faults.away(path);
    }
    world.messages().await;
    assert_eq!(lives(&world).await, (PayStatus::Paying, SCORE));
    assert_eq!(world.stock(GOODS).await, STOCK - 6, "what was cancelled is not back");
    world.faults.heal();
    // The first pause of the broker before it delivers again.
    world.broker.advance(Duration::from_secs(10));
    world.messages().await;
    assert_eq!(lives(&world).await, (PayStatus::Paid, SCORE + POINTS), "by the message, which came again");
    assert_eq!(world.stock(GOODS).await, STOCK - 6, "a broadcast does not come again");
    world.settle_everything().await;
    world.assert_clean("could not ask").await;
    check(&world, "could not ask").await;
}

/// The points were credited before the order said that it does not want the money: they are taken back.
#[tokio::test]
async fn money_for_a_cancelled_order_goes_back_with_its_points() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = world.confirm(order("k")).await.unwrap();
        assert_eq!(placed.amount_due_fen, DUE);
        let payment = world.pay_for(&placed).await.unwrap();
        world.buyer_pays(payment.pay_id).await;
        world.cancel(placed.order_id, USER).await.unwrap();
        world.sandbox_notifies().await;
        world.messages().await;
        assert_eq!(world.look().await.score, SCORE + DUE / 100, "{}: credited by the message", world.name);

        world.settle_everything().await;
        world.assert_clean("paid and cancelled").await;
        assert_eq!(world.look().await, UNTOUCHED, "{}", world.name);
        assert_eq!(paid_back(&world, &placed).await, DUE, "{}", world.name);
        let again = world.callback(signed(&world, &payment)).await.unwrap();
        assert_eq!(again.outcome(), Outcome::RefundStarted, "{}", world.name);
        world.settle_everything().await;
        assert_eq!(paid_back(&world, &placed).await, DUE, "{}: once", world.name);
        world.assert_clean("notified again").await;
    }
}

#[tokio::test]
async fn a_thousand_notifications_at_once_are_one() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = world.confirm(order("k")).await.unwrap();
        let payment = world.pay_for(&placed).await.unwrap();
        world.buyer_pays(payment.pay_id).await;
        let notification = signed(&world, &payment);
        let answers = join_all((0..1000).map(|_| world.callback(notification.clone()))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().all(|answer| answer.ack_body == b"success"), "{}", world.name);
        let applied = answers.iter().filter(|answer| answer.outcome() == Outcome::Applied).count();
        let already = answers.iter().filter(|answer| answer.outcome() == Outcome::AlreadyApplied).count();
        assert_eq!((applied, already), (1, 999), "{}", world.name);
        let count = async |table: &str| number(&world.schemas.pay, &format!("SELECT COUNT(*) AS n FROM {table}")).await;
        assert_eq!((count("trade_pay_log").await, count("trade_mq_producer_temp").await), (1, 1), "{}", world.name);

        world.settle_everything().await;
        world.assert_clean("a thousand").await;
        let expected = taken_by(placed.order_id);
        let look = world.look().await;
        assert_eq!(look.score, SCORE + DUE / 100, "{}", world.name);
        assert_eq!(Look { score: SCORE, ..look }, expected, "{}", world.name);
        let seen = format!("SELECT times AS n FROM trade_pay_notify WHERE notify_id = 'n-{}'", payment.pay_id);
        assert_eq!(number(&world.schemas.pay, &seen).await, 1_000, "{}: all are recorded", world.name);
    }
}
