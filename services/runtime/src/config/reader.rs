//! From texts to types, with every fault on the way.

use std::fmt::Display;

use serde::de::DeserializeOwned;

use super::{
    fault::{Provenance, Refusal},
    setting::Kind,
    sources::{Sources, Won},
    value::FromSetting,
};

/// How much of a value a fault shows, in characters.
const LONGEST_SHOWN: usize = 120;

/// Reads settings as types and collects what is wrong. Nothing may be acted on before [`Reader::finish`] or
/// [`Reader::conclude`] said yes.
///
/// ```
/// # use ferry_runtime::config::{Environment, Refusal, Setting, Sources, command};
/// # use std::{net::SocketAddr, time::Duration};
/// const SETTINGS: &[Setting] = &[
///     Setting::text("listen", "ADDRESS:PORT", "Where clients connect").default("127.0.0.1:8080"),
///     Setting::text("dead-after", "TIME", "When a silent node is down").default("4s"),
/// ];
/// struct Config { listen: SocketAddr, dead_after: Duration }
///
/// fn read(sources: &Sources) -> Result<Config, Refusal> {
///     let mut reader = sources.reader();
///     let listen = reader.require("listen");
///     let dead_after = reader.require::<Duration>("dead-after");
///     if dead_after.is_some_and(|limit| limit < Duration::from_secs(1)) {
///         reader.fault("dead-after", "must be at least 1s");
///     }
///     reader.conclude(|| Some(Config { listen: listen?, dead_after: dead_after? }))
/// }
/// # let matches = command("x", "", &[SETTINGS]).get_matches_from(["x"]);
/// # read(&Sources::gather("x", &[SETTINGS], &[], &matches, &Environment::default())).expect("defaults");
/// ```
#[derive(Debug)]
pub struct Reader<'a> {
    sources: &'a Sources,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn over(sources: &'a Sources) -> Self {
        Self { sources, faults: sources.faults().to_vec() }
    }

    /// The value of a setting; `None` when it is not set, and when it is faulty.
    pub fn get<T: FromSetting>(&mut self, name: &str) -> Option<T> {
        let kind = self.sources.setting(name).kind;
        debug_assert!(!matches!(kind, Kind::List(_)), "`{name}` is a list");
        let won = self.sources.value(name)?;
        if won.list {
            let expected = match kind {
                Kind::Text(placeholder) | Kind::List(placeholder) => placeholder,
                Kind::Switch => "true or false",
            };
            self.fault(name, format!("expected one {expected}, not a list"));
            return None;
        }
        match T::parse(won.texts.first().map_or("", String::as_str)) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.fault(name, expected);
                None
            }
        }
    }

    /// Like [`Self::get`], but a setting that is not set is a fault.
    pub fn require<T: FromSetting>(&mut self, name: &str) -> Option<T> {
        if self.sources.value(name).is_none() {
            self.fault(name, format!("expected {}", T::EXPECTED));
            return None;
        }
        self.get(name)
    }

    /// The values of a list; empty when it is not set. Each item that does not parse is a fault.
    pub fn list<T: FromSetting>(&mut self, name: &str) -> Vec<T> {
        let Some(won) = self.sources.value(name) else { return Vec::new() };
        let secret = self.sources.setting(name).secret;
        let mut items = Vec::with_capacity(won.texts.len());
        for text in &won.texts {
            match T::parse(text.trim()) {
                Ok(item) => items.push(item),
                Err(expected) if won.texts.len() == 1 || secret => self.fault(name, expected),
                Err(expected) => self.fault(name, format!("{}: {expected}", short(&format!("{text:?}")))),
            }
        }
        items
    }

    /// Whether a switch is on.
    pub fn switch(&mut self, name: &str) -> bool {
        self.get(name).unwrap_or(false)
    }

    /// A structured part of the TOML file; `None` when it is not there, and when it is faulty.
    pub fn section<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match self.sources.section(name)? {
            Ok(section) => Some(section),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    /// An array of tables (`[[name]]`) of the TOML file, with one fault for each table that is faulty.
    pub fn tables<T: DeserializeOwned>(&mut self, name: &str) -> Option<Vec<T>> {
        match self.sources.tables(name)? {
            Ok(tables) => Some(tables),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }

    /// Whether anybody, a default included, sets it.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.sources.value(name).is_some()
    }

    /// Where the value of a setting came from; the default when nobody sets it.
    #[must_use]
    pub fn origin_of(&self, name: &str) -> Provenance {
        self.sources.value(name).map_or(Provenance::Default, |won| won.origin.clone())
    }

    /// Says that the value of a setting will not do; value and provenance are added here. `expected` says what would:
    /// `expected ADDRESS:PORT`, `must be at most a third of dead-after (4s)`.
    pub fn fault(&mut self, name: &str, expected: impl Display) {
        let line = match self.sources.value(name) {
            None => format!("{name} (not set): {expected}"),
            Some(won) => format!("{name} = {} ({}): {expected}", self.shown(name, won), won.origin),
        };
        self.faults.push(line);
    }

    /// Says that something is wrong that belongs to no single setting.
    pub fn refuse(&mut self, fault: impl Display) {
        self.faults.push(fault.to_string());
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// All faults, if there are any.
    pub fn finish(self) -> Result<(), Refusal> {
        Refusal::of(self.sources.role(), self.faults).map_or(Ok(()), Err)
    }

    /// The checked configuration, or all faults. `checked` returns `None` only where a value is missing that left a fault.
    ///
    /// # Panics
    ///
    /// When `checked` returns `None` although nothing was found wrong.
    pub fn conclude<T>(self, checked: impl FnOnce() -> Option<T>) -> Result<T, Refusal> {
        self.finish()?;
        Ok(checked().expect("a value that is missing left a fault"))
    }

    fn shown(&self, name: &str, won: &Won) -> String {
        if self.sources.setting(name).secret { "(secret)".to_owned() } else { short(&won.shown) }
    }
}

/// A value must not fill the terminal.
fn short(value: &str) -> String {
    match value.char_indices().nth(LONGEST_SHOWN) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}
