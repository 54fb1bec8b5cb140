//! `/api/v1`: JSON with the names of the proto in camelCase, money as decimal strings, errors as problems.

mod callbacks;
mod catalogue;
mod events;
mod order;
mod orders;
mod payments;
mod refunds;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(orders::place_order, orders::list_orders))
        .routes(routes!(orders::get_order))
        .routes(routes!(orders::cancel_order))
        .routes(routes!(events::watch_order))
        .routes(routes!(payments::create_payment))
        .routes(routes!(payments::get_payment))
        .routes(routes!(callbacks::callback_payment))
        .routes(routes!(catalogue::list_goods))
        .routes(routes!(catalogue::get_goods))
        .routes(routes!(catalogue::list_coupons))
        .routes(routes!(catalogue::me))
}

/// What operators call.
pub(crate) fn refund_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(refunds::refund_payment))
        .routes(routes!(refunds::list_refunds))
        .routes(routes!(refunds::retry_refund))
}
