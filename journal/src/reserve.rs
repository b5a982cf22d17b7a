//! Space kept for alarms: a file that is given back when the disk is full.
//!
//! Lives here: making, giving back and making again of `journal.reserve`, and how much space
//! there is. May not live here: the decision when (`writer`). `alarm-engine.md` section 7.12:
//! 64 MiB are kept in reserve on disk for the journal.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::OpenError;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

const FILE: &str = "journal.reserve";

/// How much is kept for the journal.
pub(crate) const RESERVE_BYTES: u64 = 64 << 20;

/// A disk with less than this free is full: SQLite may need as much to open a database.
const FULL_BELOW: u64 = 1 << 20;

/// The reserve of one data directory.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(crate) fn new(dir: &Path, bytes: u64) -> Reserve {
        Reserve {
            path: dir.join(FILE),
            bytes,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True while the space is held.
    pub(crate) fn is_held(&self) -> bool {
        self.bytes == 0 || std::fs::metadata(&self.path).is_ok_and(|m| m.len() >= self.bytes)
    }

    /// Takes the space, unless that would leave less than as much again free.
    pub(crate) fn hold(&self) -> io::Result<()> {
        if self.is_held() {
            return Ok(());
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if free_bytes(dir)? < 2 * self.bytes {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let made = self.allocate();
        if made.is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
        made
    }

    /// Gives the space back. True where there was some to give.
    pub(crate) fn give_back(&self) -> bool {
        self.bytes > 0 && std::fs::remove_file(&self.path).is_ok()
    }

    fn allocate(&self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.bytes) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(&mut file, self.bytes),
            Err(e) => Err(e.into()),
        }
    }
}

/// True while the journal's reserve in this directory is given back, or was never taken.
pub(crate) fn is_given_back(dir: &Path) -> bool {
    !dir.join(FILE).exists()
}

/// What an ordinary user may still write on the file system of this directory.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let fs = statvfs(dir)?;
    Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// Opens what needs a few pages to be opened: on a full disk out of the space kept for alarms,
/// because a gateway that starts there must warn all the same.
pub(crate) fn open_with_room<T>(
    dir: &Path,
    open: impl Fn() -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    match open() {
        Err(OpenError::Io { .. })
            if !is_given_back(dir) && free_bytes(dir).is_ok_and(|free| free < FULL_BELOW) =>
        {
            tracing::warn!(dir = %dir.display(), "the disk is full: opening in the space kept for alarms");
            let _ = std::fs::remove_file(dir.join(FILE));
            open()
        }
        outcome => outcome,
    }
}

fn write_zeros(file: &mut File, mut left: u64) -> io::Result<()> {
    let zeros = [0; 64 << 10];
    while left > 0 {
        let n = left.min(zeros.len() as u64) as usize;
        file.write_all(&zeros[..n])?;
        left -= n as u64;
    }
    Ok(())
}
