//! What a restart needs, as one value. The journal keeps it beside the transitions.

use std::sync::Arc;

use davy_points::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Engine;
use super::deadlines::SavedOver;
use super::state::{Edited, NEVER, PointState};
use crate::alarm::{CommandResult, Regions, Transition, VERSION};
use crate::ruleset::{AlarmIx, Shade};

/// Everything that the engine knows and cannot see again. Times are wall time: monotonic time
/// ends with the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineImage {
    /// Schema version.
    pub v: u32,
    /// The latest transition that it includes.
    pub seq: u64,
    /// When it was taken.
    pub taken_at: Timestamp,
    pub(super) alarms: Vec<SavedAlarm>,
    /// Alarms at rest or gone that have been active: name and activation counter.
    pub(super) counters: Vec<(String, u32)>,
    pub(super) orphans: Vec<Transition>,
    /// What else is known of them, in the same order.
    #[serde(default)]
    pub(super) orphan_rules: Vec<SavedOrphan>,
    pub(super) closed: Vec<Arc<str>>,
    pub(super) commands: Vec<CommandResult>,
    /// What judges asked to keep, by `rule/tag`.
    #[serde(default)]
    pub(super) judges: Vec<(String, serde_json::Value)>,
    /// What came first in trip groups, by the group's own alarm.
    #[serde(default)]
    pub(super) trips: Vec<(String, Vec<super::first_out::Tripped>)>,
    /// Tests of points that are over: tag, from, to. Those that run stand among the alarms.
    #[serde(default)]
    pub(super) tests: Vec<(Arc<str>, Timestamp, Timestamp)>,
    /// What is known of when a level's condition held, by alarm.
    #[serde(default)]
    pub(super) late_runs: Vec<(String, super::retrospective::Runs)>,
    /// Hash of the tags in their order: the runs below hold for this order alone.
    pub(super) table_rev: u64,
    /// Newest admitted times, as runs of points next to each other: first, count, time, sequence.
    pub(super) newest: Vec<(u32, u32, i64, u64)>,
    /// Points in a gap: tag, and since when.
    pub(super) gaps: Vec<(Arc<str>, Timestamp)>,
    /// The same for `use_value`.
    #[serde(default)]
    pub(super) losses: Vec<(Arc<str>, Timestamp)>,
}

/// What an alarm whose rule is gone still needs of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedOrphan {
    pub(super) occurrences: Vec<Arc<str>>,
    pub(super) latch: bool,
    pub(super) confirm: bool,
}

/// An alarm that was not at rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedAlarm {
    pub(super) alarm: String,
    pub(super) activations: u32,
    pub(super) regions: Regions,
    pub(super) pending_start: Timestamp,
    pub(super) pending: Timestamp,
    pub(super) deadline: Option<Timestamp>,
    pub(super) overdue: bool,
    pub(super) realarm_at: Option<Timestamp>,
    pub(super) occurrence: Arc<str>,
    pub(super) episode: Arc<str>,
    pub(super) occurrences: Vec<Arc<str>>,
    pub(super) condition_start: Option<Timestamp>,
    pub(super) annunciated_at: Option<Timestamp>,
    pub(super) assumed: bool,
    #[serde(default)]
    pub(super) retrospective: bool,
    #[serde(default)]
    pub(super) unseen: bool,
    #[serde(default)]
    pub(super) edited: Option<Edited>,
    #[serde(default)]
    pub(super) chattering: bool,
    #[serde(default)]
    pub(super) shade: Shade,
    #[serde(default)]
    pub(super) detail: Option<String>,
    #[serde(default)]
    pub(super) over: SavedOver,
    /// Its rule latches, wants a confirmation: kept for when the rule is gone.
    #[serde(default)]
    pub(super) latch: bool,
    #[serde(default)]
    pub(super) confirm: bool,
    pub(super) last: Option<Transition>,
    /// What it reads beside its subject, where it does: on other inputs it is another alarm.
    #[serde(default)]
    pub(super) inputs: Vec<String>,
    /// Its point was in commissioning.
    #[serde(default)]
    pub(super) commissioning: bool,
}

/// What was read back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// The latest image, if there is one.
    pub image: Option<EngineImage>,
    /// Transitions after the image, ascending.
    pub transitions: Vec<Transition>,
    /// When the process last showed life.
    pub stopped_at: Option<Timestamp>,
    /// The wall clock is not to be trusted yet: neither a battery nor a server has set it since the
    /// machine started. No deadline in wall time can be determined then.
    #[serde(default)]
    pub wall_doubtful: bool,
}

/// 1 January 2026: no wall clock that has been set stands before this was written.
const WRITTEN: Timestamp = Timestamp(1_767_225_600_000_000_000);

/// Whether a wall clock has not been set yet: a machine without an RTC begins in 1970 or at the
/// date of its image, until NTP has answered (section 1).
#[must_use]
pub fn is_unset(wall: Timestamp) -> bool {
    wall < WRITTEN
}

/// How many closed occurrences an image carries.
const CLOSED_SAVED: usize = 512;

impl Engine {
    /// What a restart needs. Take it when [`Engine::poll`] has yielded everything.
    #[must_use]
    pub fn image(&self) -> EngineImage {
        let mut alarms = Vec::new();
        let mut counters = Vec::new();
        for (i, state) in (0_u32..).zip(&self.alarms) {
            let a = AlarmIx(i);
            let label = |t: i64| (t != NEVER).then(|| self.wall_at(t));
            if let Some(l) = &state.live {
                alarms.push(SavedAlarm {
                    alarm: self.alarm_name(a),
                    activations: state.activations,
                    regions: l.regions.clone(),
                    pending_start: l.pending_start,
                    pending: self.wall_at(l.pending),
                    deadline: label(l.deadline),
                    overdue: l.overdue,
                    realarm_at: label(l.realarm_at),
                    occurrence: l.occurrence.clone(),
                    episode: l.episode.clone(),
                    occurrences: l.occurrences.clone(),
                    condition_start: l.condition_start,
                    annunciated_at: l.annunciated_at,
                    assumed: l.assumed,
                    retrospective: l.retrospective,
                    unseen: l.unseen,
                    edited: l.edited,
                    chattering: l.chattering,
                    shade: l.shade,
                    detail: l.detail.clone(),
                    over: self.saved_over(&l.over),
                    latch: self.rule(a).latch,
                    confirm: self.rule(a).confirm,
                    last: l.last.as_deref().cloned(),
                    inputs: self.inputs_of(a),
                    commissioning: !self.in_service(a),
                });
            } else if state.activations > 0 {
                counters.push((self.alarm_name(a), state.activations));
            }
        }
        counters.extend(self.gone.iter().map(|(name, n)| (name.clone(), *n)));
        EngineImage {
            v: VERSION,
            seq: self.seq,
            taken_at: self.wall_at(self.now),
            alarms,
            counters,
            orphans: self.orphans.iter().map(|o| o.last.clone()).collect(),
            orphan_rules: self
                .orphans
                .iter()
                .map(|o| SavedOrphan {
                    occurrences: o.occurrences.clone(),
                    latch: o.latch,
                    confirm: o.confirm,
                })
                .collect(),
            closed: self
                .closed
                .iter()
                .skip(self.closed.len().saturating_sub(CLOSED_SAVED))
                .cloned()
                .collect(),
            commands: self.remembered.0.iter().cloned().collect(),
            judges: self.saved_judges(),
            trips: self.saved_groups(),
            tests: self.saved_tests(),
            late_runs: self.saved_runs(),
            table_rev: self.table_rev,
            newest: self.newest_runs(),
            gaps: self.points_since(|p| p.gap_start),
            losses: self.points_since(|p| p.lost_start),
        }
    }

    /// Points of which something has been true for some time: tag, and since when.
    fn points_since(&self, what: fn(&PointState) -> i64) -> Vec<(Arc<str>, Timestamp)> {
        let points = self.table.iter().zip(&self.points);
        points
            .filter(|(_, p)| p.flags.owned && what(p) != NEVER)
            .map(|((_, def), p)| (def.tag.clone(), self.wall_at(what(p))))
            .collect()
    }

    /// What an alarm reads beside its subject, by tag.
    pub(super) fn inputs_of(&self, a: AlarmIx) -> Vec<String> {
        if a.index() >= self.rules.alarms.len() {
            return Vec::new();
        }
        let inputs = self.rules.inputs_of(a, &self.table);
        inputs.into_iter().map(str::to_owned).collect()
    }

    fn newest_runs(&self) -> Vec<(u32, u32, i64, u64)> {
        let mut runs: Vec<(u32, u32, i64, u64)> = Vec::new();
        for (i, p) in (0_u32..).zip(&self.points) {
            if p.newest == i64::MIN {
                continue;
            }
            match runs.last_mut() {
                Some((first, count, time, seq))
                    if *first + *count == i && *time == p.newest && *seq == p.newest_seq =>
                {
                    *count += 1;
                }
                _ => runs.push((i, 1, p.newest, p.newest_seq)),
            }
        }
        runs
    }

    pub(super) fn hash_of_tags(table: &davy_points::PointTable) -> u64 {
        let mut h = Sha256::new();
        for (_, p) in table.iter() {
            h.update(p.tag.as_bytes());
            h.update([0]);
        }
        let digest = h.finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |n, b| (n << 8) | u64::from(*b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 1: where wall time is not trusted, timed shelves count as undeterminable.
    #[test]
    fn a_clock_that_nobody_has_set_is_not_trusted() {
        assert!(is_unset(Timestamp(0)));
        assert!(is_unset(Timestamp(WRITTEN.0 - 1)));
        assert!(!is_unset(WRITTEN));
        // 1 January 2026 at midnight, in seconds since 1970: 56 years, 14 of them leap years.
        assert_eq!(WRITTEN.0, (56 * 365 + 14) * 86_400 * 1_000_000_000);
    }
}
