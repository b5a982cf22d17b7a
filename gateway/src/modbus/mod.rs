//! Modbus without sockets: what to read, what the registers mean, how a device is doing.
//!
//! Lives here: read planning, decoding, qualifying, the state of a unit (illegal addresses,
//! circuit breaker) and the check of a TCP byte stream. May not live here: sockets, tasks,
//! clocks (time comes in as a value). Nothing here can write to a device. Read first: `plan`.
