//! Series in, alarms out: what proves rules and engine.
//!
//! Lives here: the tests of a site ([`Suite`]) with their coverage, [`lint()`], replay of input logs
//! to a transition hash, and the scripts of our own tests. May not live here: files, clocks, anything
//! that judges. Read first: [`Suite::run`], then [`replay`].

mod coverage;
mod line;
mod lint;
#[cfg(test)]
pub(crate) mod plant;
mod replay;
mod run;
#[cfg(test)]
pub(crate) mod script;
mod series;
mod testfile;
#[cfg(test)]
mod tests;
mod timeline;

pub use coverage::Coverage;
pub use lint::{DELIVERY_NS, Lint, lint};
pub use replay::{LogStart, Replay, replay};
pub use run::{Report, Suite, Verdict};
pub use timeline::{Mark, Row};
