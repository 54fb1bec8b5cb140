//! Connections of a listener: bounded in number; one that says nothing, or does not read what it asked for, is given up.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_io_timeout::TimeoutStream;
use tonic::transport::server::Connected;

/// Longest time a peer may leave what is sent to it unread.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// Pause after a failed accept: it fails again at once while the process has no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// Places for connections, shared by the listeners that share clones.
#[derive(Clone, Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    silence: Option<Duration>,
    greeting: Option<(usize, Duration)>,
}

/// An accepted connection; its place is free when it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    greeting: Option<Greeting>,
    _place: OwnedSemaphorePermit,
}

/// What a peer still has to say, and until when.
#[derive(Debug)]
struct Greeting {
    bytes: usize,
    end: Pin<Box<Sleep>>,
}

impl Places {
    /// Places for `connections`; more wait to be accepted.
    pub fn new(connections: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(connections)), silence: None, greeting: None }
    }

    /// Gives a connection up that says nothing for this long: for protocols whose peers are pinged.
    #[must_use]
    pub fn silent_at_most(self, silence: Duration) -> Self {
        Self { silence: Some(silence), ..self }
    }

    /// Gives a connection up whose first `bytes` are not there in time: whoever sends one now and then is never silent.
    #[must_use]
    pub fn greeted_within(self, bytes: usize, time: Duration) -> Self {
        Self { greeting: Some((bytes, time)), ..self }
    }

    /// The next connection, once there is a place for it.
    pub async fn accept(&self, listener: &TcpListener) -> io::Result<Connection> {
        let place = Arc::clone(&self.free).acquire_owned().await.map_err(io::Error::other)?;
        let accepted = listener.accept().await.and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream));
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(PAUSE).await;
                return Err(error);
            }
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(self.silence);
        stream.set_write_timeout(Some(UNREAD_MAX));
        let greeting = self.greeting.map(|(bytes, time)| Greeting { bytes, end: Box::pin(sleep(time)) });
        Ok(Connection { stream: Box::pin(stream), greeting, _place: place })
    }

    /// All connections of `listener`.
    pub fn incoming(self, listener: TcpListener) -> impl Stream<Item = io::Result<Connection>> {
        futures::stream::unfold((self, listener), |(places, listener)| async move {
            Some((places.accept(&listener).await, (places, listener)))
        })
    }
}

impl Connected for Connection {
    type ConnectInfo = Option<SocketAddr>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.get_ref().peer_addr().ok()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let known = buffer.filled().len();
        let read = self.stream.as_mut().poll_read(cx, buffer);
        let Some(greeting) = &mut self.greeting else { return read };
        if read.is_pending() {
            return greeting.end.poll_unpin(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        greeting.bytes = greeting.bytes.saturating_sub(buffer.filled().len().saturating_sub(known));
        if greeting.bytes == 0 {
            self.greeting = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    const SILENCE: Duration = Duration::from_secs(60);

    /// A connection as it was accepted, and its peer.
    async fn pair(places: &Places) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, peer) = tokio::join!(places.accept(&listener), TcpStream::connect(address));
        (accepted.unwrap(), peer.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_says_nothing_is_given_up() {
        let (mut connection, _peer) = pair(&Places::new(1).silent_at_most(SILENCE)).await;
        let said = timeout(SILENCE * 2, connection.read_u8()).await.expect("it does not wait for ever");
        assert_eq!(said.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// B55: the clock of this test runs ahead while everybody waits.
    #[tokio::test(start_paused = true)]
    async fn whoever_reads_nothing_is_given_up() {
        let (mut connection, _peer) = pair(&Places::new(1)).await;
        let mebibyte = vec![0; 1 << 20];
        let flooding = async {
            loop {
                if let Err(error) = connection.write_all(&mebibyte).await {
                    return error.kind();
                }
            }
        };
        assert_eq!(timeout(UNREAD_MAX * 10, flooding).await, Ok(io::ErrorKind::TimedOut));
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_waits_for_a_place() {
        let places = Places::new(1);
        let (first, _peer) = pair(&places).await;
        assert!(timeout(SILENCE, pair(&places)).await.is_err(), "there is no place");
        drop(first);
        timeout(SILENCE, pair(&places)).await.expect("there is one again");
    }
}
