//! The newest sample of every point that the control room has, and how far to believe it *here*:
//! a value that no longer arrives is not shown as good.

use std::time::Duration;

use davy_plan::{Clock as SourceClock, Plan, SiteSource};
use davy_points::{Mono, NoData, PointIx, Quality, Timestamp, Value};

/// Beyond a point's own `stale_after`, how long the history lane may lag before the page must not
/// show its values as current.
const LANE_SLACK: Duration = Duration::from_secs(10);

/// The newest sample of one point.
#[derive(Debug, Clone)]
pub(crate) struct PointState {
    pub value: Value,
    pub quality: Quality,
    pub source_time: Timestamp,
    pub arrival: Timestamp,
    /// When the centre had it; none: nothing since the centre started.
    pub received: Option<Mono>,
    /// Quality that was last told to pages.
    shown: Quality,
}

/// Newest samples by point index.
#[derive(Debug)]
pub(crate) struct Points {
    states: Vec<Option<PointState>>,
    changed: Vec<PointIx>,
    is_changed: Vec<bool>,
}

/// One row for a page.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub value: Option<Value>,
    pub quality: Quality,
    pub source_time: Timestamp,
    pub arrival: Timestamp,
}

impl Points {
    pub(crate) fn new(len: usize) -> Points {
        Points {
            states: vec![None; len],
            changed: Vec::new(),
            is_changed: vec![false; len],
        }
    }

    /// A sample that is durable. One that is not newer than the newest goes to history alone.
    pub(crate) fn admit(
        &mut self,
        point: PointIx,
        value: Value,
        quality: Quality,
        source_time: Timestamp,
        arrival: Timestamp,
        received: Option<Mono>,
    ) {
        let slot = &mut self.states[point.index()];
        if let Some(have) = slot
            && have.source_time >= source_time
        {
            return;
        }
        *slot = Some(PointState {
            value,
            quality,
            source_time,
            arrival,
            received,
            shown: quality,
        });
        self.mark(point);
    }

    fn mark(&mut self, point: PointIx) {
        if !std::mem::replace(&mut self.is_changed[point.index()], true) {
            self.changed.push(point);
        }
    }

    pub(crate) fn get(&self, point: PointIx) -> Option<&PointState> {
        self.states[point.index()].as_ref()
    }

    /// Points whose samples changed since the last call.
    pub(crate) fn take_changed(&mut self) -> Vec<PointIx> {
        for p in &self.changed {
            self.is_changed[p.index()] = false;
        }
        std::mem::take(&mut self.changed)
    }

    /// Marks points whose quality changed by the mere passing of time or by a gateway's silence.
    pub(crate) fn sweep(&mut self, plan: &Plan, seen: impl Fn(&str) -> Seen, now: Now) {
        for (ix, _) in plan.points.iter() {
            let Some(state) = &self.states[ix.index()] else {
                continue;
            };
            let quality = quality_here(state, plan, ix, &seen, now);
            if quality != state.shown {
                if let Some(state) = &mut self.states[ix.index()] {
                    state.shown = quality;
                }
                self.mark(ix);
            }
        }
    }

    /// What a page is to show of a point.
    pub(crate) fn row(
        &self,
        plan: &Plan,
        point: PointIx,
        seen: impl Fn(&str) -> Seen,
        now: Now,
    ) -> Row {
        match self.get(point) {
            None => Row {
                value: None,
                quality: if seen(&plan.points.source_of(point).gateway).lost {
                    Quality::BadCommunication
                } else {
                    Quality::BadWaiting
                },
                source_time: Timestamp(0),
                arrival: Timestamp(0),
            },
            Some(state) => Row {
                value: match &state.value {
                    Value::NoData(_) => None,
                    v => Some(v.clone()),
                },
                quality: quality_here(state, plan, point, seen, now),
                source_time: state.source_time,
                arrival: state.arrival,
            },
        }
    }
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub mono: Mono,
    pub wall: Timestamp,
}

/// How the centre sees the gateway of a point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub lost: bool,
    /// Its clock minus ours.
    pub clock_offset_ns: i64,
}

/// The stored quality, or a worse one because the gateway is silent or its history lane lags.
fn quality_here(
    state: &PointState,
    plan: &Plan,
    point: PointIx,
    seen: impl Fn(&str) -> Seen,
    now: Now,
) -> Quality {
    let source = plan.points.source_of(point);
    let gateway = seen(&source.gateway);
    if gateway.lost {
        return state.quality.worst(Quality::BadCommunication);
    }
    if source.recorded || state.quality.is_bad() {
        return state.quality;
    }
    let def = plan.points.point(point);
    let limit = def.stale_after + LANE_SLACK;
    let silent =
        def.report_deadband.is_none() && state.received.is_none_or(|at| now.mono.since(at) > limit);
    let by_gateway_clock = plan
        .sources
        .get(def.source.index())
        .is_some_and(|s| source_clock(s) == SourceClock::Arrival);
    let lags = by_gateway_clock
        && def.report_deadband.is_none()
        && now.wall.since(state.source_time) + gateway.clock_offset_ns > duration_ns(limit);
    if silent || lags {
        Quality::BadStale
    } else {
        state.quality
    }
}

fn source_clock(source: &SiteSource) -> SourceClock {
    match source {
        SiteSource::Modbus(m) => m.clock,
        SiteSource::Mqtt(m) => m.clock,
    }
}

fn duration_ns(d: Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}

/// Why a sample that came without a value has none, as far as its quality tells.
pub(crate) fn no_data(quality: Quality) -> NoData {
    match quality {
        Quality::BadConfiguration => NoData::Refused,
        Quality::BadNotConnected => NoData::LinkDown,
        Quality::BadSensorFailure => NoData::Sentinel,
        Quality::BadCommunication | Quality::BadStale => NoData::NoAnswer,
        Quality::BadWaiting => NoData::NeverRead,
        _ => NoData::Null,
    }
}
