//! What waits between the engine, the writer and the subscriber, and what became late.
//!
//! Lives here: the queue and the events under one lock, and the announcer, which alone calls
//! the subscriber. May not live here: the disk. Read first: `State`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::JournalEvent;
use crate::Submission;
use crate::seal::Sealed;

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) to_writer: Condvar,
    pub(super) to_announcer: Condvar,
    /// Room in the queue, events delivered, the writer's end.
    pub(super) changed: Condvar,
    pub(super) max_queued: usize,
    pub(super) late_after: Duration,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Arc<Queued>>,
    pub(super) queued_records: usize,
    /// The first so many of `queue` have been told as late.
    pub(super) told_late: usize,
    pub(super) cursors: BTreeMap<String, u64>,
    pub(super) events: VecDeque<JournalEvent>,
    /// Records in `Committed` events that are not delivered yet.
    pub(super) undelivered: usize,
    /// The error of the last attempt, until one goes through.
    pub(super) failing: Option<String>,
    pub(super) stopping: bool,
    pub(super) writer_ended: bool,
    pub(super) announcer_ended: bool,
}

pub(super) struct Queued {
    pub(super) submission: Submission,
    pub(super) at: Instant,
}

/// Records in one commit at most: a commit must not itself become late.
const MAX_COMMIT_RECORDS: usize = 16_384;
/// Committed records that the subscriber may be behind before the writer waits for it.
pub(super) const MAX_UNDELIVERED: usize = 65_536;

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The announcer's life: events in their order, and between them what became late.
    pub(super) fn announce(&self, on: &mut dyn FnMut(JournalEvent)) {
        let mut state = self.lock();
        loop {
            if let Some(event) = state.events.pop_front() {
                drop(state);
                let records = match &event {
                    JournalEvent::Committed(sealed) => sealed.len(),
                    _ => 0,
                };
                on(event);
                state = self.lock();
                state.undelivered -= records;
                self.changed.notify_all();
                continue;
            }
            let now = Instant::now();
            let late = state.take_late(now, self.late_after);
            if !late.is_empty() {
                drop(state);
                on(JournalEvent::Late(late));
                state = self.lock();
                continue;
            }
            if state.writer_ended {
                state.announcer_ended = true;
                self.changed.notify_all();
                return;
            }
            let due = state.next_late(self.late_after);
            let pause = due.map(|due| due.saturating_duration_since(now));
            state = wait(&self.to_announcer, state, pause);
        }
    }
}

impl State {
    /// Records that became late, in sequence; they are the oldest that were not told, because
    /// submissions age in their order.
    fn take_late(&mut self, now: Instant, late_after: Duration) -> Vec<Vec<u8>> {
        let mut late = Vec::new();
        while let Some(queued) = self.queue.get(self.told_late) {
            if self.failing.is_none() && now < queued.at + late_after {
                break;
            }
            late.extend(queued.submission.records.iter().map(|r| r.1.clone()));
            self.told_late += 1;
        }
        late
    }

    fn next_late(&self, late_after: Duration) -> Option<Instant> {
        self.queue.get(self.told_late).map(|q| q.at + late_after)
    }

    /// The oldest submissions that make one commit.
    pub(super) fn batch(&self) -> Vec<Arc<Queued>> {
        let mut records = 0;
        self.queue
            .iter()
            .take_while(|q| {
                let fits = records < MAX_COMMIT_RECORDS;
                records += q.submission.records.len();
                fits
            })
            .cloned()
            .collect()
    }

    pub(super) fn confirmed(&mut self, batch: &[Arc<Queued>], sealed: Vec<Sealed>) {
        self.queue.drain(..batch.len());
        self.told_late = self.told_late.saturating_sub(batch.len());
        self.queued_records -= sealed.len();
        if !sealed.is_empty() {
            self.undelivered += sealed.len();
            self.events.push_back(JournalEvent::Committed(sealed));
        }
        if self.failing.take().is_some() {
            self.events.push_back(JournalEvent::Recovered);
        }
    }
}

pub(super) fn wait<'a>(
    condvar: &Condvar,
    guard: MutexGuard<'a, State>,
    pause: Option<Duration>,
) -> MutexGuard<'a, State> {
    match pause {
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(pause) => {
            condvar
                .wait_timeout(guard, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0
        }
    }
}
