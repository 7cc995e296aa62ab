//! What a client asks of caches: RFC 9111 section 5.2.1.
//!
//! All of it is advice. A wish that cannot be read is none.

use http::{HeaderMap, header};

use super::{
    control::{LONGEST, delta_seconds},
    directives::{self, Argument, Directive},
    policy::Policy,
};

/// The wishes of a request that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Nothing without validation.
    pub no_cache: bool,
    /// Nothing of this may be kept.
    pub no_store: bool,
    /// What is here, or 504.
    pub only_if_cached: bool,
    /// Nothing older, in seconds.
    pub max_age: Option<u32>,
    /// Fresh for so many seconds more.
    pub min_fresh: Option<u32>,
    /// Stale for so many seconds at most; the longest span stands for any.
    pub max_stale: Option<u32>,
}

impl Wishes {
    /// The wishes of a request with these fields.
    #[must_use]
    pub fn of(headers: &HeaderMap, policy: &Policy) -> Self {
        let mut wishes = Self::default();
        for line in headers.get_all(header::CACHE_CONTROL) {
            directives::of(line.as_bytes()).for_each(|directive| wishes.add(&directive));
        }
        if !policy.heed_clients {
            return Self { only_if_cached: wishes.only_if_cached, ..Self::default() };
        }
        // Section 5.4: what clients of HTTP/1.0 say, where nothing newer is said.
        if !headers.contains_key(header::CACHE_CONTROL) {
            let pragma = headers.get_all(header::PRAGMA).iter();
            wishes.no_cache = pragma.flat_map(|line| directives::of(line.as_bytes())).any(|it| it.is("no-cache"));
        }
        wishes
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let seconds = match &directive.argument {
            Argument::Text(text) => delta_seconds(text),
            Argument::None | Argument::Broken => None,
        };
        if directive.is("no-cache") {
            self.no_cache = true;
        } else if directive.is("no-store") {
            self.no_store = true;
        } else if directive.is("only-if-cached") {
            self.only_if_cached = true;
        } else if directive.is("max-age") {
            keep(&mut self.max_age, seconds, u32::min);
        } else if directive.is("min-fresh") {
            keep(&mut self.min_fresh, seconds, u32::max);
        } else if directive.is("max-stale") {
            let any = (directive.argument == Argument::None).then_some(LONGEST);
            keep(&mut self.max_stale, seconds.or(any), u32::min);
        }
    }
}

/// Of several values, the one that asks for more.
fn keep(so_far: &mut Option<u32>, said: Option<u32>, stricter: fn(u32, u32) -> u32) {
    if let Some(said) = said {
        *so_far = Some(so_far.map_or(said, |before| stricter(before, said)));
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(fields: &[(&'static str, &'static str)], heed_clients: bool) -> Wishes {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Wishes::of(&headers, &Policy { heed_clients, ..Policy::default() })
    }

    #[test]
    fn wishes_are_read_in_every_form() {
        let nothing = Wishes::default();
        let cc = |value| [("cache-control", value)];
        for (value, expected) in [
            ("", nothing),
            ("nothing-to-see-here", nothing),
            ("no-cache", Wishes { no_cache: true, ..nothing }),
            ("No-Cache=\"x\", NO-STORE", Wishes { no_cache: true, no_store: true, ..nothing }),
            ("only-if-cached", Wishes { only_if_cached: true, ..nothing }),
            ("max-age=0", Wishes { max_age: Some(0), ..nothing }),
            ("max-age=\"5\"", Wishes { max_age: Some(5), ..nothing }),
            ("max-age=9, max-age=5", Wishes { max_age: Some(5), ..nothing }),
            ("max-age=x, max-age", nothing),
            ("min-fresh=9, min-fresh=5", Wishes { min_fresh: Some(9), ..nothing }),
            ("min-fresh=-1", nothing),
            ("max-stale", Wishes { max_stale: Some(LONGEST), ..nothing }),
            ("max-stale=7", Wishes { max_stale: Some(7), ..nothing }),
            ("max-stale, max-stale=7", Wishes { max_stale: Some(7), ..nothing }),
            ("max-stale=", nothing),
        ] {
            assert_eq!(of(&cc(value), true), expected, "{value:?}");
        }
    }

    #[test]
    fn pragma_counts_where_nothing_newer_is_said() {
        for (fields, no_cache) in [
            (&[("pragma", "no-cache")][..], true),
            (&[("pragma", "foo, No-Cache")], true),
            (&[("pragma", "foo")], false),
            (&[("pragma", "no-cache"), ("cache-control", "max-age=60")], false),
        ] {
            assert_eq!(of(fields, true).no_cache, no_cache, "{fields:?}");
        }
    }

    #[test]
    fn unheeded_clients_can_only_spare_the_origin() {
        let all = "no-cache, no-store, max-age=0, min-fresh=99, max-stale, only-if-cached";
        let fields = [("cache-control", all), ("pragma", "no-cache")];
        assert_eq!(of(&fields, false), Wishes { only_if_cached: true, ..Wishes::default() });
        assert_eq!(of(&[("pragma", "no-cache")], false), Wishes::default());
    }
}
