//! A fresh shop in this process, with as many goods as there are notifications and a price for each amount.

use std::{collections::BTreeMap, error::Error, path::Path};

use sea_orm::{ConnectionTrait, Statement};
use shop_common::{money::Fen, time::Millis};
use shop_replay::{notification::Notification, store, target::Target};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::channel::{Side, Simulated};
use crate::{
    audit::Schemas,
    config::{Config, fresh},
    running::Shop,
    seed::seed,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The course's user.
pub(super) const USER: i64 = 345_963_634_385_633_280;
/// What a generated order costs.
pub(super) const AMOUNT: Fen = Fen::new(88_000);

/// A shop that is gone when the run is over.
pub(super) struct Embedded {
    shop: Shop,
    provider: Option<Simulated>,
    _dir: TempDir,
}

impl Embedded {
    pub(super) async fn start(side: &Side, file: Option<&Path>, flags: &[(&str, String)]) -> Outcome<Self> {
        let dir = Config::read(file, flags)?.fresh_dir()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let of_channel = side.settings(&format!("http://{}", listener.local_addr()?));
        // An order costs what its goods cost.
        let own = fresh(dir.path()).into_iter().chain([("order.shipping_fee_fen", "0".to_owned())]);
        let of_channel = of_channel.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let flags: Vec<(&str, String)> = flags.iter().cloned().chain(own).chain(of_channel).collect();
        let shop = Shop::start(&Config::read(file, &flags)?, None).await?;
        seed(&shop.services.schemas).await?;
        let web = shop.web.first().ok_or("no gateway")?.to_string();
        Ok(Self { provider: side.simulate(listener, &web)?, shop, _dir: dir })
    }

    /// The buyers have paid at the provider, whose notifications are ours to send.
    pub(super) async fn buyers_pay(&self, notifications: &[Notification], now: Millis) -> Outcome<()> {
        let Some(provider) = &self.provider else {
            return Ok(store::buyers_pay(&self.schemas().pay, now).await?);
        };
        for payment in notifications.iter().filter_map(|notification| notification.payment) {
            provider.pay(&payment)?;
        }
        Ok(())
    }

    pub(super) fn schemas(&self) -> &Schemas {
        &self.shop.services.schemas
    }

    pub(super) fn target(&self) -> Outcome<Target> {
        let web = self.shop.web.first().ok_or("no gateway")?;
        let Schemas { pay, .. } = self.schemas();
        Ok(Target::embedded(&self.shop.grpc.to_string(), web.to_string(), pay.clone())?)
    }

    /// Puts one of the goods on the shelf for each of `amounts`; answers which goods cost what.
    pub(super) async fn stock(&self, amounts: &[Fen]) -> Outcome<BTreeMap<Fen, i64>> {
        let mut wanted: BTreeMap<Fen, i64> = BTreeMap::new();
        for amount in amounts {
            let count = wanted.entry(*amount).or_default();
            *count = count.saturating_add(1);
        }
        let goods = &self.schemas().goods;
        let backend = goods.read().get_database_backend();
        let of = |sql, values: Vec<i64>| {
            Statement::from_sql_and_values(backend, sql, values.into_iter().map(sea_orm::Value::from))
        };
        let mut priced = BTreeMap::new();
        for ((amount, count), goods_id) in wanted.into_iter().zip(1_i64..) {
            let shelf = "INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, add_ms) \
                         VALUES (?, 'replayed', ?, ?, 0)";
            let opening = "INSERT INTO trade_goods_number_log (ref_id, goods_id, log_type, goods_number, log_ms) \
                           VALUES (0, ?, 0, ?, 0)";
            goods
                .write_tx(async |tx| {
                    tx.execute_raw(of(shelf, vec![goods_id, count, amount.get()])).await?;
                    tx.execute_raw(of(opening, vec![goods_id, count])).await?;
                    Ok(())
                })
                .await?;
            priced.insert(amount, goods_id);
        }
        Ok(priced)
    }

    pub(super) async fn stop(self) -> Outcome<()> {
        self.shop.stop().await;
        match self.provider {
            Some(provider) => provider.stop().await,
            None => Ok(()),
        }
    }
}
