//! What crosses the border besides transitions, commands and results (`formats.md` section 5).

use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub(super) struct Status<'a> {
    pub(super) v: u32,
    pub(super) owner: &'a str,
    pub(super) session: &'a str,
    pub(super) state: &'a str,
    pub(super) version: &'a str,
    pub(super) plan_rev: &'a str,
    pub(super) clock: i64,
    pub(super) last_seq: u64,
}

#[derive(Serialize)]
pub(super) struct Beat<'a> {
    pub(super) v: u32,
    pub(super) owner: &'a str,
    pub(super) session: &'a str,
    pub(super) tick: u64,
    pub(super) at: i64,
    pub(super) last_seq: u64,
}

/// A part of a snapshot; `part` and `parts` count from 1.
#[derive(Serialize)]
pub(super) struct SnapshotPart<'a> {
    pub(super) v: u32,
    pub(super) owner: &'a str,
    pub(super) seq: u64,
    pub(super) alarms: &'a [davy_rules::alarm::StandingAlarm],
    pub(super) part: usize,
    pub(super) parts: usize,
}

#[derive(Deserialize)]
pub(super) struct AckedWire {
    pub(super) seq: u64,
}

#[derive(Deserialize)]
pub(super) struct ResendWire {
    pub(super) after: u64,
}
