//! What the journal gives back, before anything is said: the image, then the records after it.
//!
//! Lives here: the order in which it is read. May not live here: what one point or alarm is then
//! (`restore`). Read first: [`Engine::read_back`].

use std::collections::HashMap;

use davy_points::Timestamp;

use crate::alarm::{Cause, CommandResult, Outcome, VERSION};
use crate::engine::command::Holder;
use crate::engine::image::SavedAlarm;
use crate::engine::state::Orphan;
use crate::engine::{Engine, Restored};
use crate::ruleset::Kind;

impl Engine {
    pub(super) fn read_back(
        &mut self,
        mut restored: Restored,
        stopped: Timestamp,
        wall: Timestamp,
    ) {
        let doubtful = restored.wall_doubtful;
        let restarted = self.now;
        let told = restored
            .transitions
            .iter()
            .map(|t| t.recorded_at)
            .chain(restored.image.as_ref().map(|i| i.taken_at))
            .max()
            .unwrap_or(stopped);
        let mut saved: Vec<SavedAlarm> = Vec::new();
        let mut counters: HashMap<String, u32> = HashMap::new();
        if let Some(image) = &mut restored.image {
            self.seq = image.seq;
            saved = std::mem::take(&mut image.alarms);
            counters.extend(std::mem::take(&mut image.counters));
            let rules = std::mem::take(&mut image.orphan_rules);
            let mut rules = rules.into_iter();
            for last in std::mem::take(&mut image.orphans) {
                // An image from before these were kept knows the latest occurrence alone.
                let occurrence = last.occurrence.clone();
                let rule = rules.next();
                let (latch, confirm) = rule
                    .as_ref()
                    .map_or((false, false), |r| (r.latch, r.confirm));
                self.orphans.push(Orphan {
                    last,
                    occurrences: rule.map_or_else(|| vec![occurrence], |r| r.occurrences),
                    latch,
                    confirm,
                });
            }
            self.closed = std::mem::take(&mut image.closed).into();
            for r in std::mem::take(&mut image.commands) {
                self.remembered.keep(r);
            }
        }
        let mut place: HashMap<String, usize> = saved
            .iter()
            .enumerate()
            .map(|(i, s)| (s.alarm.clone(), i))
            .collect();
        for t in &restored.transitions {
            if t.seq <= self.seq {
                continue;
            }
            self.seq = t.seq;
            let orphaned = self.replay_orphan(t);
            let i = *place.entry(t.alarm.to_string()).or_insert_with(|| {
                saved.push(SavedAlarm::at_rest(
                    &t.alarm,
                    counters.get(&*t.alarm).copied().unwrap_or(0),
                ));
                saved.len() - 1
            });
            // What a person still has to close is no longer of the alarm that has its name now;
            // that of the start is: single alarms superseded it, no edit.
            let of_edit = *t.kind != *Kind::System.name();
            if t.cause == Cause::Superseded && t.regions.after.open && of_edit {
                let was = SavedAlarm::at_rest(&t.alarm, saved[i].activations);
                let was = std::mem::replace(&mut saved[i], was);
                self.replay_superseded(t, &was);
            } else if !orphaned {
                let done = saved[i].replay(t);
                self.forget(&done);
            }
            if let Some(id) = &t.command_id {
                self.remembered.keep(CommandResult {
                    v: VERSION,
                    id: id.clone(),
                    outcome: Outcome::Applied,
                    why: None,
                    seq: Some(t.seq),
                });
            }
        }
        for (name, count) in &counters {
            match self.find_owned(name) {
                Some(a) => self.alarms[a.index()].activations = *count,
                None => {
                    self.gone.insert(name.clone(), *count);
                }
            }
        }
        self.restore_points(restored.image.as_ref(), stopped, wall);
        if let Some(image) = &restored.image {
            let downtime = wall.since(stopped).max(0);
            let stop = self.now.saturating_sub(downtime);
            let instant = |t: i64| stop.saturating_add(t.saturating_sub(stopped.0));
            self.restore_judges(&image.judges, &instant);
            self.restore_trips(&image.trips);
        }
        let (mut overdue, mut raised) = (Vec::new(), Vec::new());
        for s in saved {
            // Of another kind it is another alarm, whatever its name (section 2, edits).
            let kind = s.last.as_ref().map(|t| t.kind.clone());
            let there = self.find_owned(&s.alarm);
            let found = there.filter(|a| {
                let now = self.kind(*a).name();
                let inputs = s.inputs.is_empty() || s.inputs == self.inputs_of(*a);
                inputs && kind.is_none_or(|before| &*before == now)
            });
            match found {
                Some(a) => {
                    if self.restore_alarm(a, s, stopped, wall, &mut overdue) {
                        raised.push(a);
                    }
                }
                None => {
                    // Its counter goes on, so that no id comes twice.
                    match there {
                        Some(a) => self.alarms[a.index()].activations = s.activations,
                        None => {
                            self.gone.insert(s.alarm.clone(), s.activations);
                        }
                    }
                    self.orphan(s, wall);
                }
            }
        }
        for o in &self.orphans {
            for id in &o.occurrences {
                self.open.insert(id.clone(), Holder::Orphan);
            }
        }
        let tests = restored.image.as_ref().map_or(&[][..], |i| &i.tests);
        let from_label = |t: Timestamp| {
            let downtime = wall.since(stopped).max(0);
            restarted
                .saturating_sub(downtime)
                .saturating_add(t.since(stopped))
        };
        self.restore_tests(tests, &from_label);
        self.restore_runs(&restored);
        self.restore_groups();
        self.restore_flood();
        self.say_unknown();
        self.settle_edits(&raised);
        // 8.18: overlay records come before overdue timers; 8.2: worst first.
        overdue.sort_unstable_by_key(|(due, badness, a, _)| (*due, *badness, *a));
        for (due, _, a, start) in overdue {
            let live = &self.alarms[a.index()].live;
            if live.as_ref().is_some_and(|l| l.is_pending_on()) {
                let m = crate::engine::Moment {
                    now: self.now,
                    wall,
                    ..self.at_deadline(a, due)
                };
                self.end_of_on_delay(a, start, due, &m);
            }
        }
        // A clock that was set back since the image, or over the restart, tells no deadline either.
        self.settle_over(doubtful || wall < stopped || told > stopped);
        for i in 0..self.sources.len() {
            let lost = self.rules.sources[i];
            let source_down = self.alarms[lost.index()].is_active();
            if source_down {
                for p in self.sources[i].points.clone() {
                    self.points[p.index()].quick = false;
                }
            }
        }
    }
}
