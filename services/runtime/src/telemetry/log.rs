//! Log lines: which, and how they look.

use std::{fmt, io::IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::LevelFilter,
    fmt::{self as lines, MakeWriter},
    registry::LookupSpan,
};

use crate::config::FromSetting;

/// Which log lines are written: a level, or levels per module, as in `info,ferry_node=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Filter {
    fn layer_filter(&self) -> EnvFilter {
        EnvFilter::builder().parse(&self.0).expect("it was parsed when it was made")
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromSetting for Filter {
    const EXPECTED: &'static str =
        "a level (error, warn, info, debug, trace, off) or levels per module, such as info,ferry_node=debug";

    /// Stricter than [`EnvFilter`], which takes a bare word for a module: a misspelt level would silence everything else.
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        let says_how_much =
            |part: &&str| part.contains('=') || (!part.is_empty() && part.parse::<LevelFilter>().is_ok());
        let text = parts.join(",");
        if parts.iter().all(says_how_much) && EnvFilter::builder().parse(&text).is_ok() {
            Ok(Self(text))
        } else {
            Err(format!("expected {}", Self::EXPECTED))
        }
    }
}

impl FromSetting for Format {
    const EXPECTED: &'static str = "text or json";

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("expected {}", Self::EXPECTED)),
        }
    }
}

/// The layer that writes log lines.
pub(super) fn layer<S>(
    filter: &Filter,
    format: Format,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let lines = lines::layer().with_writer(writer);
    let layer = match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    layer.with_filter(filter.layer_filter()).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_how_much_of_what() {
        for good in ["info", "WARN", "off", "info,ferry_node=debug", "warn, ferry_core::routes=trace"] {
            assert!(Filter::parse(good).is_ok(), "{good:?} was refused");
        }
        for bad in ["", "verbose", "info,ferry_node", "info,", "ferry_node=loud"] {
            assert!(Filter::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
