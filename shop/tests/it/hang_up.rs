//! A caller that hangs up in the middle of a saga: the order is finished or given back, and nobody waits for it.

use std::time::Duration;

use shop_common::{
    error::ShopError,
    link::call,
    service::{ServerLimits, serve_grpc},
    shutdown,
};
use shop_proto::order::v1::{ConfirmOrderRequest, OrderStatus, order_service_client::OrderServiceClient};
use shop_testkit::eventually;
use tokio::net::TcpListener;
use tonic::{service::Routes, transport::Channel};

use crate::world::{
    NO_LOOK, PATIENCE, World,
    data::{GOODS, QUANTITY, STOCK, UNTOUCHED, USER, line, order, plain, taken_by},
    faults::{Calls, DEBIT, Fault},
};

const OTHER: i64 = 12;
/// A held call is not asked again within a test.
const LONG_STEP: (&str, &str) = ("order.step_timeout_ms", "30000");

/// While the saga of somebody who hung up stands still, the same goods are sold to others.
async fn others_are_served(world: &World) {
    world.add_user(OTHER, 0).await;
    world.confirm(plain("other", OTHER, vec![line(GOODS, 1)])).await.unwrap();
    assert_eq!(world.stock(GOODS).await, STOCK - i64::from(QUANTITY) - 1, "{}", world.name);
}

#[tokio::test]
async fn the_order_is_finished_without_its_caller() {
    for world in World::on_all_engines(&[LONG_STEP]).await {
        let world = world.stocked().await;
        world.faults.on(DEBIT, Calls::Next, Fault::HangAfter);
        let caller = world.places(order("k"));
        world.faults.held(DEBIT).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        let order_id = world.order_under("k").await;
        others_are_served(&world).await;
        assert_eq!(world.status(order_id).await, OrderStatus::Unconfirmed, "{}", world.name);

        world.faults.release();
        let confirmed = async || world.status(order_id).await == OrderStatus::Confirmed;
        eventually("it is confirmed", PATIENCE, confirmed).await;
        assert_eq!(world.confirm(order("k")).await.unwrap().order_id, order_id, "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("finished").await;
    }
}

#[tokio::test]
async fn the_order_is_given_back_without_its_caller() {
    for world in World::on_all_engines(&[LONG_STEP, NO_LOOK]).await {
        let world = world.stocked().await;
        world.faults.on(DEBIT, Calls::Next, Fault::HangBefore);
        let poor = ConfirmOrderRequest { balance_used_fen: 9_000, ..order("k") };
        shop_testkit::participant::execute(&world.schemas.user, "UPDATE trade_user SET user_money_fen = 0").await;
        let caller = world.places(poor.clone());
        world.faults.held(DEBIT).await;
        let order_id = world.order_under("k").await;
        let taken = async || world.look().await.spent_by == Some(order_id) && world.stock(GOODS).await != STOCK;
        eventually("stock and coupon are taken", PATIENCE, taken).await;
        caller.abort();
        others_are_served(&world).await;

        world.faults.release();
        let cancelled = async || world.status(order_id).await == OrderStatus::Cancelled;
        eventually("it is cancelled", PATIENCE, cancelled).await;
        world.settle_everything().await;
        let restored = format!("UPDATE trade_user SET user_money_fen = {} WHERE user_id = {USER}", UNTOUCHED.balance);
        shop_testkit::participant::execute(&world.schemas.user, &restored).await;
        world.assert_clean("given back").await;
        let look = world.look().await;
        assert_eq!((look.stock, look.spent_by), (STOCK - 1, None), "{}", world.name);
        assert!(world.confirm(poor).await.is_err(), "{}: the refusal stands", world.name);
    }
}

/// The same over TCP, where a server learns at once that its caller is gone.
#[tokio::test]
async fn a_cut_connection_ends_no_saga() {
    let world = World::new(&[LONG_STEP]).await.stocked().await;
    let (server, address) = served(&world).await;
    world.faults.on(DEBIT, Calls::Next, Fault::HangAfter);
    let caller = tokio::spawn(async move {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let placed = OrderServiceClient::new(channel).confirm_order(call(order("k"), PATIENCE)).await;
        placed.map_err(|status| ShopError::from_status(&status))
    });
    world.faults.held(DEBIT).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled(), "its connection is closed with it");
    let order_id = world.order_under("k").await;
    others_are_served(&world).await;

    world.faults.release();
    let confirmed = async || world.status(order_id).await == OrderStatus::Confirmed;
    eventually("it is confirmed", PATIENCE, confirmed).await;
    assert_eq!(world.look().await.spent_by, taken_by(order_id).spent_by);
    world.settle_everything().await;
    world.assert_clean("a cut connection").await;
    server.stop();
}

/// A caller that has waited long enough gets *unknown*, and its order is finished all the same.
#[tokio::test]
async fn a_caller_out_of_patience_is_told_nothing_wrong() {
    let world = World::new(&[LONG_STEP]).await.stocked().await;
    world.faults.on(DEBIT, Calls::Next, Fault::HangAfter);
    let answer = world.confirm_within(order("k"), Duration::from_millis(500)).await;
    assert_eq!(answer.unwrap_err().verdict(), shop_common::code::Verdict::Unknown);
    world.faults.held(DEBIT).await;
    world.faults.release();
    let placed = world.confirm(order("k")).await.unwrap();
    assert_eq!(world.look().await, taken_by(placed.order_id));
    world.settle_everything().await;
    world.assert_clean("out of patience").await;
}

/// The public services on a port of the loopback.
async fn served(world: &World) -> (shutdown::Switch, std::net::SocketAddr) {
    let mut routes = Routes::builder();
    world.process().services.add_public(&mut routes);
    let (switch, stopped) = shutdown::channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A runtime's listener is polled by that runtime.
    let listener = listener.into_std().unwrap();
    world.process().run(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        serve_grpc(listener, routes.routes(), ServerLimits::default(), stopped).await.unwrap();
    });
    (switch, address)
}
