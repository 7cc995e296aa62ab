//! The table: what is to be reached, what was measured, and whether it suffices.

use std::fmt;

use crate::statistics::Spread;

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Shown, not judged.
    None,
}

/// One figure.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) work: String,
    pub(crate) figure: &'static str,
    pub(crate) bound: Bound,
    pub(crate) measured: Spread,
    /// The best that any design gave when the bounds were set.
    pub(crate) floor: &'static str,
    /// The figures behind the ratio.
    pub(crate) detail: String,
}

impl Bound {
    fn reached(self, median: f64) -> bool {
        match self {
            Self::AtMost(bound) => median <= bound,
            Self::AtLeast(bound) => median >= bound,
            Self::None => true,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "≤ {bound:.2}"),
            Self::AtLeast(bound) => write!(f, "≥ {bound:.2}"),
            Self::None => Ok(()),
        }
    }
}

impl Line {
    /// Whether the figure is as good as it must be: the median decides, also where the spread reaches beyond the bound.
    pub(crate) fn reached(&self) -> bool {
        self.bound.reached(self.measured.median)
    }

    fn verdict(&self) -> &'static str {
        match (self.bound, self.reached()) {
            (Bound::None, _) => "",
            (_, true) => "yes",
            (_, false) => "SHORT",
        }
    }

    fn cells(&self) -> [String; 7] {
        [
            self.work.clone(),
            self.figure.to_owned(),
            self.bound.to_string(),
            self.measured.to_string(),
            self.floor.to_owned(),
            self.verdict().to_owned(),
            self.detail.clone(),
        ]
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [work, figure, bound, measured, _, verdict, detail] = self.cells();
        write!(f, "{work:<38} {figure:<42} {bound:<7} {measured:<12} {verdict:<6} {detail}")
    }
}

const HEADINGS: [&str; 7] = ["work", "figure", "to reach", "measured", "floor seen", "reached", "behind it"];

/// The lines as a table in Markdown, readable in a terminal too.
pub(crate) fn markdown(lines: &[Line]) -> String {
    let rows: Vec<[String; 7]> = lines.iter().map(Line::cells).collect();
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        widest.max(HEADINGS[column].chars().count())
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let rule = widths.map(|width| format!("|{}", "-".repeat(width + 2))).concat();
    let row = |cells: &[String; 7]| {
        let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("| {cell:<width$} ")).collect();
        format!("{}|\n", padded.concat())
    };
    let body: String = rows.iter().map(row).collect();
    format!("{}{rule}|\n{body}", row(&HEADINGS.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::{Bound, Line, markdown};
    use crate::statistics::Spread;

    fn line(bound: Bound) -> Line {
        Line {
            work: "plain, 1 KiB".to_owned(),
            figure: "server CPU vs nginx",
            bound,
            measured: Spread { median: 0.7, low: 0.6, high: 0.8 },
            floor: "0.45",
            detail: String::new(),
        }
    }

    #[test]
    fn the_median_decides() {
        assert!(line(Bound::AtMost(0.7)).reached() && line(Bound::AtLeast(0.7)).reached());
        assert!(!line(Bound::AtMost(0.69)).reached() && !line(Bound::AtLeast(0.71)).reached());
        assert!(line(Bound::None).reached());
    }

    #[test]
    fn every_row_of_the_table_is_as_wide_as_its_head() {
        let table = markdown(&[line(Bound::AtMost(0.65)), line(Bound::None)]);
        let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths.len(), 4);
        assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
        assert!(table.contains("≤ 0.65") && table.contains("0.70 ± 0.10") && table.contains("SHORT"), "{table}");
    }
}
