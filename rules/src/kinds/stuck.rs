//! `stuck`: samples arrive, the value does not move, though a witness says that it should
//! (section 4; 8.16). Its grammar; the engine judges it before anything else, for its samples are
//! Uncertain from then on.

use davy_points::{Life, Priority};

use super::head::{Head, Site, missing};
use crate::alarm::Level;
use crate::grammar::expression::Wanted;
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, StuckSettings, plain};

pub(super) fn read(
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
    let witness = keys.text("while", f);
    keys.finish(f);
    let points = head.points(site, f);
    let witnesses = witness
        .and_then(|(text, span)| head.expressions(text, &span, Wanted::Truth, &points, site, f));
    head.rule.stuck = Some(StuckSettings {
        epsilon: epsilon.map_or(0.0, |e| e.0),
        window_ns: window.map_or(1, |w| w.0),
        witnesses: points
            .iter()
            .copied()
            .zip(witnesses.into_iter().flatten())
            .collect(),
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
