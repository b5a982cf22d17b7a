//! First-out (section 4): in a trip group, which condition began first. Members that are shelved or
//! suppressed count and are marked; what lies within the uncertainty of two clocks and polls is a
//! tie; a late earlier event amends what was said and never rewrites it; a reset clears the group.

use std::collections::HashMap;
use std::sync::Arc;

use davy_points::{Quality, Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::source::stamped_by_us;
use super::{Engine, Moment};
use crate::alarm::{Cause, Event, Label};
use crate::grammar::ns;
use crate::ruleset::{AlarmDef, AlarmIx, Subject, plain_part};

/// How far a device's own clock may be off beside another's: what a plant that keeps time with NTP
/// can promise.
const DEVICE_CLOCK_NS: i64 = 1_000_000_000;

/// One alarm of a group that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tripped {
    alarm: Arc<str>,
    /// When its condition began.
    start: Timestamp,
    uncertainty_ns: i64,
    /// Not annunciated at that time, and why.
    #[serde(default)]
    mark: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Looked up, never walked.
    of_alarm: HashMap<AlarmIx, Vec<usize>>,
    /// Of each group: its own alarm, and what has come since the last reset, earliest first.
    states: Vec<(Option<AlarmIx>, Vec<Tripped>)>,
}

impl Groups {
    /// What has come since the last reset, by the name of the group's own alarm.
    pub(super) fn came(&self, name: impl Fn(AlarmIx) -> String) -> Vec<(String, Vec<Tripped>)> {
        let states = self.states.iter();
        states
            .filter(|(_, came)| !came.is_empty())
            .filter_map(|(own, came)| Some((name((*own)?), came.clone())))
            .collect()
    }
}

impl Engine {
    pub(super) fn open_groups(&mut self) {
        let rules = self.rules.clone();
        for (n, g) in rules.groups.iter().enumerate() {
            let owned = |a: &&AlarmIx| match self.def(**a).subject {
                Subject::Point(p) => self.points[p.index()].flags.owned,
                Subject::Source(_) | Subject::Part(_) => false,
            };
            let members: Vec<AlarmIx> = g.members.iter().filter(owned).copied().collect();
            let alarm = (!members.is_empty()).then(|| {
                let part = Subject::Part(self.next_made());
                let def = AlarmDef {
                    priority: g.priority,
                    ..plain_part(g.rule, part)
                };
                self.make(g.name.clone(), def)
            });
            for a in members {
                self.groups.of_alarm.entry(a).or_default().push(n);
            }
            self.groups.states.push((alarm, Vec::new()));
        }
    }

    /// An alarm became active: its groups take note of it.
    pub(super) fn note_trip(&mut self, a: AlarmIx, m: &Moment) {
        let Some(groups) = self.groups.of_alarm.get(&a) else {
            return;
        };
        for n in groups.clone() {
            self.trip(n, a, m);
        }
    }

    fn trip(&mut self, n: usize, a: AlarmIx, m: &Moment) {
        let Some(own) = self.groups.states[n].0 else {
            return;
        };
        let name: Arc<str> = self.alarm_name(a).into();
        let came = &self.groups.states[n].1;
        let is_new = !came.iter().any(|t| t.alarm == name);
        let before = said(came);
        if is_new {
            let tripped = self.tripped(a, name, m);
            let came = &mut self.groups.states[n].1;
            let place = came.partition_point(|t| t.start <= tripped.start);
            came.insert(place, tripped);
        }
        let after = said(&self.groups.states[n].1);
        let m = group_moment(m);
        self.alarms[own.index()].live().detail = Some(after.clone());
        if !self.alarms[own.index()].is_active() {
            self.raise(own, m.start, false, &m);
        } else if before != after {
            // A late earlier event, or one that makes a tie: said beside what was said.
            let regions = self.alarms[own.index()].regions();
            self.record(own, Cause::Amended, regions.clone(), regions, &m, None);
        }
    }

    fn tripped(&self, a: AlarmIx, alarm: Arc<str>, m: &Moment) -> Tripped {
        let live = self.alarms[a.index()].live.as_ref();
        let start = live.and_then(|l| l.condition_start).unwrap_or(m.start);
        let mark = live.and_then(|l| match l.regions.label() {
            Label::Shelved => Some("已搁置"),
            Label::Suppressed => Some("已抑制"),
            Label::OutOfService => Some("已停用"),
            _ => None,
        });
        let uncertainty_ns = match self.def(a).subject {
            Subject::Point(p) => {
                let def = self.table.point(p);
                let recorded = self.table.source(def.source).recorded;
                let clock = match stamped_by_us(&def.binding) || recorded {
                    true => 0,
                    false => DEVICE_CLOCK_NS,
                };
                ns(def.expected_interval).saturating_add(clock)
            }
            Subject::Source(_) | Subject::Part(_) => 0,
        };
        Tripped {
            alarm,
            start,
            uncertainty_ns,
            mark: mark.map(str::to_owned),
        }
    }

    /// An alarm left its condition: when none of a group holds any longer, the group's own alarm
    /// returns, latched, until the group is reset.
    pub(super) fn note_untrip(&mut self, a: AlarmIx, m: &Moment) {
        let Some(groups) = self.groups.of_alarm.get(&a) else {
            return;
        };
        for n in groups.clone() {
            let (Some(own), rules) = (self.groups.states[n].0, self.rules.clone()) else {
                continue;
            };
            let members = &rules.groups[n].members;
            if members.iter().any(|a| self.alarms[a.index()].is_active()) {
                continue;
            }
            if self.alarms[own.index()].is_active() {
                self.transit(own, Event::Returned, &group_moment(m), None);
            }
        }
    }

    /// The group's own alarm is NORMAL again: the next alarm is the first.
    pub(super) fn clear_group(&mut self, own: AlarmIx) {
        for (alarm, came) in &mut self.groups.states {
            if *alarm == Some(own) {
                came.clear();
            }
        }
    }

    pub(super) fn saved_groups(&self) -> Vec<(String, Vec<Tripped>)> {
        self.groups.came(|own| self.alarm_name(own))
    }

    pub(super) fn restore_trips(&mut self, saved: &[(String, Vec<Tripped>)]) {
        for n in 0..self.groups.states.len() {
            let Some(own) = self.groups.states[n].0 else {
                continue;
            };
            let name = self.alarm_name(own);
            if let Some((_, came)) = saved.iter().find(|(known, _)| *known == name) {
                self.groups.states[n].1.clone_from(came);
            }
        }
    }

    /// The alarm of a trip group of this name, if there is one.
    pub(super) fn find_group(&self, name: &str) -> Option<AlarmIx> {
        let mut own = self.groups.states.iter().filter_map(|(own, _)| *own);
        own.find(|a| self.alarm_name(*a) == name)
    }
}

/// A group has no value of its own.
fn group_moment(m: &Moment) -> Moment {
    Moment {
        value: Value::none(davy_points::NoData::Null),
        quality: Quality::Good,
        ..m.clone()
    }
}

/// First, what cannot be told from it, and how many came after.
fn said(came: &[Tripped]) -> String {
    let Some(first) = came.first() else {
        return String::new();
    };
    let word = |t: &Tripped| match &t.mark {
        Some(mark) => format!("{}（{mark}）", t.alarm),
        None => t.alarm.to_string(),
    };
    let is_tie = |t: &&Tripped| {
        t.start.since(first.start) <= first.uncertainty_ns.saturating_add(t.uncertainty_ns)
    };
    let ties: Vec<String> = came[1..].iter().filter(is_tie).map(word).collect();
    match ties.len() {
        0 => format!("首出 {}", word(first)),
        _ => format!("首出 {}，先后不可分 {}", word(first), ties.join("、")),
    }
}
