//! The thread of the centre's own engine: what it watches, what it is given, what it says.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use davy_journal::{Journal, JournalEvent, JournalHandle, Submission};
use davy_plan::Plan;
use davy_points::{
    Binding, Life, Limits, Mono, PointDef, PointIx, PointTable, PointTableError, PollClass,
    Quality, Sample, Scaling, SourceDef, SourceEvent, SourceIx, Timestamp, Value,
};
use davy_rules::alarm::{self, Flag, Transition};
use davy_rules::engine::{
    Engine, EngineImage, Envelope, Identity, Input, Output, Restored, is_unset,
};
use davy_rules::language::{RuleSet, compile};

use super::{Seen, Watch, note_silence};
use crate::ingest::recorder::{Job, Recorder};
use crate::room::Room;
use crate::{OWNER, StartError};

/// The engine ticks at least so often.
const TICK: Duration = Duration::from_millis(100);
/// A beat comes each second; without one for longer the gateway is silent.
const SILENT: Duration = Duration::from_secs(3);
/// How often the image and the time of life are kept.
const KEEP: Duration = Duration::from_secs(1);
const RULES: &str = r#"schema = 1
[[stale]]
id = "gateway"
select = { class = "gateway" }
priority = 1
"#;

/// What the centre watches.
#[derive(Debug)]
pub(crate) struct Sight {
    pub table: Arc<PointTable>,
    pub rules: Arc<RuleSet>,
    gateways: HashMap<Arc<str>, PointIx>,
    broker: SourceIx,
}

impl Sight {
    /// A point per gateway, and the rules over them.
    ///
    /// # Errors
    /// Two gateways of one id, or rules that do not compile: bugs of ours, told and not hidden.
    pub(crate) fn of(plan: &Plan) -> Result<Sight, String> {
        let mut table = PointTable::new();
        let broker = table.add_source(SourceDef {
            id: "broker".into(),
            gateway: OWNER.into(),
            recorded: false,
        });
        let mut gateways = HashMap::new();
        for g in &plan.gateways {
            let ix = table
                .add(gateway_point(&g.id, &g.name, broker))
                .map_err(|e: PointTableError| format!("gateway {}: {e}", g.id))?;
            gateways.insert(g.id.clone(), ix);
        }
        let files = [(PathBuf::from("center.toml"), RULES.to_owned())];
        let (rules, faults) = compile(&files, &table, &[]);
        let rules = rules.ok_or_else(|| {
            faults
                .iter()
                .map(|d| d.message.clone())
                .collect::<Vec<_>>()
                .join("; ")
        })?;
        Ok(Sight {
            table: Arc::new(table),
            rules: Arc::new(rules),
            gateways,
            broker,
        })
    }
}

fn gateway_point(id: &Arc<str>, name: &str, source: SourceIx) -> PointDef {
    PointDef {
        tag: id.clone(),
        description: name.into(),
        hazard: "".into(),
        area: "".into(),
        class: "gateway".into(),
        unit: "".into(),
        low: None,
        high: None,
        source,
        binding: Binding::Internal,
        scaling: Scaling::default(),
        poll: PollClass::Normal,
        expected_interval: Duration::from_secs(1),
        stale_after: SILENT,
        report_deadband: None,
        limits: Limits::default(),
        deadband: 0.0,
        on_delay: Duration::ZERO,
        off_delay: Duration::ZERO,
        priority: None,
        sentinels: Box::default(),
        life: Life::InService,
        calibration_due: None,
        note: "".into(),
        span: 0..0,
    }
}

/// The engine and its thread.
pub(crate) struct Thread {
    pub room: Arc<Room>,
    pub watch: Watch,
    pub seen: Receiver<Seen>,
    pub sight: Sight,
    pub journal: JournalHandle,
    pub recorder: Recorder,
}

impl Thread {
    /// Restores the engine and starts its thread.
    pub(crate) fn spawn(self, mut restored: Restored) -> std::io::Result<JoinHandle<()>> {
        let now = self.room.now();
        restored.wall_doubtful = is_unset(now.wall);
        let identity = Identity {
            site: self.room.plan.site.clone(),
            owner: OWNER.into(),
            plan_rev: self.room.plan.rev.clone(),
        };
        let engine = Engine::start(
            identity,
            self.sight.rules.clone(),
            self.sight.table.clone(),
            restored,
            now.mono,
            now.wall,
        );
        self.watch.ticked.store(now.mono.ns(), Ordering::Release);
        std::thread::Builder::new()
            .name("davy-watch".into())
            .spawn(move || Run::new(self, engine).run())
    }
}

struct Run {
    thread: Thread,
    engine: Engine,
    seq: u64,
    newest: HashMap<PointIx, Timestamp>,
    kept: Mono,
}

impl Run {
    fn new(thread: Thread, engine: Engine) -> Run {
        Run {
            thread,
            engine,
            seq: 0,
            newest: HashMap::new(),
            kept: Mono(0),
        }
    }

    fn run(mut self) {
        let mut next_tick = self.thread.room.clock.mono();
        self.drain(false);
        loop {
            let now = self.thread.room.clock.mono();
            match self.thread.seen.recv_timeout(next_tick.since(now)) {
                Ok(Seen::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(seen) => {
                    if let Some(input) = self.input(seen) {
                        self.handle(input);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.thread.room.clock.mono();
            if now >= next_tick {
                self.handle(Input::Tick);
                self.thread.watch.ticked.store(now.ns(), Ordering::Release);
                next_tick = now + TICK;
            }
            let keep = now.since(self.kept) >= KEEP;
            self.drain(keep);
        }
        self.drain(true);
    }

    fn input(&mut self, seen: Seen) -> Option<Input> {
        Some(match seen {
            Seen::Beat { gateway, tick } => {
                let point = *self.thread.sight.gateways.get(&gateway)?;
                let wall = self.thread.room.clock.wall();
                // A clock that steps back must not make a living gateway stale.
                let newest = self.newest.entry(point).or_insert(Timestamp(i64::MIN));
                let at = Timestamp(wall.ns().max(newest.ns().saturating_add(1)));
                *newest = at;
                self.seq += 1;
                Input::Sample(Sample {
                    point,
                    value: Value::U64(tick),
                    quality: Quality::Good,
                    source_time: at,
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: at,
                    seq: self.seq,
                })
            }
            Seen::Health { part, ok, detail } => Input::Health { part, ok, detail },
            Seen::Broker { up } => Input::SourceStatus(SourceEvent {
                source: self.thread.sight.broker,
                up,
                quality: if up {
                    Quality::Good
                } else {
                    Quality::BadNotConnected
                },
            }),
            Seen::Command(command) => Input::Command(command),
            Seen::Stop => return None,
        })
    }

    fn handle(&mut self, input: Input) {
        let now = self.thread.room.now();
        self.seq += 1;
        self.engine.handle(&Envelope {
            seq: self.seq,
            mono: now.mono,
            wall: now.wall,
            input,
        });
    }

    /// Takes what the engine said to the journal; results go straight to the recorder.
    fn drain(&mut self, keep: bool) {
        let mut records = Vec::new();
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Transition(t) => match serde_json::to_vec(&t) {
                    Ok(json) => records.push((t.seq, json)),
                    Err(e) => tracing::error!("a transition could not be written: {e}"),
                },
                Output::Result(result) => {
                    let answer = Job::Answer {
                        owner: OWNER.into(),
                        result,
                        ack: None,
                    };
                    if self.thread.recorder.give(answer).is_err() {
                        tracing::warn!("an answer came after the recorder had stopped");
                    }
                }
                // The tick is frequent enough for every deadline of this engine.
                Output::WakeAt(_) => {}
            }
        }
        if records.is_empty() && !keep {
            return;
        }
        let now = self.thread.room.now();
        self.kept = now.mono;
        let image = serde_json::to_vec(&self.engine.image())
            .map_err(|e| tracing::error!("the engine's image could not be written: {e}"))
            .ok();
        self.thread.journal.submit(Submission {
            records,
            image,
            alive_at: now.wall.ns(),
            audit: Vec::new(),
        });
    }
}

/// What the centre's own journal confirms goes the way of every received transition.
pub(crate) fn journalled(
    room: &Arc<Room>,
    watch: &Watch,
    recorder: &Recorder,
    event: JournalEvent,
) {
    match event {
        JournalEvent::Committed(sealed) => {
            for record in sealed {
                match serde_json::from_slice::<Transition>(&record.wire) {
                    Ok(t) => {
                        let job = Job::Transition {
                            owner: OWNER.into(),
                            told: Arc::new(t),
                            wire: record.wire.to_vec(),
                            ack: None,
                        };
                        if recorder.give(job).is_err() {
                            // It is in the journal: the next start takes it from there.
                            tracing::warn!("a transition came after the recorder had stopped");
                        }
                    }
                    Err(e) => tracing::error!("our own transition cannot be read: {e}"),
                }
            }
        }
        JournalEvent::Late(records) => {
            for json in records {
                match serde_json::from_slice::<Transition>(&json) {
                    Ok(mut t) => {
                        t.flags.push(Flag::Unjournalled);
                        note_silence(room, &t);
                        room.provisional(&Arc::new(t));
                    }
                    Err(e) => tracing::error!("our own transition cannot be read: {e}"),
                }
            }
        }
        JournalEvent::Failed(why) => {
            tracing::error!("the centre's journal fails: {why}");
            watch.health("journal", false, why);
        }
        JournalEvent::Recovered => watch.health("journal", true, String::new()),
        JournalEvent::ReserveUsed => {
            tracing::warn!("the disk is full: alarms go on in the reserve");
        }
        JournalEvent::ReserveHeld => tracing::info!("the disk has space again"),
    }
}

/// What the engine goes on from: its image, and the transitions that are newer.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn restored(journal: &Journal) -> Result<Restored, StartError> {
    const PAGE: usize = 10_000;
    let image: Option<EngineImage> = journal.image().and_then(|bytes| {
        alarm::read(&bytes)
            .map_err(|e| tracing::error!("the engine's image cannot be read: {e}"))
            .ok()
    });
    let reader = journal.reader()?;
    let mut transitions = Vec::new();
    let mut after = image.as_ref().map_or(0, |i| i.seq);
    loop {
        let page = reader.read_json(after, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, json) in &page {
            match alarm::read(json) {
                Ok(t) => transitions.push(t),
                Err(e) => tracing::error!("our own transition cannot be read: {e}"),
            }
        }
    }
    Ok(Restored {
        image,
        transitions,
        stopped_at: journal.alive_at().map(Timestamp),
        // Only whoever reads the clock can tell.
        wall_doubtful: false,
    })
}
