//! The newest record of every alarm, as its owner told it. The centre never changes one.

use std::collections::HashMap;
use std::sync::Arc;

use davy_plan::Plan;
use davy_rules::alarm::{Condition, Eval, Flag, Label, Transition};
use serde::Serialize;

/// An owner's alarm: names such as `system/journal/on` exist once per owner.
pub(crate) type AlarmKey = (Arc<str>, Arc<str>);

/// What is known of one alarm.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlarmState {
    /// Committed here, with its centre sequence.
    committed: Option<(u64, Arc<Transition>)>,
    /// Told, but not committed: unjournalled at its owner, or ahead of a gap. Shown at once,
    /// because no delay of a record may silence an alarm (`alarm-engine.md` 7.12).
    provisional: Option<Arc<Transition>>,
    /// The committed record is of a journal that its owner has since begun anew: its sequence
    /// says nothing against newer ones.
    earlier_journal: bool,
}

impl AlarmState {
    /// The newest record, and whether it is provisional.
    pub(crate) fn latest(&self) -> Option<(&Arc<Transition>, bool)> {
        match (&self.committed, &self.provisional) {
            (Some((_, c)), Some(p)) if p.seq <= c.seq && !self.earlier_journal => Some((c, false)),
            (_, Some(p)) => Some((p, true)),
            (Some((_, c)), None) => Some((c, false)),
            (None, None) => None,
        }
    }

    fn center_seq(&self) -> Option<u64> {
        self.committed.as_ref().map(|(seq, _)| *seq)
    }

    /// The newest record with its centre sequence; none of it where it is provisional.
    pub(crate) fn shown(&self) -> Option<(&Arc<Transition>, Option<u64>)> {
        let (t, provisional) = self.latest()?;
        Some((t, if provisional { None } else { self.center_seq() }))
    }
}

/// All alarms that have a record.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    by_key: HashMap<AlarmKey, AlarmState>,
    by_occurrence: HashMap<Arc<str>, AlarmKey>,
}

/// An alarm as the API gives it: its newest transition, and what a page would else derive.
#[derive(Debug, Serialize)]
pub(crate) struct AlarmView<'a> {
    #[serde(flatten)]
    pub last: &'a Transition,
    pub label: Label,
    pub unknown: bool,
    pub needs_ack: bool,
    pub masked: bool,
    pub provisional: bool,
    pub pending_command: Option<&'a str>,
    pub description: &'a str,
    pub center_seq: Option<u64>,
}

impl Alarms {
    /// A committed record. It replaces any provisional copy of the same sequence or older; an
    /// older committed record never replaces a newer one.
    pub(crate) fn commit(&mut self, center_seq: u64, t: Arc<Transition>) {
        let key: AlarmKey = (t.owner.clone(), t.alarm.clone());
        self.remember_occurrence(&t, &key);
        let state = self.by_key.entry(key).or_default();
        if let Some((_, before)) = &state.committed
            && before.occurrence != t.occurrence
        {
            // The store knows the occurrences of before; here only the newest is kept at hand.
            self.by_occurrence.remove(&before.occurrence);
        }
        if state.provisional.as_ref().is_some_and(|p| p.seq <= t.seq) {
            state.provisional = None;
        }
        if state.center_seq().is_none_or(|seq| seq < center_seq) {
            state.committed = Some((center_seq, t));
            state.earlier_journal = false;
        }
    }

    /// A record that is shown before it is committed; false where the committed one is as new.
    pub(crate) fn provisional(&mut self, t: Arc<Transition>) -> bool {
        let key: AlarmKey = (t.owner.clone(), t.alarm.clone());
        if let Some(state) = self.by_key.get(&key) {
            let newer = |have: &Arc<Transition>| have.seq >= t.seq;
            let committed = state.committed.as_ref().filter(|_| !state.earlier_journal);
            if committed.is_some_and(|(_, c)| newer(c))
                || state.provisional.as_ref().is_some_and(newer)
            {
                return false;
            }
        }
        self.remember_occurrence(&t, &key);
        self.by_key.entry(key).or_default().provisional = Some(t);
        true
    }

    /// The owner's journal begins anew, and its sequence with it. What it told before stays until
    /// the alarm itself speaks again; provisional copies of before go.
    pub(crate) fn begin_anew(&mut self, owner: &str) {
        for ((o, _), state) in &mut self.by_key {
            if **o == *owner {
                state.provisional = None;
                state.earlier_journal = true;
            }
        }
    }

    /// The owner began a new process, and its journal ends here. Provisional copies beyond were
    /// told of a journal that never took them, and nothing replaces them. True: there were some.
    pub(crate) fn forget_beyond(&mut self, owner: &str, last_seq: u64) -> bool {
        let mut any = false;
        for ((o, _), state) in &mut self.by_key {
            if **o == *owner && state.provisional.as_ref().is_some_and(|p| p.seq > last_seq) {
                state.provisional = None;
                any = true;
            }
        }
        any
    }

    fn remember_occurrence(&mut self, t: &Transition, key: &AlarmKey) {
        if !t.occurrence.is_empty() && !self.by_occurrence.contains_key(&t.occurrence) {
            self.by_occurrence.insert(t.occurrence.clone(), key.clone());
        }
    }

    pub(crate) fn get(&self, key: &AlarmKey) -> Option<&AlarmState> {
        self.by_key.get(key)
    }

    /// The alarm whose newest record is of this occurrence; for earlier ones ask the store.
    pub(crate) fn of_occurrence(&self, occurrence: &str) -> Option<&AlarmKey> {
        self.by_occurrence.get(occurrence)
    }

    /// The owners that have an alarm of this name.
    pub(crate) fn owners_of<'a>(&'a self, alarm: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        self.by_key
            .keys()
            .filter(move |(_, a)| **a == *alarm)
            .map(|(owner, _)| owner)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&AlarmKey, &Arc<Transition>, bool)> {
        self.by_key
            .iter()
            .filter_map(|(k, s)| s.latest().map(|(t, provisional)| (k, t, provisional)))
    }
}

/// How a transition looks to a page.
pub(crate) fn view<'a>(
    last: &'a Transition,
    center_seq: Option<u64>,
    plan: &'a Plan,
    pending_command: Option<&'a str>,
) -> AlarmView<'a> {
    AlarmView {
        label: last.to,
        unknown: last.regions.after.eval == Eval::Unknown,
        needs_ack: needs_ack(last),
        masked: last.regions.after.masked || last.flags.contains(&Flag::Masked),
        provisional: center_seq.is_none(),
        pending_command,
        description: description(plan, &last.tag),
        center_seq,
        last,
    }
}

/// Whether someone must still acknowledge it.
pub(crate) fn needs_ack(t: &Transition) -> bool {
    matches!(t.to, Label::Unack | Label::RtnUnack | Label::LatchUnack)
}

/// Whether its condition holds now.
pub(crate) fn active(t: &Transition) -> bool {
    matches!(
        t.regions.after.condition,
        Condition::Active | Condition::PendingOff
    )
}

/// The words of the point that an alarm is about; empty for alarms of the system itself.
pub(crate) fn description<'a>(plan: &'a Plan, tag: &str) -> &'a str {
    plan.points
        .find(tag)
        .map_or("", |ix| &plan.points.point(ix).description)
}
