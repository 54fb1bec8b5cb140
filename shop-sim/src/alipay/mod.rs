//! Alipay's side: the gateway, the notifications and the bill.
//!
//! A trade exists for it only once a buyer has opened the code; before that it is asked for and closed in vain.

mod api;
mod bill;
mod form;
mod notice;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    response::Html,
    routing::{get, post},
};
use http::{StatusCode, header};
use shop_common::time::Millis;

use crate::{
    Outgoing, Provider, Sim,
    books::{Booked, Due, Refused},
    keys::{BadKey, Signer, Verifier},
    time,
};

/// Where merchants call.
pub const GATEWAY: &str = "/gateway.do";

/// Alipay, as one merchant knows it.
pub struct Alipay {
    app_id: String,
    seller_id: String,
    ours: Signer,
    theirs: Verifier,
}

impl Alipay {
    /// Signs with `ours`, a private key, and believes the merchant by `theirs`, its public key; both PEM.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(app_id: &str, seller_id: &str, ours: &str, theirs: &str) -> Result<Self, BadKey> {
        let (ours, theirs) = (Signer::read(ours)?, Verifier::read(theirs)?);
        Ok(Self { app_id: app_id.to_owned(), seller_id: seller_id.to_owned(), ours, theirs })
    }
}

impl Provider for Alipay {
    const GAPS: &'static [Duration] = &[
        Duration::from_mins(4),
        Duration::from_mins(10),
        Duration::from_mins(10),
        Duration::from_hours(1),
        Duration::from_hours(2),
        Duration::from_hours(6),
        Duration::from_hours(15),
    ];

    fn routes(sim: Arc<Sim<Self>>) -> Router {
        Router::new()
            .route(GATEWAY, post(api::gateway))
            .route("/buyer/{out_trade_no}", get(open).post(pay))
            .route("/bill/{day}", get(bill))
            .with_state(sim)
    }

    fn notification(&self, due: &Due, now: Millis) -> Option<Outgoing> {
        self.notice(due, now).ok()
    }

    fn is_acknowledged(&self, status: u16, body: &[u8]) -> bool {
        status == 200 && body == b"success"
    }

    fn bill(&self, booked: &[Booked]) -> Vec<u8> {
        bill::write(&self.seller_id, booked)
    }
}

type Alipays = State<Arc<Sim<Alipay>>>;

/// The buyer opens the code: from now on there is a trade.
async fn open(State(sim): Alipays, Path(out_trade_no): Path<String>) -> Result<Html<String>, StatusCode> {
    let mut books = sim.books();
    let trade = books.open(&out_trade_no).map_err(|_| StatusCode::NOT_FOUND)?;
    let (state, amount) = (trade.state, trade.amount);
    Ok(Html(format!(
        "<!doctype html><title>Alipay simulator</title><p>{out_trade_no}: {amount} yuan, {state:?}</p>\
         <form method=\"post\"><button>Pay</button></form>"
    )))
}

async fn pay(State(sim): Alipays, Path(out_trade_no): Path<String>) -> (StatusCode, String) {
    match sim.pay(&out_trade_no) {
        Ok(()) => (StatusCode::OK, "paid\n".to_owned()),
        Err(Refused::NotThere) => (StatusCode::NOT_FOUND, "no such trade\n".to_owned()),
        Err(refused) => (StatusCode::CONFLICT, format!("{refused}\n")),
    }
}

type Bill = ([(header::HeaderName, &'static str); 1], Vec<u8>);

async fn bill(State(sim): Alipays, Path(day): Path<String>) -> Result<Bill, StatusCode> {
    let day = time::day(&day).ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=gbk")], sim.bill(day)))
}

#[cfg(test)]
mod tests;
