//! The types that settings have.

use std::{
    fmt,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use ferry_core::{
    address::Authority,
    id::{CoordinatorId, GatewayId, Kid, NodeId, Region, Zone},
    node::Weight,
    place::Network,
};
use url::Url;

/// A type that a setting's text can become.
pub trait FromSetting: Sized {
    /// What is expected, such as `ADDRESS:PORT, such as 0.0.0.0:8080`.
    const EXPECTED: &'static str;

    /// The value, or what is wrong with the text in the words of a fault: `expected …`.
    fn parse(text: &str) -> Result<Self, String>;
}

/// The base of an HTTP service: scheme, host, port, perhaps a path; never a query, a fragment or a password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(Url);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl BaseUrl {
    /// The URL; its path is `/` or has no slash at its end.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port, with neither path nor slash: what gRPC endpoints and `Origin` headers look like.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, the scheme's own if none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(80)
    }

    /// The base followed by `path`, which begins with `/` and is encoded already; it may carry a query.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

impl fmt::Display for BaseUrl {
    /// Without a slash at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl FromSetting for BaseUrl {
    const EXPECTED: &'static str = "http://HOST[:PORT] or https://HOST[:PORT]";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        let mut url = url.ok_or_else(expected::<Self>)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("expected {} without a user or password", Self::EXPECTED));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl ByteSize {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromSetting for ByteSize {
    const EXPECTED: &'static str = "a number of bytes, such as 65536, 64KiB or 10GB";

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "ki" | "kib" => 1 << 10,
            "m" | "mb" => 1_000_000,
            "mi" | "mib" => 1 << 20,
            "g" | "gb" => 1_000_000_000,
            "gi" | "gib" => 1 << 30,
            "t" | "tb" => 1_000_000_000_000,
            "ti" | "tib" => 1 << 40,
            _ => return Err(expected::<Self>()),
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(unit).map(Self).ok_or_else(expected::<Self>);
        }
        let parts: f64 = number.parse().map_err(|_| expected::<Self>())?;
        let bytes = parts * unit as f64;
        // Above 2^53 a fraction of a unit says nothing any more.
        if bytes < 9.0e15 { Ok(Self(bytes as u64)) } else { Err(expected::<Self>()) }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl FromSetting for bool {
    const EXPECTED: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(expected::<Self>()),
        }
    }
}

impl FromSetting for String {
    const EXPECTED: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl FromSetting for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.into()) }
    }
}

impl FromSetting for Duration {
    const EXPECTED: &'static str = "a time, such as 300 (seconds), 1.5s, 500ms or 2h";

    /// A plain number is seconds, as the seeds' `SYNC_INTERVAL=300` has it.
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            let seconds: f64 = text.parse().map_err(|_| expected::<Self>())?;
            return Self::try_from_secs_f64(seconds).map_err(|_| expected::<Self>());
        }
        humantime::parse_duration(text).map_err(|_| expected::<Self>())
    }
}

impl FromSetting for f64 {
    const EXPECTED: &'static str = "a number";

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().ok().filter(|number: &Self| number.is_finite()).ok_or_else(expected::<Self>)
    }
}

impl FromSetting for Weight {
    const EXPECTED: &'static str = "a whole number from 1 to 10000";

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().ok().and_then(Self::new).ok_or_else(expected::<Self>)
    }
}

macro_rules! from_str {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl FromSetting for $type {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| expected::<Self>())
            }
        }
    )*};
}

from_str! {
    u16: "a whole number up to 65535",
    u32: "a whole number up to 4294967295",
    u64: "a whole number",
    usize: "a whole number",
    NonZeroU32: "a whole number from 1 to 4294967295",
    NonZeroU64: "a whole number, at least 1",
    NonZeroUsize: "a whole number, at least 1",
    SocketAddr: "ADDRESS:PORT, such as 0.0.0.0:8080",
    Authority: "HOST:PORT, such as node1.example:8001",
    NodeId: "1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
    CoordinatorId: "1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
    GatewayId: "1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
    Region: "1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
    Zone: "1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
    Network: "a network, such as 192.0.2.0/24 or 2001:db8::/32",
    Kid: "1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit",
}

fn expected<T: FromSetting>() -> String {
    format!("expected {}", T::EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_http_with_a_host_and_nothing_secret() {
        for (text, shown) in [
            ("http://a", "http://a"),
            ("http://a/", "http://a"),
            ("https://a.example:8443/base//", "https://a.example:8443/base"),
            ("http://[::1]:7000", "http://[::1]:7000"),
        ] {
            assert_eq!(BaseUrl::parse(text).expect("a good URL").to_string(), shown);
        }
        for bad in ["", "a", "a:80", "ftp://a", "http://", "http://a?b", "http://a#b", "http://user@a", "http://u:p@a"]
        {
            assert!(BaseUrl::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_base_url_knows_its_parts() {
        let url = BaseUrl::parse("https://[::1]/base").expect("a good URL");
        assert_eq!((url.host(), url.port(), url.is_tls()), ("::1", 443, true));
        assert_eq!(url.origin(), "https://[::1]");
        assert_eq!(url.join("/a%20b?c"), "https://[::1]/base/a%20b?c");
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("64 kb", 64_000),
            ("1.5GiB", 1_610_612_736),
            ("10GB", 10_000_000_000),
        ] {
            assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)), "{text}");
        }
        for bad in ["", "-1", "1X", "GiB", "1e3", "1.2.3", "99999999999TiB", "18446744073709551616"] {
            assert!(ByteSize::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(ByteSize(65_536).to_string(), "64KiB");
        assert_eq!(ByteSize(1_000).to_string(), "1000");
    }

    #[test]
    fn times_without_a_unit_are_seconds() {
        for (text, time) in [
            ("300", Duration::from_secs(300)),
            ("0.25", Duration::from_millis(250)),
            ("500ms", Duration::from_millis(500)),
            ("1h 30m", Duration::from_secs(5400)),
        ] {
            assert_eq!(Duration::parse(text), Ok(time), "{text}");
        }
        for bad in ["", "-1", ".", "1 parsec", "1e99", "99999999999999999999"] {
            assert!(Duration::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn what_is_not_a_number_is_no_number() {
        for bad in ["nan", "inf", "-inf", "", "1,5"] {
            assert!(f64::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
