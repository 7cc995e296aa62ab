//! One request to one origin, until there is the head of a response.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use tokio::time::{self, Instant};

use super::{
    OriginError,
    breaker::{Failure, Witness},
    client::Origin,
    endpoint::{Endpoint, Permit},
    partial,
    redirect::{self, Step},
    s3,
    upload::Upload,
};
use crate::stream::ByteStream;

/// A request, but for what belongs to each origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) method: &'a Method,
    /// Path and query below the origin's base.
    pub(super) target: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// Whether redirects within the origin are followed.
    pub(super) follow: bool,
    /// Whether the origin is an application that answers for itself: no answer of it says that it cannot do its work.
    pub(super) trusted: bool,
    /// Who it is for: whatever is sent again is for the same.
    pub(super) witness: Witness,
    /// Whether it was sent before, and came to nothing.
    pub(super) again: bool,
    /// How long one attempt may take.
    pub(super) limit: Duration,
}

/// The head of a response, and the body to come.
pub(super) struct Arrival {
    pub(super) response: Response<Incoming>,
    pub(super) endpoint: Arc<Endpoint>,
    /// When the request that it answers was sent, and when it came.
    pub(super) times: (SystemTime, SystemTime),
}

/// Asks an origin, and asks again where it points within itself. The turn is the caller's to hold.
///
/// A `body` is taken at the moment it is sent; a request that had one goes to one address only.
pub(super) async fn run(
    origin: &Origin,
    request: Outgoing<'_>,
    body: &mut Option<ByteStream>,
) -> Result<Arrival, OriginError> {
    let counters = origin.counters();
    counters.requests.count();
    if request.again {
        counters.retries.count();
    }
    let outcome = follow(origin, request, body).await;
    if outcome.as_ref().map_or(true, |arrival| arrival.response.status().is_server_error()) {
        counters.failures.count();
    }
    outcome
}

async fn follow(origin: &Origin, request: Outgoing<'_>, body: &mut Option<ByteStream>) -> Result<Arrival, OriginError> {
    let refused = || OriginError::Target { origin: origin.name().clone() };
    let target = match origin.signing() {
        Some(_) if s3::is_object(request.method, request.target) => Cow::Owned(s3::canonical(request.target)),
        Some(_) => return Err(refused()),
        None => Cow::Borrowed(request.target),
    };
    let mut address: Uri = origin.home().called.join(&target).parse().map_err(|_| refused())?;
    let deadline = Instant::now() + request.limit;
    let mut headers = request.headers.clone();
    for (name, value) in origin.own_fields() {
        headers.insert(name, value.clone());
    }
    for followed in 0.. {
        if let Some(credentials) = origin.signing() {
            credentials.sign(request.method, &address, &mut headers, SystemTime::now());
        }
        let Outgoing { method, limit, trusted, witness, .. } = request;
        let sending = Sending { origin, method, headers: &headers, deadline, limit, trusted, witness };
        let arrival = sending
            .to_any(&address, body)
            .await?
            .ok_or_else(|| OriginError::Late { origin: origin.name().clone(), limit: request.limit })?;
        let (status, fields) = (arrival.response.status(), arrival.response.headers());
        if let Some(what) = partial::contradiction(&headers, status, fields) {
            return Err(OriginError::Contradiction { origin: origin.name().clone(), what });
        }
        match redirect::step(origin.home(), &address, status, fields, followed) {
            Step::Follow(next) if request.follow => address = next,
            Step::Done | Step::Refuse | Step::Follow(_) => return Ok(arrival),
        }
    }
    Err(OriginError::NoneLeft)
}

struct Sending<'a> {
    origin: &'a Origin,
    method: &'a Method,
    headers: &'a HeaderMap,
    /// Of the attempt; content may take longer, as long as it moves.
    deadline: Instant,
    limit: Duration,
    trusted: bool,
    witness: Witness,
}

impl Sending<'_> {
    /// Sends it to the first address that takes it; `None` when the time is over.
    async fn to_any(&self, address: &Uri, body: &mut Option<ByteStream>) -> Result<Option<Arrival>, OriginError> {
        let (had_body, mut outcome, mut shortest) = (body.is_some(), None, None);
        for endpoint in self.origin.candidates().await? {
            let permit = match endpoint.admit() {
                Ok(permit) => permit,
                Err(wait) => {
                    shortest = Some(shortest.map_or(wait, |least: Duration| least.min(wait)));
                    continue;
                }
            };
            match self.to_one(permit, address, body.take()).await {
                // Nothing was sent: another address may have it all.
                Err(error) if error.unsent() && !had_body => outcome = Some(error),
                done => return done,
            }
        }
        self.origin.unreached();
        let name = || self.origin.name().clone();
        Err(outcome.unwrap_or_else(|| OriginError::Open { origin: name(), wait: shortest.unwrap_or_default() }))
    }

    async fn to_one(
        &self,
        permit: Permit,
        address: &Uri,
        body: Option<ByteStream>,
    ) -> Result<Option<Arrival>, OriginError> {
        let has_body = body.is_some();
        let mut request = Request::new(Upload::of(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = address.clone();
        *request.headers_mut() = self.headers.clone();
        let progress = request.body().progress();
        let over = async {
            match has_body {
                true => progress.stalled(self.limit).await,
                false => time::sleep_until(self.deadline).await,
            }
        };
        let asked = SystemTime::now();
        let response = tokio::select! {
            biased; // an answer that is there is never late
            response = permit.send(request) => response,
            () = over => {
                permit.failed(Failure::Unanswered(self.witness));
                return Ok(None);
            }
        };
        match response {
            Ok(response) => {
                let times = (asked, SystemTime::now());
                let distress = !self.trusted && in_distress(response.status(), response.headers());
                let endpoint = match distress {
                    true => permit.failed(Failure::Unanswered(self.witness)),
                    false => permit.succeeded(),
                };
                Ok(Some(Arrival { response, endpoint, times }))
            }
            // The address had no part in it: the permit ends without a word.
            Err(_) if progress.is_broken() => Err(OriginError::Content { origin: self.origin.name().clone() }),
            Err(cause) => {
                match cause.is_connect() {
                    true => drop(permit.failed(Failure::Unreached(self.witness))),
                    // What had content is not sent again, and its connection may have been one that the origin had just closed as idle.
                    false if has_body => drop(permit),
                    false => drop(permit.failed(Failure::Unanswered(self.witness))),
                }
                Err(OriginError::Unreachable { origin: self.origin.name().clone(), cause })
            }
        }
    }
}

/// Whether a status says that the origin cannot do its work now. A 500 is about the one request; and an answer that may be kept is
/// meant as one.
pub(super) fn in_distress(status: StatusCode, headers: &HeaderMap) -> bool {
    let unwell =
        matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
    unwell && !is_deliberate(headers)
}

/// Whether asking once more may bring a better answer.
pub(super) fn is_worth_another(status: StatusCode, headers: &HeaderMap) -> bool {
    let patience = headers.contains_key(header::RETRY_AFTER);
    (in_distress(status, headers) && !patience)
        || (status == StatusCode::INTERNAL_SERVER_ERROR && !is_deliberate(headers))
}

fn is_deliberate(headers: &HeaderMap) -> bool {
    [header::CACHE_CONTROL, header::EXPIRES].iter().any(|name| headers.contains_key(name))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_an_origin_that_cannot_work_is_held_to_be_in_distress() {
        let plain = HeaderMap::new();
        let kept = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("max-age=5"))]);
        let later = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("5"))]);
        for (status, headers, distress, another) in [
            (200, &plain, false, false),
            (404, &plain, false, false),
            (429, &plain, false, false),
            (500, &plain, false, true),
            (500, &kept, false, false),
            (501, &plain, false, false),
            (502, &plain, true, true),
            (503, &plain, true, true),
            (503, &later, true, false),
            (503, &kept, false, false),
            (504, &plain, true, true),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(in_distress(status, headers), distress, "{status} {headers:?}");
            assert_eq!(is_worth_another(status, headers), another, "{status} {headers:?}");
        }
    }
}
