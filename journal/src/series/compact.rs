//! From the spool to chunks: a little at a time, and never half seen.
//!
//! Lives here: passes over the spool's tail, merging of small chunks, trimming of the spool,
//! retention. May not live here: queries. Read first: [`Series::compact`], then the phases.
//!
//! A pass takes the oldest batches of the tail apart by point (*gather*), writes each point's
//! rows as chunks in transactions of a few milliseconds (*emit*), and at last moves
//! `chunked_upto` in one (*publish*). Until then its chunks do not exist for queries; after a
//! crash the next opening removes them. `(upto, id)` orders a point's chunks by appending.
//!
//! Small chunks of a point are always its newest, so they can be merged into one that stands in
//! their place: a chunk is written as not small only while the point has no small one.

use std::time::{Duration, Instant};

use davy_points::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::block;
use super::column::Effort;
use super::read::{chunked_upto, settle};
use super::{Row, Series, SeriesPoint, SeriesReader};
use crate::StoreError;

/// The tail is taken apart when it holds so many rows for each point, within bounds.
const ROWS_PER_POINT: u64 = 16;
const MIN_TAIL_ROWS: u64 = 65_536;
const MAX_PASS_ROWS: u64 = 524_288;
/// Points in one transaction, where each has but a few rows; so many rows weigh as another.
const POINTS_PER_COMMIT: usize = 400;
const ROWS_AS_A_POINT: usize = 50;
/// Points that are merged in one transaction.
const MERGES_PER_COMMIT: usize = 16;
/// Batches of the spool that are deleted in one transaction.
const TRIM_BATCHES: i64 = 16;

/// What a call of [`Series::compact`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Rows that queries now find in chunks instead of the spool.
    pub rows: u64,
    /// Points whose small chunks were merged.
    pub merged: u64,
    /// Batches of the spool that were deleted.
    pub trimmed: u64,
    /// There is more to do at once.
    pub more: bool,
}

/// How a series makes its chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesOptions {
    /// Rows in a chunk that is not merged any further.
    pub chunk_rows: usize,
    /// Small chunks that a point may have before they are merged, full or not.
    pub max_small: u32,
}

impl Default for SeriesOptions {
    fn default() -> SeriesOptions {
        SeriesOptions {
            chunk_rows: 3_600,
            max_small: 32,
        }
    }
}

/// What is known between calls.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    pass: Option<Pass>,
    /// Small chunks by point; none: to be read from the file.
    small: Option<Vec<Small>>,
    /// Points whose small chunks are due to be merged.
    due: Vec<u32>,
    /// Rows of the spool that are not in chunks.
    pub(super) tail_rows: u64,
    options: SeriesOptions,
}

#[derive(Debug, Clone, Copy, Default)]
struct Small {
    chunks: u32,
    rows: u32,
}

impl Small {
    fn is_due(self, options: &SeriesOptions) -> bool {
        self.chunks > 1
            && (self.rows as usize >= options.chunk_rows || self.chunks >= options.max_small)
    }
}

#[derive(Debug, Default)]
struct Pass {
    /// The last batch taken apart.
    upto: i64,
    taken: u64,
    gathered: bool,
    by_point: Vec<Vec<Row>>,
    next_point: usize,
    announced: bool,
    added: Vec<(u32, Small)>,
}

impl Series {
    /// Moves rows from the spool to chunks, merges small chunks and deletes released batches,
    /// for about this long. Call it between appends; `more` says that it would go on at once.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is lost; it goes on with the next call.
    pub fn compact(&mut self, budget: Duration) -> Result<Compacted, StoreError> {
        self.run_compaction(Some(Instant::now() + budget), false)
    }

    /// The same until nothing is left to do, however small the tail.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is lost; it goes on with the next call.
    pub fn compact_all(&mut self) -> Result<Compacted, StoreError> {
        self.run_compaction(None, true)
    }

    /// One small piece of the same: for tests, which stop between any two.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is lost; it goes on with the next call.
    pub fn compact_piece(&mut self) -> Result<Compacted, StoreError> {
        self.run_compaction(Some(Instant::now()), true)
    }

    /// Deletes chunks whose newest row is older. Batches that a lane still needs stay.
    ///
    /// # Errors
    /// [`StoreError`]: some may have been deleted.
    pub fn retention(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let n = self.read.sql(|db| {
                db.prepare_cached(
                    "DELETE FROM chunk WHERE id IN (
                         SELECT id FROM chunk INDEXED BY chunk_by_point
                         WHERE t1 < ?1 AND upto <= ?2 LIMIT 1000)",
                )?
                .execute(params![before.0, chunked_upto(db)?])
            })?;
            if n == 0 {
                break;
            }
            deleted += n as u64;
            self.compaction.small = None;
        }
        self.trim()?;
        Ok(deleted)
    }

    fn run_compaction(
        &mut self,
        until: Option<Instant>,
        all: bool,
    ) -> Result<Compacted, StoreError> {
        let mut done = Compacted::default();
        loop {
            let worked = self.step(all, &mut done)?;
            let trimmed = self.trim()?;
            done.trimmed += trimmed;
            if !worked && trimmed == 0 {
                return Ok(done);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                done.more = true;
                return Ok(done);
            }
        }
    }

    /// One small piece of work. False: there is none.
    fn step(&mut self, all: bool, done: &mut Compacted) -> Result<bool, StoreError> {
        let Series {
            read, compaction, ..
        } = self;
        let points = self.points.len();
        let options = &compaction.options.clone();
        if let Some(pass) = &mut compaction.pass {
            if !pass.gathered {
                gather(read, pass)?;
            } else if pass.next_point < pass.by_point.len() {
                let small = load_small(read, &mut compaction.small, points)?;
                emit(read, pass, small, options)?;
            } else {
                publish(read, pass)?;
                done.rows += pass.taken;
                compaction.tail_rows = match pass.taken {
                    0 => 0, // there was no batch: the count was wrong
                    taken => compaction.tail_rows.saturating_sub(taken),
                };
                // Where the counts are unknown they are read anew, with these chunks in them.
                if let Some(small) = &mut compaction.small {
                    for (point, more) in &pass.added {
                        let small = &mut small[*point as usize];
                        let was_due = small.is_due(options);
                        small.chunks += more.chunks;
                        small.rows += more.rows;
                        if small.is_due(options) && !was_due {
                            compaction.due.push(*point);
                        }
                    }
                }
                compaction.pass = None;
            }
            return Ok(true);
        }
        if compaction.small.is_none() {
            let small = load_small(read, &mut compaction.small, points)?;
            let due = small
                .iter()
                .zip(0..)
                .filter(|(small, _)| small.is_due(options));
            compaction.due = due.map(|(_, point)| point).collect();
        }
        if !compaction.due.is_empty() {
            let small = load_small(read, &mut compaction.small, points)?;
            let from = compaction.due.len().saturating_sub(MERGES_PER_COMMIT);
            merge(read, &compaction.due[from..], small, options)?;
            done.merged += (compaction.due.len() - from) as u64;
            compaction.due.truncate(from);
            return Ok(true);
        }
        let enough = (points as u64 * ROWS_PER_POINT).clamp(MIN_TAIL_ROWS, MAX_PASS_ROWS);
        let begin = compaction.tail_rows >= if all { 1 } else { enough };
        if begin {
            compaction.pass = Some(Pass::default());
        }
        Ok(begin)
    }

    /// Deletes some batches that are both in chunks and released.
    fn trim(&mut self) -> Result<u64, StoreError> {
        if self.released == 0 {
            return Ok(0);
        }
        let released = i64::try_from(self.released).unwrap_or(i64::MAX);
        self.read
            .sql(|db| {
                db.prepare_cached(
                    "DELETE FROM spool WHERE batch <= min(?1, ?2, (SELECT min(batch) FROM spool) + ?3)",
                )?
                .execute(params![released, chunked_upto(db)?, TRIM_BATCHES])
            })
            .map(|n| n as u64)
    }
}

/// Removes what a pass left that was never published, and counts the tail.
pub(super) fn recover(db: &Connection, options: SeriesOptions) -> rusqlite::Result<Compaction> {
    let chunked = chunked_upto(db)?;
    db.execute(
        "DELETE FROM chunk WHERE upto > ?1
         AND id >= (SELECT coalesce(max(value), 0) FROM meta WHERE key = 'pass_from')",
        [chunked],
    )?;
    let tail: i64 = db.query_row(
        "SELECT coalesce(sum(n), 0) FROM spool WHERE batch > ?1",
        [chunked],
        |row| row.get(0),
    )?;
    Ok(Compaction {
        tail_rows: tail.unsigned_abs(),
        options,
        ..Compaction::default()
    })
}

fn load_small<'a>(
    read: &SeriesReader,
    small: &'a mut Option<Vec<Small>>,
    points: usize,
) -> Result<&'a mut Vec<Small>, StoreError> {
    let known = match small.take() {
        Some(known) => known,
        None => read.sql(|db| {
            let mut counts = Vec::new();
            let mut statement = db.prepare_cached(
                "SELECT point, count(*), sum(n) FROM chunk
                 WHERE small = 1 AND upto <= ?1 GROUP BY point",
            )?;
            let mut found = statement.query([chunked_upto(db)?])?;
            while let Some(row) = found.next()? {
                let point = row.get::<_, u32>(0)? as usize;
                if counts.len() <= point {
                    counts.resize(point + 1, Small::default());
                }
                counts[point] = Small {
                    chunks: row.get(1)?,
                    rows: row.get(2)?,
                };
            }
            Ok(counts)
        })?,
    };
    let known = small.insert(known);
    if known.len() < points {
        known.resize(points, Small::default());
    }
    Ok(known)
}

/// Takes the next batch of the tail apart.
fn gather(read: &SeriesReader, pass: &mut Pass) -> Result<(), StoreError> {
    let rows = read.sql(|db| {
        let after = pass.upto.max(chunked_upto(db)?);
        let mut statement = db.prepare_cached(
            "SELECT batch, n, blob FROM spool WHERE batch > ?1 ORDER BY batch LIMIT 1",
        )?;
        let mut found = statement.query([after])?;
        let Some(row) = found.next()? else {
            pass.gathered = true;
            return Ok(Vec::new());
        };
        let n = row.get::<_, i64>(1)?.unsigned_abs();
        if pass.taken > 0 && pass.taken + n > MAX_PASS_ROWS {
            pass.gathered = true;
            return Ok(Vec::new());
        }
        let batch: i64 = row.get(0)?;
        let rows = read.decode(row.get_ref(2)?, None, || format!("batch {batch}"))?;
        pass.upto = batch;
        pass.taken += n;
        Ok(rows.unwrap_or_default())
    })?;
    for row in rows {
        let point = row.point.0 as usize;
        if pass.by_point.len() <= point {
            pass.by_point.resize_with(point + 1, Vec::new);
        }
        pass.by_point[point].push(row);
    }
    Ok(())
}

/// Writes the chunks of the next points.
fn emit(
    read: &mut SeriesReader,
    pass: &mut Pass,
    small: &[Small],
    options: &SeriesOptions,
) -> Result<(), StoreError> {
    let file = read.file.clone();
    let fault = |e: rusqlite::Error| StoreError::database(&file, &e);
    let tx = read
        .db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
    if !pass.announced {
        tx.execute(
            "INSERT INTO meta(key, value)
             VALUES ('pass_from', (SELECT coalesce(max(id), 0) + 1 FROM chunk))
             ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            [],
        )
        .map_err(fault)?;
    }
    let mut added = Vec::new();
    let mut points = 0;
    let mut next = pass.next_point;
    while next < pass.by_point.len() && points < POINTS_PER_COMMIT {
        let rows = &mut pass.by_point[next];
        if !rows.is_empty() {
            settle(rows);
            let alone = small.get(next).is_none_or(|s| s.chunks == 0);
            let more = insert_chunks(&tx, rows, pass.upto, alone, options).map_err(fault)?;
            if more.chunks > 0 {
                added.push((rows[0].point.0, more));
            }
            points += 1 + rows.len() / ROWS_AS_A_POINT;
        }
        next += 1;
    }
    tx.commit().map_err(fault)?;
    for rows in &mut pass.by_point[pass.next_point..next] {
        *rows = Vec::new();
    }
    pass.announced = true;
    pass.next_point = next;
    pass.added.append(&mut added);
    Ok(())
}

/// Settled rows of one point as chunks; says which of them are small. `alone`: the point has no
/// small chunk, so full ones need not wait to be merged with it.
fn insert_chunks(
    tx: &Transaction<'_>,
    rows: &[Row],
    upto: i64,
    alone: bool,
    options: &SeriesOptions,
) -> rusqlite::Result<Small> {
    let mut small = Small::default();
    let mut insert = tx.prepare_cached(
        "INSERT INTO chunk(point, t0, t1, upto, n, small, blob) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for rows in rows.chunks(options.chunk_rows) {
        let is_small = !alone || rows.len() < options.chunk_rows;
        if is_small {
            small.chunks += 1;
            small.rows += rows.len() as u32;
        }
        let (first, last) = (&rows[0], &rows[rows.len() - 1]);
        insert.execute(params![
            first.point.0,
            first.time.0,
            last.time.0,
            upto,
            rows.len() as i64,
            is_small,
            block::encode(rows, Effort::Small)
        ])?;
    }
    Ok(small)
}

/// Makes the pass's chunks the truth.
fn publish(read: &SeriesReader, pass: &Pass) -> Result<(), StoreError> {
    if pass.upto == 0 {
        return Ok(());
    }
    read.sql(|db| {
        db.execute(
            "INSERT INTO meta(key, value) VALUES ('chunked_upto', ?1)
             ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            [pass.upto],
        )
    })
    .map(drop)
}

/// Merges the small chunks of these points.
fn merge(
    read: &SeriesReader,
    due: &[u32],
    small: &mut [Small],
    options: &SeriesOptions,
) -> Result<(), StoreError> {
    let left: Vec<(u32, Small)> = read.sql(|db| {
        let tx = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        let mut left = Vec::with_capacity(due.len());
        for &point in due {
            left.push((point, merge_point(read, &tx, SeriesPoint(point), options)?));
        }
        tx.commit()?;
        Ok(left)
    })?;
    for (point, now) in left {
        small[point as usize] = now;
    }
    Ok(())
}

fn merge_point(
    read: &SeriesReader,
    tx: &Transaction<'_>,
    point: SeriesPoint,
    options: &SeriesOptions,
) -> rusqlite::Result<Small> {
    let parts: Vec<(i64, i64)> = tx
        .prepare_cached(
            "SELECT id, upto FROM chunk WHERE small = 1 AND point = ?1 AND upto <= ?2
             ORDER BY upto, id",
        )?
        .query_map(params![point.0, chunked_upto(tx)?], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    for (id, _) in &parts {
        match read.chunk(tx, *id, point)? {
            Some(part) => {
                rows.extend(part);
                tx.prepare_cached("DELETE FROM chunk WHERE id = ?1")?
                    .execute([id])?;
            }
            // What cannot be read is kept as it is, and left aside.
            None => {
                tx.prepare_cached("UPDATE chunk SET small = 0 WHERE id = ?1")?
                    .execute([id])?;
            }
        }
    }
    settle(&mut rows);
    let upto = parts.iter().map(|p| p.1).max().unwrap_or(0);
    insert_chunks(tx, &rows, upto, true, options)
}
