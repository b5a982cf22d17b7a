//! `time_to_limit`: how long until a limit is reached, the operator's real question (section 4). In
//! volume where the vessel's shape is given; the earlier of a short- and a long-window estimate;
//! where a line does not fit, that window is Unknown and clears nothing.

use std::sync::Arc;

use davy_points::{PointDef, Priority, QualityClass, Span};

use super::geometry::{self, Volume};
use super::head::{Head, Policy, Site, missing};
use super::moments::SlidingLine;
use super::window::{needed, secs};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::alarm::Level;
use crate::grammar::{Faults, Keys};
use crate::ruleset::{AlarmDef, Builder, Derived, table_limit};

/// Left at more than so many times the time that raises.
const CLEAR: f64 = 1.2;

/// What is longer is said as this, min: some seventy days.
const LONGEST: f64 = 99_999.0;

/// What the time runs to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Number(f64),
    /// A limit of the point table.
    Table(Level),
}

/// Settings on one subject.
#[derive(Debug, Clone, PartialEq)]
struct TimeToLimit {
    /// None: linear in the value.
    volume: Option<Volume>,
    limit: f64,
    /// 1 towards a limit above, −1 towards one below.
    sign: f64,
    below_ns: i64,
    short_ns: i64,
    long_ns: i64,
    /// Least share of what moves that the line must explain.
    r2: f64,
    /// Slower than this, in volume or value an hour, is standing still.
    still: Option<f64>,
    /// Of the point, and of what moves.
    units: [Arc<str>; 2],
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let before = f.all.len();
    let to = target(&mut keys, f);
    let directions = [("up", 1.0), ("down", -1.0)];
    let given = keys.word("direction", &directions, f);
    let sign = match (given, &to) {
        (Some(sign), _) => sign,
        (None, Some((Target::Table(Level::Ll | Level::L), _))) => -1.0,
        (None, Some((Target::Table(_), _)) | None) => 1.0,
        (None, Some((Target::Number(_), _))) => {
            let what = "\"up\" where the limit lies above, \"down\" where it lies below";
            missing(&mut keys, "direction", what, f);
            1.0
        }
    };
    let below = needed(
        &mut keys,
        "below",
        "the time that is too short, like \"20m\"",
        f,
    );
    let short = needed(&mut keys, "short", "the quick window, like \"5m\"", f);
    let long = needed(&mut keys, "long", "the steady window, like \"30m\"", f);
    if let (Some((s, _)), Some((l, span))) = (&short, &long)
        && s >= l
    {
        f.add(
            "E311",
            span.clone(),
            "`long` is not longer than `short`",
            "the short window sees a change soon, the long one sees through noise",
        );
    }
    let r2 = keys.number("r2", f);
    if let Some((r2, span)) = &r2
        && !(*r2 > 0.0 && *r2 < 1.0)
    {
        f.add(
            "E311",
            span.clone(),
            format!("`r2` is {r2}, not between 0 and 1"),
            "give the least share of the movement that a straight line must explain, like 0.7",
        );
    }
    let still = keys.amount("still", f).map(|s| s.0);
    let shape = geometry::read(&mut keys, f);
    let policy = Policy::read(&mut head, &mut keys, f);
    let span = keys.span.clone();
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let (Some(to), Some(below), Some(short), Some(long)) = (to, below, short, long) else {
        return;
    };
    if f.all.len() != before {
        return;
    }
    let rule = b.rule(head.rule.clone());
    for p in subjects {
        let point = site.table.point(p);
        let Some(limit) = limit_of(&to, point, f) else {
            return;
        };
        let volume = match &shape {
            Some(shape) => match Volume::of(Some(shape), point, &span, f) {
                Some(v) => Some(v),
                None => return,
            },
            None => None,
        };
        let moved = if volume.is_some() {
            "m³".into()
        } else {
            point.unit.clone()
        };
        let settings = TimeToLimit {
            volume,
            limit,
            sign,
            below_ns: below.0,
            short_ns: short.0,
            long_ns: long.0,
            r2: r2.as_ref().map_or(0.7, |r| r.0),
            still,
            units: [point.unit.clone(), moved],
        };
        let minutes = secs(below.0) / 60.0;
        let alarm = AlarmDef {
            limit: Some(minutes),
            deadband: minutes * (CLEAR - 1.0),
            ..head.on(rule, p, Priority::HIGH)
        };
        let derived = Derived {
            rule,
            subject: p,
            inputs: vec![p],
            settings: Arc::new(settings),
            what: "到限时间",
            unit: "min".into(),
        };
        b.derived(derived, vec![alarm]);
        policy.alarms(rule, p, b);
    }
}

/// `to = 13.2`, or a level of the point table.
fn target(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Option<(Target, Span)> {
    let v = keys.raw("to")?;
    let span = v.span();
    let found = match v.get_ref().as_str() {
        None => Target::Number(keys.number("to", f)?.0),
        Some(_) => {
            let levels = [
                ("ll", Level::Ll),
                ("l", Level::L),
                ("h", Level::H),
                ("hh", Level::Hh),
            ];
            Target::Table(keys.word("to", &levels, f)?)
        }
    };
    Some((found, span))
}

fn limit_of(to: &(Target, Span), point: &PointDef, f: &mut Faults<'_>) -> Option<f64> {
    match to.0 {
        Target::Number(n) => Some(n),
        Target::Table(level) => {
            let limit = table_limit(point, level);
            if limit.is_none() {
                let column = level.name().to_uppercase();
                f.add(
                    "E315",
                    to.1.clone(),
                    format!("{} has no {column} in the point table", point.tag),
                    format!("fill column {column}, or give `to` a number"),
                );
            }
            limit
        }
    }
}

impl Settings for TimeToLimit {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Forecast {
            of: self.clone(),
            short: SlidingLine::new(self.short_ns),
            long: SlidingLine::new(self.long_ns),
            last: None,
            uncertain: None,
            steepest: None,
        })
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }

    fn window_ns(&self) -> Option<i64> {
        Some(self.short_ns)
    }
}

#[derive(Debug)]
struct Forecast {
    of: TimeToLimit,
    short: SlidingLine,
    long: SlidingLine,
    /// The newest value, as value and as what moves.
    last: Option<(f64, f64)>,
    /// Time of the newest reading that was not Good.
    uncertain: Option<i64>,
    /// Slope an hour and fit behind what was said.
    steepest: Option<(f64, f64)>,
}

impl Forecast {
    fn amount(&self, value: f64) -> f64 {
        self.of.volume.as_ref().map_or(value, |v| v.at(value))
    }

    /// Minutes that a window gives, with slope an hour and fit; none: nothing can be said.
    fn estimate(&self, line: &SlidingLine, window: i64, left: f64) -> Option<(f64, f64, f64)> {
        // As `rate`: three samples over 0.6 of the window.
        if i128::from(line.span_ns()) * 5 < i128::from(window) * 3 {
            return None;
        }
        let moments = line.moments();
        let (slope, error) = moments.line()?;
        let hourly = slope * 3600.0;
        let bound = (slope.abs() + 3.0 * error) * 3600.0;
        if self.of.still.is_some_and(|still| bound <= still) {
            return Some((LONGEST, hourly, 1.0));
        }
        let fit = moments.fit().filter(|r2| *r2 >= self.of.r2)?;
        let towards = slope * self.of.sign;
        let minutes = if towards > 0.0 {
            left / towards / 60.0
        } else {
            LONGEST
        };
        Some((minutes.min(LONGEST), hourly, fit))
    }
}

impl Judge for Forecast {
    fn take(&mut self, _slot: usize, r: &Reading) {
        let Some(value) = r.value else {
            // 3.12: never across Bad.
            self.short.clear();
            self.long.clear();
            self.last = None;
            return;
        };
        let amount = self.amount(value);
        self.short.push(r.time, amount);
        self.long.push(r.time, amount);
        self.last = Some((value, amount));
        if r.class != QualityClass::Good {
            self.uncertain = Some(r.time);
        }
        if self
            .uncertain
            .is_some_and(|t| t < r.time.saturating_sub(self.of.long_ns))
        {
            self.uncertain = None;
        }
    }

    fn say(&mut self, _now: Now) -> Finding {
        let Some((value, amount)) = self.last else {
            return Finding::Unknown;
        };
        let good = self.uncertain.is_none();
        let below = secs(self.of.below_ns) / 60.0;
        if (value - self.of.limit) * self.of.sign >= 0.0 {
            self.steepest = None;
            return Finding::Band {
                value: 0.0,
                enters: true,
                leaves: false,
                good,
            };
        }
        let left = ((self.amount(self.of.limit) - amount) * self.of.sign).max(0.0);
        let short = self.estimate(&self.short, self.of.short_ns, left);
        let long = self.estimate(&self.long, self.of.long_ns, left);
        // With one of the two Unknown the other may raise; that nothing is sooner nobody knows.
        let both = short.is_some() && long.is_some();
        let earlier = [short, long]
            .into_iter()
            .flatten()
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((minutes, hourly, fit)) = earlier else {
            return Finding::Unknown;
        };
        self.steepest = Some((hourly, fit));
        Finding::Band {
            value: minutes,
            enters: minutes <= below,
            leaves: minutes > CLEAR * below,
            good: good && both,
        }
    }

    fn begin_again(&mut self) {
        self.short.clear();
        self.long.clear();
        self.last = None;
        self.uncertain = None;
    }

    fn words(&self) -> Option<String> {
        let [of, moved] = &self.of.units;
        let limit = self.of.limit;
        Some(match self.steepest {
            Some((hourly, fit)) => {
                format!("趋势 {hourly:+.2} {moved}/h（R² {fit:.2}），至 {limit} {of}")
            }
            None => format!("已达 {limit} {of}"),
        })
    }
}

#[cfg(test)]
mod tests;
