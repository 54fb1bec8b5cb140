//! What commands have in common that work on the rows beside a running shop: nothing is served, heard or sent by them;
//! the shop does what is owed from then on.

use std::{error::Error, sync::Arc};

use shop_common::{
    db::Db,
    id::{Generator, WORKER_MAX},
    link::Link,
    mq::memory::MemoryBus,
    service::Deps,
    shutdown::Shutdown,
    time::Clock,
    worker::{Claim, NotClaimed},
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

/// Makes ids beside a shop that runs, with the highest number that nobody has.
///
/// # Errors
/// The database did not answer, or every number is taken.
pub(crate) async fn spare_ids(db: &Db) -> Result<(Arc<Generator>, Claim), Box<dyn Error + Send + Sync>> {
    let mut worker = WORKER_MAX;
    loop {
        let ids = Arc::new(Generator::new(worker)?);
        match Claim::take(db, &ids).await {
            Ok(claim) => return Ok((ids, claim)),
            Err(NotClaimed::Taken(_)) => worker -= 1,
            Err(error) => return Err(error.into()),
        }
    }
}
