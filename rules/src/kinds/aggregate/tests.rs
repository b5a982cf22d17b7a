use std::fmt::Write as _;
use std::time::Duration;

use davy_points::{PointDef, PointTable, QualityClass};
use proptest::prelude::*;

use super::*;
use crate::kinds::trial::{ask, compiled, reading, refused};
use crate::proof::plant;
use crate::proof::script::{Rig, check};

const S: i64 = 1_000_000_000;

/// One point, read every so many seconds, silent for an hour before it is stale.
fn site(every: u64) -> PointTable {
    let point = |tag: &str, unit: &str| PointDef {
        unit: unit.into(),
        expected_interval: Duration::from_secs(every),
        stale_after: Duration::from_secs(3600),
        ..plant::point(tag)
    };
    plant::table([point("AT-1", "ppm"), point("FT-1", "m³/min")])
}

fn judge(every: u64, keys: &str) -> Box<dyn Judge> {
    let (_, rules) = compiled(
        site(every),
        &format!("[[aggregate]]\nid = \"a\"\n{keys}\nh = {{ limit = 5 }}"),
    );
    rules.instances[0].settings.judge()
}

fn good(judge: &mut dyn Judge, t: i64, v: f64) -> Finding {
    ask(judge, 0, &reading(t * S, Some(v), QualityClass::Good))
}

fn near(said: Finding, expected: f64) {
    match said {
        Finding::Number { value, good: true } if (value - expected).abs() < 1e-9 => {}
        other => panic!("{other:?}, not {expected}"),
    }
}

/// A time-weighted average over a shift, by hand: four hours at 10 ppm, two at 30, two at 0 are
/// (40 + 60 + 0) / 8 = 12.5; two hours later the first two hours at 10 have left, and two more at 0
/// came: (20 + 60) / 8 = 10.
#[test]
fn a_shift_average() {
    let mut twa = judge(
        60,
        "select = { tag = \"AT-1\" }\nfunction = \"mean\"\nwindow = \"8h\"",
    );
    let mut said = Finding::Unknown;
    for minute in 0..=10 * 60 {
        let v = match minute / 60 {
            0..4 => 10.0,
            4 | 5 => 30.0,
            _ => 0.0,
        };
        said = good(&mut *twa, minute * 60, v);
        match minute {
            // 0.8 of eight hours.
            383 => assert_eq!(said, Finding::Unknown),
            // (4 × 10 + 2 × 30) / 6.4.
            384 => near(said, 15.625),
            480 => near(said, 12.5),
            _ => {}
        }
    }
    near(said, 10.0);
    assert_eq!(
        twa.words().expect("it has words"),
        "8 h 窗口，有效数据 100%"
    );
}

/// Short-term exposure: 60 ppm from 20 min on reach a mean of 30 over 15 min after 7.5 min, and
/// leave it 7.5 min after they end, at 37.5 min.
#[test]
fn a_short_term_exposure() {
    let mut script = String::new();
    for t in (0..3600).step_by(30) {
        let v = if (1200..1800).contains(&t) { 60 } else { 0 };
        writeln!(script, "{t}s AT-1={v}").unwrap();
    }
    let rig = check(
        compiled(
            plant::table([PointDef {
                unit: "ppm".into(),
                expected_interval: Duration::from_secs(30),
                stale_after: Duration::from_secs(90),
                ..plant::point("AT-1")
            }]),
            "[[aggregate]]
             id = \"stel\"
             select = { tag = \"AT-1\" }
             function = \"mean\"
             window = \"15m\"
             h = { limit = 30 }",
        ),
        &script,
        "1650s stel/AT-1/h NORMAL>UNACK condition
         2280s stel/AT-1/h UNACK>RTN_UNACK returned",
    );
    assert_eq!(
        &*rig.transitions[0].text,
        "AT-1 平均值 30.0 ppm ≥ 高限 30.0 ppm：15 min 窗口，有效数据 100%"
    );
}

/// 2 for 10 s, 4 for 20 s, 10 for 10 s.
#[test]
fn every_function_by_hand() {
    for (function, tag, expected) in [
        ("\"mean\"", "AT-1", 5.0),
        ("\"min\"", "AT-1", 2.0),
        ("\"max\"", "AT-1", 10.0),
        // ppm·h, and m³ of m³/min.
        ("\"sum\"", "AT-1", 200.0 / 3600.0),
        ("\"sum\"", "FT-1", 200.0 / 60.0),
        // (10·9 + 20·1 + 10·25) / 40 = 9.
        ("\"stddev\"", "AT-1", 3.0),
        ("\"percentile\"\npercentile = 25", "AT-1", 2.0),
        ("\"percentile\"\npercentile = 26", "AT-1", 4.0),
        ("\"percentile\"\npercentile = 75", "AT-1", 4.0),
        ("\"percentile\"\npercentile = 95", "AT-1", 10.0),
    ] {
        let mut j = judge(
            1,
            &format!("select = {{ tag = \"{tag}\" }}\nfunction = {function}\nwindow = \"40s\""),
        );
        good(&mut *j, 0, 2.0);
        good(&mut *j, 10, 4.0);
        good(&mut *j, 30, 10.0);
        near(good(&mut *j, 40, 10.0), expected);
    }
}

/// The newest value counts at once where one value decides.
#[test]
fn a_maximum_sees_the_newest_value() {
    let mut max = judge(
        1,
        "select = { tag = \"AT-1\" }\nfunction = \"max\"\nwindow = \"10s\"",
    );
    good(&mut *max, 0, 1.0);
    good(&mut *max, 9, 1.0);
    near(good(&mut *max, 10, 7.0), 7.0);
    near(good(&mut *max, 19, 1.0), 7.0);
    near(good(&mut *max, 29, 1.0), 1.0);
}

const MEAN: &str = "[[aggregate]]
id = \"m\"
select = { tag = \"AT-1\" }
function = \"mean\"
window = \"10s\"
h = { limit = 50 }
";

/// The window is split at Bad: with 2 s of 10 without data it is known, with 3 s it is not until
/// 2 s of them are left; nothing returns while the newest reading is Bad (3.3, 3.12).
#[test]
fn a_window_splits_at_bad() {
    for (again, expected) in [
        // 60 for 6.5 s and 0 for 1.5 s of 14 s are 48.75.
        (
            12,
            [
                "12.5s m/AT-1/h UNACK>UNACK quality",
                "14s m/AT-1/h UNACK>RTN_UNACK returned",
            ],
        ),
        (
            13,
            [
                "22s m/AT-1/h UNACK>UNACK quality",
                "22s m/AT-1/h UNACK>RTN_UNACK returned",
            ],
        ),
    ] {
        let mut script = String::from("0s AT-1=60\n10s AT-1=60\n10.5s AT-1=none bad\n");
        writeln!(script, "{again}.5s AT-1=0").unwrap();
        for t in again + 1..24 {
            writeln!(script, "{t}s AT-1=0").unwrap();
        }
        let (table, rules) = compiled(site(1), MEAN);
        let mut rig = Rig::new(table, rules);
        rig.run(&script);
        rig.transitions.retain(|t| t.alarm.starts_with("m/"));
        let before = [
            "10s m/AT-1/h NORMAL>UNACK condition",
            "10.5s m/AT-1/h UNACK>UNACK quality unknown",
        ];
        assert_eq!(rig.lines(), [before, expected].concat(), "{script}");
    }
}

/// Uncertain may raise, never return, as long as any of it lies in the window (3.1).
#[test]
fn doubtful_data_raises_and_does_not_return() {
    let mut script = String::from("0s AT-1=60; FT-1=0\n9s AT-1=60 uncertain; FT-1=0\n");
    for t in 10..25 {
        writeln!(script, "{t}s AT-1=0; FT-1=0").unwrap();
    }
    check(
        compiled(site(1), MEAN),
        &script,
        "9s m/AT-1/h NORMAL>UNACK condition unknown
         20s m/AT-1/h UNACK>UNACK quality
         20s m/AT-1/h UNACK>RTN_UNACK returned",
    );
}

/// A hopping window says what it came to when it ends, and that until the next one ends.
#[test]
fn a_hopping_window_speaks_when_it_ends() {
    let mut script = String::new();
    for t in 0..45 {
        let v = if (3..25).contains(&t) { 100 } else { 0 };
        writeln!(script, "{t}s AT-1={v}; FT-1=0").unwrap();
    }
    // Windows end at whole tens of UTC: the scripts begin at one.
    check(
        compiled(site(1), &format!("{MEAN}hop = \"10s\"\n")),
        &script,
        "10s m/AT-1/h NORMAL>UNACK condition
         40s m/AT-1/h UNACK>RTN_UNACK returned",
    );
}

/// The window begins anew with a step of the wall clock.
#[test]
fn a_step_of_the_clock_begins_anew() {
    check(
        compiled(site(1), MEAN),
        "0s AT-1=60; FT-1=0
         9s AT-1=60; FT-1=0
         10s step 3600s
         11s AT-1=0; FT-1=0
         18s AT-1=0; FT-1=0
         19s AT-1=0; FT-1=0",
        "9s m/AT-1/h NORMAL>UNACK condition
         3611s m/AT-1/h UNACK>UNACK quality unknown
         3619s m/AT-1/h UNACK>UNACK quality
         3619s m/AT-1/h UNACK>RTN_UNACK returned",
    );
}

#[test]
fn faults() {
    refused(
        &site(1),
        "[[aggregate]]
id = \"a\"
select = { tag = \"AT-1\" }
window = \"0s\"
[[aggregate]]
id = \"b\"
select = { tag = \"AT-1\" }
function = \"percentile\"
window = \"3h\"
percentile = 0
hop = \"4h\"
h = { limit = 5 }
[[aggregate]]
id = \"c\"
select = { tag = \"AT-1\" }
function = \"percentile\"
window = \"3h\"
percentile = 95
h = { limit = 5 }
[[aggregate]]
id = \"d\"
select = { tag = \"AT-1\" }
function = \"mean\"
window = \"12d\"
percentile = 95
min_coverage = 1.5
h = { limit = 5 }
[[aggregate]]
id = \"e\"
select = { tag = \"AT-1\" }
function = \"mean\"
window = \"12d\"
h = { limit = 5 }
[[aggregate]]
id = \"f\"
select = { tag = \"AT-1\" }
function = \"median\"
window = \"12s\"
hop = \"0.5s\"
h = { limit = 5 }
",
        &[
            "E302 2:1 [[[aggregate]]] `function` is missing | give one of mean, min, max, sum, stddev, percentile",
            "E310 5:10 [\"0s\"] `window` is zero | give the time to look back over, like \"15m\"",
            "E315 2:1 [[[aggregate]]] the rule has no limit | give one, like `h = { limit = 5 }`",
            "E311 11:14 [0] `percentile` is 0, not above 0 and up to 100 | give one like 95",
            "E310 12:7 [\"4h\"] `hop` is zero or longer than `window` | give how often a window ends, or leave it out for one that slides",
            "E342 18:10 [\"3h\"] `window` holds 10800 readings of AT-1, more than 10000 | shorten it, or let the point be read less often",
            "E302 26:14 [95] `percentile` has no effect with this function | take it away, or write function = \"percentile\"",
            "E311 27:16 [1.5] `min_coverage` is 1.5, not above 0 and up to 1 | give the share of the window that must be known, like 0.8",
            "E342 33:10 [\"12d\"] `window` holds 1036800 readings of AT-1, more than 1000000 | shorten it, or let the point be read less often",
            "E316 38:12 [\"median\"] `function` cannot be \"median\" | did you mean \"mean\"? It is one of: mean, min, max, sum, stddev, percentile",
        ],
    );
}

/// However many come, and however fast, the memory is that of some thousand stretches, and the
/// mean is still theirs.
#[test]
fn memory_is_bounded() {
    let mut j = judge(
        1,
        "select = { tag = \"AT-1\" }\nfunction = \"mean\"\nwindow = \"1s\"\nmin_coverage = 0.9",
    );
    let mut said = Finding::Unknown;
    for i in 0..300_000_i64 {
        let v = if i % 2 == 0 { 1.0 } else { 3.0 };
        let lost = i % 50 == 0;
        let r = reading(i * 10_000, (!lost).then_some(v), QualityClass::Good);
        said = ask(&mut *j, 0, &r);
    }
    match said {
        Finding::Number { value, .. } => assert!((value - 2.0).abs() < 0.05, "{value}"),
        other => panic!("{other:?}"),
    }
    let size = format!("{j:?}").matches("Stretch {").count();
    assert!(size <= 2_060, "{size}");
}

#[derive(Debug, Clone)]
struct Given {
    after: i64,
    value: Option<(i32, bool)>,
}

fn given() -> impl Strategy<Value = Given> {
    let value = prop_oneof![
        1 => Just(None),
        9 => (-20..20_i32, prop::bool::weighted(0.9)).prop_map(Some),
    ];
    (0..7_i64, value).prop_map(|(after, value)| Given { after, value })
}

const WINDOW: i64 = 30;
const HOLD: i64 = 5;

/// From scratch: the steps in the window as (value, seconds, good), the newest one last.
fn naive(all: &[(i64, Option<(f64, bool)>)], t: i64) -> Vec<(f64, f64, bool)> {
    let mut out = Vec::new();
    for (n, (from, value)) in all.iter().enumerate() {
        let Some((v, good)) = value else { continue };
        let next = all.get(n + 1).map_or(i64::MAX, |r| r.0);
        let till = next.min(from + HOLD);
        let newest = n + 1 == all.len() && till > t - WINDOW;
        let (a, b) = ((*from).max(t - WINDOW), till.min(t));
        if b > a || newest {
            out.push((*v, (b - a).max(0) as f64, *good));
        }
    }
    out
}

proptest! {
    /// 3.12: against sums from scratch, over gaps, Bad, Uncertain and equal times.
    #[test]
    fn windows_agree_with_those_made_from_scratch(
        series in prop::collection::vec(given(), 1..100),
        hop in prop::option::of(7..30_i64),
        percent in 1..=100_i32,
    ) {
        let p = f64::from(percent);
        let functions = [
            Function::Mean, Function::Min, Function::Max, Function::Sum(1.0), Function::StdDev,
            Function::Percentile(p),
        ];
        for function in functions {
            let of = Aggregate {
                function,
                window: WINDOW * S,
                hop: hop.map(|h| h * S),
                coverage: 0.5,
                hold: HOLD * S,
            };
            let mut judge = of.judge();
            let mut all: Vec<(i64, Option<(f64, bool)>)> = Vec::new();
            let mut closed = None;
            let mut t = 0;
            for g in &series {
                t += g.after;
                let value = g.value.map(|(v, good)| (f64::from(v), good));
                let class = match value {
                    Some((_, false)) => QualityClass::Uncertain,
                    _ => QualityClass::Good,
                };
                let before = all.clone();
                let last = all.last().map(|r| r.0);
                all.push((t, value));
                let said = ask(&mut *judge, 0, &reading(t * S, value.map(|v| v.0), class));
                let held = match hop {
                    None => naive(&all, t),
                    Some(hop) => {
                        let end = t / hop * hop;
                        if last.is_some_and(|last| end > last / hop * hop) {
                            closed = Some(naive(&before, end));
                        }
                        closed.clone().unwrap_or_default()
                    }
                };
                let time: f64 = held.iter().map(|h| h.1).sum();
                let enough = time >= 0.5 * WINDOW as f64;
                match said {
                    Finding::Unknown => prop_assert!(!enough, "{held:?}"),
                    Finding::Number { value: said, good } => {
                        prop_assert!(enough, "{said} {held:?}");
                        let mean = held.iter().map(|h| h.0 * h.1).sum::<f64>() / time;
                        let expected = match function {
                            Function::Mean => mean,
                            Function::Min => held.iter().map(|h| h.0).fold(f64::MAX, f64::min),
                            Function::Max => held.iter().map(|h| h.0).fold(f64::MIN, f64::max),
                            Function::Sum(_) => mean * time,
                            Function::StdDev => {
                                let of = |h: &(f64, f64, bool)| (h.0 - mean).powi(2) * h.1;
                                (held.iter().map(of).sum::<f64>() / time).sqrt()
                            }
                            Function::Percentile(p) => {
                                let mut by = held.clone();
                                by.retain(|h| h.1 > 0.0);
                                by.sort_by(|a, b| a.0.total_cmp(&b.0));
                                let mut passed = 0.0;
                                let at = by.iter().find(|h| {
                                    passed += h.1;
                                    passed >= time * p / 100.0
                                });
                                at.or(by.last()).expect("something").0
                            }
                        };
                        prop_assert!((said - expected).abs() < 1e-7, "{function:?} {said} {expected}");
                        let weighed = held.iter().filter(|h| h.1 > 0.0).all(|h| h.2);
                        prop_assert_eq!(good, weighed && value.is_some_and(|v| v.1));
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }
}

#[test]
#[ignore = "a measurement, not a proof: time it in release"]
fn five_million_samples_of_a_mean_over_a_minute() {
    five_million("\"mean\"");
}

#[test]
#[ignore = "a measurement, not a proof: time it in release"]
fn five_million_samples_of_a_percentile_over_a_minute() {
    five_million("\"percentile\"\npercentile = 95");
}

fn five_million(function: &str) {
    let (table, rules) = compiled(
        site(1),
        &format!(
            "[[aggregate]]\nid = \"a\"\nselect = {{ tag = \"AT-1\" }}\nfunction = {function}\n\
                 window = \"60s\"\nh = {{ limit = 90 }}"
        ),
    );
    let mut rig = Rig::new(table, rules);
    let point = rig.table.find("AT-1").expect("it is there");
    for i in 0..5_000_000_i64 {
        let now = davy_points::Timestamp(crate::proof::script::BASE + i * S);
        let sample = davy_points::Sample {
            point,
            value: davy_points::Value::F64(50.0 + (i % 7) as f64 * 0.01),
            quality: davy_points::Quality::Good,
            source_time: now,
            offset_ns: 0,
            uncertainty_ns: 0,
            arrival_time: now,
            seq: i as u64,
        };
        rig.engine.handle(&crate::engine::Envelope {
            seq: i as u64,
            mono: davy_points::Mono((i * S) as u64),
            wall: now,
            input: crate::engine::Input::Sample(sample),
        });
        while rig.engine.poll().is_some() {}
    }
}
