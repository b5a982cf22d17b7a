//! `stale`: no admitted arrival for too long (section 4; 8.7). Its grammar; the engine's stale
//! deadlines are its judgement, for they stand for every point.

use davy_points::{Life, Priority};

use super::head::{Head, Site};
use crate::alarm::Level;
use crate::grammar::{Faults, Keys, ns};
use crate::ruleset::{Builder, plain};

pub(super) fn read(
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
    let points = head.points(site, f);
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
