//! What every provider serves besides its interface: the buyer's page and the bill of a day.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::Html,
    routing::get,
};
use http::{StatusCode, header};

use crate::{Provider, Sim, books::Refused, time};

/// `GET /buyer/{out_trade_no}` opens a trade, `POST` pays it; `GET /bill/{day}` is what the merchant downloads.
pub(crate) fn routes<P: Provider>(sim: Arc<Sim<P>>) -> Router {
    Router::new()
        .route("/buyer/{out_trade_no}", get(open::<P>).post(pay::<P>))
        .route("/bill/{day}", get(bill::<P>))
        .with_state(sim)
}

type Shared<P> = State<Arc<Sim<P>>>;

async fn open<P: Provider>(
    State(sim): Shared<P>,
    Path(out_trade_no): Path<String>,
) -> Result<Html<String>, StatusCode> {
    let mut books = sim.books();
    let trade = books.open(&out_trade_no).map_err(|_| StatusCode::NOT_FOUND)?;
    let (state, amount) = (trade.state, trade.amount);
    Ok(Html(format!(
        "<!doctype html><title>{} simulator</title><p>{out_trade_no}: {amount} yuan, {state:?}</p>\
         <form method=\"post\"><button>Pay</button></form>",
        P::NAME
    )))
}

async fn pay<P: Provider>(State(sim): Shared<P>, Path(out_trade_no): Path<String>) -> (StatusCode, String) {
    match sim.pay(&out_trade_no) {
        Ok(()) => (StatusCode::OK, "paid\n".to_owned()),
        Err(Refused::NotThere) => (StatusCode::NOT_FOUND, "no such trade\n".to_owned()),
        Err(refused) => (StatusCode::CONFLICT, format!("{refused}\n")),
    }
}

type Bill = ([(header::HeaderName, &'static str); 1], Vec<u8>);

async fn bill<P: Provider>(State(sim): Shared<P>, Path(day): Path<String>) -> Result<Bill, StatusCode> {
    let day = time::day(&day).ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(header::CONTENT_TYPE, P::BILL)], sim.bill(day)))
}
