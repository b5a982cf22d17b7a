//! Latch, confirm, reset, re-alarm, and alarms whose rule is gone: rows 6 to 10 and 17, the decided
//! readings 10, 13, 24 and 25. Rights and unknown verbs.

use std::time::Duration;

use davy_points::{PointDef, PointTable};

use super::ruled;
use crate::alarm::{Rejection, Verb};
use crate::proof::script::{Rig, check};
use crate::ruleset::RuleSet;

fn patient(p: &mut PointDef) {
    p.stale_after = Duration::from_secs(1_000_000);
}

/// Rule `keep` on LT with these keys.
fn keep(keys: &str) -> (PointTable, RuleSet) {
    ruled(
        patient,
        &format!("[[level]]\n id = \"keep\"\n select = {{ tag = \"LT\" }}\n {keys}"),
    )
}

/// Rule `keep` as it is after the next restart; none: the point's own limits alone.
fn edit(rig: &mut Rig, keys: Option<&str>) {
    let (table, rules) = keys.map_or_else(|| ruled(patient, ""), keep);
    rig.table = table.into();
    rig.rules = rules.into();
}

fn last(rig: &Rig) -> String {
    rig.lines().last().unwrap().clone()
}

/// Rows 7, 8, 9 and 10: what is latched stays on the list until a person resets it.
#[test]
fn a_latch_stays_until_it_is_reset() {
    let rig = check(
        keep("latch = true"),
        "0s LT=85
         1s LT=50
         2s reset keep/LT/h
         3s ack keep/LT/h
         4s LT=85
         5s reset keep/LT/h
         6s ack keep/LT/h
         7s LT=50
         8s reset keep/LT/h
         9s reset keep/LT/h",
        "0s keep/LT/h NORMAL>UNACK condition
         1s keep/LT/h UNACK>LATCH_UNACK returned
         3s keep/LT/h LATCH_UNACK>LATCH_ACK ack
         4s keep/LT/h LATCH_ACK>UNACK condition
         6s keep/LT/h UNACK>ACKED ack
         7s keep/LT/h ACKED>LATCH_ACK returned
         8s keep/LT/h LATCH_ACK>NORMAL reset",
    );
    assert_eq!(
        rig.answers(),
        [
            "not_acked",
            "applied",
            "not_normal",
            "applied",
            "applied",
            "stale_occurrence"
        ]
    );
    // Row 9: a new occurrence of the same episode, which sounds.
    assert_eq!(rig.transitions[3].episode, rig.transitions[0].occurrence);
    assert_ne!(rig.transitions[3].occurrence, rig.transitions[0].occurrence);
    assert!(rig.transitions[3].regions.after.audible);
    assert_eq!(rig.transitions[6].actor.as_deref(), Some("shift-a"));
}

/// Row 10: not while its condition cannot be seen, nor while it is on its way back; a restart
/// forgets no latch.
#[test]
fn a_latch_is_reset_on_good_data_alone() {
    let rig = check(
        keep("latch = true\n on_delay = \"5s\""),
        "0s LT=85
         5s LT=85
         6s ack keep/LT/h
         7s LT=50
         8s LT=50 uncertain
         9s reset keep/LT/h
         10s restart
         11s reset keep/LT/h
         12s LT=50 uncertain
         13s reset keep/LT/h
         14s LT=50
         15s LT=85
         16s reset keep/LT/h
         17s LT=50
         18s reset keep/LT/h",
        "5s keep/LT/h NORMAL>UNACK condition
         6s keep/LT/h UNACK>ACKED ack
         7s keep/LT/h ACKED>LATCH_ACK returned
         8s keep/LT/hh NORMAL>NORMAL quality unknown
         8s keep/LT/h LATCH_ACK>LATCH_ACK quality unknown
         8s keep/LT/ll NORMAL>NORMAL quality unknown
         8s keep/LT/l NORMAL>NORMAL quality unknown
         14s keep/LT/hh NORMAL>NORMAL quality
         14s keep/LT/h LATCH_ACK>LATCH_ACK quality
         14s keep/LT/ll NORMAL>NORMAL quality
         14s keep/LT/l NORMAL>NORMAL quality
         18s keep/LT/h LATCH_ACK>NORMAL reset",
    );
    assert_eq!(
        rig.answers(),
        [
            "applied",
            "not_normal",
            "not_normal",
            "not_normal",
            "not_normal",
            "applied"
        ]
    );
}

/// Row 10: a latched alarm of the signal itself is reset on Good data.
#[test]
fn a_latched_alarm_of_the_signal_is_reset_on_good_data() {
    let rig = check(
        ruled(
            |_| {},
            "[[stale]]\n id = \"quiet\"\n select = { tag = \"LT\" }\n after = \"2s\"\n latch = true",
        ),
        "0s LT=50
         3s LT=50 uncertain
         3.5s ack quiet/LT/stale
         4s reset quiet/LT/stale
         5s LT=50
         5.5s reset quiet/LT/stale",
        "2s quiet/LT/stale NORMAL>UNACK condition
         3s table/LT/hh NORMAL>NORMAL quality unknown
         3s table/LT/h NORMAL>NORMAL quality unknown
         3s table/LT/ll NORMAL>NORMAL quality unknown
         3s table/LT/l NORMAL>NORMAL quality unknown
         3s quiet/LT/stale UNACK>LATCH_UNACK returned
         3.5s quiet/LT/stale LATCH_UNACK>LATCH_ACK ack
         5s table/LT/hh NORMAL>NORMAL quality
         5s table/LT/h NORMAL>NORMAL quality
         5s table/LT/ll NORMAL>NORMAL quality
         5s table/LT/l NORMAL>NORMAL quality
         5.5s quiet/LT/stale LATCH_ACK>NORMAL reset",
    );
    assert_eq!(rig.answers(), ["applied", "not_normal", "applied"]);
}

/// Row 17, 8.13: confirm needs acked, the occurrence and a verdict; a reset needs the confirmation;
/// re-annunciation clears it.
#[test]
fn a_latch_is_confirmed_before_it_is_reset() {
    let rig = check(
        keep("latch = true\n confirm = true"),
        "0s LT=85
         1s confirm keep/LT/h true
         2s ack keep/LT/h
         3s confirm keep/LT/h
         4s confirm keep/LT/h false
         5s confirm keep/LT/h true
         6s un_ack keep/LT/h
         7s ack keep/LT/h
         8s LT=50
         9s reset keep/LT/h
         10s confirm keep/LT/h true
         11s reset keep/LT/h",
        "0s keep/LT/h NORMAL>UNACK condition
         2s keep/LT/h UNACK>ACKED ack
         4s keep/LT/h ACKED>ACKED confirm
         6s keep/LT/h ACKED>UNACK un_ack
         7s keep/LT/h UNACK>ACKED ack
         8s keep/LT/h ACKED>LATCH_ACK returned
         10s keep/LT/h LATCH_ACK>LATCH_ACK confirm
         11s keep/LT/h LATCH_ACK>NORMAL reset",
    );
    assert_eq!(
        rig.answers(),
        [
            "not_acked",
            "applied",
            "malformed",
            "applied",
            "already_confirmed",
            "applied",
            "applied",
            "not_confirmed",
            "applied",
            "applied"
        ]
    );
    assert_eq!(rig.transitions[2].regions.after.verdict, Some(false));
    assert_eq!(rig.transitions[3].regions.after.verdict, None);
    assert_eq!(rig.transitions[6].regions.after.verdict, Some(true));
}

/// A rule that wants a confirmation and has no latch: unconfirmed it stays after its return, and the
/// confirmation closes it; confirmed before, it returns as any other.
#[test]
fn without_a_latch_the_confirmation_closes_it() {
    check(
        keep("confirm = true"),
        "0s LT=85
         1s LT=50
         2s ack keep/LT/h
         3s confirm keep/LT/h false
         4s LT=85
         5s ack keep/LT/h
         6s confirm keep/LT/h true
         7s LT=50",
        "0s keep/LT/h NORMAL>UNACK condition
         1s keep/LT/h UNACK>LATCH_UNACK returned
         2s keep/LT/h LATCH_UNACK>LATCH_ACK ack
         3s keep/LT/h LATCH_ACK>NORMAL confirm
         4s keep/LT/h NORMAL>UNACK condition
         5s keep/LT/h UNACK>ACKED ack
         6s keep/LT/h ACKED>ACKED confirm
         7s keep/LT/h ACKED>NORMAL returned",
    );
    let mut rig = check(
        keep(""),
        "0s LT=85\n 1s ack keep/LT/h",
        "0s keep/LT/h NORMAL>UNACK condition
         1s keep/LT/h UNACK>ACKED ack",
    );
    rig.run("2s confirm keep/LT/h true\n 3s reset keep/LT/h");
    assert_eq!(rig.answers()[1..], ["not_applicable", "not_normal"]);
}

/// 8.19: loss of view never latches.
#[test]
fn loss_of_view_never_latches() {
    let rig = check(
        ruled(
            |_| {},
            "[[level]]
             id = \"keep\"
             select = { tag = \"LT\" }
             latch = true
             gap_tolerance = \"0s\"
             priority = 3
             loss_of_view = { priority = 3 }
             on_delay = \"2s\"",
        ),
        "0s LT=50
         1s LT=85
         1.5s LT=85 bad
         3s tick
         3.2s LT=50",
        "1.5s keep/LT/hh NORMAL>NORMAL quality unknown
         1.5s keep/LT/h NORMAL>NORMAL quality unknown
         1.5s keep/LT/ll NORMAL>NORMAL quality unknown
         1.5s keep/LT/l NORMAL>NORMAL quality unknown
         3s keep/LT/loss_of_view NORMAL>UNACK condition
         3.2s keep/LT/hh NORMAL>NORMAL quality
         3.2s keep/LT/h NORMAL>NORMAL quality
         3.2s keep/LT/ll NORMAL>NORMAL quality
         3.2s keep/LT/l NORMAL>NORMAL quality
         3.2s keep/LT/loss_of_view UNACK>RTN_UNACK returned",
    );
    assert_eq!(rig.transitions.len(), 10);
}

/// Row 10, edits: where the rule is gone, acked and confirmed suffice; any occurrence of the episode
/// will do for the acknowledgement.
#[test]
fn a_latch_whose_rule_is_gone_is_closed_by_a_person() {
    for how in ["restart", "kill"] {
        let mut rig = check(
            keep("latch = true\n confirm = true"),
            "0s LT=85
             1s LT=50
             2s LT=85
             3s image",
            "0s keep/LT/h NORMAL>UNACK condition
             1s keep/LT/h UNACK>LATCH_UNACK returned
             2s keep/LT/h LATCH_UNACK>UNACK condition",
        );
        edit(&mut rig, None);
        rig.run("4s restart");
        assert_eq!(last(&rig), "4s keep/LT/h UNACK>LATCH_UNACK superseded");
        // What the image does not hold yet is read back from the transitions.
        rig.run(&format!("4.5s {how}"));
        rig.run(
            "5s reset keep/LT/h
             6s ack keep/LT/h occ=first",
        );
        rig.run(&format!("6.5s {how}"));
        // Named after whichever occurrence was seen; what follows is about the latest.
        rig.run(
            "7s ack keep/LT/h
             8s confirm keep/LT/h true occ=first",
        );
        let latest = rig.transitions[2].occurrence.to_string();
        rig.command_for(9_000_000_000, "reset", &latest);
        let mut c = rig.plain(10_000_000_000, Verb::Confirm);
        c.occurrence = Some(latest.clone());
        c.verdict = Some("false".into());
        rig.give(10_000_000_000, crate::engine::Input::Command(Box::new(c)));
        rig.run(&format!("10.5s {how}"));
        rig.command_for(11_000_000_000, "reset", &latest);
        rig.command_for(12_000_000_000, "ack", &latest);
        assert_eq!(
            rig.answers(),
            [
                "not_acked",
                "applied",
                "already_acked",
                "stale_occurrence",
                "not_confirmed",
                "applied",
                "applied",
                "stale_occurrence",
            ],
            "{how}"
        );
        let lines = rig.lines();
        let of: Vec<&String> = lines.iter().filter(|l| l.contains(" keep/")).collect();
        assert_eq!(of[4], "6s keep/LT/h LATCH_UNACK>LATCH_ACK ack");
        assert_eq!(of[5], "10s keep/LT/h LATCH_ACK>LATCH_ACK confirm");
        assert_eq!(of[6], "11s keep/LT/h LATCH_ACK>NORMAL reset");
        assert_eq!(of.len(), 7);
    }
}

/// Edits: an alarm whose rule is gone lies under no shelf: a person is to see it.
#[test]
fn what_lay_over_an_alarm_goes_with_its_rule() {
    let mut rig = check(
        keep(""),
        "0s LT=85
         1s shelve keep/LT/h 10m
         2s shelve keep/LT/l 10m",
        "0s keep/LT/h NORMAL>UNACK condition
         1s keep/LT/h UNACK>SHELVED shelve silent
         2s keep/LT/l NORMAL>SHELVED shelve",
    );
    edit(&mut rig, None);
    rig.run("3s restart");
    assert_eq!(
        rig.lines()[3..],
        [
            "3s keep/LT/h SHELVED>RTN_UNACK superseded silent",
            "3s keep/LT/l SHELVED>NORMAL superseded",
        ]
    );
    rig.run("4s ack keep/LT/h");
    assert_eq!(last(&rig), "4s keep/LT/h RTN_UNACK>NORMAL ack");
}

/// Row 6, 8.10: re-alarm counts from the acknowledgement, goes on while UNKNOWN, and does not fire
/// out of service.
#[test]
fn re_alarm_goes_on_in_unknown_and_not_out_of_service() {
    check(
        keep("realarm = \"10s\""),
        "0s LT=85
         1s ack keep/LT/h
         2s oos keep/LT/h 1h permit=P-7
         15s tick
         16s in_service keep/LT/h
         17s ack keep/LT/h
         18s LT=85 uncertain
         30s tick",
        "0s keep/LT/h NORMAL>UNACK condition
         1s keep/LT/h UNACK>ACKED ack
         2s keep/LT/h ACKED>OUT_OF_SERVICE out_of_service
         16s keep/LT/h OUT_OF_SERVICE>UNACK in_service
         17s keep/LT/h UNACK>ACKED ack
         18s keep/LT/hh NORMAL>NORMAL quality unknown
         18s keep/LT/h ACKED>ACKED quality unknown
         18s keep/LT/ll NORMAL>NORMAL quality unknown
         18s keep/LT/l NORMAL>NORMAL quality unknown
         27s keep/LT/h ACKED>UNACK realarm unknown",
    );
    // 8.25: nor while suppressed; there it starts again on release.
    check(
        keep("realarm = \"10s\""),
        "0s LT=85
         1s ack keep/LT/h
         2s suppress keep/LT/h 1h cause=idle
         15s unsuppress keep/LT/h cause=idle
         24s tick
         30s tick",
        "0s keep/LT/h NORMAL>UNACK condition
         1s keep/LT/h UNACK>ACKED ack
         2s keep/LT/h ACKED>SUPPRESSED suppress
         15s keep/LT/h SUPPRESSED>ACKED unsuppress
         25s keep/LT/h ACKED>UNACK realarm",
    );
}

/// Who may not is told so, before anything else is looked at; nothing changes.
#[test]
fn a_role_that_may_not_is_rejected() {
    let mut rig = check(keep(""), "0s LT=85", "0s keep/LT/h NORMAL>UNACK condition");
    rig.run(
        "1s ack keep/LT/h role=viewer
         2s ack keep/LT/h role=
         3s shelve keep/LT/h 10m role=viewer
         4s suppress keep/LT/h 10m cause=x role=operator
         5s oos keep/LT/h 10m permit=x role=operator
         6s bypass keep/LT/h 10m permit=x role=operator
         7s bypass keep/LT/h 10m permit=x
         8s oos keep/LT/h 10m permit=x role=engineer",
    );
    assert_eq!(
        rig.answers(),
        [
            "forbidden",
            "forbidden",
            "forbidden",
            "forbidden",
            "forbidden",
            "forbidden",
            "unknown_point",
            "applied"
        ]
    );
    assert_eq!(rig.transitions.len(), 2);
}

/// A verb on an alarm names the alarm, a verb on an occurrence the occurrence.
#[test]
fn a_command_names_what_it_is_about() {
    let mut rig = check(keep(""), "0s LT=85", "0s keep/LT/h NORMAL>UNACK condition");
    let occurrence = rig.occurrence("keep/LT/h");
    rig.command_for(1_000_000_000, "shelve", &occurrence);
    assert_eq!(rig.results[0].why, Some(Rejection::Malformed));
    let c = rig.plain(2_000_000_000, Verb::Reset);
    rig.give(2_000_000_000, crate::engine::Input::Command(Box::new(c)));
    assert_eq!(rig.results[1].why, Some(Rejection::Malformed));
    for name in [
        "",
        "keep",
        "keep/LT",
        "keep/XX/h",
        "system/journal/on",
        "keep/LT/chattering",
    ] {
        let mut c = rig.plain(3_000_000_000, Verb::Shelve);
        c.alarm = Some(name.to_owned());
        rig.give(3_000_000_000, crate::engine::Input::Command(Box::new(c)));
        assert_eq!(
            rig.results.last().unwrap().why,
            Some(Rejection::UnknownAlarm),
            "{name}"
        );
    }
}
