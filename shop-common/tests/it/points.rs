//! A service to be called: the payment of a command says how its handler behaves.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use shop_common::{code::ShopCode, error::ShopError, link::Deadline, trace::TraceParent};
use shop_proto::{
    common::v1::{CommandContext, UndoOutcome, undo_outcome},
    user::v1::{
        AwardPointsRequest, AwardPointsResponse, ReversePointsCommand, ReversePointsRequest, ReversePointsResponse,
        points_service_server::{PointsService, PointsServiceServer},
    },
};
use tokio::{sync::Semaphore, time::Instant};
use tonic::{Request, Response, Status, service::Routes};

/// Panics.
pub(crate) const PANIC: i64 = 666;
/// Waits until it is let through.
pub(crate) const SLOW: i64 = 777;
/// Is refused.
pub(crate) const REFUSED: i64 = 888;

/// What a handler was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) remaining: Duration,
    pub(crate) trace_id: String,
}

#[derive(Clone)]
pub(crate) struct Points {
    started: Arc<Semaphore>,
    gate: Arc<Semaphore>,
    finished: Arc<Mutex<Vec<i64>>>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Points {
    pub(crate) fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { started: closed(), gate: closed(), finished: Arc::default(), told: Arc::default() }
    }

    pub(crate) fn routes(&self) -> Routes {
        Routes::new(PointsServiceServer::new(self.clone()))
    }

    /// Waits until a slow handler waits.
    pub(crate) async fn wait_for_a_start(&self) {
        self.started.acquire().await.unwrap().forget();
    }

    /// Lets one slow handler through.
    pub(crate) fn let_through(&self) {
        self.gate.add_permits(1);
    }

    /// The payments whose handlers came to their end.
    pub(crate) fn finished(&self) -> Vec<i64> {
        self.finished.lock().unwrap().clone()
    }

    pub(crate) fn told(&self) -> Told {
        self.told.lock().unwrap().last().unwrap().clone()
    }
}

#[tonic::async_trait]
impl PointsService for Points {
    async fn award_points(
        &self,
        _request: Request<AwardPointsRequest>,
    ) -> Result<Response<AwardPointsResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn reverse_points(
        &self,
        request: Request<ReversePointsRequest>,
    ) -> Result<Response<ReversePointsResponse>, Status> {
        let remaining = Deadline::of(&request).saturating_duration_since(Instant::now());
        self.told.lock().unwrap().push(Told { remaining, trace_id: TraceParent::current().trace_id() });
        let pay_id = request.get_ref().commands[0].pay_id;
        match pay_id {
            PANIC => panic!("as told"),
            REFUSED => return Err(ShopError::at(ShopCode::ParameterInvalid, "commands[0].pay_id").into()),
            SLOW => {
                self.started.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        self.finished.lock().unwrap().push(pay_id);
        let kind = undo_outcome::Kind::Undone.into();
        Ok(Response::new(ReversePointsResponse { outcomes: vec![UndoOutcome { kind, detail: String::new() }] }))
    }
}

/// A request of one command.
pub(crate) fn reverse(pay_id: i64) -> ReversePointsRequest {
    sized(pay_id, 0)
}

/// The same, with this many bytes on top.
pub(crate) fn sized(pay_id: i64, bytes: usize) -> ReversePointsRequest {
    let context = Some(CommandContext { remaining_ms: 0, traceparent: "x".repeat(bytes) });
    ReversePointsRequest { commands: vec![ReversePointsCommand { context, pay_id }] }
}
