//! `aggregate`: mean, extremes, sum, deviation or percentile over a window, weighted by time; sliding
//! or hopping (section 4). A time-weighted average over a shift (TWA) and a short-term exposure (STEL)
//! are instances: `mean` over 8 h and over 15 min.
//!
//! Zero-order hold: a reading holds until the next, at most for the `stale_after` of its point; the
//! window is split at Bad and needs `min_coverage` (3.12).

use std::sync::Arc;

use davy_points::PointDef;

use super::head::{Head, Policy, Site, missing};
use super::held::Steps;
use super::ladder::Ladder;
use super::mode::Modes;
use super::ranked::{self, Ranked};
use super::window::{MOST, coverage, covers, fits, hold_of, needed, said, secs};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::{Faults, Keys, ns};
use crate::ruleset::{Builder, Derived};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Function {
    Mean,
    Min,
    Max,
    /// ∫ v dt, in the unit of time whose seconds these are.
    Sum(f64),
    StdDev,
    Percentile(f64),
}

const FUNCTIONS: [(&str, Function); 6] = [
    ("mean", Function::Mean),
    ("min", Function::Min),
    ("max", Function::Max),
    ("sum", Function::Sum(3600.0)),
    ("stddev", Function::StdDev),
    ("percentile", Function::Percentile(0.0)),
];

/// Settings on one subject.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Aggregate {
    function: Function,
    window: i64,
    /// None: sliding.
    hop: Option<i64>,
    coverage: f64,
    hold: i64,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let before = f.all.len();
    let function = keys.word("function", &FUNCTIONS, f);
    if function.is_none() {
        let what = "one of mean, min, max, sum, stddev, percentile";
        missing(&mut keys, "function", what, f);
    }
    let function = percentile(function, &mut keys, f);
    let window = needed(
        &mut keys,
        "window",
        "the time to look back over, like \"15m\"",
        f,
    );
    let hop = keys.duration_ns("hop", f);
    if let (Some((hop, span)), Some((window, _))) = (&hop, &window)
        && !(*hop > 0 && hop <= window)
    {
        f.add(
            "E310",
            span.clone(),
            "`hop` is zero or longer than `window`",
            "give how often a window ends, or leave it out for one that slides",
        );
    }
    let share = coverage(&mut keys, f);
    let ladder = Ladder::read(&mut keys, f);
    let policy = Policy::read(&mut head, &mut keys, f);
    let whole = ladder.is_whole("h = { limit = 5 }", f);
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let (Some(function), Some(window), true) = (function, window, whole) else {
        return;
    };
    if f.all.len() != before {
        return;
    }
    let most = match function {
        Function::Percentile(_) => ranked::MOST,
        _ => MOST,
    };
    let modes = Modes::of(&ladder, &head, &subjects, site, f);
    let rule = b.rule(head.rule.clone());
    for p in subjects {
        let point = site.table.point(p);
        if !fits(&window, point, most, f) {
            return;
        }
        if let Some((hop, span)) = &hop
            && *hop < ns(point.expected_interval)
        {
            f.add(
                "E310",
                span.clone(),
                format!("`hop` is shorter than the interval of {}", point.tag),
                "leave it out for a window that slides with every reading",
            );
            return;
        }
        let (function, unit) = unit_of(function, point);
        let settings = Aggregate {
            function,
            window: window.0,
            hop: hop.as_ref().map(|h| h.0),
            coverage: share,
            hold: hold_of(point),
        };
        let derived = Derived {
            rule,
            subject: p,
            inputs: vec![p],
            settings: Arc::new(settings),
            what: match function {
                Function::Mean => "平均值",
                Function::Min => "最小值",
                Function::Max => "最大值",
                Function::Sum(_) => "累计值",
                Function::StdDev => "标准差",
                Function::Percentile(_) => "百分位值",
            },
            unit,
        };
        b.derived(derived, ladder.alarms(&head, rule, p));
        modes.add(rule, p, f, b);
        policy.alarms(rule, p, b);
    }
}

/// `percentile = 95`, with that function and no other.
fn percentile(
    function: Option<Function>,
    keys: &mut Keys<'_, '_>,
    f: &mut Faults<'_>,
) -> Option<Function> {
    let given = keys.number("percentile", f);
    match (function?, given) {
        (Function::Percentile(_), Some((p, _))) if p > 0.0 && p <= 100.0 => {
            Some(Function::Percentile(p))
        }
        (Function::Percentile(_), Some((p, span))) => {
            f.add(
                "E311",
                span,
                format!("`percentile` is {p}, not above 0 and up to 100"),
                "give one like 95",
            );
            None
        }
        (Function::Percentile(_), None) => {
            missing(keys, "percentile", "which one, like 95", f);
            None
        }
        (other, None) => Some(other),
        (other, Some((_, span))) => {
            f.add(
                "E302",
                span,
                "`percentile` has no effect with this function",
                "take it away, or write function = \"percentile\"",
            );
            Some(other)
        }
    }
}

/// The sum of a flow has the unit of what flowed: m³/h makes m³; of anything else, unit hours.
fn unit_of(function: Function, point: &PointDef) -> (Function, Arc<str>) {
    if !matches!(function, Function::Sum(_)) {
        return (function, point.unit.clone());
    }
    let per = [
        ("/h", 3600.0),
        ("/min", 60.0),
        ("/s", 1.0),
        ("/d", 86_400.0),
    ];
    for (suffix, seconds) in per {
        if let Some(of) = point.unit.strip_suffix(suffix) {
            return (Function::Sum(seconds), of.into());
        }
    }
    let unit = match &*point.unit {
        "" => "h".into(),
        unit => format!("{unit}·h").into(),
    };
    (Function::Sum(3600.0), unit)
}

impl Settings for Aggregate {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Running {
            of: *self,
            window: match self.function {
                Function::Percentile(p) => Window::Ranked(p, Ranked::new(self.window, self.hold)),
                _ => Window::Steps(Steps::new(self.window, self.hold)),
            },
            ended: None,
            result: None,
            known: 0,
        })
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }
}

#[derive(Debug)]
enum Window {
    Steps(Steps),
    Ranked(f64, Ranked),
}

/// What a window came to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Result {
    value: f64,
    good: bool,
}

#[derive(Debug)]
struct Running {
    of: Aggregate,
    window: Window,
    /// Hopping: when the newest window ended.
    ended: Option<i64>,
    /// And what it came to.
    result: Option<Result>,
    /// How much of the window was known, ns.
    known: i64,
}

impl Running {
    /// The window that ends at `t`; none where too little of it is known.
    fn result_at(&mut self, t: i64) -> Option<Result> {
        let (usable, good, value) = match &mut self.window {
            Window::Ranked(p, ranked) => {
                let rank = ranked.at(*p, t)?;
                (rank.usable, rank.good, rank.value)
            }
            Window::Steps(steps) => {
                let held = steps.held(t);
                let value = match self.of.function {
                    Function::Min => held.min,
                    Function::Max => held.max,
                    Function::Sum(per) => held.mean * (secs(held.usable) / per),
                    Function::StdDev => (held.squares / secs(held.usable)).sqrt(),
                    Function::Mean | Function::Percentile(_) => held.mean,
                };
                (held.usable, held.good, value)
            }
        };
        self.known = usable;
        let enough = covers(usable, self.of.window, self.of.coverage) && value.is_finite();
        enough.then_some(Result {
            value,
            good: good == usable,
        })
    }

    fn is_good_now(&self, t: i64) -> bool {
        let now = match &self.window {
            Window::Ranked(_, ranked) => ranked.now(t),
            Window::Steps(steps) => steps.now(t),
        };
        now.is_some_and(|s| s.good)
    }
}

impl Judge for Running {
    fn take(&mut self, _slot: usize, r: &Reading) {
        if let Some(hop) = self.of.hop {
            // Windows end at whole multiples of the hop, before the reading that comes then.
            let end = r.time.div_euclid(hop).saturating_mul(hop);
            if self.ended.is_some_and(|ended| end > ended) {
                self.result = self.result_at(end);
            }
            self.ended = Some(end);
        }
        match &mut self.window {
            Window::Ranked(_, ranked) => ranked.take(r),
            Window::Steps(steps) => steps.take(r),
        }
    }

    fn say(&mut self, now: Now) -> Finding {
        let result = match self.of.hop {
            Some(_) => self.result,
            None => self.result_at(now.time),
        };
        match result {
            // 8.8: while the newest reading is not Good nothing returns, whatever the window says.
            Some(r) => Finding::Number {
                value: r.value,
                good: r.good && self.is_good_now(now.time),
            },
            None => Finding::Unknown,
        }
    }

    fn begin_again(&mut self) {
        match &mut self.window {
            Window::Ranked(_, ranked) => ranked.clear(),
            Window::Steps(steps) => steps.clear(),
        }
        self.ended = None;
        self.result = None;
    }

    fn words(&self) -> Option<String> {
        let share = secs(self.known) / secs(self.of.window) * 100.0;
        let window = said(self.of.window);
        let which = match self.of.function {
            Function::Percentile(p) => format!("P{p}，"),
            _ => String::new(),
        };
        Some(format!("{which}{window} 窗口，有效数据 {share:.0}%"))
    }
}

#[cfg(test)]
mod tests;
