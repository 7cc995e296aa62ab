//! One origin: its connections, its gate and its counters.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use http_body_util::Empty;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::Semaphore;

use super::{
    InvalidOrigins, OriginError, PoolStats,
    admission::Admission,
    exchange::{self, Exchange},
    settings::{Base, OriginSettings, Settings},
    stats::Counters,
    tls,
};
use crate::answer::Answer;

/// hyper-util's pooled client. It caps nothing by itself; the gate before it does.
pub(super) type Pool = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

pub(super) struct Origin {
    base: Base,
    /// `Host` and the fields of every request.
    own: HeaderMap,
    pool: Pool,
    admission: Admission,
    counters: Arc<Counters>,
    limits: exchange::Limits,
}

impl Origin {
    pub(super) fn new(
        origin: &OriginSettings,
        settings: &Settings,
        total: &Arc<Semaphore>,
    ) -> Result<Self, InvalidOrigins> {
        let mut own = origin.headers.clone();
        if let Some(host) = &origin.host {
            own.insert(header::HOST, host.clone());
        }
        Ok(Self {
            base: origin.base.clone(),
            own,
            pool: pool(origin, settings)?,
            admission: Admission::new(settings.limit_per_origin, total, settings.waiting, settings.patience),
            counters: Arc::default(),
            limits: exchange::Limits { head: settings.head, idle: settings.idle },
        })
    }

    pub(super) const fn name(&self) -> &Base {
        &self.base
    }

    /// One request and its answer, redirects within the origin included.
    pub(super) async fn fetch(&self, method: &Method, target: &str, head: &HeaderMap) -> Result<Answer, OriginError> {
        let address: Uri =
            self.base.join(target).parse().map_err(|_| OriginError::Target { origin: self.base.clone() })?;
        let turn = self.admission.enter().await.ok_or_else(|| OriginError::Busy { origin: self.base.clone() })?;
        let mut headers = head.clone();
        for (name, value) in &self.own {
            headers.insert(name, value.clone());
        }
        self.counters.begun();
        let exchange = Exchange { base: &self.base, pool: &self.pool, counters: &self.counters, limits: self.limits };
        let answer = exchange.run(method, address, &headers, turn).await;
        if answer.is_err() {
            self.counters.failed();
        }
        answer
    }

    pub(super) fn stats(&self) -> PoolStats {
        let (requests, failures) = self.counters.read();
        PoolStats {
            origin: self.base.to_string(),
            in_flight: self.admission.in_flight(),
            waiting: self.admission.waiting(),
            limit: self.admission.limit(),
            requests,
            failures,
        }
    }
}

fn pool(origin: &OriginSettings, settings: &Settings) -> Result<Pool, InvalidOrigins> {
    let refused = |cause| InvalidOrigins::Trust { origin: origin.base.clone(), cause };
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(settings.connect));
    // A peer whose cable was cut must not look idle for ever.
    tcp.set_keepalive(Some(settings.keep_alive));
    // A plain origin needs no certificates, so a machine that has none can still have it.
    let tls = if origin.base.is_secure() { tls::config(&origin.trust) } else { tls::config(&super::Trust::Anyone) };
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.map_err(refused)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(settings.keep_alive)
        .pool_max_idle_per_host(settings.limit_per_origin)
        .build(connector))
}
