//! Settles payments: paid, pay log, what is owed, the message and the notification itself, together or not at all.

use std::sync::Arc;

use shop_common::{
    batch::{Command, Weight},
    db::{Result, Tx},
    outbox::{self, Message},
    time::Millis,
    trace::TraceParent,
};
use shop_proto::{
    event::{PaymentSucceeded, VERSION},
    topic::PAY_SUCCESS,
};

use crate::{
    payment::{
        Payment,
        settle::{Notice, Settled, Verdict},
    },
    store,
};

/// Settle by this notification.
#[derive(Clone, Debug)]
pub struct SettlePayment {
    /// The notification.
    pub notice: Arc<Notice>,
    /// The request that brought it.
    pub trace: TraceParent,
}

impl Command for SettlePayment {
    fn weight(&self) -> Weight {
        Weight { rows: 4, bytes: self.notice.body.len().saturating_add(self.notice.headers.len()) }
    }
}

/// Load, decide, save.
pub async fn settle_payment(tx: &Tx, commands: &[SettlePayment], now: Millis) -> Result<Vec<Settled>> {
    let notices: Vec<&Notice> = commands.iter().map(|command| command.notice.as_ref()).collect();
    let mut view = store::load_notices(tx, &notices).await?;
    let (mut outcomes, mut messages) = (Vec::with_capacity(commands.len()), Vec::new());
    for command in commands {
        let settled = view.settle(&command.notice, now);
        if let Ok((Verdict::Applied, payment)) = &settled {
            messages.push(message(payment, command.trace)?);
        }
        outcomes.push(settled);
    }
    store::save(tx, &view, now).await?;
    outbox::append(tx, &messages, now).await?;
    Ok(outcomes)
}

fn message(payment: &Payment, trace: TraceParent) -> Result<Message> {
    let body = PaymentSucceeded {
        version: VERSION,
        pay_id: payment.pay_id.get(),
        order_id: payment.order_id.get(),
        pay_amount: payment.amount.to_string(),
    };
    Message::new(PAY_SUCCESS, payment.pay_id.get(), &body, trace)
}
