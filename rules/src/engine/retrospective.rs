//! Retrospective occurrences (3.11, 8.26): what samples that came late would have made an alarm of.
//!
//! A late sample touches no live state. It only says what the point did then: for each level alarm
//! (kind `level`; what other kinds derive needs every input as it was, and has none of this) the
//! *runs* in which the entry condition held, by the samples' own times. A run begins with a sample
//! beyond the limit, goes on through the deadband and through what is Uncertain, and ends with a Good
//! one beyond exit or with a silence longer than the gap tolerance. Held for the on-delay, it is told
//! once, RTN_UNACK and silent, as soon as Good data show the alarm NORMAL; until then it waits.
//! Occurrences of live samples are runs, too: what is contiguous with one is known already.
//!
//! Lives here: the runs, and how one is told. May not live here: any effect of a late sample on a
//! condition, delay, gap or freshness. Read first: [`Engine::late`], then [`Runs`].

use std::collections::BTreeMap;

use davy_points::{PointIx, Quality, Sample, Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::command::Holder;
use super::judge::Verdict;
use super::state::AlarmState;
use super::{Engine, Moment, Restored};
use crate::alarm::{Cause, Condition, Eval, Event, Flag};
use crate::grammar::ns;
use crate::ruleset::{AlarmIx, Kind, Subject};

/// By alarm: only those that have been active, or whose point got late samples.
pub(super) type LateRuns = BTreeMap<AlarmIx, Runs>;

/// Runs that are remembered of one alarm. Beyond it the earliest that has been told is forgotten: were
/// its samples sent once more, it would be told twice. One that waits is never lost: where all wait,
/// the two latest are told as one.
const RUNS_KEPT: usize = 16;

/// How far the telling of a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Not held for the on-delay so far.
    Forming,
    /// Held; the alarm has not been NORMAL on Good data since.
    Waiting,
    /// An occurrence stands for it.
    Told,
}

/// The entry condition held from `first` to `last`; times of samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    first: i64,
    /// `i64::MAX` while the occurrence of live samples goes on.
    last: i64,
    /// The latest exit known before it, the earliest after it.
    before: i64,
    after: i64,
    stage: Stage,
    /// What is shown of it.
    value: f64,
    quality: Quality,
}

/// What a rule asks of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// The on-delay.
    pub(super) delay: i64,
    /// A longer silence ends a run.
    pub(super) reach: i64,
    /// `pending = "strict"`.
    pub(super) strict: bool,
}

/// The runs of one alarm by time; no two touch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Runs {
    runs: Vec<Run>,
    /// The late sample beyond exit that came last.
    exit: Option<i64>,
    /// The late sample that came last, whatever it said.
    newest: Option<i64>,
}

impl Run {
    fn live(first: i64) -> Run {
        Run {
            first,
            last: i64::MAX,
            before: i64::MIN,
            after: i64::MAX,
            stage: Stage::Told,
            value: 0.0,
            quality: Quality::Good,
        }
    }

    fn holds(&self, t: i64) -> bool {
        self.first <= t && t <= self.last
    }

    /// So close to it, with no exit between, that it is of the run.
    fn touches(&self, t: i64, reach: i64) -> bool {
        let leads = t < self.first && t > self.before && t >= self.first.saturating_sub(reach);
        let follows = t > self.last && t < self.after && t <= self.last.saturating_add(reach);
        self.holds(t) || leads || follows
    }

    /// A sample after it ended it. 8.2: one that comes right after it, exactly at the end of the
    /// on-delay or later, comes too late.
    fn ended(&mut self, t: i64, newest: Option<i64>, terms: Terms) {
        let follows = newest == Some(self.last) && t <= self.after;
        if follows && t <= self.last.saturating_add(terms.reach) {
            self.held_until(t, terms);
        }
        self.after = self.after.min(t);
    }

    /// Whether it is known to have been held for the on-delay.
    fn held_until(&mut self, t: i64, terms: Terms) {
        if self.stage == Stage::Forming && t.saturating_sub(self.first) >= terms.delay {
            self.stage = Stage::Waiting;
        }
    }
}

impl Runs {
    /// What one late sample says, in any order.
    pub(super) fn take(&mut self, t: i64, seen: (f64, Quality), verdict: Verdict, terms: Terms) {
        let newest = self.newest.replace(t);
        match verdict {
            Verdict::Enter => self.enter(t, seen, terms),
            Verdict::Exit => self.leave(t, newest, terms),
            Verdict::Between { good } => {
                let follows = |r: &Run| r.first < t && r.touches(t, terms.reach);
                let Some(i) = self.runs.iter().position(follows) else {
                    return;
                };
                let run = &mut self.runs[i];
                if good && terms.strict && run.stage == Stage::Forming {
                    if t > run.last {
                        run.ended(t, newest, terms);
                    }
                    return;
                }
                run.last = run.last.max(t);
                run.held_until(run.last, terms);
                self.close_up(i, terms);
            }
            Verdict::Blind => {}
        }
    }

    fn enter(&mut self, t: i64, (value, quality): (f64, Quality), terms: Terms) {
        let holds = self.runs.iter().position(|r| r.holds(t));
        let touches = |r: &Run| r.touches(t, terms.reach);
        let i = match holds.or_else(|| self.runs.iter().position(touches)) {
            Some(i) => i,
            None => self.insert(Run {
                first: t,
                last: t,
                before: self.exits().filter(|x| *x < t).max().unwrap_or(i64::MIN),
                after: self.exits().filter(|x| *x > t).min().unwrap_or(i64::MAX),
                stage: Stage::Forming,
                value,
                quality,
            }),
        };
        let run = &mut self.runs[i];
        run.first = run.first.min(t);
        run.last = run.last.max(t);
        if run.stage == Stage::Forming {
            (run.value, run.quality) = (value, quality);
        }
        run.held_until(run.last, terms);
        let i = self.close_up(i, terms);
        self.bound(i);
    }

    fn leave(&mut self, t: i64, newest: Option<i64>, terms: Terms) {
        self.exit = Some(t);
        for run in &mut self.runs {
            if t < run.first {
                run.before = run.before.max(t);
            } else if t > run.last {
                run.ended(t, newest, terms);
            }
        }
    }

    fn exits(&self) -> impl Iterator<Item = i64> {
        let around = self.runs.iter().flat_map(|r| [r.before, r.after]);
        let known = around.filter(|x| *x != i64::MIN && *x != i64::MAX);
        known.chain(self.exit)
    }

    fn insert(&mut self, run: Run) -> usize {
        let i = self.runs.partition_point(|r| r.first < run.first);
        self.runs.insert(i, run);
        i
    }

    /// Joins a run with those beside it that it has come to touch. Returns where it is then.
    fn close_up(&mut self, mut i: usize, terms: Terms) -> usize {
        while i + 1 < self.runs.len() && self.is_one(i, terms.reach) {
            self.join(i, terms);
        }
        while i > 0 && self.is_one(i - 1, terms.reach) {
            i -= 1;
            self.join(i, terms);
        }
        i
    }

    fn is_one(&self, i: usize, reach: i64) -> bool {
        let (a, b) = (&self.runs[i], &self.runs[i + 1]);
        let parted = a.after <= b.first || b.before >= a.last;
        b.first <= a.last || (!parted && b.first <= a.last.saturating_add(reach))
    }

    fn join(&mut self, i: usize, terms: Terms) {
        let b = self.runs.remove(i + 1);
        let a = &mut self.runs[i];
        a.after = if b.last >= a.last { b.after } else { a.after };
        a.last = a.last.max(b.last);
        if a.stage == Stage::Forming {
            (a.value, a.quality) = (b.value, b.quality);
        }
        if a.stage == Stage::Told || b.stage == Stage::Told {
            a.stage = Stage::Told;
        } else if b.stage == Stage::Waiting {
            a.stage = Stage::Waiting;
        } else {
            a.held_until(a.last, terms);
        }
    }

    /// `new` is the one that must not go.
    fn bound(&mut self, new: usize) {
        if self.runs.len() <= RUNS_KEPT {
            return;
        }
        let old = |stage| {
            let mut all = self.runs.iter().enumerate();
            all.position(|(i, r)| i != new && r.stage == stage && r.last != i64::MAX)
        };
        if let Some(i) = old(Stage::Told).or_else(|| old(Stage::Forming)) {
            self.runs.remove(i);
            return;
        }
        let wait = |i: &usize| {
            let mut pair = self.runs[*i..*i + 2].iter();
            pair.all(|r| r.stage == Stage::Waiting)
        };
        if let Some(i) = (0..self.runs.len() - 1).rev().find(wait) {
            self.runs[i].last = self.runs[i + 1].last;
            self.runs[i].after = self.runs[i + 1].after;
            self.runs.remove(i + 1);
        }
    }

    /// An occurrence of live samples: runs that it continues are known by it.
    fn began(&mut self, start: i64, terms: Terms) {
        let i = self.insert(Run::live(start));
        let i = self.close_up(i, terms);
        self.bound(i);
    }

    /// It returned.
    fn ended(&mut self, at: i64) {
        if let Some(run) = self.runs.iter_mut().find(|r| r.last == i64::MAX) {
            run.last = at.max(run.first);
            run.after = run.last;
        }
    }

    /// The run at a time is told; the run of a worse level stands for one that was not seen.
    fn told(&mut self, run: Run) -> Run {
        let one = |r: &Run| r.first <= run.last && run.first <= r.last;
        let i = match self.runs.iter().position(one) {
            Some(i) => i,
            None => self.insert(run),
        };
        self.runs[i].stage = Stage::Told;
        let told = self.runs[i];
        self.bound(i);
        told
    }

    /// Whether an occurrence stands for what happened in a run of a worse level.
    fn knows(&self, run: &Run) -> bool {
        let one = |r: &&Run| r.first <= run.last && run.first <= r.last;
        let mut there = self.runs.iter().filter(one);
        there.any(|r| r.stage == Stage::Told)
    }

    fn waiting(&self) -> Option<Run> {
        let mut all = self.runs.iter();
        all.find(|r| r.stage == Stage::Waiting).copied()
    }

    /// It waits, whatever its own on-delay.
    fn wait(&mut self, run: Run) {
        let told = self.told(run);
        if let Some(r) = self.runs.iter_mut().find(|r| r.first == told.first) {
            r.stage = Stage::Waiting;
        }
    }
}

impl Engine {
    /// A sample that is older than the newest admitted one of its point (3.9).
    pub(super) fn late(&mut self, s: &Sample, q: Quality) {
        let Some(value) = s.value.number().filter(|v| v.is_finite()) else {
            return;
        };
        let t = s.source_time.0.min(s.arrival_time.0);
        for a in self.levels(s.point).map(AlarmIx) {
            let verdict = self.level_verdict(a, Some(value), q);
            if verdict == Verdict::Blind {
                continue;
            }
            let terms = self.terms(a, s.point);
            let runs = self.late_runs.entry(a).or_default();
            runs.take(t, (value, q), verdict, terms);
        }
        self.tell_late(s.point);
    }

    fn terms(&self, a: AlarmIx, p: PointIx) -> Terms {
        let interval = ns(self.table.point(p).expected_interval);
        Terms {
            delay: self.def(a).on_delay_ns,
            reach: self.gap_tolerance(a, p).max(interval),
            strict: self.rule(a).strict,
        }
    }

    /// Tells what waits, worst level first, where Good data now show the alarm NORMAL. What cannot be
    /// told yet is told by the first sample that shows it.
    pub(super) fn tell_late(&mut self, p: PointIx) {
        let mut waits = false;
        let levels = self.levels(p);
        for a in levels.clone().map(AlarmIx) {
            while let Some(run) = self.late_runs.get(&a).and_then(Runs::waiting) {
                if !self.shows_normal(a) {
                    waits = true;
                    break;
                }
                self.tell_run(a, run, false);
                waits |= self.tell_lesser(a, run, levels.end);
            }
        }
        let point = &mut self.points[p.index()];
        point.flags.late_waits = waits;
        point.quick &= !waits;
    }

    /// As live: HH tells H, which is masked beneath it (3.8). True where that must wait.
    fn tell_lesser(&mut self, worse: AlarmIx, run: Run, end: u32) -> bool {
        let (rule, side) = (self.def(worse).rule, self.def(worse).side());
        let mut waits = false;
        for a in (worse.0 + 1..end).map(AlarmIx) {
            let def = self.def(a);
            if def.rule != rule || def.side() != side {
                continue;
            }
            let runs = self.late_runs.entry(a).or_default();
            if runs.knows(&run) {
                continue;
            }
            if self.shows_normal(a) {
                self.tell_run(a, run, true);
            } else {
                self.late_runs.entry(a).or_default().wait(run);
                waits = true;
            }
        }
        waits
    }

    /// Condition Normal, eval Known. An episode that is acknowledged and latched waits for its reset:
    /// joined, the occurrence would count as seen, and nobody has seen it (8.26).
    fn shows_normal(&self, a: AlarmIx) -> bool {
        let state = &self.alarms[a.index()];
        let acked = state.live.as_ref().is_some_and(|l| l.regions.acked);
        state.condition() == Condition::Normal && state.eval() == Eval::Known && !acked
    }

    fn tell_run(&mut self, a: AlarmIx, run: Run, beneath: bool) {
        let run = self.late_runs.entry(a).or_default().told(run);
        let id = self.next_occurrence(a);
        let start = Timestamp(run.first);
        let over = run.first.saturating_add(self.def(a).on_delay_ns);
        let wall = self.wall_at(self.now);
        let m = Moment {
            now: self.now,
            wall,
            event: self.now,
            start,
            // What would have raised it: the sample, or the end of the on-delay.
            source_time: Timestamp(over.min(run.last)),
            value: Value::F64(run.value),
            quality: run.quality,
        };
        let live = self.alarms[a.index()].live();
        if !live.regions.open {
            live.episode = id.clone();
            live.occurrences.clear();
            live.unseen = false;
            live.edited = None;
            live.retrospective = true;
        }
        live.occurrence = id.clone();
        live.occurrences.push(id.clone());
        live.condition_start = Some(start);
        live.annunciated_at = None;
        live.assumed = false;
        live.told_late = Some(beneath);
        self.open.insert(id, Holder::Alarm(a));
        self.transit(a, Event::Retrospective, &m, None);
        let live = self.alarms[a.index()].live();
        live.told_late = None;
    }

    /// An occurrence of live samples has begun.
    pub(super) fn run_began(&mut self, a: AlarmIx, start: Timestamp) {
        if let Some(p) = self.level_of(a) {
            let terms = self.terms(a, p);
            self.late_runs.entry(a).or_default().began(start.0, terms);
        }
    }

    /// It is over.
    pub(super) fn run_ended(&mut self, a: AlarmIx, at: Timestamp) {
        if let Some(runs) = self.late_runs.get_mut(&a) {
            runs.ended(at.0);
        }
    }

    /// The point of an alarm of kind `level`.
    fn level_of(&self, a: AlarmIx) -> Option<PointIx> {
        match (self.kind(a), self.def(a).side(), self.def(a).subject) {
            (Kind::Level, Some(_), Subject::Point(p)) => Some(p),
            _ => None,
        }
    }

    pub(super) fn saved_runs(&self) -> Vec<(String, Runs)> {
        let all = self.late_runs.iter();
        all.map(|(a, runs)| (self.alarm_name(*a), runs.clone()))
            .collect()
    }

    /// From the image, then from the records after it.
    pub(super) fn restore_runs(&mut self, restored: &Restored) {
        let mut told = 0;
        if let Some(image) = &restored.image {
            told = image.seq;
            for (name, runs) in &image.late_runs {
                if let Some(a) = self.find_standing(name)
                    && let Some(p) = self.level_of(a)
                {
                    self.points[p.index()].flags.late_waits |= runs.waiting().is_some();
                    self.late_runs.insert(a, runs.clone());
                }
            }
        }
        for t in restored.transitions.iter().filter(|t| t.seq > told) {
            let Some(a) = self.find_standing(&t.alarm) else {
                continue;
            };
            let started = t.condition_start.filter(|_| t.cause == Cause::Condition);
            match started {
                Some(_) if self.level_of(a).is_none() => {}
                Some(start) if t.flags.contains(&Flag::Retrospective) => {
                    let run = Run {
                        last: t.source_time.0.max(start.0),
                        ..Run::live(start.0)
                    };
                    self.late_runs.entry(a).or_default().told(run);
                }
                Some(start) => self.run_began(a, start),
                None if t.regions.before.is_active() && !t.regions.after.is_active() => {
                    self.run_ended(a, t.source_time);
                }
                None => {}
            }
        }
    }

    /// After an edit: those of alarms that are the same.
    pub(super) fn move_runs(&mut self, moved: &super::reload::Moved) {
        let all = std::mem::take(&mut self.late_runs).into_iter();
        self.late_runs = all
            .filter_map(|(a, runs)| Some((moved.alarm(a)?, runs)))
            .filter(|(a, _)| self.level_of(*a).is_some())
            .collect();
    }
}

impl AlarmState {
    /// The next activation's number.
    pub(super) fn count(&mut self) -> u32 {
        self.activations += 1;
        self.activations
    }
}
