//! Bypass of points for a bump test or a calibration (section 2, points): what is measured meanwhile
//! carries the test mark, is judged and listed, sounds nowhere and returns nothing.
//!
//! Lives here: who asks for how many points and for how long, what a test touches, what sounds after
//! it. May not live here: deadlines; the record of a bypass is the alarm `bypass/TAG/on`, out of
//! service under the permit while the test runs, so its end is that of any alarm out of service
//! (`deadlines`). Read first: [`Engine::bypass`], then [`Engine::bypass_moved`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use davy_points::{Binding, PointIx, Priority, Quality, Sample, Timestamp};

use super::reload::Moved;
use super::service::{deadline, given, needs_reason, needs_second};
use super::state::NEVER;
use super::{Engine, Moment};
use crate::alarm::{Command, Event, Level, OutOfService, Regions, Rejection};
use crate::ruleset::{AlarmDef, AlarmIx, Kind, Subject, plain};

/// At most so many points of one owner at once: about what one crew with one loop calibrator has
/// open. More is no test but a plant without alarms; for that, alarms go out of service one by one.
const MAX_AT_ONCE: usize = 8;

/// The longest bypass under one permit: a shift. The next shift asks anew.
const LONGEST_NS: i64 = 8 * 60 * 60 * 1_000_000_000;

/// When a point was under test, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: i64,
    /// [`NEVER`] while the test runs.
    to: i64,
}

impl Span {
    fn runs(self) -> bool {
        self.to == NEVER
    }
}

/// The latest test of each point that has had one.
#[derive(Debug, Default)]
pub(super) struct Tests {
    of: BTreeMap<PointIx, Span>,
    /// How many of them run.
    running: usize,
}

impl Tests {
    fn runs(&self, p: PointIx) -> bool {
        self.running > 0 && self.of.get(&p).is_some_and(|s| s.runs())
    }

    fn put(&mut self, p: PointIx, span: Span) {
        self.of.insert(p, span);
        self.running = self.of.values().filter(|s| s.runs()).count();
    }
}

impl Engine {
    /// All of the points or none.
    pub(super) fn bypass(&mut self, c: &Command, wall: Timestamp) -> Result<(), Rejection> {
        let points = self.points_named(&c.points)?;
        needs_reason(c)?;
        let permit = given(c.permit.as_ref())
            .ok_or(Rejection::NeedsPermit)?
            .to_owned();
        if points.iter().any(|p| self.tests.runs(*p)) {
            return Err(Rejection::NotApplicable);
        }
        if self.tests.running + points.len() > MAX_AT_ONCE {
            return Err(Rejection::TooMany);
        }
        if points.iter().any(|p| self.guards_priority_1(*p)) {
            needs_second(c)?;
        }
        let here = Moment {
            wall,
            ..self.at_source(Quality::Good)
        };
        let (until, whole_ns) = deadline(c, &here, LONGEST_NS)?;
        let due = here.now.saturating_add(whole_ns);
        for p in points {
            let a = self.bypass_alarm(p);
            let m = self.at_command(a, wall);
            let permit = permit.clone();
            self.alarms[a.index()].live().detail = Some(format!("许可 {permit}"));
            let out = OutOfService { permit, until };
            self.put_out(a, out, due, &m, c)?;
        }
        Ok(())
    }

    /// Ends the test of all points named that are under one.
    pub(super) fn restore(&mut self, c: &Command, wall: Timestamp) -> Result<(), Rejection> {
        let mut points = self.points_named(&c.points)?;
        points.retain(|p| self.tests.runs(*p));
        if points.is_empty() {
            return Err(Rejection::NotApplicable);
        }
        for p in points {
            let a = self.bypass_alarm(p);
            let m = self.at_command(a, wall);
            self.lay(a, Event::BackInService { sounds: false }, &m, Some(c))?;
        }
        Ok(())
    }

    /// Tags, `area:ID`, `device:SOURCE/UNIT`, `device:SOURCE`; of this owner.
    fn points_named(&self, names: &[String]) -> Result<BTreeSet<PointIx>, Rejection> {
        let mut all = BTreeSet::new();
        for name in names {
            let points = self.table.iter().map(|(p, _)| p);
            let owned = points.filter(|p| self.points[p.index()].flags.owned);
            let named: Vec<PointIx> = owned.filter(|p| self.is_in(*p, name)).collect();
            if named.is_empty() {
                return Err(Rejection::UnknownPoint);
            }
            all.extend(named);
        }
        match all.is_empty() {
            true => Err(Rejection::Malformed),
            false => Ok(all),
        }
    }

    fn is_in(&self, p: PointIx, name: &str) -> bool {
        let def = self.table.point(p);
        if *def.tag == *name {
            return true;
        }
        if let Some(area) = name.strip_prefix("area:") {
            return !area.is_empty() && *def.area == *area;
        }
        let Some(device) = name.strip_prefix("device:") else {
            return false;
        };
        let source = &*self.table.source(def.source).id;
        let unit = match device.strip_prefix(source) {
            Some("") => return true,
            Some(rest) => rest.strip_prefix('/'),
            None => None,
        };
        match &def.binding {
            Binding::Modbus(b) => unit == Some(&*b.unit_id.to_string()),
            Binding::Mqtt(_) | Binding::Internal => false,
        }
    }

    /// Whether a point guards something of priority 1, by itself or as an input of a rule.
    fn guards_priority_1(&self, p: PointIx) -> bool {
        let touched = self.touched_by(p);
        let mut priorities = touched.iter().map(|a| self.def(*a).priority);
        priorities.any(|priority| priority == Priority::CRITICAL)
    }

    /// Everything that hangs on a point: its own alarms, and those of rules that read it.
    fn touched_by(&self, p: PointIx) -> BTreeSet<AlarmIx> {
        let rules = &self.rules;
        let own = self.levels(p).chain(self.others(p)).map(AlarmIx);
        let mut all: BTreeSet<AlarmIx> = own.collect();
        let watchers = self.watchers.get(&p).into_iter().flatten();
        for i in watchers.map(|(n, _)| &rules.instances[*n]) {
            all.extend(i.alarms.clone().map(AlarmIx));
            let of_subject = self.others(i.subject).map(AlarmIx);
            all.extend(of_subject.filter(|a| self.def(*a).rule == i.rule));
        }
        let made = (0..self.made.len()).map(|n| self.made_ix(n));
        all.extend(made.filter(|a| self.under_test(*a, p)));
        all
    }

    /// Whether an alarm that was made when it was needed hangs on a point.
    fn under_test(&self, a: AlarmIx, p: PointIx) -> bool {
        let def = self.def(a);
        let Subject::Point(subject) = def.subject else {
            return false;
        };
        let reads = || self.rules.instance_on(def.rule, subject);
        self.kind(a) != Kind::Bypass
            && (subject == p || reads().is_some_and(|i| i.inputs.contains(&p)))
    }

    /// How many inputs of an alarm are under test, and how many can make it by themselves.
    fn tested(&self, a: AlarmIx) -> (usize, usize) {
        let def = self.def(a);
        let (Subject::Point(p), true) = (def.subject, self.tests.running > 0) else {
            return (0, 1);
        };
        if self.kind(a) == Kind::Bypass {
            return (0, 1);
        }
        match self.rules.instance_on(def.rule, p) {
            Some(i) => {
                let inputs: BTreeSet<PointIx> = i.inputs.iter().copied().chain([p]).collect();
                let tested = inputs.iter().filter(|p| self.tests.runs(**p)).count();
                (tested, i.settings.alone().max(1))
            }
            None => (usize::from(self.tests.runs(p)), 1),
        }
    }

    /// Some input of it is under test: nothing of that returns anything.
    pub(super) fn is_touched(&self, a: AlarmIx) -> bool {
        self.tested(a).0 > 0
    }

    /// The test alone can make it: it is listed and sounds nowhere. One leg under test does not
    /// silence a vote of two out of three.
    pub(super) fn is_under_test(&self, a: AlarmIx) -> bool {
        let (tested, alone) = self.tested(a);
        tested >= alone
    }

    pub(super) fn is_bypassed(&self, p: PointIx) -> bool {
        self.tests.runs(p)
    }

    /// Whether a sample carries the test mark: it comes during a test, or was measured in one.
    pub(super) fn is_of_test(&self, s: &Sample) -> bool {
        if self.tests.of.is_empty() {
            return false;
        }
        self.tests.runs(s.point) || self.is_measured_in_test(s)
    }

    /// Whether a sample was measured in a test, whenever it comes.
    pub(super) fn is_measured_in_test(&self, s: &Sample) -> bool {
        let age = s.arrival_time.0.saturating_sub(s.source_time.0).max(0);
        let measured = self.now.saturating_sub(age);
        let span = self.tests.of.get(&s.point);
        span.is_some_and(|span| span.from <= measured && measured < span.to)
    }

    /// Whether a change of regions begins or ends a bypass: of which point, and which it is.
    pub(super) fn bypass_change(
        &self,
        a: AlarmIx,
        before: &Regions,
        after: &Regions,
    ) -> Option<(PointIx, bool)> {
        let (was, is) = (
            before.out_of_service.is_some(),
            after.out_of_service.is_some(),
        );
        match self.def(a).subject {
            Subject::Point(p) if was != is && self.kind(a) == Kind::Bypass => Some((p, is)),
            _ => None,
        }
    }

    /// A bypass has begun or ended, whoever or whatever ended it.
    pub(super) fn bypass_moved(
        &mut self,
        p: PointIx,
        begins: bool,
        m: &Moment,
        asked: Option<&Command>,
    ) {
        let touched = self.touched_by(p);
        if begins {
            let span = Span {
                from: m.now,
                to: NEVER,
            };
            self.tests.put(p, span);
            for a in touched {
                if self.is_under_test(a) && self.alarms[a.index()].regions().audible {
                    let m = self.of_test(a, m);
                    self.transit(a, Event::Silenced, &m, asked);
                }
            }
        } else {
            let from = self.tests.of.get(&p).map_or(m.now, |s| s.from);
            self.tests.put(p, Span { from, to: m.now });
            self.annunciate_after_test(touched, m);
        }
        // No longer, or not yet, the short way.
        self.points[p.index()].quick = false;
    }

    /// Section 2: what is put into service with its condition true always annunciates, whatever was
    /// acknowledged before or during the test.
    fn annunciate_after_test(&mut self, touched: BTreeSet<AlarmIx>, m: &Moment) {
        let stands = |a: &AlarmIx| {
            let state = &self.alarms[a.index()];
            state.is_active() && !state.is_masked() && self.sounds(*a)
        };
        let all: Vec<AlarmIx> = touched.into_iter().filter(stands).collect();
        let grouped = self.grouped;
        self.grouped |= all.len() > 1;
        for a in all {
            let m = self.of_test(a, m);
            // Refused where something else lies over it.
            self.transit(a, Event::Reannounced { sounds: true }, &m, None);
            self.note_trip(a, &m);
        }
        self.grouped = grouped;
    }

    fn of_test(&self, a: AlarmIx, m: &Moment) -> Moment {
        Moment {
            wall: m.wall,
            source_time: m.wall,
            ..self.at_deadline(a, m.now)
        }
    }

    /// The record of a bypass, made when it is first needed.
    pub(super) fn bypass_alarm(&mut self, p: PointIx) -> AlarmIx {
        let rule = self.rules.bypass;
        let same = |d: &AlarmDef| d.rule == rule && d.subject == Subject::Point(p);
        if let Some(n) = self.made.iter().position(|(_, d)| same(d)) {
            return self.made_ix(n);
        }
        let def = AlarmDef {
            priority: Priority::LOW,
            ..plain(rule, p, Level::On, 0, 0)
        };
        let tag = self.table.point(p).tag.clone();
        self.make(tag, def)
    }

    /// `bypass/TAG/on` of a point of this owner.
    pub(super) fn find_bypass(&mut self, name: &str) -> Option<AlarmIx> {
        let tag = name.strip_prefix("bypass/")?.strip_suffix("/on")?;
        let p = self.table.find(tag)?;
        let owned = self.points[p.index()].flags.owned;
        owned.then(|| self.bypass_alarm(p))
    }

    /// Tests that are over, for an image: tag, from, to. What was measured in them may still come.
    pub(super) fn saved_tests(&self) -> Vec<(Arc<str>, Timestamp, Timestamp)> {
        let over = self.tests.of.iter().filter(|(_, s)| !s.runs());
        let tag = |p: &PointIx| self.table.point(*p).tag.clone();
        over.map(|(p, s)| (tag(p), self.wall_at(s.from), self.wall_at(s.to)))
            .collect()
    }

    /// After a restart: tests that were over, and those that the records say run.
    pub(super) fn restore_tests(
        &mut self,
        saved: &[(Arc<str>, Timestamp, Timestamp)],
        instant: &dyn Fn(Timestamp) -> i64,
    ) {
        for (tag, from, to) in saved {
            if let Some(p) = self.table.find(tag) {
                let (from, to) = (instant(*from), instant(*to).min(NEVER - 1));
                self.tests.put(p, Span { from, to });
            }
        }
        for n in 0..self.made.len() {
            let a = self.made_ix(n);
            let (Subject::Point(p), Kind::Bypass) = (self.def(a).subject, self.kind(a)) else {
                continue;
            };
            let Some(live) = &self.alarms[a.index()].live else {
                continue;
            };
            if live.regions.out_of_service.is_some() {
                let began = live.last.as_ref().map(|t| instant(t.recorded_at));
                let from = began.unwrap_or(self.now);
                self.tests.put(p, Span { from, to: NEVER });
            }
        }
    }

    /// Over a reload, by tag.
    pub(super) fn move_tests(&mut self, moved: &Moved) {
        for (p, span) in std::mem::take(&mut self.tests).of {
            if let Some(p) = moved.point(p) {
                self.tests.put(p, span);
            }
        }
    }
}
