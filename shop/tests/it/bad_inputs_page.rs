//! The page of bad inputs tells the truth.

use crate::page;

/// How a row without tests says so.
const NO_TEST: &str = "*no test yet*";
/// The rows that may: there are no tokens, certificates and logins yet.
const WITHOUT_TESTS: [u32; 6] = [52, 68, 69, 71, 72, 73];
/// Bad inputs of the list.
const BAD_INPUTS: u32 = 86;

#[test]
fn every_bad_input_has_a_test_that_exists_or_is_said_to_have_none() {
    let mut told = Vec::new();
    for row in page::rows("docs/bad-inputs.md", "| # ") {
        let [id, input, must_hold, shown_by] = row.as_slice() else { panic!("{row:?}") };
        let number =
            id.strip_prefix('B').and_then(|number| number.parse::<u32>().ok()).unwrap_or_else(|| panic!("{id}"));
        let tests = if shown_by == NO_TEST { Vec::new() } else { page::tests(shown_by) };
        assert_eq!(*id, format!("B{number:02}"));
        assert!(!input.is_empty() && !must_hold.is_empty(), "{row:?}");
        assert_eq!(tests.is_empty(), shown_by == NO_TEST, "{row:?}");
        told.push((number, tests.len()));
    }
    page::each_once(&told, BAD_INPUTS, &WITHOUT_TESTS);
}
