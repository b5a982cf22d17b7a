//! The databases' tables, and how an older file becomes a newer one.
//!
//! Lives here: SQL that makes tables, `user_version`, pragmas. May not live here: queries.
//! A step is never edited once released: add another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rustix::fs::{Access, access};

use crate::{OpenError, torn};

/// One kind of database: its file and its steps; `user_version` is the number of steps done.
pub(crate) struct Schema {
    pub(crate) file: &'static str,
    steps: &'static [&'static str],
    page_size: u32,
    autocheckpoint_pages: u32,
}

/// Transitions, audit, cursors, image (`synchronous = FULL`), and what a centre has received.
pub(crate) const JOURNAL: Schema = Schema {
    file: "journal.db",
    page_size: 4096,
    autocheckpoint_pages: 1000,
    steps: &["
        CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE transition(seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
        CREATE TABLE audit(n INTEGER PRIMARY KEY, hash BLOB NOT NULL, bytes BLOB NOT NULL) STRICT;
        CREATE TABLE tip(chain TEXT PRIMARY KEY, n INTEGER NOT NULL, hash BLOB NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE cursor(name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE image(id INTEGER PRIMARY KEY CHECK (id = 1), bytes BLOB NOT NULL) STRICT;
        CREATE TABLE alive(id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;
        CREATE TABLE received(
            center_seq INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, seq INTEGER NOT NULL,
            hash BLOB NOT NULL, chain_ok INTEGER NOT NULL, alarm TEXT NOT NULL,
            occurrence TEXT NOT NULL, to_label TEXT NOT NULL, wire BLOB NOT NULL) STRICT;
        CREATE UNIQUE INDEX received_by_owner ON received(owner, seq);
        CREATE INDEX received_by_occurrence ON received(occurrence) WHERE occurrence <> '';
        CREATE TABLE received_latest(
            owner TEXT NOT NULL, alarm TEXT NOT NULL, seq INTEGER NOT NULL, center_seq INTEGER NOT NULL,
            PRIMARY KEY (owner, alarm)) STRICT, WITHOUT ROWID;
    "],
};

/// Samples: the spool, one blob per commit, and the points' chunks derived from it.
pub(crate) const SERIES: Schema = Schema {
    file: "series.db",
    page_size: 4096,
    autocheckpoint_pages: 4000,
    steps: &["
        CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE point(id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE) STRICT;
        CREATE TABLE spool(
            batch INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL,
            t_min INTEGER NOT NULL, t_max INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
        CREATE TABLE chunk(
            id INTEGER PRIMARY KEY, point INTEGER NOT NULL, t0 INTEGER NOT NULL, t1 INTEGER NOT NULL,
            upto INTEGER NOT NULL, n INTEGER NOT NULL, small INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
        CREATE INDEX chunk_by_point ON chunk(point, t0, t1, upto);
        CREATE INDEX chunk_small ON chunk(point, upto, n) WHERE small = 1;
    "],
};

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl Schema {
    /// Opens the database in `dir` for writing, makes or migrates its tables. With `create`
    /// false a missing file is an error: a running process must not go on in an empty one.
    pub(crate) fn open(&self, dir: &Path, create: bool) -> Result<Connection, OpenError> {
        let path = dir.join(self.file);
        let fault = |e: rusqlite::Error| OpenError::database(&path, &e);
        if create {
            // Only the first to open it: a checkpoint of ours would change it while we look.
            let missing = torn::missing(&path, &log_of(&path));
            if let Some(detail) = missing.map_err(|e| OpenError::io(&path, e))? {
                return Err(OpenError::Corrupt { file: path, detail });
            }
        }
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let mut db = Connection::open_with_flags(&path, flags).map_err(fault)?;
        db.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
        db.set_prepared_statement_cache_capacity(64);
        // page_size counts only while the file is empty.
        db.execute_batch(&format!(
            "PRAGMA page_size = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = 67108864;
             PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
            self.page_size, self.autocheckpoint_pages
        ))
        .map_err(fault)?;
        self.migrate(&mut db, &path)?;
        Ok(db)
    }

    /// Refuses a file that was cut to nothing: SQLite would take it for a new database, throw away
    /// the write-ahead log beside it and begin at 1. `lived`: something else says that there was
    /// content.
    pub(crate) fn refuse_emptied(&self, dir: &Path, lived: bool) -> Result<(), OpenError> {
        let path = dir.join(self.file);
        let empty = std::fs::metadata(&path).is_ok_and(|m| m.len() == 0);
        if empty && (lived || has_log(&path)) {
            return Err(OpenError::Corrupt {
                file: path,
                detail: "it is empty, and once it was not".to_owned(),
            });
        }
        Ok(())
    }

    /// Opens the database in `dir` for reading alone; also a copy whose directory cannot be
    /// written, as long as nothing is left in its write-ahead log.
    pub(crate) fn open_read(&self, dir: &Path) -> Result<Connection, OpenError> {
        let path = dir.join(self.file);
        // Asked, not opened: closing any descriptor of the file gives up every POSIX lock that this
        // process has on it, also those of the connection that writes. The next stranger with a
        // `sqlite3` shell would then be the last to leave, and delete the log under the writer
        // (sqlite.org/howtocorrupt.html, 2.2).
        if let Err(e) = access(&path, Access::READ_OK) {
            return Err(OpenError::io(&path, e));
        }
        let fault = |e: rusqlite::Error| OpenError::database(&path, &e);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(&path, flags).map_err(fault)?;
        let mut version = user_version(&db);
        if version.is_err() && !has_log(&path) {
            // A write-ahead database wants its shared memory beside it, even to read.
            let uri = format!("file:{}?immutable=1", percent_encoded(&path));
            db = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
                .map_err(fault)?;
            version = user_version(&db);
        }
        db.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
        let found = version.map_err(fault)?;
        self.refuse_newer(&path, found)?;
        if found == 0 {
            return Err(OpenError::Corrupt {
                file: path,
                detail: "it holds no tables of davy".to_owned(),
            });
        }
        Ok(db)
    }

    fn migrate(&self, db: &mut Connection, path: &Path) -> Result<(), OpenError> {
        let fault = |e: rusqlite::Error| OpenError::database(path, &e);
        let found = user_version(db).map_err(fault)?;
        self.refuse_newer(path, found)?;
        let done = usize::try_from(found).unwrap_or(0);
        for (step, sql) in self.steps.iter().enumerate().skip(done) {
            let tx = db
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(fault)?;
            tx.execute_batch(sql).map_err(fault)?;
            tx.pragma_update(None, "user_version", step as i64 + 1)
                .map_err(fault)?;
            tx.commit().map_err(fault)?;
        }
        Ok(())
    }

    fn refuse_newer(&self, path: &Path, found: i64) -> Result<(), OpenError> {
        let known = self.steps.len() as i64;
        if found > known {
            return Err(OpenError::NewerSchema {
                file: path.to_path_buf(),
                found,
                known,
            });
        }
        Ok(())
    }
}

fn user_version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn has_log(database: &Path) -> bool {
    std::fs::metadata(log_of(database)).is_ok_and(|m| m.len() > 0)
}

fn log_of(database: &Path) -> PathBuf {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn percent_encoded(path: &Path) -> String {
    let mut out = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No crash of a process shows what only a power cut would: that a commit was not on the disk
    /// when the alarm was told.
    #[test]
    fn every_connection_that_writes_waits_for_the_disk() {
        let dir = tempfile::tempdir().expect("a folder");
        for schema in [&JOURNAL, &SERIES] {
            for create in [true, false] {
                let db = schema.open(dir.path(), create).expect("opened");
                let asked = |pragma: &str| {
                    db.pragma_query_value(None, pragma, |row| {
                        row.get::<_, rusqlite::types::Value>(0)
                    })
                    .expect("answered")
                };
                let full = rusqlite::types::Value::Integer(2);
                assert_eq!(asked("synchronous"), full, "{}: FULL", schema.file);
                let wal = rusqlite::types::Value::Text("wal".to_owned());
                assert_eq!(asked("journal_mode"), wal, "{}", schema.file);
            }
        }
    }
}
