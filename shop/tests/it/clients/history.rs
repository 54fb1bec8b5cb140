//! What the clients remember against what the shop says and what its tables hold (H1 to H8).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use shop::audit::Schemas;
use shop_common::code::ShopCode;
use shop_proto::{
    order::v1::{ConfirmItem, ConfirmOrderRequest, GetOrderRequest, Order, OrderStatus, PayStatus},
    pay::v1::{GetPaymentRequest, Payment, PaymentStatus},
};
use shop_testkit::{eventually, participant::number};

use super::{
    load::{Client, Entrance},
    log::{Answer, Asked, Log},
    stock::{self, BALANCE, DISCOUNT, GOODS, STOCK, USERS},
};

/// Longest wait for what messages bring.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn check(shop: &Entrance, log: &Log, schemas: &Schemas) {
    let asked = log.asked();
    let mut client = Client::of(shop, log);
    for one in &asked {
        answers_agree(one);
        if let Some(order) = one.order() {
            order_is_there(&mut client, one, order).await;
        }
    }
    is_conserved(&asked, schemas).await;
    can_still_buy(&mut client).await;
}

/// H5, and the part of H1 to H3 that answers alone can show.
fn answers_agree(asked: &Asked) {
    let mut orders =
        asked.answers.iter().filter_map(|answer| if let Answer::Done(order) = answer { Some(order) } else { None });
    let refused: Vec<&ShopCode> = asked
        .answers
        .iter()
        .filter_map(|answer| if let Answer::Refused(code) = answer { Some(code) } else { None })
        .collect();
    if let Some(first) = orders.next() {
        assert!(refused.is_empty(), "confirmed and refused: {asked:?}");
        assert_eq!(first.status(), OrderStatus::Confirmed, "{asked:?}");
        assert!(orders.all(|order| promise(order) == promise(first)), "two orders for one key: {asked:?}");
    } else {
        assert!(refused.iter().all(|code| **code == ShopCode::OrderCancelled), "there is enough of all: {asked:?}");
    }
}

/// What must never change of an order that was acknowledged.
fn promise(order: &Order) -> Order {
    Order { status: 0, pay_status: 0, paid_ms: None, cancelled_ms: None, cancel_reason: String::new(), ..order.clone() }
}

/// H1 and H4.
async fn order_is_there(client: &mut Client, asked: &Asked, order: &Order) {
    let ConfirmOrderRequest { request_id, user_id, items, coupon_id, balance_used_fen, .. } = &asked.request;
    let wanted = (request_id, user_id, lines(items), coupon_id, balance_used_fen);
    let bought: BTreeMap<i64, i32> = order.items.iter().map(|item| (item.goods_id, item.quantity)).collect();
    let got = (&order.request_id, &order.user_id, bought, &order.coupon_id, &order.balance_used_fen);
    assert_eq!(got, wanted);
    let total: i64 = items.iter().map(|item| stock::price(item.goods_id) * i64::from(item.quantity)).sum();
    assert_eq!(order.items_total_fen, total, "{order:?}");

    let request = GetOrderRequest { order_id: order.order_id, user_id: *user_id };
    if asked.cancel.is_some() {
        let now = client.orders.get_order(request).await.unwrap().into_inner();
        assert_eq!(promise(&now), promise(order));
        assert!([OrderStatus::Cancelled, OrderStatus::Refunded].contains(&now.status()), "{now:?}");
        return;
    }
    let payments = asked.pay.iter().flat_map(|pay| &pay.created);
    for payment in payments.clone() {
        payment_is_there(client, order, payment).await;
    }
    let paid = payments.last().is_some();
    eventually("the order knows its payment", PATIENCE, async || {
        let now = client.orders.get_order(request).await.unwrap().into_inner();
        assert_eq!((promise(&now), now.status()), (promise(order), OrderStatus::Confirmed));
        !paid || now.pay_status() == PayStatus::Paid
    })
    .await;
}

async fn payment_is_there(client: &mut Client, order: &Order, payment: &Payment) {
    let due = (order.order_id, order.amount_due_fen);
    assert_eq!((payment.order_id, payment.amount_fen), due, "{payment:?}");
    let request = GetPaymentRequest { pay_id: payment.pay_id, user_id: order.user_id };
    let now = client.payments.get_payment(request).await.unwrap().into_inner();
    assert_eq!(now.status(), PaymentStatus::Paid, "acknowledged and not paid: {now:?}");
    let (paid_ms, channel_trade_no) = (now.paid_ms, now.channel_trade_no.clone());
    assert_eq!(Payment { status: now.status, paid_ms, channel_trade_no, ..payment.clone() }, now);
}

fn lines(items: &[ConfirmItem]) -> BTreeMap<i64, i32> {
    items.iter().map(|item| (item.goods_id, item.quantity)).collect()
}

/// H1 to H3 and H6 in the tables: exactly what was acknowledged is taken, of everything, and nothing else is there.
async fn is_conserved(asked: &[Asked], schemas: &Schemas) {
    let orders: Vec<&Order> = asked.iter().filter_map(Asked::standing).collect();
    let cancelled = asked.iter().filter(|asked| asked.standing().is_none()).count();
    for (status, expected) in [("0", 0), ("1", orders.len()), ("2, 4", cancelled), ("3", 0)] {
        let sql = format!("SELECT COUNT(*) AS n FROM trade_order WHERE order_status IN ({status})");
        assert_eq!(number(&schemas.order, &sql).await, i64::try_from(expected).unwrap(), "orders of status {status}");
    }
    for goods in 1..=GOODS {
        let items = orders.iter().flat_map(|order| &order.items).filter(|item| item.goods_id == goods);
        let sold: i64 = items.map(|item| i64::from(item.quantity)).sum();
        let sql = format!("SELECT goods_number AS n FROM trade_goods WHERE goods_id = {goods}");
        assert_eq!(number(&schemas.goods, &sql).await, STOCK - sold, "goods {goods}");
    }
    for user in 1..=USERS {
        let own = orders.iter().filter(|order| order.user_id == user);
        let spent: i64 = own.map(|order| order.balance_used_fen).sum();
        let sql = format!("SELECT user_money_fen AS n FROM trade_user WHERE user_id = {user}");
        assert_eq!(number(&schemas.user, &sql).await, BALANCE - spent, "balance of {user}");
        let paid = asked.iter().filter(|asked| asked.request.user_id == user && asked.pay.is_some());
        let points: i64 = paid.filter_map(Asked::standing).map(|order| order.amount_due_fen / 100).sum();
        let sql = format!("SELECT user_score AS n FROM trade_user WHERE user_id = {user}");
        assert_eq!(number(&schemas.user, &sql).await, points, "points of {user}");
    }
    let spent: BTreeSet<i64> = orders.iter().filter_map(|order| order.coupon_id).collect();
    let used = number(&schemas.coupon, "SELECT COUNT(*) AS n FROM trade_coupon WHERE is_used = 1").await;
    assert_eq!(used, i64::try_from(spent.len()).unwrap(), "coupons");
    for order in orders.iter().filter(|order| order.coupon_id.is_some()) {
        assert_eq!(order.coupon_discount_fen, DISCOUNT);
        let by_it = format!("SELECT coupon_id AS n FROM trade_coupon WHERE order_id = {}", order.order_id);
        assert_eq!(Some(number(&schemas.coupon, &by_it).await), order.coupon_id);
    }
}

/// H6: nothing stands in anybody's way.
async fn can_still_buy(client: &mut Client) {
    for goods_id in 1..=GOODS {
        let items = vec![ConfirmItem { goods_id, quantity: 1, ..ConfirmItem::default() }];
        let request_id = format!("afterwards-{goods_id}");
        let request = ConfirmOrderRequest { request_id, user_id: 1, items, ..ConfirmOrderRequest::default() };
        let order = client.orders.confirm_order(request).await.unwrap().into_inner().order.unwrap();
        assert_eq!(order.status(), OrderStatus::Confirmed);
    }
}
