//! `gateway.do`: a signed request in, a signed answer out.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::{Map, Value};
use shop_common::money::Fen;

use super::{
    Alipay,
    form::{self, Form},
};
use crate::{
    Sim,
    books::{Announcement, Books, Refund, Refused, State as Standing, Trade},
    faults::CallFault,
    time::written,
};

/// What is answered, in the provider's words.
#[derive(Debug)]
enum Answer {
    Done(Vec<(&'static str, String)>),
    /// `sub_code` of a definite no.
    Refused(&'static str),
    /// Code and `sub_code` of a request that was never looked at.
    Broken(&'static str, &'static str),
}

const NOT_EXIST: Answer = Answer::Refused("ACQ.TRADE_NOT_EXIST");

pub(super) async fn gateway(State(sim): State<Arc<Sim<Alipay>>>, body: Bytes) -> Response {
    let form = form::read(&String::from_utf8_lossy(&body));
    let method = form.get("method").cloned().unwrap_or_default();
    let fault = sim.faults.call();
    let answer = match (checked(&sim.provider, &form), fault) {
        (Err(broken), _) => broken,
        (Ok(_), Some(CallFault::Unknown)) => Answer::Refused("ACQ.SYSTEM_ERROR"),
        (Ok(_), Some(CallFault::Refuse)) => Answer::Refused(refusal_of(&method)),
        (Ok(content), _) => done(&sim, &method, &form, &content),
    };
    if fault == Some(CallFault::LoseAnswer) {
        return StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    match written_answer(&sim.provider, &method, answer) {
        Some(body) => ([(header::CONTENT_TYPE, "text/html;charset=utf-8")], body).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The request's content, if the merchant signed it.
fn checked(alipay: &Alipay, form: &Form) -> Result<Map<String, Value>, Answer> {
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if get("app_id") != alipay.app_id {
        return Err(Answer::Broken("40002", "isv.invalid-app-id"));
    }
    let charset_and_kind = (get("charset"), get("sign_type"), get("format"), get("version"));
    if charset_and_kind != ("utf-8", "RSA2", "JSON", "1.0") {
        return Err(Answer::Broken("40002", "isv.invalid-signature-type"));
    }
    // As the provider's own clients sign: every parameter but the signature, empty ones left out.
    let signed: Form = form.clone().into_iter().filter(|(_, value)| !value.is_empty()).collect();
    if !alipay.theirs.is_signed(form::text(&signed, &["sign"]).as_bytes(), get("sign")) {
        return Err(Answer::Broken("40002", "isv.invalid-signature"));
    }
    if get("timestamp").len() != 19 {
        return Err(Answer::Broken("40002", "isv.invalid-timestamp"));
    }
    serde_json::from_str(get("biz_content")).map_err(|_| Answer::Broken("40002", "isv.invalid-parameter"))
}

fn done(sim: &Sim<Alipay>, method: &str, form: &Form, content: &Map<String, Value>) -> Answer {
    let get = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or_default();
    let out_trade_no = get("out_trade_no");
    if out_trade_no.is_empty() {
        return Answer::Refused("ACQ.INVALID_PARAMETER");
    }
    match method {
        "alipay.trade.precreate" => precreate(sim, form, content, out_trade_no),
        "alipay.trade.query" => query(&sim.books(), out_trade_no),
        "alipay.trade.close" => close(&mut sim.books(), out_trade_no),
        "alipay.trade.refund" => refund(sim, out_trade_no, get("out_request_no"), get("refund_amount")),
        "alipay.trade.fastpay.refund.query" => query_refund(&sim.books(), out_trade_no, get("out_request_no")),
        _ => Answer::Broken("40002", "isv.invalid-method"),
    }
}

fn precreate(sim: &Sim<Alipay>, form: &Form, content: &Map<String, Value>, out_trade_no: &str) -> Answer {
    let get = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Ok(amount) = Fen::parse_lenient(&get("total_amount")) else { return Answer::Refused("ACQ.INVALID_PARAMETER") };
    if get("seller_id") != sim.provider.seller_id || get("subject").is_empty() || amount <= Fen::ZERO {
        return Answer::Refused("ACQ.INVALID_PARAMETER");
    }
    let announcement = Announcement {
        out_trade_no: out_trade_no.to_owned(),
        amount,
        subject: get("subject"),
        notify_url: form.get("notify_url").cloned().unwrap_or_default(),
    };
    let now = sim.now();
    match sim.books().announce(announcement, now) {
        Ok(_) => {
            Answer::Done(vec![("out_trade_no", out_trade_no.to_owned()), ("qr_code", sim.buyer_url(out_trade_no))])
        }
        Err(Refused::Paid) => Answer::Refused("ACQ.TRADE_HAS_SUCCESS"),
        Err(Refused::Closed) => Answer::Refused("ACQ.TRADE_HAS_CLOSE"),
        Err(_) => Answer::Refused("ACQ.CONTEXT_INCONSISTENT"),
    }
}

/// The trade, once a buyer has opened its code.
fn known<'a>(books: &'a Books, out_trade_no: &str) -> Option<&'a Trade> {
    books.trade(out_trade_no).filter(|trade| trade.state != Standing::Announced)
}

fn query(books: &Books, out_trade_no: &str) -> Answer {
    let Some(trade) = known(books, out_trade_no) else { return NOT_EXIST };
    let status = match trade.state {
        Standing::Announced | Standing::Waiting => "WAIT_BUYER_PAY",
        Standing::Closed => "TRADE_CLOSED",
        Standing::Paid if trade.refunded == trade.amount => "TRADE_CLOSED",
        Standing::Paid => "TRADE_SUCCESS",
    };
    let mut said = numbers(trade);
    said.push(("trade_status", status.to_owned()));
    said.push(("total_amount", trade.amount.to_string()));
    if let Some(paid) = trade.paid {
        said.push(("send_pay_date", written(paid)));
    }
    Answer::Done(said)
}

fn close(books: &mut Books, out_trade_no: &str) -> Answer {
    match known(books, out_trade_no).map(|trade| (trade.state, numbers(trade))) {
        None => NOT_EXIST,
        Some((Standing::Paid | Standing::Closed, _)) => Answer::Refused("ACQ.TRADE_STATUS_ERROR"),
        Some((_, said)) => match books.close(out_trade_no) {
            Ok(_) => Answer::Done(said),
            Err(_) => Answer::Refused("ACQ.TRADE_STATUS_ERROR"),
        },
    }
}

fn refund(sim: &Sim<Alipay>, out_trade_no: &str, out_request_no: &str, amount: &str) -> Answer {
    let Ok(amount) = Fen::parse_lenient(amount) else { return Answer::Refused("ACQ.INVALID_PARAMETER") };
    let now = sim.now();
    let mut books = sim.books();
    match books.refund(out_request_no, out_trade_no, amount, now) {
        Ok((Refund { total, .. }, is_new)) => {
            let mut said = known(&books, out_trade_no).map(numbers).unwrap_or_default();
            said.push(("fund_change", if is_new { "Y" } else { "N" }.to_owned()));
            said.push(("refund_fee", total.to_string()));
            Answer::Done(said)
        }
        Err(Refused::NotThere) => NOT_EXIST,
        Err(Refused::Differs) => Answer::Refused("ACQ.DISCORDANT_REPEAT_REQUEST"),
        Err(Refused::TooMuch) => Answer::Refused("ACQ.REASON_TRADE_REFUND_FEE_ERR"),
        Err(Refused::NotPaid | Refused::Paid | Refused::Closed) => Answer::Refused("ACQ.TRADE_STATUS_ERROR"),
    }
}

/// A refund that was never received is answered too, without a word of its state.
fn query_refund(books: &Books, out_trade_no: &str, out_request_no: &str) -> Answer {
    let Some(trade) = known(books, out_trade_no) else { return NOT_EXIST };
    let mut said = numbers(trade);
    said.push(("out_request_no", out_request_no.to_owned()));
    if let Some(refund) = books.refund_of(out_request_no).filter(|refund| refund.out_trade_no == out_trade_no) {
        said.push(("refund_status", "REFUND_SUCCESS".to_owned()));
        said.push(("refund_amount", refund.amount.to_string()));
        said.push(("total_amount", trade.amount.to_string()));
        said.push(("gmt_refund_pay", written(refund.at)));
    }
    Answer::Done(said)
}

fn numbers(trade: &Trade) -> Vec<(&'static str, String)> {
    vec![("out_trade_no", trade.out_trade_no.clone()), ("trade_no", trade.trade_no.clone())]
}

/// A reason of the provider's own, that stays one.
fn refusal_of(method: &str) -> &'static str {
    if method == "alipay.trade.refund" { "ACQ.TRADE_NOT_ALLOW_REFUND" } else { "ACQ.ACCESS_FORBIDDEN" }
}

/// The answer as it goes over the wire: slashes escaped, as Alipay does, and what is signed byte for byte what is sent.
fn written_answer(alipay: &Alipay, method: &str, answer: Answer) -> Option<String> {
    let said = match answer {
        Answer::Done(said) => {
            [("code", "10000".to_owned()), ("msg", "Success".to_owned())].into_iter().chain(said).collect()
        }
        Answer::Refused(why) => failed("40004", "Business Failed", why),
        Answer::Broken(code, why) => failed(code, "Service Currently Unavailable", why),
    };
    let content: Map<String, Value> = said.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let content = serde_json::to_string(&content).ok()?.replace('/', "\\/");
    let sign = alipay.ours.sign(content.as_bytes()).ok()?;
    let name = method.replace('.', "_");
    Some(format!(r#"{{"{name}_response":{content},"sign":"{sign}"}}"#))
}

fn failed(code: &str, text: &str, why: &str) -> Vec<(&'static str, String)> {
    let sub_text = format!("refused by the simulator: {why}");
    vec![("code", code.to_owned()), ("msg", text.to_owned()), ("sub_code", why.to_owned()), ("sub_msg", sub_text)]
}
