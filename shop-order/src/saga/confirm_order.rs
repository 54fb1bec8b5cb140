//! The saga on one screen: price, write the order, take stock, coupon and balance, confirm; or give everything back.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::future::{Either, select};
use shop_common::{
    code::{ShopCode, Verdict},
    db::Db,
    deadline,
    error::{Result, ShopError},
    id::{Generator, OrderId},
    link::call,
    lookup::Lookup,
    money::Fen,
    time::{Clock, Millis},
    trace::TraceParent,
};
use shop_proto::coupon::v1::GetCouponRequest;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::participants::{Participants, Step};
use crate::{
    config::Config,
    order::{Cause, Confirmed},
    pricing::{self, CouponFacts, Facts, Priced, Wanted},
    store,
    transitions::Transitions,
    tx::{ConfirmOrder, CreateOrder, Created},
    view::{Repeat, Stored},
};

/// Pause before a transition of our own row is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// Places orders.
#[derive(Clone)]
pub(crate) struct Saga {
    pub(crate) config: Arc<Config>,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) ids: Arc<Generator>,
    pub(crate) known: Lookup<store::Key, Stored>,
    pub(crate) transitions: Transitions,
    pub(crate) participants: Participants,
}

impl Saga {
    /// Places the order, or says why not; `patience` is until when the caller waits for a saga that runs elsewhere.
    ///
    /// It runs to its end whether or not its caller is still there (traps 16, 21).
    pub(crate) async fn confirm_order(&self, wanted: Wanted, patience: Instant) -> Result<Stored> {
        let priced = match self.known_or_priced(&wanted).await? {
            Either::Left(known) => return self.repeat(known, &wanted, patience).await,
            Either::Right(Ok(priced)) => priced,
            // What is not left may have been taken by this very request, sent twice at once.
            Either::Right(Err(refusal)) => match self.known(&wanted).await? {
                Some(known) => return self.repeat(known, &wanted, patience).await,
                None => return Err(refusal),
            },
        };
        let until = Instant::now() + self.config.saga_deadline();
        match self.create(&wanted, priced, until).await? {
            Created::Created(order) => deadline::own_time(self.finish(order, until)).await,
            Created::Exists(known) => self.repeat(known, &wanted, patience).await,
        }
    }

    /// What an order that is stored comes to, whoever still waits.
    async fn finish(&self, order: Stored, until: Instant) -> Result<Stored> {
        match self.take(&order, until).await {
            Ok(()) => self.confirm(order, until).await,
            Err(cause) => self.give_back(&order, cause, until).await,
        }
    }

    /// All three at once; several refusals: stock, then coupon, then balance.
    async fn take(&self, order: &Stored, until: Instant) -> Result<(), Cause> {
        let (stock, coupon, balance) = tokio::join!(
            self.participants.reserve_stock(order, until),
            self.participants.redeem_coupon(order, until),
            self.participants.debit_balance(order, until),
        );
        let steps = [stock, coupon, balance];
        for step in &steps {
            if let Step::Refused(refusal) = step {
                return Err(Cause::Refused(refusal.clone()));
            }
        }
        if steps.iter().all(|step| *step == Step::Done) { Ok(()) } else { Err(Cause::Recovery) }
    }

    /// After an error the row decides: a lost answer to COMMIT may have been a success.
    async fn confirm(&self, order: Stored, until: Instant) -> Result<Stored> {
        let pay_timeout = self.config.pay_timeout();
        let command = ConfirmOrder { order_id: order.id(), pay_timeout, trace: TraceParent::current() };
        let confirmed = insist(until, || self.transitions.confirm(command, until)).await;
        match confirmed {
            Some((Confirmed::Now | Confirmed::Already, Some(now))) => Ok(order.moved(&now)),
            _ => self.answer_of_row(order.id()).await,
        }
    }

    /// Cancels: the broadcast, and behind it the sweeper, give back whatever was taken.
    async fn give_back(&self, order: &Stored, cause: Cause, until: Instant) -> Result<Stored> {
        tracing::info!(order.id = %order.id(), ?cause, "order is given back");
        insist(until, || self.transitions.cancel(order.id(), cause.clone())).await;
        self.answer_of_row(order.id()).await
    }

    async fn answer_of_row(&self, order_id: OrderId) -> Result<Stored> {
        let order = self.stored(order_id).await?;
        match order.repeat() {
            Repeat::Confirmed => Ok(order),
            Repeat::Refused(refusal) => Err(refusal),
            Repeat::Running => Err(ShopCode::Unknown.into()),
        }
    }

    /// The order if there is one, else its price, which a repeat does not wait for.
    async fn known_or_priced(&self, wanted: &Wanted) -> Result<Either<Stored, Result<Priced>>> {
        match select(pin!(self.known(wanted)), pin!(self.price(wanted))).await {
            Either::Left((known, pricing)) => match known? {
                Some(known) => Ok(Either::Left(known)),
                None => Ok(Either::Right(pricing.await)),
            },
            Either::Right((priced, known)) => Ok(known.await?.map_or(Either::Right(priced), Either::Left)),
        }
    }

    async fn known(&self, wanted: &Wanted) -> Result<Option<Stored>> {
        self.known.get((wanted.user_id.get(), wanted.request_id.clone())).await
    }

    /// An order that was stored: if it cannot be read, it is *unknown* what became of it, and never *nothing was done*.
    pub(crate) async fn stored(&self, order_id: OrderId) -> Result<Stored> {
        let read = store::by_ids(self.db.read(), vec![order_id.get()]).await;
        let read = read.inspect_err(|failure| tracing::error!(order.id = %order_id, %failure, "order cannot be read"));
        Ok(read.ok().and_then(|mut orders| orders.pop()).ok_or(ShopCode::Unknown)?)
    }

    /// The answer to a request that was seen before.
    async fn repeat(&self, mut known: Stored, wanted: &Wanted, patience: Instant) -> Result<Stored> {
        if known.row.request_hash != wanted.request_hash {
            return Err(ShopError::at(ShopCode::IdempotencyConflict, "request_id"));
        }
        let mut waiter = self.transitions.changes.wait_for(known.id());
        loop {
            known = self.stored(known.id()).await?;
            match known.repeat() {
                Repeat::Confirmed => return Ok(known),
                Repeat::Refused(refusal) => return Err(refusal),
                Repeat::Running => {}
            }
            if tokio::time::timeout_at(patience, waiter.changed()).await.is_err() {
                return Err(ShopError::at(ShopCode::InProgress, "request_id"));
            }
        }
    }

    async fn create(&self, wanted: &Wanted, priced: Priced, until: Instant) -> Result<Created> {
        let order_id = OrderId::new(self.ids.next().await?);
        let saga_deadline = self.clock.now().after(self.config.saga_deadline());
        let command = CreateOrder { order_id, wanted: wanted.clone(), priced, saga_deadline };
        self.transitions.create(command, until).await.map_err(ShopError::from)
    }

    /// Nothing is stored yet: a refusal here leaves the key free.
    async fn price(&self, wanted: &Wanted) -> Result<Priced> {
        let facts = self.facts(wanted).await?;
        let priced = pricing::price(wanted, &facts, self.config.shipping(), self.clock.now())?;
        if self.config.look_before_saga {
            pricing::look(wanted, &facts)?;
        }
        Ok(priced)
    }

    async fn facts(&self, wanted: &Wanted) -> Result<Facts> {
        let Participants { quotes, balances, .. } = &self.participants;
        let goods = quotes.get_all(wanted.lines.iter().map(|line| line.goods_id));
        let (goods, balance, coupon) = tokio::join!(goods, balances.get(wanted.user_id), self.coupon(wanted));
        let (goods, balance) = (goods?, balance?.ok_or(ShopError::at(ShopCode::UserNotFound, "user_id"))?);
        Ok(Facts { goods, coupon: coupon?, balance })
    }

    async fn coupon(&self, wanted: &Wanted) -> Result<Option<CouponFacts>> {
        let Some(coupon_id) = wanted.coupon_id else { return Ok(None) };
        let request = GetCouponRequest { coupon_id: coupon_id.get(), user_id: wanted.user_id.get() };
        let mut coupons = self.participants.coupons.clone();
        let answer = coupons.get_coupon(call(request, self.config.step_timeout())).await;
        let coupon = answer.map_err(|status| unread(&status))?.into_inner();
        Ok(Some(CouponFacts {
            discount: Fen::new(coupon.discount_fen),
            minimum: Fen::new(coupon.minimum_fen),
            used: coupon.used,
            valid_from: coupon.valid_from_ms.map(Millis::new),
            valid_until: coupon.valid_until_ms.map(Millis::new),
        }))
    }
}

/// A read that failed changed nothing, whatever its status: the caller may simply try again.
fn unread(status: &Status) -> ShopError {
    let error = ShopError::from_status(status);
    if error.verdict() == Verdict::Refused { error } else { ShopCode::Unavailable.into() }
}

/// Tries a transition of our own row until it ran or the time is up.
async fn insist<T, E, Fut>(until: Instant, transition: impl Fn() -> Fut) -> Option<T>
where
    E: std::fmt::Display,
    Fut: Future<Output = Result<T, E>>,
{
    loop {
        match transition().await {
            Ok(outcome) => return Some(outcome),
            Err(error) => tracing::warn!(%error, "transition not known to be done; trying again"),
        }
        if Instant::now() + PAUSE >= until {
            return None;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn only_a_refusal_of_a_read_is_passed_on() {
        let unread = |error: ShopError| unread(&error.into());
        let refusal = ShopError::at(ShopCode::CouponNotFound, "coupon_id");
        assert_eq!(unread(refusal.clone()), refusal);
        for code in [ShopCode::Unknown, ShopCode::Busy, ShopCode::Internal] {
            assert_eq!(unread(code.into()).code, ShopCode::Unavailable, "nothing was done: {code:?}");
        }
    }

    /// What comes of a transition that fails `failures` times and has `pauses` pauses of time, and how often it was tried.
    async fn tried(failures: u32, pauses: u32) -> (Option<&'static str>, u32) {
        let tries = Cell::new(0);
        let outcome = insist(Instant::now() + PAUSE * pauses, || {
            tries.set(tries.get() + 1);
            let is_done = tries.get() > failures;
            async move { if is_done { Ok("done") } else { Err("away") } }
        });
        (outcome.await, tries.get())
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_row_is_tried_until_it_is_done_or_the_time_is_up() {
        assert_eq!(tried(0, 0).await, (Some("done"), 1));
        assert_eq!(tried(2, 10).await, (Some("done"), 3));
        assert_eq!(tried(u32::MAX, 3).await, (None, 3));
        assert_eq!(tried(u32::MAX, 0).await, (None, 1), "once at least");
    }
}
