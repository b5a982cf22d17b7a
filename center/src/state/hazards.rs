//! Hazard sources and areas at a glance: the worst that stands, and whether "normal" may be said.

use davy_points::Priority;
use davy_rules::alarm::{Label, Transition};
use serde::Serialize;

use super::Live;
use super::alarms::needs_ack;
use super::blind::Item;

/// The one word that a tile may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reads {
    /// Nothing stands and everything protects.
    Normal,
    /// Nothing stands, but something is not protecting: 无报警 · N 项未保护, never 正常.
    NotProtected,
    Alarm,
}

/// A hazard source or an area.
#[derive(Debug, Serialize)]
pub(crate) struct RollUp<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub grade: Option<u8>,
    pub substance: &'a str,
    pub worst_priority: Option<Priority>,
    pub unacked: usize,
    pub standing: usize,
    pub not_protecting: usize,
    pub reads: Reads,
}

/// Both lists, in the order of the plan.
pub(crate) fn roll_up<'a>(live: &'a Live, blind: &[Item]) -> (Vec<RollUp<'a>>, Vec<RollUp<'a>>) {
    let hazards = live
        .plan
        .hazards
        .iter()
        .map(|h| {
            let blind = blind.iter().filter(|i| i.hazard == h.id).count();
            RollUp {
                grade: h.grade,
                substance: &h.substance,
                ..one(live, &h.id, &h.name, blind, |t| &t.hazard)
            }
        })
        .collect();
    let areas = live
        .plan
        .areas
        .iter()
        .map(|(id, name)| {
            let blind = blind.iter().filter(|i| i.area == *id).count();
            one(live, id, name, blind, |t| &t.area)
        })
        .collect();
    (hazards, areas)
}

fn one<'a>(
    live: &'a Live,
    id: &'a str,
    name: &'a str,
    not_protecting: usize,
    of: impl Fn(&Transition) -> &str,
) -> RollUp<'a> {
    let (mut worst_priority, mut unacked, mut standing) = (None, 0, 0);
    for (_, t, _) in live.alarms.iter().filter(|(_, t, _)| of(t) == id) {
        if !annunciated(t) {
            continue;
        }
        standing += 1;
        unacked += usize::from(needs_ack(t));
        worst_priority = Some(worst_priority.map_or(t.priority, |w: Priority| w.min(t.priority)));
    }
    RollUp {
        id,
        name,
        grade: None,
        substance: "",
        worst_priority,
        unacked,
        standing,
        not_protecting,
        reads: match (standing, not_protecting) {
            (0, 0) => Reads::Normal,
            (0, _) => Reads::NotProtected,
            _ => Reads::Alarm,
        },
    }
}

fn annunciated(t: &Transition) -> bool {
    !matches!(
        t.to,
        Label::Normal | Label::Shelved | Label::Suppressed | Label::OutOfService
    ) && !t.regions.after.masked
}
