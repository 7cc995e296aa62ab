//! What one response still brings of an object that was given up, for all who read it.
//!
//! Without a strong validator the rest cannot be asked for again: two responses may be of two versions. So all who read along share the one that
//! there is. Whoever comes to its end pulls, and what came stays for those who are behind, up to [`KEPT`] bytes: who falls further behind is broken off, and
//! never given other bytes in their place. Clients set the pace; without one, nothing is pulled.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync;

use super::{Rest, Trouble};
use crate::origin::Body;

/// How far one reader may be behind another, in bytes; what is pulled last is kept whatever its length.
const KEPT: usize = 1 << 20;

/// The rest of one response.
#[derive(Debug)]
pub(super) struct SharedRest {
    window: Mutex<Window>,
    /// Held by whoever pulls.
    body: sync::Mutex<Body>,
}

/// What came last.
#[derive(Debug)]
struct Window {
    /// Where it begins.
    start: u64,
    pieces: VecDeque<Bytes>,
    length: usize,
    /// What the response ended with.
    ended: Option<Result<(), Trouble>>,
}

impl SharedRest {
    pub(super) fn new(Rest { at, bytes, body }: Rest) -> Self {
        let window = Window { start: at, length: bytes.len(), pieces: VecDeque::from([bytes]), ended: None };
        Self { window: Mutex::new(window), body: sync::Mutex::new(body) }
    }

    /// The bytes from `at` on, some of them; none at the end. `alone` says that nobody else reads. Cancelling it loses nothing.
    pub(super) async fn next(&self, at: u64, alone: bool) -> Result<Bytes, Trouble> {
        loop {
            if let Some(found) = self.window().find(at) {
                return found;
            }
            let mut body = self.body.lock().await;
            // Another has pulled meanwhile.
            if let Some(found) = self.window().find(at) {
                return found;
            }
            let pulled = body.next().await;
            let mut window = self.window();
            match pulled {
                Some(Ok(bytes)) => window.push(bytes, if alone { 0 } else { KEPT }),
                Some(Err(error)) => window.ended = Some(Err(Trouble::Body(Arc::new(error)))),
                None => window.ended = Some(Ok(())),
            }
        }
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Nothing panics half way through a change.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// What is to be said to who wants the bytes from `at` on; `None` if they are to come.
    fn find(&self, at: u64) -> Option<Result<Bytes, Trouble>> {
        let end = self.start + self.length as u64;
        // Who is too far behind, and who is too far ahead of all others.
        if at < self.start || at > end + KEPT as u64 {
            return Some(Err(Trouble::Incomplete));
        }
        if at >= end {
            let ended = self.ended.clone()?;
            return Some(ended.and_then(|()| if at == end { Ok(Bytes::new()) } else { Err(Trouble::Incomplete) }));
        }
        let mut skipped = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let piece = self.pieces.iter().find_map(|piece| match piece.len().checked_sub(skipped) {
            Some(left) if left > 0 => Some(piece.slice(skipped..)),
            Some(_) | None => {
                skipped -= piece.len();
                None
            }
        });
        piece.map(Ok)
    }

    fn push(&mut self, bytes: Bytes, kept: usize) {
        self.length += bytes.len();
        self.pieces.push_back(bytes);
        let last = self.pieces.back().map_or(0, Bytes::len);
        while let Some(first) =
            self.pieces.front().map(Bytes::len).filter(|first| self.length - first >= kept.max(last))
        {
            self.pieces.pop_front();
            self.length -= first;
            self.start += first as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window { start: 100, pieces: VecDeque::new(), length: 0, ended: None }
    }

    fn found(window: &Window, at: u64) -> Option<Vec<u8>> {
        window.find(at)?.ok().map(|bytes| bytes.to_vec())
    }

    #[test]
    fn what_came_last_is_found_at_its_place() {
        let mut window = window();
        window.push(Bytes::from_static(b"abc"), 5);
        window.push(Bytes::new(), 5);
        window.push(Bytes::from_static(b"de"), 5);
        for (at, expected) in [(100, &b"abc"[..]), (102, b"c"), (103, b"de"), (104, b"e")] {
            assert_eq!(found(&window, at).as_deref(), Some(expected), "{at}");
        }
        assert!(window.find(105).is_none(), "it is to come");
        window.push(Bytes::from_static(b"f"), 5);
        assert!(matches!(window.find(102), None | Some(Ok(_))));
        window.push(Bytes::from_static(b"ghi"), 5);
        assert!(matches!(window.find(102), Some(Err(Trouble::Incomplete))), "too far behind");
        assert_eq!(found(&window, 103).as_deref(), Some(&b"de"[..]));
        assert!(matches!(window.find(110 + KEPT as u64), Some(Err(Trouble::Incomplete))), "too far ahead");
        window.ended = Some(Ok(()));
        assert_eq!((found(&window, 109), window.find(110).is_some_and(|end| end.is_err())), (Some(Vec::new()), true));
    }

    #[test]
    fn for_one_reader_nothing_is_kept_but_what_it_reads() {
        let mut window = window();
        for _ in 0..10 {
            window.push(Bytes::from_static(b"abc"), 0);
        }
        assert_eq!((window.start, window.length), (127, 3));
    }
}
