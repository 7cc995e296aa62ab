//! Origins that are S3 buckets: requests signed with AWS Signature Version 4, in their header.
//!
//! Source: "Authenticating Requests: Using the Authorization Header" (Amazon S3 API reference). Only objects are read, and only by their path: a
//! query would let a client list a bucket, or read its policy, with our credentials.

use std::{fmt, time::SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use ring::{digest, hmac};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// The SHA-256 of no content: what we sign has none.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What stands in a canonical path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Who we are to a bucket.
#[derive(Clone)]
pub struct Credentials {
    /// The region of the bucket, such as `eu-central-1`; what stores of other makers call theirs is often `us-east-1`.
    pub region: String,
    /// The access key's id.
    pub key_id: String,
    /// Its secret.
    pub secret: String,
    /// The session's token, where the key is a temporary one.
    pub token: Option<HeaderValue>,
}

/// Whether a request may be signed: one that reads the object at a path. A path that ends in a slash may be the bucket's own, and one with dot
/// segments may lead out of it.
pub(super) fn is_object(method: &Method, target: &str) -> bool {
    let path: Vec<u8> = percent_decode_str(path(target)).collect();
    let dots = path.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."));
    matches!(*method, Method::GET | Method::HEAD) && path.starts_with(b"/") && !path.ends_with(b"/") && !dots
}

/// The path of a target as it is signed: each octet of the decoded one that is not plain is encoded, and there is no query.
pub(super) fn canonical(target: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(path(target)).collect();
    percent_encode(&decoded, PLAIN).to_string()
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

impl Credentials {
    /// Adds the fields that sign a request without content for that address.
    pub(super) fn sign(&self, method: &Method, address: &Uri, headers: &mut HeaderMap, now: SystemTime) {
        let stamp = stamp(now);
        let host = address.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
        headers.remove(header::AUTHORIZATION);
        headers.insert(CONTENT, HeaderValue::from_static(NOTHING));
        headers.insert(DATE, HeaderValue::try_from(stamp.as_str()).expect("digits and letters"));
        if let Some(token) = &self.token {
            headers.insert(TOKEN, token.clone());
        }
        let mut signed = vec![("host", host.as_str())];
        // In the order of their names, as the signature wants it.
        for name in [header::RANGE, CONTENT, DATE, TOKEN] {
            let value = headers.get(&name).and_then(|value| value.to_str().ok());
            signed.extend(value.map(|value| (known(&name), value)));
        }
        let authorization = self.authorization(method.as_str(), address.path(), &signed, &stamp);
        if let Ok(mut value) = HeaderValue::try_from(authorization) {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
    }

    fn authorization(&self, method: &str, path: &str, signed: &[(&str, &str)], stamp: &str) -> String {
        let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let fields: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let request = format!("{method}\n{path}\n\n{fields}\n{names}\n{NOTHING}");
        let day = &stamp[..8];
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let hashed = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}");
        let secret = format!("AWS4{}", self.secret);
        let key = [day, &self.region, "s3", "aws4_request"]
            .iter()
            .fold(secret.into_bytes(), |key, part| keyed(&key, part).as_ref().to_vec());
        let signature = hex(keyed(&key, &text).as_ref());
        format!("AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}", self.key_id)
    }
}

/// The names as they are signed.
fn known(name: &HeaderName) -> &'static str {
    if *name == header::RANGE {
        "range"
    } else if *name == CONTENT {
        "x-amz-content-sha256"
    } else if *name == DATE {
        "x-amz-date"
    } else {
        "x-amz-security-token"
    }
}

fn keyed(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20130524T000000Z`
fn stamp(now: SystemTime) -> String {
    humantime::format_rfc3339_seconds(now).to_string().replace(['-', ':'], "")
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("region", &self.region)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn example() -> Credentials {
        Credentials {
            region: "us-east-1".to_owned(),
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        }
    }

    /// 2013-05-24 00:00 UTC, the day of the documentation's examples.
    fn example_day() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_369_353_600)
    }

    #[test]
    fn a_request_is_signed_as_the_documentation_has_it() {
        // "Example: GET Object" of the source above
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-9"));
        let address = Uri::from_static("https://examplebucket.s3.amazonaws.com/test.txt");
        example().sign(&Method::GET, &address, &mut headers, example_day());
        assert_eq!(
            headers[header::AUTHORIZATION],
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert_eq!(headers[DATE], "20130524T000000Z");
    }

    #[test]
    fn a_session_s_token_is_sent_and_signed() {
        let mut credentials = example();
        credentials.token = Some(HeaderValue::from_static("session"));
        let mut headers = HeaderMap::new();
        credentials.sign(&Method::GET, &Uri::from_static("http://b/a"), &mut headers, example_day());
        assert_eq!(headers[TOKEN], "session");
        let said = headers[header::AUTHORIZATION].to_str().expect("text");
        assert!(said.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"), "{said}");
    }

    #[test]
    fn paths_are_signed_in_one_spelling_and_without_a_query() {
        for (target, path) in [
            ("/a/b.txt", "/a/b.txt"),
            ("/a%20b+c(d)!", "/a%20b%2Bc%28d%29%21"),
            ("/%e4%bd%a0%2d~", "/%E4%BD%A0-~"),
            ("/a?list-type=2", "/a"),
            ("/%ff", "/%FF"),
        ] {
            assert_eq!(canonical(target), path, "{target}");
            assert_eq!(canonical(&canonical(target)), path, "{target}: once more changes nothing");
        }
    }

    #[test]
    fn only_reading_an_object_is_signed() {
        for (method, target, signed) in [
            (Method::GET, "/a", true),
            (Method::HEAD, "/a?x", true),
            (Method::GET, "/", false),
            (Method::GET, "/folder/", false),
            (Method::GET, "/folder%2F", false),
            (Method::GET, "/a/../b", false),
            (Method::GET, "/a%2F%2e%2E%2fb", false),
            (Method::GET, "/?list-type=2", false),
            (Method::PUT, "/a", false),
            (Method::DELETE, "/a", false),
            (Method::POST, "/a", false),
        ] {
            assert_eq!(is_object(&method, target), signed, "{method} {target}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut credentials = example();
        credentials.token = Some(HeaderValue::from_static("session"));
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("wJalr") && !shown.contains("session"), "{shown}");
    }
}
