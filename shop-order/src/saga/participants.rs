//! Whom the saga asks. Calls of concurrent sagas to one service travel together. A timeout is not a no: only a refusal
//! is a refusal, everything else is asked again under the same id while there is time (traps 16, 18).

use std::{future::Future, sync::Arc, time::Duration};

use shop_common::{
    batch::{Batcher, Command, Limits},
    code::ShopCode,
    db::Failure,
    error::ShopError,
    id::{GoodsId, OrderId, UserId},
    link::{Link, call},
    lookup::Lookup,
    money::Fen,
    retry::{Pauses, Retries},
    trace::TraceParent,
};
use shop_proto::{
    common::v1::{CommandContext, DoOutcome, do_outcome},
    coupon::v1::{
        RedeemCouponCommand, RedeemCouponRequest, coupon_service_client::CouponServiceClient,
        redemption_service_client::RedemptionServiceClient,
    },
    goods::v1::{
        Goods, QuoteGoodsRequest, ReserveStockCommand, ReserveStockRequest, StockLine,
        stock_service_client::StockServiceClient,
    },
    user::v1::{
        DebitBalanceCommand, DebitBalanceRequest, GetBalancesRequest, balance_service_client::BalanceServiceClient,
    },
};
use tokio::time::Instant;
use tonic::Status;

use crate::{pricing::Quote, view::Stored};

/// Pauses before a step is asked again.
const PAUSES: Pauses = Pauses { base: Duration::from_millis(40), cap: Duration::from_secs(2) };

/// How the other services are reached.
#[derive(Clone, Debug)]
pub struct Links {
    /// Goods and stock.
    pub goods: Link,
    /// Coupons.
    pub coupon: Link,
    /// Users and balance.
    pub user: Link,
    /// Payments.
    pub pay: Link,
}

/// How a step of the saga ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Taken.
    Done,
    /// A definite no.
    Refused(ShopError),
    /// The order was cancelled while it was being confirmed.
    Cancelled,
    /// Not known when the time was up.
    Unknown,
}

#[derive(Clone)]
struct Call<C>(C);

impl<C: Clone + Send + Sync + 'static> Command for Call<C> {}

/// One kind of step: its calls, and how often they may be repeated.
#[derive(Clone)]
struct Calls<C> {
    batcher: Batcher<Call<C>, DoOutcome>,
    retries: Retries,
}

/// The other services, as the saga sees them.
#[derive(Clone)]
pub(crate) struct Participants {
    reserve: Calls<ReserveStockCommand>,
    redeem: Calls<RedeemCouponCommand>,
    debit: Calls<DebitBalanceCommand>,
    step_timeout: Duration,
    pub(crate) quotes: Lookup<GoodsId, Quote>,
    pub(crate) balances: Lookup<UserId, Fen>,
    pub(crate) coupons: CouponServiceClient<Link>,
}

impl Participants {
    pub(crate) fn new(links: &Links, step_timeout: Duration) -> Self {
        let stock = StockServiceClient::new(links.goods.clone());
        let redemption = RedemptionServiceClient::new(links.coupon.clone());
        let balance = BalanceServiceClient::new(links.user.clone());
        let (shelves, purses) = (stock.clone(), balance.clone());
        Self {
            reserve: coalesce("goods", move |commands| {
                let (mut client, request) = (stock.clone(), call(ReserveStockRequest { commands }, step_timeout));
                async move { Ok(client.reserve_stock(request).await?.into_inner().outcomes) }
            }),
            redeem: coalesce("coupon", move |commands| {
                let (mut client, request) = (redemption.clone(), call(RedeemCouponRequest { commands }, step_timeout));
                async move { Ok(client.redeem_coupon(request).await?.into_inner().outcomes) }
            }),
            debit: coalesce("user", move |commands| {
                let (mut client, request) = (balance.clone(), call(DebitBalanceRequest { commands }, step_timeout));
                async move { Ok(client.debit_balance(request).await?.into_inner().outcomes) }
            }),
            step_timeout,
            quotes: Lookup::by_calls(move |goods_ids| quotes(shelves.clone(), goods_ids, step_timeout)),
            balances: Lookup::by_calls(move |user_ids| balances(purses.clone(), user_ids, step_timeout)),
            coupons: CouponServiceClient::new(links.coupon.clone()),
        }
    }

    /// Takes every line of the order off the shelf.
    pub(crate) async fn reserve_stock(&self, order: &Stored, until: Instant) -> Step {
        let lines = order.items.iter().map(|item| StockLine { goods_id: item.goods_id, quantity: item.quantity });
        let lines: Vec<StockLine> = lines.collect();
        let command = |context| ReserveStockCommand { context, order_id: order.row.order_id, lines: lines.clone() };
        self.insist(order.id(), until, &self.reserve, command).await
    }

    /// Spends the order's coupon, if it has one.
    pub(crate) async fn redeem_coupon(&self, order: &Stored, until: Instant) -> Step {
        let Some(coupon_id) = order.row.coupon_id else { return Step::Done };
        let command = |context| RedeemCouponCommand {
            context,
            order_id: order.row.order_id,
            coupon_id,
            user_id: order.row.user_id,
            items_total_fen: order.row.items_total_fen,
            discount_fen: order.row.coupon_discount_fen,
        };
        self.insist(order.id(), until, &self.redeem, command).await
    }

    /// Takes the order's share of the balance, if it has one.
    pub(crate) async fn debit_balance(&self, order: &Stored, until: Instant) -> Step {
        if order.row.balance_used_fen == 0 {
            return Step::Done;
        }
        let command = |context| DebitBalanceCommand {
            context,
            order_id: order.row.order_id,
            user_id: order.row.user_id,
            amount_fen: order.row.balance_used_fen,
        };
        self.insist(order.id(), until, &self.debit, command).await
    }

    /// Asks until there is an answer or the time is up, always under the same order id. Where the budget of retries is
    /// exhausted it waits for its turn.
    async fn insist<C>(
        &self,
        order_id: OrderId,
        until: Instant,
        calls: &Calls<C>,
        command: impl Fn(Option<CommandContext>) -> C,
    ) -> Step
    where
        C: Clone + Send + Sync + 'static,
    {
        calls.retries.first();
        let mut repeats = 0;
        loop {
            let deadline = until.min(Instant::now() + self.step_timeout);
            let remaining = deadline.saturating_duration_since(Instant::now()).as_millis();
            let context = CommandContext {
                remaining_ms: i64::try_from(remaining).unwrap_or(i64::MAX),
                traceparent: TraceParent::current().to_string(),
            };
            let outcome = calls.batcher.run(Call(command(Some(context))), Some(deadline)).await;
            if let Some(step) = outcome.ok().and_then(answered) {
                return step;
            }
            if !calls.retries.turn(PAUSES, &mut repeats, until).await {
                return Step::Unknown;
            }
            tracing::debug!(%order_id, "a step is not known to be done; asking again");
        }
    }
}

/// The step an outcome stands for; none where it has to be asked again.
fn answered(outcome: DoOutcome) -> Option<Step> {
    match outcome.kind() {
        do_outcome::Kind::Done | do_outcome::Kind::Already => Some(Step::Done),
        do_outcome::Kind::Cancelled => Some(Step::Cancelled),
        do_outcome::Kind::Refused => {
            let refusal = outcome.refusal.map_or_else(|| ShopCode::ParameterInvalid.into(), ShopError::from);
            Some(Step::Refused(refusal))
        }
        do_outcome::Kind::NotRun | do_outcome::Kind::Unknown | do_outcome::Kind::Unspecified => None,
    }
}

async fn quotes(
    mut stock: StockServiceClient<Link>,
    goods_ids: Vec<GoodsId>,
    timeout: Duration,
) -> Result<Vec<(GoodsId, Quote)>, Failure> {
    let goods_ids = goods_ids.into_iter().map(GoodsId::get).collect();
    let answer = stock.quote_goods(call(QuoteGoodsRequest { goods_ids }, timeout)).await?.into_inner();
    let quote = |goods: &Goods| Quote { price: Fen::new(goods.price_fen), on_hand: goods.stock_on_hand };
    Ok(answer.goods.iter().map(|goods| (GoodsId::new(goods.goods_id), quote(goods))).collect())
}

async fn balances(
    mut balance: BalanceServiceClient<Link>,
    user_ids: Vec<UserId>,
    timeout: Duration,
) -> Result<Vec<(UserId, Fen)>, Failure> {
    let user_ids = user_ids.into_iter().map(UserId::get).collect();
    let answer = balance.get_balances(call(GetBalancesRequest { user_ids }, timeout)).await?.into_inner();
    Ok(answer.balances.into_iter().map(|of| (UserId::new(of.user_id), Fen::new(of.balance_fen))).collect())
}

fn coalesce<C, Fut>(to: &'static str, rpc: impl Fn(Vec<C>) -> Fut + Send + Sync + 'static) -> Calls<C>
where
    C: Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<DoOutcome>, Status>> + Send + 'static,
{
    let batcher = Batcher::new(Limits::OF_CALLS, move |calls: Arc<[Call<C>]>| {
        let answer = rpc(calls.iter().map(|call| call.0.clone()).collect());
        async move { answer.await.map_err(Failure::from) }
    });
    Calls { batcher, retries: Retries::new(to) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tonic::service::Routes;

    use super::*;

    /// How a step ends whose first `failures` calls are not known to be done, and what each call was told it has.
    async fn insisted(time: Duration, failures: usize) -> (Step, Vec<i64>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let calls = coalesce("goods", move |contexts: Vec<CommandContext>| {
            let mut told = telling.lock().unwrap();
            told.extend(contexts.iter().map(|context| context.remaining_ms));
            let kind = if told.len() > failures { do_outcome::Kind::Done } else { do_outcome::Kind::Unknown };
            async move { Ok(vec![DoOutcome { kind: kind.into(), ..DoOutcome::default() }]) }
        });
        let nobody = || Link::local(Routes::default());
        let links = Links { goods: nobody(), coupon: nobody(), user: nobody(), pay: nobody() };
        let participants = Participants::new(&links, Duration::from_secs(1));
        let until = Instant::now() + time;
        let step = participants.insist(OrderId::new(1), until, &calls, |context| context.unwrap()).await;
        (step, told.lock().unwrap().clone())
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_is_asked_again_and_told_each_time_how_long_it_is_waited_for() {
        let long = Duration::from_secs(10);
        assert_eq!(insisted(long, 0).await, (Step::Done, vec![1_000]));
        assert_eq!(insisted(long, 2).await, (Step::Done, vec![1_000; 3]));
        let short = Duration::from_millis(400);
        assert_eq!(insisted(short, 0).await, (Step::Done, vec![400]), "no longer than the saga has");
        let (step, told) = insisted(long, usize::MAX).await;
        assert_eq!(step, Step::Unknown);
        assert!(told.len() > 3, "{told:?}");
    }

    #[test]
    fn only_a_refusal_is_a_refusal_and_what_is_not_known_is_asked_again() {
        use do_outcome::Kind;
        let of = |kind: Kind| answered(DoOutcome { kind: kind.into(), ..DoOutcome::default() });
        assert_eq!([Kind::Done, Kind::Already].map(of), [Some(Step::Done), Some(Step::Done)]);
        assert_eq!(of(Kind::Cancelled), Some(Step::Cancelled));
        assert_eq!([Kind::NotRun, Kind::Unknown, Kind::Unspecified].map(of), [None, None, None]);
        let refusal = ShopError::at(ShopCode::GoodsNotEnough, "items[0].quantity");
        assert_eq!(answered(refusal.clone().into()), Some(Step::Refused(refusal)));
        assert_eq!(of(Kind::Refused), Some(Step::Refused(ShopCode::ParameterInvalid.into())), "without a reason");
    }
}
