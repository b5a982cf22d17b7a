//! `quality`: a quality class in a set for a duration (section 4). Its grammar; the engine judges
//! it beside the signal of every point, where a storm on one device becomes one alarm.

use davy_points::{Life, Priority, QualityClass};
use toml::de::DeValue;

use super::head::{Head, Site};
use crate::alarm::Level;
use crate::grammar::{Faults, Keys, ns, wrong_type};
use crate::ruleset::{Builder, plain};

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    head.rule.classes = classes(&mut keys, f);
    keys.finish(f);
    let points = head.points(site, f);
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
