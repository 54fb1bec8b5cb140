//! What the audit found: as a table for people, as JSON for programs.

use std::{collections::HashSet, fmt};

use serde::Serialize;

use super::Pending;

/// Most ids, and most texts, shown of one invariant; JSON has them all.
const SHOWN: usize = 20;

/// What was found of all invariants.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// One for each invariant, in order.
    pub checks: Vec<Check>,
    /// What was in flight and therefore left out.
    pub pending: Pending,
}

/// One invariant.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// `I01` to `I20`.
    pub id: &'static str,
    /// What must be true.
    pub title: &'static str,
    /// Where it is not.
    pub violations: Vec<Violation>,
    /// How many rows were checked.
    pub checked: usize,
}

/// Where an invariant does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Violation {
    /// The offending rows, the one to look at first.
    pub ids: Vec<String>,
    /// What is wrong with them.
    pub text: String,
    /// Whether nothing is wrong but that it is late: a shop that is stopped is late with everything.
    pub late: bool,
    /// Whether it may be nothing but two moments of two schemas, or work that is just being done.
    #[serde(skip)]
    pub(super) is_apparent: bool,
}

/// Of what nature a violation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Certain,
    Apparent,
    Late,
}

impl Report {
    /// Whether no invariant is violated.
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.violations.is_empty())
    }

    /// The invariant `id`.
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }

    /// `{"clean", "pending", "checks": [{"id", "title", "violations": [{"ids", "text", "late"}], "checked"}]}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "clean": self.is_clean(), "pending": self.pending, "checks": self.checks })
    }

    /// Whether a second look would not change it.
    pub(super) fn is_certain(&self) -> bool {
        self.checks.iter().flat_map(|check| &check.violations).all(|violation| !violation.is_apparent)
    }

    /// This second look: of what only appears to be, what the first one found too; of what is certain, what either did.
    #[must_use]
    pub(super) fn confirming(mut self, first: &Self) -> Self {
        for (check, before) in self.checks.iter_mut().zip(&first.checks) {
            let seen: HashSet<&Violation> = before.violations.iter().collect();
            check.violations.retain(|violation| !violation.is_apparent || seen.contains(violation));
            let known: HashSet<Violation> = check.violations.iter().cloned().collect();
            let gone =
                before.violations.iter().filter(|violation| !violation.is_apparent && !known.contains(violation));
            check.violations.extend(gone.cloned());
        }
        self
    }
}

impl Check {
    pub(super) const fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, violations: Vec::new(), checked: 0 }
    }

    /// Counts a row that is checked.
    pub(super) const fn count(&mut self) {
        self.checked = self.checked.saturating_add(1);
    }

    /// Wrong at any moment.
    pub(super) fn certain<I: fmt::Display>(&mut self, ids: impl IntoIterator<Item = I>, text: impl Into<String>) {
        self.add(ids, text.into(), Nature::Certain);
    }

    /// Wrong unless a second look does not find it again.
    pub(super) fn apparent<I: fmt::Display>(&mut self, ids: impl IntoIterator<Item = I>, text: impl Into<String>) {
        self.add(ids, text.into(), Nature::Apparent);
    }

    /// Not done although it was time, as a second look finds too.
    pub(super) fn late<I: fmt::Display>(&mut self, ids: impl IntoIterator<Item = I>, text: impl Into<String>) {
        self.add(ids, text.into(), Nature::Late);
    }

    fn add<I: fmt::Display>(&mut self, ids: impl IntoIterator<Item = I>, text: String, nature: Nature) {
        let ids = ids.into_iter().map(|id| id.to_string()).collect();
        let (late, is_apparent) = (nature == Nature::Late, nature != Nature::Certain);
        self.violations.push(Violation { ids, text, late, is_apparent });
    }
}

/// One line for each invariant with the offending ids, then what is wrong with them.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        for check in self.checks.iter().filter(|check| !check.violations.is_empty()) {
            writeln!(f)?;
            for violation in check.violations.iter().take(SHOWN) {
                writeln!(f, "{}  {}", check.id, violation.text)?;
            }
            rest(f, check.violations.len())?;
        }
        let Pending { orders, payments, refunds, holds, notices, messages } = self.pending;
        writeln!(
            f,
            "\nin flight: {orders} orders, {payments} payments, {refunds} refunds, {holds} holds, {notices} notices, \
             {messages} messages"
        )?;
        if self.checks.iter().flat_map(|check| &check.violations).any(|violation| violation.late) {
            writeln!(f, "something is late: if the shop is stopped, start it and look again with --wait")?;
        }
        write!(f, "{}", if self.is_clean() { "clean" } else { "violated" })
    }
}

/// One line: `I01  ok        12  what must be true`, or `I01  violated  12  what must be true: 5, 7`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.violations.is_empty() { "ok" } else { "violated" };
        write!(f, "{}  {verdict:<8}  {:>8}  {}", self.id, self.checked, self.title)?;
        if self.violations.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = self.violations.iter().flat_map(|violation| &violation.ids).map(String::as_str).collect();
        let shown: Vec<&str> = ids.iter().take(SHOWN).copied().collect();
        write!(f, ": {}", shown.join(", "))?;
        match ids.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

fn rest(f: &mut fmt::Formatter<'_>, all: usize) -> fmt::Result {
    match all.checked_sub(SHOWN) {
        Some(more @ 1..) => writeln!(f, "     and {more} more"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(violations: &[(&str, bool)]) -> Report {
        let mut check = Check::new("I02", "orders hold what they say");
        check.checked = 3;
        for (text, is_apparent) in violations {
            check.add([7], (*text).to_owned(), if *is_apparent { Nature::Apparent } else { Nature::Certain });
        }
        Report { checks: vec![check], pending: Pending::default() }
    }

    fn texts(report: &Report) -> Vec<&str> {
        report.checks[0].violations.iter().map(|violation| violation.text.as_str()).collect()
    }

    #[test]
    fn what_only_appears_to_be_wrong_needs_both_looks() {
        let (gone, stays, new) = (("gone", true), ("stays", true), ("new", true));
        let confirmed = report(&[stays, new]).confirming(&report(&[gone, stays]));
        assert_eq!(texts(&confirmed), ["stays"]);
        assert!(report(&[new]).confirming(&report(&[gone])).is_clean());
    }

    #[test]
    fn what_is_certain_needs_one_look() {
        let confirmed =
            report(&[("new", false), ("both", false)]).confirming(&report(&[("gone", false), ("both", false)]));
        assert_eq!(texts(&confirmed), ["new", "both", "gone"]);
        assert!(report(&[("new", false)]).is_certain());
        assert!(!report(&[("new", false), ("perhaps", true)]).is_certain());
    }

    #[test]
    fn a_table_has_one_line_for_each_invariant() {
        let clean = report(&[]).to_string();
        assert_eq!(clean.lines().next(), Some("I02  ok               3  orders hold what they say"));
        assert_eq!(clean.lines().last(), Some("clean"));
        let violated = report(&[("order 7 holds nothing", false)]).to_string();
        assert_eq!(violated.lines().next(), Some("I02  violated         3  orders hold what they say: 7"));
        assert!(violated.contains("\nI02  order 7 holds nothing\n"), "{violated}");
        assert_eq!(violated.lines().last(), Some("violated"));
    }

    #[test]
    fn a_table_shows_twenty_ids_and_says_how_many_more() {
        let violated = report(&[("wrong", false); 25]).to_string();
        let line = violated.lines().next().unwrap();
        assert_eq!(line.matches('7').count(), SHOWN, "{line}");
        assert!(line.ends_with(" and 5 more"), "{line}");
        assert_eq!(violated.matches("I02  wrong").count(), SHOWN, "{violated}");
        assert!(violated.contains("     and 5 more\n"), "{violated}");
    }

    #[test]
    fn json_says_the_same() {
        let json = report(&[("order 7 holds nothing", false)]).to_json();
        let check = serde_json::json!({
            "id": "I02", "title": "orders hold what they say", "checked": 3,
            "violations": [{ "ids": ["7"], "late": false, "text": "order 7 holds nothing" }],
        });
        assert_eq!((&json["clean"], &json["checks"][0]), (&false.into(), &check));
        assert_eq!(json["pending"]["orders"], 0);
    }
}
