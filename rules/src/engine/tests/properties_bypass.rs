//! Under any samples, commands, restarts and clock steps: a test returns nothing, sounds nowhere,
//! and outlives its deadline on no clock.

use std::collections::BTreeMap;

use davy_points::{PointTable, Priority, Quality};
use proptest::prelude::*;

use super::compiled;
use crate::alarm::{Cause, Flag, Transition};
use crate::proof::plant;
use crate::proof::script::Rig;
use crate::ruleset::RuleSet;

const TAGS: [&str; 3] = ["A", "B", "C"];

/// A and B with limits and rules that read both; C in no rule of theirs.
fn plant() -> (PointTable, RuleSet) {
    let points = TAGS.map(|tag| {
        let mut p = plant::point(tag);
        p.limits.l = Some(20.0);
        p.limits.h = Some(80.0);
        p.limits.hh = Some(90.0);
        p.priority = Priority::new(3);
        p.deadband = 1.0;
        p
    });
    compiled(
        plant::table(points),
        "[[deviation]]
         id = \"apart\"
         select = { tag = \"A\" }
         sp = \"B\"
         h = { limit = 10, priority = 3, off_delay = \"1s\" }
         [[vote]]
         id = \"trip\"
         select = { tag = \"A\" }
         legs = [\"A\", \"B\"]
         of = 1
         above = 85
         priority = 2
         [[aggregate]]
         id = \"mean\"
         select = { tag = \"B\" }
         function = \"mean\"
         window = \"10s\"
         h = { limit = 70, priority = 3 }",
    )
}

#[derive(Debug, Clone)]
enum Step {
    Sample(usize, i64, Quality, i64),
    Tick,
    Bypass(usize, i64),
    Restore(usize),
    Ack(usize),
    Down,
    Clock(i64),
    Restart,
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let quality = prop_oneof![
        8 => Just(Quality::Good),
        1 => Just(Quality::UncertainRange),
        1 => Just(Quality::BadSensorFailure),
    ];
    let value = proptest::sample::select(vec![10_i64, 50, 50, 50, 79, 85, 95]);
    let step = prop_oneof![
        16 => (0_usize..3, value, quality, prop_oneof![4 => Just(0_i64), 1 => 1_i64..4])
            .prop_map(|(p, v, q, age)| Step::Sample(p, v, q, age)),
        2 => Just(Step::Tick),
        4 => (0_usize..3, prop_oneof![Just(5_i64), Just(60), Just(600)])
            .prop_map(|(p, s)| Step::Bypass(p, s)),
        2 => (0_usize..3).prop_map(Step::Restore),
        3 => (0_usize..8).prop_map(Step::Ack),
        1 => Just(Step::Down),
        1 => prop_oneof![Just(-3600_i64), Just(-7), Just(5), Just(3600)].prop_map(Step::Clock),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ];
    let wait = prop_oneof![8 => 0_i64..4, 1 => 4_i64..100];
    proptest::collection::vec((wait, step), 1..80)
}

const ALARMS: [&str; 8] = [
    "table/A/h",
    "table/A/hh",
    "table/A/l",
    "table/B/h",
    "apart/A/h",
    "trip/A/on",
    "mean/B/h",
    "table/C/h",
];

/// Which points can make an alarm by themselves.
fn inputs(t: &Transition) -> Vec<&str> {
    match &*t.rule {
        "apart" | "trip" => vec!["A", "B"],
        _ => vec![&*t.tag],
    }
}

fn run(all: Vec<(i64, Step)>) -> Result<(), TestCaseError> {
    let (table, rules) = plant();
    let mut rig = Rig::new(table, rules);
    // Under test: since when and until when, by a clock that nobody sets.
    let mut tests: BTreeMap<String, i64> = BTreeMap::new();
    let (mut now, mut read, mut stored) = (0, 0, 0);
    for (wait, step) in all {
        now += wait;
        let line = match step {
            Step::Sample(p, v, q, age) => {
                let how = match q {
                    Quality::Good => "",
                    Quality::UncertainRange => " uncertain",
                    _ => " bad",
                };
                format!("{now}s {}={v}{how} at={}s", TAGS[p], (now - age).max(0))
            }
            Step::Tick => format!("{now}s tick"),
            Step::Bypass(p, s) => format!("{now}s bypass {} {s}s permit=P-7", TAGS[p]),
            Step::Restore(p) => format!("{now}s restore {}", TAGS[p]),
            Step::Ack(n) => {
                let known = |t: &Transition| &*t.alarm == ALARMS[n] && !t.occurrence.is_empty();
                if !rig.transitions.iter().any(known) {
                    continue;
                }
                format!("{now}s ack {}", ALARMS[n])
            }
            Step::Down => format!("{now}s down"),
            // A step is in the image that the shell takes with it: without one a killed process
            // knows of none, and goes by a wall clock that may have been set back.
            Step::Clock(by) => format!("{now}s step {by}s; image"),
            Step::Restart => format!("{now}s restart"),
            Step::Kill => format!("{now}s kill"),
        };
        rig.run(&line);
        for t in &rig.transitions[read..] {
            if &*t.kind == "bypass" {
                let out = &t.regions.after.out_of_service;
                match out {
                    Some(out) => {
                        let until = now + out.until.since(t.recorded_at) / 1_000_000_000;
                        tests.insert(t.tag.to_string(), until);
                    }
                    None => {
                        tests.remove(&*t.tag);
                    }
                }
                prop_assert!(!t.regions.after.audible);
                continue;
            }
            let tested = inputs(t).into_iter().any(|p| tests.contains_key(p));
            let marked = t.flags.contains(&Flag::Test);
            // One record of an end may come in the same step after what came before it.
            if marked {
                prop_assert!(!t.regions.after.audible, "sounds: {t:?}");
                let returned = matches!(t.cause, Cause::Returned | Cause::RuleChanged);
                prop_assert!(!returned, "returned: {t:?}");
            }
            if &*t.kind != "source" && tested {
                prop_assert!(marked, "unmarked: {t:?}");
            }
        }
        read = rig.transitions.len();
        for (tag, q) in &rig.stored[stored..] {
            let mark = *q == Quality::UncertainTest;
            prop_assert!(mark || !tests.contains_key(tag), "{tag} {q} stored");
        }
        stored = rig.stored.len();
        // Restarts and steps included: never beyond the end.
        rig.run(&format!("{now}s tick"));
        for t in &rig.transitions[read..] {
            if &*t.kind == "bypass" && t.regions.after.out_of_service.is_none() {
                tests.remove(&*t.tag);
            }
        }
        read = rig.transitions.len();
        for (tag, until) in &tests {
            prop_assert!(*until >= now, "{tag} outlived {until} at {now}");
        }
    }
    // Whatever happened: with its time over, nothing is under test.
    rig.run(&format!("{}s tick", now + 601));
    for t in &rig.transitions[read..] {
        if &*t.kind == "bypass" && t.regions.after.out_of_service.is_none() {
            tests.remove(&*t.tag);
        }
    }
    prop_assert!(tests.is_empty(), "{tests:?}");
    Ok(())
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn a_test_returns_nothing_sounds_nowhere_and_ends_in_time(all in steps()) {
        run(all)?;
    }
}
