//! The admin token: who holds it may ask.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

/// Shorter tokens could be guessed.
const SHORTEST: usize = 16;

/// A shared secret for the admin listener.
#[derive(Clone)]
pub struct AdminToken(Arc<str>);

/// Why a file holds no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is missing or unreadable.
    #[error("could not read the admin token from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        cause: io::Error,
    },
    /// It is too short, or has characters that no header can carry.
    #[error("{path} must hold one line with a token of at least {SHORTEST} letters, digits or signs, and no spaces")]
    Unfit {
        /// The file.
        path: PathBuf,
    },
}

impl AdminToken {
    /// Reads the token from a file; white space around it does not count.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let text = fs::read_to_string(path).map_err(|cause| TokenError::Read { path: path.to_owned(), cause })?;
        Self::new(text.trim()).ok_or_else(|| TokenError::Unfit { path: path.to_owned() })
    }

    /// The token, if it is long enough and a header can carry it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.len() >= SHORTEST && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.into()))
    }

    /// The `Authorization` header of whoever holds it.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// Compares in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn is(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// Whether a request with these headers carries the token.
    #[must_use]
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let presented = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        match presented.split_at_checked("bearer ".len()) {
            Some((scheme, token)) => scheme.eq_ignore_ascii_case(b"bearer ") && self.is(token.trim_ascii()),
            None => false,
        }
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(secret)")
    }
}

/// Who gets in where.
#[derive(Debug, Default)]
pub(super) struct Guard {
    pub(super) token: Option<AdminToken>,
    pub(super) open: Vec<&'static str>,
}

impl Guard {
    fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        path == "/health"
            || path.starts_with("/grpc.health.v1.Health/")
            || self.open.iter().any(|prefix| path.starts_with(prefix))
            || token.admits(headers)
    }
}

/// The middleware that turns away who lacks the token.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if guard.admits(request.uri().path(), request.headers()) {
        return next.run(request).await;
    }
    if is_grpc(request.headers()) {
        return tonic::Status::unauthenticated("the admin token is missing or wrong").into_http::<axum::body::Body>();
    }
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "the admin token is missing or wrong\n")
        .into_response()
}

/// Whether a request speaks gRPC (gRPC over HTTP/2: the content type begins with `application/grpc`).
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct-horse-battery";

    fn headers(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, authorization.parse().expect("a header value"))])
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = AdminToken::new(TOKEN).expect("a fit token");
        assert!(token.admits(&headers(&token.bearer())));
        assert!(token.admits(&headers(&format!("bearer  {TOKEN}"))), "schemes have no case (RFC 9110 section 11.1)");
        for wrong in [
            TOKEN,
            "Bearer",
            "Bearer ",
            "Bearer correct-horse",
            "Basic correct-horse-battery",
            "Bearer correct-horse-battery2",
        ] {
            assert!(!token.admits(&headers(wrong)), "{wrong:?}");
        }
        assert!(!token.admits(&HeaderMap::new()));
    }

    #[test]
    fn health_and_what_was_opened_need_no_token() {
        let guard = Guard { token: AdminToken::new(TOKEN), open: vec!["/ferry.v1.MembershipService/"] };
        for open in ["/health", "/grpc.health.v1.Health/Check", "/ferry.v1.MembershipService/Join"] {
            assert!(guard.admits(open, &HeaderMap::new()), "{open}");
        }
        for closed in ["/metrics", "/healthy", "/health/x", "/ferry.v1.ClusterService/DrainNode", "//health"] {
            assert!(!guard.admits(closed, &HeaderMap::new()), "{closed}");
        }
    }

    #[test]
    fn a_weak_token_is_refused_by_name() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("token");
        fs::write(&path, "short\n").expect("written");
        let refused = AdminToken::load(&path).expect_err("five letters");
        assert!(matches!(refused, TokenError::Unfit { .. }) && refused.to_string().contains("token"));
        fs::write(&path, format!("{TOKEN}\n")).expect("written");
        assert!(AdminToken::load(&path).expect("fit").is(TOKEN.as_bytes()));
    }

    #[test]
    fn a_token_is_never_printed() {
        assert!(!format!("{:?}", AdminToken::new(TOKEN)).contains("horse"));
    }
}
