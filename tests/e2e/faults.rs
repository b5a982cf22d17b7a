//! What the real binary does when things break: processes killed at any instant, brokers and
//! stores that are away or lie, stopped processes, full disks, torn files, lying devices.
//!
//! Each test ends by events and deadlines. Where a test waits by the clock, the instant is the
//! fault itself (a kill at a random moment). Read first: `faults/plant.rs`.

#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub
)]

#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/field.rs"]
mod field;
#[path = "faults/flood.rs"]
mod flood;
mod harness;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/lanes.rs"]
mod lanes;
#[path = "faults/plant.rs"]
mod plant;
#[path = "faults/stops.rs"]
mod stops;
