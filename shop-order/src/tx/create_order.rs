//! Writes the order row, status 0, before anything is taken: whatever happens next, the sweeper finds it.

use std::collections::HashMap;

use shop_common::{
    batch::{Command, Weight},
    db::{Result, Tx},
    id::OrderId,
    time::Millis,
};

use crate::{
    entity::{item, order},
    pricing::{Priced, Wanted},
    store,
    view::Stored,
};

/// Create the order `wanted`, at the price it was given.
#[derive(Clone, Debug)]
pub(crate) struct CreateOrder {
    pub(crate) order_id: OrderId,
    pub(crate) wanted: Wanted,
    pub(crate) priced: Priced,
    /// Until when the saga must have confirmed it.
    pub(crate) saga_deadline: Millis,
}

impl Command for CreateOrder {
    fn weight(&self) -> Weight {
        Weight { rows: self.wanted.lines.len().saturating_add(2), bytes: 1024 }
    }
}

/// What creating found.
#[derive(Clone, Debug)]
pub(crate) enum Created {
    /// The row is there, by this very command.
    Created(Stored),
    /// Another order has the key.
    Exists(Stored),
}

/// Load, decide, save.
pub(crate) async fn create_order(tx: &Tx, commands: &[CreateOrder], now: Millis) -> Result<Vec<Created>> {
    let keys = commands.iter().map(|c| (c.wanted.user_id.get(), c.wanted.request_id.clone())).collect();
    let mut by_key: HashMap<store::Key, Stored> = store::by_requests(tx, keys).await?.into_iter().collect();
    let (mut born, mut outcomes) = (Vec::new(), Vec::with_capacity(commands.len()));
    for command in commands {
        let key = (command.wanted.user_id.get(), command.wanted.request_id.clone());
        let stored = by_key.entry(key).or_insert_with(|| {
            let stored = command.row(now);
            born.push(stored.clone());
            stored
        });
        let ours = stored.id() == command.order_id;
        outcomes.push(if ours { Created::Created(stored.clone()) } else { Created::Exists(stored.clone()) });
    }
    store::insert(tx, born).await?;
    Ok(outcomes)
}

impl CreateOrder {
    fn row(&self, now: Millis) -> Stored {
        let Self { order_id, wanted, priced, saga_deadline } = self;
        let lines = wanted.lines.iter().zip(&priced.prices).zip(1_i16..);
        let items = lines.map(|((line, price), line_no)| item::Model {
            order_id: order_id.get(),
            goods_id: line.goods_id.get(),
            line_no,
            quantity: line.quantity,
            price_fen: price.get(),
        });
        let row = order::Model {
            order_id: order_id.get(),
            user_id: wanted.user_id.get(),
            request_id: wanted.request_id.clone(),
            request_hash: wanted.request_hash.clone(),
            order_status: 0,
            pay_status: 0,
            shipping_status: None,
            address: wanted.address.clone(),
            consignee: wanted.consignee.clone(),
            phone: wanted.phone.clone(),
            items_total_fen: priced.items_total.get(),
            shipping_fen: priced.shipping.get(),
            order_total_fen: priced.order_total.get(),
            coupon_id: wanted.coupon_id.map(shop_common::id::CouponId::get),
            coupon_discount_fen: priced.coupon_discount.get(),
            balance_used_fen: wanted.balance_used.get(),
            amount_due_fen: priced.amount_due.get(),
            refuse_code: None,
            refuse_field: None,
            refuse_message: None,
            cancel_cause: None,
            cancel_reason: None,
            pay_id: None,
            add_ms: now.get(),
            confirm_ms: None,
            pay_ms: None,
            cancel_ms: None,
            pay_deadline_ms: None,
            closing_ms: None,
            owed: 0,
            due_ms: Some(saga_deadline.get()),
            attempts: 0,
        };
        Stored { row, items: items.collect() }
    }
}
