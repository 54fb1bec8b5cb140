//! The interface the merchant calls. An answer is signed, an error like any other, as soon as the request is known to be
//! the merchant's.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use http::{StatusCode, header, request::Parts};
use serde_json::{Value, json};
use shop_common::money::Fen;

use super::Wechat;
use crate::{
    Sim,
    books::{Announcement, Refused, Trade},
    buyer,
    faults::CallFault,
};

/// Longest request.
const REQUEST_BYTES: usize = 64 << 10;

/// What is answered: a status and a body, none with 204.
type Answer = Result<Option<Value>, (u16, &'static str)>;

pub(super) fn routes(sim: Arc<Sim<Wechat>>) -> Router {
    Router::new().route("/v3/{*path}", any(api)).with_state(Arc::clone(&sim)).merge(buyer::routes(sim))
}

async fn api(State(sim): State<Arc<Sim<Wechat>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, REQUEST_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let authorization = text(header::AUTHORIZATION.as_str());
    let authentic = sim.provider.authentic(authorization, parts.method.as_str(), target, &body, sim.now());
    if let Err(why) = authentic {
        return (StatusCode::UNAUTHORIZED, json!({ "code": "SIGN_ERROR", "message": why }).to_string()).into_response();
    }
    let fault = sim.faults.call();
    let answer = match fault {
        Some(CallFault::Unknown) => Err((500, "SYSTEM_ERROR")),
        Some(CallFault::Refuse) if parts.method == "POST" => Err((403, "USER_ACCOUNT_ABNORMAL")),
        _ => done(&sim, &parts, &body),
    };
    if fault == Some(CallFault::LoseAnswer) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    signed(&sim, text("wechatpay-serial"), answer)
}

/// Does what is asked.
fn done(sim: &Sim<Wechat>, parts: &Parts, body: &Bytes) -> Answer {
    let path: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
    let has_mchid = parts.uri.query() == Some(format!("mchid={}", sim.provider.mchid).as_str());
    match (parts.method.as_str(), path.as_slice()) {
        ("POST", ["v3", "pay", "transactions", "native"]) => native(sim, &read(body)?),
        ("GET", ["v3", "pay", "transactions", "out-trade-no", number]) if has_mchid => query(sim, number),
        ("POST", ["v3", "pay", "transactions", "out-trade-no", number, "close"]) => close(sim, number, &read(body)?),
        ("POST", ["v3", "refund", "domestic", "refunds"]) => refund(sim, &read(body)?),
        ("GET", ["v3", "refund", "domestic", "refunds", number]) => query_refund(sim, number),
        _ => Err((404, "NOT_FOUND")),
    }
}

fn native(sim: &Sim<Wechat>, asked: &Value) -> Answer {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).ok_or((400, "PARAM_ERROR"));
    if text("mchid")? != sim.provider.mchid || text("appid")? != sim.provider.appid {
        return Err((400, "APPID_MCHID_NOT_MATCH"));
    }
    let new = Announcement {
        out_trade_no: text("out_trade_no")?.to_owned(),
        amount: amount(asked, "total")?,
        subject: text("description")?.to_owned(),
        notify_url: text("notify_url")?.to_owned(),
    };
    if !matches!(new.out_trade_no.len(), 6..=32) || new.amount <= Fen::ZERO {
        return Err((400, "PARAM_ERROR"));
    }
    let now = sim.now();
    let announced = sim.books().announce(new, now).map(|trade| trade.out_trade_no.clone());
    match announced {
        Ok(out_trade_no) => Ok(Some(json!({ "code_url": sim.buyer_url(&out_trade_no) }))),
        Err(Refused::Closed) => Err((400, "ORDER_CLOSED")),
        Err(Refused::Paid) => Err((400, "ORDERPAID")),
        Err(_) => Err((400, "INVALID_REQUEST")),
    }
}

fn query(sim: &Sim<Wechat>, out_trade_no: &str) -> Answer {
    let trade = trade(sim, out_trade_no).ok_or((404, "ORDER_NOT_EXIST"))?;
    Ok(Some(sim.provider.transaction(&trade)))
}

/// A number nobody has announced is closed with the same answer, and may be announced later.
fn close(sim: &Sim<Wechat>, out_trade_no: &str, asked: &Value) -> Answer {
    if asked.get("mchid").and_then(Value::as_str) != Some(sim.provider.mchid.as_str()) {
        return Err((400, "MCH_NOT_EXISTS"));
    }
    match sim.books().close(out_trade_no) {
        Ok(_) | Err(Refused::NotThere) => Ok(None),
        Err(Refused::Paid) => Err((400, "ORDERPAID")),
        Err(_) => Err((400, "INVALID_REQUEST")),
    }
}

fn refund(sim: &Sim<Wechat>, asked: &Value) -> Answer {
    let text = |name: &str| asked.get(name).and_then(Value::as_str).ok_or((400, "PARAM_ERROR"));
    let (out_trade_no, out_refund_no) = (text("out_trade_no")?, text("out_refund_no")?);
    let (back, total) = (amount(asked, "refund")?, amount(asked, "total")?);
    let known = trade(sim, out_trade_no).ok_or((404, "RESOURCE_NOT_EXISTS"))?;
    if known.amount != total {
        return Err((400, "INVALID_REQUEST"));
    }
    let now = sim.now();
    let refunded = sim.books().refund(out_refund_no, out_trade_no, back, now);
    match refunded {
        Ok((refund, _)) => Ok(Some(sim.provider.refund(&known, &refund, "status"))),
        Err(Refused::NotThere) => Err((404, "RESOURCE_NOT_EXISTS")),
        Err(_) => Err((400, "INVALID_REQUEST")),
    }
}

fn query_refund(sim: &Sim<Wechat>, out_refund_no: &str) -> Answer {
    let refund = sim.books().refund_of(out_refund_no).cloned().ok_or((404, "RESOURCE_NOT_EXISTS"))?;
    let trade = trade(sim, &refund.out_trade_no).ok_or((404, "RESOURCE_NOT_EXISTS"))?;
    Ok(Some(sim.provider.refund(&trade, &refund, "status")))
}

fn trade(sim: &Sim<Wechat>, out_trade_no: &str) -> Option<Trade> {
    sim.books().trade(out_trade_no).cloned()
}

fn read(body: &Bytes) -> Result<Value, (u16, &'static str)> {
    serde_json::from_slice(body).map_err(|_| (400, "PARAM_ERROR"))
}

/// An amount of the only currency.
fn amount(asked: &Value, name: &str) -> Result<Fen, (u16, &'static str)> {
    let amount = asked.get("amount").filter(|amount| amount.get("currency").and_then(Value::as_str) == Some("CNY"));
    let fen = amount.and_then(|amount| amount.get(name)).and_then(Value::as_i64);
    fen.map(Fen::new).ok_or((400, "PARAM_ERROR"))
}

/// The answer, signed by the key the merchant asks for.
fn signed(sim: &Sim<Wechat>, serial: Option<&str>, answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok(Some(body)) => (200, body.to_string()),
        Ok(None) => (204, String::new()),
        Err((status, code)) => (status, json!({ "code": code, "message": code }).to_string()),
    };
    let provider = &sim.provider;
    let place = provider.place_of(serial).unwrap_or_else(|| provider.signing.load(Ordering::SeqCst));
    let Some(headers) = provider.signed(place, body.as_bytes(), sim.now()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut response =
        Response::builder().status(status).header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
