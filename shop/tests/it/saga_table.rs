//! Every step of the saga × every way it can end (F42), each once more with every do and every undo doubled.
//!
//! A cell is one order on a shop of its own. Its client gets an answer of the right class; when everything is settled
//! the audit is clean, the order has all it asked for or nothing, and the same request gets the same answer.
//!
//! *stock*, *coupon* and *balance* are calls to another service: what goes wrong lies between the services. A single
//! fault is survived by asking again; one that stays (*all*) ends the order. *create* and *confirm* are transactions
//! of the order service itself; each of their cells says what stands for the fault.

mod local;
mod remote;

use std::{any::Any, fmt, future::ready, panic::AssertUnwindSafe};

use futures::{FutureExt, StreamExt, stream};
use shop_common::{
    code::{ShopCode, Verdict},
    mq::memory::Faults as BusFaults,
};
use shop_proto::order::v1::{Order, OrderStatus};

use crate::world::{
    Answer, NO_LOOK, World,
    data::{UNTOUCHED, order, taken_by},
    faults::{CONFIRM, DEBIT, REDEEM, REFUND, REINSTATE, RELEASE, RESERVE},
};

/// Cells at once: most of them wait.
const AT_ONCE: usize = 6;

/// A step of the saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Stock,
    Coupon,
    Balance,
    Confirm,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Refused,
    ErrorBefore,
    ErrorAfter,
    TimeoutBefore,
    TimeoutAfter,
    Away,
}

/// Whether the fault stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasts {
    Once,
    All,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    step: Step,
    end: End,
    lasts: Lasts,
    doubled: bool,
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The order is confirmed.
    Ok,
    /// A definite no, by this code.
    No(ShopCode),
    /// Nothing was done: ask again.
    Retry,
    /// Whether anything was done is not known: ask again under the same key.
    Unknown,
}

/// What a cell must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// At once.
    told: Told,
    /// To the same request, when everything is settled.
    then: Told,
}

const STEPS: [Step; 5] = [Step::Create, Step::Stock, Step::Coupon, Step::Balance, Step::Confirm];
const ENDS: [End; 6] =
    [End::Refused, End::ErrorBefore, End::ErrorAfter, End::TimeoutBefore, End::TimeoutAfter, End::Away];

#[tokio::test]
async fn every_step_ends_in_all_or_nothing() {
    let cells: Vec<Cell> = cells().collect();
    assert_eq!(cells.len(), 2 * (30 + 10), "thirty, and ten that last; each doubled");
    let failing = stream::iter(cells).map(run).buffer_unordered(AT_ONCE).filter_map(ready);
    let failed: Vec<String> = failing.collect().await;
    assert!(failed.is_empty(), "{} cells failed:\n{}", failed.len(), failed.join("\n"));
}

fn cells() -> impl Iterator<Item = Cell> {
    let of_step =
        |step| ENDS.into_iter().flat_map(move |end| lasting(step, end).iter().map(move |lasts| (step, end, *lasts)));
    STEPS
        .into_iter()
        .flat_map(of_step)
        .flat_map(|(step, end, lasts)| [false, true].map(|doubled| Cell { step, end, lasts, doubled }))
}

/// Whether a fault may be a single one, may stay, or both.
fn lasting(step: Step, end: End) -> &'static [Lasts] {
    match (step, end) {
        (_, End::Away) => &[Lasts::All],
        (Step::Stock | Step::Coupon | Step::Balance, End::ErrorAfter | End::TimeoutBefore | End::TimeoutAfter)
        | (Step::Confirm, End::ErrorBefore) => &[Lasts::Once, Lasts::All],
        _ => &[Lasts::Once],
    }
}

/// Why it failed, if it did.
async fn run(cell: Cell) -> Option<String> {
    let played = async {
        let (world, answer, expected) = match cell.step {
            Step::Create | Step::Confirm => local::play(cell).await,
            Step::Stock | Step::Coupon | Step::Balance => remote::play(cell).await,
        };
        judge(cell, &world, &answer, expected).await;
    };
    let panic = AssertUnwindSafe(played).catch_unwind().await.err()?;
    Some(format!("{cell}: {}", text(panic.as_ref())))
}

async fn judge(cell: Cell, world: &World, answer: &Answer<Order>, expected: Expected) {
    assert_eq!(told(answer), expected.told, "{cell}: the answer {answer:?}");
    world.settle_everything().await;
    world.assert_clean(&cell.to_string()).await;
    all_or_nothing(cell, world).await;

    let repeated = world.confirm(order("k")).await;
    assert_eq!(told(&repeated), expected.then, "{cell}: the repeat {repeated:?}");
    if let (Ok(first), Ok(second)) = (answer, &repeated) {
        assert_eq!(first.order_id, second.order_id, "{cell}");
    }
    world.settle_everything().await;
    world.assert_clean(&format!("{cell}, repeated")).await;
    all_or_nothing(cell, world).await;
    assert_eq!(world.look().await.spent_by.is_some(), expected.then == Told::Ok, "{cell}: what is left taken");
}

/// The order has stock, coupon and balance if it is confirmed; else nothing has been taken.
async fn all_or_nothing(cell: Cell, world: &World) {
    let look = world.look().await;
    let Some(order_id) = look.spent_by else {
        assert_eq!(look, UNTOUCHED, "{cell}");
        return;
    };
    assert_eq!(look, taken_by(order_id), "{cell}");
    assert_eq!(world.status(order_id).await, OrderStatus::Confirmed, "{cell}");
    assert_eq!(world.orders().await, 1, "{cell}");
}

fn told(answer: &Answer<Order>) -> Told {
    match answer {
        Ok(_) => Told::Ok,
        Err(error) => match error.verdict() {
            Verdict::Refused => Told::No(error.code),
            Verdict::Retry => Told::Retry,
            Verdict::Unknown => Told::Unknown,
            Verdict::Bug => panic!("{error}"),
        },
    }
}

/// What a panic said.
pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

impl Cell {
    /// The shop of this cell, stocked, with room for sagas of `deadline` seconds and steps of `step` milliseconds.
    async fn world(self, deadline: &str, step: &str) -> World {
        let keys = [NO_LOOK, ("order.saga_deadline_s", deadline), ("order.step_timeout_ms", step)];
        let world = World::new(&keys).await.stocked().await;
        if self.doubled {
            let calls = [RESERVE, RELEASE, REDEEM, REINSTATE, DEBIT, REFUND, CONFIRM];
            // A second request that waits for the first is told *in progress* before its time is up: another answer.
            let is_about_waiting = matches!(self.step, Step::Create | Step::Confirm) && self.end == End::TimeoutAfter;
            world.faults.double(if is_about_waiting { &calls[..6] } else { &calls });
            world.broker.set_faults(BusFaults { duplicate: 100, ..BusFaults::default() });
        } else {
            // Nothing but the sweeper gives back.
            world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
        }
        world
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, end, lasts, doubled } = self;
        write!(f, "{step:?} × {end:?} ({lasts:?}{})", if *doubled { ", doubled" } else { "" })
    }
}
