//! Crash points: every call that leaves a process (to a database, to another service, to the broker) and everything it
//! is told, counted in the order they come. At the n-th the process ends, or the call fails.

use std::{
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use shop_common::{
    db::{Db, Step, Watch},
    mq::{Handler, NotHandled},
};
use tokio::sync::watch;

/// What happens at the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The process ends: nothing of it takes effect from there on.
    Kill,
    /// The call fails.
    Once,
    /// So does every call after it to the same place, until [`Points::disarm`].
    ForLong,
}

/// The points of one process, restarts included.
#[derive(Debug)]
pub(crate) struct Points {
    plan: Mutex<Plan>,
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Plan {
    at: Option<(Mode, usize)>,
    is_ended: bool,
    /// Whatever is asked of it fails.
    away: Option<String>,
    trail: Vec<String>,
}

enum Fate {
    Passes,
    Fails,
    Ends,
}

impl Default for Points {
    fn default() -> Self {
        Self { plan: Mutex::default(), ended: watch::channel(false).0 }
    }
}

impl Points {
    /// From now on points are counted; what `mode` says happens at the `n`-th.
    pub(crate) fn arm(&self, mode: Mode, n: usize) {
        *self.plan() = Plan { at: Some((mode, n)), ..Plan::default() };
        self.ended.send_replace(false);
    }

    /// No point is counted any more, and nothing happens at any; the points that were passed, the last one being that at
    /// which it happened, if it did.
    pub(crate) fn disarm(&self) -> Vec<String> {
        std::mem::take(&mut *self.plan()).trail
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        ended.wait_for(|ended| *ended).await.expect("the sender is here");
    }

    /// Whether the call succeeds; never answers in a process that has ended.
    pub(super) async fn pass(&self, place: &str, what: &str) -> bool {
        match self.decide(place, what) {
            Fate::Passes => true,
            Fate::Fails => false,
            Fate::Ends => pending().await,
        }
    }

    /// `handler` with a point before and one after it.
    pub(super) fn around(self: &Arc<Self>, group: String, handler: Handler) -> Handler {
        let points = Arc::clone(self);
        Arc::new(move |messages| {
            let (points, group, handler) = (Arc::clone(&points), group.clone(), Arc::clone(&handler));
            Box::pin(async move {
                if !points.pass(&group, "delivery").await {
                    return Err(NotHandled::all("failed by a test"));
                }
                let handled = handler(messages).await;
                if points.pass(&group, "delivered").await { handled } else { Err(NotHandled::all("failed by a test")) }
            })
        })
    }

    /// `db` with its points; `gone` is a database that was closed.
    pub(super) fn watch(self: &Arc<Self>, service: &'static str, db: Db, gone: &Db) -> Db {
        db.watched(Arc::new(Watched { service, points: Arc::clone(self) }), gone)
    }

    fn decide(&self, place: &str, what: &str) -> Fate {
        let mut plan = self.plan();
        if plan.is_ended {
            return Fate::Ends;
        }
        let Some((mode, n)) = plan.at else { return Fate::Passes };
        if plan.trail.len() >= n {
            return if plan.away.as_deref() == Some(place) { Fate::Fails } else { Fate::Passes };
        }
        plan.trail.push(format!("{place}: {what}"));
        if plan.trail.len() < n {
            return Fate::Passes;
        }
        match mode {
            Mode::Kill => {
                plan.is_ended = true;
                self.ended.send_replace(true);
                return Fate::Ends;
            }
            Mode::Once => {}
            Mode::ForLong => plan.away = Some(place.to_owned()),
        }
        Fate::Fails
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("nothing panics here")
    }
}

#[derive(Debug)]
struct Watched {
    service: &'static str,
    points: Arc<Points>,
}

#[async_trait]
impl Watch for Watched {
    async fn passes(&self, step: Step) -> bool {
        self.points.pass(self.service, &format!("{step:?}")).await
    }

    /// A read changes nothing, so ending there is ending at the point before; and what has ended does nothing with what
    /// it reads.
    fn reads(&self) -> bool {
        let is_killed = self.points.plan().at.is_some_and(|(mode, _)| mode == Mode::Kill);
        is_killed || !matches!(self.points.decide(self.service, "Read"), Fate::Fails)
    }
}
