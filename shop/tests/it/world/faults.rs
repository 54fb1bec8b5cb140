//! What goes wrong between the services: calls are refused, answers are lost, calls or answers come too late, calls
//! arrive twice. It lies inside of the deadline of a call, as a network does.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures::future::select;
use shop_testkit::eventually;
use tokio::sync::watch;
use tonic::Status;

use super::PATIENCE;

pub(crate) const CONFIRM: &str = "/shop.order.v1.OrderService/ConfirmOrder";
pub(crate) const STATES: &str = "/shop.order.v1.OrderStateService/GetStates";
pub(crate) const MARK: &str = "/shop.order.v1.OrderStateService/MarkPaid";
pub(crate) const MARK_REFUNDED: &str = "/shop.order.v1.OrderStateService/MarkRefunded";
pub(crate) const QUOTE: &str = "/shop.goods.v1.StockService/QuoteGoods";
pub(crate) const RESERVE: &str = "/shop.goods.v1.StockService/ReserveStock";
pub(crate) const RELEASE: &str = "/shop.goods.v1.StockService/ReleaseStock";
pub(crate) const REDEEM: &str = "/shop.coupon.v1.RedemptionService/RedeemCoupon";
pub(crate) const REINSTATE: &str = "/shop.coupon.v1.RedemptionService/ReinstateCoupon";
pub(crate) const DEBIT: &str = "/shop.user.v1.BalanceService/DebitBalance";
pub(crate) const REFUND: &str = "/shop.user.v1.BalanceService/RefundBalance";
pub(crate) const AWARD: &str = "/shop.user.v1.PointsService/AwardPoints";
pub(crate) const REVERSE: &str = "/shop.user.v1.PointsService/ReversePoints";
pub(crate) const PAY_STATES: &str = "/shop.pay.v1.PaymentStateService/GetStates";
pub(crate) const CLOSE_AT_CHANNEL: &str = "/shop.pay.v1.PaymentStateService/CloseAtChannel";
pub(crate) const REFUND_ORDER: &str = "/shop.pay.v1.PaymentStateService/RefundOrder";
pub(crate) const CLOSE: &str = "/shop.pay.v1.PaymentStateService/ClosePayments";

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never arrives, and its caller is told so.
    RefuseBefore,
    /// It runs; its caller is told that the service is away.
    ErrorAfter,
    /// It is held on its way until [`Faults::release`]; then it arrives, however late.
    HangBefore,
    /// It runs at once; its answer is held until [`Faults::release`].
    HangAfter,
}

/// Which calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// The next one.
    Next,
    /// All from now on.
    All,
}

/// The plan of what goes wrong.
#[derive(Debug)]
pub(crate) struct Faults {
    plan: Mutex<Plan>,
    gate: watch::Sender<u64>,
    copies: AtomicUsize,
    /// The crash points of the same process.
    #[cfg(debug_assertions)]
    pub(crate) points: Arc<super::points::Points>,
}

#[derive(Debug, Default)]
struct Plan {
    faults: HashMap<&'static str, (Fault, Calls)>,
    doubled: Vec<&'static str>,
    hanging: HashMap<String, usize>,
    arrived: HashMap<String, usize>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            plan: Mutex::default(),
            gate: watch::channel(0).0,
            copies: AtomicUsize::new(0),
            #[cfg(debug_assertions)]
            points: Arc::default(),
        }
    }
}

impl Faults {
    /// From now on this becomes of `calls` of `path`.
    pub(crate) fn on(&self, path: &'static str, calls: Calls, fault: Fault) {
        self.plan().faults.insert(path, (fault, calls));
    }

    /// The service behind `path` cannot be reached.
    pub(crate) fn away(&self, path: &'static str) {
        self.on(path, Calls::All, Fault::RefuseBefore);
    }

    /// Each call of these arrives twice, at once.
    pub(crate) fn double(&self, paths: &[&'static str]) {
        self.plan().doubled = paths.to_vec();
    }

    /// Lets go whatever is held.
    pub(crate) fn release(&self) {
        self.plan().hanging.clear();
        self.gate.send_modify(|turn| *turn += 1);
    }

    /// No more faults, and nothing is held; what is doubled stays so.
    pub(crate) fn heal(&self) {
        self.plan().faults.clear();
        self.release();
    }

    /// Waits until a call of `path` is held.
    pub(crate) async fn held(&self, path: &str) {
        let is_held = async || self.plan().hanging.get(path).is_some_and(|calls| *calls > 0);
        eventually(path, PATIENCE, is_held).await;
    }

    /// Waits until the second of every doubled call has been answered too.
    pub(crate) async fn all_answered(&self) {
        eventually("both are answered", PATIENCE, async || self.copies.load(Ordering::SeqCst) == 0).await;
    }

    /// How many calls of `path` were made.
    pub(crate) fn arrived(&self, path: &str) -> usize {
        self.plan().arrived.get(path).copied().unwrap_or_default()
    }

    /// What becomes of this call, and whether it arrives twice.
    fn decide(&self, path: &str) -> (Option<Fault>, bool) {
        let mut plan = self.plan();
        *plan.arrived.entry(path.to_owned()).or_default() += 1;
        let fault = plan.faults.get(path).copied();
        if matches!(fault, Some((_, Calls::Next))) {
            plan.faults.remove(path);
        }
        (fault.map(|(fault, _)| fault), plan.doubled.contains(&path))
    }

    async fn hang(&self, path: &str) {
        let mut turn = self.gate.subscribe();
        *self.plan().hanging.entry(path.to_owned()).or_default() += 1;
        turn.changed().await.expect("the gate is there as long as we are");
    }

    /// A crash point: whether the call succeeds.
    #[cfg(debug_assertions)]
    pub(super) async fn pass(&self, place: &str, what: &str) -> bool {
        self.points.pass(place, what).await
    }

    #[cfg(not(debug_assertions))]
    pub(super) async fn pass(&self, _: &str, _: &str) -> bool {
        true
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("nothing panics here")
    }
}

/// The layer between the services.
pub(super) async fn between(State(faults): State<Arc<Faults>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((&path, ""));
    if !faults.pass(service, &format!("{method} is called")).await {
        return away();
    }
    let (fault, doubled) = faults.decide(&path);
    match fault {
        Some(Fault::RefuseBefore) => return away(),
        Some(Fault::HangBefore) => faults.hang(&path).await,
        _ => {}
    }
    let answer = if doubled { twice(&faults, request, next).await } else { next.run(request).await };
    match fault {
        Some(Fault::ErrorAfter) => return away(),
        Some(Fault::HangAfter) => faults.hang(&path).await,
        _ => {}
    }
    if faults.pass(service, &format!("{method} has run")).await { answer } else { away() }
}

/// Both run to their end; the caller gets the answer that comes first.
async fn twice(faults: &Arc<Faults>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("the body of a call within one process");
    let copy = || {
        let copy = Request::from_parts(parts.clone(), Body::from(body.clone()));
        let (call, under_way) = (next.clone().run(copy), UnderWay::of(faults));
        tokio::spawn(async move {
            let answer = call.await;
            drop(under_way);
            answer
        })
    };
    select(copy(), copy()).await.into_inner().0.expect("no handler panics")
}

/// A doubled call under way.
struct UnderWay(Arc<Faults>);

impl UnderWay {
    fn of(faults: &Arc<Faults>) -> Self {
        faults.copies.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(faults))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.copies.fetch_sub(1, Ordering::SeqCst);
    }
}

/// As a transport says it, without details of the shop.
fn away() -> Response {
    Status::unavailable("fault").into_http()
}
