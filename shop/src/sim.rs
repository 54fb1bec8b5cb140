//! `shop sim`: a payment provider to test against, in a process of its own. Its books live in memory and end with it.

pub(crate) mod merchant;

use std::{
    error::Error,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand, builder::RangedI64ValueParser, value_parser};
use reqwest::Url;
use shop_common::time::Clock;
use shop_sim::{
    Provider, Sim,
    faults::{Faults, Odds},
    serve,
    wechat::Wechat,
};
use tokio::net::TcpListener;

use self::merchant::{AlipayMerchant, WechatMerchant};
use crate::{config::Config, exposure, say::announce};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Pause between two looks at what has to be sent.
const LOOK: Duration = Duration::from_millis(200);

/// Which provider.
#[derive(Debug, Subcommand)]
pub(crate) enum Wanted {
    /// Alipay: precreate, query, close, refund, notifications and the bill.
    Alipay(AlipayWanted),
    /// WeChat Pay, API v3: native payments, refunds, notifications and the bill.
    Wechat(WechatWanted),
}

/// Alipay, as one merchant knows it.
#[derive(Debug, Args)]
pub(crate) struct AlipayWanted {
    #[command(flatten)]
    common: Common,
    /// The number of the shop's application.
    #[arg(long, default_value = merchant::ALIPAY_APP, value_parser = number)]
    app_id: String,
    /// The shop's number as a seller.
    #[arg(long, default_value = merchant::ALIPAY_SELLER, value_parser = number)]
    seller_id: String,
}

/// WeChat Pay, as one merchant knows it.
#[derive(Debug, Args)]
pub(crate) struct WechatWanted {
    #[command(flatten)]
    common: Common,
    /// The number of the shop's application.
    #[arg(long, default_value = merchant::WECHAT_APP, value_parser = number)]
    app_id: String,
    /// The shop's number as a merchant.
    #[arg(long, default_value = merchant::WECHAT_MCHID, value_parser = number)]
    mchid: String,
}

#[derive(Debug, Args)]
struct Common {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Where notifications go, whatever the shop names in its requests.
    #[arg(long, value_name = "URL", value_parser = url)]
    notify: Option<String>,
    /// Where the keys of both sides are; made there when there are none.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Seed of what goes wrong by chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Notifications that are not sent, in percent.
    #[arg(long, default_value_t = 0, value_parser = percent())]
    drop_notice: u32,
    /// Notifications that are sent twice, in percent.
    #[arg(long, default_value_t = 0, value_parser = percent())]
    double_notice: u32,
    /// Notifications that come a minute later, in percent.
    #[arg(long, default_value_t = 0, value_parser = percent())]
    delay_notice: u32,
    /// Requests that are done and whose answer is lost, in percent.
    #[arg(long, default_value_t = 0, value_parser = percent())]
    lose_answer: u32,
    /// Requests that are answered with a system error, in percent.
    #[arg(long, default_value_t = 0, value_parser = percent())]
    unknown: u32,
    /// Requests that are refused for a reason of the provider's own, in percent.
    #[arg(long, default_value_t = 0, value_parser = percent())]
    refuse: u32,
}

/// Runs the provider until `stop`; without a directory for the keys they are in the data directory.
///
/// # Errors
/// It would be reachable from outside and nobody has allowed that, more would go wrong than there is, the address is
/// taken, or the keys cannot be made or read.
pub(crate) async fn run(wanted: &Wanted, config: &Config, stop: impl Future<Output = ()>) -> Outcome<()> {
    let (Wanted::Alipay(AlipayWanted { common, .. }) | Wanted::Wechat(WechatWanted { common, .. })) = wanted;
    exposure::check_simulator(config, common.listen)?;
    common.odds().check()?;
    match wanted {
        Wanted::Alipay(alipay) => alipay.run(&config.data_dir, stop).await,
        Wanted::Wechat(wechat) => wechat.run(&config.data_dir, stop).await,
    }
}

fn percent() -> RangedI64ValueParser<u32> {
    value_parser!(u32).range(0..=100)
}

/// A number of a merchant or an application: what the shop's own channels take.
fn number(text: &str) -> Result<String, &'static str> {
    let plain = matches!(text.len(), 1..=32) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { Ok(text.to_owned()) } else { Err("1 to 32 letters or digits") }
}

fn url(text: &str) -> Result<String, &'static str> {
    let is_web = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_web { Ok(text.to_owned()) } else { Err("http://HOST:PORT/PATH, or https") }
}

impl AlipayWanted {
    async fn run(&self, data_dir: &Path, stop: impl Future<Output = ()>) -> Outcome<()> {
        let Self { common, app_id, seller_id } = self;
        let dir = common.keys.clone().unwrap_or_else(|| data_dir.join("sim-alipay"));
        let merchant = AlipayMerchant::at(&dir, app_id, seller_id)?;
        let provider = merchant.provider()?;
        let (listener, base) = common.listener().await?;
        introduce("alipay", &base, &dir, &merchant.settings(&base));
        common.simulate(provider, listener, &base, stop).await
    }
}

impl WechatWanted {
    async fn run(&self, data_dir: &Path, stop: impl Future<Output = ()>) -> Outcome<()> {
        let Self { common, app_id, mchid } = self;
        let dir = common.keys.clone().unwrap_or_else(|| data_dir.join("sim-wechat"));
        let merchant = WechatMerchant::at(&dir, app_id, mchid, merchant::PLATFORM_SERIAL)?;
        let provider = Wechat::new(merchant.keys())?;
        let (listener, base) = common.listener().await?;
        introduce("wechat", &base, &dir, &merchant.settings(&base));
        common.simulate(provider, listener, &base, stop).await
    }
}

/// Tells the merchant what he is to be told, for as long as it is awaited.
pub(crate) async fn tell<P: Provider>(sim: &Sim<P>) {
    loop {
        sim.run_once(sim.now()).await;
        tokio::time::sleep(LOOK).await;
    }
}

/// Says where it is, and how the shop is told of it.
fn introduce(channel: &str, base: &str, dir: &Path, settings: &[(&str, String)]) {
    announce(&format!("{channel} simulator up: {base} | keys {}", dir.display()));
    announce(&format!("  --set pay.{channel}.enabled=true"));
    for (key, value) in settings {
        announce(&format!("  --set pay.{channel}.{key}={value}"));
    }
    announce(&format!("  --set pay.{channel}.notify_url=<the gateway>/api/v1/callbacks/{channel}"));
}

impl Common {
    async fn listener(&self) -> Outcome<(TcpListener, String)> {
        let listener = TcpListener::bind(self.listen).await.map_err(|error| format!("{}: {error}", self.listen))?;
        let base = format!("http://{}", listener.local_addr()?);
        Ok((listener, base))
    }

    async fn simulate<P: Provider>(
        &self,
        provider: P,
        listener: TcpListener,
        base: &str,
        stop: impl Future<Output = ()>,
    ) -> Outcome<()> {
        let sim =
            Sim::new(provider, Clock::system(), Faults::seeded(self.seed, self.odds()), base, self.notify.clone())?;
        let served = serve(P::routes(Arc::clone(&sim)), listener)?;
        tokio::select! {
            () = tell(&sim) => {}
            () = stop => {}
        }
        Ok(served.stop().await?)
    }

    const fn odds(&self) -> Odds {
        Odds {
            drop_notice: self.drop_notice,
            double_notice: self.double_notice,
            delay_notice: self.delay_notice,
            lose_answer: self.lose_answer,
            unknown: self.unknown,
            refuse: self.refuse,
        }
    }
}
