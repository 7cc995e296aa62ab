//! What of a client's request passes on to an origin: methods and fields.
//!
//! What an origin sees it may answer by, and what is in no key would then be answered to everybody. So only what a route lists passes,
//! and some things do not even then.

/// The methods that a route lets through besides GET and HEAD.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Methods {
    /// None: it is for downloads.
    #[default]
    None,
    /// These.
    Named(Vec<String>),
    /// All that a server may be asked for.
    All,
}

/// The fields of a request that a route lets through.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum RequestFields {
    /// None.
    #[default]
    None,
    /// These, in small letters.
    Named(Vec<String>),
    /// All that may be: for an origin that names in `Vary` whatever it answers by.
    All,
}

/// Fields that no list lets through. Some say who the client is; some, to one origin or another, that it means another host, path or
/// method than it asks for, which is how a cache is poisoned; some are this hop's own. Ranges, conditions and codings are asked for by the
/// cache itself, as it needs them.
const NEVER: [&str; 53] = [
    // who the client is
    "cookie",
    "cookie2",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "proxy-authorization",
    "true-client-ip",
    "x-accel-redirect",
    "x-azure-clientip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-proxyuser-ip",
    "x-real-ip",
    // another host, path, scheme or method
    "front-end-https",
    "host",
    "x-backend-host",
    "x-host",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-http-destinationurl",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-scheme",
    "x-url-scheme",
    "x-wap-profile",
    // this hop's own
    "cdn-loop",
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    // asked for by the cache itself
    "accept-encoding",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "surrogate-capability",
];

/// Families of which the same is true: `X-Forwarded-Host`, `X-Original-Forwarded-For`.
const NEVER_BEGINNING: [&str; 2] = ["x-forwarded-", "x-original-"];

impl Methods {
    /// Whether a request with this method passes, GET and HEAD among them. CONNECT and TRACE never do.
    #[must_use]
    pub fn pass(&self, method: &str) -> bool {
        match self {
            _ if matches!(method, "GET" | "HEAD") => true,
            _ if is_refused_method(method) => false,
            Self::None => false,
            Self::Named(names) => names.iter().any(|name| name == method),
            Self::All => true,
        }
    }
}

impl RequestFields {
    /// Whether a field of this name, in small letters, passes.
    #[must_use]
    pub fn pass(&self, name: &str) -> bool {
        let listed = match self {
            Self::None => false,
            Self::Named(names) => names.iter().any(|listed| listed == name),
            Self::All => true,
        };
        listed && !is_refused_field(name)
    }
}

/// A tunnel, and a mirror of one's own fields: neither is a server's to give.
pub(super) fn is_refused_method(name: &str) -> bool {
    matches!(name, "CONNECT" | "TRACE")
}

/// Whether no list lets a field through. Some servers read `X_Forwarded_Host` as they read `X-Forwarded-Host`; nobody who means well
/// writes it.
pub(super) fn is_refused_field(name: &str) -> bool {
    name.contains('_') || NEVER.contains(&name) || NEVER_BEGINNING.iter().any(|family| name.starts_with(family))
}

/// RFC 9110 section 5.6.2: what a method's or a field's name is made of.
pub(super) fn is_token(name: &str) -> bool {
    let sign = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || sign(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_always_pass_and_other_methods_where_they_are_listed() {
        let named = Methods::Named(vec!["PUT".to_owned(), "TRACE".to_owned()]);
        for (method, expected) in [
            ("GET", [true, true, true]),
            ("HEAD", [true, true, true]),
            ("PUT", [false, true, true]),
            ("POST", [false, false, true]),
            ("M-SEARCH", [false, false, true]),
            ("put", [false, false, true]),
            ("TRACE", [false, false, false]),
            ("CONNECT", [false, false, false]),
        ] {
            assert_eq!(
                [&Methods::None, &named, &Methods::All].map(|methods| methods.pass(method)),
                expected,
                "{method}"
            );
        }
    }

    #[test]
    fn no_field_passes_that_is_not_listed() {
        let named = RequestFields::Named(vec!["accept-language".to_owned(), "cookie".to_owned()]);
        for (name, expected) in [
            ("accept-language", [false, true, true]),
            ("x-api-version", [false, false, true]),
            ("authorization", [false, false, true]),
            ("user-agent", [false, false, true]),
            ("cookie", [false, false, false]),
        ] {
            let pass = [&RequestFields::None, &named, &RequestFields::All].map(|fields| fields.pass(name));
            assert_eq!(pass, expected, "{name}");
        }
    }

    #[test]
    fn what_poisons_caches_passes_with_no_list() {
        for name in [
            "cookie",
            "host",
            "x-host",
            "forwarded",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-scheme",
            "x-forwarded-for",
            "x-forwarded-server",
            "x-forwarded-prefix",
            "x-original-url",
            "x-original-host",
            "x-original-forwarded-for",
            "x-rewrite-url",
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x-http-host-override",
            "x_forwarded_host",
            "accept_language",
            "true-client-ip",
            "range",
            "if-none-match",
            "if-range",
            "accept-encoding",
            "transfer-encoding",
            "content-length",
            "expect",
            "te",
            "upgrade",
            "cdn-loop",
        ] {
            assert!(!RequestFields::All.pass(name), "{name}");
            assert!(!RequestFields::Named(vec![name.to_owned()]).pass(name), "{name}");
        }
    }
}
