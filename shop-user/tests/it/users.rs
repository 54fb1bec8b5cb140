//! Users of the tests.

use shop_common::{batch::Limits, service::Deps};
use shop_testkit::{TestDb, ledger::Ledger};
use shop_user::{Config, User};

pub(crate) const MONEY: Ledger = Ledger {
    log: "trade_user_money_log",
    log_type: "money_log_type",
    delta: "use_money_fen",
    accounts: "trade_user",
    account: "user_id",
    amount: "user_money_fen",
    holds: "trade_user_hold",
    key: "order_id",
};

pub(crate) const SCORE: Ledger = Ledger {
    log: "trade_user_score_log",
    log_type: "log_type",
    delta: "score",
    amount: "user_score",
    holds: "trade_user_score_hold",
    key: "pay_id",
    ..MONEY
};

/// What money and points must not do, whichever of them a test is about.
pub(crate) fn violations() -> Vec<String> {
    [MONEY.violations(), SCORE.violations()].concat()
}

/// Users, each an id, a balance and a score, with their opening rows.
pub(crate) fn users(users: &[(i64, i64, i64)]) -> String {
    let rows = |row: fn(i64, i64, i64) -> String| {
        users.iter().map(|(user_id, fen, score)| row(*user_id, *fen, *score)).collect::<Vec<_>>().join(", ")
    };
    format!(
        "INSERT INTO trade_user (user_id, user_name, user_score, user_reg_ms, user_money_fen) VALUES {};
         INSERT INTO trade_user_money_log (ref_id, user_id, money_log_type, use_money_fen, create_ms) VALUES {};
         INSERT INTO trade_user_score_log (ref_id, user_id, log_type, score, create_ms) VALUES {}",
        rows(|user_id, fen, score| format!("({user_id}, 'user {user_id}', {score}, 1, {fen})")),
        rows(|user_id, fen, _| format!("(0, {user_id}, 0, {fen}, 1)")),
        rows(|user_id, _, score| format!("(0, {user_id}, 0, {score}, 1)")),
    )
}

pub(crate) fn service(test: &TestDb, deps: Deps) -> User {
    User::new(
        &Config {
            database: test.config.clone(),
            internal_listen: ([127, 0, 0, 1], 0).into(),
            batch: Limits::default(),
        },
        deps,
    )
}
