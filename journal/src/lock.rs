//! One process per data directory, for its whole life.
//!
//! Lives here: the operating system's lock on a file in the directory. May not live here: the
//! databases. The lock ends with the process, however it ends; the file stays.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::OpenError;

/// Held for as long as this lives.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Creates `dir` where it is missing and takes `name` in it.
    pub(crate) fn take(dir: &Path, name: &str) -> Result<DirLock, OpenError> {
        std::fs::create_dir_all(dir).map_err(|e| OpenError::io(dir, e))?;
        let path = dir.join(name);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| OpenError::io(&path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                // Who holds it is a courtesy for the message; a full disk must not stop a start.
                let _ = file
                    .set_len(0)
                    .and_then(|()| file.seek(SeekFrom::Start(0)))
                    .and_then(|_| writeln!(file, "{}", std::process::id()));
                Ok(DirLock { _file: file })
            }
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                let holder = match text.trim().parse::<u32>() {
                    Ok(pid) => format!(" (process {pid})"),
                    Err(_) => String::new(),
                };
                Err(OpenError::Locked {
                    dir: dir.to_path_buf(),
                    holder,
                })
            }
            Err(errno) => Err(OpenError::io(&path, errno)),
        }
    }
}
