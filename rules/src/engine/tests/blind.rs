//! What cannot be seen: overlay, gaps, staleness, lost sources, clocks.

use std::time::Duration;

use super::{compiled, delays, lt, ruled};
use crate::alarm::Cause;
use crate::proof::plant;
use crate::proof::script::check;

/// Only H, so that overlay records stay few.
fn h(p: &mut davy_points::PointDef) {
    p.limits.ll = None;
    p.limits.l = None;
    p.limits.hh = None;
}

/// 8.8, 3.3: UNKNOWN is an overlay; the condition is kept, only Good removes it.
#[test]
fn unknown_keeps_what_stands() {
    check(
        lt(h),
        "0s LT=85
         1s LT=50 bad
         2s LT=nan
         3s LT=none
         3.5s LT=50 uncertain
         4s LT=85
         5s LT=50",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>UNACK quality unknown
         3s quality/LT/bad NORMAL>UNACK condition
         4s table/LT/h UNACK>UNACK quality
         4s quality/LT/bad UNACK>RTN_UNACK returned
         5s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// 3.13: NaN and infinities are never Good, and are stored as a sensor failure.
#[test]
fn no_infinity_is_good() {
    let rig = check(
        lt(h),
        "0s LT=50
         1s LT=inf
         2s LT=50",
        "1s table/LT/h NORMAL>NORMAL quality unknown
         2s table/LT/h NORMAL>NORMAL quality",
    );
    let codes: Vec<u8> = rig.stored.iter().map(|(_, q)| q.code()).collect();
    assert_eq!(codes, [192, 16, 192]);
}

/// 8.7: stale is strictly later than last arrival + `stale_after`, stamped with that; any admitted
/// sample ends it. 8.19: after every input of that instant.
#[test]
fn silence_is_an_alarm() {
    check(
        lt(h),
        "0s LT=85
         3s tick
         3.001s tick
         4s LT=85 bad
         5s LT=85",
        "0s table/LT/h NORMAL>UNACK condition
         3s table/LT/h UNACK>UNACK quality unknown
         3s stale/LT/stale NORMAL>UNACK condition
         4s stale/LT/stale UNACK>RTN_UNACK returned
         5s table/LT/h UNACK>UNACK quality",
    );
    check(
        lt(h),
        "0s LT=50
         3s LT=50
         6s LT=50",
        "",
    );
}

/// 8.7: what never started counts from the start.
#[test]
fn what_never_came_is_stale_too() {
    check(
        lt(h),
        "3s tick
         4s tick
         5s LT=50",
        "3s table/LT/h NORMAL>NORMAL quality unknown
         3s stale/LT/stale NORMAL>UNACK condition
         5s table/LT/h NORMAL>NORMAL quality
         5s stale/LT/stale UNACK>RTN_UNACK returned",
    );
}

/// 8.7: a point that may be silent for ever is never stale.
#[test]
fn a_point_without_a_limit_of_silence_is_never_stale() {
    check(
        ruled(
            |p| {
                h(p);
                p.stale_after = Duration::ZERO;
            },
            "[[stale]]
             id = \"gone\"
             select = { tag = \"LT\" }
             after = \"10s\"
             priority = 1",
        ),
        "0s LT=50
         9s tick
         11s tick
         9000s tick
         9001s LT=85",
        "10s gone/LT/stale NORMAL>UNACK condition
         9001s table/LT/h NORMAL>UNACK condition
         9001s gone/LT/stale UNACK>RTN_UNACK returned",
    );
}

/// 8.5, 8.18: under `use_value` a finite Bad value is no gap; silence is.
#[test]
fn a_used_value_is_no_gap_but_silence_is() {
    let rules = "[[level]]
         id = \"level\"
         select = { tag = \"LT\" }
         on_bad = \"use_value\"
         gap_tolerance = \"2s\"
         h = { limit = 70, priority = 2, on_delay = \"5s\" }";
    let bare = |p: &mut davy_points::PointDef| p.limits = davy_points::Limits::default();
    let level = |rig: &crate::proof::script::Rig| -> Vec<String> {
        let of = |l: &String| l.contains(" level/LT/h ") && !l.contains("quality");
        rig.lines().into_iter().filter(of).collect()
    };
    for (script, expected) in [
        (
            "0s LT=75\n1s LT=75 bad\n3s LT=75 bad\n5s tick",
            "5s level/LT/h NORMAL>UNACK condition unknown",
        ),
        (
            "0s LT=75\n3.5s tick\n5.5s tick",
            "5s level/LT/h NORMAL>UNACK condition unknown",
        ),
        (
            "0s LT=75\n1s LT=none\n3s LT=none\n5s tick",
            "5s level/LT/h NORMAL>UNACK condition assumed unknown",
        ),
        (
            "0s LT=75 at=-2s\n0.5s LT=75 bad\n5s tick",
            "3s level/LT/h NORMAL>UNACK condition unknown",
        ),
    ] {
        let mut rig = crate::proof::script::Rig::new(ruled(bare, rules).0, ruled(bare, rules).1);
        rig.run(script);
        assert_eq!(level(&rig), [expected], "{script}");
    }
}

/// A `stale` rule of a file has its own silence; the overlay keeps the point's.
#[test]
fn a_stale_rule_has_its_own_silence() {
    check(
        ruled(
            h,
            "[[stale]]
             id = \"gone\"
             select = { tag = \"LT\" }
             after = \"10s\"
             priority = 1",
        ),
        "0s LT=50
         4s tick
         10s tick
         11s tick
         12s LT=50",
        "3s table/LT/h NORMAL>NORMAL quality unknown
         10s gone/LT/stale NORMAL>UNACK condition
         12s table/LT/h NORMAL>NORMAL quality
         12s gone/LT/stale UNACK>RTN_UNACK returned",
    );
}

/// 3.6, 8.6: at a deadline while UNKNOWN the gap so far decides; equal is within.
#[test]
fn a_pending_start_runs_out_blind() {
    // Within two expected intervals: as usual.
    check(
        lt(|p| {
            h(p);
            delays(4, 0)(p);
        }),
        "0s LT=85
         2s LT=0 bad
         4s tick",
        "2s table/LT/h NORMAL>NORMAL quality unknown
         4s table/LT/h NORMAL>UNACK condition unknown
         4s quality/LT/bad NORMAL>UNACK condition",
    );
    // Beyond: safety class is assumed.
    check(
        lt(|p| {
            h(p);
            delays(4, 0)(p);
        }),
        "0s LT=85
         1.9s LT=0 bad
         4s tick",
        "1.9s table/LT/h NORMAL>NORMAL quality unknown
         3.9s quality/LT/bad NORMAL>UNACK condition
         4s table/LT/h NORMAL>UNACK condition assumed unknown",
    );
}

/// 3.6, 8.18, 8.19: outside the safety class a blind deadline is a loss of view, and the next
/// usable sample that does not cancel it alarms.
#[test]
fn a_blind_deadline_of_low_priority_is_a_loss_of_view() {
    let low = |p: &mut davy_points::PointDef| {
        h(p);
        delays(4, 0)(p);
        p.priority = davy_points::Priority::new(3);
    };
    check(
        lt(low),
        "0s LT=85
         1s LT=0 bad
         4s tick
         4.5s LT=85 uncertain
         5s LT=85",
        "1s table/LT/h NORMAL>NORMAL quality unknown
         3s quality/LT/bad NORMAL>UNACK condition
         4s table/LT/loss_of_view NORMAL>UNACK condition
         4s stale/LT/stale NORMAL>UNACK condition
         4.5s table/LT/h NORMAL>UNACK condition unknown
         4.5s stale/LT/stale UNACK>RTN_UNACK returned
         5s table/LT/h UNACK>UNACK quality
         5s table/LT/loss_of_view UNACK>RTN_UNACK returned
         5s quality/LT/bad UNACK>RTN_UNACK returned",
    );
    check(
        lt(low),
        "0s LT=85
         1s LT=0 bad
         3.5s LT=0 bad
         4s tick
         5s LT=50",
        "1s table/LT/h NORMAL>NORMAL quality unknown
         3s quality/LT/bad NORMAL>UNACK condition
         4s table/LT/loss_of_view NORMAL>UNACK condition
         5s table/LT/h NORMAL>NORMAL quality
         5s table/LT/loss_of_view UNACK>RTN_UNACK returned
         5s quality/LT/bad UNACK>RTN_UNACK returned",
    );
}

/// 8.6: a gap that begins while Normal raises no level alarm.
#[test]
fn a_gap_while_normal_raises_no_level() {
    let rig = check(
        lt(h),
        "0s LT=50
         1s LT=99 bad
         60s LT=50",
        "1s table/LT/h NORMAL>NORMAL quality unknown
         3s quality/LT/bad NORMAL>UNACK condition
         4s stale/LT/stale NORMAL>UNACK condition
         60s table/LT/h NORMAL>NORMAL quality
         60s stale/LT/stale UNACK>RTN_UNACK returned
         60s quality/LT/bad UNACK>RTN_UNACK returned",
    );
    assert!(
        rig.transitions
            .iter()
            .all(|t| &*t.kind != "level" || t.cause == Cause::Quality)
    );
}

/// 3.4, 8.5: `alarm` raises level `bad`; `use_value` may raise, never return.
#[test]
fn a_policy_for_bad_input() {
    check(
        ruled(
            h,
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             on_bad = \"alarm\"
             bad = { priority = 2, on_delay = \"1s\" }",
        ),
        "0s LT=50
         1s LT=50 bad
         2s LT=50
         3s LT=50 bad
         4s LT=50 bad
         5s LT=50 uncertain
         6s LT=50",
        "1s t/LT/h NORMAL>NORMAL quality unknown
         2s t/LT/bad NORMAL>UNACK condition
         2s t/LT/h NORMAL>NORMAL quality
         2s t/LT/bad UNACK>RTN_UNACK returned
         3s t/LT/h NORMAL>NORMAL quality unknown
         4s t/LT/bad RTN_UNACK>UNACK condition
         5s quality/LT/bad NORMAL>UNACK condition
         6s t/LT/h NORMAL>NORMAL quality
         6s t/LT/bad UNACK>RTN_UNACK returned
         6s quality/LT/bad UNACK>RTN_UNACK returned",
    );
    check(
        ruled(
            h,
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             on_bad = \"use_value\"",
        ),
        "0s LT=50
         1s LT=85 bad
         2s LT=50 bad
         2.5s LT=nan bad
         2.9s LT=50",
        "1s t/LT/h NORMAL>NORMAL quality unknown
         1s t/LT/h NORMAL>UNACK condition unknown
         2.9s t/LT/h UNACK>UNACK quality
         2.9s t/LT/h UNACK>RTN_UNACK returned",
    );
}

/// 8.8, 8.19: a source down blinds its points at once; one alarm stands for all of them and
/// masks their own; any admitted sample ends it, the first Good one returns the alarm.
#[test]
fn a_lost_source_is_one_alarm() {
    let mut a = plant::point("A");
    a.limits.h = Some(80.0);
    a.priority = davy_points::Priority::new(2);
    let b = plant::point("B");
    check(
        compiled(plant::table([a, b]), ""),
        "0s A=85; B=1
         1s down
         1.5s down
         4s tick
         5s up
         6s A=85 bad
         7s A=50
         8s B=1",
        "0s table/A/h NORMAL>UNACK condition
         1s table/A/h UNACK>UNACK quality unknown
         1s source/plc/loss_of_view NORMAL>UNACK condition
         3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         6s stale/A/stale UNACK>NORMAL returned
         7s table/A/h UNACK>UNACK quality
         7s table/A/h UNACK>RTN_UNACK returned
         7s source/plc/loss_of_view UNACK>RTN_UNACK returned
         8s stale/B/stale UNACK>NORMAL returned",
    );
}

/// 8.4: source-down begins an off-delay again.
#[test]
fn a_lost_source_breaks_an_off_delay() {
    check(
        lt(|p| {
            h(p);
            delays(0, 2)(p);
        }),
        "0s LT=85
         1s LT=50
         2s down
         3s LT=50
         4s LT=50
         5s LT=50",
        "0s table/LT/h NORMAL>UNACK condition
         2s table/LT/h UNACK>UNACK quality unknown
         2s source/plc/loss_of_view NORMAL>UNACK condition
         3s table/LT/h UNACK>UNACK quality
         3s source/plc/loss_of_view UNACK>RTN_UNACK returned
         5s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// The priority of a lost source is the highest of its points' alarms, at least 3.
#[test]
fn a_lost_source_has_the_highest_priority_of_what_it_hides() {
    let rig = check(
        lt(|_| {}),
        "1s down",
        "1s source/plc/loss_of_view NORMAL>UNACK condition",
    );
    assert_eq!(rig.transitions[0].priority.get(), 1);
    assert_eq!(&*rig.transitions[0].hazard, "TF3");
    let rig = check(
        compiled(plant::table_of(&["X"]), ""),
        "1s down",
        "1s source/plc/loss_of_view NORMAL>UNACK condition",
    );
    assert_eq!(rig.transitions[0].priority.get(), 3);
}

/// 3.9: a sample that is not newer goes to history; it cancels nothing and renews no freshness.
/// Equal times: the higher sequence is the next sample.
#[test]
fn late_samples_change_nothing() {
    check(
        lt(|p| {
            h(p);
            p.on_delay = Duration::from_secs(2);
        }),
        "1s LT=85 seq=10
         2s LT=50 at=0.5s
         2.5s LT=50 at=1s seq=9
         2.6s LT=50 at=1s seq=10
         2.7s LT=85 at=1s seq=11
         3s tick
         4.1s LT=50 at=1s seq=11
         5.701s tick",
        "3s table/LT/h NORMAL>UNACK condition
         5.7s table/LT/h UNACK>UNACK quality unknown
         5.7s stale/LT/stale NORMAL>UNACK condition",
    );
    check(
        lt(h),
        "1s LT=85 seq=1
         1.1s LT=50 at=1s seq=2",
        "1s table/LT/h NORMAL>UNACK condition
         1.1s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// 3.9: a backlog after an outage must not clear live alarms.
#[test]
fn what_is_old_on_arrival_is_uncertain() {
    let rig = check(
        lt(h),
        "0s LT=85
         10s LT=50 at=6s
         11s LT=50 at=8s",
        "0s table/LT/h NORMAL>UNACK condition
         3s table/LT/h UNACK>UNACK quality unknown
         3s stale/LT/stale NORMAL>UNACK condition
         10s stale/LT/stale UNACK>RTN_UNACK returned
         11s table/LT/h UNACK>UNACK quality
         11s table/LT/h UNACK>RTN_UNACK returned",
    );
    let codes: Vec<u8> = rig.stored.iter().map(|(_, q)| q.code()).collect();
    assert_eq!(codes, [192, 68, 192]);
}

/// 3.9, 8.20: a future time within the skew is clamped; beyond it goes to history.
#[test]
fn the_future_is_clamped_or_refused() {
    check(
        lt(h),
        "1s LT=85 at=6s
         2s LT=50 at=7s
         3s LT=85 at=8.000000001s",
        "1s table/LT/h NORMAL>UNACK condition
         2s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// 3.10, 8.20: a source all of whose samples are late for three intervals is suspect: re-anchored,
/// Uncertain, told; and believed again after three intervals in time.
#[test]
fn a_clock_that_cannot_be_trusted() {
    let rig = check(
        lt(h),
        "2s LT=50
         3s LT=85 at=-7s
         4s LT=85 at=-6s
         5s LT=85 at=-5s
         6s LT=85 at=-4s
         7s LT=50 at=-3s
         8s LT=50
         9s LT=50
         10s LT=50
         11s LT=50",
        "3s table/LT/h NORMAL>RTN_UNACK condition retrospective silent
         5s table/LT/h RTN_UNACK>RTN_UNACK quality retrospective unknown silent
         5s stale/LT/stale NORMAL>UNACK condition
         6s source/plc/loss_of_view NORMAL>UNACK condition
         6s table/LT/h RTN_UNACK>UNACK condition unknown
         6s stale/LT/stale UNACK>RTN_UNACK returned
         11s table/LT/h UNACK>UNACK quality
         11s table/LT/h UNACK>RTN_UNACK returned
         11s source/plc/loss_of_view UNACK>RTN_UNACK returned",
    );
    assert_eq!(&*rig.transitions[3].text, "数据源 plc 时钟不可信");
    let codes: Vec<u8> = rig.stored.iter().map(|(_, q)| q.code()).collect();
    assert_eq!(codes, [192, 192, 192, 192, 92, 92, 92, 92, 92, 192]);
}

/// 1: a step of the wall clock fires nothing, cancels nothing, and makes no samples late.
#[test]
fn a_clock_step_does_nothing() {
    check(
        lt(|p| {
            h(p);
            p.on_delay = Duration::from_secs(3);
        }),
        "0s LT=50
         1s LT=85
         2s step -3600s
         2.5s LT=85
         3.5s LT=85
         4.5s LT=85",
        "-3596s table/LT/h NORMAL>UNACK condition",
    );
    check(
        lt(|p| {
            h(p);
            p.on_delay = Duration::from_secs(3);
        }),
        "0s LT=50
         1s LT=85
         2s step 3600s
         2.5s LT=50
         5s LT=50",
        "",
    );
}

/// 8.4: an alarm that was raised while its source was down, stale or not yet, is not returned by
/// what was measured before.
#[test]
fn an_alarm_raised_blind_waits_for_what_comes_after() {
    for (delay, raised, old, next) in [
        (4, "4s", "4.5s LT=50 at=3.9s", "5s"),
        (2, "2s", "2.5s LT=50 at=1.9s", "3s"),
    ] {
        let mut rig = check(
            lt(|p| {
                h(p);
                delays(delay, 0)(p);
            }),
            "0s LT=85
             1s down",
            "1s table/LT/h NORMAL>NORMAL quality unknown
             1s source/plc/loss_of_view NORMAL>UNACK condition",
        );
        rig.run(&format!("{old}\n{next} LT=50"));
        let h: Vec<String> = rig
            .lines()
            .into_iter()
            .filter(|l| l.contains("table/LT/h "))
            .collect();
        assert!(
            h[1].starts_with(&format!("{raised} table/LT/h NORMAL>UNACK condition")),
            "{h:?}"
        );
        assert_eq!(
            h.last().unwrap(),
            &format!("{next} table/LT/h UNACK>RTN_UNACK returned")
        );
    }
}

/// 8.3, 1: ages across a step mean nothing; what lies after the step counts from the step.
#[test]
fn an_off_delay_does_not_begin_before_a_clock_step() {
    check(
        lt(|p| {
            h(p);
            delays(0, 2)(p);
        }),
        "0s LT=85
         1s step 3600s
         1.1s LT=50 at=-1s
         2s LT=50
         3s LT=50",
        "0s table/LT/h NORMAL>UNACK condition
         3603s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// Section 4, `quality`: a storm on one device collapses into one alarm.
#[test]
fn a_storm_of_bad_quality_is_one_alarm() {
    check(
        compiled(plant::table_of(&["A", "B", "C", "D"]), ""),
        "0s A=1; B=1; C=1; D=1
         1s A=1 bad; B=1 bad; C=1 bad; D=1
         2s A=1 bad; B=1 bad; C=1 bad; D=1
         3s tick
         4s A=1; B=1 bad; C=1 bad; D=1
         5s B=1; C=1",
        "3s source/plc/loss_of_view NORMAL>UNACK condition grouped
         3s quality/A/bad NORMAL>UNACK condition masked
         3s quality/B/bad NORMAL>UNACK condition masked
         3s quality/C/bad NORMAL>UNACK condition masked
         4s quality/A/bad UNACK>NORMAL returned
         5s quality/B/bad UNACK>NORMAL returned
         5s quality/C/bad UNACK>NORMAL returned
         5s source/plc/loss_of_view UNACK>RTN_UNACK returned grouped",
    );
}

/// 3.6, 8.18: under `use_value` a finite Bad value is no gap: one starts where the value is lost.
#[test]
fn a_gap_under_use_value_starts_where_the_value_is_lost() {
    let rule = "[[level]]
         id = \"x\"
         select = { tag = \"LT\" }
         on_bad = \"use_value\"
         on_delay = \"4s\"
         h = { priority = 3 }";
    check(
        ruled(h, rule),
        "0s LT=85 bad
         2s LT=85 bad
         3s LT=none
         4.5s tick",
        "0s x/LT/h NORMAL>NORMAL quality unknown
         2s quality/LT/bad NORMAL>UNACK condition
         4s x/LT/h NORMAL>UNACK condition unknown",
    );
    // And at a restart it is as old as it was.
    check(
        ruled(h, rule),
        "0s LT=85 bad
         1s LT=none
         2s restart
         4.5s tick",
        "0s x/LT/h NORMAL>NORMAL quality unknown
         2s quality/LT/bad NORMAL>UNACK condition
         4s x/LT/loss_of_view NORMAL>UNACK condition",
    );
}
