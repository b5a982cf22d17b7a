//! The series thread: rows to disk in commits, then whoever waits for durability hears of it.
//!
//! Lives here: when to commit. May not live here: what a row means. While it cannot commit it
//! keeps what it has and does not take more: the queue before it fills, and its bound is
//! answered by the engine thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use davy_journal::{Row, Series, SeriesPoint};
use davy_points::PointTable;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::{oneshot, watch};

use super::health::Health;

/// A row waits for its commit no longer than this (`design.md` section 5).
const COMMIT_EVERY: Duration = Duration::from_millis(50);
/// … and a commit has about this many rows at most.
const COMMIT_ROWS: usize = 65_536;
const RETRY: Duration = Duration::from_millis(200);
/// When the stop has come a disk that refuses is asked for so long.
const LAST_TRIES: Duration = Duration::from_millis(1000);
/// Between two commits at most.
const COMPACT_FOR: Duration = Duration::from_millis(8);
const RELEASE_EVERY: Duration = Duration::from_secs(1);

/// Rows of one batch, and who waits for them.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) done: Option<oneshot::Sender<()>>,
}

pub(super) struct SeriesThread {
    pub(super) series: Series,
    pub(super) rows: Receiver<Rows>,
    pub(super) stored: watch::Sender<u64>,
    /// What each lane will not ask for again.
    pub(super) delivered: Vec<Arc<AtomicU64>>,
    pub(super) health: Arc<Health>,
    /// The engine has ended: a disk that refuses is not asked for ever.
    pub(super) ending: Arc<AtomicBool>,
    pub(super) rows_stored: IntCounter,
    pub(super) depth: IntGauge,
}

impl SeriesThread {
    /// The series' name of every point that the gateway owns, by index of the table.
    pub(super) fn intern(&mut self, table: &PointTable, gateway: &str) -> Vec<Option<SeriesPoint>> {
        let mut points = vec![None; table.len()];
        for (ix, def) in table.owned_by(gateway) {
            points[ix.index()] = Some(self.series.intern(&def.tag));
        }
        points
    }

    pub(super) fn run(mut self) {
        let mut rows: Vec<Row> = Vec::new();
        let mut done = Vec::new();
        let mut released = Instant::now();
        loop {
            let open = self.collect(&mut rows, &mut done);
            if !rows.is_empty() && !self.commit(&rows) {
                tracing::error!(rows = rows.len(), "the last rows could not be stored");
                return;
            }
            rows.clear();
            for waiter in done.drain(..) {
                let waiter: oneshot::Sender<()> = waiter;
                let _ = waiter.send(());
            }
            if released.elapsed() >= RELEASE_EVERY {
                released = Instant::now();
                self.series.release(nobody_needs(&self.delivered));
            }
            if !open {
                return;
            }
            self.compact();
        }
    }

    /// A little of what makes history quick to read, between commits.
    fn compact(&mut self) {
        if let Err(e) = self.series.compact(COMPACT_FOR) {
            tracing::warn!("the spool cannot be taken apart now: {e}");
        }
    }

    /// Takes what is there until it is time to commit. Somebody who waits for durability does
    /// not wait for the clock: what is queued then is committed at once. False: the engine is gone.
    fn collect(&self, rows: &mut Vec<Row>, done: &mut Vec<oneshot::Sender<()>>) -> bool {
        let mut take = |got: Rows| {
            self.depth.dec();
            rows.extend(got.rows);
            done.extend(got.done);
            (rows.len(), !done.is_empty())
        };
        let (mut count, mut waited_for) = match self.rows.recv_timeout(RELEASE_EVERY) {
            Ok(got) => take(got),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        let deadline = Instant::now() + COMMIT_EVERY;
        while count < COMMIT_ROWS {
            let got = if waited_for {
                match self.rows.try_recv() {
                    Ok(got) => got,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return false,
                }
            } else {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.rows.recv_timeout(left) {
                    Ok(got) => got,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return false,
                }
            };
            (count, waited_for) = take(got);
        }
        true
    }

    /// Tries until the disk takes them. False: the engine has ended, and it still does not.
    fn commit(&mut self, rows: &[Row]) -> bool {
        let mut ended_at = None;
        let mut well = true;
        loop {
            match self.series.append(rows) {
                Ok(batch) => {
                    if !well {
                        self.health.set("history", true, "");
                    }
                    self.rows_stored.inc_by(rows.len() as u64);
                    self.stored.send_replace(batch);
                    return true;
                }
                Err(e) => {
                    well = false;
                    self.health.set("history", false, &e.to_string());
                    if self.ending.load(Ordering::Relaxed)
                        && ended_at.get_or_insert_with(Instant::now).elapsed() >= LAST_TRIES
                    {
                        return false;
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }
}

/// The newest batch that no lane will ask for again: the slowest one decides.
fn nobody_needs(delivered: &[Arc<AtomicU64>]) -> u64 {
    let all = delivered.iter().map(|d| d.load(Ordering::Relaxed));
    all.min().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::mpsc::sync_channel;

    use davy_points::{Quality, Timestamp, Value};

    use super::*;

    #[test]
    fn the_slowest_lane_keeps_the_spool() {
        let lanes = [70, 3, 50].map(|n| Arc::new(AtomicU64::new(n)));
        assert_eq!(nobody_needs(&lanes), 3);
        assert_eq!(nobody_needs(&[]), u64::MAX, "no lane, no spool");
    }

    /// Nobody is told "received" before the record is durable: a field message that was
    /// acknowledged earlier would be gone with the process.
    #[test]
    fn who_waits_hears_after_the_commit_and_not_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut series = Series::open(dir.path()).expect("opened");
        let point = series.intern("LT-1");
        let (tx, rows) = sync_channel(4);
        let health = Arc::new(Health::default());
        let thread = SeriesThread {
            series,
            rows,
            stored: watch::Sender::new(0),
            delivered: Vec::new(),
            health: Arc::clone(&health),
            ending: Arc::default(),
            rows_stored: IntCounter::new("rows", "rows").expect("a counter"),
            depth: IntGauge::new("depth", "depth").expect("a gauge"),
        };
        // Somebody holds the file.
        let other = rusqlite::Connection::open(dir.path().join("series.db")).expect("there");
        other.execute_batch("BEGIN IMMEDIATE").expect("locked");
        let (done, mut durable) = oneshot::channel();
        let row = Row {
            point,
            value: Value::F64(95.0),
            quality: Quality::Good,
            time: Timestamp(1),
            offset_ns: 0,
            arrival: Timestamp(1),
        };
        let sent = Rows {
            rows: vec![row],
            done: Some(done),
        };
        tx.send(sent).expect("taken");
        let running = std::thread::spawn(move || thread.run());
        let mut heard = BTreeMap::new();
        while health.news(&mut heard).is_empty() {
            std::thread::yield_now();
        }
        // It has tried, and the disk did not take the row.
        assert_eq!(durable.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        other.execute_batch("ROLLBACK").expect("given back");
        durable.blocking_recv().expect("told when it is durable");
        let stored = davy_journal::SeriesReader::open(dir.path()).expect("there");
        assert!(stored.latest("LT-1").expect("read").is_some());
        drop(tx);
        running.join().expect("ended");
    }
}
