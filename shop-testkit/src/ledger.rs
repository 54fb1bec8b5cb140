//! The rows of a ledger that contradict the accounts it explains, or the holds that made it.

/// Names of the tables of one ledger and their columns.
#[derive(Clone, Copy, Debug)]
pub struct Ledger {
    /// The ledger.
    pub log: &'static str,
    /// Its column of what kind a movement is: 0 opening, 1 done, 2 undone.
    pub log_type: &'static str,
    /// Its column of how much, signed.
    pub delta: &'static str,
    /// The table it explains.
    pub accounts: &'static str,
    /// The key of that table, a column of the ledger too.
    pub account: &'static str,
    /// The column of what is there now.
    pub amount: &'static str,
    /// The table of holds.
    pub holds: &'static str,
    /// Its key, `ref_id` in the ledger.
    pub key: &'static str,
}

impl Ledger {
    /// Each counts, as `n`, rows that contradict each other.
    pub fn violations(&self) -> Vec<String> {
        let Self { log, log_type, delta, accounts, account, amount, holds, key } = self;
        let row =
            |kind: i16| format!("EXISTS (SELECT 1 FROM {log} l WHERE l.ref_id = h.{key} AND l.{log_type} = {kind})");
        let (done, undone) = (row(1), row(2));
        vec![
            // The sum of the ledger is what is there, and that is never negative.
            format!(
                "SELECT COUNT(*) AS n FROM {accounts} a WHERE a.{amount} < 0 OR a.{amount} <>
                 (SELECT COALESCE(SUM(l.{delta}), 0) FROM {log} l WHERE l.{account} = a.{account})"
            ),
            // A hold that is no tombstone was done; one that is undone was undone too.
            format!("SELECT COUNT(*) AS n FROM {holds} h WHERE (h.state <> 4) <> {done} OR (h.state = 3) <> {undone}"),
            // Nothing moved without a hold.
            format!(
                "SELECT COUNT(*) AS n FROM {log} l WHERE l.{log_type} <> 0
                 AND NOT EXISTS (SELECT 1 FROM {holds} h WHERE h.{key} = l.ref_id)"
            ),
            // What was undone left nothing behind.
            format!(
                "SELECT COUNT(*) AS n FROM (SELECT l.ref_id FROM {log} l JOIN {holds} h ON h.{key} = l.ref_id
                 WHERE h.state IN (3, 4) GROUP BY l.ref_id, l.{account} HAVING SUM(l.{delta}) <> 0) AS net"
            ),
        ]
    }
}
