//! Bytes that are no request, and callers that speak something else.

use http::Method;
use shop_proto::{
    goods::v1::GetGoodsRequest,
    order::v1::{ConfirmOrderRequest, GetOrderRequest},
};
use shop_testkit::http2::{END_HEADERS, Frame, NONE, RawHttp2, floods};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::Code;

use super::{
    Case, Expected,
    requests::{CONFIRM, GET_GOODS, GET_ORDER},
    wire::{Call, Wire},
    world::{BOOK, ME, PATIENCE, World, order},
};

const GARBLED: Expected = Expected::Protocol(&[Code::Internal]);
const TOO_LARGE: Expected = Expected::Protocol(&[Code::OutOfRange]);
const NOT_HERE: Expected = Expected::Protocol(&[Code::Unimplemented]);

pub(super) fn cases(world: &World) -> Vec<Case> {
    [garbled(), framed(), misaddressed(), headers(), large_headers(), forged_origins(world)]
        .into_iter()
        .flatten()
        .collect()
}

fn fine() -> Call {
    Call::new(GET_GOODS, &GetGoodsRequest { goods_id: BOOK })
}

/// An order with `bytes` as its address.
fn address(bytes: &[u8]) -> Call {
    let mut message = prost::Message::encode_to_vec(&order("garbled"));
    message.extend([8 << 3 | 2, u8::try_from(bytes.len()).unwrap()]);
    message.extend(bytes);
    Call::of_bytes(CONFIRM, &message)
}

fn garbled() -> Vec<Case> {
    let mut cases = Vec::new();
    for (id, bytes) in [
        ("B32", &b"\xff\xfe"[..]),
        ("B32", b"a\xc3"),
        ("B33", b"\xc0\x80"),
        ("B33", b"\xed\xa0\x80"),
        ("B33", b"\xf4\x90\x80\x80"),
    ] {
        cases.push(Case::new(id, format!("address {bytes:?}"), address(bytes), GARBLED));
    }
    let whole = prost::Message::encode_to_vec(&order("garbled"));
    for length in [1, whole.len() / 2, whole.len() - 1] {
        cases.push(Case::new("B46", format!("{length} bytes"), Call::of_bytes(CONFIRM, &whole[..length]), GARBLED));
    }
    let nested = [&[9 << 3 | 3; 200][..], &[9 << 3 | 4; 200]].concat();
    for (id, what, message) in [
        ("B46", "noise", &b"\x9a\x13\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..]),
        ("B46", "field number 0", b"\x00\x01"),
        ("B46", "a varint of eleven bytes", b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ("B46", "wire type 7", b"\x0f"),
        ("B46", "a group that never ends", b"\x4b\x50\x01"),
        ("B46", "a length beyond the end", b"\x0a\xff\xff\xff\xff\x0f"),
        ("B46", "a string where a number belongs", b"\x12\x01a"),
        ("B47", "200 groups in each other", &nested),
    ] {
        cases.push(Case::new(id, what, Call::of_bytes(CONFIRM, message), GARBLED));
    }
    cases
}

fn framed() -> Vec<Case> {
    let large =
        |bytes: usize| Call::new(CONFIRM, &ConfirmOrderRequest { address: "x".repeat(bytes), ..order("large") });
    let frame = fine().body;
    let broken = Expected::Protocol(&[Code::Internal, Code::Unimplemented, Code::InvalidArgument, Code::Unknown]);
    let but = |prefix: &[u8]| fine().framed(&[prefix, &frame[prefix.len()..]].concat());
    vec![
        Case::new("B42", "64 KiB", large(64 << 10), TOO_LARGE),
        Case::new("B42", "1 MiB", large(1 << 20), TOO_LARGE),
        Case::new("B42", "4 MiB + 1", large((4 << 20) + 1), TOO_LARGE),
        Case::new("B42", "5 MiB", large(5 << 20), TOO_LARGE),
        Case::new("B43", "4 GiB are promised", but(&[0, 0xff, 0xff, 0xff, 0xff]), TOO_LARGE),
        Case::new("B43", "more is promised than comes", but(&[0, 0, 0, 0, 0xff]), GARBLED),
        Case::new("B43", "half a prefix", fine().framed(&frame[..3]), GARBLED),
        Case::new("B43", "no frame", fine().framed(&[]), GARBLED),
        Case::new("B44", "compressed without saying how", but(&[1]), broken),
        Case::new("B44", "a flag of 2", but(&[2]), GARBLED),
        Case::new(
            "B44",
            "gzip",
            fine().header("grpc-encoding", Some("gzip")).framed(&[&[1], &frame[1..]].concat()),
            NOT_HERE,
        ),
    ]
}

fn misaddressed() -> Vec<Case> {
    let to = |path: &str| Call { path: path.to_owned(), ..fine() };
    let mut cases = Vec::new();
    for path in [
        "/shop.order.v1.OrderService/DropOrder",
        "/shop.order.v1.OrderService/confirmOrder",
        "/shop.order.v2.OrderService/ConfirmOrder",
        "/ConfirmOrder",
        "/",
        "/shop.order.v1.OrderService/",
        "/shop.order.v1.OrderService/ConfirmOrder/",
        "/orders/..%2f..%2fadmin",
    ] {
        cases.push(Case::new("B50", path, to(path), NOT_HERE));
    }
    // What only the services may call among themselves (B70).
    for path in [
        "/shop.goods.v1.StockService/ReserveStock",
        "/shop.goods.v1.StockService/ReleaseStock",
        "/shop.goods.v1.StockService/QuoteGoods",
        "/shop.coupon.v1.RedemptionService/RedeemCoupon",
        "/shop.coupon.v1.RedemptionService/ReinstateCoupon",
        "/shop.user.v1.BalanceService/GetBalances",
        "/shop.user.v1.BalanceService/DebitBalance",
        "/shop.user.v1.BalanceService/RefundBalance",
        "/shop.user.v1.PointsService/AwardPoints",
        "/shop.user.v1.PointsService/ReversePoints",
        "/shop.order.v1.OrderStateService/GetStates",
        "/shop.order.v1.OrderStateService/BeginPayment",
        "/shop.order.v1.OrderStateService/MarkPaid",
        "/shop.order.v1.OrderStateService/MarkRefunded",
        "/shop.pay.v1.PaymentStateService/GetStates",
        "/shop.pay.v1.PaymentStateService/ClosePayments",
        "/shop.pay.v1.PaymentStateService/CloseAtChannel",
        "/shop.pay.v1.PaymentStateService/RefundOrder",
        "/shop.pay.v1.PaymentStateService/HintPaid",
    ] {
        cases.push(Case::new("B70", path, to(path), NOT_HERE));
    }
    cases
}

fn headers() -> Vec<Case> {
    let mut cases = Vec::new();
    let write = || Call::new(CONFIRM, &order("other-protocol"));
    for kind in
        [Some("text/plain"), Some("application/json"), Some("application/x-protobuf"), Some("application/grpcx"), None]
    {
        let call = write().header("content-type", kind);
        cases.push(Case::new("B48", format!("content type {kind:?}"), call, Expected::Http(415)));
    }
    for kind in
        ["application/grpc+json", "application/grpc+thrift", "application/grpc-web", "application/grpc-web+proto"]
    {
        let call = write().header("content-type", Some(kind));
        cases.push(Case::new("B48", format!("content type {kind}"), call, Expected::Http(415)));
    }
    let proto = fine().header("content-type", Some("application/grpc+proto"));
    cases.push(Case::new("B48", "application/grpc+proto", proto, Expected::Fine));
    cases.push(Case::new("B49", "no te", fine().header("te", None), Expected::Fine));
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE, Method::TRACE] {
        let call = Call { method: method.clone(), ..write() };
        cases.push(Case::new("B50", method.to_string(), call, Expected::Http(405)));
    }
    let late = || Expected::No(Code::DeadlineExceeded, "SHOP_UNKNOWN", "");
    for timeout in ["0n", "0S", "00000000H"] {
        let call = write().header("grpc-timeout", Some(timeout));
        cases.push(Case::new("B62", format!("timeout {timeout}"), call, late()));
    }
    for timeout in ["99999999H", "", "n", "-1S", "1", "1e3S", "999999999S", "garbage"] {
        let call = fine().header("grpc-timeout", Some(timeout));
        cases.push(Case::new("B62", format!("timeout {timeout:?}"), call, Expected::Fine));
    }
    cases
}

fn large_headers() -> Vec<Case> {
    let write = || Call::new(CONFIRM, &order("large-headers"));
    let mut many = write();
    many.headers.extend((0..1000).map(|_| ("x-many", "y".to_owned())));
    let long = write().header("x-long", Some(&"y".repeat(16 << 10)));
    let full = fine().header("x-long", Some(&"y".repeat(8 << 10)));
    vec![
        Case::new("B51", "1000 headers", many, Expected::Http(431)),
        Case::new("B51", "a header of 16 KiB", long, Expected::Http(431)),
        Case::new("B51", "a header of 8 KiB", full, Expected::Fine),
    ]
}

/// B61: where a call comes from, or goes to, is not what it says of itself.
fn forged_origins(world: &World) -> Vec<Case> {
    let order_id = world.foreign.order_id;
    let foreign = Call::new(GET_ORDER, &GetOrderRequest { order_id, user_id: ME });
    let internal = Call { path: "/shop.goods.v1.StockService/ReserveStock".to_owned(), ..fine() };
    let mut cases = Vec::new();
    for (name, value) in [
        ("host", "admin.internal"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1;host=admin.internal"),
        ("x-forwarded-host", "admin.internal"),
        ("x-user-id", "2"),
    ] {
        let forged = |call: &Call| call.clone().header(name, Some(value));
        let absent = Expected::No(Code::NotFound, "SHOP_ORDER_NO_EXIST", "order_id");
        cases.push(Case::new("B61", format!("{name}: a call"), forged(&fine()), Expected::Fine));
        cases.push(Case::new("B61", format!("{name}: somebody else's order"), forged(&foreign), absent));
        cases.push(Case::new("B61", format!("{name}: an internal call"), forged(&internal), NOT_HERE));
    }
    cases
}

/// B51, B57 to B59: connections that are closed for what they do; see also `shop-common/tests/it/floods.rs`.
pub(super) async fn floods_are_sent_away(world: &World) {
    let before = world.dump().await;
    let write = prost::Message::encode_to_vec(&order("flood"));
    let twice = vec![Frame::call(1, NONE, CONFIRM), Frame::call(1, END_HEADERS, CONFIRM), Frame::message(1, &write)];
    for (what, frames) in floods(CONFIRM).into_iter().chain([("B58 headers within headers", twice)]) {
        let mut raw = RawHttp2::connect(world.up.grpc, &[]).await.unwrap();
        // Whoever is cut off in the middle has been sent away too.
        drop(raw.send(&frames).await);
        timeout(PATIENCE, raw.rest()).await.unwrap_or_else(|_| panic!("{what}: it is listened to"));
        assert!(world.is_healthy().await, "{what}");
    }
    assert_eq!(world.dump().await, before);
}

/// B49: HTTP/1.1 and noise on the gRPC port, gRPC on the gateway's; whoever speaks right is still served.
pub(super) async fn other_protocols_are_refused(world: &World) {
    let before = world.dump().await;
    let texts = [
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "POST /shop.order.v1.OrderService/ConfirmOrder HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0",
        "\x16\x03\x01\x02\x00\x01\x00\x01",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnoise that is no frame",
    ];
    for text in texts {
        let mut stream = TcpStream::connect(world.up.grpc).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset is a refusal too.
        let read = tokio::time::timeout(std::time::Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        read.unwrap_or_else(|_| panic!("it hangs on {text:?}")).unwrap_or_default();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{text:?}");
        assert!(world.is_healthy().await, "{text:?}");
    }
    if let Ok(wire) = Wire::connect(world.up.web).await {
        let reply = fine().send(&wire).await;
        assert!(reply.is_err(), "{reply:?}");
    }
    let gateway = reqwest::get(format!("http://{}/healthz", world.up.web)).await.unwrap();
    assert_eq!(gateway.status(), 200);
    assert_eq!(world.dump().await, before);
}
