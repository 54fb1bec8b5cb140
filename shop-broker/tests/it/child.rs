//! The embedded broker in a process of its own, which is the test binary, run again.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use shop_broker::{Broker, BrokerConfig};

use crate::world::until;

/// Tells the child where its broker keeps its messages.
const DIR: &str = "SHOP_BROKER_CHILD_DIR";
/// File by which the child tells its name server.
const ADDRESS: &str = "address";

/// A broker in a process of its own, which is killed when dropped.
pub(crate) struct BrokerProcess {
    pub(crate) name_server: String,
    child: Child,
}

impl BrokerProcess {
    pub(crate) async fn start(dir: &Path) -> Self {
        let address = dir.join(ADDRESS);
        std::fs::remove_file(&address).unwrap_or_default();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::broker", "--ignored"])
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = Self { name_server: String::new(), child };
        until("the child's broker", || address.exists()).await;
        process.name_server = std::fs::read_to_string(address).unwrap();
        process
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// It takes no further step, but its connections stay.
    pub(crate) fn hang(&self) {
        self.signal("STOP");
    }

    /// It goes on.
    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // An Err means it has been killed before.
        self.child.kill().unwrap_or_default();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
#[ignore = "the child of other tests"]
async fn broker() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let broker = Broker::start(BrokerConfig::new(&dir)).await.unwrap();
    let (unfinished, address) = (Path::new(&dir).join("address.new"), Path::new(&dir).join(ADDRESS));
    std::fs::write(&unfinished, broker.name_server()).unwrap();
    std::fs::rename(unfinished, address).unwrap();
    // Ends with its parent, however that ends.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), broker.shutdown()).await.unwrap();
}
