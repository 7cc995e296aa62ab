//! One origin: its addresses, its gate and its counters.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use ferry_runtime::Clock;
use http::{HeaderMap, header};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::sync::Semaphore;

use super::{
    InvalidOrigins, OriginError, PoolStats, Trust,
    addresses::{Addresses, Lookup},
    admission::{Admission, Turn},
    breaker::BreakerState,
    endpoint::Endpoint,
    redirect::Home,
    s3::Credentials,
    settings::{Base, OriginSettings, Settings},
    stats::{AddressStats, Counters},
    tls,
};

/// No more addresses than this are used of a name that leads to many.
const MOST_ADDRESSES: usize = 16;

pub(super) struct Origin {
    base: Base,
    /// The base under the name that it is asked for as.
    called: Base,
    /// The fields of every request.
    own: HeaderMap,
    s3: Option<Credentials>,
    tls: (ServerName<'static>, Arc<ClientConfig>),
    settings: Settings,
    addresses: Arc<Addresses>,
    endpoints: Mutex<Vec<Arc<Endpoint>>>,
    /// Whose turn it is among several addresses.
    next: AtomicUsize,
    admission: Admission,
    counters: Counters,
    clock: Clock,
}

impl Origin {
    pub(super) fn new(
        origin: &OriginSettings,
        settings: &Settings,
        total: &Arc<Semaphore>,
        (lookup, clock): (&Lookup, &Clock),
    ) -> Result<Self, InvalidOrigins> {
        let called = match &origin.host {
            None => origin.base.clone(),
            Some(host) => origin
                .base
                .called(host)
                .ok_or_else(|| InvalidOrigins::Host { origin: origin.base.clone(), host: host.clone() })?,
        };
        let mut own = origin.headers.clone();
        own.remove(header::HOST);
        let (refresh, limit) = (settings.refresh, settings.connect);
        Ok(Self {
            tls: secured(origin)?,
            addresses: Addresses::of(origin.base.url(), Arc::clone(lookup), clock.clone(), refresh, limit),
            base: origin.base.clone(),
            called,
            own,
            s3: origin.s3.clone(),
            endpoints: Mutex::default(),
            next: AtomicUsize::new(0),
            admission: Admission::new(settings.limit_per_origin, total, settings.waiting, settings.patience),
            counters: Counters::default(),
            settings: settings.clone(),
            clock: clock.clone(),
        })
    }

    pub(super) const fn name(&self) -> &Base {
        &self.base
    }

    pub(super) const fn home(&self) -> Home<'_> {
        Home { base: &self.base, called: &self.called }
    }

    /// The fields of every request to it, which go before those of the request itself.
    pub(super) const fn own_fields(&self) -> &HeaderMap {
        &self.own
    }

    /// How its requests are signed, if they are.
    pub(super) const fn signing(&self) -> Option<&Credentials> {
        self.s3.as_ref()
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Waits for a turn. Nobody queues for an origin that is not asked.
    pub(super) async fn enter(&self) -> Result<Turn, OriginError> {
        if let Some(wait) = self.shut() {
            return Err(OriginError::Open { origin: self.base.clone(), wait });
        }
        self.admission.enter().await.ok_or_else(|| OriginError::Busy { origin: self.base.clone() })
    }

    /// The addresses to try, the best first: in turn, but those that failed lately after the others.
    pub(super) async fn candidates(&self) -> Result<Vec<Arc<Endpoint>>, OriginError> {
        let unresolved = |cause| OriginError::Unresolved { origin: self.base.clone(), cause };
        let list = self.addresses.current().await.map_err(unresolved)?;
        let mut candidates = self.known(&list[..list.len().min(MOST_ADDRESSES)]);
        let first = self.next.fetch_add(1, Relaxed) % candidates.len().max(1);
        candidates.rotate_left(first);
        let now = self.clock.now();
        candidates.sort_by_key(|endpoint| endpoint.is_suspect(now));
        Ok(candidates)
    }

    /// None of its addresses could be reached: the name may lead elsewhere by now.
    pub(super) fn unreached(&self) {
        self.addresses.doubt();
    }

    pub(super) fn stats(&self) -> PoolStats {
        let of = |endpoint: &Arc<Endpoint>| AddressStats {
            address: endpoint.address(),
            connections: endpoint.connections(),
            breaker: endpoint.state(),
        };
        let addresses: Vec<_> = self.endpoints().iter().map(of).collect();
        PoolStats {
            origin: self.base.to_string(),
            in_flight: self.admission.in_flight(),
            waiting: self.admission.waiting(),
            limit: self.admission.limit(),
            connections: addresses.iter().map(|address| address.connections).sum(),
            breaker: best(&addresses),
            requests: self.counters.requests.get(),
            failures: self.counters.failures.get(),
            retries: self.counters.retries.get(),
            resumed: self.counters.resumed.get(),
            addresses,
        }
    }

    /// Exactly these addresses, with what is known of those that were there before.
    fn known(&self, list: &[SocketAddr]) -> Vec<Arc<Endpoint>> {
        let mut endpoints = self.endpoints();
        endpoints.retain(|endpoint| list.contains(&endpoint.address()));
        for address in list {
            if !endpoints.iter().any(|endpoint| endpoint.address() == *address) {
                endpoints.push(Endpoint::new(*address, self.tls.clone(), &self.settings, self.clock.clone()));
            }
        }
        endpoints.clone()
    }

    /// How long no address may be asked, if that is so.
    fn shut(&self) -> Option<Duration> {
        let waits: Option<Vec<_>> = self.endpoints().iter().map(|endpoint| endpoint.shut()).collect();
        waits?.into_iter().min()
    }

    fn endpoints(&self) -> MutexGuard<'_, Vec<Arc<Endpoint>>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn best(addresses: &[AddressStats]) -> BreakerState {
    let any = |state| addresses.iter().any(|address| address.breaker == state);
    match (addresses.is_empty() || any(BreakerState::Closed), any(BreakerState::HalfOpen)) {
        (true, _) => BreakerState::Closed,
        (false, true) => BreakerState::HalfOpen,
        (false, false) => BreakerState::Open,
    }
}

/// What TLS needs: the name that the certificate is for, and whom it must satisfy.
fn secured(origin: &OriginSettings) -> Result<(ServerName<'static>, Arc<ClientConfig>), InvalidOrigins> {
    let refused = |cause| InvalidOrigins::Trust { origin: origin.base.clone(), cause };
    let host = origin.base.url().host_str().unwrap_or_default();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    // A plain origin needs neither name nor certificates, so a machine that has none can still have it.
    let plain = !origin.base.is_secure();
    let trust = if plain { &Trust::Anyone } else { &origin.trust };
    let protocols: &[&[u8]] = if origin.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    let config = tls::config(trust, protocols).map_err(refused)?;
    let name = match name {
        Ok(name) => name,
        Err(_) if plain => ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()),
        Err(invalid) => return Err(refused(invalid.into())),
    };
    Ok((name, Arc::new(config)))
}
