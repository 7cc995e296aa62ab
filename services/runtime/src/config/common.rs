//! What every role takes.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use super::{reader::Reader, setting::Setting, value::BaseUrl};
use crate::telemetry::{Filter, Format};

/// The settings of every role; a role adds its own table.
pub const COMMON: &[Setting] = &[
    Setting::text("config", "FILE", "A TOML file with any of these settings"),
    Setting::text("tls-listen", "ADDRESS:PORT", "Where clients connect over TLS"),
    Setting::text("tls-cert", "FILE", "The certificate chain (PEM)"),
    Setting::text("tls-key", "FILE", "The certificate's private key (PEM)"),
    Setting::text("workers", "N", "Threads that serve; as many as there are processors if not set"),
    Setting::text("otlp-endpoint", "URL", "Where traces go (OTLP over gRPC), such as http://127.0.0.1:4317"),
    Setting::text(
        "trace-sample",
        "SHARE",
        "Share of the downloads that are traced, 0 to 1; ten a second are in any case, unless it is 0",
    )
    .default("0.01"),
    Setting::text("admin-token-file", "FILE", "A file with the token that gRPC and admin requests must carry"),
    Setting::switch(
        "insecure",
        "Allow gRPC and admin listeners in plain text, or without a token, on other addresses than loopback",
    ),
    Setting::text("log", "FILTER", "What is logged, such as debug or info,ferry_node=trace").default("info"),
    Setting::text("log-format", "text|json", "How log lines look").default("text"),
];

/// The checked values of [`COMMON`].
#[derive(Debug, Clone)]
pub struct Common {
    /// Where clients connect over TLS; there is an identity whenever there is a listener.
    pub tls_listen: Option<SocketAddr>,
    /// The certificate and key files.
    pub tls: Option<TlsFiles>,
    /// Threads that serve.
    pub workers: Option<NonZeroUsize>,
    /// Where traces go.
    pub otlp_endpoint: Option<BaseUrl>,
    /// Share of the downloads that are traced, 0 to 1.
    pub trace_sample: f64,
    /// The file with the admin token.
    pub admin_token_file: Option<PathBuf>,
    /// Whether plain text may leave the machine.
    pub insecure: bool,
    /// What is logged.
    pub log: Filter,
    /// How it is logged.
    pub log_format: Format,
}

/// The files of a TLS identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

impl Common {
    /// Reads the settings of [`COMMON`]; `None` when one of them left a fault.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let tls = read_tls(reader);
        let tls_listen = reader.get("tls-listen");
        if tls.is_none() && tls_listen.is_some() {
            reader.fault("tls-listen", "wants tls-cert and tls-key");
        }
        let trace_sample = reader.require::<f64>("trace-sample");
        if trace_sample.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            reader.fault("trace-sample", "expected a share from 0 to 1");
        }
        let (otlp_endpoint, workers) = (reader.get("otlp-endpoint"), reader.get("workers"));
        let (admin_token_file, insecure) = (reader.get("admin-token-file"), reader.switch("insecure"));
        let (log, log_format) = (reader.require("log"), reader.require("log-format"));
        // Only now may a fault end it: whoever reads one value must have read them all.
        Some(Self {
            tls_listen,
            tls,
            workers,
            otlp_endpoint,
            trace_sample: trace_sample?,
            admin_token_file,
            insecure,
            log: log?,
            log_format: log_format?,
        })
    }
}

/// One file without the other is a mistake, not half an identity.
fn read_tls(reader: &mut Reader<'_>) -> Option<TlsFiles> {
    match (reader.get("tls-cert"), reader.get("tls-key")) {
        (Some(certificate), Some(key)) => return Some(TlsFiles { certificate, key }),
        (Some(_), None) if !reader.is_set("tls-key") => reader.fault("tls-cert", "wants tls-key beside it"),
        (None, Some(_)) if !reader.is_set("tls-cert") => reader.fault("tls-key", "wants tls-cert beside it"),
        _ => {}
    }
    None
}
