//! The heartbeat: made by the engine's tick, carried by the alarm lane. An engine that hangs behind
//! a living socket makes none (`alarm-engine.md` section 7.11).

use davy_points::Timestamp;

/// One beat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// Ticks of the engine thread since it started.
    pub(crate) tick: u64,
    /// Wall time of the tick.
    pub(crate) at: Timestamp,
    /// Newest transition that the engine has made.
    pub(crate) last_seq: u64,
}
