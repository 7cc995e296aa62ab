//! What bodies must hold: the bytes of a file, looked at in places all over it. Pure, once the file was read.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use anyhow::{Context, Result, ensure};

/// The first place is where the file begins, the last where it ends, and between them lies one in each part of this length.
const PART: u64 = 256 * 1024;

/// As long as one place is.
const LOOK: u64 = 1024;

/// The bytes of a file in some places.
#[derive(Debug)]
pub(crate) struct Content {
    /// Ordered, and none overlaps another.
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    at: u64,
    bytes: Vec<u8>,
}

impl Place {
    fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }
}

impl Content {
    /// Of a file.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let read = |(at, length): (u64, u64)| {
            let mut bytes = vec![0; usize::try_from(length)?];
            file.read_exact_at(&mut bytes, at)?;
            Ok(Place { at, bytes })
        };
        Ok(Self { places: places(file.metadata()?.len()).into_iter().map(read).collect::<Result<_>>()? })
    }

    /// How many bytes from `position` on need not be looked at; `None` where the next one must be.
    pub(super) fn unseen(&self, position: u64) -> Option<u64> {
        match self.place_after(position) {
            Some(place) if place.at <= position => None,
            Some(place) => Some(place.at - position),
            None => Some(u64::MAX),
        }
    }

    /// Compares what of a body lies at `position` with the places that it covers.
    pub(super) fn check(&self, position: u64, bytes: &[u8]) -> Result<()> {
        let end = position + bytes.len() as u64;
        let mut next = position;
        while let Some(place) = self.place_after(next).filter(|place| place.at < end) {
            let (from, to) = (place.at.max(position), place.end().min(end));
            let came = &bytes[usize::try_from(from - position)?..usize::try_from(to - position)?];
            let kept = &place.bytes[usize::try_from(from - place.at)?..usize::try_from(to - place.at)?];
            ensure!(came == kept, "the body differs from the file between its bytes {from} and {to}");
            next = to;
            if next == end {
                break;
            }
        }
        Ok(())
    }

    /// The first place that does not end before or at `position`.
    fn place_after(&self, position: u64) -> Option<&Place> {
        self.places.get(self.places.partition_point(|place| place.end() <= position))
    }
}

/// Offsets and lengths, for a file of this length: the same in every run.
fn places(length: u64) -> Vec<(u64, u64)> {
    let mut state = length | 1;
    let parts = length.div_ceil(PART);
    let place = |part: u64| {
        let from = part * PART;
        let most = length.min(from + PART) - from;
        let look = LOOK.min(most);
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let inside = match part {
            0 => 0,
            _ if part + 1 == parts => most - look,
            _ => state % (most - look + 1),
        };
        (from + inside, look)
    };
    (0..parts).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::{Content, LOOK, PART, Place, places};

    const LENGTH: u64 = 5 * PART + 7;

    fn byte(at: u64) -> u8 {
        u8::try_from(at * 7 % 251).expect("a remainder of 251")
    }

    fn content() -> Content {
        let place = |(at, length)| Place { at, bytes: (at..at + length).map(byte).collect() };
        Content { places: places(LENGTH).into_iter().map(place).collect() }
    }

    fn body() -> Vec<u8> {
        (0..LENGTH).map(byte).collect()
    }

    /// Gives a body in pieces of `step` bytes.
    fn takes(body: &[u8], step: usize) -> bool {
        let content = content();
        body.chunks(step).enumerate().all(|(number, piece)| content.check((number * step) as u64, piece).is_ok())
    }

    #[test]
    fn the_begin_the_end_and_every_part_of_a_file_are_looked_at() {
        for length in [0, 1, LOOK, PART, PART + 1, LENGTH] {
            let places = places(length);
            assert_eq!(places.len() as u64, length.div_ceil(PART));
            assert!(places.iter().zip(0..).all(|((at, _), part)| at / PART == part), "{length}: {places:?}");
            assert!(places.iter().all(|(at, look)| at + look <= length), "{length}: {places:?}");
            assert!(places.first().is_none_or(|(at, _)| *at == 0), "{length}: {places:?}");
            let end = places.last().map_or(0, |(at, look)| at + look);
            assert!(end == length || length <= PART, "{length}: {places:?}");
        }
    }

    #[test]
    fn a_good_body_passes_however_it_is_cut() {
        for step in [1000, 1024, 4096, 100_000, body().len()] {
            assert!(takes(&body(), step), "in pieces of {step}");
        }
    }

    #[test]
    fn a_body_that_is_shifted_or_differs_in_a_place_is_refused() {
        for (at, look) in places(LENGTH) {
            for wrong in [at, at + look - 1] {
                let mut body = body();
                body[usize::try_from(wrong).expect("a small file")] ^= 1;
                assert!([1000, 4096, body.len()].iter().all(|step| !takes(&body, *step)), "byte {wrong}");
            }
        }
        let mut shifted = body();
        shifted.rotate_left(1);
        assert!(!takes(&shifted, 4096));
    }

    #[test]
    fn what_lies_between_the_places_need_not_be_looked_at() {
        let (content, places) = (content(), places(LENGTH));
        let [(first, look), (second, _), ..] = places[..] else { panic!("five parts have more than one place") };
        assert_eq!((content.unseen(first), content.unseen(first + look - 1)), (None, None));
        assert_eq!(content.unseen(first + look), Some(second - first - look));
        assert_eq!(content.unseen(second), None);
        assert_eq!(content.unseen(LENGTH), Some(u64::MAX));
    }
}
