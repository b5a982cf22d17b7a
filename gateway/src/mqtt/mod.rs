//! MQTT without sockets: which topic feeds which point, and what a payload says.
//!
//! Lives here: topic filters, JSON and number payloads, payload times. May not live here:
//! clients, sockets, clocks (`acquire::mqtt` has them). Read first: [`Intake::read`].
//! Every byte comes from strangers: nonsense is a [`Reject`] with a reason, never a panic and
//! never a value.

mod intake;
mod payload;
mod time;

pub use intake::{Intake, Message, Reject};
pub use payload::{JsonPath, PathFault};
pub use time::{parse_rfc3339, time_of_number};

#[cfg(test)]
mod tests;
