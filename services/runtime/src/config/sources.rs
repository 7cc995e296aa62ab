//! Who says what: the four layers of one role.

use std::{collections::BTreeMap, path::PathBuf};

use clap::ArgMatches;
use serde::de::DeserializeOwned;

use super::{
    environment::Environment,
    fault::Provenance,
    file::{File, Unfit},
    nearest::nearest,
    reader::Reader,
    setting::{Kind, Setting, env_prefix},
};

/// The setting that names the TOML file.
const CONFIG: &str = "config";

/// The winning value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Won {
    pub(super) texts: Vec<String>,
    /// Whether the source wrote a list, so that it fits no setting with one value.
    pub(super) list: bool,
    /// The value as its source shows it.
    pub(super) shown: String,
    pub(super) origin: Provenance,
}

/// The four layers of one role, laid over each other.
#[derive(Debug)]
pub struct Sources {
    role: &'static str,
    settings: BTreeMap<&'static str, Setting>,
    sections: Vec<&'static str>,
    file: File,
    values: BTreeMap<&'static str, Won>,
    faults: Vec<String>,
}

impl Sources {
    /// Finds the value of every setting in `tables`, reading the TOML file that `--config` or `FERRY_<ROLE>__CONFIG` names.
    ///
    /// `sections` are the structured parts of the file (such as `route`), which only a file can give. Nothing fails here: what is
    /// wrong with the file or the environment is kept for [`Reader::finish`].
    ///
    /// # Panics
    ///
    /// When `matches` do not come from [`super::command()`] with the same tables.
    #[must_use]
    pub fn gather(
        role: &'static str,
        tables: &[&[Setting]],
        sections: &[&'static str],
        matches: &ArgMatches,
        environment: &Environment,
    ) -> Self {
        let settings: BTreeMap<_, _> =
            tables.iter().copied().flatten().map(|setting| (setting.name, *setting)).collect();
        let mut sources = Self {
            role,
            settings,
            sections: sections.to_vec(),
            file: File::default(),
            values: BTreeMap::new(),
            faults: Vec::new(),
        };
        sources.refuse_unknown_variables(environment);
        for setting in sources.settings.clone().into_values() {
            let won = sources.of_flags(&setting, matches).or_else(|| sources.of_environment(&setting, environment));
            if let Some(won) = won {
                sources.values.insert(setting.name, won);
            }
        }
        sources.load_file();
        for setting in sources.settings.clone().into_values() {
            if !sources.values.contains_key(setting.name)
                && let Some(won) = sources.of_file(&setting).or_else(|| of_default(&setting))
            {
                sources.values.insert(setting.name, won);
            }
        }
        sources
    }

    /// Reads the values as types.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader::over(self)
    }

    /// The role that is configured.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        self.role
    }

    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    pub(super) fn setting(&self, name: &str) -> &Setting {
        self.settings.get(name).unwrap_or_else(|| panic!("`{name}` is in no table of `{}`", self.role))
    }

    pub(super) fn value(&self, name: &str) -> Option<&Won> {
        self.values.get(name)
    }

    pub(super) fn section<T: DeserializeOwned>(&self, name: &str) -> Option<Result<T, String>> {
        debug_assert!(self.sections.contains(&name), "`{name}` is no section of `{}`", self.role);
        self.file.section(name)
    }

    pub(super) fn tables<T: DeserializeOwned>(&self, name: &str) -> Option<Result<Vec<T>, Vec<String>>> {
        debug_assert!(self.sections.contains(&name), "`{name}` is no section of `{}`", self.role);
        self.file.tables(name)
    }

    fn of_flags(&mut self, setting: &Setting, matches: &ArgMatches) -> Option<Won> {
        if !setting.flag {
            return None;
        }
        let origin = Provenance::Flag(setting.name);
        let mut texts = Vec::new();
        for value in matches.get_many::<std::ffi::OsString>(setting.name)? {
            match value.to_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.faults.push(format!("{} ({origin}): the value is not UTF-8", setting.name)),
            }
        }
        Some(Won::of(setting, &texts.join(","), origin))
    }

    fn of_environment(&mut self, setting: &Setting, environment: &Environment) -> Option<Won> {
        let own = setting.own_env(self.role);
        for name in std::iter::once(own.as_str()).chain(setting.env.iter().copied()) {
            let Some(value) = environment.get(name) else { continue };
            let origin = Provenance::Variable(name.to_owned());
            match value.to_str() {
                Some(text) => return Some(Won::of(setting, text, origin)),
                None => self.faults.push(format!("{} ({origin}): the value is not UTF-8", setting.name)),
            }
        }
        None
    }

    fn of_file(&mut self, setting: &Setting) -> Option<Won> {
        let origin = Provenance::File(self.file.path().to_owned());
        match self.file.get(setting.name)? {
            Ok(given) if given.list => Some(Won { texts: given.texts, list: true, shown: given.shown, origin }),
            Ok(given) => {
                let text = given.texts.into_iter().next().unwrap_or_default();
                Some(Won { shown: given.shown, ..Won::of(setting, &text, origin) })
            }
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    /// A variable that looks like ours and is none is a typo, and would be ignored for years.
    fn refuse_unknown_variables(&mut self, environment: &Environment) {
        let prefix = env_prefix(self.role);
        let known: Vec<_> = self.settings.values().map(|setting| setting.own_env(self.role)).collect();
        for name in environment.beginning_with(&prefix) {
            if !known.iter().any(|known| known == name) {
                let suggestion = nearest(name, known.iter().map(String::as_str));
                self.faults.push(format!("{name}: unknown variable{}", did_you_mean(suggestion)));
            }
        }
    }

    fn load_file(&mut self) {
        let Some(named) = self.values.get(CONFIG) else { return };
        let path = PathBuf::from(named.texts.concat());
        match File::load(&path) {
            Ok(file) => self.file = file,
            Err(Unfit::Malformed(faults)) => self.faults.extend(faults),
            Err(Unfit::Unreadable(error)) => {
                self.faults.push(format!("{CONFIG} = {} ({}): {error}", named.shown, named.origin));
            }
        }
        let known: Vec<_> =
            self.settings.keys().chain(&self.sections).copied().filter(|name| *name != CONFIG).collect();
        for (key, line) in self.file.keys() {
            if !known.contains(&key.as_str()) {
                let suggestion = did_you_mean(nearest(&key, known.iter().copied()));
                self.faults.push(format!("{key} ({}, line {line}): unknown key{suggestion}", path.display()));
            }
        }
    }
}

impl Won {
    /// A value from a source that knows only texts.
    fn of(setting: &Setting, text: &str, origin: Provenance) -> Self {
        let texts = match setting.kind {
            Kind::List(_) => {
                text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
            }
            Kind::Text(_) | Kind::Switch => vec![text.to_owned()],
        };
        Self { texts, list: false, shown: format!("{text:?}"), origin }
    }
}

fn of_default(setting: &Setting) -> Option<Won> {
    setting.default.map(|text| Won::of(setting, text, Provenance::Default))
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
