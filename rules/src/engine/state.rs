//! What the engine keeps: little and dense for what is at rest, a box for what is not.

use std::sync::Arc;

use davy_points::{NoData, PointIx, Quality, Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::service::Over;
use crate::alarm::{Condition, Eval, Regions, Transition};
use crate::ruleset::Shade;

/// No deadline, no gap.
pub(super) const NEVER: i64 = i64::MAX;

/// One alarm. At rest it is two words.
#[derive(Debug, Default)]
pub(super) struct AlarmState {
    pub(super) live: Option<Box<Live>>,
    /// Persisted: the occurrence id depends on it (section 1).
    pub(super) activations: u32,
    /// UNKNOWN while at rest.
    pub(super) unknown: bool,
    /// Became active in this instant; its lesser levels have yet to hear of it.
    pub(super) fresh: bool,
}

impl AlarmState {
    pub(super) fn condition(&self) -> Condition {
        self.live
            .as_ref()
            .map_or(Condition::Normal, |l| l.regions.condition)
    }

    /// Active, its off-delay included (8.9).
    pub(super) fn is_active(&self) -> bool {
        matches!(self.condition(), Condition::Active | Condition::PendingOff)
    }

    /// Active, and nothing lies over it: only such a level masks lesser ones (3.8).
    pub(super) fn stands(&self) -> bool {
        self.is_active() && self.live.as_ref().is_some_and(|l| l.regions.is_bare())
    }

    pub(super) fn is_masked(&self) -> bool {
        self.live.as_ref().is_some_and(|l| l.regions.masked)
    }

    pub(super) fn eval(&self) -> Eval {
        match &self.live {
            Some(l) => l.regions.eval,
            None if self.unknown => Eval::Unknown,
            None => Eval::Known,
        }
    }

    pub(super) fn regions(&self) -> Regions {
        match &self.live {
            Some(l) => l.regions.clone(),
            None => Regions {
                eval: self.eval(),
                ..Regions::default()
            },
        }
    }

    pub(super) fn live(&mut self) -> &mut Live {
        let eval = self.eval();
        self.live.get_or_insert_with(|| Box::new(Live::new(eval)))
    }

    /// Gives the box back where nothing stands and nothing is left to say.
    pub(super) fn rest(&mut self) {
        let Some(l) = &self.live else { return };
        let over = !l.regions.is_bare() || !l.over.is_empty();
        let quiet = l.regions.condition == Condition::Normal && !l.regions.open && !over;
        let announced_unknown = l.regions.eval == Eval::Unknown && l.last.is_some();
        if quiet && !announced_unknown {
            self.unknown = l.regions.eval == Eval::Unknown;
            self.live = None;
        }
    }
}

/// An alarm that is not at rest.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) regions: Regions,
    /// Start of the on- or off-delay that runs.
    pub(super) pending: i64,
    /// The same as a label.
    pub(super) pending_start: Timestamp,
    /// End of the on-delay that runs.
    pub(super) deadline: i64,
    /// The on-delay ended blind; the next usable sample decides (8.18).
    pub(super) overdue: bool,
    /// When it sounds again though acknowledged.
    pub(super) realarm_at: i64,
    pub(super) occurrence: Arc<str>,
    pub(super) episode: Arc<str>,
    /// All occurrences of the open episode.
    pub(super) occurrences: Vec<Arc<str>>,
    pub(super) condition_start: Option<Timestamp>,
    pub(super) annunciated_at: Option<Timestamp>,
    /// Raised on the assumption that the condition went on (3.6).
    pub(super) assumed: bool,
    /// All occurrences of its episode are of samples that came late (3.11).
    pub(super) retrospective: bool,
    /// While such an occurrence is recorded: whether a worse level of the same time stands for it.
    pub(super) told_late: Option<bool>,
    /// Something else has stood for it ever since its episode began.
    pub(super) unseen: bool,
    /// Its rule was edited while it was active, and nothing has shown since that it still holds:
    /// the limit before, if there was one.
    pub(super) edited: Option<Edited>,
    /// It comes and goes: held until it has been quiet (section 4, chatter guard).
    pub(super) chattering: bool,
    pub(super) shade: Shade,
    /// What a part of the process said of itself; which points a storm took.
    pub(super) detail: Option<String>,
    pub(super) rev: Option<Arc<str>>,
    /// A shelf, suppression, out of service: what the regions do not tell of them.
    pub(super) over: Over,
    pub(super) last: Option<Box<Transition>>,
}

impl Live {
    fn new(eval: Eval) -> Live {
        let none: Arc<str> = "".into();
        Live {
            regions: Regions {
                eval,
                ..Regions::default()
            },
            pending: 0,
            pending_start: Timestamp(0),
            deadline: NEVER,
            overdue: false,
            realarm_at: NEVER,
            occurrence: none.clone(),
            episode: none,
            occurrences: Vec::new(),
            condition_start: None,
            annunciated_at: None,
            assumed: false,
            retrospective: false,
            told_late: None,
            unseen: false,
            edited: None,
            chattering: false,
            shade: Shade::Plain,
            detail: None,
            rev: None,
            over: Over::default(),
            last: None,
        }
    }
}

/// An open alarm whose rule or level is gone: a person closes it (section 2, edits).
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) last: Transition,
    /// All occurrences of its episode.
    pub(super) occurrences: Vec<Arc<str>>,
    /// Its rule latched it.
    pub(super) latch: bool,
    /// Its rule wanted it confirmed.
    pub(super) confirm: bool,
}

/// What a rule was before an edit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Edited {
    pub(super) limit: Option<f64>,
}

/// One point.
#[derive(Debug)]
pub(super) struct PointState {
    /// While a Good value lies within, nothing can happen to any alarm of the point.
    pub(super) quiet: (f64, f64),
    /// Time of the newest admitted sample.
    pub(super) newest: i64,
    pub(super) newest_seq: u64,
    /// Monotonic arrival of the newest admitted sample, or the start.
    pub(super) last_arrival: i64,
    /// A sample older on arrival is Uncertain (3.9).
    pub(super) max_age: i64,
    /// Since when nothing usable has come (8.6).
    pub(super) gap_start: i64,
    /// The same where a finite Bad value is usable, too: under `use_value` (8.18).
    pub(super) lost_start: i64,
    pub(super) value: Value,
    pub(super) quality: Quality,
    /// The short way may be taken.
    pub(super) quick: bool,
    pub(super) flags: Flags,
}

/// What is true of a point.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)] // each is a question of its own
pub(super) struct Flags {
    /// This engine's owner reads it.
    pub(super) owned: bool,
    /// Some admitted sample has come since the start.
    pub(super) seen: bool,
    pub(super) stale: bool,
    /// Its source is down.
    pub(super) down: bool,
    /// A `stuck` alarm of it is active: its samples are Uncertain.
    pub(super) stuck: bool,
    /// A pending start may have been lost: safety class has no on-delay at the first Good sample.
    pub(super) zero_delay: bool,
    /// A stale deadline is queued.
    pub(super) stale_queued: bool,
    /// It has a `stuck` rule, or is an input of a witness.
    pub(super) windowed: bool,
    /// What late samples completed is still to be told (3.11).
    pub(super) late_waits: bool,
    /// Nothing but Bad has come since the start or since its source was lost, nothing Good since a
    /// storm on it began: what stands for the source stands for it.
    pub(super) unheard: bool,
}

impl PointState {
    pub(super) fn new() -> PointState {
        PointState {
            quiet: (f64::INFINITY, f64::NEG_INFINITY),
            newest: i64::MIN,
            newest_seq: 0,
            last_arrival: 0,
            max_age: i64::MAX,
            gap_start: NEVER,
            lost_start: NEVER,
            value: Value::none(NoData::NeverRead),
            quality: Quality::BadWaiting,
            quick: false,
            flags: Flags::default(),
        }
    }

    /// UNKNOWN is on exactly while this is false (8.8).
    pub(super) fn known(&self) -> bool {
        let f = self.flags;
        f.seen && !f.stale && !f.down && !f.stuck && self.quality.is_good()
    }
}

/// One source.
#[derive(Debug, Default)]
pub(super) struct SourceState {
    pub(super) points: Vec<PointIx>,
    pub(super) down: bool,
    /// Three expected intervals of its slowest point, ns.
    pub(super) suspect_after: i64,
    /// First of an unbroken run of late or future samples (8.20).
    pub(super) run_start: Option<i64>,
    /// ClockSuspect, with what its samples have shown since.
    pub(super) suspect: Option<Recovery>,
    pub(super) recorded: bool,
    /// One alarm stands for several of its points that failed at once.
    pub(super) storm: bool,
    /// Alarms of its points that something stands for.
    pub(super) masked: u32,
    /// Something but Bad has come since the start.
    pub(super) alive: bool,
    /// When its loss ended.
    pub(super) returned_at: Option<i64>,
    /// Points that are in service.
    pub(super) in_service: usize,
    pub(super) hazard: Arc<str>,
    pub(super) area: Arc<str>,
}

/// How far a suspect clock has come back.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// First of an unbroken run of samples in time.
    pub(super) good_since: Option<i64>,
    /// Newest raw time by point.
    pub(super) raw: std::collections::BTreeMap<PointIx, i64>,
}
