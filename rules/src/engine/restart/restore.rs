//! One point and one alarm as they were, on this process's clock (8.15).
//!
//! Lives here: what each field means after a stop. May not live here: the order of a start
//! (`read_back`).

use davy_points::Timestamp;

use crate::alarm::Condition;
use crate::engine::Engine;
use crate::engine::command::Holder;
use crate::engine::image::{EngineImage, SavedAlarm};
use crate::engine::source::stamped_by_us;
use crate::engine::timers::Deadline;
use crate::ruleset::{AlarmIx, Kind, Subject, order};

/// Pending starts are saved at most this old (section 2, restart); older, one may be lost.
const IMAGE_AGE_NS: i64 = 1_000_000_000;

impl Engine {
    pub(super) fn restore_points(
        &mut self,
        image: Option<&EngineImage>,
        stopped: Timestamp,
        wall: Timestamp,
    ) {
        let downtime = wall.since(stopped).max(0);
        let pending_lost = image.is_none_or(|i| stopped.since(i.taken_at) > IMAGE_AGE_NS);
        let stop = self.now.saturating_sub(downtime);
        for p in self.points.iter_mut().filter(|p| p.flags.owned) {
            p.flags.zero_delay = pending_lost;
            // 8.6: a gap starts at the stop of the process.
            p.gap_start = stop;
            p.lost_start = stop;
        }
        let Some(image) = image else { return };
        if image.table_rev == self.table_rev {
            for (first, count, time, seq) in &image.newest {
                let defs = self.table.iter().map(|(_, def)| def);
                for (p, def) in self
                    .points
                    .iter_mut()
                    .zip(defs)
                    .skip(*first as usize)
                    .take(*count as usize)
                {
                    p.newest = *time;
                    p.newest_seq = *seq;
                    // A clock that was set back while we were away makes nothing late that it
                    // stamps itself.
                    let recorded = self.sources[def.source.index()].recorded;
                    if stamped_by_us(&def.binding) && !recorded && *time > wall.0 {
                        p.newest = wall.0.saturating_sub(1);
                    }
                }
            }
        }
        let before_stop = |since: Timestamp| stop.saturating_sub(stopped.since(since).max(0));
        for (tag, since) in &image.gaps {
            if let Some(p) = self.table.find(tag) {
                self.points[p.index()].gap_start = before_stop(*since);
            }
        }
        for (tag, since) in &image.losses {
            if let Some(p) = self.table.find(tag) {
                self.points[p.index()].lost_start = before_stop(*since);
            }
        }
    }

    pub(super) fn restore_alarm(
        &mut self,
        a: AlarmIx,
        s: SavedAlarm,
        stopped: Timestamp,
        wall: Timestamp,
        overdue: &mut Vec<(i64, u8, AlarmIx, Timestamp)>,
    ) -> bool {
        let def = *self.def(a);
        let now = self.now;
        let pending = self.instant(s.pending, stopped, wall);
        let deadline = s.deadline.map(|d| self.instant(d, stopped, wall));
        let realarm = s.realarm_at.map(|d| self.instant(d, stopped, wall));
        for o in &s.occurrences {
            self.open.insert(o.clone(), Holder::Alarm(a));
        }
        let state = &mut self.alarms[a.index()];
        state.activations = s.activations;
        let live = state.live();
        live.regions = s.regions;
        live.pending = pending;
        live.pending_start = s.pending_start;
        live.overdue = s.overdue;
        live.occurrence = s.occurrence;
        live.episode = s.episode;
        live.occurrences = s.occurrences;
        live.condition_start = s.condition_start;
        live.annunciated_at = s.annunciated_at;
        live.assumed = s.assumed;
        live.retrospective = s.retrospective;
        live.unseen = s.unseen;
        live.edited = s.edited;
        live.chattering = s.chattering;
        live.shade = s.shade;
        live.detail = s.detail;
        live.last = s.last.map(Box::new);
        match live.regions.condition {
            // 8.15
            Condition::PendingOff | Condition::Active => {
                live.regions.condition = Condition::Active;
                live.pending = now;
            }
            // Its start is lost: it may have been cancelled since, or not (section 2, restart).
            Condition::PendingOn if deadline.is_none() => {
                live.regions.condition = Condition::Normal;
                if let Subject::Point(p) = def.subject {
                    self.points[p.index()].flags.zero_delay = true;
                }
            }
            Condition::PendingOn => {
                // 8.24: a changed delay counts from the kept start.
                let due = match (deadline, def.side()) {
                    (Some(_), Some(_)) => pending.saturating_add(def.on_delay_ns),
                    (due, _) => due.unwrap_or(now),
                };
                live.deadline = due;
                if !live.overdue {
                    if due <= now {
                        overdue.push((due, order(def.level), a, live.pending_start));
                    } else {
                        self.timers.push(
                            due,
                            Deadline::OnDelay {
                                badness: order(def.level),
                                alarm: a,
                            },
                        );
                    }
                }
            }
            Condition::Normal => {}
        }
        if let Some(due) = realarm {
            let due = due.max(self.now);
            self.alarms[a.index()].live().realarm_at = due;
            self.timers.push(due, Deadline::Realarm { alarm: a });
        } else if self.alarms[a.index()].regions().acked {
            self.start_realarm(a);
        }
        if def.side().is_none() {
            let stuck = self.kind(a) == Kind::Stuck && self.alarms[a.index()].is_active();
            if let (true, Subject::Point(p)) = (stuck, def.subject) {
                self.points[p.index()].flags.stuck = true;
            }
        }
        self.restore_over(a, s.over, stopped, wall);
        let put_into_service = s.commissioning && self.in_service(a);
        let raised = self.edited(a, put_into_service);
        self.alarms[a.index()].rest();
        raised
    }
}
