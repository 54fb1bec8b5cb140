use std::sync::Mutex;

use axum::extract::State;
use shop_common::{money::Fen, time::Clock};

use super::*;
use crate::{
    books::Announcement,
    faults::{Faults, NoticeFault},
    keys::Pair,
    serve,
};

const START: Millis = Millis::new(1_700_000_000_000);

/// A merchant that answers what it is told to, and remembers what it read.
#[derive(Clone, Default)]
struct Merchant(Arc<Mutex<(String, Vec<String>)>>);

impl Merchant {
    #[expect(clippy::unused_async, reason = "axum's handlers are asynchronous")]
    async fn heard(State(Self(merchant)): State<Self>, body: String) -> String {
        let mut merchant = merchant.lock().unwrap();
        merchant.1.push(body);
        merchant.0.clone()
    }

    fn answers(&self, answer: &str) {
        answer.clone_into(&mut self.0.lock().unwrap().0);
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }
}

struct World {
    sim: Arc<Sim<Alipay>>,
    clock: Clock,
    merchant: Merchant,
    theirs: Verifier,
    _served: crate::Served,
}

async fn world() -> World {
    let (ours, merchants) = (Pair::generate().unwrap(), Pair::generate().unwrap());
    let alipay = Alipay::new("app", "seller", &ours.private, &merchants.public).unwrap();
    let merchant = Merchant::default();
    let routes = Router::new().route("/notify", post(Merchant::heard)).with_state(merchant.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = serve(routes, listener).unwrap();
    let notify_url = format!("http://{}/notify", served.address());
    let clock = Clock::manual(START);
    let sim = Sim::new(alipay, clock.clone(), Faults::none(), "http://sim", None).unwrap();
    let new = Announcement { out_trade_no: "7".into(), amount: Fen::new(88_000), subject: "a shop".into(), notify_url };
    sim.books().announce(new, START).unwrap();
    World { sim, clock, merchant, theirs: Verifier::read(&ours.public).unwrap(), _served: served }
}

impl World {
    /// Moves the time on and sends what is due; how many that were.
    async fn after(&self, gap: Duration) -> usize {
        self.clock.advance(gap);
        self.sim.run_once(self.clock.now()).await
    }
}

#[tokio::test]
async fn a_notification_is_signed_and_comes_eight_times_until_success() {
    let world = world().await;
    world.merchant.answers("SUCCESS");
    world.sim.pay("7").unwrap();
    assert_eq!(world.after(Duration::ZERO).await, 1);
    for gap in Alipay::GAPS {
        assert_eq!(world.after(gap.checked_sub(Duration::from_millis(1)).unwrap()).await, 0);
        assert_eq!(world.after(Duration::from_millis(1)).await, 1);
    }
    assert_eq!(world.after(Duration::from_hours(1000)).await, 0, "it has given up");
    let read = world.merchant.read();
    assert_eq!(read.len(), 8);
    let last = form::read(&read[7]);
    assert!(world.theirs.is_signed(form::text(&last, &["sign", "sign_type"]).as_bytes(), &last["sign"]));
    assert_eq!(last["notify_id"], form::read(&read[0])["notify_id"]);
    assert_eq!((last["trade_status"].as_str(), last["total_amount"].as_str()), ("TRADE_SUCCESS", "880.00"));
}

#[tokio::test]
async fn success_ends_it_and_faults_do_what_they_say() {
    let world = world().await;
    world.merchant.answers("success");
    for fault in [NoticeFault::Delay, NoticeFault::Drop, NoticeFault::Double] {
        world.sim.faults.next_notice(fault);
    }
    world.sim.pay("7").unwrap();
    let mut heard = Vec::new();
    for gap in [Duration::ZERO, Duration::from_mins(1), Alipay::GAPS[0], Alipay::GAPS[1]] {
        world.after(gap).await;
        heard.push(world.merchant.read().len());
    }
    assert_eq!(heard, [0, 0, 2, 2], "late, then lost, then doubled, then no more");
    assert_eq!(world.sim.books().to_send(), 0);
}

#[tokio::test]
async fn a_refund_is_told_with_the_sum_of_all() {
    let world = world().await;
    world.merchant.answers("success");
    world.sim.pay("7").unwrap();
    for (number, fen) in [("8", 30_000), ("9", 58_000)] {
        world.sim.books().refund(number, "7", Fen::new(fen), START).unwrap();
    }
    assert_eq!(world.after(Duration::ZERO).await, 3);
    let said: Vec<_> = world.merchant.read().iter().map(|body| form::read(body)).collect();
    let of = |name: &str| said.iter().map(|form| form.get(name).cloned().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(of("refund_fee"), ["", "300.00", "880.00"]);
    assert_eq!(of("trade_status"), ["TRADE_SUCCESS", "TRADE_SUCCESS", "TRADE_CLOSED"]);
    assert_eq!(of("out_biz_no"), ["", "8", "9"]);
}
