//! The sandbox channel's notification of a paid payment, signed by the contract's rules and not by the shop's code.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use shop_common::time::Clock;
use shop_pay::{SandboxConfig, channel::sandbox};

use super::Notice;

/// Signs with the key the configuration says the sandbox signs with.
pub(in crate::bench) struct Signer(SandboxConfig);

impl Signer {
    pub(in crate::bench) const fn new(sandbox: SandboxConfig) -> Self {
        Self(sandbox)
    }

    /// The notification that `pay_id` was paid; none where the sandbox has no key.
    pub(in crate::bench) fn paid(&self, pay_id: i64, amount_fen: i64) -> Option<Notice> {
        let SandboxConfig { merchant_id, kid, keys, .. } = &self.0;
        let now = Clock::system().now().get();
        let body = json!({
            "notify_id": format!("bench-{pay_id}"),
            "pay_id": pay_id.to_string(),
            "channel_trade_no": format!("B{pay_id}"),
            "merchant_id": merchant_id,
            "amount_fen": amount_fen,
            "currency": "CNY",
            "status": "SUCCESS",
            "paid_at_ms": now,
        })
        .to_string();
        let seconds = now / 1000;
        let mut mac = Hmac::<Sha256>::new_from_slice(keys.get(kid)?.reveal().as_bytes()).ok()?;
        mac.update(format!("{seconds}.{body}").as_bytes());
        let v1 = hex::encode(mac.finalize().into_bytes());
        let signature = format!("t={seconds},kid={kid},v1={v1}");
        Some(Notice { header: sandbox::HEADER, signature, body: body.into_bytes() })
    }
}
