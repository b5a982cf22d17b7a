//! One task for each source: what is due, is the link up, and what the source says of itself.
//!
//! Lives here: the order of reading. `link` dials and tells up and down, `read` reads one block,
//! decoding is `modbus`. May not live here: sockets (behind [`Line`]), rules. Read first:
//! [`Poller::run`].
//!
//! One request is in flight at a time. Classes share the link by earliest deadline, block by
//! block, so that a long slow scan delays a fast one by one request at most.

mod link;
mod read;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use davy_plan::{Clock as SourceClock, ModbusSource};
use davy_points::{
    ByteOrder, Mono, NoData, PointIx, PointTable, Quality, Sample, SourceEvent, SourceIx, Timestamp,
};
use tokio::sync::watch;

use super::grid::Grid;
use super::metrics::SourceMetrics;
use super::outbox::{Gone, Outbox};
use super::{Clock, Line, Moment};
use crate::backoff::Backoff;
use crate::modbus::device::{Breaker, Health};
use crate::modbus::plan::{Block, plan_source};
use crate::modbus::scan::{BlockState, PointState, Report, Stamp, StatusWords};

/// A failed block is read again after this long, or after its period if that is shorter.
const RETRY: Duration = Duration::from_millis(500);
/// A refused address is asked for again after this long, and then more and more rarely: a device
/// that starts may refuse what it will have.
const RECHECK: Duration = Duration::from_secs(60);
/// A source that polls as fast as it can waits so long between scans while it is away.
const AWAY: Duration = Duration::from_millis(100);

/// Polls one source.
#[derive(Debug)]
pub struct Poller<L> {
    line: L,
    source: SourceIx,
    id: Arc<str>,
    table: Arc<PointTable>,
    /// Whose clock stamps, and how to read the row's time.
    clock_of: SourceClock,
    time_order: ByteOrder,
    /// The time register alone, to see whether a recorded row has changed during a scan.
    time_block: Option<Block>,
    /// It has been said that the time register is missing.
    said_no_time: bool,
    /// Newest source time handed on, where the source has a clock of its own.
    newest: Option<Timestamp>,
    clock: Clock,
    outbox: Arc<Outbox>,
    metrics: Arc<SourceMetrics>,
    scans: Vec<ScanState>,
    status: StatusWords,
    units: Vec<(u8, Breaker)>,
    health: Health,
    /// The last attempt to dial failed.
    dial_failed: bool,
    redial: Backoff,
    redial_at: Mono,
    seq: u64,
    /// What has happened and was not handed on yet.
    events: Vec<SourceEvent>,
    samples: Vec<Sample>,
}

/// One class and how far it is.
#[derive(Debug)]
struct ScanState {
    grid: Grid,
    /// Time of the scan that runs or ran last.
    now_grid: Timestamp,
    blocks: Vec<BlockRun>,
    /// The blocks before the device refused anything.
    planned: Vec<Block>,
    /// Points that cannot be read at all.
    unreadable: Vec<PointState>,
    /// Points that the device refuses, and when they are asked for again.
    refused: Vec<PointState>,
    recheck_at: Mono,
    recheck: Backoff,
    running: Option<Running>,
    retry_at: Option<Mono>,
    /// The row's own time, once read in this scan.
    row_time: Option<Timestamp>,
    /// A block of this scan failed.
    incomplete: bool,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    next: usize,
    /// Only blocks that failed.
    retry: bool,
}

#[derive(Debug)]
struct BlockRun {
    state: BlockState,
    unit: usize,
    /// Failures in a row.
    strikes: u8,
}

impl<L: Line> Poller<L> {
    /// A poller that has not begun. `nth` spreads the sources of a gateway over their period.
    #[must_use]
    pub(crate) fn new(
        line: L,
        source: &ModbusSource,
        nth: usize,
        table: &Arc<PointTable>,
        outbox: Arc<Outbox>,
        clock: Clock,
        metrics: Arc<SourceMetrics>,
    ) -> Poller<L> {
        let plan = plan_source(source, table);
        let report = match source.clock {
            SourceClock::Recorded => Report::Everything,
            SourceClock::Device | SourceClock::Arrival => Report::AsThePointSays,
        };
        let now = clock.now();
        let seed = now.wall.ns().unsigned_abs() ^ ((nth as u64 + 1) << 20);
        let mut units: Vec<(u8, Breaker)> = Vec::new();
        let mut scans = Vec::new();
        for scan in plan.scans {
            let blocks = scan
                .blocks
                .iter()
                .map(|block| BlockRun {
                    unit: unit_index(&mut units, block.unit_id, seed),
                    state: BlockState::new(block.clone(), table, report),
                    strikes: 0,
                })
                .collect();
            let unreadable = scan
                .unreadable
                .iter()
                .filter_map(|ix| PointState::new(table, *ix, None, report))
                .collect();
            scans.push(ScanState {
                grid: Grid::new(source.poll.of(scan.class), nth, now),
                now_grid: now.wall,
                blocks,
                planned: scan.blocks,
                unreadable,
                refused: Vec::new(),
                recheck_at: Mono(0),
                recheck: Backoff::new(RECHECK, RECHECK * 10, seed),
                running: None,
                retry_at: None,
                row_time: None,
                incomplete: false,
            });
        }
        let own_time = source.time.filter(|_| source.clock != SourceClock::Arrival);
        Poller {
            line,
            source: source.ix,
            id: Arc::clone(&source.id),
            table: Arc::clone(table),
            clock_of: source.clock,
            time_order: own_time.map(|t| t.order).unwrap_or_default(),
            time_block: own_time.map(|t| Block {
                unit_id: t.unit_id,
                table: t.table,
                address: t.address,
                count: 4,
                spans: Vec::new(),
            }),
            said_no_time: false,
            newest: None,
            clock,
            outbox,
            metrics,
            scans,
            status: StatusWords::new(plan.status),
            units,
            health: Health::default(),
            dial_failed: false,
            redial: Backoff::of_a_peer(seed),
            redial_at: Mono(0),
            seq: 0,
            events: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Polls until told to stop, or until nobody takes the samples any more.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        if self.scans.is_empty() {
            return;
        }
        while !*stop.borrow() {
            if self.turn(&mut stop).await.is_err() {
                return;
            }
        }
    }

    /// One thing: dial, read a block, or wait.
    async fn turn(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), Gone> {
        let moment = self.clock.now();
        let now = moment.mono;
        self.check_health(now);
        if !self.line.is_connected() && now >= self.redial_at {
            self.dial(stop).await;
        } else if let Some(scan) = self.most_urgent(now) {
            self.step(scan, moment).await;
        } else if self.events.is_empty() && self.samples.is_empty() {
            let wake = self.clock.instant(self.wake(now));
            tokio::select! {
                () = tokio::time::sleep_until(wake) => {}
                _ = stop.changed() => {}
            }
        }
        self.hand_over().await
    }

    /// The scan whose deadline comes first among those that run or are due.
    fn most_urgent(&self, now: Mono) -> Option<usize> {
        let mut best: Option<(Mono, usize)> = None;
        for (i, scan) in self.scans.iter().enumerate() {
            let deadline = if scan.running.is_some() {
                scan.grid.due() // the end of the period that it belongs to
            } else if now >= scan.grid.due() || scan.retry_at.is_some_and(|at| now >= at) {
                scan.grid.deadline()
            } else {
                continue;
            };
            if best.is_none_or(|(d, _)| deadline < d) {
                best = Some((deadline, i));
            }
        }
        best.map(|(_, i)| i)
    }

    /// When something is due though nothing comes.
    fn wake(&self, now: Mono) -> Mono {
        let scans = self.scans.iter().map(|s| match s.retry_at {
            Some(at) => at.min(s.grid.due()),
            None => s.grid.due(),
        });
        let dial = (!self.line.is_connected()).then_some(self.redial_at);
        // A check whose time has passed was made; it is made again with whatever happens next.
        let check = self.health.check_at().filter(|at| *at > now);
        scans.chain(dial).chain(check).min().unwrap_or(now + AWAY)
    }

    /// Begins a scan, or does the next block of one.
    async fn step(&mut self, s: usize, now: Moment) {
        let scan = &mut self.scans[s];
        let running = match scan.running {
            Some(running) => running,
            None if now.mono >= scan.grid.due() => {
                let start = scan.grid.start(now);
                self.metrics.lateness.observe(start.late.as_secs_f64());
                if start.missed > 0 {
                    self.metrics.missed_ticks.inc_by(start.missed);
                }
                scan.begin(start.grid);
                self.seq += 1;
                if !scan.refused.is_empty() && now.mono >= scan.recheck_at {
                    self.restore(s);
                }
                Running {
                    next: 0,
                    retry: false,
                }
            }
            // A row of a recording is read as a whole or not at all.
            None => {
                scan.retry_at = None;
                let retry = self.clock_of != SourceClock::Recorded;
                if !retry {
                    scan.begin(now.wall);
                }
                self.seq += 1;
                Running { next: 0, retry }
            }
        };
        let scan = &self.scans[s];
        let next = (running.next..scan.blocks.len())
            .find(|b| !running.retry || scan.blocks[*b].strikes > 0);
        match next {
            Some(b) => {
                self.scans[s].running = Some(Running {
                    next: b + 1,
                    ..running
                });
                let last = b > 0 && b + 1 == self.scans[s].blocks.len();
                if !(last && self.recorded() && self.torn(s).await) {
                    self.poll_block(s, b, now).await;
                }
            }
            None => {
                if scan.blocks.is_empty() {
                    self.ask_refused(s).await;
                }
                self.end_scan(s, now).await;
            }
        }
        // A recorded row has one more thing to read; any other scan is over with its last block.
        let scan = &self.scans[s];
        let over = scan.running.is_some_and(|r| r.next >= scan.blocks.len());
        if over && !self.recorded() {
            self.end_scan(s, now).await;
        }
    }

    fn recorded(&self) -> bool {
        self.clock_of == SourceClock::Recorded
    }

    /// All blocks have been tried.
    async fn end_scan(&mut self, s: usize, now: Moment) {
        self.scans[s].running = None;
        if self.recorded() {
            self.end_row(s);
        } else {
            let stamp = self.failure_stamp(s, now);
            self.tell_refused(s, &stamp);
        }
        if self.scans[s].incomplete && self.scans[s].grid.period().is_zero() {
            self.wait_while_away(s);
        }
    }

    fn tell_refused(&mut self, s: usize, stamp: &Stamp) {
        let scan = &mut self.scans[s];
        for point in scan.refused.iter_mut().chain(&mut scan.unreadable) {
            let quality = Quality::BadConfiguration;
            point.tell_bad(NoData::Refused, quality, stamp, &mut self.samples);
        }
    }

    /// Back to the blocks as planned, to see whether the device still refuses.
    fn restore(&mut self, s: usize) {
        let scan = &mut self.scans[s];
        let blocks = std::mem::take(&mut scan.blocks);
        let read = blocks.into_iter().flat_map(|b| b.state.into_points());
        let mut points: HashMap<PointIx, PointState> = read
            .chain(scan.refused.drain(..))
            .map(|p| (p.point(), p))
            .collect();
        for block in &scan.planned {
            let unit = self.units.iter().position(|(id, _)| *id == block.unit_id);
            scan.blocks.push(BlockRun {
                unit: unit.unwrap_or_default(),
                state: BlockState::restored(block.clone(), &mut points),
                strikes: 0,
            });
        }
    }

    /// A scan without a period that could not be done would spin until the device is back.
    fn wait_while_away(&mut self, s: usize) {
        let now = self.clock.mono();
        let open = self.units.iter().all(|(_, b)| b.probe_at().is_some());
        if open || (!self.line.is_connected() && self.redial_at > now) {
            self.scans[s].grid.postpone(now + AWAY);
        }
    }

    /// The stamp of samples that say that there is no value.
    fn failure_stamp(&self, s: usize, now: Moment) -> Stamp {
        let grid = self.scans[s].now_grid;
        // Where the device's clock runs ahead, Bad must still be newer than the last value.
        let source_time = match self.newest {
            Some(newest) if newest >= grid => Timestamp(newest.ns().saturating_add(1)),
            _ => grid,
        };
        Stamp {
            source_time,
            offset_ns: now.wall.since(source_time),
            uncertainty_ns: 0,
            arrival_time: now.wall,
            mono: now.mono,
            seq: self.seq,
            clock_suspect: false,
        }
    }

    /// Gives the engine what there is; a recorded row waits until it is whole.
    async fn hand_over(&mut self) -> Result<(), Gone> {
        let row_runs = self.recorded() && self.scans.iter().any(|s| s.running.is_some());
        if self.events.is_empty() && (self.samples.is_empty() || row_runs) {
            return Ok(());
        }
        let (events, metrics) = (&mut self.events, &self.metrics);
        if row_runs {
            let none = &mut Vec::new();
            self.outbox.send_alone(events, none, metrics).await
        } else if self.clock_of == SourceClock::Recorded {
            let row = &mut self.samples;
            self.outbox.send_alone(events, row, metrics).await
        } else {
            self.outbox.put(events, &mut self.samples, metrics).await
        }
    }
}

impl ScanState {
    fn begin(&mut self, grid: Timestamp) {
        self.now_grid = grid;
        self.row_time = None;
        self.incomplete = false;
        self.retry_at = None;
    }
}

fn unit_index(units: &mut Vec<(u8, Breaker)>, unit_id: u8, seed: u64) -> usize {
    if let Some(i) = units.iter().position(|(id, _)| *id == unit_id) {
        return i;
    }
    units.push((unit_id, Breaker::new(seed ^ (u64::from(unit_id) << 40))));
    units.len() - 1
}
