//! The last faults, for whoever has to find out why a seed fails.

use std::{collections::VecDeque, fmt};

use ferry_core::time::Tick;

use crate::faults::Fault;

/// Faults that are remembered.
const MOST: usize = 60;
/// Of one fault, so many letters: a cut may concern a thousand nodes.
const LONGEST: usize = 300;

/// The last of them, as text.
#[derive(Debug, Clone, Default)]
pub struct History {
    lines: VecDeque<String>,
}

impl History {
    pub(crate) fn push(&mut self, now: Tick, fault: &Fault) {
        if self.lines.len() == MOST {
            self.lines.pop_front();
        }
        let line: String = format!("{fault:?}").chars().take(LONGEST).collect();
        self.lines.push_back(format!("{:>10.3} s  {line}", now.since_origin().as_secs_f64()));
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
