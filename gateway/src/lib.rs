//! Makes it happen: field bytes to judged samples and delivered alarms.
//!
//! Lives here, in the order of the data: `modbus` and `mqtt` (bytes to values, no sockets),
//! `acquire` (sockets and poll timers), `deliver` (journal and series to the control room).
//! `run` wires them around the engine thread. May not live here: rules (`davy-rules`), storage
//! (`davy-journal`), anything of the centre. Read first: [`start`], then [`acquire`].

pub mod acquire;
mod backoff;
mod broker;
pub mod deliver;
#[cfg(test)]
mod machine;
pub mod metrics;
pub mod modbus;
pub mod mqtt;
mod run;

pub use run::{Gateway, GatewayConfig, Reloaded, StartError, Stats, start};
