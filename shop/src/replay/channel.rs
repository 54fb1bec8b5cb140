//! Whose notifications are sent: who signs them, and the provider that a fresh shop has.

use std::{error::Error, path::Path, sync::Arc};

use clap::ValueEnum;
use shop_common::time::Clock;
use shop_pay::{Config, SandboxConfig};
use shop_replay::{
    notification::PaymentRef,
    signer::{AlipaySigner, SandboxSigner, Signer, WechatSigner},
};
use shop_sim::{Provider, Served, Sim, books::Refused, faults::Faults, serve, wechat::Wechat};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::sim::{
    merchant::{self, AlipayMerchant, WechatMerchant},
    tell,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A payment channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Channel {
    /// The one that stands in for the others.
    Sandbox,
    /// Alipay.
    Alipay,
    /// WeChat Pay.
    Wechat,
}

/// The provider's side of the channel that is replayed.
pub(super) struct Side {
    kind: Kind,
    /// Keys of this run alone.
    _dir: Option<TempDir>,
}

enum Kind {
    Sandbox(SandboxSigner),
    Alipay(AlipayMerchant),
    Wechat(WechatMerchant),
}

/// A provider's simulator in this process. It tells of refunds; that a payment was paid is for the replay to tell.
pub(super) struct Simulated {
    buyer: Box<Buyer>,
    served: Served,
    telling: JoinHandle<()>,
}

/// Pays a payment.
type Buyer = dyn Fn(&PaymentRef) -> Result<(), Refused> + Send + Sync;

impl Channel {
    const fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Alipay => "alipay",
            Self::Wechat => "wechat",
        }
    }
}

impl Side {
    /// With the keys in `keys`; for a fresh shop they are made when there are none, or for this run alone.
    pub(super) fn new(channel: Channel, keys: Option<&Path>, is_fresh: bool, pay: &Config) -> Outcome<Self> {
        if channel == Channel::Sandbox {
            if keys.is_some() {
                return Err("--keys: those of the sandbox stand in the configuration, pay.sandbox.keys".into());
            }
            return Ok(Self { kind: Kind::Sandbox(sandbox_signer(&pay.sandbox)?), _dir: None });
        }
        let name = channel.name();
        let own = if keys.is_none() && is_fresh { Some(tempfile::tempdir()?) } else { None };
        let dir = keys.or(own.as_ref().map(TempDir::path));
        let dir = dir.filter(|dir| is_fresh || merchant::are_kept(dir, name)).ok_or_else(|| {
            format!("only the provider can sign for {name}: --keys DIR names the keys that `shop sim {name}` keeps")
        })?;
        let or = |configured: &str, known: &str| if configured.is_empty() { known } else { configured }.to_owned();
        let kind = if channel == Channel::Alipay {
            let app_id = or(&pay.alipay.app_id, merchant::ALIPAY_APP);
            let seller_id = or(&pay.alipay.seller_id, merchant::ALIPAY_SELLER);
            Kind::Alipay(AlipayMerchant::at(dir, &app_id, &seller_id)?)
        } else {
            let app_id = or(&pay.wechat.app_id, merchant::WECHAT_APP);
            let mchid = or(&pay.wechat.mchid, merchant::WECHAT_MCHID);
            let serial = or(&pay.wechat.platform_serial, merchant::PLATFORM_SERIAL);
            Kind::Wechat(WechatMerchant::at(dir, &app_id, &mchid, &serial)?)
        };
        Ok(Self { kind, _dir: own })
    }

    /// Signs like the provider.
    pub(super) fn signer(&self) -> Outcome<Arc<dyn Signer>> {
        Ok(match &self.kind {
            Kind::Sandbox(signer) => Arc::new(signer.clone()),
            Kind::Alipay(merchant) => Arc::new(AlipaySigner::new(merchant.provider()?)?),
            Kind::Wechat(merchant) => Arc::new(WechatSigner::new(merchant.keys())?),
        })
    }

    /// What a fresh shop is told of a provider at `base`; nothing where the provider is within the shop.
    pub(super) fn settings(&self, base: &str) -> Vec<(String, String)> {
        let (name, said, own) = match &self.kind {
            Kind::Sandbox(_) => return Vec::new(),
            Kind::Alipay(merchant) => ("alipay", merchant.settings(base), &["private_key", "public_key"][..]),
            Kind::Wechat(merchant) => {
                ("wechat", merchant.settings(base), &["private_key", "api_v3_key", "platform_key"][..])
            }
        };
        let on = [
            ("enabled", "true".to_owned()),
            // The simulator is told where the gateway is: its port is not known yet.
            ("notify_url", format!("http://127.0.0.1/api/v1/callbacks/{name}")),
        ];
        // Keys of the configuration are those of another provider.
        let none = own.iter().map(|key| (*key, String::new()));
        on.into_iter().chain(none).chain(said).map(|(key, value)| (format!("pay.{name}.{key}"), value)).collect()
    }

    /// Serves the provider on `listener`; its notifications go to the gateway at `web`. None for the sandbox.
    pub(super) fn simulate(&self, listener: TcpListener, web: &str) -> Outcome<Option<Simulated>> {
        match &self.kind {
            Kind::Sandbox(_) => Ok(None),
            Kind::Alipay(merchant) => {
                Simulated::start(merchant.provider()?, listener, format!("http://{web}/api/v1/callbacks/alipay"))
            }
            Kind::Wechat(merchant) => {
                let provider = Wechat::new(merchant.keys())?;
                Simulated::start(provider, listener, format!("http://{web}/api/v1/callbacks/wechat"))
            }
        }
    }
}

impl Simulated {
    fn start<P: Provider>(provider: P, listener: TcpListener, callbacks: String) -> Outcome<Option<Self>> {
        let base = format!("http://{}", listener.local_addr()?);
        let sim = Sim::new(provider, Clock::system(), Faults::none(), &base, Some(callbacks))?;
        let served = serve(P::routes(Arc::clone(&sim)), listener)?;
        let tells = Arc::clone(&sim);
        let telling = tokio::spawn(async move { tell(&tells).await });
        let buyer = Box::new(move |payment: &PaymentRef| {
            let now = sim.now();
            sim.books().pay_untold(&payment.pay_id.to_string(), now).map(drop)
        });
        Ok(Some(Self { buyer, served, telling }))
    }

    /// The buyer pays.
    pub(super) fn pay(&self, payment: &PaymentRef) -> Result<(), Refused> {
        (self.buyer)(payment)
    }

    pub(super) async fn stop(self) -> Outcome<()> {
        self.telling.abort();
        Ok(self.served.stop().await?)
    }
}

/// The sandbox channel as the configuration has it.
pub(crate) fn sandbox_signer(sandbox: &SandboxConfig) -> Outcome<SandboxSigner> {
    let key = sandbox.keys.get(&sandbox.kid).ok_or("pay.sandbox.kid names no key of pay.sandbox.keys")?;
    Ok(SandboxSigner::new(&sandbox.merchant_id, &sandbox.kid, key.clone()))
}
