//! Runs of bytes, and sets of them: what of an object is here, and what is not. Pure.
//!
//! Invariant B1: the spans of a set are not empty, ascend, and neither overlap nor touch.

use std::ops::Range;

/// A run of bytes, from `start` on and before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte's position.
    pub start: u64,
    /// The position behind the last byte; not before `start`.
    pub end: u64,
}

/// A set of bytes. It takes memory by the number of its runs, of which there are few: a fill makes one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    runs: Vec<Span>,
    bytes: u64,
}

impl Span {
    /// So many bytes from `offset` on; fewer, where positions end.
    #[must_use]
    pub const fn at(offset: u64, length: u64) -> Self {
        Self { start: offset, end: offset.saturating_add(length) }
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.length() == 0
    }

    /// What it shares with another; nothing is an empty span.
    #[must_use]
    pub fn within(self, other: Self) -> Self {
        let start = self.start.max(other.start);
        Self { start, end: self.end.min(other.end).max(start) }
    }

    /// Whether they have a byte in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        !self.within(other).is_empty()
    }
}

impl Spans {
    /// How many bytes there are.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its runs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.runs.iter().copied()
    }

    /// The position behind the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.end)
    }

    /// Adds the bytes of a span.
    pub fn insert(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        // Those that touch it become one with it.
        let first = self.runs.partition_point(|run| run.end < span.start);
        let last = self.runs.partition_point(|run| run.start <= span.end);
        let joined = match self.runs.get(first..last) {
            Some([only]) => Span { start: span.start.min(only.start), end: span.end.max(only.end) },
            Some([low, .., high]) => Span { start: span.start.min(low.start), end: span.end.max(high.end) },
            _ => span,
        };
        self.replace(first..last, &[joined]);
    }

    /// Takes the bytes of a span out.
    pub fn remove(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        let first = self.runs.partition_point(|run| run.end <= span.start);
        let last = self.runs.partition_point(|run| run.start < span.end);
        if first >= last {
            return;
        }
        let before = Span { start: self.runs[first].start, end: span.start };
        let behind = Span { start: span.end, end: self.runs[last - 1].end };
        let left: Vec<Span> = [before, behind].into_iter().filter(|part| part.start < part.end).collect();
        self.replace(first..last, &left);
    }

    fn replace(&mut self, range: Range<usize>, with: &[Span]) {
        let lost: u64 = self.runs[range.clone()].iter().map(|run| run.length()).sum();
        self.bytes = self.bytes - lost + with.iter().map(|run| run.length()).sum::<u64>();
        self.runs.splice(range, with.iter().copied());
        debug_assert!(self.runs.windows(2).all(|two| two[0].end < two[1].start), "B1");
    }

    /// How many bytes there are from `offset` on without a gap.
    #[must_use]
    pub fn run_from(&self, offset: u64) -> u64 {
        let at = self.runs.partition_point(|run| run.end <= offset);
        self.runs.get(at).filter(|run| run.start <= offset).map_or(0, |run| run.end - offset)
    }

    /// Whether all of a span is there.
    #[must_use]
    pub fn covers(&self, span: Span) -> bool {
        span.is_empty() || self.run_from(span.start) >= span.length()
    }

    /// What of a span is not there, ascending.
    pub fn gaps(&self, span: Span) -> impl Iterator<Item = Span> + '_ {
        let first = self.runs.partition_point(|run| run.end <= span.start);
        let mut rest = self.runs[first..].iter();
        let mut at = span.start;
        std::iter::from_fn(move || {
            while at < span.end {
                let run = rest.next().copied().unwrap_or(Span { start: span.end, end: span.end });
                let gap = Span { start: at, end: run.start.min(span.end) };
                at = run.end;
                if gap.start < gap.end {
                    return Some(gap);
                }
            }
            None
        })
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut set = Self::default();
        spans.into_iter().for_each(|span| set.insert(span));
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn span() -> impl Strategy<Value = Span> {
        (0..60_u64, 0..20_u64).prop_map(|(offset, length)| Span::at(offset, length))
    }

    proptest! {
        /// B1, and each answer, against a plain array of bytes.
        #[test]
        fn a_set_answers_as_an_array_of_bytes_would(script in vec((any::<bool>(), span()), 0..30), asked in span()) {
            let (mut set, mut bytes) = (Spans::default(), [false; 100]);
            for (adds, span) in script {
                if adds { set.insert(span) } else { set.remove(span) }
                (span.start..span.end).for_each(|at| bytes[at as usize] = adds);
            }
            let here = |at: u64| bytes.get(at as usize).copied().unwrap_or(false);
            prop_assert!(set.runs.iter().all(|run| run.start < run.end));
            prop_assert!(set.runs.windows(2).all(|two| two[0].end < two[1].start));
            prop_assert_eq!(set.bytes(), (0..100).filter(|at| here(*at)).count() as u64);
            prop_assert_eq!(set.run_from(asked.start), (asked.start..).take_while(|at| here(*at)).count() as u64);
            prop_assert_eq!(set.covers(asked), (asked.start..asked.end).all(here));
            let missing: Vec<u64> = set.gaps(asked).flat_map(|gap| gap.start..gap.end).collect();
            prop_assert_eq!(missing, (asked.start..asked.end).filter(|at| !here(*at)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn spans_that_touch_become_one() {
        let mut set: Spans = [Span::at(0, 4), Span::at(8, 4)].into_iter().collect();
        set.insert(Span::at(4, 4));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Span::at(0, 12)]);
        assert_eq!((set.bytes(), set.end(), set.run_from(3), set.run_from(12)), (12, 12, 9, 0));
    }

    #[test]
    fn a_span_that_would_pass_the_end_of_all_positions_ends_there() {
        assert_eq!(Span::at(u64::MAX - 1, 9).length(), 1);
    }
}
