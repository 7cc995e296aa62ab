//! One GET on a connection of its own, read in full: for what is checked and not measured.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

/// For the server to send anything.
const LIMIT: Duration = Duration::from_secs(20);

/// Bytes compared at one time.
const PIECE: usize = 256 * 1024;

/// An answer whose body can be read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    /// In small letters.
    pub(crate) head: String,
    pub(crate) body: BufReader<TcpStream>,
}

/// Asks, and reads the head of the answer.
pub(crate) fn get(address: SocketAddr, target: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let (mut body, mut head) = (BufReader::with_capacity(PIECE, stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        ensure!(body.read_line(&mut head)? > 0, "the answer to {target} ends in its head: {head:?}");
    }
    head.make_ascii_lowercase();
    Ok(Answer { head, body })
}

/// Asks for a file and compares every byte of it with the one at `path`.
pub(crate) fn compare(address: SocketAddr, target: &str, path: &Path) -> Result<()> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let Answer { head, mut body } = get(address, target)?;
    ensure!(head.starts_with("http/1.1 200 "), "{target}: answered {head}");
    let differs = first_difference(&mut body, &mut file)?;
    ensure!(differs.is_none(), "{target}: the body differs from the file at byte {}", differs.unwrap_or_default());
    Ok(())
}

/// Where one begins to differ from the other; `None` if they are the same, to the end of both.
fn first_difference(one: &mut impl Read, other: &mut impl Read) -> Result<Option<u64>> {
    let (mut piece, mut wanted, mut at) = (vec![0; PIECE], vec![0; PIECE], 0);
    loop {
        let count = fill(one, &mut piece)?;
        let expected = fill(other, &mut wanted)?;
        let same = piece[..count].iter().zip(&wanted[..expected]).take_while(|(one, other)| one == other).count();
        if same < count.max(expected) {
            return Ok(Some(at + same as u64));
        }
        if count == 0 {
            return Ok(None);
        }
        at += count as u64;
    }
}

/// Reads until the buffer is full or nothing more comes.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::{PIECE, first_difference};

    #[test]
    fn a_body_that_differs_anywhere_or_ends_elsewhere_is_found_out() {
        let file = vec![7; 2 * PIECE + 5];
        let differs = |body: &[u8]| first_difference(&mut &body[..], &mut &file[..]).expect("nothing fails to be read");
        assert_eq!(differs(&file), None);
        for at in [0, PIECE - 1, PIECE, 2 * PIECE + 4] {
            let mut body = file.clone();
            body[at] = 8;
            assert_eq!(differs(&body), Some(at as u64));
            assert_eq!(differs(&file[..at]), Some(at as u64));
        }
        assert_eq!(differs(&[&file[..], &[7]].concat()), Some(file.len() as u64));
    }
}
