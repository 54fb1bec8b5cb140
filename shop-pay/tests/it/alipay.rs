//! Alipay's channel against Alipay's simulator, over HTTP on loopback: requests, notifications, refunds, and what gets
//! lost in between.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, response::IntoResponse, routing::post};
use http::StatusCode;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use shop_common::{code::ShopCode, config::Secret, link::Link, money::Fen};
use shop_pay::{AlipayConfig, Config, SCHEMA};
use shop_proto::pay::v1::{CallbackPaymentRequest, HintPaidRequest, Payment, PaymentStatus};
use shop_sim::{
    Provider, Served, Sim,
    alipay::{Alipay, GATEWAY},
    books::State as Standing,
    faults::{CallFault, Faults, NoticeFault},
    keys::Pair,
    serve,
};
use shop_testkit::databases;
use tokio::net::TcpListener;

use crate::{
    callback::rows,
    fakes::DUE,
    world::{World, callback, code, create, link, request},
};

const ALIPAY: &str = "alipay";
const MINUTE: Duration = Duration::from_mins(1);
const PAID: &str = "SELECT COUNT(*) AS n FROM trade_pay WHERE is_paid = 2";
const RECORDS: &str = "SELECT COUNT(*) AS n FROM trade_pay_notify";

/// A pay service, Alipay, and the wire between them.
struct AlipayWorld {
    world: World,
    sim: Arc<Sim<Alipay>>,
    keys: AlipayConfig,
    _served: [Served; 2],
}

/// As the gateway hands notifications on.
async fn notified(State(pay): State<Link>, body: Bytes) -> impl IntoResponse {
    match callback(&pay, notification(&body)).await {
        Ok(answer) => (StatusCode::OK, answer.ack_body),
        Err(error) => (StatusCode::from_u16(error.code.row().http).unwrap(), b"fail".to_vec()),
    }
}

fn notification(body: &[u8]) -> CallbackPaymentRequest {
    CallbackPaymentRequest { channel: ALIPAY.to_owned(), body: body.to_vec(), ..CallbackPaymentRequest::default() }
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    (listener, base)
}

/// One on each engine.
async fn worlds() -> Vec<AlipayWorld> {
    let mut worlds = Vec::new();
    for test in databases(&SCHEMA).await {
        let (ours, theirs) = (Pair::generate().unwrap(), Pair::generate().unwrap());
        let ((sims, base), (shops, callbacks)) = (listener().await, listener().await);
        let keys = AlipayConfig {
            enabled: true,
            gateway: format!("{base}{GATEWAY}"),
            app_id: "2021000000000001".to_owned(),
            seller_id: "2088000000000002".to_owned(),
            notify_url: format!("{callbacks}/callbacks/alipay"),
            subject: "a shop".to_owned(),
            private_key: Secret::new(ours.private),
            public_key: theirs.public,
            ..AlipayConfig::default()
        };
        let world = World::new(test, |config: &mut Config| config.alipay = keys.clone());
        let alipay = Alipay::new(&keys.app_id, &keys.seller_id, &theirs.private, &ours.public).unwrap();
        let sim = Sim::new(alipay, world.clock.clone(), Faults::none(), &base, None).unwrap();
        let shop = Router::new().route("/callbacks/alipay", post(notified)).with_state(world.link.clone());
        let served = [serve(Alipay::routes(Arc::clone(&sim)), sims).unwrap(), serve(shop, shops).unwrap()];
        worlds.push(AlipayWorld { world, sim, keys, _served: served });
    }
    worlds
}

impl AlipayWorld {
    async fn created(&self, order_id: i64) -> Payment {
        self.world.create(order_id, ALIPAY).await
    }

    /// The buyer opens the code and pays; whether the provider took the money.
    async fn buyer_pays(&self, payment: &Payment) -> bool {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        assert!(http.get(&payment.pay_url).send().await.unwrap().status().is_success());
        http.post(&payment.pay_url).send().await.unwrap().status().is_success()
    }

    async fn notify(&self) -> usize {
        self.sim.run_once(self.world.clock.now()).await
    }

    async fn paid(&self, order_id: i64) -> Payment {
        let payment = self.created(order_id).await;
        assert!(self.buyer_pays(&payment).await);
        self.notify().await;
        assert_eq!(self.status(&payment).await, PaymentStatus::Paid);
        payment
    }

    async fn status(&self, payment: &Payment) -> PaymentStatus {
        let sql = format!("SELECT is_paid AS n FROM trade_pay WHERE pay_id = {}", payment.pay_id);
        match self.world.number(&sql).await {
            2 => PaymentStatus::Paid,
            1 => PaymentStatus::Paying,
            _ => PaymentStatus::Unpaid,
        }
    }

    async fn hint(&self, payment: &Payment) {
        let request = HintPaidRequest { pay_id: payment.pay_id };
        self.world.states().hint_paid(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_buyer_scans_pays_and_the_notification_settles_once() {
    for world in worlds().await {
        let payment = world.created(1).await;
        assert_eq!(payment.pay_url, world.sim.buyer_url(&payment.pay_id.to_string()));
        assert_eq!(world.created(1).await, payment, "asked again, the same code");
        let kept = format!("SELECT COUNT(*) AS n FROM trade_pay WHERE pay_url = '{}'", payment.pay_url);
        assert_eq!(world.world.number(&kept).await, 1, "it is kept before anybody is sent there");

        assert!(world.buyer_pays(&payment).await);
        world.sim.faults.next_notice(NoticeFault::Double);
        assert_eq!(world.notify().await, 1);
        assert_eq!(world.sim.books().to_send(), 0, "success was read");
        assert_eq!(world.status(&payment).await, PaymentStatus::Paid);
        for (sql, expected) in [(PAID, 1), (RECORDS, 1), ("SELECT times AS n FROM trade_pay_notify", 2)] {
            assert_eq!(world.world.number(sql).await, expected, "{sql}");
        }
        let paid = "SELECT pay_ms AS n FROM trade_pay";
        assert_eq!(world.world.number(paid).await, world.world.clock.now().get() / 1000 * 1000, "by Alipay's clock");
    }
}

#[tokio::test]
async fn a_resend_hours_later_is_a_repeat_though_its_time_and_signature_differ() {
    for world in worlds().await {
        let payment = world.created(1).await;
        world.sim.pay(&payment.pay_id.to_string()).unwrap();
        let due = world.sim.books().clone();
        world.notify().await;
        for _ in 0..2 {
            // Our answer was lost on its way: Alipay sends on, up to the end of its schedule.
            *world.sim.books() = due.clone();
            world.world.clock.advance(Duration::from_hours(12));
            world.notify().await;
            assert_eq!(world.sim.books().to_send(), 0);
        }
        assert_eq!(world.world.number(PAID).await, 1);
        assert_eq!(world.world.number("SELECT times AS n FROM trade_pay_notify").await, 3);
    }
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_healed_by_asking_again() {
    for world in worlds().await {
        for (fault, order_id) in [(CallFault::LoseAnswer, 1), (CallFault::Unknown, 2)] {
            world.sim.faults.next_call(fault);
            let lost = create(&world.world.link, request(order_id, ALIPAY)).await;
            assert_eq!(code(lost), ShopCode::Unknown, "{fault:?}");
            let payment = world.created(order_id).await;
            assert!(world.buyer_pays(&payment).await, "{fault:?}");
        }
        assert_eq!(world.world.number("SELECT COUNT(*) AS n FROM trade_pay").await, 2);
        world.notify().await;
        assert_eq!(world.world.number(PAID).await, 2);
    }
}

#[tokio::test]
async fn a_payment_that_was_paid_before_its_code_was_told_is_found_paid() {
    for world in worlds().await {
        world.sim.faults.next_call(CallFault::LoseAnswer);
        assert_eq!(code(create(&world.world.link, request(1, ALIPAY)).await), ShopCode::Unknown);
        let pay_id = world.world.number("SELECT pay_id AS n FROM trade_pay").await;
        world.sim.pay(&pay_id.to_string()).unwrap();
        let payment = world.created(1).await;
        assert_eq!((payment.pay_id, payment.status()), (pay_id, PaymentStatus::Paid), "Alipay says so when asked");
    }
}

#[tokio::test]
async fn a_lost_notification_is_found_by_asking() {
    for world in worlds().await {
        let payment = world.created(1).await;
        world.hint(&payment).await;
        assert_eq!(world.status(&payment).await, PaymentStatus::Paying, "no buyer has opened it: no trade is there");
        assert!(world.buyer_pays(&payment).await);
        world.sim.faults.next_notice(NoticeFault::Drop);
        world.notify().await;
        assert_eq!(world.status(&payment).await, PaymentStatus::Paying);
        world.hint(&payment).await;
        assert_eq!(world.status(&payment).await, PaymentStatus::Paid);
        world.world.clock.advance(Alipay::GAPS[0]);
        world.notify().await;
        assert_eq!((world.world.number(PAID).await, world.sim.books().to_send()), (1, 0), "and then told: a repeat");
    }
}

#[tokio::test]
async fn closing_races_the_buyer_and_money_is_never_ignored() {
    for world in worlds().await {
        let numbers = |payment: &Payment| payment.pay_id.to_string();
        // Opened and not paid: closed there too, and nobody can pay it any more.
        let opened = world.created(1).await;
        world.sim.books().open(&numbers(&opened)).unwrap();
        world.world.close(1).await;
        world.world.later(MINUTE).await;
        assert_eq!(world.sim.books().trade(&numbers(&opened)).unwrap().state, Standing::Closed);
        assert!(!world.buyer_pays(&opened).await);
        assert_eq!(world.world.owed(&opened).await, 0);

        // Paid at the same moment: the close finds the money.
        let faster = world.created(2).await;
        assert!(world.buyer_pays(&faster).await);
        world.world.close(2).await;
        world.world.later(MINUTE).await;
        assert_eq!(world.status(&faster).await, PaymentStatus::Paid);

        // Never opened: Alipay has nothing to close, and who opens the code later still can pay. It goes back.
        let never = world.created(3).await;
        world.world.orders.cancelled.lock().unwrap().insert(3);
        world.world.close(3).await;
        world.world.later(MINUTE).await;
        assert_eq!(world.world.owed(&never).await, 0, "nothing to close");
        assert!(world.buyer_pays(&never).await);
        world.notify().await;
        assert_eq!(world.status(&never).await, PaymentStatus::Paid);
        for _ in 0..3 {
            world.world.later(MINUTE).await;
        }
        assert_eq!(world.sim.books().trade(&numbers(&never)).unwrap().refunded, Fen::new(DUE));
        assert_eq!(world.sim.books().refunds(), 1);
    }
}

#[tokio::test]
async fn a_close_whose_answer_is_lost_or_not_known_is_asked_for_again() {
    for world in worlds().await {
        for (fault, order_id) in [(CallFault::LoseAnswer, 1), (CallFault::Unknown, 2)] {
            let payment = world.created(order_id).await;
            world.sim.books().open(&payment.pay_id.to_string()).unwrap();
            world.world.close(order_id).await;
            world.sim.faults.next_call(fault);
            world.world.later(Duration::ZERO).await;
            assert_eq!(world.world.owed(&payment).await, 4, "{fault:?}: not known");
            world.world.later(MINUTE).await;
            assert_eq!(world.world.owed(&payment).await, 0, "{fault:?}: closed before, or closed now");
        }
    }
}

#[tokio::test]
async fn a_refund_is_paid_once_whatever_is_lost_and_its_notification_changes_nothing() {
    for world in worlds().await {
        for (fault, order_id) in [(CallFault::LoseAnswer, 1), (CallFault::Unknown, 2)] {
            let payment = world.paid(order_id).await;
            world.world.orders.cancelled.lock().unwrap().insert(order_id);
            world.sim.faults.next_call(fault);
            for _ in 0..4 {
                world.world.later(MINUTE).await;
            }
            let trade = world.sim.books().trade(&payment.pay_id.to_string()).cloned().unwrap();
            assert_eq!(trade.refunded, Fen::new(DUE), "{fault:?}");
            assert_eq!(world.world.owed(&payment).await, 0, "{fault:?}");
        }
        assert_eq!(world.sim.books().refunds(), 2);
        assert_eq!(world.world.number("SELECT COUNT(*) AS n FROM trade_refund WHERE state = 1").await, 2);
        let before = world.world.number("SELECT MAX(refund_fen) AS n FROM trade_pay").await;
        assert_eq!(world.sim.books().to_send(), 1, "Alipay has told of the first refund and will of the second");
        world.notify().await;
        assert_eq!(world.sim.books().to_send(), 0, "and reads success");
        assert_eq!(world.world.number("SELECT MAX(refund_fen) AS n FROM trade_pay").await, before);
        assert_eq!(world.world.number(PAID).await, 2, "no state goes back");
    }
}

#[tokio::test]
async fn a_refund_that_alipay_refuses_is_for_an_operator() {
    for world in worlds().await {
        let payment = world.paid(1).await;
        world.world.orders.cancelled.lock().unwrap().insert(1);
        world.sim.faults.next_call(CallFault::Refuse);
        world.world.later(MINUTE).await;
        world.world.later(MINUTE).await;
        assert_eq!(world.world.number("SELECT state AS n FROM trade_refund").await, 2);
        let why = "SELECT COUNT(*) AS n FROM trade_refund WHERE remark LIKE 'ACQ.TRADE_NOT_ALLOW_REFUND%'";
        assert_eq!(world.world.number(why).await, 1);
        assert_eq!(world.sim.books().refunds(), 0);
        assert_eq!(world.world.owed(&payment).await & 8, 0);
    }
}

#[tokio::test]
async fn keys_are_changed_without_a_gap() {
    for world in worlds().await {
        let payment = world.created(1).await;
        world.sim.pay(&payment.pay_id.to_string()).unwrap();
        let due = world.sim.books().due(world.world.clock.now()).remove(0);
        let body = world.sim.provider.notification(&due, world.world.clock.now()).unwrap().body;
        let next = Pair::generate().unwrap().public;
        let old = world.keys.public_key.clone();
        let sent = async |public: &str, next_public: &str| {
            let (public_key, next_public_key) = (public.to_owned(), next_public.to_owned());
            let keys = AlipayConfig { public_key, next_public_key, ..world.keys.clone() };
            let instance = world.world.instance_with(|config| config.alipay = keys.clone()).await;
            callback(&link(&instance), notification(&body)).await
        };
        assert_eq!(code(sent(&next, "").await), ShopCode::SignatureInvalid, "the old key is no longer believed");
        assert_eq!(sent(&next, &old).await.unwrap().ack_body, b"success");
        assert_eq!(sent(&old, &next).await.unwrap().ack_body, b"success");
    }
}

/// Raw bytes, and a genuine body with bytes changed, cut and doubled.
fn forgeries(genuine: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = genuine.len();
    let altered = (0..length, any::<u8>(), 0..length, any::<bool>()).prop_map(move |(at, byte, cut, twice)| {
        let mut body = genuine.clone();
        body[at] = body[at].wrapping_add(byte.max(1));
        let tail = body.split_off(cut.max(at + 1).min(length));
        if twice { [&body[..], &tail, b"&", &tail].concat() } else { body }
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "[a-z_=&%0-9A-F+]{0,300}".prop_map(String::into_bytes),
        altered
    ]
}

#[tokio::test]
async fn forgeries_never_panic_and_write_nothing() {
    for world in worlds().await {
        let payment = world.created(1).await;
        world.sim.pay(&payment.pay_id.to_string()).unwrap();
        let due = world.sim.books().due(world.world.clock.now()).remove(0);
        let genuine = world.sim.provider.notification(&due, world.world.clock.now()).unwrap().body;
        let before = rows(&world.world).await;
        let (forgeries, mut runner) = (forgeries(genuine.clone()), TestRunner::deterministic());
        for _ in 0..256 {
            let body = forgeries.new_tree(&mut runner).unwrap().current();
            if body.eq_ignore_ascii_case(&genuine) {
                continue;
            }
            let refused = code(callback(&world.world.link, notification(&body)).await);
            assert_eq!(refused, ShopCode::SignatureInvalid, "{}", String::from_utf8_lossy(&body));
        }
        assert_eq!(rows(&world.world).await, before);
        assert_eq!(callback(&world.world.link, notification(&genuine)).await.unwrap().ack_body, b"success");
    }
}
