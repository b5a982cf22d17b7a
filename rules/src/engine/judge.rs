//! Verdicts into conditions: entry, exit, the two delays, overlays and masks. All kinds pass
//! through [`Engine::apply`]; what differs is only how a verdict comes about.

use davy_points::{PointIx, Quality, QualityClass, Timestamp};

use super::state::NEVER;
use super::timers::Deadline;
use super::{Engine, Moment};
use crate::alarm::{Condition, Eval, Event, Level};
use crate::ruleset::{AlarmIx, Kind, OnBad, Side, Subject, order};

/// A source that gives nothing is known to be lost after three seconds at the latest
/// (`acquisition.md`); until then a point without an answer has no alarm of its own.
const CONFIRM_NS: i64 = 3_500_000_000;

/// What an input says of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The entry condition holds, on usable input.
    Enter,
    /// Usable, neither entry nor a proof of exit: within the deadband, or Uncertain.
    Between {
        /// The input is Good.
        good: bool,
    },
    /// The exit condition holds, on Good input.
    Exit,
    /// The input says nothing.
    Blind,
}

impl Engine {
    pub(super) fn apply(&mut self, a: AlarmIx, verdict: Verdict, m: &Moment) {
        // Nothing returns, and no delay is cancelled, by what is under test.
        let verdict = match verdict {
            Verdict::Exit | Verdict::Between { good: true } if self.is_touched(a) => {
                Verdict::Between { good: false }
            }
            verdict => verdict,
        };
        if self.editing.is_some() {
            self.apply_edit(a, verdict, m);
            return;
        }
        let condition = self.alarms[a.index()].condition();
        match (condition, verdict) {
            (Condition::Normal, Verdict::Enter) => self.enter(a, m),
            (Condition::PendingOn, Verdict::Exit) => self.cancel(a),
            (Condition::PendingOn, Verdict::Between { good: true }) if self.rule(a).strict => {
                self.cancel(a);
            }
            (Condition::PendingOn, Verdict::Enter | Verdict::Between { .. }) => {
                let live = self.alarms[a.index()].live();
                // 8.18: its deadline passed blind, and this sample does not cancel it.
                if live.overdue {
                    let start = live.pending_start;
                    self.raise(a, start, false, m);
                }
            }
            (Condition::Active, Verdict::Exit) => {
                let def = self.def(a);
                let unbroken = def.side().is_some() || self.off_delay(a) > 0;
                let stepped_at = self.stepped_at;
                let live = self.alarms[a.index()].live();
                live.regions.condition = Condition::PendingOff;
                // 8.4: what was measured before the last interruption counts from its end.
                live.pending = match unbroken {
                    true => m.event.max(live.pending).max(stepped_at),
                    false => m.event,
                };
                self.leave(a, m);
            }
            (Condition::PendingOff, Verdict::Exit) => self.leave(a, m),
            // 8.4: from zero again.
            (Condition::PendingOff | Condition::Active, _) => {
                let live = self.alarms[a.index()].live();
                live.regions.condition = Condition::Active;
                live.pending = live.pending.max(m.event);
                if matches!(verdict, Verdict::Enter | Verdict::Between { good: true }) {
                    live.edited = None;
                }
            }
            (Condition::Normal, _) | (Condition::PendingOn, Verdict::Blind) => {}
        }
    }

    pub(super) fn enter(&mut self, a: AlarmIx, m: &Moment) {
        let def = *self.def(a);
        let zero_delay = match def.subject {
            Subject::Point(p) => {
                self.points[p.index()].flags.zero_delay && self.rules.is_safety(&def)
            }
            Subject::Source(_) | Subject::Part(_) => false,
        };
        // The silence that `stale` allows is no delay of an arrival.
        let delay = match (self.kind(a), m.quality) {
            _ if zero_delay => 0,
            // No answer: first it is seen whether the whole source is lost.
            (Kind::Quality, Quality::BadCommunication | Quality::BadNotConnected) => {
                def.on_delay_ns.max(CONFIRM_NS)
            }
            _ => def.on_delay_ns,
        };
        let deadline = m.event.saturating_add(delay);
        // 8.18: a delay already over when its entry sample arrives fires at that arrival.
        if deadline <= m.now {
            self.raise(a, m.start, false, m);
            return;
        }
        let live = self.alarms[a.index()].live();
        live.regions.condition = Condition::PendingOn;
        live.pending = m.event;
        live.pending_start = m.start;
        live.deadline = deadline;
        live.overdue = false;
        self.timers.push(
            deadline,
            Deadline::OnDelay {
                badness: order(def.level),
                alarm: a,
            },
        );
    }

    /// Active, masked where something stands for it.
    pub(super) fn raise(&mut self, a: AlarmIx, start: Timestamp, assumed: bool, m: &Moment) {
        let masked = self.is_stood_for(a);
        self.activate(a, start, assumed, masked, m);
    }

    pub(super) fn cancel(&mut self, a: AlarmIx) {
        let live = self.alarms[a.index()].live();
        live.regions.condition = Condition::Normal;
        live.deadline = NEVER;
        live.overdue = false;
        self.alarms[a.index()].rest();
    }

    /// Row 3, 8.4, 8.17: the sample itself stands at or after the end of the off-delay. 8.9: not
    /// while a worse level is active.
    fn leave(&mut self, a: AlarmIx, m: &Moment) {
        let def = *self.def(a);
        let start = self.alarms[a.index()].live().pending;
        if m.event >= start.saturating_add(self.off_delay(a)) && self.worse_active(a).is_none() {
            let live = self.alarms[a.index()].live();
            let event = if live.unseen && !live.regions.acked && def.side().is_none() {
                Event::ReturnedUnseen
            } else if live
                .edited
                .is_some_and(|e| !def.is_beyond_exit(&m.value, e.limit))
            {
                Event::ReturnedByEdit
            } else {
                Event::Returned
            };
            self.transit(a, event, m, None);
        }
    }

    /// An on-delay ended.
    pub(super) fn on_delay_over(&mut self, a: AlarmIx, due: i64) {
        let Some(live) = &self.alarms[a.index()].live else {
            return;
        };
        if !live.is_pending_on() || live.deadline != due || live.overdue {
            return;
        }
        let start = live.pending_start;
        let m = self.at_deadline(a, due);
        self.end_of_on_delay(a, start, due, &m);
    }

    /// 3.6: the gap so far decides; equal is within.
    pub(super) fn end_of_on_delay(&mut self, a: AlarmIx, start: Timestamp, due: i64, m: &Moment) {
        let def = *self.def(a);
        let instance = self.rules.instance_of(a).map(|(n, _)| n);
        let judged = def.side().is_some() || instance.is_some();
        let (Subject::Point(p), true) = (def.subject, judged) else {
            self.raise(a, start, false, m);
            return;
        };
        let gap = match instance {
            Some(n) => self.gap_of_instance(n, due),
            None => self.gap_at(a, p, due),
        };
        let within = gap <= self.gap_tolerance(a, p);
        if within || self.rules.is_safety(&def) {
            self.raise(a, start, !within, m);
            self.settle(self.siblings(a, p), m);
        } else {
            self.alarms[a.index()].live().overdue = true;
            if let Some(blind) = self.blind_alarm_of(a, p) {
                self.apply(blind, Verdict::Enter, m);
            }
        }
    }

    pub(super) fn gap_tolerance(&self, a: AlarmIx, p: PointIx) -> i64 {
        self.rule(a).gap_tolerance_ns.unwrap_or_else(|| {
            let interval = self.table.point(p).expected_interval;
            crate::grammar::ns(interval).saturating_mul(2)
        })
    }

    /// 8.6. Under `use_value` a finite Bad value is no gap (8.18).
    fn gap_at(&self, a: AlarmIx, p: PointIx, due: i64) -> i64 {
        let point = &self.points[p.index()];
        let start = match self.rule(a).on_bad {
            OnBad::UseValue => point.lost_start,
            OnBad::Hold | OnBad::Alarm => point.gap_start,
        };
        match start {
            NEVER => 0,
            start => due.saturating_sub(start).max(0),
        }
    }

    /// All level alarms of a point, worst first on each side.
    pub(super) fn judge_levels(&mut self, p: PointIx, value: Option<f64>, q: Quality, m: &Moment) {
        let finite = value.filter(|v| v.is_finite());
        for i in self.levels(p) {
            let a = AlarmIx(i);
            let verdict = self.level_verdict(a, finite, q);
            self.apply(a, verdict, m);
        }
    }

    /// What a value says of a level.
    pub(super) fn level_verdict(&self, a: AlarmIx, finite: Option<f64>, q: Quality) -> Verdict {
        let def = self.def(a);
        let use_value = q.is_bad() && self.rules.rule(def.rule).on_bad == OnBad::UseValue;
        match finite {
            Some(v) if !q.is_bad() || use_value => {
                let (enter, exit) = def.bounds();
                let (entered, left) = match def.side() {
                    // 8.1: mirrored.
                    Some(Side::Low) => (v <= enter, v > exit),
                    _ => (v >= enter, v < exit),
                };
                if entered {
                    Verdict::Enter
                } else if left && q.is_good() {
                    Verdict::Exit
                } else {
                    // 3.1: Uncertain may raise, never return.
                    Verdict::Between { good: q.is_good() }
                }
            }
            _ => Verdict::Blind,
        }
    }

    /// Masks that follow from what this instant made active or returned (3.8, 8.9, 8.23).
    pub(super) fn settle(&mut self, of: std::ops::Range<u32>, m: &Moment) {
        for i in of.clone() {
            let worse = AlarmIx(i);
            if std::mem::take(&mut self.alarms[worse.index()].fresh) {
                self.stand_for_lesser(worse, of.end, m);
            }
        }
        for a in of.map(AlarmIx) {
            if self.def(a).side().is_none() {
                continue;
            }
            let state = &self.alarms[a.index()];
            let (active, masked) = (state.is_active(), state.is_masked());
            let stood_for = active && self.worse_stands(a).is_some();
            if masked && !stood_for {
                let sounds = self.sounds(a);
                self.transit(a, Event::Unmasked { sounds }, m, None);
            } else if active && !masked && stood_for {
                self.transit(a, Event::Masked, m, None);
            }
        }
    }

    /// The alarms among which one masks another: the levels of a point, or those of an instance.
    pub(super) fn siblings(&self, a: AlarmIx, p: PointIx) -> std::ops::Range<u32> {
        match self.rules.instance_of(a) {
            Some((_, i)) => i.alarms.clone(),
            None => self.levels(p),
        }
    }

    /// HH becoming active makes H active at once, masked.
    fn stand_for_lesser(&mut self, worse: AlarmIx, end: u32, m: &Moment) {
        let (rule, side) = (self.def(worse).rule, self.def(worse).side());
        let (start, assumed) = match &self.alarms[worse.index()].live {
            Some(l) => (l.condition_start.unwrap_or(m.start), l.assumed),
            None => return,
        };
        for i in worse.0 + 1..end {
            let lesser = AlarmIx(i);
            let def = self.def(lesser);
            if def.rule != rule || def.side() != side {
                continue;
            }
            let own = self.alarms[lesser.index()]
                .live
                .as_ref()
                .filter(|l| l.is_pending_on())
                .map(|l| l.pending_start);
            match self.alarms[lesser.index()].condition() {
                // 8.23: its own pending start, else that of HH with its flag.
                Condition::Normal | Condition::PendingOn => {
                    let (start, assumed) = own.map_or((start, assumed), |own| (own, false));
                    let masked = self.worse_stands(lesser).is_some();
                    self.activate(lesser, start, assumed, masked, m);
                }
                Condition::Active | Condition::PendingOff => {
                    if self.worse_stands(lesser).is_some() {
                        self.transit(lesser, Event::Masked, m, None);
                    }
                }
            }
        }
    }

    /// The UNKNOWN overlay follows the point (8.8). One record per level alarm, only on change;
    /// the UNKNOWN of a start has none until something is known (section 2, restart).
    pub(super) fn overlay(&mut self, p: PointIx, m: &Moment) {
        let known = self.points[p.index()].known();
        let (eval, event) = if known {
            (Eval::Known, Event::Seen)
        } else {
            (Eval::Unknown, Event::Blinded)
        };
        for i in self.levels(p) {
            let a = AlarmIx(i);
            let state = &mut self.alarms[a.index()];
            // What its last record says; of one that has said nothing, Known.
            let last = state.live.as_ref().and_then(|l| l.last.as_ref());
            let told = last.map_or(Eval::Known, |t| t.regions.after.eval);
            match (told == eval, state.eval() == eval) {
                (true, _) => match &mut state.live {
                    Some(live) => live.regions.eval = eval,
                    None => state.unknown = !known,
                },
                (false, true) => self.announce_unknown(a, m),
                (false, false) => {
                    self.transit(a, event.clone(), m, None);
                }
            }
        }
    }

    /// Staleness, source-down: off-delays end, the condition is kept (8.4, 3.4).
    pub(super) fn blind_levels(&mut self, p: PointIx, m: &Moment) {
        for i in self.levels(p) {
            self.apply(AlarmIx(i), Verdict::Blind, m);
        }
        self.judge_bad_policy(p, QualityClass::Bad, m);
    }

    /// Level `bad` of rules with `on_bad = "alarm"` (3.4).
    pub(super) fn judge_bad_policy(&mut self, p: PointIx, class: QualityClass, m: &Moment) {
        for i in self.others(p) {
            let a = AlarmIx(i);
            if self.kind(a) == Kind::Level && self.def(a).level == Level::Bad {
                let verdict = match class {
                    QualityClass::Bad => Verdict::Enter,
                    QualityClass::Uncertain => Verdict::Between { good: false },
                    QualityClass::Good => Verdict::Exit,
                };
                self.apply(a, verdict, m);
            }
        }
    }

    /// What judges the signal itself, once a sample was admitted.
    pub(super) fn judge_signal(&mut self, p: PointIx, q: Quality, m: &Moment) {
        for i in self.others(p) {
            let a = AlarmIx(i);
            let def = self.def(a);
            let verdict = match (self.kind(a), def.level) {
                // 8.7: any admitted sample, Good or not, ends staleness.
                (Kind::Stale, _) if self.alarms[a.index()].is_active() => Verdict::Exit,
                // A test is no fault of the instrument.
                (Kind::Quality, _) if q == Quality::UncertainTest && self.is_bypassed(p) => {
                    Verdict::Between { good: false }
                }
                (Kind::Quality, _) if self.rule(a).classes.contains(&q.class()) => Verdict::Enter,
                (Kind::Quality, _) if q.is_good() => Verdict::Exit,
                (Kind::Quality, _) => Verdict::Between { good: false },
                // 8.19: returns at the first Good sample.
                (Kind::Level, Level::LossOfView) if q.is_good() => Verdict::Exit,
                _ => continue,
            };
            self.apply(a, verdict, m);
        }
    }

    /// While a Good value lies within, no level alarm of the point can change (8.1).
    pub(super) fn quiet_band(&self, p: PointIx) -> (f64, f64) {
        let (mut low, mut high) = (f64::MIN, f64::MAX);
        for i in self.levels(p) {
            let a = AlarmIx(i);
            let def = self.def(a);
            let (enter, exit) = def.bounds();
            let low_side = def.side() == Some(Side::Low);
            match (self.alarms[a.index()].condition(), low_side) {
                (Condition::Normal, false) => high = high.min(enter.next_down()),
                (Condition::Normal, true) => low = low.max(enter.next_up()),
                (Condition::Active, false) => low = low.max(exit),
                (Condition::Active, true) => high = high.min(exit),
                // A delay runs: every sample counts.
                (Condition::PendingOn | Condition::PendingOff, _) => {
                    return (f64::INFINITY, f64::NEG_INFINITY);
                }
            }
        }
        (low, high)
    }
}
