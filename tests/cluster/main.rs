//! Do real processes over real sockets and a real etcd do the job? Each test is a sentence about what a user sees; the
//! promises it holds ferry to (P1 to P11, and the numbers of SEMANTICS.md) are named where the sentence alone does not say.
//!
//! Nothing is shortened: the timings are those that users get. The modules `failover`, `regions` and `start_up`
//! measure, and `cache_rules` has what is fresh for two seconds, so nothing else runs beside them (`.config/nextest.toml`).

mod alternates;
mod bad_beats;
mod bad_paths;
mod bad_registrations;
mod bad_stores;
mod bad_tokens;
mod bytes;
mod cache_downloads;
mod cache_rules;
mod caches_commands;
mod clocks;
mod configuration;
mod digests;
mod discovery;
mod downloads;
mod draining;
mod etcd_access;
mod etcd_failures;
mod evidence;
mod explain;
mod failover;
mod fallback;
mod faults;
mod gateway_stops;
mod get_command;
mod harness;
mod harness_check;
mod inspection;
mod maintenance;
mod meetings;
mod memory;
mod nodes_command;
mod origins;
mod regions;
mod second_signal;
mod sent_on;
mod start_up;
mod static_stability;
mod steady_tables;
mod streaming;
mod traces;
mod weights;
mod whereabouts;
