//! The HTTP servers that have the files, and how patient the node is with them.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use ferry_delivery::origin::{Base, Credentials, OriginSettings, Settings, Trust};
use ferry_runtime::{
    config::{Reader, Setting},
    tls,
};
use http::{HeaderValue, uri::Authority};

/// What can be said of origins.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::text("origin", "URL", "The HTTP server that has the files"),
    Setting::list("origins", "URL", "Several of them, the preferred one first").no_flag(),
    Setting::text("backend-host", "HOST", "The host of the origin").env(&["BACKEND_HOST"]).no_flag(),
    Setting::text("backend-port", "PORT", "Its port").env(&["BACKEND_PORT"]).no_flag(),
    Setting::switch("backend-use-https", "Whether it speaks TLS").env(&["BACKEND_USE_HTTPS"]).no_flag(),
    Setting::switch("backend-ssl-verify", "Whether the origins' certificates are verified")
        .default("true")
        .env(&["BACKEND_SSL_VERIFY"])
        .no_flag(),
    Setting::text("proxy-host-header", "HOST", "What `Host` says to the origins").env(&["PROXY_HOST_HEADER"]).no_flag(),
    Setting::text("http-connector-limit", "N", "Requests to all origins at one time")
        .default("100")
        .env(&["HTTP_CONNECTOR_LIMIT"])
        .no_flag(),
    Setting::text("http-connector-limit-per-host", "N", "Requests to one origin at one time")
        .default("30")
        .env(&["HTTP_CONNECTOR_LIMIT_PER_HOST"])
        .no_flag(),
    Setting::text("http-keepalive-timeout", "TIME", "How long an idle connection to an origin is kept")
        .default("30s")
        .env(&["HTTP_KEEPALIVE_TIMEOUT"])
        .no_flag(),
    Setting::text("http-connect-timeout", "TIME", "How long a connection to an origin may take")
        .default("5s")
        .env(&["HTTP_CONNECT_TIMEOUT"])
        .no_flag(),
    Setting::text("http-total-timeout", "TIME", "How long one attempt may take up to the head of its response")
        .default("30s")
        .env(&["HTTP_TOTAL_TIMEOUT"])
        .no_flag(),
    Setting::text(
        "origin-ca",
        "FILE",
        "Authorities that the origins' certificates must come from (PEM); the system's if not set",
    )
    .no_flag(),
    Setting::switch("origin-http2", "Whether HTTP/2 is spoken with origins that have it over TLS")
        .default("true")
        .no_flag(),
    Setting::text("origin-s3-region", "REGION", "The origins are S3 buckets of this region: requests are signed")
        .no_flag(),
    Setting::text("origin-s3-key-id", "ID", "The access key for them").env(&["AWS_ACCESS_KEY_ID"]).no_flag(),
    Setting::text("origin-s3-secret-file", "FILE", "A file with its secret").no_flag(),
    Setting::text("origin-s3-token-file", "FILE", "A file with the session's token, where the key is a temporary one")
        .no_flag(),
    Setting::text("origin-idle-timeout", "TIME", "How long an origin may pause within a body").default("30s").no_flag(),
    Setting::text("origin-retries", "N", "How often a request that came to nothing is sent again")
        .default("2")
        .no_flag(),
    Setting::text("origin-retry-timeout", "TIME", "How long all attempts at one answer may take together")
        .default("90s")
        .no_flag(),
    Setting::text("origin-resume-timeout", "TIME", "How long a body that broke off may take to go on; 0 for never")
        .default("30s")
        .no_flag(),
    Setting::text("origin-dns-refresh", "TIME", "How long the addresses of an origin's name are used")
        .default("30s")
        .no_flag(),
    Setting::text("origin-queue", "N", "Requests that wait while the limits are reached; more are refused")
        .default("1024")
        .no_flag(),
    Setting::text("origin-queue-timeout", "TIME", "How long they wait").default("5s").no_flag(),
];

/// Reads all that concerns them; `None` when something of it left a fault.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Settings> {
    let bases = bases(reader);
    let (trust, host, http2) = (trust(reader), host(reader), reader.switch("origin-http2"));
    let (s3, limits) = (s3(reader), limits(reader));
    let (trust, s3) = (trust?, s3.ok()?);
    let origins = bases.into_iter().map(|base| OriginSettings {
        host: host.clone(),
        trust: trust.clone(),
        http2,
        s3: s3.clone(),
        ..OriginSettings::new(base)
    });
    Some(Settings { origins: origins.collect(), ..limits? })
}

fn limits(reader: &mut Reader<'_>) -> Option<Settings> {
    let limit = reader.require::<NonZeroUsize>("http-connector-limit");
    let limit_per_origin = reader.require::<NonZeroUsize>("http-connector-limit-per-host");
    let (waiting, patience) = (reader.require("origin-queue"), reader.require("origin-queue-timeout"));
    let keep_alive = reader.require("http-keepalive-timeout");
    let (connect, head) = (wait(reader, "http-connect-timeout"), wait(reader, "http-total-timeout"));
    let (total, idle) = (wait(reader, "origin-retry-timeout"), wait(reader, "origin-idle-timeout"));
    let (retries, resume) = (reader.require("origin-retries"), reader.require("origin-resume-timeout"));
    let refresh = reader.require("origin-dns-refresh");
    // Only now may a fault end it: whoever reads one value must have read them all.
    Some(Settings {
        limit: limit?.get(),
        limit_per_origin: limit_per_origin?.get(),
        waiting: waiting?,
        patience: patience?,
        keep_alive: keep_alive?,
        connect: connect?,
        head: head?,
        total: total?,
        idle: idle?,
        retries: retries?,
        resume: resume?,
        refresh: refresh?,
        ..Settings::new(Vec::new(), "node")
    })
}

/// The credentials, where buckets are meant. They are read once: a key that changes wants a restart.
fn s3(reader: &mut Reader<'_>) -> Result<Option<Credentials>, Faulty> {
    let (region, key_id) = (reader.get::<String>("origin-s3-region"), reader.get::<String>("origin-s3-key-id"));
    let (secret, token) = (content(reader, "origin-s3-secret-file")?, content(reader, "origin-s3-token-file")?);
    let Some(region) = region else {
        if secret.is_some() {
            reader.fault("origin-s3-secret-file", "wants origin-s3-region beside it");
            return Err(Faulty);
        }
        return Ok(None);
    };
    let (Some(key_id), Some(secret)) = (key_id, secret) else {
        reader.fault("origin-s3-region", "wants origin-s3-key-id and origin-s3-secret-file beside it");
        return Err(Faulty);
    };
    match token.map(HeaderValue::try_from).transpose() {
        Ok(token) => Ok(Some(Credentials { region, key_id, secret, token })),
        Err(_) => {
            reader.fault("origin-s3-token-file", "expected one line of text");
            Err(Faulty)
        }
    }
}

/// A fault was noted.
struct Faulty;

/// What a file holds, without the space around it.
fn content(reader: &mut Reader<'_>, name: &str) -> Result<Option<String>, Faulty> {
    let Some(path) = reader.get::<PathBuf>(name) else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        Ok(_) => {
            reader.fault(name, "the file is empty");
            Err(Faulty)
        }
        Err(why) => {
            reader.fault(name, format!("expected a file that can be read: {why}"));
            Err(Faulty)
        }
    }
}

fn host(reader: &mut Reader<'_>) -> Option<Authority> {
    let text = reader.get::<String>("proxy-host-header")?;
    let host = text.parse::<Authority>().ok().filter(|host| !host.as_str().contains('@'));
    if host.is_none() {
        reader.fault("proxy-host-header", "expected HOST or HOST:PORT, such as files.example");
    }
    host
}

fn trust(reader: &mut Reader<'_>) -> Option<Trust> {
    let verify = reader.get::<bool>("backend-ssl-verify").unwrap_or(true);
    match reader.get::<PathBuf>("origin-ca") {
        Some(_) if !verify => {
            reader.fault("origin-ca", "certificates are not verified at all: backend-ssl-verify is off");
            None
        }
        Some(file) => match tls::load_chain(&file) {
            Ok(authorities) => Some(Trust::Only(authorities)),
            Err(why) => {
                reader
                    .fault("origin-ca", format!("expected a file of certificates: {}", ferry_core::chain::Chain(&why)));
                None
            }
        },
        None if verify => Some(Trust::System),
        None => Some(Trust::Anyone),
    }
}

/// A limit of nothing would refuse every origin.
fn wait(reader: &mut Reader<'_>, name: &str) -> Option<Duration> {
    let wait: Duration = reader.require(name)?;
    if wait.is_zero() {
        reader.fault(name, "must be longer than nothing");
    }
    Some(wait)
}

/// `origins`, else `origin`, else the seeds' four names.
fn bases(reader: &mut Reader<'_>) -> Vec<Base> {
    let several: Vec<String> = reader.list("origins");
    let one: Option<String> = reader.get("origin");
    let (host, port) = (reader.get::<String>("backend-host"), reader.get::<u16>("backend-port"));
    let https = reader.switch("backend-use-https");
    let (name, texts) = match (several.is_empty(), one, host) {
        (false, Some(_), _) => {
            reader.fault("origin", "`origins` is set too: put it there");
            return Vec::new();
        }
        (false, None, _) => ("origins", several),
        (true, Some(one), _) => ("origin", vec![one]),
        (true, None, Some(host)) => {
            let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
            let scheme = if https { "https" } else { "http" };
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            ("backend-host", vec![format!("{scheme}://{host}{port}")])
        }
        (true, None, None) => return Vec::new(),
    };
    let mut bases = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse() {
            Ok(base) => bases.push(base),
            Err(invalid) => reader.fault(name, invalid),
        }
    }
    bases
}
