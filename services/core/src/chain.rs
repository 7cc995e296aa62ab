//! An error and its causes, as whoever handles it prints them.

use std::{error::Error, fmt};

/// An error and all its causes on one line. Display of an error never repeats its source, so this does.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(next) = cause {
            write!(f, ": {next}")?;
            cause = next.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outside")]
    struct Outer(#[source] fmt::Error);

    #[test]
    fn causes_follow_what_they_caused() {
        let inner = fmt::Error;
        assert_eq!(Chain(&Outer(inner)).to_string(), format!("outside: {inner}"));
        assert_eq!(Chain(&inner).to_string(), inner.to_string());
    }
}
