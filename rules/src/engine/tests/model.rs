//! Level alarms once more, as a person would reckon them by hand: one point, one rule, plain lists.
//!
//! Lives here: the sentences of `alarm-engine.md` 3 and 8 that speak of levels, each beside the
//! line that follows from it. May not live here: anything of the engine's own; the two share their
//! inputs alone, so that a mistake would have to be made twice. Read first: [`Model::sample`], then
//! [`Model::judge`]. The properties that hold the engine against it are in `prop_level`.

use davy_points::{PointTable, QualityClass};

use crate::alarm::{Cause, Condition, Eval, Label, Level};
use crate::proof::plant;
use crate::ruleset::RuleSet;

pub(super) const S: i64 = 1_000_000_000;

/// A rule and its point, as an engineer would write them down.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) levels: Vec<LevelPlan>,
    pub(super) deadband: f64,
    pub(super) on_bad: &'static str,
    pub(super) strict: bool,
    pub(super) safety: Option<bool>,
    pub(super) tolerance: Option<i64>,
    pub(super) realarm: Option<i64>,
    pub(super) stale_after: i64,
    pub(super) bad_on: i64,
    pub(super) bad_off: i64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct LevelPlan {
    pub(super) level: Level,
    pub(super) limit: f64,
    pub(super) priority: u8,
    pub(super) on: i64,
    pub(super) off: i64,
}

/// The expected interval of the point.
pub(super) const INTERVAL: i64 = S;
/// 3.10: the default.
pub(super) const SKEW: i64 = 5 * S;

fn low(level: Level) -> bool {
    matches!(level, Level::L | Level::Ll)
}

impl Plan {
    /// The same as a point and a rule file.
    pub(super) fn compiled(&self) -> (PointTable, RuleSet) {
        let mut p = plant::point("P");
        p.stale_after = std::time::Duration::from_nanos(self.stale_after.unsigned_abs());
        super::compiled(plant::table([p]), &self.text())
    }

    pub(super) fn text(&self) -> String {
        let ns = |t: i64| match t % S {
            0 => format!("{}s", t / S),
            _ => format!("{}ms", t / 1_000_000),
        };
        let mut rule = format!(
            "[[level]]\nid = \"m\"\nselect = {{ tag = \"P\" }}\nchatter = false\n\
             deadband = {:?}\non_bad = \"{}\"\n",
            self.deadband, self.on_bad
        );
        if self.on_bad == "alarm" {
            let (on, off) = (ns(self.bad_on), ns(self.bad_off));
            rule += &format!("bad = {{ on_delay = \"{on}\", off_delay = \"{off}\" }}\n");
        }
        if self.strict {
            rule += "pending = \"strict\"\n";
        }
        if let Some(s) = self.safety {
            rule += &format!("safety = {s}\n");
        }
        if let Some(t) = self.tolerance {
            rule += &format!("gap_tolerance = \"{}\"\n", ns(t));
        }
        if let Some(t) = self.realarm {
            rule += &format!("realarm = \"{}\"\n", ns(t));
        }
        for l in &self.levels {
            rule += &format!(
                "{} = {{ limit = {:?}, priority = {}, on_delay = \"{}\", off_delay = \"{}\" }}\n",
                l.level,
                l.limit,
                l.priority,
                ns(l.on),
                ns(l.off)
            );
        }
        rule
    }
}

/// A sample as it arrives; times on the clock of the script.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) at: i64,
    pub(super) time: i64,
    pub(super) seq: u64,
    pub(super) value: f64,
    pub(super) class: QualityClass,
}

/// What a record says, as far as the model says it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) at: i64,
    pub(super) level: Level,
    pub(super) cause: Cause,
    pub(super) from: Label,
    pub(super) to: Label,
    pub(super) eval: Eval,
    pub(super) masked: bool,
    pub(super) assumed: bool,
    pub(super) start: Option<i64>,
}

/// Where one alarm stands.
#[derive(Debug, Clone)]
struct Alarm {
    plan: LevelPlan,
    condition: Condition,
    /// Start of the on-delay that runs.
    start: i64,
    deadline: Option<i64>,
    /// Its deadline passed blind (8.18).
    overdue: bool,
    /// Start of the off-delay that runs.
    off_start: i64,
    /// What was measured before this counts for no off-delay (8.4).
    broken: i64,
    acked: bool,
    open: bool,
    masked: bool,
    assumed: bool,
    condition_start: Option<i64>,
    realarm: Option<i64>,
    eval: Eval,
    /// What its last record says of that; of one that has said nothing, Known.
    told: Eval,
    activations: usize,
    fresh: bool,
}

impl Alarm {
    fn new(plan: LevelPlan, eval: Eval) -> Alarm {
        Alarm {
            plan,
            condition: Condition::Normal,
            start: 0,
            deadline: None,
            overdue: false,
            off_start: 0,
            broken: i64::MIN,
            acked: false,
            open: false,
            masked: false,
            assumed: false,
            condition_start: None,
            realarm: None,
            eval,
            told: Eval::Known,
            activations: 0,
            fresh: false,
        }
    }

    fn active(&self) -> bool {
        matches!(self.condition, Condition::Active | Condition::PendingOff)
    }

    fn label(&self) -> Label {
        match (self.active(), self.acked, self.open) {
            (true, false, _) => Label::Unack,
            (true, true, _) => Label::Acked,
            (false, _, true) => Label::RtnUnack,
            (false, _, false) => Label::Normal,
        }
    }

    fn process(&self) -> bool {
        !matches!(self.plan.level, Level::Bad | Level::LossOfView)
    }
}

/// What a sample says of a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Says {
    Enters,
    Leaves,
    /// Within the deadband, or not Good; `true`: Good.
    Between(bool),
    Nothing,
}

pub(super) struct Model {
    plan: Plan,
    alarms: Vec<Alarm>,
    now: i64,
    newest: Option<(i64, u64)>,
    last_arrival: i64,
    seen: bool,
    stale: bool,
    down: bool,
    source_down: bool,
    good: bool,
    /// Since when nothing usable has come, and nothing that is not Bad.
    gap: Option<i64>,
    gap_of_bad: Option<i64>,
    run_start: Option<i64>,
    suspect: Option<(Option<i64>, i64)>,
    pub(super) said: Vec<Said>,
}

impl Model {
    pub(super) fn new(plan: &Plan) -> Model {
        let mut order: Vec<LevelPlan> = plan.levels.clone();
        let worst_first = [Level::Hhh, Level::Hh, Level::H, Level::Ll, Level::L];
        order.sort_by_key(|l| worst_first.iter().position(|w| *w == l.level));
        let own = |level, on, off| LevelPlan {
            level,
            limit: f64::NAN,
            priority: 3,
            on,
            off,
        };
        let mut alarms: Vec<Alarm> = order
            .into_iter()
            .map(|l| Alarm::new(l, Eval::Unknown))
            .collect();
        alarms.push(Alarm::new(own(Level::LossOfView, 0, 0), Eval::Known));
        if plan.on_bad == "alarm" {
            let bad = own(Level::Bad, plan.bad_on, plan.bad_off);
            alarms.push(Alarm::new(bad, Eval::Known));
        }
        Model {
            plan: plan.clone(),
            alarms,
            now: 0,
            newest: None,
            last_arrival: 0,
            seen: false,
            stale: false,
            down: false,
            source_down: false,
            good: false,
            gap: None,
            gap_of_bad: None,
            run_start: None,
            suspect: None,
            said: Vec::new(),
        }
    }

    fn say(&mut self, n: usize, cause: Cause, from: Label) {
        let a = &mut self.alarms[n];
        a.told = a.eval;
        let open = a.open || from != Label::Normal;
        self.said.push(Said {
            at: self.now,
            level: a.plan.level,
            cause,
            from,
            to: a.label(),
            eval: a.eval,
            masked: a.masked,
            assumed: open && a.assumed,
            start: a.condition_start.filter(|_| open),
        });
    }

    /// 8.2: every timer due by then acts, in order, at its own instant.
    pub(super) fn until(&mut self, at: i64) {
        loop {
            // Staleness is strictly later (8.7), after every input of its instant (8.19).
            let stale = (!self.stale).then(|| self.last_arrival + self.plan.stale_after);
            let mut next: Option<(i64, u8, usize)> = stale.filter(|t| *t < at).map(|t| (t, 2, 0));
            for (n, a) in self.alarms.iter().enumerate() {
                let on = a.deadline.filter(|_| !a.overdue).map(|t| (t, 0, n));
                let again = a.realarm.map(|t| (t, 1, n));
                for due in on.into_iter().chain(again).filter(|d| d.0 <= at) {
                    next = Some(next.map_or(due, |n| n.min(due)));
                }
            }
            let Some((due, what, n)) = next else { break };
            self.now = self.now.max(due);
            match what {
                0 => self.on_delay_over(n, due),
                1 => self.realarm_over(n),
                _ => self.falls_silent(due),
            }
        }
        self.now = at;
    }

    fn safety(&self, n: usize) -> bool {
        let a = &self.alarms[n];
        a.process() && self.plan.safety.unwrap_or(a.plan.priority <= 2)
    }

    /// 3.6: the gap so far decides; equal is within.
    fn on_delay_over(&mut self, n: usize, due: i64) {
        let start = self.alarms[n].start;
        if !self.alarms[n].process() {
            self.activate(n, start, false);
            return;
        }
        let gap = self.gap.map_or(0, |g| (due - g).max(0));
        let within = gap <= self.plan.tolerance.unwrap_or(2 * INTERVAL);
        if within || self.safety(n) {
            self.activate(n, start, !within);
            self.consequences();
            return;
        }
        self.alarms[n].overdue = true;
        let lost = self.at(Level::LossOfView);
        self.judge(lost, Says::Enters, due);
    }

    /// 8.10, 8.25.
    fn realarm_over(&mut self, n: usize) {
        let a = &mut self.alarms[n];
        a.realarm = None;
        if a.label() == Label::Acked && !a.masked {
            a.acked = false;
            self.say(n, Cause::Realarm, Label::Acked);
        }
    }

    fn falls_silent(&mut self, due: i64) {
        self.stale = true;
        self.gap.get_or_insert(due);
        self.gap_of_bad.get_or_insert(due);
        self.overlay();
        self.lose(due);
    }

    /// Nothing is seen any more: first the conditions, then the policy.
    fn lose(&mut self, due: i64) {
        for n in 0..self.alarms.len() {
            if self.alarms[n].process() {
                self.judge(n, Says::Nothing, due);
            }
        }
        if self.plan.on_bad == "alarm" {
            self.judge(self.at(Level::Bad), Says::Enters, due);
        }
    }

    fn at(&self, level: Level) -> usize {
        self.alarms
            .iter()
            .position(|a| a.plan.level == level)
            .expect("the plan has it")
    }

    pub(super) fn source_down(&mut self) {
        if self.source_down {
            return;
        }
        self.source_down = true;
        self.down = true;
        // What never came was never known.
        if self.seen {
            self.overlay();
        }
        self.lose(self.now);
    }

    pub(super) fn source_up(&mut self) {
        self.source_down = false;
    }

    /// The process stopped, and starts now (section 2, restart; 8.15).
    pub(super) fn restart(&mut self, stopped: i64, now: i64) {
        self.now = now;
        self.last_arrival = now;
        (self.seen, self.stale, self.down, self.source_down) = (false, false, false, false);
        self.good = false;
        self.gap.get_or_insert(stopped);
        self.gap_of_bad.get_or_insert(stopped);
        (self.run_start, self.suspect) = (None, None);
        for n in 0..self.alarms.len() {
            let a = &mut self.alarms[n];
            if a.active() {
                a.condition = Condition::Active;
                a.broken = now;
            }
            a.realarm = a.realarm.map(|t| t.max(now));
            if a.acked && a.realarm.is_none() {
                self.start_realarm(n);
            }
        }
        for n in 0..self.alarms.len() {
            let a = &mut self.alarms[n];
            if !a.process() {
                continue;
            }
            let news = a.open && a.eval == Eval::Known;
            a.eval = Eval::Unknown;
            let label = a.label();
            if news {
                self.say(n, Cause::Restart, label);
            }
        }
        // 8.18: after the overlay, what fell due meanwhile, worst first.
        let due = |(n, a): (usize, &Alarm)| Some((a.deadline.filter(|_| !a.overdue)?, n));
        let mut over: Vec<(i64, usize)> = self.alarms.iter().enumerate().filter_map(due).collect();
        over.retain(|(t, _)| *t <= now);
        over.sort_unstable();
        for (due, n) in over {
            if self.alarms[n].condition == Condition::PendingOn {
                self.on_delay_over(n, due);
            }
        }
    }

    /// Where a level stands.
    pub(super) fn state(&self, level: Level) -> (Condition, Eval) {
        let a = &self.alarms[self.at(level)];
        (a.condition, a.eval)
    }

    /// 3.10: samples of the source are taken as of their arrival.
    pub(super) fn is_clock_suspect(&self) -> bool {
        self.suspect.is_some()
    }

    /// 3.9, 3.10, 8.20: which samples are judged, as of when, as how good. None: history only.
    fn admit(&mut self, r: &Reading) -> Option<(i64, QualityClass)> {
        let future = r.time - r.at > SKEW;
        let time = r.time.min(r.at);
        let old = r.at - time > self.plan.stale_after;
        let worse = |class: QualityClass| match class {
            QualityClass::Good => QualityClass::Uncertain,
            other => other,
        };
        let again = self
            .newest
            .is_some_and(|(t, seq)| time == t && r.seq <= seq);
        if let Some((since, raw)) = &mut self.suspect {
            let newer = r.time > *raw;
            *raw = r.time;
            if future || old || !newer {
                *since = None;
            } else {
                since.get_or_insert(r.at);
            }
            match *since {
                Some(t) if r.at - t >= 3 * INTERVAL => {
                    self.suspect = None;
                    self.newest = self.newest.map(|(t, seq)| (t.min(r.time - 1), seq));
                }
                _ if again => return None,
                _ => return Some((r.at, worse(r.class))),
            }
        }
        let again = self
            .newest
            .is_some_and(|(t, seq)| time == t && r.seq <= seq);
        if again {
            return None;
        }
        if future || self.newest.is_some_and(|(t, _)| time < t) {
            let first = *self.run_start.get_or_insert(r.at);
            if r.at - first >= 3 * INTERVAL {
                self.run_start = None;
                self.suspect = Some((None, r.time));
                return Some((r.at, worse(r.class)));
            }
            return None;
        }
        self.run_start = None;
        Some((time, if old { worse(r.class) } else { r.class }))
    }

    pub(super) fn sample(&mut self, r: &Reading) {
        let finite = r.value.is_finite();
        let r = Reading {
            // 3.13
            class: if finite { r.class } else { QualityClass::Bad },
            ..*r
        };
        let Some((time, class)) = self.admit(&r) else {
            return;
        };
        self.newest = Some((time, r.seq));
        self.last_arrival = r.at;
        self.seen = true;
        self.stale = false;
        self.down = false;
        self.source_down = false;
        // 8.3
        let event = time.clamp(r.at - self.plan.stale_after, r.at);
        let bad = class == QualityClass::Bad;
        let usable = finite && (!bad || self.plan.on_bad == "use_value");
        for (gap, ended) in [(&mut self.gap, usable), (&mut self.gap_of_bad, !bad)] {
            match ended {
                true => *gap = None,
                false => {
                    gap.get_or_insert(event);
                }
            }
        }
        self.good = class == QualityClass::Good;
        self.overlay();
        for n in 0..self.alarms.len() {
            let a = &self.alarms[n];
            if !a.process() {
                continue;
            }
            let (v, limit, db) = (r.value, a.plan.limit, self.plan.deadband);
            // 8.1
            let (enters, leaves) = match low(a.plan.level) {
                true => (v <= limit, v > limit + db),
                false => (v >= limit, v < limit - db),
            };
            let says = match (usable, enters, leaves && self.good) {
                (false, _, _) => Says::Nothing,
                (true, true, _) => Says::Enters,
                (true, false, true) => Says::Leaves,
                (true, false, false) => Says::Between(self.good),
            };
            self.judge(n, says, event);
        }
        self.consequences();
        if self.plan.on_bad == "alarm" {
            let says = match class {
                QualityClass::Bad => Says::Enters,
                QualityClass::Uncertain => Says::Between(false),
                QualityClass::Good => Says::Leaves,
            };
            self.judge(self.at(Level::Bad), says, event);
        }
        if self.good {
            self.judge(self.at(Level::LossOfView), Says::Leaves, event);
        }
    }

    /// 3.11, 8.26: a late run, when it may be told, and what follows from it. Which runs there are is
    /// not reckoned here: `retrospective` has its own properties.
    pub(super) fn retrospective(&mut self, level: Level, start: i64, beneath: bool) -> bool {
        let n = self.at(level);
        let a = &mut self.alarms[n];
        if a.condition != Condition::Normal || a.eval != Eval::Known {
            return false;
        }
        let from = a.label();
        a.open = true;
        a.activations += 1;
        (a.condition_start, a.assumed) = (Some(start), false);
        self.say(n, Cause::Condition, from);
        if let Some(said) = self.said.last_mut() {
            said.masked = beneath;
        }
        true
    }

    /// 8.8, 8.22.
    fn overlay(&mut self) {
        let known = self.seen && !self.stale && !self.down && self.good;
        let eval = if known { Eval::Known } else { Eval::Unknown };
        for n in 0..self.alarms.len() {
            let a = &mut self.alarms[n];
            if !a.process() {
                continue;
            }
            // The UNKNOWN of the start is told once it has lasted; its end is no news where nobody
            // has heard of it.
            let news = a.told != eval;
            a.eval = eval;
            let label = a.label();
            if news {
                self.say(n, Cause::Quality, label);
            }
        }
    }

    fn judge(&mut self, n: usize, says: Says, event: i64) {
        let strict = self.plan.strict;
        let a = &mut self.alarms[n];
        match (a.condition, says) {
            (Condition::Normal, Says::Enters) => {
                let deadline = event + a.plan.on;
                // 8.18: over already when its sample arrives.
                if deadline <= self.now {
                    self.activate(n, event, false);
                    return;
                }
                a.condition = Condition::PendingOn;
                a.start = event;
                a.deadline = Some(deadline);
                a.overdue = false;
            }
            (Condition::Normal, _) | (Condition::PendingOn, Says::Nothing) => {}
            (Condition::PendingOn, Says::Leaves) => a.rest(),
            (Condition::PendingOn, Says::Between(true)) if strict => a.rest(),
            (Condition::PendingOn, Says::Enters | Says::Between(_)) => {
                if a.overdue {
                    let start = a.start;
                    self.activate(n, start, false);
                }
            }
            (Condition::Active | Condition::PendingOff, Says::Leaves) => {
                if a.condition == Condition::Active {
                    a.condition = Condition::PendingOff;
                    // `bad` is of the signal itself, which is Good or not, with nothing to hold back.
                    let old = a.process() || a.plan.off > 0;
                    a.off_start = if old { event.max(a.broken) } else { event };
                }
                let over = event >= a.off_start + a.plan.off;
                if over && self.worse(n).is_none() {
                    let a = &mut self.alarms[n];
                    let from = a.label();
                    a.condition = Condition::Normal;
                    a.masked = false;
                    if a.acked {
                        a.open = false;
                        a.acked = false;
                        a.realarm = None;
                    }
                    self.say(n, Cause::Returned, from);
                }
            }
            // 8.4: from zero again.
            (Condition::Active | Condition::PendingOff, _) => {
                a.condition = Condition::Active;
                a.broken = a.broken.max(event);
            }
        }
    }

    /// 8.9: a worse level of its side that is active, its off-delay included.
    fn worse(&self, n: usize) -> Option<usize> {
        let a = &self.alarms[n];
        if !a.process() {
            return None;
        }
        let same = |w: &Alarm| w.process() && low(w.plan.level) == low(a.plan.level);
        (0..n).find(|w| same(&self.alarms[*w]) && self.alarms[*w].active())
    }

    fn activate(&mut self, n: usize, start: i64, assumed: bool) {
        let masked = self.worse(n).is_some();
        let blind = self.gap_of_bad.is_some() || self.down;
        let now = self.now;
        let a = &mut self.alarms[n];
        let from = a.label();
        a.condition = Condition::Active;
        a.deadline = None;
        a.overdue = false;
        // Raised blind: what was measured before counts for no off-delay.
        a.broken = if blind { now } else { i64::MIN };
        a.acked = false;
        a.open = true;
        a.masked = masked;
        a.assumed = assumed;
        a.condition_start = Some(start);
        a.realarm = None;
        a.activations += 1;
        a.fresh = a.process();
        self.say(n, Cause::Condition, from);
    }

    /// 3.8, 8.9, 8.23: what follows among the levels of one side.
    fn consequences(&mut self) {
        for w in 0..self.alarms.len() {
            if !std::mem::take(&mut self.alarms[w].fresh) {
                continue;
            }
            for n in w + 1..self.alarms.len() {
                let (worse, a) = (&self.alarms[w], &self.alarms[n]);
                if !a.process() || low(a.plan.level) != low(worse.plan.level) {
                    continue;
                }
                if a.active() {
                    self.mask(n);
                } else {
                    let (start, assumed) = match a.condition {
                        Condition::PendingOn => (a.start, false),
                        _ => (worse.condition_start.unwrap_or(0), worse.assumed),
                    };
                    self.activate(n, start, assumed);
                }
            }
        }
        for n in 0..self.alarms.len() {
            let a = &self.alarms[n];
            if a.masked && self.worse(n).is_none() {
                let from = a.label();
                self.alarms[n].masked = false;
                self.say(n, Cause::Unmasked, from);
                if self.alarms[n].acked {
                    self.start_realarm(n);
                }
            }
        }
    }

    fn mask(&mut self, n: usize) {
        let from = self.alarms[n].label();
        if !std::mem::replace(&mut self.alarms[n].masked, true) {
            self.say(n, Cause::Masked, from);
        }
    }

    fn start_realarm(&mut self, n: usize) {
        self.alarms[n].realarm = self.plan.realarm.map(|after| self.now + after);
    }

    /// Rows 2 and 4; false where it is refused.
    pub(super) fn ack(&mut self, level: Level) -> bool {
        let n = self.at(level);
        let a = &mut self.alarms[n];
        let from = a.label();
        if a.acked || !a.open {
            return false;
        }
        a.acked = true;
        if !a.active() {
            a.open = false;
            a.acked = false;
        }
        self.say(n, Cause::Ack, from);
        if from == Label::Unack {
            self.start_realarm(n);
        }
        true
    }

    /// Row 6.
    pub(super) fn un_ack(&mut self, level: Level) -> bool {
        let n = self.at(level);
        let a = &mut self.alarms[n];
        let from = a.label();
        if from != Label::Acked {
            return false;
        }
        a.acked = false;
        a.realarm = None;
        self.say(n, Cause::UnAck, from);
        true
    }

    /// Whether an ack or an un-ack of a level has an occurrence to name.
    pub(super) fn has_occurred(&self, level: Level) -> bool {
        self.alarms[self.at(level)].activations > 0
    }

    pub(super) fn has(&self, level: Level) -> bool {
        self.alarms.iter().any(|a| a.plan.level == level)
    }
}

impl Alarm {
    fn rest(&mut self) {
        self.condition = Condition::Normal;
        self.deadline = None;
        self.overdue = false;
    }
}
