//! What looks wrong and is right: done exactly once, and kept byte for byte.

use std::time::Duration;

use shop_proto::order::v1::{
    ConfirmItem, ConfirmOrderRequest, ConfirmOrderResponse, Order, OrderStatus, PayStatus,
    order_service_client::OrderServiceClient,
};
use shop_testkit::{eventually, participant::number};
use tonic::Code;

use super::{
    requests::CONFIRM,
    wire::Call,
    world::{OTHER, RARE, RARE_STOCK, World, order},
};

async fn confirm(world: &World, call: &Call) -> Order {
    let reply = call.send(&world.wire).await.unwrap();
    assert_eq!(reply.code(), Some(Code::Ok), "{reply:?}");
    reply.message::<ConfirmOrderResponse>().order.unwrap()
}

/// What stands in the row of this order.
async fn count(world: &World, condition: &str) -> i64 {
    number(&world.schemas.order, &format!("SELECT COUNT(*) AS n FROM trade_order WHERE {condition}")).await
}

pub(super) async fn what_is_strange_but_right_is_kept(world: &World) {
    the_last_unit_can_be_bought(world).await;
    what_nobody_knows_is_ignored(world).await;
    texts_are_kept(world).await;
    keys_are_scoped_by_user_and_case(world).await;
    a_caller_who_hangs_up_leaves_nothing_half_done(world).await;
    the_same_key_at_once_is_one_order(world).await;
}

/// B03.
async fn the_last_unit_can_be_bought(world: &World) {
    let items = vec![ConfirmItem { goods_id: RARE, quantity: RARE_STOCK, expected_price_fen: None }];
    let request = ConfirmOrderRequest { items, expected_shipping_fen: None, expected_total_fen: None, ..order("last") };
    let bought = confirm(world, &Call::new(CONFIRM, &request)).await;
    assert_eq!(bought.status(), OrderStatus::Confirmed);
    let left = format!("SELECT goods_number AS n FROM trade_goods WHERE goods_id = {RARE}");
    assert_eq!(number(&world.schemas.goods, &left).await, 0);
}

/// B27 and B28: unknown fields, among them what an `Order` calls status and pay status, are nobody's.
async fn what_nobody_knows_is_ignored(world: &World) {
    let mut message = prost::Message::encode_to_vec(&order("unknown-fields"));
    // 40: varint 1, 41: varint 2, 42: bytes, 43: fixed64, 44: fixed32, 45: a group.
    message.extend(b"\xc0\x02\x01\xc8\x02\x02\xd2\x02\x03abc\xd9\x02\0\0\0\0\0\0\0\0\xe5\x02\0\0\0\0\xeb\x02\xec\x02");
    let placed = confirm(world, &Call::of_bytes(CONFIRM, &message)).await;
    assert_eq!((placed.status(), placed.pay_status()), (OrderStatus::Confirmed, PayStatus::Unpaid));
    assert_eq!(confirm(world, &Call::new(CONFIRM, &order("unknown-fields"))).await.order_id, placed.order_id);
}

/// B35 to B39.
async fn texts_are_kept(world: &World) {
    let strange = [
        "\u{202e}evil\u{202c}".to_owned(),
        "a\u{200b}b\u{feff}".to_owned(),
        format!("e{}", "\u{301}".repeat(254)),
        "👩‍👩‍👧‍👦".to_owned(),
        "раураl".to_owned(),
        "京".repeat(255),
        "🏠".repeat(255),
        "line\r\nSet-Cookie: a=b\r\n\r\n{\"level\":\"ERROR\"}".to_owned(),
        String::new(),
        "   ".to_owned(),
        "  in front".to_owned(),
        "' OR 1=1 --".to_owned(),
        "\"; DROP TABLE users; --".to_owned(),
        "100%_\\".to_owned(),
        "<script>alert(1)</script>".to_owned(),
    ];
    for (index, text) in strange.into_iter().enumerate() {
        let key = format!("text-{index}");
        let request =
            ConfirmOrderRequest { address: text.clone(), consignee: text.clone(), phone: text.clone(), ..order(&key) };
        let placed = confirm(world, &Call::new(CONFIRM, &request)).await;
        let hex = hex::encode_upper(&text);
        let same = ["address", "consignee", "phone"].map(|column| format!("HEX({column}) = '{hex}'")).join(" AND ");
        assert_eq!(count(world, &format!("order_id = {} AND {same}", placed.order_id)).await, 1, "{text:?}");
    }
}

/// B64, B66 and B67.
async fn keys_are_scoped_by_user_and_case(world: &World) {
    let longest = "!~".repeat(32);
    let first = confirm(world, &Call::new(CONFIRM, &order(&longest))).await;
    let again = confirm(world, &Call::new(CONFIRM, &order(&longest))).await;
    assert_eq!((first.order_id, &first.request_id), (again.order_id, &longest));
    let other = ConfirmOrderRequest { user_id: OTHER, address: "elsewhere".to_owned(), ..order(&longest) };
    assert_ne!(confirm(world, &Call::new(CONFIRM, &other)).await.order_id, first.order_id);
    let small = confirm(world, &Call::new(CONFIRM, &order("case"))).await;
    let large = confirm(world, &Call::new(CONFIRM, &order("CASE"))).await;
    assert_ne!(small.order_id, large.order_id);
}

/// B63.
async fn a_caller_who_hangs_up_leaves_nothing_half_done(world: &World) {
    for millis in [0, 1, 2, 5, 10] {
        let key = format!("hung-up-{millis}");
        let mut client = OrderServiceClient::new(world.channel.clone());
        let asked = tokio::time::timeout(Duration::from_millis(millis), client.confirm_order(order(&key))).await;
        drop(asked);
        let unfinished = format!("request_id = '{key}' AND order_status = 0");
        eventually("the saga ends", Duration::from_secs(20), async || count(world, &unfinished).await == 0).await;
        let placed = confirm(world, &Call::new(CONFIRM, &order(&key))).await;
        assert_eq!(placed.status(), OrderStatus::Confirmed, "{key}");
        assert_eq!(count(world, &format!("request_id = '{key}'")).await, 1);
    }
}

/// B64 while it runs.
async fn the_same_key_at_once_is_one_order(world: &World) {
    let call = Call::new(CONFIRM, &order("at-once"));
    let orders = futures::future::join_all((0..20).map(|_| confirm(world, &call))).await;
    assert!(orders.iter().all(|order| order.order_id == orders[0].order_id));
    assert_eq!(count(world, "request_id = 'at-once'").await, 1);
}
