//! An object of which nobody knows how long it will be, sent as it comes.

use std::sync::Arc;

use futures_util::stream;
use http::{HeaderMap, Method, StatusCode, header};

use super::{Served, about, of_not_modified};
use crate::{
    answer::{Answer, Body},
    cache::{Cache, filler::Whence, found::Entry, store::Span},
    delivery::Object,
    disk::OpenFile,
    request::Request,
    semantics::{
        caching::CacheStatus,
        conditions::{self, Verdict},
    },
    stream::ByteStream,
};

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

impl Cache {
    /// Answers with all of it: which part a range is, nobody can say yet.
    pub(super) fn serve_growing(
        &self,
        entry: &Entry,
        request: &Request,
        object: &Object,
        headers: HeaderMap,
        status: CacheStatus<'_>,
    ) -> Served {
        let (stored, validators) = (entry.stored(), &entry.head().validators);
        let conditional = stored.status() == StatusCode::OK && conditions::present(&request.headers);
        let verdict = match conditional {
            true => conditions::judge(&request.headers, validators.etag.as_ref(), validators.last_modified.as_ref()),
            false => Verdict::Proceed,
        };
        let mut answer = match verdict {
            Verdict::Proceed => Answer { headers, ..Answer::empty(stored.status()) },
            Verdict::NotModified => {
                Answer { headers: of_not_modified(&headers), ..Answer::empty(StatusCode::NOT_MODIFIED) }
            }
            Verdict::Failed => Answer::text(StatusCode::PRECONDITION_FAILED, "it is another version now"),
        };
        if verdict == Verdict::Proceed && request.method != Method::HEAD {
            let filler = self.shared.fillers.of(&self.shared, entry, || Whence::of(object));
            let all = Span { start: 0, end: u64::MAX };
            if self.shared.store.is_read_only() || !filler.can_give(all) {
                return Served::Useless;
            }
            let Ok(file) = entry.object.open_file(about(entry), filler.reader(vec![all])) else {
                return Served::Useless;
            };
            answer.headers.remove(header::ACCEPT_RANGES);
            answer.body = Body::Stream(growing(file));
        } else if verdict == Verdict::Proceed && !answer.headers.contains_key(header::CONTENT_LENGTH) {
            answer = answer.of_unknown_length();
        }
        self.count(&status);
        status.append_to(&mut answer.headers);
        Served::Answer(answer)
    }
}

fn growing(file: Arc<OpenFile>) -> ByteStream {
    let bytes = stream::unfold((file, 0), async |(file, at)| {
        match file.read_at(at, CHUNK).await {
            // The end has become known.
            Ok(bytes) if bytes.is_empty() => None,
            Ok(bytes) => {
                let next = at + bytes.len() as u64;
                Some((Ok(bytes), (file, next)))
            }
            Err(error) => Some((Err(error), (file, at))),
        }
    });
    ByteStream::new(None, bytes)
}
