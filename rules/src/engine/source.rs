//! Sources, clocks and parts of the process: what stands for many points at once.

use std::sync::Arc;

use davy_points::{
    Binding, Life, NoData, PointIx, Priority, Quality, SourceEvent, SourceIx, Value,
};

use super::judge::Verdict;
use super::state::{Recovery, SourceState};
use super::{Engine, Moment};
use crate::alarm::Level;
use crate::ruleset::{AlarmDef, AlarmIx, FLOOD, STARTUP, Shade, Subject};

impl Engine {
    pub(super) fn source_status(&mut self, e: SourceEvent) {
        let Some(source) = self.sources.get_mut(e.source.index()) else {
            return;
        };
        if source.points.is_empty() || source.down != e.up {
            return;
        }
        source.down = !e.up;
        if e.up {
            // Nothing is known of the points until samples come (8.8).
            return;
        }
        source.storm = false;
        let points = source.points.clone();
        for &p in &points {
            let point = &mut self.points[p.index()];
            point.flags.down = true;
            point.flags.unheard = true;
            point.quick = false;
            // What never came was never Known: no change, no record.
            if point.flags.seen {
                let m = self.at_point(p, self.now, e.quality);
                self.overlay(p, &m);
            }
        }
        for &p in &points {
            let m = self.at_point(p, self.now, e.quality);
            self.blind_levels(p, &m);
            self.feed_loss(p, e.quality, &m);
            self.judge_witnesses(p, m.start.0);
            self.judge_causes(p, &m);
            self.judge_modes(p);
        }
        self.count_unheard();
        let m = self.at_source(e.quality);
        self.raise_source(e.source, Shade::Plain, None, &m);
    }

    /// A part of the process works or does not: alarm `system/<part>/on`, priority 1.
    pub(super) fn health(&mut self, part: &str, ok: bool, detail: &str) {
        let a = match self.part(part) {
            Some(a) => a,
            None if ok => return,
            None => self.add_part(part),
        };
        let m = Moment {
            value: Value::Bool(ok),
            quality: Quality::Good,
            ..self.at_source(Quality::Good)
        };
        if ok {
            self.apply(a, Verdict::Exit, &m);
        } else {
            if !self.alarms[a.index()].is_active() {
                self.alarms[a.index()].live().detail = Some(detail.to_owned());
            }
            self.apply(a, Verdict::Enter, &m);
        }
    }

    pub(super) fn part(&self, part: &str) -> Option<AlarmIx> {
        let n = self.made.iter().position(|(name, def)| {
            matches!(def.subject, Subject::Part(_))
                && def.rule == self.rules.system
                && &**name == part
        })?;
        Some(self.made_ix(n))
    }

    #[allow(clippy::cast_possible_truncation)] // fewer than 2^32 alarms by construction
    pub(super) fn made_ix(&self, n: usize) -> AlarmIx {
        AlarmIx((self.rules.alarms.len() + n) as u32)
    }

    /// The place of the next alarm that is made.
    #[allow(clippy::cast_possible_truncation)] // a process has few of them
    pub(super) fn next_made(&self) -> u32 {
        self.made.len() as u32
    }

    /// One more alarm than the rules have.
    pub(super) fn make(&mut self, name: Arc<str>, def: AlarmDef) -> AlarmIx {
        self.made.push((name, def));
        self.alarms.push(super::state::AlarmState::default());
        self.made_ix(self.made.len() - 1)
    }

    pub(super) fn add_part(&mut self, part: &str) -> AlarmIx {
        if let Some(there) = self.part(part) {
            return there;
        }
        let def = AlarmDef {
            rule: self.rules.system,
            subject: Subject::Part(self.next_made()),
            level: Level::On,
            // Single alarms of what is missing, or came, have their own priority.
            priority: match part {
                STARTUP | FLOOD => Priority::MEDIUM,
                _ => Priority::CRITICAL,
            },
            limit: None,
            deadband: 0.0,
            on_delay_ns: 0,
            off_delay_ns: 0,
        };
        self.make(part.into(), def)
    }

    pub(super) fn at_source(&self, quality: Quality) -> Moment {
        let wall = self.wall_at(self.now);
        Moment {
            now: self.now,
            wall,
            event: self.now,
            start: wall,
            source_time: wall,
            value: Value::none(NoData::LinkDown),
            quality,
        }
    }

    /// A Good sample came: what stood for the source may go (8.19).
    pub(super) fn source_shows_good(&mut self, source: SourceIx, m: &Moment) {
        let a = self.rules.of_source(source);
        let state = &mut self.sources[source.index()];
        state.storm = state.storm && state.masked > 0;
        // While its clock is suspect nothing of it is Good.
        let lost = state.down || state.storm || state.suspect.is_some();
        if lost || !self.alarms[a.index()].is_active() {
            return;
        }
        let m = Moment {
            value: Value::none(NoData::Null),
            ..m.clone()
        };
        self.apply(a, Verdict::Exit, &m);
        self.source_returned(source);
    }

    /// A late or future sample: true where the clock becomes suspect with it (8.20).
    pub(super) fn clock_misses(&mut self, source: SourceIx) -> bool {
        let now = self.now;
        let state = &mut self.sources[source.index()];
        if state.recorded || state.suspect_after <= 0 {
            return false;
        }
        match state.run_start {
            Some(since) => now.saturating_sub(since) >= state.suspect_after,
            None => {
                state.run_start = Some(now);
                for p in &state.points {
                    self.points[p.index()].quick = false;
                }
                false
            }
        }
    }

    pub(super) fn suspect_clock(&mut self, source: SourceIx, p: PointIx, raw: i64) {
        let state = &mut self.sources[source.index()];
        state.run_start = None;
        state.suspect = Some(Recovery {
            good_since: None,
            raw: [(p, raw)].into(),
        });
        let m = self.at_source(Quality::UncertainClock);
        self.raise_source(source, Shade::Clock, None, &m);
    }

    /// A sample of a suspect source: true where its clock is believed again from this one on.
    pub(super) fn clock_recovers(
        &mut self,
        source: SourceIx,
        p: PointIx,
        raw: i64,
        in_time: bool,
    ) -> bool {
        let now = self.now;
        let state = &mut self.sources[source.index()];
        let Some(recovery) = &mut state.suspect else {
            return true;
        };
        let newer = recovery
            .raw
            .insert(p, raw)
            .is_none_or(|before| raw > before);
        if !(in_time && newer) {
            recovery.good_since = None;
            return false;
        }
        let since = *recovery.good_since.get_or_insert(now);
        if now.saturating_sub(since) < state.suspect_after {
            return false;
        }
        state.suspect = None;
        // Live times were arrivals meanwhile: a sample in time is not late for having been sent
        // before the last one arrived.
        for p in &state.points {
            if let Some(point) = self.points.get_mut(p.index()) {
                point.newest = point.newest.min(raw.saturating_sub(1));
            }
        }
        true
    }

    /// 1: labels move, delays do not. A step makes no transition; windows over event time are
    /// begun again, for a step can neither prove nor disprove that a value stands still.
    pub(super) fn clock_step(&mut self, by_ns: i64) {
        for source in &mut self.sources {
            if source.recorded {
                continue;
            }
            for p in &source.points {
                let gateway_clock = stamped_by_us(&self.table.point(*p).binding);
                // Stamps of our own clock step back with it; they are not late for that.
                if gateway_clock && by_ns < 0 {
                    let point = &mut self.points[p.index()];
                    point.newest = point.newest.saturating_add(by_ns);
                }
            }
        }
        self.stepped_at = self.now;
        self.restart_windows();
        self.restart_judges();
    }

    pub(super) fn new_source(&self, source: SourceIx, points: Vec<PointIx>) -> SourceState {
        let intervals = points
            .iter()
            .map(|p| crate::grammar::ns(self.table.point(*p).expected_interval));
        let same = |field: fn(&davy_points::PointDef) -> &Arc<str>| -> Arc<str> {
            let mut values = points.iter().map(|p| field(self.table.point(*p)));
            match values.next() {
                Some(first) if values.all(|v| v == first) => first.clone(),
                _ => "".into(),
            }
        };
        SourceState {
            suspect_after: intervals.max().unwrap_or(0).saturating_mul(3),
            recorded: self.table.source(source).recorded,
            hazard: same(|p| &p.hazard),
            area: same(|p| &p.area),
            in_service: points
                .iter()
                .filter(|p| self.table.point(**p).life == Life::InService)
                .count(),
            points,
            ..SourceState::default()
        }
    }
}

/// Whether samples carry the time of our own clock.
pub(super) fn stamped_by_us(binding: &Binding) -> bool {
    matches!(binding, Binding::Modbus(_) | Binding::Internal)
}
