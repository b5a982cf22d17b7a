//! What every kind has: its id, its points, its priority and delays, its policy for Bad input;
//! and the names of other points that a rule reads. Read first: [`read`].

use std::sync::Arc;

use davy_points::{Life, PointIx, PointTable, Priority, Span};

use crate::alarm::Level;
use crate::grammar::expression::{self, Wanted};
use crate::grammar::{Expression, Faults, Keys, Names, Selector, nearest};
use crate::ruleset::{AlarmDef, Approval, Builder, Chatter, Kind, OnBad, Rule, RuleIx, plain};

/// What rules are read against.
pub(crate) struct Site<'a> {
    pub(crate) table: &'a PointTable,
    pub(crate) guidance: &'a [String],
    pub(crate) names: &'a Names,
    /// The key that overrides of caps are signed with.
    pub(crate) approval: &'a Approval,
}

/// What every kind has.
pub(super) struct Head<'t> {
    pub(super) rule: Rule,
    select: Option<Selector<'t>>,
    pub(super) priority: Option<Priority>,
    pub(super) on_delay: Option<i64>,
    pub(super) off_delay: Option<i64>,
}

/// Ids that rules of a file may not take: they name the implicit ones.
const RESERVED: [&str; 6] = ["table", "stale", "quality", "source", "system", "bypass"];

pub(super) fn read<'t>(
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
    // A trip group is one of alarms, not of points.
    let select = match kind {
        Kind::FirstOut => None,
        _ => keys.table("select", "{ class = \"tank_level\" }", f),
    };
    if select.is_none() && kind != Kind::FirstOut {
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
            match nearest(page, &all) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write guidance/{page}.md"),
            },
        );
    }
    let rule = Rule {
        guidance: guidance.map_or("", |g| g.0).into(),
        text: keys.text("text", f).map(|t| t.0.into()),
        realarm_ns: keys.duration_ns("realarm", f).map(|d| d.0),
        latch: keys.truth("latch", f).unwrap_or(false),
        confirm: keys.truth("confirm", f).unwrap_or(false),
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
    let mut rule = rule;
    // What judges the signal itself has no guard, and takes no key that would mean nothing.
    rule.chatter = match kind {
        Kind::Stale | Kind::Stuck | Kind::Quality | Kind::FirstOut => None,
        _ => chatter(keys, f),
    };
    let head = Head {
        rule,
        select,
        priority: keys.priority("priority", f),
        // `stale` has `after`; a delay beside it would be read and mean nothing.
        on_delay: match kind {
            Kind::Stale | Kind::FirstOut => None,
            _ => keys.duration_ns("on_delay", f).map(|d| d.0),
        },
        off_delay: match kind {
            Kind::Stale | Kind::FirstOut => None,
            _ => keys.duration_ns("off_delay", f).map(|d| d.0),
        },
    };
    (head, id)
}

/// `chatter = false`, or `{ count = 3, window = "60s" }`.
fn chatter(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Option<Chatter> {
    let Some(v) = keys.raw("chatter") else {
        return Some(Chatter::default());
    };
    if v.get_ref().as_bool() == Some(false) {
        return None;
    }
    let mut guard = Chatter::default();
    let mut k = keys.table("chatter", "{ count = 3, window = \"60s\" }", f)?;
    if let Some((n, span)) = k.number("count", f) {
        match n {
            n if (2.0..=100.0).contains(&n) && n.fract() == 0.0 => guard.count = n as usize,
            _ => {
                f.add(
                    "E311",
                    span,
                    format!("`count` cannot be {n}"),
                    "give how many occurrences are chatter: a whole number from 2 to 100",
                );
            }
        }
    }
    if let Some((window, _)) = k.duration_ns("window", f) {
        guard.window_ns = window;
    }
    k.finish(f);
    Some(guard)
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

pub(super) fn missing(keys: &mut Keys<'_, '_>, key: &'static str, what: &str, f: &mut Faults<'_>) {
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

/// Where a part of a text stands in the file: within the quotes, where the text stands there as it
/// is; else the whole of it.
fn within(text: &str, span: &Span, part: &Span, f: &Faults<'_>) -> Span {
    let inside = span.start + 1..span.end.saturating_sub(1).max(span.start + 1);
    match f.source.get(inside.clone()) == Some(text) {
        true => inside.start + part.start..inside.start + part.end,
        false => span.clone(),
    }
}

impl Head<'_> {
    /// The points that it selects, in the order of the table.
    pub(super) fn points(&self, site: &Site<'_>, f: &mut Faults<'_>) -> Vec<PointIx> {
        self.select
            .as_ref()
            .map(|s| s.points(site.table, f))
            .unwrap_or_default()
    }

    /// Points that it judges: those that are not merely planned.
    pub(super) fn subjects(&self, site: &Site<'_>, f: &mut Faults<'_>) -> Vec<PointIx> {
        let mut points = self.points(site, f);
        points.retain(|p| site.table.point(*p).life != Life::Planned);
        points
    }

    /// The same, where the fault of a selector that selects nothing is told elsewhere.
    pub(super) fn quiet_subjects(&self, site: &Site<'_>) -> Vec<PointIx> {
        let select = self.select.as_ref();
        let mut points = select.map(|s| s.matching(site.table)).unwrap_or_default();
        points.retain(|p| site.table.point(*p).life != Life::Planned);
        points
    }

    /// What the one `*` of `select.tag` stands for in this tag.
    pub(super) fn capture<'p>(&self, tag: &'p str) -> Option<&'p str> {
        self.select.as_ref()?.capture(tag)
    }

    /// A point that the rule reads beside its subject. A `*` in its name stands for what the one
    /// `*` of `select.tag` stands for. It must be read by the gateway that reads the subject, whose
    /// engine alone judges the rule.
    pub(super) fn input(
        &self,
        name: &str,
        span: &Span,
        subject: PointIx,
        site: &Site<'_>,
        f: &mut Faults<'_>,
    ) -> Option<PointIx> {
        let tag = &site.table.point(subject).tag;
        let wanted = match (name.contains('*'), self.capture(tag)) {
            (true, Some(star)) => name.replace('*', star),
            (true, None) => {
                f.add(
                    "E317",
                    span.clone(),
                    format!("\"{name}\" has a * and `select.tag` has not just one"),
                    "write the * of both at what differs: select = { tag = \"LT-*\" } with \"FT-*\"",
                );
                return None;
            }
            (false, _) => name.to_owned(),
        };
        let Some(found) = site.table.find(&wanted) else {
            let all: Vec<&str> = site.table.iter().map(|(_, p)| &*p.tag).collect();
            let hint = match nearest(&wanted, &all) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "give the tag of a point of the table".to_owned(),
            };
            f.add(
                "E317",
                span.clone(),
                format!("there is no point \"{wanted}\""),
                hint,
            );
            return None;
        };
        self.same_gateway(found, span, subject, site, f)
            .then_some(found)
    }

    /// Whether one gateway reads both; if not, that is a fault.
    pub(super) fn same_gateway(
        &self,
        input: PointIx,
        span: &Span,
        subject: PointIx,
        site: &Site<'_>,
        f: &mut Faults<'_>,
    ) -> bool {
        let gateway = |p: PointIx| &site.table.source(site.table.point(p).source).gateway;
        let same = gateway(input) == gateway(subject);
        if !same {
            let (a, b) = (site.table.point(input), site.table.point(subject));
            f.add(
                "E318",
                span.clone(),
                format!(
                    "{} is read by gateway {}, {} by {}",
                    a.tag,
                    gateway(input),
                    b.tag,
                    gateway(subject)
                ),
                "a rule is judged where its points are read: let one gateway read all of them",
            );
        }
        same
    }

    /// An expression of the rule, read for each of its subjects, in their order. Faults are told.
    pub(super) fn expressions(
        &self,
        text: &str,
        span: &Span,
        wanted: Wanted,
        subjects: &[PointIx],
        site: &Site<'_>,
        f: &mut Faults<'_>,
    ) -> Option<Vec<Arc<Expression>>> {
        let tags = subjects.iter().map(|p| &*site.table.point(*p).tag);
        // What selects nothing has its fault, and is read all the same for those of the text.
        let captures: Vec<Option<&str>> = match subjects {
            [] => vec![None],
            _ => tags.map(|tag| self.capture(tag)).collect(),
        };
        match expression::each(text, wanted, site.names, captures.into_iter()) {
            Ok(all) => {
                // Only the first that another gateway reads is told.
                let same = subjects.iter().zip(&all).all(|(p, e)| {
                    let mut inputs = e.inputs().iter();
                    inputs.all(|input| self.same_gateway(*input, span, *p, site, f))
                });
                same.then_some(all)
            }
            // Without a subject there is nothing that a * could stand for.
            Err(_) if subjects.is_empty() && text.contains('*') => None,
            Err(faults) => {
                for fault in faults {
                    let at = within(text, span, &fault.span, f);
                    f.add("E313", at, fault.message, fault.hint);
                }
                None
            }
        }
    }

    /// Whether both are measured in one unit; if not, that is a fault.
    pub(super) fn same_unit(
        &self,
        input: PointIx,
        subject: PointIx,
        span: &Span,
        site: &Site<'_>,
        f: &mut Faults<'_>,
    ) -> bool {
        let (a, b) = (site.table.point(input), site.table.point(subject));
        let same = a.unit == b.unit;
        if !same {
            let unit = |u: &str| match u {
                "" => "no unit".to_owned(),
                u => format!("\"{u}\""),
            };
            f.add(
                "E341",
                span.clone(),
                format!(
                    "{} has {}, {} has {}",
                    a.tag,
                    unit(&a.unit),
                    b.tag,
                    unit(&b.unit)
                ),
                "compare points of one unit: let the point table scale both to it",
            );
        }
        same
    }

    /// The alarm `on` of a kind without limits.
    pub(super) fn on(&self, rule: RuleIx, p: PointIx, default: Priority) -> AlarmDef {
        AlarmDef {
            priority: self.priority.unwrap_or(default),
            ..plain(
                rule,
                p,
                Level::On,
                self.on_delay.unwrap_or(0),
                self.off_delay.unwrap_or(0),
            )
        }
    }
}

/// What a rule does about input that is not usable (3.4, 3.6).
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// Level `bad`, where the policy is `alarm`: priority, on-delay and off-delay, ns.
    bad: Option<(Priority, Option<i64>, i64)>,
    /// Its on-delay where the file gives none, ns.
    bad_on_ns: i64,
    /// Level `loss_of_view` with a priority of its own.
    blind: Option<Priority>,
}

impl Policy {
    /// Reads `on_bad`, `bad`, `pending`, `gap_tolerance`, `safety` and `loss_of_view`.
    pub(super) fn read(head: &mut Head<'_>, keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Policy {
        let on_bad = [
            ("hold", OnBad::Hold),
            ("alarm", OnBad::Alarm),
            ("use_value", OnBad::UseValue),
        ];
        head.rule.on_bad = keys.word("on_bad", &on_bad, f).unwrap_or_default();
        let always = head.rule.on_bad == OnBad::Alarm;
        Policy::rest(always, head, keys, f)
    }

    /// The same without `on_bad`: level `bad` is listed whenever an input is lost.
    pub(super) fn listed(
        head: &mut Head<'_>,
        keys: &mut Keys<'_, '_>,
        f: &mut Faults<'_>,
    ) -> Policy {
        Policy::rest(true, head, keys, f)
    }

    fn rest(
        listed: bool,
        head: &mut Head<'_>,
        keys: &mut Keys<'_, '_>,
        f: &mut Faults<'_>,
    ) -> Policy {
        let pending = [("strict", true), ("held", false)];
        head.rule.strict = keys.word("pending", &pending, f).unwrap_or(false);
        head.rule.gap_tolerance_ns = keys.duration_ns("gap_tolerance", f).map(|d| d.0);
        head.rule.safety = keys.truth("safety", f);
        let mut bad = (Priority::MEDIUM, None, 0);
        if let Some(mut k) = keys.table("bad", "{ priority = 2, on_delay = \"10s\" }", f) {
            if !listed {
                f.add(
                    "E302",
                    k.span.clone(),
                    "`bad` has no effect without `on_bad = \"alarm\"`",
                    "add on_bad = \"alarm\", or take `bad` away",
                );
            }
            bad = (
                k.priority("priority", f).unwrap_or(Priority::MEDIUM),
                k.duration_ns("on_delay", f).map(|d| d.0),
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
        Policy {
            bad: listed.then_some(bad),
            bad_on_ns: 0,
            blind,
        }
    }

    /// On-delay of level `bad` where the file gives none.
    pub(super) fn unless_given(&mut self, bad_on_ns: i64) {
        self.bad_on_ns = bad_on_ns;
    }

    /// The alarms that follow from it on one point.
    pub(super) fn alarms(&self, rule: RuleIx, p: PointIx, b: &mut Builder<'_>) {
        if let Some((priority, on, off)) = self.bad {
            let alarm = AlarmDef {
                priority,
                ..plain(rule, p, Level::Bad, on.unwrap_or(self.bad_on_ns), off)
            };
            b.alarm(p, alarm);
        }
        if let Some(priority) = self.blind {
            let alarm = AlarmDef {
                priority,
                ..plain(rule, p, Level::LossOfView, 0, 0)
            };
            b.alarm(p, alarm);
        }
    }
}
