//! An order as a stream of Server-Sent Events: `order` now and after every change of its state, `end` when no more come.
//!
//! The first event is always the present state, so nothing has to be replayed to a client that comes again.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::State,
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt, future, stream};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use shop_common::{shed, shutdown::Shutdown};
use shop_proto::order::v1 as proto;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Streaming;

use super::order::Order;
use crate::{
    app::App,
    params::{PathId, Watcher, WatcherParams},
    problem::{Problem, ProblemBody},
};

/// Proxies close what is silent for long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Id of the last event: a browser comes again with it, and is told to stop.
const END: &str = "end";

/// The order now, and again after every change; ends when its state is final.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}/events", tag = "orders",
    params(
        ("id" = String, Path, description = "The order"),
        ("x-user-id" = Option<String>, Header, description = "The acting user"),
        WatcherParams,
    ),
    responses(
        (status = 200, description = "Events `order`, `error` and `end`", body = Order, content_type = "text/event-stream"),
        (status = 204, description = "The stream was read to its end before"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn watch_order(
    State(app): State<App>,
    shutdown: Option<Extension<Shutdown>>,
    Watcher(user): Watcher,
    PathId(order_id): PathId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if headers.get("last-event-id").is_some_and(|id| id == END) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = shed::place(&app.event_streams, "events")?;
    let request = proto::WatchOrderRequest { order_id, user_id: user.get() };
    let orders = app.orders().watch_order(app.call(request)).await?.into_inner();
    let stopped = async move {
        match shutdown {
            Some(Extension(shutdown)) => shutdown.stopped().await,
            None => future::pending().await,
        }
    };
    let events = events(orders, place).take_until(Box::pin(stopped));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn events(
    orders: Streaming<proto::Order>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold(Some((orders, place)), |open| async {
        let (mut orders, place) = open?;
        Some(match orders.message().await {
            Ok(Some(order)) => (Ok(event("order", &Order::from(order))), Some((orders, place))),
            Ok(None) => (Ok(Event::default().event(END).id(END).data("{}")), None),
            Err(status) => (Ok(event("error", &Problem::from(status).body())), None),
        })
    })
}

fn event(name: &str, body: &impl Serialize) -> Event {
    let event = Event::default().event(name);
    event.json_data(body).unwrap_or_else(|_| Event::default().event(name))
}
