//! What the goods service can do: one file, one use case, the body of one local transaction over a batch.
//! Nothing here begins a transaction.

mod keep_stock;
mod release_stock;
mod reserve_stock;

pub use keep_stock::{KeepStock, keep_stock};
pub use release_stock::{ReleaseStock, release_stock};
pub use reserve_stock::{ReserveStock, reserve_stock};
