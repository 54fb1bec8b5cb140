//! `shop refund`: what an operator does about money on its way back, in the databases, whether the shop runs or not. The
//! running shop then asks the channels and gives back the rest.

mod view;

use std::{error::Error, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use shop_common::{
    code::Verdict,
    error::ShopError,
    id::{Generator, PayId},
    money::Fen,
    page::Page,
    shutdown, telemetry,
};
use shop_order::{Links, Order};
use shop_pay::{
    Pay, Refunds,
    payment::refund::{Refund, Request, State},
};

use self::view::{Done, Listed, Row};
use crate::{
    assemble::open_to_look,
    beside::{deps, nobody, operator, spare_ids},
    config::Config,
    say,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Rows of one read of the list.
const PAGE: u8 = 100;

/// What `shop refund` can be told.
#[derive(Debug, Args)]
pub(crate) struct RefundArgs {
    /// One JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Promises a payment back, all that is left of it or a part. Its order and points follow once all of it is promised.
    Payment {
        /// Which payment.
        pay_id: i64,
        /// How much, for example `12.50`; without it all that is left.
        #[arg(long, value_name = "YUAN", value_parser = yuan)]
        amount: Option<Fen>,
        /// Why; kept, and shown to the buyer.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The key under which a repeat of this command finds the same refund; without it each run is another refund.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// Refunds a paid order: its stock, coupon, balance and points go back, and what is left of its payment.
    Order {
        /// Which order.
        order_id: i64,
        /// Why; kept, and shown to the buyer.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Asks the channel once more for a refund it had refused, under the same number.
    Retry {
        /// As `list` shows it.
        refund_id: i64,
    },
    /// Lists refunds that are refused or open; exit 0 none is refused, 1 one is, 2 could not look.
    List {
        /// Also those that are paid back.
        #[arg(long)]
        all: bool,
    },
}

/// Does what it was told: 0 done, 1 refused or something for an operator, 2 not known.
pub(crate) async fn run(config: &Config, told: RefundArgs) -> Outcome<ExitCode> {
    telemetry::init(&config.log.filter);
    let RefundArgs { json, action } = told;
    let done = match action {
        Action::Payment { pay_id, amount, reason, key } => payment(config, pay_id, amount, reason, key).await?,
        Action::Order { order_id, reason } => order(config, order_id, reason).await?,
        Action::Retry { refund_id } => {
            with_refunds(config, async |refunds, _| refunds.retry(refund_id).await).await?.map(Done::refund)
        }
        Action::List { all } => return list(config, all, json).await,
    };
    match done {
        Ok(done) => say::print(&done, json).map(|()| ExitCode::SUCCESS),
        Err(error) if error.verdict() == Verdict::Refused => {
            eprintln!("shop: {error}");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}

async fn payment(
    config: &Config,
    pay_id: i64,
    amount: Option<Fen>,
    reason: String,
    key: Option<String>,
) -> Outcome<Result<Done, ShopError>> {
    let refund = async |refunds: Refunds, ids: Arc<Generator>| {
        let request_id = match key {
            Some(key) => key,
            None => format!("shop-refund-{}", ids.next().await?),
        };
        refunds.refund(pay_id, amount, Request { request_id, reason, operator: operator() }).await
    };
    Ok(with_refunds(config, refund).await?.map(Done::refund))
}

async fn order(config: &Config, order_id: i64, reason: String) -> Outcome<Result<Done, ShopError>> {
    let db = open_to_look(&config.order.database).await?;
    let (_switch, shutdown) = shutdown::channel();
    let (ids, _claim) = spare_ids(&db).await?;
    let links = Links { goods: nobody(), coupon: nobody(), user: nobody(), pay: nobody() };
    let orders = Order::new(config.order.clone(), deps(config, &db, shutdown), ids, links);
    let refunded = orders.refund(order_id, reason).await;
    db.close().await;
    let who = operator();
    let result = match &refunded {
        Ok(true) => "done".to_owned(),
        Ok(false) => "nothing to do: it was refunded before".to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::info!(operator = who, order.id = order_id, result, "order {order_id}: refund by {who}");
    Ok(refunded.map(|now| Done::order(order_id, now)))
}

async fn list(config: &Config, all: bool, json: bool) -> Outcome<ExitCode> {
    let listed = with_refunds(config, async |refunds, _| {
        let states = if all { vec![None] } else { vec![Some(State::Refused), Some(State::Open)] };
        let mut listed = Listed::default();
        for state in states {
            read_all(&refunds, state, &mut listed).await?;
        }
        Ok(listed)
    });
    let listed = listed.await??;
    say::print(&listed, json)?;
    Ok(if listed.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn read_all(refunds: &Refunds, state: Option<State>, listed: &mut Listed) -> Result<(), ShopError> {
    let mut page = Page { size: PAGE, after: None };
    loop {
        let (found, token) = refunds.list(None::<PayId>, state, page).await?;
        page.after = found.last().map(|refund| refund.refund_id.get());
        listed.extend(found.into_iter().map(Row::from));
        if token.is_empty() {
            return Ok(());
        }
    }
}

/// Lets `act` work on the refunds of the pay database.
async fn with_refunds<T>(
    config: &Config,
    act: impl AsyncFnOnce(Refunds, Arc<Generator>) -> Result<T, ShopError>,
) -> Outcome<Result<T, ShopError>> {
    let db = open_to_look(&config.pay.database).await?;
    let (_switch, shutdown) = shutdown::channel();
    let (ids, _claim) = spare_ids(&db).await?;
    let pay = Pay::new(&config.pay, deps(config, &db, shutdown), Arc::clone(&ids), nobody(), nobody())?;
    let acted = act(pay.refunds(), ids).await;
    db.close().await;
    Ok(acted)
}

fn yuan(text: &str) -> Result<Fen, &'static str> {
    Fen::parse_strict(text).map_err(|_| "yuan with two decimals, for example 5.00")
}

/// Whether an operator has to look at it.
fn is_refused(refund: &Refund) -> bool {
    refund.state == State::Refused
}
