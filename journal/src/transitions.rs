//! The journal of one owner: its transitions and audit entries, chained, and what restart needs.
//!
//! Lives here: [`Journal`], the one writer of `journal.db`. May not live here: threads
//! (`writer`), the meaning of a record. Read first: [`Journal::append`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::ends::{Ends, append_audit, append_record, read_ends};
use crate::lock::DirLock;
use crate::reserve::{self, RESERVE_BYTES, Reserve};
use crate::schema::{JOURNAL, SERIES};
use crate::seal::{Hash, Sealed};
use crate::{JournalReader, OpenError, ReceivedLog, StoreError};

/// What one step of an engine leaves behind, stored in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submission {
    /// Transitions as JSON objects, without `prev` and `hash`, in sequence.
    pub records: Vec<(u64, Vec<u8>)>,
    /// The engine's image, where it changed enough to keep.
    pub image: Option<Vec<u8>>,
    /// Wall time at which the engine was alive, UTC ns; 0: not said.
    pub alive_at: i64,
    /// Audit entries as JSON objects.
    pub audit: Vec<Vec<u8>>,
}

/// How to open a [`Journal`].
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// Kept on disk for alarms on a full disk.
    pub reserve_bytes: u64,
    /// What `journal.db` and the reserve may take together; none: the disk.
    pub quota_bytes: Option<u64>,
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions {
            reserve_bytes: RESERVE_BYTES,
            quota_bytes: None,
        }
    }
}

/// Transitions, audit, cursors and image of one owner. The data directory is locked while it
/// lives.
#[derive(Debug)]
pub struct Journal {
    db: Connection,
    dir: PathBuf,
    identity: String,
    lock: Arc<DirLock>,
    reserve: Reserve,
    quota_bytes: Option<u64>,
    ends: Ends,
    /// A commit failed: what the file holds is to be read anew.
    failed: bool,
    /// Where the audit chain stands if the commit that failed had gone through after all.
    in_doubt: Option<Hash>,
}

impl Journal {
    /// Opens or makes the journal of `identity` in `dir` and locks the directory.
    ///
    /// # Errors
    /// [`OpenError`], each with its remedy.
    pub fn open(dir: &Path, identity: &str) -> Result<Journal, OpenError> {
        Journal::open_with(dir, identity, &JournalOptions::default())
    }

    /// As [`Journal::open`], with other limits.
    ///
    /// # Errors
    /// [`OpenError`], each with its remedy.
    pub fn open_with(
        dir: &Path,
        identity: &str,
        options: &JournalOptions,
    ) -> Result<Journal, OpenError> {
        let lock = Arc::new(reserve::open_with_room(dir, || {
            DirLock::take(dir, "journal.lock")
        })?);
        let file = dir.join(JOURNAL.file);
        // Both are made after the journal, so that a first start that was killed is not refused.
        let series = std::fs::metadata(dir.join(SERIES.file)).is_ok_and(|m| m.len() > 0);
        JOURNAL.refuse_emptied(dir, series || !reserve::is_given_back(dir))?;
        let db = reserve::open_with_room(dir, || {
            let db = JOURNAL.open(dir, true)?;
            claim(&db, dir, identity)?;
            Ok(db)
        })?;
        let ends = read_ends(&db, identity).map_err(|fault| fault.open(&file))?;
        let reserve = Reserve::new(dir, options.reserve_bytes);
        let journal = Journal {
            db,
            dir: dir.to_path_buf(),
            identity: identity.to_owned(),
            lock,
            reserve,
            quota_bytes: options.quota_bytes,
            ends,
            failed: false,
            in_doubt: None,
        };
        journal
            .apply_quota()
            .map_err(|e| OpenError::database(&file, &e))?;
        if !journal.hold_reserve() {
            tracing::warn!(dir = %dir.display(), "no space to keep in reserve for alarms");
        }
        Ok(journal)
    }

    /// The newest transition's sequence number; 0 before the first.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.ends.last_seq
    }

    /// The newest transition's hash, or the identity's.
    #[must_use]
    pub fn tip(&self) -> Hash {
        self.ends.transitions.tip()
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The engine's image as it was given last.
    #[must_use]
    pub fn image(&self) -> Option<Vec<u8>> {
        self.query_one("SELECT bytes FROM image")
    }

    /// When the engine was known to be alive last, UTC ns.
    #[must_use]
    pub fn alive_at(&self) -> Option<i64> {
        self.query_one("SELECT at FROM alive")
    }

    /// The position of a named cursor; 0 where it has none.
    #[must_use]
    pub fn cursor(&self, name: &str) -> u64 {
        read_cursor(&self.db, name)
            .inspect_err(|e| tracing::error!(cursor = name, "cannot read a cursor: {e}"))
            .unwrap_or(0)
    }

    /// Moves a named cursor, durable when it returns. Once the journal is
    /// [spawned](crate::spawn), its handle does this.
    ///
    /// # Errors
    /// [`StoreError`] where it could not be stored.
    pub fn set_cursor(&mut self, name: &str, position: u64) -> Result<(), StoreError> {
        self.append(&[], &[(name.to_owned(), position)]).map(drop)
    }

    /// Another connection, for reading alone.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be opened again.
    pub fn reader(&self) -> Result<JournalReader, OpenError> {
        JournalReader::open(&self.dir)
    }

    /// Another connection, for what a centre receives from other owners.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be opened again.
    pub fn received_log(&self) -> Result<ReceivedLog, OpenError> {
        ReceivedLog::open(&self.dir, Arc::clone(&self.lock))
    }

    /// Stores submissions and cursors in one transaction, durable when it returns. Records that
    /// are there already, byte for byte, are passed over; what comes back are all of the
    /// submissions' records, sealed.
    ///
    /// After an error nothing of it is stored as far as anyone knows: give *the same* submissions
    /// again, and what had gone through after all is not doubled.
    ///
    /// # Errors
    /// [`StoreError`]; `Gap`, `Rewritten` and `NotARecord` are the submitter's faults.
    pub fn append(
        &mut self,
        submissions: &[&Submission],
        cursors: &[(String, u64)],
    ) -> Result<Vec<Sealed>, StoreError> {
        let file = self.file();
        if self.failed {
            self.reopen()?;
        }
        let audit_done = self.in_doubt == Some(self.ends.audit.tip());
        let fault = |e: rusqlite::Error| StoreError::database(&file, &e);
        let mut ends = self.ends;
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        let mut sealed = Vec::new();
        for submission in submissions {
            for (seq, record) in &submission.records {
                sealed.push(append_record(&tx, &file, &mut ends, *seq, record)?);
            }
            if !audit_done {
                for entry in &submission.audit {
                    append_audit(&tx, &file, &mut ends, entry)?;
                }
            }
        }
        store_rest(&tx, &ends, &self.ends, submissions, cursors).map_err(fault)?;
        if ends.audit_len != self.ends.audit_len {
            self.in_doubt = Some(ends.audit.tip());
        }
        self.failed = true;
        tx.commit().map_err(fault)?;
        self.failed = false;
        self.in_doubt = None;
        self.ends = ends;
        Ok(sealed)
    }

    /// Closes and opens the database and reads anew where the chains end, as after a fault of
    /// the disk.
    pub(crate) fn reopen(&mut self) -> Result<(), StoreError> {
        let file = self.file();
        let gone = |e: &dyn std::fmt::Display| StoreError::Database {
            file: file.clone(),
            detail: e.to_string(),
        };
        self.db = JOURNAL.open(&self.dir, false).map_err(|e| gone(&e))?;
        self.ends = read_ends(&self.db, &self.identity).map_err(|fault| fault.store(&file))?;
        self.apply_quota()
            .map_err(|e| StoreError::database(&file, &e))
    }

    /// Behaves as if the last commit had not come back: the next append reads the file anew.
    pub(crate) fn doubt(&mut self) {
        self.failed = true;
        self.in_doubt = Some(self.ends.audit.tip());
    }

    /// True while the space for alarms is held.
    pub(crate) fn reserve_is_held(&self) -> bool {
        self.reserve.is_held()
    }

    /// Gives the reserve back to the disk. True where there was one.
    pub(crate) fn give_reserve_back(&self) -> bool {
        let given = self.reserve.give_back();
        if given && let Err(e) = self.apply_quota() {
            tracing::error!("cannot widen the journal's quota: {e}");
        }
        given
    }

    /// Takes the reserve again where there is space. True where it is held now.
    pub(crate) fn hold_reserve(&self) -> bool {
        let room = match (self.quota_bytes, self.used_bytes()) {
            (Some(quota), Ok(used)) => used + self.reserve.bytes() <= quota,
            (Some(_), Err(_)) => false,
            (None, _) => true,
        };
        room && self.reserve.hold().is_ok() && self.apply_quota().is_ok()
    }

    fn file(&self) -> PathBuf {
        self.dir.join(JOURNAL.file)
    }

    fn used_bytes(&self) -> rusqlite::Result<u64> {
        let pages: i64 = self
            .db
            .pragma_query_value(None, "page_count", |r| r.get(0))?;
        let free: i64 = self
            .db
            .pragma_query_value(None, "freelist_count", |r| r.get(0))?;
        Ok((pages - free).unsigned_abs() * self.page_size()?)
    }

    fn page_size(&self) -> rusqlite::Result<u64> {
        let size: i64 = self
            .db
            .pragma_query_value(None, "page_size", |r| r.get(0))?;
        Ok(size.unsigned_abs())
    }

    fn apply_quota(&self) -> rusqlite::Result<()> {
        let Some(quota) = self.quota_bytes else {
            return Ok(());
        };
        let kept = if self.reserve.is_held() {
            self.reserve.bytes()
        } else {
            0
        };
        let pages = quota.saturating_sub(kept) / self.page_size()?;
        let set = format!("PRAGMA max_page_count = {}", pages.max(1));
        self.db.query_row(&set, [], |_| Ok(()))
    }

    fn query_one<T: rusqlite::types::FromSql>(&self, sql: &str) -> Option<T> {
        self.db
            .query_row(sql, [], |row| row.get(0))
            .optional()
            .inspect_err(|e| tracing::error!(sql, "cannot read the journal: {e}"))
            .unwrap_or(None)
    }
}

/// Writes the identity into a new journal; refuses another one's.
fn claim(db: &Connection, dir: &Path, identity: &str) -> Result<(), OpenError> {
    let fault = |e: rusqlite::Error| OpenError::database(&dir.join(JOURNAL.file), &e);
    db.execute(
        "INSERT INTO meta(key, value) VALUES ('identity', ?1) ON CONFLICT DO NOTHING",
        [identity],
    )
    .map_err(fault)?;
    let found: String = db
        .query_row("SELECT value FROM meta WHERE key = 'identity'", [], |row| {
            row.get(0)
        })
        .map_err(fault)?;
    if found != identity {
        return Err(OpenError::OtherIdentity {
            dir: dir.to_path_buf(),
            found,
            wanted: identity.to_owned(),
        });
    }
    Ok(())
}

fn store_rest(
    tx: &Transaction<'_>,
    ends: &Ends,
    before: &Ends,
    submissions: &[&Submission],
    cursors: &[(String, u64)],
) -> rusqlite::Result<()> {
    let mut note = tx.prepare_cached(
        "INSERT INTO tip(chain, n, hash) VALUES (?1, ?2, ?3)
         ON CONFLICT(chain) DO UPDATE SET n = excluded.n, hash = excluded.hash",
    )?;
    if ends.last_seq != before.last_seq {
        note.execute(params![
            "transition",
            ends.last_seq as i64,
            &ends.transitions.tip().0[..]
        ])?;
    }
    if ends.audit_len != before.audit_len {
        note.execute(params![
            "audit",
            ends.audit_len as i64,
            &ends.audit.tip().0[..]
        ])?;
    }
    if let Some(image) = submissions.iter().rev().find_map(|s| s.image.as_ref()) {
        tx.prepare_cached(
            "INSERT INTO image(id, bytes) VALUES (1, ?1)
             ON CONFLICT(id) DO UPDATE SET bytes = excluded.bytes",
        )?
        .execute(params![image])?;
    }
    if let Some(at) = submissions.iter().map(|s| s.alive_at).rfind(|at| *at != 0) {
        tx.prepare_cached(
            "INSERT INTO alive(id, at) VALUES (1, ?1)
             ON CONFLICT(id) DO UPDATE SET at = excluded.at",
        )?
        .execute(params![at])?;
    }
    for (name, position) in cursors {
        tx.prepare_cached(
            "INSERT INTO cursor(name, position) VALUES (?1, ?2)
             ON CONFLICT(name) DO UPDATE SET position = excluded.position",
        )?
        .execute(params![name, *position as i64])?;
    }
    Ok(())
}

pub(crate) fn read_cursor(db: &Connection, name: &str) -> rusqlite::Result<u64> {
    let position: Option<i64> = db
        .prepare_cached("SELECT position FROM cursor WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(position.unwrap_or(0).unsigned_abs())
}
