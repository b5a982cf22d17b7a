//! The engine: (rule, sample, now) → verdicts → transitions. One thread owns all alarm state.
//!
//! Lives here: admission of samples, windows, deadbands, delays, overlays, masking, restart.
//! May not live here: clocks, I/O, randomness, tasks; nor iteration over anything unordered.
//! Read first: `alarm-engine.md`, then [`Engine::handle`], then `judge`.

mod bypass;
mod chatter;
mod command;
mod deadlines;
mod derived;
mod edit;
mod emit;
mod first_out;
mod flood;
mod group;
mod image;
mod input;
mod judge;
mod modes;
mod reload;
mod restart;
mod retrospective;
mod sample;
mod service;
mod source;
mod startup;
mod state;
mod stuck;
mod suppress;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use davy_points::{Life, Mono, PointIx, PointTable, Quality, Timestamp, Value};

use crate::alarm::{Condition, Eval, Event, Label, StandingAlarm};
use crate::ruleset::{AlarmDef, AlarmIx, Kind, Rule, RuleSet, Subject};
use state::{AlarmState, NEVER, Orphan, PointState, SourceState};
use timers::{Deadline, Timers};

pub use image::{EngineImage, Restored, is_unset};
pub use input::{Envelope, Identity, Input, Output};
pub use reload::Reload;

/// A future time within this is clamped to arrival, beyond it goes to history (3.9, 3.10).
pub const SKEW_LIMIT_NS: i64 = 5_000_000_000;

/// Ticks move the wall label only where it is off by more: an unreported step, not slewing.
const LABEL_TOLERANCE_NS: i64 = 100_000_000;

/// When and on what evidence something happens.
#[derive(Debug, Clone)]
struct Moment {
    /// Monotonic instant of the arrival or of the deadline.
    now: i64,
    /// The same as a label.
    wall: Timestamp,
    /// Where a delay starts: source time, clamped and mapped (8.3).
    event: i64,
    /// The same as a label.
    start: Timestamp,
    source_time: Timestamp,
    value: Value,
    quality: Quality,
}

/// The rule and alarm engine of one owner.
#[derive(Debug)]
pub struct Engine {
    id: Identity,
    rules: Arc<RuleSet>,
    table: Arc<PointTable>,
    points: Vec<PointState>,
    alarms: Vec<AlarmState>,
    /// Alarms that are made when they are first needed, with the name of what they are about:
    /// those of parts as they report, those of the chatter guard.
    made: Vec<(Arc<str>, AlarmDef)>,
    recent: chatter::Recent,
    causes: suppress::Causes,
    groups: first_out::Groups,
    flood: flood::Flood,
    tests: bypass::Tests,
    sources: Vec<SourceState>,
    /// While a start is not over.
    startup: Option<startup::Startup>,
    stuck: Vec<stuck::StuckState>,
    witnesses: Vec<stuck::WitnessState>,
    /// By instance of a deriving rule.
    derived: Vec<derived::DerivedState>,
    /// What is known of when a level's condition held.
    late_runs: retrospective::LateRuns,
    /// By point: the instances that read it, and in which slot. Looked up, never walked.
    watchers: HashMap<PointIx, Vec<(usize, usize)>>,
    /// By point: its stuck states and the witnesses that read it. Looked up, never walked.
    windows: HashMap<PointIx, stuck::Windows>,
    timers: Timers,
    out: VecDeque<Output>,
    seq: u64,
    now: i64,
    /// Wall time minus monotonic time: labels only.
    wall_offset: i64,
    woken_at: Option<i64>,
    /// When the wall clock was last stepped: ages of samples across it mean nothing.
    stepped_at: i64,
    /// Occurrences of open episodes. Looked up, never walked.
    open: HashMap<Arc<str>, command::Holder>,
    /// Recently closed ones: only the reason of a rejection hangs on them.
    closed: VecDeque<Arc<str>>,
    remembered: command::Remembered,
    /// Open alarms whose rule or level is gone: a person closes them (section 2, edits).
    orphans: Vec<Orphan>,
    /// Alarms that something lies over, until a deadline.
    bounded: BTreeSet<AlarmIx>,
    /// No wall deadline passes before this.
    next_until: Timestamp,
    /// What is recorded now is one release of several alarms (row 12).
    grouped: bool,
    /// Activation counters of alarms whose rule or point is gone: ids must not come twice when it
    /// comes back.
    gone: BTreeMap<String, u32>,
    /// What distinguishes one order of points from another, for images.
    table_rev: u64,
    mode_inputs: modes::ModeInputs,
    /// While a reload is judged: verdicts pass through `apply_edit`.
    editing: Option<Box<edit::Editing>>,
}

impl Engine {
    /// Judges one input. Then [`Engine::poll`] until it yields nothing.
    ///
    /// For a sample it returns the quality that history stores: what the engine knows of it beyond
    /// what acquisition could (a frozen gauge, a clock that cannot be trusted).
    pub fn handle(&mut self, e: &Envelope) -> Option<Quality> {
        let now = mono(e.mono).max(self.now);
        // 8.2: whatever is due acts first, stamped with its own deadline.
        if self.timers.next().is_some_and(|due| due <= now) {
            self.run_timers(now);
        }
        self.now = now;
        if let Input::Sample(s) = &e.input
            && self.nothing_can_happen(s, now)
        {
            return Some(Quality::Good);
        }
        let offset = e.wall.0.wrapping_sub(now);
        let tick = matches!(e.input, Input::Tick);
        if !tick || offset.abs_diff(self.wall_offset) > LABEL_TOLERANCE_NS.unsigned_abs() {
            self.wall_offset = offset;
        }
        self.wall_deadlines();
        let stored = match &e.input {
            Input::Sample(s) => self.sample(s, e.wall),
            Input::Tick => None,
            Input::Command(c) => {
                self.command(c, e.wall);
                None
            }
            Input::SourceStatus(s) => {
                self.source_status(*s);
                None
            }
            Input::Health { part, ok, detail } => {
                self.health(part, *ok, detail);
                None
            }
            Input::ClockStep { by_ns } => {
                self.clock_step(*by_ns);
                None
            }
            Input::Reload(r) => {
                self.reload(r, e.wall);
                None
            }
        };
        self.announce_wake();
        stored
    }

    /// The next thing that came out.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When something will happen though nothing comes in.
    #[must_use]
    pub fn next_wake(&self) -> Option<Mono> {
        self.timers.next().map(|t| Mono(t.max(0).unsigned_abs()))
    }

    /// `seq` of the latest transition.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Alarms whose label is not NORMAL or that went UNKNOWN, each with its latest record.
    #[must_use]
    pub fn standing(&self) -> Vec<StandingAlarm> {
        self.alarms
            .iter()
            .filter_map(|a| a.live.as_ref())
            .filter(|l| l.regions.label() != Label::Normal || l.regions.eval == Eval::Unknown)
            .filter_map(|l| l.last.as_deref())
            .chain(self.orphans.iter().map(|o| &o.last))
            .map(|last| StandingAlarm { last: last.clone() })
            .collect()
    }

    /// Where an alarm stands, for whoever counts what tests have shown.
    pub(crate) fn watched(&self, a: AlarmIx) -> (Condition, Eval) {
        let state = &self.alarms[a.index()];
        (state.condition(), state.eval())
    }

    fn announce_wake(&mut self) {
        let next = self.timers.next();
        if next != self.woken_at {
            self.woken_at = next;
            if let Some(wake) = self.next_wake() {
                self.out.push_back(Output::WakeAt(wake));
            }
        }
    }

    fn run_timers(&mut self, at: i64) {
        while let Some((due, what)) = self.timers.pop_due(at) {
            self.now = self.now.max(due);
            match what {
                Deadline::OnDelay { alarm, .. } => self.on_delay_over(alarm, due),
                Deadline::Expire { alarm } => self.deadlines_over(alarm, due),
                Deadline::Realarm { alarm } => self.realarm_over(alarm, due),
                Deadline::Judge { instance } => self.judge_woken(instance as usize, due),
                Deadline::Stale { point } => self.stale_over(point, due),
                Deadline::Flood => self.flood_aged(due),
                Deadline::Expose { alarm } => self.expose(alarm, due),
                Deadline::Startup => self.startup_over(due),
            }
        }
    }

    fn realarm_over(&mut self, a: AlarmIx, due: i64) {
        let state = &mut self.alarms[a.index()];
        let Some(live) = &mut state.live else { return };
        if live.realarm_at != due {
            return;
        }
        live.realarm_at = NEVER;
        let m = self.at_deadline(a, due);
        let sounds = self.sounds(a);
        self.transit(a, Event::Realarmed { sounds }, &m, None);
    }

    /// 8.10: counts from the acknowledgement; 8.25: starts again when a mask is lifted.
    fn start_realarm(&mut self, a: AlarmIx) {
        if let Some(after) = self.rule(a).realarm_ns {
            let due = self.now.saturating_add(after);
            self.alarms[a.index()].live().realarm_at = due;
            self.timers.push(due, Deadline::Realarm { alarm: a });
        }
    }

    fn def(&self, a: AlarmIx) -> &AlarmDef {
        match a.index().checked_sub(self.rules.alarms.len()) {
            None => &self.rules.alarms[a.index()],
            Some(n) => &self.made[n].1,
        }
    }

    fn rule(&self, a: AlarmIx) -> &Rule {
        self.rules.rule(self.def(a).rule)
    }

    fn kind(&self, a: AlarmIx) -> Kind {
        self.rule(a).kind
    }

    /// What may annunciate: it is in service, and no test alone can have made it.
    fn sounds(&self, a: AlarmIx) -> bool {
        self.in_service(a) && !self.is_under_test(a)
    }

    /// A point in commissioning is evaluated and listed, not annunciated (section 2).
    fn in_service(&self, a: AlarmIx) -> bool {
        match self.def(a).subject {
            Subject::Point(p) => self.table.point(p).life == Life::InService,
            // A device whose points are all in commissioning is, too.
            Subject::Source(s) => self.sources[s.index()].in_service > 0,
            Subject::Part(_) => true,
        }
    }

    /// Level alarms of a point.
    fn levels(&self, p: PointIx) -> std::ops::Range<u32> {
        let r = self.rules.points[p.index()];
        r.first..r.first + u32::from(r.levels)
    }

    /// What judges the signal itself.
    fn others(&self, p: PointIx) -> std::ops::Range<u32> {
        let r = self.rules.points[p.index()];
        r.first + u32::from(r.levels)..r.first + u32::from(r.all)
    }

    fn wall_at(&self, mono: i64) -> Timestamp {
        Timestamp(mono.saturating_add(self.wall_offset))
    }

    /// A deadline has no sample: the point's last one stands beside it.
    fn at_deadline(&self, a: AlarmIx, due: i64) -> Moment {
        let (value, quality) = match self.def(a).subject {
            Subject::Point(p) => {
                let p = &self.points[p.index()];
                (finite(&p.value), p.quality)
            }
            Subject::Source(_) | Subject::Part(_) => (
                Value::none(davy_points::NoData::Null),
                Quality::BadCommunication,
            ),
        };
        let wall = self.wall_at(due);
        Moment {
            now: due,
            wall,
            event: due,
            start: wall,
            source_time: wall,
            value,
            quality,
        }
    }

    fn at_point(&self, p: PointIx, when: i64, quality: Quality) -> Moment {
        let wall = self.wall_at(when);
        Moment {
            now: when,
            wall,
            event: when,
            start: wall,
            source_time: wall,
            value: finite(&self.points[p.index()].value),
            quality,
        }
    }
}

fn mono(m: Mono) -> i64 {
    i64::try_from(m.0).unwrap_or(i64::MAX)
}

/// JSON has no NaN: a record says that there was no value.
fn finite(v: &Value) -> Value {
    match v {
        Value::F64(x) if !x.is_finite() => Value::none(davy_points::NoData::Sentinel),
        other => other.clone(),
    }
}
