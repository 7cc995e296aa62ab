//! Where the cluster keeps its slow facts: registrations, operators' decisions, key rings, the coordinators' presence.
//!
//! It offers compare-and-swap, presence under a lease, and watches, over etcd ([`Etcd`]) or over one file
//! ([`Embedded`]); [`Faulty`] is the twin that fails on command. What the bytes mean is the callers' business. It never
//! holds load or health, never caches (a read is linearizable or an error), and spawns no task: a watch and a presence
//! advance only while their holder polls them, so dropping one stops it. (The embedded store has one thread, which ends
//! with its last handle.)
//!
//! Invariants, which the conformance suite checks on every provider:
//! - **S1** revisions grow store-wide, over restarts too; every change has its own. No answer is older than what this
//!   process knew when it asked, whichever member gave it.
//! - **S2** of all compare-and-swaps that expect one revision, at most one succeeds.
//! - **S3** a [`View`] fed by a watch becomes equal to what [`Store::list`] answers, whatever broke on the way.
//! - **S4** what was acknowledged survives a SIGKILL of the process that keeps it.
//! - **S5** a presence key is gone at most one lease after its holder, and back after a lost lease.

mod backoff;
mod contract;
mod embedded;
mod error;
mod etcd;
mod faulty;
mod presence;
mod view;
mod watch;

pub use contract::{Change, Expected, Listing, MAX_KEY_BYTES, MAX_VALUE_BYTES, Presence, Store, Versioned};
pub use embedded::Embedded;
pub use error::Error;
pub use etcd::{Credentials, DEFAULT_PREFIX, Etcd, EtcdOptions, EtcdTls};
pub use faulty::{Faults, Faulty};
pub use view::View;
pub use watch::{Watch, WatchEvent};
