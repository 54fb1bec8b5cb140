//! Transactions of the order service itself.

use std::time::Duration;

use shop_common::code::ShopCode;
use shop_proto::order::v1::{Order, OrderStatus};
use shop_testkit::eventually;

use super::{Cell, End, Expected, Lasts, Step, Told};
use crate::world::{
    Answer, PATIENCE, World,
    data::{UNTOUCHED, USER, allow, answered, forbid, order, taken_by},
    faults::{CONFIRM, Calls, DEBIT, Fault, REDEEM, RESERVE},
};

const DOS: [&str; 3] = [RESERVE, REDEEM, DEBIT];
const CANCELLED: Told = Told::No(ShopCode::OrderCancelled);
/// Longest a client waits where the answer must come too late.
const SHORT: Duration = Duration::from_millis(1_500);

type Played = (World, Answer<Order>, Expected);

/// Plays the cell up to its client's answer.
pub(super) async fn play(cell: Cell) -> Played {
    let deadline = match (cell.step, cell.end, cell.lasts) {
        (_, End::TimeoutBefore, _) | (Step::Confirm, End::Away, _) | (_, End::ErrorBefore, Lasts::All) => "2",
        _ => "30",
    };
    // Asked but once, the last step answers with what it did before it was undone.
    let step = if (cell.step, cell.end) == (Step::Confirm, End::Refused) { "30000" } else { "400" };
    let world = cell.world(deadline, step).await;
    match (cell.step, cell.end) {
        (Step::Create, End::Refused) => refused_to_create(world).await,
        (Step::Create, End::ErrorBefore) => not_created(world).await,
        (Step::Create, End::ErrorAfter) => died_after_create(world).await,
        (Step::Create, End::TimeoutBefore) => created_too_late(world).await,
        (Step::Create, End::TimeoutAfter) => created_and_nothing_heard(world).await,
        (Step::Create, End::Away) => no_database_to_create(world).await,
        (_, End::Refused) => too_late_to_confirm(world).await,
        (_, End::ErrorBefore) => not_confirmed(world, cell.lasts).await,
        (_, End::ErrorAfter) => died_after_confirm(world).await,
        (_, End::TimeoutBefore) => confirmed_too_late(world).await,
        (_, End::TimeoutAfter) => confirmed_and_nothing_heard(world).await,
        (_, End::Away) => no_database_to_confirm(world).await,
    }
}

/// No order is made of what the shop does not charge; the key stays free.
async fn refused_to_create(world: World) -> Played {
    let mut cheap = order("k");
    cheap.items[0].expected_price_fen = Some(1);
    let answer = world.confirm(cheap).await;
    assert_eq!(world.orders().await, 0);
    (world, answer, Expected { told: Told::No(ShopCode::GoodsPriceInvalid), then: Told::Ok })
}

/// The database refuses the row, however often it is tried.
async fn not_created(world: World) -> Played {
    forbid(&world.schemas.order, "INSERT", "1").await;
    let answer = world.confirm(order("k")).await;
    world.faults.all_answered().await;
    allow(&world.schemas.order).await;
    assert_eq!(world.orders().await, 0);
    (world, answer, Expected { told: Told::Unknown, then: Told::Ok })
}

/// The process dies between the commit and the first call (F02), so nobody sees the answer to the commit.
async fn died_after_create(mut world: World) -> Played {
    hang_all(&world);
    let lost = world.places(order("k"));
    for path in DOS {
        world.faults.held(path).await;
    }
    world.restart().await;
    let answer = answered(lost.await);
    let repeat = world.confirm_within(order("k"), Duration::from_millis(300)).await;
    assert_eq!(super::told(&repeat), Told::Retry, "it may still run elsewhere: {repeat:?}");
    (world, answer, Expected { told: Told::Unknown, then: CANCELLED })
}

/// Somebody else has the database for longer than the saga has; the row is written when its saga is over.
async fn created_too_late(world: World) -> Played {
    let locked = world.lock_orders().await;
    let answer = world.confirm(order("k")).await;
    assert_eq!(world.orders().await, 0);
    locked.unlock().await;
    eventually("the late row", PATIENCE, async || world.orders().await == 1).await;
    (world, answer, Expected { told: Told::Unknown, then: CANCELLED })
}

/// The row is written, but nothing follows within the time of the caller. Its saga goes on by itself.
async fn created_and_nothing_heard(world: World) -> Played {
    hang_all(&world);
    let answer = world.confirm_within(order("k"), SHORT).await;
    let order_id = world.order_under("k").await;
    assert_eq!(world.status(order_id).await, OrderStatus::Unconfirmed);
    world.faults.heal();
    becomes(&world, order_id, OrderStatus::Confirmed).await;
    (world, answer, Expected { told: Told::Unknown, then: Told::Ok })
}

/// The process has lost the database of the orders.
async fn no_database_to_create(mut world: World) -> Played {
    world.lose_orders().await;
    let answer = world.confirm(order("k")).await;
    world.restart().await;
    assert_eq!(world.orders().await, 0);
    (world, answer, Expected { told: Told::Retry, then: Told::Ok })
}

/// The buyer cancels and gets everything back while the answer of the last step is under way: there is nothing left to
/// confirm, although every step has said *done*.
async fn too_late_to_confirm(world: World) -> Played {
    let placing = at_the_last_step(&world).await;
    let order_id = world.order_under("k").await;
    world.cancel(order_id, USER).await.unwrap();
    world.later(Duration::from_secs(2));
    world.sweep().await;
    assert_eq!(world.look().await, UNTOUCHED);
    world.faults.heal();
    (world, answered(placing.await), Expected { told: CANCELLED, then: CANCELLED })
}

/// The database refuses the change; once for a while, once for longer than the saga has.
async fn not_confirmed(world: World, lasts: Lasts) -> Played {
    forbid(&world.schemas.order, "UPDATE", "NEW.order_status = 1").await;
    if lasts == Lasts::All {
        let answer = world.confirm(order("k")).await;
        allow(&world.schemas.order).await;
        return (world, answer, Expected { told: Told::Unknown, then: CANCELLED });
    }
    let placing = at_the_last_step(&world).await;
    world.faults.heal();
    // Long enough for the first try to fail; a trigger cannot say when it was met.
    tokio::time::sleep(Duration::from_millis(300)).await;
    allow(&world.schemas.order).await;
    (world, answered(placing.await), Expected { told: Told::Ok, then: Told::Ok })
}

/// The process dies after the commit, before the answer has left it (F07).
async fn died_after_confirm(mut world: World) -> Played {
    world.faults.on(CONFIRM, Calls::All, Fault::HangAfter);
    let lost = world.places(order("k"));
    world.faults.held(CONFIRM).await;
    let order_id = world.order_under("k").await;
    assert_eq!(world.status(order_id).await, OrderStatus::Confirmed);
    world.restart().await;
    (world, answered(lost.await), Expected { told: Told::Unknown, then: Told::Ok })
}

/// Somebody else has the database for longer than the saga has; the order is confirmed when its saga is over.
async fn confirmed_too_late(world: World) -> Played {
    let placing = at_the_last_step(&world).await;
    let locked = world.lock_orders().await;
    world.faults.heal();
    let answer = answered(placing.await);
    let order_id = world.order_under("k").await;
    assert_eq!(world.status(order_id).await, OrderStatus::Unconfirmed);
    locked.unlock().await;
    becomes(&world, order_id, OrderStatus::Confirmed).await;
    (world, answer, Expected { told: Told::Unknown, then: Told::Ok })
}

/// The order is confirmed, the answer comes after the deadline of the caller.
async fn confirmed_and_nothing_heard(world: World) -> Played {
    world.faults.on(CONFIRM, Calls::Next, Fault::HangAfter);
    let answer = world.confirm_within(order("k"), SHORT).await;
    world.faults.held(CONFIRM).await;
    becomes(&world, world.order_under("k").await, OrderStatus::Confirmed).await;
    world.faults.heal();
    (world, answer, Expected { told: Told::Unknown, then: Told::Ok })
}

/// The process loses the database of the orders when everything is taken. Whoever asks again elsewhere may find the
/// order confirmed or cancelled, so the answer must not be that nothing was done.
async fn no_database_to_confirm(mut world: World) -> Played {
    let placing = at_the_last_step(&world).await;
    world.lose_orders().await;
    world.faults.heal();
    let answer = answered(placing.await);
    world.restart().await;
    (world, answer, Expected { told: Told::Unknown, then: CANCELLED })
}

/// No step gets anywhere.
fn hang_all(world: &World) {
    for path in DOS {
        world.faults.on(path, Calls::All, Fault::HangBefore);
    }
}

/// A saga that has all it wants but has not heard so of the balance.
async fn at_the_last_step(world: &World) -> tokio::task::JoinHandle<Result<Order, tonic::Status>> {
    world.faults.on(DEBIT, Calls::All, Fault::HangAfter);
    let placing = world.places(order("k"));
    world.faults.held(DEBIT).await;
    let order_id = world.order_under("k").await;
    let taken = async || world.look().await == taken_by(order_id);
    eventually("everything is taken", PATIENCE, taken).await;
    placing
}

async fn becomes(world: &World, order_id: i64, status: OrderStatus) {
    eventually("its saga ends", PATIENCE, async || world.status(order_id).await == status).await;
}
