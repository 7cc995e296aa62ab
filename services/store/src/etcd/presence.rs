//! A key under a lease in etcd: kept alive, and put back when etcd forgot it.

use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Client, Error as EtcdError, LeaseGrantOptions, PutOptions};

use super::{Etcd, connection::Repeat};
use crate::{
    contract::{check_key, check_value},
    error::Error,
    presence::Keep,
};

/// The lease of one key.
///
/// Its id is drawn here, not by etcd: so it is known before etcd hears of it, and a grant whose answer never arrived
/// is renewed or revoked like any other.
pub(super) struct Lease {
    store: Etcd,
    key: String,
    value: Bytes,
    ttl: Duration,
    id: i64,
    granted: bool,
}

impl Lease {
    pub(super) fn new(store: Etcd, key: String, value: Bytes, ttl: Duration) -> Self {
        Self { store, key, value, ttl, id: new_id(), granted: false }
    }

    /// Renews the lease; `false` if etcd does not know it (any more).
    async fn renew(&self) -> Result<bool, Error> {
        let id = self.id;
        let renewal = |mut client: Client| async move {
            match client.lease_keep_alive(id).await {
                Ok(_) => Ok(true),
                // etcd answers a lost lease with success and no time to live; the library makes this of it.
                Err(EtcdError::LeaseKeepAliveError(_)) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.store.connection.call(Repeat::Harmless, renewal).await
    }

    async fn grant(&mut self) -> Result<(), Error> {
        self.id = new_id();
        self.granted = true; // or not: then it is not found when it is renewed
        let (id, seconds) = (self.id, whole_seconds(self.ttl));
        let grant = |mut client: Client| async move {
            client.lease_grant(seconds, Some(LeaseGrantOptions::new().with_id(id))).await
        };
        // A second one would be refused: the lease is there.
        self.store.connection.call(Repeat::Never, grant).await.map(drop)
    }

    /// Whether the key is there, with our value and under our lease.
    async fn is_there(&self) -> Result<bool, Error> {
        let answer = self.store.read(self.store.whole(&self.key), None).await?;
        Ok(answer.kvs().first().is_some_and(|kv| kv.lease() == self.id && kv.value() == self.value))
    }

    async fn put(&self) -> Result<(), Error> {
        let (key, value) = (self.store.whole(&self.key), self.value.clone());
        let options = PutOptions::new().with_lease(self.id);
        let put = |mut client: Client| {
            let (key, value, options) = (key.clone(), value.clone(), options.clone());
            async move { client.put(key, value, Some(options)).await }
        };
        self.store.connection.call(Repeat::Harmless, put).await.map(drop)
    }
}

impl Keep for Lease {
    async fn keep(&mut self) -> Result<(), Error> {
        check_key(&self.key)?;
        check_value(&self.key, &self.value)?;
        if !(self.granted && self.renew().await?) {
            self.grant().await?;
        } else if self.is_there().await? {
            return Ok(());
        }
        self.put().await
    }

    async fn withdraw(self) -> Result<(), Error> {
        if !self.granted {
            return Ok(());
        }
        let id = self.id;
        let revoke = |mut client: Client| async move { client.lease_revoke(id).await };
        self.store.connection.call(Repeat::Never, revoke).await.map(drop)
    }
}

/// Positive, as etcd wants it, and large enough to collide with nobody's.
fn new_id() -> i64 {
    rand::random_range(1..=i64::MAX)
}

/// Rounded up: a lease shorter than asked for would run out between two renewals.
fn whole_seconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0)).unwrap_or(i64::MAX).max(1)
}
