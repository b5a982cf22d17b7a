//! One rule of each kind: from its table in the file to alarms on its points.

use davy_points::{Life, PointDef, PointIx, PointTable, Priority, QualityClass, Span};
use toml::de::DeValue;

use super::expression::{self, Names};
use super::ns;
use super::ruleset::{
    AlarmDef, Builder, Kind, OnBad, Rule, StuckSettings, Subject, default_priority, plain,
    table_limit,
};
use super::select::Selector;
use super::text::{Faults, Keys, wrong_type};
use crate::alarm::Level;

/// What rules are read against.
pub(super) struct Site<'a> {
    pub(super) table: &'a PointTable,
    pub(super) guidance: &'a [String],
    pub(super) names: &'a Names,
}

/// What every kind has.
struct Head<'t> {
    rule: Rule,
    select: Option<Selector<'t>>,
    priority: Option<Priority>,
    on_delay: Option<i64>,
    off_delay: Option<i64>,
}

/// Ids that rules of a file may not take: they name the implicit ones.
const RESERVED: [&str; 5] = ["table", "stale", "quality", "source", "system"];

pub(super) fn read(
    kind: Kind,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) -> Option<(String, Span)> {
    let (head, id) = head(kind, &mut keys, site, f);
    match kind {
        Kind::Level => level(head, keys, site, f, b),
        Kind::Stale => stale(head, keys, site, f, b),
        Kind::Stuck => stuck(head, keys, site, f, b),
        Kind::Quality => quality(head, keys, site, f, b),
        Kind::Source | Kind::System => {}
    }
    id
}

fn head<'t>(
    kind: Kind,
    keys: &mut Keys<'t, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
) -> (Head<'t>, Option<(String, Span)>) {
    let id = match keys.text("id", f) {
        Some((id, span)) => {
            check_id(kind, id, span.clone(), f);
            Some((id.to_owned(), span))
        }
        None => {
            missing(keys, "id", "a stable name of a-z, 0-9 and -", f);
            None
        }
    };
    let select = keys.table("select", "{ class = \"tank_level\" }", f);
    if select.is_none() {
        missing(keys, "select", "`select = { class = \"tank_level\" }`", f);
    }
    let select = select.map(|s| Selector::read(s, f));
    let guidance = keys.text("guidance", f);
    if let Some((page, span)) = &guidance
        && !site.guidance.iter().any(|g| g == page)
    {
        let all: Vec<&str> = site.guidance.iter().map(String::as_str).collect();
        f.add(
            "E314",
            span.clone(),
            format!("there is no guidance page \"{page}\""),
            match super::nearest::nearest(page, &all) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write guidance/{page}.md"),
            },
        );
    }
    let rule = Rule {
        guidance: guidance.map_or("", |g| g.0).into(),
        text: keys.text("text", f).map(|t| t.0.into()),
        realarm_ns: keys.duration_ns("realarm", f).map(|d| d.0),
        origin: Some((f.file.to_owned(), keys.span.clone())),
        ..Rule::implicit(id.as_ref().map_or("", |i| &i.0), kind)
    };
    if rule.realarm_ns == Some(0)
        && let Some(v) = keys.raw("realarm")
    {
        f.add(
            "E310",
            v.span(),
            "`realarm` is zero",
            "leave it out, or give the time after which an acknowledged alarm sounds again",
        );
    }
    let head = Head {
        rule,
        select,
        priority: keys.priority("priority", f),
        // `stale` has `after`; a delay beside it would be read and mean nothing.
        on_delay: match kind {
            Kind::Stale => None,
            _ => keys.duration_ns("on_delay", f).map(|d| d.0),
        },
        off_delay: match kind {
            Kind::Stale => None,
            _ => keys.duration_ns("off_delay", f).map(|d| d.0),
        },
    };
    (head, id)
}

fn check_id(kind: Kind, id: &str, span: Span, f: &mut Faults<'_>) {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if id.is_empty() || !id.chars().all(fits) {
        f.add(
            "E305",
            span,
            format!("\"{id}\" cannot be a rule's id"),
            "use a-z, 0-9 and - only: it is part of alarm names and topics",
        );
    } else if RESERVED.contains(&id) && id != kind.name() {
        f.add(
            "E305",
            span,
            format!("\"{id}\" is the name of an implicit rule"),
            "choose another id",
        );
    }
}

fn missing(keys: &mut Keys<'_, '_>, key: &'static str, what: &str, f: &mut Faults<'_>) {
    // A key of the wrong type has had its fault already.
    if keys.raw(key).is_none() {
        let at = keys.span.start..keys.span.start;
        let line_end = f.source[at.start..]
            .find('\n')
            .map_or(f.source.len(), |n| at.start + n);
        f.add(
            "E302",
            at.start..line_end,
            format!("`{key}` is missing"),
            format!("give {what}"),
        );
    }
}

fn points_of(head: &Head<'_>, site: &Site<'_>, f: &mut Faults<'_>) -> Vec<PointIx> {
    head.select
        .as_ref()
        .map(|s| s.points(site.table, f))
        .unwrap_or_default()
}

/// One level as the file gives it.
struct LevelText {
    level: Level,
    span: Span,
    limit: Option<(f64, Span)>,
    priority: Option<Priority>,
    deadband: Option<f64>,
    on_delay: Option<i64>,
    off_delay: Option<i64>,
}

const LEVELS: [(&str, Level); 5] = [
    ("ll", Level::Ll),
    ("l", Level::L),
    ("h", Level::H),
    ("hh", Level::Hh),
    ("hhh", Level::Hhh),
];

fn level(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
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
        });
        k.finish(f);
    }
    let deadband = keys.amount("deadband", f).map(|d| d.0);
    let on_bad = [
        ("hold", OnBad::Hold),
        ("alarm", OnBad::Alarm),
        ("use_value", OnBad::UseValue),
    ];
    head.rule.on_bad = keys.word("on_bad", &on_bad, f).unwrap_or_default();
    let pending = [("strict", true), ("held", false)];
    head.rule.strict = keys.word("pending", &pending, f).unwrap_or(false);
    head.rule.gap_tolerance_ns = keys.duration_ns("gap_tolerance", f).map(|d| d.0);
    head.rule.safety = keys.truth("safety", f);
    let mut bad = (Priority::MEDIUM, 0, 0);
    if let Some(mut k) = keys.table("bad", "{ priority = 2, on_delay = \"10s\" }", f) {
        if head.rule.on_bad != OnBad::Alarm {
            f.add(
                "E302",
                k.span.clone(),
                "`bad` has no effect without `on_bad = \"alarm\"`",
                "add on_bad = \"alarm\", or take `bad` away",
            );
        }
        bad = (
            k.priority("priority", f).unwrap_or(Priority::MEDIUM),
            k.duration_ns("on_delay", f).map_or(0, |d| d.0),
            k.duration_ns("off_delay", f).map_or(0, |d| d.0),
        );
        k.finish(f);
    }
    let blind = keys
        .table("loss_of_view", "{ priority = 3 }", f)
        .and_then(|mut k| {
            let p = k.priority("priority", f);
            k.finish(f);
            p
        });
    let span = keys.span.clone();
    keys.finish(f);

    let points = points_of(&head, site, f);
    let on_bad = head.rule.on_bad;
    let defaults = (head.priority, head.on_delay, head.off_delay, deadband);
    let rule = b.rule(head.rule);
    let mut faults = PointFaults::default();
    for p in points {
        let point = site.table.point(p);
        if point.life == Life::Planned {
            continue;
        }
        let first = !b.covered(p, Kind::Level);
        let mut alarms = Vec::new();
        for (_, level) in LEVELS {
            let text = given.iter().find(|g| g.level == level);
            let limit = match text {
                Some(LevelText { limit: Some(l), .. }) => Some(l.0),
                // A limit left out comes from the table, to the first rule that covers the point.
                Some(_) => table_limit(point, level),
                None if first => table_limit(point, level),
                None => None,
            };
            let Some(limit) = limit else {
                if let Some(t) = text {
                    faults.no_limit.note(point, t.span.clone(), level);
                }
                continue;
            };
            let (priority, on_delay, off_delay, deadband) = defaults;
            alarms.push(AlarmDef {
                rule,
                subject: Subject::Point(p),
                level,
                priority: text
                    .and_then(|t| t.priority)
                    .or(priority)
                    .or(point.priority)
                    .unwrap_or_else(|| default_priority(level)),
                limit: Some(limit),
                deadband: text
                    .and_then(|t| t.deadband)
                    .or(deadband)
                    .unwrap_or(point.deadband),
                on_delay_ns: text
                    .and_then(|t| t.on_delay)
                    .or(on_delay)
                    .unwrap_or_else(|| ns(point.on_delay)),
                off_delay_ns: text
                    .and_then(|t| t.off_delay)
                    .or(off_delay)
                    .unwrap_or_else(|| ns(point.off_delay)),
            });
        }
        let at = |level: Level| {
            let text = given.iter().find(|g| g.level == level);
            text.map_or_else(
                || span.clone(),
                |t| t.limit.as_ref().map_or(t.span.clone(), |l| l.1.clone()),
            )
        };
        if alarms.is_empty() {
            faults.none_at_all.note(point, span.clone(), Level::On);
        }
        faults.range(point, &alarms, at);
        faults.order(point, &alarms, at);
        for a in alarms {
            b.alarm(p, a);
        }
        if on_bad == OnBad::Alarm {
            let mut a = plain(rule, p, Level::Bad, bad.1, bad.2);
            a.priority = bad.0;
            b.alarm(p, a);
        }
        if let Some(priority) = blind {
            let mut a = plain(rule, p, Level::LossOfView, 0, 0);
            a.priority = priority;
            b.alarm(p, a);
        }
    }
    faults.tell(f);
}

/// The same fault on many points is one fault that names the first and counts the rest.
#[derive(Default)]
struct Many(Vec<(Span, String, Level, usize)>);

impl Many {
    fn note(&mut self, point: &PointDef, span: Span, level: Level) {
        self.note_as(point.tag.to_string(), span, level);
    }

    fn note_as(&mut self, what: String, span: Span, level: Level) {
        match self
            .0
            .iter_mut()
            .find(|(s, _, l, _)| *s == span && *l == level)
        {
            Some((_, _, _, more)) => *more += 1,
            None => self.0.push((span, what, level, 0)),
        }
    }

    fn tell(
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
struct PointFaults {
    no_limit: Many,
    none_at_all: Many,
    outside: Many,
    order: Many,
}

impl PointFaults {
    fn range(&mut self, point: &PointDef, alarms: &[AlarmDef], at: impl Fn(Level) -> Span) {
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
    fn order(&mut self, point: &PointDef, alarms: &[AlarmDef], at: impl Fn(Level) -> Span) {
        for pair in alarms.windows(2) {
            let [lower, upper] = pair else { continue };
            let (low, high) = (
                lower.limit.unwrap_or(f64::NAN),
                upper.limit.unwrap_or(f64::NAN),
            );
            // Where each of the two is left again, seen from the other.
            let low_reach = match lower.level {
                Level::Ll | Level::L => low + lower.deadband,
                _ => low,
            };
            let high_reach = match upper.level {
                Level::H | Level::Hh | Level::Hhh => high - upper.deadband,
                _ => high,
            };
            let tag = &point.tag;
            let (l, u) = (lower.level, upper.level);
            let said = if low >= high {
                format!("{l} {low} is not below {u} {high} on {tag}")
            } else if low_reach >= high_reach {
                format!(
                    "the deadbands of {l} {low} and {u} {high} on {tag} meet: {low_reach} ≥ {high_reach}"
                )
            } else {
                continue;
            };
            // At whichever of the two the file gives.
            self.order.note_as(said, at(u), l);
        }
    }

    fn tell(self, f: &mut Faults<'_>) {
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
        self.order.tell("E307", f, |said, _| {
            (
                said.to_owned(),
                "LL < L < H < HH, with deadbands that do not meet".to_owned(),
            )
        });
    }
}

fn bound(v: Option<f64>) -> String {
    v.map_or_else(|| "…".to_owned(), |v| v.to_string())
}

fn column(level: Level) -> String {
    level.name().to_uppercase()
}

fn stale(
    head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let after = keys.duration_ns("after", f);
    if let Some((0, span)) = &after {
        f.add(
            "E310",
            span.clone(),
            "`after` is zero: every point would be stale at once",
            "give the longest silence that is normal, or leave it out",
        );
    }
    keys.finish(f);
    let points = points_of(&head, site, f);
    let priority = head.priority.unwrap_or(Priority::MEDIUM);
    let rule = b.rule(head.rule);
    for p in points {
        let point = site.table.point(p);
        let silence = after.as_ref().map_or(ns(point.stale_after), |a| a.0);
        if point.life == Life::Planned || silence == 0 {
            continue;
        }
        let mut a = plain(rule, p, Level::Stale, silence, 0);
        a.priority = priority;
        b.alarm(p, a);
    }
}

fn stuck(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let epsilon = keys.amount("epsilon", f);
    if epsilon.is_none() {
        missing(
            &mut keys,
            "epsilon",
            "the smallest movement that counts, in the point's unit",
            f,
        );
    }
    let window = keys.duration_ns("window", f);
    if window.is_none() {
        missing(
            &mut keys,
            "window",
            "how long a value may stand still, like \"10m\"",
            f,
        );
    }
    if let Some((0, span)) = &window {
        f.add(
            "E310",
            span.clone(),
            "`window` is zero",
            "give how long a value may stand still, like \"10m\"",
        );
    }
    let witness = keys.text("while", f).and_then(|(text, span)| {
        match expression::parse(text, site.names) {
            Ok(e) => Some(std::sync::Arc::new(e)),
            Err(fault) => {
                // Within the quotes, where the text stands there as it is.
                let inside = span.start + 1..span.end.saturating_sub(1).max(span.start + 1);
                let literal = f.source.get(inside.clone()) == Some(text);
                let at = if literal {
                    inside.start + fault.span.start..inside.start + fault.span.end
                } else {
                    span
                };
                f.add("E313", at, fault.message, fault.hint);
                None
            }
        }
    });
    keys.finish(f);
    let points = points_of(&head, site, f);
    head.rule.stuck = Some(StuckSettings {
        epsilon: epsilon.map_or(0.0, |e| e.0),
        window_ns: window.map_or(1, |w| w.0),
        witness,
    });
    let priority = head.priority.unwrap_or(Priority::HIGH);
    let (on, off) = (head.on_delay.unwrap_or(0), head.off_delay.unwrap_or(0));
    let rule = b.rule(head.rule);
    for p in points {
        if site.table.point(p).life == Life::Planned {
            continue;
        }
        let mut a = plain(rule, p, Level::On, on, off);
        a.priority = priority;
        b.alarm(p, a);
    }
}

fn quality(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    head.rule.classes = classes(&mut keys, f);
    keys.finish(f);
    let points = points_of(&head, site, f);
    let priority = head.priority.unwrap_or(Priority::MEDIUM);
    let (on, off) = (head.on_delay, head.off_delay.unwrap_or(0));
    let rule = b.rule(head.rule);
    for p in points {
        let point = site.table.point(p);
        if point.life == Life::Planned {
            continue;
        }
        let on = on.unwrap_or_else(|| ns(point.expected_interval).saturating_mul(2));
        let mut a = plain(rule, p, Level::Bad, on, off);
        a.priority = priority;
        b.alarm(p, a);
    }
}

/// `classes = ["bad", "uncertain"]`; Bad alone where it is left out.
fn classes(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Vec<QualityClass> {
    let Some(v) = keys.raw("classes") else {
        return vec![QualityClass::Bad];
    };
    let DeValue::Array(items) = v.get_ref() else {
        wrong_type(
            f,
            "classes",
            v,
            "a list: [\"bad\"], or [\"bad\", \"uncertain\"]",
        );
        return Vec::new();
    };
    let mut out = Vec::new();
    for item in items {
        match item.get_ref().as_str() {
            Some("bad") => out.push(QualityClass::Bad),
            Some("uncertain") => out.push(QualityClass::Uncertain),
            Some(other) => {
                f.add(
                    "E316",
                    item.span(),
                    format!("\"{other}\" is no class to alarm on"),
                    "one of: bad, uncertain",
                );
            }
            None => wrong_type(f, "classes", item, "\"bad\" or \"uncertain\""),
        }
    }
    if items.is_empty() {
        f.add(
            "E316",
            v.span(),
            "`classes` is empty: the rule could never alarm",
            "one of: bad, uncertain; leave it out for bad",
        );
    }
    out.sort_unstable();
    out.dedup();
    out
}
