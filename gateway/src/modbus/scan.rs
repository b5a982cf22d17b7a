//! A block's answer to samples: what changed, what it is worth, what must be told.
//!
//! Lives here: the memory of each point between scans, and report by exception. May not live
//! here: sockets, clocks. Read first: [`BlockState::accept`].

use std::collections::HashMap;
use std::time::Duration;

use davy_points::{
    Binding, ByteOrder, ModbusType, Mono, NoData, PointIx, PointTable, Quality, Sample, Timestamp,
    Value,
};

use super::Words;
use super::decode::{self, decode};
use super::plan::{Block, Purpose, Span, StatusIx};
use super::qualify::{Memory, Qualifier, Status};

/// The times of a scan (`formats.md` section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Grid time, or the device's own.
    pub source_time: Timestamp,
    /// Midpoint of request and response minus grid time.
    pub offset_ns: i64,
    /// Half the way from request to response.
    pub uncertainty_ns: i64,
    /// When the gateway had it.
    pub arrival_time: Timestamp,
    /// The same moment, for delays.
    pub mono: Mono,
    /// Sequence of the source.
    pub seq: u64,
    /// The device's own time cannot be trusted: nothing of this scan is better than Uncertain.
    pub clock_suspect: bool,
}

/// Which samples are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// By exception where the point says so.
    AsThePointSays,
    /// All: a scan of a recording may be thrown away as a whole, so nothing may be left out of
    /// the next because it stood in this one.
    Everything,
}

/// The status registers of a source, as last read.
#[derive(Debug, Clone)]
pub struct StatusWords(Vec<Status>);

impl StatusWords {
    /// Nothing read yet.
    #[must_use]
    pub fn new(count: usize) -> StatusWords {
        StatusWords(vec![Status::Unread(Quality::BadWaiting); count])
    }

    fn get(&self, ix: Option<StatusIx>) -> Status {
        ix.map_or(Status::None, |ix| {
            self.0
                .get(ix.0 as usize)
                .copied()
                .unwrap_or(Status::Unread(Quality::BadConfiguration))
        })
    }

    fn set(&mut self, ix: StatusIx, status: Status) {
        if let Some(cell) = self.0.get_mut(ix.0 as usize) {
            *cell = status;
        }
    }
}

/// A point and what it remembers between scans.
#[derive(Debug, Clone)]
pub struct PointState {
    point: PointIx,
    kind: ModbusType,
    order: ByteOrder,
    status: Option<StatusIx>,
    qualifier: Qualifier,
    memory: Memory,
    report_deadband: Option<f64>,
    /// Longest silence of a point that reports by exception.
    silence: Duration,
    /// Status under which the last raw value was judged.
    seen: Option<Status>,
    sent: Option<Sent>,
}

#[derive(Debug, Clone)]
struct Sent {
    value: Value,
    quality: Quality,
    at: Mono,
}

/// A Bad quality that lasts is told again after this long.
const BAD_AGAIN: Duration = Duration::from_secs(10);

impl PointState {
    /// A point that was not read yet; none: it is not a Modbus point.
    #[must_use]
    pub fn new(
        table: &PointTable,
        point: PointIx,
        status: Option<StatusIx>,
        report: Report,
    ) -> Option<PointState> {
        let def = table.point(point);
        let Binding::Modbus(binding) = &def.binding else {
            return None;
        };
        Some(PointState {
            point,
            kind: binding.kind,
            order: binding.order,
            status,
            qualifier: Qualifier::new(def, binding.status.as_ref()),
            memory: Memory::default(),
            report_deadband: match report {
                Report::AsThePointSays => def.report_deadband,
                Report::Everything => None,
            },
            silence: def.stale_after / 2,
            seen: None,
            sent: None,
        })
    }

    /// Which point.
    #[must_use]
    pub fn point(&self) -> PointIx {
        self.point
    }

    /// It is judged with every reading: all are told, or a hold runs.
    fn always(&self) -> bool {
        self.report_deadband.is_none() || self.memory.waits()
    }

    /// Nothing can be new beside the registers: same status, no hold running, silence allowed.
    fn unchanged(&self, status: Status, now: Mono) -> bool {
        !self.always()
            && self.seen == Some(status)
            && self
                .sent
                .as_ref()
                .is_some_and(|s| now.since(s.at) < self.silence)
    }

    /// Decodes and qualifies the registers at `at`, and tells what must be told.
    fn judge(
        &mut self,
        words: &Words,
        at: usize,
        status: Status,
        stamp: &Stamp,
        out: &mut Vec<Sample>,
    ) {
        let raw = decode(self.kind, self.order, words, at);
        let (value, mut quality) = self
            .qualifier
            .judge(&mut self.memory, raw, status, stamp.mono);
        if stamp.clock_suspect {
            quality = quality.worst(Quality::UncertainClock);
        }
        self.seen = Some(status);
        self.tell(value, quality, stamp, out);
    }

    /// Pushes the sample, unless the point reports by exception and this is none.
    fn tell(&mut self, value: Value, quality: Quality, stamp: &Stamp, out: &mut Vec<Sample>) {
        if let Some(deadband) = self.report_deadband
            && let Some(sent) = &self.sent
            && sent.quality == quality
            && stamp.mono.since(sent.at) < self.silence
            && within(&sent.value, &value, deadband)
        {
            return;
        }
        self.sent = Some(Sent {
            value: value.clone(),
            quality,
            at: stamp.mono,
        });
        out.push(Sample {
            point: self.point,
            value,
            quality,
            source_time: stamp.source_time,
            offset_ns: stamp.offset_ns,
            uncertainty_ns: stamp.uncertainty_ns,
            arrival_time: stamp.arrival_time,
            seq: stamp.seq,
        });
    }

    /// Tells that the point has no value now, at once and then every ten seconds.
    pub fn tell_bad(
        &mut self,
        why: NoData,
        quality: Quality,
        stamp: &Stamp,
        out: &mut Vec<Sample>,
    ) {
        self.seen = None;
        let again = BAD_AGAIN.min(self.silence);
        if let Some(sent) = &self.sent
            && sent.quality == quality
            && stamp.mono.since(sent.at) < again
        {
            return;
        }
        self.sent = None;
        self.tell(Value::none(why), quality, stamp, out);
    }
}

/// True where `new` moved from `old` by no more than the deadband.
fn within(old: &Value, new: &Value, deadband: f64) -> bool {
    match (old, new) {
        (Value::F64(a), Value::F64(b)) => (a - b).abs() <= deadband,
        (Value::I64(_) | Value::U64(_), Value::I64(_) | Value::U64(_)) if deadband > 0.0 => {
            match (old.number(), new.number()) {
                (Some(a), Some(b)) => (a - b).abs() <= deadband,
                _ => false,
            }
        }
        _ => old == new,
    }
}

/// Where a span lies in the answer.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u16,
    width: u16,
    /// Its point is judged though its registers are the same.
    always: bool,
}

/// A block and the memory of its points.
#[derive(Debug)]
pub struct BlockState {
    block: Block,
    /// By span; none where the span is no point.
    points: Vec<Option<PointState>>,
    last: Option<Words>,
    clock_suspect: bool,
    /// Where each span's registers lie: all that an unchanged answer needs to be looked at.
    places: Vec<Place>,
    any_always: bool,
    /// Status registers that its points go by, as they last were.
    statuses: Vec<(StatusIx, Status)>,
    /// No point that reports by exception must speak before this.
    speak_by: Mono,
}

impl BlockState {
    /// A block that was not read yet.
    #[must_use]
    pub fn new(block: Block, table: &PointTable, report: Report) -> BlockState {
        let points = block
            .spans
            .iter()
            .map(|s| match s.purpose {
                Purpose::Point(ix, status) => PointState::new(table, ix, status, report),
                Purpose::Status(_) | Purpose::Time => None,
            })
            .collect();
        BlockState::with(block, points)
    }

    fn with(block: Block, points: Vec<Option<PointState>>) -> BlockState {
        let places = block
            .spans
            .iter()
            .zip(&points)
            .map(|(span, point)| Place {
                at: span.address - block.address,
                width: span.width,
                always: point.as_ref().is_some_and(PointState::always),
            })
            .collect();
        let mut statuses: Vec<_> = points
            .iter()
            .flatten()
            .filter_map(|p| p.status)
            .map(|ix| (ix, Status::None))
            .collect();
        statuses.sort_unstable_by_key(|(ix, _)| *ix);
        statuses.dedup_by_key(|(ix, _)| *ix);
        BlockState {
            places,
            any_always: true, // found out by the first answer
            statuses,
            block,
            points,
            last: None,
            clock_suspect: false,
            speak_by: Mono(0),
        }
    }

    /// The points, for other blocks.
    pub fn into_points(self) -> impl Iterator<Item = PointState> {
        self.points.into_iter().flatten()
    }

    /// A block that takes its points over from others.
    #[must_use]
    pub fn restored(block: Block, from: &mut HashMap<PointIx, PointState>) -> BlockState {
        let points = block
            .spans
            .iter()
            .map(|s| match s.purpose {
                Purpose::Point(ix, _) => from.remove(&ix),
                Purpose::Status(_) | Purpose::Time => None,
            })
            .collect();
        BlockState::with(block, points)
    }

    /// The request.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// The time register's value, if it lies in this block.
    #[must_use]
    pub fn time(&self, order: ByteOrder, words: &Words) -> Option<Timestamp> {
        let span = self
            .block
            .spans
            .iter()
            .find(|s| s.purpose == Purpose::Time)?;
        let at = usize::from(span.address - self.block.address);
        let Words::Registers(r) = words else {
            return None;
        };
        decode::time(order, r.get(at..at + 4)?)
    }

    /// Takes an answer of exactly the block's length: decodes and qualifies every point and
    /// pushes what must be told.
    pub fn accept(
        &mut self,
        words: Words,
        stamp: &Stamp,
        status: &mut StatusWords,
        out: &mut Vec<Sample>,
    ) {
        let base = self.block.address;
        for span in &self.block.spans {
            if let Purpose::Status(ix) = span.purpose {
                status.set(ix, status_word(&words, usize::from(span.address - base)));
            }
        }
        let known = self.last.is_some()
            && self.clock_suspect == stamp.clock_suspect
            && stamp.mono < self.speak_by
            && self
                .statuses
                .iter()
                .all(|(ix, s)| status.get(Some(*ix)) == *s);
        if known {
            self.accept_changes(&words, stamp, status, out);
        } else {
            self.accept_all(&words, stamp, status, out);
        }
        self.clock_suspect = stamp.clock_suspect;
        self.last = Some(words);
    }

    /// Every point is looked at: something beside its registers may have changed.
    fn accept_all(
        &mut self,
        words: &Words,
        stamp: &Stamp,
        status: &StatusWords,
        out: &mut Vec<Sample>,
    ) {
        // Registers count as the same only if they came under the same trust in the clock.
        let last = self
            .last
            .as_ref()
            .filter(|_| self.clock_suspect == stamp.clock_suspect);
        let mut speak_by = Mono(u64::MAX);
        for (place, point) in self.places.iter_mut().zip(&mut self.points) {
            let Some(point) = point else { continue };
            let now_status = status.get(point.status);
            let (at, width) = (usize::from(place.at), usize::from(place.width));
            let same = same_words(last, words, at, width);
            if !(same && point.unchanged(now_status, stamp.mono)) {
                point.judge(words, at, now_status, stamp, out);
                place.always = point.always();
            }
            if let (Some(_), Some(sent)) = (point.report_deadband, &point.sent) {
                speak_by = speak_by.min(sent.at + point.silence);
            }
        }
        self.speak_by = speak_by;
        for (ix, seen) in &mut self.statuses {
            *seen = status.get(Some(*ix));
        }
    }

    /// Only what changed is looked at, and what is always told. This is the hot path: it does
    /// not touch the memory of points that stand still.
    fn accept_changes(
        &mut self,
        words: &Words,
        stamp: &Stamp,
        status: &StatusWords,
        out: &mut Vec<Sample>,
    ) {
        let Some(last) = &self.last else { return };
        if !self.any_always && last == words {
            return;
        }
        for (i, place) in self.places.iter_mut().enumerate() {
            let (at, width) = (usize::from(place.at), usize::from(place.width));
            if !place.always && same_words(Some(last), words, at, width) {
                continue;
            }
            if let Some(point) = &mut self.points[i] {
                point.judge(words, at, status.get(point.status), stamp, out);
                place.always = point.always();
            }
        }
        self.any_always = self.places.iter().any(|p| p.always);
    }

    /// The block could not be read: all its points are Bad, and so is what its status
    /// registers say of others.
    pub fn fail(
        &mut self,
        why: NoData,
        quality: Quality,
        stamp: &Stamp,
        status: &mut StatusWords,
        out: &mut Vec<Sample>,
    ) {
        self.last = None;
        self.speak_by = Mono(0);
        for span in &self.block.spans {
            if let Purpose::Status(ix) = span.purpose {
                status.set(ix, Status::Unread(quality));
            }
        }
        for point in self.points.iter_mut().flatten() {
            point.tell_bad(why, quality, stamp, out);
        }
    }

    /// Hands the points over to other blocks after a search. Spans that no new block holds are
    /// refused: their points come back, their status registers are of no use.
    #[must_use]
    pub fn split(
        self,
        into: Vec<Block>,
        status: &mut StatusWords,
    ) -> (Vec<BlockState>, Vec<PointState>) {
        let mut left: Vec<(Span, Option<PointState>)> =
            self.block.spans.into_iter().zip(self.points).collect();
        let blocks = into
            .into_iter()
            .map(|block| {
                let points = block
                    .spans
                    .iter()
                    .map(|span| {
                        let i = left.iter().position(|(s, _)| s == span)?;
                        left.swap_remove(i).1
                    })
                    .collect();
                BlockState::with(block, points)
            })
            .collect();
        let mut refused = Vec::new();
        for (span, point) in left {
            if let Purpose::Status(ix) = span.purpose {
                status.set(ix, Status::Unread(Quality::BadConfiguration));
            }
            refused.extend(point);
        }
        (blocks, refused)
    }
}

fn status_word(words: &Words, at: usize) -> Status {
    match words {
        Words::Registers(r) => r.get(at).copied(),
        Words::Bits(b) => b.get(at).map(|b| u16::from(*b)),
    }
    .map_or(Status::Unread(Quality::BadConfiguration), Status::Word)
}

#[inline]
fn same_words(last: Option<&Words>, new: &Words, at: usize, width: usize) -> bool {
    match (last, new) {
        (Some(Words::Registers(a)), Words::Registers(b)) => {
            // most are one register, for which a call of memcmp is long
            if width == 1 {
                a.get(at) == b.get(at)
            } else {
                a.get(at..at + width) == b.get(at..at + width)
            }
        }
        (Some(Words::Bits(a)), Words::Bits(b)) => a.get(at) == b.get(at),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
