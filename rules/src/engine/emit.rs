//! From a change of regions to its record.

use std::sync::Arc;

use davy_points::{PointIx, Timestamp};
use sha2::{Digest, Sha256};

use super::command::Holder;
use super::state::{AlarmState, Live, NEVER};
use super::{Engine, Moment, Output};
use crate::alarm::{
    Cause, Command, Condition, Event, Flag, Label, Level, Regions, RegionsChange, Rejection,
    Shelve, Transition, VERSION, step,
};
use crate::ruleset::{About, AlarmIx, Kind, STARTUP, Shade, Subject, sentence};

/// How many closed occurrences are remembered, to tell a stale acknowledgement from nonsense.
const CLOSED_KEPT: usize = 4096;

/// Added to the text of what samples that came late tell of (3.11).
const LATE: &str = "（补报）";

impl Engine {
    /// Applies an event to an alarm and records it. The command is the one that asked for it.
    pub(super) fn transit(
        &mut self,
        a: AlarmIx,
        event: Event,
        m: &Moment,
        asked: Option<&Command>,
    ) -> Option<Rejection> {
        let before = self.alarms[a.index()].regions();
        let event = self.latching(a, event, &before);
        let cause = event.cause();
        let after = match step(&before, event) {
            Ok(after) => after,
            Err(why) => return Some(why),
        };
        let live = self.alarms[a.index()].live();
        live.regions = after.clone();
        live.over.trim(&after);
        live.unseen = live.unseen && after.masked;
        if after.acked != before.acked && !after.acked {
            live.realarm_at = NEVER;
        }
        self.count_masked(a, before.masked, after.masked);
        if before.acked && !after.acked && after.is_active() {
            self.no_longer_seen(a);
        }
        let free = |r: &Regions| r.is_bare() && !r.masked;
        let released = !free(&before) && free(&after);
        let over = matches!(after.shelved, Some(Shelve::OneShot { .. }));
        let cleared = before.is_active() && !after.is_active();
        let acked = after.underlying_label() == Label::Acked;
        let closed = before.open && !after.open;
        let quiet = cleared && self.is_chattering(a);
        let bypass = self.bypass_change(a, &before, &after);
        self.record(a, cause, before, after, m, asked);
        if let Some((p, begins)) = bypass {
            self.bypass_moved(p, begins, m, asked);
        }
        if quiet {
            self.end_chatter(a, cause, m);
        }
        self.judge_causes_of(a, m);
        if cleared {
            self.run_ended(a, m.source_time);
            self.note_untrip(a, m);
        }
        if closed {
            self.clear_group(a);
        }
        self.close_if_done(a);
        if cleared && over {
            self.end_one_shot(a, m);
        }
        // 8.25: starts again on release.
        if released && acked {
            self.start_realarm(a);
        }
        None
    }

    /// A rule with a latch keeps what returned until it is reset (row 7), one that wants a
    /// confirmation until it is confirmed. Loss of view never latches (8.19), nor does what only tells
    /// of other alarms.
    fn latching(&self, a: AlarmIx, event: Event, before: &Regions) -> Event {
        let rule = self.rule(a);
        let keeps = rule.latch || (rule.confirm && !before.confirmed);
        if !keeps || matches!(self.def(a).level, Level::LossOfView | Level::Chattering) {
            return event;
        }
        match event {
            Event::Returned => Event::Latched,
            Event::ReturnedByEdit => Event::LatchedByEdit,
            other => other,
        }
    }

    /// How many of a source's points have an alarm that something stands for.
    fn count_masked(&mut self, a: AlarmIx, before: bool, after: bool) {
        if before == after || !self.is_signal(a) {
            return;
        }
        if let Subject::Point(p) = self.def(a).subject {
            let source = &mut self.sources[self.table.point(p).source.index()];
            source.masked = match after {
                true => source.masked + 1,
                false => source.masked - 1,
            };
        }
    }

    /// A new occurrence (rows 1 and 5).
    pub(super) fn activate(
        &mut self,
        a: AlarmIx,
        start: Timestamp,
        assumed: bool,
        masked: bool,
        m: &Moment,
    ) {
        let def = *self.def(a);
        let blind = match def.subject {
            Subject::Point(p) => {
                let point = &self.points[p.index()];
                point.gap_start != NEVER || point.flags.down
            }
            Subject::Source(_) | Subject::Part(_) => false,
        };
        let annunciates = !masked && self.sounds(a);
        let chatters = annunciates && self.chatters(a, m.now);
        let id = self.next_occurrence(a);
        let state = &mut self.alarms[a.index()];
        state.fresh = def.side().is_some();
        let live = state.live();
        live.unseen = masked && (live.unseen || !live.regions.open);
        if !live.regions.open {
            live.episode = id.clone();
            live.occurrences.clear();
        }
        live.occurrence = id.clone();
        live.occurrences.push(id.clone());
        live.condition_start = Some(start);
        live.annunciated_at = Some(m.wall);
        live.assumed = assumed;
        live.retrospective = false;
        live.overdue = false;
        live.edited = None;
        live.chattering |= chatters;
        live.deadline = NEVER;
        // Raised blind: nothing from before counts for its off-delay (8.4).
        live.pending = if blind { m.now } else { i64::MIN };
        self.open.insert(id, Holder::Alarm(a));
        self.run_began(a, start);
        let sounds = self.sounds(a);
        self.transit(a, Event::Activated { masked, sounds }, m, None);
        // A trip under test is none of the plant's.
        if !masked && !self.is_under_test(a) {
            self.note_trip(a, m);
        }
        if chatters {
            self.tell_chatter(a, m);
        }
        if self.alarms[a.index()].regions().audible {
            self.count_annunciation(a, m);
        }
    }

    /// Id of a new occurrence.
    pub(super) fn next_occurrence(&mut self, a: AlarmIx) -> Arc<str> {
        let count = self.alarms[a.index()].count();
        self.occurrence_id(a, count).into()
    }

    /// First 128 bits of SHA-256 over (site, owner, rule, tag, level, activation), base32 (section 1).
    fn occurrence_id(&self, a: AlarmIx, activation: u32) -> String {
        let def = self.def(a);
        let mut h = Sha256::new();
        let rule = &self.rules.rule(def.rule).id;
        for part in [
            &*self.id.site,
            &*self.id.owner,
            &**rule,
            self.subject_name(def.subject),
            def.level.name(),
        ] {
            h.update(part.as_bytes());
            h.update([0]);
        }
        h.update(activation.to_string().as_bytes());
        base32(&h.finalize()[..16])
    }

    pub(super) fn subject_name(&self, s: Subject) -> &str {
        match s {
            Subject::Point(p) => &self.table.point(p).tag,
            Subject::Source(s) => &self.table.source(s).id,
            Subject::Part(n) => &self.made[n as usize].0,
        }
    }

    pub(super) fn alarm_name(&self, a: AlarmIx) -> String {
        let def = self.def(a);
        format!(
            "{}/{}/{}",
            self.rules.rule(def.rule).id,
            self.subject_name(def.subject),
            def.level
        )
    }

    pub(super) fn record(
        &mut self,
        a: AlarmIx,
        cause: Cause,
        before: Regions,
        after: Regions,
        m: &Moment,
        asked: Option<&Command>,
    ) {
        self.seq += 1;
        let def = *self.def(a);
        let rule = self.rules.rule(def.rule);
        let mut alarm_words = None;
        let (tag, hazard, area, unit, about): (Arc<str>, Arc<str>, Arc<str>, Arc<str>, About<'_>) =
            match def.subject {
                Subject::Point(p) => {
                    let point = self.table.point(p);
                    // `bad` and `loss_of_view` of a deriving rule stand outside its ladder.
                    let instance = match def.level {
                        Level::Bad | Level::LossOfView => self.rules.instance_on(def.rule, p),
                        _ => self.rules.instance_of(a).map(|(_, i)| i),
                    };
                    let (unit, about) = match instance {
                        Some(i) => {
                            alarm_words = self.words_of(a);
                            (&i.unit, About::Derived(point, &i.what, &i.unit))
                        }
                        None if def.level == Level::Chattering || rule.kind == Kind::Bypass => {
                            alarm_words = self.words_of(a);
                            (&point.unit, About::Point(point))
                        }
                        None => (&point.unit, About::Point(point)),
                    };
                    (
                        point.tag.clone(),
                        point.hazard.clone(),
                        point.area.clone(),
                        unit.clone(),
                        about,
                    )
                }
                Subject::Source(s) => {
                    let state = &self.sources[s.index()];
                    let id = &self.table.source(s).id;
                    alarm_words = self.words_of(a);
                    (
                        id.clone(),
                        state.hazard.clone(),
                        state.area.clone(),
                        "".into(),
                        About::Source(id),
                    )
                }
                Subject::Part(n) => {
                    let part = &self.made[n as usize].0;
                    alarm_words = self.words_of(a);
                    (
                        part.clone(),
                        "".into(),
                        "".into(),
                        "".into(),
                        About::Part(part),
                    )
                }
            };
        let shade = self.alarms[a.index()]
            .live
            .as_ref()
            .map(|l| l.shade)
            .unwrap_or_default();
        let mut text = sentence(rule, &def, &about, &m.value, shade);
        if let Some(detail) = alarm_words.filter(|d| !d.is_empty()) {
            text.push('：');
            text.push_str(&detail);
        }
        let live = self.alarms[a.index()].live();
        if live.retrospective || live.told_late.is_some() {
            text.push_str(LATE);
        }
        let rule = self.rules.rule(def.rule);
        let rule_id = rule.id.clone();
        let guidance = rule.guidance.clone();
        let kind = rule.kind.name();
        let alarm: Arc<str> = self.alarm_name(a).into();
        let known_rev = self.alarms[a.index()]
            .live
            .as_ref()
            .and_then(|l| l.rev.clone());
        let rev = known_rev.unwrap_or_else(|| self.rules.rule_rev(&def, &self.table).into());
        let startup = self.part(STARTUP);
        let degraded = self.is_degraded(a);
        let test = self.is_under_test(a);
        let occurrence = self.alarms[a.index()].live().occurrence.clone();
        let told_late = self.alarms[a.index()].live().told_late;
        let happens = cause == Cause::Condition && told_late.is_none();
        let group = match cause {
            Cause::Condition if happens => self.first_of_hazard(a, &occurrence),
            _ => None,
        };
        let in_flood = happens && self.is_in_flood(a);
        let live = self.alarms[a.index()].live();
        live.rev = Some(rev.clone());
        let mut flags = Vec::new();
        if live.assumed {
            flags.push(Flag::Assumed);
        }
        let grouped = self.grouped
            || match def.subject {
                Subject::Source(_) => live.shade == Shade::Storm,
                Subject::Part(_) => startup == Some(a),
                Subject::Point(_) => false,
            };
        if live.retrospective || told_late.is_some() {
            flags.push(Flag::Retrospective);
        }
        if degraded {
            flags.push(Flag::Degraded);
        }
        if test {
            flags.push(Flag::Test);
        }
        if live.chattering {
            flags.push(Flag::Chattering);
        }
        if grouped || in_flood {
            flags.push(Flag::Grouped);
        }
        if after.masked || told_late == Some(true) {
            flags.push(Flag::Masked);
        }
        // The record of an acknowledgement says which occurrence was seen (row 2).
        let named = asked
            .and_then(|c| c.occurrence.as_deref())
            .filter(|o| live.occurrences.iter().any(|known| &**known == *o));
        let t = Transition {
            v: VERSION,
            seq: self.seq,
            site: self.id.site.clone(),
            owner: self.id.owner.clone(),
            alarm,
            rule: rule_id,
            kind: kind.into(),
            tag,
            hazard,
            area,
            level: def.level,
            priority: def.priority,
            occurrence: named.map_or_else(|| live.occurrence.clone(), Into::into),
            episode: live.episode.clone(),
            from: before.label(),
            to: after.label(),
            cause,
            value: m.value.clone(),
            quality: m.quality,
            limit: def.limit,
            unit,
            text: text.into(),
            guidance,
            source_time: m.source_time,
            condition_start: live.condition_start,
            annunciated_at: live.annunciated_at,
            recorded_at: m.wall,
            rule_rev: rev,
            plan_rev: self.id.plan_rev.clone(),
            command_id: asked.map(|c| c.id.clone()),
            actor: asked.map(|c| c.actor.clone()),
            reason: asked.map(|c| c.reason.clone()).filter(|r| !r.is_empty()),
            flags,
            group: group.filter(|_| in_flood),
            regions: RegionsChange { before, after },
            prev: None,
            hash: None,
        };
        live.last = Some(Box::new(t.clone()));
        self.out.push_back(Output::Transition(Box::new(t)));
    }

    fn words_of(&self, a: AlarmIx) -> Option<String> {
        self.alarms[a.index()].live.as_ref()?.detail.clone()
    }

    /// The UNKNOWN of a start, told once it has lasted (section 2, restart).
    pub(super) fn announce_unknown(&mut self, a: AlarmIx, m: &Moment) {
        let regions = self.alarms[a.index()].regions();
        self.record(a, Cause::Quality, regions.clone(), regions, m, None);
    }

    /// NORMAL closes the episode; at rest the box is given back.
    pub(super) fn close_if_done(&mut self, a: AlarmIx) {
        let state = &mut self.alarms[a.index()];
        if let Some(live) = &mut state.live
            && !live.regions.open
        {
            let done = std::mem::take(&mut live.occurrences);
            live.realarm_at = NEVER;
            self.forget(&done);
        }
        self.alarms[a.index()].rest();
    }

    pub(super) fn forget(&mut self, done: &[Arc<str>]) {
        for id in done {
            self.open.remove(id);
            if self.closed.len() == CLOSED_KEPT {
                self.closed.pop_front();
            }
            self.closed.push_back(id.clone());
        }
    }

    /// Level `loss_of_view` of the rule that an alarm of this point belongs to.
    pub(super) fn blind_alarm_of(&self, a: AlarmIx, p: PointIx) -> Option<AlarmIx> {
        let rule = self.def(a).rule;
        self.others(p).map(AlarmIx).find(|o| {
            let def = self.def(*o);
            def.rule == rule && def.level == Level::LossOfView
        })
    }

    /// A worse level of the same rule, point and side is active (8.9).
    pub(super) fn worse_active(&self, a: AlarmIx) -> Option<AlarmIx> {
        self.worse(a, AlarmState::is_active)
    }

    /// A worse level stands for this one: not where that is shelved, suppressed or out of service
    /// itself (3.8).
    pub(super) fn worse_stands(&self, a: AlarmIx) -> Option<AlarmIx> {
        self.worse(a, AlarmState::stands)
    }

    fn worse(&self, a: AlarmIx, which: fn(&AlarmState) -> bool) -> Option<AlarmIx> {
        let def = self.def(a);
        let side = def.side()?;
        let Subject::Point(p) = def.subject else {
            return None;
        };
        (self.levels(p).start..a.0)
            .rev()
            .map(AlarmIx)
            .take_while(|w| self.def(*w).rule == def.rule)
            .find(|w| self.def(*w).side() == Some(side) && which(&self.alarms[w.index()]))
    }

    /// Whether something stands for this alarm as it becomes active.
    pub(super) fn is_stood_for(&mut self, a: AlarmIx) -> bool {
        let def = *self.def(a);
        match (self.kind(a), def.subject) {
            (_, _) if def.side().is_some() => self.worse_stands(a).is_some(),
            (Kind::Stale | Kind::Quality, Subject::Point(p)) => self.signal_is_stood_for(a, p),
            (Kind::Source, Subject::Source(s)) => self.startup_stands_for(s),
            _ => false,
        }
    }
}

impl Live {
    pub(super) fn is_pending_on(&self) -> bool {
        self.regions.condition == Condition::PendingOn
    }
}

/// RFC 4648 alphabet in lower case, no padding: 26 characters for 128 bits.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = String::with_capacity(26);
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for &b in bytes {
        buffer = (buffer << 8) | u32::from(b);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(buffer >> bits) as usize & 31]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(buffer << (5 - bits)) as usize & 31]));
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base32_is_that_of_rfc_4648() {
        assert_eq!(super::base32(b"foobar"), "mzxw6ytboi");
        assert_eq!(super::base32(b"fooba"), "mzxw6ytb");
        assert_eq!(super::base32(&[0xff; 16]).len(), 26);
    }
}
