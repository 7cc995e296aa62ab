//! The wire: messages and services generated from `proto/ferry/v1`, and their conversions from and to core's types.
//!
//! Decides nothing. [`convert`] and the gRPC handlers of the services are the only places that see [`v1`].

mod codec;
pub mod convert;

pub use codec::Codec;

/// The generated code; the contract of each message and call is in the `.proto` files.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    reason = "generated from the .proto files, which hold the documentation"
)]
pub mod v1 {
    tonic::include_proto!("ferry.v1");
}

/// The protos as an encoded `FileDescriptorSet`, for the reflection services.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ferry_descriptors.bin"));

/// The version that every stream's first message and every stored record carries.
pub const VERSION: u32 = 1;
