//! How one service reaches another: within one process without TCP, else over a channel; chosen where the process is
//! wired and invisible elsewhere.
//!
//! Both ends run a handler in a task of its own. A caller that goes away, or whose deadline passes, never stops a
//! handler half way, and a panic in a handler stays there.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream};
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyStream, StreamBody};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError},
    time::{Instant, sleep_until, timeout_at},
};
use tonic::{Status, body::Body, service::Routes, transport::Channel};
use tower::{Layer, Service};
use tracing::Instrument;

pub use crate::deadline::Deadline;
use crate::{
    code::ShopCode,
    deadline::{self, DEFAULT_TIMEOUT},
    error::ShopError,
    shed,
    trace::TraceParent,
};

/// An HTTP request as tonic sees it.
pub type Request = http::Request<tonic::body::Body>;
/// An HTTP response as tonic sees it.
pub type Response = http::Response<tonic::body::Body>;
/// What a transport fails with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer<E> = Pin<Box<dyn Future<Output = Result<Response, E>> + Send>>;

/// How often a peer that has a call of ours is asked whether it is there, and how long its answer may take.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest deadline a caller can ask for.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

/// What is answered however many calls run: an overloaded process is still alive, and says what it can do.
const NEVER_SHED: [&str; 2] = ["/grpc.health.", "/grpc.reflection."];

/// The transport of a generated client.
#[derive(Clone, Debug)]
pub struct Link {
    transport: Transport,
    bulkhead: Option<Bulkhead>,
}

#[derive(Clone, Debug)]
enum Transport {
    /// Services of this process.
    Local(Local),
    /// Services of another process.
    Remote(Channel),
}

/// Bounds the calls under way to one dependency, so that one that is slow does not take the tasks and the memory of all.
#[derive(Clone, Debug)]
struct Bulkhead {
    to: &'static str,
    places: Arc<Semaphore>,
}

/// The services of this process. They call each other in a circle, so links are made first and bound when all stand.
#[derive(Clone, Debug, Default)]
pub struct Local {
    bound: Arc<OnceLock<Serve<Routes>>>,
    ready: Option<Serve<Routes>>,
}

impl Local {
    /// Binds all clones of this link to `routes`; the first binding stays.
    pub fn bind(&self, routes: Routes) {
        self.bound.get_or_init(|| ServeLayer::default().layer(routes.prepare()));
    }
}

impl Link {
    /// A link to `routes` of this process.
    pub fn local(routes: Routes) -> Self {
        let local = Local::default();
        local.bind(routes);
        local.into()
    }

    /// A link to `address`, for example `http://10.0.0.7:50061`; connects when first used and again when cut.
    pub fn remote(address: &str) -> Result<Self, tonic::codegen::http::uri::InvalidUri> {
        let endpoint = Channel::from_shared(address.to_owned())?;
        let endpoint = endpoint.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true);
        // A peer that vanished without a word would keep its connection, and whoever calls over it, until TCP gives up.
        let channel = endpoint.http2_keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_TIMEOUT).connect_lazy();
        Ok(Self { transport: Transport::Remote(channel), bulkhead: None })
    }

    /// This link with a bulkhead of its own: of it and its clones at most `calls` are under way to `to`, one more is
    /// answered `SHOP_BUSY` and certainly not run.
    #[must_use]
    pub fn bulkhead(self, to: &'static str, calls: usize) -> Self {
        Self { bulkhead: Some(Bulkhead { to, places: Arc::new(Semaphore::new(calls)) }), ..self }
    }
}

impl From<Local> for Link {
    fn from(local: Local) -> Self {
        Self { transport: Transport::Local(local), bulkhead: None }
    }
}

impl Bulkhead {
    fn enter(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .inspect_err(|_| metrics::counter!("shop_bulkhead_full_total", "to" => self.to).increment(1))
    }
}

impl Service<Request> for Link {
    type Response = Response;
    type Error = BoxError;
    type Future = Answer<BoxError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.transport {
            Transport::Local(local) => {
                local.ready = local.ready.take().or_else(|| local.bound.get().cloned());
                Poll::Ready(local.ready.is_some().then_some(()).ok_or_else(|| "the process is still starting".into()))
            }
            Transport::Remote(remote) => remote.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Ok(place) = self.bulkhead.as_ref().map(Bulkhead::enter).transpose() else {
            return Box::pin(async { Ok(busy()) });
        };
        match &mut self.transport {
            Transport::Local(local) => match &mut local.ready {
                Some(ready) => {
                    let answer = ready.call(request);
                    Box::pin(async move {
                        let answer = answer.await;
                        drop(place);
                        answer.map_err(|never| match never {})
                    })
                }
                None => Box::pin(async { Err("called before it was ready".into()) }),
            },
            Transport::Remote(remote) => {
                let answer = remote.call(request);
                Box::pin(async move {
                    let answer = answer.await;
                    drop(place);
                    answer.map_err(Into::into)
                })
            }
        }
    }
}

/// Deadline of a call between services that no client waits for.
pub const BETWEEN_SERVICES: Duration = Duration::from_secs(5);

/// A call with its deadline, which is never beyond that of the task's own caller, and the trace context of the task.
pub fn call<T>(message: T, timeout: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(deadline::at_most(timeout));
    if let Ok(header) = TraceParent::current().to_string().parse() {
        request.metadata_mut().insert("traceparent", header);
    }
    request
}

/// Puts [`Serve`] around a service: in a process and behind TCP alike.
#[derive(Clone, Debug, Default)]
pub struct ServeLayer {
    places: Option<Arc<Semaphore>>,
}

/// Runs each call in a task of its own, with its deadline, span and trace context.
///
/// Where there is a limit, one call more is answered `SHOP_BUSY` before anything of it is read. Not tower's limit: that
/// counts a call until its caller is gone, and a handler outlives its caller.
#[derive(Clone, Debug)]
pub struct Serve<S> {
    inner: S,
    places: Option<Arc<Semaphore>>,
}

impl ServeLayer {
    /// At most `calls` run at once over all connections; health and reflection are not counted.
    pub fn at_most(calls: usize) -> Self {
        Self { places: Some(Arc::new(Semaphore::new(calls))) }
    }
}

impl<S> Layer<S> for ServeLayer {
    type Service = Serve<S>;

    fn layer(&self, inner: S) -> Serve<S> {
        Serve { inner, places: self.places.clone() }
    }
}

impl<S> Serve<S> {
    fn admit(&self, path: &str) -> Result<Option<OwnedSemaphorePermit>, ShopCode> {
        let Some(places) = &self.places else { return Ok(None) };
        if NEVER_SHED.iter().any(|prefix| path.starts_with(prefix)) {
            return Ok(None);
        }
        shed::place(places, "grpc").map(Some)
    }
}

impl<S> Service<Request> for Serve<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer<Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Some(status) = not_grpc(&request) {
            return Box::pin(async move { Ok(refusal(status)) });
        }
        let text_of = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let timeout = text_of("grpc-timeout").and_then(parse_timeout).unwrap_or(DEFAULT_TIMEOUT).min(MAX_TIMEOUT);
        let trace = TraceParent::from_header(text_of("traceparent"));
        if timeout.is_zero() {
            return Box::pin(async { Ok(late().into_http()) });
        }
        let Ok(place) = self.admit(request.uri().path()) else {
            return Box::pin(async { Ok(busy()) });
        };
        let deadline = Instant::now() + timeout;
        request.extensions_mut().insert(Deadline(deadline));
        if place.is_some() {
            request = request.map(|body| read_until(deadline, body));
        }
        let span = tracing::info_span!("rpc", path = request.uri().path(), trace_id = trace.trace_id());
        let handler = deadline::scope(Some(deadline), trace.scope(self.inner.call(request)));
        let task = tokio::spawn(async move {
            let answer = handler.instrument(span).await;
            drop(place);
            answer
        });
        Box::pin(async move {
            Ok(match timeout_at(deadline, task).await {
                Ok(Ok(Ok(response))) => response,
                Ok(Err(panic)) => {
                    tracing::error!(%panic, "handler panicked");
                    Status::from(ShopError::from(ShopCode::Internal)).into_http()
                }
                Err(_) => late().into_http(),
            })
        })
    }
}

/// A handler outlives its deadline, but not while it still waits for what it shall do: whoever sends a byte now and then
/// would keep its place.
fn read_until(deadline: Instant, body: Body) -> Body {
    let (mut frames, mut end) = (BodyStream::new(body), None);
    let in_time = stream::poll_fn(move |cx| match frames.poll_next_unpin(cx) {
        Poll::Pending => {
            let end = end.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            end.poll_unpin(cx).map(|()| Some(Err(late())))
        }
        frame @ Poll::Ready(_) => frame,
    });
    Body::new(StreamBody::new(in_time))
}

/// How whoever does not speak gRPC is answered, before anything is read: a browser's form never places an order.
fn not_grpc(request: &Request) -> Option<StatusCode> {
    if request.method() != Method::POST {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let spoken = matches!(kind, Some(b"application/grpc" | b"application/grpc+proto"));
    (!spoken).then_some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

fn refusal(status: StatusCode) -> Response {
    let mut response = Response::new(tonic::body::Body::empty());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

fn busy() -> Response {
    Status::from(ShopError::from(ShopCode::Busy)).into_http()
}

fn late() -> Status {
    ShopError::from(ShopCode::Unknown).into()
}

/// Reads `grpc-timeout`: at most eight digits and a unit; anything else counts as absent.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(count.saturating_mul(60))),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_by_the_grpc_rules() {
        assert_eq!(parse_timeout("0n"), Some(Duration::ZERO));
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("99999999H").map(|timeout| timeout.min(MAX_TIMEOUT)), Some(MAX_TIMEOUT));
        for garbage in ["", "n", "1", "-1S", "123456789S", "1x", "é"] {
            assert_eq!(parse_timeout(garbage), None, "{garbage:?}");
        }
    }
}
