//! Kind `stuck` (section 4; 8.16).

use davy_points::PointTable;

use super::compiled;
use crate::proof::plant;
use crate::proof::script::{Rig, check};
use crate::ruleset::RuleSet;

/// LT with H 80, FT beside it; LT stuck by 0.1 over 3 s while FT > 5.
fn tank(witness: &str) -> (PointTable, RuleSet) {
    let mut lt = plant::point("LT");
    lt.limits.h = Some(80.0);
    let ft = plant::point("FT-1");
    compiled(
        plant::table([lt, ft]),
        &format!(
            "[[stuck]]
             id = \"frozen\"
             select = {{ tag = \"LT\" }}
             epsilon = 0.1
             window = \"3s\"
             {witness}"
        ),
    )
}

const WHILE: &str = "while = \"abs(FT_1) > 5\"";

fn codes(rig: &Rig, tag: &str) -> Vec<u8> {
    rig.stored
        .iter()
        .filter(|(t, _)| t == tag)
        .map(|(_, q)| q.code())
        .collect()
}

/// Witness true over the whole window, value within epsilon: stuck. Its samples are Uncertain
/// from then on, its other rules Unknown; movement on Good data returns it.
#[test]
fn a_frozen_gauge_while_something_flows() {
    let rig = check(
        tank(WHILE),
        "0s FT-1=10; LT=85
         1s FT-1=10; LT=85.05
         2s FT-1=10; LT=85
         3s FT-1=10; LT=85
         4s FT-1=10; LT=50.05
         5s FT-1=10; LT=50",
        "0s table/LT/h NORMAL>UNACK condition
         3s frozen/LT/on NORMAL>UNACK condition
         3s table/LT/h UNACK>UNACK quality unknown
         4s frozen/LT/on UNACK>RTN_UNACK returned
         4s table/LT/h UNACK>UNACK quality
         4s table/LT/h UNACK>RTN_UNACK returned",
    );
    assert_eq!(codes(&rig, "LT"), [192, 192, 192, 68, 192, 192]);
    assert_eq!(&*rig.transitions[1].text, "LT 卡滞，停在 85.0 m");
    let text = &rig.transitions[3].text;
    assert!(!text.contains("见证"), "{text}: it moved");
}

/// A false witness anywhere in the window gives false.
#[test]
fn nothing_flows_nothing_is_stuck() {
    let rig = check(
        tank(WHILE),
        "0s FT-1=10; LT=50
         1s FT-1=10; LT=50
         2s FT-1=0; LT=50
         3s FT-1=10; LT=50
         4s FT-1=10; LT=50
         5s FT-1=10; LT=50
         6s FT-1=10; LT=50
         7s FT-1=0; LT=50",
        "6s frozen/LT/on NORMAL>UNACK condition
         6s table/LT/h NORMAL>NORMAL quality unknown
         7s frozen/LT/on UNACK>RTN_UNACK returned
         7s table/LT/h NORMAL>NORMAL quality",
    );
    let text = &rig.transitions[2].text;
    assert!(text.contains("见证不再成立，未见测量值变动"), "{text}");
}

/// Movement in the window gives false; a value that creeps by less than epsilon in all is still.
#[test]
fn movement_is_measured_over_the_window() {
    check(
        tank("while = \"true\""),
        "0s LT=50; FT-1=0
         1s LT=50.06; FT-1=0
         2s LT=50.12; FT-1=0
         3s LT=50.18; FT-1=0
         4s LT=50.18; FT-1=0
         5s LT=50.18; FT-1=0
         6s LT=50.18; FT-1=0",
        "5s frozen/LT/on NORMAL>UNACK condition
         5s table/LT/h NORMAL>NORMAL quality unknown",
    );
}

/// An Unknown witness gives `stuck suspected` after 2 W, and so does none.
#[test]
fn stuck_is_suspected_where_no_witness_speaks() {
    for (witness, ft) in [(WHILE, "FT-1=10 bad"), ("", "FT-1=0")] {
        let script: String = (0..=7).map(|t| format!("{t}s {ft}; LT=50\n")).collect();
        let (table, rules) = tank(witness);
        let mut rig = Rig::new(table, rules);
        rig.run(&script);
        let stuck: Vec<String> = rig
            .lines()
            .into_iter()
            .filter(|l| l.contains("frozen"))
            .collect();
        assert_eq!(stuck, ["6s frozen/LT/on NORMAL>UNACK condition"]);
        let t = rig
            .transitions
            .iter()
            .find(|t| &*t.rule == "frozen")
            .unwrap();
        assert_eq!(&*t.text, "LT 疑似卡滞，停在 50.0 m");
    }
}

/// 3.12, 8.16: the window must be covered by Good samples; silence and Bad are no stillness.
#[test]
fn what_was_not_seen_was_not_still() {
    let (table, rules) = tank("while = \"true\"");
    let mut rig = Rig::new(table, rules);
    rig.run(
        "0s LT=50
         1s LT=50 bad
         2s LT=50
         3s LT=50
         4s LT=50
         5s LT=50",
    );
    let lines: Vec<String> = rig
        .lines()
        .into_iter()
        .filter(|l| l.contains("frozen"))
        .collect();
    assert_eq!(lines, ["5s frozen/LT/on NORMAL>UNACK condition"]);
}

/// 3.3, 8.4: neither Bad data nor a restart returns a stuck alarm, and its rules stay Unknown.
#[test]
fn a_stuck_alarm_stands_until_movement_is_seen() {
    let (table, rules) = tank("while = \"true\"");
    let mut rig = Rig::new(table, rules);
    rig.run(
        "0s LT=85
         1s LT=85
         2s LT=85
         3s LT=85
         4s LT=50 bad
         5s restart
         6s LT=50
         7s LT=50",
    );
    assert_eq!(
        rig.lines(),
        [
            "0s table/LT/h NORMAL>UNACK condition",
            "3s frozen/LT/on NORMAL>UNACK condition",
            "3s table/LT/h UNACK>UNACK quality unknown",
            "3s stale/FT-1/stale NORMAL>UNACK condition masked",
            "3s stale/FT-1/stale UNACK>UNACK unmasked",
            "6s quality/LT/bad NORMAL>UNACK condition masked",
            "6s quality/LT/bad UNACK>NORMAL returned",
        ]
    );
    rig.run("8s LT=51");
    let last = rig.lines().pop().unwrap();
    assert_eq!(last, "8s table/LT/h UNACK>RTN_UNACK returned");
}

/// A clock step proves nothing about a value: the window begins again.
#[test]
fn a_clock_step_is_no_window() {
    let (table, rules) = tank("while = \"true\"");
    let mut rig = Rig::new(table, rules);
    rig.run(
        "0s LT=50
         1s LT=50
         1.5s step 3600s
         2s LT=50
         3s LT=50
         4s LT=50",
    );
    assert!(rig.lines().iter().all(|l| !l.contains("frozen")));
    rig.run("5s LT=50");
    assert!(rig.lines().iter().any(|l| l.contains("frozen")));
}

/// One rule for a class of gauges: each has the witness that its `*` stands for.
#[test]
fn each_gauge_has_the_feed_of_its_own_tank() {
    let points = ["LT-1A", "LT-2A", "FT-1", "FT-2"].map(plant::point);
    let rules = compiled(
        plant::table(points),
        "[[stuck]]
         id = \"frozen\"
         select = { tag = \"LT-*A\" }
         epsilon = 0.1
         window = \"2s\"
         while = \"abs(FT_*) > 5\"",
    );
    let (table, set) = &rules;
    let rev = |name| set.rule_rev(set.alarm(set.find(name, table).expect("an alarm")), table);
    assert_ne!(rev("frozen/LT-1A/on"), rev("frozen/LT-2A/on"));
    check(
        rules,
        "0s FT-1=0; FT-2=10; LT-1A=50; LT-2A=50
         1s FT-1=0; FT-2=10; LT-1A=50; LT-2A=50
         2s FT-1=0; FT-2=10; LT-1A=50; LT-2A=50
         3s FT-1=10; FT-2=0; LT-1A=50; LT-2A=50
         4s FT-1=10; FT-2=0; LT-1A=50; LT-2A=50
         5s FT-1=10; FT-2=0; LT-1A=50; LT-2A=50",
        "2s frozen/LT-2A/on NORMAL>UNACK condition
         3s frozen/LT-2A/on UNACK>RTN_UNACK returned
         5s frozen/LT-1A/on NORMAL>UNACK condition",
    );
}
