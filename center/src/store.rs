//! What the centre keeps: received transitions and series, read by the server, written by the
//! recorder and the write endpoint.
//!
//! Lives here: the embedded store behind the few questions that the centre asks. May not live
//! here: SQL (that is `davy-journal`), HTTP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use davy_journal::{
    ReceivedReader, ReceivedRecord, Row, Series, SeriesPoint, SeriesReader, StoreError, Trend,
};
use davy_points::Timestamp;
use davy_rules::alarm::{self, Transition};

use crate::ingest::samples::Arrived;
use crate::room::Room;

/// A received record with its bytes.
pub(crate) type RawRecord = ReceivedRecord;

/// The record as a transition; none where it cannot be read as one.
pub(crate) fn transition(record: &RawRecord) -> Option<Arc<Transition>> {
    alarm::read(&record.wire).ok().map(Arc::new)
}

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store's thread ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// How long writes may wait for a piece of compaction.
const COMPACT_FOR: Duration = Duration::from_millis(20);

/// The embedded store. Readers and the series' writer have a connection each, used one question
/// at a time on a thread that may wait.
#[derive(Debug)]
pub(crate) struct Store {
    received: Mutex<ReceivedReader>,
    trends: Mutex<SeriesReader>,
    series: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    series: Series,
    /// By point index of the plan.
    points: Vec<SeriesPoint>,
}

impl Store {
    pub(crate) fn new(
        received: ReceivedReader,
        trends: SeriesReader,
        series: Series,
        points: Vec<SeriesPoint>,
    ) -> Store {
        Store {
            received: Mutex::new(received),
            trends: Mutex::new(trends),
            series: Mutex::new(Writer { series, points }),
        }
    }

    /// Records after a centre sequence, ascending; of one owner only, where one is given.
    pub(crate) async fn records_after(
        self: &Arc<Self>,
        after: u64,
        owner: Option<String>,
        limit: usize,
    ) -> Result<Vec<RawRecord>, ReadError> {
        let store = self.clone();
        let read = move || -> Result<Vec<RawRecord>, StoreError> {
            let reader = lock(&store.received);
            let Some(owner) = owner else {
                return reader.received_after(after, limit);
            };
            let mut found = Vec::new();
            let mut at = after;
            while found.len() < limit {
                let page = reader.received_after(at, 4_096)?;
                let Some(last) = page.last() else { break };
                at = last.center_seq;
                found.extend(page.into_iter().filter(|r| of_owner(r, &owner)));
            }
            found.truncate(limit);
            Ok(found)
        };
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    /// Every record of an occurrence, in the centre's order.
    pub(crate) async fn records_of(
        self: &Arc<Self>,
        occurrence: &str,
    ) -> Result<Vec<RawRecord>, ReadError> {
        let (store, id) = (self.clone(), occurrence.to_owned());
        let read = move || lock(&store.received).received_by_occurrence(&id);
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    /// A point's samples between two times, thinned to about `max` for drawing.
    pub(crate) async fn history(
        self: &Arc<Self>,
        tag: String,
        from: Timestamp,
        to: Timestamp,
        max: usize,
        gap: Duration,
    ) -> Result<Trend, ReadError> {
        let store = self.clone();
        let read = move || lock(&store.trends).history_decimated(&tag, from, to, max, gap);
        Ok(tokio::task::spawn_blocking(read).await??)
    }

    /// Makes samples durable, then live. Blocks.
    pub(crate) fn append(&self, room: &Room, samples: &[Arrived]) -> Result<(), StoreError> {
        let mut writer = lock(&self.series);
        let rows: Vec<Row> = samples
            .iter()
            .map(|s| Row {
                point: writer.points[s.point.index()],
                value: s.value.clone(),
                quality: s.quality,
                time: s.time,
                offset_ns: s.offset_ns,
                arrival: s.arrival,
            })
            .collect();
        let timer = room.metrics.append_seconds.start_timer();
        writer.series.append(&rows)?;
        timer.observe_duration();
        drop(writer);
        room.metrics.samples.inc_by(samples.len() as u64);
        let received = Some(room.clock.mono());
        let plan = &room.plan;
        let mut live = room.write();
        let mut heard: Option<&str> = None;
        for s in samples {
            let gateway = &*plan.points.source_of(s.point).gateway;
            if heard != Some(gateway) {
                heard = Some(gateway);
                if let Some(g) = live.gateways.get_mut(gateway) {
                    g.history = received;
                }
            }
            live.points.admit(
                s.point,
                s.value.clone(),
                s.quality,
                s.time,
                s.arrival,
                received,
            );
        }
        Ok(())
    }

    /// Moves samples from the spool into their points' chunks, for a moment. True: there is more
    /// to do at once. Blocks.
    pub(crate) fn compact(&self) -> Result<bool, StoreError> {
        let mut writer = lock(&self.series);
        // The centre's store is the end of the road: no lane reads its spool.
        writer.series.release(u64::MAX);
        Ok(writer.series.compact(COMPACT_FOR)?.more)
    }
}

fn of_owner(record: &RawRecord, owner: &str) -> bool {
    crate::ingest::chains::split(&record.owner).0 == owner
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
