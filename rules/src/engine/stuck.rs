//! `stuck`: samples arrive, the value does not move, though something else says that it should
//! (section 4; 8.16). [Buncefield: the gauge stood still for hours while the tank filled.]
//!
//! Event time throughout. Memory is bounded whatever comes: the two monotonic queues and the
//! list of uncovered spans each keep so many entries and merge neighbours beyond that.

use std::collections::VecDeque;
use std::sync::Arc;

use davy_points::{PointIx, Quality};

use super::judge::Verdict;
use super::reload::Moved;
use super::{Engine, Moment};
use crate::grammar::{Expression, Kleene, ns};
use crate::ruleset::{AlarmIx, Kind, Shade};

/// Entries kept by each queue.
const KEPT: usize = 64;

/// A fifth of the window may lie uncovered: 1 − `min_coverage` (3.12).
const UNCOVERED_PARTS: i64 = 5;

/// What a point's samples mean for windows.
#[derive(Debug, Default)]
pub(super) struct Windows {
    stuck: Vec<usize>,
    witnesses: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct StuckState {
    pub(super) alarm: AlarmIx,
    window: i64,
    epsilon: f64,
    pub(super) witness: Option<usize>,
    still: Stillness,
}

impl StuckState {
    /// After an edit: what was seen still counts, where it means the same.
    pub(super) fn go_on_as(&mut self, before: StuckState) {
        if before.epsilon.to_bits() == self.epsilon.to_bits() && self.window <= before.window {
            self.still = before.still;
        }
    }
}

/// How long a value has stood still.
#[derive(Debug, Default)]
struct Stillness {
    /// First Good sample.
    first: Option<i64>,
    /// Newest sample of any quality, and whether it was Good.
    newest: Option<(i64, bool)>,
    /// Newest sample that lies more than epsilon from some later one.
    moved: Option<i64>,
    max: VecDeque<(f64, i64)>,
    min: VecDeque<(f64, i64)>,
    /// Spans without Good data: start and end.
    uncovered: VecDeque<(i64, i64)>,
}

impl Stillness {
    /// A sample that is not Good: from here on uncovered.
    fn lose(&mut self, time: i64, silence: i64) {
        self.cover(time, false, silence);
    }

    fn take(&mut self, v: f64, time: i64, epsilon: f64, silence: i64) {
        self.cover(time, true, silence);
        self.first.get_or_insert(time);
        push(&mut self.max, v, time, |new, old| new >= old);
        push(&mut self.min, v, time, |new, old| new <= old);
        while let (Some(&(high, t_high)), Some(&(low, t_low))) =
            (self.max.front(), self.min.front())
        {
            if high - low <= epsilon {
                break;
            }
            let gone = if t_high < t_low {
                self.max.pop_front();
                t_high
            } else {
                self.min.pop_front();
                t_low
            };
            self.moved = Some(self.moved.map_or(gone, |m| m.max(gone)));
        }
    }

    /// Notes what lay uncovered since the sample before.
    fn cover(&mut self, time: i64, good: bool, silence: i64) {
        if let Some((before, was_good)) = self.newest {
            let from = if was_good {
                before.saturating_add(silence)
            } else {
                before
            };
            if from < time {
                match self.uncovered.back_mut() {
                    Some(last) if last.1 == from => last.1 = time,
                    _ => self.uncovered.push_back((from, time)),
                }
                if self.uncovered.len() > KEPT
                    && let Some(oldest) = self.uncovered.pop_front()
                    && let Some(next) = self.uncovered.front_mut()
                {
                    next.0 = oldest.0;
                }
            }
        }
        self.newest = Some((time, good));
    }

    /// Whether `max − min ≤ epsilon` over [time − window, time].
    fn over(&self, window: i64, time: i64) -> Kleene {
        let from = time.saturating_sub(window);
        if self.moved.is_some_and(|m| m >= from) {
            return Kleene::False;
        }
        let blind: i64 = self
            .uncovered
            .iter()
            .map(|(start, end)| end.saturating_sub((*start).max(from)).max(0))
            .fold(0, i64::saturating_add);
        let covered =
            self.first.is_some_and(|first| first <= from) && blind <= window / UNCOVERED_PARTS;
        if covered {
            Kleene::True
        } else {
            Kleene::Unknown
        }
    }

    fn forget_before(&mut self, from: i64) {
        while self.uncovered.front().is_some_and(|(_, end)| *end < from) {
            self.uncovered.pop_front();
        }
    }
}

/// A monotonic queue: entries that a newer one outdoes are gone.
fn push(queue: &mut VecDeque<(f64, i64)>, v: f64, time: i64, outdoes: fn(f64, f64) -> bool) {
    while queue.back().is_some_and(|(old, _)| outdoes(v, *old)) {
        queue.pop_back();
    }
    queue.push_back((v, time));
    if queue.len() > KEPT {
        // The two nearest values become one: the outer value, kept as long as the newer would be.
        let nearest = (1..queue.len()).min_by(|a, b| {
            let gap = |i: usize| (queue[i].0 - queue[i - 1].0).abs();
            gap(*a).total_cmp(&gap(*b))
        });
        if let Some(i) = nearest
            && let Some((_, newer)) = queue.remove(i)
        {
            queue[i - 1].1 = newer;
        }
    }
}

#[derive(Debug)]
pub(super) struct WitnessState {
    expression: Arc<Expression>,
    now: Kleene,
    /// It was false until then.
    false_until: i64,
    /// It was unknown until then.
    unknown_until: i64,
}

impl WitnessState {
    fn new(expression: Arc<Expression>) -> WitnessState {
        let constant = expression.judge(&|_| None);
        WitnessState {
            expression,
            now: constant,
            false_until: i64::MIN,
            unknown_until: i64::MIN,
        }
    }

    fn becomes(&mut self, value: Kleene, time: i64) {
        match self.now {
            Kleene::False => self.false_until = self.false_until.max(time),
            Kleene::Unknown => self.unknown_until = self.unknown_until.max(time),
            Kleene::True => {}
        }
        self.now = value;
    }

    /// After an edit: true where it reads the same and so knows what was before.
    pub(super) fn go_on_as(&mut self, before: &WitnessState, moved: &Moved) -> bool {
        let (old, new) = (&before.expression, &self.expression);
        let inputs = old.inputs().iter().map(|p| moved.point(*p));
        let same = old.text() == new.text() && inputs.eq(new.inputs().iter().map(|p| Some(*p)));
        if same {
            self.now = before.now;
            self.false_until = before.false_until;
            self.unknown_until = before.unknown_until;
        }
        same
    }

    pub(super) fn inputs(&self) -> &[PointIx] {
        self.expression.inputs()
    }

    /// A false anywhere in the window gives false (8.16).
    fn over(&self, window: i64, time: i64) -> Kleene {
        let from = time.saturating_sub(window);
        if self.now == Kleene::False || self.false_until > from {
            Kleene::False
        } else if self.now == Kleene::Unknown || self.unknown_until > from {
            Kleene::Unknown
        } else {
            Kleene::True
        }
    }
}

impl Engine {
    /// Sets up the windows of the points that this engine owns.
    pub(super) fn open_windows(&mut self) {
        let rules = self.rules.clone();
        // Subjects that share an expression share its state.
        let mut shared: Vec<Option<(Arc<Expression>, usize)>> = vec![None; rules.rules.len()];
        for (a, def) in rules.alarms() {
            let crate::ruleset::Subject::Point(p) = def.subject else {
                continue;
            };
            let Some(settings) = &rules.rule(def.rule).stuck else {
                continue;
            };
            if rules.rule(def.rule).kind != Kind::Stuck || !self.points[p.index()].flags.owned {
                continue;
            }
            let witness = settings.witnesses.get(&p).map(|expression| {
                let last = &mut shared[def.rule.0 as usize];
                if let Some((e, n)) = last
                    && Arc::ptr_eq(e, expression)
                {
                    return *n;
                }
                let n = self.witnesses.len();
                self.witnesses.push(WitnessState::new(expression.clone()));
                for input in expression.inputs() {
                    self.windows.entry(*input).or_default().witnesses.push(n);
                    self.points[input.index()].flags.windowed = true;
                }
                *last = Some((expression.clone(), n));
                n
            });
            self.windows
                .entry(p)
                .or_default()
                .stuck
                .push(self.stuck.len());
            self.points[p.index()].flags.windowed = true;
            self.stuck.push(StuckState {
                alarm: a,
                window: settings.window_ns,
                epsilon: settings.epsilon,
                witness,
                still: Stillness::default(),
            });
        }
    }

    pub(super) fn restart_windows(&mut self) {
        for s in &mut self.stuck {
            s.still = Stillness::default();
        }
        for w in &mut self.witnesses {
            w.false_until = i64::MIN;
            w.unknown_until = i64::MIN;
        }
    }

    pub(super) fn judge_stuck(
        &mut self,
        p: PointIx,
        number: Option<f64>,
        measured: Quality,
        time: i64,
        m: &Moment,
    ) {
        let Some(windows) = self.windows.get(&p) else {
            return;
        };
        let silence = match ns(self.table.point(p).stale_after) {
            0 => i64::MAX,
            after => after,
        };
        for n in windows.stuck.clone() {
            let s = &mut self.stuck[n];
            let alarm = s.alarm;
            let good = number.filter(|v| v.is_finite() && measured.is_good());
            let (verdict, shade) = match good {
                None => {
                    s.still.lose(time, silence);
                    (Verdict::Blind, Shade::Plain)
                }
                Some(v) => {
                    s.still.take(v, time, s.epsilon, silence);
                    let (window, double) = (s.window, s.window.saturating_mul(2));
                    s.still.forget_before(time.saturating_sub(double));
                    let witness = |w| match s.witness {
                        Some(i) => self.witnesses[i].over(w, time),
                        None => Kleene::Unknown,
                    };
                    let still = s.still.over(window, time);
                    match still.and(witness(window)) {
                        Kleene::True => (Verdict::Enter, Shade::Plain),
                        // 8.16: a false witness ends it, and the value has not moved for that.
                        Kleene::False if still == Kleene::False => (Verdict::Exit, Shade::Plain),
                        Kleene::False => (Verdict::Exit, Shade::WitnessGone),
                        // An Unknown witness gives `stuck suspected` after 2 W.
                        Kleene::Unknown
                            if s.still.over(double, time) == Kleene::True
                                && witness(double) != Kleene::False =>
                        {
                            (Verdict::Enter, Shade::Suspected)
                        }
                        Kleene::Unknown => (Verdict::Between { good: false }, Shade::Plain),
                    }
                }
            };
            let active = self.alarms[alarm.index()].is_active();
            if (verdict == Verdict::Enter && !active) || (verdict == Verdict::Exit && active) {
                let live = self.alarms[alarm.index()].live();
                live.shade = shade;
            }
            self.apply(alarm, verdict, m);
        }
        let any = self.windows[&p]
            .stuck
            .iter()
            .any(|n| self.alarms[self.stuck[*n].alarm.index()].is_active());
        self.points[p.index()].flags.stuck = any;
    }

    /// The witnesses that read a point, after what it says has changed.
    pub(super) fn judge_witnesses(&mut self, p: PointIx, time: i64) {
        let Some(windows) = self.windows.get(&p) else {
            return;
        };
        for n in windows.witnesses.clone() {
            let good = |q: PointIx| self.witnessed(q, false);
            let any = |q: PointIx| self.witnessed(q, true);
            let expression = self.witnesses[n].expression.clone();
            // 3.1: an Uncertain input may make it true, never false.
            let value = match expression.judge(&good) {
                Kleene::Unknown if expression.judge(&any) == Kleene::True => Kleene::True,
                value => value,
            };
            self.witnesses[n].becomes(value, time);
        }
    }

    pub(super) fn witnessed(&self, p: PointIx, uncertain_too: bool) -> Option<f64> {
        let point = &self.points[p.index()];
        let f = point.flags;
        let usable = point.quality.is_good() || (uncertain_too && !point.quality.is_bad());
        if !f.seen || f.stale || f.down || !usable {
            return None;
        }
        point.value.number().filter(|v| v.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The queues against a search over everything.
    #[test]
    fn stillness_agrees_with_the_whole_window() {
        let mut seed = 7_u64;
        for epsilon in [0.0, 0.5, 2.0] {
            let mut still = Stillness::default();
            let mut all: Vec<(f64, i64)> = Vec::new();
            for t in 0..2_000_i64 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let step = [0.0, 0.0, 0.0, 0.25, -0.25, 1.0][(seed >> 40) as usize % 6];
                let v = all.last().map_or(10.0, |l| l.0) + step;
                all.push((v, t));
                still.take(v, t, epsilon, i64::MAX);
                for window in [5_i64, 20] {
                    let inside = all.iter().filter(|(_, at)| *at >= t - window);
                    let max = inside.clone().map(|x| x.0).fold(f64::MIN, f64::max);
                    let min = inside.map(|x| x.0).fold(f64::MAX, f64::min);
                    let expected = if max - min > epsilon {
                        Kleene::False
                    } else if t >= window {
                        Kleene::True
                    } else {
                        Kleene::Unknown
                    };
                    assert_eq!(
                        still.over(window, t),
                        expected,
                        "ε {epsilon} W {window} t {t}"
                    );
                }
            }
        }
    }

    #[test]
    fn memory_stays_bounded_on_a_slow_ramp() {
        let mut still = Stillness::default();
        for t in 0..100_000_i64 {
            still.take(t as f64 * 1e-6, t * 2, 1.0, i64::MAX);
            still.lose(t * 2 + 1, i64::MAX);
        }
        assert!(still.max.len() <= KEPT && still.min.len() <= KEPT);
        assert!(still.uncovered.len() <= KEPT);
    }

    /// 3.12: a window split by Bad needs its share of Good.
    #[test]
    fn a_window_with_too_little_good_is_unknown() {
        let mut still = Stillness::default();
        for t in 0..=100 {
            if (40..50).contains(&t) {
                still.lose(t, 1_000);
            } else {
                still.take(1.0, t, 0.1, 1_000);
            }
        }
        assert_eq!(still.over(100, 100), Kleene::True, "10 % uncovered");
        assert_eq!(still.over(61, 101), Kleene::True, "10 of 61");
        let mut still = Stillness::default();
        for t in 0..=100 {
            if (40..70).contains(&t) {
                still.lose(t, 1_000);
            } else {
                still.take(1.0, t, 0.1, 1_000);
            }
        }
        assert_eq!(still.over(100, 100), Kleene::Unknown, "30 % uncovered");
        let mut still = Stillness::default();
        for t in 0..=100 {
            if (40..60).contains(&t) {
                still.lose(t, 1_000);
            } else {
                still.take(1.0, t, 0.1, 1_000);
            }
        }
        assert_eq!(still.over(100, 100), Kleene::True, "just 20 % uncovered");
    }
}
