//! One HTTP/1.1 response as it arrives: checked, counted, not kept. Pure.

use std::{mem, sync::Arc};

use anyhow::{Context, Result, bail, ensure};

use super::content::Content;

/// A head that is longer than this is none that these servers send.
const LONGEST_HEAD: usize = 8 * 1024;

/// What a response must be.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) status: u16,
    pub(super) length: Option<u64>,
    pub(super) content: Option<Arc<Content>>,
}

/// Of so many responses on a connection one is read and checked in full. A server's heads for one file are equally long, so the
/// others are counted alone: one that differs leaves the connection in the middle of a response, and the next check fails.
/// Where the content is known, all are read.
const CHECKED_IN: u32 = 32;

/// The responses of one connection, one after another.
#[derive(Debug)]
pub(super) struct Response {
    wanted: Wanted,
    /// Responses begun.
    begun: u32,
    /// Whether anything has arrived.
    arrived: bool,
    /// The length of the head that was checked last.
    head_length: Option<u64>,
    /// The head's bytes so far, where it did not come whole.
    head: Vec<u8>,
    /// Bytes that are still to come, once that is known.
    owed: Option<u64>,
    /// The body's length, once that is known.
    length: u64,
}

impl Response {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted, begun: 0, arrived: false, head_length: None, head: Vec::new(), owed: None, length: 0 }
    }

    /// Makes ready for the next response.
    pub(super) fn begin(&mut self) {
        self.head.clear();
        self.arrived = false;
        let counted = self.wanted.content.is_none() && !self.begun.is_multiple_of(CHECKED_IN);
        self.begun = self.begun.wrapping_add(1);
        self.owed = match (self.head_length, self.wanted.length) {
            (Some(head), Some(length)) if counted => Some(head + length),
            _ => None,
        };
    }

    /// Whether anything has arrived.
    pub(super) fn has_begun(&self) -> bool {
        self.arrived
    }

    /// The bytes that come next and need not be looked at; `None` while those that come next must be.
    pub(super) fn owed(&self) -> Option<u64> {
        let owed = self.owed?;
        match &self.wanted.content {
            Some(content) => content.unseen(self.length - owed).map(|unseen| unseen.min(owed)),
            None => Some(owed),
        }
    }

    /// The body's length, once the response is complete.
    pub(super) fn complete(&self) -> Option<u64> {
        (self.owed == Some(0)).then_some(self.length)
    }

    /// Counts bytes that were thrown away unseen.
    pub(super) fn discarded(&mut self, count: u64) -> Result<()> {
        self.arrived = true;
        let owed = self.owed.context("no body before its head")?;
        self.owed = Some(owed.checked_sub(count).context("the body is longer than its Content-Length")?);
        Ok(())
    }

    /// Takes what arrived: the head, the body, or both.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.arrived = true;
        if self.owed.is_some() {
            return self.body(bytes);
        }
        // Mostly the whole head comes at once: then nothing is copied.
        let whole = self.head.is_empty().then(|| end_of_head(bytes)).flatten();
        if let Some(end) = whole {
            return self.split(bytes, end);
        }
        self.head.extend_from_slice(bytes);
        match end_of_head(&self.head) {
            Some(end) => {
                let came = mem::take(&mut self.head);
                self.split(&came, end)
            }
            None if self.head.len() < LONGEST_HEAD => Ok(()),
            None => bail!("no end of the head within {LONGEST_HEAD} bytes"),
        }
    }

    /// The head ended `end` bytes into what came so far; the body is as long as it says.
    fn split(&mut self, came: &[u8], end: usize) -> Result<()> {
        let (head, body) = came.split_at(end);
        self.length = check(head, &self.wanted)?;
        self.head_length = Some(end as u64);
        self.owed = Some(self.length);
        self.body(body)
    }

    /// Takes what comes next of the body.
    fn body(&mut self, bytes: &[u8]) -> Result<()> {
        if let (Some(content), Some(owed)) = (&self.wanted.content, self.owed) {
            content.check(self.length - owed, bytes)?;
        }
        self.discarded(bytes.len() as u64)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The Content-Length of a head that is as wanted.
fn check(head: &[u8], wanted: &Wanted) -> Result<u64> {
    let text = std::str::from_utf8(head).context("the head is not text")?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
    ensure!(status == Some(wanted.status), "answered {status_line:?} instead of {}", wanted.status);
    let mut length = None;
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<u64>().context("Content-Length is a number")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("the body has no length of its own: {line}");
        }
    }
    let length = length.context("the response has no Content-Length")?;
    if let Some(wanted) = wanted.length {
        ensure!(length == wanted, "Content-Length is {length} instead of {wanted}");
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::{CHECKED_IN, Content, Response, Wanted};

    const WANTED: Wanted = Wanted { status: 200, length: Some(5), content: None };
    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\nhello";

    fn begun() -> Response {
        let mut response = Response::new(WANTED);
        response.begin();
        response
    }

    #[test]
    fn a_response_is_complete_with_its_last_byte_however_it_is_cut() {
        for cut in 0..WHOLE.len() {
            let mut response = begun();
            for part in [&WHOLE[..cut], &WHOLE[cut..]] {
                assert_eq!(response.complete(), None, "cut at {cut}");
                response.take(part).expect("a good response");
            }
            assert_eq!(response.complete(), Some(5), "cut at {cut}");
        }
    }

    #[test]
    fn a_response_that_is_not_as_asked_is_refused() {
        for bad in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more",
        ] {
            assert!(begun().take(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_thrown_away_unseen_count_as_the_body() {
        let mut response = begun();
        response.take(&WHOLE[..WHOLE.len() - 4]).expect("a good response");
        assert_eq!(response.owed(), Some(4));
        response.discarded(4).expect("as many as were owed");
        assert_eq!(response.complete(), Some(5));
        assert!(response.discarded(1).is_err());
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let mut response = begun();
        let endless = vec![b'x'; 5000];
        assert!(response.take(&endless).is_ok());
        assert!(response.take(&endless).is_err());
    }

    #[test]
    fn after_the_first_responses_are_counted_and_now_and_then_checked() {
        let mut response = begun();
        response.take(WHOLE).expect("a good response");
        for _ in 1..CHECKED_IN {
            response.begin();
            assert_eq!(response.owed(), Some(WHOLE.len() as u64));
            response.discarded(WHOLE.len() as u64).expect("as many as were owed");
            assert_eq!(response.complete(), Some(5));
        }
        response.begin();
        assert_eq!(response.owed(), None);
        assert!(response.take(&WHOLE[1..]).is_err(), "one byte was left over from what was counted alone");
    }

    /// A response with the bytes of a file of 1 MiB, given as the client takes it: what need not be looked at is not.
    fn takes(body: &[u8]) -> anyhow::Result<Option<u64>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), (0..1_048_576_u32).map(|at| at.to_le_bytes()[1]).collect::<Vec<_>>())?;
        let content = Some(Content::of(file.path())?.into());
        let mut response = Response::new(Wanted { status: 200, length: Some(1_048_576), content });
        for _ in 0..2 {
            response.begin();
            assert_eq!(response.owed(), None, "every head is looked at");
            response.take(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n")?;
            let mut rest = body;
            while response.complete().is_none() {
                let count = match response.owed() {
                    Some(unseen) => usize::try_from(unseen)?,
                    None => rest.len().min(4096),
                };
                let (next, after) = rest.split_at(count);
                if response.owed().is_some() {
                    response.discarded(count as u64)?;
                } else {
                    response.take(next)?;
                }
                rest = after;
            }
        }
        Ok(response.complete())
    }

    #[test]
    fn a_body_with_the_bytes_of_the_file_passes_and_another_of_its_length_does_not() {
        let file: Vec<u8> = (0..1_048_576_u32).map(|at| at.to_le_bytes()[1]).collect();
        assert_eq!(takes(&file).ok(), Some(Some(1_048_576)));
        let mut other = file.clone();
        other.reverse();
        assert!(takes(&other).is_err());
        other.clone_from(&file);
        other[1_048_575] ^= 1;
        assert!(takes(&other).is_err(), "the last byte");
    }

    #[test]
    fn a_response_has_begun_with_its_first_byte() {
        let mut response = begun();
        assert!(!response.has_begun());
        response.take(&WHOLE[..1]).expect("the begin of a good response");
        assert!(response.has_begun());
        response.begin();
        assert!(!response.has_begun());
    }

    #[test]
    fn responses_of_unknown_length_are_all_checked() {
        let mut response = Response::new(Wanted { length: None, ..WANTED });
        for _ in 0..3 {
            response.begin();
            assert_eq!(response.owed(), None);
            response.take(WHOLE).expect("a good response");
        }
    }
}
