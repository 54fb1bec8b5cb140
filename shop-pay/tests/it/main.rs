//! The pay service on both engines, with fakes of the services it asks.

mod callback;
mod create;
mod fakes;
mod sandbox;
mod sweep;
mod world;
