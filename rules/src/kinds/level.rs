//! `level`: LL, L, H, HH and HHH on a value (section 4). Its grammar; its judgement is the engine's
//! own path, the one that must take tens of millions of samples a second.

use davy_points::Life;

use super::head::{Head, Policy, Site};
use super::ladder::{LEVELS, Ladder, LevelText, LimitFaults};
use super::mode::Modes;
use super::provenance::Caps;
use crate::alarm::Level;
use crate::grammar::{Faults, Keys, ns};
use crate::ruleset::{AlarmDef, Builder, Kind, Subject, default_priority, table_limit};

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let mut caps = Caps::read(&head.rule.id, &mut keys, site.approval, f);
    let ladder = Ladder::read(&mut keys, f);
    head.rule.provenance = ladder.provenance();
    let policy = Policy::read(&mut head, &mut keys, f);
    let span = keys.span.clone();
    keys.finish(f);

    let points = head.points(site, f);
    let defaults = (
        head.priority,
        head.on_delay,
        head.off_delay,
        ladder.deadband,
    );
    let modes = Modes::of(&ladder, &head, &points, site, f);
    let rule = b.rule(head.rule);
    let mut faults = LimitFaults::default();
    for p in points {
        let point = site.table.point(p);
        if point.life == Life::Planned {
            continue;
        }
        let first = !b.covered(p, Kind::Level);
        let mut alarms = Vec::new();
        for (_, level) in LEVELS {
            let text = ladder.given.iter().find(|g| g.level == level);
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
        let at = |level: Level| ladder.at(level);
        if alarms.is_empty() {
            faults.none_at_all.note(point, span.clone(), Level::On);
        }
        faults.range(point, &alarms, at);
        faults.order(point, &alarms, at);
        caps.hold(point, &alarms, &ladder.given, at, "");
        for m in &ladder.modes {
            let limits = m.limits(&alarms);
            let at = |level: Level| m.at(level);
            faults.range(point, &limits, at);
            faults.order(point, &limits, at);
            caps.hold(point, &limits, &m.given, at, &m.name);
        }
        for a in alarms {
            b.alarm(p, a);
        }
        modes.add(rule, p, f, b);
        policy.alarms(rule, p, b);
    }
    faults.tell(f);
    caps.tell(f);
}
