//! The sandbox channel: its resend schedule, its hints, and the cancel topic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use shop_common::{
    code::ShopCode,
    config::Secret,
    due::Sweep,
    id::PayId,
    mq::{Bus, Outgoing},
};
use shop_pay::{
    BadConfig, DEMO_KEY, DEMO_KID, SandboxConfig,
    channel::sandbox::{Deliver, GAPS, Resend},
};
use shop_proto::pay::v1::{
    HintPaidRequest, HintPaidResponse, PayLikeABuyerRequest, PaymentStatus, callback_payment_response::Outcome,
    sandbox_service_client::SandboxServiceClient,
};
use shop_testkit::eventually;

use crate::world::{World, code, code_of, worlds, worlds_with};

#[tokio::test]
async fn the_notification_comes_on_alipay_s_schedule_until_success_is_read() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let sent = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        let deaf: Deliver = Arc::new(move |request| {
            seen.lock().unwrap().push(request.body);
            Box::pin(async { Ok(b"<html>success</html>".to_vec()) })
        });
        let resend = Resend::new(world.pay.sandbox().unwrap(), deaf);
        world.sandbox_pays(&payment).await;
        for (times, gap) in (1..).zip(GAPS) {
            assert_eq!(resend.run_once(world.clock.now()).await.unwrap(), 1);
            assert_eq!(resend.run_once(world.clock.now()).await.unwrap(), 0);
            world.clock.advance(gap.checked_sub(Duration::from_millis(1)).unwrap());
            assert_eq!(resend.run_once(world.clock.now()).await.unwrap(), 0, "not before {gap:?}");
            world.clock.advance(Duration::from_millis(1));
            assert_eq!(sent.lock().unwrap().len(), times);
        }
        assert_eq!(resend.run_once(world.clock.now()).await.unwrap(), 1, "the eighth and last");
        world.clock.advance(Duration::from_hours(48));
        assert_eq!(resend.run_once(world.clock.now()).await.unwrap(), 0, "given up");
        let bodies = sent.lock().unwrap().clone();
        assert!(bodies.len() == 8 && bodies.iter().all(|body| body == &bodies[0]), "the same bytes each time");
    }
}

#[tokio::test]
async fn success_ends_the_schedule() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        world.sandbox_pays(&payment).await;
        world.sandbox_pays(&payment).await;
        assert_eq!(world.resend().await, 1);
        assert_eq!(world.number("SELECT is_paid AS n FROM trade_pay").await, 2);
        assert_eq!(world.number("SELECT pay_ms AS n FROM trade_pay").await, world.clock.now().get());
        world.clock.advance(Duration::from_hours(48));
        assert_eq!(world.resend().await, 0);
        assert_eq!(world.number("SELECT times AS n FROM trade_pay_notify").await, 1);
    }
}

#[tokio::test]
async fn a_notification_that_is_refused_comes_again_with_a_new_signature() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        world.sandbox_pays(&payment).await;
        let (pay, refuse) = (world.link.clone(), Arc::new(AtomicUsize::new(1)));
        let flaky: Deliver = Arc::new(move |request| {
            let refused = refuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            let deliver = shop_pay::channel::sandbox::deliver_over(pay.clone());
            if refused { Box::pin(async { Err(ShopCode::Unknown.into()) }) } else { deliver(request) }
        });
        let resend = Resend::new(world.pay.sandbox().unwrap(), flaky);
        resend.run_once(world.clock.now()).await.unwrap();
        assert_eq!(world.number("SELECT is_paid AS n FROM trade_pay").await, 1);
        world.clock.advance(GAPS[0]);
        resend.run_once(world.clock.now()).await.unwrap();
        assert_eq!(world.number("SELECT is_paid AS n FROM trade_pay").await, 2);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM sandbox_trade WHERE due_ms IS NULL").await, 1);
    }
}

async fn hint(world: &World, pay_id: i64) -> Result<HintPaidResponse, tonic::Status> {
    world.states().hint_paid(HintPaidRequest { pay_id }).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_hint_alone_pays_nothing() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let answer = hint(&world, payment.pay_id).await.unwrap();
        assert_eq!((answer.outcome(), answer.payment.unwrap().status()), (Outcome::Ignored, PaymentStatus::Paying));
        assert_eq!(code_of(hint(&world, payment.pay_id + 1).await), ShopCode::PaymentNotFound);
        assert_eq!(code_of(hint(&world, 0).await), ShopCode::ParameterInvalid);

        world.sandbox_pays(&payment).await;
        let answer = hint(&world, payment.pay_id).await.unwrap();
        assert_eq!((answer.outcome(), answer.payment.unwrap().status()), (Outcome::Applied, PaymentStatus::Paid));
        assert_eq!(hint(&world, payment.pay_id).await.unwrap().outcome(), Outcome::AlreadyApplied);
        world.resend().await;
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay_log").await, 1);
    }
}

#[tokio::test]
async fn in_tutorial_mode_a_hint_pays() {
    for world in worlds_with(|sandbox| sandbox.tutorial_mode = true).await {
        let payment = world.create(1, "").await;
        assert_eq!(hint(&world, payment.pay_id).await.unwrap().outcome(), Outcome::Applied);
        assert_eq!(hint(&world, payment.pay_id).await.unwrap().outcome(), Outcome::AlreadyApplied);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_mq_producer_temp").await, 1);

        let closed = world.create(2, "").await;
        world.close(2).await;
        world.sweep().await;
        assert_eq!(hint(&world, closed.pay_id).await.unwrap().outcome(), Outcome::Ignored);
    }
}

#[tokio::test]
async fn without_the_sandbox_there_is_no_sandbox() {
    for world in worlds_with(|sandbox| sandbox.enabled = false).await {
        assert!(world.pay.sandbox().is_none());
        assert_eq!(world.pay.sweeps().len(), 3);
        let unknown = crate::world::create(&world.link, crate::world::request(1, "sandbox")).await;
        assert_eq!(code(unknown), ShopCode::ChannelUnknown);
        assert_eq!(world.create(1, "").await.channel, crate::fakes::FLAKY, "the first there is");
    }
}

#[tokio::test]
async fn an_unknown_trade_cannot_be_paid() {
    for world in worlds().await {
        let paid = world.pay.sandbox().unwrap().pay_like_a_buyer(PayId::new(1)).await;
        assert_eq!(code(paid), ShopCode::PaymentNotFound);
    }
}

#[tokio::test]
async fn a_gateway_in_another_process_pays_like_a_buyer() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        let pay = async |pay_id| {
            let mut buyer = SandboxServiceClient::new(world.link.clone());
            buyer.pay_like_a_buyer(PayLikeABuyerRequest { pay_id }).await
        };
        pay(payment.pay_id).await.unwrap();
        world.resend().await;
        assert_eq!(hint(&world, payment.pay_id).await.unwrap().outcome(), Outcome::AlreadyApplied, "it was notified");
        assert_eq!(code_of(pay(payment.pay_id + 1).await), ShopCode::PaymentNotFound);
        assert_eq!(code_of(pay(0).await), ShopCode::ParameterInvalid);
    }
    for world in worlds_with(|sandbox| sandbox.enabled = false).await {
        let request = PayLikeABuyerRequest { pay_id: 1 };
        let answer = SandboxServiceClient::new(world.link.clone()).pay_like_a_buyer(request).await;
        assert_eq!(answer.unwrap_err().code(), tonic::Code::Unimplemented);
    }
}

#[tokio::test]
async fn the_cancel_topic_closes_what_the_order_service_calls_cancelled() {
    for world in worlds().await {
        let (cancelled, live) = (world.create(1, "").await, world.create(2, "").await);
        world.orders.cancelled.lock().unwrap().insert(1);
        world.pay.listen();
        let forged = |order_id: i64| Outgoing {
            group: "order_producer_group".into(),
            topic: "orderTopic".into(),
            tag: "order_cancel".into(),
            key: order_id.to_string(),
            body: format!(r#"{{"version":1,"orderId":"{order_id}","userId":"9"}}"#),
            traceparent: String::new(),
            delay: None,
        };
        eventually("subscribed and delivered", Duration::from_secs(10), async || {
            world.bus.publish(vec![forged(1), forged(2)]).await;
            world.bus.deliver_all().await;
            world.owed(&cancelled).await == 4
        })
        .await;
        world.bus.deliver_all().await;
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay WHERE open_key IS NOT NULL").await, 1);
        assert_eq!(world.owed(&live).await, 32, "open still: it owes the question whether it was paid, and no close");
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_work_does_not_start() {
    for world in worlds().await {
        let flaky = || world.flaky.clone();
        for length in [0, 65] {
            let refused = world.refused(|sandbox| sandbox.merchant_id = "m".repeat(length), flaky());
            assert_eq!(refused, BadConfig::Merchant);
        }
        let refused = world.refused(|sandbox| sandbox.pay_url_prefix = "/".repeat(201), flaky());
        assert_eq!(refused, BadConfig::PayUrlPrefix);
        assert_eq!(world.refused(|sandbox| sandbox.kid = "newer".into(), flaky()), BadConfig::Kid("newer".into()));
        let twice = world.refused(|_| (), Arc::new(world.pay.sandbox().unwrap()));
        assert_eq!(twice, BadConfig::ChannelTwice("sandbox".into()));
    }
}

#[test]
fn the_demo_key_is_told_from_others() {
    let demo = |enabled, key: &str| SandboxConfig {
        enabled,
        merchant_id: "m".into(),
        kid: DEMO_KID.into(),
        keys: [(DEMO_KID.to_owned(), Secret::new(key))].into(),
        tutorial_mode: false,
        pay_url_prefix: String::new(),
    };
    assert!(demo(true, DEMO_KEY).has_demo_key());
    assert!(!demo(false, DEMO_KEY).has_demo_key(), "nobody is believed where there is no sandbox");
    assert!(!demo(true, crate::world::KEY).has_demo_key());
}

#[tokio::test]
async fn whoever_waits_is_woken_rather_than_timed() {
    for world in worlds().await {
        let hour = Duration::from_hours(1);
        tokio::spawn(world.pay.relay().run(hour, world.clock.clone(), world.until_shutdown()));
        for order_id in 1..=2 {
            let payment = world.create(order_id, "").await;
            let mut woken = world.pay.wake().listen();
            world.sandbox_pays(&payment).await;
            tokio::time::timeout(Duration::from_secs(10), woken.changed()).await.unwrap().unwrap();
            world.callback(world.success(&payment)).await.unwrap();
            let sent = usize::try_from(order_id).unwrap();
            eventually("sent", Duration::from_secs(10), async || world.bus.published().len() == sent).await;
        }
    }
}
