//! What clients must not get through the gRPC port: each is sent over TCP to the built binary, answered by its code,
//! reason and field, and changes no row. The gateway's own inputs stand in `shop-web/tests/it/bad_inputs.rs`.

mod callbacks;
mod frames;
mod legal;
mod requests;
mod wire;
mod world;

use std::{fmt, fs};

use serde_json::Value;
use tonic::Code;

use self::{
    wire::{Call, Reply},
    world::{CANARY, World},
};

/// What must come back.
#[derive(Debug)]
enum Expected {
    /// A refusal of ours: code, reason, field.
    No(Code, &'static str, &'static str),
    /// A refusal of the protocol, without a reason of ours.
    Protocol(&'static [Code]),
    /// No gRPC at all.
    Http(u16),
    /// An answer.
    Fine,
}

/// One row of a table.
struct Case {
    id: &'static str,
    what: String,
    call: Call,
    expected: Expected,
}

impl Case {
    fn new(id: &'static str, what: impl Into<String>, call: Call, expected: Expected) -> Self {
        Self { id, what: what.into(), call, expected }
    }

    /// What is wrong with `reply`.
    fn wrong(&self, reply: &Reply) -> Option<String> {
        let (code, (reason, field)) = (reply.code(), reply.reason());
        let as_expected = match &self.expected {
            Expected::No(expected, name, at) => (code, &*reason, &*field) == (Some(*expected), *name, *at),
            Expected::Protocol(codes) => code.is_some_and(|code| codes.contains(&code)) && reason.is_empty(),
            Expected::Http(status) => reply.http == *status,
            Expected::Fine => code == Some(Code::Ok),
        };
        let wanted = &self.expected;
        (!as_expected).then(|| format!("{self}: wanted {wanted:?}, got {code:?} {reason} {field}, HTTP {}", reply.http))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what: String = self.what.chars().take(100).collect();
        write!(f, "{} {what}", self.id)
    }
}

/// Sends every case; none may change a row, or end the process or the connection. Answers with all that was shown.
async fn refuse(world: &World, cases: &[Case]) -> Vec<String> {
    let mut before = world.dump().await;
    let (mut shown, mut wrong) = (Vec::new(), Vec::new());
    for case in cases {
        match case.call.send(&world.wire).await {
            Ok(reply) => {
                wrong.extend(case.wrong(&reply));
                shown.push(reply.shown);
            }
            Err(error) => wrong.push(format!("{case}: no answer: {error}")),
        }
        let after = world.dump().await;
        if after != before {
            let new: Vec<&str> = after.lines().filter(|row| !before.contains(row)).collect();
            wrong.push(format!("{case}: changed rows:\n{}", new.join("\n")));
            before = after;
        }
        assert!(world.is_healthy().await, "{case}");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    shown
}

/// Texts that no client may read and no log may hold.
const HIDDEN: [&str; 8] =
    [CANARY, "SELECT ", "INSERT INTO", "UPDATE trade", "DELETE FROM", "trade_order", "trade_pay", "sqlx"];

fn hides(texts: &[String]) {
    for text in texts {
        for hidden in HIDDEN {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
}

/// Every line is one object, whatever clients wrote, and none tells what is nobody's business.
fn log_is_clean(world: &World) {
    let log = fs::read_to_string(&world.up.log).unwrap();
    assert!(!log.is_empty());
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
    hides(&[log]);
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let world = World::start().await;
    let mut shown = refuse(&world, &requests::cases(&world)).await;
    shown.extend(refuse(&world, &callbacks::cases(&world)).await);
    shown.extend(refuse(&world, &frames::cases(&world)).await);
    hides(&shown);
    callbacks::genuine_but_wrong_is_recorded(&world).await;
    frames::other_protocols_are_refused(&world).await;
    frames::floods_are_sent_away(&world).await;
    legal::what_is_strange_but_right_is_kept(&world).await;
    callbacks::nothing_takes_a_payment_back(&world).await;
    log_is_clean(&world);
    world.up.signal("TERM").await;
    assert_eq!(world.up.ended().await.0.code(), Some(0));
}
