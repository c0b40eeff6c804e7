//! Makes the gRPC contracts' Rust types.

use std::error::Error;

const PROTO: &str = "../proto";
const CONTRACTS: [&str; 3] =
    ["edgerelay/v1/credentials.proto", "edgerelay/v1/fleet.proto", "edgerelay/v1/member.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let descriptors = protox::compile(CONTRACTS, [PROTO])?;
    tonic_prost_build::configure()
        // What `--output json` prints.
        .type_attribute(".", "#[derive(serde::Serialize)]")
        .field_attribute(
            "edgerelay.v1.Node.state",
            "#[serde(serialize_with = \"crate::cluster::contract::state_by_name\")]",
        )
        .compile_fds(descriptors)?;
    Ok(())
}
