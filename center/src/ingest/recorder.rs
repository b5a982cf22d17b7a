//! The one writer of what the centre must remember: received transitions and commands.
//!
//! Lives here: group commit, then acknowledgement, picture and pages, in this order. May not
//! live here: parsing, sockets.
//!
//! Queue `recorder`, bounded by [`QUEUE`]. When it is full the connection is dropped without an
//! acknowledgement, and the broker gives everything again: nothing is lost, and the centre takes
//! no more than it can keep.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use davy_journal::{Journal, ReceivedLog, StoreError, Submission};
use davy_points::Mono;
use davy_rules::alarm::{CommandResult, Outcome, Transition};
use prometheus::IntGauge;
use tokio::sync::oneshot;

use super::audit;
use super::chains::Chains;
use super::link::Ack;
use crate::room::Room;
use crate::state::commands::{CommandRecord, Progress};
use crate::state::gateways::Broken;
use crate::watch::{Watch, note_silence};

/// Messages that may wait.
const QUEUE: usize = 8_192;
/// Transitions in one commit at most.
const MAX_COMMIT: usize = 1_024;
/// Between attempts while the disk refuses.
const RETRY: Duration = Duration::from_millis(250);
/// A commit that takes longer shows its records before they are durable
/// (`alarm-engine.md` 7.12).
const LATE: Duration = Duration::from_millis(200);

/// One thing to remember.
#[derive(Debug)]
pub(crate) enum Job {
    /// A sealed transition, as it came.
    Transition {
        owner: Arc<str>,
        told: Arc<Transition>,
        wire: Vec<u8>,
        ack: Option<Ack>,
    },
    /// A new command.
    Command {
        record: Box<CommandRecord>,
        done: oneshot::Sender<Result<(), String>>,
    },
    /// What its owner answered.
    Answer {
        owner: Arc<str>,
        result: CommandResult,
        ack: Option<Ack>,
    },
    /// A command whose time is over while its owner was away.
    Expire { id: String },
}

/// Gives jobs to the recorder's thread.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    jobs: SyncSender<Job>,
    in_flight: Arc<InFlight>,
    waiting: IntGauge,
}

/// What is being committed, for whoever watches the time that it takes.
#[derive(Debug, Default)]
struct InFlight {
    batch: Mutex<Option<(Mono, Vec<Arc<Transition>>)>>,
    stopping: AtomicBool,
}

/// The queue is full or its thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recorder takes no more for now")]
pub(crate) struct Busy;

impl Recorder {
    /// Never waits.
    pub(crate) fn offer(&self, job: Job) -> Result<(), Busy> {
        self.waiting.inc();
        self.jobs.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => {
                self.waiting.dec();
                Busy
            }
        })
    }

    /// Waits where the queue is full: for threads of our own.
    pub(crate) fn give(&self, job: Job) -> Result<(), Busy> {
        self.waiting.inc();
        self.jobs.send(job).map_err(|_| {
            self.waiting.dec();
            Busy
        })
    }

    /// Makes a command durable.
    pub(crate) async fn command(&self, record: CommandRecord) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        self.offer(Job::Command {
            record: Box::new(record),
            done,
        })
        .map_err(|e| e.to_string())?;
        answer
            .await
            .unwrap_or_else(|_| Err("the centre is stopping".to_owned()))
    }

    /// Shows what has been in a commit for too long.
    pub(crate) fn show_late(&self, room: &Room) {
        let now = room.clock.mono();
        let late = {
            let batch = self
                .in_flight
                .batch
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match &*batch {
                Some((since, records)) if now.since(*since) > LATE => records.clone(),
                _ => return,
            }
        };
        for t in &late {
            room.provisional(t);
        }
    }

    /// Ends the thread once its queue is empty; a disk that refuses is not waited for.
    pub(crate) fn stopping(&self) {
        self.in_flight.stopping.store(true, Ordering::Release);
    }
}

/// What the recorder writes into.
#[derive(Debug)]
pub(crate) struct Files {
    pub received: ReceivedLog,
    /// Commands and their fates, as a chain of audit entries of their own.
    pub commands: Journal,
    /// Under which name an owner's records are stored: another one each time its journal was
    /// replaced.
    pub chains: Chains,
}

/// The thread and its end of the queue.
pub(crate) struct Thread {
    room: Arc<Room>,
    watch: Watch,
    files: Files,
    jobs: Receiver<Job>,
    in_flight: Arc<InFlight>,
    failing: bool,
}

/// A queue and the thread that is to serve it.
pub(crate) fn new(room: Arc<Room>, watch: Watch, files: Files) -> (Recorder, Thread) {
    let (sender, jobs) = sync_channel(QUEUE);
    let in_flight = Arc::new(InFlight::default());
    let recorder = Recorder {
        jobs: sender,
        in_flight: in_flight.clone(),
        waiting: room.metrics.queue.clone(),
    };
    let thread = Thread {
        room,
        watch,
        files,
        jobs,
        in_flight,
        failing: false,
    };
    (recorder, thread)
}

/// A transition on its way.
struct Told {
    told: Arc<Transition>,
    wire: Vec<u8>,
    ack: Option<Ack>,
}

impl Thread {
    pub(crate) fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("davy-recorder".into())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        loop {
            let first = match self.jobs.recv_timeout(RETRY) {
                Ok(job) => job,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    if self.in_flight.stopping.load(Ordering::Acquire) {
                        return;
                    }
                    continue;
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
            };
            let mut batch = vec![first];
            while batch.len() < MAX_COMMIT {
                match self.jobs.try_recv() {
                    Ok(job) => batch.push(job),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.room
                .metrics
                .queue
                .sub(i64::try_from(batch.len()).unwrap_or(0));
            self.batch(batch);
        }
    }

    /// Transitions first, owner by owner in one commit each; then commands and answers.
    fn batch(&mut self, jobs: Vec<Job>) {
        let mut by_owner: Vec<(Arc<str>, Vec<Told>)> = Vec::new();
        let mut rest = Vec::new();
        for job in jobs {
            match job {
                Job::Transition {
                    owner,
                    told,
                    wire,
                    ack,
                } => {
                    let told = Told { told, wire, ack };
                    match by_owner.iter_mut().find(|(o, _)| *o == owner) {
                        Some((_, list)) => list.push(told),
                        None => by_owner.push((owner, vec![told])),
                    }
                }
                other => rest.push(other),
            }
        }
        for (owner, told) in by_owner {
            self.transitions(&owner, told);
        }
        for job in rest {
            match job {
                Job::Command { record, done } => {
                    let stored = self.keep(*record);
                    // The asker may have gone; the command is given all the same.
                    let _ = done.send(stored);
                }
                Job::Answer { owner, result, ack } => {
                    let known = self.room.answered(&result, &owner);
                    if known.is_none_or(|record| self.keep(record).is_ok())
                        && let Some(ack) = ack
                    {
                        ack.give();
                    }
                }
                Job::Expire { id } => self.expire(&id),
                Job::Transition { .. } => {}
            }
        }
    }

    fn transitions(&mut self, owner: &Arc<str>, mut told: Vec<Told>) {
        // Records of an owner may have been reordered by a reconnect; the log wants them in
        // sequence, and a stable sort keeps a replaced journal's repeats behind.
        told.sort_by_key(|t| t.told.seq);
        let records: Vec<(u64, Vec<u8>)> = told
            .iter_mut()
            .map(|t| (t.told.seq, std::mem::take(&mut t.wire)))
            .collect();
        *self.lock_batch() = Some((
            self.room.clock.mono(),
            told.iter().map(|t| t.told.clone()).collect(),
        ));
        let received = self.commit(owner, &records);
        *self.lock_batch() = None;
        let Some(received) = received else {
            // Stopping: not acknowledged, so it comes again.
            return;
        };
        if !received.conflicts.is_empty() {
            // What the new journal holds is stored as a chain of its own, from its first record.
            self.files.chains.begin_anew(owner);
            self.room.write().alarms.begin_anew(owner);
            self.room.tell_resync();
        }
        let room = self.room.clone();
        let metrics = &room.metrics;
        metrics
            .transitions
            .with_label_values(&[owner])
            .inc_by(received.stored.len() as u64);
        let mut stored: HashMap<u64, u64> = HashMap::new();
        for (center_seq, seq) in &received.stored {
            stored.insert(*seq, *center_seq);
        }
        for t in told {
            let seq = t.told.seq;
            if let Some(center_seq) = stored.remove(&seq) {
                self.applied(owner, &t.told);
                note_silence(&room, &t.told);
                room.committed(center_seq, t.told);
            } else if seq > received.last || received.conflicts.iter().any(|at| seq >= *at) {
                // Ahead of a gap, or of a journal that begins anew: shown at once, and asked for
                // again in its order.
                room.provisional(&t.told);
            } else {
                metrics.duplicates.with_label_values(&[owner]).inc();
            }
            if let Some(ack) = t.ack {
                ack.give();
            }
        }
        self.after(owner, &received);
    }

    /// Where the owner's records stand now, and what is wrong with them.
    fn after(&mut self, owner: &Arc<str>, received: &davy_journal::Received) {
        let metrics = &self.room.metrics;
        let wall = self.room.clock.wall();
        let mut live = self.room.write();
        let Some(gateway) = live.gateways.get_mut(owner) else {
            return;
        };
        (gateway.acked_seq, gateway.acked_hash) = (received.last, received.tip);
        if let Some(gap) = received.gap {
            metrics.gaps.with_label_values(&[owner]).inc();
            tracing::warn!(%owner, expected = gap.expected, found = gap.found, "transitions are missing: asked for again");
            gateway.resend_after = Some(received.last);
        }
        let broken = received
            .broken
            .first()
            .map(|seq| format!("{owner} 第 {seq} 条记录的哈希链断裂"))
            .or_else(|| {
                received.conflicts.first().map(|seq| {
                    format!("{owner} 第 {seq} 条记录以不同内容再次到达：记录被替换或篡改")
                })
            });
        if let Some(text) = broken {
            let count = received.broken.len() + received.conflicts.len();
            metrics
                .broken
                .with_label_values(&[owner])
                .inc_by(count as u64);
            tracing::error!(%owner, "{text}");
            gateway.broken.get_or_insert(Broken { since: wall, text });
        }
        if !received.conflicts.is_empty() {
            (gateway.acked_seq, gateway.acked_hash) = (0, None);
            gateway.resend_after = Some(0);
        }
        drop(live);
        self.room.uplink.notify_one();
        self.room.tell_gateway(owner);
    }

    /// Commits, however long it takes; none once the centre stops.
    fn commit(
        &mut self,
        owner: &str,
        records: &[(u64, Vec<u8>)],
    ) -> Option<davy_journal::Received> {
        let chain = self.files.chains.name(owner);
        loop {
            let timer = self.room.metrics.commit_seconds.start_timer();
            let outcome = self.files.received.commit_received(&chain, records);
            timer.observe_duration();
            match outcome {
                Ok(received) => {
                    self.recovered();
                    return Some(received);
                }
                Err(e) => {
                    self.failed(&e);
                    let batch = self.lock_batch().clone();
                    for t in batch.iter().flat_map(|(_, told)| told) {
                        self.room.provisional(t);
                    }
                    if self.in_flight.stopping.load(Ordering::Acquire) {
                        return None;
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    fn failed(&mut self, e: &StoreError) {
        self.room.metrics.commit_failures.inc();
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!("transitions cannot be committed: {e}");
        }
        self.watch.health("received", false, e.to_string());
    }

    fn recovered(&mut self) {
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!("transitions are committed again");
            self.watch.health("received", true, String::new());
        }
    }

    /// A transition that a command made is that command's answer, should the answer itself be
    /// lost.
    fn applied(&mut self, owner: &str, t: &Transition) {
        let Some(id) = &t.command_id else { return };
        let result = CommandResult {
            v: t.v,
            id: id.clone(),
            outcome: Outcome::Applied,
            why: None,
            seq: Some(t.seq),
        };
        if let Some(record) = self.room.answered(&result, owner)
            && let Err(e) = self.keep(record)
        {
            tracing::error!("the answer to a command could not be kept: {e}");
        }
    }

    fn expire(&mut self, id: &str) {
        let record = {
            let live = self.room.read();
            match live.commands.get(id) {
                Some(c) if c.state == Progress::Pending => CommandRecord {
                    state: Progress::Rejected,
                    why: Some("expired".to_owned()),
                    ..c.clone()
                },
                _ => return,
            }
        };
        if let Err(e) = self.keep(record) {
            tracing::error!("the end of a command could not be kept: {e}");
        }
    }

    /// Audit first, then the picture, the pages and the gateway.
    fn keep(&mut self, record: CommandRecord) -> Result<(), String> {
        let at = self.room.clock.wall();
        let entry = audit::entry(&record, at).map_err(|e| e.to_string())?;
        self.files
            .commands
            .append(
                &[&Submission {
                    audit: vec![entry],
                    ..Submission::default()
                }],
                &[],
            )
            .map_err(|e| {
                tracing::error!("a command could not be kept: {e}");
                e.to_string()
            })?;
        let state = crate::room::snake(record.state);
        self.room
            .metrics
            .commands
            .with_label_values(&[&state])
            .inc();
        self.room.command(record);
        Ok(())
    }

    fn lock_batch(&self) -> std::sync::MutexGuard<'_, Option<(Mono, Vec<Arc<Transition>>)>> {
        self.in_flight
            .batch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
