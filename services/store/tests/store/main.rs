//! The store's promises, on every provider; and what each provider does when its supplier fails.

mod conformance;
mod embedded;
mod etcd;
mod faulty;
mod providers;
mod server;
mod support;
