//! State in its new place: points, sources, windows, judges and alarms by name (section 2, edits).
//!
//! Lives here: what goes on as it was, and what is another thing under its name. May not live here:
//! what an edit means for an alarm that stands (`judge_edits`). Read first: [`Engine::move_alarms`].

use std::collections::HashSet;
use std::sync::Arc;

use davy_points::{PointIx, PointTable, Timestamp};

use super::{Moved, Old};
use crate::engine::Engine;
use crate::engine::command::Holder;
use crate::engine::derived::DerivedState;
use crate::engine::first_out::Tripped;
use crate::engine::image::SavedAlarm;
use crate::engine::state::{AlarmState, PointState, SourceState};
use crate::engine::stuck::{StuckState, WitnessState};
use crate::engine::suppress::Causes;
use crate::grammar::ns;
use crate::ruleset::{AlarmDef, AlarmIx, Kind, RuleSet, Subject};

impl Engine {
    pub(super) fn move_points(
        &mut self,
        old: Vec<PointState>,
        table: &PointTable,
        moved: &mut Moved,
    ) {
        for ((_, def), mut state) in table.iter().zip(old) {
            let there = self.table.find(&def.tag);
            let kept = there
                .filter(|p| state.flags.owned && self.points[p.index()].flags.owned)
                .inspect(|p| {
                    let fresh = &self.points[p.index()];
                    state.max_age = fresh.max_age;
                    state.quick = false;
                    state.flags.stuck = false;
                    state.flags.windowed = false;
                    state.flags.stale_queued = false;
                    // Whether it is stale is a question of the new table.
                    let silence = self.now.saturating_sub(state.last_arrival);
                    let after = ns(self.table.point(*p).stale_after);
                    if state.flags.stale && (after == 0 || silence <= after) {
                        state.flags.stale = false;
                    }
                });
            if let Some(p) = kept {
                self.points[p.index()] = state;
                let now = self.table.source(self.table.point(p).source);
                if table.source(def.source).id != now.id {
                    moved.elsewhere.push(p);
                }
            }
            moved.points.push(kept);
        }
    }

    pub(super) fn move_sources(
        &mut self,
        old: Vec<SourceState>,
        table: &PointTable,
        moved: &mut Moved,
    ) {
        for ((_, def), state) in table.sources().zip(old) {
            let there = self.table.sources().find(|(_, s)| s.id == def.id);
            let kept = there.map(|(ix, _)| ix).filter(|ix| {
                !state.points.is_empty() && !self.sources[ix.index()].points.is_empty()
            });
            moved.sources.push(kept);
            let Some(ix) = kept else { continue };
            let new = &mut self.sources[ix.index()];
            new.down = state.down;
            new.run_start = state.run_start;
            new.suspect = state.suspect.map(|mut s| {
                let raw = std::mem::take(&mut s.raw).into_iter();
                s.raw = raw
                    .filter_map(|(p, t)| Some((moved.point(p)?, t)))
                    .collect();
                s
            });
            new.storm = state.storm;
            new.alive = state.alive;
            new.returned_at = state.returned_at;
        }
        // A point that has gone to another source is as far down as that. One that stays waits for
        // its own sample, though its source has given others since.
        for p in &moved.elsewhere {
            let source = &self.sources[self.table.point(*p).source.index()];
            let flags = &mut self.points[p.index()].flags;
            flags.down = source.down && flags.seen;
        }
    }

    pub(super) fn move_windows(
        &mut self,
        stuck: Vec<StuckState>,
        witnesses: &[WitnessState],
        rules: &RuleSet,
        table: &PointTable,
        moved: &Moved,
    ) {
        let name = |rules: &RuleSet, table: &PointTable, a: AlarmIx| {
            let def = *rules.alarm(a);
            let Subject::Point(p) = def.subject else {
                return None;
            };
            Some((rules.rule(def.rule).id.clone(), table.point(p).tag.clone()))
        };
        let mut before = std::collections::HashMap::new();
        for s in stuck {
            if let Some(name) = name(rules, table, s.alarm) {
                before.insert(name, s);
            }
        }
        let (rules, table) = (self.rules.clone(), self.table.clone());
        let mut known = HashSet::new();
        for s in &mut self.stuck {
            let old = name(&rules, &table, s.alarm).and_then(|n| before.remove(&n));
            let Some(old) = old else { continue };
            if let (Some(new), Some(was)) = (s.witness, old.witness)
                && let Some(was) = witnesses.get(was)
                && self.witnesses[new].go_on_as(was, moved)
            {
                known.insert(new);
            }
            s.go_on_as(old);
        }
        // What a new witness says now; what it would have said before nobody knows.
        let fresh = (0..self.witnesses.len()).filter(|n| !known.contains(n));
        let inputs: Vec<PointIx> = fresh
            .flat_map(|n| self.witnesses[n].inputs().to_vec())
            .collect();
        for p in inputs {
            let newest = self.points[p.index()].newest;
            if newest != i64::MIN {
                self.judge_witnesses(p, newest);
            }
        }
    }

    /// Judges whose settings and inputs are the same go on; others hear what their inputs say now.
    /// True where the judge is another than before.
    pub(super) fn move_judges(
        &mut self,
        derived: Vec<DerivedState>,
        old: &Old<'_>,
        moved: &mut Moved,
    ) -> Vec<bool> {
        moved.instances = vec![None; derived.len()];
        let mut by_name = std::collections::HashMap::new();
        for (n, (state, i)) in derived.into_iter().zip(&old.rules.instances).enumerate() {
            let name = (
                old.rules.rule(i.rule).id.clone(),
                old.table.point(i.subject).tag.clone(),
            );
            by_name.insert(name, (n, i, state));
        }
        let rules = self.rules.clone();
        let mut new = Vec::with_capacity(rules.instances.len());
        for (n, i) in rules.instances.iter().enumerate() {
            let name = (
                rules.rule(i.rule).id.clone(),
                self.table.point(i.subject).tag.clone(),
            );
            let owned = self.points[i.subject.index()].flags.owned;
            let before = by_name.remove(&name).filter(|(_, was, _)| {
                owned
                    && old.rules.rule(was.rule).kind == rules.rule(i.rule).kind
                    && old
                        .tags(&was.inputs)
                        .eq(i.inputs.iter().map(|p| &*self.table.point(*p).tag))
            });
            let same = before.and_then(|(m, was, state)| {
                if was.settings.text() == i.settings.text() {
                    return Some((m, state));
                }
                // As over a restart: what it asked to keep.
                if let Some(saved) = state.judge.save(&|t| t) {
                    self.derived[n].judge.restore(&saved, &|t| t);
                }
                None
            });
            new.push(same.is_none() && owned);
            match same {
                Some((m, state)) => {
                    moved.instances[m] = Some(n);
                    self.derived[n] = state;
                }
                None if owned => self.tell_inputs(n),
                None => {}
            }
        }
        new
    }

    /// Alarms by name; of another kind or on other inputs it is another alarm (section 2, edits).
    pub(super) fn move_alarms(
        &mut self,
        alarms: Vec<AlarmState>,
        old: &Old<'_>,
        moved: &mut Moved,
        wall: Timestamp,
    ) -> Vec<(AlarmIx, AlarmIx)> {
        let mut kept = Vec::new();
        let rules = self.rules.clone();
        let made = self.make_again(&old.made, old.rules, moved);
        moved.alarms = vec![None; alarms.len()];
        let mut named = HashSet::new();
        for (n, mut state) in alarms.into_iter().enumerate() {
            #[allow(clippy::cast_possible_truncation)] // an index of the old set
            let a = AlarmIx(n as u32);
            let made = n.checked_sub(old.rules.alarms.len()).map(|n| made[n]);
            let there = made.unwrap_or_else(|| self.new_place(a, old, moved));
            let same = there.filter(|new| {
                let (was, is) = (old.def(a).rule, self.def(*new).rule);
                old.rules.rule(was).kind == rules.rule(is).kind
                    && (made.is_some()
                        || old.rules.inputs_of(a, old.table) == rules.inputs_of(*new, &self.table))
            });
            moved.alarms[n] = same;
            if let Some(new) = same {
                named.insert(new);
                state.fresh = false;
                if let Some(live) = &mut state.live {
                    live.rev = None;
                    for o in &live.occurrences {
                        self.open.insert(o.clone(), Holder::Alarm(new));
                    }
                    kept.push((a, new));
                }
                self.alarms[new.index()] = state;
                continue;
            }
            let name = old.name(a);
            if state.activations > 0 {
                match there {
                    Some(new) => self.alarms[new.index()].activations = state.activations,
                    None => {
                        self.gone.insert(name.clone(), state.activations);
                    }
                }
            }
            if let Some(live) = state.live {
                let mut s = SavedAlarm::at_rest(&name, state.activations);
                let rule = old.rules.rule(old.def(a).rule);
                (s.latch, s.confirm) = (rule.latch, rule.confirm);
                s.regions = live.regions;
                s.occurrence = live.occurrence;
                s.episode = live.episode;
                s.occurrences = live.occurrences;
                s.last = live.last.map(|t| *t);
                self.leave_behind(s, wall);
            }
        }
        // What is new: its counter goes on where it was there before; it is UNKNOWN as its point is.
        for i in 0..self.table.len() {
            if !self.points[i].flags.owned {
                continue;
            }
            let r = rules.points[i];
            let known = self.points[i].known();
            for a in (r.first..r.first + u32::from(r.all)).map(AlarmIx) {
                if named.contains(&a) {
                    continue;
                }
                if a.0 < r.first + u32::from(r.levels) {
                    self.alarms[a.index()].unknown = !known;
                }
                if !self.gone.is_empty()
                    && let Some(count) = self.gone.remove(&self.alarm_name(a))
                {
                    self.alarms[a.index()].activations = count;
                }
            }
        }
        kept
    }

    /// Alarms that no rule set holds: those of parts, those of chatter guards whose rule and point
    /// are still there, and bypasses of points that are.
    pub(super) fn make_again(
        &mut self,
        made: &[(Arc<str>, AlarmDef)],
        rules: &RuleSet,
        moved: &Moved,
    ) -> Vec<Option<AlarmIx>> {
        let again = |(name, def): &(Arc<str>, AlarmDef)| match def.subject {
            Subject::Part(_) if rules.rule(def.rule).kind == Kind::FirstOut => {
                self.find_group(&format!("{}/{name}/{}", rules.rule(def.rule).id, def.level))
            }
            Subject::Part(_) => Some(self.add_part(name)),
            Subject::Point(p) => {
                let p = moved.point(p)?;
                if rules.rule(def.rule).kind == Kind::Bypass {
                    return Some(self.bypass_alarm(p));
                }
                let id = &rules.rule(def.rule).id;
                let (_, there) = self
                    .rules
                    .of_point(p)
                    .find(|(_, d)| self.rules.rule(d.rule).id == *id)?;
                let rule = there.rule;
                Some(self.chatter_alarm(rule, p))
            }
            Subject::Source(_) => None,
        };
        made.iter().map(again).collect()
    }

    /// The alarms of trip groups have their places before others are moved; what had come in each
    /// group goes over by name.
    pub(super) fn open_groups_again(&mut self, old: &Old<'_>) -> Vec<(String, Vec<Tripped>)> {
        let groups = std::mem::take(&mut self.groups);
        let trips = groups.came(|own| {
            let n = own.index() - old.rules.alarms.len();
            let (name, def) = &old.made[n];
            format!("{}/{name}/{}", old.rules.rule(def.rule).id, def.level)
        });
        self.open_groups();
        trips
    }

    /// Causes that there are no longer suppress nothing; others are asked again, and keep the end
    /// that they had.
    pub(super) fn move_causes(&mut self, old: &Old<'_>, moved: &Moved) {
        self.causes = Causes::default();
        self.open_causes();
        let rules = self.rules.clone();
        let still: HashSet<(AlarmIx, &str)> = rules
            .suppressions
            .iter()
            .flat_map(|s| s.alarms.iter().map(|a| (*a, &*s.cause)))
            .collect();
        for s in &old.rules.suppressions {
            for a in s.alarms.iter().filter_map(|a| moved.alarm(*a)) {
                if !still.contains(&(a, &*s.cause)) {
                    let m = self.at_deadline(a, self.now);
                    self.set_suppressed(a, &s.cause, None, &m);
                }
            }
        }
        self.judge_all_causes();
    }

    /// The chatter guard's instants.
    pub(super) fn move_recent(&mut self, moved: &Moved) {
        let mut before = std::mem::take(&mut self.recent);
        for (n, to) in moved.alarms.iter().enumerate() {
            #[allow(clippy::cast_possible_truncation)] // an index of the old set
            let instants = before.remove(&AlarmIx(n as u32));
            if let (Some(instants), Some(to)) = (instants, to) {
                self.recent.insert(*to, instants);
            }
        }
    }

    /// Where an alarm's name stands now.
    pub(super) fn new_place(&self, a: AlarmIx, old: &Old<'_>, moved: &Moved) -> Option<AlarmIx> {
        let def = old.rules.alarm(a);
        match def.subject {
            Subject::Point(p) => {
                let p = moved.point(p)?;
                let id = &old.rules.rule(def.rule).id;
                self.rules
                    .of_point(p)
                    .find(|(_, d)| d.level == def.level && self.rules.rule(d.rule).id == *id)
                    .map(|(ix, _)| ix)
            }
            Subject::Source(s) => {
                let s = (*moved.sources.get(s.index())?)?;
                Some(self.rules.of_source(s))
            }
            Subject::Part(_) => None,
        }
    }
}
