//! Asking the origin for the rest of an object, or for what passes by.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::sync::oneshot;

use super::{Filler, Reader, Rest, Trouble, claims::Claims, identity};
use crate::{
    cache::store::{Fill, Span},
    origin::{Ask, Body, Response},
    semantics::{
        caching::partial,
        validators::{Etag, LastModified},
    },
};

impl Filler {
    /// Fetches `span`, of which `fill` is the beginning; returns when the first of it is here. It goes on in a task of its own, whatever becomes
    /// of whoever waits.
    pub(super) async fn fetch(self: &Arc<Self>, fill: Fill, span: Span) -> Result<(), Trouble> {
        let (first, began) = oneshot::channel();
        let filler = Arc::clone(self);
        let number = self.state().fetches.insert(span);
        let task = async move {
            let (mut claims, mut first) = (Claims::of(Some(fill)), Some(first));
            let fetch = async {
                let (body, at) = filler.ask(span).await?;
                filler.pour(body, at, &mut claims, span.end, &mut first).await
            };
            let fetched = filler.until_stopped(Box::pin(fetch)).await;
            // Only then is the claim given back: who waited learns what happened before it tries anew.
            filler.ended(number, fetched).await;
        };
        self.shared.tasks.spawn("cache fetch", task);
        match began.await {
            Ok(()) => Ok(()),
            Err(_) => self.trouble().map_or(Ok(()), Err),
        }
    }

    /// Asks for a span; returns where what comes begins: no later than the span.
    async fn ask(&self, span: Span) -> Result<(Body, u64), Trouble> {
        let fields = self.fields(span);
        let ask = Ask {
            method: Method::GET,
            target: &self.whence.target,
            headers: &fields,
            body: None,
            identity: identity(self.whence.through),
            follow: !self.whence.through,
            retry: !self.whence.through,
        };
        let response = self.shared.origins.ask(ask).await.map_err(|error| Trouble::Origin(Arc::new(error)))?;
        self.shared.stats.asked();
        self.place(&response, span).map(|at| (response.body, at))
    }

    fn fields(&self, span: Span) -> HeaderMap {
        let mut fields = self.whence.fields.clone();
        let range = format!("bytes={}-{}", span.start, span.end - 1);
        fields.insert(header::RANGE, HeaderValue::try_from(range).expect("digits are plain ASCII"));
        let validators = &self.head().validators;
        let etag = validators.etag.as_ref().map(Etag::value);
        if let Some(validator) = etag.or_else(|| validators.last_modified.as_ref().map(LastModified::value)) {
            fields.insert(header::IF_RANGE, validator.clone());
        }
        fields
    }

    /// Where the bytes of a response belong; an error if they are of another version, or of none.
    fn place(&self, response: &Response, span: Span) -> Result<u64, Trouble> {
        let (stored, headers) = (&self.head().stored, &response.headers);
        match response.status {
            StatusCode::PARTIAL_CONTENT => {
                let part = partial::part(headers).filter(|_| partial::belongs(stored, headers));
                let part = part.filter(|part| part.first == span.start && part.last < span.end);
                part.map(|part| part.first).ok_or(Trouble::Changed)
            }
            // Some know no ranges: what comes first was here before.
            StatusCode::OK => {
                let same = partial::same_strongly(stored.headers(), headers);
                let length = response.body.length().is_none_or(|length| Some(length) == self.object.length());
                if same && length { Ok(0) } else { Err(Trouble::Changed) }
            }
            StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::PRECONDITION_FAILED
            | StatusCode::RANGE_NOT_SATISFIABLE => Err(Trouble::Changed),
            other => Err(Trouble::Status(other)),
        }
    }
}

impl Reader {
    /// Finds where the bytes of an object come from that was given up.
    pub(super) async fn begin_past_the_cache(&self, span: Span) -> Result<(), Trouble> {
        if !self.filler.strong {
            return self.filler.rest_of_all(span.start).await.map(drop);
        }
        let mut passing = self.passing.lock().await;
        if passing.as_ref().is_none_or(|rest| rest.at != span.start) {
            *passing = Some(self.filler.rest(span).await?);
        }
        Ok(())
    }

    /// The next bytes of an object that was given up, from its origin; none at the end, where nobody announced how long it is.
    pub(super) async fn past_the_cache(&self, span: Span) -> Result<Bytes, Trouble> {
        if !self.filler.strong {
            let mut bytes = self.filler.rest_of_all(span.start).await?;
            if bytes.is_empty() && self.filler.object.length().is_some_and(|length| span.start < length) {
                return Err(Trouble::Incomplete);
            }
            bytes.truncate(usize::try_from(span.length()).unwrap_or(usize::MAX));
            return Ok(bytes);
        }
        let mut passing = self.passing.lock().await;
        if passing.as_ref().is_none_or(|rest| rest.at != span.start) {
            *passing = Some(self.filler.rest(self.from(span.start, span.end)).await?);
        }
        let Some(rest) = passing.as_mut() else { return Err(Trouble::Incomplete) };
        while rest.bytes.is_empty() {
            rest.bytes = match rest.body.next().await {
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => return Err(Trouble::Body(Arc::new(error))),
                None => return Err(Trouble::Incomplete),
            };
        }
        let count = usize::try_from(span.length()).map_or(rest.bytes.len(), |most| most.min(rest.bytes.len()));
        rest.at += count as u64;
        Ok(rest.bytes.split_to(count))
    }
}

impl Filler {
    /// The bytes at an offset, of the one response that there is; none at its end.
    async fn rest_of_all(&self, offset: u64) -> Result<Bytes, Trouble> {
        loop {
            let mut fetched = std::pin::pin!(self.fetched.notified());
            // From here on no change is missed.
            fetched.as_mut().enable();
            let (shared, readers, under_way) = {
                let state = self.state();
                (state.shared.clone(), state.readers.len(), !state.fetches.is_empty())
            };
            match shared {
                Some(shared) => return shared.next(offset, readers <= 1).await,
                // It is about to leave what it has.
                None if under_way => fetched.await,
                // The end of it came before its length was known.
                None if self.object.length().is_some_and(|length| offset >= length) => return Ok(Bytes::new()),
                None => return Err(Trouble::Incomplete),
            }
        }
    }

    /// What comes from the beginning of a span on, where it is not kept: what was on its way when that was found out, or else the origin is asked anew.
    async fn rest(&self, span: Span) -> Result<Rest, Trouble> {
        if let Some(rest) = self.state().leftover.take_if(|rest| rest.reaches(span.start)) {
            return Ok(rest.from(span.start));
        }
        let (mut body, mut at) = self.ask(span).await?;
        let mut bytes = Bytes::new();
        // An origin without ranges begins at the beginning.
        while at + (bytes.len() as u64) <= span.start && at < span.start {
            at += bytes.len() as u64;
            bytes = match body.next().await {
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => return Err(Trouble::Body(Arc::new(error))),
                None => return Err(Trouble::Incomplete),
            };
        }
        Ok(Rest { at, bytes, body }.from(span.start))
    }
}

impl Rest {
    /// Whether what comes from `offset` on is in it. A write that fails may have brought some of its bytes into the file.
    fn reaches(&self, offset: u64) -> bool {
        (self.at..=self.at + self.bytes.len() as u64).contains(&offset)
    }

    /// The same without what comes before `offset`.
    fn from(mut self, offset: u64) -> Self {
        let skipped = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(self.bytes.len());
        Self { at: offset, bytes: self.bytes.split_off(skipped), body: self.body }
    }
}
