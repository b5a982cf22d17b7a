//! A start: what has given nothing yet is Unknown, and that is one grouped alarm until three polls
//! have passed (section 2, restart). `system/startup/on` stands for it; one thing that is missing
//! is no group and speaks for itself. A recording's start is its first row: no clock is read here.

use davy_points::{Life, PointIx, Quality, SourceIx, Value};

use super::judge::Verdict;
use super::timers::Deadline;
use super::{Engine, Moment};
use crate::alarm::Event;
use crate::grammar::ns;
use crate::ruleset::{AlarmIx, STARTUP};

/// Making connections takes its time.
const CONNECT_NS: i64 = 2_000_000_000;

/// Longer than this no interval holds up a start: what is polled hourly is not missed before.
const STARTUP_INTERVAL_MAX_NS: i64 = 18_000_000_000;

/// A start that is not over: some points have given nothing yet (section 2, restart).
#[derive(Debug)]
pub(super) struct Startup {
    began: i64,
    /// When it is seen whether anything is missing, then when single alarms take over.
    due: i64,
    interval: i64,
    /// Points in service that have given nothing.
    unheard: usize,
    /// `system/startup/on` stands.
    told: bool,
}

impl Engine {
    /// Whether the start stands for a source that has not given anything since: one source alone
    /// is its own group.
    pub(super) fn startup_stands_for(&self, source: SourceIx) -> bool {
        self.startup.is_some()
            && !self.sources[source.index()].alive
            && self.sources.iter().filter(|s| s.in_service > 0).count() > 1
    }

    /// Start-up Unknown is one grouped alarm until three polls have passed.
    pub(super) fn begin_startup(&mut self) {
        let unheard = self.unheard();
        let in_service = |(p, _): &(PointIx, _)| self.points[p.index()].flags.owned;
        let intervals = self.table.iter().filter(in_service);
        let interval = intervals
            .filter(|(_, def)| def.life == Life::InService)
            .map(|(_, def)| ns(def.expected_interval))
            .max()
            .unwrap_or(0);
        let there = self
            .part(STARTUP)
            .map(|a| self.alarms[a.index()].is_active());
        if unheard < 2 && there != Some(true) {
            return;
        }
        let interval = interval.min(STARTUP_INTERVAL_MAX_NS);
        let due = self.now + interval + CONNECT_NS;
        self.timers.push(due, Deadline::Startup);
        self.startup = Some(Startup {
            began: self.now,
            due,
            interval,
            unheard,
            told: there == Some(true),
        });
    }

    fn unheard(&self) -> usize {
        let waits = |(p, def): &(PointIx, &davy_points::PointDef)| {
            let flags = self.points[p.index()].flags;
            flags.owned && flags.unheard && def.life == Life::InService
        };
        self.table.iter().filter(waits).count()
    }

    /// Points that had been heard are missing again.
    pub(super) fn count_unheard(&mut self) {
        if self.startup.is_none() {
            return;
        }
        let unheard = self.unheard();
        if let Some(startup) = &mut self.startup {
            startup.unheard = unheard;
        }
    }

    /// One more point in service has given something.
    pub(super) fn startup_heard(&mut self, m: &Moment) {
        let Some(startup) = &mut self.startup else {
            return;
        };
        startup.unheard = startup.unheard.saturating_sub(1);
        if startup.unheard > 0 {
            return;
        }
        self.startup = None;
        if let Some(a) = self.part(STARTUP) {
            let m = Moment {
                value: Value::Bool(true),
                quality: Quality::Good,
                ..m.clone()
            };
            self.apply(a, Verdict::Exit, &m);
        }
        self.expose_all(m.now);
    }

    /// One interval is over: one thing that is missing speaks for itself, more are one alarm. Three
    /// are over: single alarms take over.
    pub(super) fn startup_over(&mut self, due: i64) {
        let Some(startup) = self.startup.as_ref().filter(|s| s.due == due) else {
            return;
        };
        let (began, interval) = (startup.began, startup.interval);
        let last = began + 3 * interval + CONNECT_NS;
        let (things, points) = self.missing(due - began - CONNECT_NS);
        if due < last && (startup.told || things > 1) {
            if let Some(startup) = &mut self.startup {
                startup.due = last;
                startup.told = true;
            }
            self.timers.push(last, Deadline::Startup);
            let a = self.add_part(STARTUP);
            if !self.alarms[a.index()].is_active() {
                self.alarms[a.index()].live().detail = Some(format!("{points} 点"));
                let m = self.at_startup(due);
                self.apply(a, Verdict::Enter, &m);
            }
            return;
        }
        self.startup = None;
        if let Some(a) = self.part(STARTUP) {
            let m = self.at_startup(due);
            // No return: nothing has been seen. Others say it from now on.
            self.transit(a, Event::Superseded, &m, None);
        }
        self.expose_all(due);
    }

    /// What should have given something within `passed` and did not, and of which no alarm tells:
    /// a whole source is one thing.
    fn missing(&self, passed: i64) -> (usize, usize) {
        let (mut things, mut points) = (0, 0);
        for (i, source) in self.sources.iter().enumerate() {
            let lost = &self.alarms[self.rules.sources[i].index()];
            if lost.is_active() && !lost.is_masked() {
                continue;
            }
            let late = |p: &&PointIx| {
                let (def, point) = (self.table.point(**p), &self.points[p.index()]);
                let due = source.down || ns(def.expected_interval) <= passed;
                point.flags.unheard && def.life == Life::InService && due && !self.has_spoken(**p)
            };
            let n = source.points.iter().filter(late).count();
            points += n;
            things += if n == source.in_service { n.min(1) } else { n };
        }
        (things, points)
    }

    fn at_startup(&self, due: i64) -> Moment {
        let wall = self.wall_at(due);
        Moment {
            now: due,
            wall,
            event: due,
            start: wall,
            source_time: wall,
            ..self.at_source(Quality::BadWaiting)
        }
    }

    /// The start stands for nothing any longer.
    fn expose_all(&mut self, now: i64) {
        for i in 0..self.sources.len() {
            let lost = self.rules.sources[i];
            let state = &self.alarms[lost.index()];
            if state.is_active() && state.is_masked() {
                let sounds = self.sounds(lost);
                let m = Moment {
                    now,
                    wall: self.wall_at(now),
                    ..self.at_source(Quality::BadCommunication)
                };
                self.transit(lost, Event::Unmasked { sounds }, &m, None);
            }
            if self.sources[i].masked == 0 {
                continue;
            }
            for p in self.sources[i].points.clone() {
                for a in self.others(p).map(AlarmIx) {
                    if self.is_signal(a) {
                        self.expose(a, now);
                    }
                }
            }
        }
    }
}
