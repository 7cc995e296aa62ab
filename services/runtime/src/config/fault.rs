//! What is wrong with a configuration, in words that lead to the place.

use std::{fmt, path::PathBuf};

/// The exit code of a process whose configuration or command line is refused (`EX_USAGE` of sysexits.h).
pub const EXIT_CONFIG: u8 = 64;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// The setting's table.
    Default,
    /// A TOML file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line, without its dashes.
    Flag(&'static str),
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// Everything that is wrong with a configuration; Display is the whole text for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    role: String,
    faults: Vec<String>,
}

impl Refusal {
    /// A refusal with these faults, one line each; `None` if there is none. A fault that is said twice is printed once.
    pub(super) fn of(role: &str, faults: impl IntoIterator<Item = String>) -> Option<Self> {
        let mut distinct: Vec<String> = Vec::new();
        for fault in faults {
            if !distinct.contains(&fault) {
                distinct.push(fault);
            }
        }
        (!distinct.is_empty()).then(|| Self { role: role.to_owned(), faults: distinct })
    }

    /// One line per fault.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let many = if self.faults.len() == 1 { "fault" } else { "faults" };
        write!(f, "ferry {}: configuration refused ({} {many})", self.role, self.faults.len())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
