//! A client of the shop, over gRPC or REST; both speak in the messages of the gRPC contract.

mod grpc;
mod rest;

use shop_common::error::Result;
use shop_proto::order::v1::{ConfirmOrderRequest, Order};
use shop_replay::signer::Signed;

pub(super) use self::{grpc::Grpc, rest::Rest};

/// A client of the shop.
pub(super) enum Client {
    /// Over gRPC.
    Grpc(Grpc),
    /// Over REST.
    Rest(Rest),
}

impl Client {
    /// Places an order.
    pub(super) async fn confirm(&self, wanted: ConfirmOrderRequest) -> Result<Order> {
        match self {
            Self::Grpc(grpc) => grpc.confirm(wanted).await,
            Self::Rest(rest) => rest.confirm(wanted).await,
        }
    }

    /// Cancels an order.
    pub(super) async fn cancel(&self, order_id: i64, user_id: i64) -> Result<Order> {
        match self {
            Self::Grpc(grpc) => grpc.cancel(order_id, user_id).await,
            Self::Rest(rest) => rest.cancel(order_id, user_id).await,
        }
    }

    /// Reads an order.
    pub(super) async fn order(&self, order_id: i64, user_id: i64) -> Result<Order> {
        match self {
            Self::Grpc(grpc) => grpc.order(order_id, user_id).await,
            Self::Rest(rest) => rest.order(order_id, user_id).await,
        }
    }

    /// Makes the payment of an order; its id.
    pub(super) async fn create_payment(&self, order: &Order) -> Result<i64> {
        match self {
            Self::Grpc(grpc) => grpc.create_payment(order).await,
            Self::Rest(rest) => rest.create_payment(order).await,
        }
    }

    /// Notifies the shop, as the channel would.
    pub(super) async fn notify(&self, notice: Signed) -> Result<()> {
        match self {
            Self::Grpc(grpc) => grpc.notify(notice).await,
            Self::Rest(rest) => rest.notify(notice).await,
        }
    }

    /// Reads the points of a user.
    pub(super) async fn score(&self, user_id: i64) -> Result<i64> {
        match self {
            Self::Grpc(grpc) => grpc.score(user_id).await,
            Self::Rest(rest) => rest.score(user_id).await,
        }
    }
}
