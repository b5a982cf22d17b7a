//! Asking a series: batches for the lanes, the history and the newest row of a point.
//!
//! Lives here: [`SeriesReader`], which only reads. May not live here: compaction, decimation.
//! Read first: [`SeriesReader::scan`].

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use davy_points::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Row, SeriesPoint, block};
use crate::schema::SERIES;
use crate::{OpenError, StoreError};

/// A connection that reads a series, beside its writer or a copy.
#[derive(Debug)]
pub struct SeriesReader {
    pub(super) db: Connection,
    pub(super) file: PathBuf,
    pub(super) damaged: Arc<AtomicU64>,
}

/// Rows of one point from one place.
struct Piece {
    t0: i64,
    t1: i64,
    upto: i64,
    id: i64,
    /// The tail's rows are in memory already; a chunk's are read when it is its turn.
    rows: Option<Vec<Row>>,
}

impl SeriesReader {
    /// Opens the series in `dir` for reading.
    ///
    /// # Errors
    /// [`OpenError`] where there is none or it cannot be read.
    pub fn open(dir: &Path) -> Result<SeriesReader, OpenError> {
        Ok(SeriesReader::new(
            SERIES.open_read(dir)?,
            dir.join(SERIES.file),
        ))
    }

    pub(super) fn new(db: Connection, file: PathBuf) -> SeriesReader {
        SeriesReader {
            db,
            file,
            damaged: Arc::default(),
        }
    }

    /// Blobs that did not check and were passed over by this reader.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Every stored tag with its point.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn points(&self) -> Result<Vec<(String, SeriesPoint)>, StoreError> {
        self.sql(|db| {
            db.prepare_cached("SELECT tag, id FROM point ORDER BY id")?
                .query_map([], |row| Ok((row.get(0)?, SeriesPoint(row.get(1)?))))?
                .collect()
        })
    }

    /// Batches after this one, ascending, until they hold `max_rows` rows; at least one where
    /// there is one. A damaged batch comes without rows, so that a cursor can pass it.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn batches(&self, after: u64, max_rows: usize) -> Result<Vec<(u64, Vec<Row>)>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let mut out = Vec::new();
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT batch, n, blob FROM spool WHERE batch > ?1 ORDER BY batch",
            )?;
            let mut found = statement.query([after])?;
            let mut total = 0;
            while let Some(row) = found.next()? {
                total += row.get::<_, i64>(1)?.unsigned_abs();
                if !out.is_empty() && total > max_rows as u64 {
                    break;
                }
                let batch = row.get::<_, i64>(0)?;
                let rows = self.decode(row.get_ref(2)?, None, || format!("batch {batch}"))?;
                out.push((batch.unsigned_abs(), rows.unwrap_or_default()));
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// The newest batch that is stored; 0 where the spool is empty.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn last_batch(&self) -> Result<u64, StoreError> {
        self.sql(|db| {
            db.query_row("SELECT coalesce(max(batch), 0) FROM spool", [], |row| {
                row.get::<_, i64>(0)
            })
        })
        .map(i64::unsigned_abs)
    }

    /// The first `max` rows of a point with `from <= time <= to`, ascending in time, one per
    /// time: that appended last.
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
        let mut out = Vec::new();
        if max > 0 {
            self.scan(tag, from, to, &mut |row| {
                out.push(row);
                if out.len() < max {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
        }
        Ok(out)
    }

    /// The row of a point with the newest time.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn latest(&self, tag: &str) -> Result<Option<Row>, StoreError> {
        let in_chunks = self.sql(|db| {
            db.prepare_cached(
                "SELECT max(t1) FROM chunk WHERE point = (SELECT id FROM point WHERE tag = ?1)
                 AND upto <= (SELECT coalesce(max(value), 0) FROM meta WHERE key = 'chunked_upto')",
            )?
            .query_row([tag], |row| row.get::<_, Option<i64>>(0))
        })?;
        let mut newest = None;
        let from = Timestamp(in_chunks.unwrap_or(i64::MIN));
        self.scan(tag, from, Timestamp(i64::MAX), &mut |row| {
            newest = Some(row);
            ControlFlow::Continue(())
        })?;
        Ok(newest)
    }

    /// Gives every row of a point with `from <= time <= to` to `each`, as in
    /// [`SeriesReader::history`], without holding more than overlapping chunks in memory.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn scan(
        &self,
        tag: &str,
        from: Timestamp,
        to: Timestamp,
        each: &mut dyn FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.sql(|db| {
            // One view of chunks and tail: a pass may be published between two statements.
            let view = db.unchecked_transaction()?;
            let point: Option<u32> = view
                .prepare_cached("SELECT id FROM point WHERE tag = ?1")?
                .query_row([tag], |row| row.get(0))
                .optional()?;
            let Some(point) = point.map(SeriesPoint) else {
                return Ok(());
            };
            let mut pieces = self.pieces(&view, point, from.0, to.0)?;
            pieces.sort_by_key(|p| p.t0);
            let mut pieces = pieces.into_iter().peekable();
            while let Some(first) = pieces.next() {
                let mut end = first.t1;
                let mut group = vec![first];
                while let Some(next) = pieces.next_if(|p| p.t0 <= end) {
                    end = end.max(next.t1);
                    group.push(next);
                }
                for row in self.rows_of(&view, point, group)? {
                    if row.time >= from && row.time <= to && each(row).is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// What holds rows of the point in this range.
    fn pieces(
        &self,
        db: &Connection,
        point: SeriesPoint,
        from: i64,
        to: i64,
    ) -> rusqlite::Result<Vec<Piece>> {
        let chunked = chunked_upto(db)?;
        let mut pieces: Vec<Piece> = db
            .prepare_cached(
                "SELECT t0, t1, upto, id FROM chunk
                 WHERE point = ?1 AND t0 <= ?3 AND t1 >= ?2 AND upto <= ?4",
            )?
            .query_map(params![point.0, from, to, chunked], |row| {
                Ok(Piece {
                    t0: row.get(0)?,
                    t1: row.get(1)?,
                    upto: row.get(2)?,
                    id: row.get(3)?,
                    rows: None,
                })
            })?
            .collect::<Result<_, _>>()?;
        let mut tail = Vec::new();
        let mut statement = db.prepare_cached(
            "SELECT batch, blob FROM spool WHERE batch > ?1 AND t_min <= ?3 AND t_max >= ?2
             ORDER BY batch",
        )?;
        let mut found = statement.query(params![chunked, from, to])?;
        while let Some(row) = found.next()? {
            let batch: i64 = row.get(0)?;
            let rows = self.decode(row.get_ref(1)?, Some(point), || format!("batch {batch}"))?;
            tail.extend(rows.unwrap_or_default());
        }
        let times = || tail.iter().map(|r| r.time.0);
        if let (Some(t0), Some(t1)) = (times().min(), times().max()) {
            pieces.push(Piece {
                t0,
                t1,
                upto: i64::MAX,
                id: i64::MAX,
                rows: Some(tail),
            });
        }
        Ok(pieces)
    }

    /// The rows of pieces that overlap, ascending, the last appended of each time.
    fn rows_of(
        &self,
        db: &Connection,
        point: SeriesPoint,
        mut group: Vec<Piece>,
    ) -> rusqlite::Result<Vec<Row>> {
        group.sort_by_key(|p| (p.upto, p.id));
        let mut out = Vec::new();
        for piece in group {
            match piece.rows {
                Some(rows) => out.extend(rows),
                None => out.extend(self.chunk(db, piece.id, point)?.unwrap_or_default()),
            }
        }
        settle(&mut out);
        Ok(out)
    }

    /// A chunk's rows; none where it does not check.
    pub(super) fn chunk(
        &self,
        db: &Connection,
        id: i64,
        point: SeriesPoint,
    ) -> rusqlite::Result<Option<Vec<Row>>> {
        let mut statement = db.prepare_cached("SELECT blob FROM chunk WHERE id = ?1")?;
        let mut found = statement.query([id])?;
        match found.next()? {
            Some(row) => self.decode(row.get_ref(0)?, Some(point), || format!("chunk {id}")),
            None => Ok(None),
        }
    }

    /// A blob's rows; none, counted and said, where it does not check.
    pub(super) fn decode(
        &self,
        blob: rusqlite::types::ValueRef<'_>,
        only: Option<SeriesPoint>,
        what: impl Fn() -> String,
    ) -> rusqlite::Result<Option<Vec<Row>>> {
        match block::decode(blob.as_blob()?, only) {
            Ok(rows) => Ok(Some(rows)),
            Err(_) => {
                self.damaged.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    file = %self.file.display(),
                    "{} is damaged and was passed over",
                    what()
                );
                Ok(None)
            }
        }
    }

    pub(super) fn sql<T>(
        &self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        run(&self.db).map_err(|e| StoreError::database(&self.file, &e))
    }
}

/// The batch up to which the spool is in chunks.
pub(super) fn chunked_upto(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT value FROM meta WHERE key = 'chunked_upto'")?
        .query_row([], |row| row.get(0))
        .optional()
        .map(|upto| upto.unwrap_or(0))
}

/// From the order of appending to the order of time, the last appended of each time.
pub(super) fn settle(rows: &mut Vec<Row>) {
    if rows.is_sorted_by(|a, b| a.time < b.time) {
        return;
    }
    rows.sort_by_key(|row| row.time); // stable: equal times stay in the order of appending
    rows.dedup_by(|later, kept| {
        let same = later.time == kept.time;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}
