use std::time::Duration;

use davy_points::{PointDef, PointTable, QualityClass};
use proptest::prelude::*;

use super::*;
use crate::kinds::trial::{compiled, reading, refused};
use crate::proof::plant;
use crate::proof::script::Rig;

const S: i64 = 1_000_000_000;

/// A pump and the flow that must follow it.
fn site() -> PointTable {
    let point = |tag: &str, unit: &str| PointDef {
        unit: unit.into(),
        stale_after: Duration::from_secs(3600),
        ..plant::point(tag)
    };
    plant::table([point("XS-1", ""), point("FT-1", "m³/h")])
}

fn rule(alarm_on: &str) -> String {
    format!(
        "[[sequence]]
id = \"s\"
select = {{ tag = \"XS-*\" }}
first = \"XS_*\"
then = \"FT_* > 5\"
within = \"10s\"
alarm_on = \"{alarm_on}\"
"
    )
}

fn told(alarm_on: &str, script: &str, expected: &str) -> Rig {
    let (table, rules) = compiled(site(), &rule(alarm_on));
    let mut rig = Rig::new(table, rules);
    rig.run(script);
    rig.transitions.retain(|t| t.alarm.starts_with("s/"));
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(rig.lines(), expected, "{script}");
    rig
}

/// A and no B within T: by the timer, at its own deadline; B ends it, late as it is.
#[test]
fn what_must_follow_and_does_not() {
    let rig = told(
        "missing",
        "0s XS-1=0; FT-1=0
         2s XS-1=1
         30s tick
         31s FT-1=6",
        "12s s/XS-1/on NORMAL>UNACK condition
         31s s/XS-1/on UNACK>RTN_UNACK returned",
    );
    assert_eq!(
        &*rig.transitions[0].text,
        "XS-1 未按时跟随：XS_* 后 10 s 内未见 FT_* > 5"
    );
    // In time; and it need not last.
    told(
        "missing",
        "0s XS-1=0; FT-1=0
         2s XS-1=1
         11.9s FT-1=6
         12s FT-1=0
         60s tick",
        "",
    );
}

/// The touch of a button is enough: `first` that ends before T is followed up all the same; one
/// that ends afterwards ends the alarm, for what should have followed is no longer wanted.
#[test]
fn a_first_that_ends() {
    told(
        "missing",
        "0s XS-1=0; FT-1=0
         2s XS-1=1
         3s XS-1=0
         20s FT-1=0
         21s FT-1=6",
        "12s s/XS-1/on NORMAL>UNACK condition
         21s s/XS-1/on UNACK>RTN_UNACK returned",
    );
    told(
        "missing",
        "0s XS-1=0; FT-1=0
         2s XS-1=1
         13s XS-1=1 uncertain
         14s XS-1=0 uncertain
         15s XS-1=0",
        "12s s/XS-1/on NORMAL>UNACK condition
         15s s/XS-1/on UNACK>RTN_UNACK returned",
    );
}

/// On when the rule begins counts as an event: it must be followed all the same.
#[test]
fn a_first_sample_that_is_true_must_be_followed() {
    told(
        "missing",
        "0s XS-1=1; FT-1=0
         20s tick",
        "10s s/XS-1/on NORMAL>UNACK condition",
    );
}

/// Unknown at the deadline neither raises nor clears; what is known next decides. A doubtful B
/// satisfies nothing, a doubtful absence raises (3.1).
#[test]
fn an_unknown_then_decides_when_it_is_known() {
    let start = "0s XS-1=0; FT-1=0\n2s XS-1=1\n5s FT-1=none bad\n20s tick\n";
    told("missing", &format!("{start}21s FT-1=6"), "");
    told(
        "missing",
        &format!("{start}21s FT-1=0"),
        "21s s/XS-1/on NORMAL>UNACK condition",
    );
    told(
        "missing",
        "0s XS-1=0; FT-1=0
         2s XS-1=1
         5s FT-1=6 uncertain
         13s FT-1=0 uncertain
         14s FT-1=none bad
         15s FT-1=0
         16s FT-1=6",
        "13s s/XS-1/on NORMAL>UNACK condition unknown
         16s s/XS-1/on UNACK>UNACK quality
         16s s/XS-1/on UNACK>RTN_UNACK returned",
    );
}

/// The delay goes on over a restart, also where it ends while the process is away.
#[test]
fn the_delay_survives_a_restart() {
    told(
        "missing",
        "0s XS-1=0; FT-1=0
         2s XS-1=1
         3s XS-1=0
         4s restart
         5s XS-1=0; FT-1=0
         20s tick",
        "12s s/XS-1/on NORMAL>UNACK condition",
    );
    told(
        "missing",
        "0s XS-1=0; FT-1=0
         2s XS-1=1
         3s tick
         15s restart
         16s XS-1=1; FT-1=0
         17s FT-1=0",
        "16s s/XS-1/on NORMAL>UNACK condition",
    );
}

/// A step of the wall clock moves no delay (1).
#[test]
fn a_step_of_the_clock_moves_nothing() {
    told(
        "missing",
        "0s XS-1=0; FT-1=0
         2s XS-1=1
         3s step 3600s
         11s FT-1=0
         20s tick",
        "3612s s/XS-1/on NORMAL>UNACK condition",
    );
}

/// A then B within T, T included; B ends it. B without A, or too late, or first, is in order.
#[test]
fn what_must_not_follow_and_does() {
    let rig = told(
        "order",
        "0s XS-1=0; FT-1=0
         1s FT-1=6
         2s XS-1=1
         3s FT-1=0
         12s FT-1=6
         14s FT-1=0
         15s FT-1=6",
        "12s s/XS-1/on NORMAL>UNACK condition
         14s s/XS-1/on UNACK>RTN_UNACK returned",
    );
    assert_eq!(
        &*rig.transitions[0].text,
        "XS-1 顺序异常：XS_* 后 10 s 内 FT_* > 5"
    );
}

/// While B is Unknown what stood stands; A that is older by its own time is the earlier, whatever
/// arrives first.
#[test]
fn order_goes_by_the_time_of_the_event() {
    told(
        "order",
        "0s XS-1=0; FT-1=0
         2s FT-1=6
         2.5s XS-1=1 at=1.5s
         3s FT-1=none bad
         4s FT-1=6
         5s FT-1=0",
        "2.5s s/XS-1/on NORMAL>UNACK condition
         3s s/XS-1/on UNACK>UNACK quality unknown
         4s s/XS-1/on UNACK>UNACK quality
         5s s/XS-1/on UNACK>RTN_UNACK returned",
    );
}

#[test]
fn faults() {
    refused(
        &site(),
        "[[sequence]]
id = \"a\"
select = { tag = \"XS-1\" }
first = \"XS_1\"
alarm_on = \"never\"
[[sequence]]
id = \"b\"
select = { tag = \"XS-1\" }
first = \"XS_2\"
then = \"true\"
within = \"0s\"
",
        &[
            "E302 2:1 [[[sequence]]] `then` is missing | give a condition, like \"XS_101 == 1\"",
            "E302 2:1 [[[sequence]]] `within` is missing | give the time between the two, like \"30s\"",
            "E316 6:12 [\"never\"] `alarm_on` cannot be \"never\" | one of: order, missing",
            "E310 12:10 [\"0s\"] `within` is zero | give the time between the two, like \"30s\"",
            "E302 7:1 [[[sequence]]] `alarm_on` is missing | give \"missing\" where `then` must follow, \"order\" where it must not",
            "E313 10:10 [XS_2] no point is called `XS_2` | did you mean `XS_1`? Write - and . of a tag as _",
            "E341 11:8 [\"true\"] this reads no point: it could never change | name a tag, with - and . written as _",
        ],
    );
}

proptest! {
    /// `missing` against a search from scratch, over gaps, Bad and equal times, asked at every
    /// deadline: an event of A with no B known in [A, A + T], and B known false after it.
    #[test]
    fn missing_agrees_with_a_search_from_scratch(
        series in prop::collection::vec(
            (0..6_i64, 0..2_usize, prop::sample::select(vec![Some(false), Some(true), Some(false), None])),
            1..80,
        )
    ) {
        let (_, rules) = compiled(site(), &rule("missing"));
        let mut judge = rules.instances[0].settings.judge();
        // States over time: when, A, B.
        let mut states: Vec<(i64, Option<bool>, Option<bool>)> = vec![(i64::MIN, None, None)];
        let mut t = 0;
        let mut wrong = false;
        for (after, slot, value) in series {
            let next = t + after;
            // What a timer says on the way.
            if let Some(due) = judge.wake().filter(|due| *due > t * S && *due <= next * S) {
                judge.say(Now { time: due, at: due });
            }
            t = next;
            let r = reading(t * S, value.map(|b| if b { 10.0 } else { 0.0 }), QualityClass::Good);
            judge.take(slot, &r);
            let said = judge.say(Now { time: r.time, at: r.at });
            let (_, a, b) = *states.last().expect("one");
            states.push(match slot {
                0 => (t, value, b),
                _ => (t, a, value),
            });
            wrong = search(&states, t);
            let (_, _, b) = *states.last().expect("one");
            match said {
                Finding::Truth { holds, .. } => prop_assert_eq!(holds, wrong, "{:?}", states),
                // Unknown only where it may be so: B is not known, or A is not.
                _ => prop_assert!(b.is_none() || states.last().expect("one").1.is_none()),
            }
        }
        let _ = wrong;
    }
}

/// Walks second by second, knowing all states.
fn search(states: &[(i64, Option<bool>, Option<bool>)], end: i64) -> bool {
    let (mut was, mut waiting, mut wrong) = (None, None::<i64>, false);
    let (mut a, mut b) = (None, None);
    let mut n = 1;
    for t in 0..=end {
        // At one instant the timer comes first (8.2).
        if waiting.is_some_and(|w| t >= w + 10) && b == Some(false) {
            (wrong, waiting) = (true, None);
        }
        while n < states.len() && states[n].0 == t {
            (a, b) = (states[n].1, states[n].2);
            let began = a == Some(true) && was != Some(true);
            let ended = a == Some(false) && was == Some(true);
            was = a.or(was);
            if b == Some(true) {
                (wrong, waiting) = (false, None);
            } else if began && !wrong && waiting.is_none() {
                waiting = Some(t);
            } else if ended {
                wrong = false;
            }
            if waiting.is_some_and(|w| t >= w + 10) && b == Some(false) {
                (wrong, waiting) = (true, None);
            }
            n += 1;
        }
    }
    let _ = a;
    wrong
}
