//! The report for people.

use std::fmt;

use comfy_table::{Cell, Table, presets::UTF8_FULL_CONDENSED};

use super::{Report, Row};

/// Most failures that are shown.
const SHOWN: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["notification", "attempts", "sent", "accepted", "refused", "no clear answer", "wrong"]);
        for (kind, row) in &self.kinds {
            table.add_row(cells(kind, row));
        }
        table.add_row(cells("all, each once", &self.total));
        writeln!(f, "{table}")?;
        for failure in self.failures.iter().take(SHOWN) {
            let of = failure.pay_id.as_ref().map(|pay_id| format!(" of payment {pay_id}")).unwrap_or_default();
            writeln!(
                f,
                "WRONG: notification {}{of} ({}): expected {}, was {}",
                failure.notification, failure.kind, failure.expected, failure.verdict
            )?;
        }
        if self.total.wrong > SHOWN {
            writeln!(f, "… and {} more", self.total.wrong - SHOWN)?;
        }
        writeln!(f, "{}", self.effects)?;
        match &self.audit {
            None => writeln!(f, "audit: not asked for")?,
            Some(audit) if audit.clean => writeln!(f, "audit: clean")?,
            Some(audit) => writeln!(f, "audit: VIOLATED\n  {}", audit.violations.join("\n  "))?,
        }
        write!(
            f,
            "{} notifications, {} messages in {} ms ({}/s), seed {}, verdicts {}, {} wrong",
            self.notifications,
            self.sent,
            self.millis,
            self.rate(),
            self.seed,
            self.verdicts.get(..16).unwrap_or_default(),
            self.total.wrong,
        )
    }
}

fn cells(kind: &str, row: &Row) -> Vec<Cell> {
    let numbers = [row.attempts, row.sent, row.accepted, row.refused, row.unclear, row.wrong];
    std::iter::once(Cell::new(kind)).chain(numbers.map(Cell::new)).collect()
}
