//! Makes the gRPC contracts' Rust types.

use std::error::Error;

const PROTO: &str = "../proto";
const CONTRACTS: [&str; 2] = ["edgerelay/v1/credentials.proto", "edgerelay/v1/fleet.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile(CONTRACTS, [PROTO])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
