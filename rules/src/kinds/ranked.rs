//! A window whose values stand in order: for percentiles, weighted by time. Every reading is kept, so
//! there is a bound on how many there may be.

use std::collections::VecDeque;

use davy_points::QualityClass;

use super::Reading;
use super::window::{Step, secs};

/// So many readings at most; beyond that the oldest are forgotten, which costs coverage.
pub(super) const MOST: i64 = 10_000;
const ROOM: usize = 40_064;

/// One input over a window, its values in order.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    window: i64,
    hold: i64,
    /// Oldest first.
    steps: VecDeque<Step>,
    /// The same by value, then by time.
    sorted: Vec<Step>,
    last: Option<Step>,
}

/// What a window says: how long it was usable and Good, ns, and the value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rank {
    pub(super) usable: i64,
    pub(super) good: i64,
    pub(super) value: f64,
}

fn by_value(a: &Step, b: &Step) -> std::cmp::Ordering {
    a.value.total_cmp(&b.value).then(a.from.cmp(&b.from))
}

impl Ranked {
    pub(super) fn new(window: i64, hold: i64) -> Ranked {
        Ranked {
            window,
            hold,
            steps: VecDeque::new(),
            sorted: Vec::new(),
            last: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.sorted.clear();
        self.last = None;
    }

    pub(super) fn take(&mut self, r: &Reading) {
        if let Some(l) = self.last.take() {
            let step = Step {
                till: l.till.min(r.time),
                ..l
            };
            if step.till > step.from {
                let at = self.sorted.partition_point(|s| by_value(s, &step).is_lt());
                self.sorted.insert(at, step);
                self.steps.push_back(step);
            }
        }
        self.last = r.value.map(|value| Step {
            from: r.time,
            till: r.time.saturating_add(self.hold),
            value,
            good: r.class == QualityClass::Good,
        });
        self.forget(r.time.saturating_sub(self.window));
    }

    fn forget(&mut self, start: i64) {
        while self.steps.len() > ROOM || self.steps.front().is_some_and(|s| s.till <= start) {
            let Some(gone) = self.steps.pop_front() else {
                return;
            };
            let at = self.sorted.partition_point(|s| by_value(s, &gone).is_lt());
            if at < self.sorted.len() {
                self.sorted.remove(at);
            }
        }
    }

    /// The reading that holds at `t`.
    pub(super) fn now(&self, t: i64) -> Option<Step> {
        self.last.filter(|l| t <= l.till)
    }

    /// The smallest value that is not exceeded for `percent` of the time known in [t − window, t].
    pub(super) fn at(&mut self, percent: f64, t: i64) -> Option<Rank> {
        let start = t.saturating_sub(self.window);
        self.forget(start);
        let last = self.last.filter(|l| l.till > start);
        let weight = |s: &Step| s.till.min(t).saturating_sub(s.from.max(start)).max(0);
        let (mut usable, mut good) = (0_i64, 0_i64);
        for s in self.sorted.iter().chain(&last) {
            usable = usable.saturating_add(weight(s));
            good = good.saturating_add(if s.good { weight(s) } else { 0 });
        }
        let wanted = secs(usable) * percent / 100.0;
        let place = last.map_or(0, |l| {
            self.sorted.partition_point(|s| by_value(s, &l).is_lt())
        });
        let (before, after) = self.sorted.split_at(place);
        let mut passed = 0_i64;
        let mut found = None;
        for s in before.iter().chain(&last).chain(after) {
            passed = passed.saturating_add(weight(s));
            found = Some(s.value);
            if passed > 0 && secs(passed) >= wanted {
                break;
            }
        }
        found.map(|value| Rank {
            usable,
            good,
            value,
        })
    }
}
