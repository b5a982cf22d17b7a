//! Commands from people. Each is applied once however often it arrives, and answered the same
//! every time. Rejections are results, not transitions (8.13).

use std::collections::VecDeque;
use std::sync::Arc;

use davy_points::Timestamp;

use super::{Engine, Moment, Output};
use crate::alarm::{
    Command, CommandResult, Event, Label, Outcome, RegionsChange, Rejection, Transition, VERSION,
    Verb, step,
};
use crate::language::{AlarmIx, Subject};

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
        if !matches!(c.verb, Verb::Ack | Verb::UnAck | Verb::Silence) {
            return Err(Rejection::Unsupported);
        }
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
            Holder::Orphan => self.ack_orphan(named, c, wall),
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
        let event = match c.verb {
            Verb::Ack => Event::Acked,
            // These are about what stands or sounds now.
            _ if !latest => return Err(Rejection::StaleOccurrence),
            Verb::UnAck => Event::UnAcked {
                sounds: self.sounds(a),
            },
            _ => Event::Silenced,
        };
        let m = self.at_command(a, wall);
        if let Some(why) = self.transit(a, event, &m, Some(c)) {
            return Err(why);
        }
        let state = &self.alarms[a.index()];
        if event == Event::Acked && state.regions().underlying_label() == Label::Acked {
            self.start_realarm(a);
        }
        if let Subject::Point(p) = self.def(a).subject {
            self.quicken(p);
        }
        Ok(())
    }

    fn at_command(&self, a: AlarmIx, wall: Timestamp) -> Moment {
        Moment {
            wall,
            source_time: wall,
            ..self.at_deadline(a, self.now)
        }
    }

    /// A person closes what an edit may not (section 2, edits).
    fn ack_orphan(&mut self, named: &str, c: &Command, wall: Timestamp) -> Result<(), Rejection> {
        let n = self
            .orphans
            .iter()
            .position(|o| &*o.occurrence == named)
            .ok_or(Rejection::UnknownOccurrence)?;
        if c.verb != Verb::Ack {
            return Err(Rejection::NotApplicable);
        }
        let last = self.orphans[n].clone();
        let before = last.regions.after.clone();
        let after = step(&before, Event::Acked)?;
        self.seq += 1;
        let t = Transition {
            seq: self.seq,
            from: before.label(),
            to: after.label(),
            cause: Event::Acked.cause(),
            source_time: wall,
            recorded_at: wall,
            plan_rev: self.id.plan_rev.clone(),
            command_id: Some(c.id.clone()),
            actor: Some(c.actor.clone()),
            reason: Some(c.reason.clone()).filter(|r| !r.is_empty()),
            regions: RegionsChange { before, after },
            ..last
        };
        let closed: Arc<str> = t.occurrence.clone();
        self.orphans.remove(n);
        self.forget(&[closed]);
        self.out.push_back(Output::Transition(Box::new(t)));
        Ok(())
    }
}
