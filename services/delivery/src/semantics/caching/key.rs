//! What a stored response is called: the text under which the cache looks it up, before `Vary` tells variants apart.
//!
//! Made of the object's key and of what the origin is asked for, never of the request: `Host`, other fields, content and method are in
//! no key, so the origin must not see them either ([`super::forward`]).

use ferry_core::{object::ObjectKey, target::default_target};

/// The text for an object and what an origin is asked for it. One text means one object and one target.
///
/// The target stands in it only where it does not follow from the key, as where a route has templates: two targets under one key would let
/// whoever asks first decide what everybody gets. What begins with a path begins with it here, so a prefix of paths is a prefix of texts.
#[must_use]
pub fn cache_key(key: &ObjectKey, origin_target: &str) -> String {
    if origin_target == default_target(key) {
        return key.canonical().into_owned();
    }
    // Neither a path nor a query nor a target holds a line break, so the number of lines tells what they are.
    format!("{}\n{}\n{origin_target}", key.path, key.query.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ferry_core::{
        object::ObjectPath,
        routes::{Access, Defaults, NamesSpec, QueryRule, QuerySpec, RouteSpec, Routes},
    };
    use proptest::prelude::*;

    use super::*;

    fn routes(specs: &[RouteSpec]) -> Routes {
        Routes::compile(specs, &Defaults { access: Some(Access::Open), query: QueryRule::Keep }).expect("good routes")
    }

    fn all(query: Option<QuerySpec>) -> RouteSpec {
        RouteSpec {
            r#match: "/{path*}".to_owned(),
            query,
            methods: Some(NamesSpec::Word("all".to_owned())),
            request_headers: Some(NamesSpec::Word("all".to_owned())),
            ..RouteSpec::default()
        }
    }

    /// The cache's text for a request target, and the origin's target; `None` where nothing is served.
    fn key_and_target(routes: &Routes, target: &str) -> Option<(String, String)> {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let found = routes.match_target(&ObjectPath::from_target(path).ok()?, query)?;
        let origin_target = found.origin_target();
        Some((cache_key(&found.key, &origin_target), origin_target.into_owned()))
    }

    fn key(routes: &Routes, target: &str) -> Option<String> {
        key_and_target(routes, target).map(|(key, _)| key)
    }

    #[test]
    fn a_query_cannot_pass_for_a_target() {
        let path = ObjectPath::from_decoded("one").expect("a path");
        let with_query = ObjectKey { path: path.clone(), query: Some("/x".into()) };
        assert_eq!(cache_key(&with_query, "/one?/x"), "one\n/x");
        assert_eq!(cache_key(&ObjectKey::plain(path), "/x"), "one\n\n/x");
        assert_eq!(cache_key(&with_query, "/y?/x"), "one\n/x\n/y?/x");
    }

    #[test]
    fn a_path_has_one_key_however_it_is_encoded() {
        let routes = routes(&[all(None)]);
        for same in ["/a/b.zip", "/%61/b.zip", "/a/%62%2ezip", "/%61/%62%2Ezip"] {
            assert_eq!(key(&routes, same).as_deref(), Some("a/b.zip"), "{same}");
        }
        for other in
            ["/A/b.zip", "/a/B.zip", "/a/b.zip%20", "/a/b.zip;x", "/a/b.zip%3Fx", "/a/b.zip%00", "/a/b.zip%23x"]
        {
            assert_ne!(key(&routes, other).as_deref(), Some("a/b.zip"), "{other}");
        }
        for nothing in
            ["/a//b.zip", "/a/./b.zip", "/a/x/../b.zip", "/a%2fb.zip", "/a/b.zip/", "/a/%2e%2e/b", "/a\n", "/%0a"]
        {
            assert_eq!(key(&routes, nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_kept_query_is_as_it_was_sent() {
        // An origin may mind the order, the encoding, what is empty, and semicolons: what it might answer otherwise has another key.
        let routes = routes(&[all(Some(QuerySpec::Word("keep".to_owned())))]);
        let targets = [
            "/a",
            "/a?x=1&y=2",
            "/a?y=2&x=1",
            "/a?x=1;y=2",
            "/a?x=1&y=2&y=2",
            "/a?x=%31&y=2",
            "/a?X=1&y=2",
            "/a?x=1&y",
            "/a?x=1&y=",
            "/a?x=1+y",
            "/a?x=1%2By",
            "/a?x=1&amp;y=2",
            "/a?x[]=1",
            "/a?x%5B%5D=1",
            "/a?x=1%00",
        ];
        let keys: HashMap<_, _> = targets.iter().map(|target| (key(&routes, target), target)).collect();
        assert_eq!(keys.len(), targets.len(), "{keys:#?}");
        for ours in ["/a?ferry=1", "/a?f%65rry=1", "/a?", "/a?&", "/a?ferry&&"] {
            assert_eq!(key(&routes, ours).as_deref(), Some("a"), "{ours}");
        }
    }

    #[test]
    fn a_listed_query_has_one_form() {
        let names = QuerySpec::Names(vec!["w".to_owned(), "h".to_owned()]);
        let routes = routes(&[all(Some(names))]);
        for same in
            ["/a?w=1&h=2", "/a?h=2&w=1", "/a?h=2&utm=x&w=1", "/a?%77=%31&h=2", "/a?w=1&h=2&W=9", "/a?&w=1&&h=2&"]
        {
            assert_eq!(key(&routes, same).as_deref(), Some("a\nw=1&h=2"), "{same}");
        }
        for other in ["/a?w=1;h=2", "/a?w=1&w=1&h=2", "/a?w=1&h=2%26", "/a?w=1%26h=2", "/a?w=1", "/a?w[]=1&h=2"] {
            assert_ne!(key(&routes, other).as_deref(), Some("a\nw=1&h=2"), "{other}");
        }
    }

    #[test]
    fn an_ignored_query_never_reaches_the_origin() {
        let routes = routes(&[all(Some(QuerySpec::Word("ignore".to_owned())))]);
        for query in ["x=1", "utm=<script>", "cb=1&cb=2", "%", ";"] {
            let both = key_and_target(&routes, &format!("/a?{query}"));
            assert_eq!(both, Some(("a".to_owned(), "/a".to_owned())), "{query}");
        }
    }

    #[test]
    fn templates_cannot_bring_two_targets_under_one_key() {
        let spec = |key: Option<&str>, origin: Option<&str>| RouteSpec {
            r#match: "/{user}/{file}".to_owned(),
            key: key.map(str::to_owned),
            origin: origin.map(str::to_owned),
            ..RouteSpec::default()
        };
        for (key, origin) in [
            (Some("{file}"), None),
            (Some("{file}"), Some("/{user}/{file}")),
            (Some("one"), Some("/f?u={user}&f={file}")),
            (Some("{user}.{file}"), Some("/{user}/{file}")), // a.b + c, a + b.c
        ] {
            let routes = routes(&[spec(key, origin)]);
            let (one, other) = (key_and_target(&routes, "/a.b/c"), key_and_target(&routes, "/a/b.c"));
            let ((one_key, one), (other_key, other)) = one.zip(other).expect("both are served");
            assert_ne!(one, other);
            assert_ne!(one_key, other_key, "{key:?}, {origin:?}");
        }
    }

    proptest! {
        #[test]
        fn one_key_is_one_object_and_one_target(
            one in "/[ab][.b]?/[ab][.b]?(\\?[ab=&;%20]{0,6})?", other in "/[ab][.b]?/[ab][.b]?(\\?[ab=&;%20]{0,6})?",
            key in prop::sample::select(vec![None, Some("{x}{y}"), Some("{x}"), Some("k/{y}")]),
            origin in prop::sample::select(vec![None, Some("/{x}{y}"), Some("/{y}"), Some("/q?{x}={y}")]),
            query in prop::sample::select(vec!["ignore", "keep"]),
        ) {
            let spec = RouteSpec {
                r#match: "/{x}/{y}".to_owned(),
                key: key.map(str::to_owned),
                origin: origin.map(str::to_owned),
                query: Some(QuerySpec::Word(query.to_owned())),
                ..RouteSpec::default()
            };
            let routes = routes(&[spec]);
            if let (Some((one, of_one)), Some((other, of_other))) = (key_and_target(&routes, &one), key_and_target(&routes, &other)) {
                prop_assert!(one != other || of_one == of_other, "{one:?}: {of_one}, {of_other}");
            }
        }
    }
}
