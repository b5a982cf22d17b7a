//! The gateway's shell: it wires acquisition, engine, journal, series and delivery, and stops them
//! in order.
//!
//! Lives here: threads, queues, clocks, the restart. May not live here: rules, protocols,
//! storage. Read first: [`start`], then `engine`, then [`Gateway::stop`].
//!
//! Queues, each with its bound and its answer to "what when full?":
//!
//! | queue | bound | when full |
//! |---|---|---|
//! | `engine.batches` | 1024 batches | the pollers wait, counted; nothing is dropped |
//! | `engine.asks` | 256 | the command waits with the broker, unacknowledged |
//! | `series.rows` | 1024 batches | the engine waits 2 s, ticking; then alarms come first: rows are given up, counted, and `system/history/on` says so; a recording waits for ever |
//! | `journal.submissions` | the journal's | the engine waits, its beat stops, the centre sees it |
//! | outbox | none of its own: it mirrors what the journal holds | – |

mod clock;
mod engine;
mod health;
mod input_log;
mod pulse;
mod reload;
mod report;
mod restore;
mod series;
mod stats;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use davy_journal::{
    Journal, JournalEvent, JournalHandle, OpenError, Series, SpawnOptions, StoreError,
};
use davy_plan::{Plan, SiteSource};
use davy_rules::alarm::{Command, CommandResult, Snapshot};
use davy_rules::engine::Reload;
use davy_rules::language::RuleSet;
use tokio::sync::{mpsc, oneshot, watch};

use crate::acquire::{self, AcquireHandle, AcquireMetrics, Batch, Clock};
use crate::deliver::alarms::{self, AlarmLane, AlarmLanePlan, AlarmLanePorts};
use crate::deliver::history::{self, HistoryLane, HistoryPorts};
use crate::deliver::outbox::Outbox;
use crate::deliver::spool::Spool;
use crate::deliver::writer::{BadSink, SinkAddress};
use crate::metrics::Metrics;
use health::Health;

pub(crate) use clock::wall_now;
pub(crate) use pulse::Pulse;
pub use reload::Reloaded;
pub use stats::Stats;

const BATCHES_MAX: usize = 1024;
const ASKS_MAX: usize = 256;
const ROWS_MAX: usize = 1024;
/// The centre's sink, its cursor and its dead-letter file.
const CENTER_SINK: &str = "center";
/// A stop takes no longer, whatever does not answer: the centre of a one-box plant stops after it,
/// and both together take less than 5 s.
const STOP_WITHIN: Duration = Duration::from_millis(3500);
/// Of it, so long for what was read to be judged and stored …
const LAST_COMMIT: Duration = Duration::from_millis(1200);
/// … so long for delivery after that …
const LAST_DELIVERY: Duration = Duration::from_millis(1800);
/// … and so much is left, where the rest was slow, for the last word and the journal.
const LAST_WORD: Duration = Duration::from_millis(900);

/// What a gateway is started with.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The checked configuration directory.
    pub plan: Arc<Plan>,
    /// The rules, compiled against the plan's points.
    pub rules: Arc<RuleSet>,
    /// Which of the plan's gateways.
    pub id: Arc<str>,
    /// Its state; locked while it runs.
    pub data_dir: PathBuf,
    /// Keep in this file how the engine was started and every envelope, a JSON object a line.
    pub input_log: Option<PathBuf>,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The plan has no such gateway.
    #[error("the plan has no gateway `{id}`; it has: {known}")]
    UnknownGateway {
        /// What was asked for.
        id: Arc<str>,
        /// What there is.
        known: String,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What stands in the data directory cannot be read back.
    #[error("{0}")]
    Restore(String),
    /// The journal cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sink cannot be used.
    #[error(transparent)]
    Sink(#[from] BadSink),
    /// A thread or a file could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was wanted.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Not within a tokio runtime.
    #[error("a gateway starts within a tokio runtime")]
    NoRuntime,
}

/// What the alarm lane asks of the engine thread.
pub(crate) enum Ask {
    /// Apply a command, once.
    Command(Box<Command>, oneshot::Sender<CommandResult>),
    /// Everything that stands.
    Snapshot(oneshot::Sender<Box<Snapshot>>),
    /// Go on with other rules.
    Reload(Box<Reload>, oneshot::Sender<()>),
}

/// A running gateway. Dropped without [`Gateway::stop`] it ends like a killed one: the last will
/// says `offline`, and nothing durable is lost.
pub struct Gateway {
    id: Arc<str>,
    /// As it was started: what acquisition goes by.
    plan: Arc<Plan>,
    asks: mpsc::Sender<Ask>,
    acquire: Option<AcquireHandle>,
    mqtt: Option<AcquireHandle>,
    batches: Option<mpsc::Sender<Batch>>,
    engine: Option<JoinHandle<()>>,
    series: Option<JoinHandle<()>>,
    journal: JournalHandle,
    lanes: Vec<tokio::task::JoinHandle<()>>,
    stop_lanes: watch::Sender<Option<Instant>>,
    tally: watch::Receiver<stats::Tally>,
    acked_at_start: u64,
    metrics: Metrics,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// Starts a gateway: opens and reads back its state, then begins to judge, deliver and poll, in
/// this order. Must be called within a tokio runtime, which delivers.
///
/// # Errors
/// [`StartError`]: nothing runs, nothing was changed.
pub fn start(cfg: GatewayConfig) -> Result<Gateway, StartError> {
    start_with(cfg, SpawnOptions::default())
}

/// As [`start`], with a journal that a test can break.
#[allow(clippy::needless_pass_by_value)] // a configuration is given away
fn start_with(cfg: GatewayConfig, options: SpawnOptions) -> Result<Gateway, StartError> {
    tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
    let plan = &cfg.plan;
    if !plan.gateways.iter().any(|g| g.id == cfg.id) {
        let known: Vec<&str> = plan.gateways.iter().map(|g| &*g.id).collect();
        return Err(StartError::UnknownGateway {
            id: cfg.id,
            known: known.join(", "),
        });
    }
    let metrics = Metrics::new().map_err(|e| StartError::Restore(e.to_string()))?;
    let acquire_metrics =
        AcquireMetrics::new(metrics.registry()).map_err(|e| StartError::Restore(e.to_string()))?;
    let clock = Clock::start();

    // What was.
    let journal = Journal::open(&cfg.data_dir, &format!("{}/{}", plan.site, cfg.id))?;
    let series = Series::open(&cfg.data_dir)?;
    let restored = restore::read(&journal)?;
    let acked = journal.cursor(alarms::CURSOR);
    let outbox = Arc::new(Outbox::new(journal.last_seq()));
    let sinks = sinks(plan);
    let health = Arc::new(Health::default());
    let (stop_lanes, stopped) = watch::channel(None);
    let (stored_tx, stored) = watch::channel(series.last_batch());
    let reader = journal.reader()?;
    let checker = Arc::new(Mutex::new(journal.reader()?));
    let mut lane_seeds = Vec::new();
    for (address, mirrored) in &sinks {
        let (history_cursor, mirror_cursor) = history::cursors(&address.id);
        let spool = Spool::new(
            plan.site.clone(),
            cfg.id.clone(),
            plan.points.clone(),
            series.reader()?,
            if *mirrored {
                Some(journal.reader()?)
            } else {
                None
            },
        );
        lane_seeds.push((
            address,
            spool,
            within(
                series.last_batch(),
                journal.cursor(&history_cursor),
                &address.id,
            ),
            journal.cursor(&mirror_cursor),
        ));
    }
    let input_log = cfg
        .input_log
        .as_deref()
        .map(input_log::InputLog::create)
        .transpose()
        .map_err(|source| StartError::Io {
            what: format!("cannot write the input log {:?}", cfg.input_log),
            source,
        })?;

    // Remember.
    let announce = announce(Arc::clone(&outbox), Arc::clone(&health));
    let journal = davy_journal::spawn_with(journal, announce, options);
    let mut lanes = Vec::new();
    let mut delivered = Vec::new();
    for (address, spool, cursor, mirror_cursor) in lane_seeds {
        let mark = Arc::new(AtomicU64::new(cursor));
        delivered.push(Arc::clone(&mark));
        let lane = HistoryLane::new(
            address,
            &cfg.data_dir,
            &metrics,
            HistoryPorts {
                spool: Some(spool),
                journal: journal.clone(),
                cursor,
                mirror_cursor,
                stored: stored.clone(),
                journalled: outbox.subscribe(),
                delivered: mark,
                stop: stopped.clone(),
            },
        )?;
        lanes.push(tokio::spawn(lane.run()));
    }

    // Judge.
    let (rows_tx, rows_rx) = std::sync::mpsc::sync_channel(ROWS_MAX);
    let (batches_tx, batches_rx) = mpsc::channel(BATCHES_MAX);
    let (asks_tx, asks_rx) = mpsc::channel(ASKS_MAX);
    let (pulse_tx, pulse) = watch::channel(Pulse::default());
    let (tally_tx, tally) = watch::channel(stats::Tally::default());
    let ending = Arc::new(AtomicBool::new(false));
    let mut series_thread = series::SeriesThread {
        series,
        rows: rows_rx,
        stored: stored_tx,
        delivered,
        health: Arc::clone(&health),
        ending: Arc::clone(&ending),
        rows_stored: metrics.rows_stored.clone(),
        depth: metrics.queue_depth.with_label_values(&["series.rows"]),
    };
    let points = series_thread.intern(&plan.points, &cfg.id);
    let engine_thread = engine::EngineSeed {
        cfg: cfg.clone(),
        clock,
        restored,
        points,
        batches: batches_rx,
        asks: asks_rx,
        rows: rows_tx,
        ending,
        journal: journal.clone(),
        health,
        pulse: pulse_tx,
        tally: tally_tx,
        input_log,
        metrics: metrics.clone(),
    };
    let series = spawn_thread("series", move || series_thread.run())?;
    let engine = spawn_thread("engine", move || engine_thread.run())?;

    // Tell.
    let now_ns = wall_now().ns();
    let lane = AlarmLane::run(
        AlarmLanePlan {
            site: plan.site.clone(),
            owner: cfg.id.clone(),
            plan_rev: plan.rev.clone(),
            session: Arc::from(format!("{now_ns:x}-{:x}", std::process::id())),
            broker: plan.center.broker.clone(),
            command_key: plan.center.command_key.clone(),
        },
        AlarmLanePorts {
            outbox,
            reader: Some(reader),
            checker,
            journal: journal.clone(),
            acked,
            engine: asks_tx.clone(),
            pulse,
            stop: stopped,
            metrics: metrics.clone(),
        },
    );
    lanes.push(tokio::spawn(lane));

    // Look.
    let own: Vec<SiteSource> = plan
        .sources
        .iter()
        .filter(|s| match s {
            SiteSource::Modbus(m) => m.gateway == cfg.id,
            SiteSource::Mqtt(m) => m.gateway == cfg.id,
        })
        .cloned()
        .collect();
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| StartError::Io { what, source }
    };
    let acquire = acquire::spawn(&own, &plan.points, &batches_tx, clock, &acquire_metrics)
        .map_err(io("cannot start acquisition"))?;
    let mqtt = acquire::mqtt::spawn(&own, plan, &cfg.id, &batches_tx, clock, &metrics)
        .map_err(io("cannot start the MQTT sources"))?;
    Ok(Gateway {
        id: Arc::clone(&cfg.id),
        plan: Arc::clone(&cfg.plan),
        asks: asks_tx,
        acquire: Some(acquire),
        mqtt,
        batches: Some(batches_tx),
        engine: Some(engine),
        series: Some(series),
        journal,
        lanes,
        stop_lanes,
        tally,
        acked_at_start: acked,
        metrics,
    })
}

/// The centre, and whoever mirrors it. True: alarms are mirrored there too.
fn sinks(plan: &Plan) -> Vec<(SinkAddress, bool)> {
    let center = SinkAddress {
        id: CENTER_SINK.into(),
        url: plan.center.url.clone(),
        org: plan.site.to_string(),
        bucket: "davy".into(),
        token: plan.center.token.clone().unwrap_or_default(),
        durable: true,
    };
    let mirrors = plan.sinks.iter().map(|s| {
        let address = SinkAddress {
            id: s.id.clone(),
            url: s.url.clone(),
            org: s.org.clone(),
            bucket: s.bucket.clone(),
            token: s.token.clone().unwrap_or_default(),
            durable: false,
        };
        (address, true)
    });
    std::iter::once((center, false)).chain(mirrors).collect()
}

/// A cursor beyond the newest batch belongs to a series that was moved aside: waiting for the
/// numbers to grow past it would leave out everything until then.
fn within(last_batch: u64, cursor: u64, sink: &str) -> u64 {
    if cursor <= last_batch {
        return cursor;
    }
    tracing::warn!(
        sink,
        cursor,
        last_batch,
        "the series is younger than what was delivered; it is delivered from its beginning"
    );
    0
}

/// What the journal says, to the alarm lane and, as health, to the engine.
fn announce(outbox: Arc<Outbox>, health: Arc<Health>) -> Box<dyn FnMut(JournalEvent) + Send> {
    let mut failed = false;
    Box::new(move |event| match event {
        JournalEvent::Committed(sealed) => {
            outbox.committed(sealed);
            if !failed && !outbox.has_late() {
                health.set("journal", true, "");
            }
        }
        JournalEvent::Late(records) => {
            outbox.late(records);
            if !failed {
                health.set("journal", false, "the disk has not confirmed within 200 ms");
            }
        }
        JournalEvent::Failed(why) => {
            failed = true;
            health.set("journal", false, &why);
        }
        JournalEvent::Recovered => {
            failed = false;
            health.set("journal", true, "");
        }
        JournalEvent::ReserveUsed => {
            health.set(
                "disk",
                false,
                "the disk is full; alarms go on in the reserve",
            );
        }
        JournalEvent::ReserveHeld => health.set("disk", true, ""),
    })
}

fn spawn_thread(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| StartError::Io {
            what: format!("cannot start the {name} thread"),
            source,
        })
}

impl Gateway {
    /// What it has done since it started.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.metrics, &self.tally.borrow(), self.acked_at_start)
    }

    /// Which gateway of the plan.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its metrics.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Stops polling, judges what was read, commits, flushes, delivers what can be delivered,
    /// says `stopping`; less than 5 s. A stop clears no alarm.
    pub async fn stop(mut self) -> Stats {
        let end = Instant::now() + STOP_WITHIN;
        let (acquire, mqtt) = (self.acquire.take(), self.mqtt.take());
        blocking(move || {
            // Both at once: each waits for what is on the wire.
            std::thread::scope(|s| {
                s.spawn(move || mqtt.map(AcquireHandle::stop));
                s.spawn(move || acquire.map(AcquireHandle::stop));
            });
        })
        .await;
        // No more senders: the engine ends when it has judged what is there, and the series when
        // it has stored it.
        self.batches.take();
        let (engine, series) = (self.engine.take(), self.series.take());
        let journal = self.journal.clone();
        let committed = blocking(move || {
            for thread in [engine, series].into_iter().flatten() {
                if thread.join().is_err() {
                    tracing::error!("a thread of the gateway panicked");
                }
            }
            let until = Instant::now() + Duration::from_millis(500);
            while journal.queued() > 0 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        if tokio::time::timeout(LAST_COMMIT, committed).await.is_err() {
            tracing::error!(
                "a disk does not answer: what was read last may be neither judged nor stored"
            );
        }
        let delivered = (Instant::now() + LAST_DELIVERY).min(end - LAST_WORD);
        self.stop_lanes.send_replace(Some(delivered));
        for mut lane in self.lanes.drain(..) {
            match tokio::time::timeout_at(end.into(), &mut lane).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => tracing::error!("a delivery lane ended badly: {e}"),
                Err(_) => lane.abort(),
            }
        }
        let journal = self.journal.clone();
        let left = end
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(100));
        blocking(move || {
            if let Err(unsaved) = journal.stop_within(left) {
                tracing::error!("{unsaved}");
            }
        })
        .await;
        self.stats()
    }
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(e) = tokio::task::spawn_blocking(work).await {
        tracing::error!("stopping: {e}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for lane in &self.lanes {
            lane.abort();
        }
    }
}
