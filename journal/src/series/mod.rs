//! Samples on disk: what came, in the order in which it came, and what a trend asks for.
//!
//! Lives here: [`Series`], the one writer of `series.db`. May not live here: what a sample
//! means, who sends it on. Read first: the picture.
//!
//! ```text
//! append ─► spool: one blob per commit, in append order ─► batches() for the delivery lanes
//!              │ compact(): sort by point
//!              ▼
//!           chunk: one point, ascending in time, small at first, merged up to 3,600 rows
//! ```
//! A query reads the chunks and, behind them, the spool's *tail* (what is not in chunks yet).
//! Where a point has two rows of one time, the one that was appended last holds. A chunk
//! carries `upto`, the batch up to which it holds rows: chunks beyond `chunked_upto` belong to a
//! pass that has not been published, and do not exist for anybody.

mod block;
mod column;
mod compact;
mod read;
mod trend;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use davy_points::{Quality, Timestamp, Value};
use rusqlite::{TransactionBehavior, params};

use crate::lock::DirLock;
use crate::reserve::{self, RESERVE_BYTES};
use crate::schema::{JOURNAL, SERIES};
use crate::{OpenError, StoreError};

pub use compact::{Compacted, SeriesOptions};
pub use read::SeriesReader;
pub use trend::Trend;

use column::Effort;

/// A point within one series: dense, given by [`Series::intern`], the same after every opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesPoint(pub(crate) u32);

/// One stored sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which point.
    pub point: SeriesPoint,
    /// Its value, bit for bit.
    pub value: Value,
    /// As the engine judged it.
    pub quality: Quality,
    /// The store's key.
    pub time: Timestamp,
    /// Beside the key, as in `Sample`.
    pub offset_ns: i64,
    /// When the gateway had it.
    pub arrival: Timestamp,
}

/// Rows in one blob of the spool at most; a larger append makes several.
const MAX_BATCH_ROWS: usize = 65_536;

/// The writer of a series. Its directory's series is locked while it lives.
#[derive(Debug)]
pub struct Series {
    read: SeriesReader,
    dir: PathBuf,
    points: HashMap<Arc<str>, SeriesPoint>,
    /// Interned and not stored yet: they are, with the first rows that need them.
    unstored: Vec<(Arc<str>, SeriesPoint)>,
    last_batch: u64,
    released: u64,
    compaction: compact::Compaction,
    _lock: DirLock,
}

impl Series {
    /// Opens or makes the series in `dir`.
    ///
    /// # Errors
    /// [`OpenError`], each with its remedy.
    pub fn open(dir: &Path) -> Result<Series, OpenError> {
        Series::open_with(dir, SeriesOptions::default())
    }

    /// As [`Series::open`], with other chunks.
    ///
    /// # Errors
    /// [`OpenError`], each with its remedy.
    pub fn open_with(dir: &Path, options: SeriesOptions) -> Result<Series, OpenError> {
        assert!(options.chunk_rows > 0, "a chunk holds rows");
        let lock = reserve::open_with_room(dir, || DirLock::take(dir, "series.lock"))?;
        let file = dir.join(SERIES.file);
        SERIES.refuse_emptied(dir, has_lived(dir))?;
        let db = reserve::open_with_room(dir, || SERIES.open(dir, true))?;
        let fault = |e: rusqlite::Error| OpenError::database(&file, &e);
        let mut points = HashMap::new();
        {
            let mut statement = db.prepare("SELECT tag, id FROM point").map_err(fault)?;
            let mut rows = statement.query([]).map_err(fault)?;
            while let Some(row) = rows.next().map_err(fault)? {
                let tag: String = row.get(0).map_err(fault)?;
                points.insert(Arc::from(tag), SeriesPoint(row.get(1).map_err(fault)?));
            }
        }
        let last_batch: i64 = db
            .query_row(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'spool'",
                [],
                |row| row.get(0),
            )
            .map_err(fault)?;
        let compaction = compact::recover(&db, options).map_err(fault)?;
        Ok(Series {
            read: SeriesReader::new(db, file),
            dir: dir.to_path_buf(),
            points,
            unstored: Vec::new(),
            last_batch: last_batch.unsigned_abs(),
            released: 0,
            compaction,
            _lock: lock,
        })
    }

    /// The point with this tag, made where it is new.
    pub fn intern(&mut self, tag: &str) -> SeriesPoint {
        if let Some(point) = self.points.get(tag) {
            return *point;
        }
        #[allow(clippy::expect_used)] // four thousand million tags are a bug of ours
        let point = SeriesPoint(u32::try_from(self.points.len()).expect("tags fit in 32 bits"));
        let tag: Arc<str> = Arc::from(tag);
        self.points.insert(Arc::clone(&tag), point);
        self.unstored.push((tag, point));
        point
    }

    /// Stores rows in their order, durable when it returns: the id of the (last) batch that
    /// they made. No rows make no batch.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of it is stored. `DiskFull` also where what is left is kept for
    /// the journal.
    pub fn append(&mut self, rows: &[Row]) -> Result<u64, StoreError> {
        if rows.is_empty() {
            return Ok(self.last_batch);
        }
        self.leave_room_for_alarms()?;
        let file = self.read.file.clone();
        let fault = |e: rusqlite::Error| StoreError::database(&file, &e);
        let tx = self
            .read
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        for (tag, point) in &self.unstored {
            tx.prepare_cached("INSERT INTO point(id, tag) VALUES (?1, ?2)")
                .and_then(|mut s| s.execute(params![point.0, &**tag]))
                .map_err(fault)?;
        }
        let mut batch = 0;
        for rows in rows.chunks(MAX_BATCH_ROWS) {
            let times = || rows.iter().map(|r| r.time.0);
            tx.prepare_cached("INSERT INTO spool(n, t_min, t_max, blob) VALUES (?1, ?2, ?3, ?4)")
                .and_then(|mut s| {
                    s.execute(params![
                        rows.len() as i64,
                        times().min(),
                        times().max(),
                        block::encode(rows, Effort::Fast)
                    ])
                })
                .map_err(fault)?;
            batch = tx.last_insert_rowid().unsigned_abs();
        }
        tx.commit().map_err(fault)?;
        self.unstored.clear();
        self.last_batch = batch;
        self.compaction.tail_rows += rows.len() as u64;
        Ok(batch)
    }

    /// The newest batch; 0 before the first.
    #[must_use]
    pub fn last_batch(&self) -> u64 {
        self.last_batch
    }

    /// No lane needs batches up to this one any more. Where there is no lane at all, release
    /// `u64::MAX`. It is not stored: after a start nothing is released until it is said again.
    pub fn release(&mut self, up_to_batch: u64) {
        self.released = self.released.max(up_to_batch);
    }

    /// What can be read, on the writer's own connection.
    #[must_use]
    pub fn read(&self) -> &SeriesReader {
        &self.read
    }

    /// Another connection, for reading alone.
    ///
    /// # Errors
    /// [`OpenError`] where the file cannot be opened again.
    pub fn reader(&self) -> Result<SeriesReader, OpenError> {
        SeriesReader::open(&self.dir)
    }

    /// As [`SeriesReader::batches`].
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn batches(&self, after: u64, max_rows: usize) -> Result<Vec<(u64, Vec<Row>)>, StoreError> {
        self.read.batches(after, max_rows)
    }

    /// As [`SeriesReader::history`].
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn history(
        &self,
        tag: &str,
        from: Timestamp,
        to: Timestamp,
        max: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.read.history(tag, from, to, max)
    }

    /// As [`SeriesReader::history_decimated`].
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn history_decimated(
        &self,
        tag: &str,
        from: Timestamp,
        to: Timestamp,
        max: usize,
        gap: Duration,
    ) -> Result<Trend, StoreError> {
        self.read.history_decimated(tag, from, to, max, gap)
    }

    /// As [`SeriesReader::latest`].
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn latest(&self, tag: &str) -> Result<Option<Row>, StoreError> {
        self.read.latest(tag)
    }

    /// Samples give way to alarms: while the journal's reserve is given back, as much is left
    /// free for it.
    fn leave_room_for_alarms(&self) -> Result<(), StoreError> {
        if reserve::is_given_back(&self.dir)
            && reserve::free_bytes(&self.dir).is_ok_and(|free| free < RESERVE_BYTES)
        {
            return Err(StoreError::DiskFull(self.read.file.clone()));
        }
        Ok(())
    }
}

/// True where the journal beside the series says that its owner has run here.
fn has_lived(dir: &Path) -> bool {
    JOURNAL.open_read(dir).is_ok_and(|db| {
        db.query_row("SELECT count(*) FROM alive", [], |row| row.get(0))
            .is_ok_and(|n: i64| n > 0)
    })
}
