//! Bypass of points for a bump test or a calibration (section 2, points).

use std::time::Duration;

use davy_points::{Life, Limits, PointDef, PointTable, Priority, Quality};

use super::{compiled, ruled};
use crate::proof::plant;
use crate::proof::script::{Rig, check};
use crate::ruleset::RuleSet;

/// LT without anything of priority 1, so that one person may test it.
fn calm(rules: &str) -> (PointTable, RuleSet) {
    ruled(ordinary, rules)
}

fn ordinary(p: &mut PointDef) {
    p.priority = Priority::new(3);
    p.stale_after = Duration::from_secs(1_000_000);
    p.area = "R1".into();
}

/// Three instruments of one level, each with H 80.
fn three(rules: &str) -> (PointTable, RuleSet) {
    let points = ["A", "B", "C"].map(|tag| {
        let mut p = plant::point(tag);
        p.limits = Limits {
            ll: None,
            l: None,
            h: Some(80.0),
            hh: None,
        };
        p.deadband = 1.0;
        ordinary(&mut p);
        p
    });
    compiled(plant::table(points), rules)
}

/// The whole of it: evaluated, listed, silent, marked; nothing returns; at the end what is active
/// asks for somebody.
#[test]
fn what_is_under_test_is_listed_sounds_nowhere_and_returns_nothing() {
    let rig = check(
        calm(""),
        "0s LT=50
         1s bypass LT 1h permit=P-7
         2s LT=85
         3s LT=50
         4s restore LT
         5s LT=50",
        "1s bypass/LT/on NORMAL>OUT_OF_SERVICE out_of_service
         2s table/LT/hh NORMAL>NORMAL quality test unknown
         2s table/LT/h NORMAL>NORMAL quality test unknown
         2s table/LT/ll NORMAL>NORMAL quality test unknown
         2s table/LT/l NORMAL>NORMAL quality test unknown
         2s table/LT/h NORMAL>UNACK condition test unknown silent
         4s bypass/LT/on OUT_OF_SERVICE>NORMAL in_service
         4s table/LT/h UNACK>UNACK realarm unknown
         5s table/LT/hh NORMAL>NORMAL quality
         5s table/LT/h UNACK>UNACK quality
         5s table/LT/ll NORMAL>NORMAL quality
         5s table/LT/l NORMAL>NORMAL quality
         5s table/LT/h UNACK>RTN_UNACK returned",
    );
    let stored: Vec<Quality> = rig.stored.iter().map(|(_, q)| *q).collect();
    assert_eq!(
        stored,
        [
            Quality::Good,
            Quality::UncertainTest,
            Quality::UncertainTest,
            Quality::Good
        ]
    );
    let raised = &rig.transitions[5];
    assert_eq!(raised.quality, Quality::UncertainTest);
    assert!(!raised.regions.after.audible);
    let begun = &rig.transitions[0];
    assert_eq!((&*begun.kind, begun.priority), ("bypass", Priority::LOW));
    assert_eq!(begun.actor.as_deref(), Some("shift-a"));
    assert_eq!(begun.reason.as_deref(), Some("loop check"));
    assert!(begun.text.contains("旁路测试：许可 P-7"), "{}", begun.text);
    let out = begun.regions.after.out_of_service.as_ref().unwrap();
    assert_eq!(out.permit, "P-7");
    assert_eq!(out.until.since(begun.recorded_at), 3_600_000_000_000);
    assert!(rig.transitions[7].regions.after.audible);
}

fn of(rig: &Rig, alarm: &str) -> Vec<String> {
    let wanted = |l: &&String| l.split(' ').nth(1) == Some(alarm);
    rig.lines().iter().filter(wanted).cloned().collect()
}

fn ran(plant: (PointTable, RuleSet), script: &str) -> Rig {
    let mut rig = Rig::new(plant.0, plant.1);
    rig.run(script);
    rig
}

/// What sounded falls silent with the test; an acknowledgement from before or of the test does not
/// stand for what is true after it (section 2, putting into service).
#[test]
fn after_a_test_what_is_active_is_asked_for_again() {
    let rig = ran(
        calm(""),
        "0s LT=85
         1s bypass LT 1h permit=P-7
         2s ack table/LT/h
         3s restore LT
         4s ack table/LT/h
         5s bypass LT 1h permit=P-8
         6s restore LT",
    );
    assert_eq!(
        of(&rig, "table/LT/h"),
        [
            "0s table/LT/h NORMAL>UNACK condition",
            "1s table/LT/h UNACK>UNACK silence test silent",
            "2s table/LT/h UNACK>ACKED ack test",
            "3s table/LT/h ACKED>UNACK realarm",
            "4s table/LT/h UNACK>ACKED ack",
            "6s table/LT/h ACKED>UNACK realarm",
        ]
    );
    let silenced = rig.transitions.iter().find(|t| t.seq == 3).unwrap();
    assert_eq!(silenced.actor.as_deref(), Some("shift-a"));
}

#[test]
fn several_alarms_of_one_test_are_asked_for_as_one_group() {
    let rig = ran(
        three(""),
        "0s A=50; B=50
         1s bypass A,B 1h permit=P-7
         2s A=85; B=85
         3s restore A,B",
    );
    let again: Vec<bool> = rig
        .transitions
        .iter()
        .filter(|t| t.cause == crate::alarm::Cause::Realarm)
        .map(|t| t.regions.after.audible)
        .collect();
    assert_eq!(again, [true, true]);
}

/// A permit, a reason, a deadline within a shift, a known point: all of them, or nothing happens.
#[test]
fn what_a_bypass_needs() {
    let rig = ran(
        calm(""),
        "0s LT=50
         1s bypass LT 1h
         1s bypass LT 1h permit=P-7 reason=
         1s bypass LT permit=P-7
         1s bypass LT 0s permit=P-7
         1s bypass LT 481m permit=P-7
         1s bypass LT,NO 1h permit=P-7
         1s bypass area:R2 1h permit=P-7
         1s bypass area: 1h permit=P-7
         1s bypass device:NO/1 1h permit=P-7
         1s bypass LT 1h permit=P-7 role=operator
         1s restore LT
         2s bypass LT 480m permit=P-7 role=engineer
         3s bypass LT 1h permit=P-7
         4s restore LT role=operator
         5s restore LT
         6s restore LT",
    );
    assert_eq!(
        rig.answers(),
        [
            "needs_permit",
            "needs_reason",
            "needs_deadline",
            "needs_deadline",
            "too_long",
            "unknown_point",
            "unknown_point",
            "unknown_point",
            "unknown_point",
            "forbidden",
            "not_applicable",
            "applied",
            "not_applicable",
            "forbidden",
            "applied",
            "not_applicable"
        ]
    );
    assert_eq!(
        rig.lines(),
        [
            "2s bypass/LT/on NORMAL>OUT_OF_SERVICE out_of_service",
            "5s bypass/LT/on OUT_OF_SERVICE>NORMAL in_service"
        ]
    );
}

/// A command without points says nothing.
#[test]
fn a_bypass_of_nothing_is_malformed() {
    let mut rig = ran(calm(""), "0s LT=50");
    let mut c = rig.plain(1_000_000_000, crate::alarm::Verb::Bypass);
    c.role = "engineer".to_owned();
    rig.give(1_000_000_000, crate::engine::Input::Command(Box::new(c)));
    assert_eq!(rig.answers(), ["malformed"]);
}

/// The record of a bypass is no alarm to be shelved or put into service: its verb is `restore`.
#[test]
fn the_record_of_a_bypass_takes_no_other_verb() {
    let rig = ran(
        calm(""),
        "0s LT=50
         1s bypass LT 1h permit=P-7
         2s in_service bypass/LT/on
         3s shelve bypass/LT/on 10m
         4s oos bypass/LT/on 1h permit=P-8",
    );
    assert_eq!(rig.answers()[1..], ["not_applicable"; 3]);
    assert_eq!(of(&rig, "bypass/LT/on").len(), 1);
}

/// A second person where the point guards priority 1, by itself or as an input of a rule.
#[test]
fn points_that_guard_priority_1_need_a_second_person() {
    let vote = "[[vote]]
         id = \"trip\"
         select = { tag = \"A\" }
         legs = [\"A\", \"B\"]
         of = 1
         above = 90
         priority = 1";
    for (plant, point) in [
        (ruled(|p| p.area = "R1".into(), ""), "LT"),
        (three(vote), "B"),
    ] {
        let rig = ran(
            plant,
            &format!(
                "0s bypass {point} 1h permit=P-7
                 1s bypass {point} 1h permit=P-7 second=shift-a
                 2s bypass {point} 1h permit=P-7 second=shift-b"
            ),
        );
        let needs = "needs_second_person";
        assert_eq!(rig.answers(), [needs, needs, "applied"], "{point}");
    }
    let rig = ran(three(vote), "0s bypass C 1h permit=P-7");
    assert_eq!(rig.answers(), ["applied"]);
}

/// At most eight at once; an area is one command, all of it or nothing.
#[test]
fn no_more_than_eight_points_at_once() {
    let points = (0..10).map(|n| {
        let mut p = plant::point(&format!("P{n}"));
        ordinary(&mut p);
        p.area = if n < 9 { "R1" } else { "R2" }.into();
        p
    });
    let rig = ran(
        compiled(plant::table(points), ""),
        "0s bypass area:R1 1h permit=P-7
         1s bypass P0,P1,P2,P3,P4,P5,P6,P6 1h permit=P-7
         2s bypass P7,P8 1h permit=P-7
         3s bypass area:R2 1h permit=P-7
         4s bypass P8 1h permit=P-7
         5s restore area:R1
         6s bypass P8 1h permit=P-7",
    );
    assert_eq!(
        rig.answers(),
        [
            "too_many", "applied", "too_many", "applied", "too_many", "applied", "applied"
        ]
    );
}

#[test]
fn a_device_is_bypassed_by_its_source_and_unit() {
    let plant = || {
        let points = [("A", 1), ("B", 1), ("C", 2)].map(|(tag, unit)| {
            let mut p = plant::point(tag);
            ordinary(&mut p);
            p.binding = davy_points::Binding::Modbus(davy_points::ModbusBinding {
                unit_id: unit,
                table: davy_points::ModbusTable::Input,
                address: 0,
                kind: davy_points::ModbusType::F32,
                order: davy_points::ByteOrder::Abcd,
                status: None,
            });
            p
        });
        compiled(plant::table(points), "")
    };
    let (table, _) = plant();
    let source = &*table.sources().next().unwrap().1.id;
    for (what, tags) in [
        (format!("device:{source}/1"), vec!["A", "B"]),
        (format!("device:{source}/2"), vec!["C"]),
        (format!("device:{source}"), vec!["A", "B", "C"]),
    ] {
        let rig = ran(plant(), &format!("0s bypass {what} 1h permit=P-7"));
        let made: Vec<String> = rig.transitions.iter().map(|t| t.tag.to_string()).collect();
        assert_eq!(made, tags, "{what}");
    }
}

/// The end by itself, on whichever clock comes first, with cause `expired` (8.22).
#[test]
fn a_bypass_ends_on_the_earlier_of_both_clocks() {
    let begun = "0s LT=50
         1s bypass LT 10m permit=P-7";
    for (then, end) in [
        ("700s tick", 601.0),
        ("2s step -3600s\n700s tick", 601.0 - 3600.0),
        ("2s step 3600s", 3602.0),
    ] {
        let rig = ran(calm(""), &format!("{begun}\n{then}"));
        assert_eq!(
            of(&rig, "bypass/LT/on")[1],
            format!("{end}s bypass/LT/on OUT_OF_SERVICE>NORMAL expired"),
            "{then}"
        );
    }
    // Nor does a clock that is set back in silence lengthen it.
    let mut rig = ran(calm(""), begun);
    rig.shift_wall(-3_600_000_000_000);
    rig.run("700s tick\n701s LT=50");
    assert_eq!(of(&rig, "bypass/LT/on").len(), 2);
    assert_eq!(rig.stored.last().unwrap().1, Quality::Good);
}

/// Alarms of rules that read the point, too; and a Good sample of another input returns nothing
/// while the test runs.
#[test]
fn rules_that_read_the_point_are_silent_and_return_nothing() {
    let rig = ran(
        three(
            "[[deviation]]
             id = \"apart\"
             select = { tag = \"A\" }
             sp = \"B\"
             h = { limit = 10, priority = 3 }",
        ),
        "0s A=50; B=50
         1s bypass B 1h permit=P-7
         2s B=20
         3s A=50
         4s B=50
         5s A=50
         6s restore B
         7s A=50
         8s B=50
         9s A=50",
    );
    let lines = of(&rig, "apart/A/h");
    let changes: Vec<&str> = lines.iter().map(|l| &**l).collect();
    assert_eq!(
        changes,
        [
            "2s apart/A/h NORMAL>UNACK condition test unknown silent",
            "6s apart/A/h UNACK>UNACK realarm unknown",
            "8s apart/A/h UNACK>UNACK quality",
            "8s apart/A/h UNACK>RTN_UNACK returned",
        ]
    );
}

/// One leg under test cannot make two out of three by itself: a real trip of the others sounds.
#[test]
fn one_leg_under_test_does_not_silence_a_vote() {
    let vote = || {
        three(
            "[[vote]]
             id = \"trip\"
             select = { tag = \"A\" }
             legs = [\"A\", \"B\", \"C\"]
             of = 2
             above = 90
             priority = 2",
        )
    };
    let sounds = |rig: &Rig| {
        let raised = rig.transitions.iter().find(|t| &*t.alarm == "trip/A/on");
        raised.map(|t| t.regions.after.audible)
    };
    let good = "0s A=50; B=50; C=50";
    let one = ran(
        vote(),
        &format!("{good}\n1s bypass A 1h permit=P-7\n2s A=95\n3s B=95; C=95"),
    );
    assert_eq!(sounds(&one), Some(true));
    let two = ran(
        vote(),
        &format!("{good}\n1s bypass A,B 1h permit=P-7\n2s A=95; B=95"),
    );
    assert_eq!(sounds(&two), Some(false));
    // And a vote that stands does not return because a leg is taken out of it.
    let stands = ran(
        vote(),
        &format!(
            "{good}\n1s A=95; B=95\n2s bypass A 1h permit=P-7\n3s A=50; B=50; C=50\n4s A=50; B=50; C=50"
        ),
    );
    let returned = |t: &&crate::alarm::Transition| t.cause == crate::alarm::Cause::Returned;
    let trip = stands
        .transitions
        .iter()
        .filter(|t| &*t.alarm == "trip/A/on");
    assert_eq!(trip.filter(returned).count(), 0);
}

/// `stale` and loss of view end with any sample otherwise: not with one of a test.
#[test]
fn a_test_ends_no_silence() {
    let silent = ruled(
        |p| {
            ordinary(p);
            p.stale_after = Duration::from_secs(5);
        },
        "",
    );
    let rig = ran(
        silent,
        "0s LT=50
         6s bypass LT 1h permit=P-7
         7s LT=50
         8s restore LT
         9s LT=50",
    );
    assert_eq!(
        of(&rig, "stale/LT/stale"),
        [
            "5s stale/LT/stale NORMAL>UNACK condition",
            "6s stale/LT/stale UNACK>UNACK silence test silent",
            "8s stale/LT/stale UNACK>UNACK realarm",
            "9s stale/LT/stale UNACK>RTN_UNACK returned"
        ]
    );
}

/// What was measured in a test and comes later is still of the test: stored with the mark, and no
/// proof of anything.
#[test]
fn what_was_measured_in_a_test_stays_marked_when_it_comes_late() {
    let script = "0s LT=50
         1s LT=85
         2s bypass LT 1h permit=P-7
         4s restore LT
         5s LT=50 at=3s";
    let mut rig = ran(calm(""), script);
    assert_eq!(rig.stored.last().unwrap().1, Quality::UncertainTest);
    let returned = |rig: &Rig| {
        of(rig, "table/LT/h")
            .iter()
            .any(|l| l.ends_with("returned"))
    };
    assert!(!returned(&rig));
    // Not even after a restart.
    rig.run("6s restart\n7s LT=50 at=3.5s");
    assert_eq!(rig.stored.last().unwrap().1, Quality::UncertainTest);
    assert!(!returned(&rig));
    rig.run("8s LT=50 at=4s");
    assert_eq!(rig.stored.last().unwrap().1, Quality::Good);
    rig.run("9s LT=50");
    assert!(returned(&rig));
}

/// A cause that is under test suppresses nothing.
#[test]
fn an_alarm_under_test_is_no_cause() {
    let rig = ran(
        three(
            "[[level]]
             id = \"fan\"
             select = { tag = \"A\" }
             h = { limit = 70, priority = 3 }
             [[level]]
             id = \"gas\"
             select = { tag = \"B\" }
             h = { limit = 60, priority = 3 }
             suppress = [ { alarm = \"fan/A/h\", cause = \"fan-off\", max = \"1h\" } ]",
        ),
        "0s A=50; B=50
         1s bypass A 1h permit=P-7
         2s A=75
         3s B=65",
    );
    assert!(
        of(&rig, "gas/B/h")
            .iter()
            .all(|l| !l.contains("SUPPRESSED"))
    );
    assert!(
        of(&rig, "gas/B/h")
            .last()
            .unwrap()
            .ends_with("NORMAL>UNACK condition")
    );
}

/// A trip in a test is none of the plant's; one that still stands after it is.
#[test]
fn a_trip_under_test_is_not_the_first() {
    let rig = ran(
        three(
            "[[level]]
             id = \"high\"
             select = { tag = \"*\" }
             chatter = false
             h = { limit = 70, priority = 3 }
             [[first_out]]
             id = \"esd\"
             alarms = [\"high/*/h\"]",
        ),
        "0s A=50; B=50
         1s bypass A 1h permit=P-7
         2s A=75
         3s B=75
         4s restore A",
    );
    let esd: Vec<(String, bool)> = rig
        .transitions
        .iter()
        .filter(|t| &*t.rule == "esd")
        .map(|t| (t.text.to_string(), t.regions.after.audible))
        .collect();
    assert!(esd[0].0.contains("首出 high/B/h") && esd[0].1, "{esd:?}");
    assert!(!esd[0].0.contains("high/A/h"), "{esd:?}");
    assert!(esd.last().unwrap().0.contains("high/A/h"), "{esd:?}");
}

/// A restart keeps a bypass, its permit and its end; what cannot be determined is restored.
#[test]
fn a_bypass_survives_a_restart_and_not_its_end() {
    let begun = "0s LT=50
         1s bypass LT 10m permit=P-7
         2s LT=85";
    for (then, lines) in [
        ("3s restart\n4s LT=50\n5s restore LT", vec!["5s in_service"]),
        // After the image: what the journal has since.
        ("2s image\n3s kill\n700s tick", vec!["601s expired"]),
        ("700s restart", vec!["700s expired"]),
        ("3s doubtful clock\n4s restart", vec!["4s in_service"]),
    ] {
        let rig = ran(calm(""), &format!("{begun}\n{then}"));
        let ends: Vec<String> = of(&rig, "bypass/LT/on")[1..]
            .iter()
            .map(|l| l.replace("bypass/LT/on OUT_OF_SERVICE>NORMAL ", ""))
            .collect();
        assert_eq!(ends, lines, "{then}");
        let last = of(&rig, "table/LT/h").last().unwrap().clone();
        assert!(last.contains("UNACK>UNACK realarm"), "{then}: {last}");
        let mark = |l: &String| l.contains(" returned");
        assert!(!of(&rig, "table/LT/h").iter().any(mark), "{then}");
    }
    // Killed before any image of it.
    let rig = ran(
        calm(""),
        "0s LT=50; image
         1s bypass LT 10m permit=P-7
         2s kill
         3s LT=85",
    );
    assert_eq!(rig.stored.last().unwrap().1, Quality::UncertainTest);
}

/// Over a reload a bypass follows the tag; where the point is gone its record says so.
#[test]
fn a_reload_moves_a_bypass_by_tag() {
    let mut rig = ran(
        three(""),
        "0s A=50; B=50; C=50
         1s bypass B 10m permit=P-7",
    );
    let only = |tags: &[&str]| {
        let (table, _) = three("");
        let points = table.iter().map(|(_, p)| p.clone());
        let kept: Vec<PointDef> = points.filter(|p| tags.contains(&&*p.tag)).collect();
        plant::table(kept.into_iter().rev())
    };
    rig.edit(only(&["B", "C"]), "");
    rig.run("2s reload\n3s B=85; C=85");
    let marks: Vec<&Quality> = rig.stored.iter().rev().take(2).map(|(_, q)| q).collect();
    assert_eq!(marks, [&Quality::Good, &Quality::UncertainTest]);
    let silent = of(&rig, "table/B/h");
    assert!(silent.last().unwrap().contains(" test "), "{silent:?}");
    rig.edit(only(&["C"]), "");
    rig.run("4s reload");
    assert_eq!(
        of(&rig, "bypass/B/on").last().unwrap(),
        "4s bypass/B/on OUT_OF_SERVICE>NORMAL superseded"
    );
    rig.edit(only(&["B", "C"]), "");
    rig.run("5s reload\n6s B=85");
    assert_eq!(rig.stored.last().unwrap().1, Quality::Good);
}

/// A point in commissioning asks for nobody, before a test or after it.
#[test]
fn commissioning_stays_silent_after_a_test() {
    let rig = ran(
        ruled(
            |p| {
                ordinary(p);
                p.life = Life::Commissioning;
            },
            "",
        ),
        "0s LT=85
         1s bypass LT 1h permit=P-7
         2s restore LT",
    );
    assert_eq!(of(&rig, "table/LT/h").len(), 1);
}
