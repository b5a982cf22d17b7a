//! The alarm: its regions, its labels, and the records that cross a border.
//!
//! Lives here: the ISA-18.2 / IEC 62682 lifecycle and the wire records of `formats.md`
//! sections 4 and 5. May not live here: rule kinds, windows, clocks. Read first: [`Regions`].

mod lifecycle;
mod link;
mod record;
mod rights;
mod schema;

pub use lifecycle::{Event, step};
pub use link::{Acked, Beat, Presence, Resend, SnapshotGet, Status, Unreadable, one_line, read};
pub use rights::Role;
pub use schema::schemas;

pub use record::{
    Cause, Command, CommandResult, Condition, Eval, Flag, Label, Level, OutOfService, Outcome,
    Regions, RegionsChange, Rejection, Shelve, Snapshot, StandingAlarm, Transition, VERSION, Verb,
};
