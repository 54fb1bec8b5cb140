//! One private MariaDB per test process: own directory, own port of 127.0.0.1, gone with the process.
//!
//! A shell is its parent and waits for the end of its own standard input. The writing end of that pipe is held by the
//! test process, so however that one ends (done, panicked, killed), the shell stops the server and removes the files.

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, Database};

/// Set to `1` where a missing MariaDB must not go unnoticed.
const REQUIRED: &str = "SHOP_TEST_REQUIRE_MARIADB";
/// Longest wait for a server that starts; it takes 0.1 s on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Free ports are found by asking for one, so somebody else may be faster.
const TRIES: u32 = 5;
/// How the server says that somebody was.
const PORT_TAKEN: &str = "Bind on TCP/IP port";

/// `$1` is the directory, the rest the server's command line.
const WATCHDOG: &str =
    r#"dir=$1; shift; "$@" </dev/null >"$dir/log" 2>&1 & read -r _; kill -9 $!; wait; rm -rf "$dir""#;

/// Durable as in production, small in all else. No grant tables: the directory starts empty, without an install step.
const OPTIONS: [&str; 16] = [
    "--user=root",
    "--skip-grant-tables",
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
    "--max-connections=2000",
    "--max-connect-errors=1000000",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-stats-persistent=0",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--innodb-data-file-path=ibdata1:4M:autoextend",
    "--innodb-temp-data-file-path=ibtmp1:2M:autoextend",
    "--key-buffer-size=1M",
];

/// A server that runs.
struct Server {
    port: u16,
    /// Holds the writing end of the watchdog's standard input.
    _watchdog: Child,
}

/// The URL of a new, empty schema; `None` where there is no MariaDB and none is required.
pub(crate) async fn fresh_schema(collation: &str) -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let port = server()?.port;
    let schema = format!("shop_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let root = Database::connect(format!("mysql://root@127.0.0.1:{port}/mysql")).await.expect("MariaDB answers");
    let create = format!("CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE {collation}");
    root.execute_unprepared(&create).await.expect("a schema of one's own");
    root.close().await.expect("the connection is given back");
    Some(format!("mysql://root@127.0.0.1:{port}/{schema}"))
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| start().map_err(|why| skip(&why)).ok()).as_ref()
}

fn skip(why: &str) {
    assert!(std::env::var_os(REQUIRED).is_none_or(|value| value != "1"), "{REQUIRED}=1, but {why}");
    // Past the capture of the test harness: a tier that is skipped is seen in every run.
    let line = format!("MariaDB tests are skipped: {why}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("standard error is open");
}

fn start() -> Result<Server, String> {
    let program = find().ok_or("mariadbd is not installed")?;
    let mut why = String::new();
    for _ in 0..TRIES {
        match try_start(&program) {
            Ok(server) => return Ok(server),
            Err(error) => why = error,
        }
        if !why.contains(PORT_TAKEN) {
            break;
        }
    }
    Err(format!("{} does not start: {why}", program.display()))
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(PathBuf::from("/usr/sbin")).chain(std::env::split_paths(&path));
    places.map(|place| place.join("mariadbd")).find(|program| program.is_file())
}

fn try_start(program: &Path) -> Result<Server, String> {
    let failed = |error: std::io::Error| error.to_string();
    // Removed by the watchdog, not by us: we may be killed.
    let dir = tempfile::Builder::new().prefix("shop-mariadb-").tempdir().map_err(failed)?.keep();
    fs::create_dir_all(dir.join("data/mysql")).map_err(failed)?;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(failed)?.port();
    let watchdog = Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "sh"])
        .arg(&dir)
        .arg(program)
        .arg("--no-defaults")
        .args(OPTIONS)
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", dir.join("data").display()))
        .arg(format!("--tmpdir={}", dir.display()))
        .arg(format!("--socket={}", dir.join("socket").display()))
        .arg(format!("--pid-file={}", dir.join("pid").display()))
        // Out of reach of Ctrl-C, which must not end it before its work is done.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let ready = wait_until_ready(&dir.join("log"));
    ready.map(|()| Server { port, _watchdog: watchdog })
}

fn wait_until_ready(log: &Path) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let text = fs::read_to_string(log).unwrap_or_default();
        if text.contains("ready for connections") {
            return Ok(());
        }
        if let Some(error) = text.lines().find(|line| line.contains("[ERROR]")) {
            return Err(error.to_owned());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(format!("not ready after {PATIENCE:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_watchdog_leaves_nothing_when_its_input_ends() {
        let dir = tempfile::tempdir().unwrap().keep();
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "sh"])
            .arg(&dir)
            .args(["/bin/sh", "-c", "echo running as $$; exec sleep 600"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let log = || fs::read_to_string(dir.join("log")).unwrap_or_default();
        crate::eventually("the server runs", PATIENCE, async || log().contains("running as")).await;
        let pid = log().trim().replace("running as ", "");
        assert!(Path::new("/proc").join(&pid).exists());

        drop(watchdog.stdin.take());

        crate::eventually("the files are gone", PATIENCE, async || !dir.exists()).await;
        assert!(!Path::new("/proc").join(&pid).exists(), "the server is gone before its files");
        watchdog.wait().unwrap();
    }

    #[test]
    fn a_server_that_cannot_start_says_why() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("mariadbd");
        fs::write(&program, "#!/bin/sh\necho starting; echo '[ERROR] no disk'\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(try_start(&program).err().unwrap(), "[ERROR] no disk");
    }
}
