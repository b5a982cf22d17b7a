//! Journal and series to the control room and to external engines.
//!
//! Lives here: the alarm lane (MQTT, cursor = the centre's `acked`) and a history lane per sink
//! (line protocol over HTTP, cursor = the store's answer). May not live here: rules, the making
//! of samples. Neither lane owns anything: what is not yet accepted stays in the journal and the
//! series, and is sent again. Read first: `alarms`, then `history`.

pub(crate) mod alarms;
mod command;
mod held;
pub(crate) mod history;
pub mod isolate;
pub mod lineprotocol;
pub(crate) mod outbox;
pub(crate) mod spool;
mod window;
pub mod writer;

#[cfg(test)]
mod influxd_tests;
