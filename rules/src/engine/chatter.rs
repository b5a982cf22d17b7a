//! The chatter guard (section 4): an alarm that comes and goes is held active until it has been
//! quiet, and one alarm says so. Nothing is dropped and nothing is shelved by it.
//!
//! Never for priority 1, trips and gas: there every occurrence is to be seen for itself.

use std::collections::{HashMap, VecDeque};

use davy_points::{PointIx, Priority};

use super::{Engine, Moment};
use crate::alarm::{Cause, Event, Level};
use crate::ruleset::{AlarmDef, AlarmIx, Chatter, Kind, RuleIx, Subject, plain};

/// When alarms were last annunciated: as many instants as it takes. Looked up, never walked.
pub(super) type Recent = HashMap<AlarmIx, VecDeque<i64>>;

impl Engine {
    /// The guard that an alarm is under, if any.
    pub(super) fn chatter_guard(&self, a: AlarmIx) -> Option<(Chatter, PointIx)> {
        let def = self.def(a);
        let rule = self.rule(a);
        let Subject::Point(p) = def.subject else {
            return None;
        };
        let process = def.side().is_some() || def.level == Level::On;
        let signal = matches!(rule.kind, Kind::Stale | Kind::Stuck | Kind::Quality);
        let trip = rule.trip;
        let gas = self.table.point(p).class.starts_with("gas");
        if !process || signal || trip || gas || def.priority == Priority::CRITICAL {
            return None;
        }
        rule.chatter.map(|c| (c, p))
    }

    /// Counts an occurrence that is annunciated; true where the alarm chatters with it.
    pub(super) fn chatters(&mut self, a: AlarmIx, now: i64) -> bool {
        let Some((guard, _)) = self.chatter_guard(a) else {
            return false;
        };
        let recent = self.recent.entry(a).or_default();
        recent.push_back(now);
        while recent.len() > guard.count {
            recent.pop_front();
        }
        let first = recent.front().map_or(now, |t| *t);
        recent.len() == guard.count && now.saturating_sub(first) <= guard.window_ns
    }

    /// The off-delay of an alarm: while it chatters, at least as long as the guard's window.
    pub(super) fn off_delay(&self, a: AlarmIx) -> i64 {
        let own = self.def(a).off_delay_ns;
        match (self.is_chattering(a), self.chatter_guard(a)) {
            (true, Some((guard, _))) => own.max(guard.window_ns),
            _ => own,
        }
    }

    pub(super) fn is_chattering(&self, a: AlarmIx) -> bool {
        let live = &self.alarms[a.index()].live;
        live.as_ref().is_some_and(|l| l.chattering)
    }

    /// `rule/tag/chattering` says that an alarm of the rule on this point chatters.
    pub(super) fn tell_chatter(&mut self, a: AlarmIx, m: &Moment) {
        let Subject::Point(p) = self.def(a).subject else {
            return;
        };
        let rule = self.def(a).rule;
        let c = self.chatter_alarm(rule, p);
        if !self.alarms[c.index()].is_active() {
            if let Some((guard, _)) = self.chatter_guard(a) {
                let seconds = guard.window_ns / 1_000_000_000;
                let words = format!("{seconds} s 内 {} 次，保持到平稳 {seconds} s", guard.count);
                self.alarms[c.index()].live().detail = Some(words);
            }
            self.raise(c, m.start, false, m);
        }
    }

    /// An alarm that chattered has left its condition: the guard's own alarm goes with the last.
    pub(super) fn end_chatter(&mut self, a: AlarmIx, cause: Cause, m: &Moment) {
        self.alarms[a.index()].live().chattering = false;
        let def = *self.def(a);
        let Subject::Point(p) = def.subject else {
            return;
        };
        let siblings: Vec<AlarmIx> = self.levels(p).chain(self.others(p)).map(AlarmIx).collect();
        let still = siblings
            .iter()
            .any(|s| self.def(*s).rule == def.rule && self.is_chattering(*s));
        if still {
            return;
        }
        let c = self.chatter_alarm(def.rule, p);
        let event = match cause {
            Cause::Superseded => Event::Superseded,
            _ => Event::Returned,
        };
        self.transit(c, event, m, None);
    }

    /// Made when it is first needed.
    pub(super) fn chatter_alarm(&mut self, rule: RuleIx, p: PointIx) -> AlarmIx {
        let same = |d: &AlarmDef| d.rule == rule && d.subject == Subject::Point(p);
        if let Some(n) = self.made.iter().position(|(_, d)| same(d)) {
            return self.made_ix(n);
        }
        let def = AlarmDef {
            priority: Priority::LOW,
            ..plain(rule, p, Level::Chattering, 0, 0)
        };
        let tag = self.table.point(p).tag.clone();
        self.make(tag, def)
    }
}
