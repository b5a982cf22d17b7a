//! Rules and points that change while the engine runs (section 2, edits; 8.22 to 8.24): state moves
//! over by name, never by index; what can be told of the new limits now is told now.
//!
//! Lives here: what a reload is in the input log, and what goes where. May not live here: what an
//! edit does to one alarm (`edit`). Read first: [`Engine::reload`].

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use davy_points::{
    Diagnostic, Life, PointDef, PointIx, PointTable, Severity, SourceDef, SourceIx, Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Engine;
use super::command::Holder;
use super::derived::DerivedState;
use super::edit::Editing;
use super::first_out::Tripped;
use super::image::SavedAlarm;
use super::state::{AlarmState, NEVER, PointState, SourceState};
use super::stuck::{StuckState, WitnessState};
use super::suppress::Causes;
use crate::grammar::ns;
use crate::language::compile_signed;
use crate::ruleset::{AlarmDef, AlarmIx, Approval, Kind, RuleSet, Subject};

/// Rules and points to go on with. In the input log it is their texts: a replay compiles them
/// again and judges what was judged.
#[derive(Clone)]
pub struct Reload {
    texts: Arc<Texts>,
    rules: Arc<RuleSet>,
    table: Arc<PointTable>,
}

/// What a reload is made of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Texts {
    /// Rule files: path and text.
    files: Vec<(String, String)>,
    /// Guidance pages that exist.
    guidance: Vec<String>,
    sources: Vec<SourceDef>,
    points: Vec<PointDef>,
    plan_rev: Arc<str>,
}

impl Reload {
    /// Compiles the rules of a site against its points, as [`compile_signed`] does. `Some` exactly where
    /// nothing is an error.
    #[must_use]
    pub fn compile(
        files: &[(PathBuf, String)],
        guidance: &[String],
        table: Arc<PointTable>,
        plan_rev: Arc<str>,
        approval: &Approval,
    ) -> (Option<Reload>, Vec<Diagnostic>) {
        let (rules, faults) = compile_signed(files, &table, guidance, approval);
        let reload = rules.map(|rules| Reload {
            texts: Arc::new(Texts {
                files: files
                    .iter()
                    .map(|(path, text)| (path.to_string_lossy().into_owned(), text.clone()))
                    .collect(),
                guidance: guidance.to_vec(),
                sources: table.sources().map(|(_, s)| s.clone()).collect(),
                points: table.iter().map(|(_, p)| p.clone()).collect(),
                plan_rev,
            }),
            rules: Arc::new(rules),
            table,
        });
        (reload, faults)
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The points that they are compiled against.
    #[must_use]
    pub fn table(&self) -> &Arc<PointTable> {
        &self.table
    }

    /// Hash of the plan that they belong to.
    #[must_use]
    pub fn plan_rev(&self) -> &Arc<str> {
        &self.texts.plan_rev
    }
}

impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rev = self.plan_rev();
        f.debug_struct("Reload")
            .field("plan_rev", rev)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Reload {
    fn eq(&self, other: &Reload) -> bool {
        self.texts == other.texts
    }
}

impl Serialize for Reload {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.texts.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Reload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Reload, D::Error> {
        use serde::de::Error;
        let texts = Texts::deserialize(from)?;
        let mut table = PointTable::new();
        for s in texts.sources {
            table.add_source(s);
        }
        let sources = table.sources().len();
        for p in texts.points {
            if p.source.index() >= sources {
                return Err(D::Error::custom(format!("{} has no source", p.tag)));
            }
            table.add(p).map_err(D::Error::custom)?;
        }
        let files: Vec<(PathBuf, String)> = texts
            .files
            .into_iter()
            .map(|(path, text)| (path.into(), text))
            .collect();
        let (reload, faults) = Reload::compile(
            &files,
            &texts.guidance,
            Arc::new(table),
            texts.plan_rev,
            &Approval::verified(),
        );
        reload.ok_or_else(|| {
            let first = faults.iter().find(|d| d.severity == Severity::Error);
            D::Error::custom(first.map_or("the rules do not compile", |d| &d.message))
        })
    }
}

/// What the engine was before.
struct Before {
    rules: Arc<RuleSet>,
    table: Arc<PointTable>,
    points: Vec<PointState>,
    alarms: Vec<AlarmState>,
    sources: Vec<SourceState>,
    stuck: Vec<StuckState>,
    witnesses: Vec<WitnessState>,
    derived: Vec<DerivedState>,
}

/// Where everything is now; none: gone, or another thing under its name.
#[derive(Debug, Default)]
pub(super) struct Moved {
    points: Vec<Option<PointIx>>,
    sources: Vec<Option<SourceIx>>,
    alarms: Vec<Option<AlarmIx>>,
    instances: Vec<Option<usize>>,
}

impl Moved {
    pub(super) fn point(&self, p: PointIx) -> Option<PointIx> {
        *self.points.get(p.index())?
    }

    pub(super) fn alarm(&self, a: AlarmIx) -> Option<AlarmIx> {
        *self.alarms.get(a.index())?
    }

    pub(super) fn instance(&self, n: usize) -> Option<usize> {
        *self.instances.get(n)?
    }
}

impl Engine {
    /// Goes on with other rules and points. Nothing that was annunciated is lost, nothing returns
    /// by it; what the newest sample says of a changed limit counts from now.
    pub(super) fn reload(&mut self, r: &Reload, wall: Timestamp) {
        let rules = r.rules.clone();
        let before = Before {
            points: std::mem::replace(
                &mut self.points,
                (0..r.table.len()).map(|_| PointState::new()).collect(),
            ),
            alarms: std::mem::replace(
                &mut self.alarms,
                (0..rules.alarms.len())
                    .map(|_| AlarmState::default())
                    .collect(),
            ),
            sources: std::mem::take(&mut self.sources),
            stuck: std::mem::take(&mut self.stuck),
            witnesses: std::mem::take(&mut self.witnesses),
            derived: std::mem::take(&mut self.derived),
            rules: std::mem::replace(&mut self.rules, rules),
            table: std::mem::replace(&mut self.table, r.table.clone()),
        };
        self.id.plan_rev = r.plan_rev().clone();
        self.table_rev = Engine::hash_of_tags(&self.table);
        self.watchers.clear();
        self.windows.clear();
        self.open.clear();

        let mut moved = Moved::default();
        self.own_points();
        let Before {
            rules,
            table,
            points,
            alarms,
            sources,
            stuck,
            witnesses,
            derived,
        } = before;
        self.move_points(points, &table, &mut moved);
        self.move_sources(sources, &table, &mut moved);
        self.move_tests(&moved);
        self.open_windows();
        self.open_instances();
        self.open_modes();
        self.move_windows(stuck, &witnesses, &rules, &table, &moved);
        let old = Old {
            rules: &rules,
            table: &table,
            made: std::mem::take(&mut self.made),
        };
        let new_judges = self.move_judges(derived, &old, &mut moved);
        let trips = self.open_groups_again(&old);
        let edits = self.move_alarms(alarms, &old, &mut moved, wall);
        self.restore_trips(&trips);
        self.move_causes(&old, &moved);
        self.move_recent(&moved);
        self.move_runs(&moved);
        let bounded = std::mem::take(&mut self.bounded);
        self.bounded = bounded.into_iter().filter_map(|a| moved.alarm(a)).collect();
        for o in &self.orphans {
            for id in &o.occurrences {
                self.open.insert(id.clone(), Holder::Orphan);
            }
        }
        self.timers.moved(&moved);
        self.recount_masked();
        self.judge_edits(edits, &new_judges, &old, wall);
    }

    fn move_points(&mut self, old: Vec<PointState>, table: &PointTable, moved: &mut Moved) {
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
            }
            moved.points.push(kept);
        }
    }

    fn move_sources(&mut self, old: Vec<SourceState>, table: &PointTable, moved: &mut Moved) {
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
        // A point may have gone to another source.
        for source in &self.sources {
            for p in &source.points {
                let flags = &mut self.points[p.index()].flags;
                flags.down = source.down && flags.seen;
            }
        }
    }

    fn move_windows(
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
    fn move_judges(
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
    fn move_alarms(
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
    fn make_again(
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
    fn open_groups_again(&mut self, old: &Old<'_>) -> Vec<(String, Vec<Tripped>)> {
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
    fn move_causes(&mut self, old: &Old<'_>, moved: &Moved) {
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
    fn move_recent(&mut self, moved: &Moved) {
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
    fn new_place(&self, a: AlarmIx, old: &Old<'_>, moved: &Moved) -> Option<AlarmIx> {
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

    /// What the edits mean for what stands and for what the newest samples say.
    fn judge_edits(
        &mut self,
        kept: Vec<(AlarmIx, AlarmIx)>,
        new_judges: &[bool],
        old: &Old<'_>,
        wall: Timestamp,
    ) {
        let mut raised = Vec::new();
        let mut editing = Editing::default();
        let mut pending = Vec::new();
        for (was, a) in kept {
            let def = *self.def(a);
            let before = *old.def(was);
            if old.judges_alike(was, &self.rules, a) {
                editing.unchanged.insert(a);
            }
            let put_into_service = match (before.subject, def.subject) {
                (Subject::Point(was), Subject::Point(is)) => {
                    old.table.point(was).life != Life::InService
                        && self.table.point(is).life == Life::InService
                }
                _ => false,
            };
            if self.edited(a, put_into_service) {
                raised.push(a);
            }
            pending.extend(self.pending_edited(a, &before));
            let live = self.alarms[a.index()].live();
            if live.regions.acked && live.realarm_at == NEVER {
                self.start_realarm(a);
            } else if self.rule(a).realarm_ns.is_none() {
                self.alarms[a.index()].live().realarm_at = NEVER;
            }
            if self.kind(a) == crate::ruleset::Kind::Stuck
                && self.alarms[a.index()].is_active()
                && let Subject::Point(p) = def.subject
            {
                self.points[p.index()].flags.stuck = true;
            }
        }
        self.editing = Some(Box::new(editing));
        for i in 0..self.sources.len() {
            for p in self.sources[i].points.clone() {
                self.judge_edited_point(p);
            }
        }
        let rules = self.rules.clone();
        for (n, i) in rules.instances.iter().enumerate() {
            if !self.points[i.subject.index()].flags.owned {
                continue;
            }
            let editing = self.editing.as_ref();
            let same = |a: u32| editing.is_some_and(|e| e.unchanged.contains(&AlarmIx(a)));
            if new_judges[n] || !i.alarms.clone().all(same) {
                let m = self.at_point(i.subject, self.now, self.points[i.subject.index()].quality);
                // `apply_edit` returns nothing.
                self.evaluate(n, &m, true);
            }
        }
        self.editing = None;
        self.settle_edits(&raised);
        let bounded: Vec<AlarmIx> = self.bounded.iter().copied().collect();
        for a in bounded {
            let m = self.at_deadline(a, self.now);
            self.void_forbidden_shelf(a, &m);
        }
        self.end_pendings(pending, wall);
        for i in 0..self.sources.len() {
            for p in self.sources[i].points.clone() {
                self.queue_stale(p);
                if self.points[p.index()].flags.seen {
                    self.quicken(p);
                }
            }
        }
        self.count_unheard();
        self.run_timers(self.now);
    }

    /// How many alarms of each source's points something stands for.
    fn recount_masked(&mut self) {
        for i in 0..self.sources.len() {
            let mut masked = 0;
            for p in &self.sources[i].points {
                for a in self.others(*p).map(AlarmIx) {
                    if self.is_signal(a) && self.alarms[a.index()].is_masked() {
                        masked += 1;
                    }
                }
            }
            self.sources[i].masked = masked;
        }
    }
}

/// Rules and points as they were.
struct Old<'a> {
    rules: &'a RuleSet,
    table: &'a PointTable,
    made: Vec<(Arc<str>, AlarmDef)>,
}

impl Old<'_> {
    fn def(&self, a: AlarmIx) -> &AlarmDef {
        match a.index().checked_sub(self.rules.alarms.len()) {
            None => self.rules.alarm(a),
            Some(n) => &self.made[n].1,
        }
    }

    fn tags<'s>(&'s self, points: &'s [PointIx]) -> impl Iterator<Item = &'s str> {
        points.iter().map(|p| &*self.table.point(*p).tag)
    }

    fn name(&self, a: AlarmIx) -> String {
        // Alarms of parts are never left behind.
        self.rules.name(self.def(a), self.table)
    }

    /// The same input gives the same verdict before and after.
    fn judges_alike(&self, was: AlarmIx, rules: &RuleSet, is: AlarmIx) -> bool {
        if is.index() >= rules.alarms.len() {
            return true;
        }
        let (a, b) = (self.rules.alarm(was), rules.alarm(is));
        let (before, after) = (self.rules.rule(a.rule), rules.rule(b.rule));
        let settings = |set: &RuleSet, x| set.instance_of(x).map(|(_, i)| i.settings.text());
        a.limit.map(f64::to_bits) == b.limit.map(f64::to_bits)
            && a.deadband.to_bits() == b.deadband.to_bits()
            && before.on_bad == after.on_bad
            && before.strict == after.strict
            && before.classes == after.classes
            && settings(self.rules, was) == settings(rules, is)
    }
}
