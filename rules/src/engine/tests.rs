//! Behaviours of the engine, each named by the clause that asks for it.

mod ack;
mod blind;
mod bypass;
mod clauses;
mod derived;
mod edit;
mod flood;
mod group;
mod latch;
mod level;
mod model;
mod modes;
mod prop_input;
mod prop_kinds;
mod prop_level;
mod prop_over;
mod prop_stuck;
mod properties;
mod properties_bypass;
mod properties_edits;
mod properties_lifecycle;
mod reload;
mod restart;
mod retrospective;
mod revision;
mod service;
mod shelve;
mod short_way;
mod signal;
mod stuck;
mod suppress;

use std::time::Duration;

use davy_points::{Limits, PointDef, PointTable};

use crate::language::compile;
use crate::proof::plant;
use crate::ruleset::RuleSet;

/// LT: LL 10, L 20, H 80, HH 90, deadband 1; no other point.
fn lt(change: impl Fn(&mut PointDef)) -> (PointTable, RuleSet) {
    ruled(change, "")
}

/// The same with a rule file.
fn ruled(change: impl Fn(&mut PointDef), rules: &str) -> (PointTable, RuleSet) {
    let mut p = plant::point("LT");
    p.limits = Limits {
        ll: Some(10.0),
        l: Some(20.0),
        h: Some(80.0),
        hh: Some(90.0),
    };
    p.deadband = 1.0;
    change(&mut p);
    compiled(plant::table([p]), rules)
}

fn compiled(table: PointTable, rules: &str) -> (PointTable, RuleSet) {
    let text = format!("schema = 1\n{rules}");
    let (rules, faults) = compile(&[("rules/a.toml".into(), text)], &table, &[]);
    assert_eq!(faults, []);
    (table, rules.unwrap())
}

fn delays(on: u64, off: u64) -> impl Fn(&mut PointDef) {
    move |p| {
        p.on_delay = Duration::from_secs(on);
        p.off_delay = Duration::from_secs(off);
    }
}

/// How long a property tries: `PROPTEST_CASES` where it is given. What fails is written to
/// `proptest-regressions` and tried first from then on.
fn cases() -> proptest::test_runner::Config {
    let default = proptest::test_runner::Config::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => proptest::test_runner::Config {
            cases: 96,
            ..default
        },
    }
}
