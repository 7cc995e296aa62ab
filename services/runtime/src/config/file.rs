//! The TOML layer: one file, its settings as texts and its sections as they are.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

/// A file may be this long; nobody writes more by hand, and a device file must not fill the memory.
const LONGEST: u64 = 4 << 20;

/// The values of a setting, as the file gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// The texts; one, unless it is an array.
    pub(super) texts: Vec<String>,
    /// Whether it is an array.
    pub(super) list: bool,
    /// The value as TOML writes it, for faults.
    pub(super) shown: String,
}

/// A file whose syntax is right; the empty one when none was named.
#[derive(Debug, Default)]
pub(super) struct File {
    path: PathBuf,
    /// Parsed anew for each question: the parser's values borrow from it, and a start asks some dozen times.
    text: String,
}

/// Why a file gives no settings.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It is missing, unreadable, too long, or not UTF-8.
    Unreadable(io::Error),
    /// It is no TOML; each line is a fault.
    Malformed(Vec<String>),
}

impl File {
    /// Reads and checks the syntax.
    pub(super) fn load(path: &Path) -> Result<Self, Unfit> {
        let text = read(path).map_err(Unfit::Unreadable)?;
        let file = Self { path: path.to_owned(), text };
        let (_, errors) = DeTable::parse_recoverable(&file.text);
        let faults: Vec<_> = errors.iter().map(|error| file.syntax_fault(error)).collect();
        if faults.is_empty() { Ok(file) } else { Err(Unfit::Malformed(faults)) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The keys at the top level, in the file's order, with their lines.
    pub(super) fn keys(&self) -> Vec<(String, usize)> {
        let mut keys: Vec<_> = self.table().into_iter().map(|(key, _)| (key.span().start, key.into_inner())).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(at, key)| (key.into_owned(), self.line(at))).collect()
    }

    /// The value of a setting; a table or a date is a fault.
    pub(super) fn get(&self, name: &str) -> Option<Result<Given, String>> {
        let value = self.table().remove(name)?;
        let wrong =
            || format!("{name} ({}): expected a text, a number, true or false, or an array of those", self.at(&value));
        Some(match value.get_ref() {
            DeValue::Array(items) => {
                let texts: Option<Vec<_>> = items.iter().map(|item| scalar(item.get_ref())).collect();
                texts.ok_or_else(wrong).map(|texts| Given { texts, list: true, shown: self.source(&value) })
            }
            one => scalar(one).ok_or_else(wrong).map(|text| Given {
                texts: vec![text],
                list: false,
                shown: self.source(&value),
            }),
        })
    }

    /// A section as a type; what does not fit is a fault with its line.
    pub(super) fn section<T: DeserializeOwned>(&self, name: &str) -> Option<Result<T, String>> {
        let value = self.table().remove(name)?;
        let at = value.span().start;
        Some(T::deserialize(ValueDeserializer::from(value)).map_err(|error| self.fault(name, at, &error)))
    }

    /// An array of tables, each on its own, so that each may have its fault.
    pub(super) fn tables<T: DeserializeOwned>(&self, name: &str) -> Option<Result<Vec<T>, Vec<String>>> {
        let value = self.table().remove(name)?;
        let DeValue::Array(items) = value.get_ref() else {
            return Some(Err(vec![format!("{name} ({}): expected an array of tables, [[{name}]]", self.at(&value))]));
        };
        let mut faults = Vec::new();
        let mut whole = Vec::new();
        for item in items {
            match T::deserialize(ValueDeserializer::from(item.clone())) {
                Ok(one) => whole.push(one),
                Err(error) => faults.push(self.fault(name, item.span().start, &error)),
            }
        }
        Some(if faults.is_empty() { Ok(whole) } else { Err(faults) })
    }

    fn table(&self) -> DeTable<'_> {
        DeTable::parse_recoverable(&self.text).0.into_inner()
    }

    /// A fault at the place that the error names, else at `start`.
    fn fault(&self, name: &str, start: usize, error: &toml::de::Error) -> String {
        let line = self.line(error.span().map_or(start, |span| span.start));
        format!("{name} ({}, line {line}): {}", self.path.display(), one_line(error.message()))
    }

    fn syntax_fault(&self, error: &toml::de::Error) -> String {
        let line = self.line(error.span().map_or(0, |span| span.start));
        format!("{}, line {line}: {}", self.path.display(), one_line(error.message()))
    }

    fn at(&self, value: &Spanned<DeValue<'_>>) -> String {
        format!("{}, line {}", self.path.display(), self.line(value.span().start))
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn source(&self, value: &Spanned<DeValue<'_>>) -> String {
        one_line(self.text.get(value.span()).unwrap_or_default())
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other("longer than any configuration"));
    }
    Ok(text)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
