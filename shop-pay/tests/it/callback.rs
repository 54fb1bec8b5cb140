//! Notifications: genuine, repeated, wrong and forged. F45 to F50, F53, F55; B74 to B78.

use std::time::Duration;

use futures::future::join_all;
use shop_common::code::ShopCode;
use shop_proto::pay::v1::{CallbackPaymentRequest, Payment, PaymentStatus, callback_payment_response::Outcome};
use shop_testkit::dump;

use crate::{
    fakes::FLAKY,
    world::{KEY, MERCHANT, OLD_KEY, World, body, callback, code, link, signed, worlds},
};

const PAID: &str = "SELECT COUNT(*) AS n FROM trade_pay WHERE is_paid = 2";
const LOGS: &str = "SELECT COUNT(*) AS n FROM trade_pay_log";
const OUTBOX: &str = "SELECT COUNT(*) AS n FROM trade_mq_producer_temp";
const RECORDS: &str = "SELECT COUNT(*) AS n FROM trade_pay_notify";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callbacks_at_once_have_one_effect() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let links = [world.link.clone(), link(&world.second_instance().await)];
        let sent = join_all((0..1000).map(|n| callback(&links[n % 2], world.success(&payment)))).await;
        let mut applied = 0;
        for answer in sent {
            let answer = answer.unwrap();
            assert_eq!(answer.ack_body, b"success");
            assert_eq!(answer.payment.as_ref().unwrap().status(), PaymentStatus::Paid);
            match answer.outcome() {
                Outcome::Applied => applied += 1,
                outcome => assert_eq!(outcome, Outcome::AlreadyApplied),
            }
        }
        assert_eq!(applied, 1, "{}", world.name());
        for (sql, expected) in [(PAID, 1), (LOGS, 1), (OUTBOX, 1), (RECORDS, 1)] {
            assert_eq!(world.number(sql).await, expected, "{sql}");
        }
        assert_eq!(world.number("SELECT times AS n FROM trade_pay_notify").await, 1000);
        assert_eq!(world.owed(&payment).await, 3);
    }
}

#[tokio::test]
async fn the_message_names_the_payment_and_leaves_once() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        world.callback(world.success(&payment)).await.unwrap();
        assert_eq!(world.pay.relay().run_once(world.clock.now()).await.unwrap(), 1);
        world.callback(world.success(&payment)).await.unwrap();
        assert_eq!(world.pay.relay().run_once(world.clock.now()).await.unwrap(), 0);
        let sent = world.bus.published();
        let expected = format!(r#"{{"version":1,"payId":"{}","orderId":"1","payAmount":"880.00"}}"#, payment.pay_id);
        assert_eq!((sent.len(), sent[0].topic.as_str(), sent[0].tag.as_str()), (1, "payTopic", "pay_success"));
        assert_eq!((sent[0].key.clone(), sent[0].body.clone()), (payment.pay_id.to_string(), expected));
        assert_eq!(world.number(OUTBOX).await, 0);
    }
}

#[tokio::test]
async fn what_was_verified_is_recorded_byte_for_byte_without_cookies() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let request = world.success(&payment);
        world.callback(request.clone()).await.unwrap();
        let dump = dump(&world.test.db).await;
        let record = dump.lines().find(|line| line.contains("notify_id=n-")).unwrap();
        assert!(record.contains(&format!("body={}", hex::encode_upper(&request.body))), "{record}");
        assert!(record.contains("x-shop-signature") && record.contains("verdict=applied"), "{record}");
        assert!(!record.contains("cookie"), "{record}");
    }
}

/// All rows but the evidence.
pub(crate) async fn rows(world: &World) -> String {
    let (mut table, mut kept) = (String::new(), Vec::new());
    for line in dump(&world.test.db).await.lines() {
        if !line.starts_with(' ') {
            line.split_whitespace().next().unwrap_or_default().clone_into(&mut table);
        }
        if table != "trade_pay_rejected" {
            kept.push(line.to_owned());
        }
    }
    kept.join("\n")
}

/// Sends what is not genuine: refused by `refusal`, and not one byte of the database changes but the evidence.
async fn refused_without_a_trace(world: &World, what: &str, request: CallbackPaymentRequest, refusal: ShopCode) {
    let before = rows(world).await;
    assert_eq!(code(world.callback(request).await), refusal, "{}: {what}", world.name());
    assert_eq!(rows(world).await, before, "{}: {what}", world.name());
}

/// Garbage that `channel` is said to have sent, with a cookie.
fn forgery(channel: &str, body: &[u8]) -> CallbackPaymentRequest {
    let headers = [("x-shop-signature", "f".repeat(5000)), ("cookie", "secret".to_owned())];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
    CallbackPaymentRequest { channel: channel.to_owned(), headers, body: body.to_vec() }
}

#[tokio::test]
async fn forgeries_are_recorded_up_to_a_rate_for_each_channel_and_then_only_counted() {
    for world in worlds().await {
        let count = async |of: &str| {
            world.number(&format!("SELECT COUNT(*) AS n FROM trade_pay_rejected WHERE channel = '{of}'")).await
        };
        for number in 0..30 {
            let refused = world.callback(forgery("sandbox", format!("forgery {number}").as_bytes())).await;
            assert_eq!(code(refused), ShopCode::SignatureInvalid);
        }
        assert_eq!(count("sandbox").await, 10, "{}", world.name());
        let long = vec![b'x'; 10_000];
        assert_eq!(code(world.callback(forgery(FLAKY, &long)).await), ShopCode::SignatureInvalid);
        assert_eq!(count(FLAKY).await, 1, "another channel has its own rate");
        let record = rejected(&world, "body_bytes=10000").await;
        assert!(record.contains("reason=SHOP_SIGN_INVALID") && record.contains("field=x-shop-signature"), "{record}");
        assert!(!record.contains("cookie") && record.len() < 2 * 4096 + 2000, "cut, and no cookies: {record}");

        world.clock.advance(Duration::from_mins(1));
        world.callback(forgery("sandbox", b"a minute later")).await.unwrap_err();
        assert_eq!(count("sandbox").await, 11);
        world.clock.advance(Duration::from_hours(73));
        world.callback(forgery("sandbox", b"days later")).await.unwrap_err();
        assert_eq!((count("sandbox").await, count(FLAKY).await), (1, 0), "kept for three days");
    }
}

/// The one record that contains `part`.
async fn rejected(world: &World, part: &str) -> String {
    let dump = dump(&world.test.db).await;
    let mut records = dump.lines().filter(|line| line.contains("body_bytes=") && line.contains(part));
    let record = records.next().unwrap_or_else(|| panic!("no {part} in {dump}"));
    assert_eq!(records.next(), None);
    record.to_owned()
}

#[tokio::test]
async fn a_flood_of_forgeries_keeps_no_genuine_notification_out() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let forged = forgery("sandbox", body(&payment).as_bytes());
        let flood = join_all((0..200).map(|_| world.callback(forged.clone())));
        let (refused, answer) = futures::join!(flood, world.callback(world.success(&payment)));
        assert!(refused.into_iter().all(|answer| code(answer) == ShopCode::SignatureInvalid));
        assert_eq!(answer.unwrap().outcome(), Outcome::Applied, "{}", world.name());
    }
}

#[tokio::test]
async fn a_forgery_leaves_no_trace() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let (good, now) = (world.success(&payment), world.now_seconds());
        let text = body(&payment);
        let sign = |seconds, kid: &str, key: &str| signed("sandbox", &text, seconds, kid, key);
        let mut unsigned = good.clone();
        unsigned.headers.clear();
        let mut flipped = good.clone();
        flipped.body[20] ^= 1;
        let mut spaced = good.clone();
        spaced.body = text.replace(':', ": ").into_bytes();
        let mut no_algorithm = good.clone();
        no_algorithm.headers.insert("x-shop-signature".into(), format!("t={now},kid=new,alg=none,v1="));
        for (what, request, refusal) in [
            ("unsigned", unsigned, ShopCode::SignatureInvalid),
            ("flipped", flipped, ShopCode::SignatureInvalid),
            ("written anew", spaced, ShopCode::SignatureInvalid),
            ("no algorithm", no_algorithm, ShopCode::SignatureInvalid),
            ("wrong key", sign(now, "new", OLD_KEY), ShopCode::SignatureInvalid),
            ("unknown key id", sign(now, "newer", KEY), ShopCode::SignatureInvalid),
            ("empty key", sign(now, "new", ""), ShopCode::SignatureInvalid),
            ("too old", sign(now - 301, "new", KEY), ShopCode::NotifyReplay),
            ("from the future", sign(now + 301, "new", KEY), ShopCode::NotifyReplay),
            (
                "unknown channel",
                CallbackPaymentRequest { channel: "alipay".into(), ..good.clone() },
                ShopCode::ChannelUnknown,
            ),
            ("no channel", CallbackPaymentRequest { channel: String::new(), ..good.clone() }, ShopCode::ChannelUnknown),
        ] {
            refused_without_a_trace(&world, what, request, refusal).await;
        }
        let change = |from: &str, to: &str| signed("sandbox", &text.replace(from, to), now, "new", KEY);
        for (what, request, refusal) in [
            ("a text as amount", change(":88000", ":\"88000\""), ShopCode::AmountMismatch),
            ("an extra field", change("{", "{\"x\":1,"), ShopCode::NotifyInvalid),
            ("not JSON", change("}", ""), ShopCode::NotifyInvalid),
            ("no number", change(&format!("n-{}", payment.pay_id), ""), ShopCode::NotifyInvalid),
            ("a long number", change("n-", &"n".repeat(65)), ShopCode::NotifyInvalid),
            ("a number with a space", change("\"T", "\"T "), ShopCode::NotifyInvalid),
        ] {
            refused_without_a_trace(&world, what, request, refusal).await;
        }
        assert_eq!(world.callback(sign(now, "old", OLD_KEY)).await.unwrap().outcome(), Outcome::Applied);
    }
}

#[tokio::test]
async fn what_is_for_another_merchant_or_in_another_currency_is_recorded_and_pays_nothing() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let before = dump(&world.test.db).await;
        for (id, from, to, refusal) in
            [("m-", MERCHANT, "shop-2", ShopCode::NotifyInvalid), ("c-", "CNY", "USD", ShopCode::AmountMismatch)]
        {
            let text = body(&payment).replace(from, to).replace("\"n-", &format!("\"{id}"));
            for _ in 0..2 {
                let foreign = signed("sandbox", &text, world.now_seconds(), "new", KEY);
                assert_eq!(code(world.callback(foreign).await), refusal, "{}", world.name());
            }
        }
        let after = dump(&world.test.db).await;
        let new: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
        assert_eq!(new.len(), 2, "nothing but two records: {new:?}");
        for (id, verdict) in [("m-", "not_ours"), ("c-", "amount_mismatch")] {
            let is_of = |line: &&&str| line.contains(&format!("notify_id={id}")) && line.contains("times=2");
            let record = new.iter().find(is_of).unwrap();
            assert!(record.contains(&format!("verdict={verdict}")), "{record}");
        }
        assert_eq!(world.callback(world.success(&payment)).await.unwrap().outcome(), Outcome::Applied);
    }
}

#[tokio::test]
async fn a_resend_within_and_a_replay_outside_the_window() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let frozen = world.success(&payment);
        for (seconds, expected) in
            [(0, Ok(Outcome::Applied)), (299, Ok(Outcome::AlreadyApplied)), (2, Err(ShopCode::NotifyReplay))]
        {
            world.clock.advance(Duration::from_secs(seconds));
            let answer = world.callback(frozen.clone()).await;
            assert_eq!(answer.map(|answer| answer.outcome()).map_err(|error| error.code), expected);
        }
        world.clock.advance(Duration::from_hours(25));
        let resent = world.callback(world.success(&payment)).await.unwrap();
        assert_eq!(resent.outcome(), Outcome::AlreadyApplied, "the provider signs a resend anew");
    }
}

#[tokio::test]
async fn a_wrong_amount_is_recorded_and_the_right_one_still_comes_through() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        for (times, fen) in (1..).zip([87_999, 88_001, 880, 8_800_000, -88_000]) {
            let wrong = body(&payment).replace(":88000", &format!(":{fen}"));
            let wrong = signed("sandbox", &wrong, world.now_seconds(), "new", KEY);
            assert_eq!(code(world.callback(wrong).await), ShopCode::AmountMismatch);
            assert_eq!(
                world.number("SELECT times AS n FROM trade_pay_notify WHERE verdict = 'amount_mismatch'").await,
                times
            );
        }
        for sql in [PAID, LOGS, OUTBOX] {
            assert_eq!(world.number(sql).await, 0, "{sql}");
        }
        assert_eq!(world.callback(world.success(&payment)).await.unwrap().outcome(), Outcome::Applied);
        assert_eq!(world.number("SELECT times AS n FROM trade_pay_notify WHERE verdict = 'applied'").await, 6);
    }
}

#[tokio::test]
async fn a_payment_that_is_not_ours_is_refused_until_it_is() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let stranger = Payment { pay_id: payment.pay_id + 1, ..payment.clone() };
        for _ in 0..2 {
            assert_eq!(code(world.callback(world.success(&stranger)).await), ShopCode::NotifyInvalid);
        }
        // The very same trade, told by a channel it was not paid through.
        let elsewhere = Payment { channel: FLAKY.into(), ..payment.clone() };
        assert_eq!(code(world.callback(world.success(&elsewhere)).await), ShopCode::NotifyInvalid);
        assert_eq!(world.number(PAID).await, 0);
        assert_eq!(
            world.number("SELECT COUNT(*) AS n FROM trade_pay_notify WHERE verdict = 'unknown_payment'").await,
            2
        );
        assert_eq!(world.callback(world.success(&payment)).await.unwrap().outcome(), Outcome::Applied);
    }
}

#[tokio::test]
async fn an_acknowledged_id_with_another_body_is_a_replay() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        world.callback(world.success(&payment)).await.unwrap();
        let other = body(&payment).replace("channel_trade_no\":\"T", "channel_trade_no\":\"U");
        let other = signed("sandbox", &other, world.now_seconds(), "new", KEY);
        refused_without_a_trace(&world, "same id, other body", other, ShopCode::NotifyReplay).await;
    }
}

#[tokio::test]
async fn waiting_and_closed_change_nothing_before_and_after_success() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let say = |status: &str, id: &str| {
            let text = body(&payment).replace("SUCCESS", status).replace("\"n-", &format!("\"{id}-"));
            signed("sandbox", &text, world.now_seconds(), "new", KEY)
        };
        for (status, id, expected) in [
            ("WAIT", "w1", Outcome::Ignored),
            ("CLOSED", "c1", Outcome::Ignored),
            ("SUCCESS", "s1", Outcome::Applied),
            ("CLOSED", "c2", Outcome::Ignored),
            ("WAIT", "w1", Outcome::Ignored),
            ("SUCCESS", "s2", Outcome::AlreadyApplied),
        ] {
            let answer = world.callback(say(status, id)).await.unwrap();
            assert_eq!(
                (answer.outcome(), answer.ack_body.as_slice()),
                (expected, b"success".as_slice()),
                "{status} {id}"
            );
        }
        for (sql, expected) in [(PAID, 1), (LOGS, 1), (OUTBOX, 1), (RECORDS, 5)] {
            assert_eq!(world.number(sql).await, expected, "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_together_is_written_together_or_not_at_all() {
    for world in worlds().await {
        let (payment, neighbour) = (world.create(1, "").await, world.create(2, "").await);
        let id = format!("pay_success:{}", payment.pay_id);
        let in_the_way = format!(
            "INSERT INTO trade_mq_producer_temp (id, group_name, msg_topic, msg_tag, msg_key, msg_body, create_ms, due_ms)
             VALUES ('{id}', 'g', 't', 't', 'k', '{{}}', 1, 1)"
        );
        world.execute(&in_the_way).await;
        let (refused, paid) =
            futures::join!(world.callback(world.success(&payment)), world.callback(world.success(&neighbour)));
        assert_eq!(code(refused), ShopCode::Unknown);
        assert_eq!(paid.unwrap().outcome(), Outcome::Applied, "a neighbour in the same batch");
        for (sql, expected) in [(PAID, 1), (LOGS, 1), (OUTBOX, 2), (RECORDS, 1)] {
            assert_eq!(world.number(sql).await, expected, "{sql}");
        }
        world.execute(&format!("DELETE FROM trade_mq_producer_temp WHERE id = '{id}'")).await;
        assert_eq!(world.callback(world.success(&payment)).await.unwrap().outcome(), Outcome::Applied);
        for (sql, expected) in [(PAID, 2), (LOGS, 2), (OUTBOX, 2), (RECORDS, 2)] {
            assert_eq!(world.number(sql).await, expected, "{sql}");
        }
    }
}
