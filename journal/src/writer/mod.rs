//! The journal's own thread: whatever is queued becomes one commit, and a disk that does not
//! answer silences nobody.
//!
//! Lives here: queue, group commit, retry, and the watch on confirmation
//! (`alarm-engine.md` section 7.12). May not live here: SQL, the meaning of a record. Read
//! first: [`JournalEvent`], then `queue::State`, then `commit::Writer`.
//!
//! Two threads: the *writer* commits and may hang with the disk; the *announcer* alone calls
//! the subscriber, in the order in which things became known, and never touches the disk.
//!
//! The queue `journal.submissions` is bounded by [`SpawnOptions::max_queued`] records. When it
//! is full, `submit` waits: every record in it has been told as [`JournalEvent::Late`] long
//! before, and an engine that waits stops its tick, so the centre sees the gateway go silent.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::seal::Sealed;
use crate::{Journal, Submission};

mod commit;
mod queue;

use commit::Writer;
use queue::{Queued, Shared, State, wait};

/// What the journal tells its subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// Durable, in sequence.
    Committed(Vec<Sealed>),
    /// Not confirmed in time, or the journal is failing: to be told now, flagged
    /// `unjournalled`. JSON without `prev` and `hash`; each record once; its `Committed`
    /// follows when it can.
    Late(Vec<Vec<u8>>),
    /// Commits fail; everything is kept in memory and tried again.
    Failed(String),
    /// What had failed has gone through.
    Recovered,
    /// The disk is full: the space kept for alarms has been given back, and alarms go on in it.
    ReserveUsed,
    /// There is space again, and it is kept again.
    ReserveHeld,
}

/// A place to stop or break commits, for tests of faults.
pub trait CommitGate: Send {
    /// Called before each commit. It may block; an error fails the attempt before it begins.
    ///
    /// # Errors
    /// What the journal is to report.
    fn before_commit(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Called after each commit that went through. An error makes it look as if it had failed.
    ///
    /// # Errors
    /// What the journal is to report.
    fn after_commit(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// How to run a journal.
pub struct SpawnOptions {
    /// A record without confirmation for so long is `Late`.
    pub late_after: Duration,
    /// Records that may wait; then `submit` waits.
    pub max_queued: usize,
    /// How long `stop` goes on trying to commit.
    pub stop_patience: Duration,
    /// How often a reserve that was given back is tried for again.
    pub reserve_retry: Duration,
    /// For tests of faults.
    pub gate: Option<Box<dyn CommitGate>>,
}

impl Default for SpawnOptions {
    fn default() -> SpawnOptions {
        SpawnOptions {
            late_after: Duration::from_millis(200),
            max_queued: 262_144,
            stop_patience: Duration::from_secs(3),
            reserve_retry: Duration::from_secs(10),
            gate: None,
        }
    }
}

/// What could not be committed before the stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} transitions and {audit} audit entries could not be journalled before the stop: {why}", records.len())]
pub struct Unsaved {
    /// Transitions, in sequence.
    pub records: Vec<(u64, Vec<u8>)>,
    /// How many audit entries.
    pub audit: usize,
    /// The last error, or that the disk did not answer.
    pub why: String,
}

/// Gives records to the journal's thread. Cloned freely; when the last one goes, the journal
/// stops as by [`JournalHandle::stop`].
#[derive(Clone)]
pub struct JournalHandle {
    inner: Arc<Running>,
}

struct Running {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    patience: Duration,
}

/// Runs the journal on a thread of its own. `on` is called from another one, in order; it must
/// not wait for whoever calls [`JournalHandle::submit`].
pub fn spawn(journal: Journal, on: Box<dyn FnMut(JournalEvent) + Send>) -> JournalHandle {
    spawn_with(journal, on, SpawnOptions::default())
}

/// As [`spawn`], with other limits.
pub fn spawn_with(
    journal: Journal,
    mut on: Box<dyn FnMut(JournalEvent) + Send>,
    options: SpawnOptions,
) -> JournalHandle {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        to_writer: Condvar::new(),
        to_announcer: Condvar::new(),
        changed: Condvar::new(),
        max_queued: options.max_queued.max(1),
        late_after: options.late_after,
    });
    let mut writer = Writer {
        shared: Arc::clone(&shared),
        journal,
        gate: options.gate,
        patience: options.stop_patience,
        reserve_retry: options.reserve_retry,
        reserve_tried: Instant::now(),
    };
    let announced = Arc::clone(&shared);
    let threads = [
        thread("journal", move || writer.run()),
        thread("journal-announce", move || announced.announce(&mut on)),
    ];
    JournalHandle {
        inner: Arc::new(Running {
            shared,
            threads: Mutex::new(threads.into()),
            patience: options.stop_patience,
        }),
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    #[allow(clippy::expect_used)] // a process that cannot start a thread cannot watch a plant
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .expect("the system starts a thread")
}

impl JournalHandle {
    /// Queues one step of the engine. Returns at once, unless the queue is full (see the
    /// module). After `stop` it does nothing.
    pub fn submit(&self, submission: Submission) {
        let shared = &self.inner.shared;
        let mut state = shared.lock();
        while state.queued_records >= shared.max_queued && !state.stopping {
            state = wait(&shared.changed, state, None);
        }
        if state.stopping {
            tracing::error!(
                records = submission.records.len(),
                "submitted to a journal that has stopped"
            );
            return;
        }
        state.queued_records += submission.records.len();
        state.queue.push_back(Arc::new(Queued {
            submission,
            at: Instant::now(),
        }));
        shared.to_writer.notify_one();
        shared.to_announcer.notify_one();
    }

    /// Moves a named cursor; committed with what goes next, within about 100 ms.
    pub fn set_cursor(&self, name: &str, position: u64) {
        let mut state = self.inner.shared.lock();
        match state.cursors.get_mut(name) {
            Some(at) => *at = position,
            None => {
                state.cursors.insert(name.to_owned(), position);
            }
        }
        self.inner.shared.to_writer.notify_one();
    }

    /// Records that are not committed yet.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.inner.shared.lock().queued_records
    }

    /// Commits everything and ends; gives up after [`SpawnOptions::stop_patience`].
    ///
    /// # Errors
    /// [`Unsaved`]: what could not be committed.
    pub fn stop(&self) -> Result<(), Unsaved> {
        // Another half for the last attempt to come back from the disk.
        let patience = self.inner.patience;
        self.inner.stop(patience + patience / 2)
    }

    /// As [`JournalHandle::stop`], but it returns after this long, whatever the disk does.
    ///
    /// # Errors
    /// [`Unsaved`]: what could not be committed.
    pub fn stop_within(&self, patience: Duration) -> Result<(), Unsaved> {
        self.inner.stop(patience)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whoever stopped it has heard what could not be saved, and has waited once.
        if self.shared.lock().stopping {
            return;
        }
        if let Err(unsaved) = self.stop(self.patience + self.patience / 2) {
            tracing::error!("{unsaved}");
        }
    }
}

impl Running {
    fn stop(&self, patience: Duration) -> Result<(), Unsaved> {
        let mut threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let mut state = self.shared.lock();
        state.stopping = true;
        self.shared.to_writer.notify_all();
        self.shared.to_announcer.notify_all();
        self.shared.changed.notify_all();
        let deadline = Instant::now() + patience;
        let me = std::thread::current().id();
        let on_own_thread = threads.iter().any(|t| t.thread().id() == me);
        while !(state.writer_ended && (state.announcer_ended || on_own_thread)) {
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            state = wait(&self.shared.changed, state, Some(deadline - now));
        }
        let unsaved = unsaved(&state);
        if state.writer_ended && state.announcer_ended {
            drop(state);
            for thread in threads.drain(..) {
                let _ = thread.join();
            }
        }
        unsaved
    }
}

fn unsaved(state: &State) -> Result<(), Unsaved> {
    let records: Vec<(u64, Vec<u8>)> = state
        .queue
        .iter()
        .flat_map(|q| q.submission.records.iter().cloned())
        .collect();
    let audit = state.queue.iter().map(|q| q.submission.audit.len()).sum();
    if state.queue.is_empty() && state.writer_ended {
        return Ok(());
    }
    Err(Unsaved {
        records,
        audit,
        why: state
            .failing
            .clone()
            .unwrap_or_else(|| "the disk did not answer".to_owned()),
    })
}
