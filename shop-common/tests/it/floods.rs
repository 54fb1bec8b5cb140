//! Connections that flood, drip or stall (B51, B53, B56 to B59): they are closed, and whoever behaves is served.

use std::time::Duration;

use prost::Message;
use shop_common::service::ServerLimits;
use shop_testkit::http2::{
    DATA, END_HEADERS, ENHANCE_YOUR_CALM, Frame, GO_AWAY, HEADERS, NONE, PING, PREFACE, PROTOCOL_ERROR, REFUSED_STREAM,
    RST_STREAM, RawHttp2, SETTINGS, call, farewell, floods, header, integer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    link::{Served, ask, remote, serve, serve_within},
    points::{Points, SLOW, reverse},
};

const REVERSE: &str = "/shop.user.v1.PointsService/ReversePoints";
/// Calls of one connection.
const STREAMS: u32 = 256;
/// Longer than anything here may last.
const LONG: Duration = Duration::from_secs(600);

/// The numbers of a client's calls.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

/// Sends `frames` at once; why the connection was closed then.
async fn closed_after(served: &Served, frames: &[Frame]) -> Option<u32> {
    let mut raw = RawHttp2::connect(served.address, &[]).await.unwrap();
    // Whoever is cut off in the middle has been closed too.
    drop(raw.send(frames).await);
    farewell(&timeout(LONG, raw.rest()).await.expect("it is closed"))
}

/// Somebody else is served, and nobody else was.
async fn others_are_served(served: &Served, points: &Points, what: &str) {
    ask(&mut remote(served.address), 1).await.unwrap();
    assert_eq!(points.finished(), [1], "{what}");
}

#[tokio::test]
async fn whoever_floods_is_sent_away_and_nothing_is_run() {
    let calm = floods(REVERSE).map(|(what, frames)| (what, frames, ENHANCE_YOUR_CALM));
    let table = [integer(0x20, 5, 1 << 20), call(REVERSE)].concat();
    let table = ("B58 a table of a mebibyte", vec![Frame::new(HEADERS, END_HEADERS, 1, table)], PROTOCOL_ERROR);
    for (what, frames, why) in calm.into_iter().chain([table]) {
        let points = Points::new();
        let served = serve(&points, "127.0.0.1:0").await;
        assert_eq!(closed_after(&served, &frames).await, Some(why), "{what}");
        others_are_served(&served, &points, what).await;
    }
}

/// B57: calls that the server has to reset itself, never too many at once.
#[tokio::test]
async fn whoever_is_told_off_again_and_again_is_sent_away() {
    let points = Points::new();
    let served = serve(&points, "127.0.0.1:0").await;
    let mut raw = RawHttp2::connect(served.address, &[]).await.unwrap();
    let mut told_off = 0;
    let why = 'connection: loop {
        for stream in streams(50).map(|stream| stream + 2 * told_off) {
            // Headers behind those of a call have to end it.
            let more = Frame::new(HEADERS, END_HEADERS, stream, header("x-more", "y"));
            raw.send(&[Frame::call(stream, END_HEADERS, REVERSE), more]).await.unwrap();
        }
        let until = told_off + 50;
        while told_off < until {
            match timeout(LONG, raw.next()).await.expect("something is said") {
                Some(frame) if frame.kind == RST_STREAM => told_off += 1,
                Some(frame) if frame.kind == GO_AWAY => break 'connection frame.error(),
                Some(_) => {}
                None => break 'connection None,
            }
        }
        assert!(told_off <= 1_024, "it may go on for ever");
    };
    assert_eq!(why, Some(ENHANCE_YOUR_CALM), "after {told_off}");
    others_are_served(&served, &points, "after the flood").await;
}

/// B59: a client that does not care for what it may do.
#[tokio::test]
async fn a_connection_has_no_more_calls_than_it_may() {
    let points = Points::new();
    let served = serve(&points, "127.0.0.1:0").await;
    let mut raw = RawHttp2::connect(served.address, &[]).await.unwrap();
    let message = reverse(SLOW).encode_to_vec();
    let one = |stream| [Frame::call(stream, END_HEADERS, REVERSE), Frame::message(stream, &message)];
    raw.send(&streams(STREAMS + 50).flat_map(one).collect::<Vec<Frame>>()).await.unwrap();
    let mut refused = 0;
    while refused < 50 {
        let frame = timeout(LONG, raw.next()).await.unwrap().expect("the connection lives");
        if frame.kind == RST_STREAM {
            assert_eq!((frame.error(), frame.stream > 2 * STREAMS), (Some(REFUSED_STREAM), true), "{frame:?}");
            refused += 1;
        }
    }
    for _ in 0..STREAMS {
        points.wait_for_a_start().await;
    }
    others_are_served(&served, &points, "beside 256 calls that do not end").await;
    (0..STREAMS).for_each(|_| points.let_through());
}

/// B58: what is answered is answered no faster than it is read.
#[tokio::test(start_paused = true)]
async fn whoever_asks_and_does_not_read_is_given_up() {
    for frame in [Frame::new(PING, NONE, 0, [0; 8]), Frame::new(SETTINGS, NONE, 0, [])] {
        let points = Points::new();
        let served = serve(&points, "127.0.0.1:0").await;
        let mut raw = RawHttp2::connect(served.address, &[]).await.unwrap();
        let many = frame.bytes().repeat(10_000);
        let flooding = async { while raw.write(&many).await.is_ok() {} };
        timeout(LONG, flooding).await.expect("it is cut off");
        others_are_served(&served, &points, &format!("{frame:?}")).await;
    }
}

/// B58: the answer is there and may never be sent.
#[tokio::test(start_paused = true)]
async fn whoever_takes_no_answer_is_given_up() {
    let points = Points::new();
    let served = serve(&points, "127.0.0.1:0").await;
    let no_window = (4, 0);
    let mut raw = RawHttp2::connect(served.address, &[no_window]).await.unwrap();
    let message = reverse(2).encode_to_vec();
    raw.send(&[Frame::call(1, END_HEADERS, REVERSE), Frame::message(1, &message)]).await.unwrap();
    let (started, frames) = (Instant::now(), timeout(LONG, raw.rest()).await.expect("it is closed"));
    assert!(started.elapsed() <= Duration::from_secs(60), "{:?}", started.elapsed());
    assert!(frames.iter().all(|frame| frame.kind != DATA), "{frames:?}");
    assert_eq!(points.finished(), [2]);
    ask(&mut remote(served.address), 3).await.unwrap();
}

/// B53: a byte now and then.
#[tokio::test(start_paused = true)]
async fn whoever_drips_is_given_up() {
    let settings = Frame::new(SETTINGS, NONE, 0, []).bytes();
    let headers = Frame::call(1, END_HEADERS, REVERSE).bytes();
    for (what, at_once, dripped, longest) in [
        ("the greeting", Vec::new(), [PREFACE, &settings].concat(), 30),
        ("the headers", [PREFACE, &settings].concat(), headers, 60),
    ] {
        let points = Points::new();
        let served = serve(&points, "127.0.0.1:0").await;
        let (mut from, mut to) = TcpStream::connect(served.address).await.unwrap().into_split();
        to.write_all(&at_once).await.unwrap();
        let started = Instant::now();
        let drip = async {
            for byte in dripped {
                sleep(Duration::from_secs(10)).await;
                drop(to.write_all(&[byte]).await);
            }
        };
        let mut answer = Vec::new();
        tokio::select! {
            _ = from.read_to_end(&mut answer) => {}
            () = drip => panic!("{what}: it was listened to until its end"),
        }
        assert!(started.elapsed() <= Duration::from_secs(longest), "{what}: {:?}", started.elapsed());
        others_are_served(&served, &points, what).await;
    }
}

/// B54: its message drips on beyond the deadline of its call.
#[tokio::test(start_paused = true)]
async fn whoever_drips_a_message_keeps_no_place_beyond_his_deadline() {
    let points = Points::new();
    let limits = ServerLimits { max_in_flight: 1, ..ServerLimits::default() };
    let served = serve_within(&points, "127.0.0.1:0", limits).await;
    let mut raw = RawHttp2::connect(served.address, &[]).await.unwrap();
    let message = Frame::message(1, &reverse(2).encode_to_vec()).payload;
    raw.send(&[Frame::call(1, END_HEADERS, REVERSE)]).await.unwrap();
    for byte in &message[..4] {
        raw.send(&[Frame::new(DATA, NONE, 1, [*byte])]).await.unwrap();
        sleep(Duration::from_secs(4)).await;
    }
    others_are_served(&served, &points, "the default deadline of a call is 10 s").await;
}

/// B56: far more than there are places for say nothing.
#[tokio::test(start_paused = true)]
async fn idle_connections_keep_nobody_out_for_long() {
    let points = Points::new();
    let limits = ServerLimits { max_connections: 10, ..ServerLimits::default() };
    let served = serve_within(&points, "127.0.0.1:0", limits).await;
    let mut connected = remote(served.address);
    ask(&mut connected, 1).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(TcpStream::connect(served.address).await.unwrap());
    }
    let mut late = remote(served.address);
    let mut turns = 0;
    let started = Instant::now();
    while ask(&mut late, 2).await.is_err() {
        ask(&mut connected, 1).await.unwrap();
        turns += 1;
        assert!(started.elapsed() < LONG, "it is never let in");
    }
    assert!(turns > 0, "there was no place");
}
