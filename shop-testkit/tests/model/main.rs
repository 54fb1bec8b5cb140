//! The protocol of saga, cancel and pay, checked in every order of its messages: lost, late, doubled, and with a crash.
//!
//! The nodes call the product's own rules: [`shop_order::order::Order`], [`shop_common::hold::Holds`],
//! [`shop_pay::payment::Payments`]. What the model adds is who speaks to whom. Messages stay on the network, so each may
//! arrive at any time, any number of times or never: what is true of that network is true of one that loses. Where an
//! end has to be reached messages are lost for good besides.
//!
//! The wrong variants are there to fail: a checker that finds nothing wrong with them would find nothing at all.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a model ends where it is wrong"
)]

mod keeper;
mod nodes;
mod order;
mod pay;
mod shop;
mod wire;

use shop_order::order::Status;
use stateright::{Checker, HasDiscoveries, Model};

use self::{
    pay::Money,
    shop::{AT_REST, CONSERVED, GIVEN_BACK, HOLDS, Shop, is_whole_again, orders},
    wire::{Shape, Variant},
};

/// One order of one unit that there is; its client cancels it.
const PLAIN: Shape = Shape { variant: Variant::Right, orders: 1, units: &[1], cancels: true, payments: 0 };

/// In every state there is every property holds, and what must be possible is.
fn holds(shop: Shop) {
    let checker = shop.checker().threads(2).spawn_bfs().join();
    println!("{} states, {} steps deep", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// What is wrong is found, and what it takes.
fn fails(shop: Shop, property: &'static str) {
    let found = HasDiscoveries::AnyOf([property].into());
    let checker = shop.checker().threads(2).finish_when(found).spawn_bfs().join();
    println!("{}", checker.assert_any_discovery(property).into_actions().len());
}

#[test]
fn a_saga_of_three_takes_all_or_nothing() {
    let model = Shop::new(Shape { units: &[1, 1, 1], ..PLAIN })
        .sometimes("an order is confirmed", |_, at| orders(at).any(|(_, o)| o.status == Status::Confirmed))
        .sometimes("an order is given back", |shop, at| {
            orders(at).any(|(number, order)| is_whole_again(shop, at, number, order))
        });
    holds(model);
}

#[test]
fn two_orders_of_one_unit() {
    let model = Shop::new(Shape { orders: 2, ..PLAIN }).sometimes("one gets it, one does not", |_, at| {
        let is = |status| orders(at).any(|(_, order)| order.status == status && order.due.is_none());
        is(Status::Confirmed) && is(Status::Cancelled)
    });
    holds(model);
}

#[test]
fn payments_race_the_cancel_and_each_other() {
    let model = Shop::new(Shape { payments: 2, ..PLAIN })
        .sometimes("an order is paid", |shop, at| shop.money(at).iter().any(|(_, money)| *money == Money::Kept))
        .sometimes("money that comes too late goes back", |shop, at| {
            let is_over = orders(at).any(|(_, order)| order.status == Status::Cancelled);
            is_over && shop.money(at).iter().any(|(_, money)| *money == Money::Refunded)
        })
        .sometimes("of two payments one goes back", |shop, at| {
            let money = shop.money(at);
            let any = |wanted| money.iter().any(|(_, money)| *money == wanted);
            any(Money::Kept) && any(Money::Refunded)
        });
    holds(model);
}

#[test]
fn whatever_is_lost_every_order_comes_to_rest() {
    holds(Shop::new(PLAIN).lossy());
}

#[test]
fn broadcast_alone_leaves_orders_half_cancelled() {
    fails(Shop::new(Shape { variant: Variant::BroadcastOnly, ..PLAIN }).lossy(), AT_REST);
}

#[test]
fn without_a_barrier_a_repeat_counts_twice() {
    fails(Shop::new(Shape { variant: Variant::NoBarrier, ..PLAIN }), CONSERVED);
}

#[test]
fn without_tombstones_a_late_step_hangs() {
    fails(Shop::new(Shape { variant: Variant::NoTombstone, ..PLAIN }), GIVEN_BACK);
}

#[test]
fn an_undo_of_whatever_is_held_takes_it_from_another_order() {
    fails(Shop::new(Shape { variant: Variant::WhateverIsHeld, orders: 2, ..PLAIN }), HOLDS);
}
