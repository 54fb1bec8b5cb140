//! Connections: real sockets on loopback, and a clock that jumps where everybody waits.

use std::{net::SocketAddr, time::Duration};

use shop_common::shutdown::{self, Switch};
use shop_web::Config;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    fakes::{ORDER, USER, order},
    world::World,
};

/// How long what runs may take to finish after the stop.
const GRACE: Duration = Duration::from_secs(15);

struct Served {
    world: World,
    addresses: Vec<SocketAddr>,
    switch: Switch,
    server: JoinHandle<()>,
}

impl Served {
    /// What is answered to this, without what differs each time.
    async fn asks(&self, target: &str, headers: &str) -> String {
        let text = format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let answer = read_to_end(connect(self.addresses[0], &text).await).await;
        answer.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect::<Vec<&str>>().join("\n")
    }
}

async fn serve(config: Config) -> Served {
    let world = World::with(&config);
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    let (switch, shutdown) = shutdown::channel();
    let router = world.router.clone();
    let server = tokio::spawn(async move { shop_web::serve(&config, listeners.into(), router, GRACE, shutdown).await });
    Served { world, addresses, switch, server }
}

async fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "closed after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

#[tokio::test]
async fn every_port_serves_the_same() {
    let served = serve(Config::default()).await;
    for address in &served.addresses {
        let text =
            read_to_end(connect(*address, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await);
        assert!(text.await.ends_with(r#"{"status":"ok"}"#));
    }
}

#[tokio::test]
async fn at_the_stop_what_runs_is_finished_and_nothing_new_begins() {
    let served = serve(Config::default()).await;
    served.world.fake.close();
    let running = connect(served.addresses[0], "GET /api/v1/goods HTTP/1.1\r\nHost: x\r\n\r\n").await;
    served.world.fake.wait_for_calls(1).await;
    served.switch.stop();
    let refused = async {
        while TcpStream::connect(served.addresses[0]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), refused).await.unwrap();
    assert!(!served.server.is_finished());
    served.world.fake.open();
    let text = read_to_end(running).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("goodsId"), "{text}");
    timeout(Duration::from_secs(20), served.server).await.unwrap().unwrap();
}

#[tokio::test]
async fn event_streams_end_at_the_stop() {
    let served = serve(Config::default()).await;
    let states = served.world.fake.watched();
    states.send(Ok(order())).await.unwrap();
    let get = format!("GET /api/v1/orders/{ORDER}/events HTTP/1.1\r\nHost: x\r\nx-user-id: {USER}\r\n\r\n");
    let mut stream = connect(served.addresses[0], &get).await;
    read_until(&mut stream, "event: order").await;
    served.switch.stop();
    timeout(Duration::from_secs(10), served.server).await.unwrap().unwrap();
    assert!(!read_to_end(stream).await.contains("event: end"));
}

#[tokio::test(start_paused = true)]
async fn the_drain_has_an_end() {
    let served = serve(Config { call_timeout_ms: 60_000, ..Config::default() }).await;
    served.world.fake.close();
    let _running = connect(served.addresses[0], "GET /api/v1/goods HTTP/1.1\r\nHost: x\r\n\r\n").await;
    served.world.fake.wait_for_calls(1).await;
    let stopped = Instant::now();
    served.switch.stop();
    served.server.await.unwrap();
    assert_eq!(stopped.elapsed().as_secs(), GRACE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_sends_its_headers_is_closed() {
    let served = serve(Config::default()).await;
    for text in ["", "G", "GET /healthz HTTP/1.1\r\nHost: x\r\n"] {
        let started = Instant::now();
        let closed = timeout(Duration::from_secs(300), read_to_end(connect(served.addresses[0], text).await)).await;
        assert!(closed.is_ok(), "{text:?}");
        assert_eq!(started.elapsed().as_secs(), 30, "{text:?}");
    }
}

/// B53: a byte now and then is not silence.
#[tokio::test(start_paused = true)]
async fn a_connection_that_drips_its_headers_is_closed() {
    let served = serve(Config::default()).await;
    let (mut from, mut to) = TcpStream::connect(served.addresses[0]).await.unwrap().into_split();
    let started = Instant::now();
    let drip = async {
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" {
            tokio::time::sleep(Duration::from_secs(10)).await;
            // Whoever is closed may find out while writing.
            drop(to.write_all(&[*byte]).await);
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        _ = from.read_to_end(&mut answer) => {}
        () = drip => panic!("it was listened to until its end"),
    }
    assert!(started.elapsed() <= Duration::from_secs(40), "{:?}", started.elapsed());
    assert_eq!(served.world.fake.call_count(), 0);
}

/// B56: far more than there are places for say nothing.
#[tokio::test(start_paused = true)]
async fn idle_connections_keep_nobody_out_for_long() {
    let served = serve(Config { max_connections: 10, ..Config::default() }).await;
    let get = "GET /api/v1/goods HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut connected = connect(served.addresses[0], get).await;
    read_until(&mut connected, "goodsId").await;
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(connect(served.addresses[0], "").await);
    }
    let started = Instant::now();
    let mut late = connect(served.addresses[0], get).await;
    for _ in 0..5 {
        connected.write_all(get.as_bytes()).await.unwrap();
        read_until(&mut connected, "goodsId").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    timeout(Duration::from_secs(300), read_until(&mut late, "goodsId")).await.expect("it is let in");
    assert!(started.elapsed().as_secs() >= 60, "there was no place");
}

#[tokio::test(start_paused = true)]
async fn connections_are_bounded_and_the_next_waits_for_a_place() {
    let served = serve(Config { max_connections: 2, ..Config::default() }).await;
    let started = Instant::now();
    let _idle = connect(served.addresses[0], "").await;
    let _idle_too = connect(served.addresses[1], "").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let get = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(read_to_end(connect(served.addresses[0], get).await).await.contains("200 OK"));
    assert!(started.elapsed().as_secs() >= 30);
}

#[tokio::test]
async fn requests_that_two_servers_would_read_differently_are_refused() {
    let served = serve(Config::default()).await;
    for (headers, status) in [
        ("Content-Length: 4\r\nContent-Length: 5\r\n", "400"),
        ("Transfer-Encoding: chunked, identity\r\n", "400"),
        ("Bad Name: x\r\n", "400"),
        ("Host : x\r\n", "400"),
    ] {
        let text = format!("POST /order-web/order/confirm HTTP/1.1\r\nHost: x\r\n{headers}\r\nAAAA");
        let answer = read_to_end(connect(served.addresses[0], &text).await).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{headers:?} {answer}");
    }
    assert_eq!(served.world.fake.call_count(), 0);
}

/// B51: too many headers, and one that is too long.
#[tokio::test]
async fn headers_that_are_too_large_are_431() {
    let served = serve(Config::default()).await;
    for headers in ["x-many: y\r\n".repeat(1000), format!("x-long: {}\r\n", "y".repeat(1 << 20))] {
        let (mut from, mut to) = TcpStream::connect(served.addresses[0]).await.unwrap().into_split();
        // Not all of it is read before the answer.
        let text = format!("GET /api/v1/goods HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let sending = tokio::spawn(async move { to.write_all(text.as_bytes()).await });
        let mut answer = [0; 12];
        from.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431", "{} bytes", headers.len());
        drop(from);
        drop(sending.await.unwrap());
    }
    assert_eq!(served.world.fake.call_count(), 0);
    let get = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(read_to_end(connect(served.addresses[0], get).await).await.contains("200 OK"));
}

/// B61: who is asking, and from where, is not what a client says of itself.
#[tokio::test]
async fn a_host_or_a_hop_that_is_made_up_changes_nothing() {
    let served = serve(Config::default()).await;
    let forged = [
        "",
        "Host: admin.internal\r\n",
        "Host: 127.0.0.1:8080\r\nX-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n",
        "Host: x\r\nForwarded: for=127.0.0.1;host=admin.internal;proto=https\r\nX-Forwarded-Host: admin.internal\r\n",
        "Host: x\r\nX-Original-URL: /metrics\r\nX-Rewrite-URL: /metrics\r\nX-HTTP-Method-Override: DELETE\r\n",
    ];
    // Whose order it is, nobody says; who begins the address is not asked.
    let order = format!("/api/v1/orders/{ORDER}");
    for (path, status) in [(order.as_str(), "400"), ("/api/v1/goods", "200"), ("/api/v1/nothing", "404")] {
        let plain = served.asks(path, "Host: x\r\n").await;
        assert!(plain.starts_with(&format!("HTTP/1.1 {status}")), "{plain}");
        for headers in forged {
            assert_eq!(served.asks(path, headers).await, plain, "{path} {headers:?}");
        }
        assert_eq!(served.asks(&format!("http://admin.internal{path}"), "Host: x\r\n").await, plain, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_not_waited_for() {
    let served = serve(Config::default()).await;
    let headers = "Content-Type: application/json\r\nContent-Length: 65537\r\nConnection: close\r\n";
    let text = format!("POST /order-web/order/confirm HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let mut stream = connect(served.addresses[0], &text).await;
    let answer = timeout(Duration::from_secs(5), read_until(&mut stream, "\r\n\r\n")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn grpc_and_http2_are_not_spoken_here() {
    let served = serve(Config::default()).await;
    let answer = read_to_end(connect(served.addresses[0], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
}
