//! The process is killed at every call that leaves it, one after the other, until a run ends untouched; then every call
//! fails once, then for as long as the client has anything to say. Afterwards the audit is clean and what the client was
//! told holds (H1 to H10).
//!
//! A point is a step of a transaction (before it begins, before COMMIT, between COMMIT and its answer), a read (which can
//! fail, but is no place to die: nothing has changed since the point before), a call to a service before it arrives and
//! before its answer does, messages before and after the broker has them, a delivery before and after it is handled. What
//! runs at the same time is counted as it comes, so the n-th of one run is not exactly that of another.
//!
//! Each run goes through a share of the points, a different one for each mode: every third, unless `SHOP_CRASH_STRIDE`
//! says otherwise (1 is all of them). `SHOP_CRASH_POINT='pay kill 17'` plays one.

mod flow;

use std::{env, future::ready, panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt, StreamExt, stream};

use self::flow::{Client, Flow};
use crate::{
    saga_table::text,
    world::{World, points::Mode, stage::Stage},
};

/// A run goes through one point of so many.
const STRIDE: usize = 3;
/// Cases at once: much of each is waiting.
const AT_ONCE: usize = 2;
/// More points than any flow has.
const NEVER: usize = usize::MAX;
/// What a flow has at the least of each kind: a hook that fell off is noticed.
const KINDS: [(&str, usize); 8] = [
    (": Begin", 3),
    (": Commit", 3),
    (": Committed", 3),
    (": Read", 3),
    ("is called", 3),
    ("has run", 3),
    ("broker: publish", 1),
    (": delivery", 1),
];

/// One run.
#[derive(Clone, Copy, Debug)]
struct Case {
    flow: Flow,
    mode: Mode,
    n: usize,
}

/// How a run ended.
struct Played {
    /// The points it passed, up to the one at which it happened.
    trail: Vec<String>,
    /// Whether it did.
    is_touched: bool,
}

#[tokio::test]
async fn an_order_is_placed_whole_or_not_at_all() {
    every_point_of(Flow::Confirm).await;
}

#[tokio::test]
async fn a_refused_order_leaves_nothing_taken() {
    every_point_of(Flow::Refuse).await;
}

#[tokio::test]
async fn a_cancelled_order_goes_back_once() {
    every_point_of(Flow::Cancel).await;
}

#[tokio::test]
async fn a_payment_counts_once() {
    every_point_of(Flow::Pay).await;
}

#[tokio::test]
async fn a_refund_goes_back_once() {
    every_point_of(Flow::Refund).await;
}

#[tokio::test]
async fn an_unpaid_order_ends_whole() {
    every_point_of(Flow::TimeOut).await;
}

async fn every_point_of(flow: Flow) {
    let chosen = env::var("SHOP_CRASH_POINT").ok();
    if chosen.as_deref().is_some_and(|chosen| !chosen.starts_with(flow.name())) {
        return;
    }
    let stage = flow.stage().await;
    if let Some(chosen) = chosen {
        let case = Case::read(flow, &chosen);
        let played = case.play(&stage).await;
        println!("{case}, touched: {}\n{}", played.is_touched, numbered(&played.trail));
        return;
    }
    let whole = Case { flow, mode: Mode::Once, n: NEVER }.play(&stage).await;
    // Nobody listens to what is only confirmed.
    let kinds = if flow == Flow::Confirm { &KINDS[..KINDS.len() - 1] } else { &KINDS[..] };
    for (kind, least) in kinds {
        let found = whole.trail.iter().filter(|point| point.contains(kind)).count();
        assert!(found >= *least, "{}: {found} of {kind}\n{}", flow.name(), numbered(&whole.trail));
    }
    for mode in [Mode::Kill, Mode::Once, Mode::ForLong] {
        every_point(flow, mode, &stage).await;
    }
}

async fn every_point(flow: Flow, mode: Mode, stage: &Stage) {
    let stride = env::var("SHOP_CRASH_STRIDE").map_or(STRIDE, |stride| stride.parse().unwrap());
    let points = Case { flow, mode, n: NEVER }.play(stage).await.trail.len();
    let first = 1 + mode.offset() % stride;
    let cases = (first..=points).step_by(stride).map(|n| Case { flow, mode, n });
    let failing = stream::iter(cases).map(|case| case.failure(stage)).buffer_unordered(AT_ONCE).filter_map(ready);
    let mut failed: Vec<String> = failing.collect().await;
    // Another run may have more points.
    let mut n = points + 1;
    while (Case { flow, mode, n }).play(stage).await.is_touched {
        n += 1;
    }
    println!("{} {mode}: {} points, every {stride}th", flow.name(), n - 1);
    failed.sort_unstable();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

impl Case {
    /// Why it failed, if it did.
    async fn failure(self, stage: &Stage) -> Option<String> {
        let panic = AssertUnwindSafe(self.play(stage)).catch_unwind().await.err()?;
        Some(format!("SHOP_CRASH_POINT='{self}': {}", text(panic.as_ref())))
    }

    async fn play(self, stage: &Stage) -> Played {
        let mut world = stage.play(&flow::keys(self.flow, self.mode)).await;
        let mut client = Client::default();
        world.faults.points.arm(self.mode, self.n);
        let played = tokio::select! {
            biased;
            () = world.faults.points.ended() => None,
            () = self.flow.play(&world, &mut client) => Some(()),
        };
        let before = self.flow.status(&world).await;
        if played.is_none() {
            world.kill().await;
        }
        let trail = world.faults.points.disarm();
        if played.is_none() {
            world.restart().await;
        }
        let played = Played { is_touched: trail.len() >= self.n, trail };
        let what = format!("{self} ({})", played.trail.last().map_or("no point", String::as_str));
        self.recover(&world, &mut client, &what).await;
        let after = self.flow.status(&world).await;
        assert!(after >= before, "{what}: an order went from {before:?} back to {after:?}");
        self.flow.check_end(&world, &client, played.is_touched, &what).await;
        world.end().await;
        played
    }

    /// Sweepers and messages finish what was left; half of the clients ask again at once, all when that is over.
    async fn recover(self, world: &World, client: &mut Client, what: &str) {
        if self.n % 2 == 1 {
            self.flow.ask(world, client, Duration::from_millis(300)).await;
        }
        // What was claimed when it happened comes up again.
        world.later(flow::ROUND);
        world.settle_everything().await;
        world.assert_clean(what).await;
        self.flow.check(world, client, what).await;
        self.flow.ask(world, client, Duration::from_secs(60)).await;
        world.settle_everything().await;
        world.assert_clean(&format!("{what}, asked again")).await;
    }

    /// As [`Display`](std::fmt::Display) writes it.
    fn read(flow: Flow, text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mode = [Mode::Kill, Mode::Once, Mode::ForLong].into_iter().find(|mode| mode.to_string() == words[1]);
        Self { flow, mode: mode.expect("kill, once or long"), n: words[2].parse().unwrap() }
    }
}

impl Mode {
    /// Where the share of this mode begins.
    const fn offset(self) -> usize {
        match self {
            Self::Kill => 0,
            Self::Once => 1,
            Self::ForLong => 2,
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Once => "once",
            Self::ForLong => "long",
        })
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.flow.name(), self.mode, self.n)
    }
}

fn numbered(trail: &[String]) -> String {
    let lines: Vec<String> = trail.iter().zip(1..).map(|(point, n)| format!("{n:4} {point}")).collect();
    lines.join("\n")
}
