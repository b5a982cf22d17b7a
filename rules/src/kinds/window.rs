//! Windows over source time: what slides, and what one input said while it slid.
//!
//! Lives here: [`Slide`], stretches of time that fold into one in constant time; [`Step`], a reading
//! while it holds; the keys of a window and the bound on how many readings it may be made of. May
//! not live here: what a kind makes of a window. Read first: [`Slide`].
//!
//! A reading holds until the next of its input, and no longer than `hold`: zero-order hold. The
//! loss of an input ends its step, so nothing is ever interpolated across what is Bad (3.12).

use std::collections::VecDeque;

use davy_points::{PointDef, Span};

use crate::grammar::{Faults, Keys, ns};

/// What stretches of time make together. Only ever added to, never subtracted from: one absurd
/// value is gone without a trace when it leaves the window.
pub(super) trait Fold: Copy {
    /// Of no time at all.
    const NOTHING: Self;

    /// This and, after it, another.
    fn and(self, later: Self) -> Self;
}

/// A stretch of source time, ns, and what it amounts to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch<P> {
    pub(super) from: i64,
    pub(super) till: i64,
    pub(super) part: P,
}

/// Stretches in their order, the oldest leaving; folded by two stacks, so that a new one costs
/// constant time on the average and no rounding builds up.
#[derive(Debug, Clone)]
pub(super) struct Slide<P> {
    /// The older half, the oldest last; beside each the fold of what is younger than it here.
    old: Vec<(Stretch<P>, P)>,
    young: VecDeque<Stretch<P>>,
    young_sum: P,
    /// Stretches that together are no longer than this are kept as one: memory is that of some
    /// thousand stretches, however many come.
    grain: i64,
}

/// Into how many stretches a window is divided at least, where so many come.
const GRAINS: i64 = 1024;

impl<P: Fold> Slide<P> {
    pub(super) fn new(window: i64) -> Slide<P> {
        Slide {
            old: Vec::new(),
            young: VecDeque::new(),
            young_sum: P::NOTHING,
            grain: window / GRAINS,
        }
    }

    pub(super) fn clear(&mut self) {
        self.old.clear();
        self.young.clear();
        self.young_sum = P::NOTHING;
    }

    pub(super) fn push(&mut self, s: Stretch<P>) {
        self.young_sum = self.young_sum.and(s.part);
        match self.young.back_mut() {
            Some(b) if s.till.saturating_sub(b.from) <= self.grain => {
                b.till = s.till;
                b.part = b.part.and(s.part);
            }
            _ => self.young.push_back(s),
        }
    }

    /// Forgets what has left.
    pub(super) fn forget(&mut self, has_left: impl Fn(&Stretch<P>) -> bool) {
        while self.oldest().is_some_and(&has_left) {
            self.old.pop();
        }
    }

    fn oldest(&mut self) -> Option<&Stretch<P>> {
        if self.old.is_empty() {
            let mut sum = P::NOTHING;
            while let Some(s) = self.young.pop_back() {
                self.old.push((s, sum));
                sum = s.part.and(sum);
            }
            self.young_sum = P::NOTHING;
        }
        self.old.last().map(|(s, _)| s)
    }

    /// The oldest stretch, which the window may cut, and the fold of all the others.
    pub(super) fn parts(&mut self) -> Option<(Stretch<P>, P)> {
        self.oldest()?;
        let (oldest, rest) = *self.old.last()?;
        Some((oldest, rest.and(self.young_sum)))
    }
}

/// A reading while it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) from: i64,
    /// When it would hold no longer.
    pub(super) till: i64,
    pub(super) value: f64,
    pub(super) good: bool,
}

/// More readings than this no window may be made of.
pub(super) const MOST: i64 = 1_000_000;

/// How long a reading of a point may hold, ns: until the point would be stale.
pub(super) fn hold_of(point: &PointDef) -> i64 {
    match point.stale_after.is_zero() {
        true => ns(point.expected_interval).saturating_mul(3).max(1),
        false => ns(point.stale_after),
    }
}

/// Whether a window is made of no more readings of a point than are kept; a longer one is a fault.
pub(super) fn fits(window: &(i64, Span), point: &PointDef, most: i64, f: &mut Faults<'_>) -> bool {
    let expected = window.0 / ns(point.expected_interval).max(1);
    if expected > most {
        f.add(
            "E342",
            window.1.clone(),
            format!(
                "`window` holds {expected} readings of {}, more than {most}",
                point.tag
            ),
            "shorten it, or let the point be read less often",
        );
    }
    expected <= most
}

/// A span of time for people: 8 h, 15 min, 90 s.
pub(super) fn said(ns: i64) -> String {
    let s = secs(ns);
    match s {
        s if s >= 3600.0 && s % 3600.0 == 0.0 => format!("{} h", s / 3600.0),
        s if s >= 120.0 && s % 60.0 == 0.0 => format!("{} min", s / 60.0),
        s => format!("{s} s"),
    }
}

/// A window that a rule cannot do without, and that is not empty.
pub(super) fn needed(
    keys: &mut Keys<'_, '_>,
    key: &'static str,
    what: &str,
    f: &mut Faults<'_>,
) -> Option<(i64, Span)> {
    let given = keys.duration_ns(key, f);
    if given.is_none() {
        super::head::missing(keys, key, what, f);
    }
    if let Some((0, span)) = &given {
        f.add(
            "E310",
            span.clone(),
            format!("`{key}` is zero"),
            format!("give {what}"),
        );
        return None;
    }
    given
}

/// The share of a window that must be known (3.12).
pub(super) fn coverage(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> f64 {
    let Some((share, span)) = keys.number("min_coverage", f) else {
        return 0.8;
    };
    if !(share > 0.0 && share <= 1.0) {
        f.add(
            "E311",
            span,
            format!("`min_coverage` is {share}, not above 0 and up to 1"),
            "give the share of the window that must be known, like 0.8",
        );
        return 0.8;
    }
    share
}

/// Whether so much of a window is known.
pub(super) fn covers(known: i64, window: i64, share: f64) -> bool {
    secs(known) >= share * secs(window)
}

#[allow(clippy::cast_precision_loss)] // 2^53 ns are 104 days, and a share of a window is no clock
pub(super) fn secs(ns: i64) -> f64 {
    ns as f64 / 1e9
}
