//! Requests that can be read and must be refused.

use shop_proto::{
    coupon::v1::{GetCouponRequest, ListCouponsRequest},
    goods::v1::{GetGoodsRequest, ListGoodsRequest},
    order::v1::{
        CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, GetOrderRequest, ListOrdersRequest, WatchOrderRequest,
    },
    pay::v1::{CreatePaymentRequest, GetPaymentRequest},
    user::v1::GetUserRequest,
};
use tonic::Code::{AlreadyExists, FailedPrecondition, InvalidArgument, NotFound};

use super::{
    Case, Expected,
    wire::Call,
    world::{BALANCE, BOOK, COUPONS, JEWEL, ME, OTHER, PRICE, RARE, RARE_STOCK, SHIPPING, World, order},
};

pub(super) const CONFIRM: &str = "/shop.order.v1.OrderService/ConfirmOrder";
pub(super) const GET_ORDER: &str = "/shop.order.v1.OrderService/GetOrder";
pub(super) const LIST_ORDERS: &str = "/shop.order.v1.OrderService/ListOrders";
pub(super) const CANCEL: &str = "/shop.order.v1.OrderService/CancelOrder";
pub(super) const WATCH: &str = "/shop.order.v1.OrderService/WatchOrder";
pub(super) const CREATE_PAYMENT: &str = "/shop.pay.v1.PayService/CreatePayment";
pub(super) const GET_PAYMENT: &str = "/shop.pay.v1.PayService/GetPayment";
pub(super) const GET_GOODS: &str = "/shop.goods.v1.GoodsService/GetGoods";
pub(super) const LIST_GOODS: &str = "/shop.goods.v1.GoodsService/ListGoods";
pub(super) const GET_COUPON: &str = "/shop.coupon.v1.CouponService/GetCoupon";
pub(super) const LIST_COUPONS: &str = "/shop.coupon.v1.CouponService/ListCoupons";
pub(super) const GET_USER: &str = "/shop.user.v1.UserService/GetUser";

const PARAM: &str = "SHOP_REQUEST_PARAMETER_VALID";
const UNKNOWN_ID: i64 = 987_654_321;

pub(super) fn cases(world: &World) -> Vec<Case> {
    [lines(), money(), shapes(), texts(), keys(world), coupons(), others(world), payments(world), ids(), pages()]
        .into_iter()
        .flatten()
        .collect()
}

/// A correct order, spoiled.
fn confirm(
    id: &'static str,
    what: impl Into<String>,
    spoil: impl FnOnce(&mut ConfirmOrderRequest),
    expected: Expected,
) -> Case {
    let mut request = order("refused");
    spoil(&mut request);
    Case::new(id, what, Call::new(CONFIRM, &request), expected)
}

fn param(field: &'static str) -> Expected {
    Expected::No(InvalidArgument, PARAM, field)
}

fn not_found(reason: &'static str, field: &'static str) -> Expected {
    Expected::No(NotFound, reason, field)
}

/// One line of an order that shows no figures.
fn line(goods_id: i64, quantity: i32) -> impl FnOnce(&mut ConfirmOrderRequest) {
    move |request| {
        request.items = vec![ConfirmItem { goods_id, quantity, expected_price_fen: None }];
        (request.expected_shipping_fen, request.expected_total_fen) = (None, None);
    }
}

fn lines() -> Vec<Case> {
    let mut cases = Vec::new();
    for quantity in [0, -1, i32::MIN] {
        cases.push(confirm("B01", format!("quantity {quantity}"), line(BOOK, quantity), param("items[0].quantity")));
    }
    for quantity in [i32::MAX, 10_000] {
        cases.push(confirm("B02", format!("quantity {quantity}"), line(BOOK, quantity), param("items[0].quantity")));
    }
    cases.push(confirm("B02", "price times quantity overflows", line(JEWEL, 9999), param("items")));
    let more = Expected::No(FailedPrecondition, "SHOP_GOODS_NUM_NOT_ENOUGH", "items[0].quantity");
    cases.push(confirm("B03", "stock + 1", line(RARE, RARE_STOCK + 1), more));
    for price in [PRICE - 1, PRICE + 1, 0, i64::MAX] {
        let refusal = Expected::No(FailedPrecondition, "SHOP_GOODS_PRICE_INVALID", "items[0].expected_price_fen");
        let spoil = |request: &mut ConfirmOrderRequest| request.items[0].expected_price_fen = Some(price);
        cases.push(confirm("B04", format!("price {price}"), spoil, refusal));
    }
    let negative = |request: &mut ConfirmOrderRequest| request.items[0].expected_price_fen = Some(-PRICE);
    cases.push(confirm("B04", "a negative price", negative, param("items[0].expected_price_fen")));
    for goods_id in [0, -1, i64::MIN] {
        cases.push(confirm("B19", format!("goods {goods_id}"), line(goods_id, 1), param("items[0].goods_id")));
    }
    let unknown = not_found("SHOP_GOODS_NO_EXIST", "items[0].goods_id");
    cases.push(confirm("B19", "unknown goods", line(UNKNOWN_ID, 1), unknown));
    let second = |request: &mut ConfirmOrderRequest| {
        request.items.push(ConfirmItem { quantity: 0, goods_id: RARE, ..request.items[0] });
    };
    cases.push(confirm("B01", "the second line", second, param("items[1].quantity")));
    let twice = |request: &mut ConfirmOrderRequest| request.items.push(request.items[0]);
    cases.push(confirm("contract", "a goods_id twice", twice, param("items[1].goods_id")));
    let many = |request: &mut ConfirmOrderRequest| {
        request.items =
            (1..=51).map(|goods_id| ConfirmItem { goods_id, quantity: 1, ..ConfirmItem::default() }).collect();
    };
    cases.push(confirm("contract", "51 lines", many, param("items")));
    cases
}

fn money() -> Vec<Case> {
    let mut cases = Vec::new();
    for fen in [0, SHIPPING - 1, SHIPPING + 1, -1, i64::MIN, i64::MAX] {
        let refusal = Expected::No(InvalidArgument, "SHOP_ORDER_SHIPPINGFEE_INVALID", "expected_shipping_fen");
        let spoil = |request: &mut ConfirmOrderRequest| request.expected_shipping_fen = Some(fen);
        cases.push(confirm("B05", format!("shipping {fen}"), spoil, refusal));
    }
    for fen in [PRICE, PRICE + SHIPPING - 1, PRICE + SHIPPING + 1, 0, -1, i64::MIN, i64::MAX] {
        let refusal = Expected::No(InvalidArgument, "SHOP_ORDERAMOUNT_INVALID", "expected_total_fen");
        let spoil = |request: &mut ConfirmOrderRequest| request.expected_total_fen = Some(fen);
        cases.push(confirm("B06", format!("total {fen}"), spoil, refusal));
    }
    for fen in [-1, i64::MIN] {
        let refusal = Expected::No(InvalidArgument, "SHOP_MONEY_PAID_LESS_ZERO", "balance_used_fen");
        let spoil = |request: &mut ConfirmOrderRequest| request.balance_used_fen = fen;
        cases.push(confirm("B07", format!("balance {fen}"), spoil, refusal));
    }
    let poor = Expected::No(FailedPrecondition, "SHOP_MONEY_PAID_INVALID", "balance_used_fen");
    cases.push(confirm("B08", "more than the balance", |request| request.balance_used_fen = BALANCE + 1, poor));
    for fen in [PRICE + SHIPPING + 1, 99_999_999_999_999, i64::MAX] {
        let spoil = |request: &mut ConfirmOrderRequest| request.balance_used_fen = fen;
        cases.push(confirm("B09 B16", format!("balance {fen} of a smaller order"), spoil, param("balance_used_fen")));
    }
    for fen in [PRICE + SHIPPING - 2000 + 1, i64::MAX] {
        let spoil = |request: &mut ConfirmOrderRequest| {
            (request.coupon_id, request.balance_used_fen) = (Some(COUPONS[0]), fen);
        };
        cases.push(confirm("B09", format!("coupon and balance {fen}"), spoil, param("balance_used_fen")));
    }
    let dear = |request: &mut ConfirmOrderRequest| request.coupon_id = Some(COUPONS[6]);
    cases.push(confirm("B09", "a coupon larger than the order", dear, param("balance_used_fen")));
    cases
}

fn shapes() -> Vec<Case> {
    let empty = |field| Expected::No(InvalidArgument, "SHOP_ORDER_INVALID", field);
    vec![
        Case::new("B17", "an empty message", Call::of_bytes(CONFIRM, &[]), empty("")),
        confirm("B17", "no lines", |request| request.items.clear(), empty("items")),
        confirm("B18", "no request_id", |request| request.request_id.clear(), param("request_id")),
        confirm("B18", "no user_id", |request| request.user_id = 0, param("user_id")),
        confirm(
            "B18",
            "an empty line",
            |request| request.items = vec![ConfirmItem::default()],
            param("items[0].goods_id"),
        ),
        confirm("B18", "no quantity", |request| request.items[0].quantity = 0, param("items[0].quantity")),
        confirm("B18", "a negative user_id", |request| request.user_id = -ME, param("user_id")),
    ]
}

/// One of the free texts.
type TextOf = fn(&mut ConfirmOrderRequest) -> &mut String;

fn texts() -> Vec<Case> {
    let mut cases = Vec::new();
    let long =
        [("256 characters", "x".repeat(256)), ("256 wide ones", "京".repeat(256)), ("60 KiB", "x".repeat(60 << 10))];
    let nul = [("NUL", "a\0b".to_owned())];
    for (id, texts) in [("B37", &long[..]), ("B34", &nul[..])] {
        for (what, text) in texts {
            let fields: [(&str, TextOf); 3] = [
                ("address", |request| &mut request.address),
                ("consignee", |request| &mut request.consignee),
                ("phone", |request| &mut request.phone),
            ];
            for (field, of) in fields {
                let spoil = |request: &mut ConfirmOrderRequest| text.clone_into(of(request));
                cases.push(confirm(id, format!("{field}: {what}"), spoil, param(field)));
            }
            let cancel = CancelOrderRequest { order_id: UNKNOWN_ID, user_id: ME, reason: text.clone() };
            cases.push(Case::new(id, format!("reason: {what}"), Call::new(CANCEL, &cancel), param("reason")));
        }
    }
    cases
}

fn keys(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for key in ["", " ", "a b", "a\tb", "a\r\nb", "a\0b", "\u{7f}", "é", "键", "\u{202e}x", "' OR 1=1 --"] {
        let spoil = |request: &mut ConfirmOrderRequest| key.clone_into(&mut request.request_id);
        cases.push(confirm("B67", format!("key {key:?}"), spoil, param("request_id")));
    }
    for length in [65, 256, 10_000] {
        let spoil = |request: &mut ConfirmOrderRequest| request.request_id = "k".repeat(length);
        cases.push(confirm("B67", format!("key of {length}"), spoil, param("request_id")));
    }
    let conflict = || Expected::No(AlreadyExists, "SHOP_IDEMPOTENCY_CONFLICT", "request_id");
    let known = &world.open.request_id;
    let spoils: [fn(&mut ConfirmOrderRequest); 6] = [
        |request| request.items[0].quantity = 2,
        |request| request.items[0].expected_price_fen = None,
        |request| "elsewhere".clone_into(&mut request.address),
        |request| request.coupon_id = Some(COUPONS[0]),
        |request| request.balance_used_fen = 1,
        // What makes it impossible is read after the key.
        |request| request.items[0].goods_id = UNKNOWN_ID,
    ];
    for (index, spoil) in spoils.into_iter().enumerate() {
        let mut request = order(known);
        spoil(&mut request);
        cases.push(Case::new("B65", format!("another body {index}"), Call::new(CONFIRM, &request), conflict()));
    }
    cases.push(Case::new("B64", "the same again", Call::new(CONFIRM, &order(known)), Expected::Fine));
    cases
}

fn coupons() -> Vec<Case> {
    let [_, foreign, used, expired, early, large, _] = COUPONS;
    let absent = || not_found("SHOP_COUPON_NO_EXIST", "coupon_id");
    let no_use = || Expected::No(FailedPrecondition, "SHOP_COUPON_INVALIED", "coupon_id");
    let mut cases = Vec::new();
    for (id, what, coupon, expected) in [
        ("B22", "somebody else's", foreign, absent()),
        ("B22", "unknown", UNKNOWN_ID, absent()),
        ("B23", "used", used, no_use()),
        ("B23", "expired", expired, no_use()),
        ("B23", "not yet valid", early, no_use()),
        ("B23", "for a larger order", large, no_use()),
        ("B18", "zero", 0, param("coupon_id")),
        ("B18", "negative", -1, param("coupon_id")),
    ] {
        cases.push(confirm(id, format!("coupon: {what}"), |request| request.coupon_id = Some(coupon), expected));
    }
    let read = |coupon_id| Call::new(GET_COUPON, &GetCouponRequest { coupon_id, user_id: ME });
    cases.push(Case::new("B24", "somebody else's coupon", read(foreign), absent()));
    cases.push(Case::new("B24", "an unknown coupon", read(UNKNOWN_ID), absent()));
    cases
}

/// What is somebody else's is not there: in the same words as what nobody has.
fn others(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, order_id, pay_id) in
        [("somebody else's", world.foreign.order_id, world.foreign.pay_id), ("unknown", UNKNOWN_ID, UNKNOWN_ID)]
    {
        let order = || not_found("SHOP_ORDER_NO_EXIST", "order_id");
        let get = Call::new(GET_ORDER, &GetOrderRequest { order_id, user_id: ME });
        let cancel = Call::new(CANCEL, &CancelOrderRequest { order_id, user_id: ME, reason: String::new() });
        let watch = Call::new(WATCH, &WatchOrderRequest { order_id, user_id: ME });
        let amount_fen = world.foreign.amount_fen;
        let pay = CreatePaymentRequest { order_id, user_id: ME, amount_fen, channel: String::new() };
        for (verb, call) in
            [("get", get), ("cancel", cancel), ("watch", watch), ("pay", Call::new(CREATE_PAYMENT, &pay))]
        {
            cases.push(Case::new("B24", format!("{verb} an order: {what}"), call, order()));
        }
        let payment = Call::new(GET_PAYMENT, &GetPaymentRequest { pay_id, user_id: ME });
        let absent = not_found("SHOP_PAYMENT_NOT_FOUND", "pay_id");
        cases.push(Case::new("B24", format!("a payment: {what}"), payment, absent));
    }
    cases
}

fn payments(world: &World) -> Vec<Case> {
    let due = world.open.amount_due_fen;
    let pay = |order_id, amount_fen, channel: &str| {
        Call::new(
            CREATE_PAYMENT,
            &CreatePaymentRequest { order_id, user_id: ME, amount_fen, channel: channel.to_owned() },
        )
    };
    let open = world.open.order_id;
    let mut cases = Vec::new();
    for amount in [due - 1, due + 1, due * 100, i64::MAX] {
        let refusal = Expected::No(InvalidArgument, "SHOP_AMOUNT_MISMATCH", "amount_fen");
        cases.push(Case::new("B80", format!("amount {amount}"), pay(open, amount, ""), refusal));
    }
    for amount in [0, -1, -due, i64::MIN] {
        cases.push(Case::new("B80", format!("amount {amount}"), pay(open, amount, ""), param("amount_fen")));
    }
    for channel in ["alipay", "SANDBOX", "sandbox ", "' OR 1=1 --"] {
        let refusal = Expected::No(InvalidArgument, "SHOP_CHANNEL_UNKNOWN", "channel");
        cases.push(Case::new("B80", format!("channel {channel:?}"), pay(open, due, channel), refusal));
    }
    let wrong_state = |reason| Expected::No(FailedPrecondition, reason, "order_id");
    let (paid, cancelled) = (&world.paid, &world.closed);
    let again = pay(paid.order_id, paid.amount_fen, "");
    cases.push(Case::new("B80", "a paid order", again, wrong_state("SHOP_ORDER_PAY_STATUS_IS_PAY")));
    let late = pay(cancelled.order_id, cancelled.amount_fen, "");
    cases.push(Case::new("B80", "a cancelled order", late, wrong_state("SHOP_ORDER_NOT_PAYABLE")));
    let cancel = |order_id| Call::new(CANCEL, &CancelOrderRequest { order_id, user_id: ME, reason: String::new() });
    cases.push(Case::new("B81", "cancel twice", cancel(cancelled.order_id), Expected::Fine));
    cases
}

/// Every id of every request, not given and negative.
fn ids() -> Vec<Case> {
    let mut cases = Vec::new();
    for id in [0, -1] {
        let pay = |order_id, user_id| CreatePaymentRequest { order_id, user_id, amount_fen: 1, channel: String::new() };
        let cancel = |order_id, user_id| CancelOrderRequest { order_id, user_id, reason: String::new() };
        for (field, call) in [
            ("order_id", Call::new(GET_ORDER, &GetOrderRequest { order_id: id, user_id: ME })),
            ("user_id", Call::new(GET_ORDER, &GetOrderRequest { order_id: 1, user_id: id })),
            ("order_id", Call::new(WATCH, &WatchOrderRequest { order_id: id, user_id: ME })),
            ("user_id", Call::new(WATCH, &WatchOrderRequest { order_id: 1, user_id: id })),
            ("order_id", Call::new(CANCEL, &cancel(id, ME))),
            ("user_id", Call::new(CANCEL, &cancel(1, id))),
            ("user_id", Call::new(LIST_ORDERS, &ListOrdersRequest { user_id: id, ..ListOrdersRequest::default() })),
            ("order_id", Call::new(CREATE_PAYMENT, &pay(id, ME))),
            ("user_id", Call::new(CREATE_PAYMENT, &pay(1, id))),
            ("pay_id", Call::new(GET_PAYMENT, &GetPaymentRequest { pay_id: id, user_id: ME })),
            ("user_id", Call::new(GET_PAYMENT, &GetPaymentRequest { pay_id: 1, user_id: id })),
            ("goods_id", Call::new(GET_GOODS, &GetGoodsRequest { goods_id: id })),
            ("coupon_id", Call::new(GET_COUPON, &GetCouponRequest { coupon_id: id, user_id: ME })),
            ("user_id", Call::new(GET_COUPON, &GetCouponRequest { coupon_id: 1, user_id: id })),
            ("user_id", Call::new(LIST_COUPONS, &ListCouponsRequest { user_id: id })),
            ("user_id", Call::new(GET_USER, &GetUserRequest { user_id: id })),
        ] {
            cases.push(Case::new("B18", format!("{} {field} {id}", call.path), call, param(field)));
        }
    }
    let goods = Call::new(GET_GOODS, &GetGoodsRequest { goods_id: UNKNOWN_ID });
    cases.push(Case::new("B19", "unknown goods", goods, not_found("SHOP_GOODS_NO_EXIST", "goods_id")));
    let user = Call::new(GET_USER, &GetUserRequest { user_id: OTHER + UNKNOWN_ID });
    cases.push(Case::new("B20", "an unknown user", user, not_found("SHOP_USER_NO_EXIST", "user_id")));
    cases
}

fn pages() -> Vec<Case> {
    let mut cases = Vec::new();
    let pages = [
        (-1, ""),
        (101, ""),
        (i32::MAX, ""),
        (1, "0"),
        (1, "-1"),
        (1, "x"),
        (1, "1 OR 1=1"),
        (1, "9223372036854775808"),
    ];
    for (page_size, token) in pages {
        let field = if token.is_empty() { "page_size" } else { "page_token" };
        let page_token = token.to_owned();
        let orders = ListOrdersRequest { user_id: ME, page_size, page_token: page_token.clone() };
        let goods = ListGoodsRequest { page_size, page_token };
        for call in [Call::new(LIST_ORDERS, &orders), Call::new(LIST_GOODS, &goods)] {
            cases.push(Case::new("B84", format!("{} {page_size} {token:?}", call.path), call, param(field)));
        }
    }
    cases
}
