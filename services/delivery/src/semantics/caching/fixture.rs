//! What the tests of this module share.

use ferry_core::time::UnixMillis;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The moment of which most tests speak: 2001-09-09 01:46:40 UTC.
pub(super) const NOW: UnixMillis = UnixMillis(1_000_000_000_000);

/// That moment as a date.
pub(super) const DATE: (&str, &str) = ("date", "Sun, 09 Sep 2001 01:46:40 GMT");

/// Fields as a test writes them, each line for itself.
pub(super) fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().expect("a field name");
        map.append(name, HeaderValue::from_str(value).expect("a field value"));
    }
    map
}
