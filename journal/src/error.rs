//! What can go wrong with the files, said so that a person can act on it.
//!
//! Lives here: the two error enums of the crate. May not live here: recovery. Read first:
//! [`OpenError`], whose every message is one line with its remedy.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error(
        "{} is in use by another davy process{holder}: stop that one, or give this one another --data-dir",
        dir.display()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// ` (process 4711)` where it is known, else empty.
        holder: String,
    },
    /// A newer davy wrote it.
    #[error(
        "{} was written by a newer davy (schema {found}, this one knows {known}): run the newer davy, or give another --data-dir",
        file.display()
    )]
    NewerSchema {
        /// The database.
        file: PathBuf,
        /// `user_version` in the file.
        found: i64,
        /// The highest that this program knows.
        known: i64,
    },
    /// It belongs to somebody else.
    #[error(
        "{} belongs to `{found}`, not to `{wanted}`: correct --data-dir or the id, or move the directory away",
        dir.display()
    )]
    OtherIdentity {
        /// The data directory.
        dir: PathBuf,
        /// Who wrote it.
        found: String,
        /// Who opens it.
        wanted: String,
    },
    /// The file is damaged.
    #[error(
        "{} is damaged ({detail}): copy the directory as evidence, look with `davy journal verify`, then move the file aside or restore it from a copy",
        file.display()
    )]
    Corrupt {
        /// The database.
        file: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file system said no.
    #[error("{}: {detail}: check that the directory exists, is writable and has space", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: impl Into<io::Error>) -> OpenError {
        OpenError::Io {
            path: path.to_path_buf(),
            detail: error.into().to_string(),
        }
    }

    pub(crate) fn database(file: &Path, error: &rusqlite::Error) -> OpenError {
        if is_damage(error) {
            OpenError::Corrupt {
                file: file.to_path_buf(),
                detail: error.to_string(),
            }
        } else {
            OpenError::Io {
                path: file.to_path_buf(),
                detail: error.to_string(),
            }
        }
    }
}

/// Why a running journal or series could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space. Nothing of the submission was stored.
    #[error("the disk of {} is full: free some space, nothing of this was stored yet", .0.display())]
    DiskFull(PathBuf),
    /// The file is damaged.
    #[error("{} is damaged: {detail}", file.display())]
    Corrupt {
        /// The database.
        file: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A transition is missing.
    #[error("transition {found} came where {expected} was due: one is missing")]
    Gap {
        /// The sequence that was due.
        expected: u64,
        /// The sequence that came.
        found: u64,
    },
    /// A sequence number came again with other content.
    #[error("transition {0} is already in the journal with other content")]
    Rewritten(u64),
    /// The bytes are not a JSON object as a record must be.
    #[error("record {seq} cannot be journalled: {why}")]
    NotARecord {
        /// Its sequence number; 0 for an audit entry.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Anything else that the database said.
    #[error("{}: {detail}", file.display())]
    Database {
        /// The database.
        file: PathBuf,
        /// What it said.
        detail: String,
    },
}

impl StoreError {
    pub(crate) fn database(file: &Path, error: &rusqlite::Error) -> StoreError {
        let file = file.to_path_buf();
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            StoreError::DiskFull(file)
        } else if is_damage(error) {
            StoreError::Corrupt {
                file,
                detail: error.to_string(),
            }
        } else {
            StoreError::Database {
                file,
                detail: error.to_string(),
            }
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}
