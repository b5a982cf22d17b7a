//! The grammar that all rules share: TOML with places, selectors, durations, expressions, units, the
//! head of a guidance page. Every fault with its place and its remedy.
//!
//! May not live here: rules, kinds, state. Read first: `text`, then `expression`.

pub(crate) mod expression;
mod guidance;
mod nearest;
mod select;
mod text;
pub(crate) mod units;

pub use expression::Expression;
pub(crate) use expression::{Kleene, Names, Wanted};
pub use guidance::{Page, body, pages};
pub(crate) use nearest::nearest;
pub(crate) use select::{Selector, glob};
pub(crate) use text::{Faults, Keys, duration, number_in, wrong_type};

pub(crate) fn ns(d: std::time::Duration) -> i64 {
    i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)
}
