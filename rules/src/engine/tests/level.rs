//! Kind `level`: entry, exit, delays, masks.

use std::time::Duration;

use super::{delays, lt, ruled};
use crate::proof::script::check;

/// 8.1, 3.5: enter at v ≥ L, leave at v < L − db; mirrored for low.
#[test]
fn a_deadband_acts_on_exit_only() {
    let rig = check(
        lt(|_| {}),
        "0s LT=79.999
         1s LT=80
         2s LT=79
         3s LT=78.999
         4s LT=20.001
         5s LT=20
         6s LT=21
         7s LT=21.001",
        "1s table/LT/h NORMAL>UNACK condition
         3s table/LT/h UNACK>RTN_UNACK returned
         5s table/LT/l NORMAL>UNACK condition
         7s table/LT/l UNACK>RTN_UNACK returned",
    );
    // No record claims a comparison that does not hold.
    let texts: Vec<&str> = rig.transitions.iter().map(|t| &*t.text).collect();
    assert_eq!(
        texts,
        [
            "LT 80.0 m ≥ 高限 80.0 m",
            "LT 79.0 m（高限 80.0 m）",
            "LT 20.0 m ≤ 低限 20.0 m",
            "LT 21.0 m（低限 20.0 m）",
        ]
    );
}

/// 3.8, 8.9, 8.23: Normal → HH annunciates HH and records H, masked; unmasked UNACK sounds.
#[test]
fn hh_stands_for_h() {
    let rig = check(
        lt(|_| {}),
        "0s LT=50
         1s LT=95
         2s LT=85
         3s ack table/LT/h
         4s LT=95
         5s LT=85
         6s LT=50",
        "1s table/LT/hh NORMAL>UNACK condition
         1s table/LT/h NORMAL>UNACK condition masked
         2s table/LT/hh UNACK>RTN_UNACK returned
         2s table/LT/h UNACK>UNACK unmasked
         3s table/LT/h UNACK>ACKED ack
         4s table/LT/hh RTN_UNACK>UNACK condition
         4s table/LT/h ACKED>ACKED masked masked
         5s table/LT/hh UNACK>RTN_UNACK returned
         5s table/LT/h ACKED>ACKED unmasked
         6s table/LT/h ACKED>NORMAL returned",
    );
    assert!(rig.transitions[3].regions.after.audible);
    assert!(!rig.transitions[8].regions.after.audible);
    // 1: HH's two activations are two occurrences of one episode.
    assert_ne!(rig.transitions[0].occurrence, rig.transitions[5].occurrence);
    assert_eq!(rig.transitions[0].episode, rig.transitions[5].episode);
}

/// 8.23: H leaving together with HH gets only `returned`.
#[test]
fn h_leaves_together_with_hh() {
    check(
        lt(|_| {}),
        "0s LT=50
         1s LT=95
         2s LT=50",
        "1s table/LT/hh NORMAL>UNACK condition
         1s table/LT/h NORMAL>UNACK condition masked
         2s table/LT/hh UNACK>RTN_UNACK returned
         2s table/LT/h UNACK>RTN_UNACK returned silent",
    );
}

/// 8.9: H can't return while HH is active, its off-delay included.
#[test]
fn h_waits_for_the_off_delay_of_hh() {
    check(
        ruled(
            |_| {},
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             hh = { off_delay = \"5s\" }",
        ),
        "0s LT=50
         1s LT=95
         2s LT=50
         3s LT=50
         6s LT=50
         7s LT=50",
        "1s t/LT/hh NORMAL>UNACK condition
         1s t/LT/h NORMAL>UNACK condition masked
         7s t/LT/hh UNACK>RTN_UNACK returned
         7s t/LT/h UNACK>RTN_UNACK returned silent",
    );
}

/// 8.23: H made active by HH keeps its own pending start, else takes HH's. 8.9: the sides are
/// independent.
#[test]
fn h_keeps_its_own_start() {
    let rules = "[[level]]
        id = \"t\"
        select = { tag = \"LT\" }
        h = { on_delay = \"60s\" }
        hh = { on_delay = \"2s\" }";
    let slow = |p: &mut davy_points::PointDef| p.stale_after = Duration::from_secs(60);
    let rig = check(
        ruled(slow, rules),
        "0s LT=85
         10s LT=95
         12s LT=95
         20s LT=5",
        "12s t/LT/hh NORMAL>UNACK condition
         12s t/LT/h NORMAL>UNACK condition masked
         20s t/LT/hh UNACK>RTN_UNACK returned
         20s t/LT/h UNACK>RTN_UNACK returned silent
         20s t/LT/ll NORMAL>UNACK condition
         20s t/LT/l NORMAL>UNACK condition masked",
    );
    let start =
        |n: usize| rig.transitions[n].condition_start.unwrap().0 - crate::proof::script::BASE;
    assert_eq!((start(0), start(1)), (10_000_000_000, 0));
}

/// 8.23: H has a start of its own, so HH raised on an assumption does not lend it its flag.
#[test]
fn h_does_not_take_the_assumption_of_hh() {
    let rules = "[[level]]
        id = \"t\"
        select = { tag = \"LT\" }
        gap_tolerance = \"1s\"
        h = { on_delay = \"60s\" }
        hh = { on_delay = \"4s\" }";
    let slow = |p: &mut davy_points::PointDef| {
        p.stale_after = Duration::from_secs(60);
        p.limits.l = None;
        p.limits.ll = None;
    };
    for first in ["0s LT=50", "0s LT=85"] {
        let script = format!("{first}\n 1s LT=95\n 2s LT=95 bad\n 6s tick");
        let mut rig = crate::proof::script::Rig::new(ruled(slow, rules).0, ruled(slow, rules).1);
        rig.run(&script);
        let raised: Vec<String> = rig
            .lines()
            .into_iter()
            .filter(|l| l.contains("t/LT/h") && l.contains("condition"))
            .collect();
        assert_eq!(
            raised,
            [
                "5s t/LT/hh NORMAL>UNACK condition assumed unknown".to_owned(),
                "5s t/LT/h NORMAL>UNACK condition masked unknown".to_owned(),
            ]
        );
    }
}

/// 8.2: an exit sample exactly at the deadline does not prevent the alarm.
#[test]
fn a_timer_runs_before_the_input_of_its_instant() {
    check(
        lt(delays(2, 0)),
        "0s LT=50
         1s LT=85
         3s LT=50",
        "3s table/LT/h NORMAL>UNACK condition
         3s table/LT/h UNACK>RTN_UNACK returned",
    );
    check(
        lt(delays(2, 0)),
        "0s LT=50
         1s LT=85
         2.999s LT=50
         5s LT=50",
        "",
    );
}

/// 3.6: only exit on Good data cancels a pending start.
#[test]
fn a_pending_start_survives_the_deadband_and_bad_data() {
    check(
        lt(delays(3, 0)),
        "0s LT=50
         1s LT=85
         2s LT=79.5
         3s LT=50 bad
         3.5s LT=85
         4s tick",
        "3s table/LT/hh NORMAL>NORMAL quality unknown
         3s table/LT/h NORMAL>NORMAL quality unknown
         3s table/LT/ll NORMAL>NORMAL quality unknown
         3s table/LT/l NORMAL>NORMAL quality unknown
         3.5s table/LT/hh NORMAL>NORMAL quality
         3.5s table/LT/h NORMAL>NORMAL quality
         3.5s table/LT/ll NORMAL>NORMAL quality
         3.5s table/LT/l NORMAL>NORMAL quality
         4s table/LT/h NORMAL>UNACK condition",
    );
}

/// 3.6: `pending = "strict"` cancels at the first Good sample that does not enter.
#[test]
fn a_strict_pending_start_ends_in_the_deadband() {
    check(
        ruled(
            delays(3, 0),
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             pending = \"strict\"",
        ),
        "0s LT=50
         1s LT=85
         2s LT=79.5
         3s LT=85
         4s LT=85
         5s LT=85
         6s LT=85",
        "6s t/LT/h NORMAL>UNACK condition",
    );
}

/// 8.3: a delay starts at the entry sample's source time. 8.18: one already over fires at arrival.
#[test]
fn a_delay_counts_from_the_source_time() {
    let rig = check(
        lt(delays(2, 0)),
        "0s LT=50
         3s LT=85 at=1.5s
         4s tick",
        "3.5s table/LT/h NORMAL>UNACK condition",
    );
    let t = &rig.transitions[0];
    assert_eq!(
        t.condition_start.unwrap().0,
        crate::proof::script::BASE + 1_500_000_000
    );
    let rig = check(
        lt(delays(2, 0)),
        "0s LT=50
         2.9s LT=85 at=0.5s",
        "2.9s table/LT/h NORMAL>UNACK condition",
    );
    assert_eq!(
        rig.transitions[0].source_time.0,
        crate::proof::script::BASE + 500_000_000
    );
}

/// 3.7, 8.4: a return needs Good data beyond exit at or after the end of the off-delay; whatever
/// interrupts it begins it again from zero.
#[test]
fn an_off_delay_needs_unbroken_good_data() {
    check(
        lt(delays(0, 3)),
        "0s LT=85
         1s LT=50
         2s LT=79.5
         3s LT=50
         5s LT=50
         5.999s LT=50
         6s LT=50",
        "0s table/LT/h NORMAL>UNACK condition
         6s table/LT/h UNACK>RTN_UNACK returned",
    );
    // Never by timer.
    check(
        lt(delays(0, 1)),
        "0s LT=85
         1s LT=50
         2s tick
         3s tick",
        "0s table/LT/h NORMAL>UNACK condition",
    );
    // Uncertain raises, and never returns (3.1).
    check(
        lt(delays(0, 2)),
        "0s LT=50
         1s LT=85 uncertain
         2s LT=50 uncertain
         3s LT=50
         4s LT=50 uncertain
         5s LT=50
         6s LT=50
         7s LT=50",
        "1s table/LT/hh NORMAL>NORMAL quality unknown
         1s table/LT/h NORMAL>NORMAL quality unknown
         1s table/LT/ll NORMAL>NORMAL quality unknown
         1s table/LT/l NORMAL>NORMAL quality unknown
         1s table/LT/h NORMAL>UNACK condition unknown
         3s table/LT/hh NORMAL>NORMAL quality
         3s table/LT/h UNACK>UNACK quality
         3s table/LT/ll NORMAL>NORMAL quality
         3s table/LT/l NORMAL>NORMAL quality
         4s table/LT/hh NORMAL>NORMAL quality unknown
         4s table/LT/h UNACK>UNACK quality unknown
         4s table/LT/ll NORMAL>NORMAL quality unknown
         4s table/LT/l NORMAL>NORMAL quality unknown
         5s table/LT/hh NORMAL>NORMAL quality
         5s table/LT/h UNACK>UNACK quality
         5s table/LT/ll NORMAL>NORMAL quality
         5s table/LT/l NORMAL>NORMAL quality
         7s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// 8.17: the sample that returns an alarm must itself be at or after the end of the off-delay.
#[test]
fn one_old_sample_proves_nothing() {
    check(
        lt(delays(0, 2)),
        "0s LT=85
         1s LT=50
         3.5s LT=50 at=2.9s
         4s LT=50 at=3s",
        "0s table/LT/h NORMAL>UNACK condition
         4s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// Row 5: RTN_UNACK → UNACK is a new occurrence of the same episode.
#[test]
fn an_episode_lasts_until_someone_has_seen_it() {
    let rig = check(
        lt(|p| p.class = "gas_toxic".into()),
        "0s LT=85
         1s LT=50
         2s LT=85
         3s LT=50
         4s ack table/LT/h
         5s LT=85",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>RTN_UNACK returned
         2s table/LT/h RTN_UNACK>UNACK condition
         3s table/LT/h UNACK>RTN_UNACK returned
         4s table/LT/h RTN_UNACK>NORMAL ack
         5s table/LT/h NORMAL>UNACK condition",
    );
    let t = &rig.transitions;
    assert_ne!(t[0].occurrence, t[2].occurrence);
    assert_eq!(t[0].episode, t[2].episode);
    assert_eq!(t[5].episode, t[5].occurrence);
    assert_ne!(t[5].episode, t[0].episode);
    assert_eq!(t[0].occurrence.len(), 26);
}

/// A point in commissioning is evaluated and listed, not annunciated; a planned one is neither.
#[test]
fn life_decides_what_sounds() {
    check(
        lt(|p| p.life = davy_points::Life::Commissioning),
        "0s LT=85",
        "0s table/LT/h NORMAL>UNACK condition silent",
    );
    check(
        lt(|p| p.life = davy_points::Life::Planned),
        "0s LT=85
         100s tick",
        "",
    );
}

/// 3.2: beyond range is Uncertain and still judged.
#[test]
fn beyond_range_counts_as_high() {
    let rig = check(
        lt(|p| p.limits.h = None),
        "0s LT=100 uncertain",
        "0s table/LT/hh NORMAL>NORMAL quality unknown
         0s table/LT/ll NORMAL>NORMAL quality unknown
         0s table/LT/l NORMAL>NORMAL quality unknown
         0s table/LT/hh NORMAL>UNACK condition unknown",
    );
    assert_eq!(&*rig.transitions[3].text, "LT 100.0 m ≥ 高高限 90.0 m");
}

/// 8.10, row 6: re-alarm counts from the acknowledgement and sounds again.
#[test]
fn an_acknowledged_alarm_sounds_again() {
    let rig = check(
        ruled(
            |p| p.stale_after = Duration::from_secs(100),
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             realarm = \"10s\"",
        ),
        "0s LT=85
         2s ack t/LT/h
         11s LT=85
         12s tick
         13s ack t/LT/h
         14s LT=95
         23s tick
         24s LT=85
         33s tick
         34s tick",
        "0s t/LT/h NORMAL>UNACK condition
         2s t/LT/h UNACK>ACKED ack
         12s t/LT/h ACKED>UNACK realarm
         13s t/LT/h UNACK>ACKED ack
         14s t/LT/hh NORMAL>UNACK condition
         14s t/LT/h ACKED>ACKED masked masked
         24s t/LT/hh UNACK>RTN_UNACK returned
         24s t/LT/h ACKED>ACKED unmasked
         34s t/LT/h ACKED>UNACK realarm",
    );
    assert!(rig.transitions[2].regions.after.audible);
}

/// 8.10: re-alarm counts from the last acknowledgement, whatever was due before.
#[test]
fn a_re_alarm_counts_from_the_last_acknowledgement() {
    check(
        ruled(
            |p| p.stale_after = Duration::from_secs(100),
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             realarm = \"10s\"",
        ),
        "0s LT=85
         1s ack t/LT/h
         3s un_ack t/LT/h
         4s ack t/LT/h
         15s tick",
        "0s t/LT/h NORMAL>UNACK condition
         1s t/LT/h UNACK>ACKED ack
         3s t/LT/h ACKED>UNACK un_ack
         4s t/LT/h UNACK>ACKED ack
         14s t/LT/h ACKED>UNACK realarm",
    );
}

/// 8.10: re-alarm goes on in UNKNOWN and PendingOff.
#[test]
fn a_re_alarm_does_not_wait_for_good_data() {
    check(
        ruled(
            |p| {
                p.limits.ll = None;
                p.limits.l = None;
                p.limits.hh = None;
                p.stale_after = Duration::from_secs(100);
            },
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             realarm = \"5s\"
             off_delay = \"60s\"",
        ),
        "0s LT=85
         1s ack t/LT/h
         2s LT=50
         6s tick
         7s ack t/LT/h
         8s LT=50 uncertain
         12s tick",
        "0s t/LT/h NORMAL>UNACK condition
         1s t/LT/h UNACK>ACKED ack
         6s t/LT/h ACKED>UNACK realarm
         7s t/LT/h UNACK>ACKED ack
         8s t/LT/h ACKED>ACKED quality unknown
         12s t/LT/h ACKED>UNACK realarm unknown",
    );
}
