//! What the demo found.

use std::fmt;

use comfy_table::{Cell, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

/// One figure: as it was, as it is, as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// As it was.
    pub before: String,
    /// As it is.
    pub after: String,
    /// As it must be.
    pub expected: String,
}

/// What the demo found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What happened, a line each.
    pub story: Vec<String>,
    /// Every figure.
    pub figures: Vec<Figure>,
    /// How long it took.
    pub seconds: u64,
}

impl Figure {
    /// A figure.
    pub fn new(what: &str, before: impl fmt::Display, after: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self {
            what: what.to_owned(),
            before: before.to_string(),
            after: after.to_string(),
            expected: expected.to_string(),
        }
    }

    /// Whether it is what it must be.
    pub fn is_right(&self) -> bool {
        self.after == self.expected
    }
}

impl Report {
    /// Whether every figure is what it must be.
    pub fn is_right(&self) -> bool {
        self.figures.iter().all(Figure::is_right)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["figure", "before", "after", "expected", ""]);
        for figure in &self.figures {
            let verdict = if figure.is_right() { "ok" } else { "WRONG" };
            table.add_row([&figure.what, &figure.before, &figure.after, &figure.expected, verdict].map(Cell::new));
        }
        writeln!(f, "\n{table}")?;
        let wrong = self.figures.iter().filter(|figure| !figure.is_right()).count();
        write!(f, "{} figures, {wrong} wrong, {} s", self.figures.len(), self.seconds)
    }
}
