//! How old a response was when it came: RFC 9111 section 4.2.3.

use std::time::Duration;

use ferry_core::time::UnixMillis;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Times, control::delta_seconds};
use crate::semantics::validators::parse_date;

/// What the `Age` of a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeField {
    /// Nothing: no cache was before us.
    Absent,
    /// Some cache had it for so long.
    Given(Duration),
    /// Some cache had it, and nobody knows for how long. Section 5.1 would let such a field be ignored; a response that may be old for
    /// all we know is better not called fresh.
    Unreadable,
}

/// Reads `Age`: one line with one number.
#[must_use]
pub fn field(headers: &HeaderMap) -> AgeField {
    match lines(headers, &header::AGE)[..] {
        [] => AgeField::Absent,
        [value] => match delta_seconds(value.as_bytes()) {
            Some(seconds) => AgeField::Given(Duration::from_secs(seconds.into())),
            None => AgeField::Unreadable,
        },
        _ => AgeField::Unreadable,
    }
}

/// When the origin says that it made the response: `Date`, or the moment it was received where that is missing or unreadable (RFC 9110
/// section 6.6.1).
#[must_use]
pub fn date(headers: &HeaderMap, received: UnixMillis) -> UnixMillis {
    match lines(headers, &header::DATE)[..] {
        [value] => parse_date(value.as_bytes()).map_or(received, UnixMillis::from_seconds),
        _ => received,
    }
}

/// The `corrected_initial_age`: how old the response was at the moment it was received, at the most.
///
/// A `Date` that lies ahead makes no response younger than its `Age`, and one that lies behind makes it older: an origin whose clock
/// is slow is asked more often, never less.
#[must_use]
pub fn initial(headers: &HeaderMap, times: Times) -> Duration {
    let apparent =
        Duration::from_secs(times.received.seconds().saturating_sub(date(headers, times.received).seconds()));
    let said = match field(headers) {
        AgeField::Given(age) => age,
        AgeField::Absent | AgeField::Unreadable => Duration::ZERO,
    };
    apparent.max(said.saturating_add(times.received.since(times.requested)))
}

/// All lines of a field.
pub(super) fn lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a HeaderValue> {
    headers.get_all(name).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::caching::fixture::{DATE, NOW, headers};

    fn initial_seconds(fields: &[(&str, &str)], delay: u64) -> u64 {
        let requested = UnixMillis(NOW.0 - delay * 1000);
        initial(&headers(fields), Times { requested, received: NOW }).as_secs()
    }

    #[test]
    fn an_age_is_one_number_or_unreadable() {
        for (values, expected) in [
            (&[][..], AgeField::Absent),
            (&["0"], AgeField::Given(Duration::ZERO)),
            (&["7200"], AgeField::Given(Duration::from_secs(7200))),
            (&["99999999999"], AgeField::Given(Duration::from_secs(1 << 31))),
            (&["abc"], AgeField::Unreadable),
            (&["-7200"], AgeField::Unreadable),
            (&["7200.0"], AgeField::Unreadable),
            (&["7200,0"], AgeField::Unreadable),
            (&["0, 0"], AgeField::Unreadable),
            (&["7200;foo=bar"], AgeField::Unreadable),
            (&[""], AgeField::Unreadable),
            (&["0", "0"], AgeField::Unreadable),
            (&["0", "7200"], AgeField::Unreadable),
        ] {
            let fields: Vec<_> = values.iter().map(|value| ("age", *value)).collect();
            assert_eq!(field(&headers(&fields)), expected, "{values:?}");
        }
    }

    #[test]
    fn a_response_is_as_old_as_the_older_of_its_date_and_its_age_says() {
        const HOUR_AGO: (&str, &str) = ("date", "Sun, 09 Sep 2001 00:46:40 GMT");
        const AHEAD: (&str, &str) = ("date", "Sun, 09 Sep 2001 02:46:40 GMT");
        let age = |seconds| ("age", seconds);
        for (fields, delay, expected) in [
            (&[][..], 0, 0),
            (&[DATE], 0, 0),
            (&[HOUR_AGO], 0, 3600),
            (&[AHEAD], 0, 0),
            (&[("date", "foo")], 0, 0),
            (&[HOUR_AGO, HOUR_AGO], 0, 0),
            (&[age("30")], 0, 30),
            (&[age("30"), DATE], 5, 35),
            (&[], 5, 5),
            (&[age("30"), HOUR_AGO], 5, 3600),
            (&[age("7200"), HOUR_AGO], 5, 7205),
            (&[age("30"), AHEAD], 0, 30),
            (&[age("x"), DATE], 5, 5),
        ] {
            assert_eq!(initial_seconds(fields, delay), expected, "{fields:?} after {delay} s");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_during_the_exchange_makes_nothing_younger() {
        let times = Times { requested: UnixMillis(NOW.0 + 9_000), received: NOW };
        assert_eq!(initial(&headers(&[("age", "30")]), times), Duration::from_secs(30));
    }
}
