//! Notifications that must not be believed.

use serde_json::Value;
use shop_proto::pay::v1::{
    CallbackPaymentRequest, CallbackPaymentResponse, GetPaymentRequest, Payment, PaymentStatus,
    callback_payment_response::Outcome,
};
use tonic::Code::{FailedPrecondition, InvalidArgument, Unauthenticated};

use super::{
    Case, Expected,
    requests::GET_PAYMENT,
    wire::Call,
    world::{ME, World, notice, signature, signed, without},
};

pub(super) const CALLBACK: &str = "/shop.pay.v1.PayService/CallbackPayment";
const HEADER: &str = "x-shop-signature";

/// Refused, and not one row of them is kept.
pub(super) fn cases(world: &World) -> Vec<Case> {
    [forged(&world.paying), misread(&world.paying), untimely(&world.paying)].into_iter().flatten().collect()
}

fn case(id: &'static str, what: impl Into<String>, request: &CallbackPaymentRequest, expected: Expected) -> Case {
    Case::new(id, what, Call::new(CALLBACK, request), expected)
}

fn forged(payment: &Payment) -> Vec<Case> {
    let invalid = || Expected::No(Unauthenticated, "SHOP_SIGN_INVALID", HEADER);
    let right = notice("n", payment).to_string();
    let header = signature(right.as_bytes(), 0);
    let (front, hex) = header.rsplit_once("v1=").unwrap();
    let mut cases = vec![];
    for (what, header) in [
        ("empty", String::new()),
        ("no v1", front.to_owned()),
        ("short", format!("{front}v1={}", &hex[..62])),
        ("upper case", format!("{front}v1={}", hex.to_uppercase())),
        ("base64", format!("{front}v1={}=", &hex[..43])),
        ("no hex at all", format!("{front}v1={}", "z".repeat(64))),
        ("zeros", format!("{front}v1={}", "0".repeat(64))),
        ("another key id", header.replace("kid=demo", "kid=other")),
        ("a path as key id", header.replace("kid=demo", "kid=../../demo")),
        ("another time", header.replacen("t=1", "t=2", 1)),
        ("another algorithm", header.replace("v1=", "alg=none,v1=")),
        ("two of them", format!("{header},v1={hex}")),
    ] {
        let mut request = signed(right.as_bytes());
        request.headers.insert(HEADER.to_owned(), header);
        cases.push(case("B74", format!("signature: {what}"), &request, invalid()));
    }
    let unsigned = CallbackPaymentRequest { headers: [].into(), ..signed(right.as_bytes()) };
    cases.push(case("B74", "no signature", &unsigned, invalid()));
    let spelled = [("X-Shop-Signature".to_owned(), header)].into();
    let spelled = CallbackPaymentRequest { headers: spelled, ..signed(right.as_bytes()) };
    cases.push(case("B74", "the header of another spelling", &spelled, invalid()));
    let pretty = serde_json::to_vec_pretty(&notice("n", payment)).unwrap();
    let rewritten = CallbackPaymentRequest { body: pretty, ..signed(right.as_bytes()) };
    cases.push(case("B74", "the body written anew", &rewritten, invalid()));
    let cheaper = right.replace(&payment.amount_fen.to_string(), "1");
    assert_ne!(cheaper, right);
    let cheaper = CallbackPaymentRequest { body: cheaper.into_bytes(), ..signed(right.as_bytes()) };
    cases.push(case("B74", "another amount", &cheaper, invalid()));
    for channel in ["", "alipay", "SANDBOX", "' OR 1=1 --"] {
        let request = CallbackPaymentRequest { channel: channel.to_owned(), ..signed(right.as_bytes()) };
        let refusal = Expected::No(InvalidArgument, "SHOP_CHANNEL_UNKNOWN", "channel");
        cases.push(case("B74", format!("channel {channel:?}"), &request, refusal));
    }
    cases
}

/// Rightly signed, but not what the contract says a notification is.
fn misread(payment: &Payment) -> Vec<Case> {
    let right = notice("n", payment);
    let amount = payment.amount_fen.to_string();
    let mut cases = Vec::new();
    for literal in
        ["\"110.00\"", "\"11000\"", "\"11000 \"", "11000.0", "1.1e4", "null", "true", "[11000]", "9223372036854775808"]
    {
        let body = right.to_string().replace(&format!("\"amount_fen\":{amount}"), &format!("\"amount_fen\":{literal}"));
        assert_ne!(body, right.to_string());
        let refusal = Expected::No(InvalidArgument, "SHOP_AMOUNT_MISMATCH", "amount_fen");
        cases.push(case("B76", format!("amount {literal}"), &signed(body), refusal));
    }
    for (id, field, value, reason, at) in [
        ("B26", "status", "PAID", "SHOP_NOTIFY_INVALID", "body"),
        ("B26", "status", "success", "SHOP_NOTIFY_INVALID", "body"),
        ("B27", "is_paid", "2", "SHOP_NOTIFY_INVALID", "body"),
        ("B36", "notify_id", "n\r\nSet-Cookie: a", "SHOP_NOTIFY_INVALID", "notify_id"),
        ("B37", "notify_id", &"n".repeat(65), "SHOP_NOTIFY_INVALID", "notify_id"),
        ("B34", "channel_trade_no", "T\0", "SHOP_NOTIFY_INVALID", "channel_trade_no"),
        ("B18", "pay_id", "", "SHOP_NOTIFY_INVALID", "body"),
    ] {
        let mut body = right.clone();
        body[field] = value.into();
        let refusal = Expected::No(InvalidArgument, reason, at);
        cases.push(case(id, format!("{field} {value:?}"), &signed(body.to_string()), refusal));
    }
    for body in ["", "{}", "[]", "null", "payId=1&isPaid=2", "{\"pay_id\":\"\u{0}\"}"] {
        let refusal = Expected::No(InvalidArgument, "SHOP_NOTIFY_INVALID", "body");
        cases.push(case("B79", format!("body {body:?}"), &signed(body), refusal));
    }
    cases
}

fn untimely(payment: &Payment) -> Vec<Case> {
    let body = notice("n", payment).to_string().into_bytes();
    // Those of the future come nearer while the table is sent.
    [-100_000, -302, 400, 600]
        .into_iter()
        .map(|seconds| {
            let headers = [(HEADER.to_owned(), signature(&body, seconds))].into();
            let request = CallbackPaymentRequest { headers, ..signed(body.clone()) };
            let replay = Expected::No(FailedPrecondition, "SHOP_NOTIFY_REPLAY", HEADER);
            case("B77", format!("signed {seconds} s from now"), &request, replay)
        })
        .collect()
}

/// Rightly signed and wrong: refused, recorded, and nothing else.
pub(super) async fn genuine_but_wrong_is_recorded(world: &World) {
    let amount = world.paying.amount_fen;
    let with = |field: &str, value: Value| {
        let mut body = notice(&format!("wrong-{value}"), &world.paying);
        body[field] = value;
        body
    };
    for (id, body, reason, field) in [
        ("B76", with("amount_fen", (amount - 1).into()), "SHOP_AMOUNT_MISMATCH", "amount_fen"),
        ("B76", with("amount_fen", (amount + 1).into()), "SHOP_AMOUNT_MISMATCH", "amount_fen"),
        ("B76", with("amount_fen", (amount * 100).into()), "SHOP_AMOUNT_MISMATCH", "amount_fen"),
        ("B76", with("amount_fen", 0.into()), "SHOP_AMOUNT_MISMATCH", "amount_fen"),
        ("B76", with("amount_fen", (-amount).into()), "SHOP_AMOUNT_MISMATCH", "amount_fen"),
        ("B76", with("currency", "USD".into()), "SHOP_AMOUNT_MISMATCH", "currency"),
        ("B76", with("currency", "cny".into()), "SHOP_AMOUNT_MISMATCH", "currency"),
        ("B76", with("merchant_id", "other".into()), "SHOP_NOTIFY_INVALID", "merchant_id"),
        ("B19", with("pay_id", "987654321".into()), "SHOP_NOTIFY_INVALID", "pay_id"),
        ("B19", with("pay_id", (-1).into()), "SHOP_NOTIFY_INVALID", "pay_id"),
        ("B19", with("pay_id", world.open.order_id.into()), "SHOP_NOTIFY_INVALID", "pay_id"),
    ] {
        let before = world.dump().await;
        let case = case(id, body.to_string(), &signed(body.to_string()), Expected::No(InvalidArgument, reason, field));
        assert_eq!(case.wrong(&case.call.send(&world.wire).await.unwrap()), None);
        let after = world.dump().await;
        assert_eq!(without_notices(&after), without_notices(&before), "{body}");
        assert_eq!(after.lines().count(), before.lines().count() + 1, "{body}");
    }
    let wrong = with("amount_fen", (amount - 1).into());
    let mut right = wrong.clone();
    right["amount_fen"] = amount.into();
    right["status"] = "WAIT".into();
    assert_eq!(call(world, &right).await.0, Outcome::Ignored, "a wrong one does not stand in the way of the right one");
}

/// The rows but those of the notifications.
fn without_notices(dump: &str) -> Vec<&str> {
    without(dump, "trade_pay_notify")
}

async fn call(world: &World, body: &Value) -> (Outcome, Payment) {
    let reply = Call::new(CALLBACK, &signed(body.to_string())).send(&world.wire).await.unwrap();
    assert_eq!(reply.code(), Some(tonic::Code::Ok), "{body}: {reply:?}");
    let answer: CallbackPaymentResponse = reply.message();
    assert_eq!(answer.ack_body, b"success", "{body}");
    (answer.outcome(), answer.payment.unwrap())
}

/// B77 and B78: whatever is said about a payment that is paid, it stays paid; money for a closed one is never ignored.
pub(super) async fn nothing_takes_a_payment_back(world: &World) {
    world.settle().await;
    let before = world.dump().await;
    for (notify_id, status, outcome) in [
        ("later-1", "SUCCESS", Outcome::AlreadyApplied),
        ("later-1", "SUCCESS", Outcome::AlreadyApplied),
        ("later-2", "WAIT", Outcome::Ignored),
        ("later-3", "CLOSED", Outcome::Ignored),
    ] {
        let mut body = notice(notify_id, &world.paid);
        body["status"] = status.into();
        let (done, payment) = call(world, &body).await;
        assert_eq!((done, payment.status()), (outcome, PaymentStatus::Paid), "{body}");
    }
    let mut other = notice("later-1", &world.paid);
    other["channel_trade_no"] = "another".into();
    let replay = Expected::No(FailedPrecondition, "SHOP_NOTIFY_REPLAY", "notify_id");
    let case = case("B77", "an id with another body", &signed(other.to_string()), replay);
    assert_eq!(case.wrong(&case.call.send(&world.wire).await.unwrap()), None);
    assert_eq!(without_notices(&world.dump().await), without_notices(&before));

    let (done, payment) = call(world, &notice("money-for-nothing", &world.closed)).await;
    assert_eq!((done, payment.status()), (Outcome::Applied, PaymentStatus::Paid));
    world.settle().await;
    let request = GetPaymentRequest { pay_id: world.closed.pay_id, user_id: ME };
    let kept: Payment = Call::new(GET_PAYMENT, &request).send(&world.wire).await.unwrap().message();
    assert_eq!(kept.status(), PaymentStatus::Paid);
    let dump = world.dump().await;
    let of_order = format!("order_id={}", world.closed.order_id);
    let order = dump.lines().find(|line| line.contains(&of_order) && line.contains("request_id=closed")).unwrap();
    assert!(order.contains("order_status=2"), "it stays cancelled: {order}");
    let refund = dump.lines().find(|line| line.contains("refund_id=") && line.contains(&of_order)).unwrap();
    assert!(refund.contains(&format!("amount_fen={}", payment.amount_fen)), "all of it goes back: {refund}");
}
