//! Which host a request is for: RFC 9112 section 3.2 and, for HTTP/2, RFC 9113 section 8.3.1.

use std::net::Ipv6Addr;

use http::{HeaderMap, Uri, Version, header, uri::Authority};

use super::Refusal;

/// The host of a request whose head was parsed; `None` where HTTP/1.0 names none.
///
/// In HTTP/1.1 there is exactly one `Host` field, valid even where an absolute target overrides it. In HTTP/2, `:authority`
/// and `Host` do not contradict each other and one of them is there.
pub fn of(uri: &Uri, version: Version, headers: &HeaderMap) -> Result<Option<Authority>, Refusal> {
    let mut fields = headers.get_all(header::HOST).iter();
    let named = match (fields.next(), fields.next()) {
        (Some(field), None) => Some(field.to_str().ok().and_then(checked).ok_or(Refusal::Host)?),
        (None, _) => None,
        (Some(_), Some(_)) => return Err(Refusal::Host),
    };
    let targeted = match uri.authority() {
        Some(authority) => Some(checked(authority.as_str()).ok_or(Refusal::Host)?),
        None => None,
    };
    match (targeted, named) {
        (None, None) if version == Version::HTTP_10 => Ok(None),
        (None, None) => Err(Refusal::Host),
        (Some(targeted), None) if version >= Version::HTTP_2 || version == Version::HTTP_10 => Ok(Some(targeted)),
        (Some(_), None) => Err(Refusal::Host),
        (Some(targeted), Some(named)) if version >= Version::HTTP_2 && targeted != named => Err(Refusal::Host),
        (Some(targeted), Some(_)) => Ok(Some(targeted)),
        (None, named) => Ok(named),
    }
}

/// Takes `text` for an authority if it is a host with an optional port and nothing else.
fn checked(text: &str) -> Option<Authority> {
    if is_host(text) { text.parse().ok() } else { None }
}

/// Whether `text` is a host with an optional port and nothing else.
pub fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((inner, after)) = rest.split_once(']') else { return false };
            let port = after.strip_prefix(':').or_else(|| after.is_empty().then_some(""));
            match port {
                Some(port) if inner.parse::<Ipv6Addr>().is_ok() => (None, port),
                _ => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), port),
            None => (Some(text), ""),
        },
    };
    // RFC 3986's sub-delimiters are left out: no real host has them, and a comma would make one field look like two.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let named = host.is_none_or(|host| !host.is_empty() && host.len() <= 255 && host.bytes().all(plain));
    let numbered = port.is_empty() || (port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    named && numbered
}
