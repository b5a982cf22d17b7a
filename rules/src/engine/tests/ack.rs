//! Commands: by occurrence, once, and answered with the reason.

use super::lt;
use crate::alarm::{Outcome, Rejection};
use crate::proof::script::{Rig, check};

fn answers(rig: &Rig) -> Vec<Option<Rejection>> {
    rig.results.iter().map(|r| r.why).collect()
}

/// Rows 2 and 4, 8.13.
#[test]
fn an_acknowledgement_names_an_occurrence() {
    let rig = check(
        lt(|_| {}),
        "0s LT=85
         1s ack table/LT/h
         2s ack table/LT/h
         3s LT=50
         4s ack table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>ACKED ack
         3s table/LT/h ACKED>NORMAL returned",
    );
    assert_eq!(
        answers(&rig),
        [
            None,
            Some(Rejection::AlreadyAcked),
            Some(Rejection::StaleOccurrence)
        ]
    );
    let t = &rig.transitions[1];
    assert_eq!(t.command_id.as_deref(), Some("c1"));
    assert_eq!(t.actor.as_deref(), Some("shift-a"));
    assert_eq!(rig.results[0].seq, Some(t.seq));
}

/// 3.8: an ack of H never covers HH.
#[test]
fn an_acknowledgement_of_h_is_none_of_hh() {
    let rig = check(
        lt(|_| {}),
        "0s LT=85
         1s ack table/LT/h
         2s LT=95",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>ACKED ack
         2s table/LT/hh NORMAL>UNACK condition
         2s table/LT/h ACKED>ACKED masked masked",
    );
    assert!(rig.transitions[2].regions.after.audible);
}

/// Row 2: any occurrence of the open episode; the record says which one was seen.
#[test]
fn an_earlier_occurrence_of_the_episode_will_do() {
    let mut rig = check(
        lt(|_| {}),
        "0s LT=85
         1s LT=50
         2s LT=85",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>RTN_UNACK returned
         2s table/LT/h RTN_UNACK>UNACK condition",
    );
    let first = rig.transitions[0].occurrence.to_string();
    // To silence, or to take back, is about what stands now.
    rig.command_for(2_500_000_000, "silence", &first);
    assert_eq!(rig.results[0].why, Some(Rejection::StaleOccurrence));
    rig.command_for(3_000_000_000, "ack", &first);
    assert_eq!(*rig.transitions[3].occurrence, first);
    rig.run("4s LT=50");
    assert_eq!(rig.transitions[4].occurrence, rig.transitions[2].occurrence);
    assert_eq!(rig.lines()[4], "4s table/LT/h ACKED>NORMAL returned");
}

/// Row 6: un-ack sounds again, only from ACKED. Row 18: silence is no acknowledgement.
#[test]
fn un_ack_and_silence() {
    let rig = check(
        lt(|p| p.stale_after = std::time::Duration::from_secs(60)),
        "0s LT=85
         1s un_ack table/LT/h
         2s silence table/LT/h
         3s silence table/LT/h
         4s ack table/LT/h
         5s un_ack table/LT/h
         6s bypass table/LT/h",
        "0s table/LT/h NORMAL>UNACK condition
         2s table/LT/h UNACK>UNACK silence silent
         4s table/LT/h UNACK>ACKED ack
         5s table/LT/h ACKED>UNACK un_ack",
    );
    assert_eq!(
        answers(&rig),
        [
            Some(Rejection::NotApplicable),
            None,
            Some(Rejection::NotApplicable),
            None,
            None,
            Some(Rejection::UnknownPoint)
        ]
    );
}

/// `formats.md` section 5: a command is applied once however often it arrives, and answered the
/// same, also after a restart.
#[test]
fn a_command_is_applied_once() {
    let mut rig = check(
        lt(|_| {}),
        "0s LT=85",
        "0s table/LT/h NORMAL>UNACK condition",
    );
    rig.run("1s ack table/LT/h");
    let command = rig.log.last().unwrap().input.clone();
    rig.give(2_000_000_000, command.clone());
    rig.run("3s un_ack table/LT/h");
    rig.give(4_000_000_000, command.clone());
    rig.run("5s restart");
    rig.give(6_000_000_000, command);
    assert_eq!(rig.results[0], rig.results[1]);
    assert_eq!(rig.results[0], rig.results[3]);
    assert_eq!(rig.results[0], rig.results[4]);
    let acks = rig.lines().iter().filter(|l| l.ends_with(" ack")).count();
    assert_eq!(acks, 1);
}

#[test]
fn what_no_alarm_has_is_unknown_and_what_is_over_is_expired() {
    let mut rig = check(
        lt(|_| {}),
        "0s LT=85",
        "0s table/LT/h NORMAL>UNACK condition",
    );
    rig.command_for(1_000_000_000, "ack", "aaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_eq!(rig.results[0].why, Some(Rejection::UnknownOccurrence));
    let occurrence = rig.occurrence("table/LT/h");
    rig.command_for(2_000_000_000, "silence", &occurrence);
    let mut late = match rig.log.last().unwrap().input.clone() {
        crate::engine::Input::Command(c) => *c,
        other => panic!("{other:?}"),
    };
    late.id = "late".to_owned();
    late.expires_at = Some(late.issued_at);
    rig.give(
        3_000_000_000,
        crate::engine::Input::Command(Box::new(late.clone())),
    );
    assert_eq!(rig.results[2].why, Some(Rejection::Expired));
    // The last instant is still in time.
    late.id = "just".to_owned();
    late.expires_at = Some(davy_points::Timestamp(
        crate::proof::script::BASE + 3_500_000_000,
    ));
    rig.give(
        3_500_000_000,
        crate::engine::Input::Command(Box::new(late.clone())),
    );
    assert_ne!(rig.results[3].why, Some(Rejection::Expired));
    late.id = "nothing".to_owned();
    late.expires_at = None;
    late.occurrence = None;
    rig.give(
        4_000_000_000,
        crate::engine::Input::Command(Box::new(late.clone())),
    );
    assert_eq!(rig.results[4].why, Some(Rejection::Malformed));
    late.id = "other".to_owned();
    late.occurrence = Some(occurrence);
    late.alarm = Some("table/LT/hh".to_owned());
    rig.give(5_000_000_000, crate::engine::Input::Command(Box::new(late)));
    assert_eq!(rig.results[5].why, Some(Rejection::StaleOccurrence));
    assert_eq!(rig.results[5].outcome, Outcome::Rejected);
}
