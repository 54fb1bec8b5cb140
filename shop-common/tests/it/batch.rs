//! The Batcher alone: what goes together, what is retried, what is never run.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use shop_common::{
    batch::{Batcher, Command, Limits, NotDone, Weight},
    db::Failure,
};
use tokio::{sync::Semaphore, time::Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    id: u32,
    weight: Weight,
}

impl Command for Number {
    fn weight(&self) -> Weight {
        self.weight
    }
}

fn number(id: u32) -> Number {
    Number { id, weight: Weight { rows: 1, bytes: 1 } }
}

fn heavy(id: u32, rows: usize, bytes: usize) -> Number {
    Number { id, weight: Weight { rows, bytes } }
}

/// Holds every body until it is let through, and keeps what each was given.
#[derive(Clone)]
struct Bodies {
    started: Arc<Semaphore>,
    gate: Arc<Semaphore>,
    seen: Arc<Mutex<Vec<Vec<u32>>>>,
}

type Answer = Result<Vec<u32>, Failure>;

/// The command that keeps the worker busy while others queue up.
const FIRST: u32 = 0;

impl Bodies {
    fn new() -> Self {
        Self { started: Arc::new(Semaphore::new(0)), gate: Arc::new(Semaphore::new(0)), seen: Arc::default() }
    }

    fn batcher(&self, limits: Limits, body: impl Fn(&[u32]) -> Answer + Send + Sync + 'static) -> Batcher<Number, u32> {
        let bodies = self.clone();
        let body = Arc::new(body);
        Batcher::new(limits, move |commands: Arc<[Number]>| -> BoxFuture<'static, Answer> {
            let ids: Vec<u32> = commands.iter().map(|command| command.id).collect();
            let (bodies, body) = (bodies.clone(), Arc::clone(&body));
            Box::pin(async move {
                bodies.seen.lock().unwrap().push(ids.clone());
                bodies.started.add_permits(1);
                bodies.gate.acquire().await.unwrap().forget();
                body(&ids)
            })
        })
    }

    async fn wait_for_a_start(&self) {
        self.started.acquire().await.unwrap().forget();
    }

    /// Lets this one and all later bodies through.
    fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    fn seen(&self) -> Vec<Vec<u32>> {
        self.seen.lock().unwrap().clone()
    }

    /// Runs `commands` while the worker is busy with [`FIRST`], so that they queue up; then lets everything through.
    async fn queue_up(&self, batcher: &Batcher<Number, u32>, commands: Vec<Number>) -> Vec<Result<u32, NotDone>> {
        let first = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.run(number(FIRST), None).await }
        });
        self.wait_for_a_start().await;
        let mut all = Box::pin(batcher.run_all(commands.into_iter().map(|command| (command, None))));
        assert!((&mut all).now_or_never().is_none(), "the worker is busy");
        self.open();
        first.await.unwrap().unwrap();
        all.await
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a body")]
fn echo(ids: &[u32]) -> Answer {
    Ok(ids.to_vec())
}

fn rollback<T>() -> Result<T, Failure> {
    Err(Failure::Rollback("poison".into()))
}

fn numbers(ids: impl IntoIterator<Item = u32>) -> Vec<Number> {
    ids.into_iter().map(number).collect()
}

fn unknown(outcome: &Result<u32, NotDone>, why: &str) -> bool {
    matches!(outcome, Err(NotDone::Unknown(text)) if text.contains(why))
}

#[tokio::test]
async fn what_queued_up_goes_together_and_each_gets_its_own_outcome() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), |ids| Ok(ids.iter().map(|id| id * 10).collect()));
    let outcomes = bodies.queue_up(&batcher, numbers(1..=5)).await;
    assert_eq!(outcomes, [10, 20, 30, 40, 50].map(Ok));
    assert_eq!(bodies.seen(), [vec![0], vec![1, 2, 3, 4, 5]]);
}

#[tokio::test]
async fn whoever_was_answered_has_a_place_in_the_next_batch() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), echo);
    let again = tokio::spawn({
        let batcher = batcher.clone();
        async move { (batcher.run(number(1), None).await, batcher.run(number(2), None).await) }
    });
    bodies.wait_for_a_start().await;
    let mut other = Box::pin(batcher.run(number(3), None));
    assert!((&mut other).now_or_never().is_none(), "the worker is busy");
    bodies.open();
    assert_eq!(again.await.unwrap(), (Ok(1), Ok(2)));
    assert_eq!(other.await, Ok(3));
    assert_eq!(bodies.seen(), [vec![1], vec![3, 2]]);
}

#[tokio::test]
async fn one_that_panics_fails_alone() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), |ids| {
        assert!(!ids.contains(&3), "three");
        echo(ids)
    });
    let outcomes = bodies.queue_up(&batcher, numbers(1..=4)).await;
    assert!(unknown(&outcomes[2], "panic"), "{outcomes:?}");
    assert_eq!([&outcomes[0], &outcomes[1], &outcomes[3]], [&Ok(1), &Ok(2), &Ok(4)]);
    assert_eq!(bodies.seen()[1..], [vec![1, 2, 3, 4], vec![1, 2, 3, 4], vec![1], vec![2], vec![3], vec![3], vec![4]]);
}

#[tokio::test]
async fn a_panic_before_the_first_await_is_one_too() {
    let batcher = Batcher::new(Limits::default(), |commands: Arc<[Number]>| {
        assert_ne!(commands[0].id, 1, "one");
        std::future::ready(Ok(vec![commands[0].id]))
    });
    assert!(unknown(&batcher.run(number(1), None).await, "panic"));
    assert_eq!(batcher.run(number(2), None).await, Ok(2), "the worker lives");
}

#[tokio::test]
async fn one_that_rolls_back_fails_alone() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), |ids| if ids.contains(&3) { rollback() } else { echo(ids) });
    let outcomes = bodies.queue_up(&batcher, numbers(1..=64)).await;
    assert!(unknown(&outcomes[2], "poison"), "{:?}", outcomes[2]);
    let others: Vec<u32> = outcomes.iter().flatten().copied().collect();
    assert_eq!(others, (1..=64).filter(|id| *id != 3).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_writer_who_was_faster_costs_one_more_try_of_the_whole() {
    let bodies = Bodies::new();
    let tries = AtomicUsize::new(0);
    let batcher = bodies.batcher(Limits::default(), move |ids| {
        if ids.len() > 1 && tries.fetch_add(1, Ordering::SeqCst) == 0 { rollback() } else { echo(ids) }
    });
    assert_eq!(bodies.queue_up(&batcher, numbers([1, 2])).await, [Ok(1), Ok(2)]);
    assert_eq!(bodies.seen(), [vec![0], vec![1, 2], vec![1, 2]]);
}

#[tokio::test]
async fn one_alone_is_tried_three_times() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), |ids| if ids.contains(&1) { rollback() } else { echo(ids) });
    let outcomes = bodies.queue_up(&batcher, numbers([1])).await;
    assert!(unknown(&outcomes[0], "poison"), "{outcomes:?}");
    assert_eq!(bodies.seen(), [vec![0], vec![1], vec![1], vec![1]]);
}

#[tokio::test]
async fn one_alone_may_lose_a_deadlock() {
    for (commands, deadlocks) in [(vec![1], 2), (vec![1, 2], 1)] {
        let bodies = Bodies::new();
        let lost = AtomicUsize::new(0);
        let batcher = bodies.batcher(Limits::default(), move |ids| match ids {
            [1] if lost.fetch_add(1, Ordering::SeqCst) < deadlocks => rollback(),
            [_] => echo(ids),
            _ => rollback(),
        });
        let outcomes = bodies.queue_up(&batcher, numbers(commands.clone())).await;
        assert_eq!(outcomes, commands.into_iter().map(Ok).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_could_not_begin_is_known_not_to_be_run() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), |ids| {
        if ids.contains(&1) { Err(Failure::NotRun("no connection".into())) } else { echo(ids) }
    });
    let outcomes = bodies.queue_up(&batcher, numbers(1..=2)).await;
    assert_eq!(outcomes, [Err(NotDone::Away("no connection".into())), Err(NotDone::Away("no connection".into()))]);
    assert_eq!(bodies.seen(), [vec![0], vec![1, 2]], "nor asked again");
}

#[tokio::test]
async fn a_database_that_is_away_is_not_asked_again() {
    let bodies = Bodies::new();
    let batcher = bodies
        .batcher(Limits::default(), |ids| if ids.contains(&1) { Err(Failure::Down("gone".into())) } else { echo(ids) });
    let outcomes = bodies.queue_up(&batcher, numbers(1..=4)).await;
    assert!(outcomes.iter().all(|outcome| unknown(outcome, "gone")), "{outcomes:?}");
    assert_eq!(bodies.seen(), [vec![0], vec![1, 2, 3, 4]]);
    assert_eq!(batcher.run(number(9), None).await, Ok(9), "the next batch asks");
}

#[tokio::test]
async fn a_database_that_goes_away_half_way_is_not_asked_again() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), |ids| match ids {
        [2] => Err(Failure::Down("gone".into())),
        [_] => echo(ids),
        _ => rollback(),
    });
    let outcomes = bodies.queue_up(&batcher, numbers(1..=4)).await;
    assert_eq!(outcomes[0], Ok(1));
    assert!(outcomes[1..].iter().all(|outcome| unknown(outcome, "gone")), "{outcomes:?}");
    assert_eq!(bodies.seen()[3..], [vec![1], vec![2]]);
}

#[tokio::test]
async fn a_wrong_number_of_outcomes_is_nobodys_outcome() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), |ids| match ids {
        [1] => Ok(vec![1, 1]),
        [2] => Ok(Vec::new()),
        [_, _, ..] => Ok(ids[1..].to_vec()),
        _ => echo(ids),
    });
    let outcomes = bodies.queue_up(&batcher, numbers(1..=3)).await;
    assert!(unknown(&outcomes[0], "2 outcomes for 1"), "{outcomes:?}");
    assert!(unknown(&outcomes[1], "0 outcomes for 1"), "{outcomes:?}");
    assert_eq!(outcomes[2], Ok(3));
}

#[tokio::test]
async fn a_body_that_hangs_is_ended_and_the_next_one_runs() {
    struct Ended(Arc<AtomicUsize>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ended);
    let limits = Limits { body_ms: 30, ..Limits::default() };
    let batcher = Batcher::new(limits, move |commands: Arc<[Number]>| {
        let guard = Ended(Arc::clone(&counter));
        async move {
            if commands[0].id == 1 {
                std::future::pending::<()>().await;
            }
            drop(guard);
            Ok(vec![commands[0].id])
        }
    });
    let hung = batcher.run(number(1), None).await;
    assert!(unknown(&hung, "too long"), "{hung:?}");
    assert_eq!(batcher.run(number(2), None).await, Ok(2));
    assert_eq!(ended.load(Ordering::SeqCst), 2, "the hanging body was dropped, not left behind, nor run again");
}

#[tokio::test]
async fn a_full_queue_is_busy() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits { queue: 64, ..Limits::default() }, echo);
    let outcomes = bodies.queue_up(&batcher, numbers(1..=200)).await;
    let busy = outcomes.iter().filter(|outcome| **outcome == Err(NotDone::Busy)).count();
    let done: Vec<u32> = outcomes.iter().flatten().copied().collect();
    assert_eq!((busy, done), (136, (1..=64).collect()));
    assert_eq!(bodies.seen()[1..].concat(), (1..=64).collect::<Vec<_>>(), "who was told busy was not run");
}

#[tokio::test]
async fn limits_of_nothing_still_let_one_through() {
    let nothing = Limits { queue: 0, commands: 0, rows: 0, bytes: 0, in_flight: 0, ..Limits::default() };
    let batcher =
        Batcher::new(nothing, |commands: Arc<[Number]>| async move { Ok(vec![commands[0].id; commands.len()]) });
    assert_eq!(batcher.run(number(1), None).await, Ok(1));
    assert_eq!(batcher.run(number(2), None).await, Ok(2));
}

#[tokio::test]
async fn what_expired_in_the_queue_is_not_run() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), echo);
    let first = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.run(number(FIRST), None).await }
    });
    bodies.wait_for_a_start().await;
    let deadline = Instant::now() + Duration::from_millis(20);
    let (expired, patient, forever) = (
        batcher.run(number(1), Some(deadline)),
        batcher.run(number(2), Some(deadline + Duration::from_secs(60))),
        batcher.run(number(3), None),
    );
    let mut others = Box::pin(futures::future::join(patient, forever));
    let mut expired = Box::pin(expired);
    assert!((&mut expired).now_or_never().is_none() && (&mut others).now_or_never().is_none());
    let expired = expired.await;
    assert!(matches!(expired, Err(NotDone::Expired)) || unknown(&expired, "deadline"), "{expired:?}");
    bodies.open();
    first.await.unwrap().unwrap();
    assert_eq!(others.await, (Ok(2), Ok(3)));
    assert_eq!(bodies.seen(), [vec![0], vec![2, 3]]);
}

#[tokio::test]
async fn what_expired_before_its_turn_alone_is_not_run() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), |ids| match ids {
        [1] => {
            std::thread::sleep(Duration::from_millis(60));
            echo(ids)
        }
        [_] => echo(ids),
        _ => rollback(),
    });
    let first = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.run(number(FIRST), None).await }
    });
    bodies.wait_for_a_start().await;
    let deadline = Instant::now() + Duration::from_millis(40);
    let commands = [(number(1), None), (number(2), Some(deadline)), (number(3), None)];
    let mut all = Box::pin(batcher.run_all(commands));
    assert!((&mut all).now_or_never().is_none());
    bodies.open();
    first.await.unwrap().unwrap();
    let outcomes = all.await;
    assert!(outcomes[1] == Err(NotDone::Expired) || unknown(&outcomes[1], "deadline"), "{outcomes:?}");
    assert_eq!((&outcomes[0], &outcomes[2]), (&Ok(1), &Ok(3)));
    assert_eq!(bodies.seen()[3..], [vec![1], vec![3]]);
}

#[tokio::test]
async fn a_caller_whose_deadline_passes_meanwhile_does_not_know() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), echo);
    let outcome = batcher.run(number(1), Some(Instant::now() + Duration::from_millis(20))).await;
    assert!(unknown(&outcome, "deadline"), "{outcome:?}");
    bodies.open();
    assert_eq!(batcher.run(number(2), None).await, Ok(2));
    assert_eq!(bodies.seen(), [vec![1], vec![2]], "the body went on");
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_stop_his_command() {
    let bodies = Bodies::new();
    let batcher = bodies.batcher(Limits::default(), echo);
    let first = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.run(number(FIRST), None).await }
    });
    bodies.wait_for_a_start().await;
    let mut leaving = Box::pin(batcher.run(number(1), None));
    assert!((&mut leaving).now_or_never().is_none());
    drop(leaving);
    first.abort();
    bodies.open();
    assert_eq!(batcher.run(number(2), None).await, Ok(2));
    assert_eq!(bodies.seen(), [vec![0], vec![1, 2]]);
}

#[tokio::test]
async fn the_last_clone_leaves_when_the_queue_is_empty() {
    let bodies = Bodies::new();
    let alive = Arc::new(());
    let watch = Arc::downgrade(&alive);
    let batcher = bodies.batcher(Limits::default(), move |ids| {
        assert_eq!(Arc::strong_count(&alive), 1);
        echo(ids)
    });
    let outcomes = tokio::spawn({
        let (bodies, batcher) = (bodies.clone(), batcher.clone());
        async move { bodies.queue_up(&batcher, numbers([1, 2])).await }
    });
    drop(batcher);
    assert_eq!(outcomes.await.unwrap(), [Ok(1), Ok(2)], "what was queued is still run");
    shop_testkit::eventually("the worker ends", Duration::from_secs(10), async || watch.upgrade().is_none()).await;
}

#[tokio::test]
async fn a_batch_keeps_to_its_weights() {
    for (limits, weight, batches) in [
        (Limits { commands: 3, ..Limits::default() }, (1, 1), vec![3, 3, 1]),
        (Limits { rows: 10, ..Limits::default() }, (4, 1), vec![2, 2, 2, 1]),
        (Limits { rows: 8, ..Limits::default() }, (4, 1), vec![2, 2, 2, 1]),
        (Limits { bytes: 100, ..Limits::default() }, (1, 30), vec![3, 3, 1]),
        (Limits { rows: 10, ..Limits::default() }, (11, 1), vec![1; 7]),
        (Limits::default(), (1, 1), vec![7]),
    ] {
        let bodies = Bodies::new();
        let batcher = bodies.batcher(limits, echo);
        let commands = (1..=7).map(|id| heavy(id, weight.0, weight.1)).collect();
        assert_eq!(bodies.queue_up(&batcher, commands).await, (1..=7).map(Ok).collect::<Vec<_>>());
        let lengths: Vec<usize> = bodies.seen()[1..].iter().map(Vec::len).collect();
        assert_eq!(lengths, batches, "{limits:?} {weight:?}");
        assert_eq!(bodies.seen()[1..].concat(), (1..=7).collect::<Vec<_>>(), "in queue order");
    }
}

#[tokio::test]
async fn transactions_run_one_at_a_time_and_calls_side_by_side() {
    for (in_flight, at_once) in [(1, 1), (3, 3)] {
        let bodies = Bodies::new();
        let batcher = bodies.batcher(Limits { in_flight, commands: 1, ..Limits::default() }, echo);
        let mut all = Box::pin(batcher.run_all(numbers(1..=5).into_iter().map(|command| (command, None))));
        assert!((&mut all).now_or_never().is_none());
        for _ in 0..at_once {
            bodies.wait_for_a_start().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bodies.seen().len(), at_once, "no more than {in_flight} at once");
        bodies.open();
        assert_eq!(all.await, [1, 2, 3, 4, 5].map(Ok));
    }
}

#[tokio::test]
async fn answers_stand_in_the_order_of_the_commands() {
    let batcher =
        Batcher::new(Limits { in_flight: 4, commands: 1, ..Limits::default() }, |commands: Arc<[Number]>| async move {
            for _ in 0..(10 - commands[0].id) {
                tokio::task::yield_now().await;
            }
            Ok(vec![commands[0].id])
        });
    let outcomes = batcher.run_all(numbers(1..=9).into_iter().map(|command| (command, None))).await;
    assert_eq!(outcomes, (1..=9).map(Ok).collect::<Vec<_>>());
}
