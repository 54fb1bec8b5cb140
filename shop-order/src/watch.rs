//! Tells those who wait in this process that an order has changed. A hint: whoever waits reads the row.

use std::{sync::Arc, time::Duration};

use shop_common::id::OrderId;
use tokio::sync::broadcast;

/// How long a waiter goes without a hint before it looks by itself: another instance may have changed the row.
const LOOK: Duration = Duration::from_millis(500);
/// Hints that may wait; a waiter that lags behind looks at once.
const HINTS: usize = 4096;

/// Changes of orders in this process.
#[derive(Clone, Debug)]
pub(crate) struct Changes(Arc<broadcast::Sender<OrderId>>);

impl Default for Changes {
    fn default() -> Self {
        Self(Arc::new(broadcast::channel(HINTS).0))
    }
}

/// Waits for changes of one order.
#[derive(Debug)]
pub(crate) struct Waiter {
    order_id: OrderId,
    hints: broadcast::Receiver<OrderId>,
}

impl Changes {
    /// Says that `order_id` has changed.
    pub(crate) fn announce(&self, order_id: OrderId) {
        let nobody_waits = self.0.send(order_id).is_err();
        tracing::trace!(%order_id, nobody_waits, "changed");
    }

    /// A waiter; made before the row is read, so that no change falls between.
    pub(crate) fn wait_for(&self, order_id: OrderId) -> Waiter {
        Waiter { order_id, hints: self.0.subscribe() }
    }
}

impl Waiter {
    /// Returns when the row is worth another look.
    pub(crate) async fn changed(&mut self) {
        let hinted = async {
            loop {
                match self.hints.recv().await {
                    Ok(order_id) if order_id != self.order_id => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        drop(tokio::time::timeout(LOOK, hinted).await);
    }
}
