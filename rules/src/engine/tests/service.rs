//! Suppression and out of service: rows 13 to 15, the decided readings 11, 14, 21, 22 and 25.

use std::time::Duration;

use davy_points::{PointDef, PointTable, Timestamp};

use super::ruled;
use crate::proof::script::{BASE, Rig, check};
use crate::ruleset::RuleSet;

fn patient(p: &mut PointDef) {
    p.stale_after = Duration::from_secs(1_000_000);
}

fn calm() -> (PointTable, RuleSet) {
    ruled(patient, "")
}

fn last(rig: &Rig) -> String {
    rig.lines().last().unwrap().clone()
}

/// A rule says of a cause that it is true (until when), or no longer, at this second.
fn cause(rig: &mut Rig, at: i64, alarm: &str, cause: &str, until: Option<i64>) {
    rig.run(&format!("{at}s tick"));
    let (table, rules) = (rig.table.clone(), rig.rules.clone());
    let a = rules.find(alarm, &table).unwrap();
    let m = rig.engine.at_deadline(a, rig.engine.now);
    let until = until.map(|s| Timestamp(BASE + s * 1_000_000_000));
    rig.engine.set_suppressed(a, cause, until, &m);
    rig.run(&format!("{at}s tick"));
}

/// Row 13: a person, with a cause, a reason and a deadline; row 15: leaving it, unacked sounds.
#[test]
fn suppression_silences_and_uncovers_what_is_underneath() {
    let rig = check(
        calm(),
        "0s LT=85
         1s suppress table/LT/h 2h cause=fan-off
         2s LT=50
         3s LT=85
         4s unsuppress table/LT/h cause=fan-off
         5s ack table/LT/h
         6s suppress table/LT/h 2h cause=fan-off
         7s unsuppress table/LT/h cause=fan-off",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SUPPRESSED suppress silent
         2s table/LT/h SUPPRESSED>SUPPRESSED returned silent
         3s table/LT/h SUPPRESSED>SUPPRESSED condition silent
         4s table/LT/h SUPPRESSED>UNACK unsuppress
         5s table/LT/h UNACK>ACKED ack
         6s table/LT/h ACKED>SUPPRESSED suppress
         7s table/LT/h SUPPRESSED>ACKED unsuppress",
    );
    assert!(rig.transitions[4].regions.after.audible);
    let after = &rig.transitions[1].regions.after;
    assert_eq!(after.suppressed, ["fan-off"]);
    let until = after.suppressed_until.unwrap();
    assert_eq!(
        until.since(rig.transitions[1].recorded_at),
        7_200_000_000_000
    );
}

/// Row 13: the maximum is mandatory; at its end it is over with cause `expired` (8.22), and what
/// was acked stays acked (row 15).
#[test]
fn suppression_ends_at_its_maximum() {
    let rig = check(
        calm(),
        "0s LT=85
         1s suppress table/LT/h cause=fan-off
         2s suppress table/LT/h 25h cause=fan-off
         3s suppress table/LT/h 1h
         4s suppress table/LT/h 1h cause=fan-off reason=
         5s suppress table/LT/h 1h cause=fan-off role=operator
         6s ack table/LT/h
         7s suppress table/LT/h 10s cause=fan-off
         8s suppress table/LT/h 10s cause=fan-off
         9s unsuppress table/LT/h cause=idle
         20s tick
         21s suppress table/LT/h 10s cause=fan-off",
        "0s table/LT/h NORMAL>UNACK condition
         6s table/LT/h UNACK>ACKED ack
         7s table/LT/h ACKED>SUPPRESSED suppress
         17s table/LT/h SUPPRESSED>ACKED expired
         21s table/LT/h ACKED>SUPPRESSED suppress",
    );
    assert_eq!(
        rig.answers(),
        [
            "needs_deadline",
            "too_long",
            "malformed",
            "needs_reason",
            "forbidden",
            "applied",
            "applied",
            "not_applicable",
            "not_applicable",
            "applied"
        ]
    );
}

/// Row 13: priority 1 and the second level of a gas alarm only by a named override, which two
/// people answer for.
#[test]
fn priority_1_and_second_gas_levels_need_a_named_override() {
    let gas = ruled(
        |p| {
            patient(p);
            p.class = "gas_toxic".into();
            p.priority = davy_points::Priority::new(2);
        },
        "",
    );
    for (plant, alarm, needs) in [
        (calm(), "table/LT/hh", true),
        (calm(), "table/LT/h", false),
        (gas.clone(), "table/LT/hh", true),
        (gas, "table/LT/h", false),
    ] {
        let mut rig = check(plant, "0s LT=50", "");
        rig.run(&format!(
            "1s suppress {alarm} 1h cause=esd
             2s unsuppress {alarm} cause=esd
             3s suppress {alarm} 1h cause=esd permit=O-12
             4s unsuppress {alarm} cause=esd
             5s suppress {alarm} 1h cause=esd permit=O-12 second=shift-a
             6s unsuppress {alarm} cause=esd
             7s suppress {alarm} 1h cause=esd permit=O-12 second=shift-b"
        ));
        let answers = rig.answers();
        if needs {
            assert_eq!(answers[0], "needs_permit");
            assert_eq!(answers[2], "needs_second_person");
            assert_eq!(answers[4], "needs_second_person");
        } else {
            assert_eq!(answers[0], "applied");
        }
        assert_eq!(answers[6], "applied", "{alarm}");
    }
}

/// 8.14: suppressed exactly while some cause is true and its `until` has not passed. A cause that
/// stays true has one maximum, however often it is said.
#[test]
fn suppressed_while_some_cause_is_true_and_within_its_time() {
    let mut rig = check(calm(), "0s LT=85", "0s table/LT/h NORMAL>UNACK condition");
    let h = "table/LT/h";
    cause(&mut rig, 1, h, "fan-off", Some(20));
    cause(&mut rig, 2, h, "idle", Some(10));
    assert_eq!(
        rig.transitions[2].regions.after.suppressed_until,
        Some(Timestamp(BASE + 20_000_000_000))
    );
    cause(&mut rig, 3, h, "fan-off", Some(40));
    cause(&mut rig, 12, h, "idle", Some(50));
    cause(&mut rig, 13, h, "idle", None);
    cause(&mut rig, 14, h, "idle", None);
    cause(&mut rig, 22, h, "fan-off", Some(60));
    cause(&mut rig, 23, h, "fan-off", None);
    cause(&mut rig, 24, h, "fan-off", Some(60));
    cause(&mut rig, 25, h, "fan-off", None);
    assert_eq!(
        rig.lines()[1..],
        [
            "1s table/LT/h UNACK>SUPPRESSED suppress silent",
            "2s table/LT/h SUPPRESSED>SUPPRESSED suppress silent",
            "10s table/LT/h SUPPRESSED>SUPPRESSED expired silent",
            "20s table/LT/h SUPPRESSED>UNACK expired",
            "24s table/LT/h UNACK>SUPPRESSED suppress silent",
            "25s table/LT/h SUPPRESSED>UNACK unsuppress",
        ]
    );
    // Nothing is left of it.
    rig.run("26s ack table/LT/h\n 27s LT=50");
    assert!(rig.engine.standing().is_empty());
    assert!(rig.engine.image().alarms.is_empty());
}

/// 8.21: causes are Unknown at start-up, so suppression ends; evaluated again it goes on, no longer
/// than before. A person's is not evaluated again.
#[test]
fn a_restart_ends_suppression_until_its_cause_is_evaluated_again() {
    let mut rig = check(calm(), "0s LT=85", "0s table/LT/h NORMAL>UNACK condition");
    cause(&mut rig, 1, "table/LT/h", "fan-off", Some(20));
    rig.run("2s restart");
    assert_eq!(
        rig.lines()[2..],
        [
            "2s table/LT/h SUPPRESSED>SUPPRESSED restart unknown silent",
            "2s table/LT/h SUPPRESSED>UNACK unsuppress unknown",
        ]
    );
    assert!(rig.transitions[3].regions.after.audible);
    cause(&mut rig, 3, "table/LT/h", "fan-off", Some(40));
    rig.run("30s tick");
    assert_eq!(
        rig.lines()[4..],
        [
            "3s table/LT/h UNACK>SUPPRESSED suppress unknown silent",
            "20s table/LT/h SUPPRESSED>UNACK expired unknown",
        ]
    );
    check(
        calm(),
        "0s LT=50
         1s suppress table/LT/h 2h cause=fan-off
         2s kill
         3s suppress table/LT/h 2h cause=fan-off",
        "1s table/LT/h NORMAL>SUPPRESSED suppress
         2s table/LT/h SUPPRESSED>SUPPRESSED restart unknown
         2s table/LT/h SUPPRESSED>NORMAL unsuppress unknown
         3s table/LT/h NORMAL>SUPPRESSED suppress unknown",
    );
}

/// 8.14: what ends when one of two causes ends is told by the record: the other's deadline.
#[test]
fn a_cause_that_ends_leaves_the_other_its_deadline() {
    let rig = check(
        calm(),
        "0s LT=85
         1s suppress table/LT/h 1h cause=fan-off
         2s suppress table/LT/h 2h cause=idle
         3s suppress table/LT/h 30m cause=wash
         4s unsuppress table/LT/h cause=idle
         5s step 1800s
         6s tick",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SUPPRESSED suppress silent
         2s table/LT/h SUPPRESSED>SUPPRESSED suppress silent
         3s table/LT/h SUPPRESSED>SUPPRESSED suppress silent
         4s table/LT/h SUPPRESSED>SUPPRESSED unsuppress silent
         1805s table/LT/h SUPPRESSED>SUPPRESSED expired silent",
    );
    let until: Vec<Option<i64>> = rig
        .transitions
        .iter()
        .map(|t| t.regions.after.suppressed_until)
        .map(|u| u.map(|u| (u.0 - BASE) / 1_000_000_000))
        .collect();
    assert_eq!(
        until,
        [
            None,
            Some(3601),
            Some(7202),
            Some(7202),
            Some(3601),
            Some(3601)
        ]
    );
}

/// Section 1: each thing that lies over an alarm has its own end on the wall clock.
#[test]
fn a_clock_step_ends_what_it_passes_and_nothing_else() {
    check(
        calm(),
        "0s LT=85
         1s oos table/LT/h 8h permit=P-7
         2s suppress table/LT/h 1h cause=fan-off
         3s step 3600s
         4s step 25199s
         5s tick",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>OUT_OF_SERVICE out_of_service silent
         2s table/LT/h OUT_OF_SERVICE>OUT_OF_SERVICE suppress silent
         3603s table/LT/h OUT_OF_SERVICE>OUT_OF_SERVICE expired silent
         28803s table/LT/h OUT_OF_SERVICE>UNACK expired",
    );
}

/// 8.14: the maximum of a cause that stays true is over for good, a restart or not.
#[test]
fn a_restart_gives_a_cause_no_second_maximum() {
    let mut rig = check(calm(), "0s LT=85", "0s table/LT/h NORMAL>UNACK condition");
    let h = "table/LT/h";
    cause(&mut rig, 1, h, "fan-off", Some(20));
    rig.run("21s LT=85\n 22s restart\n 23s LT=85");
    cause(&mut rig, 24, h, "fan-off", Some(60));
    assert_eq!(
        rig.lines()[1..],
        [
            "1s table/LT/h UNACK>SUPPRESSED suppress silent",
            "20s table/LT/h SUPPRESSED>UNACK expired",
            "22s table/LT/h UNACK>UNACK restart unknown",
            "23s table/LT/h UNACK>UNACK quality",
        ]
    );
    cause(&mut rig, 25, h, "fan-off", None);
    cause(&mut rig, 26, h, "fan-off", Some(60));
    assert_eq!(
        last(&rig),
        "26s table/LT/h UNACK>SUPPRESSED suppress silent"
    );
}

/// A rule's cause that a person ended begins again only after it was false.
#[test]
fn a_person_may_end_the_suppression_of_a_rule() {
    let mut rig = check(calm(), "0s LT=85", "0s table/LT/h NORMAL>UNACK condition");
    cause(&mut rig, 1, "table/LT/h", "fan-off", Some(100));
    rig.run("2s unsuppress table/LT/h cause=fan-off");
    assert_eq!(last(&rig), "2s table/LT/h SUPPRESSED>UNACK unsuppress");
    cause(&mut rig, 3, "table/LT/h", "fan-off", Some(100));
    assert_eq!(rig.transitions.len(), 3);
    cause(&mut rig, 4, "table/LT/h", "fan-off", None);
    cause(&mut rig, 5, "table/LT/h", "fan-off", Some(100));
    assert_eq!(last(&rig), "5s table/LT/h UNACK>SUPPRESSED suppress silent");
}

/// 3.8: what is suppressed or out of service masks nothing: the lesser level is annunciated, and
/// masked again when the worse one is back.
#[test]
fn what_is_suppressed_masks_nothing() {
    for (over, off, word, cause, back) in [
        (
            "suppress table/LT/hh 1h cause=esd permit=O-1 second=b",
            "unsuppress table/LT/hh cause=esd",
            "SUPPRESSED",
            "suppress",
            "unsuppress",
        ),
        (
            "oos table/LT/hh 1h permit=P-1 second=b",
            "in_service table/LT/hh",
            "OUT_OF_SERVICE",
            "out_of_service",
            "in_service",
        ),
    ] {
        let rig = check(
            calm(),
            &format!(
                "0s LT=95
                 1s {over}
                 2s {off}"
            ),
            &format!(
                "0s table/LT/hh NORMAL>UNACK condition
                 0s table/LT/h NORMAL>UNACK condition masked
                 1s table/LT/hh UNACK>{word} {cause} silent
                 1s table/LT/h UNACK>UNACK unmasked
                 2s table/LT/hh {word}>UNACK {back}
                 2s table/LT/h UNACK>UNACK masked masked"
            ),
        );
        assert!(rig.transitions[3].regions.after.audible);
        // HH that becomes active meanwhile makes H active, and H is heard (8.9, 3.8).
        let rig = check(
            calm(),
            &format!(
                "0s LT=50
                 1s {over}
                 2s LT=95
                 3s LT=85"
            ),
            &format!(
                "1s table/LT/hh NORMAL>{word} {cause}
                 2s table/LT/hh {word}>{word} condition silent
                 2s table/LT/h NORMAL>UNACK condition
                 3s table/LT/hh {word}>{word} returned silent"
            ),
        );
        assert!(rig.transitions[2].regions.after.audible);
    }
}

/// Row 14: a permit, a reason, a deadline; a second person for priority 1; a supervisor. Row 15:
/// leaving it with the condition true → UNACK, though it was acked.
#[test]
fn out_of_service_needs_a_permit_and_ends_unacked() {
    let rig = check(
        calm(),
        "0s LT=85
         1s oos table/LT/h 8h
         2s oos table/LT/h 8h permit=P-7 role=operator
         3s oos table/LT/h 8h permit=P-7 reason=
         4s oos table/LT/h 169h permit=P-7
         5s oos table/LT/h permit=P-7
         6s ack table/LT/h
         7s oos table/LT/h 8h permit=P-7
         8s oos table/LT/h 8h permit=P-8
         9s in_service table/LT/h role=operator
         10s in_service table/LT/h
         11s in_service table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition
         6s table/LT/h UNACK>ACKED ack
         7s table/LT/h ACKED>OUT_OF_SERVICE out_of_service
         10s table/LT/h OUT_OF_SERVICE>UNACK in_service",
    );
    assert_eq!(
        rig.answers(),
        [
            "needs_permit",
            "forbidden",
            "needs_reason",
            "too_long",
            "needs_deadline",
            "applied",
            "applied",
            "not_applicable",
            "forbidden",
            "applied",
            "not_applicable",
        ]
    );
    let out = rig.transitions[2].regions.after.out_of_service.clone();
    assert_eq!(out.unwrap().permit, "P-7");
    assert!(rig.transitions[3].regions.after.audible);
    let mut rig = check(calm(), "0s LT=50", "");
    rig.run(
        "1s oos table/LT/hh 8h permit=P-7
         2s oos table/LT/hh 8h permit=P-7 second=shift-a
         3s oos table/LT/hh 8h permit=P-7 second=shift-b",
    );
    assert_eq!(
        rig.answers(),
        ["needs_second_person", "needs_second_person", "applied"]
    );
}

/// Row 14: the maximum; both clocks; a restart.
#[test]
fn out_of_service_ends_at_its_deadline() {
    for (end, at) in [
        ("100s tick", "61"),
        ("30s step 40s", "70"),
        ("2s tick\n 100s restart", "100"),
    ] {
        let mut rig = check(
            calm(),
            "0s LT=85
             1s oos table/LT/h 60s permit=P-7",
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>OUT_OF_SERVICE out_of_service silent",
        );
        rig.run(end);
        let line = last(&rig);
        let start = format!("{at}s table/LT/h OUT_OF_SERVICE>UNACK expired");
        assert!(line.starts_with(&start), "{line}");
        assert!(rig.transitions.last().unwrap().regions.after.audible);
    }
    let mut rig = check(
        calm(),
        "0s LT=85
         1s oos table/LT/h 60s permit=P-7",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>OUT_OF_SERVICE out_of_service silent",
    );
    rig.run("2s doubtful clock\n 3s restart");
    assert_eq!(
        last(&rig),
        "3s table/LT/h OUT_OF_SERVICE>UNACK in_service unknown"
    );
}

/// 8.11: OUT_OF_SERVICE before SUPPRESSED before SHELVED; each ends by itself, and only when the
/// last is gone is the alarm heard.
#[test]
fn labels_lie_over_each_other() {
    let rig = check(
        calm(),
        "0s LT=85
         1s shelve table/LT/h 50m
         2s suppress table/LT/h 1h cause=idle
         3s oos table/LT/h 1h permit=P-7
         4s in_service table/LT/h
         5s unsuppress table/LT/h cause=idle
         6s LT=50
         7s LT=85
         8s unshelve table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         2s table/LT/h SHELVED>SUPPRESSED suppress silent
         3s table/LT/h SUPPRESSED>OUT_OF_SERVICE out_of_service silent
         4s table/LT/h OUT_OF_SERVICE>SUPPRESSED in_service silent
         5s table/LT/h SUPPRESSED>SHELVED unsuppress silent
         6s table/LT/h SHELVED>SHELVED returned silent
         7s table/LT/h SHELVED>SHELVED condition silent
         8s table/LT/h SHELVED>UNACK unshelve",
    );
    for t in &rig.transitions[1..8] {
        assert!(!t.regions.after.audible);
    }
    assert!(rig.transitions[8].regions.after.audible);
}

/// A point in commissioning is listed and makes no sound, whatever is released.
#[test]
fn commissioning_makes_no_sound() {
    let rig = check(
        ruled(
            |p| {
                patient(p);
                p.life = davy_points::Life::Commissioning;
            },
            "",
        ),
        "0s LT=85
         1s shelve table/LT/h 1m
         2s LT=50
         3s LT=85
         70s oos table/LT/h 1h permit=P-7
         71s in_service table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition silent
         1s table/LT/h UNACK>SHELVED shelve silent
         2s table/LT/h SHELVED>SHELVED returned silent
         3s table/LT/h SHELVED>SHELVED condition silent
         61s table/LT/h SHELVED>UNACK expired silent
         70s table/LT/h UNACK>OUT_OF_SERVICE out_of_service silent
         71s table/LT/h OUT_OF_SERVICE>UNACK in_service silent",
    );
    assert!(rig.transitions.iter().all(|t| !t.regions.after.audible));
}

/// A lost source whose alarm is out of service stands for nobody: its points speak for themselves.
#[test]
fn a_source_that_is_out_of_service_hides_no_point() {
    let mut rig = check(
        ruled(|_| {}, ""),
        "0s LT=50
         1s down",
        "1s table/LT/hh NORMAL>NORMAL quality unknown
         1s table/LT/h NORMAL>NORMAL quality unknown
         1s table/LT/ll NORMAL>NORMAL quality unknown
         1s table/LT/l NORMAL>NORMAL quality unknown
         1s source/plc/loss_of_view NORMAL>UNACK condition",
    );
    rig.run(
        "4s tick
         5s oos source/plc/loss_of_view 1h permit=P-7 second=b
         20s tick",
    );
    let stale: Vec<String> = rig
        .lines()
        .into_iter()
        .filter(|l| l.contains("stale/LT/stale"))
        .collect();
    assert_eq!(
        stale,
        [
            "3s stale/LT/stale NORMAL>UNACK condition masked",
            "8s stale/LT/stale UNACK>UNACK unmasked",
        ]
    );
}
