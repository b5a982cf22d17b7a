//! Series in, alarms out: what proves rules and engine.
//!
//! Lives here: replay of input logs to a transition hash, and the scripts of our own tests. May
//! not live here: files, clocks, anything that judges. Read first: [`replay`].

#[cfg(test)]
pub(crate) mod plant;
mod replay;
#[cfg(test)]
pub(crate) mod script;

pub use replay::{LogStart, Replay, replay};
