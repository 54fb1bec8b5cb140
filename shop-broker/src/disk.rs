//! Whether RocketMQ will write to the disk of its store: what it refuses, it refuses without saying why.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::BrokerError;

/// RocketMQ takes no message while more than this share of the disk is taken; no setting of it goes higher.
const TAKEN_MAX_PERCENT: u64 = 90;

const MIB: u64 = 1024 * 1024;

/// What there is of a disk, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Space {
    total: u64,
    /// What a process without privileges may still take: RocketMQ calls the rest taken, the part kept for root too.
    available: u64,
}

/// Makes `dir` and looks whether RocketMQ will write to it.
pub(crate) fn check(dir: &Path) -> Result<(), BrokerError> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    // First, for on a full disk no directory can be made.
    let there = dir.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(dir);
    let (total, available) = (fs2::total_space(there).map_err(at)?, fs2::available_space(there).map_err(at)?);
    Space { total, available }.check(dir)?;
    fs::create_dir_all(dir).map_err(at)?;
    let probe = dir.join(".probe");
    fs::write(&probe, b"x").and_then(|()| fs::remove_file(&probe)).map_err(at)?;
    Ok(())
}

impl Space {
    fn check(self, dir: &Path) -> Result<(), BrokerError> {
        let taken = u128::from(self.total.saturating_sub(self.available));
        if taken * 100 <= u128::from(self.total) * u128::from(TAKEN_MAX_PERCENT) {
            return Ok(());
        }
        let needed = self.total / 100 * (100 - TAKEN_MAX_PERCENT);
        Err(BrokerError::DiskFull {
            path: PathBuf::from(dir),
            available_mib: self.available / MIB,
            total_mib: self.total / MIB,
            needed_mib: needed.div_ceil(MIB),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(total: u64, available: u64) -> Result<(), BrokerError> {
        Space { total: total * MIB, available: available * MIB }.check(Path::new("/data/mq"))
    }

    #[test]
    fn a_disk_is_full_when_less_than_a_tenth_is_left() {
        check(1000, 1000).unwrap();
        check(1000, 100).unwrap();
        let told = check(1000, 99).unwrap_err().to_string();
        for part in ["/data/mq", "99 MiB of 1000 MiB", "100 MiB", "data_dir", "mq.name_server"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        check(1000, 0).unwrap_err();
    }
}
