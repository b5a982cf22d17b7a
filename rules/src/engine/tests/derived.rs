//! What all deriving kinds have in common: how their inputs are taken, their bounds, their records.

use davy_points::{PointTable, Quality};

use super::compiled;
use crate::language::RuleSet;
use crate::proof::plant;
use crate::proof::script::{Rig, check};

/// PV against a set point of 50: H 10, L -10, deadband 1.
fn deviation(more: &str) -> (PointTable, RuleSet) {
    compiled(
        plant::patient(&["PV"]),
        &format!(
            "[[deviation]]
             id = \"off\"
             select = {{ tag = \"PV\" }}
             sp = 50
             h = {{ limit = 10, priority = 3, deadband = 1 }}
             l = {{ limit = -10, priority = 3, deadband = 1 }}
             {more}"
        ),
    )
}

fn expression(when: &str, more: &str) -> (PointTable, RuleSet) {
    compiled(
        plant::patient(&["A", "B"]),
        &format!(
            "[[expression]]
             id = \"x\"
             select = {{ tag = \"A\" }}
             when = \"{when}\"
             {more}"
        ),
    )
}

/// 3.5, mirrored: enter at `v ≥ L`, leave at `v < L − db`; what stands on the bound stays.
#[test]
fn the_deadband_of_a_finding_acts_on_exit_only() {
    check(
        deviation(""),
        "0s PV=50
         1s PV=59.5
         2s PV=60
         3s PV=59
         4s PV=58.9
         5s PV=40.5
         6s PV=40
         7s PV=41
         8s PV=41.1",
        "2s off/PV/h NORMAL>UNACK condition
         4s off/PV/h UNACK>RTN_UNACK returned
         6s off/PV/l NORMAL>UNACK condition
         8s off/PV/l UNACK>RTN_UNACK returned",
    );
}

/// 3.4, 8.5: what a Bad sample says counts only under `use_value`, and raises only.
#[test]
fn a_bad_value_counts_only_where_the_rule_uses_it() {
    check(
        deviation(""),
        "0s PV=50
         1s PV=85 bad
         2s PV=85",
        "2s off/PV/h NORMAL>UNACK condition",
    );
    check(
        deviation("on_bad = \"use_value\""),
        "0s PV=50
         1s PV=85 bad
         1.5s PV=50 bad
         2s PV=50",
        "1s off/PV/h NORMAL>UNACK condition unknown
         2s off/PV/h UNACK>UNACK quality
         2s off/PV/h UNACK>RTN_UNACK returned",
    );
}

/// A record says how good the finding is, not how good the sample was that brought it.
#[test]
fn a_record_has_the_quality_of_its_finding() {
    let quality = |rig: &Rig, n: usize| rig.transitions[n].quality;
    // A true leg decides an OR, whatever the other is.
    let rig = check(
        expression("A > 5 || B > 5", ""),
        "0s A=1; B=1 uncertain
         1s A=9",
        "1s x/A/on NORMAL>UNACK condition",
    );
    assert_eq!(quality(&rig, 0), Quality::Good);
    let rig = check(
        expression("A > 5 || B > 5", ""),
        "0s B=1; A=9
         1s B=1 bad",
        "0s x/A/on NORMAL>UNACK condition",
    );
    assert_eq!(quality(&rig, 0), Quality::Good);
    // What decides is Uncertain, though the sample that brings it is Good.
    let rig = check(
        expression("A > 5 && B > 5", ""),
        "0s B=9 uncertain
         1s A=9",
        "1s x/A/on NORMAL>UNACK condition unknown",
    );
    assert_eq!(quality(&rig, 0), Quality::UncertainRange);
    // Every input is Good, and yet nothing can be said.
    let rig = check(
        expression("B / A > 2.0", ""),
        "0s A=1; B=10
         1s A=0
         2s A=1",
        "0s x/A/on NORMAL>UNACK condition
         1s x/A/on UNACK>UNACK quality unknown
         2s x/A/on UNACK>UNACK quality",
    );
    assert_eq!(quality(&rig, 1), Quality::UncertainLastUsable);
    assert_eq!(quality(&rig, 2), Quality::Good);
}

/// 8.19: a loss of view returns with the first thing that is known again by a Good sample.
#[test]
fn a_loss_of_view_of_a_derived_alarm_returns_when_it_is_known() {
    let rule = "gap_tolerance = \"1s\"
         on_delay = \"5s\"
         priority = 3";
    check(
        expression("A > 5 && B > 5", rule),
        "0s A=9; B=9
         1s B=9 bad
         5s tick
         6s A=9
         7s B=1 uncertain
         8s B=1",
        "3s quality/B/bad NORMAL>UNACK condition
         5s x/A/loss_of_view NORMAL>UNACK condition
         7s x/A/on NORMAL>UNACK condition unknown
         8s quality/B/bad UNACK>RTN_UNACK returned
         8s x/A/on UNACK>UNACK quality
         8s x/A/on UNACK>RTN_UNACK returned
         8s x/A/loss_of_view UNACK>RTN_UNACK returned",
    );
}

/// 3.4: policy `alarm` says which inputs are bad, as of when the first was, and returns when all
/// are Good.
#[test]
fn a_bad_input_is_an_alarm_where_the_rule_says_so() {
    let rig = check(
        expression("A > 5 && B > 5", "on_bad = \"alarm\""),
        "0s A=1; B=1
         1s B=1 bad
         1.2s A=1 bad
         1.4s B=1
         1.6s A=1 uncertain
         1.8s A=1",
        "1s x/A/bad NORMAL>UNACK condition
         1.8s x/A/bad UNACK>RTN_UNACK returned",
    );
    let text = &rig.transitions[0].text;
    assert!(text.contains('B') && !text.contains('、'), "{text}");
}

/// Section 2, restart: what a judge keeps is its own, not that of the rule's other subjects.
#[test]
fn every_subject_has_its_own_memory_over_a_restart() {
    check(
        compiled(
            plant::patient(&["XS-1", "XS-2"]),
            "[[count]]
             id = \"starts\"
             select = { tag = \"XS-*\" }
             when = \"XS_* > 0.5\"
             window = \"10m\"
             at_least = 3",
        ),
        "0s XS-1=0; XS-2=0
         1s XS-1=1
         2s XS-1=0
         3s XS-1=1
         4s XS-1=0
         5s restart
         6s XS-1=0; XS-2=0
         7s XS-2=1
         8s XS-1=1",
        "8s starts/XS-1/on NORMAL>UNACK condition",
    );
}
