//! One input over a window: a step function of source time, weighted by time.
//!
//! A reading holds until the next, at most for so long (zero-order hold); the loss of the input ends
//! it, so nothing is interpolated across Bad (3.12). Readings closer together than a thousandth of
//! the window are kept as one stretch. Read first: [`Steps`].

use davy_points::QualityClass;

use super::Reading;
use super::window::{Fold, Slide, Step, Stretch, secs};

/// What a value did over a stretch of time, weighted by time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Held {
    /// How long it was usable, ns.
    pub(super) usable: i64,
    /// How long it was Good, ns.
    pub(super) good: i64,
    pub(super) mean: f64,
    /// ∫ (v − mean)² over time, in seconds.
    pub(super) squares: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Held {
    fn step(value: f64, good: bool, ns: i64) -> Held {
        Held {
            usable: ns,
            good: if good { ns } else { 0 },
            mean: value,
            squares: 0.0,
            min: value,
            max: value,
        }
    }
}

impl Fold for Held {
    const NOTHING: Held = Held {
        usable: 0,
        good: 0,
        mean: 0.0,
        squares: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    fn and(self, b: Held) -> Held {
        let (min, max) = (self.min.min(b.min), self.max.max(b.max));
        let usable = self.usable.saturating_add(b.usable);
        let good = self.good.saturating_add(b.good);
        if self.usable == 0 || b.usable == 0 {
            let one = if self.usable == 0 { b } else { self };
            return Held {
                usable,
                good,
                min,
                max,
                ..one
            };
        }
        let (wa, wb) = (secs(self.usable), secs(b.usable));
        let apart = b.mean - self.mean;
        let share = wb / (wa + wb);
        Held {
            usable,
            good,
            mean: self.mean + apart * share,
            squares: self.squares + b.squares + apart * apart * wa * share,
            min,
            max,
        }
    }
}

impl Stretch<Held> {
    /// What of it lies after `start`.
    fn after(&self, start: i64) -> Held {
        let span = self.till.saturating_sub(self.from);
        let kept = self.till.saturating_sub(start.max(self.from));
        if kept >= span {
            return self.part;
        }
        let share = |ns: i64| {
            let of = i128::from(ns) * i128::from(kept.max(0)) / i128::from(span.max(1));
            i64::try_from(of).unwrap_or(ns)
        };
        Held {
            usable: share(self.part.usable),
            good: share(self.part.good),
            squares: self.part.squares * secs(kept.max(0)) / secs(span.max(1)),
            ..self.part
        }
    }
}

/// One input over a window.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    window: i64,
    hold: i64,
    slide: Slide<Held>,
    /// The reading that holds now.
    last: Option<Step>,
}

impl Steps {
    /// `hold`: how long a reading may hold.
    pub(super) fn new(window: i64, hold: i64) -> Steps {
        Steps {
            window,
            hold,
            slide: Slide::new(window),
            last: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.slide.clear();
        self.last = None;
    }

    /// A reading, or a loss, ends the step before it.
    pub(super) fn take(&mut self, r: &Reading) {
        if let Some(l) = self.last.take() {
            let till = l.till.min(r.time);
            if till > l.from {
                self.slide.push(Stretch {
                    from: l.from,
                    till,
                    part: Held::step(l.value, l.good, till.saturating_sub(l.from)),
                });
            }
        }
        self.last = r.value.map(|value| Step {
            from: r.time,
            till: r.time.saturating_add(self.hold),
            value,
            good: r.class == QualityClass::Good,
        });
        let start = r.time.saturating_sub(self.window);
        self.slide.forget(|s| s.till <= start);
    }

    /// The reading that holds at `t`.
    pub(super) fn now(&self, t: i64) -> Option<Step> {
        self.last.filter(|l| t <= l.till)
    }

    /// All of [t − window, t], the newest value included though it may have held for no time.
    pub(super) fn held(&mut self, t: i64) -> Held {
        let start = t.saturating_sub(self.window);
        self.slide.forget(|s| s.till <= start);
        let parts = self.slide.parts();
        let mut sum = parts.map_or(Held::NOTHING, |(oldest, rest)| {
            oldest.after(start).and(rest)
        });
        if let Some(l) = self.last.filter(|l| l.till > start) {
            let (from, till) = (l.from.max(start), l.till.min(t));
            let part = Held::step(l.value, l.good, till.saturating_sub(from).max(0));
            sum = sum.and(part);
        }
        sum
    }
}
