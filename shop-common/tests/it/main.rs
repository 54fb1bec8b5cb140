//! What every service is built on, on both engines and over both links.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod batch;
mod batch_db;
mod consume;
mod db;
mod db_away;
mod dead;
mod due;
mod floods;
mod hold;
mod item;
mod link;
mod migrate;
mod outbox;
mod outbox_run;
mod points;
mod script;
mod shared;
mod sql;
mod worker;
