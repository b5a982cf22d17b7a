//! The way of a sample that changes nothing: no output, no allocation, little state.

use davy_points::{Mono, Quality, Sample, Timestamp, Value};

use super::lt;
use crate::engine::state::{AlarmState, PointState};
use crate::engine::{Engine, Envelope, Input, Restored};
use crate::proof::script::{BASE, check, identity};

/// `design.md` section 5: at most 200 B of state per point with its four levels.
#[test]
fn state_is_small() {
    let four_levels = size_of::<PointState>() + 4 * size_of::<AlarmState>();
    assert!(four_levels <= 200, "{four_levels} B");
}

/// 8.1: within the quiet band nothing happens, whatever the value does.
#[test]
fn a_quiet_sample_says_nothing() {
    let (table, rules) = lt(|p| {
        p.on_delay = std::time::Duration::from_secs(5);
        p.stale_after = std::time::Duration::from_secs(3600);
    });
    let point = table.find("LT").unwrap();
    let mut engine = Engine::start(
        identity(),
        rules.into(),
        table.into(),
        Restored::default(),
        Mono(0),
        Timestamp(BASE),
    );
    let envelopes: Vec<Envelope> = (1..=100_000_u64)
        .map(|n| {
            let t = Timestamp(BASE + i64::try_from(n).unwrap() * 1_000_000);
            Envelope {
                seq: n,
                mono: Mono(n * 1_000_000),
                wall: t,
                input: Input::Sample(Sample {
                    point,
                    value: Value::F64(50.0 + (n % 7) as f64),
                    quality: Quality::Good,
                    source_time: t,
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: t,
                    seq: n,
                }),
            }
        })
        .collect();
    engine.handle(&envelopes[0]);
    while engine.poll().is_some() {}
    for e in &envelopes[1..] {
        assert_eq!(engine.handle(e), Some(Quality::Good));
    }
    assert_eq!(engine.poll(), None);
    assert!(
        engine.points[point.index()].quick,
        "the short way was taken"
    );
}

/// 8.1: the last double on this side of a bound is on this side, by the short way, too.
#[test]
fn the_short_way_knows_the_bounds_to_the_bit() {
    for (enter, inside, exit, outside) in [
        (80.0, 80.0_f64.next_down(), 79.0, 79.0_f64.next_down()),
        (20.0, 20.0_f64.next_up(), 21.0, 21.0_f64.next_up()),
    ] {
        let level = if enter > 50.0 { "h" } else { "l" };
        let rig = check(
            lt(|_| {}),
            &format!(
                "0s LT=50
                 0.1s LT={inside:?}
                 1s LT={enter:?}
                 1.1s LT={enter:?}
                 1.2s LT={exit:?}
                 1.3s LT={exit:?}
                 2s LT={outside:?}"
            ),
            &format!(
                "1s table/LT/{level} NORMAL>UNACK condition
                 2s table/LT/{level} UNACK>RTN_UNACK returned"
            ),
        );
        assert!(rig.stored.iter().all(|(_, q)| q.is_good()));
    }
}

/// 3.9: what is old, or came before, does not take the short way: it is Uncertain, or renews no
/// freshness.
#[test]
fn what_is_old_or_came_before_takes_the_long_way() {
    let rig = check(
        lt(|_| {}),
        "0s LT=50
         0.1s LT=50
         10s LT=51 at=9.9s
         10.1s LT=51 at=10.1s
         13.05s LT=51 at=10.04s",
        "3.1s table/LT/hh NORMAL>NORMAL quality unknown
         3.1s table/LT/h NORMAL>NORMAL quality unknown
         3.1s table/LT/ll NORMAL>NORMAL quality unknown
         3.1s table/LT/l NORMAL>NORMAL quality unknown
         3.1s stale/LT/stale NORMAL>UNACK condition
         10s table/LT/hh NORMAL>NORMAL quality
         10s table/LT/h NORMAL>NORMAL quality
         10s table/LT/ll NORMAL>NORMAL quality
         10s table/LT/l NORMAL>NORMAL quality
         10s stale/LT/stale UNACK>RTN_UNACK returned",
    );
    assert_eq!(rig.stored.len(), 5);
    let rig = check(
        lt(|p| p.limits = davy_points::Limits::default()),
        "0s LT=50 at=-1s
         0.1s LT=50 at=-0.9s
         2.9s LT=50 at=-0.2s",
        "",
    );
    assert_eq!(rig.stored[2].1, Quality::UncertainLastUsable);
    check(
        lt(|p| p.limits = davy_points::Limits::default()),
        "0s LT=50
         0.1s LT=50 at=0.1s seq=7
         2s LT=50 at=0.1s seq=7
         2.1s LT=50 at=0.1s seq=6
         4s tick",
        "3.1s stale/LT/stale NORMAL>UNACK condition",
    );
    // In time, but before what was seen already.
    check(
        lt(|p| p.limits = davy_points::Limits::default()),
        "0s LT=50
         1s LT=50
         3.5s LT=50 at=0.9s
         5s tick",
        "4s stale/LT/stale NORMAL>UNACK condition",
    );
}

/// 3.9: a source whose clock runs ahead does not make its next sample late.
#[test]
fn what_comes_early_takes_the_long_way() {
    check(
        lt(|p| p.limits.hh = None),
        "0s LT=50
         0.1s LT=50 at=2s
         1s LT=85 at=1s",
        "1s table/LT/h NORMAL>UNACK condition",
    );
}
