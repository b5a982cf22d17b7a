//! `stuck`: samples arrive, the value does not move, though a witness says that it should
//! (section 4; 8.16). Its grammar; the engine judges it before anything else, for its samples are
//! Uncertain from then on.

use davy_points::{Life, Priority};

use super::head::{Head, Site, missing};
use crate::alarm::Level;
use crate::language::{Builder, Faults, Keys, StuckSettings, expression, plain};

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
    let points = head.points(site, f);
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
