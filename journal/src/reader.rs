//! Reading the journal beside its writer: delivery, restart, queries.
//!
//! Lives here: [`JournalReader`], a read-only connection of its own. May not live here:
//! anything that writes.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::schema::JOURNAL;
use crate::seal::{self, Hash, Sealed};
use crate::transitions::read_cursor;
use crate::{OpenError, StoreError};

/// A read-only connection to a journal; it sees what is committed.
#[derive(Debug)]
pub struct JournalReader {
    db: Connection,
    file: PathBuf,
}

impl JournalReader {
    /// Opens the journal in `dir`, also while another process has it or it is a copy.
    ///
    /// # Errors
    /// [`OpenError`] where there is none or it cannot be read.
    pub fn open(dir: &Path) -> Result<JournalReader, OpenError> {
        Ok(JournalReader {
            db: JOURNAL.open_read(dir)?,
            file: dir.join(JOURNAL.file),
        })
    }

    /// At most `max` transitions after this sequence number, ascending, as they go out.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn read_from(&self, after_seq: u64, max: usize) -> Result<Vec<Sealed>, StoreError> {
        self.rows(after_seq, max, |seq, hash, stored| {
            Some(Sealed {
                seq,
                wire: seal::wire(stored, Hash::from_slice(hash)?),
            })
        })
    }

    /// At most `max` transitions after this sequence number, ascending, as the engine wrote
    /// them: without `prev` and `hash`.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn read_json(&self, after_seq: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.rows(after_seq, max, |seq, _, stored| {
            Some((seq, seal::unseal(stored)?.0))
        })
    }

    /// The newest transition's sequence number; 0 before the first.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        self.db
            .query_row(
                "SELECT coalesce(max(seq), 0) FROM \"transition\"",
                [],
                |r| r.get::<_, i64>(0),
            )
            .map(i64::unsigned_abs)
            .map_err(|e| StoreError::database(&self.file, &e))
    }

    /// The position of a named cursor; 0 where it has none.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn cursor(&self, name: &str) -> Result<u64, StoreError> {
        read_cursor(&self.db, name).map_err(|e| StoreError::database(&self.file, &e))
    }

    /// At most `max` audit entries after this number, ascending, with `prev` and `hash`.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn audit_from(&self, after: u64, max: usize) -> Result<Vec<Sealed>, StoreError> {
        self.select(
            "SELECT n, hash, bytes FROM audit WHERE n > ?1 ORDER BY n LIMIT ?2",
            after,
            max,
            |seq, hash, stored| {
                Some(Sealed {
                    seq,
                    wire: seal::wire(stored, Hash::from_slice(hash)?),
                })
            },
        )
    }

    fn rows<T>(
        &self,
        after: u64,
        max: usize,
        make: impl Fn(u64, &[u8], &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.select(
            "SELECT seq, hash, bytes FROM \"transition\" WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            after,
            max,
            make,
        )
    }

    fn select<T>(
        &self,
        sql: &str,
        after: u64,
        max: usize,
        make: impl Fn(u64, &[u8], &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let fault = |e: rusqlite::Error| StoreError::database(&self.file, &e);
        let mut statement = self.db.prepare_cached(sql).map_err(fault)?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let mut rows = statement.query([after, max]).map_err(fault)?;
        let mut out = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            let seq = row.get::<_, i64>(0).map_err(fault)?.unsigned_abs();
            let bytes = |at| row.get_ref(at).map(|v| v.as_blob().unwrap_or_default());
            let (hash, stored) = (bytes(1).map_err(fault)?, bytes(2).map_err(fault)?);
            out.push(make(seq, hash, stored).ok_or_else(|| StoreError::Corrupt {
                file: self.file.clone(),
                detail: format!("record {seq} is not as it was sealed"),
            })?);
        }
        Ok(out)
    }
}
