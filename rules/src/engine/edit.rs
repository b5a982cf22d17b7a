//! Rules that are others than before (section 2, edits; 8.24), by a reload or over a restart. State
//! is kept, by name; nothing that nobody has seen is closed by an edit.
//!
//! Lives here: what an edit does to an alarm. May not live here: how state finds its new place
//! (`reload`, `restart`). Read first: [`Engine::apply_edit`].

use std::collections::HashSet;

use davy_points::{PointIx, QualityClass, Timestamp};

use super::image::SavedAlarm;
use super::judge::Verdict;
use super::state::{Edited, Orphan};
use super::timers::Deadline;
use super::{Engine, Moment, Output};
use crate::alarm::{Cause, Condition, Event, Flag, Label, Level, RegionsChange, Transition, step};
use crate::ruleset::{AlarmDef, AlarmIx, Kind, order};

/// An on-delay whose end an edit moved: when it ends, how bad the level is, which alarm.
pub(super) type Pending = (i64, u8, AlarmIx);

/// While the newest samples are held against edited rules.
#[derive(Debug, Default)]
pub(super) struct Editing {
    /// Alarms that stand and are judged as before: nothing happens to them. Looked up, never walked.
    pub(super) unchanged: HashSet<AlarmIx>,
}

impl Engine {
    /// A verdict that an edit gave on the newest sample: it may start delays and end pending ones;
    /// no return comes of it (8.24).
    pub(super) fn apply_edit(&mut self, a: AlarmIx, verdict: Verdict, m: &Moment) {
        let kept = self.editing.as_ref();
        if kept.is_some_and(|e| e.unchanged.contains(&a)) {
            return;
        }
        match (self.alarms[a.index()].condition(), verdict) {
            (Condition::Normal, Verdict::Enter) => self.enter(a, m),
            (Condition::PendingOn, Verdict::Exit) => self.cancel(a),
            (Condition::PendingOn, Verdict::Between { good: true }) if self.rule(a).strict => {
                self.cancel(a);
            }
            // The off-delay starts now, by the exit of now; what ends it is a Good sample.
            (Condition::Active | Condition::PendingOff, Verdict::Exit) => {
                let live = self.alarms[a.index()].live();
                live.regions.condition = Condition::PendingOff;
                live.pending = m.now;
            }
            (
                Condition::Active | Condition::PendingOff,
                Verdict::Enter | Verdict::Between { .. },
            ) => {
                let live = self.alarms[a.index()].live();
                live.regions.condition = Condition::Active;
                if verdict != (Verdict::Between { good: false }) {
                    live.edited = None;
                }
            }
            (_, Verdict::Blind)
            | (Condition::Normal, _)
            | (Condition::PendingOn, Verdict::Enter | Verdict::Between { .. }) => {}
        }
    }

    /// Holds a point's newest sample against its rules as they are now. Never while it is Unknown.
    pub(super) fn judge_edited_point(&mut self, p: PointIx) {
        let point = &self.points[p.index()];
        let f = point.flags;
        if !f.seen {
            return;
        }
        let (q, number) = (point.quality, point.value.number());
        let m = self.at_point(p, self.now, q);
        if f.stale || f.down {
            self.judge_bad_policy(p, QualityClass::Bad, &m);
            return;
        }
        self.judge_levels(p, number, q, &m);
        self.judge_bad_policy(p, q.class(), &m);
        // What a stuck point's samples are by themselves is not known here.
        if f.stuck {
            return;
        }
        for a in self.others(p).map(AlarmIx) {
            let verdict = match (self.kind(a), self.def(a).level) {
                (Kind::Quality, Level::Bad) if self.rule(a).classes.contains(&q.class()) => {
                    Verdict::Enter
                }
                (Kind::Quality, Level::Bad) if q.is_good() => Verdict::Exit,
                (Kind::Quality, Level::Bad) => Verdict::Between { good: false },
                _ => continue,
            };
            self.apply(a, verdict, &m);
        }
    }

    /// The level alarms alone, where the newest sample says anything of them.
    pub(super) fn judge_edited_levels(&mut self, p: PointIx, m: &Moment) {
        let point = &self.points[p.index()];
        let f = point.flags;
        if f.seen && !f.stale && !f.down {
            let (q, number) = (point.quality, point.value.number());
            self.judge_levels(p, number, q, m);
        }
    }

    /// 8.24: a changed delay counts from the kept start. When it ends now.
    pub(super) fn pending_edited(&mut self, a: AlarmIx, before: &AlarmDef) -> Option<Pending> {
        let (now, def) = (self.now, *self.def(a));
        let live = self.alarms[a.index()].live.as_mut()?;
        if !live.is_pending_on() || before.on_delay_ns == def.on_delay_ns {
            return None;
        }
        let due = live.pending.saturating_add(def.on_delay_ns);
        live.deadline = due;
        live.overdue = live.overdue && due <= now;
        Some((due, order(def.level), a))
    }

    /// What has ended by that, worst first; the rest is queued.
    pub(super) fn end_pendings(&mut self, mut pending: Vec<Pending>, wall: Timestamp) {
        pending.sort_unstable();
        for (due, badness, a) in pending {
            let Some(live) = &self.alarms[a.index()].live else {
                continue;
            };
            if !live.is_pending_on() || live.deadline != due || live.overdue {
                continue;
            }
            if due > self.now {
                self.timers
                    .push(due, Deadline::OnDelay { badness, alarm: a });
                continue;
            }
            let start = live.pending_start;
            let m = Moment {
                now: self.now,
                wall,
                ..self.at_deadline(a, due)
            };
            self.end_of_on_delay(a, start, due, &m);
        }
    }

    /// An alarm that is gone, or another under its name: what is open waits for a person, and an
    /// overlay that was told of is taken back.
    pub(super) fn leave_behind(&mut self, s: SavedAlarm, wall: Timestamp) {
        let quiet = !s.regions.open && s.regions.is_bare();
        let told = s.regions.eval == crate::alarm::Eval::Unknown && quiet;
        let Some(last) = s.last.as_ref().filter(|_| told) else {
            self.orphan(s, wall);
            return;
        };
        let before = s.regions.clone();
        let after = crate::alarm::Regions {
            eval: crate::alarm::Eval::Known,
            ..crate::alarm::Regions::default()
        };
        self.seq += 1;
        self.out.push_back(Output::Transition(Box::new(Transition {
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
            regions: RegionsChange { before, after },
            prev: None,
            hash: None,
            ..last.clone()
        })));
    }

    /// Notes on an alarm that its rule is another than when it last spoke. True: it is to be seen
    /// again, for its priority was raised or its point was put into service, and its condition
    /// is active.
    pub(super) fn edited(&mut self, a: AlarmIx, put_into_service: bool) -> bool {
        let def = *self.def(a);
        let Some(last) = self.alarms[a.index()]
            .live
            .as_ref()
            .and_then(|l| l.last.as_ref())
        else {
            return false;
        };
        let (limit, raised) = (last.limit, def.priority < last.priority);
        let same = *last.rule_rev == *self.rules.rule_rev(&def, &self.table);
        if !self.alarms[a.index()].is_active() {
            return false;
        }
        let live = self.alarms[a.index()].live();
        if !same {
            live.edited.get_or_insert(Edited { limit });
        }
        raised || put_into_service
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
        self.announce_raised(raised);
    }

    /// What says more now than what was seen is to be seen again.
    pub(super) fn announce_raised(&mut self, raised: &[AlarmIx]) {
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
