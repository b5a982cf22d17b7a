//! `first_out`: which alarm of a trip group came first (section 4). Its grammar; the engine keeps
//! the order (`engine/first_out`), for it hears of activations, not of values.

use std::sync::Arc;

use davy_points::{Diagnostic, PointTable, Priority};

use super::head::{Head, Site, missing};
use crate::grammar::{Faults, Keys, glob, nearest};
use crate::ruleset::{AlarmIx, Builder, PendingGroup, RuleSet, Subject, TripGroup};

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    _: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let alarms = keys.texts("alarms", f);
    if alarms.is_empty() {
        missing(
            &mut keys,
            "alarms",
            "the alarms of the trip group: alarms = [\"trip/XS-*/on\"]",
            f,
        );
    }
    let group = keys.text("group", f);
    if let Some((name, span)) = &group
        && (name.is_empty() || name.contains('/'))
    {
        f.add(
            "E305",
            span.clone(),
            format!("\"{name}\" cannot be the name of a group"),
            "it is the middle of an alarm's name: give one without a slash",
        );
    }
    keys.finish(f);
    // What came first stands until the group is reset.
    head.rule.latch = true;
    let name: Arc<str> = group.map_or_else(|| head.rule.id.clone(), |(g, _)| g.into());
    let priority = head.priority.unwrap_or(Priority::LOW);
    let rule = b.rule(head.rule);
    b.first_out.push(PendingGroup {
        rule,
        name,
        priority,
        alarms: alarms
            .into_iter()
            .map(|(glob, span)| (glob.to_owned(), span))
            .collect(),
        file: f.file.to_owned(),
    });
}

/// Gives every group its alarms.
pub(crate) fn resolve(
    pending: &[PendingGroup],
    set: &RuleSet,
    table: &PointTable,
    faults: &mut Vec<Diagnostic>,
) -> Vec<TripGroup> {
    if pending.is_empty() {
        return Vec::new();
    }
    let names: Vec<(AlarmIx, String)> = set
        .alarms()
        .map(|(ix, a)| (ix, set.name(a, table)))
        .collect();
    let mut out = Vec::new();
    for p in pending {
        let mut members: Vec<AlarmIx> = Vec::new();
        for (pattern, span) in &p.alarms {
            let found = names.iter().filter(|(_, name)| glob(pattern, name));
            let before = members.len();
            members.extend(found.map(|(ix, _)| *ix));
            if members.len() == before {
                let all: Vec<&str> = names.iter().map(|(_, n)| n.as_str()).collect();
                faults.push(Diagnostic::error(
                    "E337",
                    &p.file,
                    span.clone(),
                    format!("no alarm is like \"{pattern}\""),
                    match nearest(pattern, &all) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => "write rule/tag/level; * stands for any letters".to_owned(),
                    },
                ));
            }
        }
        members.sort_unstable();
        members.dedup();
        let mut gateways: Vec<&str> = members
            .iter()
            .filter_map(|a| match set.alarm(*a).subject {
                Subject::Point(p) => Some(&*table.source(table.point(p).source).gateway),
                _ => None,
            })
            .collect();
        gateways.sort_unstable();
        gateways.dedup();
        if let (Some((_, span)), true) = (p.alarms.first(), gateways.len() > 1) {
            faults.push(Diagnostic::error(
                "E318",
                &p.file,
                span.clone(),
                format!("the group reaches over gateways {}", gateways.join(", ")),
                "only one engine can say what came first: name alarms of one gateway",
            ));
        }
        out.push(TripGroup {
            rule: p.rule,
            name: p.name.clone(),
            priority: p.priority,
            members: members.into(),
        });
    }
    out
}
