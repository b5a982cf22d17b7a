//! Makes it happen: field bytes to judged samples and delivered alarms.
//!
//! Lives here, in the order of the data: `modbus` and `mqtt` (bytes to values, no sockets),
//! `acquire` (sockets and poll timers), `deliver` (journal and series to the control room).
//! May not live here: rules (`davy-rules`), storage (`davy-journal`), anything of the centre.
//! Read first: [`acquire`].

pub mod acquire;
pub mod deliver;
pub mod modbus;
pub mod mqtt;
