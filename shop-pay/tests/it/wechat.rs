//! The WeChat Pay channel against the provider's simulator, over loopback: F46 to F49, F54 to F58.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use shop_common::{code::ShopCode, config::Secret, link::Link, money::Fen, time::Millis};
use shop_pay::{Pay, WechatConfig, reconcile::statement::Format};
use shop_proto::pay::v1::{
    CallbackPaymentRequest, HintPaidRequest, Payment, callback_payment_response::Outcome,
    payment_state_service_client::PaymentStateServiceClient,
};
use shop_sim::{
    Outgoing, Provider, Served, Sim,
    books::{Due, State},
    faults::{CallFault, Faults},
    keys::Pair,
    serve,
    wechat::{self, Ending},
};
use tokio::net::TcpListener;

use crate::{
    callback::rows,
    fakes::DUE,
    world::{World, callback, code, create, request, worlds},
};

const NAME: &str = "wechat";
const HEADERS: [&str; 4] = ["wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature", "wechatpay-serial"];
const MINUTE: Duration = Duration::from_mins(1);
const API_V3_KEY: &str = "0123456789abcdef0123456789abcdef";
const SERIAL: &str = "440024045C4A427599D09BB4E3DE0279F2E813FD";
const NEXT_SERIAL: &str = "PUB_KEY_ID_0100000001";
const RECORDED: &str = "SELECT COUNT(*) AS n FROM trade_pay_notify";
const PAID: &str = "SELECT COUNT(*) AS n FROM trade_pay WHERE is_paid = 2";
const REFUND_STATE: &str = "SELECT state AS n FROM trade_refund";

/// Ours, the provider's, and the one it changes to.
static PAIRS: LazyLock<[Pair; 3]> = LazyLock::new(|| [(); 3].map(|()| Pair::generate().unwrap()));

/// A world with the provider beside it.
struct Beside {
    world: World,
    sim: Arc<Sim<wechat::Wechat>>,
    pay: Pay,
    _served: Served,
}

async fn all() -> Vec<Beside> {
    let mut all = Vec::new();
    for world in worlds().await {
        all.push(beside(world).await);
    }
    all
}

async fn beside(world: World) -> Beside {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let [ours, theirs, next] = &*PAIRS;
    let platform = [(SERIAL, theirs), (NEXT_SERIAL, next)];
    let keys = wechat::Keys {
        appid: "wx1".into(),
        mchid: "1230000109".into(),
        api_v3_key: API_V3_KEY.into(),
        merchant_serial: "5F1C".into(),
        merchant_key: ours.public.clone(),
        platform: platform.map(|(serial, pair)| (serial.to_owned(), pair.private.clone())).into(),
    };
    let provider = wechat::Wechat::new(keys).unwrap();
    let sim = Sim::new(provider, world.clock.clone(), Faults::none(), &base, None).unwrap();
    let served = serve(wechat::Wechat::routes(Arc::clone(&sim)), listener).unwrap();
    let pay = world.instance_with(|all| all.wechat = config(&base)).await;
    Beside { world, sim, pay, _served: served }
}

fn config(gateway: &str) -> WechatConfig {
    let [ours, theirs, next] = &*PAIRS;
    WechatConfig {
        enabled: true,
        gateway: gateway.to_owned(),
        app_id: "wx1".into(),
        mchid: "1230000109".into(),
        notify_url: "http://127.0.0.1:9/api/v1/callbacks/wechat".into(),
        description: "shop".into(),
        merchant_serial: "5F1C".into(),
        private_key: Secret::new(ours.private.as_str()),
        api_v3_key: Secret::new(API_V3_KEY),
        platform_serial: SERIAL.into(),
        platform_key: theirs.public.clone(),
        next_platform_serial: NEXT_SERIAL.into(),
        next_platform_key: next.public.clone(),
        ..WechatConfig::default()
    }
}

impl Beside {
    async fn create(&self, order_id: i64) -> Payment {
        create(&self.link(), request(order_id, NAME)).await.unwrap()
    }

    fn link(&self) -> Link {
        crate::world::link(&self.pay)
    }

    fn pays(&self, payment: &Payment) {
        self.sim.pay(&payment.pay_id.to_string()).unwrap();
    }

    /// What the provider has told about payment or refund, the last first, signed now.
    fn told(&self) -> Vec<CallbackPaymentRequest> {
        let now = self.world.clock.now();
        let due = self.sim.books().due(now);
        due.iter().rev().map(|due| told(&self.sim.provider.notification(due, now).unwrap())).collect()
    }

    async fn callback(&self, request: CallbackPaymentRequest) -> Result<Outcome, ShopCode> {
        let answer = callback(&self.link(), request).await;
        answer.map(|answer| answer.outcome()).map_err(|error| error.code)
    }

    /// Moves the time on and sweeps.
    async fn later(&self, duration: Duration) {
        self.world.clock.advance(duration);
        for sweep in self.pay.sweeps().iter().take(2) {
            crate::world::run(sweep, self.world.clock.now()).await;
        }
    }

    async fn number(&self, sql: &str) -> i64 {
        self.world.number(sql).await
    }
}

fn told(outgoing: &Outgoing) -> CallbackPaymentRequest {
    let headers: HashMap<String, String> =
        outgoing.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    CallbackPaymentRequest { channel: NAME.into(), headers, body: outgoing.body.clone() }
}

#[tokio::test]
async fn a_payment_is_announced_paid_told_and_bound() {
    for beside in all().await {
        let payment = beside.create(1).await;
        assert_eq!(payment.pay_url, beside.sim.buyer_url(&payment.pay_id.to_string()));
        assert_eq!(beside.create(1).await, payment, "announced again, it is the same");
        beside.pays(&payment);
        let told = beside.told().remove(0);
        let answer = callback(&beside.link(), told).await.unwrap();
        assert_eq!(answer.outcome(), Outcome::Applied);
        let ack: serde_json::Value = serde_json::from_slice(&answer.ack_body).unwrap();
        assert_eq!(ack["code"], "SUCCESS");
        let again = beside.told().remove(0);
        assert_eq!(
            beside.callback(again).await,
            Ok(Outcome::AlreadyApplied),
            "sealed anew it is the same notification"
        );
        beside.later(MINUTE).await;
        assert_eq!(beside.world.orders.bound.lock().unwrap().get(&1), Some(&payment.pay_id));
        assert_eq!((beside.number(RECORDED).await, beside.number(PAID).await), (1, 1));
    }
}

/// F54: nothing is told, and it is found all the same, by whoever asks.
#[tokio::test]
async fn a_payment_nobody_tells_of_is_found_by_asking() {
    for beside in all().await {
        let payment = beside.create(1).await;
        let hint = async || {
            let mut states = PaymentStateServiceClient::new(beside.link());
            states.hint_paid(HintPaidRequest { pay_id: payment.pay_id }).await.map(drop)
        };
        hint().await.unwrap();
        assert_eq!(beside.number(PAID).await, 0, "a hint is no money");
        beside.pays(&payment);
        hint().await.unwrap();
        assert_eq!(beside.number(PAID).await, 1);
        let told = beside.told().remove(0);
        assert_eq!(beside.callback(told).await, Ok(Outcome::AlreadyApplied));
    }
}

/// F48, and F49: what is not genuine, or not fresh, leaves no trace.
#[tokio::test]
async fn forgeries_leave_no_trace() {
    for beside in all().await {
        let payment = beside.create(1).await;
        beside.pays(&payment);
        let good = beside.told().remove(0);
        let before = rows(&beside.world).await;
        for place in (0..good.body.len()).step_by(13) {
            let mut forged = good.clone();
            forged.body[place] ^= 1;
            assert_eq!(beside.callback(forged).await, Err(ShopCode::SignatureInvalid));
        }
        let (raw, mut runner) = (any::<(Vec<u8>, [String; 4])>(), TestRunner::deterministic());
        for _ in 0..64 {
            let (body, values) = raw.new_tree(&mut runner).unwrap().current();
            let headers = HEADERS.map(str::to_owned).into_iter().zip(values).collect();
            let forged = CallbackPaymentRequest { channel: NAME.into(), headers, body };
            assert_eq!(beside.callback(forged).await, Err(ShopCode::SignatureInvalid));
        }
        for name in HEADERS {
            let mut without = good.clone();
            without.headers.remove(name);
            assert_eq!(beside.callback(without).await, Err(ShopCode::SignatureInvalid), "{name}");
        }
        beside.sim.provider.probe(1);
        let probe = beside.told().remove(0);
        assert_eq!(beside.callback(probe).await, Err(ShopCode::SignatureInvalid));
        beside.world.clock.advance(Duration::from_secs(301));
        assert_eq!(beside.callback(good).await, Err(ShopCode::NotifyReplay));
        assert_eq!(rows(&beside.world).await, before);
        let fresh = beside.told().remove(0);
        assert_eq!(
            beside.callback(fresh).await,
            Ok(Outcome::Applied),
            "and nothing stands in the way of the right one"
        );
    }
}

/// F58.
#[tokio::test]
async fn the_provider_changes_its_key_and_nothing_is_refused() {
    for beside in all().await {
        for (order_id, serial) in [(1, SERIAL), (2, NEXT_SERIAL)] {
            beside.sim.provider.sign_with(serial);
            let payment = beside.create(order_id).await;
            beside.pays(&payment);
            let told = beside.told().remove(0);
            assert_eq!(told.headers["wechatpay-serial"], serial);
            assert_eq!(beside.callback(told).await, Ok(Outcome::Applied));
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_or_not_signed_is_asked_for_again() {
    for beside in all().await {
        for fault in [CallFault::LoseAnswer, CallFault::Unknown] {
            beside.sim.faults.next_call(fault);
            assert_eq!(code(create(&beside.link(), request(1, NAME)).await), ShopCode::Unknown, "{fault:?}");
        }
        beside.sim.provider.probe(1);
        assert_eq!(
            code(create(&beside.link(), request(1, NAME)).await),
            ShopCode::Unknown,
            "anybody may have written it"
        );
        let payment = beside.create(1).await;
        assert_eq!(beside.number("SELECT COUNT(*) AS n FROM trade_pay").await, 1, "one payment all the while");
        assert!(beside.sim.books().trade(&payment.pay_id.to_string()).is_some());
    }
}

#[tokio::test]
async fn a_closed_payment_is_closed_there_and_the_faster_buyer_has_paid() {
    for beside in all().await {
        let (closed, paid) = (beside.create(1).await, beside.create(2).await);
        beside.pays(&paid);
        beside.sim.faults.next_call(CallFault::LoseAnswer);
        for order_id in [1, 2] {
            beside.world.orders.cancelled.lock().unwrap().insert(order_id);
            beside.world.close(order_id).await;
        }
        beside.later(MINUTE).await;
        beside.later(MINUTE).await;
        assert!(beside.sim.pay(&closed.pay_id.to_string()).is_err(), "nobody can pay it any more");
        assert_eq!(beside.number(PAID).await, 1, "the money that came is not ignored");
    }
}

/// A payment whose order nobody wants any more.
async fn unwanted(beside: &Beside) -> Payment {
    let payment = beside.create(1).await;
    beside.pays(&payment);
    let told = beside.told().remove(0);
    assert_eq!(beside.callback(told).await, Ok(Outcome::Applied));
    beside.world.orders.cancelled.lock().unwrap().insert(1);
    payment
}

/// F56.
#[tokio::test]
async fn money_goes_back_once_whatever_is_lost() {
    for beside in all().await {
        let payment = unwanted(&beside).await;
        beside.sim.faults.next_call(CallFault::LoseAnswer);
        beside.later(MINUTE).await;
        assert_eq!(beside.sim.books().refunds(), 0, "the amount could not be asked for");
        beside.sim.faults.next_call(CallFault::Unknown);
        beside.later(MINUTE).await;
        beside.later(Duration::from_mins(10)).await;
        assert_eq!(beside.sim.books().refunds(), 1);
        assert_eq!(beside.number(REFUND_STATE).await, 0, "taken in is not paid back");
        // The provider works it off; from now on it says so when it is asked.
        assert_eq!(beside.told().len(), 2);
        beside.later(Duration::from_hours(1)).await;
        assert_eq!((beside.number(REFUND_STATE).await, beside.sim.books().refunds()), (1, 1));
        let trade = beside.sim.books().trade(&payment.pay_id.to_string()).cloned().unwrap();
        assert_eq!((trade.amount, trade.refunded), (Fen::new(DUE), Fen::new(DUE)));
    }
}

#[tokio::test]
async fn a_refund_is_answered_by_its_notification() {
    for beside in all().await {
        unwanted(&beside).await;
        beside.later(MINUTE).await;
        assert_eq!(beside.number(REFUND_STATE).await, 0);
        let told = beside.told();
        assert_eq!(told.len(), 2);
        beside.callback(told[0].clone()).await.unwrap();
        assert_eq!(beside.number(REFUND_STATE).await, 1, "no need to ask");
        beside.callback(told[0].clone()).await.unwrap();
        assert_eq!(beside.number(REFUND_STATE).await, 1);
    }
}

#[tokio::test]
async fn a_refund_that_is_closed_is_for_an_operator_and_one_that_stands_still_is_not_over() {
    for (ending, state) in [(Ending::Closed, 2), (Ending::Abnormal, 0)] {
        for beside in all().await {
            unwanted(&beside).await;
            beside.sim.provider.next_refund_ends(ending);
            beside.later(MINUTE).await;
            let told = beside.told().remove(0);
            let _answered = beside.callback(told).await;
            beside.later(Duration::from_hours(1)).await;
            assert_eq!(beside.number(REFUND_STATE).await, state, "{ending:?}");
        }
    }
}

/// A notification that the provider's books know nothing of: only a key in other hands can sign that, or books that were lost.
#[tokio::test]
async fn a_refund_of_what_the_provider_does_not_call_paid_is_for_an_operator() {
    for beside in all().await {
        let payment = beside.create(1).await;
        let (number, now) = (payment.pay_id.to_string(), beside.world.clock.now());
        let mut trade = beside.sim.books().trade(&number).cloned().unwrap();
        (trade.state, trade.paid) = (State::Paid, Some(now));
        let due = Due { id: "never".to_owned(), trade, refund: None, attempts: 0 };
        let forged = told(&beside.sim.provider.notification(&due, now).unwrap());
        assert_eq!(beside.callback(forged).await, Ok(Outcome::Applied));
        beside.world.orders.cancelled.lock().unwrap().insert(1);
        beside.sim.faults.next_call(CallFault::LoseAnswer);
        beside.later(MINUTE).await;
        assert_eq!(beside.number(REFUND_STATE).await, 0, "no answer is no refusal");
        beside.later(Duration::from_mins(10)).await;
        assert_eq!(beside.number(REFUND_STATE).await, 2);
        let why = "SELECT COUNT(*) AS n FROM trade_refund WHERE remark LIKE '%does not call the payment paid'";
        assert_eq!((beside.number(why).await, beside.sim.books().refunds()), (1, 0));

        // Once the books over there are right, an operator asks again under the same number.
        let refund_id = beside.number("SELECT refund_id AS n FROM trade_refund").await;
        beside.pays(&payment);
        beside.pay.refunds().retry(refund_id).await.unwrap();
        beside.later(Duration::from_hours(1)).await;
        assert_eq!(beside.sim.books().refunds(), 1);
    }
}

#[tokio::test]
async fn the_bill_of_a_day_is_what_the_reconciliation_reads() {
    for beside in all().await {
        let payment = unwanted(&beside).await;
        beside.later(MINUTE).await;
        let day = beside.world.clock.now().get();
        let bounds = (Millis::new(0), Millis::new(day + 1));
        let working = Format::Wechat.read(&beside.sim.bill(bounds)).unwrap().lines;
        assert_eq!(working.len(), 1, "what is worked on has not moved");
        assert_eq!(beside.told().len(), 2);
        let lines = Format::Wechat.read(&beside.sim.bill(bounds)).unwrap().lines;
        assert_eq!(lines.len(), 2);
        for line in lines {
            assert_eq!((line.movement.pay_id().get(), line.amount), (payment.pay_id, Fen::new(DUE)));
        }
    }
}
