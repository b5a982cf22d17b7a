//! Floods (section 4; EEMUA 191): more than ten annunciations in ten minutes are a flood until
//! fewer than five are. In a flood every alarm is still recorded and listed; those below priority 1
//! carry the flag `grouped` and name the alarm that came first at their hazard source.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_points::{Priority, Quality, Value};

use super::judge::Verdict;
use super::timers::Deadline;
use super::{Engine, Moment};
use crate::ruleset::{AlarmIx, FLOOD, Subject};

/// Counts are kept by the second.
const SLOT_NS: i64 = 1_000_000_000;
const SLOTS: usize = 600;
/// More starts a flood.
const START_ABOVE: u32 = 10;
/// Fewer ends it.
const END_BELOW: u32 = 5;

/// How many alarms were annunciated in the last ten minutes, and which came first where.
#[derive(Debug)]
pub(super) struct Flood {
    slots: Box<[u32]>,
    /// The second that was counted last.
    newest: i64,
    sum: u32,
    /// By hazard source: the occurrence and the name of the first alarm that is still open.
    first: BTreeMap<Arc<str>, (Arc<str>, Arc<str>)>,
    queued: i64,
}

impl Default for Flood {
    fn default() -> Flood {
        Flood {
            slots: vec![0; SLOTS].into(),
            newest: i64::MIN,
            sum: 0,
            first: BTreeMap::new(),
            queued: i64::MAX,
        }
    }
}

impl Flood {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a remainder of SLOTS
    fn place(second: i64) -> usize {
        second.rem_euclid(SLOTS as i64) as usize
    }

    /// Forgets what is older than ten minutes.
    fn move_to(&mut self, second: i64) {
        if self.newest == i64::MIN || second.saturating_sub(self.newest) >= SLOTS as i64 {
            self.slots.fill(0);
            self.sum = 0;
        } else {
            for s in self.newest + 1..=second {
                self.sum -= std::mem::take(&mut self.slots[Flood::place(s)]);
            }
        }
        self.newest = self.newest.max(second);
    }

    fn count(&mut self, now: i64) -> u32 {
        let second = now.div_euclid(SLOT_NS);
        self.move_to(second.max(self.newest));
        self.slots[Flood::place(self.newest)] += 1;
        self.sum += 1;
        self.sum
    }

    /// When the oldest count is forgotten.
    fn next_change(&self) -> Option<i64> {
        let oldest = self.newest - (SLOTS as i64 - 1);
        (oldest..=self.newest)
            .find(|s| self.slots[Flood::place(*s)] > 0)
            .map(|s| (s + SLOTS as i64) * SLOT_NS)
    }
}

impl Engine {
    /// An alarm was annunciated.
    pub(super) fn count_annunciation(&mut self, a: AlarmIx, m: &Moment) {
        if Some(a) == self.part(FLOOD) {
            return;
        }
        let sum = self.flood.count(m.now);
        if sum > START_ABOVE && !self.flooded() {
            let part = self.add_part(FLOOD);
            self.alarms[part.index()].live().detail = Some(format!("10 分钟内 {sum} 条"));
            let m = self.at_flood(m.now, sum);
            self.apply(part, Verdict::Enter, &m);
            self.queue_flood();
        }
    }

    pub(super) fn flooded(&self) -> bool {
        let part = self.part(FLOOD);
        part.is_some_and(|a| self.alarms[a.index()].is_active())
    }

    fn queue_flood(&mut self) {
        if let Some(due) = self.flood.next_change() {
            self.flood.queued = due;
            self.timers.push(due, Deadline::Flood);
        }
    }

    /// Counts have aged. Nothing is inferred from silence: what is counted are our own records.
    pub(super) fn flood_aged(&mut self, due: i64) {
        if self.flood.queued != due || !self.flooded() {
            return;
        }
        self.flood.move_to(due.div_euclid(SLOT_NS));
        let sum = self.flood.sum;
        if sum < END_BELOW
            && let Some(part) = self.part(FLOOD)
        {
            let m = self.at_flood(due, sum);
            self.apply(part, Verdict::Exit, &m);
            return;
        }
        self.queue_flood();
    }

    /// After a restart the count begins anew; a flood that stood ends when it has been quiet.
    pub(super) fn restore_flood(&mut self) {
        if self.flooded() {
            self.flood.move_to(self.now.div_euclid(SLOT_NS));
            let due = self.now.saturating_add(SLOTS as i64 * SLOT_NS);
            self.flood.queued = due;
            self.timers.push(due, Deadline::Flood);
        }
    }

    fn at_flood(&self, now: i64, sum: u32) -> Moment {
        let wall = self.wall_at(now);
        Moment {
            now,
            event: now,
            wall,
            start: wall,
            source_time: wall,
            value: Value::U64(u64::from(sum)),
            quality: Quality::Good,
        }
    }

    /// The alarm that came first at a hazard source and is still open; this one where none is.
    pub(super) fn first_of_hazard(
        &mut self,
        a: AlarmIx,
        occurrence: &Arc<str>,
    ) -> Option<Arc<str>> {
        let Subject::Point(p) = self.def(a).subject else {
            return None;
        };
        let hazard = self.table.point(p).hazard.clone();
        if let Some((first, name)) = self.flood.first.get(&hazard)
            && self.open.contains_key(first)
            && first != occurrence
        {
            return Some(name.clone());
        }
        let name: Arc<str> = self.alarm_name(a).into();
        self.flood.first.insert(hazard, (occurrence.clone(), name));
        None
    }

    /// Whether the record of an alarm belongs to a group of a flood. Priority 1 never does.
    pub(super) fn is_in_flood(&self, a: AlarmIx) -> bool {
        self.def(a).priority != Priority::CRITICAL
            && matches!(self.def(a).subject, Subject::Point(_))
            && self.flooded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a list of all instants.
    #[test]
    fn counts_are_those_of_the_last_ten_minutes() {
        let mut flood = Flood::default();
        let mut all: Vec<i64> = Vec::new();
        let (mut now, mut seed) = (0_i64, 5_u64);
        for _ in 0..3_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pause = [0, 1, 3, 40, 700][(seed >> 40) as usize % 5];
            now += pause * SLOT_NS / 2;
            all.push(now);
            let second = now / SLOT_NS;
            let expected = all.iter().filter(|t| **t / SLOT_NS > second - 600).count();
            assert_eq!(flood.count(now) as usize, expected, "{now}");
        }
        assert!(flood.next_change().is_some_and(|due| due > now));
    }
}
