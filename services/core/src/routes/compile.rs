//! From routes as they were written to routes that hold: all faults at once.

use twox_hash::XxHash3_64;

use super::{
    Access, Defaults, Deliver, Methods, NamesSpec, QueryRule, QuerySpec, RequestFields, Route, RouteFault, RouteSpec,
    Routes, passing, pattern::Pattern, template::Template,
};
use crate::{
    object::ObjectPath,
    target::{NODE_PARAMETER, is_ferry_parameter},
};

impl Routes {
    /// Checks all routes; on failure, everything that is wrong with any of them.
    pub fn compile(specs: &[RouteSpec], defaults: &Defaults) -> Result<Self, Vec<RouteFault>> {
        let mut faults = Vec::new();
        let mut routes: Vec<Route> = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let mut check = Check { index, faults: &mut faults };
            let Some(route) = check.route(spec, defaults) else { continue };
            match routes.iter().find(|earlier| earlier.pattern.covers(&route.pattern)) {
                Some(earlier) => check.fault(
                    "match",
                    &route.text,
                    format!("a pattern that route[{}], {:?}, leaves something to", earlier.index, earlier.text),
                ),
                None => routes.push(route),
            }
        }
        if faults.is_empty() { Ok(Self { routes, index: None }) } else { Err(faults) }
    }
}

/// Collects the faults of one route.
struct Check<'f> {
    index: usize,
    faults: &'f mut Vec<RouteFault>,
}

impl Check<'_> {
    fn fault(&mut self, field: &'static str, value: &str, expected: impl Into<String>) {
        self.fault_as_written(field, format!("{value:?}"), expected);
    }

    fn fault_as_written(&mut self, field: &'static str, value: String, expected: impl Into<String>) {
        self.faults.push(RouteFault { index: self.index, field, value, expected: expected.into() });
    }

    /// The route if it has no fault. Every field is looked at, whatever the others hold.
    fn route(&mut self, spec: &RouteSpec, defaults: &Defaults) -> Option<Route> {
        let faults_before = self.faults.len();
        let hash = |access: Access, query: &QueryRule| hash(spec, access, query);
        let pattern = match Pattern::parse(&spec.r#match) {
            Ok(pattern) => Some(pattern),
            Err(expected) => {
                self.fault("match", &spec.r#match, expected);
                None
            }
        };
        let access = self.access(spec.access.as_deref(), defaults);
        let deliver = self.deliver(spec.deliver.as_deref());
        let query = self.query(spec.query.as_ref(), access, defaults);
        let methods = self.methods(spec.methods.as_ref());
        let request_fields = self.request_fields(spec.request_headers.as_ref());
        self.header("cache-control", spec.cache_control.as_deref());
        self.header("content-type", spec.content_type.as_deref());
        // Templates mean nothing without the pattern's variables.
        let pattern = pattern?;
        let key = spec.key.as_deref().and_then(|text| self.key(text, &pattern));
        let origin = spec.origin.as_deref().and_then(|text| self.origin(text, &pattern));
        let filename = spec.filename.as_deref().and_then(|text| self.filename(text, &pattern));
        let (access, query) = (access?, query?);
        (self.faults.len() == faults_before).then(|| Route {
            index: self.index,
            pattern,
            key,
            origin,
            filename,
            access,
            deliver,
            hash: hash(access, &query),
            query,
            methods,
            request_fields,
            text: spec.r#match.clone(),
            cache_control: spec.cache_control.clone(),
            content_type: spec.content_type.clone(),
        })
    }

    fn access(&mut self, word: Option<&str>, defaults: &Defaults) -> Option<Access> {
        let expected = match word {
            Some("open") => return Some(Access::Open),
            Some("signed") => return Some(Access::Signed),
            Some("main-server") => "\"open\" or \"signed\": this build cannot ask the main server yet",
            Some(_) => "\"open\" or \"signed\"",
            None if defaults.access.is_some() => return defaults.access,
            None => "\"open\" or \"signed\": with a main server behind, a route has to say who may fetch",
        };
        let written = word.map_or_else(|| "(nothing)".to_owned(), |word| format!("{word:?}"));
        self.fault_as_written("access", written, expected);
        None
    }

    fn deliver(&mut self, word: Option<&str>) -> Option<Deliver> {
        match word? {
            "redirect" => return Some(Deliver::Redirect),
            "proxy" => return Some(Deliver::Proxy),
            other => self.fault("deliver", other, "\"redirect\" or \"proxy\""),
        }
        None
    }

    fn query(&mut self, spec: Option<&QuerySpec>, access: Option<Access>, defaults: &Defaults) -> Option<QueryRule> {
        let Some(spec) = spec else { return Some(defaults.query.clone()) };
        let expected = match spec {
            QuerySpec::Word(word) if word == "ignore" => return Some(QueryRule::Ignore),
            QuerySpec::Word(word) if word == "keep" => return Some(QueryRule::Keep),
            QuerySpec::Word(_) => "\"ignore\", \"keep\" or a list of parameter names",
            QuerySpec::Names(names) => {
                let reserved =
                    |name: &str| name == NODE_PARAMETER || (access != Some(Access::Open) && is_ferry_parameter(name));
                let repeated = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
                if names.iter().any(|name| name.is_empty() || name.chars().any(char::is_control)) {
                    "names that are not empty and hold no control characters"
                } else if names.iter().any(|name| reserved(name)) {
                    "none of ferry's own parameters, which are never part of a key"
                } else if repeated {
                    "every name once"
                } else {
                    return Some(QueryRule::Names(names.clone()));
                }
            }
        };
        self.fault_as_written("query", spec.to_string(), expected);
        None
    }

    fn methods(&mut self, spec: Option<&NamesSpec>) -> Methods {
        let passes = |name: &str| passing::is_token(name) && !passing::is_refused_method(name);
        match spec {
            None => return Methods::None,
            Some(NamesSpec::Word(word)) if word == "all" => return Methods::All,
            Some(NamesSpec::Names(names)) if names.iter().all(|name| passes(name)) => {
                return Methods::Named(names.clone());
            }
            Some(spec) => {
                let expected = "\"all\" or a list of methods, such as [\"POST\"]; CONNECT and TRACE never pass";
                self.fault_as_written("methods", spec.to_string(), expected);
            }
        }
        Methods::None
    }

    fn request_fields(&mut self, spec: Option<&NamesSpec>) -> RequestFields {
        match spec {
            None => return RequestFields::None,
            Some(NamesSpec::Word(word)) if word == "all" => return RequestFields::All,
            Some(NamesSpec::Word(_)) => {}
            Some(NamesSpec::Names(names)) => {
                let names: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
                if names.iter().all(|name| passing::is_token(name) && !passing::is_refused_field(name)) {
                    return RequestFields::Named(names);
                }
            }
        }
        let expected = "\"all\" or a list of field names, none of which tells who the client is or means another host, path or \
                        method, is this hop's own, or has an underscore";
        self.fault_as_written("request-headers", spec.map(ToString::to_string).unwrap_or_default(), expected);
        RequestFields::None
    }

    fn template(&mut self, field: &'static str, text: &str, pattern: &Pattern) -> Option<Template> {
        match Template::parse(text, pattern.names()) {
            Ok(template) => Some(template),
            Err(expected) => {
                self.fault(field, text, expected);
                None
            }
        }
    }

    fn key(&mut self, text: &str, pattern: &Pattern) -> Option<Template> {
        let template = self.template("key", text, pattern)?;
        // Any values show whether the text around them can make a key; the values of a request are checked as they come.
        let sample = template.plain(&vec!["x"; pattern.names().len()]);
        if ObjectPath::from_decoded(&sample).is_err() {
            self.fault("key", text, "a path below a root: no leading slash, no empty segments, no '.' and no '..'");
        }
        Some(template)
    }

    fn origin(&mut self, text: &str, pattern: &Pattern) -> Option<Template> {
        let template = self.template("origin", text, pattern)?;
        let sendable = text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !sendable || template.target(&vec!["x"; pattern.names().len()]).is_none() {
            let expected = "a request target: a percent-encoded path that begins with '/', and perhaps a query";
            self.fault("origin", text, expected);
        }
        Some(template)
    }

    fn filename(&mut self, text: &str, pattern: &Pattern) -> Option<Template> {
        let template = self.template("filename", text, pattern)?;
        if text.is_empty() || text.contains('/') || template.variables().any(|variable| pattern.is_rest(variable)) {
            self.fault("filename", text, "one name: no slash, and no variable that takes several segments");
        }
        Some(template)
    }

    fn header(&mut self, field: &'static str, value: Option<&str>) {
        let Some(value) = value else { return };
        let fits = !value.trim().is_empty() && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if !fits {
            self.fault(field, value, "the value of a header: visible ASCII characters and spaces");
        }
    }
}

/// The texts cannot hold a control character once they are checked, so a NUL separates them safely.
fn hash(spec: &RouteSpec, access: Access, query: &QueryRule) -> u64 {
    let query = match query {
        QueryRule::Ignore => "ignore".to_owned(),
        QueryRule::Keep => "keep".to_owned(),
        QueryRule::Names(names) => format!("names\0{}", names.join("\0")),
    };
    let optional = |text: &Option<String>| text.as_ref().map_or_else(String::new, |text| format!("={text}"));
    let passing = [("methods", &spec.methods), ("request-headers", &spec.request_headers)];
    let passing = passing.into_iter().filter_map(|(name, spec)| Some(format!("{name}={}", spec.as_ref()?)));
    let all = [
        "v1".to_owned(),
        spec.r#match.clone(),
        optional(&spec.key),
        optional(&spec.origin),
        optional(&spec.filename),
        access.to_string(),
        optional(&spec.cache_control),
        optional(&spec.content_type),
        query,
    ];
    // Absent, they leave the hash as it was before there were any.
    let all: Vec<_> = all.into_iter().chain(passing).collect();
    XxHash3_64::oneshot(all.join("\0").as_bytes())
}
