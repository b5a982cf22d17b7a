//! Suppression by design, as rules ask for it (section 2, row 13; 8.14, 8.21): conditions and
//! alarms that are causes, and what follows when one becomes true or is true no longer.
//!
//! A cause is judged on Good input alone: an Unknown cause never suppresses. Read first:
//! [`Engine::judge_causes`].

use std::collections::HashMap;

use davy_points::{PointIx, Timestamp};

use super::{Engine, Moment};
use crate::alarm::Eval;
use crate::grammar::Kleene;
use crate::ruleset::{AlarmIx, SuppressedBy};

/// Which causes hang on what. Looked up, never walked.
#[derive(Debug, Default)]
pub(super) struct Causes {
    of_point: HashMap<PointIx, Vec<usize>>,
    of_alarm: HashMap<AlarmIx, Vec<usize>>,
    /// By cause: until when it suppresses, while it is true.
    until: Vec<Option<Timestamp>>,
    /// By cause: it has not been judged since the start or the reload; what it held before is kept
    /// until then, so that one that stays true has one maximum.
    unjudged: Vec<bool>,
}

impl Engine {
    pub(super) fn open_causes(&mut self) {
        let rules = self.rules.clone();
        self.causes.until = vec![None; rules.suppressions.len()];
        self.causes.unjudged = vec![true; rules.suppressions.len()];
        for (n, s) in rules.suppressions.iter().enumerate() {
            match &s.by {
                SuppressedBy::While(e) => {
                    for p in e.inputs() {
                        self.causes.of_point.entry(*p).or_default().push(n);
                        self.points[p.index()].flags.windowed = true;
                    }
                }
                SuppressedBy::Alarm(a) => self.causes.of_alarm.entry(*a).or_default().push(n),
            }
        }
    }

    /// The causes that read a point, after what it says has changed.
    pub(super) fn judge_causes(&mut self, p: PointIx, m: &Moment) {
        let Some(causes) = self.causes.of_point.get(&p) else {
            return;
        };
        for n in causes.clone() {
            self.judge_cause(n, m);
        }
    }

    /// The causes that an alarm is, after it changed. Cycles are refused when rules are read.
    pub(super) fn judge_causes_of(&mut self, a: AlarmIx, m: &Moment) {
        let Some(causes) = self.causes.of_alarm.get(&a) else {
            return;
        };
        for n in causes.clone() {
            self.judge_cause(n, m);
        }
    }

    /// All of them, where what they are has changed.
    pub(super) fn judge_all_causes(&mut self) {
        for n in 0..self.rules.suppressions.len() {
            if let Some(first) = self.rules.suppressions[n].alarms.first() {
                let m = self.at_deadline(*first, self.now);
                self.judge_cause(n, &m);
            }
        }
    }

    fn judge_cause(&mut self, n: usize, m: &Moment) {
        let rules = self.rules.clone();
        let s = &rules.suppressions[n];
        let holds = match &s.by {
            SuppressedBy::While(e) => e.judge(&|p| self.witnessed(p, false)) == Kleene::True,
            SuppressedBy::Alarm(a) => {
                let state = &self.alarms[a.index()];
                state.is_active() && state.eval() == Eval::Known && !self.is_touched(*a)
            }
        };
        let first = std::mem::take(&mut self.causes.unjudged[n]);
        let until = match (holds, self.causes.until[n]) {
            (true, Some(until)) => Some(until),
            // 8.14: its maximum counts from when it became true.
            (true, None) => Some(Timestamp(m.wall.0.saturating_add(s.max_ns))),
            (false, None) => {
                if first {
                    self.end_what_was_held(n, m);
                }
                return;
            }
            (false, Some(_)) => None,
        };
        self.causes.until[n] = until;
        for a in &s.alarms {
            self.set_suppressed(*a, &s.cause, until, m);
        }
    }

    /// 8.14: a cause that held before a restart or a reload is true no longer.
    fn end_what_was_held(&mut self, n: usize, m: &Moment) {
        let rules = self.rules.clone();
        let s = &rules.suppressions[n];
        for a in &s.alarms {
            let live = self.alarms[a.index()].live.as_ref();
            let held = live.is_some_and(|l| {
                let of_rule = |h: &super::service::Hold| !h.by_hand && *h.cause == *s.cause;
                l.over.holds.iter().any(of_rule)
            });
            // Another cause of that name may hold it still.
            let other = |(k, o): (usize, &crate::ruleset::Suppression)| {
                self.causes.until[k].is_some() && o.cause == s.cause && o.alarms.contains(a)
            };
            if held && !rules.suppressions.iter().enumerate().any(other) {
                self.set_suppressed(*a, &s.cause, None, m);
            }
        }
    }
}
