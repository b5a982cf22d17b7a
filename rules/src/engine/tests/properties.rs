//! Properties over any series: absence clears nothing, ticks change nothing, nothing is lost over
//! a restart, and one log has one outcome.

use std::collections::{BTreeMap, BTreeSet};

use davy_points::{PointIx, PointTable, Quality, Value};
use proptest::prelude::*;

use super::compiled;
use crate::alarm::{Cause, Condition, Eval, Label, Regions, Transition};
use crate::engine::{Engine, Envelope, Input, Restored};
use crate::proof::plant;
use crate::proof::replay;
use crate::proof::script::{BASE, Rig, identity};
use crate::ruleset::RuleSet;

pub(super) const RULES: &str = "[[level]]
         id = \"slow\"
         select = { tag = \"A\" }
         on_delay = \"2s\"
         off_delay = \"3s\"
         h = { priority = 3 }
         on_bad = \"alarm\"
         realarm = \"7s\"
         [[level]]
         id = \"eager\"
         select = { tag = \"B\" }
         on_bad = \"use_value\"
         pending = \"strict\"
         hh = { on_delay = \"1s\", off_delay = \"2s\" }
         [[stuck]]
         id = \"frozen\"
         select = { tag = \"B\" }
         epsilon = 0.5
         window = \"3s\"
         while = \"A > 30\"";

/// Three points on one source: delays, deadbands, masks, a stuck rule with a witness, policies.
pub(super) fn plant() -> (PointTable, RuleSet) {
    compiled(plant::table(points()), RULES)
}

pub(super) fn points() -> Vec<davy_points::PointDef> {
    let mut a = plant::point("A");
    a.limits = davy_points::Limits {
        ll: Some(10.0),
        l: Some(20.0),
        h: Some(80.0),
        hh: Some(90.0),
    };
    a.deadband = 1.0;
    let mut b = a.clone();
    b.tag = "B".into();
    let mut c = a.clone();
    c.tag = "C".into();
    vec![a, b, c]
}

/// One step of a series: what, and how long after the step before, in quarters of a second.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Sample(usize, i64, Quality, i64),
    Nan(usize),
    Tick,
    Down,
    Up,
    /// An acknowledgement of the n-th standing alarm.
    Ack(usize),
    UnAck(usize),
    Clock(i64),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let quality = prop_oneof![
        6 => Just(Quality::Good),
        1 => Just(Quality::UncertainRange),
        1 => Just(Quality::BadCommunication),
    ];
    let value = prop_oneof![
        Just(5),
        Just(10),
        Just(11),
        Just(15),
        Just(20),
        Just(21),
        Just(50),
        Just(79),
        Just(80),
        Just(85),
        Just(89),
        Just(90),
        Just(95)
    ];
    let age = prop_oneof![8 => Just(0_i64), 1 => Just(1), 1 => 0_i64..20, 1 => -30_i64..0];
    let step = prop_oneof![
        12 => (0_usize..3, value, quality, age).prop_map(|(p, v, q, age)| Step::Sample(p, v, q, age)),
        1 => (0_usize..3).prop_map(Step::Nan),
        1 => Just(Step::Tick),
        1 => Just(Step::Down),
        1 => Just(Step::Up),
        1 => (0_usize..6).prop_map(Step::Ack),
        1 => (0_usize..6).prop_map(Step::UnAck),
        1 => prop_oneof![Just(-3600_i64), Just(3600)].prop_map(Step::Clock),
    ];
    proptest::collection::vec((prop_oneof![3 => 0_i64..5, 1 => 5_i64..30], step), 1..120)
}

/// How long a process stays away: not at all, for an instant, for hours.
fn away() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0_i64), 1_i64..40, Just(40_000)]
}

pub(super) const QUARTER: i64 = 250_000_000;

/// Runs steps; after some of them other things may be done.
fn run(steps: &[(i64, Step)], mut between: impl FnMut(&mut Rig, usize, i64)) -> Rig {
    let (table, rules) = plant();
    let mut rig = Rig::new(table, rules);
    let mut at = 0;
    for (n, (wait, step)) in steps.iter().enumerate() {
        let before = at;
        at += wait * QUARTER;
        between(&mut rig, n, before);
        give(&mut rig, at, step);
    }
    rig
}

pub(super) fn give(rig: &mut Rig, at: i64, step: &Step) {
    let at_s = at as f64 / 1e9;
    let tag = |p: &usize| ["A", "B", "C"][*p];
    match step {
        Step::Sample(p, v, q, age) => {
            let how = match *q {
                Quality::Good => "",
                Quality::UncertainRange => "uncertain",
                _ => "bad",
            };
            let of = (at - age * QUARTER) as f64 / 1e9;
            rig.run(&format!("{at_s}s {}={v} {how} at={of}s", tag(p)));
        }
        Step::Nan(p) => rig.run(&format!("{at_s}s {}=nan", tag(p))),
        Step::Tick => rig.run(&format!("{at_s}s tick")),
        Step::Down => rig.run(&format!("{at_s}s down plc")),
        Step::Up => rig.run(&format!("{at_s}s up plc")),
        Step::Ack(n) | Step::UnAck(n) => {
            let mut open: Vec<(String, String)> = rig
                .engine
                .standing()
                .into_iter()
                .filter(|s| s.last.regions.after.open)
                .map(|s| (s.last.alarm.to_string(), s.last.occurrence.to_string()))
                .collect();
            open.sort();
            if let Some((_, o)) = open.get(*n) {
                let verb = if matches!(step, Step::Ack(_)) {
                    "ack"
                } else {
                    "un_ack"
                };
                let o = o.clone();
                rig.command_for(at, verb, &o);
            }
        }
        Step::Clock(by) => rig.run(&format!("{at_s}s step {by}s")),
    }
}

/// The engine as it was at the start of the run.
fn fresh(rig: &Rig) -> Engine {
    Engine::start(
        identity(),
        rig.rules.clone(),
        rig.table.clone(),
        Restored::default(),
        davy_points::Mono(0),
        davy_points::Timestamp(BASE),
    )
}

pub(super) fn process(t: &Transition) -> bool {
    &*t.kind == "level"
        && !matches!(
            t.level,
            crate::alarm::Level::Bad | crate::alarm::Level::LossOfView
        )
}

/// The regions of every alarm, from its records alone.
pub(super) fn from_records(transitions: &[Transition]) -> BTreeMap<String, Regions> {
    transitions
        .iter()
        .map(|t| (t.alarm.to_string(), t.regions.after.clone()))
        .collect()
}

proptest! {
    #![proptest_config(super::cases())]

    /// 3.3, 3.7, 8.4, 8.17: a return comes only in the envelope of a Good sample of that very point, which lies
    /// beyond exit, at or after the end of the off-delay.
    #[test]
    fn absence_never_returns(
        steps in steps(), image in 0_usize..120, restart in 0_usize..120, away in away(), kill in any::<bool>(),
    ) {
        let (table, rules) = plant();
        let mut rig = Rig::new(table, rules);
        let mut at = 0;
        let mut history: Vec<(i64, Option<Step>)> = Vec::new();
        let mut active_since: BTreeMap<String, usize> = BTreeMap::new();
        for (n, (wait, step)) in steps.iter().enumerate() {
            at += wait * QUARTER;
            let from = rig.transitions.len();
            let stored = rig.stored.len();
            if n == image {
                rig.run(&format!("{}s image", at as f64 / 1e9));
            }
            if n == restart {
                at += away * QUARTER;
                rig.run(&format!("{}s {}", at as f64 / 1e9, if kill { "kill" } else { "restart" }));
                prop_assert!(rig.transitions[from..].iter().all(|t| t.cause != Cause::Returned));
                for t in rig.transitions[from..].iter().filter(|t| t.cause == Cause::Condition) {
                    active_since.insert(t.alarm.to_string(), history.len());
                }
                history.push((at, None));
            }
            let from = rig.transitions.len();
            // Down for the second time is no second interruption.
            let repeated = matches!(step, Step::Down) && rig.engine.sources[0].down;
            give(&mut rig, at, step);
            for t in &rig.transitions[from..] {
                if t.cause == Cause::Condition {
                    active_since.insert(t.alarm.to_string(), history.len());
                }
                if t.cause != Cause::Returned || !process(t) {
                    continue;
                }
                let Step::Sample(p, v, Quality::Good, age) = step else {
                    panic!("{step:?} returned {}", t.alarm);
                };
                prop_assert_eq!(&*t.tag, ["A", "B", "C"][*p]);
                prop_assert_eq!(t.quality, Quality::Good);
                prop_assert_eq!(rig.stored[stored].1, Quality::Good);
                prop_assert_eq!(&t.value, &Value::F64(*v as f64));
                prop_assert_eq!(t.regions.after.eval, Eval::Known);
                let limit = t.limit.unwrap();
                let beyond = |v: i64| {
                    let v = v as f64;
                    if limit > 50.0 { v < limit - 1.0 } else { v > limit + 1.0 }
                };
                prop_assert!(beyond(*v), "{} returned at {v}", t.alarm);
                // Whatever was not Good and beyond exit began the off-delay again (8.4), and the
                // returning sample itself lies at or after its end (8.17).
                let off: i64 = match (&*t.rule, t.level) {
                    ("slow", _) => 3_000_000_000,
                    ("eager", crate::alarm::Level::Hh) => 2_000_000_000,
                    _ => i64::MIN,
                };
                let source_time = at - age.max(&0) * QUARTER;
                for (n, (when, step)) in history.iter().enumerate() {
                    let earliest = match step {
                        Some(Step::Sample(q, v, quality, 0)) if q == p => {
                            let breaks = *quality != Quality::Good || !beyond(*v);
                            if breaks { *when + off } else { i64::MIN }
                        }
                        Some(Step::Nan(q)) if q == p => *when + off,
                        // What was measured before counts from then on,
                        // of an alarm that was active then.
                        Some(Step::Down) | None if n >= active_since[&*t.alarm] => *when + off,
                        _ => i64::MIN,
                    };
                    prop_assert!(source_time >= earliest, "{} at {at}, broken at {when}", t.alarm);
                }
            }
            if !repeated {
                history.push((at, Some(step.clone())));
            }
        }
    }

    /// 8.2: the number of ticks never changes the transition list.
    #[test]
    fn ticks_change_nothing(steps in steps(), every in 1_u64..9) {
        let rig = run(&steps, |_, _, _| {});
        let mut ticked: Vec<Envelope> = Vec::new();
        for e in &rig.log {
            if let Some(last) = ticked.last().cloned() {
                let offset = last.wall.0 - i64::try_from(last.mono.0).unwrap();
                let mut t = last.mono.0;
                while t + every * 80_000_001 < e.mono.0 {
                    t += every * 80_000_001;
                    ticked.push(Envelope {
                        seq: 0,
                        mono: davy_points::Mono(t),
                        wall: davy_points::Timestamp(offset + i64::try_from(t).unwrap()),
                        input: Input::Tick,
                    });
                }
            }
            ticked.push(e.clone());
        }
        let again = replay(fresh(&rig), &ticked);
        prop_assert_eq!(&again.transitions, &rig.transitions);
    }

    /// One log, one hash; and the log survives being written.
    #[test]
    fn a_log_has_one_outcome(steps in steps()) {
        let rig = run(&steps, |_, _, _| {});
        let text: Vec<String> = rig.log.iter().map(|e| serde_json::to_string(e).unwrap()).collect();
        let log: Vec<Envelope> = text.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
        let again = replay(fresh(&rig), &log);
        prop_assert_eq!(&again.transitions, &rig.transitions);
        prop_assert_eq!(again.hash, replay(fresh(&rig), &rig.log).hash);
    }

    /// 8.15: restart at any point, from an image of any age: the same alarms are open, acknowledged ones
    /// acknowledged; seq goes on without a gap; no occurrence id comes twice.
    #[test]
    fn a_restart_keeps_what_stands(
        steps in steps(), image in 0_usize..120, kill in 0_usize..120, away in away(),
    ) {
        let (table, rules) = plant();
        let mut rig = Rig::new(table, rules);
        let mut at = 0;
        for (n, (wait, step)) in steps.iter().enumerate() {
            at += wait * QUARTER;
            if n == image {
                rig.run(&format!("{}s image", at as f64 / 1e9));
            }
            if n == kill {
                at += away * QUARTER;
                let before = from_records(&rig.transitions);
                let records = rig.transitions.len();
                rig.run(&format!("{}s kill", at as f64 / 1e9));
                let after = from_records(&rig.transitions);
                for (alarm, was) in &before {
                    let is = &after[alarm];
                    if !was.open {
                        continue;
                    }
                    // A deadline that fell into the downtime acts at the start (8.15).
                    let acted = rig.transitions[records..].iter().any(|t| {
                        *t.alarm == **alarm && matches!(t.cause, Cause::Condition | Cause::Realarm)
                    });
                    if acted {
                        prop_assert_eq!(is.label(), Label::Unack);
                        continue;
                    }
                    prop_assert_eq!((is.open, is.acked, is.label()), (was.open, was.acked, was.label()), "{}", alarm);
                }
                let standing: BTreeSet<String> = rig.engine.standing().iter()
                    .filter(|s| s.last.regions.after.open)
                    .map(|s| s.last.alarm.to_string()).collect();
                let open: BTreeSet<String> = after.iter()
                    .filter(|(_, r)| r.open).map(|(a, _)| a.clone()).collect();
                prop_assert_eq!(standing, open);
            }
            give(&mut rig, at, step);
        }
        let mut seen = BTreeSet::new();
        for (n, t) in (1_u64..).zip(&rig.transitions) {
            prop_assert_eq!(t.seq, n);
            if t.cause == Cause::Condition {
                prop_assert!(seen.insert(t.occurrence.clone()), "{} twice", t.occurrence);
            }
        }
    }

    /// Section 4, `stale`, `quality`: nothing is beneath an alarm that does not stand; nothing is
    /// beneath one for ever; and what was never annunciated never asks for an acknowledgement.
    #[test]
    fn what_is_beneath_has_something_above(
        steps in steps(), image in 0_usize..120, kill in 0_usize..120, away in away(), heals in any::<bool>(),
    ) {
        let (table, rules) = plant();
        let mut rig = Rig::new(table, rules);
        let mut at = 0;
        for (n, (wait, step)) in steps.iter().enumerate() {
            at += wait * QUARTER;
            if n == image {
                rig.run(&format!("{}s image", at as f64 / 1e9));
            }
            if n == kill {
                at += away * QUARTER;
                rig.run(&format!("{}s kill", at as f64 / 1e9));
            }
            give(&mut rig, at, step);
        }
        // A minute of silence, or of Good values that move.
        for n in 0..60 {
            at += 4 * QUARTER;
            for p in 0..3 {
                if heals {
                    give(&mut rig, at, &Step::Sample(p, 40 + n % 2, Quality::Good, 0));
                }
            }
            give(&mut rig, at, &Step::Tick);
        }
        let mut spoke: BTreeSet<String> = BTreeSet::new();
        for t in &rig.transitions {
            let r = &t.regions.after;
            let of = format!("{} {}", t.alarm, t.episode);
            if r.open && !r.masked {
                // A return lifts the mask; it is no annunciation of what was never heard.
                prop_assert!(t.cause != Cause::Returned || spoke.contains(&of) || process(t), "{of}");
                spoke.insert(of);
            }
        }
        let now = from_records(&rig.transitions);
        let lost = now.get("source/plc/loss_of_view").is_some_and(|r| {
            matches!(r.condition, Condition::Active | Condition::PendingOff)
        });
        for (alarm, r) in &now {
            if alarm.starts_with("stale/") || alarm.starts_with("quality/") {
                prop_assert!(!r.masked || lost, "{alarm}: {:#?}", rig.lines());
                prop_assert!(!heals || (!r.masked && !matches!(r.condition, Condition::Active | Condition::PendingOff)), "{alarm}: {r:?} {:#?}", rig.lines());
            }
        }
        prop_assert!(!heals || !lost);
    }

    /// 3.8, 8.9 and the rest of what may never be seen in a record.
    #[test]
    fn records_hold_together(steps in steps()) {
        let (table, rules) = plant();
        let mut rig = Rig::new(table, rules);
        let mut at = 0;
        for (wait, step) in &steps {
            at += wait * QUARTER;
            give(&mut rig, at, step);
            let now = from_records(&rig.transitions);
            for (rule, p) in [("slow", "A"), ("eager", "B"), ("table", "C")] {
                for (worse, lesser) in [("hh", "h"), ("ll", "l")] {
                    let of = |l: &str| now.get(&format!("{rule}/{p}/{l}"));
                    let active = |r: Option<&Regions>| r.is_some_and(|r| matches!(r.condition, Condition::Active | Condition::PendingOff));
                    let (w, l) = (of(worse), of(lesser));
                    // HH active: H active, masked and silent. HH not active: nothing masks H.
                    prop_assert_eq!(active(w), l.is_some_and(|l| l.masked), "{}/{} after {:?}", rule, p, step);
                    prop_assert!(!active(w) || active(l));
                    prop_assert!(!l.is_some_and(|l| l.masked && l.audible));
                }
            }
        }
        let mut last: BTreeMap<&str, &Regions> = BTreeMap::new();
        for t in &rig.transitions {
            // What one record leaves, the next one finds, but for pending conditions.
            if let Some(before) = last.insert(&t.alarm, &t.regions.after) {
                prop_assert_eq!(before.label(), t.from);
                prop_assert_eq!(before.acked, t.regions.before.acked);
                prop_assert_eq!(before.masked, t.regions.before.masked);
                prop_assert_eq!(before.eval, t.regions.before.eval);
            }
            prop_assert_eq!(t.to, t.regions.after.label());
            // An ack of H never covers HH: only the alarm that was named changes.
            if t.cause == Cause::Ack {
                prop_assert!(t.command_id.is_some());
                prop_assert!(t.occurrence.len() == 26);
            }
            if t.to == Label::Unack || t.to == Label::RtnUnack {
                prop_assert!(!t.occurrence.is_empty() && !t.episode.is_empty());
            }
        }
        let acks = rig.transitions.iter().filter(|t| t.cause == Cause::Ack).count();
        let commands: BTreeSet<_> = rig.transitions.iter()
            .filter(|t| t.cause == Cause::Ack).map(|t| t.command_id.clone()).collect();
        prop_assert_eq!(acks, commands.len());
    }

    /// Nothing that a field, a network or a clock can say stops the engine.
    #[test]
    fn no_input_panics(odd in proptest::collection::vec(
        (any::<u64>(), any::<i64>(), any::<i64>(), any::<i64>(), any::<u64>(), 0_usize..3, any::<f64>(), 0_usize..14), 1..40,
    )) {
        let (table, rules) = plant();
        let mut rig = Rig::new(table, rules);
        for (n, (mono, wall, source_time, arrival, seq, p, v, q)) in odd.into_iter().enumerate() {
            let point = rig.table.find(["A", "B", "C"][p]).unwrap();
            let input = match n % 5 {
                4 => Input::ClockStep { by_ns: source_time },
                _ => Input::Sample(davy_points::Sample {
                    point,
                    value: Value::F64(v),
                    quality: Quality::ALL[q],
                    source_time: davy_points::Timestamp(source_time),
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: davy_points::Timestamp(arrival),
                    seq,
                }),
            };
            rig.engine.handle(&Envelope {
                seq: n as u64,
                mono: davy_points::Mono(mono),
                wall: davy_points::Timestamp(wall),
                input,
            });
            while rig.engine.poll().is_some() {}
            let _ = rig.engine.image();
        }
    }

    /// A sample that takes the short way could have taken the long one: same records either way.
    #[test]
    fn the_short_way_is_only_shorter(steps in steps()) {
        let quick = run(&steps, |_, _, _| {});
        let long = run(&steps, |rig, _, _| rig.engine.take_the_long_way());
        prop_assert_eq!(quick.lines(), long.lines());
        prop_assert_eq!(quick.stored, long.stored);
    }
}

impl Engine {
    fn take_the_long_way(&mut self) {
        for p in &mut self.points {
            p.quick = false;
        }
    }
}

/// The log keeps every bit of every value.
#[test]
fn an_envelope_comes_back_exactly() {
    let table = plant::table_of(&["A"]);
    let point: PointIx = table.find("A").unwrap();
    for value in [
        Value::F64(f64::NAN),
        Value::F64(f64::NEG_INFINITY),
        Value::F64(-0.0),
        Value::F64(0.1 + 0.2),
        Value::F64(5.0),
        Value::F64(f64::from_bits(0x7ff8_dead_beef_0001)),
        Value::I64(-5),
        Value::U64(u64::MAX),
        Value::Bool(true),
        Value::Text("满".into()),
        Value::none(davy_points::NoData::LinkDown),
    ] {
        let e = Envelope {
            seq: 1,
            mono: davy_points::Mono(2),
            wall: davy_points::Timestamp(3),
            input: Input::Sample(davy_points::Sample {
                point,
                value: value.clone(),
                quality: Quality::Good,
                source_time: davy_points::Timestamp(4),
                offset_ns: -5,
                uncertainty_ns: 6,
                arrival_time: davy_points::Timestamp(7),
                seq: 8,
            }),
        };
        let json = serde_json::to_string(&e).unwrap();
        let back: Envelope = serde_json::from_str(&json).unwrap();
        let Input::Sample(s) = &back.input else {
            panic!()
        };
        match (&s.value, &value) {
            (Value::F64(a), Value::F64(b)) => assert_eq!(a.to_bits(), b.to_bits()),
            (a, b) => assert_eq!(a, b),
        }
        assert_eq!(json, serde_json::to_string(&back).unwrap());
    }
}
