//! The engine thread: the one place where samples, commands, time and health meet, in one order.
//!
//! Lives here: which envelope comes next and where what comes out goes. May not live here: what
//! it means (`davy-rules`). Read first: [`EngineThread::run`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use davy_journal::{JournalHandle, Row, SeriesPoint, Submission};
use davy_plan::Plan;
use davy_points::{Quality, Sample};
use davy_rules::alarm::{
    Command, CommandResult, Outcome, Rejection, Snapshot, Transition, VERSION,
};
use davy_rules::engine::{Engine, Envelope, Identity, Input, Output, Reload, Restored, is_unset};
use davy_rules::proof::LogStart;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::clock::{PipelineClock, wall_now};
use super::health::Health;
use super::input_log::InputLog;
use super::pulse::Pulse;
use super::report::Report;
use super::series::Rows;
use super::stats::{Tally, Tallying};
use super::{Ask, GatewayConfig};
use crate::acquire::{Batch, Clock, Moment};
use crate::metrics::Metrics;

const TICK: Duration = Duration::from_millis(100);
const BEAT: Duration = Duration::from_secs(1);
/// Pending starts are snapshotted at most this old (`alarm-engine.md` section 2, restart) …
const IMAGE_EVERY: Duration = Duration::from_secs(1);
/// … unless making the image would take more than a fiftieth of the thread's time.
const IMAGE_SHARE: u32 = 50;
/// A series that takes nothing for so long is given up for the sake of the alarms.
const SERIES_PATIENCE: Duration = Duration::from_secs(2);

/// What the thread begins with.
pub(super) struct EngineSeed {
    pub(super) cfg: GatewayConfig,
    pub(super) clock: Clock,
    pub(super) restored: Restored,
    pub(super) points: Vec<Option<SeriesPoint>>,
    pub(super) batches: mpsc::Receiver<Batch>,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) rows: SyncSender<Rows>,
    /// Set when no more rows come.
    pub(super) ending: Arc<AtomicBool>,
    pub(super) journal: JournalHandle,
    pub(super) health: Arc<Health>,
    pub(super) pulse: watch::Sender<Pulse>,
    pub(super) tally: watch::Sender<Tally>,
    pub(super) input_log: Option<InputLog>,
    pub(super) metrics: Metrics,
}

/// Audit entry of a command: who wanted what, and what became of it.
#[derive(Serialize)]
struct CommandAudit<'a> {
    v: u32,
    at: i64,
    command: &'a Command,
    result: &'a CommandResult,
}

impl EngineSeed {
    /// The thread's life.
    pub(super) fn run(self) {
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
        {
            Ok(runtime) => runtime,
            Err(e) => return tracing::error!("the engine thread has no timer: {e}"),
        };
        runtime.block_on(EngineThread::new(self).run());
    }
}

struct EngineThread {
    seed: EngineSeed,
    clock: PipelineClock,
    /// None: a recording whose first row has not come.
    engine: Option<Engine>,
    seq: u64,
    report: Report,
    tally: Tallying,
    health_heard: BTreeMap<&'static str, bool>,
    /// What has come out since the last submission.
    records: Vec<(u64, Vec<u8>)>,
    results: Vec<CommandResult>,
    audit: Vec<Vec<u8>>,
    ticks: u64,
    next_tick: Instant,
    next_beat: Instant,
    next_image: Instant,
    image_due: bool,
    /// The series stands still; rows are given up until it takes some.
    shedding: bool,
}

impl EngineThread {
    fn new(seed: EngineSeed) -> EngineThread {
        let table = &seed.cfg.plan.points;
        let recorded = table
            .sources()
            .any(|(_, s)| s.gateway == seed.cfg.id && s.recorded);
        let clock = if recorded {
            PipelineClock::recorded(seed.restored.stopped_at)
        } else {
            PipelineClock::live(seed.clock)
        };
        let now = Instant::now();
        EngineThread {
            report: Report::new(table),
            clock,
            engine: None,
            seq: 0,
            tally: Tallying::default(),
            health_heard: BTreeMap::new(),
            records: Vec::new(),
            results: Vec::new(),
            audit: Vec::new(),
            ticks: 0,
            next_tick: now,
            next_beat: now,
            next_image: now + IMAGE_EVERY,
            image_due: false,
            shedding: false,
            seed,
        }
    }

    async fn run(mut self) {
        self.begin();
        let mut asks_open = true;
        loop {
            if Instant::now() >= self.wake() {
                self.tick();
            }
            let wake = tokio::time::Instant::from_std(self.wake());
            tokio::select! {
                biased;
                ask = self.seed.asks.recv(), if asks_open => match ask {
                    Some(ask) => self.ask(ask),
                    None => asks_open = false,
                },
                batch = self.seed.batches.recv() => match batch {
                    Some(batch) => self.batch(batch),
                    None => break,
                },
                () = tokio::time::sleep_until(wake) => {}
            }
        }
        self.end();
    }

    /// Starts the engine where its time is known: at once, or with a recording's first row.
    fn begin(&mut self) {
        if self.engine.is_some() {
            return;
        }
        let Some(now) = self.clock.now() else {
            return;
        };
        let cfg = &self.seed.cfg;
        let id = Identity {
            site: cfg.plan.site.clone(),
            owner: cfg.id.clone(),
            plan_rev: cfg.plan.rev.clone(),
        };
        let mut restored = std::mem::take(&mut self.seed.restored);
        // A recording's clock is its own, whatever year it shows.
        let live = matches!(self.clock, PipelineClock::Live { .. });
        restored.wall_doubtful = live && is_unset(now.wall);
        if let Some(log) = &mut self.seed.input_log {
            log.start(&LogStart {
                v: VERSION,
                plan_rev: cfg.plan.rev.to_string(),
                mono: now.mono,
                wall: now.wall,
                restored: restored.clone(),
            });
        }
        let engine = Engine::start(
            id,
            cfg.rules.clone(),
            cfg.plan.points.clone(),
            restored,
            now.mono,
            now.wall,
        );
        self.tally.begin(&engine.standing(), engine.seq());
        self.engine = Some(engine);
        self.drain();
        self.handle(Input::Tick, now);
        self.flush();
    }

    /// When there is something to do though nothing comes in.
    fn wake(&self) -> Instant {
        if !self.clock.runs() {
            return self.next_tick;
        }
        let timer = self.engine.as_ref().and_then(Engine::next_wake);
        match timer {
            Some(at) => {
                // At least a millisecond: the timer's own grain.
                let left = self.clock.until(at).max(Duration::from_millis(1));
                self.next_tick.min(Instant::now() + left)
            }
            None => self.next_tick,
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if let Some(by_ns) = self.clock.stepped() {
            tracing::warn!(by_ns, "the wall clock was stepped");
            self.input(Input::ClockStep { by_ns });
            // A process that is killed after it goes by the wall clock: with the image it knows by
            // how much that was set back, and no deadline grows longer for it.
            self.next_image = now;
        }
        for (part, word) in self.seed.health.news(&mut self.health_heard) {
            self.input(Input::Health {
                part: part.to_owned(),
                ok: word.ok,
                detail: word.detail,
            });
        }
        if self.clock.runs() {
            self.input(Input::Tick);
        }
        self.flush();
        if now >= self.next_tick {
            self.ticks += 1;
            self.next_tick = now + TICK;
            let depth = &self.seed.metrics.queue_depth;
            depth
                .with_label_values(&["engine.batches"])
                .set(i64::try_from(self.seed.batches.len()).unwrap_or(i64::MAX));
        }
        if now >= self.next_beat {
            self.next_beat = now + BEAT;
            self.seed.pulse.send_replace(Pulse {
                tick: self.ticks,
                at: wall_now(),
                last_seq: self.tally.tally.last_seq,
            });
            self.seed.tally.send_replace(self.tally.tally);
            if let Some(log) = &mut self.seed.input_log {
                log.flush();
            }
        }
    }

    fn batch(&mut self, batch: Batch) {
        for event in batch.events {
            if !event.up {
                self.seed.metrics.gaps.inc();
            }
            self.input(Input::SourceStatus(event));
        }
        let mut rows = Vec::with_capacity(batch.samples.len());
        let recorded = !self.clock.runs();
        let mut now = self.clock.now();
        for sample in batch.samples {
            if recorded {
                self.clock.row(sample.source_time);
                now = self.clock.now();
                self.begin();
            }
            if let Some(now) = now {
                rows.extend(self.sample(sample, now));
            }
        }
        self.flush();
        if !rows.is_empty() || batch.done.is_some() {
            self.store(Rows {
                rows,
                done: batch.done,
            });
        }
    }

    fn sample(&mut self, sample: Sample, now: Moment) -> Option<Row> {
        let point = self.seed.points.get(sample.point.index()).copied()??;
        let (quality, sample) = self.judge(sample, now);
        self.image_due = true;
        let quality = quality?;
        let metrics = &self.seed.metrics;
        metrics.samples.inc();
        if quality.is_bad() {
            metrics.samples_bad.inc();
        }
        let keep = self.report.keeps(&sample, quality);
        keep.then_some(Row {
            point,
            value: sample.value,
            quality,
            time: sample.source_time,
            offset_ns: sample.offset_ns,
            arrival: sample.arrival_time,
        })
    }

    /// The engine's word on a sample, and the sample back.
    fn judge(&mut self, sample: Sample, now: Moment) -> (Option<Quality>, Sample) {
        let (quality, input) = self.handle(Input::Sample(sample), now);
        match input {
            Input::Sample(sample) => (quality, sample),
            _ => unreachable!("what went in comes back"),
        }
    }

    fn input(&mut self, input: Input) {
        if let Some(now) = self.clock.now() {
            self.image_due |= !matches!(input, Input::Tick);
            self.handle(input, now);
        }
    }

    fn handle(&mut self, input: Input, now: Moment) -> (Option<Quality>, Input) {
        let Some(engine) = &mut self.engine else {
            return (None, input);
        };
        self.seq += 1;
        let envelope = Envelope {
            seq: self.seq,
            mono: now.mono,
            wall: now.wall,
            input,
        };
        if let Some(log) = &mut self.seed.input_log {
            log.put(&envelope);
        }
        let quality = engine.handle(&envelope);
        self.drain();
        (quality, envelope.input)
    }

    fn drain(&mut self) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        while let Some(out) = engine.poll() {
            match out {
                Output::Transition(t) => {
                    self.tally.count(&t);
                    self.seed.metrics.transitions.inc();
                    self.records.push((t.seq, record(&t)));
                }
                Output::Result(result) => self.results.push(result),
                Output::WakeAt(_) => {} // `next_wake` is asked before every wait
            }
        }
    }

    fn ask(&mut self, ask: Ask) {
        match ask {
            Ask::Command(command, reply) => self.command(&command, reply),
            Ask::Reload(reload, done) => {
                self.reload(reload);
                let _ = done.send(());
            }
            Ask::Snapshot(reply) => {
                let (seq, alarms) = match &self.engine {
                    Some(engine) => (engine.seq(), engine.standing()),
                    None => (self.tally.tally.last_seq, Vec::new()),
                };
                let _ = reply.send(Box::new(Snapshot {
                    v: VERSION,
                    owner: self.seed.cfg.id.clone(),
                    seq,
                    alarms,
                    part: 1,
                    parts: 1,
                }));
            }
        }
    }

    fn reload(&mut self, reload: Box<Reload>) {
        let cfg = &mut self.seed.cfg;
        cfg.plan = Arc::new(Plan {
            points: reload.table().clone(),
            rev: reload.plan_rev().clone(),
            ..Plan::clone(&cfg.plan)
        });
        cfg.rules = reload.rules().clone();
        self.report = Report::new(reload.table());
        tracing::info!(plan_rev = &**reload.plan_rev(), "going on with other rules");
        self.input(Input::Reload(reload));
        self.flush();
    }

    fn command(&mut self, command: &Command, reply: oneshot::Sender<CommandResult>) {
        // Against the real clock: a recording's time says nothing about a person's patience.
        let expired = command.expires_at.is_some_and(|at| at < wall_now());
        let result = if expired {
            Some(rejected(command, Rejection::Expired))
        } else if self.engine.is_none() {
            Some(rejected(command, Rejection::UnknownOccurrence))
        } else {
            self.input(Input::Command(Box::new(command.clone())));
            let at = self.results.iter().position(|r| r.id == command.id);
            at.map(|at| self.results.swap_remove(at))
        };
        if let Some(result) = result {
            let entry = CommandAudit {
                v: VERSION,
                at: wall_now().ns(),
                command,
                result: &result,
            };
            self.audit.extend(serde_json::to_vec(&entry).ok());
            let _ = reply.send(result);
        }
        self.results.clear();
        self.flush();
    }

    /// Hands to the journal what has come out, and the image where it is time.
    fn flush(&mut self) {
        let now = Instant::now();
        let timely = now >= self.next_image;
        if self.records.is_empty() && self.audit.is_empty() && !timely {
            return;
        }
        let image = if timely { self.image() } else { None };
        self.submit(image);
    }

    fn image(&mut self) -> Option<Vec<u8>> {
        let began = Instant::now();
        let due = std::mem::take(&mut self.image_due);
        let image = self.engine.as_ref().filter(|_| due).and_then(|engine| {
            serde_json::to_vec(&engine.image())
                .inspect_err(|e| tracing::error!("the engine's image cannot be written: {e}"))
                .ok()
        });
        self.next_image = Instant::now() + IMAGE_EVERY.max(began.elapsed() * IMAGE_SHARE);
        image
    }

    fn submit(&mut self, image: Option<Vec<u8>>) {
        self.seed.journal.submit(Submission {
            records: std::mem::take(&mut self.records),
            image,
            alive_at: self.clock.now().map_or(0, |now| now.wall.ns()),
            audit: std::mem::take(&mut self.audit),
        });
    }

    /// Gives rows to the series thread. It waits where the queue is full, and ticks while it waits;
    /// where the disk stands still alarms come first.
    fn store(&mut self, mut rows: Rows) {
        let depth = self
            .seed
            .metrics
            .queue_depth
            .with_label_values(&["series.rows"]);
        let mut since = None;
        loop {
            match self.seed.rows.try_send(rows) {
                Ok(()) => {
                    depth.inc();
                    if std::mem::take(&mut self.shedding) {
                        self.seed.health.set("history", true, "");
                    }
                    return;
                }
                Err(TrySendError::Disconnected(_)) => {
                    return tracing::error!("the series thread is gone");
                }
                Err(TrySendError::Full(back)) => rows = back,
            }
            let since = *since.get_or_insert_with(|| {
                self.seed.metrics.series_waits.inc();
                Instant::now()
            });
            // A recording can wait for the disk: nothing is alarmed late by it.
            let patient = !self.clock.runs() || since.elapsed() < SERIES_PATIENCE;
            if self.shedding || !patient {
                if !std::mem::replace(&mut self.shedding, true) {
                    self.seed.health.set(
                        "history",
                        false,
                        "the series' disk stands still; samples are judged but not stored",
                    );
                }
                self.seed.metrics.rows_shed.inc_by(rows.rows.len() as u64);
                return; // whoever waits for durability hears that it did not come
            }
            if Instant::now() >= self.wake() {
                self.tick();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn end(mut self) {
        self.image_due = true;
        let image = self.image();
        self.submit(image);
        self.seed.tally.send_replace(self.tally.tally);
        if let Some(log) = &mut self.seed.input_log {
            log.flush();
        }
        self.seed.ending.store(true, Ordering::Relaxed);
    }
}

fn rejected(command: &Command, why: Rejection) -> CommandResult {
    CommandResult {
        v: VERSION,
        id: command.id.clone(),
        outcome: Outcome::Rejected,
        why: Some(why),
        seq: None,
    }
}

fn record(t: &Transition) -> Vec<u8> {
    // A type of our own without maps: it cannot fail.
    serde_json::to_vec(t).unwrap_or_default()
}
