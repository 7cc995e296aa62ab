//! An answer that was ready, over TLS: all of it in one go, or not at all.

use std::io::{self, IoSlice};

use bytes::Bytes;

use super::{
    super::{super::wire::Wire, pace::Pace, writer::BATCH},
    Giving, Step,
};

impl Giving {
    /// Seals all of it, if that is no more than is sealed at a time and in memory, and sends it, if the socket takes it at once. What was
    /// sealed counts as written; whoever goes on has that sent, too.
    pub(in super::super) fn seal(&mut self, wire: &mut impl Wire, pace: &mut Pace) -> Step {
        // What fails is found out again where it can be dealt with.
        self.try_to_seal(wire, pace).unwrap_or(Step::Elsewhere)
    }

    fn try_to_seal(&mut self, wire: &mut impl Wire, pace: &mut Pace) -> io::Result<Step> {
        let length = self.prompt.file.length();
        if length > BATCH as u64 {
            return Ok(Step::Elsewhere);
        }
        let content = self.prompt.ready.content.clone();
        let Some(begin) = content.map_or_else(|| self.read(), |content| Ok(Some(content)))? else {
            return Ok(Step::Elsewhere);
        };
        let [head, date, end] = self.head_pieces();
        let pieces = [head, date, end, &begin].map(IoSlice::new);
        let sealed = wire.seal(&pieces)?;
        self.head = sealed.min(self.head_length());
        self.body = (sealed - self.head) as u64;
        while self.left() > 0
            && let Some(bytes) = self.read()?
            && let count @ 1.. = wire.seal(&[IoSlice::new(&bytes)])?
        {
            self.body += count as u64;
        }
        let sent = wire.send_sealed()?;
        pace.took(wire.socket(), sent as u64);
        Ok(if self.left() == 0 && !wire.has_sealed() { Step::Done } else { Step::Elsewhere })
    }

    /// What comes next of the file, and no more than is announced; `None` if that is not in memory.
    fn read(&self) -> io::Result<Option<Bytes>> {
        let most = usize::try_from(self.left()).unwrap_or(usize::MAX);
        self.prompt.file.read_at_once(self.body, most)
    }
}
