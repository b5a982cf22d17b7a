//! Limits by operating mode (section 4): which mode holds, and what a change of it means.
//!
//! The engine's own rule set holds the limits in force, so that whatever reads a limit, the quick
//! path and the records included, reads that one. A change is an edit of limits (8.24): it returns
//! nothing, it starts delays. Read first: [`Engine::judge_modes`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use davy_points::PointIx;

use super::Engine;
use super::edit::Editing;
use crate::grammar::Kleene;
use crate::ruleset::{AlarmDef, AlarmIx, Modal, Side, Subject};

/// By point: the modal rules that read it. Looked up, never walked.
pub(super) type ModeInputs = HashMap<PointIx, Vec<usize>>;

impl Engine {
    /// Before anything is judged: the limits in force, in silence.
    pub(super) fn open_modes(&mut self) {
        self.mode_inputs.clear();
        let rules = self.rules.clone();
        for (n, modal) in rules.modal.iter().enumerate() {
            if !self.points[modal.subject.index()].flags.owned {
                continue;
            }
            for p in modal.modes.iter().flat_map(|m| m.when.inputs()) {
                self.points[p.index()].flags.windowed = true;
                let readers = self.mode_inputs.entry(*p).or_default();
                if readers.last() != Some(&n) {
                    readers.push(n);
                }
            }
        }
        let mut all = Vec::new();
        for modal in rules
            .modal
            .iter()
            .filter(|m| self.points[m.subject.index()].flags.owned)
        {
            all.extend(
                modal
                    .alarms
                    .iter()
                    .copied()
                    .zip(self.limits_in_force(modal)),
            );
        }
        drop(rules);
        for (a, def) in all {
            self.put_in_force(a, def);
        }
    }

    /// The rules whose mode hangs on a point, after what it says has changed.
    pub(super) fn judge_modes(&mut self, p: PointIx) {
        let Some(modal) = self.mode_inputs.get(&p) else {
            return;
        };
        for n in modal.clone() {
            self.judge_mode(n);
        }
    }

    fn judge_mode(&mut self, n: usize) {
        let rules = self.rules.clone();
        let modal = &rules.modal[n];
        let limits = self.limits_in_force(modal);
        let pairs = modal.alarms.iter().copied().zip(limits);
        let others: Vec<(AlarmIx, AlarmDef)> = pairs
            .filter(|(a, def)| !is_same(self.def(*a), def))
            .collect();
        // The set is copied where somebody else holds it.
        drop(rules);
        let mut changed: Vec<(AlarmIx, AlarmDef)> = Vec::with_capacity(others.len());
        for (a, def) in others {
            changed.push((a, *self.def(a)));
            self.put_in_force(a, def);
        }
        if !changed.is_empty() {
            self.change_limits(&changed);
        }
    }

    /// 8.24, for alarms of one rule on one point whose limits are others now.
    fn change_limits(&mut self, changed: &[(AlarmIx, AlarmDef)]) {
        let Some(Subject::Point(p)) = changed.first().map(|(_, def)| def.subject) else {
            return;
        };
        let all: HashSet<AlarmIx> = changed.iter().map(|(a, _)| *a).collect();
        let m = self.at_point(p, self.now, self.points[p.index()].quality);
        let instance = changed
            .first()
            .and_then(|(a, _)| self.rules.instance_of(*a));
        let instance = instance.map(|(n, _)| n);
        let mut raised = Vec::new();
        let mut pending = Vec::new();
        for (a, before) in changed {
            if self.alarms[a.index()].live.is_none() {
                continue;
            }
            self.alarms[a.index()].live().rev = None;
            if self.edited(*a, false) {
                raised.push(*a);
            }
            pending.extend(self.pending_edited(*a, before));
        }
        let siblings = self.siblings(changed[0].0, p);
        let unchanged = siblings.clone().map(AlarmIx).filter(|a| !all.contains(a));
        self.editing = Some(Box::new(Editing {
            unchanged: unchanged.collect(),
        }));
        match instance {
            // `apply_edit` returns nothing.
            Some(n) => self.evaluate(n, &m, true),
            None => self.judge_edited_levels(p, &m),
        }
        self.editing = None;
        self.settle(siblings, &m);
        self.announce_raised(&raised);
        self.end_pendings(pending, m.wall);
        self.quicken(p);
    }

    fn put_in_force(&mut self, a: AlarmIx, def: AlarmDef) {
        // Copied once, where the set is shared with whoever started the engine.
        Arc::make_mut(&mut self.rules).alarms[a.index()] = def;
    }

    /// The first mode that is true; none true, the rule's own; what an Unknown one leaves open, the
    /// tightest of each level. An Uncertain input leaves it open.
    fn limits_in_force(&self, modal: &Modal) -> Vec<AlarmDef> {
        let mut open: Vec<&[AlarmDef]> = Vec::new();
        let mut settled = false;
        for mode in &modal.modes {
            match mode.when.judge(&|p| self.witnessed(p, false)) {
                Kleene::True => {
                    open.push(&mode.limits);
                    settled = true;
                    break;
                }
                Kleene::Unknown => open.push(&mode.limits),
                Kleene::False => {}
            }
        }
        if !settled {
            open.push(&modal.own);
        }
        (0..modal.alarms.len())
            .filter_map(|i| open.iter().map(|limits| limits[i]).reduce(tighter))
            .collect()
    }
}

/// The limit that is reached first, and of both the shorter on-delay, the longer off-delay and the
/// graver priority.
fn tighter(a: AlarmDef, b: AlarmDef) -> AlarmDef {
    let (x, y) = (a.limit.unwrap_or(f64::NAN), b.limit.unwrap_or(f64::NAN));
    let first = match a.side() {
        Some(Side::Low) => x >= y,
        _ => x <= y,
    };
    let (tight, other) = if first { (a, b) } else { (b, a) };
    AlarmDef {
        priority: tight.priority.min(other.priority),
        on_delay_ns: tight.on_delay_ns.min(other.on_delay_ns),
        off_delay_ns: tight.off_delay_ns.max(other.off_delay_ns),
        ..tight
    }
}

fn is_same(a: &AlarmDef, b: &AlarmDef) -> bool {
    a.limit.map(f64::to_bits) == b.limit.map(f64::to_bits)
        && a.deadband.to_bits() == b.deadband.to_bits()
        && a.on_delay_ns == b.on_delay_ns
        && a.off_delay_ns == b.off_delay_ns
        && a.priority == b.priority
}
