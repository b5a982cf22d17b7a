//! Start and restart (section 2, restart; 8.15, 8.18): state is read back before anything is
//! said; every alarm starts UNKNOWN; nothing returns without a Good sample.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use davy_points::{Life, Mono, PointIx, PointTable, Timestamp};

use super::command::{Holder, Remembered};
use super::deadlines::SavedOver;
use super::image::{EngineImage, SavedAlarm};
use super::source::stamped_by_us;
use super::state::{AlarmState, NEVER, Orphan, PointState};
use super::timers::{Deadline, Timers};
use super::{Engine, Identity, Restored, mono};
use crate::alarm::{
    Cause, CommandResult, Condition, Eval, Event, Flag, Outcome, Transition, VERSION,
};
use crate::grammar::ns;
use crate::ruleset::{AlarmIx, Kind, RuleSet, Shade, Subject, order};

/// Pending starts are saved at most this old (section 2, restart); older, one may be lost.
const IMAGE_AGE_NS: i64 = 1_000_000_000;

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

    fn read_back(&mut self, mut restored: Restored, stopped: Timestamp, wall: Timestamp) {
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
                let m = super::Moment {
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

    fn restore_points(&mut self, image: Option<&EngineImage>, stopped: Timestamp, wall: Timestamp) {
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

    /// A saved label on this process's monotonic clock. Downtime counts; a wall clock that went
    /// back over the restart counts as none.
    pub(super) fn instant(&self, t: Timestamp, stopped: Timestamp, wall: Timestamp) -> i64 {
        let downtime = wall.since(stopped).max(0);
        self.now
            .saturating_sub(downtime)
            .saturating_add(t.since(stopped))
    }

    fn restore_alarm(
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
