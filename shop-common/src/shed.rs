//! Whoever is one too many is turned away before any work of his is done, and counted.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::code::ShopCode;

/// One of `places`; `at` is where in `shop_shed_total`.
///
/// # Errors
/// `SHOP_BUSY` when all are taken.
pub fn place(places: &Arc<Semaphore>, at: &'static str) -> Result<OwnedSemaphorePermit, ShopCode> {
    Arc::clone(places).try_acquire_owned().map_err(|_| {
        metrics::counter!("shop_shed_total", "at" => at).increment(1);
        ShopCode::Busy
    })
}
