//! One merchant of a simulated provider: the numbers, and the directory of both sides' keys.

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use shop_sim::{
    alipay::{Alipay, GATEWAY},
    keys::{BadKey, Pair},
    wechat,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The number of the shop's application at Alipay.
pub(crate) const ALIPAY_APP: &str = "2021000000000001";
/// The shop's number as a seller there.
pub(crate) const ALIPAY_SELLER: &str = "2088000000000002";
/// The number of the shop's application at WeChat Pay.
pub(crate) const WECHAT_APP: &str = "wx0000000000000001";
/// The shop's number as a merchant there.
pub(crate) const WECHAT_MCHID: &str = "1900000001";
/// Serial of WeChat Pay's key.
pub(crate) const PLATFORM_SERIAL: &str = "440024045C4A427599D09BB4E3DE0279F2E813FD";
/// Serial of the merchant's.
const MERCHANT_SERIAL: &str = "5F1C72E2A8931B72A2E13AF8DEE92471EB397115";
/// Whose keys may lie together.
const CHANNELS: [&str; 2] = ["alipay", "wechat"];
/// The file of the key that WeChat Pay seals under.
const API_V3_KEY: &str = "api_v3_key";

/// A merchant of Alipay's.
pub(crate) struct AlipayMerchant {
    dir: PathBuf,
    app_id: String,
    seller_id: String,
    keys: Keys,
}

/// A merchant of WeChat Pay's.
pub(crate) struct WechatMerchant {
    dir: PathBuf,
    app_id: String,
    mchid: String,
    platform_serial: String,
    api_v3_key: String,
    keys: Keys,
}

/// The keys of both sides.
struct Keys {
    shops: Pair,
    theirs: Pair,
}

impl AlipayMerchant {
    /// With the keys in `dir`, made there when there are none.
    pub(crate) fn at(dir: &Path, app_id: &str, seller_id: &str) -> Outcome<Self> {
        let (app_id, seller_id) = (app_id.to_owned(), seller_id.to_owned());
        Ok(Self { dir: dir.to_owned(), app_id, seller_id, keys: Keys::at(dir, "alipay")? })
    }

    /// The provider's side.
    pub(crate) fn provider(&self) -> Result<Alipay, BadKey> {
        Alipay::new(&self.app_id, &self.seller_id, &self.keys.theirs.private, &self.keys.shops.public)
    }

    /// What the shop is told of a provider at `base`, in its section.
    pub(crate) fn settings(&self, base: &str) -> Vec<(&'static str, String)> {
        vec![
            ("gateway", format!("{base}{GATEWAY}")),
            ("app_id", self.app_id.clone()),
            ("seller_id", self.seller_id.clone()),
            ("private_key_file", shown(&self.dir, "shop_private.pem")),
            ("public_key_file", shown(&self.dir, "alipay_public.pem")),
        ]
    }
}

impl WechatMerchant {
    /// With the keys in `dir`, made there when there are none.
    pub(crate) fn at(dir: &Path, app_id: &str, mchid: &str, platform_serial: &str) -> Outcome<Self> {
        let keys = Keys::at(dir, "wechat")?;
        let (app_id, mchid) = (app_id.to_owned(), mchid.to_owned());
        let (platform_serial, api_v3_key) = (platform_serial.to_owned(), secret(&dir.join(API_V3_KEY))?);
        Ok(Self { dir: dir.to_owned(), app_id, mchid, platform_serial, api_v3_key, keys })
    }

    /// What the provider's side is made of.
    pub(crate) fn keys(&self) -> wechat::Keys {
        wechat::Keys {
            appid: self.app_id.clone(),
            mchid: self.mchid.clone(),
            api_v3_key: self.api_v3_key.clone(),
            merchant_serial: MERCHANT_SERIAL.to_owned(),
            merchant_key: self.keys.shops.public.clone(),
            platform: vec![(self.platform_serial.clone(), self.keys.theirs.private.clone())],
        }
    }

    /// What the shop is told of a provider at `base`, in its section.
    pub(crate) fn settings(&self, base: &str) -> Vec<(&'static str, String)> {
        vec![
            ("gateway", base.to_owned()),
            ("app_id", self.app_id.clone()),
            ("mchid", self.mchid.clone()),
            ("merchant_serial", MERCHANT_SERIAL.to_owned()),
            ("private_key_file", shown(&self.dir, "shop_private.pem")),
            ("api_v3_key_file", shown(&self.dir, API_V3_KEY)),
            ("platform_serial", self.platform_serial.clone()),
            ("platform_key_file", shown(&self.dir, "wechat_public.pem")),
        ]
    }
}

/// Whether the simulator of this channel keeps its keys in `dir`.
pub(crate) fn are_kept(dir: &Path, channel: &str) -> bool {
    let secret = (channel == "wechat").then(|| API_V3_KEY.to_owned());
    files(channel).into_iter().chain(secret).all(|name| dir.join(name).exists())
}

/// The files of both pairs.
fn files(channel: &str) -> [String; 4] {
    let [[a, b], [c, d]] = ["shop", channel].map(|name| [format!("{name}_private.pem"), format!("{name}_public.pem")]);
    [a, b, c, d]
}

/// Keys are made only in a directory that has nothing else: a name that was mistaken fills no other one with keys.
fn check_place(dir: &Path, channel: &str) -> Outcome<()> {
    let ours: Vec<String> = CHANNELS.into_iter().flat_map(files).chain([API_V3_KEY.to_owned()]).collect();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let name = entry.map_err(at(dir))?.file_name();
        if !ours.iter().any(|known| name == known.as_str()) {
            let (dir, name) = (dir.display(), name.display());
            return Err(format!("{dir} has no keys of `shop sim {channel}`, but {name}: none are made there").into());
        }
    }
    Ok(())
}

impl Keys {
    fn at(dir: &Path, provider: &str) -> Outcome<Self> {
        fs::create_dir_all(dir).map_err(at(dir))?;
        if !are_kept(dir, provider) {
            check_place(dir, provider)?;
        }
        Ok(Self { shops: pair(dir, "shop")?, theirs: pair(dir, provider)? })
    }
}

/// The pair of this name, made when it is not there.
fn pair(dir: &Path, name: &str) -> Outcome<Pair> {
    let (private, public) = (dir.join(format!("{name}_private.pem")), dir.join(format!("{name}_public.pem")));
    if !private.exists() {
        let pair = Pair::generate()?;
        // The public half first: whoever dies in between makes both anew.
        fs::write(&public, &pair.public).map_err(at(&public))?;
        write_private(&private, &pair.private).map_err(at(&private))?;
    }
    Ok(Pair { private: read(&private)?, public: read(&public)? })
}

/// The key in `path`, 32 letters; made there when there is none.
fn secret(path: &Path) -> Outcome<String> {
    if !path.exists() {
        write_private(path, &wechat::api_v3_key()?).map_err(at(path))?;
    }
    read(path)
}

/// A new file that nobody else can read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

fn read(path: &Path) -> Outcome<String> {
    Ok(fs::read_to_string(path).map_err(at(path))?)
}

/// Names the file.
fn at(path: &Path) -> impl Fn(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

fn shown(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}
