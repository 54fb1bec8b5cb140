//! A proxy before MariaDB that counts the COMMITs of its clients and spoils one of them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Result},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// A packet that is `COM_QUERY` with this very text.
const COMMIT: &[u8] = b"\x03COMMIT";

/// What becomes of a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The connection is cut instead of it.
    Before,
    /// It is done; the connection is cut instead of its answer.
    After,
    /// It is held until [`Proxy::release`].
    HoldBefore,
    /// It is done; its answer is held until [`Proxy::release`].
    HoldAfter,
}

/// A proxy; it ends with the runtime.
pub(super) struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    commits: AtomicUsize,
    cut: Mutex<Option<(usize, Cut)>>,
    held: watch::Sender<bool>,
}

impl Proxy {
    /// Before the server of `url`.
    pub(super) async fn start(url: &str) -> Self {
        let (server, schema) = url.strip_prefix("mysql://root@").and_then(|rest| rest.split_once('/')).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Plain, or nothing of it could be read.
        let url = format!("mysql://root@{}/{schema}?ssl-mode=DISABLED", listener.local_addr().unwrap());
        let shared =
            Arc::new(Shared { commits: AtomicUsize::new(0), cut: Mutex::new(None), held: watch::channel(true).0 });
        tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&shared)));
        Self { url, shared }
    }

    /// How to reach the database through it.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Spoils the `nth` COMMIT from now on.
    pub(super) fn cut(&self, nth: usize, cut: Cut) {
        self.shared.commits.store(0, Ordering::SeqCst);
        *self.shared.cut.lock().unwrap() = Some((nth, cut));
    }

    /// COMMITs since then.
    pub(super) fn commits(&self) -> usize {
        self.shared.commits.load(Ordering::SeqCst)
    }

    /// Lets go what is held.
    pub(super) fn release(&self) {
        self.shared.held.send_replace(false);
    }
}

impl Shared {
    /// What becomes of this COMMIT.
    fn commit(&self) -> Option<Cut> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        let cut = *self.cut.lock().unwrap();
        cut.filter(|(nth, _)| *nth == number).map(|(_, cut)| cut)
    }

    async fn hold(&self) {
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
    }
}

async fn accept(listener: TcpListener, server: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(&server).await.unwrap();
        for side in [&client, &server] {
            side.set_nodelay(true).unwrap();
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (answer, shared) = (Arc::new(Answer::default()), Arc::clone(&shared));
        tokio::spawn(async move {
            // Whichever ends first ends both: the connection is cut.
            tokio::select! {
                _ = commands(from_client, to_server, &shared, &answer) => {}
                _ = answers(from_server, to_client, &shared, &answer) => {}
            }
        });
    }
}

/// What becomes of the next answer.
#[derive(Default)]
struct Answer {
    is_lost: AtomicBool,
    is_held: AtomicBool,
}

/// Packet by packet: three bytes of length, one of sequence, the payload.
async fn commands(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: &Shared,
    answer: &Answer,
) -> Result<()> {
    loop {
        let mut header = [0; 4];
        client.read_exact(&mut header).await?;
        let mut payload = vec![0; usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16];
        client.read_exact(&mut payload).await?;
        match (payload == COMMIT).then(|| shared.commit()).flatten() {
            None => {}
            Some(Cut::Before) => return Ok(()),
            Some(Cut::After) => answer.is_lost.store(true, Ordering::SeqCst),
            Some(Cut::HoldBefore) => shared.hold().await,
            Some(Cut::HoldAfter) => answer.is_held.store(true, Ordering::SeqCst),
        }
        server.write_all(&header).await?;
        server.write_all(&payload).await?;
    }
}

async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    shared: &Shared,
    answer: &Answer,
) -> Result<()> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let length = server.read(&mut bytes).await?;
        if length == 0 || answer.is_lost.load(Ordering::SeqCst) {
            return Ok(());
        }
        if answer.is_held.swap(false, Ordering::SeqCst) {
            shared.hold().await;
        }
        client.write_all(&bytes[..length]).await?;
    }
}
