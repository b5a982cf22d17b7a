//! Reading one block: admission, the request, and what its outcome means.
//!
//! May not live here: which block comes next (`super`).

use davy_plan::Clock as SourceClock;
use davy_points::{Mono, NoData, Quality, Timestamp};

use super::{AWAY, BlockRun, Poller, RETRY, Running};
use crate::acquire::{Line, LineError, Moment};
use crate::modbus::decode;
use crate::modbus::device::Admission;
use crate::modbus::isolate::{Found, Search};
use crate::modbus::plan::{Block, Purpose};
use crate::modbus::scan::Stamp;
use crate::modbus::{Exception, Remedy, Words};

/// A device's own time is believed within this of the gateway's (`acquisition.md` section 4).
const OLDEST_NS: i64 = 72 * 3_600 * 1_000_000_000;
const NEWEST_NS: i64 = 5_000_000_000;

impl<L: Line> Poller<L> {
    /// Reads a block and takes what comes of it into the samples.
    pub(super) async fn poll_block(&mut self, s: usize, b: usize, now: Moment) {
        let mut sent = now.mono;
        let unit = self.scans[s].blocks[b].unit;
        if !self.line.is_connected() {
            let quality = self.away_quality();
            return self.fail(s, b, now, NoData::LinkDown, quality, Told::Now);
        }
        match self.units[unit].1.admit(now.mono) {
            Admission::Read => {}
            Admission::Refuse => {
                let quality = Quality::BadCommunication;
                return self.fail(s, b, now, NoData::NoAnswer, quality, Told::Now);
            }
            Admission::Probe => {
                let block = self.scans[s].blocks[b].state.block();
                let first = block.spans[0];
                let Some(probe) = Block::around(block.unit_id, block.table, vec![first]) else {
                    return;
                };
                let outcome = self.request(&probe).await;
                if let Some(error) = self.no_answer(unit, outcome.result) {
                    return self.failed(s, b, outcome.got, &error);
                }
                sent = outcome.got.mono;
            }
        }
        let block = self.scans[s].blocks[b].state.block();
        let (unit_id, table, address, count) =
            (block.unit_id, block.table, block.address, block.count);
        self.metrics.polls.inc();
        let result = self.line.read(unit_id, table, address, count).await;
        let got = self.clock.now();
        self.metrics
            .round_trip
            .observe(got.mono.since(sent).as_secs_f64());
        match result {
            Ok(words) => {
                self.units[unit].1.answered();
                self.answered();
                self.accept(s, b, words, sent, got);
            }
            Err(LineError::Exception(e)) if e.remedy() == Remedy::Isolate => {
                self.metrics.exception(e);
                self.units[unit].1.answered();
                self.answered();
                self.isolate(s, b, e).await;
            }
            Err(error) => {
                if let Some(error) = self.no_answer(unit, Err(error)) {
                    self.failed(s, b, got, &error);
                }
            }
        }
    }

    /// A request beside the ordinary ones: a probe, a search, the time of a row.
    async fn request(&mut self, block: &Block) -> Outcome {
        self.metrics.polls.inc();
        let result = self
            .line
            .read(block.unit_id, block.table, block.address, block.count)
            .await;
        Outcome {
            result,
            got: self.clock.now(),
        }
    }

    /// Books an outcome for the unit and the link. None: the device answered, and be it with an
    /// exception about the address.
    fn no_answer(&mut self, unit: usize, result: Result<Words, LineError>) -> Option<LineError> {
        let now = self.clock.mono();
        match result {
            Ok(_) => {
                self.units[unit].1.answered();
                self.answered();
                None
            }
            Err(LineError::Exception(e)) => {
                self.metrics.exception(e);
                match e.remedy() {
                    Remedy::UnitDown => {
                        self.units[unit].1.missed(now);
                        self.health.missed(now);
                    }
                    Remedy::Isolate => {
                        self.units[unit].1.answered();
                        self.answered();
                        return None;
                    }
                    Remedy::DeviceFailed | Remedy::Later | Remedy::Worthless => {
                        self.units[unit].1.answered();
                        self.answered();
                    }
                }
                Some(LineError::Exception(e))
            }
            Err(error) => {
                self.units[unit].1.missed(now);
                self.health.missed(now);
                tracing::debug!(source = %self.id, unit = self.units[unit].0, %error, "no answer");
                Some(error)
            }
        }
    }

    /// What a failed read means for its block.
    fn failed(&mut self, s: usize, b: usize, now: Moment, error: &LineError) {
        let (why, quality, told) = match error {
            LineError::Exception(e) => match e.remedy() {
                Remedy::UnitDown => (NoData::NoAnswer, Quality::BadCommunication, Told::Now),
                Remedy::Later => (NoData::Refused, Quality::BadDeviceFailure, Told::IfAgain),
                Remedy::Isolate | Remedy::DeviceFailed | Remedy::Worthless => {
                    (NoData::Refused, Quality::BadDeviceFailure, Told::Now)
                }
            },
            // Many devices close an idle connection: that is no fault until it happens again.
            LineError::Io(_) => (NoData::LinkDown, Quality::BadCommunication, Told::IfAgain),
            LineError::NotConnected => (NoData::LinkDown, self.away_quality(), Told::Now),
            LineError::Timeout | LineError::Protocol(_) => {
                (NoData::NoAnswer, Quality::BadCommunication, Told::Now)
            }
        };
        self.fail(s, b, now, why, quality, told);
    }

    /// The points of a block have no value now; it is tried again soon.
    fn fail(&mut self, s: usize, b: usize, now: Moment, why: NoData, quality: Quality, told: Told) {
        let stamp = self.failure_stamp(s, now);
        let recorded = self.recorded();
        let breaker = &self.units[self.scans[s].blocks[b].unit].1;
        let scan = &mut self.scans[s];
        let soon = match breaker.probe_at() {
            Some(at) => Some(at),
            None => {
                let wait = RETRY.min(scan.grid.period());
                (wait < scan.grid.period()).then(|| now.mono + wait)
            }
        };
        if self.line.is_connected() {
            scan.retry_at = match (scan.retry_at, soon) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        scan.incomplete = true;
        let run = &mut scan.blocks[b];
        let again = run.strikes > 0;
        run.strikes = run.strikes.saturating_add(1);
        if recorded {
            // Nobody knows which row it would be; only the source as a whole speaks. The row is
            // begun again.
            self.samples.clear();
            scan.running = None;
            if again {
                scan.grid.postpone(now.mono + AWAY);
            }
            self.wait_while_away(s);
        } else if told == Told::Now || again {
            run.state
                .fail(why, quality, &stamp, &mut self.status, &mut self.samples);
        }
    }

    fn accept(&mut self, s: usize, b: usize, words: Words, sent: Mono, got: Moment) {
        if let Some(time) = self.scans[s].blocks[b].state.time(self.time_order, &words) {
            self.scans[s].row_time = Some(time);
        }
        let stamp = self.stamp(s, sent, got);
        let scan = &mut self.scans[s];
        let run = &mut scan.blocks[b];
        run.strikes = 0;
        run.state
            .accept(words, &stamp, &mut self.status, &mut self.samples);
    }

    /// The times of an answer (`formats.md` section 1).
    fn stamp(&mut self, s: usize, sent: Mono, got: Moment) -> Stamp {
        let grid = self.scans[s].now_grid;
        let half = got.mono.since(sent) / 2;
        let half_ns = i64::try_from(half.as_nanos()).unwrap_or(i64::MAX);
        let mut stamp = Stamp {
            source_time: grid,
            offset_ns: got.wall.since(grid).saturating_sub(half_ns),
            uncertainty_ns: half_ns,
            arrival_time: got.wall,
            mono: got.mono,
            seq: self.seq,
            clock_suspect: false,
        };
        match (self.clock_of, self.scans[s].row_time) {
            (SourceClock::Arrival, _) => {}
            (SourceClock::Recorded, time) => {
                let time = time.unwrap_or_default();
                stamp = Stamp {
                    source_time: time,
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: time,
                    mono: Mono(u64::try_from(time.ns()).unwrap_or(0)),
                    ..stamp
                };
            }
            (SourceClock::Device, Some(time))
                if (-OLDEST_NS..=NEWEST_NS).contains(&time.since(got.wall)) =>
            {
                stamp.source_time = time;
                stamp.offset_ns = 0;
                self.newest = self.newest.max(Some(time));
            }
            (SourceClock::Device, _) => stamp.clock_suspect = true,
        }
        stamp
    }

    /// Before the last block of a recorded row: has the row changed since the first? Then the scan
    /// is thrown away. A device that shows one row until every register of it has been read goes on
    /// after the last block, so this is the last moment to look.
    pub(super) async fn torn(&mut self, s: usize) -> bool {
        let time = self.scans[s].row_time;
        let Some(block) = self.time_block.clone().filter(|_| time.is_some()) else {
            return false;
        };
        if self.row_time(&block).await == time {
            return false;
        }
        self.metrics.torn.inc();
        self.samples.clear();
        self.scans[s].running = None;
        true
    }

    /// A recorded row has been read: it is handed on if it is whole and new.
    pub(super) fn end_row(&mut self, s: usize) {
        let whole = !self.scans[s].incomplete;
        let time = self.scans[s].row_time;
        if whole && time.is_none() {
            if !std::mem::replace(&mut self.said_no_time, true) {
                tracing::error!(source = %self.id, "a recording gives nothing without its time register");
            }
            let later = self.clock.mono() + RETRY;
            self.scans[s].grid.postpone(later);
        }
        if !whole || time.is_none() || time == self.newest {
            self.samples.clear();
            return;
        }
        self.newest = time;
        let now = self.clock.now();
        let stamp = self.stamp(s, now.mono, now);
        self.tell_refused(s, &stamp);
    }

    async fn row_time(&mut self, block: &Block) -> Option<Timestamp> {
        let unit = self.units.iter().position(|(id, _)| *id == block.unit_id)?;
        let outcome = self.request(block).await;
        let time = match &outcome.result {
            Ok(Words::Registers(r)) => decode::time(self.time_order, r),
            _ => None,
        };
        self.no_answer(unit, outcome.result);
        time
    }

    /// The device refuses something in this block: finds out what, once, and reads the rest.
    async fn isolate(&mut self, s: usize, b: usize, exception: Exception) {
        let unit = self.scans[s].blocks[b].unit;
        let block = self.scans[s].blocks[b].state.block().clone();
        let found = match self.search(&block, exception).await {
            Ok(found) => found,
            Err(outcome) => {
                // The link or the unit went away meanwhile: the search begins anew next time.
                if let Some(error) = self.no_answer(unit, outcome.result) {
                    self.failed(s, b, outcome.got, &error);
                }
                return;
            }
        };
        let rest = match found {
            Found::Refused { spans, rest } => {
                for span in &spans {
                    let tag = match span.purpose {
                        Purpose::Point(ix, _) => &*self.table.point(ix).tag,
                        Purpose::Status(_) => "(status register)",
                        Purpose::Time => "(time register)",
                    };
                    tracing::warn!(
                        source = %self.id,
                        unit = block.unit_id,
                        table = ?block.table,
                        address = span.address,
                        tag,
                        "the device refuses this address: {}",
                        exception.name()
                    );
                }
                rest
            }
            Found::Cut(blocks) => blocks,
        };
        let now = self.clock.mono();
        let scan = &mut self.scans[s];
        let run = scan.blocks.remove(b);
        let (blocks, refused) = run.state.split(rest, &mut self.status);
        if !refused.is_empty() {
            scan.refused.extend(refused);
            if scan.recheck_at <= now {
                scan.recheck_at = now + scan.recheck.next_delay();
            }
        }
        scan.blocks.splice(
            b..b,
            blocks.into_iter().map(|state| BlockRun {
                state,
                unit,
                // As a failed one, so that a scan of failed blocks reads it too.
                strikes: 1,
            }),
        );
        if let Some(Running { next, .. }) = &mut scan.running {
            *next = b;
        }
    }

    /// Where everything is refused, one address is asked for all the same: else nobody would see
    /// that the link is down, or that the device has come to itself.
    pub(super) async fn ask_refused(&mut self, s: usize) {
        let Some(first) = self.scans[s].planned.first() else {
            return;
        };
        let Some(probe) = Block::around(first.unit_id, first.table, vec![first.spans[0]]) else {
            return;
        };
        let unit = self.units.iter().position(|(id, _)| *id == probe.unit_id);
        let (Some(unit), true) = (unit, self.line.is_connected()) else {
            return;
        };
        if self.units[unit].1.admit(self.clock.mono()) == Admission::Refuse {
            return;
        }
        let outcome = self.request(&probe).await;
        let well = outcome.result.is_ok();
        self.no_answer(unit, outcome.result);
        if well {
            self.restore(s);
        }
    }

    async fn search(&mut self, block: &Block, exception: Exception) -> Result<Found, Outcome> {
        // A device that does not know the function refuses every address of the table.
        if exception == Exception(1)
            && block.spans.len() > 1
            && let Some(first) = Block::around(block.unit_id, block.table, vec![block.spans[0]])
            && self.refuses(&first).await?
        {
            return Ok(Found::Refused {
                spans: block.spans.clone(),
                rest: Vec::new(),
            });
        }
        let mut search = Search::new(block.clone());
        while let Some(probe) = search.probe() {
            let refused = self.refuses(&probe).await?;
            search.answered(refused);
        }
        Ok(search.finish())
    }

    async fn refuses(&mut self, block: &Block) -> Result<bool, Outcome> {
        let outcome = self.request(block).await;
        match outcome.result {
            Ok(_) => Ok(false),
            Err(LineError::Exception(e)) if e.remedy() == Remedy::Isolate => {
                self.metrics.exception(e);
                Ok(true)
            }
            Err(_) => Err(outcome),
        }
    }
}

/// What came of a request, and when.
struct Outcome {
    result: Result<Words, LineError>,
    got: Moment,
}

/// When a failure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Now,
    /// Not the first time: it may pass.
    IfAgain,
}
