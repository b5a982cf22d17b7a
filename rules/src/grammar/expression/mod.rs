//! Expressions over points in CEL's syntax: typed and unit-checked when they are read, judged with
//! Kleene's logic.
//!
//! Lives here: text → checked program ([`parse`]), and what a program says of values. May not live
//! here: time, quality, alarms; which values are admitted is the caller's business. Read first:
//! `parse.rs` (the grammar), `types.rs` (what goes with what), `judge.rs` (what it means).
//!
//! What CEL says and this says are one wherever both say something (`oracle.rs` holds them against
//! each other). This is stricter (units; whole numbers are not divided with a rest), and knows
//! more: what CEL calls an error is Unknown here, a true leg makes an OR true beside it, and `%`
//! goes with numbers that are not whole.

mod each;
mod judge;
mod names;
#[cfg(test)]
mod oracle;
mod parse;
#[cfg(test)]
mod tests;
mod token;
mod types;

use std::sync::Arc;

use davy_points::{PointIx, Span};

use super::units::Unit;
pub(crate) use each::{Wanted, each};
pub(crate) use judge::Kleene;
use judge::Op;
pub(crate) use names::Names;
#[cfg(test)]
pub(crate) use parse::parse;

/// A checked expression: true, false or unknown, or a number or unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: Arc<str>,
    code: Box<[Op]>,
    inputs: Box<[PointIx]>,
    gives: Gives,
    /// Its unit was made by multiplying or dividing.
    made: bool,
}

/// What an expression says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Gives {
    /// True or false.
    Truth,
    /// A number in this unit; none: numbers alone, which go with any unit.
    Number(Option<Unit>),
}

impl Expression {
    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The points that it reads, each once, in the order in which the text names them.
    #[must_use]
    pub fn inputs(&self) -> &[PointIx] {
        &self.inputs
    }

    /// True, false or unknown of these values; None is a value that is not known. Only of an
    /// expression that gives a truth.
    pub(crate) fn judge(&self, read: &impl Fn(PointIx) -> Option<f64>) -> Kleene {
        self.truth(&|slot: usize| read(self.inputs[slot]))
    }

    /// As [`Expression::judge`], of inputs by their place in [`Expression::inputs`].
    pub(crate) fn truth(&self, read: &impl Fn(usize) -> Option<f64>) -> Kleene {
        debug_assert_eq!(self.gives, Gives::Truth, "{}", self.text);
        judge::kleene(judge::run(&self.code, read))
    }
}

impl Expression {
    /// What it says.
    pub(crate) fn gives(&self) -> &Gives {
        &self.gives
    }

    /// The number, of inputs by their place in [`Expression::inputs`]; None: not known, or the
    /// arithmetic left the numbers. Only of an expression that gives a number.
    pub(crate) fn number(&self, read: &impl Fn(usize) -> Option<f64>) -> Option<f64> {
        debug_assert_ne!(self.gives, Gives::Truth, "{}", self.text);
        Some(judge::run(&self.code, read)).filter(|v| v.is_finite())
    }

    /// The inputs that made it Unknown, by their places in [`Expression::inputs`], in order: those
    /// that are not known and mattered; where all are known, those whose values left the numbers
    /// (`1 / x` at zero). Empty where it is known.
    pub(crate) fn blind_slots(&self, read: &impl Fn(usize) -> Option<f64>) -> Vec<usize> {
        judge::causes(&self.code, read)
    }

    /// Whether the unit of its number was made by multiplying or dividing.
    pub(crate) fn has_made_unit(&self) -> bool {
        self.made
    }

    /// The same, its number brought to another unit; none where that measures something else.
    pub(crate) fn in_unit(&self, unit: &Unit) -> Option<Expression> {
        let Gives::Number(from) = &self.gives else {
            return None;
        };
        let mut code = self.code.to_vec();
        if let Some(from) = from
            && let Some(op) = types::scaling(from.scale_to(unit)?)
        {
            code.push(op);
        }
        Some(Expression {
            text: self.text.clone(),
            code: code.into(),
            inputs: self.inputs.clone(),
            gives: Gives::Number(Some(unit.clone())),
            made: false,
        })
    }
}

/// What is wrong with an expression, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Fault {
    fn new(span: Span, message: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault {
            span,
            message: message.into(),
            hint: hint.into(),
        }
    }
}
