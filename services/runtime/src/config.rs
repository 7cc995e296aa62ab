//! Configuration: four layers, one table of settings per role, and every fault at once.
//!
//! Defaults < TOML file < environment < flags. A role declares `const SETTINGS: &[Setting]`; from it come the command line
//! ([`command()`]), the names in the environment, the keys of the TOML file, and the help. [`Sources::gather`] finds out who says
//! what, and a [`Reader`] turns texts into types, collecting faults instead of stopping at the first. Nothing here binds
//! a port or opens a file other than the configuration's own.

mod command;
mod common;
mod environment;
mod fault;
mod file;
mod nearest;
mod reader;
mod setting;
mod sources;
mod value;

pub use command::command;
pub use common::{COMMON, Common, TlsFiles};
pub use environment::Environment;
pub use fault::{EXIT_CONFIG, Provenance, Refusal};
pub use reader::Reader;
pub use setting::{Kind, Setting};
pub use sources::Sources;
pub use value::{BaseUrl, ByteSize, FromSetting};
