//! Compiles `proto/` with protox, so that no protoc is needed; built for the package `ferry-proto`.

use std::{env, fs, path::PathBuf};

const PROTOS: [&str; 6] = ["common", "membership", "routing", "cluster", "node", "records"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-changed={}", root.join("ferry").display());

    let files = PROTOS.map(|name| format!("ferry/v1/{name}.proto"));
    let descriptors = protox::compile(files, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Reflection serves these: a client such as grpcurl needs no .proto of its own.
    fs::write(out.join("ferry_descriptors.bin"), protox::prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().codec_path("crate::codec::Codec").compile_fds(descriptors)?;
    Ok(())
}
