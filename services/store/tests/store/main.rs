//! The store's promises, on every provider; and what each provider does when its supplier fails.

mod conformance;
mod embedded;
mod etcd;
mod faulty;
mod members;
mod network;
mod providers;
mod proxy;
mod server;
mod support;
mod trio;
