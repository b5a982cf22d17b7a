//! The journal's own thread: whatever is queued becomes one commit, and a disk that does not
//! answer silences nobody.
//!
//! Lives here: queue, group commit, retry, and the watch on confirmation
//! (`alarm-engine.md` section 7.12). May not live here: SQL, the meaning of a record. Read
//! first: [`JournalEvent`], then `State`.
//!
//! Two threads: the *writer* commits and may hang with the disk; the *announcer* alone calls
//! the subscriber, in the order in which things became known, and never touches the disk.
//!
//! The queue `journal.submissions` is bounded by [`SpawnOptions::max_queued`] records. When it
//! is full, `submit` waits: every record in it has been told as [`JournalEvent::Late`] long
//! before, and an engine that waits stops its tick, so the centre sees the gateway go silent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::seal::Sealed;
use crate::{Journal, StoreError, Submission};

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

struct Shared {
    state: Mutex<State>,
    to_writer: Condvar,
    to_announcer: Condvar,
    /// Room in the queue, events delivered, the writer's end.
    changed: Condvar,
    max_queued: usize,
    late_after: Duration,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Queued>>,
    queued_records: usize,
    /// The first so many of `queue` have been told as late.
    told_late: usize,
    cursors: BTreeMap<String, u64>,
    events: VecDeque<JournalEvent>,
    /// Records in `Committed` events that are not delivered yet.
    undelivered: usize,
    /// The error of the last attempt, until one goes through.
    failing: Option<String>,
    stopping: bool,
    writer_ended: bool,
    announcer_ended: bool,
}

struct Queued {
    submission: Submission,
    at: Instant,
}

/// Records in one commit at most: a commit must not itself become late.
const MAX_COMMIT_RECORDS: usize = 16_384;
/// Committed records that the subscriber may be behind before the writer waits for it.
const MAX_UNDELIVERED: usize = 65_536;
/// Cursors alone are committed no more often than this.
const CURSOR_PAUSE: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

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
        self.inner.stop()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(unsaved) = self.stop() {
            tracing::error!("{unsaved}");
        }
    }
}

impl Running {
    fn stop(&self) -> Result<(), Unsaved> {
        let mut threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let mut state = self.shared.lock();
        state.stopping = true;
        self.shared.to_writer.notify_all();
        self.shared.to_announcer.notify_all();
        self.shared.changed.notify_all();
        // Another half for the last attempt to come back from the disk.
        let deadline = Instant::now() + self.patience + self.patience / 2;
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The announcer's life: events in their order, and between them what became late.
    fn announce(&self, on: &mut dyn FnMut(JournalEvent)) {
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
    fn batch(&self) -> Vec<Arc<Queued>> {
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

    fn confirmed(&mut self, batch: &[Arc<Queued>], sealed: Vec<Sealed>) {
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

fn wait<'a>(
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

struct Writer {
    shared: Arc<Shared>,
    journal: Journal,
    gate: Option<Box<dyn CommitGate>>,
    patience: Duration,
    reserve_retry: Duration,
    reserve_tried: Instant,
}

impl Writer {
    fn run(&mut self) {
        if !self.journal.reserve_is_held() {
            self.tell(JournalEvent::ReserveUsed);
        }
        let mut last_commit = None;
        while let Some((batch, cursors)) = self.next(last_commit) {
            if !self.commit(&batch, &cursors) {
                break;
            }
            last_commit = Some(Instant::now());
            self.restore_reserve();
        }
        let mut state = self.shared.lock();
        state.writer_ended = true;
        self.shared.to_announcer.notify_all();
        self.shared.changed.notify_all();
    }

    /// Waits for work. None: there is none and there will be none.
    #[allow(clippy::type_complexity)]
    fn next(&self, last_commit: Option<Instant>) -> Option<(Vec<Arc<Queued>>, Vec<(String, u64)>)> {
        let mut state = self.shared.lock();
        loop {
            if state.undelivered >= MAX_UNDELIVERED && !state.stopping {
                state = wait(&self.shared.changed, state, None);
                continue;
            }
            let pause = match last_commit {
                Some(at) if state.queue.is_empty() && !state.stopping => {
                    CURSOR_PAUSE.saturating_sub(at.elapsed())
                }
                _ => Duration::ZERO,
            };
            if !state.queue.is_empty() || (!state.cursors.is_empty() && pause.is_zero()) {
                let cursors = std::mem::take(&mut state.cursors).into_iter().collect();
                return Some((state.batch(), cursors));
            }
            if state.stopping {
                return None;
            }
            let pause = (!state.cursors.is_empty()).then_some(pause);
            state = wait(&self.shared.to_writer, state, pause);
        }
    }

    /// Tries until the batch is in. False: the journal was stopped before that.
    fn commit(&mut self, batch: &[Arc<Queued>], cursors: &[(String, u64)]) -> bool {
        let submissions: Vec<&Submission> = batch.iter().map(|q| &q.submission).collect();
        let mut backoff = Duration::from_millis(10);
        let mut give_up_at: Option<Instant> = None;
        loop {
            let error = match self.attempt(&submissions, cursors) {
                Ok(sealed) => {
                    let mut state = self.shared.lock();
                    state.confirmed(batch, sealed);
                    self.shared.to_announcer.notify_one();
                    self.shared.changed.notify_all();
                    return true;
                }
                Err(Attempt::DiskFull) if self.journal.give_reserve_back() => {
                    tracing::warn!("the disk is full: alarms go on in the space kept for them");
                    self.reserve_tried = Instant::now();
                    self.tell(JournalEvent::ReserveUsed);
                    continue;
                }
                Err(Attempt::DiskFull) => "the disk is full".to_owned(),
                Err(Attempt::Other(text)) => text,
            };
            let mut state = self.shared.lock();
            if state.failing.replace(error.clone()).is_none() {
                tracing::error!("the journal cannot commit: {error}");
                state.events.push_back(JournalEvent::Failed(error));
                self.shared.to_announcer.notify_one();
            }
            let retry_at = Instant::now() + backoff;
            loop {
                let now = Instant::now();
                if state.stopping {
                    let at = *give_up_at.get_or_insert(now + self.patience);
                    if now >= at {
                        return false;
                    }
                }
                if now >= retry_at {
                    break;
                }
                state = wait(&self.shared.to_writer, state, Some(retry_at - now));
            }
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    fn attempt(
        &mut self,
        submissions: &[&Submission],
        cursors: &[(String, u64)],
    ) -> Result<Vec<Sealed>, Attempt> {
        if let Some(gate) = &mut self.gate {
            gate.before_commit().map_err(Attempt::Other)?;
        }
        let sealed = self
            .journal
            .append(submissions, cursors)
            .map_err(|e| match e {
                StoreError::DiskFull(_) => Attempt::DiskFull,
                other => Attempt::Other(other.to_string()),
            })?;
        if let Some(gate) = &mut self.gate {
            gate.after_commit().map_err(|text| {
                self.journal.doubt();
                Attempt::Other(text)
            })?;
        }
        Ok(sealed)
    }

    fn restore_reserve(&mut self) {
        if self.reserve_tried.elapsed() < self.reserve_retry || self.journal.reserve_is_held() {
            return;
        }
        self.reserve_tried = Instant::now();
        if self.journal.hold_reserve() {
            self.tell(JournalEvent::ReserveHeld);
        }
    }

    fn tell(&self, event: JournalEvent) {
        let mut state = self.shared.lock();
        state.events.push_back(event);
        self.shared.to_announcer.notify_one();
    }
}

enum Attempt {
    DiskFull,
    Other(String),
}
