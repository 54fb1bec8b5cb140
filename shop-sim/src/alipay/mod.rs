//! Alipay's side: the gateway, the notifications and the bill.
//!
//! A trade exists for it only once a buyer has opened the code; before that it is asked for and closed in vain.

mod api;
mod bill;
pub mod form;
mod notice;

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::post};
use shop_common::time::Millis;

use crate::{
    Outgoing, Provider, Sim,
    books::{Booked, Due},
    buyer,
    keys::{BadKey, Signer, Verifier},
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
    const NAME: &'static str = "Alipay";
    const BILL: &'static str = "text/csv; charset=gbk";

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
        Router::new().route(GATEWAY, post(api::gateway)).with_state(Arc::clone(&sim)).merge(buyer::routes(sim))
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

#[cfg(test)]
mod tests;
