//! What the demo does: over gRPC and HTTP like any client, looking at the databases only for what no client may see.

use std::{error::Error, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use sea_orm::{ConnectionTrait, Statement};
use shop_common::{db::Db, due::Sweep, error::ShopError, money::Fen, time::Clock};
use shop_proto::{
    coupon::v1::{GetCouponRequest, coupon_service_client::CouponServiceClient},
    goods::v1::{GetGoodsRequest, goods_service_client::GoodsServiceClient},
    order::v1::{
        ConfirmItem, ConfirmOrderRequest, GetOrderRequest, Order, PayStatus, order_service_client::OrderServiceClient,
    },
    pay::v1::{CreatePaymentRequest, GetPaymentRequest, Payment, PaymentStatus, pay_service_client::PayServiceClient},
    topic::{Kind, ORDER_CANCEL, PAY_SUCCESS},
    user::v1::{GetUserRequest, user_service_client::UserServiceClient},
};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use super::{Figure, Report};
use crate::{
    audit::{self, Options},
    running::Shop,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USER: i64 = 345_963_634_385_633_280;
const GOODS: i64 = 345_959_443_973_935_104;
const COUPON: i64 = 345_988_230_098_857_984;
/// Longest wait for what messages bring.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the shop.
struct Client {
    orders: OrderServiceClient<Channel>,
    payments: PayServiceClient<Channel>,
    goods: GoodsServiceClient<Channel>,
    coupons: CouponServiceClient<Channel>,
    users: UserServiceClient<Channel>,
}

/// What a client sees of stock, balance, points and coupon.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    stock: i64,
    balance: Fen,
    score: i64,
    coupon: String,
}

/// Carries the tutorial's order through, then one that is refused, then the audit.
pub(super) async fn tell(shop: &Shop, metrics: &PrometheusHandle) -> Outcome<Report> {
    let mut client = Client::connect(shop).await?;
    let mut report = Report { story: Vec::new(), figures: Vec::new(), seconds: 0 };
    let web = shop.web.first().ok_or("no gateway")?;
    report.story.push(format!("shop up: gRPC on {}, REST on {web}, NameServer and Broker inside", shop.grpc));
    paid(shop, &mut client, &mut report).await?;
    report.figures.push(heard(metrics, &PAY_SUCCESS).await?);
    refused(shop, &mut client, &mut report).await?;
    report.figures.push(heard(metrics, &ORDER_CANCEL).await?);
    audited(shop, &mut report).await?;
    Ok(report)
}

/// Confirm, pay by a signed callback, fan out.
async fn paid(shop: &Shop, client: &mut Client, report: &mut Report) -> Outcome<()> {
    let before = client.look().await?;
    let order = client.confirm("demo-1", Some(COUPON), 10_000).await?;
    report.story.push(format!("order {} confirmed over gRPC, due {}", order.order_id, Fen::new(order.amount_due_fen)));
    let request = CreatePaymentRequest {
        order_id: order.order_id,
        user_id: USER,
        amount_fen: order.amount_due_fen,
        channel: String::new(),
    };
    let created = client.payments.create_payment(request).await?.into_inner().payment.ok_or("no payment")?;
    let page = format!("http://{}{}", shop.web.first().ok_or("no gateway")?, created.pay_url);
    reqwest::Client::new().post(&page).send().await?.error_for_status()?;
    let payment = client.payment_when_paid(created.pay_id).await?;
    report.story.push(format!("payment {} paid on the sandbox's page, its signed callback accepted", payment.pay_id));
    let bound = client.order_when_paid(order.order_id).await?;
    let after = client.look_until(|seen| seen.score != before.score).await?;
    report.story.push("order and points followed payTopic/pay_success".to_owned());
    sweep(shop).await?;
    let outbox = until(PATIENCE, async || Ok((outbox_rows(shop).await? == 0).then_some(0))).await?;
    let fen = |amount| Fen::new(amount).to_string();
    report.figures.extend([
        Figure::new("stock", before.stock, after.stock, 999),
        Figure::new("balance", before.balance, after.balance, "900.00"),
        Figure::new("coupon", &before.coupon, &after.coupon, format!("used by {}", order.order_id)),
        Figure::new("order total", "-", fen(order.order_total_fen), "1000.00"),
        Figure::new("coupon discount", "-", fen(order.coupon_discount_fen), "20.00"),
        Figure::new("balance used", "-", fen(order.balance_used_fen), "100.00"),
        Figure::new("amount due", "-", fen(order.amount_due_fen), "880.00"),
        Figure::new("order", "-", state(&bound), "CONFIRMED PAID"),
        Figure::new(
            "payment",
            "-",
            format!("{} {}", fen(payment.amount_fen), payment.status().as_str_name()),
            "880.00 PAID",
        ),
        Figure::new("score", before.score, after.score, 980),
        Figure::new("outbox rows", "-", outbox, 0),
    ]);
    Ok(())
}

/// More balance than there is: the user service refuses after the goods service has taken, and the cancel topic brings
/// the stock back.
async fn refused(shop: &Shop, client: &mut Client, report: &mut Report) -> Outcome<()> {
    let before = client.look().await?;
    let status = client.confirm("demo-2", None, 95_000).await.err().ok_or("the second order was not refused")?;
    let refusal = ShopError::from_status(&status);
    report.story.push(format!("second order refused by the user service: {refusal}"));
    report.story.push("  (switch order.look_before_saga = false: the saga had begun, its stock was taken)".to_owned());
    let goods = &shop.services.schemas.goods;
    let moves =
        until(PATIENCE, async || Ok(Some(movements_of_last_hold(goods).await?).filter(|moves| moves.len() == 2)))
            .await?;
    report.story.push("the broadcast on orderTopic/order_cancel gave the stock back".to_owned());
    let after = client.look_until(|seen| seen.stock == before.stock).await?;
    sweep(shop).await?;
    report.figures.extend([
        Figure::new("refused: code", "-", refusal.code.row().name, "SHOP_MONEY_PAID_INVALID"),
        Figure::new("refused: stock ledger", "-", format!("{moves:?}"), "[-1, 1]"),
        Figure::new("refused: stock", before.stock, after.stock, 999),
        Figure::new("refused: balance", before.balance, after.balance, "900.00"),
        Figure::new("refused: coupon", &before.coupon, &after.coupon, &before.coupon),
        Figure::new("refused: outbox rows", "-", outbox_rows(shop).await?, 0),
    ]);
    Ok(())
}

/// Who has handled a message of this kind; it may come more than once.
async fn heard(metrics: &PrometheusHandle, kind: &Kind) -> Outcome<Figure> {
    let all: Vec<&str> = kind.groups.iter().map(|group| group.service).collect();
    let handled = |text: &str, group: &str| text.contains(&format!("shop_messages_handled_total{{group=\"{group}\"}}"));
    let services = until(PATIENCE, async || {
        let text = metrics.render();
        let by: Vec<&str> =
            kind.groups.iter().filter(|group| handled(&text, group.name)).map(|group| group.service).collect();
        Ok(Some(by).filter(|by| *by == all))
    });
    let services = services.await.unwrap_or_default().join(" ");
    Ok(Figure::new(&format!("{} handled by", kind.tag), "-", services, all.join(" ")))
}

async fn audited(shop: &Shop, report: &mut Report) -> Outcome<()> {
    let options = Options { wait: Some(PATIENCE), ..Options::default() };
    let audit = audit::audit(&shop.services.schemas, &options, &Clock::system()).await?;
    report.story.push(audit.to_string());
    let violations: usize = audit.checks.iter().map(|check| check.violations.len()).sum();
    report.figures.push(Figure::new("audit: violations", "-", violations, 0));
    Ok(())
}

/// One round of every sweeper, to tick off what the messages have done.
async fn sweep(shop: &Shop) -> Outcome<()> {
    let soon = Clock::system().now().after(Duration::from_secs(5));
    for sweep in shop.services.sweeps() {
        Sweep::run_once(sweep.as_ref(), soon).await?;
    }
    for relay in shop.services.relays() {
        relay.run_once(soon).await?;
    }
    Ok(())
}

impl Client {
    async fn connect(shop: &Shop) -> Outcome<Self> {
        let channel = Channel::from_shared(format!("http://{}", shop.grpc))?.connect().await?;
        Ok(Self {
            orders: OrderServiceClient::new(channel.clone()),
            payments: PayServiceClient::new(channel.clone()),
            goods: GoodsServiceClient::new(channel.clone()),
            coupons: CouponServiceClient::new(channel.clone()),
            users: UserServiceClient::new(channel),
        })
    }

    async fn confirm(
        &mut self,
        key: &str,
        coupon_id: Option<i64>,
        balance_used_fen: i64,
    ) -> Result<Order, tonic::Status> {
        let item = ConfirmItem { goods_id: GOODS, quantity: 1, expected_price_fen: Some(100_000) };
        let request = ConfirmOrderRequest {
            request_id: key.to_owned(),
            user_id: USER,
            items: vec![item],
            coupon_id,
            balance_used_fen,
            expected_shipping_fen: Some(0),
            expected_total_fen: Some(100_000),
            address: "北京".to_owned(),
            ..ConfirmOrderRequest::default()
        };
        let answer = self.orders.confirm_order(request).await?.into_inner();
        answer.order.ok_or_else(|| tonic::Status::internal("no order in the answer"))
    }

    async fn look(&mut self) -> Result<Seen, tonic::Status> {
        let goods = self.goods.get_goods(GetGoodsRequest { goods_id: GOODS }).await?.into_inner();
        let user = self.users.get_user(GetUserRequest { user_id: USER }).await?.into_inner();
        let coupon = self.coupons.get_coupon(GetCouponRequest { coupon_id: COUPON, user_id: USER }).await?.into_inner();
        let coupon = coupon.order_id.map_or_else(|| "unused".to_owned(), |order_id| format!("used by {order_id}"));
        Ok(Seen { stock: goods.stock_on_hand, balance: Fen::new(user.balance_fen), score: user.score, coupon })
    }

    async fn look_until(&mut self, there: impl Fn(&Seen) -> bool) -> Outcome<Seen> {
        until(PATIENCE, async || Ok(Some(self.look().await?).filter(|seen| there(seen)))).await
    }

    async fn payment_when_paid(&mut self, pay_id: i64) -> Outcome<Payment> {
        let request = GetPaymentRequest { pay_id, user_id: USER };
        let paid = |payment: &Payment| payment.status() == PaymentStatus::Paid;
        until(PATIENCE, async || Ok(Some(self.payments.get_payment(request).await?.into_inner()).filter(paid))).await
    }

    async fn order_when_paid(&mut self, order_id: i64) -> Outcome<Order> {
        let request = GetOrderRequest { order_id, user_id: USER };
        let paid = |order: &Order| order.pay_status() == PayStatus::Paid;
        until(PATIENCE, async || Ok(Some(self.orders.get_order(request).await?.into_inner()).filter(paid))).await
    }
}

/// Asks again and again until there is an answer.
async fn until<T>(patience: Duration, mut ask: impl AsyncFnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            return Err("it did not come in time".into());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn state(order: &Order) -> String {
    format!("{} {}", order.status().as_str_name(), order.pay_status().as_str_name())
}

async fn outbox_rows(shop: &Shop) -> Outcome<i64> {
    let mut rows = 0_i64;
    for db in [&shop.services.schemas.order, &shop.services.schemas.pay] {
        rows = rows
            .saturating_add(numbers(db, "SELECT COUNT(*) AS n FROM trade_mq_producer_temp").await?.into_iter().sum());
    }
    Ok(rows)
}

async fn movements_of_last_hold(goods: &Db) -> Outcome<Vec<i64>> {
    let last = "SELECT goods_number AS n FROM trade_goods_number_log \
                WHERE ref_id = (SELECT MAX(order_id) FROM trade_goods_hold) ORDER BY log_type";
    numbers(goods, last).await
}

async fn numbers(db: &Db, sql: &'static str) -> Outcome<Vec<i64>> {
    let rows = db.read().query_all_raw(Statement::from_string(db.read().get_database_backend(), sql)).await?;
    rows.iter().map(|row| Ok(row.try_get("", "n")?)).collect()
}
