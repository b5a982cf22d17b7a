//! Start and restart (section 2, restart; 8.15, 8.18): state is read back before anything is
//! said; every alarm starts UNKNOWN; nothing returns without a Good sample.

mod read_back;
mod restore;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use davy_points::{Life, Mono, PointIx, PointTable, Timestamp};

use super::command::Remembered;
use super::deadlines::SavedOver;
use super::image::SavedAlarm;
use super::state::{AlarmState, NEVER, PointState};
use super::timers::Timers;
use super::{Engine, Identity, Restored, mono};
use crate::alarm::{Cause, Condition, Eval, Event, Flag, Transition};
use crate::grammar::ns;
use crate::ruleset::{AlarmIx, RuleSet, Shade, Subject};

impl Engine {
    /// An engine for the points that `id.owner` reads, with what was read back. Outputs of the
    /// start itself (overdue deadlines, UNKNOWN of what stands) wait in [`Engine::poll`].
    #[must_use]
    pub fn start(
        id: Identity,
        rules: Arc<RuleSet>,
        table: Arc<PointTable>,
        restored: Restored,
        at: Mono,
        wall: Timestamp,
    ) -> Engine {
        let now = mono(at);
        let mut engine = Engine {
            points: (0..table.len()).map(|_| PointState::new()).collect(),
            alarms: (0..rules.alarms.len())
                .map(|_| AlarmState::default())
                .collect(),
            made: Vec::new(),
            recent: HashMap::new(),
            causes: super::suppress::Causes::default(),
            groups: super::first_out::Groups::default(),
            flood: super::flood::Flood::default(),
            tests: super::bypass::Tests::default(),
            sources: Vec::new(),
            startup: None,
            stuck: Vec::new(),
            witnesses: Vec::new(),
            derived: Vec::new(),
            late_runs: BTreeMap::new(),
            watchers: HashMap::new(),
            windows: HashMap::new(),
            timers: Timers::default(),
            out: VecDeque::new(),
            seq: 0,
            now,
            wall_offset: wall.0.saturating_sub(now),
            woken_at: None,
            stepped_at: i64::MIN,
            open: HashMap::new(),
            closed: VecDeque::new(),
            remembered: Remembered::default(),
            orphans: Vec::new(),
            bounded: BTreeSet::new(),
            next_until: Timestamp(NEVER),
            grouped: false,
            gone: BTreeMap::new(),
            table_rev: Engine::hash_of_tags(&table),
            mode_inputs: HashMap::new(),
            editing: None,
            id,
            rules,
            table,
        };
        engine.own_points();
        engine.open_windows();
        engine.open_instances();
        engine.open_modes();
        engine.open_causes();
        engine.open_groups();
        let stopped = restored.stopped_at.unwrap_or_else(|| {
            let last = restored.transitions.last().map(|t| t.recorded_at);
            last.or(restored.image.as_ref().map(|i| i.taken_at))
                .unwrap_or(wall)
        });
        let ran_before = restored.image.is_some()
            || !restored.transitions.is_empty()
            || restored.stopped_at.is_some();
        if ran_before {
            engine.read_back(restored, stopped, wall);
        }
        let owned: Vec<PointIx> = engine
            .table
            .iter()
            .map(|(p, _)| p)
            .filter(|p| engine.points[p.index()].flags.owned)
            .collect();
        for p in owned {
            engine.queue_stale(p);
        }
        engine.begin_startup();
        engine.announce_wake();
        engine
    }

    pub(super) fn own_points(&mut self) {
        let mut of_source = vec![Vec::new(); self.table.sources().len()];
        for (p, def) in self.table.iter() {
            let source = self.table.source(def.source);
            if source.gateway != self.id.owner || def.life == Life::Planned {
                continue;
            }
            of_source[def.source.index()].push(p);
            let point = &mut self.points[p.index()];
            point.flags.owned = true;
            point.flags.unheard = true;
            point.last_arrival = self.now;
            point.max_age = match ns(def.stale_after) {
                0 => i64::MAX,
                after => after,
            };
        }
        let ids: Vec<_> = self.table.sources().map(|(s, _)| s).collect();
        for (s, points) in ids.into_iter().zip(of_source) {
            let state = self.new_source(s, points);
            self.sources.push(state);
        }
        for i in 0..self.table.len() {
            if !self.points[i].flags.owned {
                continue;
            }
            let r = self.rules.points[i];
            for a in r.first..r.first + u32::from(r.levels) {
                self.alarms[a as usize].unknown = true;
            }
        }
    }

    /// An alarm of this owner, those of parts made as they are named.
    fn find_owned(&mut self, name: &str) -> Option<AlarmIx> {
        if let Some(part) = name
            .strip_prefix("system/")
            .and_then(|rest| rest.strip_suffix("/on"))
        {
            return Some(self.add_part(part));
        }
        if let Some(a) = self.find_bypass(name) {
            return Some(a);
        }
        if let Some(a) = self.find_chatter(name).or_else(|| self.find_group(name)) {
            return Some(a);
        }
        self.find_standing(name)
    }

    /// An alarm of this owner that stands from the beginning.
    pub(super) fn find_standing(&self, name: &str) -> Option<AlarmIx> {
        let a = self.rules.find(name, &self.table)?;
        let owned = match self.def(a).subject {
            Subject::Point(p) => self.points[p.index()].flags.owned,
            Subject::Source(s) => !self.sources[s.index()].points.is_empty(),
            Subject::Part(_) => true,
        };
        owned.then_some(a)
    }

    /// `rule/tag/chattering` of a rule and a point that there still are.
    fn find_chatter(&mut self, name: &str) -> Option<AlarmIx> {
        let (rule, tag) = name.strip_suffix("/chattering")?.split_once('/')?;
        let p = self.table.find(tag)?;
        let (_, def) = self
            .rules
            .of_point(p)
            .find(|(_, d)| &*self.rules.rule(d.rule).id == rule)?;
        let rule = def.rule;
        self.points[p.index()]
            .flags
            .owned
            .then(|| self.chatter_alarm(rule, p))
    }

    /// A saved label on this process's monotonic clock. Downtime counts; a wall clock that went
    /// back over the restart counts as none.
    pub(super) fn instant(&self, t: Timestamp, stopped: Timestamp, wall: Timestamp) -> i64 {
        let downtime = wall.since(stopped).max(0);
        self.now
            .saturating_sub(downtime)
            .saturating_add(t.since(stopped))
    }

    /// What stands is UNKNOWN from now on, and says so; what is at rest is silent about it.
    fn say_unknown(&mut self) {
        for i in 0..self.table.len() {
            if !self.points[i].flags.owned {
                continue;
            }
            let r = self.rules.points[i];
            for a in (r.first..r.first + u32::from(r.all)).map(AlarmIx) {
                let judged =
                    a.0 < r.first + u32::from(r.levels) || self.rules.instance_of(a).is_some();
                // Only alarms of the process have overlay records (8.22).
                if !judged {
                    continue;
                }
                let Some(live) = &mut self.alarms[a.index()].live else {
                    continue;
                };
                let told = live.regions.open || !live.regions.is_bare();
                if told && live.regions.eval == Eval::Known {
                    let m = self.at_deadline(a, self.now);
                    self.transit(a, Event::Restarted, &m, None);
                } else {
                    live.regions.eval = Eval::Unknown;
                    self.alarms[a.index()].rest();
                }
            }
        }
    }
}

impl SavedAlarm {
    pub(super) fn at_rest(alarm: &str, activations: u32) -> SavedAlarm {
        let none: Arc<str> = "".into();
        SavedAlarm {
            alarm: alarm.to_owned(),
            activations,
            regions: crate::alarm::Regions::default(),
            pending_start: Timestamp(0),
            pending: Timestamp(0),
            deadline: None,
            overdue: false,
            realarm_at: None,
            occurrence: none.clone(),
            episode: none,
            occurrences: Vec::new(),
            condition_start: None,
            annunciated_at: None,
            assumed: false,
            retrospective: false,
            unseen: false,
            edited: None,
            chattering: false,
            shade: Shade::Plain,
            detail: None,
            over: SavedOver::default(),
            latch: false,
            confirm: false,
            last: None,
            inputs: Vec::new(),
            commissioning: false,
        }
    }

    /// A transition after the image; returns the occurrences that it closed.
    fn replay(&mut self, t: &Transition) -> Vec<Arc<str>> {
        if t.cause == Cause::Condition {
            self.activations += 1;
            if !t.regions.before.open {
                self.occurrences.clear();
            }
            self.occurrence = t.occurrence.clone();
            self.occurrences.push(t.occurrence.clone());
        }
        // 8.26: what joins an open episode does not make it one of late samples.
        let joins = t.cause == Cause::Condition && t.regions.before.open;
        let late = t.flags.contains(&Flag::Retrospective);
        self.retrospective = late && (!joins || self.retrospective);
        let after = &t.regions.after;
        let first = t.cause == Cause::Condition && !t.regions.before.open;
        self.unseen = after.masked && (self.unseen || first);
        // A pending start that the image knows goes on under an overlay; of one that began after it
        // only the record's regions tell, not its start.
        let known = self.regions.condition == Condition::PendingOn
            && after.condition == Condition::PendingOn;
        self.over.replay(t, &self.occurrence);
        self.regions = after.clone();
        if !known {
            self.deadline = None;
            self.overdue = false;
        }
        self.realarm_at = None;
        self.episode = t.episode.clone();
        self.condition_start = t.condition_start;
        self.annunciated_at = t.annunciated_at;
        self.assumed = t.flags.contains(&Flag::Assumed);
        self.chattering = t.flags.contains(&Flag::Chattering);
        self.last = Some(t.clone());
        if self.regions.open {
            Vec::new()
        } else {
            std::mem::take(&mut self.occurrences)
        }
    }
}
