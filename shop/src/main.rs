//! The command line of the shop.
#![recursion_limit = "512"]

use std::process::ExitCode;

use clap::Parser;
use shop::cli::{Cli, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Two providers of one process panic at the first TLS use; the first one installed stays.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("a TLS provider was installed before");
    }
    run(Cli::parse()).await
}
