//! What is played through its points: what the client does, what becomes of it by sweepers and messages, and what must
//! hold in the end.

use std::time::Duration;

use shop_common::code::{ShopCode, Verdict};
use shop_proto::order::v1::{Order, OrderStatus, PayStatus};
use shop_testkit::participant::{execute, number};

use crate::{
    paid_suite::paid_back,
    world::{
        Answer, NO_LOOK, World,
        data::{DUE, GOODS, Look, SCORE, UNTOUCHED, USER, line, order, plain, taken_by},
        points::Mode,
        stage::Stage,
    },
};

/// How long an order may stay unpaid.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// Longer than any pause of a sweeper or a relay, and than the channel's before it tells again what it told in vain.
pub(super) const ROUND: Duration = Duration::from_secs(241);
/// What is left of a balance that is too small.
const POOR: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// An order is placed.
    Confirm,
    /// One is refused, after stock and coupon were taken.
    Refuse,
    /// The buyer cancels an order with an open payment.
    Cancel,
    /// An order is paid.
    Pay,
    /// The buyer cancels a paid order.
    Refund,
    /// An order with an open payment is not paid in time.
    TimeOut,
}

/// Sagas that wait for what stays away are over soon; all others have time.
pub(super) const fn keys(flow: Flow, mode: Mode) -> [(&'static str, &'static str); 2] {
    let is_waiting = matches!((flow, mode), (Flow::Confirm | Flow::Refuse, Mode::ForLong));
    let deadline = if is_waiting { "3" } else { "30" };
    [NO_LOOK, ("order.saga_deadline_s", deadline)]
}

/// What the client knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    /// The order it was told of.
    order: Option<Order>,
    /// The refusal it was told of.
    refused: Option<ShopCode>,
    /// Its cancel was answered.
    is_cancelled: bool,
    /// The channel has its money.
    has_paid: bool,
}

impl Flow {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Refuse => "refuse",
            Self::Cancel => "cancel",
            Self::Pay => "pay",
            Self::Refund => "refund",
            Self::TimeOut => "time_out",
        }
    }

    /// The shop as it is when the flow begins.
    pub(super) async fn stage(self) -> Stage {
        let world = World::new(&[NO_LOOK]).await.stocked().await;
        match self {
            Self::Confirm => {}
            Self::Refuse => {
                execute(&world.schemas.user, &format!("UPDATE trade_user SET user_money_fen = {POOR}")).await;
                let opening = format!("UPDATE trade_user_money_log SET use_money_fen = {POOR}");
                execute(&world.schemas.user, &opening).await;
            }
            Self::Pay => drop(world.confirm(order("k")).await.unwrap()),
            Self::Cancel | Self::TimeOut => {
                let placed = world.confirm(order("k")).await.unwrap();
                world.pay_for(&placed).await.unwrap();
            }
            Self::Refund => {
                let placed = world.confirm(order("k")).await.unwrap();
                world.paid(&placed).await;
            }
        }
        world.settle_everything().await;
        let stage = world.stage().await;
        world.end().await;
        stage
    }

    /// The client asks, then sweepers and messages have their turns.
    pub(super) async fn play(self, world: &World, client: &mut Client) {
        if self == Self::TimeOut {
            world.later(TIMEOUT);
        }
        self.ask(world, client, Duration::from_secs(60)).await;
        for _ in 0..2 {
            world.messages().await;
            world.sweep().await;
            world.later(ROUND);
        }
    }

    /// The client asks for whatever it has no answer to; after a definite answer it asks all the same, and gets it again.
    pub(super) async fn ask(self, world: &World, client: &mut Client, patience: Duration) {
        match self {
            Self::Confirm | Self::Refuse => client.heard(world.confirm_within(order("k"), patience).await),
            Self::Cancel | Self::Refund => {
                let order_id = world.order_under("k").await;
                client.is_cancelled |= world.cancel(order_id, USER).await.is_ok();
            }
            Self::Pay => client.pays(world).await,
            Self::TimeOut => {}
        }
    }

    /// Where the order stands; -1 where there is none.
    pub(super) async fn status(self, world: &World) -> (i64, i64) {
        let of =
            |column: &str| format!("SELECT COALESCE(MAX({column}), -1) AS n FROM trade_order WHERE request_id = 'k'");
        let orders = &world.schemas.order;
        (number(orders, &of("order_status")).await, number(orders, &of("pay_status")).await)
    }

    /// What the client was told holds, and the order is whole or gone.
    pub(super) async fn check(self, world: &World, client: &Client, what: &str) {
        let (look, end) = (world.look().await, End::of(world).await);
        let whole = end.order_id.map(taken_by);
        let paid = whole.clone().map(|look| Look { score: SCORE + DUE / 100, ..look });
        let gone = Look { balance: if self == Self::Refuse { POOR } else { UNTOUCHED.balance }, ..UNTOUCHED };
        let expected = match end.status {
            Some(OrderStatus::Confirmed) if end.pay_status == Some(PayStatus::Paid) => paid,
            Some(OrderStatus::Confirmed) => whole,
            _ => Some(gone),
        };
        assert_eq!(Some(&look), expected.as_ref(), "{what}: {end:?}");
        let back = if end.status == Some(OrderStatus::Refunded) { DUE } else { 0 };
        assert_eq!(end.paid_back, back, "{what}: {end:?}");
        assert_eq!(end.kept_there, end.kept_here, "{what}: the channel and our books");

        if let Some(order) = &client.order {
            assert_eq!((Some(order.order_id), end.status), (end.order_id, Some(OrderStatus::Confirmed)), "{what}");
        }
        if client.refused.is_some() {
            assert_ne!(end.status, Some(OrderStatus::Confirmed), "{what}");
        }
        if client.is_cancelled {
            let over = if self == Self::Refund { OrderStatus::Refunded } else { OrderStatus::Cancelled };
            assert_eq!(end.status, Some(over), "{what}");
        }
        if client.has_paid {
            assert_eq!(end.pay_status, Some(PayStatus::Paid), "{what}: {end:?}");
        }
        end.was_told(self, world, what);
    }

    /// How it ends when all has been asked again and nothing fails any more.
    pub(super) async fn check_end(self, world: &World, client: &Client, is_touched: bool, what: &str) {
        self.check(world, client, what).await;
        let end = End::of(world).await;
        let (status, pay_status) = (end.status.unwrap_or(OrderStatus::Invalid), end.pay_status);
        match self {
            Self::Confirm if client.order.is_none() => {
                assert_eq!((is_touched, client.refused), (true, Some(ShopCode::OrderCancelled)), "{what}");
            }
            Self::Refuse => {
                let refusals = [Some(ShopCode::MoneyPaidInvalid), Some(ShopCode::OrderCancelled)];
                assert!(refusals[..=usize::from(is_touched)].contains(&client.refused), "{what}: {client:?}");
                assert_eq!(status, OrderStatus::Cancelled, "{what}");
            }
            Self::Confirm => {}
            Self::Cancel | Self::Refund => assert!(client.is_cancelled, "{what}"),
            Self::Pay => assert_eq!((client.has_paid, pay_status), (true, Some(PayStatus::Paid)), "{what}"),
            Self::TimeOut => assert_eq!(status, OrderStatus::Cancelled, "{what}"),
        }
        let next = world.confirm(plain("next", USER, vec![line(GOODS, 1)])).await;
        assert!(next.is_ok(), "{what}: somebody else cannot buy: {next:?}");
    }
}

impl Client {
    fn heard(&mut self, answer: Answer<Order>) {
        match answer {
            Ok(order) => {
                assert_eq!(self.refused, None, "refused, then confirmed: {order:?}");
                let first = self.order.get_or_insert_with(|| order.clone());
                assert_eq!(first.order_id, order.order_id, "two orders under one key");
            }
            Err(error) if error.verdict() == Verdict::Refused => {
                assert!(self.order.is_none(), "confirmed, then refused: {error:?}");
                assert!(self.refused.is_none_or(|first| first == error.code), "{:?}, then {error:?}", self.refused);
                self.refused = Some(error.code);
            }
            Err(error) => assert_ne!(error.verdict(), Verdict::Bug, "{error:?}"),
        }
    }

    /// Makes the payment, or learns of it, and pays it at the channel. The shop has yet to be told.
    async fn pays(&mut self, world: &World) {
        let order_id = world.order_under("k").await;
        let Ok(order) = world.order(order_id, USER).await else { return };
        match world.pay_for(&order).await {
            Ok(payment) => self.has_paid |= world.pays_at_the_channel(payment.pay_id).await.is_ok(),
            Err(error) => self.has_paid |= error.code == ShopCode::OrderIsPaid,
        }
    }
}

/// What stands in the tables.
#[derive(Debug)]
struct End {
    order_id: Option<i64>,
    status: Option<OrderStatus>,
    pay_status: Option<PayStatus>,
    paid_back: i64,
    /// What the channel has of our customers by its books, and by ours.
    kept_there: i64,
    kept_here: i64,
}

impl End {
    async fn of(world: &World) -> Self {
        let of =
            |column: &str| format!("SELECT COALESCE(MAX({column}), -1) AS n FROM trade_order WHERE request_id = 'k'");
        let (orders, pay) = (&world.schemas.order, &world.schemas.pay);
        let order_id = Some(number(orders, &of("order_id")).await).filter(|id| *id >= 0);
        let small = async |column: &str| i32::try_from(number(orders, &of(column)).await).unwrap();
        let sum = async |sql: &str| number(pay, &format!("SELECT COALESCE(SUM({sql}), 0) AS n FROM trade_pay p")).await;
        let there = "SELECT COALESCE(SUM(CASE state WHEN 1 THEN amount_fen ELSE 0 END) - SUM(refund_fen), 0) AS n
                     FROM sandbox_trade";
        let mut end = Self {
            order_id,
            status: OrderStatus::try_from(small("order_status").await).ok(),
            pay_status: PayStatus::try_from(small("pay_status").await).ok(),
            paid_back: 0,
            kept_there: number(pay, there).await,
            kept_here: sum("CASE is_paid WHEN 2 THEN pay_amount_fen - refund_fen ELSE 0 END").await,
        };
        if let Some(order_id) = order_id {
            end.paid_back = paid_back(world, &Order { order_id, ..Order::default() }).await;
        }
        end
    }

    /// H9: whatever became of the order in this run was published.
    fn was_told(&self, flow: Flow, world: &World, what: &str) {
        let published = world.broker.published();
        let is_over = matches!(self.status, Some(OrderStatus::Cancelled | OrderStatus::Refunded));
        let told = |tag: &str| published.iter().any(|message| message.tag == tag);
        assert!(!is_over || told("order_cancel"), "{what}: the cancel was never published");
        let is_paid_now = flow == Flow::Pay && self.pay_status == Some(PayStatus::Paid);
        assert!(!is_paid_now || told("pay_success"), "{what}: the payment was never published");
    }
}
