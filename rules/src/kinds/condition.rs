//! Conditions of kinds that wait for events: a contact, or an expression, as it stands by the latest
//! readings. True or false of Good input, of doubtful input, or not known.

use std::sync::Arc;

use davy_points::PointIx;

use super::Reading;
use crate::grammar::Expression;

/// The latest readings of an instance's inputs.
#[derive(Debug, Clone)]
pub(super) struct Latest {
    good: Box<[Option<f64>]>,
    any: Box<[Option<f64>]>,
}

impl Latest {
    pub(super) fn of(inputs: usize) -> Latest {
        Latest {
            good: vec![None; inputs].into(),
            any: vec![None; inputs].into(),
        }
    }

    pub(super) fn take(&mut self, slot: usize, r: &Reading) {
        self.good[slot] = r.good();
        self.any[slot] = r.value;
    }
}

/// What a condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Said {
    /// Of Good input.
    Known(bool),
    /// An input is Uncertain: may raise, never return (3.1).
    Doubtful(bool),
    #[default]
    Unknown,
}

impl Said {
    /// On whatever is usable.
    pub(super) fn usable(self) -> Option<bool> {
        match self {
            Said::Known(b) | Said::Doubtful(b) => Some(b),
            Said::Unknown => None,
        }
    }
}

/// A contact that is not zero, or an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    /// The input in this slot.
    Contact(usize),
    /// An expression, and the slot of each of its inputs.
    Expression(Arc<Expression>, Box<[usize]>),
}

impl Condition {
    /// An expression over the inputs of an instance; those that it lacks are added.
    pub(super) fn of(e: Arc<Expression>, inputs: &mut Vec<PointIx>) -> Condition {
        let slots = e.inputs().iter().map(|p| {
            inputs.iter().position(|i| i == p).unwrap_or_else(|| {
                inputs.push(*p);
                inputs.len() - 1
            })
        });
        let slots = slots.collect();
        Condition::Expression(e, slots)
    }

    pub(super) fn judge(&self, latest: &Latest) -> Said {
        let by = |values: &[Option<f64>]| match self {
            Condition::Contact(slot) => values[*slot].map(|v| v != 0.0),
            Condition::Expression(e, slots) => e.truth(&|i: usize| values[slots[i]]).known(),
        };
        match (by(&latest.good), || by(&latest.any)) {
            (Some(b), _) => Said::Known(b),
            (None, any) => any().map_or(Said::Unknown, Said::Doubtful),
        }
    }

    /// As written.
    pub(super) fn text(&self) -> &str {
        match self {
            Condition::Contact(_) => "",
            Condition::Expression(e, _) => e.text(),
        }
    }
}
