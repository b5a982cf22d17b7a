//! The kinds of rules, one a file: its grammar, its judgement, its tests.
//!
//! Lives here: how a `[[kind]]` of a rule file becomes settings and alarms ([`KINDS`]), and, for
//! kinds that derive something from their inputs, the [`Judge`] that says what. May not live here:
//! delays, deadbands, masks, overlays, records: those are the engine's, one for all kinds. Read
//! first: [`Judge`], then `deviation`.
//!
//! A new kind is a file here and a line in [`KINDS`].

mod aggregate;
mod condition;
mod count;
mod deviation;
mod discrepancy;
mod discrete;
mod expression;
pub(crate) mod first_out;
mod geometry;
mod head;
mod held;
mod ladder;
mod level;
mod mass_balance;
mod mode;
mod moments;
mod provenance;
mod quality;
mod ranked;
mod rate;
mod redundant;
#[cfg(test)]
pub(crate) mod reference;
mod sequence;
mod stale;
mod stuck;
pub(crate) mod suppress;
mod time_to_limit;
#[cfg(test)]
mod trial;
mod vote;
mod window;

use davy_points::Span;

use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Kind};

pub(crate) use crate::ruleset::{Finding, Judge, Now, Reading, Settings};
use head::Head;
pub(crate) use head::Site;
pub(crate) use provenance::hold_the_table;

/// Reads one table of a kind.
type Read = for<'t, 'i> fn(Head<'t>, Keys<'t, 'i>, &Site<'_>, &mut Faults<'_>, &mut Builder<'_>);

/// Kinds that a file may hold, one array of tables each.
const KINDS: &[(Kind, Read)] = &[
    (Kind::Level, level::read),
    (Kind::Stale, stale::read),
    (Kind::Stuck, stuck::read),
    (Kind::Quality, quality::read),
    (Kind::Deviation, deviation::read),
    (Kind::Discrete, discrete::read),
    (Kind::Rate, rate::read),
    (Kind::MassBalance, mass_balance::read),
    (Kind::Expression, expression::read),
    (Kind::TimeToLimit, time_to_limit::read),
    (Kind::Count, count::read),
    (Kind::Sequence, sequence::read),
    (Kind::Discrepancy, discrepancy::read),
    (Kind::Redundant, redundant::read),
    (Kind::Vote, vote::read),
    (Kind::Aggregate, aggregate::read),
    (Kind::FirstOut, first_out::read),
];

/// Every kind that a file may hold.
pub(crate) fn all() -> impl Iterator<Item = Kind> {
    KINDS.iter().map(|(kind, _)| *kind)
}

/// Reads one rule; its id and where it stands, for the search of duplicates.
pub(crate) fn read(
    kind: Kind,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) -> Option<(String, Span)> {
    let (mut head, id) = head::read(kind, &mut keys, site, f);
    if kind != Kind::FirstOut {
        suppress::read(&mut head, &mut keys, site, f, b);
    }
    if let Some((_, read)) = KINDS.iter().find(|(k, _)| *k == kind) {
        read(head, keys, site, f, b);
    }
    id
}
