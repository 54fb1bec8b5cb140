//! What a client does on one visit, and which answers it may get.

mod buyers;
mod full;
mod mixed;

use shop_common::{
    code::{ShopCode, Verdict},
    error::{Result, ShopError},
};
use shop_proto::order::v1::{ConfirmItem, ConfirmOrderRequest, Order, OrderStatus};
use shop_replay::signer::SandboxSigner;

use self::buyers::Buyers;
use super::{
    Outcome,
    args::{Args, Protocol, Scenario},
    client::{Client, Grpc, Rest},
    load::Seen,
    rows,
    world::World,
};
use crate::replay::sandbox_signer;

/// What each order takes from the balance, in fen.
const BALANCE_USED: i64 = 100;
/// The kind of an answer that is an order.
const CONFIRMED: &str = "confirmed";

/// Everything a visit needs.
pub(super) struct Scene {
    client: Client,
    /// Where the client's shop is.
    address: String,
    /// None where the sandbox has no key.
    signer: Option<SandboxSigner>,
    buyers: Buyers,
    /// Of this run: its request ids are no other run's.
    run: u64,
    seed: u64,
}

impl Scene {
    pub(super) async fn new(args: &Args, world: &World) -> Outcome<Self> {
        let (client, address) = match args.protocol {
            Protocol::Grpc => (Client::Grpc(Grpc::connect(&world.grpc).await?), &world.grpc),
            Protocol::Rest => (Client::Rest(Rest::new(&world.rest)?), &world.rest),
        };
        Ok(Self {
            client,
            address: address.clone(),
            signer: sandbox_signer(&world.sandbox).ok(),
            buyers: Buyers::new(rows::users()),
            run: rand::random(),
            seed: args.seed,
        })
    }

    /// Whether the shop answers, and has the rows of the benchmark.
    pub(super) async fn check(&self) -> Outcome<()> {
        let Self { address, .. } = self;
        match self.client.score(rows::PENNILESS).await {
            Ok(_) => Ok(()),
            Err(error) if error.code == ShopCode::UserNotFound => {
                Err(format!("{address}: its databases are not those of the configuration: --data-dir, --config").into())
            }
            Err(error) => Err(format!("{address}: no shop that answers there: {error}").into()),
        }
    }

    /// Visit `number` of the run.
    pub(super) async fn visit(&self, scenario: Scenario, number: u64) -> Seen {
        let Some(buyer) = self.buyers.next().await else { return Seen::default() };
        let wanted = match scenario {
            Scenario::Hot => self.wanted(buyer.id(), number, rows::goods(0)),
            _ => self.wanted(buyer.id(), number, rows::goods(number)),
        };
        match scenario {
            Scenario::Confirm | Scenario::Hot => self.plain(wanted).await,
            Scenario::Full => self.full(wanted).await,
            Scenario::Mixed => self.mixed(wanted, number).await,
        }
    }

    fn wanted(&self, user_id: i64, number: u64, goods_id: i64) -> ConfirmOrderRequest {
        ConfirmOrderRequest {
            request_id: format!("bench-{:016x}-{number}", self.run),
            user_id,
            items: vec![ConfirmItem { goods_id, quantity: 1, expected_price_fen: None }],
            balance_used_fen: BALANCE_USED,
            address: "1 Bench Road".to_owned(),
            consignee: "bench".to_owned(),
            phone: "13800000000".to_owned(),
            ..ConfirmOrderRequest::default()
        }
    }

    async fn plain(&self, wanted: ConfirmOrderRequest) -> Seen {
        let mut seen = Seen::default();
        let placed = self.client.confirm(wanted).await;
        seen.is_served = seen.must_confirm("a plain order", &placed);
        seen
    }
}

/// The judgement of answers. Busy and not known are answers of any request; they are counted and serve nobody.
impl Seen {
    /// An order; whether it is one.
    fn must_confirm(&mut self, what: &str, placed: &Result<Order>) -> bool {
        match placed {
            Ok(order) if order.status() == OrderStatus::Confirmed => {
                self.confirmed = self.confirmed.saturating_add(1);
                self.answers.push(CONFIRMED);
                true
            }
            Ok(order) => self.wrong(what, order.status().as_str_name()),
            Err(error) => self.must_fail(what, error, &[]),
        }
    }

    /// A refusal, by one of `codes`; whether it is one.
    fn must_refuse(&mut self, what: &str, placed: &Result<Order>, codes: &[ShopCode]) -> bool {
        match placed {
            Ok(order) => {
                self.confirmed = self.confirmed.saturating_add(1);
                self.wrong(what, order.status().as_str_name())
            }
            Err(error) => self.must_fail(what, error, codes),
        }
    }

    fn must_fail(&mut self, what: &str, error: &ShopError, codes: &[ShopCode]) -> bool {
        let name = error.code.row().name;
        self.answers.push(name);
        let is_expected = codes.contains(&error.code);
        let is_answer = matches!(error.verdict(), Verdict::Retry | Verdict::Unknown);
        if is_expected || is_answer { is_expected } else { self.wrong(what, name) }
    }

    fn wrong(&mut self, what: &str, answer: &str) -> bool {
        self.wrong.push(format!("{what}: {answer}"));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(status: OrderStatus) -> Order {
        Order { status: status.into(), ..Order::default() }
    }

    #[test]
    fn an_answer_of_another_class_is_wrong() {
        let mut seen = Seen::default();
        assert!(seen.must_confirm("x", &Ok(order(OrderStatus::Confirmed))));
        assert!(seen.must_refuse("x", &Err(ShopCode::GoodsNotEnough.into()), &[ShopCode::GoodsNotEnough]));
        assert_eq!((seen.wrong.len(), seen.confirmed), (0, 1));
        assert!(!seen.must_refuse("sold out", &Ok(order(OrderStatus::Confirmed)), &[ShopCode::GoodsNotEnough]));
        assert!(!seen.must_refuse("sold out", &Err(ShopCode::UserNotFound.into()), &[ShopCode::GoodsNotEnough]));
        assert!(!seen.must_confirm("x", &Err(ShopCode::Internal.into())));
        assert!(!seen.must_confirm("x", &Ok(order(OrderStatus::Cancelled))));
        assert_eq!(seen.wrong.len(), 4);
    }

    #[test]
    fn busy_and_not_known_serve_nobody_and_are_not_wrong() {
        let mut seen = Seen::default();
        for code in [ShopCode::Busy, ShopCode::Unavailable, ShopCode::Unknown, ShopCode::InProgress] {
            assert!(!seen.must_confirm("x", &Err(code.into())));
        }
        assert_eq!((seen.answers.len(), seen.wrong.len(), seen.confirmed), (4, 0, 0));
    }
}
