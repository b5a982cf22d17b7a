//! Shelving: rows 11 and 12, the decided readings 12, 22, 24 and 25.

use std::time::Duration;

use davy_points::{PointDef, PointTable, Priority};

use super::{compiled, ruled};
use crate::alarm::{Label, Shelve};
use crate::proof::plant;
use crate::proof::script::{Rig, check};
use crate::ruleset::RuleSet;

/// LT, silent for days without being stale.
fn calm() -> (PointTable, RuleSet) {
    calm_with("")
}

fn calm_with(rules: &str) -> (PointTable, RuleSet) {
    ruled(patient, rules)
}

fn patient(p: &mut PointDef) {
    p.stale_after = Duration::from_secs(1_000_000);
}

fn last(rig: &Rig) -> String {
    rig.lines().last().unwrap().clone()
}

/// Row 11: a shelf silences one alarm until its deadline; row 12: then, with the condition true, it
/// is UNACK and sounds, though it was acknowledged before.
#[test]
fn a_shelf_ends_at_its_deadline_and_the_alarm_asks_again() {
    let rig = check(
        calm(),
        "0s LT=85
         1s ack table/LT/h
         2s shelve table/LT/h 30m
         1801s tick
         1803s tick",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>ACKED ack
         2s table/LT/h ACKED>SHELVED shelve
         1802s table/LT/h SHELVED>UNACK expired",
    );
    let shelved = &rig.transitions[2];
    assert_eq!(shelved.actor.as_deref(), Some("shift-a"));
    assert_eq!(shelved.reason.as_deref(), Some("loop check"));
    let until = shelved.regions.after.shelved.unwrap().until();
    assert_eq!(until.since(shelved.recorded_at), 1_800_000_000_000);
    assert!(rig.transitions[3].regions.after.audible);
    assert_eq!(rig.transitions[3].actor, None);
}

/// Row 12: what is no longer active keeps its label underneath, and makes no sound (8.25).
#[test]
fn an_expired_shelf_uncovers_what_lies_underneath() {
    let rig = check(
        calm(),
        "0s LT=85
         1s shelve table/LT/h 10m
         2s LT=50
         700s tick",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         2s table/LT/h SHELVED>SHELVED returned silent
         601s table/LT/h SHELVED>RTN_UNACK expired silent",
    );
    assert!(!rig.transitions[3].regions.after.audible);
    // At rest: NORMAL, and nothing stands.
    let rig = check(
        calm(),
        "0s LT=50
         1s shelve table/LT/h 10m
         700s LT=50",
        "1s table/LT/h NORMAL>SHELVED shelve
         601s table/LT/h SHELVED>NORMAL expired",
    );
    assert!(rig.engine.standing().is_empty());
}

/// Row 11: 60, 240, 720 minutes for priorities 2, 3, 4; 8.12: in (0, max]; priority 1 and loss of
/// view cannot be shelved; a shelf is never moved.
#[test]
fn a_shelf_has_bounds() {
    for (priority, longest) in [(2, 60), (3, 240), (4, 720)] {
        let mut rig = check(
            ruled(
                |p| {
                    patient(p);
                    p.priority = Priority::new(priority);
                },
                "",
            ),
            "0s LT=50",
            "",
        );
        let beyond = longest * 60 + 1;
        rig.run(&format!(
            "1s shelve table/LT/h {beyond}s
             2s shelve table/LT/h 0s
             3s shelve table/LT/h -5s
             4s shelve table/LT/h
             5s shelve table/LT/h {longest}m reason=
             6s shelve table/LT/h {longest}m
             7s shelve table/LT/h 1m
             8s one_shot table/LT/h 1m"
        ));
        assert_eq!(
            rig.answers(),
            [
                "too_long",
                "needs_deadline",
                "needs_deadline",
                "needs_deadline",
                "needs_reason",
                "applied",
                "already_shelved",
                "already_shelved",
            ],
            "priority {priority}"
        );
    }
    let mut rig = check(calm(), "0s LT=50", "");
    rig.run(
        "1s shelve table/LT/hh 1m
         2s one_shot table/LT/hh 1m
         3s shelve source/plc/loss_of_view 1m
         4s shelve table/LT/hhh 1m
         5s unshelve table/LT/h
         6s health journal bad
         7s shelve system/journal/on 1m",
    );
    assert_eq!(
        rig.answers(),
        [
            "not_shelvable",
            "not_shelvable",
            "not_shelvable",
            "unknown_alarm",
            "not_applicable",
            "not_shelvable",
        ]
    );
}

/// Row 11, 3.8: a shelf of H covers H alone; HH is annunciated, and H is masked beneath it.
#[test]
fn a_shelf_never_covers_a_worse_level() {
    let rig = check(
        calm(),
        "0s LT=85
         1s shelve table/LT/h 30m
         2s LT=95
         3s ack table/LT/hh
         4s LT=85
         5s unshelve table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         2s table/LT/hh NORMAL>UNACK condition
         2s table/LT/h SHELVED>SHELVED masked masked
         3s table/LT/hh UNACK>ACKED ack
         4s table/LT/hh ACKED>NORMAL returned
         4s table/LT/h SHELVED>SHELVED unmasked silent
         5s table/LT/h SHELVED>ACKED unshelve",
    );
    assert!(rig.transitions[2].regions.after.audible);
}

/// Row 12: taken down by hand it is ACKED where the occurrence is the one that was shelved: whoever
/// takes it down sees what was put up.
#[test]
fn taken_down_by_hand_the_same_occurrence_is_acked() {
    check(
        calm(),
        "0s LT=85
         1s shelve table/LT/h 30m
         2s unshelve table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         2s table/LT/h SHELVED>ACKED unshelve",
    );
    // An acknowledgement that was taken back underneath asks for the alarm again.
    let rig = check(
        calm(),
        "0s LT=85
         1s ack table/LT/h
         2s shelve table/LT/h 30m
         3s un_ack table/LT/h
         4s unshelve table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>ACKED ack
         2s table/LT/h ACKED>SHELVED shelve
         3s table/LT/h SHELVED>SHELVED un_ack silent
         4s table/LT/h SHELVED>UNACK unshelve",
    );
    assert!(rig.transitions[4].regions.after.audible);
}

/// Row 12: onto a newer occurrence it is UNACK and sounds; 8.25: where that was acknowledged
/// underneath, it keeps that. 8.11: what activates on a shelf is silent, listed and unacked.
#[test]
fn taken_down_onto_a_newer_occurrence_it_is_as_it_lies_underneath() {
    for (ack, end) in [
        ("", "UNACK unshelve"),
        ("4s ack table/LT/h", "ACKED unshelve"),
    ] {
        let mut rig = check(
            calm(),
            "0s LT=85
             1s ack table/LT/h
             2s shelve table/LT/h 30m
             2.5s LT=50
             3s LT=85",
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>ACKED ack
             2s table/LT/h ACKED>SHELVED shelve
             2.5s table/LT/h SHELVED>SHELVED returned
             3s table/LT/h SHELVED>SHELVED condition silent",
        );
        let occurrence = rig.transitions[4].occurrence.clone();
        let listed = |rig: &Rig| {
            let s = rig.engine.standing();
            s.iter().any(|s| s.last.occurrence == occurrence)
        };
        assert!(listed(&rig));
        rig.run(ack);
        rig.run("5s unshelve table/LT/h");
        assert_eq!(last(&rig), format!("5s table/LT/h SHELVED>{end}"));
        let sounds = rig.transitions.last().unwrap().regions.after.audible;
        assert_eq!(sounds, ack.is_empty());
    }
    // Shelved while nothing stood: whatever stands now is newer.
    check(
        calm(),
        "0s LT=50
         1s shelve table/LT/h 30m
         2s LT=85
         3s unshelve table/LT/h",
        "1s table/LT/h NORMAL>SHELVED shelve
         2s table/LT/h SHELVED>SHELVED condition silent
         3s table/LT/h SHELVED>UNACK unshelve",
    );
}

/// Row 12: what expires in one instant is one annunciation; an instant apart it is not.
#[test]
fn what_expires_at_once_is_released_as_one() {
    let mut a = plant::point("A");
    patient(&mut a);
    a.limits.h = Some(80.0);
    let mut b = a.clone();
    b.tag = "B".into();
    let mut c = a.clone();
    c.tag = "C".into();
    check(
        compiled(plant::table([a, b, c]), ""),
        "0s A=85; B=85; C=85
         1s shelve table/B/h 10m; shelve table/A/h 10m
         2s shelve table/C/h 10m
         700s tick",
        "0s table/A/h NORMAL>UNACK condition
         0s table/B/h NORMAL>UNACK condition
         0s table/C/h NORMAL>UNACK condition
         1s table/B/h UNACK>SHELVED shelve silent
         1s table/A/h UNACK>SHELVED shelve silent
         2s table/C/h UNACK>SHELVED shelve silent
         601s table/A/h SHELVED>UNACK expired grouped
         601s table/B/h SHELVED>UNACK expired grouped
         602s table/C/h SHELVED>UNACK expired",
    );
}

/// 8.2, 8.12: at one instant an on-delay comes first, then expiry, then the command.
#[test]
fn expiry_comes_before_a_command_of_its_instant() {
    let rig = check(
        ruled(
            |p| {
                patient(p);
                p.on_delay = Duration::from_secs(60);
            },
            "",
        ),
        "0s LT=50
         1s shelve table/LT/h 60s
         1s LT=85
         61s unshelve table/LT/h",
        "1s table/LT/h NORMAL>SHELVED shelve
         61s table/LT/h SHELVED>SHELVED condition silent
         61s table/LT/h SHELVED>UNACK expired",
    );
    assert_eq!(rig.answers(), ["applied", "not_applicable"]);
}

/// One-shot: the current occurrence; ends when it clears, even if latched (8.12), with cause
/// `expired` (8.22).
#[test]
fn a_one_shot_shelf_ends_when_its_occurrence_clears() {
    let rig = check(
        calm(),
        "0s LT=85
         1s one_shot table/LT/h 30m
         2s LT=50
         3s LT=85",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         2s table/LT/h SHELVED>SHELVED returned silent
         2s table/LT/h SHELVED>RTN_UNACK expired silent
         3s table/LT/h RTN_UNACK>UNACK condition",
    );
    let shelf = rig.transitions[1].regions.after.shelved;
    assert!(matches!(shelf, Some(Shelve::OneShot { .. })));
    check(
        calm_with("[[level]]\n id = \"keep\"\n select = { tag = \"LT\" }\n latch = true"),
        "0s LT=85
         1s ack keep/LT/h
         2s one_shot keep/LT/h 30m
         3s LT=50",
        "0s keep/LT/h NORMAL>UNACK condition
         1s keep/LT/h UNACK>ACKED ack
         2s keep/LT/h ACKED>SHELVED shelve
         3s keep/LT/h SHELVED>SHELVED returned
         3s keep/LT/h SHELVED>LATCH_ACK expired",
    );
}

/// One-shot: the next occurrence where none stands; at its maximum it acts as timed expiry (8.12).
#[test]
fn a_one_shot_shelf_waits_for_the_next_occurrence() {
    check(
        calm(),
        "0s LT=50
         1s one_shot table/LT/h 30m
         2s LT=85
         3s LT=50
         4s LT=85",
        "1s table/LT/h NORMAL>SHELVED shelve
         2s table/LT/h SHELVED>SHELVED condition silent
         3s table/LT/h SHELVED>SHELVED returned silent
         3s table/LT/h SHELVED>RTN_UNACK expired silent
         4s table/LT/h RTN_UNACK>UNACK condition",
    );
    check(
        calm(),
        "0s LT=50
         1s one_shot table/LT/h 30m
         2s LT=85
         3s ack table/LT/h
         1801s tick",
        "1s table/LT/h NORMAL>SHELVED shelve
         2s table/LT/h SHELVED>SHELVED condition silent
         3s table/LT/h SHELVED>SHELVED ack
         1801s table/LT/h SHELVED>UNACK expired",
    );
}

/// Section 1: a step back never lengthens a shelf; a step forward past its deadline ends it.
#[test]
fn a_clock_step_never_lengthens_a_shelf() {
    let rig = check(
        calm(),
        "0s LT=85
         1s shelve table/LT/h 10m
         2s step -3600s
         600s tick
         602s tick",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         -2999s table/LT/h SHELVED>UNACK expired",
    );
    assert_eq!(rig.transitions.len(), 3);
    check(
        calm(),
        "0s LT=85
         1s shelve table/LT/h 10m
         2s step 598s
         3s step 2s
         4s tick",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         603s table/LT/h SHELVED>UNACK expired",
    );
    // A step that nobody reports is seen by the next tick.
    let mut rig = check(
        calm(),
        "0s LT=85
         1s shelve table/LT/h 10m",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent",
    );
    rig.shift_wall(3_600_000_000_000);
    rig.run("2s tick");
    assert_eq!(last(&rig), "3602s table/LT/h SHELVED>UNACK expired");
}

/// Section 1: each shelf has its own deadline on the wall clock; one that ends releases alone.
#[test]
fn a_clock_step_ends_only_what_it_passes() {
    check(
        calm_with(""),
        "0s LT=85
         1s shelve table/LT/h 10m; shelve table/LT/l 30m
         2s step 599s
         3s step 600s
         4s step 600s
         5s tick",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         1s table/LT/l NORMAL>SHELVED shelve
         601s table/LT/h SHELVED>UNACK expired
         1803s table/LT/l SHELVED>NORMAL expired",
    );
}

/// Row 12: what had returned when it was shelved was not standing: taken down it is not acked.
#[test]
fn a_shelf_over_what_had_returned_acks_nothing() {
    check(
        calm(),
        "0s LT=85
         1s LT=50
         2s shelve table/LT/h 30m
         3s unshelve table/LT/h
         4s LT=85",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>RTN_UNACK returned
         2s table/LT/h RTN_UNACK>SHELVED shelve silent
         3s table/LT/h SHELVED>RTN_UNACK unshelve silent
         4s table/LT/h RTN_UNACK>UNACK condition",
    );
}

/// Row 12: what was un-acked beneath the shelf after the last image is not acked by taking it down.
#[test]
fn a_kill_forgets_no_un_ack_beneath_a_shelf() {
    check(
        calm(),
        "0s LT=85
         1s ack table/LT/h
         2s shelve table/LT/h 30m
         3s image
         4s un_ack table/LT/h
         5s kill
         6s LT=85
         7s unshelve table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>ACKED ack
         2s table/LT/h ACKED>SHELVED shelve
         4s table/LT/h SHELVED>SHELVED un_ack silent
         5s table/LT/h SHELVED>SHELVED restart unknown silent
         6s table/LT/h SHELVED>SHELVED quality silent
         7s table/LT/h SHELVED>UNACK unshelve",
    );
}

/// 8.12: a deadline that has passed by our clock when the command comes is none.
#[test]
fn a_deadline_that_has_passed_on_ours_is_none() {
    let mut rig = check(calm(), "0s LT=85", "0s table/LT/h NORMAL>UNACK condition");
    for ahead in [9_000_000_000, 10_000_000_000] {
        let mut c = rig.plain(0, crate::alarm::Verb::Shelve);
        c.alarm = Some("table/LT/h".into());
        c.reason = "loop check".into();
        c.until = Some(davy_points::Timestamp(c.issued_at.0 + ahead));
        rig.give(10_000_000_000, crate::engine::Input::Command(Box::new(c)));
    }
    assert_eq!(rig.answers(), ["needs_deadline", "needs_deadline"]);
    assert_eq!(rig.transitions.len(), 1);
}

/// The deadline is asked for on another machine's clock: on ours it is never longer than that.
#[test]
fn a_deadline_of_another_clock_is_never_longer_on_ours() {
    let mut rig = check(calm(), "0s LT=85", "0s table/LT/h NORMAL>UNACK condition");
    let mut c = rig.plain(1_000_000_000, crate::alarm::Verb::Shelve);
    c.alarm = Some("table/LT/h".into());
    c.reason = "loop check".into();
    // The centre is an hour ahead.
    c.issued_at.0 += 3_600_000_000_000;
    c.until = Some(davy_points::Timestamp(c.issued_at.0 + 600_000_000_000));
    rig.give(1_000_000_000, crate::engine::Input::Command(Box::new(c)));
    rig.run("700s tick");
    assert_eq!(last(&rig), "601s table/LT/h SHELVED>UNACK expired");
}

/// Section 2, restart: a shelf is read back; its time goes on while the process is away; one that
/// expired fires at once, after the records of the overlay (8.18).
#[test]
fn a_shelf_survives_a_restart() {
    for how in ["restart", "kill"] {
        check(
            calm(),
            &format!(
                "0s LT=85
                 1s shelve table/LT/h 10m
                 2s tick
                 100s {how}
                 102s unshelve table/LT/h"
            ),
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>SHELVED shelve silent
             100s table/LT/h SHELVED>SHELVED restart unknown silent
             102s table/LT/h SHELVED>ACKED unshelve unknown",
        );
        check(
            calm(),
            &format!(
                "0s LT=85
                 1s shelve table/LT/h 10m
                 2s tick
                 100s {how}
                 700s tick"
            ),
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>SHELVED shelve silent
             100s table/LT/h SHELVED>SHELVED restart unknown silent
             601s table/LT/h SHELVED>UNACK expired unknown",
        );
        check(
            calm(),
            &format!(
                "0s LT=85
                 1s shelve table/LT/h 10m
                 2s tick
                 900s {how}"
            ),
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>SHELVED shelve silent
             900s table/LT/h SHELVED>SHELVED restart unknown silent
             900s table/LT/h SHELVED>UNACK expired unknown",
        );
    }
}

/// Section 2, restart: where wall time is not trusted, or went back, nobody knows how long the
/// process was away: unshelved.
#[test]
fn an_undeterminable_shelf_is_unshelved() {
    for how in ["doubtful clock", "step -60s"] {
        let mut rig = check(
            calm(),
            "0s LT=85
             1s ack table/LT/h
             2s shelve table/LT/h 10m",
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>ACKED ack
             2s table/LT/h ACKED>SHELVED shelve",
        );
        match how {
            // The clock went back while the process was away.
            "step -60s" => {
                rig.run("3s tick");
                rig.shift_wall(-60_000_000_000);
            }
            _ => rig.run("3s doubtful clock"),
        }
        rig.run("4s restart");
        let line = last(&rig);
        assert!(line.ends_with("SHELVED>UNACK unshelve unknown"), "{line}");
        assert!(rig.transitions.last().unwrap().regions.after.audible);
    }
}

/// A shelf of an alarm at rest is in the image, and ends.
#[test]
fn a_shelf_over_nothing_survives_a_restart() {
    check(
        calm(),
        "0s LT=50
         1s shelve table/LT/h 10m
         2s restart
         3s LT=85
         601s tick",
        "1s table/LT/h NORMAL>SHELVED shelve
         2s table/LT/h SHELVED>SHELVED restart unknown
         3s table/LT/h SHELVED>SHELVED quality
         3s table/LT/h SHELVED>SHELVED condition silent
         601s table/LT/h SHELVED>UNACK expired",
    );
}

/// 8.24: a raised priority voids a shelf that it forbids, by its whole length; another stays.
#[test]
fn a_raised_priority_voids_a_shelf_that_it_forbids() {
    for (length, priority, voided) in [
        ("100m", 2, true),
        ("60m", 2, false),
        ("60m", 1, true),
        ("100m", 3, false),
    ] {
        let mut rig = check(
            ruled(
                |p| {
                    patient(p);
                    p.priority = Priority::new(4);
                },
                "",
            ),
            "0s LT=85
             1s ack table/LT/h",
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>ACKED ack",
        );
        rig.run(&format!("2s shelve table/LT/h {length}\n 2400s tick"));
        let (table, rules) = ruled(
            |p| {
                patient(p);
                p.priority = Priority::new(priority);
            },
            "",
        );
        rig.table = table.into();
        rig.rules = rules.into();
        rig.run("2401s restart");
        let at = rig.engine.standing();
        let label = at.iter().find(|s| &*s.last.alarm == "table/LT/h");
        let label = label.unwrap().last.to;
        let expected = if voided { Label::Unack } else { Label::Shelved };
        assert_eq!(label, expected, "{length} {priority}: {:#?}", rig.lines());
    }
}

/// 8.10, 8.25: the re-alarm time does not fire on a shelf, and starts again on release.
#[test]
fn re_alarm_waits_for_the_shelf() {
    check(
        calm_with("[[level]]\n id = \"again\"\n select = { tag = \"LT\" }\n realarm = \"30s\""),
        "0s LT=85
         1s ack again/LT/h
         20s shelve again/LT/h 10m
         50s tick
         60s unshelve again/LT/h
         89s tick
         95s tick",
        "0s again/LT/h NORMAL>UNACK condition
         1s again/LT/h UNACK>ACKED ack
         20s again/LT/h ACKED>SHELVED shelve
         60s again/LT/h SHELVED>ACKED unshelve
         90s again/LT/h ACKED>UNACK realarm",
    );
}

/// The same log gives the same, with shelves in it; and an acknowledgement acts underneath (8.11).
#[test]
fn ack_acts_underneath() {
    let rig = check(
        calm(),
        "0s LT=85
         1s shelve table/LT/h 10m
         2s silence table/LT/h
         3s ack table/LT/h
         4s ack table/LT/h
         5s LT=50
         700s tick",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>SHELVED shelve silent
         3s table/LT/h SHELVED>SHELVED ack
         5s table/LT/h SHELVED>SHELVED returned
         601s table/LT/h SHELVED>NORMAL expired",
    );
    assert_eq!(
        rig.answers(),
        ["applied", "not_applicable", "applied", "already_acked"]
    );
}
