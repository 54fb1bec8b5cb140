//! Random sequences of what clients, buyers, the network, the broker and the clock do, against a small reference.
//!
//! The invariants hold after every step, and when everything has come to rest what is left is what the reference says.
//! `PROPTEST_CASES=1000` runs more; a sequence that fails is made small and kept beside this file.

mod reference;

use std::{env, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, FileFailurePersistence, TestRunner},
};
use shop::audit::Schemas;
use shop_common::mq::{Bus, memory::Faults as BusFaults};
use shop_proto::order::v1::{ConfirmOrderRequest, Order};
use shop_testkit::dump;
use tokio::{runtime::Runtime, task::JoinHandle};

use self::reference::{BUYERS, Placed, Reference};
use crate::world::{
    NO_LOOK, World,
    data::{BALANCE, DISCOUNT, GOODS, PRICE, STOCK, answered, line, plain},
    faults::{self, Calls, Fault},
};

const CASES: u32 = 40;
const STEPS: usize = 24;
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sequences/regressions.txt");
/// A call that is held on its way is waited for as long as the sequence likes.
const PATIENT: [(&str, &str); 2] = [("order.saga_deadline_s", "60"), ("order.step_timeout_ms", "30000")];

/// What happens next. Orders and payments are named by when they were made, counted round.
#[derive(Clone, Debug)]
enum Step {
    /// A buyer places an order.
    Confirm(Wish),
    /// The same, and one call of the saga arrives only when [`Step::Release`] lets it, or never.
    ConfirmLate(Wish),
    /// A client repeats the request of an order.
    Repeat(usize),
    /// The buyer cancels.
    Cancel(usize),
    /// The client makes a payment, and the buyer pays it.
    Pay(usize),
    /// The channel tells the shop what it has to tell.
    Notify,
    /// The relays send and the broker delivers.
    Deliver,
    /// The broker drops, doubles, reorders, delays or is away, in so many of a hundred cases.
    Broker(BusFaults),
    /// Something goes wrong with the next call of this path.
    Fault(&'static str, Fault),
    /// What was held on its way arrives.
    Release,
    /// Everything between the services works again.
    Heal,
    /// The process dies where it stands and is started again.
    Crash,
    /// Time goes by.
    Tick(u64),
    /// The sweepers do what is due.
    Sweep,
}

/// What a buyer orders.
#[derive(Clone, Copy, Debug)]
struct Wish {
    buyer: i64,
    quantity: i32,
    with_coupon: bool,
    balance_used: i64,
}

fn wish() -> impl Strategy<Value = Wish> {
    let balance = prop_oneof![Just(0), Just(1_000), Just(3_000)];
    (1..=BUYERS, 1..=3_i32, any::<bool>(), balance).prop_map(|(buyer, quantity, with_coupon, balance_used)| Wish {
        buyer,
        quantity,
        with_coupon,
        balance_used,
    })
}

fn moods() -> impl Strategy<Value = BusFaults> {
    let percent = || prop_oneof![3 => Just(0_u8), 1 => Just(50), 1 => Just(100)];
    (any::<u64>(), percent(), percent(), percent(), percent(), percent(), percent()).prop_map(
        |(seed, drop, duplicate, reorder, delay, fail, lost_ack)| BusFaults {
            seed,
            drop,
            duplicate,
            reorder,
            delay,
            fail,
            lost_ack,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let paths = prop::sample::select(vec![
        faults::RESERVE,
        faults::REDEEM,
        faults::DEBIT,
        faults::RELEASE,
        faults::REINSTATE,
        faults::REFUND,
        faults::AWARD,
        faults::REVERSE,
        faults::STATES,
        faults::MARK,
        faults::CLOSE,
    ]);
    let goes_wrong = (paths, prop_oneof![Just(Fault::RefuseBefore), Just(Fault::ErrorAfter)]);
    prop_oneof![
        6 => wish().prop_map(Step::Confirm),
        2 => wish().prop_map(Step::ConfirmLate),
        1 => any::<usize>().prop_map(Step::Repeat),
        3 => any::<usize>().prop_map(Step::Cancel),
        4 => any::<usize>().prop_map(Step::Pay),
        3 => Just(Step::Notify),
        3 => Just(Step::Deliver),
        2 => moods().prop_map(Step::Broker),
        3 => goes_wrong.prop_map(|(path, fault)| Step::Fault(path, fault)),
        2 => Just(Step::Release),
        1 => Just(Step::Heal),
        1 => Just(Step::Crash),
        3 => prop_oneof![Just(1), Just(10), Just(61), Just(600)].prop_map(Step::Tick),
        3 => Just(Step::Sweep),
    ]
}

/// A shop, what its clients know, and the saga that is held on its way.
struct Run {
    world: World,
    reference: Reference,
    late: Option<(usize, JoinHandle<Result<Order, tonic::Status>>)>,
    /// Whether anything may go wrong with the next order.
    has_faults: bool,
}

impl Run {
    async fn new() -> Self {
        let keys = [NO_LOOK, PATIENT[0], PATIENT[1]];
        let world = World::new(&keys).await;
        world.add_goods(GOODS, STOCK, PRICE).await;
        world.add_users(&(1..=BUYERS).collect::<Vec<_>>(), BALANCE).await;
        for buyer in 1..=BUYERS {
            world.add_coupon(buyer, buyer, DISCOUNT).await;
        }
        Self { world, reference: Reference::default(), late: None, has_faults: false }
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Confirm(wish) => self.confirm(wish).await,
            Step::ConfirmLate(wish) => self.confirm_late(wish).await,
            Step::Repeat(nth) => self.repeat(nth).await,
            Step::Cancel(nth) => self.cancel(nth).await,
            Step::Pay(nth) => self.pay(nth).await,
            Step::Notify => self.world.sandbox_notifies().await,
            Step::Deliver => drop(self.world.messages().await),
            Step::Broker(mood) => self.world.broker.set_faults(mood),
            Step::Fault(path, fault) => {
                self.world.faults.on(path, Calls::Next, fault);
                self.has_faults = true;
            }
            Step::Release => self.release().await,
            Step::Heal => self.heal().await,
            Step::Crash => self.crash().await,
            Step::Tick(seconds) => self.world.later(Duration::from_secs(seconds)),
            Step::Sweep => drop(self.world.sweep().await),
        }
    }

    fn place(&mut self, wish: Wish) -> (usize, ConfirmOrderRequest) {
        let nth = self.reference.place(Placed::of(wish.buyer, wish.quantity, wish.with_coupon, wish.balance_used));
        (nth, self.request(nth))
    }

    fn request(&self, nth: usize) -> ConfirmOrderRequest {
        let placed = &self.reference.placed[nth];
        ConfirmOrderRequest {
            coupon_id: placed.with_coupon.then_some(placed.buyer),
            balance_used_fen: placed.balance_used,
            ..plain(&format!("k{nth}"), placed.buyer, vec![line(GOODS, placed.quantity)])
        }
    }

    async fn confirm(&mut self, wish: Wish) {
        let expected = (!self.has_faults && self.late.is_none()).then(|| self.reference.foretell(&wish)).flatten();
        let (nth, request) = self.place(wish);
        let answer = self.world.confirm(request).await;
        if let Some(expected) = expected {
            assert_eq!(answer.is_ok(), expected, "{answer:?}");
        }
        self.reference.answered(nth, answer);
    }

    async fn confirm_late(&mut self, wish: Wish) {
        self.release().await;
        self.world.faults.on(faults::RESERVE, Calls::Next, Fault::HangBefore);
        let (nth, request) = self.place(wish);
        self.late = Some((nth, self.world.places(request)));
        self.world.faults.held(faults::RESERVE).await;
    }

    /// The same request gets the same answer, unless the order has ended since.
    async fn repeat(&mut self, nth: usize) {
        let late = self.late.as_ref().map(|(nth, _)| *nth);
        let Some(nth) = self.reference.any(nth).filter(|nth| Some(*nth) != late) else { return };
        let answer = self.world.confirm(self.request(nth)).await;
        self.reference.answered(nth, answer);
    }

    async fn cancel(&mut self, nth: usize) {
        let Some((nth, order)) = self.reference.any_order(nth) else { return };
        let answer = self.world.cancel(order.order_id, order.user_id).await;
        self.reference.cancelled(nth, &answer);
    }

    async fn pay(&mut self, nth: usize) {
        let Some((nth, order)) = self.reference.any_order(nth) else { return };
        let Ok(payment) = self.world.pay_for(&order).await else { return };
        self.world.buyer_pays(payment.pay_id).await;
        self.reference.paid(nth, payment.pay_id);
    }

    async fn release(&mut self) {
        self.world.faults.release();
        if let Some((nth, saga)) = self.late.take() {
            let answer = answered(saga.await);
            self.reference.answered(nth, answer);
        }
    }

    async fn heal(&mut self) {
        self.world.faults.heal();
        self.has_faults = false;
        self.release().await;
    }

    async fn crash(&mut self) {
        self.world.restart().await;
        self.has_faults = false;
        self.release().await;
    }

    /// Nothing goes wrong any more, and time goes by.
    async fn come_to_rest(&mut self) {
        self.world.broker.set_faults(BusFaults::default());
        self.heal().await;
        // One that had no broker at its start has joined no group.
        self.crash().await;
        self.world.sandbox_notifies().await;
        self.world.settle_everything().await;
        self.world.assert_clean("at rest").await;
        self.reference.check(&self.world).await;
        self.everything_again().await;
    }

    /// Every message there ever was comes once more, as from a broker whose offsets were lost. Who never heard of an
    /// order that was cancelled notes that now; a second time there is nothing left to note.
    async fn everything_again(&self) {
        self.publish_all_again().await;
        self.world.assert_clean("everything has come again").await;
        self.reference.check(&self.world).await;
        let before = rows(&self.world.schemas).await;
        self.publish_all_again().await;
        for (before, after) in before.into_iter().zip(rows(&self.world.schemas).await) {
            assert_eq!(before, after);
        }
    }

    /// Closes what a thousand sequences would keep open.
    async fn end(mut self) {
        self.world.kill().await;
        Box::pin(self.world.schemas.close()).await;
    }

    async fn publish_all_again(&self) {
        let stored = self.world.broker.publish(self.world.broker.published()).await;
        assert!(stored.iter().all(Result::is_ok), "{stored:?}");
        self.world.messages().await;
    }
}

async fn rows(schemas: &Schemas) -> [String; 5] {
    let Schemas { goods, coupon, user, order, pay } = schemas;
    [dump(goods).await, dump(coupon).await, dump(user).await, dump(order).await, dump(pay).await]
}

async fn run(steps: Vec<Step>) {
    let mut run = Run::new().await;
    for (number, step) in steps.iter().enumerate() {
        run.take(step).await;
        run.world.assert_sound(&format!("after step {number}: {step:?}")).await;
        run.reference.look(&run.world).await;
    }
    run.come_to_rest().await;
    run.end().await;
}

#[test]
fn whatever_happens_in_whatever_order_nothing_is_lost() {
    let cases = env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let kept = Box::new(FileFailurePersistence::Direct(KEPT));
    let config = Config { cases, failure_persistence: Some(kept), max_shrink_iters: 100, ..Config::default() };
    let sequences = prop::collection::vec(step(), 1..=STEPS);
    let outcome = TestRunner::new(config).run(&sequences, |steps| {
        Runtime::new().unwrap().block_on(run(steps));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
