//! The page of faults tells the truth.

use crate::page;

/// How a row without tests must begin to say why.
const NOT_YET: &str = "*not yet*";
/// Faults of the list.
const FAULTS: usize = 91;

#[test]
fn every_fault_has_a_test_that_exists_or_is_said_to_have_none() {
    let rows = page::rows("docs/faults.md", "| # ");
    for (row, number) in rows.iter().zip(1..) {
        let [fault, must_hold, tests, not_shown] = row.as_slice() else { panic!("{row:?}") };
        assert_eq!(*fault, format!("F{number:02}"), "each once, in their order");
        assert!(!must_hold.is_empty(), "{row:?}");
        assert_eq!(page::tests(tests).is_empty(), not_shown.starts_with(NOT_YET), "{row:?}");
    }
    assert_eq!(rows.len(), FAULTS);
}
