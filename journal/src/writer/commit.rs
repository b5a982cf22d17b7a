//! The thread that commits: batch, attempt, reserve, retry.
//!
//! Lives here: `Writer`. May not live here: who hears of it (`queue`). Read first:
//! `Writer::commit`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::{MAX_UNDELIVERED, Queued, Shared, wait};
use super::{CommitGate, JournalEvent};
use crate::seal::Sealed;
use crate::{Journal, StoreError, Submission};

/// Cursors alone are committed no more often than this.
const CURSOR_PAUSE: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    pub(super) gate: Option<Box<dyn CommitGate>>,
    pub(super) patience: Duration,
    pub(super) reserve_retry: Duration,
    pub(super) reserve_tried: Instant,
}

impl Writer {
    pub(super) fn run(&mut self) {
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
