//! P3: when no node can serve, the gateway serves the file itself, within a budget; past it, 503.

use std::time::Duration;

use ferry_core::routes::{Match, Methods};
use ferry_delivery::{Answer, Delivery, Object, Request, semantics::caching::pick};
use http::{HeaderMap, HeaderValue};

use crate::budget::Budget;

/// When a client should ask again: a node that restarts is back by then.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The gateway's own source of bytes, if it has one.
#[derive(Debug)]
pub(crate) struct Fallback {
    delivery: Option<Delivery>,
    budget: Budget,
}

impl Fallback {
    pub(crate) const fn new(delivery: Option<Delivery>, budget: Budget) -> Self {
        Self { delivery, budget }
    }

    /// Whether there is anything to serve from.
    pub(crate) const fn is_there(&self) -> bool {
        self.delivery.is_some()
    }

    /// Serves the object, or passes the request on where its route lets it through; or says when to come back. The origin is sent `origin_headers` and what
    /// of the client's fields the route lists.
    pub(crate) async fn serve(&self, request: &Request, found: &Match<'_>, origin_headers: HeaderMap) -> Answer {
        let Some(delivery) = &self.delivery else {
            return Answer::unavailable("no node can serve this now", RETRY_AFTER);
        };
        let Some(permit) = self.budget.take() else {
            return Answer::unavailable("busy", RETRY_AFTER);
        };
        let mut fields = pick(found.route.request_fields(), &request.headers);
        fields.extend(origin_headers);
        let mut answer = delivery.deliver(request, &object(found, fields)).await;
        if let Some(transfer) = &mut answer.transfer {
            transfer.at_end(move |_| drop(permit));
        }
        answer
    }
}

/// What a route says of an object.
fn object(found: &Match<'_>, origin_headers: HeaderMap) -> Object {
    let value = |text: Option<&str>| text.and_then(|text| HeaderValue::from_str(text).ok());
    Object {
        key: found.key.clone(),
        origin_target: found.origin_target().into_owned(),
        filename: found.filename.clone(),
        cache_control: value(found.route.cache_control()),
        content_type: value(found.route.content_type()),
        origin_headers,
        through: *found.route.methods() != Methods::None,
    }
}
