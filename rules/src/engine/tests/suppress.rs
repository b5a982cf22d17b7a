//! Suppression by design (section 2, row 13; 8.14, 8.21), as rules ask for it; and first-out.

use davy_points::{PointTable, Priority};

use super::compiled;
use crate::alarm::{Cause, Label};
use crate::language::compile;
use crate::proof::plant;
use crate::proof::script::{Rig, check};
use crate::ruleset::RuleSet;

/// PDT with L 20 of priority 2 and H 80; a fan XS beside it; LT with H 80.
fn dust(suppress: &str) -> (PointTable, RuleSet) {
    compiled(
        plant::patient(&["PDT-1", "XS-1", "LT"]),
        &dust_rules(suppress),
    )
}

fn dust_rules(suppress: &str) -> String {
    format!(
        "[[level]]
             id = \"dp\"
             select = {{ tag = \"PDT-*\" }}
             l = {{ limit = 20, priority = 2 }}
             h = {{ limit = 80, priority = 2 }}
             chatter = false
             suppress = [{suppress}]
             [[level]]
             id = \"tank\"
             select = {{ tag = \"LT\" }}
             h = {{ limit = 80, priority = 3 }}
             chatter = false"
    )
}

const FAN: &str = "{ while = \"XS_* == 0\", levels = [\"l\"], cause = \"fan-off\", max = \"10m\" }";

/// A fan that is off makes no pressure: evaluated and recorded, not annunciated. When it runs
/// again what is still low sounds (row 15).
#[test]
fn a_low_pressure_with_the_fan_off_is_suppressed() {
    let rig = check(
        dust(FAN),
        "0s XS-1=1; PDT-1=50; LT=50
         1s XS-1=0
         2s PDT-1=10
         3s XS-1=1
         4s PDT-1=50
         5s XS-1=0
         6s PDT-1=90",
        "1s dp/PDT-1/l NORMAL>SUPPRESSED suppress
         2s dp/PDT-1/l SUPPRESSED>SUPPRESSED condition silent
         3s dp/PDT-1/l SUPPRESSED>UNACK unsuppress
         4s dp/PDT-1/l UNACK>RTN_UNACK returned
         5s dp/PDT-1/l RTN_UNACK>SUPPRESSED suppress silent
         6s dp/PDT-1/h NORMAL>UNACK condition",
    );
    let after = &rig.transitions[0].regions.after;
    assert_eq!(after.suppressed, ["fan-off"]);
}

/// An Unknown cause never suppresses: Bad and Uncertain both end it at once.
#[test]
fn an_unknown_cause_suppresses_nothing() {
    check(
        dust(FAN),
        "0s PDT-1=50; LT=50; XS-1=0; PDT-1=10
         1s XS-1=0 uncertain
         2s XS-1=0
         3s down",
        "0s dp/PDT-1/l NORMAL>SUPPRESSED suppress
         0s dp/PDT-1/l SUPPRESSED>SUPPRESSED condition silent
         1s dp/PDT-1/l SUPPRESSED>UNACK unsuppress
         2s dp/PDT-1/l UNACK>SUPPRESSED suppress silent
         3s dp/PDT-1/h NORMAL>NORMAL quality unknown
         3s dp/PDT-1/l SUPPRESSED>SUPPRESSED quality unknown silent
         3s tank/LT/h NORMAL>NORMAL quality unknown
         3s dp/PDT-1/l SUPPRESSED>UNACK unsuppress unknown
         3s source/plc/loss_of_view NORMAL>UNACK condition",
    );
}

/// 8.14: it ends with its maximum though the cause goes on, and begins again only when the cause
/// was not true in between.
#[test]
fn suppression_has_an_end() {
    check(
        dust(FAN),
        "0s PDT-1=50; LT=50; XS-1=0
         1s PDT-1=10
         500s XS-1=0
         601s XS-1=0
         602s XS-1=1
         603s XS-1=0",
        "0s dp/PDT-1/l NORMAL>SUPPRESSED suppress
         1s dp/PDT-1/l SUPPRESSED>SUPPRESSED condition silent
         600s dp/PDT-1/l SUPPRESSED>UNACK expired
         603s dp/PDT-1/l UNACK>SUPPRESSED suppress silent",
    );
}

/// An alarm can be the cause; while it is Unknown it is none.
#[test]
fn an_alarm_suppresses_another() {
    check(
        dust("{ alarm = \"tank/LT/h\", cause = \"tank\", max = \"1h\" }"),
        "0s XS-1=0; PDT-1=50; LT=85
         1s PDT-1=10
         2s LT=50
         3s LT=85
         4s LT=85 uncertain",
        "0s tank/LT/h NORMAL>UNACK condition
         0s dp/PDT-1/h NORMAL>SUPPRESSED suppress
         0s dp/PDT-1/l NORMAL>SUPPRESSED suppress
         1s dp/PDT-1/l SUPPRESSED>SUPPRESSED condition silent
         2s tank/LT/h UNACK>RTN_UNACK returned
         2s dp/PDT-1/h SUPPRESSED>NORMAL unsuppress
         2s dp/PDT-1/l SUPPRESSED>UNACK unsuppress
         3s tank/LT/h RTN_UNACK>UNACK condition
         3s dp/PDT-1/h NORMAL>SUPPRESSED suppress
         3s dp/PDT-1/l UNACK>SUPPRESSED suppress silent
         4s tank/LT/h UNACK>UNACK quality unknown
         4s dp/PDT-1/h SUPPRESSED>NORMAL unsuppress
         4s dp/PDT-1/l SUPPRESSED>UNACK unsuppress",
    );
}

/// 8.21: causes are Unknown at start-up.
#[test]
fn a_restart_ends_suppression_until_its_cause_is_seen() {
    check(
        dust(FAN),
        "0s PDT-1=50; LT=50; XS-1=0; PDT-1=10
         1s restart
         2s XS-1=0",
        "0s dp/PDT-1/l NORMAL>SUPPRESSED suppress
         0s dp/PDT-1/l SUPPRESSED>SUPPRESSED condition silent
         1s dp/PDT-1/l SUPPRESSED>SUPPRESSED restart unknown silent
         1s dp/PDT-1/l SUPPRESSED>UNACK unsuppress unknown
         2s dp/PDT-1/l UNACK>SUPPRESSED suppress unknown silent",
    );
}

fn faults(rules: &str) -> Vec<String> {
    let table = plant::patient(&["PDT-1", "XS-1", "LT"]);
    let text = format!("schema = 1\n{rules}");
    let (set, faults) = compile(&[("rules/a.toml".into(), text)], &table, &[]);
    assert!(set.is_none() || faults.is_empty());
    faults
        .iter()
        .map(|d| format!("{} {} | {}", d.code, d.message, d.hint))
        .collect()
}

/// Priority 1 is suppressed only by a named override; a cause has a name, an end, and one reason.
#[test]
fn what_cannot_be_suppressed_and_how() {
    let rule = |level: &str, suppress: &str| {
        faults(&format!(
            "[[level]]\nid = \"dp\"\nselect = {{ tag = \"PDT-*\" }}\n{level}\nsuppress = [{suppress}]\n"
        ))
    };
    let one = "ll = { limit = 20, priority = 1 }";
    let said = rule(
        one,
        "{ while = \"XS_* == 0\", cause = \"fan-off\", max = \"10m\" }",
    );
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("dp/PDT-1/ll is priority 1"), "{said:?}");
    let named = "{ while = \"XS_* == 0\", cause = \"f\", max = \"10m\", override = \"MOC-7\" }";
    assert_eq!(rule(one, named), Vec::<String>::new());
    let two = "l = { limit = 20, priority = 2 }";
    for (suppress, wanted) in [
        (
            "{ while = \"XS_* == 0\", cause = \"f\" }",
            "`max` is missing",
        ),
        (
            "{ while = \"XS_* == 0\", max = \"1h\" }",
            "`cause` is missing",
        ),
        (
            "{ while = \"XS_* == 0\", cause = \"f\", max = \"30d\" }",
            "at most a week",
        ),
        ("{ cause = \"f\", max = \"1h\" }", "a condition or an alarm"),
        (
            "{ alarm = \"dp/PDT-9/l\", cause = \"f\", max = \"1h\" }",
            "there is no alarm",
        ),
        (
            "{ while = \"YS_* == 0\", cause = \"f\", max = \"1h\" }",
            "YS_1",
        ),
        (
            "{ while = \"XS_* == 0\", cause = \"f\", max = \"1h\", levels = [\"x\"] }",
            "no level",
        ),
    ] {
        let said = rule(two, suppress);
        assert!(
            said.iter().any(|s| s.contains(wanted)),
            "{suppress}: {said:?}"
        );
    }
}

/// Where alarms suppress each other nobody hears of any.
#[test]
fn suppression_has_no_cycles() {
    let rule = |id: &str, tag: &str, by: &str| {
        format!(
            "[[level]]\nid = \"{id}\"\nselect = {{ tag = \"{tag}\" }}\nh = {{ limit = 80, priority = 3 }}\n\
             suppress = [{{ alarm = \"{by}\", cause = \"{id}\", max = \"1h\" }}]\n"
        )
    };
    let ring = [
        rule("a", "LT", "b/PDT-1/h"),
        rule("b", "PDT-1", "c/XS-1/h"),
        rule("c", "XS-1", "a/LT/h"),
    ];
    let said = faults(&ring.concat());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("suppressed by itself, through others"),
        "{said:?}"
    );
    let chain = [rule("a", "LT", "b/PDT-1/h"), rule("b", "PDT-1", "c/XS-1/h")];
    let open = format!(
        "{}[[level]]\nid = \"c\"\nselect = {{ tag = \"XS-1\" }}\nh = {{ limit = 80, priority = 3 }}\n",
        chain.concat()
    );
    assert_eq!(faults(&open), Vec::<String>::new());
    let itself = faults(&rule("a", "LT", "a/LT/h"));
    assert_eq!(itself.len(), 1, "{itself:?}");
}

/// Two points of one group, H 80 of priority 2 with different delays.
fn group() -> (PointTable, RuleSet) {
    compiled(plant::patient(&["PT-1", "PT-2", "TT-9"]), TRIPS)
}

const TRIPS: &str = "[[level]]
         id = \"p\"
         select = { tag = \"PT-*\" }
         h = { limit = 80, priority = 2, on_delay = \"5s\" }
         chatter = false
         [[level]]
         id = \"t\"
         select = { tag = \"TT-9\" }
         h = { limit = 80, priority = 2 }
         chatter = false
         [[first_out]]
         id = \"trip\"
         group = \"K101\"
         alarms = [\"p/*/h\", \"t/*/h\"]";

fn words(rig: &Rig) -> Vec<String> {
    let own = rig.transitions.iter().filter(|t| &*t.rule == "trip");
    own.map(|t| t.text.to_string()).collect()
}

/// The earliest start of a condition is first, whatever was annunciated first; a late earlier
/// event amends.
#[test]
fn what_began_first_is_first_out() {
    let rig = check(
        group(),
        "0s PT-1=50; PT-2=50; TT-9=50
         1s PT-1=85
         5s TT-9=85
         7s tick",
        "5s t/TT-9/h NORMAL>UNACK condition
         5s trip/K101/on NORMAL>UNACK condition
         6s p/PT-1/h NORMAL>UNACK condition
         6s trip/K101/on UNACK>UNACK amended",
    );
    let said = words(&rig);
    assert_eq!(said[0], "联锁组 K101：首出 t/TT-9/h");
    assert_eq!(said[1], "联锁组 K101：首出 p/PT-1/h");
    assert_eq!(rig.transitions[1].priority, Priority::LOW);
}

/// Within the uncertainty of both polls it is a tie.
#[test]
fn what_cannot_be_told_apart_is_a_tie() {
    let rig = check(
        group(),
        "0s PT-1=50; PT-2=50; TT-9=50
         1s PT-1=85
         3s PT-2=85
         20s tick",
        "6s p/PT-1/h NORMAL>UNACK condition
         6s trip/K101/on NORMAL>UNACK condition
         8s p/PT-2/h NORMAL>UNACK condition
         8s trip/K101/on UNACK>UNACK amended",
    );
    let said = words(&rig);
    assert_eq!(said[1], "联锁组 K101：首出 p/PT-1/h，先后不可分 p/PT-2/h");
}

/// It stands, latched, until the group is reset; then the next alarm is the first. Shelved members
/// count and are marked.
#[test]
fn a_reset_clears_the_group() {
    let rig = check(
        group(),
        "0s PT-1=50; PT-2=50; TT-9=50
         1s TT-9=85
         10s TT-9=50
         11s ack trip/K101/on
         12s PT-1=85
         20s PT-1=50
         21s ack trip/K101/on
         22s reset trip/K101/on
         23s shelve p/PT-2/h 30m
         24s PT-2=85
         30s tick",
        "1s t/TT-9/h NORMAL>UNACK condition
         1s trip/K101/on NORMAL>UNACK condition
         10s t/TT-9/h UNACK>RTN_UNACK returned
         10s trip/K101/on UNACK>LATCH_UNACK returned
         11s trip/K101/on LATCH_UNACK>LATCH_ACK ack
         17s p/PT-1/h NORMAL>UNACK condition
         17s trip/K101/on LATCH_ACK>UNACK condition
         20s p/PT-1/h UNACK>RTN_UNACK returned
         20s trip/K101/on UNACK>LATCH_UNACK returned
         21s trip/K101/on LATCH_UNACK>LATCH_ACK ack
         22s trip/K101/on LATCH_ACK>NORMAL reset
         23s p/PT-2/h NORMAL>SHELVED shelve
         29s p/PT-2/h SHELVED>SHELVED condition silent
         29s trip/K101/on NORMAL>UNACK condition",
    );
    let said = words(&rig);
    assert_eq!(
        said[3], "联锁组 K101：首出 t/TT-9/h",
        "the group was not reset"
    );
    assert_eq!(
        said.last().map(String::as_str),
        Some("联锁组 K101：首出 p/PT-2/h（已搁置）")
    );
}

/// A group outlives a restart.
#[test]
fn a_restart_keeps_what_came_first() {
    let rig = check(
        group(),
        "0s PT-1=50; PT-2=50; TT-9=50
         1s TT-9=85
         2s restart
         3s PT-1=50; PT-2=50; TT-9=85
         4s PT-1=85
         10s tick",
        "1s t/TT-9/h NORMAL>UNACK condition
         1s trip/K101/on NORMAL>UNACK condition
         2s t/TT-9/h UNACK>UNACK restart unknown
         3s t/TT-9/h UNACK>UNACK quality
         9s p/PT-1/h NORMAL>UNACK condition",
    );
    assert_eq!(
        words(&rig).len(),
        1,
        "later members change nothing of what was said"
    );
}

/// Goes on with other rules and the same points.
fn reload(rig: &mut Rig, at: &str, rules: &str) {
    rig.edit(PointTable::clone(&rig.table.clone()), rules);
    rig.run(&format!("{at} reload"));
}

/// An edit asks the causes again: what is no cause any longer suppresses nothing, and a cause that
/// stays keeps the end that it had.
#[test]
fn an_edit_asks_the_causes_again() {
    let (table, rules) = dust(FAN);
    let mut rig = Rig::new(table, rules);
    rig.run(
        "0s PDT-1=50; LT=50; XS-1=0
         1s PDT-1=10",
    );
    let until = |rig: &Rig| {
        rig.transitions
            .last()
            .map(|t| t.regions.after.suppressed.clone())
    };
    assert_eq!(until(&rig), Some(vec!["fan-off".to_owned()]));
    reload(&mut rig, "5s", &dust_rules(&FAN.replace("10m", "20m")));
    rig.run("6s tick");
    assert_eq!(until(&rig), Some(vec!["fan-off".to_owned()]), "still so");
    reload(&mut rig, "7s", &dust_rules(""));
    let last = rig.transitions.last().expect("said");
    assert_eq!((last.cause, last.to), (Cause::Unsuppress, Label::Unack));
}

/// An edit of a trip group keeps what came first in it.
#[test]
fn an_edit_keeps_what_came_first() {
    let (table, rules) = group();
    let mut rig = Rig::new(table, rules);
    rig.run(
        "0s PT-1=50; PT-2=50; TT-9=50
         1s TT-9=85",
    );
    reload(&mut rig, "2s", TRIPS);
    rig.run(
        "4s PT-1=85
         10s tick",
    );
    assert_eq!(words(&rig), ["联锁组 K101：首出 t/TT-9/h"]);
}

/// 8.14: an edit that makes a condition false ends what it suppressed.
#[test]
fn a_condition_that_an_edit_made_false_suppresses_no_longer() {
    let mut rig = check(
        dust(FAN),
        "0s PDT-1=50; XS-1=0; PDT-1=10; LT=50",
        "0s dp/PDT-1/l NORMAL>SUPPRESSED suppress
         0s dp/PDT-1/l SUPPRESSED>SUPPRESSED condition silent",
    );
    let other = FAN.replace("== 0", "== 2");
    rig.edit(
        plant::patient(&["PDT-1", "XS-1", "LT"]),
        &dust_rules(&other),
    );
    rig.run("1s reload");
    assert_eq!(
        rig.lines()[2..],
        ["1s dp/PDT-1/l SUPPRESSED>UNACK unsuppress"]
    );
}

/// 8.14, 8.21: what was false after a restart has a maximum of its own when it is true again.
#[test]
fn a_cause_that_was_false_after_a_restart_suppresses_again() {
    check(
        dust(FAN),
        "0s PDT-1=50; LT=50; XS-1=0
         590s restart
         591s XS-1=1; PDT-1=50; LT=50
         620s XS-1=0",
        "0s dp/PDT-1/l NORMAL>SUPPRESSED suppress
         590s dp/PDT-1/l SUPPRESSED>SUPPRESSED restart unknown
         590s dp/PDT-1/l SUPPRESSED>NORMAL unsuppress unknown
         591s dp/PDT-1/l NORMAL>NORMAL quality
         620s dp/PDT-1/l NORMAL>SUPPRESSED suppress",
    );
}
