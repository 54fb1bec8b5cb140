//! Messages.

use super::SLACK_MS;
use crate::audit::{Check, Options, snapshot::Snapshot};

/// `msg_status` and `consumer_status`: discarded by an operator.
const DISCARDED: i16 = 3;
/// `msg_status`: to be sent.
const TO_BE_SENT: i16 = 0;
/// `consumer_status`: handled after all.
const HANDLED: i16 = 1;

/// I16: no message is in an outbox for long while there is a broker to take it, and none is parked; what an operator
/// has discarded is kept.
pub(super) fn messages_leave(view: &Snapshot, options: &Options) -> Check {
    let mut check = Check::new("I16", "no message is overdue or parked in an outbox");
    for (service, messages) in &view.messages {
        for row in &messages.outbox {
            check.count();
            let id = &row.id;
            let is_old = row.create_ms.saturating_add(options.outbox_age_ms) < view.now.get();
            if row.msg_status == DISCARDED {
                continue;
            }
            if row.msg_status != TO_BE_SENT {
                let why = row.remark.as_deref().unwrap_or("no reason given");
                check.certain([id], format!("message {id} of the {service} service is parked: {why}"));
            } else if is_old && options.broker_reachable {
                check.late([id], format!("message {id} of the {service} service is overdue"));
            }
        }
    }
    check
}

/// I17: no message that could not be handled is left: each was handled after all or discarded by an operator, or the
/// broker delivers it once more.
pub(super) fn messages_are_handled(view: &Snapshot) -> Check {
    let mut check = Check::new("I17", "no message is left that could not be handled");
    for (service, messages) in &view.messages {
        for row in &messages.failed {
            check.count();
            let comes_again = row.retry_ms.is_some_and(|retry_ms| retry_ms.saturating_add(SLACK_MS) > view.now.get());
            if !matches!(row.consumer_status, HANDLED | DISCARDED) && !comes_again {
                let id = format!("{}:{}", row.msg_tag, row.msg_key);
                let text = format!("{} of the {service} service could not handle {id}: {}", row.group_name, row.remark);
                check.certain([id], text);
            }
        }
    }
    check
}
