//! Steps at other services.

use shop_common::code::ShopCode;
use shop_proto::order::v1::Order;
use shop_testkit::participant::execute;

use super::{Cell, End, Expected, Lasts, Step, Told};
use crate::world::{
    Answer, World,
    data::order,
    faults::{Calls, DEBIT, Fault, REDEEM, REFUND, REINSTATE, RELEASE, RESERVE},
};

/// A saga with time for more than one fault.
const PATIENT: (&str, &str) = ("30", "400");
/// A saga that gives up soon.
const HASTY: (&str, &str) = ("2", "200");

/// Plays the cell up to its client's answer.
pub(super) async fn play(cell: Cell) -> (World, Answer<Order>, Expected) {
    let (deadline, step) = if cell.lasts == Lasts::All { HASTY } else { PATIENT };
    let world = cell.world(deadline, step).await;
    let (path, undo) = paths(cell.step);
    let calls = if cell.lasts == Lasts::All { Calls::All } else { Calls::Next };
    match fault(cell.end) {
        None => take_away(cell.step, &world).await,
        Some(fault) => world.faults.on(path, calls, fault),
    }
    let answer = world.confirm(order("k")).await;
    if cell.end == End::Refused {
        give_back(cell.step, &world).await;
    }
    if cell.lasts == Lasts::All {
        end_after_the_undo(cell, &world, path, undo).await;
    } else {
        // What was held comes after all: by then it has been done.
        world.faults.heal();
    }
    (world, answer, expected(cell))
}

/// The undo meets a fault too; then it runs while the do is still on its way; then the late do arrives.
async fn end_after_the_undo(cell: Cell, world: &World, path: &'static str, undo: &'static str) {
    let lost = if cell.end == End::Away { Fault::RefuseBefore } else { Fault::ErrorAfter };
    world.faults.on(undo, Calls::Next, lost);
    world.later(std::time::Duration::from_secs(2));
    world.sweep().await;
    assert_ne!(world.faults.arrived(undo), 0, "{cell}: the sweeper asks for what is owed");
    world.later(std::time::Duration::from_secs(61));
    world.messages().await;
    world.sweep().await;
    let asked = world.faults.arrived(path);
    assert!(asked > 1, "{cell}: asked again under the same id, {asked} times");
    world.faults.heal();
}

fn paths(step: Step) -> (&'static str, &'static str) {
    match step {
        Step::Stock => (RESERVE, RELEASE),
        Step::Coupon => (REDEEM, REINSTATE),
        Step::Balance => (DEBIT, REFUND),
        Step::Create | Step::Confirm => panic!("a step of our own"),
    }
}

/// What lies between the services; none where the service itself refuses.
fn fault(end: End) -> Option<Fault> {
    match end {
        End::Refused => None,
        End::ErrorBefore | End::Away => Some(Fault::RefuseBefore),
        End::ErrorAfter => Some(Fault::ErrorAfter),
        End::TimeoutBefore => Some(Fault::HangBefore),
        End::TimeoutAfter => Some(Fault::HangAfter),
    }
}

fn expected(cell: Cell) -> Expected {
    let refusal = match cell.step {
        Step::Stock => ShopCode::GoodsNotEnough,
        Step::Coupon => ShopCode::CouponInvalid,
        _ => ShopCode::MoneyPaidInvalid,
    };
    let told = match (cell.end, cell.lasts) {
        (End::Refused, _) => Told::No(refusal),
        (_, Lasts::Once) => Told::Ok,
        (_, Lasts::All) => Told::No(ShopCode::OrderCancelled),
    };
    Expected { told, then: told }
}

/// What the step wants is not there.
async fn take_away(step: Step, world: &World) {
    match step {
        Step::Stock => execute(&world.schemas.goods, "UPDATE trade_goods SET goods_number = 1").await,
        Step::Coupon => {
            let spent = "UPDATE trade_coupon SET is_used = 1, order_id = 1, used_ms = 1";
            execute(&world.schemas.coupon, spent).await;
        }
        _ => execute(&world.schemas.user, "UPDATE trade_user SET user_money_fen = 2999").await,
    }
}

/// It is there again: the refusal must stand all the same.
async fn give_back(step: Step, world: &World) {
    match step {
        Step::Stock => execute(&world.schemas.goods, "UPDATE trade_goods SET goods_number = 10").await,
        Step::Coupon => {
            let unspent = "UPDATE trade_coupon SET is_used = 0, order_id = NULL, used_ms = NULL";
            execute(&world.schemas.coupon, unspent).await;
        }
        _ => {
            let back = "UPDATE trade_user SET user_money_fen = user_money_fen + 7001";
            execute(&world.schemas.user, back).await;
        }
    }
}
