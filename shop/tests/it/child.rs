//! The built binary in processes of its own, and clients of it. Only processes started here are ever signalled.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use shop::{assemble::open_all, audit::Schemas, config::Config};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

use crate::clients::load::Entrance;

/// Longest wait for a process to start, or to end when it was asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary with `args`, in an environment that holds nothing of ours.
pub(crate) fn shop(data_dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.env_clear().env("HOME", data_dir).env("PATH", "/usr/bin:/bin");
    command.arg("--data-dir").arg(data_dir).args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs the binary to its end.
pub(crate) async fn run(data_dir: &Path, args: &[&str]) -> Output {
    shop(data_dir, args).output().await.unwrap()
}

/// Runs it to its end, which must be a good one.
pub(crate) async fn succeeds(data_dir: &Path, args: &[&str]) {
    let output = run(data_dir, args).await;
    assert!(output.status.success(), "{args:?}: {}{}", stdout(&output), stderr(&output));
}

/// What a process wrote to standard output.
pub(crate) fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

/// What a process wrote to standard error.
pub(crate) fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

/// Sends a process a signal by name, for example `TERM`.
pub(crate) async fn signal(pid: u32, name: &str) {
    let pid = pid.to_string();
    let sent = Command::new("/bin/sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status().await.unwrap();
    assert!(sent.success());
}

/// The databases of `data_dir`, as the binary has them.
pub(crate) async fn schemas(data_dir: &Path) -> Schemas {
    let config = Config::read(None, &[("data_dir", data_dir.display().to_string())]).unwrap();
    open_all(&config).await.unwrap()
}

/// All rows of all schemas as text.
pub(crate) async fn dump(schemas: &Schemas) -> String {
    let mut text = String::new();
    for db in [&schemas.goods, &schemas.coupon, &schemas.user, &schemas.order, &schemas.pay] {
        text.push_str(&shop_testkit::dump(db).await);
    }
    text
}

/// A process of the binary that has said that it runs.
pub(crate) struct Running {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

/// A running `shop up`.
pub(crate) struct Up {
    process: Running,
    /// Where its services listen.
    pub(crate) grpc: SocketAddr,
    /// Where its gateway listens.
    pub(crate) web: SocketAddr,
    /// What it logs.
    pub(crate) log: PathBuf,
}

impl Running {
    /// Starts the binary with `args` and waits for the line by which it says that it runs; none if it ended before. Its
    /// log grows over restarts.
    pub(crate) async fn start(data_dir: &Path, args: &[&str], log: &Path) -> Option<(Self, String)> {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let mut child = shop(data_dir, args).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, said.next_line()).await.expect("it starts in time").unwrap()?;
        Some((Self { child, said }, line))
    }

    /// What it says next.
    pub(crate) async fn says(&mut self) -> String {
        timeout(PATIENCE, self.said.next_line()).await.expect("it says it in time").unwrap().expect("it runs")
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends it a signal by name, for example `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        signal(self.pid(), name).await;
    }

    /// Waits for its end: how it ended, and its last line.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Option<String>) {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap();
        let mut last = None;
        while let Some(line) = self.said.next_line().await.unwrap() {
            last = Some(line);
        }
        (status, last)
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Up {
    /// Starts it on free ports with these keys set and waits until it can be called.
    pub(crate) async fn start(data_dir: &Path, keys: &[&str]) -> Self {
        let log = data_dir.join("log");
        let mut args = vec!["--set", "grpc.listen=127.0.0.1:0", "--set", "web.listen=127.0.0.1:0"];
        args.extend(keys.iter().flat_map(|key| ["--set", key]));
        args.push("up");
        let started = Running::start(data_dir, &args, &log).await;
        let (process, line) =
            started.unwrap_or_else(|| panic!("it did not start: {}", fs::read_to_string(&log).unwrap()));
        let rest = line.strip_prefix("shop up: gRPC ").unwrap_or_else(|| panic!("{line}"));
        let (grpc, rest) = rest.split_once(" | REST ").unwrap();
        let web = rest.split([' ', '|']).next().unwrap();
        Self { process, grpc: grpc.parse().unwrap(), web: web.parse().unwrap(), log }
    }

    /// Where clients find it.
    pub(crate) async fn entrance(&self) -> Entrance {
        let channel = self.connect().await;
        Entrance { orders: channel.clone(), payments: channel, web: self.web }
    }

    /// A connection to its services.
    pub(crate) async fn connect(&self) -> Channel {
        endpoint(self.grpc).connect().await.unwrap()
    }

    /// Sends it a signal by name, for example `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        self.process.signal(name).await;
    }

    /// Waits for its end: how it ended, and its last line.
    pub(crate) async fn ended(self) -> (ExitStatus, Option<String>) {
        self.process.ended().await
    }

    /// `kill -9`.
    pub(crate) async fn kill(self) {
        self.process.kill().await;
    }
}

/// The services at `address`.
pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect_timeout(Duration::from_secs(5))
}
