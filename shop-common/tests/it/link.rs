//! A call behaves alike within one process and over TCP.

use std::{net::SocketAddr, time::Duration};

use shop_common::{
    code::{ShopCode, Verdict},
    db::Failure,
    deadline,
    error::ShopError,
    link::{Link, Local, call},
    service::{ServerLimits, serve_grpc},
    shutdown::{self, Switch},
    trace::TraceParent,
};
use shop_proto::user::v1::{ReversePointsRequest, ReversePointsResponse, points_service_client::PointsServiceClient};
use shop_testkit::{
    eventually,
    proxy::{Fault, Proxy, Way},
};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tonic::{Code, Request, Status, transport::Error};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::points::{PANIC, Points, REFUSED, SLOW, reverse, sized};

type Client = PointsServiceClient<Link>;
type Reply = Result<tonic::Response<ReversePointsResponse>, Status>;

/// Long enough for whatever is not meant to time out.
const PATIENT: Duration = Duration::from_secs(30);

/// A server on TCP; stops when dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    switch: Switch,
    ended: JoinHandle<Result<(), Error>>,
}

pub(crate) async fn serve(points: &Points, address: &str) -> Served {
    serve_within(points, address, ServerLimits::default()).await
}

pub(crate) async fn serve_within(points: &Points, address: &str, limits: ServerLimits) -> Served {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (switch, shutdown) = shutdown::channel();
    let routes = points.routes().add_service(tonic_health::server::health_reporter().1);
    let ended = tokio::spawn(serve_grpc(listener, routes, limits, shutdown));
    Served { address, switch, ended }
}

pub(crate) fn remote(address: SocketAddr) -> Client {
    Client::new(Link::remote(&format!("http://{address}")).unwrap())
}

/// One of each kind to a service of its own; both have answered once.
async fn links() -> Vec<(&'static str, Client, Points, Option<Served>)> {
    let (near, far) = (Points::new(), Points::new());
    let served = serve(&far, "127.0.0.1:0").await;
    let clients = [(Client::new(Link::local(near.routes())), near, None), (remote(served.address), far, Some(served))];
    let mut ready = Vec::new();
    for (name, (mut client, points, served)) in ["local", "remote"].into_iter().zip(clients) {
        ask(&mut client, 1).await.unwrap();
        assert_eq!(points.finished(), [1], "{name}");
        ready.push((name, client, points, served));
    }
    ready
}

pub(crate) async fn ask(client: &mut Client, pay_id: i64) -> Reply {
    client.reverse_points(call(reverse(pay_id), PATIENT)).await
}

fn error(reply: Reply) -> ShopError {
    ShopError::from_status(&reply.unwrap_err())
}

#[tokio::test]
async fn an_error_comes_back_as_it_was_sent() {
    for (name, mut client, _points, _served) in links().await {
        let refused = error(ask(&mut client, REFUSED).await);
        assert_eq!(refused, ShopError::at(ShopCode::ParameterInvalid, "commands[0].pay_id"), "{name}");
    }
}

#[tokio::test]
async fn a_panic_stays_in_its_handler() {
    for (name, mut client, points, _served) in links().await {
        let error = error(ask(&mut client, PANIC).await);
        assert_eq!(error.code, ShopCode::Internal, "{name}");
        assert!(!error.to_string().contains("as told"), "{name}: nothing internal leaves");
        ask(&mut client, 2).await.unwrap();
        assert_eq!(points.finished(), [1, 2], "{name}: the next call is fine");
    }
}

#[tokio::test]
async fn a_handler_outlives_its_caller() {
    for (name, mut client, points, _served) in links().await {
        let caller = tokio::spawn(async move { ask(&mut client, SLOW).await });
        points.wait_for_a_start().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        points.let_through();
        eventually(name, PATIENT, async || points.finished() == [1, SLOW]).await;
    }
}

#[tokio::test]
async fn a_handler_outlives_its_deadline_and_its_caller_does_not_know() {
    for (name, mut client, points, _served) in links().await {
        let late = client.reverse_points(call(reverse(SLOW), Duration::from_millis(200))).await;
        assert_eq!(error(late).code, ShopCode::Unknown, "{name}");
        points.wait_for_a_start().await;
        assert_eq!(points.finished(), [1], "{name}");
        points.let_through();
        eventually(name, PATIENT, async || points.finished() == [1, SLOW]).await;
    }
}

#[tokio::test]
async fn a_call_without_time_is_not_run() {
    for (name, mut client, points, _served) in links().await {
        let mut request = Request::new(reverse(2));
        request.metadata_mut().insert("grpc-timeout", "0n".parse().unwrap());
        assert_eq!(error(client.reverse_points(request).await).code, ShopCode::Unknown, "{name}");
        ask(&mut client, 3).await.unwrap();
        assert_eq!(points.finished(), [1, 3], "{name}");
    }
}

#[tokio::test]
async fn a_message_is_bounded() {
    for (name, mut client, points, _served) in links().await {
        let refused = client.reverse_points(call(sized(2, 5 << 20), PATIENT)).await;
        assert_eq!(refused.as_ref().unwrap_err().code(), Code::OutOfRange, "{name}");
        assert_eq!(error(refused).code, ShopCode::Internal, "{name}");
        client.reverse_points(call(sized(3, 3 << 20), PATIENT)).await.unwrap();
        assert_eq!(points.finished(), [1, 3], "{name}");
    }
}

#[tokio::test]
async fn a_handler_is_told_how_long_its_caller_waits() {
    for (name, mut client, points, _served) in links().await {
        for (request, longest) in [
            (call(reverse(2), Duration::from_secs(3)), 3),
            (Request::new(reverse(2)), 10),
            (call(reverse(2), Duration::from_hours(2)), 60),
        ] {
            client.reverse_points(request).await.unwrap();
            let longest = Duration::from_secs(longest);
            let told = points.told().remaining;
            assert!(told <= longest && told > longest / 2, "{name}: {told:?} of {longest:?}");
        }
    }
}

#[tokio::test]
async fn a_handler_is_part_of_its_callers_trace() {
    for (name, mut client, points, _served) in links().await {
        let trace = TraceParent::start();
        trace.scope(ask(&mut client, 2)).await.unwrap();
        assert_eq!(points.told().trace_id, trace.trace_id(), "{name}");
        let foreign = client.reverse_points(Request::<ReversePointsRequest>::new(reverse(2))).await;
        foreign.unwrap();
        assert_ne!(points.told().trace_id, trace.trace_id(), "{name}: a call without a trace begins one");
    }
}

#[tokio::test]
async fn calls_run_side_by_side() {
    for (name, client, points, _served) in links().await {
        let slow: Vec<_> = (0..8)
            .map(|_| {
                let mut client = client.clone();
                tokio::spawn(async move { ask(&mut client, SLOW).await })
            })
            .collect();
        for _ in 0..8 {
            points.wait_for_a_start().await;
        }
        (0..8).for_each(|_| points.let_through());
        for reply in slow {
            reply.await.unwrap().unwrap();
        }
        assert_eq!(points.finished().len(), 9, "{name}");
    }
}

#[tokio::test]
async fn a_process_that_is_still_starting_says_so() {
    let (local, points) = (Local::default(), Points::new());
    let mut client = Client::new(Link::from(local.clone()));
    let early = ask(&mut client, 1).await.unwrap_err();
    assert!(early.message().contains("still starting"), "{early}");
    assert_eq!(ShopError::from_status(&early).code, ShopCode::Unknown);

    local.bind(points.routes());
    local.bind(Points::new().routes());
    ask(&mut client, 2).await.unwrap();
    assert_eq!(points.finished(), [2], "the first binding stays");
}

#[tokio::test]
async fn a_server_that_stops_finishes_what_runs() {
    let points = Points::new();
    let served = serve(&points, "127.0.0.1:0").await;
    let mut client = remote(served.address);
    let running = tokio::spawn(async move { ask(&mut client, SLOW).await });
    points.wait_for_a_start().await;
    served.switch.stop();
    points.let_through();
    running.await.unwrap().unwrap();
    served.ended.await.unwrap().unwrap();
    let refused = error(ask(&mut remote(served.address), 1).await);
    assert_eq!(refused.code, ShopCode::Unknown, "nobody listens any more");
}

#[tokio::test]
async fn a_link_comes_back_with_its_server() {
    let points = Points::new();
    let first = serve(&points, "127.0.0.1:0").await;
    let mut client = remote(first.address);
    ask(&mut client, 1).await.unwrap();
    first.switch.stop();
    first.ended.await.unwrap().unwrap();
    assert_eq!(error(ask(&mut client, 2).await).code, ShopCode::Unknown);

    let _second = serve(&points, &first.address.to_string()).await;
    eventually("the link is back", PATIENT, async || ask(&mut client.clone(), 3).await.is_ok()).await;
    assert_eq!(points.finished(), [1, 3]);
}

/// No FIN, no RST: nothing comes any more. The ping is not answered either, and whoever waits is told long before the
/// patience of its call ends.
#[tokio::test(start_paused = true)]
async fn a_peer_that_vanished_is_noticed_and_calls_come_back() {
    for way in [Way::Requests, Way::Answers] {
        let points = Points::new();
        let served = serve(&points, "127.0.0.1:0").await;
        let proxy = Proxy::start().await;
        proxy.lead_to("served", &served.address.to_string());
        let mut client = remote(proxy.address());
        ask(&mut client, 1).await.unwrap();
        proxy.spoil(Fault::BlackHole(way));
        let started = Instant::now();
        assert_eq!(error(ask(&mut client, 2).await).code, ShopCode::Unknown, "{way:?}");
        assert!(started.elapsed() <= Duration::from_secs(20), "{way:?}: {:?}", started.elapsed());
        proxy.heal();
        ask(&mut client, 3).await.unwrap();
        assert_eq!(points.finished().last(), Some(&3), "{way:?}");
    }
}

#[tokio::test]
async fn a_full_bulkhead_turns_away_and_nothing_is_run() {
    for (name, points, link, _served) in bulkheads().await {
        let mut client = Client::new(link);
        let slow = tokio::spawn({
            let mut client = client.clone();
            async move { ask(&mut client, SLOW).await }
        });
        points.wait_for_a_start().await;
        let refused = ask(&mut client, 2).await.unwrap_err();
        assert_eq!(ShopError::from_status(&refused).code, ShopCode::Busy, "{name}");
        assert!(matches!(Failure::from(refused), Failure::NotRun(_)), "{name}");
        points.let_through();
        slow.await.unwrap().unwrap();
        ask(&mut client, 3).await.unwrap();
        assert_eq!(points.finished(), [SLOW, 3], "{name}");
    }
}

/// Links with room for one call.
async fn bulkheads() -> Vec<(&'static str, Points, Link, Option<Served>)> {
    let (near, far) = (Points::new(), Points::new());
    let served = serve(&far, "127.0.0.1:0").await;
    let remote = Link::remote(&format!("http://{}", served.address)).unwrap();
    vec![
        ("local", near.clone(), Link::local(near.routes()).bulkhead("points", 1), None),
        ("remote", far, remote.bulkhead("points", 1), Some(served)),
    ]
}

#[tokio::test]
async fn one_call_too_many_is_shed_before_any_work_and_says_when_to_come_back() {
    let points = Points::new();
    let limits = ServerLimits { max_in_flight: 1, ..ServerLimits::default() };
    let served = serve_within(&points, "127.0.0.1:0", limits).await;
    let slow = tokio::spawn({
        let mut client = remote(served.address);
        async move { ask(&mut client, SLOW).await }
    });
    points.wait_for_a_start().await;
    let shed = ask(&mut remote(served.address), 2).await.unwrap_err();
    assert_eq!(shed.code(), Code::ResourceExhausted);
    assert_eq!(ShopError::from_status(&shed).code, ShopCode::Busy);
    let delay = shed.get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(delay, Some(shop_common::error::RETRY_AFTER));
    let mut health = HealthClient::new(Link::remote(&format!("http://{}", served.address)).unwrap());
    health.check(HealthCheckRequest::default()).await.unwrap();
    points.let_through();
    slow.await.unwrap().unwrap();
    ask(&mut remote(served.address), 3).await.unwrap();
    assert_eq!(points.finished(), [SLOW, 3]);
}

/// The caller hangs up; its handler runs on, and so it is still counted.
#[tokio::test]
async fn a_call_is_counted_for_as_long_as_its_handler_runs() {
    let points = Points::new();
    let limits = ServerLimits { max_in_flight: 1, ..ServerLimits::default() };
    let served = serve_within(&points, "127.0.0.1:0", limits).await;
    let mut client = remote(served.address);
    let late = client.reverse_points(call(reverse(SLOW), Duration::from_millis(200))).await;
    assert_eq!(error(late).code, ShopCode::Unknown);
    points.wait_for_a_start().await;
    assert_eq!(error(ask(&mut client, 2).await).code, ShopCode::Busy);
    points.let_through();
    eventually("its place is free", PATIENT, async || ask(&mut client.clone(), 3).await.is_ok()).await;
}

#[tokio::test]
async fn a_call_gets_no_more_time_than_its_callers_caller_has_left() {
    for (name, mut client, points, _served) in links().await {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(2);
        deadline::scope(Some(deadline), ask(&mut client, 2)).await.unwrap();
        assert!(points.told().remaining <= Duration::from_secs(2), "{name}");
        let past = Some(tokio::time::Instant::now());
        assert_eq!(error(deadline::scope(past, ask(&mut client, 3)).await).verdict(), Verdict::Unknown, "{name}");
        deadline::scope(past, deadline::own_time(ask(&mut client, 4))).await.unwrap();
        assert_eq!(points.finished(), [1, 2, 4], "{name}: without time nothing is begun");
    }
}
