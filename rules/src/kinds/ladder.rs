//! Limits in steps, `ll l h hh hhh`: how they stand in a file, which alarms they make, and what is
//! wrong with them. Kind `level` and every kind that derives a number have them.

use davy_points::{PointDef, PointIx, Priority, Span};

use super::head::Head;
use super::mode::ModeText;
use super::provenance::ProvenanceText;
use crate::alarm::Level;
use crate::grammar::{Faults, Keys};
use crate::ruleset::Provenance;
use crate::ruleset::{AlarmDef, RuleIx, Subject, default_priority};

/// One level as the file gives it.
pub(super) struct LevelText {
    pub(super) level: Level,
    pub(super) span: Span,
    pub(super) limit: Option<(f64, Span)>,
    pub(super) priority: Option<Priority>,
    pub(super) deadband: Option<f64>,
    pub(super) on_delay: Option<i64>,
    pub(super) off_delay: Option<i64>,
    pub(super) provenance: ProvenanceText,
}

pub(super) const LEVELS: [(&str, Level); 5] = [
    ("ll", Level::Ll),
    ("l", Level::L),
    ("h", Level::H),
    ("hh", Level::Hh),
    ("hhh", Level::Hhh),
];

/// The limits of a rule as the file gives them.
pub(super) struct Ladder {
    pub(super) given: Vec<LevelText>,
    /// Of all levels that have none of their own.
    pub(super) deadband: Option<f64>,
    /// By operating mode; the first that is true applies.
    pub(super) modes: Vec<ModeText>,
    span: Span,
}

impl Ladder {
    pub(super) fn read(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Ladder {
        let modes = ModeText::read(keys, f);
        Ladder {
            modes,
            ..Ladder::read_levels(keys, f)
        }
    }

    /// The levels alone, of a rule or of a mode.
    pub(super) fn read_levels(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Ladder {
        let mut given = Vec::new();
        for (key, level) in LEVELS {
            let Some(mut k) = keys.table(key, "{ limit = 85, priority = 2 }", f) else {
                continue;
            };
            given.push(LevelText {
                level,
                span: k.span.clone(),
                limit: k.number("limit", f),
                priority: k.priority("priority", f),
                deadband: k.amount("deadband", f).map(|d| d.0),
                on_delay: k.duration_ns("on_delay", f).map(|d| d.0),
                off_delay: k.duration_ns("off_delay", f).map(|d| d.0),
                provenance: ProvenanceText::read(&mut k, f),
            });
            k.finish(f);
        }
        Ladder {
            given,
            deadband: keys.amount("deadband", f).map(|d| d.0),
            modes: Vec::new(),
            span: keys.span.clone(),
        }
    }

    /// Where each set point comes from, as far as the file says.
    pub(super) fn provenance(&self) -> Vec<Provenance> {
        self.given
            .iter()
            .map(|g| g.provenance.of(g.level))
            .collect()
    }

    /// Where a level's limit stands in the file, or else the rule.
    pub(super) fn at(&self, level: Level) -> Span {
        let text = self.given.iter().find(|g| g.level == level);
        text.map_or_else(
            || self.span.clone(),
            |t| t.limit.as_ref().map_or(t.span.clone(), |l| l.1.clone()),
        )
    }

    /// Whether every level has its limit, and there is one at all: a kind that derives a number
    /// finds no limit in the point table. Faults are told.
    pub(super) fn is_whole(&self, like: &str, f: &mut Faults<'_>) -> bool {
        let faults = f.all.len();
        if self.given.is_empty() {
            f.add(
                "E315",
                self.span.clone(),
                "the rule has no limit",
                format!("give one, like `{like}`"),
            );
        }
        for g in &self.given {
            g.provenance.no_override(f);
        }
        for g in self.given.iter().filter(|g| g.limit.is_none()) {
            f.add(
                "E315",
                g.span.clone(),
                format!("level {} has no limit", g.level),
                format!("give it, like `{like}`"),
            );
        }
        for pair in self.given.windows(2) {
            let [lower, upper] = pair else { continue };
            let bound = |g: &LevelText| {
                let deadband = g.deadband.or(self.deadband).unwrap_or(0.0);
                Some((g.level, g.limit.as_ref()?.0, deadband))
            };
            if let (Some(l), Some(u)) = (bound(lower), bound(upper))
                && let Some(said) = disorder(l, u, "")
            {
                f.add("E307", self.at(upper.level), said, IN_ORDER);
            }
        }
        f.all.len() == faults
    }

    /// Each limit with its level and its place.
    pub(super) fn limits(&self) -> impl Iterator<Item = (Level, f64, Span)> {
        self.given.iter().filter_map(|g| {
            let (limit, span) = g.limit.clone()?;
            Some((g.level, limit, span))
        })
    }

    /// The limit of these levels that is nearest to zero.
    pub(super) fn nearest(&self, levels: &[Level]) -> Option<f64> {
        let of = self.limits().filter(|(l, _, _)| levels.contains(l));
        of.map(|(_, limit, _)| limit)
            .min_by(|a, b| a.abs().total_cmp(&b.abs()))
    }

    /// The alarms of a kind that derives a number, on one subject, in the order of their limits.
    pub(super) fn alarms(&self, head: &Head<'_>, rule: RuleIx, p: PointIx) -> Vec<AlarmDef> {
        let def = |g: &LevelText| {
            Some(AlarmDef {
                rule,
                subject: Subject::Point(p),
                level: g.level,
                priority: g
                    .priority
                    .or(head.priority)
                    .unwrap_or_else(|| default_priority(g.level)),
                limit: Some(g.limit.as_ref()?.0),
                deadband: g.deadband.or(self.deadband).unwrap_or(0.0),
                on_delay_ns: g.on_delay.or(head.on_delay).unwrap_or(0),
                off_delay_ns: g.off_delay.or(head.off_delay).unwrap_or(0),
            })
        };
        self.given.iter().filter_map(def).collect()
    }
}

/// The same fault on many points is one fault that names the first and counts the rest.
#[derive(Default)]
pub(super) struct Many(Vec<(Span, String, Level, usize)>);

impl Many {
    pub(super) fn note(&mut self, point: &PointDef, span: Span, level: Level) {
        self.note_as(point.tag.to_string(), span, level);
    }

    pub(super) fn note_as(&mut self, what: String, span: Span, level: Level) {
        match self
            .0
            .iter_mut()
            .find(|(s, _, l, _)| *s == span && *l == level)
        {
            Some((_, _, _, more)) => *more += 1,
            None => self.0.push((span, what, level, 0)),
        }
    }

    pub(super) fn tell(
        self,
        code: &'static str,
        f: &mut Faults<'_>,
        words: impl Fn(&str, Level) -> (String, String),
    ) {
        for (span, what, level, more) in self.0 {
            let (mut message, hint) = words(&what, level);
            if more > 0 {
                message.push_str(&format!(" (and {more} more points)"));
            }
            f.add(code, span, message, hint);
        }
    }
}

#[derive(Default)]
pub(super) struct LimitFaults {
    pub(super) no_limit: Many,
    pub(super) none_at_all: Many,
    outside: Many,
    order: Many,
}

impl LimitFaults {
    pub(super) fn range(
        &mut self,
        point: &PointDef,
        alarms: &[AlarmDef],
        at: impl Fn(Level) -> Span,
    ) {
        for a in alarms {
            let limit = a.limit.unwrap_or(f64::NAN);
            let below = point.low.is_some_and(|low| limit < low);
            let above = point.high.is_some_and(|high| limit > high);
            if below || above {
                let (low, high) = (bound(point.low), bound(point.high));
                let unit = &point.unit;
                self.outside.note_as(
                    format!(
                        "limit {limit} lies outside the range of {}, {low} to {high} {unit}",
                        point.tag
                    ),
                    at(a.level),
                    a.level,
                );
            }
        }
    }

    /// LL < L < H < HH < HHH, and no deadband reaches the next limit (section 6, `check`).
    pub(super) fn order(
        &mut self,
        point: &PointDef,
        alarms: &[AlarmDef],
        at: impl Fn(Level) -> Span,
    ) {
        for pair in alarms.windows(2) {
            let [lower, upper] = pair else { continue };
            let on = format!(" on {}", point.tag);
            let (low, high) = (
                lower.limit.unwrap_or(f64::NAN),
                upper.limit.unwrap_or(f64::NAN),
            );
            let l = (lower.level, low, lower.deadband);
            let u = (upper.level, high, upper.deadband);
            let Some(said) = disorder(l, u, &on) else {
                continue;
            };
            // At whichever of the two the file gives.
            self.order.note_as(said, at(upper.level), lower.level);
        }
    }

    pub(super) fn tell(self, f: &mut Faults<'_>) {
        self.no_limit.tell("E315", f, |tag, level| {
            (
                format!(
                    "level {level} has no limit, neither here nor in the point table for {tag}"
                ),
                format!(
                    "give `limit`, or fill column {} of the point table",
                    column(level)
                ),
            )
        });
        self.none_at_all.tell("E315", f, |tag, _| {
            (
                format!("{tag} has no limit at all, neither here nor in the point table"),
                "give a level, like `h = { limit = 85 }`, or select other points".to_owned(),
            )
        });
        self.outside.tell("E308", f, |said, _| {
            (
                said.to_owned(),
                "a value is clamped to its range: such a limit could never be passed".to_owned(),
            )
        });
        self.order
            .tell("E307", f, |said, _| (said.to_owned(), IN_ORDER.to_owned()));
    }
}

const IN_ORDER: &str = "LL < L < H < HH, with deadbands that do not meet";

/// What is wrong between two neighbours, each with limit and deadband.
fn disorder(lower: (Level, f64, f64), upper: (Level, f64, f64), on: &str) -> Option<String> {
    let ((l, low, low_deadband), (u, high, high_deadband)) = (lower, upper);
    // Where each of the two is left again, seen from the other.
    let low_reach = match l {
        Level::Ll | Level::L => low + low_deadband,
        _ => low,
    };
    let high_reach = match u {
        Level::H | Level::Hh | Level::Hhh => high - high_deadband,
        _ => high,
    };
    if low >= high {
        Some(format!("{l} {low} is not below {u} {high}{on}"))
    } else if low_reach >= high_reach {
        Some(format!(
            "the deadbands of {l} {low} and {u} {high}{on} meet: {low_reach} ≥ {high_reach}"
        ))
    } else {
        None
    }
}

fn bound(v: Option<f64>) -> String {
    v.map_or_else(|| "…".to_owned(), |v| v.to_string())
}

fn column(level: Level) -> String {
    level.name().to_uppercase()
}
