//! Limits by operating mode (section 4): the first mode that is true, the rule's own where none is,
//! the tightest where it is not known; a change is an edit.

use super::compiled;
use crate::proof::plant;
use crate::proof::script::{Rig, check};

const RULE: &str = "[[level]]
    id = \"tank\"
    select = { tag = \"LT-*\" }
    h = { limit = 80, deadband = 1 }
    hh = { limit = 95 }
    [[level.mode]]
    name = \"filling\"
    while = \"FT_* > 5\"
    h = { limit = 90, deadband = 1 }
    [[level.mode]]
    name = \"maintenance\"
    while = \"MT > 0\"
    h = { limit = 60, on_delay = \"2s\" }";

fn tank() -> (davy_points::PointTable, crate::ruleset::RuleSet) {
    compiled(plant::patient(&["LT-1", "FT-1", "MT"]), RULE)
}

/// The mode decides which limit is passed, and the record says which.
#[test]
fn the_first_true_mode_applies() {
    let rig = check(
        tank(),
        "0s FT-1=0; MT=0; LT-1=50
         1s FT-1=10
         2s LT-1=85
         3s LT-1=91
         4s FT-1=0; LT-1=91
         5s LT-1=70
         6s FT-1=10; MT=1; LT-1=70",
        "3s tank/LT-1/h NORMAL>UNACK condition
         5s tank/LT-1/h UNACK>RTN_UNACK returned",
    );
    let limits: Vec<_> = rig.transitions.iter().map(|t| t.limit).collect();
    assert_eq!(limits, [Some(90.0), Some(80.0)]);
}

/// Now true: its on-delay from now. Now false: nothing returns but by a Good sample.
#[test]
fn a_change_of_mode_is_an_edit() {
    check(
        tank(),
        "0s FT-1=0; MT=0; LT-1=70
         1s MT=1
         3s tick
         4s ack tank/LT-1/h
         5s MT=0
         6s LT-1=70 uncertain
         7s LT-1=70",
        "3s tank/LT-1/h NORMAL>UNACK condition
         4s tank/LT-1/h UNACK>ACKED ack
         6s tank/LT-1/hh NORMAL>NORMAL quality unknown
         6s tank/LT-1/h ACKED>ACKED quality unknown
         7s tank/LT-1/hh NORMAL>NORMAL quality
         7s tank/LT-1/h ACKED>ACKED quality
         7s tank/LT-1/h ACKED>NORMAL rule_changed",
    );
}

/// An Unknown mode before a true one: the tightest of each level, also at the start and when the
/// input is lost; a false one is none of them.
#[test]
fn an_unknown_mode_takes_the_tightest() {
    check(
        tank(),
        "0s FT-1=0; MT=0; LT-1=82
         1s MT=1 bad; LT-1=70
         3s tick",
        "0s tank/LT-1/h NORMAL>UNACK condition
         3s quality/MT/bad NORMAL>UNACK condition",
    );
    // The limit of maintenance, with the shorter delay of the rule's own: 70 is beyond it.
    let mut rig = Rig::new(tank().0, tank().1);
    rig.run("0s LT-1=70");
    assert_eq!(rig.lines(), ["0s tank/LT-1/h NORMAL>UNACK condition"]);
    // Now it is known that there is no maintenance.
    rig.run("1s FT-1=0; MT=0\n 2s LT-1=70");
    assert_eq!(
        rig.lines()[1..],
        ["2s tank/LT-1/h UNACK>RTN_UNACK rule_changed"]
    );
}

/// The quick path knows the limit in force.
#[test]
fn the_quick_path_goes_by_the_limit_in_force() {
    check(
        tank(),
        "0s FT-1=10; MT=0; LT-1=50
         1s LT-1=51
         2s LT-1=85
         3s FT-1=0
         4s LT-1=50
         5s LT-1=81",
        "3s tank/LT-1/h NORMAL>UNACK condition
         4s tank/LT-1/h UNACK>RTN_UNACK returned
         5s tank/LT-1/h RTN_UNACK>UNACK condition",
    );
}

/// The same over a ladder of a derived number.
#[test]
fn a_derived_number_has_modes_too() {
    check(
        compiled(
            plant::patient(&["PV", "SP", "MT"]),
            "[[deviation]]
             id = \"off\"
             select = { tag = \"PV\" }
             sp = \"SP\"
             h = { limit = 5 }
             [[deviation.mode]]
             name = \"start\"
             while = \"MT > 0\"
             h = { limit = 20 }",
        ),
        "0s MT=1; SP=50; PV=60
         1s MT=0
         2s MT=1
         3s PV=60",
        "1s off/PV/h NORMAL>UNACK condition
         3s off/PV/h UNACK>RTN_UNACK rule_changed",
    );
}

/// What a mode may not be.
#[test]
fn faults_of_modes() {
    let table = plant::table_of(&["LT", "FT"]);
    let faults = |mode: &str| {
        let text = format!(
            "schema = 1\n[[level]]\nid = \"x\"\nselect = {{ tag = \"LT\" }}\nh = {{ limit = 80 }}\n[[level.mode]]\n{mode}"
        );
        let (set, faults) = crate::language::compile(&[("a.toml".into(), text)], &table, &[]);
        assert!(set.is_none());
        faults.iter().map(|f| f.code).collect::<Vec<_>>()
    };
    assert_eq!(faults("name = \"a\"\nh = { limit = 1 }"), ["E302"]);
    assert_eq!(faults("name = \"a\"\nwhile = \"FT > 1\""), ["E315"]);
    assert_eq!(
        faults("name = \"a\"\nwhile = \"FT > 1\"\nhh = { limit = 90 }"),
        ["E315"]
    );
    assert_eq!(
        faults("name = \"a\"\nwhile = \"FT > 1\"\nh = { limit = 900 }"),
        ["E308"]
    );
}
