//! `mass_balance`: what came in and went out against the change of volume over a window (section
//! 4). It would have warned at Buncefield, where the gauge stood still while the tank filled, and
//! at Texas City, where it fell.
//!
//! Feed and draw-off are steps that hold until the next reading, none longer than its point may be
//! silent. The balance is kept from one reading of the level to the next: such a leg counts if the
//! level was known at both ends and every flow all along; else it counts neither as flow nor as
//! change, and is missing from the coverage (3.12). Readings count in the order of their arrival: one
//! that is older than what is settled counts from there on.

use std::sync::Arc;

use davy_points::{PointIx, Span};

use super::geometry::{self, Volume};
use super::head::{Head, Policy, Site};
use super::ladder::Ladder;
use super::mode::Modes;
use super::window::{
    Fold, MOST, Slide, Step, Stretch, coverage, covers, fits, hold_of, needed, secs,
};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Derived};

/// Settings on one subject.
#[derive(Debug, Clone, PartialEq)]
struct Balance {
    volume: Volume,
    /// Of each flow: m³/h a unit, negative where it goes out.
    flows: Vec<f64>,
    /// How long a reading of each input may hold, ns.
    holds: Vec<i64>,
    window: i64,
    coverage: f64,
    unit: Arc<str>,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let before = f.all.len();
    let into = keys.texts("in", f);
    let out = keys.texts("out", f);
    if into.is_empty() && out.is_empty() && f.all.len() == before {
        super::head::missing(
            &mut keys,
            "in",
            "the flows into the vessel, and `out` those out of it: in = [\"FT-101\"]",
            f,
        );
    }
    let density = keys.number("density", f);
    if let Some((d, span)) = &density
        && *d <= 0.0
    {
        f.add(
            "E311",
            span.clone(),
            format!("`density` is {d}"),
            "give it in kg/m³",
        );
    }
    let window = needed(
        &mut keys,
        "window",
        "the time to balance over, like \"10m\"",
        f,
    );
    let share = coverage(&mut keys, f);
    let shape = geometry::read(&mut keys, f);
    let ladder = Ladder::read(&mut keys, f);
    let policy = Policy::read(&mut head, &mut keys, f);
    let whole = ladder.is_whole("h = { limit = 50 }", f);
    let span = keys.span.clone();
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let Some(window) = window.filter(|_| whole && f.all.len() == before) else {
        return;
    };
    let modes = Modes::of(&ladder, &head, &subjects, site, f);
    let rule = b.rule(head.rule.clone());
    let mut mass = false;
    for p in subjects {
        let point = site.table.point(p);
        let mut inputs = vec![p];
        let mut flows = Vec::new();
        for (names, sign) in [(&into, 1.0), (&out, -1.0)] {
            for (name, at) in names {
                let Some(flow) = leg(&head, name, at, &inputs, site, f) else {
                    return;
                };
                let flowing = site.table.point(flow);
                mass |= geometry::is_mass(flowing);
                let Some(k) = geometry::flow(flowing, density.as_ref().map(|d| d.0), at, f) else {
                    return;
                };
                inputs.push(flow);
                flows.push(sign * k);
            }
        }
        let Some(volume) = Volume::of(shape.as_ref(), point, &span, f) else {
            return;
        };
        if !fits(&window, point, MOST, f) {
            return;
        }
        let holds = inputs.iter().map(|i| hold_of(site.table.point(*i)));
        let settings = Balance {
            volume,
            flows,
            holds: holds.collect(),
            window: window.0,
            coverage: share,
            unit: point.unit.clone(),
        };
        let derived = Derived {
            rule,
            subject: p,
            inputs,
            settings: Arc::new(settings),
            what: "收支差",
            unit: "m³".into(),
        };
        b.derived(derived, ladder.alarms(&head, rule, p));
        modes.add(rule, p, f, b);
        policy.alarms(rule, p, b);
    }
    if let (Some((_, span)), false) = (density, mass) {
        f.add(
            "E302",
            span,
            "`density` has no effect: no flow is a mass flow",
            "take it away, or name flows in kg/h",
        );
    }
}

/// A flow, none of which counts twice.
fn leg(
    head: &Head<'_>,
    name: &str,
    at: &Span,
    there: &[PointIx],
    site: &Site<'_>,
    f: &mut Faults<'_>,
) -> Option<PointIx> {
    let flow = head.input(name, at, there[0], site, f)?;
    if there.contains(&flow) {
        f.add(
            "E340",
            at.clone(),
            format!(
                "{} counts twice in this balance",
                site.table.point(flow).tag
            ),
            "name every flow once, in `in` or in `out`",
        );
        return None;
    }
    Some(flow)
}

impl Settings for Balance {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Books {
            of: self.clone(),
            frontier: i64::MIN,
            now: vec![None; self.holds.len()],
            leg: None,
            legs: Slide::new(self.window),
            surplus: Surplus::NOTHING,
        })
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }
}

/// What came in more than the level shows, over so long.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Surplus {
    known: i64,
    volume: f64,
    good: bool,
}

impl Fold for Surplus {
    const NOTHING: Surplus = Surplus {
        known: 0,
        volume: 0.0,
        good: true,
    };

    fn and(self, later: Surplus) -> Surplus {
        Surplus {
            known: self.known.saturating_add(later.known),
            volume: self.volume + later.volume,
            good: self.good && later.good,
        }
    }
}

/// From one reading of the level to the next.
#[derive(Debug, Clone, Copy)]
struct Leg {
    from: i64,
    volume: f64,
    net: f64,
    known: bool,
    good: bool,
}

#[derive(Debug)]
struct Books {
    of: Balance,
    /// Everything before it is settled.
    frontier: i64,
    /// What holds of each input: the level, then the flows.
    now: Vec<Option<Step>>,
    leg: Option<Leg>,
    legs: Slide<Surplus>,
    /// As it was said.
    surplus: Surplus,
}

impl Books {
    fn settle(&mut self, t: i64) {
        if let Some(leg) = self.leg.as_mut().filter(|_| t > self.frontier) {
            let hours = secs(t.saturating_sub(self.frontier)) / 3600.0;
            for (flow, k) in self.now[1..].iter().zip(&self.of.flows) {
                match flow {
                    Some(s) if t <= s.till => {
                        leg.net += s.value * k * hours;
                        leg.good &= s.good;
                    }
                    _ => leg.known = false,
                }
            }
        }
        self.frontier = t;
    }

    fn level(&mut self, t: i64) {
        let now = self.now[0].map(|s| (self.of.volume.at(s.value), s.good));
        if let (Some(leg), Some((volume, good))) = (self.leg.take(), now) {
            let held = t <= leg.from.saturating_add(self.of.holds[0]);
            if leg.known && held {
                let part = Surplus {
                    known: t.saturating_sub(leg.from),
                    volume: leg.net - (volume - leg.volume),
                    good: leg.good && good,
                };
                self.legs.push(Stretch {
                    from: leg.from,
                    till: t,
                    part,
                });
            }
        }
        self.leg = now.map(|(volume, good)| Leg {
            from: t,
            volume,
            net: 0.0,
            known: true,
            good,
        });
    }
}

impl Judge for Books {
    fn take(&mut self, slot: usize, r: &Reading) {
        let t = r.time.max(self.frontier);
        self.settle(t);
        self.now[slot] = r.value.map(|value| Step {
            from: t,
            till: t.saturating_add(self.of.holds[slot]),
            value,
            good: r.good().is_some(),
        });
        if slot == 0 {
            self.level(t);
        }
    }

    fn say(&mut self, now: Now) -> Finding {
        let t = now.time.max(self.frontier);
        let lost = |s: &Option<Step>| s.is_none_or(|s| t > s.till);
        let Some(leg) = self.leg.filter(|_| !self.now.iter().any(lost)) else {
            return Finding::Unknown;
        };
        let start = leg.from.saturating_sub(self.of.window);
        self.legs.forget(|s| s.from < start);
        let sum = self.legs.parts();
        let sum = sum.map_or(Surplus::NOTHING, |(oldest, rest)| oldest.part.and(rest));
        self.surplus = sum;
        if !covers(sum.known, self.of.window, self.of.coverage) || !sum.volume.is_finite() {
            return Finding::Unknown;
        }
        Finding::Number {
            value: sum.volume,
            good: sum.good && self.now.iter().flatten().all(|s| s.good),
        }
    }

    fn begin_again(&mut self) {
        self.frontier = i64::MIN;
        self.now.fill(None);
        self.leg = None;
        self.legs.clear();
    }

    /// The rate of the difference, and where the level should stand by what flowed.
    fn words(&self) -> Option<String> {
        let leg = self.leg?;
        let rate = self.surplus.volume / (secs(self.surplus.known) / 3600.0);
        let level = self.of.volume.value_at(leg.volume + self.surplus.volume);
        let unit = &self.of.unit;
        Some(format!("差速 {rate:.1} m³/h，按流量应为 {level:.2} {unit}"))
    }
}

#[cfg(test)]
mod tests;
