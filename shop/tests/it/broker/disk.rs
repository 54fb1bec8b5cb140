//! A small disk of its own, where the test may mount one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file system in memory, unmounted when dropped.
pub(super) struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// Mounts one of `mib` MiB on `dir`, which must be there; none where that is not allowed.
    pub(super) fn mount(dir: &Path, mib: u64) -> Option<Self> {
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "shop-test"]).arg(dir).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self { dir: dir.to_owned() });
        }
        println!("no disk can be mounted here: this part stands aside");
        None
    }

    /// Takes all that is left of it.
    pub(super) fn fill(&self) {
        let mut file = fs::File::create(self.dir.join("filler")).unwrap();
        std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
    }

    /// Gives it back.
    pub(super) fn empty(&self) {
        fs::remove_file(self.dir.join("filler")).unwrap();
    }

    /// Lets nobody write to it.
    pub(super) fn make_read_only(&self) {
        assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.dir).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.dir).status());
    }
}
