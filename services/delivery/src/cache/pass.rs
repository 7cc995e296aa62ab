//! Requests that the cache has no answer to: they go to the origin, and what comes back goes to the one client that asked.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use http::{HeaderMap, Method, StatusCode, header};

use super::{
    Cache, Visit,
    exchange::Unkept,
    filler::Filler,
    flights::Ticket,
    found::{self, Entry, Looked},
    serve::of_not_modified,
};
use crate::{
    answer::Answer,
    origin::{OriginError, Response, of_a_client},
    semantics::{
        caching::{Asked, CacheStatus, Forward, Got, Stored, Times, invalidated},
        conditions::{self, Verdict},
    },
};

impl Cache {
    /// Passes a request on, with what its client said of ranges and conditions.
    pub(super) async fn pass(&self, visit: &Visit<'_>, why: Forward) -> Result<Answer, Arc<OriginError>> {
        self.shared.stats.passed();
        let mut fields = self.fields(visit.object);
        fields.extend(of_a_client(&visit.request.method, &visit.request.headers));
        // A purge that begins while the origin answers means that answer, too.
        let ticket = self.may_keep_of_post(visit).then(|| self.flight_alone(visit));
        let (response, times) = self.send(visit, &fields).await?;
        self.invalidate(visit, &response, ticket.as_ref()).await;
        if let Some((entry, filler)) = self.keep_of_post(visit, &response, times, ticket).await {
            let (entry, first) = filler.begin(entry, response);
            self.shared.tasks.spawn("cache fetch", async move { filler.first(first).await });
            let status = CacheStatus { stored: true, ..CacheStatus::forwarded(why) };
            let answer = self.served(&entry, visit, status, None).await;
            return Ok(answer.unwrap_or_else(|| Answer::empty(StatusCode::BAD_GATEWAY)));
        }
        self.finish(visit, CacheStatus::forwarded(why), response, &fields)
    }

    /// Gives the client what was asked for on its behalf, and is not kept.
    pub(super) async fn pass_on(
        &self,
        visit: &Visit<'_>,
        why: Forward,
        unkept: Unkept,
    ) -> Result<Answer, Arc<OriginError>> {
        let Unkept { response, fields, why: detail } = unkept;
        // The blocks that a range lies in are not the range.
        if response.status == StatusCode::PARTIAL_CONTENT {
            drop(response);
            return self.pass(visit, why).await;
        }
        self.shared.stats.passed();
        let status = CacheStatus { detail: Some(detail), ..CacheStatus::forwarded(why) };
        self.finish(visit, status, response, &fields)
    }

    async fn send(&self, visit: &Visit<'_>, fields: &HeaderMap) -> Result<(Response, Times), Arc<OriginError>> {
        let body = if visit.object.through { visit.request.content.take() } else { None };
        let (asked, times) = self.ask(visit.object, visit.request.method.clone(), fields, body, true).await;
        let response = asked.map_err(Arc::new)?;
        self.shared.stats.asked();
        Ok((response, times))
    }

    /// The answer of a response that is not kept.
    pub(super) fn finish(
        &self,
        visit: &Visit<'_>,
        status: CacheStatus<'_>,
        mut response: Response,
        fields: &HeaderMap,
    ) -> Result<Answer, Arc<OriginError>> {
        response.headers = self.for_clients(response.headers);
        let validators = found::validators(&response.headers);
        let method = &visit.request.method;
        let mut answer = match visit.object.through {
            true => response.into_whole_answer(method),
            false => response.into_answer(method, fields).map_err(Arc::new)?,
        };
        // What was not asked of the origin is the cache's to answer.
        let asked_here = !fields.contains_key(header::IF_NONE_MATCH) && conditions::present(&visit.request.headers);
        if answer.status == StatusCode::OK && asked_here && (method == Method::GET || method == Method::HEAD) {
            match conditions::judge(&visit.request.headers, validators.etag.as_ref(), validators.last_modified.as_ref())
            {
                Verdict::Proceed => {}
                Verdict::NotModified => {
                    let headers = of_not_modified(&answer.headers);
                    answer = Answer { headers, ..Answer::empty(StatusCode::NOT_MODIFIED) };
                }
                Verdict::Failed => {
                    answer = Answer::text(StatusCode::PRECONDITION_FAILED, "it is another version now");
                }
            }
        }
        status.append_to(&mut answer.headers);
        Ok(answer)
    }

    /// Takes out what a method that is not safe has made doubtful (RFC 9111 section 4.4).
    async fn invalidate(&self, visit: &Visit<'_>, response: &Response, own: Option<&Ticket>) {
        let got = Got { status: response.status, headers: &response.headers };
        let origin = response.origin.to_string();
        for target in invalidated(visit.asked(), got, &origin) {
            let key = match target == visit.object.origin_target {
                true => Some(visit.key.clone()),
                false => super::control::key_of(&target),
            };
            let Some(key) = key else { continue };
            if let Err(error) = self.drop_key(&key, own).await {
                tracing::warn!(key, %error, "what was changed at the origin stays in the cache");
            }
        }
    }

    /// Keeps the response to a POST for GET, where the policy lets it.
    async fn keep_of_post(
        &self,
        visit: &Visit<'_>,
        response: &Response,
        times: Times,
        ticket: Option<Ticket>,
    ) -> Option<(Entry, Arc<Filler>)> {
        let ticket = ticket?;
        let headers = response.kept_headers(visit.object.through);
        let asked = Asked { headers: &visit.object.origin_headers, has_content: false, ..visit.asked() };
        let got = Got { status: response.status, headers: &headers };
        let stored = Stored::new(asked, got, times, &self.shared.settings.policy).ok()?;
        let _keeping = self.shared.keeping.read().await;
        if ticket.is_revoked() {
            return None;
        }
        self.keep(&visit.key, visit.object, stored, response, false).await.ok().flatten()
    }

    fn may_keep_of_post(&self, visit: &Visit<'_>) -> bool {
        visit.request.method == Method::POST && self.shared.settings.policy.store_post
    }

    /// A flight that nobody joins.
    fn flight_alone(&self, visit: &Visit<'_>) -> Ticket {
        let name = visit.flight(&Looked::Nothing, Some(self.shared.alone.fetch_add(1, Relaxed)));
        self.shared.flights.begin(&name, &visit.key)
    }
}
