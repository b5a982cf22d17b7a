//! Rules and points that change while the engine runs (section 2, edits; 8.22 to 8.24): state moves
//! over by name, never by index; what can be told of the new limits now is told now.
//!
//! Lives here: what a reload is in the input log, and what goes where. May not live here: what an
//! edit does to one alarm (`edit`). Read first: [`Engine::reload`].

mod moves;

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
use super::state::{AlarmState, NEVER, PointState, SourceState};
use super::stuck::{StuckState, WitnessState};
use crate::language::compile_signed;
use crate::ruleset::{AlarmDef, AlarmIx, Approval, RuleSet, Subject};

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
    /// Points that another source reads now.
    elsewhere: Vec<PointIx>,
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
