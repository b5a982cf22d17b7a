//! Commands from people. Each is applied once however often it arrives, and answered the same
//! every time. Rejections are results, not transitions (8.13).

use std::collections::VecDeque;

use davy_points::Timestamp;

use super::{Engine, Moment, Output};
use crate::alarm::{
    Command, CommandResult, Event, Label, Level, Outcome, RegionsChange, Rejection, Role,
    Transition, VERSION, Verb, step,
};
use crate::ruleset::{AlarmIx, Kind, Subject};

/// How many answered commands are remembered.
const REMEMBERED: usize = 4096;

/// Who holds an open occurrence.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holder {
    Alarm(AlarmIx),
    /// An alarm whose rule is gone.
    Orphan,
}

/// Answers already given, oldest first.
#[derive(Debug, Default)]
pub(super) struct Remembered(pub(super) VecDeque<CommandResult>);

impl Remembered {
    fn of(&self, id: &str) -> Option<&CommandResult> {
        self.0.iter().rev().find(|r| r.id == id)
    }

    pub(super) fn keep(&mut self, result: CommandResult) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(result);
    }
}

impl Engine {
    pub(super) fn command(&mut self, c: &Command, wall: Timestamp) {
        if let Some(known) = self.remembered.of(&c.id) {
            self.out.push_back(Output::Result(known.clone()));
            return;
        }
        let before = self.seq;
        let why = self.obey(c, wall).err();
        let result = CommandResult {
            v: VERSION,
            id: c.id.clone(),
            outcome: if why.is_none() {
                Outcome::Applied
            } else {
                Outcome::Rejected
            },
            why,
            seq: why.is_none().then_some(before + 1),
        };
        self.remembered.keep(result.clone());
        self.out.push_back(Output::Result(result));
    }

    fn obey(&mut self, c: &Command, wall: Timestamp) -> Result<(), Rejection> {
        if c.v != VERSION || c.id.is_empty() {
            return Err(Rejection::Malformed);
        }
        if c.expires_at.is_some_and(|end| end < wall) {
            return Err(Rejection::Expired);
        }
        if !Role::named(&c.role).is_some_and(|role| role.may(c.verb)) {
            return Err(Rejection::Forbidden);
        }
        match c.verb {
            Verb::Ack | Verb::UnAck | Verb::Silence | Verb::Confirm | Verb::Reset => {
                self.obey_for_occurrence(c, wall)
            }
            Verb::Shelve
            | Verb::Unshelve
            | Verb::OutOfService
            | Verb::InService
            | Verb::Suppress
            | Verb::Unsuppress => self.obey_for_alarm(c, wall),
            Verb::Bypass => self.bypass(c, wall),
            Verb::Restore => self.restore(c, wall),
        }
    }

    /// Verbs on what stands: they name the occurrence that the person saw.
    fn obey_for_occurrence(&mut self, c: &Command, wall: Timestamp) -> Result<(), Rejection> {
        let named = c.occurrence.as_deref().ok_or(Rejection::Malformed)?;
        let holder = match self.open.get(named) {
            Some(holder) => *holder,
            None if self.closed.iter().any(|o| &**o == named) => {
                return Err(Rejection::StaleOccurrence);
            }
            None => return Err(Rejection::UnknownOccurrence),
        };
        match holder {
            Holder::Alarm(a) => self.obey_for(a, named, c, wall),
            Holder::Orphan => self.obey_for_orphan(named, c, wall),
        }
    }

    fn obey_for(
        &mut self,
        a: AlarmIx,
        named: &str,
        c: &Command,
        wall: Timestamp,
    ) -> Result<(), Rejection> {
        if c.alarm.as_ref().is_some_and(|n| *n != self.alarm_name(a)) {
            // An acknowledgement of another alarm or level (row 2).
            return Err(Rejection::StaleOccurrence);
        }
        let latest = self.alarms[a.index()]
            .live
            .as_ref()
            .is_some_and(|l| &*l.occurrence == named);
        let rule = self.rule(a);
        let (latch, confirm) = (rule.latch, rule.confirm);
        let event = match c.verb {
            Verb::Ack => Event::Acked,
            // These are about what stands or sounds now.
            _ if !latest => return Err(Rejection::StaleOccurrence),
            Verb::UnAck => Event::UnAcked {
                sounds: self.sounds(a),
            },
            Verb::Confirm if !confirm => return Err(Rejection::NotApplicable),
            Verb::Confirm => Event::Confirmed {
                verdict: verdict(c)?,
                closes: !latch,
            },
            Verb::Reset if self.is_signal_unseen(a) => return Err(Rejection::NotNormal),
            Verb::Reset => Event::Reset {
                confirm,
                gone: false,
            },
            _ => Event::Silenced,
        };
        let m = self.at_command(a, wall);
        if let Some(why) = self.transit(a, event, &m, Some(c)) {
            return Err(why);
        }
        let state = &self.alarms[a.index()];
        if c.verb == Verb::Ack && state.regions().underlying_label() == Label::Acked {
            self.start_realarm(a);
        }
        if let Subject::Point(p) = self.def(a).subject {
            self.quicken(p);
        }
        Ok(())
    }

    /// Row 10: a latched alarm of the signal itself, which has no overlay of its own, is reset on
    /// Good data.
    fn is_signal_unseen(&self, a: AlarmIx) -> bool {
        let signal = matches!(
            self.def(a).level,
            Level::Bad | Level::Stale | Level::LossOfView
        );
        match self.def(a).subject {
            Subject::Point(p) => signal && !self.points[p.index()].known(),
            Subject::Source(_) | Subject::Part(_) => false,
        }
    }

    /// Verbs on an alarm, whatever stands.
    fn obey_for_alarm(&mut self, c: &Command, wall: Timestamp) -> Result<(), Rejection> {
        let name = c.alarm.as_deref().ok_or(Rejection::Malformed)?;
        let a = self.named(name).ok_or(Rejection::UnknownAlarm)?;
        if self.kind(a) == Kind::Bypass {
            // The record of a bypass: what ends it is `restore`.
            return Err(Rejection::NotApplicable);
        }
        let m = self.at_command(a, wall);
        match c.verb {
            Verb::Shelve => self.shelve(a, c, &m),
            Verb::Unshelve => self.unshelve(a, c, &m),
            Verb::OutOfService => self.take_out(a, c, &m),
            Verb::InService => self.put_in(a, c, &m),
            Verb::Suppress => self.suppress(a, c, &m),
            _ => self.unsuppress(a, c, &m),
        }?;
        if let Subject::Point(p) = self.def(a).subject {
            self.quicken(p);
        }
        Ok(())
    }

    /// An alarm of this owner, those of parts that have reported.
    fn named(&self, name: &str) -> Option<AlarmIx> {
        let made = (0..self.made.len()).map(|n| self.made_ix(n));
        made.into_iter()
            .find(|a| self.alarm_name(*a) == name)
            .or_else(|| self.find_standing(name))
    }

    pub(super) fn at_command(&self, a: AlarmIx, wall: Timestamp) -> Moment {
        Moment {
            wall,
            source_time: wall,
            ..self.at_deadline(a, self.now)
        }
    }

    /// A person closes what an edit may not (section 2, edits). Where the rule or level is gone,
    /// acked and confirmed suffice (row 10).
    fn obey_for_orphan(
        &mut self,
        named: &str,
        c: &Command,
        wall: Timestamp,
    ) -> Result<(), Rejection> {
        let n = self
            .orphans
            .iter()
            .position(|o| o.occurrences.iter().any(|known| &**known == named))
            .ok_or(Rejection::UnknownOccurrence)?;
        let orphan = &self.orphans[n];
        if c.alarm.as_ref().is_some_and(|n| **n != *orphan.last.alarm) {
            return Err(Rejection::StaleOccurrence);
        }
        let latest = orphan.occurrences.last().is_some_and(|o| &**o == named);
        let event = match c.verb {
            Verb::Ack => Event::Acked,
            _ if !latest => return Err(Rejection::StaleOccurrence),
            Verb::Confirm if !orphan.confirm => return Err(Rejection::NotApplicable),
            Verb::Confirm => Event::Confirmed {
                verdict: verdict(c)?,
                closes: !orphan.latch,
            },
            Verb::Reset => Event::Reset {
                confirm: orphan.confirm,
                gone: true,
            },
            Verb::Silence => Event::Silenced,
            _ => return Err(Rejection::NotApplicable),
        };
        let last = orphan.last.clone();
        let before = last.regions.after.clone();
        let cause = event.cause();
        let after = step(&before, event)?;
        let open = after.open;
        self.seq += 1;
        let t = Transition {
            seq: self.seq,
            from: before.label(),
            to: after.label(),
            cause,
            occurrence: named.into(),
            source_time: wall,
            recorded_at: wall,
            plan_rev: self.id.plan_rev.clone(),
            command_id: Some(c.id.clone()),
            actor: Some(c.actor.clone()),
            reason: Some(c.reason.clone()).filter(|r| !r.is_empty()),
            regions: RegionsChange { before, after },
            ..last
        };
        if open {
            self.orphans[n].last = t.clone();
        } else {
            let done = self.orphans.remove(n);
            self.forget(&done.occurrences);
        }
        self.out.push_back(Output::Transition(Box::new(t)));
        Ok(())
    }
}

/// 8.13: what a confirmation says.
fn verdict(c: &Command) -> Result<bool, Rejection> {
    match c.verdict.as_deref() {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err(Rejection::Malformed),
    }
}
