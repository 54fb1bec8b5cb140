//! Orders, for clients.

use std::{pin::Pin, sync::Arc, time::Duration};

use shop_common::{
    code::ShopCode,
    db::Db,
    error::ShopError,
    id::{OrderId, UserId},
    link::Deadline,
    page::Page,
    shed,
    shutdown::Shutdown,
};
use shop_proto::order::v1::{
    CancelOrderRequest, ConfirmOrderRequest, ConfirmOrderResponse, GetOrderRequest, ListOrdersRequest,
    ListOrdersResponse, Order, OrderStatus, WatchOrderRequest, order_service_server::OrderService,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

use super::parse;
use crate::{
    order::{Cancelled, Cause},
    saga::confirm_order::Saga,
    store,
    view::Stored,
};

/// What a handler leaves of the caller's time for its answer to travel.
const MARGIN: Duration = Duration::from_millis(100);

/// Orders, for clients.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) db: Db,
    pub(crate) saga: Saga,
    pub(crate) shutdown: Shutdown,
    /// Places for those who watch.
    pub(crate) watches: Arc<Semaphore>,
}

impl Orders {
    /// The order, if it is this user's (an order of somebody else is no order at all).
    async fn owned(&self, order_id: i64, user_id: i64) -> Result<Stored, ShopError> {
        let (order_id, user_id) = (OrderId::parse(order_id, "order_id")?, UserId::parse(user_id, "user_id")?);
        let found = store::by_ids(self.db.read(), vec![order_id.get()]).await?.pop();
        found
            .filter(|order| order.row.user_id == user_id.get())
            .ok_or(ShopError::at(ShopCode::OrderNotFound, "order_id"))
    }
}

#[tonic::async_trait]
impl OrderService for Orders {
    async fn confirm_order(
        &self,
        request: Request<ConfirmOrderRequest>,
    ) -> Result<Response<ConfirmOrderResponse>, Status> {
        let deadline = Deadline::of(&request);
        let wanted = parse::wanted(request.into_inner())?;
        // Whoever hangs up never leaves a saga half done: what serves a handler runs it to its end.
        let order = self.saga.confirm_order(wanted, deadline.checked_sub(MARGIN).unwrap_or(deadline)).await?;
        Ok(Response::new(ConfirmOrderResponse { order: Some(order.into()) }))
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Result<Response<Order>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.owned(request.order_id, request.user_id).await?.into()))
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Result<Response<ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let user_id = UserId::parse(request.user_id, "user_id")?;
        let page = Page::parse(request.page_size, &request.page_token)?;
        let before = page.after.unwrap_or(i64::MAX);
        let rows = store::page(self.db.read(), user_id, before, page.limit()).await.map_err(ShopError::from)?;
        let (orders, next_page_token) = page.cut(rows, |order| order.row.order_id);
        Ok(Response::new(ListOrdersResponse { orders: orders.into_iter().map(Order::from).collect(), next_page_token }))
    }

    async fn cancel_order(&self, request: Request<CancelOrderRequest>) -> Result<Response<Order>, Status> {
        let request = request.into_inner();
        let reason = parse::text(request.reason, "reason")?;
        let order = self.owned(request.order_id, request.user_id).await?;
        let cancelled = self.saga.transitions.cancel(order.id(), Cause::User(reason)).await.map_err(ShopError::from)?;
        if let Cancelled::NotCancellable(_) = cancelled {
            return Err(ShopError::at(ShopCode::OrderNotCancellable, "order_id").into());
        }
        Ok(Response::new(self.saga.stored(order.id()).await?.into()))
    }

    type WatchOrderStream = Pin<Box<dyn Stream<Item = Result<Order, Status>> + Send>>;

    async fn watch_order(
        &self,
        request: Request<WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let request = request.into_inner();
        let place = shed::place(&self.watches, "watch").map_err(ShopError::from)?;
        let first = self.owned(request.order_id, request.user_id).await?;
        let (changes, orders) = mpsc::channel(8);
        let (watching, shutdown) = (self.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            shutdown.race(watching.watch(first, request, changes)).await;
            drop(place);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(orders))))
    }
}

impl Orders {
    async fn watch(self, first: Stored, request: WatchOrderRequest, changes: mpsc::Sender<Result<Order, Status>>) {
        let mut waiter = self.saga.transitions.changes.wait_for(first.id());
        let mut last: Option<Order> = None;
        loop {
            let order = match self.owned(request.order_id, request.user_id).await {
                Ok(order) => Order::from(order),
                Err(error) => return drop(changes.send(Err(error.into())).await),
            };
            if last.as_ref() != Some(&order) && changes.send(Ok(order.clone())).await.is_err() {
                return;
            }
            if matches!(order.status(), OrderStatus::Cancelled | OrderStatus::Invalid | OrderStatus::Refunded) {
                return;
            }
            last = Some(order);
            tokio::select! {
                () = waiter.changed() => {}
                () = changes.closed() => return,
            }
        }
    }
}
