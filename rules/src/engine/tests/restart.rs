//! Restart: the same alarms stand, acknowledged ones acknowledged, and nothing returns unseen.

use super::{compiled, delays, lt, ruled};
use crate::proof::plant;
use crate::proof::script::check;

fn h(p: &mut davy_points::PointDef) {
    p.limits.ll = None;
    p.limits.l = None;
    p.limits.hh = None;
}

/// Section 2, restart: state is read back, every alarm starts UNKNOWN, no return without Good.
#[test]
fn what_stood_stands() {
    let rig = check(
        lt(|_| {}),
        "0s LT=85
         1s ack table/LT/h
         2s LT=95
         3s restart
         4s LT=50 bad
         5s LT=95
         6s LT=50",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>ACKED ack
         2s table/LT/hh NORMAL>UNACK condition
         2s table/LT/h ACKED>ACKED masked masked
         3s table/LT/hh UNACK>UNACK restart unknown
         3s table/LT/h ACKED>ACKED restart masked unknown
         4s table/LT/ll NORMAL>NORMAL quality unknown
         4s table/LT/l NORMAL>NORMAL quality unknown
         5s table/LT/hh UNACK>UNACK quality
         5s table/LT/h ACKED>ACKED quality masked
         5s table/LT/ll NORMAL>NORMAL quality
         5s table/LT/l NORMAL>NORMAL quality
         6s table/LT/hh UNACK>RTN_UNACK returned
         6s table/LT/h ACKED>NORMAL returned",
    );
    assert_eq!(rig.engine.standing().len(), 1);
}

/// The same from an older image and the transitions after it, or from transitions alone.
#[test]
fn transitions_are_replayed_over_the_image() {
    for image in ["0.5s image", "0.5s tick"] {
        check(
            lt(h),
            &format!(
                "0s LT=85
                 {image}
                 1s ack table/LT/h
                 2s LT=50
                 3s LT=85
                 4s LT=50
                 5s kill
                 6s ack table/LT/h
                 7s LT=85"
            ),
            "0s table/LT/h NORMAL>UNACK condition
             1s table/LT/h UNACK>ACKED ack
             2s table/LT/h ACKED>NORMAL returned
             3s table/LT/h NORMAL>UNACK condition
             4s table/LT/h UNACK>RTN_UNACK returned
             5s table/LT/h RTN_UNACK>RTN_UNACK restart unknown
             6s table/LT/h RTN_UNACK>NORMAL ack unknown
             7s table/LT/h NORMAL>NORMAL quality
             7s table/LT/h NORMAL>UNACK condition",
        );
    }
}

/// A counter that survives makes ids that never come twice.
#[test]
fn occurrences_go_on_counting() {
    let mut rig = check(lt(h), "", "");
    rig.run(
        "0s LT=85
         1s LT=50
         2s ack table/LT/h
         3s restart
         4s LT=85
         5s LT=50
         6s ack table/LT/h
         7s kill
         8s LT=85",
    );
    let mut ids: Vec<&str> = rig
        .transitions
        .iter()
        .filter(|t| t.cause == crate::alarm::Cause::Condition)
        .map(|t| &*t.occurrence)
        .collect();
    assert_eq!(ids.len(), 3);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

/// 8.15: pending obeys the gap rule from the stop. 8.18: the deadline is compared with the stop.
#[test]
fn a_pending_start_survives() {
    let pending = |p: &mut davy_points::PointDef| {
        h(p);
        delays(5, 0)(p);
    };
    // Due 1 s after the stop, within two intervals: it acts at the start.
    check(
        lt(pending),
        "0s LT=85
         3s LT=85
         4s tick
         60s restart",
        "60s table/LT/h NORMAL>UNACK condition unknown",
    );
    // Due 3 s after the stop: beyond, assumed.
    check(
        lt(pending),
        "0s LT=85
         2s LT=85
         60s restart",
        "60s table/LT/h NORMAL>UNACK condition assumed unknown",
    );
    // Not due yet: the gap runs on from the stop.
    check(
        lt(pending),
        "0s LT=85
         3s LT=85
         4s tick
         4.5s restart
         5s tick",
        "5s table/LT/h NORMAL>UNACK condition unknown",
    );
    check(
        lt(pending),
        "0s LT=85
         3s LT=85
         4s tick
         4.5s restart
         4.8s LT=50
         6s tick",
        "",
    );
}

/// 8.2, 8.15: what fell due in downtime acts in the order of the deadlines, at one instant the
/// worst first.
#[test]
fn overdue_starts_act_in_order() {
    let mut a = plant::point("A");
    let mut b = plant::point("B");
    (a.limits.h, b.limits.h, b.limits.hh) = (Some(80.0), Some(80.0), Some(90.0));
    a.on_delay = std::time::Duration::from_secs(6);
    b.on_delay = std::time::Duration::from_secs(5);
    check(
        compiled(plant::table([a, b]), ""),
        "0s A=85; B=95
         4s tick
         60s restart",
        "3s table/A/h NORMAL>NORMAL quality unknown
         3s source/plc/loss_of_view NORMAL>UNACK condition grouped
         3s stale/A/stale NORMAL>UNACK condition masked
         3s table/B/hh NORMAL>NORMAL quality unknown
         3s table/B/h NORMAL>NORMAL quality unknown
         3s stale/B/stale NORMAL>UNACK condition masked
         60s table/B/hh NORMAL>UNACK condition unknown
         60s table/B/h NORMAL>UNACK condition masked unknown
         60s table/A/h NORMAL>UNACK condition assumed unknown",
    );
}

/// A record made while a start was pending is no pending start: it may have been cancelled since.
#[test]
fn a_record_is_no_pending_start() {
    let script = |then: &str| {
        format!(
            "0s image
             1s LT=85
             6s LT=85
             7s LT=50
             8s LT=85
             8.5s ack table/LT/h
             9s LT=50
             {then}"
        )
    };
    let expected = "6s table/LT/h NORMAL>UNACK condition
        7s table/LT/h UNACK>RTN_UNACK returned
        8.5s table/LT/h RTN_UNACK>NORMAL ack";
    let plant = || {
        lt(|p| {
            h(p);
            delays(5, 0)(p);
            p.stale_after = std::time::Duration::from_secs(60);
        })
    };
    check(plant(), &script("9.5s kill\n 11s LT=50"), expected);
    // It may also not have been: safety class loses no time.
    check(
        plant(),
        &script("9.5s kill\n 11s LT=85"),
        &format!("{expected}\n 11s table/LT/h NORMAL>UNACK condition"),
    );
}

/// An overlay record after the image leaves the pending start that the image knows.
#[test]
fn an_overlay_keeps_a_pending_start() {
    check(
        lt(|p| {
            h(p);
            delays(5, 0)(p);
        }),
        "0s LT=50
         1s LT=85
         1.5s image
         2s LT=85 uncertain
         2.4s kill
         3s LT=85
         5s tick
         6s tick",
        "2s table/LT/h NORMAL>NORMAL quality unknown
         3s table/LT/h NORMAL>NORMAL quality
         6s table/LT/h NORMAL>UNACK condition",
    );
}

/// Where a pending start may be lost, safety class has no on-delay at the first Good sample.
#[test]
fn a_lost_pending_start_costs_no_time() {
    let pending = |p: &mut davy_points::PointDef| {
        h(p);
        delays(5, 0)(p);
    };
    check(
        lt(pending),
        "0s LT=50
         0.5s image
         1s LT=85
         3s LT=85
         4s kill
         4.5s LT=85",
        "4.5s table/LT/h NORMAL>UNACK condition",
    );
    // An image not more than a second old has them all.
    check(
        lt(pending),
        "0s LT=50
         3s LT=50; image
         4s tick
         4.2s kill
         4.5s LT=85
         6s LT=85
         8s LT=85
         9.5s tick",
        "9.5s table/LT/h NORMAL>UNACK condition",
    );
    check(
        lt(pending),
        "0s LT=50
         1s LT=85
         3s LT=85
         4s restart
         4.5s LT=85
         6s tick",
        "6s table/LT/h NORMAL>UNACK condition",
    );
    check(
        lt(|p| {
            pending(p);
            p.priority = davy_points::Priority::new(3);
        }),
        "0s LT=50
         0.5s image
         3s LT=85
         4s kill
         4.5s LT=85
         9.5s LT=85",
        "7.5s table/LT/h NORMAL>NORMAL quality unknown
         7.5s stale/LT/stale NORMAL>UNACK condition
         9.5s table/LT/h NORMAL>UNACK condition unknown
         9.5s table/LT/h UNACK>UNACK quality
         9.5s stale/LT/stale UNACK>RTN_UNACK returned",
    );
}

/// 8.15: PendingOff → Active; the off-delay begins again.
#[test]
fn an_off_delay_does_not_run_while_the_process_is_away() {
    check(
        lt(|p| {
            h(p);
            delays(0, 5)(p);
        }),
        "0s LT=85
         1s LT=50
         20s restart
         21s LT=50
         22s LT=50
         26s LT=50",
        "0s table/LT/h NORMAL>UNACK condition
         20s table/LT/h UNACK>UNACK restart unknown
         21s table/LT/h UNACK>UNACK quality
         25s table/LT/h UNACK>UNACK quality unknown
         25s stale/LT/stale NORMAL>UNACK condition
         26s table/LT/h UNACK>UNACK quality
         26s stale/LT/stale UNACK>RTN_UNACK returned",
    );
}

/// 8.15: the newest admitted time survives.
#[test]
fn late_stays_late() {
    check(
        lt(h),
        "2s LT=85 seq=5
         3s restart
         4s LT=50 at=1.9s seq=6
         4.5s LT=50 at=2s seq=5
         5s LT=50",
        "2s table/LT/h NORMAL>UNACK condition
         3s table/LT/h UNACK>UNACK restart unknown
         5s table/LT/h UNACK>UNACK quality
         5s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// A clock that was set back while the process was away makes nothing late that it stamps itself.
#[test]
fn a_clock_set_back_over_a_restart_blinds_nobody() {
    let rig = check(
        lt(h),
        "0s LT=50
         2s LT=50
         4s LT=50
         6s LT=50
         8s LT=50
         10s LT=50
         10.5s image
         11s step -3600s
         11.5s kill
         12s LT=85
         13s LT=85",
        "-3588s table/LT/h NORMAL>UNACK condition",
    );
    assert!(rig.stored.iter().all(|(_, q)| q.is_good()));
}

/// Re-alarm goes on over a restart.
#[test]
fn a_re_alarm_survives() {
    check(
        ruled(
            h,
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             realarm = \"10s\"",
        ),
        "0s LT=85
         1s ack t/LT/h
         5s restart
         6s LT=85
         8s LT=85
         11s LT=85",
        "0s t/LT/h NORMAL>UNACK condition
         1s t/LT/h UNACK>ACKED ack
         5s t/LT/h ACKED>ACKED restart unknown
         6s t/LT/h ACKED>ACKED quality
         11s t/LT/h ACKED>UNACK realarm",
    );
}

/// A lost source and a failed part stand after a restart, too.
#[test]
fn built_in_alarms_stand() {
    check(
        lt(h),
        "0s LT=50
         1s down; health journal bad
         2s restart
         3s health journal ok
         4s LT=50",
        "1s table/LT/h NORMAL>NORMAL quality unknown
         1s source/plc/loss_of_view NORMAL>UNACK condition
         1s system/journal/on NORMAL>UNACK condition
         3s system/journal/on UNACK>RTN_UNACK returned
         4s table/LT/h NORMAL>NORMAL quality
         4s source/plc/loss_of_view UNACK>RTN_UNACK returned",
    );
}

/// Section 2, edits; 8.24: an edit never closes what nobody has seen.
#[test]
fn a_rule_that_is_gone_leaves_its_alarm_to_a_person() {
    let mut rig = check(
        lt(|_| {}),
        "0s LT=95
         1s ack table/LT/h",
        "0s table/LT/hh NORMAL>UNACK condition
         0s table/LT/h NORMAL>UNACK condition masked
         1s table/LT/h UNACK>ACKED ack masked",
    );
    let (_, rules) = compiled(
        plant::table_of(&["LT"]),
        "[[level]]
         id = \"new\"
         select = { tag = \"LT\" }
         h = { limit = 60 }",
    );
    rig.rules = std::sync::Arc::new(rules);
    rig.run(
        "2s restart
         3s LT=50
         4s restart
         5s ack table/LT/hh
         6s ack table/LT/hh",
    );
    assert_eq!(
        rig.lines()[3..],
        [
            "2s table/LT/hh UNACK>RTN_UNACK superseded",
            "2s table/LT/h ACKED>NORMAL superseded",
            "5s table/LT/hh RTN_UNACK>NORMAL ack",
        ]
    );
    assert_eq!(rig.results[1].why, None);
    assert_eq!(
        rig.results[2].why,
        Some(crate::alarm::Rejection::StaleOccurrence)
    );
    assert!(rig.engine.standing().is_empty());

    // The rule comes back: its occurrences go on counting.
    let (_, rules) = lt(|_| {});
    let first = rig.transitions[0].occurrence.clone();
    rig.rules = std::sync::Arc::new(rules);
    rig.run(
        "7s restart
         8s LT=95",
    );
    let again = rig.occurrence("table/LT/hh");
    assert_eq!(again.len(), 26);
    assert_ne!(*first, again);
}

/// Section 2, restart: the grouped alarm of a start that single alarms have superseded is still the
/// one that a person acknowledges, after a kill, too; it stands once.
#[test]
fn a_superseded_start_is_not_orphaned_by_a_kill() {
    let mut rig = crate::proof::script::Rig::new(plant::table_of(&["A", "B", "C"]), {
        compiled(plant::table_of(&["A", "B", "C"]), "").1
    });
    rig.run(
        "0s image
         0.5s A=1
         5.25s A=1
         6s A=1
         6.5s kill",
    );
    let alarm = "system/startup/on";
    let superseded = |l: &String| l.contains(alarm) && l.contains("superseded");
    assert!(rig.lines().iter().any(superseded), "{:#?}", rig.lines());
    let standing = |rig: &crate::proof::script::Rig| {
        let all = rig.engine.standing();
        all.iter().filter(|s| &*s.last.alarm == alarm).count()
    };
    assert_eq!(standing(&rig), 1);
    rig.run("7s ack system/startup/on");
    assert_eq!(rig.answers(), ["applied"]);
    assert_eq!(standing(&rig), 0);
}

/// 8.22: a delay that runs over a restart is no reason to say again what was said: overlay records
/// come on change only.
#[test]
fn a_pending_delay_tells_no_overlay_twice() {
    check(
        super::lt(|p| {
            super::delays(3, 0)(p);
            p.limits.hh = None;
            p.limits.l = None;
            p.limits.ll = None;
        }),
        "0s LT=85 uncertain
         1s LT=85
         1.5s restart
         2s LT=50",
        "0s table/LT/h NORMAL>NORMAL quality unknown
         1s table/LT/h NORMAL>NORMAL quality",
    );
}
