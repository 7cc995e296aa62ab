//! The stores that the suite runs on, each fresh and empty.

use std::{any::Any, sync::Arc, time::Duration};

use ferry_store::{Embedded, Etcd, EtcdOptions, Faulty};

use crate::{
    server::Server,
    support::{Background, Shared},
};

/// A store, and what must live as long as it.
pub(crate) struct Provider {
    store: Shared,
    _kept: Box<dyn Any + Send>,
}

impl Provider {
    pub(crate) fn store(&self) -> Shared {
        self.store.clone()
    }
}

pub(crate) async fn embedded() -> Provider {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Embedded::open(directory.path().join("store")).await.expect("a fresh file opens");
    Provider { store: Arc::new(store), _kept: Box::new(directory) }
}

pub(crate) async fn etcd() -> Provider {
    let server = Server::start().await;
    let store = Etcd::new(EtcdOptions::new([server.endpoint()])).expect("the options are good");
    Provider { store: Arc::new(store), _kept: Box::new(server) }
}

pub(crate) async fn faulty_without_faults() -> Provider {
    let inner = embedded().await;
    let (store, _faults) = Faulty::new(inner.store());
    Provider { store: Arc::new(store), _kept: Box::new(inner) }
}

pub(crate) async fn faulty_with_breaking_watches() -> Provider {
    let inner = embedded().await;
    let (store, faults) = Faulty::new(inner.store());
    let breaking = Background::run(async move {
        let mut every = tokio::time::interval(Duration::from_millis(3));
        loop {
            every.tick().await;
            faults.break_watches();
        }
    });
    Provider { store: Arc::new(store), _kept: Box::new((inner, breaking)) }
}
