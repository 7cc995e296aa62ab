//! One HTTP/1.1 response as it arrives: checked, counted, not kept. Pure.

use anyhow::{Context, Result, bail, ensure};

/// A head that is longer than this is none that these servers send.
const LONGEST_HEAD: usize = 8 * 1024;

/// What a response must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) status: u16,
    pub(super) length: Option<u64>,
}

/// How far the response has come.
#[derive(Debug, Default)]
pub(super) struct Response {
    /// The head's bytes so far; those of a whole head are dropped.
    head: Vec<u8>,
    /// Bytes of the body that are still to come, once the head is known.
    owed: Option<u64>,
    /// The body's length, once the head is known.
    length: u64,
}

impl Response {
    /// Makes ready for the next response.
    pub(super) fn begin(&mut self) {
        self.head.clear();
        self.owed = None;
    }

    /// The bytes of the body that are still to come; `None` while the head is not complete.
    pub(super) fn owed(&self) -> Option<u64> {
        self.owed
    }

    /// The body's length, once the response is complete.
    pub(super) fn complete(&self) -> Option<u64> {
        (self.owed == Some(0)).then_some(self.length)
    }

    /// Counts bytes of the body that were thrown away unseen.
    pub(super) fn discarded(&mut self, count: u64) -> Result<()> {
        let owed = self.owed.context("no body before its head")?;
        self.owed = Some(owed.checked_sub(count).context("the body is longer than its Content-Length")?);
        Ok(())
    }

    /// Takes what arrived: the head, the body, or both.
    pub(super) fn take(&mut self, bytes: &[u8], wanted: Wanted) -> Result<()> {
        if self.owed.is_some() {
            return self.discarded(bytes.len() as u64);
        }
        // Mostly the whole head comes at once: then nothing is copied.
        let (end, head) = if self.head.is_empty() {
            (end_of_head(bytes), bytes)
        } else {
            self.head.extend_from_slice(bytes);
            (end_of_head(&self.head), self.head.as_slice())
        };
        let Some(end) = end else {
            ensure!(head.len() < LONGEST_HEAD, "no end of the head within {LONGEST_HEAD} bytes");
            if self.head.is_empty() {
                self.head.extend_from_slice(bytes);
            }
            return Ok(());
        };
        let beyond = (head.len() - end) as u64;
        let length = check(&head[..end], wanted)?;
        self.length = length;
        self.owed = Some(length);
        self.discarded(beyond)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The Content-Length of a head that is as wanted.
fn check(head: &[u8], wanted: Wanted) -> Result<u64> {
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
    use super::{Response, Wanted};

    const WANTED: Wanted = Wanted { status: 200, length: Some(5) };
    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\nhello";

    #[test]
    fn a_response_is_complete_with_its_last_byte_however_it_is_cut() {
        for cut in 0..WHOLE.len() {
            let mut response = Response::default();
            response.begin();
            for part in [&WHOLE[..cut], &WHOLE[cut..]] {
                assert_eq!(response.complete(), None, "cut at {cut}");
                response.take(part, WANTED).expect("a good response");
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
            assert!(Response::default().take(bad.as_bytes(), WANTED).is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_thrown_away_unseen_count_as_the_body() {
        let mut response = Response::default();
        response.take(&WHOLE[..WHOLE.len() - 4], WANTED).expect("a good response");
        assert_eq!(response.owed(), Some(4));
        response.discarded(4).expect("as many as were owed");
        assert_eq!(response.complete(), Some(5));
        assert!(response.discarded(1).is_err());
    }

    #[test]
    fn a_head_without_end_is_refused() {
        let mut response = Response::default();
        let endless = vec![b'x'; 5000];
        assert!(response.take(&endless, WANTED).is_ok());
        assert!(response.take(&endless, WANTED).is_err());
    }
}
