//! The cashier's page: plain HTML with a style of its own, no script, nothing loaded from anywhere.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, header};
use shop_common::id::{OrderId, PayId};

use super::{Standing, Trade};

/// The page's style, part of the page.
const STYLE: &str = include_str!("cashier.css");
/// Nothing but that style, by its SHA-256, and forms that lead back here.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'sha256-v1+YnSZh1K2+nwh3dPdmHDwhqSWe90IwHOR2luAvGdw='; \
                                       form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the page says below the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// What the trade's standing asks for.
    OfTrade,
    /// The buyer has just gone away without paying.
    Left,
}

/// The page about `trade`. Nothing in it comes from a person: ids and amounts are numbers.
pub(super) fn page(pay_id: PayId, order_id: Option<OrderId>, trade: &Trade, word: Word) -> Response {
    let amount = trade.amount;
    let order = order_id.map(|order_id| format!("<dt>Order</dt><dd>{order_id}</dd>")).unwrap_or_default();
    let below = match (trade.status, word) {
        (Standing::Waiting, Word::OfTrade) => format!(
            "<form method=\"post\" action=\"/sandbox/pay/{pay_id}\"><button id=\"pay\">Pay</button>\
             <a id=\"cancel\" href=\"/sandbox/pay/{pay_id}/left\">Cancel</a></form>"
        ),
        (Standing::Waiting, Word::Left) => format!(
            "<p id=\"said\">Nothing was paid. You may come back for as long as the order waits.</p>\
             <form><a id=\"back\" href=\"/sandbox/pay/{pay_id}\">Back to the payment</a></form>"
        ),
        (Standing::Paid, _) => "<p id=\"said\">Paid. The shop is being told.</p>".to_owned(),
        (Standing::Closed, _) => "<p id=\"said\">This payment is closed: nothing can be paid any more.</p>".to_owned(),
    };
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Cashier: {amount} yuan</title><style>{STYLE}</style></head>\n\
         <body><main><h1>Sandbox cashier</h1><div class=\"amount\" id=\"amount\">¥ {amount}</div>\
         <dl>{order}<dt>Payment</dt><dd>{pay_id}</dd></dl>{below}\
         <p><small>No real money moves here.</small></p></main></body></html>\n"
    );
    let policy = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY))];
    (policy, Html(html)).into_response()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_names_the_style() {
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("style-src 'sha256-{hash}'")), "{hash}");
    }
}
