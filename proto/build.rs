//! Generates the gRPC code with protox: no `protoc` has to be installed.

use std::{env, error::Error, fs, path::PathBuf};

const FILES: [&str; 6] = [
    "shop/common/v1/common.proto",
    "shop/goods/v1/goods.proto",
    "shop/coupon/v1/coupon.proto",
    "shop/user/v1/user.proto",
    "shop/order/v1/order.proto",
    "shop/pay/v1/pay.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("shop.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    Ok(())
}
