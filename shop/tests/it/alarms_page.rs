//! The pages for operators tell the truth: they name every alarm, every metric and every invariant, and nothing else.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
    str::Chars,
};

use shop::audit::{Options, audit};
use shop_common::time::Clock;

use crate::{
    child,
    page::{root, rows},
};

/// Who has rows to audit.
const SERVICES: [&str; 5] = ["goods", "coupon", "user", "order", "pay"];

/// The page has the message of every `tracing::error!` whole, with … in place of each placeholder.
#[test]
fn every_error_of_the_log_has_a_row() {
    let sources = sources();
    let message = |literals: &Vec<String>| fixed(literals.first().expect("an error says what is wrong"));
    let messages: BTreeSet<String> = calls(&sources, "error!(").iter().map(message).collect();
    let metrics: BTreeSet<String> = metrics(&sources).into_iter().map(|(metric, _)| metric).collect();

    let mut told = BTreeSet::new();
    for row in rows("docs/alarms.md", "| line ") {
        // The other table of the page has three columns.
        let [lines, by, counter, what_to_do] = row.as_slice() else { continue };
        assert!(!by.is_empty() && !what_to_do.is_empty(), "{row:?}");
        let counters: Vec<&str> = counter.split('`').filter(|part| part.starts_with("shop_")).collect();
        assert_eq!(counters.is_empty(), counter == "none", "{row:?}");
        assert!(counters.iter().all(|counter| metrics.contains(*counter)), "no such counter: {row:?}");
        assert!(lines.split("<br>").all(|line| told.insert(line.to_owned())), "twice: {row:?}");
    }
    are_equal(&told, &messages);
}

#[test]
fn every_metric_has_a_row() {
    let mut told = BTreeSet::new();
    for row in rows("docs/metrics.md", "| metric ") {
        let [metric, kind, labels, by, meaning] = row.as_slice() else { panic!("{row:?}") };
        assert!(!by.is_empty() && !meaning.is_empty(), "{row:?}");
        assert_eq!(labels == "none", !metric.contains('{'), "{row:?}");
        assert!(told.insert((metric.trim_matches('`').to_owned(), kind.clone())), "twice: {row:?}");
    }
    are_equal(&told, &metrics(&sources()));
}

#[tokio::test]
async fn every_invariant_has_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let schemas = child::schemas(dir.path()).await;
    let report = audit(&schemas, &Options::default(), &Clock::system()).await.unwrap();
    schemas.close().await;

    let mut told = Vec::new();
    let page = rows("docs/audit.md", "| id ");
    for row in page.iter().filter(|row| row[0].starts_with('I')) {
        let [id, title, services, compared] = row.as_slice() else { panic!("{row:?}") };
        assert!(services.split(", ").all(|service| SERVICES.contains(&service)) && !compared.is_empty(), "{row:?}");
        told.push((id.as_str(), title.as_str()));
    }
    let checked: Vec<(&str, &str)> = report.checks.iter().map(|check| (check.id, check.title)).collect();
    assert_eq!(told, checked);

    let told = page.iter().filter_map(|row| row[0].strip_prefix('`')?.strip_suffix('`'));
    let counted = report.to_json()["pending"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), counted, "what is in flight");
}

fn are_equal<T: Ord + Debug>(page: &BTreeSet<T>, code: &BTreeSet<T>) {
    let on_the_page_alone: Vec<&T> = page.difference(code).collect();
    let in_the_code_alone: Vec<&T> = code.difference(page).collect();
    let is_equal = on_the_page_alone.is_empty() && in_the_code_alone.is_empty();
    assert!(is_equal, "on the page alone: {on_the_page_alone:#?}\nin the code alone: {in_the_code_alone:#?}");
}

/// Every metric with its labels, as `name{label, label}`, and of what kind it is.
fn metrics(sources: &[String]) -> BTreeSet<(String, String)> {
    let mut metrics = BTreeSet::new();
    for kind in ["counter", "gauge", "histogram"] {
        for literals in calls(sources, &format!("{kind}!(")) {
            let (name, labels) = literals.split_first().expect("a metric has a name");
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(", ")) };
            metrics.insert((format!("{name}{labels}"), kind.to_owned()));
        }
    }
    metrics
}

/// What the crates are built of, without their tests.
fn sources() -> Vec<String> {
    let mut files = Vec::new();
    for krate in fs::read_dir(root()).unwrap() {
        find(&krate.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 100, "the crates are not where they were");
    let built = |file: &PathBuf| {
        let source = fs::read_to_string(file).unwrap();
        // Nothing stands below a module of tests: clippy wants it so.
        source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
    };
    files.iter().map(built).collect()
}

/// The files of Rust below `dir`, if it is there, without those of tests.
fn find(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            files.push(path);
        }
    }
}

/// The literals of each call of a macro, which is named with its parenthesis.
fn calls(sources: &[String], name: &str) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    for source in sources {
        for (at, _) in source.match_indices(name) {
            // `compile_error!` is none of `error!`.
            let is_longer = source[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
            if !is_longer {
                calls.push(literals(&source[at + name.len()..]));
            }
        }
    }
    calls
}

/// The text literals that arguments begin with, up to the end of the call; what comes after `=` or `=>` is a value.
fn literals(arguments: &str) -> Vec<String> {
    let (mut found, mut depth, mut before) = (Vec::new(), 1_usize, '(');
    let mut chars = arguments.chars();
    while depth > 0 {
        let next = chars.next().expect("a call has an end");
        match next {
            '"' => {
                let text = literal(&mut chars);
                if depth == 1 && matches!(before, '(' | ',') {
                    found.push(text);
                }
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if !next.is_whitespace() {
            before = next;
        }
    }
    found
}

/// A text literal from behind its first quote to its last, as the compiler reads it.
fn literal(chars: &mut Chars<'_>) -> String {
    let mut text = String::new();
    loop {
        match chars.next().expect("a literal has an end") {
            '"' => return text,
            '\\' => match chars.next().expect("a literal has an end") {
                // It goes on in the next line, behind the blanks.
                '\n' => *chars = chars.as_str().trim_start().chars(),
                escaped => text.push(escaped),
            },
            plain => text.push(plain),
        }
    }
}

/// A message with … in place of what is filled in.
fn fixed(message: &str) -> String {
    let mut parts = message.split('{');
    let mut fixed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, after) = part.split_once('}').expect("a placeholder has an end");
        fixed.push('…');
        fixed.push_str(after);
    }
    fixed
}
