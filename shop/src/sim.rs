//! `shop sim`: a payment provider to test against, in a process of its own. Its books live in memory and end with it.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, Subcommand};
use shop_common::time::Clock;
use shop_sim::{
    Provider, Sim,
    alipay::{Alipay, GATEWAY},
    faults::{Faults, Odds},
    keys::Pair,
    serve, wechat,
};
use tokio::net::TcpListener;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Pause between two looks at what has to be sent.
const LOOK: Duration = Duration::from_millis(200);
/// Serials of the keys of WeChat Pay's simulator.
const MERCHANT_SERIAL: &str = "5F1C72E2A8931B72A2E13AF8DEE92471EB397115";
const PLATFORM_SERIAL: &str = "440024045C4A427599D09BB4E3DE0279F2E813FD";

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
    #[arg(long, default_value = "2021000000000001")]
    app_id: String,
    /// The shop's number as a seller.
    #[arg(long, default_value = "2088000000000002")]
    seller_id: String,
}

/// WeChat Pay, as one merchant knows it.
#[derive(Debug, Args)]
pub(crate) struct WechatWanted {
    #[command(flatten)]
    common: Common,
    /// The number of the shop's application.
    #[arg(long, default_value = "wx0000000000000001")]
    app_id: String,
    /// The shop's number as a merchant.
    #[arg(long, default_value = "1900000001")]
    mchid: String,
}

#[derive(Debug, Args)]
struct Common {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Where notifications go, whatever the shop names in its requests.
    #[arg(long, value_name = "URL")]
    notify: Option<String>,
    /// Where the keys of both sides are; made there when there are none.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Seed of what goes wrong by chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Notifications that are not sent, in percent.
    #[arg(long, default_value_t = 0)]
    drop_notice: u32,
    /// Notifications that are sent twice, in percent.
    #[arg(long, default_value_t = 0)]
    double_notice: u32,
    /// Notifications that come a minute later, in percent.
    #[arg(long, default_value_t = 0)]
    delay_notice: u32,
    /// Requests that are done and whose answer is lost, in percent.
    #[arg(long, default_value_t = 0)]
    lose_answer: u32,
    /// Requests that are answered with a system error, in percent.
    #[arg(long, default_value_t = 0)]
    unknown: u32,
    /// Requests that are refused for a reason of the provider's own, in percent.
    #[arg(long, default_value_t = 0)]
    refuse: u32,
}

/// The keys of both sides.
struct Keys {
    shops: Pair,
    theirs: Pair,
}

/// Runs the provider until `stop`; without a directory for the keys they are in `data_dir`.
///
/// # Errors
/// The address is taken, or the keys cannot be made or read.
pub(crate) async fn run(wanted: &Wanted, data_dir: &Path, stop: impl Future<Output = ()>) -> Outcome<()> {
    match wanted {
        Wanted::Alipay(alipay) => alipay.run(data_dir, stop).await,
        Wanted::Wechat(wechat) => wechat.run(data_dir, stop).await,
    }
}

impl AlipayWanted {
    async fn run(&self, data_dir: &Path, stop: impl Future<Output = ()>) -> Outcome<()> {
        let Self { common, app_id, seller_id } = self;
        let dir = common.keys.clone().unwrap_or_else(|| data_dir.join("sim-alipay"));
        let keys = Keys::at(&dir, "alipay")?;
        let provider = Alipay::new(app_id, seller_id, &keys.theirs.private, &keys.shops.public)?;
        let (listener, base) = common.listener().await?;
        let settings = [
            ("gateway", format!("{base}{GATEWAY}")),
            ("app_id", app_id.clone()),
            ("seller_id", seller_id.clone()),
            ("private_key_file", shown(&dir, "shop_private.pem")),
            ("public_key_file", shown(&dir, "alipay_public.pem")),
        ];
        announce("alipay", &base, &dir, &settings);
        common.simulate(provider, listener, &base, stop).await
    }
}

impl WechatWanted {
    async fn run(&self, data_dir: &Path, stop: impl Future<Output = ()>) -> Outcome<()> {
        let Self { common, app_id, mchid } = self;
        let dir = common.keys.clone().unwrap_or_else(|| data_dir.join("sim-wechat"));
        let keys = Keys::at(&dir, "wechat")?;
        let provider = wechat::Wechat::new(wechat::Keys {
            appid: app_id.clone(),
            mchid: mchid.clone(),
            api_v3_key: secret(&dir.join("api_v3_key"))?,
            merchant_serial: MERCHANT_SERIAL.to_owned(),
            merchant_key: keys.shops.public.clone(),
            platform: vec![(PLATFORM_SERIAL.to_owned(), keys.theirs.private.clone())],
        })?;
        let (listener, base) = common.listener().await?;
        let settings = [
            ("gateway", base.clone()),
            ("app_id", app_id.clone()),
            ("mchid", mchid.clone()),
            ("merchant_serial", MERCHANT_SERIAL.to_owned()),
            ("private_key_file", shown(&dir, "shop_private.pem")),
            ("api_v3_key_file", shown(&dir, "api_v3_key")),
            ("platform_serial", PLATFORM_SERIAL.to_owned()),
            ("platform_key_file", shown(&dir, "wechat_public.pem")),
        ];
        announce("wechat", &base, &dir, &settings);
        common.simulate(provider, listener, &base, stop).await
    }
}

/// Says where it is, and how the shop is told of it.
fn announce(channel: &str, base: &str, dir: &Path, settings: &[(&str, String)]) {
    println!("{channel} simulator up: {base} | keys {}", dir.display());
    println!("  --set pay.{channel}.enabled=true");
    for (key, value) in settings {
        println!("  --set pay.{channel}.{key}={value}");
    }
    println!("  --set pay.{channel}.notify_url=<the gateway>/api/v1/callbacks/{channel}");
}

impl Common {
    async fn listener(&self) -> Outcome<(TcpListener, String)> {
        let listener = TcpListener::bind(self.listen).await?;
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
        let sending = async {
            loop {
                sim.run_once(sim.now()).await;
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = sending => {}
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

impl Keys {
    fn at(dir: &Path, provider: &str) -> Outcome<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { shops: pair(dir, "shop")?, theirs: pair(dir, provider)? })
    }
}

/// The pair of this name, made when it is not there.
fn pair(dir: &Path, name: &str) -> Outcome<Pair> {
    let (private, public) = (dir.join(format!("{name}_private.pem")), dir.join(format!("{name}_public.pem")));
    if !private.exists() {
        let pair = Pair::generate()?;
        // The public half first: whoever dies in between makes both anew.
        fs::write(&public, &pair.public)?;
        private_file(&private)?.write_all(pair.private.as_bytes())?;
    }
    Ok(Pair { private: fs::read_to_string(private)?, public: fs::read_to_string(public)? })
}

/// The key in `path`, 32 letters; made there when there is none.
fn secret(path: &Path) -> Outcome<String> {
    if !path.exists() {
        private_file(path)?.write_all(wechat::api_v3_key()?.as_bytes())?;
    }
    Ok(fs::read_to_string(path)?)
}

/// A new file that nobody else can read.
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn shown(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}
