//! `suppress`: causes for which a rule's alarms are by design not annunciated (section 2, row 13):
//! a fan that is off makes no dust pressure. Its grammar; alarms that are causes get their places
//! when the whole set is known ([`resolve`]), and there a cycle is found.
//!
//! Suppressed alarms are evaluated and recorded all the same; the engine keeps the time.

use std::collections::{BTreeMap, BTreeSet};

use davy_points::{Diagnostic, PointIx, PointTable, Priority, Span};

use super::head::{Head, Site, missing};
use super::ladder::LEVELS;
use crate::alarm::Level;
use crate::grammar::{Faults, Keys, Wanted, nearest};
use crate::ruleset::{
    AlarmIx, Builder, PendingBy, PendingCause, RuleSet, SuppressedBy, Suppression,
};

/// Longer than a week nothing is suppressed by design: it is taken out of service.
const MAX_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// Reads the causes of a rule, and notes them for [`resolve`].
pub(super) fn read(
    head: &mut Head<'_>,
    keys: &mut Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let like = "{ while = \"XS_101 == 0\", cause = \"fan-off\", max = \"12h\" }";
    let subjects = head.quiet_subjects(site);
    let mut text = String::new();
    for mut k in keys.tables("suppress", like, f) {
        let cause = k.text("cause", f);
        if cause.is_none() {
            missing(
                &mut k,
                "cause",
                "a word for the operator: why it is suppressed",
                f,
            );
        }
        let max = k.duration_ns("max", f);
        match &max {
            None => missing(
                &mut k,
                "max",
                "the longest that it may last, like \"12h\"",
                f,
            ),
            Some((ns, span)) if *ns == 0 || *ns > MAX_NS => {
                f.add(
                    "E335",
                    span.clone(),
                    "`max` must be more than nothing and at most a week",
                    "what is to be silent for longer is taken out of service, with a permit",
                );
            }
            Some(_) => {}
        }
        let condition = k.text("while", f);
        let alarm = k.text("alarm", f);
        let levels = levels(&mut k, f);
        let is_overridden = k
            .text("override", f)
            .is_some_and(|(who, _)| !who.trim().is_empty());
        let span = k.span.clone();
        k.finish(f);
        let by = match (condition.clone(), alarm.clone()) {
            (Some((text, span)), None) => head
                .expressions(text, &span, Wanted::Truth, &subjects, site, f)
                .map(PendingBy::While),
            (None, Some((name, span))) => head
                .alarm_names(name, &span, &subjects, site, f)
                .map(PendingBy::Alarm),
            _ => {
                f.add(
                    "E335",
                    span.clone(),
                    "a cause is a condition or an alarm",
                    format!("give either `while` or `alarm`, like {like}"),
                );
                None
            }
        };
        let (Some(by), Some((cause, _)), Some((max_ns, _))) = (by, cause, max) else {
            continue;
        };
        text.push_str(&format!(
            "|{cause} {max_ns} {levels:?} {}",
            condition.or(alarm).map_or("", |t| t.0)
        ));
        b.suppress(PendingCause {
            rule: head.rule.id.to_string(),
            subjects: subjects.clone(),
            levels,
            cause: cause.into(),
            max_ns,
            by,
            is_overridden,
            file: f.file.to_owned(),
            span,
        });
    }
    head.rule.suppress = text.into();
}

/// `levels = ["l", "ll"]`: which of the rule's alarms; all where it is left out.
fn levels(k: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Option<Vec<Level>> {
    k.raw("levels")?;
    let mut out = Vec::new();
    for (word, span) in k.texts("levels", f) {
        let known = LEVELS
            .iter()
            .copied()
            .chain([("on", Level::On), ("bad", Level::Bad)]);
        match known.clone().find(|(name, _)| *name == word) {
            Some((_, level)) => out.push(level),
            None => {
                let all: Vec<&str> = known.map(|(name, _)| name).collect();
                f.add(
                    "E316",
                    span,
                    format!("\"{word}\" is no level"),
                    format!("one of: {}", all.join(", ")),
                );
            }
        }
    }
    Some(out)
}

impl Head<'_> {
    /// An alarm that each subject's is suppressed by; a `*` stands for what that of `select.tag`
    /// stands for.
    fn alarm_names(
        &self,
        name: &str,
        span: &Span,
        subjects: &[PointIx],
        site: &Site<'_>,
        f: &mut Faults<'_>,
    ) -> Option<Vec<String>> {
        let star = |p: &PointIx| self.capture(&site.table.point(*p).tag);
        if name.contains('*') && subjects.iter().any(|p| star(p).is_none()) {
            f.add(
                "E317",
                span.clone(),
                format!("\"{name}\" has a * and `select.tag` has not just one"),
                "write the * of both at what differs",
            );
            return None;
        }
        let names = subjects.iter().map(|p| match star(p) {
            Some(star) => name.replace('*', star),
            None => name.to_owned(),
        });
        Some(names.collect())
    }
}

/// Gives every cause its alarms. Faults: a cause that there is not, what only a named override may
/// suppress, alarms that suppress each other.
pub(crate) fn resolve(
    pending: &[PendingCause],
    set: &RuleSet,
    table: &PointTable,
    faults: &mut Vec<Diagnostic>,
) -> Vec<Suppression> {
    let mut out = Vec::new();
    for p in pending {
        let before = faults.len();
        for (n, subject) in p.subjects.iter().enumerate() {
            let alarms: Vec<AlarmIx> = set
                .of_point(*subject)
                .filter(|(_, a)| *set.rule(a.rule).id == *p.rule)
                .filter(|(_, a)| match &p.levels {
                    Some(levels) => levels.contains(&a.level),
                    None => a.level != Level::LossOfView,
                })
                .map(|(ix, _)| ix)
                .collect();
            let guarded = alarms.iter().find(|a| {
                let def = set.alarm(**a);
                let gas = table.point(*subject).class.starts_with("gas");
                def.priority == Priority::CRITICAL
                    || (gas && matches!(def.level, Level::Hh | Level::Hhh))
            });
            if let (Some(a), false) = (guarded, p.is_overridden) {
                let name = set.name(set.alarm(*a), table);
                faults.push(Diagnostic::error(
                    "E335",
                    &p.file,
                    p.span.clone(),
                    format!("{name} is priority 1 or a second gas step: no cause suppresses it"),
                    "name the levels that it may suppress, like levels = [\"l\"], or who has decided \
                     otherwise: override = \"MOC-2031, safety committee\"",
                ));
            }
            let by = match &p.by {
                PendingBy::While(all) => all.get(n).map(|e| SuppressedBy::While(e.clone())),
                PendingBy::Alarm(names) => names.get(n).and_then(|name| {
                    let found = set.find(name, table).filter(|a| {
                        let gateway = |t| &table.source(table.point(t).source).gateway;
                        match set.alarm(*a).subject {
                            crate::ruleset::Subject::Point(cause) => {
                                gateway(cause) == gateway(*subject)
                            }
                            _ => true,
                        }
                    });
                    if found.is_none() {
                        let all: Vec<String> =
                            set.alarms().map(|(_, a)| set.name(a, table)).collect();
                        let all: Vec<&str> = all.iter().map(String::as_str).collect();
                        faults.push(Diagnostic::error(
                            "E335",
                            &p.file,
                            p.span.clone(),
                            format!("there is no alarm \"{name}\" at this gateway"),
                            match nearest(name, &all) {
                                Some(near) => format!("did you mean \"{near}\"?"),
                                None => "write rule/tag/level".to_owned(),
                            },
                        ));
                    }
                    found.map(SuppressedBy::Alarm)
                }),
            };
            // The first of a class tells for all.
            if faults.len() > before {
                break;
            }
            if let Some(by) = by {
                out.push(Suppression {
                    alarms: alarms.into(),
                    cause: p.cause.clone(),
                    max_ns: p.max_ns,
                    by,
                });
            }
        }
    }
    if let Some((alarm, place)) = cycle(&out) {
        let p = pending.iter().find(|p| p.cause == out[place].cause);
        let name = set.name(set.alarm(alarm), table);
        if let Some(p) = p {
            faults.push(Diagnostic::error(
                "E336",
                &p.file,
                p.span.clone(),
                format!("{name} would be suppressed by itself, through others"),
                "where alarms suppress each other nobody hears of any: take one cause away",
            ));
        }
    }
    out
}

/// An alarm that suppresses itself through others, and a cause that does it.
fn cycle(all: &[Suppression]) -> Option<(AlarmIx, usize)> {
    let mut suppresses: BTreeMap<AlarmIx, Vec<(AlarmIx, usize)>> = BTreeMap::new();
    for (n, s) in all.iter().enumerate() {
        if let SuppressedBy::Alarm(by) = &s.by {
            let to = suppresses.entry(*by).or_default();
            to.extend(s.alarms.iter().map(|a| (*a, n)));
        }
    }
    let mut done: BTreeSet<AlarmIx> = BTreeSet::new();
    for start in suppresses.keys() {
        // Depth first, without recursion: the path, and where each of its alarms goes on.
        let mut path: Vec<(AlarmIx, usize)> = vec![(*start, 0)];
        while let Some((at, next)) = path.last_mut() {
            let to = suppresses.get(at).and_then(|to| to.get(*next));
            *next += 1;
            match to {
                None => {
                    done.insert(*at);
                    path.pop();
                }
                Some((a, n)) if path.iter().any(|(on, _)| on == a) => return Some((*a, *n)),
                Some((a, _)) if !done.contains(a) => path.push((*a, 0)),
                Some(_) => {}
            }
        }
    }
    None
}
