//! A sample's way: admitted or only history; then stuck, overlay, levels, consequences.

use davy_points::{Life, PointIx, Quality, QualityClass, Sample, SourceIx, Timestamp, Value};

use super::state::{NEVER, PointState};
use super::timers::Deadline;
use super::{Engine, Moment, SKEW_LIMIT_NS, finite};
use crate::grammar::ns;
use crate::kinds::Reading;
use crate::ruleset::{AlarmIx, Kind};

/// What becomes of a sample in live evaluation (3.9).
enum Admission {
    /// To history only, with this quality.
    History(Quality),
    /// The same, and older than the newest: what it completes may be retrospective.
    Late(Quality),
    /// Judged with this quality as of this time.
    Live { quality: Quality, time: i64 },
}

impl Engine {
    /// The short way: a Good sample in time, with nothing for any alarm to do. Allocates nothing.
    #[inline]
    pub(super) fn nothing_can_happen(&mut self, s: &Sample, now: i64) -> bool {
        let Some(p) = self.points.get_mut(s.point.index()) else {
            return false;
        };
        let Value::F64(v) = s.value else { return false };
        let age = s.arrival_time.0.wrapping_sub(s.source_time.0);
        let quiet = p.quick
            && s.quality.is_good()
            && v >= p.quiet.0
            && v <= p.quiet.1
            && s.source_time.0 > p.newest
            && age >= 0
            && age <= p.max_age;
        if quiet {
            p.newest = s.source_time.0;
            p.newest_seq = s.seq;
            p.last_arrival = now;
            p.value = Value::F64(v);
        }
        quiet
    }

    pub(super) fn sample(&mut self, s: &Sample, wall: Timestamp) -> Option<Quality> {
        let p = s.point;
        if !self.points.get(p.index())?.flags.owned {
            return Some(s.quality);
        }
        let of_test = self.is_of_test(s);
        let stored = |q: Quality| match of_test {
            true => Quality::UncertainTest,
            false => q,
        };
        let (measured, time) = match self.admit(s) {
            Admission::History(q) => return Some(stored(q)),
            Admission::Late(q) => {
                // A bump is no alarm that anybody missed.
                if !self.is_measured_in_test(s) {
                    self.late(s, q);
                }
                return Some(stored(q));
            }
            Admission::Live { quality, time } if quality.is_bad() => (quality, time),
            Admission::Live { quality, time } => (stored(quality), time),
        };
        let point = &mut self.points[p.index()];
        point.newest = time;
        point.newest_seq = s.seq;
        point.last_arrival = self.now;
        point.value = s.value.clone();
        point.flags.seen = true;
        point.flags.stale = false;
        point.flags.down = false;
        let earliest = s.arrival_time.0.saturating_sub(point.max_age);
        let start = time.clamp(earliest, s.arrival_time.0.max(earliest));
        let mut m = Moment {
            now: self.now,
            wall,
            event: self
                .now
                .saturating_sub(s.arrival_time.0.saturating_sub(start)),
            start: Timestamp(start),
            source_time: s.source_time,
            value: finite(&s.value),
            quality: measured,
        };
        let source = self.table.point(p).source;
        self.sources[source.index()].down = false;
        // In a storm only what is well again is no part of it.
        let well = measured.is_good() || !(measured.is_bad() || self.sources[source.index()].storm);
        let heard = well && self.heard(p, source);

        let number = s.value.number();
        let windowed = self.points[p.index()].flags.windowed;
        if windowed {
            self.judge_stuck(p, number, measured, time, &m);
        }
        // Rules on a stuck point are Unknown: it may raise, it returns nothing.
        let q = if self.points[p.index()].flags.stuck {
            measured.worst(Quality::UncertainLastUsable)
        } else {
            measured
        };
        m.quality = q;
        let finite = number.is_some_and(f64::is_finite);
        let usable = !q.is_bad() && finite;
        let point = &mut self.points[p.index()];
        point.quality = q;
        if usable {
            point.gap_start = NEVER;
        } else if point.gap_start == NEVER {
            point.gap_start = m.event;
        }
        if finite {
            point.lost_start = NEVER;
        } else if point.lost_start == NEVER {
            point.lost_start = m.event;
        }
        self.overlay(p, &m);
        self.judge_levels(p, number, q, &m);
        self.settle(self.levels(p), &m);
        self.judge_bad_policy(p, q.class(), &m);
        self.judge_signal(p, measured, &m);
        if measured.is_good() {
            self.source_shows_good(source, &m);
        }
        if heard {
            self.startup_heard(&m);
        }
        if self.points[p.index()].flags.late_waits {
            self.tell_late(p);
        }
        if windowed {
            let value = number.filter(|v| v.is_finite());
            let r = Reading {
                time,
                at: m.event,
                value,
                // A text says nothing to a judge, however good it is.
                class: value.map_or(QualityClass::Bad, |_| q.class()),
            };
            self.feed(p, &r, q, &m);
            self.judge_witnesses(p, time);
            self.judge_causes(p, &m);
            self.judge_modes(p);
        }
        let point = &mut self.points[p.index()];
        if q.is_good() {
            point.flags.zero_delay = false;
        }
        self.queue_stale(p);
        self.quicken(p);
        Some(stored(q))
    }

    /// Something but Bad has come of a point: what stood for its source stands for it no longer.
    fn heard(&mut self, p: PointIx, source: SourceIx) -> bool {
        self.sources[source.index()].alive = true;
        let unheard = std::mem::take(&mut self.points[p.index()].flags.unheard);
        unheard && self.table.point(p).life == Life::InService
    }

    fn admit(&mut self, s: &Sample) -> Admission {
        let p = s.point;
        let quality = match s.value.number() {
            // 3.13: NaN and infinities are never Good; nor is what is not there.
            Some(v) if !v.is_finite() && !s.quality.is_bad() => Quality::BadSensorFailure,
            None if matches!(s.value, Value::NoData(_)) && !s.quality.is_bad() => {
                Quality::BadSensorFailure
            }
            // A text says nothing to a limit.
            None if !self.levels(p).is_empty() && !s.quality.is_bad() => Quality::BadConfiguration,
            _ => s.quality,
        };
        let source = self.table.point(p).source;
        let arrival = s.arrival_time.0;
        let max_age = self.points[p.index()].max_age;
        let future = !self.sources[source.index()].recorded
            && s.source_time.0.saturating_sub(arrival) > SKEW_LIMIT_NS;
        let time = s.source_time.0.min(arrival);
        let old = arrival.saturating_sub(time) > max_age;
        let duplicate = |newest: &PointState| time == newest.newest && s.seq <= newest.newest_seq;
        if self.sources[source.index()].suspect.is_some() {
            let in_time = !future && !old;
            if !self.clock_recovers(source, p, s.source_time.0, in_time) {
                if duplicate(&self.points[p.index()]) {
                    return Admission::History(quality);
                }
                // 3.10: re-anchored to arrival, Uncertain.
                return Admission::Live {
                    quality: quality.worst(Quality::UncertainClock),
                    time: arrival,
                };
            }
        }
        let point = &self.points[p.index()];
        if duplicate(point) {
            return Admission::History(quality);
        }
        let late = time < point.newest;
        if future || late {
            if self.clock_misses(source) {
                self.suspect_clock(source, p, s.source_time.0);
                return Admission::Live {
                    quality: quality.worst(Quality::UncertainClock),
                    time: arrival,
                };
            }
            return match future {
                true => Admission::History(quality),
                false => Admission::Late(quality),
            };
        }
        self.sources[source.index()].run_start = None;
        Admission::Live {
            quality: if old {
                quality.worst(Quality::UncertainLastUsable)
            } else {
                quality
            },
            time,
        }
    }

    /// One queued deadline per point: the next at which its silence means something.
    pub(super) fn queue_stale(&mut self, p: PointIx) {
        if self.points[p.index()].flags.stale_queued {
            return;
        }
        if let Some(due) = self.stale_due(p) {
            self.points[p.index()].flags.stale_queued = true;
            self.timers.push(due, Deadline::Stale { point: p });
        }
    }

    fn stale_due(&self, p: PointIx) -> Option<i64> {
        let point = &self.points[p.index()];
        if !point.flags.owned {
            return None;
        }
        let after = ns(self.table.point(p).stale_after);
        let overlay = (after > 0 && !point.flags.stale).then_some(after);
        let alarms = self.others(p).map(AlarmIx).filter_map(|a| {
            let idle = self.kind(a) == Kind::Stale && !self.alarms[a.index()].is_active();
            idle.then_some(self.def(a).on_delay_ns)
        });
        overlay
            .into_iter()
            .chain(alarms)
            .min()
            .map(|after| point.last_arrival.saturating_add(after))
    }

    /// Silence was allowed until `due`, and something stricter than that has passed (8.7).
    pub(super) fn stale_over(&mut self, p: PointIx, due: i64) {
        self.points[p.index()].flags.stale_queued = false;
        if self.stale_due(p) != Some(due) {
            self.queue_stale(p);
            return;
        }
        let m = self.at_point(p, due, Quality::BadStale);
        let since = due.saturating_sub(self.points[p.index()].last_arrival);
        let after = ns(self.table.point(p).stale_after);
        if after > 0 && since >= after && !self.points[p.index()].flags.stale {
            let point = &mut self.points[p.index()];
            point.flags.stale = true;
            point.quick = false;
            point.gap_start = point.gap_start.min(due);
            point.lost_start = point.lost_start.min(due);
            self.overlay(p, &m);
            self.blind_levels(p, &m);
            self.feed_loss(p, Quality::BadStale, &m);
            self.judge_witnesses(p, m.start.0);
            self.judge_causes(p, &m);
            self.judge_modes(p);
        }
        for i in self.others(p) {
            let a = AlarmIx(i);
            if self.kind(a) == Kind::Stale
                && self.def(a).on_delay_ns <= since
                && !self.alarms[a.index()].is_active()
            {
                self.points[p.index()].quick = false;
                self.raise(a, m.start, false, &m);
            }
        }
        self.queue_stale(p);
    }

    /// Whether the short way may be taken from now on.
    pub(super) fn quicken(&mut self, p: PointIx) {
        let source = &self.sources[self.table.point(p).source.index()];
        let calm = !source.down
            && source.suspect.is_none()
            && source.run_start.is_none()
            && !self.alarms[self.rules.of_source(self.table.point(p).source).index()].is_active();
        let bypassed = self.is_bypassed(p);
        let signal_at_rest = self
            .others(p)
            .all(|i| self.alarms[i as usize].condition() == crate::alarm::Condition::Normal);
        let quiet = self.quiet_band(p);
        let point = &mut self.points[p.index()];
        point.quiet = quiet;
        point.quick = calm
            && !bypassed
            && signal_at_rest
            && point.known()
            && !point.flags.windowed
            && !point.flags.late_waits;
    }
}
