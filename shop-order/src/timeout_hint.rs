//! The message that comes when orders should have been paid, or on the way there.

use shop_common::{db::Result, mq::delay_within, outbox::Message, time::Millis, trace::TraceParent};
use shop_proto::{
    event::{OrderTimeout, VERSION},
    topic::ORDER_TIMEOUT,
};

/// The hint for these orders, the first of which is to be paid until `deadline`; it is known by that order. None for none.
pub(crate) fn timeout_hint(
    order_ids: Vec<i64>,
    deadline: Millis,
    trace: TraceParent,
    now: Millis,
) -> Result<Option<Message>> {
    let Some(first) = order_ids.first().copied() else { return Ok(None) };
    let body = OrderTimeout { version: VERSION, order_ids };
    let hint = Message::new(ORDER_TIMEOUT, first, &body, trace)?;
    Ok(Some(hint.not_before(now.after(delay_within(deadline.since(now))))))
}
