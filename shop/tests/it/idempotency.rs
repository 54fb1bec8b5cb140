//! The same order asked for again (F44): the same answer, whatever has happened since.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use shop_common::{code::ShopCode, error::ShopError};
use shop_proto::order::v1::{ConfirmOrderRequest, OrderStatus};
use tonic::Code;

use crate::world::{
    NO_LOOK, World, code,
    data::{BALANCE, BALANCE_USED, GOODS, PRICE, QUANTITY, STOCK, USER, answered, line, order, plain, taken_by},
    faults::{Calls, DEBIT, Fault, QUOTE, RESERVE},
};

/// Another customer.
const OTHER: i64 = 12;

#[tokio::test]
async fn a_repeat_is_the_same_order_even_when_nothing_is_left() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = world.confirm(order("k")).await.unwrap();
        let rest = STOCK - i64::from(QUANTITY);
        world.add_user(OTHER, rest * PRICE).await;
        let everything = plain("rest", OTHER, vec![line(GOODS, i32::try_from(rest).unwrap())]);
        world.confirm(ConfirmOrderRequest { balance_used_fen: rest * PRICE, ..everything }).await.unwrap();
        let spend = plain("spend", USER, vec![line(GOODS, 1)]);
        let refused = world.confirm(ConfirmOrderRequest { balance_used_fen: BALANCE, ..spend }).await;
        assert!(refused.is_err(), "{}: neither stock nor balance are left", world.name);

        assert_eq!(world.confirm(order("k")).await, Ok(placed), "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("a repeat").await;
        assert_eq!(world.orders().await, 2, "{}", world.name);
    }
}

/// It is found in the orders' own rows: whoever knows the price may be away.
#[tokio::test]
async fn a_repeat_waits_for_no_price() {
    let world = World::new(&[("order.step_timeout_ms", "600000")]).await.stocked().await;
    let placed = world.confirm(order("k")).await.unwrap();
    world.faults.on(QUOTE, Calls::All, Fault::HangBefore);
    let repeated = tokio::time::timeout(Duration::from_secs(30), world.confirm(order("k"))).await;
    assert_eq!(repeated.expect("it waits for a price"), Ok(placed));
    world.faults.heal();
}

#[tokio::test]
async fn a_repeat_of_a_cancelled_order_is_that_order() {
    let world = World::new(&[]).await.stocked().await;
    let placed = world.confirm(order("k")).await.unwrap();
    world.cancel(placed.order_id, USER).await.unwrap();
    let repeated = world.confirm(order("k")).await.unwrap();
    assert_eq!((repeated.order_id, repeated.status()), (placed.order_id, OrderStatus::Cancelled));
    world.settle_everything().await;
    world.assert_clean("cancelled").await;
}

#[tokio::test]
async fn another_content_under_the_same_key_is_refused() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = world.confirm(order("k")).await.unwrap();
        let others = [
            ConfirmOrderRequest { items: vec![line(GOODS, 1)], ..order("k") },
            ConfirmOrderRequest { coupon_id: None, ..order("k") },
            ConfirmOrderRequest { balance_used_fen: BALANCE_USED - 1, ..order("k") },
            ConfirmOrderRequest { address: "elsewhere".to_owned(), ..order("k") },
            ConfirmOrderRequest { expected_total_fen: Some(1), ..order("k") },
        ];
        for other in others {
            let answer = world.confirm(other.clone()).await;
            assert_eq!(code(&answer), Some(ShopCode::IdempotencyConflict), "{}: {other:?}", world.name);
        }
        assert_eq!(ShopCode::IdempotencyConflict.row().grpc, Code::AlreadyExists);
        assert_eq!(world.look().await, taken_by(placed.order_id), "{}", world.name);
        assert_eq!(world.orders().await, 1, "{}", world.name);
    }
}

#[tokio::test]
async fn what_the_saga_refused_is_refused_alike_whatever_has_changed() {
    for world in World::on_all_engines(&[NO_LOOK]).await {
        let world = world.stocked().await;
        let too_many = ConfirmOrderRequest { items: vec![line(GOODS, 11)], ..order("k") };
        let refused = world.confirm(too_many.clone()).await;
        assert_eq!(code(&refused), Some(ShopCode::GoodsNotEnough), "{}", world.name);
        let arrived = "UPDATE trade_goods SET goods_number = goods_number + 100";
        let ledger = "INSERT INTO trade_goods_number_log VALUES (1, 1, 0, 100, 0)";
        shop_testkit::participant::execute(&world.schemas.goods, arrived).await;
        shop_testkit::participant::execute(&world.schemas.goods, ledger).await;

        assert_eq!(world.confirm(too_many.clone()).await, refused, "{}: code, field and text", world.name);
        world.settle_everything().await;
        assert_eq!(world.confirm(too_many.clone()).await, refused, "{}: and after it is given back", world.name);
        let fresh = ConfirmOrderRequest { request_id: "k2".to_owned(), ..too_many };
        assert!(world.confirm(fresh).await.is_ok(), "{}: another key is another order", world.name);
        world.settle_everything().await;
        world.assert_clean("refused").await;
    }
}

#[tokio::test]
async fn a_refusal_before_anything_is_stored_leaves_the_key_free() {
    let world = World::new(&[]).await.stocked().await;
    let dear = ConfirmOrderRequest { expected_total_fen: Some(1), ..order("k") };
    assert_eq!(code(&world.confirm(dear).await), Some(ShopCode::OrderAmountInvalid));
    let too_many = ConfirmOrderRequest { items: vec![line(GOODS, 11)], ..order("k") };
    assert_eq!(code(&world.confirm(too_many).await), Some(ShopCode::GoodsNotEnough));
    assert_eq!(world.orders().await, 0);
    assert!(world.confirm(order("k")).await.is_ok());
}

#[tokio::test]
async fn a_price_that_cannot_be_asked_leaves_the_key_free() {
    let world = World::new(&[]).await.stocked().await;
    for fault in [Fault::RefuseBefore, Fault::ErrorAfter] {
        world.faults.on(QUOTE, Calls::Next, fault);
        let answer = world.confirm(order("k")).await;
        assert_eq!(code(&answer), Some(ShopCode::Unavailable), "{fault:?}: nothing was done, ask again");
        assert_eq!(world.orders().await, 0, "{fault:?}");
    }
    assert!(world.confirm(order("k")).await.is_ok());
}

#[tokio::test]
async fn what_the_sweeper_recovered_needs_a_new_key() {
    for mut world in World::on_all_engines(&[]).await {
        world = world.stocked().await;
        world.faults.on(DEBIT, Calls::All, Fault::HangBefore);
        let lost = world.places(order("k"));
        world.faults.held(DEBIT).await;
        world.restart().await;
        assert_eq!(answered(lost.await), Err(ShopCode::Unknown.into()), "{}", world.name);
        world.settle_everything().await;

        let repeated = world.confirm(order("k")).await.unwrap_err();
        assert_eq!(repeated, ShopError::from(ShopCode::OrderCancelled), "{}", world.name);
        assert_eq!(repeated.code.row().grpc, Code::Aborted);
        let placed = world.confirm(order("k2")).await.unwrap();
        assert_eq!(world.look().await, taken_by(placed.order_id), "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("recovered").await;
    }
}

#[tokio::test]
async fn a_repeat_of_what_still_runs_waits_as_long_as_its_caller() {
    let world = World::new(&[("order.step_timeout_ms", "30000")]).await.stocked().await;
    world.faults.on(RESERVE, Calls::Next, Fault::HangBefore);
    let first = world.places(order("k"));
    world.faults.held(RESERVE).await;

    let impatient = world.confirm_within(order("k"), Duration::from_millis(400)).await.unwrap_err();
    assert_eq!((impatient.code, impatient.code.row().grpc), (ShopCode::InProgress, Code::Aborted));
    let patient = world.places(order("k"));
    let other = ConfirmOrderRequest { address: "elsewhere".to_owned(), ..order("k") };
    assert_eq!(code(&world.confirm(other).await), Some(ShopCode::IdempotencyConflict), "that needs no waiting");
    assert!(!first.is_finished() && !patient.is_finished());

    world.faults.release();
    let placed = answered(first.await).unwrap();
    assert_eq!(answered(patient.await).unwrap().order_id, placed.order_id);
    assert_eq!(world.faults.arrived(RESERVE), 1, "one saga");
    world.settle_everything().await;
    world.assert_clean("waited").await;
}

#[tokio::test]
async fn keys_are_told_apart_by_case() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let small = world.confirm(plain("key", USER, vec![line(GOODS, 1)])).await.unwrap();
        let large = world.confirm(plain("KEY", USER, vec![line(GOODS, 1)])).await.unwrap();
        assert_ne!(small.order_id, large.order_id, "{}", world.name);
        assert_eq!(world.confirm(plain("key", USER, vec![line(GOODS, 1)])).await.unwrap(), small, "{}", world.name);
        assert_eq!(world.stock(GOODS).await, STOCK - 2, "{}", world.name);
    }
}

#[tokio::test]
async fn a_key_belongs_to_its_user() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        world.add_user(OTHER, 0).await;
        let mine = world.confirm(plain("k", USER, vec![line(GOODS, 1)])).await.unwrap();
        let theirs = world.confirm(plain("k", OTHER, vec![line(GOODS, 2)])).await.unwrap();
        assert_ne!(mine.order_id, theirs.order_id, "{}", world.name);
        assert_eq!(code(&world.order(mine.order_id, OTHER).await), Some(ShopCode::OrderNotFound), "{}", world.name);
        assert_eq!(world.stock(GOODS).await, STOCK - 3, "{}", world.name);
    }
}

/// Sent twice at once: the second found no order, and then nothing left, because the first had taken it.
#[tokio::test]
async fn a_repeat_that_reads_too_late_is_a_repeat_all_the_same() {
    for world in World::on_all_engines(&[("order.step_timeout_ms", "30000")]).await {
        let world = world.stocked().await;
        let everything = || ConfirmOrderRequest { items: vec![line(GOODS, 10)], ..order("k") };
        world.faults.on(QUOTE, Calls::Next, Fault::HangBefore);
        let second = world.places(everything());
        world.faults.held(QUOTE).await;
        let placed = world.confirm(everything()).await.unwrap();
        world.faults.release();
        assert_eq!(answered(second.await), Ok(placed), "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("read too late").await;
    }
}

#[tokio::test]
async fn fifty_at_once_are_one_order() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let answers = join_all((0..50).map(|_| world.confirm(order("k")))).await;
        let orders: BTreeSet<i64> = answers.into_iter().map(|answer| answer.unwrap().order_id).collect();
        assert_eq!(orders.len(), 1, "{}", world.name);
        assert_eq!(world.look().await, taken_by(*orders.first().unwrap()), "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("fifty at once").await;
        assert_eq!(world.orders().await, 1, "{}", world.name);
    }
}
