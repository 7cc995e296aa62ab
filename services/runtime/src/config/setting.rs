//! One row of a role's table of settings.

/// What a setting's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One text, with its placeholder in help and faults, such as `ADDRESS:PORT`.
    Text(&'static str),
    /// On or off: a flag that needs no value.
    Switch,
    /// Several texts: separated by commas in flags and environment, an array in TOML; with the placeholder of one.
    List(&'static str),
}

/// A setting: its name everywhere, its default, its help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The flag and the TOML key, in kebab-case.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The lowest layer.
    pub default: Option<&'static str>,
    /// Names in the environment besides `FERRY_<ROLE>__<NAME>`, which wins over them.
    pub env: &'static [&'static str],
    /// One sentence for `--help`.
    pub help: &'static str,
    /// Whether there is a flag, or only a TOML key and the environment.
    pub flag: bool,
    /// Whether the value must not be shown.
    pub secret: bool,
}

impl Setting {
    /// A setting with one value.
    #[must_use]
    pub const fn text(name: &'static str, placeholder: &'static str, help: &'static str) -> Self {
        Self::of(name, Kind::Text(placeholder), help)
    }

    /// A setting that is on or off; off by default.
    #[must_use]
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::of(name, Kind::Switch, help)
    }

    /// A setting with several values.
    #[must_use]
    pub const fn list(name: &'static str, placeholder: &'static str, help: &'static str) -> Self {
        Self::of(name, Kind::List(placeholder), help)
    }

    const fn of(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, default: None, env: &[], help, flag: true, secret: false }
    }

    /// With a default.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    /// With more names in the environment, the strongest first.
    #[must_use]
    pub const fn env(mut self, names: &'static [&'static str]) -> Self {
        self.env = names;
        self
    }

    /// Without a flag.
    #[must_use]
    pub const fn no_flag(mut self) -> Self {
        self.flag = false;
        self
    }

    /// With a value that is never shown. It has no flag either: the arguments of a process are visible to every user.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self.flag = false;
        self
    }

    /// `FERRY_<ROLE>__<NAME>`, such as `FERRY_NODE__BEAT_EVERY`.
    #[must_use]
    pub fn own_env(&self, role: &str) -> String {
        format!("{}{}", env_prefix(role), shout(self.name))
    }
}

/// What every derived name in the environment of `role` begins with.
pub(super) fn env_prefix(role: &str) -> String {
    format!("FERRY_{}__", shout(role))
}

fn shout(kebab: &str) -> String {
    kebab.replace('-', "_").to_ascii_uppercase()
}
