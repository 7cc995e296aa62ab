//! A download from its first request to its last byte.

use std::{ops::RangeInclusive, time::Duration};

use ferry_core::target::strip_ferry_parameters;
use ferry_delivery::{
    origin::{Resumption, Verdict, content_length},
    semantics::repr_digest,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::{
    client::{Arrived, Client, Lost, place},
    failed::Failed,
    file::{Note, Output, Sink},
    name,
    pace::Pace,
    progress::Progress,
    way::{Trouble, Way},
};

/// How often a file may turn out to be another one before nobody believes that it will ever come.
const MOST_CHANGES: u32 = 5;

/// One download.
pub(super) struct Journey<'c> {
    client: &'c Client,
    way: Way,
    patience: Duration,
    progress: Progress,
    pace: Option<Pace>,
    changes: u32,
    /// When a byte last came.
    fruitful: Instant,
}

/// What one answer came to.
enum Came {
    /// All that was missing.
    Whole,
    /// Not all.
    Short(Trouble, String),
}

impl<'c> Journey<'c> {
    pub(super) fn new(client: &'c Client, url: Url, patience: Duration, progress: Progress) -> Self {
        Self { client, way: Way::new(url), patience, progress, pace: None, changes: 0, fruitful: Instant::now() }
    }

    /// No faster than that.
    pub(super) fn at(self, pace: Option<Pace>) -> Self {
        Self { pace, ..self }
    }

    /// Goes all the way. Cancelling it leaves a part behind that the next one goes on with.
    pub(super) async fn run(mut self, output: Output) -> Result<(), Failed> {
        let url = identity(self.way.home());
        let mut sink = Sink::open(output, &url)?;
        match self.fill(&mut sink, &url).await {
            Ok(verified) => {
                self.progress.done(&sink.name(), sink.have(), verified);
                sink.finish()
            }
            Err(failed) => {
                if sink.have() == 0 {
                    sink.discard();
                }
                Err(failed)
            }
        }
    }

    /// Brings all bytes; returns whether there was a digest that they have.
    async fn fill(&mut self, sink: &mut Sink, url: &str) -> Result<bool, Failed> {
        let mut plan = take_up(sink, self.client.fields());
        self.progress.set(sink.have(), sink.note().length, &sink.name());
        for again in [true, false] {
            if !plan.as_ref().is_some_and(Resumption::is_whole) {
                self.fetch(sink, &mut plan, url).await?;
            }
            match sink.verify() {
                Some(false) => {}
                verified => return Ok(verified.is_some()),
            }
            if again {
                self.progress.note("the digest is not what was announced: once more, from the beginning");
            }
            sink.empty()?;
            plan = None;
        }
        Err(Failed::Digest)
    }

    /// Asks one after another until all is there.
    async fn fetch(&mut self, sink: &mut Sink, plan: &mut Option<Resumption>, url: &str) -> Result<(), Failed> {
        loop {
            let step = self.way.next().map_err(|status| self.refused(status, None))?;
            sleep(draw(step.wait)).await;
            let fields = match plan {
                Some(plan) if sink.have() > 0 => plan.request(),
                _ => self.client.fields().clone(),
            };
            let (trouble, why) = match self.client.ask(self.way.home(), &step.url, &fields).await {
                Ok(arrived) => match self.take(arrived, sink, plan, url).await? {
                    Came::Whole => return Ok(()),
                    Came::Short(trouble, why) => (trouble, why),
                },
                Err(Lost { why, duplicates }) => {
                    self.way.found(duplicates);
                    (Trouble::Fault(None), why)
                }
            };
            self.way.failed(trouble).map_err(|status| self.refused(status, Some(&why)))?;
            let waited = self.fruitful.elapsed();
            if waited >= self.patience {
                return Err(Failed::GaveUp { waited, last: why });
            }
            self.progress.note(&why);
        }
    }

    /// Takes what an answer has of what is missing.
    async fn take(
        &mut self,
        arrived: Arrived,
        sink: &mut Sink,
        plan: &mut Option<Resumption>,
        url: &str,
    ) -> Result<Came, Failed> {
        let Arrived { head, mut body, from, redirected, duplicates } = arrived;
        self.way.found(duplicates);
        let by = place(&from);
        let resumed = plan.as_mut().filter(|_| sink.have() > 0);
        let verdict = match resumed {
            Some(plan) => plan.judge(head.status, &head.headers),
            None => Verdict::Gone,
        };
        match (verdict, head.status) {
            (Verdict::Rest, _) => {}
            // Whatever was there, this is all of what is there now.
            (Verdict::Gone, StatusCode::OK) => {
                let note = note(url, &head.headers);
                if sink.have() > 0 {
                    let changed = plan.is_some() || note != *sink.note();
                    self.changes += u32::from(changed);
                    if self.changes > MOST_CHANGES {
                        return Err(Failed::Unsteady);
                    }
                    let why = if changed { "it is not the same file any more" } else { "it gives no strong validator" };
                    self.progress.note(&format!("{by}: {why}: from the beginning"));
                }
                sink.begin(note)?;
                *plan = take_up(sink, self.client.fields());
                self.progress.set(0, sink.note().length, &sink.name());
            }
            (Verdict::Gone | Verdict::Later, status) => {
                if status == StatusCode::RANGE_NOT_SATISFIABLE {
                    // It never had so many bytes: what is here is of something else.
                    *plan = None;
                }
                return Ok(unusable(status, &head.headers, redirected, &by));
            }
        }
        let missing = match plan {
            Some(plan) => plan.missing(),
            None => sink.note().length.map(|length| length.saturating_sub(sink.have())),
        };
        let mut left = missing;
        loop {
            let why = match timeout(self.client.silence(), body.frame()).await {
                Ok(None) if left.is_none_or(|left| left == 0) => return Ok(Came::Whole),
                Ok(None) => "it ended early".to_owned(),
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if left.is_some_and(|left| left < data.len() as u64) {
                        return Ok(Came::Short(Trouble::Fault(None), format!("{by}: it sent more than it announced")));
                    }
                    left = left.map(|left| left - data.len() as u64);
                    self.keep(&data, sink, plan)?;
                    if let Some(pace) = &mut self.pace {
                        pace.passed(data.len() as u64).await;
                    }
                    continue;
                }
                Ok(Some(Err(why))) => ferry_core::chain::Chain(&why).to_string(),
                Err(_) => format!("it was silent for {:?}", self.client.silence()),
            };
            return Ok(Came::Short(Trouble::Fault(None), format!("{by}: {why}")));
        }
    }

    fn keep(&mut self, data: &[u8], sink: &mut Sink, plan: &mut Option<Resumption>) -> Result<(), Failed> {
        sink.write(data)?;
        let count = data.len() as u64;
        if let Some(plan) = plan {
            plan.advance(count);
        }
        self.progress.advance(count);
        self.way.progressed();
        self.fruitful = Instant::now();
        Ok(())
    }

    fn refused(&self, status: StatusCode, by: Option<&str>) -> Failed {
        let by = by.map_or_else(|| "all who were asked".to_owned(), |_| place(self.way.home()));
        Failed::Refused { status, by }
    }
}

/// How to go on with what a sink holds, if it can be gone on with.
fn take_up(sink: &Sink, fields: &HeaderMap) -> Option<Resumption> {
    let note = sink.note();
    let mut head = HeaderMap::new();
    head.insert(header::ETAG, HeaderValue::try_from(note.etag.as_deref()?).ok()?);
    if let Some(length) = note.length {
        head.insert(header::CONTENT_LENGTH, length.into());
    }
    if let Some(coding) = &note.coding {
        head.insert(header::CONTENT_ENCODING, HeaderValue::try_from(coding).ok()?);
    }
    let mut plan = Resumption::of((&Method::GET, "", fields), StatusCode::OK, &head)?;
    plan.advance(sink.have());
    Some(plan)
}

/// What the bytes of a 200 are, for a later run and for the end.
fn note(url: &str, headers: &HeaderMap) -> Note {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    Note {
        url: url.to_owned(),
        etag: text(header::ETAG),
        length: content_length(headers),
        coding: text(header::CONTENT_ENCODING),
        sha256: repr_digest::sha256(headers),
        name: name::of_headers(headers),
    }
}

/// An answer that has nothing of the file.
fn unusable(status: StatusCode, headers: &HeaderMap, redirected: bool, by: &str) -> Came {
    let passing = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    let trouble = match status {
        _ if status.is_client_error() && !passing && status != StatusCode::RANGE_NOT_SATISFIABLE => {
            Trouble::Refusal { status, redirected }
        }
        _ => {
            let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Trouble::Fault(seconds.map(Duration::from_secs))
        }
    };
    Came::Short(trouble, format!("{by}: it answered {status}"))
}

/// A URL without what changes from one signed URL to the next.
fn identity(url: &Url) -> String {
    let mut url = url.clone();
    let query = url.query().map(|query| strip_ferry_parameters(query).into_owned());
    url.set_query(query.as_deref().filter(|query| !query.is_empty()));
    url.into()
}

fn draw(wait: RangeInclusive<Duration>) -> Duration {
    if wait.end().is_zero() { Duration::ZERO } else { rand::random_range(wait) }
}

#[cfg(test)]
mod tests;
