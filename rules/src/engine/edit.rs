//! Rules that are others than before (section 2, edits; 8.24). So far a rule changes only over a
//! restart. State is kept, by name; nothing that nobody has seen is closed by an edit.

use davy_points::{PointIx, Timestamp};

use super::image::SavedAlarm;
use super::state::{Edited, Orphan};
use super::{Engine, Output};
use crate::alarm::{Cause, Event, Flag, Label, RegionsChange, Transition, step};
use crate::language::AlarmIx;

impl Engine {
    /// Notes on a restored alarm that its rule is another than when it last spoke. True: its
    /// priority was raised, which re-annunciates an active condition.
    pub(super) fn edited(&mut self, a: AlarmIx) -> bool {
        let def = *self.def(a);
        let Some(last) = self.alarms[a.index()]
            .live
            .as_ref()
            .and_then(|l| l.last.as_ref())
        else {
            return false;
        };
        let (limit, raised) = (last.limit, def.priority < last.priority);
        if !self.alarms[a.index()].is_active()
            || *last.rule_rev == *self.rules.rule_rev(&def, &self.table)
        {
            return false;
        }
        let live = self.alarms[a.index()].live();
        live.edited.get_or_insert(Edited { limit });
        raised && live.regions.acked
    }

    /// What edits did to alarms that stand: a worse level that is gone masks nothing any longer,
    /// and what has a higher priority now is to be seen again.
    pub(super) fn settle_edits(&mut self, raised: &[AlarmIx]) {
        let owned: Vec<PointIx> = self
            .table
            .iter()
            .map(|(p, _)| p)
            .filter(|p| self.points[p.index()].flags.owned)
            .collect();
        for p in owned {
            let stands = |i: u32| self.alarms[i as usize].live.is_some();
            if self.levels(p).chain(self.others(p)).any(stands) {
                let m = self.at_point(p, self.now, self.points[p.index()].quality);
                self.settle(self.levels(p), &m);
                self.settle(self.others(p), &m);
            }
        }
        for a in raised {
            let m = self.at_deadline(*a, self.now);
            let sounds = self.sounds(*a);
            self.transit(*a, Event::Reannounced { sounds }, &m, None);
        }
    }

    /// A transition read back: true where it is one of an alarm whose rule is gone.
    pub(super) fn replay_orphan(&mut self, t: &Transition) -> bool {
        // A record of an acknowledgement names the occurrence that was seen: any of the episode.
        let known = self
            .orphans
            .iter()
            .position(|o| o.last.alarm == t.alarm && o.last.episode == t.episode);
        let open = t.regions.after.open;
        match known {
            Some(n) if open => self.orphans[n].last = t.clone(),
            // Acknowledged: done.
            Some(n) => {
                let done = self.orphans.remove(n);
                self.forget(&done.occurrences);
            }
            None => return false,
        }
        true
    }

    /// A transition after the image that made an alarm one whose rule is gone.
    pub(super) fn replay_superseded(&mut self, t: &Transition, s: &SavedAlarm) {
        self.orphans.push(Orphan {
            last: t.clone(),
            occurrences: s.occurrences.clone(),
            latch: s.latch,
            confirm: s.confirm,
        });
    }

    /// The rule or level is gone: an unacked occurrence waits for a person, an acked one goes.
    pub(super) fn orphan(&mut self, s: SavedAlarm, wall: Timestamp) {
        let Some(last) = s.last else { return };
        if !s.regions.open && s.regions.is_bare() {
            return;
        }
        let before = s.regions;
        let event = match s.latch || (s.confirm && !before.confirmed) {
            true => Event::SupersededLatched,
            false => Event::Superseded,
        };
        let Ok(after) = step(&before, event) else {
            // Returned already: it waits as it is.
            self.orphans.push(Orphan {
                last,
                occurrences: s.occurrences,
                latch: s.latch,
                confirm: s.confirm,
            });
            return;
        };
        self.seq += 1;
        let t = Transition {
            seq: self.seq,
            from: before.label(),
            to: after.label(),
            cause: Cause::Superseded,
            source_time: wall,
            recorded_at: wall,
            plan_rev: self.id.plan_rev.clone(),
            command_id: None,
            actor: None,
            reason: None,
            occurrence: s.occurrence,
            episode: s.episode,
            regions: RegionsChange {
                before,
                after: after.clone(),
            },
            flags: last
                .flags
                .iter()
                .copied()
                .filter(|f| *f != Flag::Masked)
                .collect(),
            prev: None,
            hash: None,
            ..last
        };
        self.out.push_back(Output::Transition(Box::new(t.clone())));
        if after.label() == Label::Normal {
            self.forget(&s.occurrences);
        } else {
            self.orphans.push(Orphan {
                last: t,
                occurrences: s.occurrences,
                latch: s.latch,
                confirm: s.confirm,
            });
        }
    }
}
