//! A call behaves alike within one process and over TCP.

use std::{net::SocketAddr, time::Duration};

use shop_common::{
    code::ShopCode,
    error::ShopError,
    link::{Link, Local, call},
    service::{ServerLimits, serve_grpc},
    shutdown::{self, Switch},
    trace::TraceParent,
};
use shop_proto::user::v1::{ReversePointsRequest, ReversePointsResponse, points_service_client::PointsServiceClient};
use shop_testkit::eventually;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Code, Request, Status, transport::Error};

use crate::points::{PANIC, Points, REFUSED, SLOW, reverse, sized};

type Client = PointsServiceClient<Link>;
type Reply = Result<tonic::Response<ReversePointsResponse>, Status>;

/// Long enough for whatever is not meant to time out.
const PATIENT: Duration = Duration::from_secs(30);

/// A server on TCP; stops when dropped.
struct Served {
    address: SocketAddr,
    switch: Switch,
    ended: JoinHandle<Result<(), Error>>,
}

async fn serve(points: &Points, address: &str) -> Served {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (switch, shutdown) = shutdown::channel();
    let ended = tokio::spawn(serve_grpc(listener, points.routes(), ServerLimits::default(), shutdown));
    Served { address, switch, ended }
}

fn remote(address: SocketAddr) -> Client {
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

async fn ask(client: &mut Client, pay_id: i64) -> Reply {
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
