//! What commands have in common that work on the rows beside a running shop: nothing is served, heard or sent by them;
//! the shop does what is owed from then on.

use jiff::Timestamp;
use shop_common::{
    db::Db, link::Link, mq::memory::MemoryBus, service::Deps, shutdown::Shutdown, time::Clock, time::Millis,
};
use tonic::service::Routes;

use crate::config::Config;

/// What a service is given that works alone on `db`.
pub(crate) fn deps(config: &Config, db: &Db, shutdown: Shutdown) -> Deps {
    let (bus, clock) = (MemoryBus::new(), Clock::system());
    Deps { db: db.clone(), bus, clock, instance: config.instance.clone(), shutdown }
}

/// Where a service finds the others that works alone: nowhere.
pub(crate) fn nobody() -> Link {
    Link::local(Routes::default())
}

/// Who runs the command.
pub(crate) fn operator() -> String {
    whoami::username().unwrap_or_else(|error| format!("unknown ({error})"))
}

/// RFC 3339.
pub(crate) fn time(moment: Millis) -> String {
    Timestamp::from_millisecond(moment.get()).map_or_else(|_| moment.get().to_string(), |time| time.to_string())
}
