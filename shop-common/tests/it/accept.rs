//! Connections of a listener.

use std::io::{Error, ErrorKind};

use shop_common::accept::{Connection, Places};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

async fn connected(places: &Places) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (places.accept(&listener).await.unwrap(), client)
}

/// B55: the clock of this test runs ahead while everybody waits.
#[tokio::test(start_paused = true)]
async fn who_does_not_read_what_it_asked_for_is_given_up() {
    let (mut connection, client) = connected(&Places::new(1)).await;
    let answered: Result<(), Error> = async {
        loop {
            connection.write_all(&[0; 1 << 13]).await?;
        }
    }
    .await;
    assert_eq!(answered.unwrap_err().kind(), ErrorKind::TimedOut);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_given_up_where_peers_are_pinged() {
    let (mut connection, client) = connected(&Places::new(1).silent_at_most(std::time::Duration::from_secs(60))).await;
    assert_eq!(connection.read_u8().await.unwrap_err().kind(), ErrorKind::TimedOut);
    drop(client);
}
