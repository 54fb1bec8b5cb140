//! Many at once for what is there once, through whole sagas (F43, F66, F67, F68).

use std::time::Duration;

use futures::future::{join, join_all};
use shop_common::code::ShopCode;
use shop_proto::order::v1::{ConfirmOrderRequest, Order, OrderStatus};

use crate::world::{
    Answer, NO_LOOK, World, code,
    data::{COUPON, DISCOUNT, GOODS, PRICE, SCORE, USER, answered, line, plain},
    faults::{Calls, DEBIT, Fault},
};

/// Patience enough on a machine that does much else; a saga that runs out of it is no refusal.
const PATIENT: (&str, &str) = ("order.saga_deadline_s", "60");

/// The one order that was confirmed; all others were refused by `refused_by`.
fn the_winner(world: &World, answers: Vec<Answer<Order>>, refused_by: ShopCode) -> Order {
    let buyers = answers.len();
    let refused = answers.iter().filter(|answer| code(answer) == Some(refused_by)).count();
    let mut confirmed: Vec<Order> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!((confirmed.len(), refused), (1, buyers - 1), "{}", world.name);
    confirmed.remove(0)
}

#[tokio::test]
async fn one_unit_and_two_hundred_buyers() {
    const BUYERS: i64 = 200;
    for world in World::on_all_engines(&[NO_LOOK, PATIENT]).await {
        let buyers: Vec<i64> = (1..=BUYERS).collect();
        world.add_goods(GOODS, 1, PRICE).await;
        world.add_users(&buyers, PRICE).await;
        let buy = |buyer: &i64| {
            let order = plain("k", *buyer, vec![line(GOODS, 1)]);
            world.confirm(ConfirmOrderRequest { balance_used_fen: 1_000, ..order })
        };
        let winner = the_winner(&world, join_all(buyers.iter().map(buy)).await, ShopCode::GoodsNotEnough);
        assert_eq!(world.stock(GOODS).await, 0, "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("one unit").await;
        assert_eq!(world.stock(GOODS).await, 0, "{}: nothing came back", world.name);
        assert_eq!(world.status(winner.order_id).await, OrderStatus::Confirmed, "{}", world.name);
        let left = "SELECT CAST(SUM(user_money_fen) AS SIGNED) AS n FROM trade_user";
        let left = shop_testkit::participant::number(&world.schemas.user, left).await;
        assert_eq!(left, BUYERS * PRICE - 1_000, "{}: only the winner has paid", world.name);
    }
}

#[tokio::test]
async fn one_coupon_and_a_hundred_orders() {
    for world in World::on_all_engines(&[NO_LOOK, PATIENT]).await {
        world.add_goods(GOODS, 1_000, PRICE).await;
        world.add_user(USER, 0).await;
        world.add_coupon(COUPON, USER, DISCOUNT).await;
        let spend = |number: usize| {
            let order = plain(&format!("k{number}"), USER, vec![line(GOODS, 1)]);
            world.confirm(ConfirmOrderRequest { coupon_id: Some(COUPON), ..order })
        };
        let winner = the_winner(&world, join_all((0..100).map(spend)).await, ShopCode::CouponInvalid);
        world.settle_everything().await;
        world.assert_clean("one coupon").await;
        let look = world.look().await;
        assert_eq!((look.spent_by, look.stock), (Some(winner.order_id), 999), "{}", world.name);
    }
}

/// 100.00 on the balance, 50 orders of 10.00 each, of which every fifth fails for its goods.
#[tokio::test]
async fn a_balance_is_never_spent_twice() {
    const SHARE: i64 = 1_000;
    const EMPTY_SHELF: i64 = 2;
    for world in World::on_all_engines(&[NO_LOOK, PATIENT]).await {
        world.add_goods(GOODS, 1_000, PRICE).await;
        world.add_goods(EMPTY_SHELF, 0, PRICE).await;
        world.add_user(USER, 10 * SHARE).await;
        world.add_coupon(COUPON, USER, 0).await;
        let pay = |number: usize| {
            let goods = if number.is_multiple_of(5) { EMPTY_SHELF } else { GOODS };
            let order = plain(&format!("k{number}"), USER, vec![line(goods, 1)]);
            world.confirm(ConfirmOrderRequest { balance_used_fen: SHARE, ..order })
        };
        let answers = join_all((0..50).map(pay)).await;
        let expected = [None, Some(ShopCode::GoodsNotEnough), Some(ShopCode::MoneyPaidInvalid)];
        assert!(answers.iter().all(|answer| expected.contains(&code(answer))), "{}: {answers:?}", world.name);
        let confirmed = i64::try_from(answers.iter().filter(|answer| answer.is_ok()).count()).unwrap();
        // Orders that fail for their goods may hold a share while others ask for it.
        assert!((1..=10).contains(&confirmed), "{}: {confirmed}", world.name);
        world.settle_everything().await;
        world.assert_clean("a balance").await;
        let look = world.look().await;
        let expected = (10 * SHARE - confirmed * SHARE, 1_000 - confirmed, SCORE);
        assert_eq!((look.balance, look.stock, look.score), expected, "{}", world.name);
    }
}

/// The buyer cancels while the order is being confirmed. One with something due is cancelled before and after; one with
/// nothing due is paid as soon as it is confirmed, and is refunded then.
#[tokio::test]
async fn a_cancel_races_the_confirmation() {
    const RACES: i64 = 40;
    for world in World::on_all_engines(&[PATIENT, ("order.step_timeout_ms", "30000")]).await {
        world.add_goods(GOODS, 1_000, PRICE).await;
        world.add_users(&(1..=RACES).collect::<Vec<_>>(), 10 * PRICE).await;
        for user in 1..=RACES {
            let request_id = format!("k{user}");
            let is_free = user % 2 == 0;
            // 50.00 and 10.00 shipping.
            let balance_used_fen = if is_free { 6_000 } else { 1_000 };
            let order = plain(&request_id, user, vec![line(GOODS, 1)]);
            world.faults.on(DEBIT, Calls::Next, Fault::HangAfter);
            let placing = world.places(ConfirmOrderRequest { balance_used_fen, ..order });
            world.faults.held(DEBIT).await;
            let order_id = world.order_under(&request_id).await;
            // The cancel meets the rest of the saga now before, now after the confirmation.
            let rest = async {
                tokio::time::sleep(Duration::from_millis(u64::try_from(user % 10).unwrap())).await;
                world.faults.release();
                placing.await
            };
            let (placed, cancelled) = join(rest, world.cancel(order_id, user)).await;
            let what = format!("{}: race {user}: {placed:?} {cancelled:?}", world.name);
            let placed = answered(placed);
            let end = world.status(order_id).await;
            match (code(&placed), code(&cancelled)) {
                (None, None) if !is_free => assert_eq!(end, OrderStatus::Cancelled, "{what}"),
                (None, None) => assert_eq!(end, OrderStatus::Refunded, "{what}"),
                (Some(ShopCode::OrderCancelled), None) => assert_eq!(end, OrderStatus::Cancelled, "{what}"),
                _ => panic!("{what}"),
            }
        }
        world.settle_everything().await;
        world.assert_clean("cancel and confirm").await;
        assert_eq!(world.stock(GOODS).await, 1_000, "{}", world.name);
    }
}
