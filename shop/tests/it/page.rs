//! Pages that name tests: whether what they name is there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Where the repository is.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cells of every row of the tables of a page, without the heads, which begin with `head`.
pub(crate) fn rows(page: &str, head: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join(page)).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with(head));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// The tests that a cell names, each of which is there.
pub(crate) fn tests(cell: &str) -> Vec<&str> {
    let tests: Vec<&str> =
        cell.split("<br>").map(|test| test.trim_matches('`')).filter(|test| !test.is_empty()).collect();
    for test in &tests {
        assert!(is_a_test(&root(), test), "nothing runs {test}");
    }
    tests
}

/// Each number up to `last` is told once, and without tests are those of `without` alone.
pub(crate) fn each_once(told: &[(u32, usize)], last: u32, without: &[u32]) {
    let tests: BTreeMap<u32, usize> = told.iter().copied().collect();
    assert_eq!(tests.len(), told.len(), "twice: {told:?}");
    assert!(tests.keys().copied().eq(1..=last), "{:?}", tests.keys());
    let untested = tests.iter().filter(|(_, tests)| **tests == 0).map(|(number, _)| *number);
    assert_eq!(untested.collect::<Vec<_>>(), without);
}

/// Whether `file.rs::name` is a function with the attribute of a test.
fn is_a_test(root: &Path, test: &str) -> bool {
    let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("no file.rs::name: {test}"));
    let source = fs::read_to_string(root.join(file)).unwrap_or_default();
    let Some((before, _)) = source.split_once(&format!("fn {name}(")) else { return false };
    // What stands before it on its own line is `async` or nothing.
    let before = before.rsplit_once('\n').map_or("", |(lines, _)| lines);
    let above: Vec<&str> = before.lines().rev().map(str::trim).take_while(|line| line.starts_with("#[")).collect();
    above.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test")) && is_compiled(root, file)
}

/// Whether a file beside a `tests/it/main.rs` is one of its modules: what nobody compiles tests nothing.
fn is_compiled(root: &Path, file: &str) -> bool {
    let Some((krate, module)) = file.split_once("/tests/it/") else { return true };
    let main = fs::read_to_string(root.join(krate).join("tests/it/main.rs")).unwrap();
    main.lines().any(|line| line.strip_prefix("mod ").is_some_and(|rest| rest.replace(';', ".rs") == module))
}
