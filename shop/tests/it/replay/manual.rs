//! Every example of docs/replay.md runs as it stands there, one after the other, against a shop that is up.

use std::fs;

use tempfile::tempdir;

use crate::child::{Up, run, shop, stderr, stdout};

const MANUAL: &str = include_str!("../../../../docs/replay.md");

/// The lines of all blocks in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in MANUAL.lines() {
        match line.strip_prefix("```") {
            Some(opened) => inside = !inside && opened == language,
            None if inside => lines.push(line),
            None => {}
        }
    }
    lines
}

#[tokio::test]
async fn every_example_of_the_manual_runs() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    fs::write(dir.path().join("recording.jsonl"), blocks("jsonl").join("\n")).unwrap();
    assert!(run(&data, &["seed"]).await.status.success());
    let up = Up::start(&data, &[]).await;
    let examples = blocks("sh");
    assert!(examples.len() >= 9, "{examples:?}");
    for example in examples {
        let here =
            example.replace("127.0.0.1:50051", &up.grpc.to_string()).replace("127.0.0.1:8080", &up.web.to_string());
        let args: Vec<&str> = here.strip_prefix("shop ").expect("an example is a command").split(' ').collect();
        let (data_dir, args) = match args.as_slice() {
            ["--data-dir", named, rest @ ..] => (dir.path().join(named), rest),
            rest => (dir.path().join("elsewhere"), rest),
        };
        let output = shop(&data_dir, args).current_dir(dir.path()).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{example}\n{}{}", stdout(&output), stderr(&output));
        assert!(!stdout(&output).is_empty(), "{example}");
    }
    assert!(fs::read_to_string(dir.path().join("replay.xml")).unwrap().contains("failures=\"0\""));
    up.kill().await;
}
