//! What a centre holds of other owners' transitions, in the order in which it stored them.
//!
//! Lives here: [`ReceivedLog`] (the one writer) and [`ReceivedReader`] (any number). May not
//! live here: MQTT, alarm states. Read first: [`ReceivedLog::commit_received`].
//!
//! The centre gives its own engine's transitions in as well, so that one sequence,
//! `center_seq`, orders everything that it knows.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Deserialize;

use crate::lock::DirLock;
use crate::schema::JOURNAL;
use crate::seal::{self, Hash};
use crate::{OpenError, StoreError};

/// What became of one delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// `(center_seq, seq)` of what is new and durable now.
    pub stored: Vec<(u64, u64)>,
    /// The owner's highest sequence number that is stored: what may be acknowledged.
    pub last: u64,
    /// The hash of that record.
    pub tip: Option<Hash>,
    /// The sequence number that was due where another came; what came after it was not stored.
    pub gap: Option<SeqGap>,
    /// Records that were stored although their hash or `prev` does not fit.
    pub broken: Vec<u64>,
    /// Records that came again with another hash than the stored one, which was kept. What came
    /// after the first was not stored: it belongs to another journal.
    pub conflicts: Vec<u64>,
}

/// A hole in an owner's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqGap {
    /// Due.
    pub expected: u64,
    /// Came.
    pub found: u64,
}

/// One stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRecord {
    /// The centre's own order.
    pub center_seq: u64,
    /// Whose it is.
    pub owner: String,
    /// The owner's sequence number.
    pub seq: u64,
    /// As it came, `prev` and `hash` included.
    pub wire: Vec<u8>,
    /// Its hash and its `prev` fit.
    pub chain_ok: bool,
}

/// The writer of the received transitions. It keeps the data directory locked.
#[derive(Debug)]
pub struct ReceivedLog {
    reader: ReceivedReader,
    owners: HashMap<String, OwnerEnd>,
    identities: HashMap<String, String>,
    _lock: Arc<DirLock>,
}

/// Where an owner's records end.
#[derive(Debug, Clone, Copy, Default)]
struct OwnerEnd {
    last: u64,
    tip: Option<Hash>,
}

/// A connection that reads the received transitions.
#[derive(Debug)]
pub struct ReceivedReader {
    db: Connection,
    file: PathBuf,
}

impl ReceivedLog {
    pub(crate) fn open(dir: &Path, lock: Arc<DirLock>) -> Result<ReceivedLog, OpenError> {
        Ok(ReceivedLog {
            reader: ReceivedReader {
                db: JOURNAL.open(dir, false)?,
                file: dir.join(JOURNAL.file),
            },
            owners: HashMap::new(),
            identities: HashMap::new(),
            _lock: lock,
        })
    }

    /// Says what the owner's journal was opened with, so that the `prev` of its first record
    /// can be judged too.
    pub fn expect_identity(&mut self, owner: &str, identity: &str) {
        self.identities
            .insert(owner.to_owned(), identity.to_owned());
    }

    /// Stores what came from an owner, in its order, in one transaction; durable when it
    /// returns. What is there already is passed over. At a gap it stops and says what was due.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was stored; give it again.
    pub fn commit_received(
        &mut self,
        owner: &str,
        records: &[(u64, Vec<u8>)],
    ) -> Result<Received, StoreError> {
        let mut end = self.end(owner)?;
        let file = self.reader.file.clone();
        let fault = |e: rusqlite::Error| StoreError::database(&file, &e);
        let mut out = Received::default();
        let tx = self
            .reader
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        for (seq, wire) in records {
            if *seq > end.last + 1 || *seq == 0 {
                out.gap = Some(SeqGap {
                    expected: end.last + 1,
                    found: *seq,
                });
                break;
            }
            if *seq <= end.last {
                if !same_as_stored(&tx, owner, *seq, wire).map_err(fault)? {
                    out.conflicts.push(*seq);
                    break;
                }
                continue;
            }
            let identity = self.identities.get(owner).map(String::as_str);
            let (hash, chain_ok) = judge(wire, &end, identity);
            let center_seq = insert(&tx, owner, *seq, wire, hash, chain_ok).map_err(fault)?;
            out.stored.push((center_seq, *seq));
            if !chain_ok {
                out.broken.push(*seq);
            }
            end = OwnerEnd {
                last: *seq,
                tip: Some(hash),
            };
        }
        tx.commit().map_err(fault)?;
        (out.last, out.tip) = (end.last, end.tip);
        self.owners.insert(owner.to_owned(), end);
        Ok(out)
    }

    /// The owner's highest stored sequence number; 0 where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn received_last(&mut self, owner: &str) -> Result<u64, StoreError> {
        self.end(owner).map(|end| end.last)
    }

    /// The hash of that record; none where there is none.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn received_tip(&mut self, owner: &str) -> Result<Option<Hash>, StoreError> {
        self.end(owner).map(|end| end.tip)
    }

    /// What can be read.
    #[must_use]
    pub fn read(&self) -> &ReceivedReader {
        &self.reader
    }

    /// Another connection, for reading alone.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be opened again.
    pub fn reader(&self) -> Result<ReceivedReader, OpenError> {
        let dir = self.reader.file.parent().unwrap_or(Path::new("."));
        ReceivedReader::open(dir)
    }

    fn end(&mut self, owner: &str) -> Result<OwnerEnd, StoreError> {
        if let Some(end) = self.owners.get(owner) {
            return Ok(*end);
        }
        let found: Option<(i64, Vec<u8>)> = self
            .reader
            .db
            .query_row(
                "SELECT seq, hash FROM received WHERE owner = ?1 ORDER BY seq DESC LIMIT 1",
                [owner],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(|e| StoreError::database(&self.reader.file, &e))?;
        let end = found.map_or_else(OwnerEnd::default, |(seq, hash)| OwnerEnd {
            last: seq.unsigned_abs(),
            tip: Hash::from_slice(&hash),
        });
        self.owners.insert(owner.to_owned(), end);
        Ok(end)
    }
}

impl ReceivedReader {
    /// Opens what the centre in `dir` received.
    ///
    /// # Errors
    /// [`OpenError`] where there is none or it cannot be read.
    pub fn open(dir: &Path) -> Result<ReceivedReader, OpenError> {
        Ok(ReceivedReader {
            db: JOURNAL.open_read(dir)?,
            file: dir.join(JOURNAL.file),
        })
    }

    /// At most `limit` records after this centre sequence, ascending.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn received_after(
        &self,
        center_seq: u64,
        limit: usize,
    ) -> Result<Vec<ReceivedRecord>, StoreError> {
        self.select(
            "WHERE center_seq > ?1 ORDER BY center_seq LIMIT ?2",
            params![bound(center_seq), bound(limit as u64)],
        )
    }

    /// At most `limit` records of one owner after its sequence number, ascending.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn received_of(
        &self,
        owner: &str,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<ReceivedRecord>, StoreError> {
        self.select(
            "WHERE owner = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            params![owner, bound(after_seq), bound(limit as u64)],
        )
    }

    /// Every record of one occurrence, in the centre's order.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn received_by_occurrence(&self, id: &str) -> Result<Vec<ReceivedRecord>, StoreError> {
        self.select(
            "WHERE occurrence = ?1 AND occurrence <> '' ORDER BY center_seq",
            params![id],
        )
    }

    /// The latest record of each alarm of one owner, in the centre's order.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn received_latest_per_alarm(
        &self,
        owner: &str,
    ) -> Result<Vec<ReceivedRecord>, StoreError> {
        self.select(
            "WHERE center_seq IN (SELECT center_seq FROM received_latest WHERE owner = ?1)
             ORDER BY center_seq",
            params![owner],
        )
    }

    /// Owners of which there are records, with the highest sequence number of each.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn owners(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let fault = |e: rusqlite::Error| StoreError::database(&self.file, &e);
        let mut statement = self
            .db
            .prepare_cached("SELECT owner, max(seq) FROM received_latest GROUP BY owner")
            .map_err(fault)?;
        let rows = statement
            .query_map([], |r| Ok((r.get(0)?, r.get::<_, i64>(1)?.unsigned_abs())))
            .map_err(fault)?;
        rows.collect::<Result<_, _>>().map_err(fault)
    }

    /// The newest centre sequence; 0 before the first.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn last_center_seq(&self) -> Result<u64, StoreError> {
        self.db
            .query_row(
                "SELECT coalesce(max(center_seq), 0) FROM received",
                [],
                |r| r.get::<_, i64>(0),
            )
            .map(i64::unsigned_abs)
            .map_err(|e| StoreError::database(&self.file, &e))
    }

    fn select(
        &self,
        which: &str,
        params: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<ReceivedRecord>, StoreError> {
        let fault = |e: rusqlite::Error| StoreError::database(&self.file, &e);
        let mut statement = self
            .db
            .prepare_cached(&format!(
                "SELECT center_seq, owner, seq, wire, chain_ok FROM received {which}"
            ))
            .map_err(fault)?;
        let rows = statement
            .query_map(params, |row| {
                Ok(ReceivedRecord {
                    center_seq: row.get::<_, i64>(0)?.unsigned_abs(),
                    owner: row.get(1)?,
                    seq: row.get::<_, i64>(2)?.unsigned_abs(),
                    wire: row.get(3)?,
                    chain_ok: row.get(4)?,
                })
            })
            .map_err(fault)?;
        rows.collect::<Result<_, _>>().map_err(fault)
    }
}

fn bound(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The hash that the record claims (its own where it claims none), and whether hash and `prev`
/// fit.
fn judge(wire: &[u8], end: &OwnerEnd, identity: Option<&str>) -> (Hash, bool) {
    let Some((stored, claimed)) = seal::unwire(wire) else {
        return (Hash::of(wire), false);
    };
    let prev_ok = match (seal::unseal(&stored), end.tip, identity) {
        (None, _, _) => false,
        (Some((_, prev)), Some(tip), _) => prev == tip,
        (Some((_, prev)), None, Some(identity)) => prev == Hash::of(identity.as_bytes()),
        (Some(_), None, None) => true,
    };
    (claimed, prev_ok && Hash::of(&stored) == claimed)
}

fn same_as_stored(
    tx: &Transaction<'_>,
    owner: &str,
    seq: u64,
    wire: &[u8],
) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT wire = ?3 FROM received WHERE owner = ?1 AND seq = ?2")?
        .query_row(params![owner, seq as i64, wire], |row| row.get(0))
        .optional()
        .map(|same| same.unwrap_or(false))
}

/// What the centre looks records up by.
#[derive(Default, Deserialize)]
struct LookedUpBy {
    #[serde(default)]
    alarm: String,
    #[serde(default)]
    occurrence: String,
    #[serde(default)]
    to: String,
}

fn insert(
    tx: &Transaction<'_>,
    owner: &str,
    seq: u64,
    wire: &[u8],
    hash: Hash,
    chain_ok: bool,
) -> rusqlite::Result<u64> {
    // An unreadable record is kept as it came; `chain_ok` says that it is not to be trusted.
    let by: LookedUpBy = serde_json::from_slice(wire).unwrap_or_default();
    tx.prepare_cached(
        "INSERT INTO received(owner, seq, hash, chain_ok, alarm, occurrence, to_label, wire)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        owner,
        seq as i64,
        &hash.0[..],
        chain_ok,
        by.alarm,
        by.occurrence,
        by.to,
        wire
    ])?;
    let center_seq = tx.last_insert_rowid();
    tx.prepare_cached(
        "INSERT INTO received_latest(owner, alarm, seq, center_seq) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT(owner, alarm) DO UPDATE SET seq = excluded.seq, center_seq = excluded.center_seq",
    )?
    .execute(params![owner, by.alarm, seq as i64, center_seq])?;
    Ok(center_seq.unsigned_abs())
}
