//! Rules that derive something from their inputs: readings to judges, findings to verdicts.
//!
//! Lives here: who hears of what, the overlay and the policy for Bad input of such rules, their
//! timers. May not live here: what a kind makes of its inputs (`kinds`), delays and masks
//! (`judge`). Read first: [`Engine::feed`], then [`Engine::evaluate`].

use davy_points::{PointIx, Quality, QualityClass, Value};

use super::judge::Verdict;
use super::state::NEVER;
use super::timers::Deadline;
use super::{Engine, Moment};
use crate::alarm::{Eval, Event, Level};
use crate::kinds::{Finding, Judge, Now, Reading};
use crate::ruleset::{AlarmIx, OnBad, Side};

/// One instance of a rule, as it runs.
#[derive(Debug)]
pub(super) struct DerivedState {
    pub(super) judge: Box<dyn Judge>,
    /// Quality of each input's latest reading.
    inputs: Box<[Quality]>,
    latest: Now,
    finding: Finding,
    /// Since when it has been Unknown (8.6).
    pub(super) gap_start: i64,
    /// The timer that is queued.
    wake: i64,
}

impl Engine {
    /// Judges that know nothing yet, for the instances whose subject this engine owns.
    pub(super) fn open_instances(&mut self) {
        let rules = self.rules.clone();
        for (n, i) in rules.instances.iter().enumerate() {
            let owned = self.points[i.subject.index()].flags.owned;
            self.derived.push(DerivedState {
                judge: i.settings.judge(),
                inputs: vec![Quality::BadWaiting; i.inputs.len()].into(),
                latest: Now {
                    time: i64::MIN,
                    at: self.now,
                },
                finding: Finding::Unknown,
                gap_start: self.now,
                wake: NEVER,
            });
            if !owned {
                continue;
            }
            for a in i.alarms.clone() {
                self.alarms[a as usize].unknown = true;
            }
            for (slot, p) in i.inputs.iter().enumerate() {
                self.points[p.index()].flags.windowed = true;
                self.watchers.entry(*p).or_default().push((n, slot));
            }
        }
    }

    /// The wall clock was stepped.
    pub(super) fn restart_judges(&mut self) {
        for d in &mut self.derived {
            d.judge.begin_again();
        }
    }

    /// What a restart may not lose of judges.
    pub(super) fn saved_judges(&self) -> Vec<(String, serde_json::Value)> {
        let label = |t: i64| self.wall_at(t).0;
        let states = self.derived.iter().enumerate();
        let saved = states.filter_map(|(n, d)| Some((self.judge_name(n), d.judge.save(&label)?)));
        saved.collect()
    }

    /// Reads it back; `instant` takes a label to this process's monotonic clock.
    pub(super) fn restore_judges(
        &mut self,
        saved: &[(String, serde_json::Value)],
        instant: &dyn Fn(i64) -> i64,
    ) {
        let saved: std::collections::BTreeMap<&str, &serde_json::Value> =
            saved.iter().map(|(name, v)| (&**name, v)).collect();
        if saved.is_empty() {
            return;
        }
        for n in 0..self.derived.len() {
            if let Some(v) = saved.get(&*self.judge_name(n)) {
                self.derived[n].judge.restore(v, instant);
                self.queue_wake(n);
            }
        }
    }

    fn judge_name(&self, n: usize) -> String {
        let i = &self.rules.instances[n];
        let tag = &self.table.point(i.subject).tag;
        format!("{}/{tag}", self.rules.rule(i.rule).id)
    }

    /// A reading of a point, or its loss, to every rule that reads it; then each says what it
    /// makes of it.
    pub(super) fn feed(&mut self, p: PointIx, r: &Reading, q: Quality, m: &Moment) {
        // Taken out and put back: what follows from a finding feeds no point.
        let Some(watchers) = self.watchers.get_mut(&p).map(std::mem::take) else {
            return;
        };
        for (n, slot) in &watchers {
            let usable = self.usable(*n, r, q);
            let d = &mut self.derived[*n];
            d.inputs[*slot] = q;
            d.latest = Now {
                time: d.latest.time.max(r.time),
                at: d.latest.at.max(r.at),
            };
            d.judge.take(*slot, &usable);
        }
        let mut last = None;
        for (n, _) in &watchers {
            // A point in two places of one rule is judged once.
            if last != Some(*n) {
                self.evaluate(*n, m, q.is_good());
                last = Some(*n);
            }
        }
        self.watchers.insert(p, watchers);
    }

    /// 8.5: under `use_value` a finite Bad value has the one-sided meaning of Uncertain.
    fn usable(&self, n: usize, r: &Reading, q: Quality) -> Reading {
        let rule = self.rules.rule(self.rules.instances[n].rule);
        if !q.is_bad() {
            return *r;
        }
        match rule.on_bad {
            OnBad::UseValue => *r,
            OnBad::Hold | OnBad::Alarm => Reading { value: None, ..*r },
        }
    }

    /// A judge that knows nothing hears what its inputs say now.
    pub(super) fn tell_inputs(&mut self, n: usize) {
        let rules = self.rules.clone();
        for (slot, p) in rules.instances[n].inputs.iter().enumerate() {
            let point = &self.points[p.index()];
            let f = point.flags;
            if !f.seen {
                continue;
            }
            let lost = f.stale || f.down;
            let q = match lost {
                true => point.quality.worst(Quality::BadStale),
                false => point.quality,
            };
            let r = Reading {
                time: point.newest,
                at: self.now,
                value: point.value.number().filter(|v| v.is_finite() && !lost),
                class: q.class(),
            };
            let usable = self.usable(n, &r, q);
            let d = &mut self.derived[n];
            d.inputs[slot] = q;
            d.latest = Now {
                time: d.latest.time.max(r.time),
                at: self.now,
            };
            d.judge.take(slot, &usable);
        }
    }

    /// Silence, a lost source: a reading without a value.
    pub(super) fn feed_loss(&mut self, p: PointIx, q: Quality, m: &Moment) {
        if !self.watchers.contains_key(&p) {
            return;
        }
        let r = Reading {
            time: m.start.0,
            at: m.event,
            value: None,
            class: QualityClass::Bad,
        };
        self.feed(p, &r, q, m);
    }

    /// A judge may say something else now though nothing came in.
    pub(super) fn judge_woken(&mut self, n: usize, due: i64) {
        let d = &mut self.derived[n];
        if d.wake != due {
            return;
        }
        d.wake = NEVER;
        let passed = due.saturating_sub(d.latest.at).max(0);
        d.latest = Now {
            time: d.latest.time.saturating_add(passed),
            at: d.latest.at.max(due),
        };
        let subject = self.rules.instances[n].subject;
        let m = self.at_point(subject, due, self.points[subject.index()].quality);
        self.evaluate(n, &m, false);
    }

    /// Asks a judge, and does what follows from its answer; `proof`: a Good sample has come.
    pub(super) fn evaluate(&mut self, n: usize, m: &Moment, proof: bool) {
        let rules = self.rules.clone();
        let i = &rules.instances[n];
        let d = &mut self.derived[n];
        d.finding = d.judge.say(d.latest);
        let finding = d.finding;
        if finding == Finding::Unknown {
            if d.gap_start == NEVER {
                d.gap_start = m.event;
            }
        } else {
            d.gap_start = NEVER;
        }
        let worst = d.inputs.iter().fold(Quality::Good, |w, q| w.worst(*q));
        let value = match finding {
            Finding::Number { value, .. } | Finding::Band { value, .. } => Value::F64(value),
            Finding::Truth { .. } | Finding::Unknown => {
                super::finite(&self.points[i.subject.index()].value)
            }
        };
        let m = Moment {
            value,
            quality: match finding {
                f if f.is_good() => Quality::Good,
                _ if worst.is_good() => Quality::UncertainLastUsable,
                _ => worst,
            },
            ..m.clone()
        };
        let known = finding.is_good();
        self.overlay_instance(n, known, &m);
        for a in i.alarms.clone().map(AlarmIx) {
            let verdict = self.verdict_on(a, finding);
            // 8.4, 3.3: only the arrival of a Good sample returns or cancels anything; what an
            // instant or a loss leaves true by itself is no proof.
            if verdict == Verdict::Exit && !proof {
                continue;
            }
            let wording = verdict == Verdict::Enter && !self.alarms[a.index()].is_active();
            if wording {
                let words = self.derived[n].judge.words();
                self.alarms[a.index()].live().detail = words;
            }
            self.apply(a, verdict, &m);
        }
        self.settle(i.alarms.clone(), &m);
        // What has not come yet is told by the start, and by `stale` once it is overdue.
        let lost = |q: &Quality| q.is_bad() && *q != Quality::BadWaiting;
        let any_bad = self.derived[n].inputs.iter().any(lost);
        for a in self.others(i.subject).map(AlarmIx) {
            let def = *self.def(a);
            if def.rule != i.rule {
                continue;
            }
            match def.level {
                // 3.4: policy `alarm`.
                Level::Bad => {
                    if any_bad && !self.alarms[a.index()].is_active() {
                        let inputs = i.inputs.iter().zip(&self.derived[n].inputs);
                        let tags = inputs.filter(|(_, q)| lost(q));
                        let tags: Vec<&str> =
                            tags.map(|(p, _)| &*self.table.point(*p).tag).collect();
                        let words = tags.join("、");
                        self.alarms[a.index()].live().detail = Some(words);
                    }
                    let verdict = match (any_bad, worst.is_good()) {
                        (true, _) => Verdict::Enter,
                        (false, true) => Verdict::Exit,
                        (false, false) => Verdict::Between { good: false },
                    };
                    self.apply(a, verdict, &m);
                }
                // 8.19: returns with the first thing that is known again.
                Level::LossOfView if known && proof => self.apply(a, Verdict::Exit, &m),
                _ => {}
            }
        }
        self.queue_wake(n);
    }

    fn queue_wake(&mut self, n: usize) {
        let d = &mut self.derived[n];
        // What it has been asked for already would come up again and again.
        let wake = d.judge.wake().filter(|w| *w > d.latest.at);
        let due = wake.unwrap_or(NEVER).max(self.now);
        if due != d.wake && due != NEVER {
            d.wake = due;
            #[allow(clippy::cast_possible_truncation)]
            // fewer than 2^32 alarms, each of one instance
            self.timers
                .push(due, Deadline::Judge { instance: n as u32 });
        }
    }

    fn verdict_on(&self, a: AlarmIx, finding: Finding) -> Verdict {
        let def = self.def(a);
        match finding {
            Finding::Unknown => Verdict::Blind,
            Finding::Truth { holds: true, .. } | Finding::Band { enters: true, .. } => {
                Verdict::Enter
            }
            Finding::Band { leaves, good, .. } => match leaves && good {
                true => Verdict::Exit,
                false => Verdict::Between { good },
            },
            Finding::Truth { good: true, .. } => Verdict::Exit,
            Finding::Truth { .. } => Verdict::Between { good: false },
            Finding::Number { value, good } => {
                let (enter, exit) = def.bounds();
                // 8.1: mirrored.
                let (entered, left) = match def.side() {
                    Some(Side::Low) => (value <= enter, value > exit),
                    _ => (value >= enter, value < exit),
                };
                match (entered, left && good) {
                    (true, _) => Verdict::Enter,
                    (false, true) => Verdict::Exit,
                    (false, false) => Verdict::Between { good },
                }
            }
        }
    }

    /// UNKNOWN of a derived alarm has records only while it stands: what is at rest and cannot be
    /// judged is told by what its inputs are blind for.
    fn overlay_instance(&mut self, n: usize, known: bool, m: &Moment) {
        let (eval, event) = match known {
            true => (Eval::Known, Event::Seen),
            false => (Eval::Unknown, Event::Blinded),
        };
        for a in self.rules.instances[n].alarms.clone().map(AlarmIx) {
            let state = &mut self.alarms[a.index()];
            if state.eval() == eval {
                continue;
            }
            match &mut state.live {
                Some(live) if live.regions.open => {
                    // Of an alarm that goes blind: what the judge lacks; then again as it was raised.
                    let raised = live.detail.clone();
                    let lacks = (!known).then(|| self.derived[n].judge.words()).flatten();
                    if lacks.is_some() {
                        live.detail = lacks;
                    }
                    self.transit(a, event.clone(), m, None);
                    if let Some(live) = &mut self.alarms[a.index()].live {
                        live.detail = raised;
                    }
                }
                Some(live) => live.regions.eval = eval,
                None => state.unknown = !known,
            }
        }
    }

    /// 8.6, for an alarm of a deriving kind: how long it has been Unknown at a deadline.
    pub(super) fn gap_of_instance(&self, n: usize, due: i64) -> i64 {
        match self.derived[n].gap_start {
            NEVER => 0,
            start => due.saturating_sub(start).max(0),
        }
    }

    /// What a judge says of itself goes into the records of its alarms.
    pub(super) fn is_degraded(&self, a: AlarmIx) -> bool {
        let instance = self.rules.instance_of(a);
        instance.is_some_and(|(n, _)| self.derived[n].judge.degraded())
    }
}
