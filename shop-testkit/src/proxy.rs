//! A TCP proxy that spoils what goes through it: the network at fault, and a database whose COMMIT nobody hears about.
//!
//! It ends with the runtime. Whoever is called through it may move: a process that starts again listens elsewhere. Several that
//! do the same are called in turn, connection by connection, as behind a balancer of TCP.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Result},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::sleep,
};

/// Most bytes that go through at once.
const CHUNK: usize = 16 << 10;
/// A packet of MySQL: seven bytes, the first of its exchange, `COM_QUERY` with this very text.
const COMMIT: &[u8] = b"\x07\0\0\0\x03COMMIT";

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The caller.
    Requests,
    /// Whoever is called.
    Answers,
}

/// What is wrong, until it is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Everything takes so much longer, both ways.
    Delay(Duration),
    /// Every connection is cut, and each new one at once.
    Cut,
    /// Nothing arrives this way; when it is healed, it comes late.
    BlackHole(Way),
    /// What is asked arrives; instead of the answer the connection is cut.
    DropAnswers,
}

/// What becomes of one COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The connection is cut instead of it.
    Before,
    /// It is done; the connection is cut instead of its answer.
    After,
    /// It is held until [`Proxy::heal`].
    HoldBefore,
    /// It is done; its answer is held until [`Proxy::heal`].
    HoldAfter,
}

/// A proxy on a free port of the loopback; clones are one.
#[derive(Clone, Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    connections: AtomicUsize,
    commits: AtomicUsize,
    spoiled: Mutex<Option<(usize, Commit)>>,
}

#[derive(Clone, Debug)]
struct State {
    /// Where each of those is who do what is asked for.
    targets: BTreeMap<&'static str, String>,
    fault: Option<Fault>,
    holds_commits: bool,
}

/// What becomes of the next answer of a connection.
#[derive(Default)]
struct Answer {
    is_lost: AtomicBool,
    is_held: AtomicBool,
}

impl Proxy {
    /// Before nobody yet.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = State { targets: BTreeMap::new(), fault: None, holds_commits: false };
        let shared = Arc::new(Shared {
            state: watch::channel(state).0,
            connections: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            spoiled: Mutex::default(),
        });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared }
    }

    /// Before the MySQL server of `url`, and how the same schema is reached through it.
    ///
    /// # Panics
    /// As [`start`](Self::start), or the URL is not one of this kit.
    pub async fn before_mysql(url: &str) -> (Self, String) {
        let (server, schema) = url.strip_prefix("mysql://root@").and_then(|rest| rest.split_once('/')).expect("a URL");
        let proxy = Self::start().await;
        proxy.lead_to("server", server);
        // Plain, or nothing of it could be read.
        let url = format!("mysql://root@{}/{schema}?ssl-mode=DISABLED", proxy.address);
        (proxy, url)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `who` is at `address`; what still goes to where he was is cut.
    pub fn lead_to(&self, who: &'static str, address: &str) {
        self.shared.state.send_modify(|state| {
            state.targets.insert(who, address.to_owned());
        });
    }

    /// Something is wrong from now on.
    pub fn spoil(&self, fault: Fault) {
        self.shared.state.send_modify(|state| state.fault = Some(fault));
    }

    /// Spoils the `nth` COMMIT to a MySQL server from now on.
    pub fn spoil_commit(&self, nth: usize, commit: Commit) {
        self.shared.commits.store(0, Ordering::SeqCst);
        self.shared.state.send_modify(|state| state.holds_commits = true);
        *self.shared.spoiled.lock().unwrap_or_else(PoisonError::into_inner) = Some((nth, commit));
    }

    /// COMMITs since then.
    pub fn commits(&self) -> usize {
        self.shared.commits.load(Ordering::SeqCst)
    }

    /// Nothing is wrong any more; what was held goes on.
    pub fn heal(&self) {
        *self.shared.spoiled.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.state.send_modify(|state| {
            state.fault = None;
            state.holds_commits = false;
        });
    }
}

impl Shared {
    /// Who is called next, where he is, and a connection to there; none if nobody is there.
    async fn next(&self) -> Option<(&'static str, String, TcpStream)> {
        let mut targets = Vec::from_iter(self.state.borrow().targets.clone());
        let turn = self.connections.fetch_add(1, Ordering::SeqCst).checked_rem(targets.len())?;
        targets.rotate_left(turn);
        for (who, target) in targets {
            if let Ok(called) = TcpStream::connect(&target).await {
                return Some((who, target, called));
            }
        }
        None
    }

    /// What becomes of this COMMIT.
    fn commit(&self) -> Option<Commit> {
        let number = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        let spoiled = *self.spoiled.lock().unwrap_or_else(PoisonError::into_inner);
        spoiled.filter(|(nth, _)| *nth == number).map(|(_, commit)| commit)
    }

    async fn until(&self, done: impl FnMut(&State) -> bool) {
        self.state.subscribe().wait_for(done).await.expect("this very object holds the sender");
    }

    /// Waits as long as what goes this way must; false if it goes nowhere.
    async fn may_pass(&self, way: Way) -> bool {
        let fault = self.state.borrow().fault;
        match fault {
            Some(Fault::Delay(time)) => sleep(time).await,
            Some(Fault::BlackHole(lost)) if lost == way => {
                self.until(|state| state.fault != Some(Fault::BlackHole(way))).await;
            }
            Some(Fault::DropAnswers) => return way == Way::Requests,
            _ => {}
        }
        true
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((caller, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let Some((who, target, called)) = shared.next().await else { return };
            let is_cut =
                shared.until(|state| state.targets.get(who) != Some(&target) || state.fault == Some(Fault::Cut));
            // Whichever ends first ends all: the connection is cut.
            tokio::select! {
                () = is_cut => {}
                _ = join(caller, called, &shared) => {}
            }
        });
    }
}

async fn join(caller: TcpStream, called: TcpStream, shared: &Shared) -> Result<()> {
    for side in [&caller, &called] {
        side.set_nodelay(true)?;
    }
    let (from_caller, to_caller) = caller.into_split();
    let (from_called, to_called) = called.into_split();
    let answer = Answer::default();
    tokio::select! {
        ended = requests(from_caller, to_called, shared, &answer) => ended,
        ended = answers(from_called, to_caller, shared, &answer) => ended,
    }
}

/// As it comes: no client sends anything behind a COMMIT before it is answered.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, answer: &Answer) -> Result<()> {
    let mut bytes = vec![0; CHUNK];
    loop {
        let length = from.read(&mut bytes).await?;
        let some = bytes.get(..length).unwrap_or_default();
        if some.is_empty() || !shared.may_pass(Way::Requests).await {
            return Ok(());
        }
        match some.ends_with(COMMIT).then(|| shared.commit()).flatten() {
            None => {}
            Some(Commit::Before) => return Ok(()),
            Some(Commit::After) => answer.is_lost.store(true, Ordering::SeqCst),
            Some(Commit::HoldBefore) => shared.until(|state| !state.holds_commits).await,
            Some(Commit::HoldAfter) => answer.is_held.store(true, Ordering::SeqCst),
        }
        to.write_all(some).await?;
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, answer: &Answer) -> Result<()> {
    let mut bytes = vec![0; CHUNK];
    loop {
        let length = from.read(&mut bytes).await?;
        let some = bytes.get(..length).unwrap_or_default();
        if some.is_empty() || answer.is_lost.load(Ordering::SeqCst) || !shared.may_pass(Way::Answers).await {
            return Ok(());
        }
        if answer.is_held.swap(false, Ordering::SeqCst) {
            shared.until(|state| !state.holds_commits).await;
        }
        to.write_all(some).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::eventually;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Says everything back, and counts the bytes.
    async fn echo() -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    let mut bytes = [0; 64];
                    while let Ok(length @ 1..) = caller.read(&mut bytes).await {
                        counted.fetch_add(length, Ordering::SeqCst);
                        caller.write_all(&bytes[..length]).await.unwrap();
                    }
                });
            }
        });
        (address, heard)
    }

    async fn through() -> (Proxy, Arc<AtomicUsize>, TcpStream) {
        let (address, heard) = echo().await;
        let proxy = Proxy::start().await;
        proxy.lead_to("echo", &address.to_string());
        let caller = TcpStream::connect(proxy.address()).await.unwrap();
        (proxy, heard, caller)
    }

    async fn says(caller: &mut TcpStream, text: &[u8]) -> Result<Vec<u8>> {
        caller.write_all(text).await?;
        hears(caller, text.len()).await
    }

    async fn hears(caller: &mut TcpStream, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        caller.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    /// Fifty bytes to and fro on the straight way: whatever was not held has arrived long since.
    async fn others_are_served(proxy: &Proxy) {
        let target = proxy.shared.state.borrow().targets["echo"].clone();
        let mut straight = TcpStream::connect(target).await.unwrap();
        for _ in 0..50 {
            says(&mut straight, b"x").await.unwrap();
        }
    }

    #[tokio::test]
    async fn without_a_fault_everything_comes_through_also_after_a_move() {
        let (proxy, heard, mut caller) = through().await;
        assert_eq!(says(&mut caller, b"one").await.unwrap(), b"one");
        proxy.spoil(Fault::Delay(Duration::from_millis(1)));
        assert_eq!(says(&mut caller, b"two").await.unwrap(), b"two");
        let (other, moved) = echo().await;
        proxy.lead_to("echo", &other.to_string());
        assert!(says(&mut caller, b"three").await.is_err(), "cut");
        let mut caller = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(says(&mut caller, b"four").await.unwrap(), b"four");
        assert_eq!((heard.load(Ordering::SeqCst), moved.load(Ordering::SeqCst)), (6, 4));
    }

    #[tokio::test]
    async fn several_are_called_in_turn_and_who_is_away_is_left_out() {
        let (proxy, heard, _caller) = through().await;
        let (other, heard_other) = echo().await;
        proxy.lead_to("other", &other.to_string());
        let speak = async || {
            for _ in 0..4 {
                says(&mut TcpStream::connect(proxy.address()).await.unwrap(), b"x").await.unwrap();
            }
            [&heard, &heard_other].map(|heard| heard.load(Ordering::SeqCst))
        };
        assert_eq!(speak().await, [2, 2]);
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        proxy.lead_to("echo", &nobody.to_string());
        assert_eq!(speak().await, [2, 6]);
    }

    #[tokio::test]
    async fn what_is_cut_stays_cut_until_it_is_healed() {
        let (proxy, _, mut caller) = through().await;
        says(&mut caller, b"one").await.unwrap();
        proxy.spoil(Fault::Cut);
        assert!(says(&mut caller, b"two").await.is_err());
        let mut caller = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(says(&mut caller, b"three").await.is_err(), "a new one too");
        proxy.heal();
        let mut caller = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(says(&mut caller, b"four").await.unwrap(), b"four");
    }

    #[tokio::test]
    async fn what_falls_into_a_hole_comes_late() {
        let (proxy, heard, mut caller) = through().await;
        says(&mut caller, b"one").await.unwrap();
        proxy.spoil(Fault::BlackHole(Way::Answers));
        caller.write_all(b"two").await.unwrap();
        eventually("it is asked", PATIENCE, async || heard.load(Ordering::SeqCst) == 6).await;
        others_are_served(&proxy).await;
        assert!(caller.try_read(&mut [0; 8]).is_err(), "and not answered");
        proxy.heal();
        assert_eq!(hears(&mut caller, 3).await.unwrap(), b"two");

        proxy.spoil(Fault::BlackHole(Way::Requests));
        caller.write_all(b"three").await.unwrap();
        others_are_served(&proxy).await;
        assert_eq!(heard.load(Ordering::SeqCst), 6 + 100);
        proxy.heal();
        assert_eq!(hears(&mut caller, 5).await.unwrap(), b"three");
    }

    #[tokio::test]
    async fn without_its_answer_a_request_is_done_all_the_same() {
        let (proxy, heard, mut caller) = through().await;
        proxy.spoil(Fault::DropAnswers);
        assert!(says(&mut caller, b"one").await.is_err());
        assert_eq!(heard.load(Ordering::SeqCst), 3);
    }
}
