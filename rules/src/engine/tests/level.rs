//! Kind `level`: entry, exit, delays, masks.

use std::time::Duration;

use davy_points::{Limits, PointDef, PointTable};

use crate::language::{RuleSet, compile};
use crate::proof::plant;
use crate::proof::script::check;

/// LT: LL 10, L 20, H 80, HH 90, deadband 1.
fn lt(change: impl Fn(&mut PointDef)) -> (PointTable, RuleSet) {
    let mut p = plant::point("LT");
    p.limits = Limits {
        ll: Some(10.0),
        l: Some(20.0),
        h: Some(80.0),
        hh: Some(90.0),
    };
    p.deadband = 1.0;
    change(&mut p);
    let table = plant::table([p]);
    let (rules, faults) = compile(&[], &table, &[]);
    assert_eq!(faults, []);
    (table, rules.unwrap())
}

fn delays(on: u64, off: u64) -> impl Fn(&mut PointDef) {
    move |p| {
        p.on_delay = Duration::from_secs(on);
        p.off_delay = Duration::from_secs(off);
    }
}

/// 8.1, 3.5: enter at v ≥ L, leave at v < L − db; mirrored for low.
#[test]
fn a_deadband_acts_on_exit_only() {
    check(
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
}

/// 3.8, 8.9: Normal → HH annunciates HH and records H, masked; unmasked UNACK sounds.
#[test]
fn hh_stands_for_h() {
    check(
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
