//! A client that sends octets as they are and reads what comes back, and is strict about it.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use crate::answer::Answer;

/// No answer of these tests takes so long, unless the server waits for octets that it must not wait for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of a connection.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) answers: Vec<Answer>,
    /// Whether the server ended the connection; only looked at where somebody wants to know.
    pub(crate) closed: bool,
    /// What came that is no answer.
    pub(crate) garbage: Option<String>,
}

/// Sends `octets` and reads `count` answers, then, if what came so far asks for it, to the end of the connection.
pub(crate) fn exchange(
    address: &str,
    octets: &[u8],
    heads: &[bool],
    count: usize,
    to_end: impl FnOnce(&Outcome) -> bool,
) -> Outcome {
    let stream = TcpStream::connect(address).expect("the server still listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut wire = Wire { stream, buffer: Vec::new(), ended: false };
    // A server may refuse before it has read everything; then what is sent is lost, and its answer is there.
    wire.stream.write_all(octets).ok();
    let mut outcome = Outcome::default();
    while outcome.answers.len() < count {
        match wire.answer(heads.get(outcome.answers.len()).is_some_and(|head| *head)) {
            Ok(Some(answer)) => outcome.answers.push(answer),
            Ok(None) => break,
            Err(garbage) => {
                outcome.garbage = Some(garbage);
                return outcome;
            }
        }
    }
    if to_end(&outcome) {
        while wire.more() {}
    }
    outcome.closed = wire.ended;
    if !wire.buffer.is_empty() {
        outcome.garbage = Some(String::from_utf8_lossy(&wire.buffer).chars().take(60).collect());
    }
    outcome
}

struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    ended: bool,
}

impl Wire {
    /// The next final answer; `None` if the connection ends or is silent before it begins.
    fn answer(&mut self, to_head: bool) -> Result<Option<Answer>, String> {
        let mut interim = Vec::new();
        loop {
            let Some(mut answer) = self.head()? else { return Ok(None) };
            if (100..200).contains(&answer.status) {
                interim.push(answer.status);
                continue;
            }
            answer.interim = interim;
            if !to_head && !matches!(answer.status, 204 | 304) {
                answer.body = self.body(&answer)?;
            }
            return Ok(Some(answer));
        }
    }

    fn head(&mut self) -> Result<Option<Answer>, String> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if !self.more() {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(format!("not a head: {:?}", String::from_utf8_lossy(&self.buffer)));
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).map_err(|error| error.to_string())?;
        let (line, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        let malformed = || format!("not a status line: {line:?}");
        let (version, rest_of_line) = line.split_once(' ').ok_or_else(malformed)?;
        let (code, _reason) = rest_of_line.split_once(' ').ok_or_else(malformed)?;
        let mut answer = Answer { version: version.to_owned(), ..Answer::default() };
        answer.status = code.parse().ok().filter(|status| (100..600).contains(status)).ok_or_else(malformed)?;
        for line in rest.trim_end_matches("\r\n").split("\r\n").filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| format!("not a field: {line:?}"))?;
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let sound =
                !name.is_empty() && name.bytes().all(token) && !value.bytes().any(|byte| byte.is_ascii_control());
            if !sound {
                return Err(format!("not a field: {line:?}"));
            }
            answer.fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
        Ok(Some(answer))
    }

    fn body(&mut self, answer: &Answer) -> Result<Vec<u8>, String> {
        if answer.lists("transfer-encoding", "chunked") {
            return self.chunks();
        }
        if let Some(length) = answer.field("content-length") {
            let length = length.parse().map_err(|_| format!("not a length: {length}"))?;
            return self.exactly(length);
        }
        while self.more() {}
        Ok(std::mem::take(&mut self.buffer))
    }

    fn chunks(&mut self) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.buffer.windows(2).position(|two| two == b"\r\n") {
                    Some(at) => break at,
                    None if self.more() => {}
                    None => return Err("the connection ended between two chunks".to_owned()),
                }
            };
            let line = String::from_utf8_lossy(&self.exactly(end + 2)?).trim_end().to_owned();
            let size = usize::from_str_radix(&line, 16).map_err(|_| format!("not a chunk's size: {line:?}"))?;
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.buffer.len() < length {
            if !self.more() {
                return Err(format!("the content ends after {} of {length} bytes", self.buffer.len()));
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads on; `false` at the end of the connection (a reset is one) or of the patience.
    fn more(&mut self) -> bool {
        let mut octets = [0; 16 * 1024];
        match self.stream.read(&mut octets) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.buffer.extend_from_slice(&octets[..count]);
                return true;
            }
            Err(error) => {
                self.ended = !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            }
        }
        false
    }
}
