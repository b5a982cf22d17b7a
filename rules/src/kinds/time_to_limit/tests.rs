use std::fmt::Write as _;

use davy_points::{Limits, PointDef, PointTable, QualityClass};
use proptest::prelude::*;

use super::*;
use crate::kinds::trial::{ask, compiled, reading, refused};
use crate::proof::plant;
use crate::proof::script::Rig;
use crate::ruleset::RuleSet;

const S: i64 = 1_000_000_000;

fn site() -> PointTable {
    let lt = PointDef {
        limits: Limits {
            hh: Some(90.0),
            ll: Some(10.0),
            ..Limits::default()
        },
        stale_after: std::time::Duration::from_secs(3600),
        ..plant::point("LT-1")
    };
    let bare = PointDef {
        stale_after: std::time::Duration::from_secs(3600),
        ..plant::point("LT-2")
    };
    plant::table([lt, bare])
}

const RULE: &str = "[[time_to_limit]]
id = \"left\"
select = { tag = \"LT-1\" }
to = \"hh\"
below = \"10m\"
short = \"1m\"
long = \"5m\"
";

fn plant_of(rule: &str) -> (PointTable, RuleSet) {
    compiled(site(), rule)
}

/// A line every ten seconds.
fn level(seconds: std::ops::Range<i64>, of: impl Fn(f64) -> f64) -> String {
    let mut script = String::new();
    for t in seconds.step_by(10) {
        writeln!(script, "{t}s LT-1={:.6}", of(t as f64)).unwrap();
    }
    script
}

/// What the rule itself did; the limits of the point table have alarms of their own.
fn told(rule: &str, script: &str, expected: &[&str]) -> Rig {
    let (table, rules) = plant_of(rule);
    let mut rig = Rig::new(table, rules);
    rig.run(script);
    rig.transitions.retain(|t| t.alarm.starts_with("left/"));
    assert_eq!(rig.lines(), expected);
    rig
}

/// 0.05 m/s from 40 m: 90 m in 1000 s; 600 s are left at 400 s, 720 s at 280 s.
#[test]
fn it_warns_ten_minutes_ahead() {
    let rig = told(
        RULE,
        &level(0..450, |t| 40.0 + 0.05 * t),
        &["400s left/LT-1/on NORMAL>UNACK condition"],
    );
    assert_eq!(
        &*rig.transitions[0].text,
        "LT-1 到限时间 10.0 min（限值 10.0 min）：趋势 +180.00 m/h（R² 1.00），至 90 m"
    );
}

/// Alarm at T, clear above 1.2 T; in between neither. The earlier of the two estimates counts: when
/// the short window sees the fall (a line again at 460 s), the long one still rises, but to more than
/// 12 minutes; while the long one bends (500 to 630 s) nothing is known.
#[test]
fn it_clears_above_a_fifth_more() {
    let slow = |t: f64| 40.0 + 0.05 * t.min(410.0) + 0.045 * (t - 410.0).max(0.0);
    // 0.045 m/s from 60.5 m: 655 s are left at once by the short window: no return.
    told(
        RULE,
        &level(0..420, slow),
        &["400s left/LT-1/on NORMAL>UNACK condition"],
    );
    let fall = |t: f64| 40.0 + 0.05 * t.min(410.0) - 0.05 * (t - 410.0).max(0.0);
    told(
        RULE,
        &level(0..800, fall),
        &[
            "400s left/LT-1/on NORMAL>UNACK condition",
            "430s left/LT-1/on UNACK>UNACK quality unknown",
            "460s left/LT-1/on UNACK>UNACK quality",
            "460s left/LT-1/on UNACK>RTN_UNACK returned",
            "500s left/LT-1/on RTN_UNACK>RTN_UNACK quality unknown",
            "630s left/LT-1/on RTN_UNACK>RTN_UNACK quality",
        ],
    );
}

/// A level that no longer moves has no line: Unknown, and the alarm stands. A gauge that has
/// stuck looks the same.
#[test]
fn standing_still_is_no_clear() {
    let stop = |t: f64| 40.0 + 0.05 * t.min(410.0);
    told(
        RULE,
        &level(0..1500, stop),
        &[
            "400s left/LT-1/on NORMAL>UNACK condition",
            "450s left/LT-1/on UNACK>UNACK quality unknown",
        ],
    );
    // Unless the rule says what counts as still: then a value that does not move is known.
    told(
        &format!("{RULE}still = 1\n"),
        &level(0..1500, stop),
        &[
            "400s left/LT-1/on NORMAL>UNACK condition",
            "450s left/LT-1/on UNACK>UNACK quality unknown",
            "470s left/LT-1/on UNACK>UNACK quality",
            "490s left/LT-1/on UNACK>RTN_UNACK returned",
            "590s left/LT-1/on RTN_UNACK>RTN_UNACK quality unknown",
            "710s left/LT-1/on RTN_UNACK>RTN_UNACK quality",
        ],
    );
}

/// Never across Bad: after it the windows begin anew, and what stood stands.
#[test]
fn a_gap_begins_anew_and_returns_nothing() {
    let script = level(0..420, |t| 40.0 + 0.05 * t)
        + "425s LT-1=none bad\n"
        + &level(430..520, |t| 60.0 - 0.05 * (t - 430.0));
    told(
        RULE,
        &script,
        &[
            "400s left/LT-1/on NORMAL>UNACK condition",
            "425s left/LT-1/on UNACK>UNACK quality unknown",
        ],
    );
}

/// In volume: a sphere that is nearly full narrows, so less time is left than its level says.
#[test]
fn a_sphere_fills_faster_at_the_top() {
    let of = |shape: &str| {
        let (_, rules) = compiled(site(), &format!("{RULE}{shape}"));
        let mut judge = rules.instances[0].settings.judge();
        let mut said = Finding::Unknown;
        // A constant flow of 1000 m³ a minute into a sphere of 100 m.
        let sphere = Volume::of(
            geometry_of("sphere = { diameter = 100 }").as_ref(),
            &plant::point("LT-1"),
            &(0..0),
            &mut Faults {
                file: std::path::Path::new("a"),
                source: "",
                all: &mut Vec::new(),
            },
        )
        .expect("a sphere");
        for t in 0..40 {
            let level = sphere.value_at(460_000.0 + 1000.0 * f64::from(t) / 6.0);
            said = ask(
                &mut *judge,
                0,
                &reading(i64::from(t) * 10 * S, Some(level), QualityClass::Good),
            );
        }
        match said {
            Finding::Band {
                value, good: true, ..
            } => value,
            other => panic!("{other:?}"),
        }
    };
    // 508 938 m³ at 90 m; 466 500 m³ after 390 s: 42.4 minutes.
    let volume = of("sphere = { diameter = 100 }");
    assert!((volume - 42.438).abs() < 0.01, "{volume}");
    let linear = of("");
    assert!(linear > 48.0, "{linear}");
}

fn geometry_of(text: &str) -> Option<(crate::kinds::geometry::Shape, Span)> {
    let (document, _) = toml::de::DeTable::parse_recoverable(text);
    let mut keys = Keys::new(document.get_ref(), 0..0);
    let mut all = Vec::new();
    let mut f = Faults {
        file: std::path::Path::new("a"),
        source: text,
        all: &mut all,
    };
    geometry::read(&mut keys, &mut f)
}

/// Downwards to a limit of the table; at the limit no time is left.
#[test]
fn a_vessel_that_empties() {
    let rule = RULE.replace("\"hh\"", "\"ll\"");
    let rig = told(
        &rule,
        "0s LT-1=10.5\n1s LT-1=10",
        &["1s left/LT-1/on NORMAL>UNACK condition"],
    );
    assert_eq!(
        &*rig.transitions[0].text,
        "LT-1 到限时间 0.0 min（限值 10.0 min）：已达 10 m"
    );
    told(
        &rule,
        &level(0..410, |t| 60.0 - 0.05 * t),
        &["400s left/LT-1/on NORMAL>UNACK condition"],
    );
}

#[test]
fn faults() {
    refused(
        &site(),
        "[[time_to_limit]]
id = \"a\"
select = { tag = \"LT-*\" }
to = 5
below = \"0s\"
short = \"5m\"
long = \"5m\"
r2 = 1
[[time_to_limit]]
id = \"b\"
select = { tag = \"LT-*\" }
to = \"hh\"
below = \"5m\"
short = \"1m\"
long = \"5m\"
[[time_to_limit]]
id = \"c\"
select = { tag = \"LT-1\" }
to = \"hhh\"
below = \"5m\"
short = \"1m\"
",
        &[
            "E302 2:1 [[[time_to_limit]]] `direction` is missing | give \"up\" where the limit lies above, \"down\" where it lies below",
            "E310 6:9 [\"0s\"] `below` is zero | give the time that is too short, like \"20m\"",
            "E311 8:8 [\"5m\"] `long` is not longer than `short` | the short window sees a change soon, the long one sees through noise",
            "E311 9:6 [1] `r2` is 1, not between 0 and 1 | give the least share of the movement that a straight line must explain, like 0.7",
            "E315 13:6 [\"hh\"] LT-2 has no HH in the point table | fill column HH, or give `to` a number",
            "E316 20:6 [\"hhh\"] `to` cannot be \"hhh\" | did you mean \"hh\"? It is one of: ll, l, h, hh",
            "E302 17:1 [[[time_to_limit]]] `long` is missing | give the steady window, like \"30m\"",
        ],
    );
}

/// One window from scratch: minutes, or nothing.
fn naive(samples: &[(i64, f64)], window: i64, limit: f64) -> Option<f64> {
    let (newest, last) = *samples.last()?;
    let inside: Vec<_> = samples.iter().filter(|s| s.0 >= newest - window).collect();
    let n = inside.len() as f64;
    if inside.len() < 3 || (newest - inside[0].0) * 5 < window * 3 {
        return None;
    }
    let x = |s: &(i64, f64)| (s.0 - newest) as f64;
    let (mx, my) = (
        inside.iter().map(|s| x(s)).sum::<f64>() / n,
        inside.iter().map(|s| s.1).sum::<f64>() / n,
    );
    let xx: f64 = inside.iter().map(|s| (x(s) - mx).powi(2)).sum();
    let xy: f64 = inside.iter().map(|s| (x(s) - mx) * (s.1 - my)).sum();
    let yy: f64 = inside.iter().map(|s| (s.1 - my).powi(2)).sum();
    if yy < 1e-9 || xy * xy / (xx * yy) < 0.7 {
        return None;
    }
    let slope = xy / xx;
    Some(
        if slope > 0.0 {
            (limit - last) / slope / 60.0
        } else {
            LONGEST
        }
        .min(LONGEST),
    )
}

proptest! {
    /// Against least squares in two passes: the earlier of two estimates; what is Unknown in one
    /// window clears nothing, and neither does Uncertain (3.1).
    #[test]
    fn the_earlier_estimate_holds(
        series in prop::collection::vec((1..8_i64, 0..100_i32, 0..20), 3..120)
    ) {
        let (_, rules) = plant_of(RULE);
        let mut judge = rules.instances[0].settings.judge();
        let (mut t, mut v) = (0, 40.0_f64);
        let mut all: Vec<(i64, f64)> = Vec::new();
        let mut uncertain = i64::MIN / 2;
        for (dt, step, what) in series {
            t += dt;
            v = (v + f64::from(step - 45) / 40.0).clamp(5.0, 85.0);
            let (value, class) = match what {
                0 => (None, QualityClass::Bad),
                1 => (Some(v), QualityClass::Uncertain),
                _ => (Some(v), QualityClass::Good),
            };
            let said = ask(&mut *judge, 0, &reading(t * S, value, class));
            match value {
                None => all.clear(),
                Some(v) => all.push((t, v)),
            }
            if what == 1 {
                uncertain = t;
            }
            let (short, long) = (naive(&all, 60, 90.0), naive(&all, 300, 90.0));
            let earlier = [short, long].into_iter().flatten().min_by(f64::total_cmp);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * b.abs().max(1.0);
            match (said, earlier) {
                (Finding::Unknown, None) => {}
                (Finding::Band { value, enters, leaves, good }, Some(m)) => {
                    prop_assert!(near(value, m), "{value} {m}");
                    prop_assert!(near(m, 10.0) || enters == (m <= 10.0));
                    prop_assert!(near(m, 12.0) || leaves == (m > 12.0));
                    prop_assert_eq!(good, short.is_some() && long.is_some() && uncertain < t - 300);
                }
                (said, m) => {
                    // A fit at the floor to the last bit is either.
                    prop_assert!(false, "{said:?} {m:?}");
                }
            }
        }
    }
}
