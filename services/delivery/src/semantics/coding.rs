//! Content codings: in which forms a client takes what lies here in several (RFC 9110 sections 8.4 and 12.5.3).

use std::{fmt, str::FromStr};

use http::{HeaderMap, HeaderValue, header};

/// The largest weight, in thousandths.
const FULL: u16 = 1000;

/// A coding in which files may lie beside their plain form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// There is no such coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected br, gzip or zstd")]
pub struct UnknownCoding;

/// The weight of one coding, as a field states it.
struct Weighed<'a> {
    coding: &'a str,
    weight: u16,
}

/// The forms that a client takes, the best first; `None` is the plain one. Empty where it takes none of them.
///
/// Of forms that it takes equally, the coded ones go first, in the order in which they are `offered`. The plain one is taken unless the
/// field says otherwise; without a field nothing else is, since the clients that send none are those that cannot decode anything.
#[must_use]
pub fn accepted(headers: &HeaderMap, offered: &[Coding]) -> Vec<Option<Coding>> {
    if !headers.contains_key(header::ACCEPT_ENCODING) {
        return vec![None];
    }
    let lines = || headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let weights = || lines().flat_map(|line| line.split(',')).filter_map(Weighed::parse);
    let said = |is: &dyn Fn(&str) -> bool| weights().find(|weighed| is(weighed.coding)).map(|weighed| weighed.weight);
    let any = said(&|coding| coding == "*");
    let coded =
        offered.iter().map(|offer| (Some(*offer), said(&|coding| offer.is_called(coding)).or(any).unwrap_or(0)));
    // Not to be named is no weight: it is the last resort then, but not refused.
    let plain = said(&|coding| coding.eq_ignore_ascii_case("identity")).or(any.filter(|weight| *weight == 0));
    let mut forms: Vec<_> = coded.filter(|(_, weight)| *weight > 0).collect();
    forms.sort_by_key(|(_, weight)| FULL - weight);
    match plain {
        Some(0) => {}
        Some(weight) => forms.insert(forms.partition_point(|(_, coded)| *coded >= weight), (None, weight)),
        None => forms.push((None, 0)),
    }
    forms.into_iter().map(|(form, _)| form).collect()
}

impl Coding {
    /// Its name in fields and in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What is appended to the name of a file for its coded form.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The value of `Content-Encoding`.
    #[must_use]
    pub const fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }

    fn is_called(self, name: &str) -> bool {
        // x-gzip is gzip (section 8.4.1.3).
        name.eq_ignore_ascii_case(self.as_str()) || (self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip"))
    }
}

impl FromStr for Coding {
    type Err = UnknownCoding;

    fn from_str(text: &str) -> Result<Self, UnknownCoding> {
        [Self::Brotli, Self::Gzip, Self::Zstd].into_iter().find(|coding| coding.as_str() == text).ok_or(UnknownCoding)
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'a> Weighed<'a> {
    /// Reads one element of the field; what is malformed is as good as absent.
    fn parse(element: &'a str) -> Option<Self> {
        let ows = [' ', '\t'];
        let (coding, parameter) = match element.split_once(';') {
            Some((coding, parameter)) => (coding, Some(parameter.trim_matches(ows))),
            None => (element, None),
        };
        let coding = coding.trim_matches(ows);
        if coding.is_empty() || coding.contains(ows) {
            return None;
        }
        let weight = match parameter {
            Some(parameter) => weight(parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?)?,
            None => FULL,
        };
        Some(Self { coding, weight })
    }
}

/// Reads a qvalue (section 12.4.2) in thousandths: at most three digits behind the point, and at most 1.
fn weight(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{digits:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(FULL),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
