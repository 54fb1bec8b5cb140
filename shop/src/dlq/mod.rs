//! `shop dlq`: the dead letters of all services, read and settled in their databases, whether the shop runs or not.
//!
//! The broker's own dead-letter queues (`%DLQ%<group>`) are not read: whatever is in them was kept here before.

mod view;

use std::{error::Error, process::ExitCode};

use clap::{Args, Subcommand};
use shop_common::{
    db::{DatabaseConfig, Db},
    dead::{self, Dealt, Deed, Letter, State},
    telemetry,
    time::Clock,
};

use self::view::{Done, Listed, Shown};
use crate::{assemble::open_to_look, beside::operator, config::Config, say};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SERVICES: [&str; 5] = ["goods", "coupon", "user", "order", "pay"];

/// What `shop dlq` can be told.
#[derive(Debug, Args)]
pub(crate) struct Dlq {
    /// One JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists what is open; exit 0 nothing, 1 something, 2 could not look.
    List {
        /// Of this service alone.
        #[arg(long, value_name = "SERVICE", value_parser = SERVICES)]
        service: Option<String>,
        /// Also what was handled after all, resent or discarded.
        #[arg(long)]
        all: bool,
    },
    /// Shows one, with its bytes.
    Show {
        /// As `list` shows it, for example `order/out/order_cancel:42`.
        id: String,
    },
    /// Puts one back into the outbox of its service, which sends it as soon as it runs.
    Resend {
        /// As `list` shows it.
        id: String,
    },
    /// Gives one up; it is kept, with the reason.
    Discard {
        /// As `list` shows it.
        id: String,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = said)]
        reason: String,
    },
}

/// Does what it was told.
pub(crate) async fn run(config: &Config, dlq: Dlq) -> Outcome<ExitCode> {
    telemetry::init(&config.log.filter);
    let Dlq { json, action } = dlq;
    match action {
        Action::List { service, all } => list(config, service.as_deref(), all, json).await,
        Action::Show { id } => show(config, &id, json).await,
        Action::Resend { id } => settle(config, &id, None, json).await,
        Action::Discard { id, reason } => settle(config, &id, Some(&reason), json).await,
    }
}

async fn list(config: &Config, service: Option<&str>, all: bool, json: bool) -> Outcome<ExitCode> {
    let mut listed = Listed::default();
    for name in SERVICES.into_iter().filter(|name| service.is_none_or(|service| service == *name)) {
        let db = open(config, name).await?;
        listed.add(name, dead::letters(&db, all).await?);
        db.close().await;
    }
    say::print(&listed, json)?;
    Ok(if listed.open == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn show(config: &Config, id: &str, json: bool) -> Outcome<ExitCode> {
    let (service, db, letter) = find(config, id).await?;
    let body = dead::body(&db, &letter).await?.ok_or_else(|| unknown(id))?;
    say::print(&Shown::new(service, letter, body), json)?;
    db.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Resends a letter, or discards it for a reason.
async fn settle(config: &Config, id: &str, discard: Option<&str>, json: bool) -> Outcome<ExitCode> {
    let (_, db, letter) = find(config, id).await?;
    let who = operator();
    let deed = Deed { who: &who, now: Clock::system().now() };
    let (action, dealt) = match discard {
        Some(reason) => ("discard", dead::discard(&db, &letter, reason, &deed).await),
        None => ("resend", dead::resend(&db, &letter, &deed).await),
    };
    db.close().await;
    let result = dealt.as_ref().map_or_else(ToString::to_string, ToString::to_string);
    tracing::info!(
        operator = who,
        action,
        dlq.id = id,
        reason = discard,
        result,
        "dead letter: {action} of {id} by {who}"
    );
    let dealt = dealt?;
    say::print(&Done { id, action, result }, json)?;
    Ok(match dealt {
        Dealt::Done | Dealt::Already(_) => ExitCode::SUCCESS,
        Dealt::Refused(_) | Dealt::Gone => ExitCode::FAILURE,
    })
}

/// The letter that `list` shows under `id`.
async fn find(config: &Config, id: &str) -> Outcome<(&'static str, Db, Letter)> {
    let (service, place) = id.split_once('/').ok_or_else(|| unknown(id))?;
    let service = SERVICES.into_iter().find(|name| *name == service).ok_or_else(|| unknown(id))?;
    let db = open(config, service).await?;
    let found = dead::letters(&db, true).await?.into_iter().find(|letter| letter.place.to_string() == place);
    Ok((service, db, found.ok_or_else(|| unknown(id))?))
}

async fn open(config: &Config, service: &str) -> Outcome<Db> {
    let database: &DatabaseConfig = match service {
        "goods" => &config.goods.database,
        "coupon" => &config.coupon.database,
        "user" => &config.user.database,
        "order" => &config.order.database,
        _ => &config.pay.database,
    };
    Ok(open_to_look(database).await?)
}

fn unknown(id: &str) -> String {
    format!("no dead letter {id}; `shop dlq list --all` shows them all, and what was sent is gone from the outbox")
}

fn said(reason: &str) -> Result<String, &'static str> {
    if reason.trim().is_empty() { Err("say why") } else { Ok(reason.to_owned()) }
}

/// Whether somebody has to look at it.
const fn is_open(letter: &Letter) -> bool {
    matches!(letter.state, State::Open)
}
