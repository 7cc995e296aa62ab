//! The rows of the table, each measured by a function of its own.

mod plain;

use std::cell::RefCell;

use anyhow::Result;

use crate::{server::Ground, table::Line};

/// What a row needs to be measured, and where its lines go.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) ground: Ground<'a>,
    lines: RefCell<Vec<Line>>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(ground: Ground<'a>) -> Self {
        Self { ground, lines: RefCell::default() }
    }

    /// Shows a figure as soon as it is known, and keeps it for the table.
    #[allow(clippy::print_stdout, reason = "what this program is for")]
    pub(crate) fn tell(&self, line: Line) {
        println!("{line}");
        self.lines.borrow_mut().push(line);
    }

    pub(crate) fn lines(self) -> Vec<Line> {
        self.lines.into_inner()
    }
}

/// A row that can be asked for by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) measure: fn(&Bench<'_>) -> Result<()>,
}

/// In the order in which they are measured.
pub(crate) const ROWS: [Row; 1] =
    [Row { name: "plain", about: "static files over HTTP/1.1: server CPU", measure: plain::measure }];
