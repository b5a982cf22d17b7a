//! One reading of one point, qualified.

use serde::{Deserialize, Serialize};

use crate::{PointIx, Quality, SourceIx, Timestamp, Value};

/// One reading of one point. Within a process it carries the dense index; whoever sends it
/// out writes the tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Which point.
    pub point: PointIx,
    /// Engineering value, already scaled and clamped; or why there is none.
    pub value: Value,
    /// How far to believe it.
    pub quality: Quality,
    /// The device's or payload's time where it has one, else the scan's grid time. The store's key.
    pub source_time: Timestamp,
    /// Midpoint of request and response minus the grid time, in ns. First-out and rates use
    /// `source_time + offset_ns`.
    pub offset_ns: i64,
    /// Half-width of the interval in which the value was true, in ns.
    pub uncertainty_ns: i64,
    /// When the gateway had it.
    pub arrival_time: Timestamp,
    /// Sequence of the source, rising by one for each message or scan.
    pub seq: u64,
}

/// What a source says of itself, beside its samples. It enters the engine as `SourceStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEvent {
    /// Which source.
    pub source: SourceIx,
    /// False: the link is down, or the last will has come; all its points are Unknown at once.
    pub up: bool,
    /// The quality that its points have while it is down (24 or 8).
    pub quality: Quality,
}
