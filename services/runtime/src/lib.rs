//! What every process of ferry shares, whatever its role: configuration, telemetry, tasks, clock, signals, the admin
//! listener, the links to the coordinators, probes of nodes, TLS identities, files that are written whole or not at all, and locks.
//!
//! It decides nothing about downloads or membership and holds no state of the cluster. It keeps no globals: whoever needs the
//! clock, the configuration, the metrics or the stop token gets them as arguments. (The one exception is not ours:
//! `tracing` has one subscriber per process, which [`telemetry::Telemetry::start`] installs.)

pub mod admin;
pub mod atomic_file;
pub mod clock;
pub mod complaint;
pub mod config;
pub mod coordinators;
pub mod descriptors;
pub mod health;
pub mod key_file;
pub mod metrics;
pub mod probe;
pub mod signals;
pub mod storage_lock;
pub mod tasks;
pub mod telemetry;
pub mod tls;
pub mod workers;

pub use clock::Clock;
pub use complaint::Complaint;
pub use tasks::Tasks;
pub use workers::Workers;
