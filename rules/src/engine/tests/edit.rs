//! Rules that are others after a restart than before (section 2, edits; 8.24).

use davy_points::{PointDef, Priority};

use super::{compiled, lt};
use crate::alarm::Label;
use crate::proof::plant;
use crate::proof::script::{Rig, check};

/// LT as it is after the edit.
fn edit(rig: &mut Rig, change: impl Fn(&mut PointDef), rules: &str) {
    let (table, rules) = super::ruled(change, rules);
    rig.table = table.into();
    rig.rules = rules.into();
}

/// A return whose off-delay the edit started has cause `rule_changed`, and still needs a Good
/// sample; one that the old limit would have given, too, is `returned`.
#[test]
fn a_limit_that_was_raised_returns_as_rule_changed() {
    for (value, cause) in [("85", "rule_changed"), ("50", "returned")] {
        let mut rig = check(
            lt(|_| {}),
            "0s LT=85
             1s ack table/LT/h",
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>ACKED ack",
        );
        edit(&mut rig, |p| p.limits.h = Some(88.0), "");
        rig.run(&format!(
            "2s restart
             3s LT={value} bad
             3.5s LT={value} uncertain
             4s LT={value}"
        ));
        assert_eq!(
            rig.lines().last().unwrap(),
            &format!("4s table/LT/h ACKED>NORMAL {cause}")
        );
        let returns = rig
            .lines()
            .iter()
            .filter(|l| l.contains(">NORMAL "))
            .count();
        assert!(returns >= 1);
    }
    // Once it was seen to hold under the new rule, the process returns it.
    let mut rig = check(
        lt(|_| {}),
        "0s LT=89",
        "0s table/LT/h NORMAL>UNACK condition",
    );
    edit(&mut rig, |p| p.limits.h = Some(88.0), "");
    rig.run(
        "1s restart
         2s LT=89
         3s LT=85",
    );
    assert_eq!(
        rig.lines().last().unwrap(),
        "3s table/LT/h UNACK>RTN_UNACK returned"
    );
}

/// A limit that is passed now and was not: the on-delay starts now; the activation has cause
/// `condition`. Acknowledgements are kept.
#[test]
fn a_limit_that_was_lowered_alarms() {
    let mut rig = check(lt(|_| {}), "0s LT=70", "");
    edit(
        &mut rig,
        |p| {
            p.limits.h = Some(60.0);
            p.on_delay = std::time::Duration::from_secs(2);
            p.priority = Priority::new(3);
        },
        "",
    );
    rig.run(
        "1s restart
         2s LT=70
         3s LT=70
         4s LT=70",
    );
    assert_eq!(rig.lines(), ["4s table/LT/h NORMAL>UNACK condition"]);
}

/// 8.24: a changed delay counts from the kept start.
#[test]
fn a_changed_delay_counts_from_the_kept_start() {
    let slow = |p: &mut PointDef| {
        p.on_delay = std::time::Duration::from_secs(60);
        p.stale_after = std::time::Duration::from_secs(100);
    };
    let mut rig = check(lt(slow), "1s LT=85\n 2s LT=85", "");
    edit(
        &mut rig,
        |p| {
            slow(p);
            p.on_delay = std::time::Duration::from_secs(4);
        },
        "",
    );
    rig.run(
        "3s restart
         3.5s LT=85
         6s tick",
    );
    assert_eq!(rig.lines(), ["5s table/LT/h NORMAL>UNACK condition"]);
}

/// A raised priority re-annunciates an active condition; a lowered one does not.
#[test]
fn a_raised_priority_is_seen_again() {
    for (before, after, lines) in [
        (
            3,
            1,
            vec![
                "2s table/LT/h ACKED>ACKED restart unknown",
                "2s table/LT/h ACKED>UNACK realarm unknown",
            ],
        ),
        (1, 3, vec!["2s table/LT/h ACKED>ACKED restart unknown"]),
    ] {
        let mut rig = check(
            lt(|p| p.priority = Priority::new(before)),
            "0s LT=85
             1s ack table/LT/h",
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>ACKED ack",
        );
        edit(&mut rig, |p| p.priority = Priority::new(after), "");
        rig.run("2s restart");
        assert_eq!(rig.lines()[2..], lines);
    }
}

/// HH goes while it masks H: H is exposed at once, though no sample comes.
#[test]
fn a_worse_level_that_is_gone_masks_nothing() {
    let mut rig = check(
        lt(|_| {}),
        "0s LT=95",
        "0s table/LT/hh NORMAL>UNACK condition
         0s table/LT/h NORMAL>UNACK condition masked",
    );
    edit(&mut rig, |p| p.limits.hh = None, "");
    rig.run("1s restart");
    assert_eq!(
        rig.lines()[2..],
        [
            "1s table/LT/hh UNACK>RTN_UNACK superseded",
            "1s table/LT/h UNACK>UNACK restart masked unknown",
            "1s table/LT/h UNACK>UNACK unmasked unknown",
        ]
    );
}

/// A rule of another kind is another alarm, whatever its name: the old one waits for a person.
#[test]
fn another_kind_under_the_same_name_supersedes() {
    let quality = "[[quality]]
        id = \"x\"
        select = { tag = \"LT\" }
        on_delay = \"1s\"";
    let mut rig = check(
        super::ruled(|_| {}, quality),
        "0s LT=1 bad
         1s tick",
        "0s table/LT/hh NORMAL>NORMAL quality unknown
         0s table/LT/h NORMAL>NORMAL quality unknown
         0s table/LT/ll NORMAL>NORMAL quality unknown
         0s table/LT/l NORMAL>NORMAL quality unknown
         1s x/LT/bad NORMAL>UNACK condition",
    );
    let first = rig.occurrence("x/LT/bad");
    edit(
        &mut rig,
        |_| {},
        "[[level]]
         id = \"x\"
         select = { tag = \"LT\" }
         on_bad = \"alarm\"",
    );
    for how in ["2s restart", "3s kill", "4s restart"] {
        rig.run(how);
        let open: Vec<_> = rig
            .engine
            .standing()
            .into_iter()
            .map(|s| s.last)
            .filter(|t| t.regions.after.open)
            .collect();
        assert_eq!(open.len(), 1, "{how}");
        assert_eq!(
            (&*open[0].occurrence, open[0].regions.after.label()),
            (&*first, Label::RtnUnack)
        );
    }
    // The new alarm of that name goes its own way, and both are there to be acknowledged.
    rig.run("5s LT=1 bad");
    let second = rig.occurrence("x/LT/bad");
    assert_ne!(first, second);
    rig.run("6s kill");
    rig.command_for(7_000_000_000, "ack", &first);
    rig.command_for(7_000_000_000, "ack", &second);
    assert!(
        rig.results.iter().all(|r| r.why.is_none()),
        "{:?}",
        rig.results
    );
    rig.run("8s kill");
    let open = rig
        .engine
        .standing()
        .into_iter()
        .filter(|s| s.last.regions.after.open);
    let open: Vec<_> = open.map(|s| s.last.occurrence.to_string()).collect();
    assert_eq!(open, [second]);
}

/// Whatever the rules are after a restart: what nobody had seen still waits for somebody.
#[test]
fn nothing_unseen_vanishes() {
    let before = "0s LT=95
        1s LT=85
        2s LT=95
        3s ack table/LT/h";
    for (change, rules) in [
        (
            (|p| p.limits = davy_points::Limits::default()) as fn(&mut PointDef),
            "",
        ),
        (|p| p.life = davy_points::Life::Planned, ""),
        (|p| p.life = davy_points::Life::Commissioning, ""),
        (|p| p.limits.hh = Some(99.0), ""),
        (|p| p.tag = "OTHER".into(), ""),
        (
            |_| {},
            "[[level]]\n id = \"new\"\n select = { tag = \"LT\" }",
        ),
    ] {
        let mut rig = check(
            lt(|_| {}),
            before,
            "0s table/LT/hh NORMAL>UNACK condition
             0s table/LT/h NORMAL>UNACK condition masked
             1s table/LT/hh UNACK>RTN_UNACK returned
             1s table/LT/h UNACK>UNACK unmasked
             2s table/LT/hh RTN_UNACK>UNACK condition
             2s table/LT/h UNACK>UNACK masked masked
             3s table/LT/h UNACK>ACKED ack masked",
        );
        let (table, rules) = super::ruled(change, rules);
        (rig.table, rig.rules) = (table.into(), rules.into());
        for how in ["4s restart", "5s kill", "6s restart"] {
            rig.run(how);
            let waits = rig.engine.standing().into_iter().any(|s| {
                &*s.last.alarm == "table/LT/hh"
                    && s.last.regions.after.open
                    && !s.last.regions.after.acked
            });
            assert!(waits, "{how}: {:#?}", rig.lines());
        }
        rig.run("7s ack table/LT/hh");
        assert_eq!(rig.results.last().unwrap().why, None);
    }
}

/// A source that is gone leaves its loss to a person, too.
#[test]
fn a_source_that_is_gone() {
    let mut rig = check(
        compiled(plant::table_of(&["A"]), ""),
        "0s A=1
         1s down",
        "1s source/plc/loss_of_view NORMAL>UNACK condition",
    );
    let mut table = davy_points::PointTable::new();
    let other = table.add_source(plant::source("other", false));
    let mut p = plant::point("A");
    p.source = other;
    table.add(p).unwrap();
    let (table, rules) = compiled(table, "");
    (rig.table, rig.rules) = (table.into(), rules.into());
    rig.run(
        "2s restart
         2.5s A=1
         3s ack source/plc/loss_of_view",
    );
    assert_eq!(
        rig.lines()[1..],
        [
            "2s source/plc/loss_of_view UNACK>RTN_UNACK superseded",
            "3s source/plc/loss_of_view RTN_UNACK>NORMAL ack",
        ]
    );
}
