//! Retrospective occurrences (3.11, 8.26).

use std::time::Duration;

use davy_points::{PointDef, Quality, Sample, Timestamp, Value};
use proptest::prelude::*;

use super::{cases, lt, ruled};
use crate::alarm::{Cause, Flag, Label, Transition};
use crate::engine::Input;
use crate::proof::script::{BASE, Rig, check};

const S: i64 = 1_000_000_000;

/// H alone, and long until anything is stale.
fn h(p: &mut PointDef) {
    p.limits.ll = None;
    p.limits.l = None;
    p.limits.hh = None;
    p.stale_after = Duration::from_secs(600);
}

/// 3.11: at its original time, RTN_UNACK, silent; one for a run, not one for a sample; a person
/// acknowledges it.
#[test]
fn a_backfill_that_would_have_alarmed_is_told_once() {
    let rig = check(
        lt(h),
        "0s LT=50
         20s LT=50
         20.1s LT=50 at=3s
         20.2s LT=85 at=4s
         20.3s LT=86 at=5s
         20.4s LT=79.5 at=6s
         20.5s LT=84 at=7s
         20.6s LT=50 at=8s
         20.7s LT=50 at=9s
         21s LT=50
         22s ack table/LT/h",
        "20.2s table/LT/h NORMAL>RTN_UNACK condition retrospective silent
         22s table/LT/h RTN_UNACK>NORMAL ack retrospective",
    );
    let t = &rig.transitions[0];
    assert_eq!(t.condition_start, Some(Timestamp(BASE + 4 * S)));
    assert_eq!(t.source_time, Timestamp(BASE + 4 * S));
    assert_eq!(t.recorded_at, Timestamp(BASE + 20_200_000_000));
    assert_eq!(t.annunciated_at, None);
    assert!(!t.regions.after.audible && t.regions.after.open);
    assert_eq!(&*t.text, "LT 85.0 m ≥ 高限 80.0 m（补报）");
    assert_eq!(t.episode, t.occurrence);
}

/// What is told of late samples is no evidence for the next, live occurrence.
#[test]
fn a_live_occurrence_after_it_sounds_and_is_of_its_episode() {
    let rig = check(
        lt(h),
        "0s LT=50
         20s LT=50
         20.1s LT=85 at=4s
         20.2s LT=50 at=5s
         21s LT=85
         22s LT=50",
        "20.1s table/LT/h NORMAL>RTN_UNACK condition retrospective silent
         21s table/LT/h RTN_UNACK>UNACK condition
         22s table/LT/h UNACK>RTN_UNACK returned",
    );
    let t = &rig.transitions;
    assert!(t[1].regions.after.audible);
    assert_eq!(t[0].episode, t[1].episode);
    assert_ne!(t[0].occurrence, t[1].occurrence);
}

/// 8.26: in an open episode it joins and acknowledges nothing. It is the latest occurrence then, the
/// one that a person names.
#[test]
fn it_joins_an_open_episode() {
    let rig = check(
        lt(h),
        "0s LT=50
         10s LT=85
         11s LT=50
         20s LT=50
         20.1s LT=85 at=4s
         20.2s LT=50 at=5s
         21s silence table/LT/h
         22s ack table/LT/h",
        "10s table/LT/h NORMAL>UNACK condition
         11s table/LT/h UNACK>RTN_UNACK returned
         20.1s table/LT/h RTN_UNACK>RTN_UNACK condition retrospective
         21s table/LT/h RTN_UNACK>RTN_UNACK silence silent
         22s table/LT/h RTN_UNACK>NORMAL ack",
    );
    let t = &rig.transitions;
    assert_eq!(t[2].episode, t[0].occurrence);
    assert_ne!(t[2].occurrence, t[0].occurrence);
    assert_eq!(t[3].occurrence, t[2].occurrence);
}

/// 8.26: only where Good data now show the alarm NORMAL. What came before that is not lost.
#[test]
fn it_waits_for_good_data_that_show_normal() {
    check(
        lt(h),
        "0s LT=50
         20s LT=50 uncertain
         20.1s LT=85 at=4s
         20.2s LT=50 at=5s
         21s LT=50 uncertain
         22s LT=50
         23s LT=50",
        "20s table/LT/h NORMAL>NORMAL quality unknown
         22s table/LT/h NORMAL>NORMAL quality
         22s table/LT/h NORMAL>RTN_UNACK condition retrospective silent",
    );
    check(
        lt(h),
        "0s LT=50
         20s LT=85
         20.1s LT=85 at=4s
         20.2s LT=50 at=5s
         21s ack table/LT/h
         22s LT=50
         23s LT=50",
        "20s table/LT/h NORMAL>UNACK condition
         21s table/LT/h UNACK>ACKED ack
         22s table/LT/h ACKED>NORMAL returned
         22s table/LT/h NORMAL>RTN_UNACK condition retrospective silent",
    );
}

/// 3.11: joined to the live one where contiguous; an old sample sent once more is known, too.
#[test]
fn what_is_contiguous_with_a_live_occurrence_is_known() {
    check(
        lt(h),
        "0s LT=50
         10s LT=85
         10.1s LT=85 at=5s
         10.2s LT=86 at=7s
         10.3s LT=86 at=8s
         12s LT=85
         14s LT=50
         15s ack table/LT/h
         16s LT=50
         16.1s LT=85 at=10s
         16.2s LT=86 at=12s
         16.3s LT=86 at=9s
         16.4s LT=86 at=5s",
        "10s table/LT/h NORMAL>UNACK condition
         14s table/LT/h UNACK>RTN_UNACK returned
         15s table/LT/h RTN_UNACK>NORMAL ack",
    );
    // An exit between them parts them.
    check(
        lt(h),
        "0s LT=50
         10s LT=85
         11s LT=50
         12s ack table/LT/h
         20s LT=50
         20.1s LT=50 at=9s
         20.2s LT=85 at=8.5s",
        "10s table/LT/h NORMAL>UNACK condition
         11s table/LT/h UNACK>RTN_UNACK returned
         12s table/LT/h RTN_UNACK>NORMAL ack
         20.2s table/LT/h NORMAL>RTN_UNACK condition retrospective silent",
    );
}

/// The on-delay is that of the samples' own times; an exit at its very end comes too late (8.2).
#[test]
fn an_on_delay_runs_by_the_times_of_late_samples() {
    let delayed = |p: &mut PointDef| {
        h(p);
        p.on_delay = Duration::from_secs(2);
    };
    let rig = check(
        lt(delayed),
        "0s LT=50
         20s LT=50
         20.1s LT=85 at=3s
         20.2s LT=85 at=4s
         20.3s LT=50 at=4.9s
         20.4s LT=85 at=6s
         20.5s LT=79.5 at=7s
         20.6s LT=85 uncertain at=8s
         20.7s LT=50 at=9s
         20.8s LT=85 at=11s
         20.9s LT=50 at=13s",
        "20.6s table/LT/h NORMAL>RTN_UNACK condition retrospective silent
         20.9s table/LT/h RTN_UNACK>RTN_UNACK condition retrospective silent",
    );
    let starts: Vec<_> = rig.transitions.iter().map(|t| t.condition_start).collect();
    assert_eq!(starts[0], Some(Timestamp(BASE + 6 * S)));
    assert_eq!(starts[1], Some(Timestamp(BASE + 11 * S)));
    // Strict: a Good sample in the deadband cancels a run that is not held yet.
    check(
        ruled(
            h,
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             pending = \"strict\"
             h = { on_delay = \"2s\" }",
        ),
        "0s LT=50
         20s LT=50
         20.1s LT=85 at=3s
         20.2s LT=79.5 at=4s
         20.3s LT=85 at=5s
         20.4s LT=50 at=6s",
        "",
    );
}

/// Uncertain may raise, and ends no run; Bad says nothing; a future time is no late one.
#[test]
fn the_quality_of_late_samples_counts() {
    check(
        lt(h),
        "0s LT=50
         20s LT=50
         20.1s LT=85 at=2s bad
         20.2s LT=nan at=3s
         20.3s LT=85 at=30s
         20.4s LT=85 at=4s uncertain
         20.5s LT=50 at=5s uncertain
         20.6s LT=85 at=6s",
        "20.4s table/LT/h NORMAL>RTN_UNACK condition retrospective silent",
    );
}

/// 3.9: in order, but older than `max_age` on arrival: judged as Uncertain, and loud.
#[test]
fn what_is_old_but_in_order_is_live() {
    check(
        lt(|p| {
            h(p);
            p.stale_after = Duration::from_secs(3);
        }),
        "0s LT=50
         2s LT=50 at=1s
         2.5s LT=85 at=-3s
         9s LT=85 at=5s",
        "2.5s table/LT/h NORMAL>RTN_UNACK condition retrospective silent
         5s table/LT/h RTN_UNACK>RTN_UNACK quality retrospective unknown silent
         5s stale/LT/stale NORMAL>UNACK condition
         9s table/LT/h RTN_UNACK>UNACK condition unknown
         9s stale/LT/stale UNACK>RTN_UNACK returned",
    );
}

/// Worse levels: HH with H masked beneath, as live; an H that was told goes on.
#[test]
fn a_worse_level_is_told_with_the_lesser_beneath() {
    let all = |p: &mut PointDef| p.stale_after = Duration::from_secs(600);
    let rig = check(
        lt(all),
        "0s LT=50
         20s LT=50
         20.1s LT=95 at=4s
         20.2s LT=85 at=5s
         20.3s LT=50 at=6s
         20.4s LT=85 at=8s
         20.5s LT=95 at=9s
         20.6s LT=50 at=10s
         20.7s LT=5 at=12s",
        "20.1s table/LT/hh NORMAL>RTN_UNACK condition retrospective silent
         20.1s table/LT/h NORMAL>RTN_UNACK condition retrospective masked silent
         20.4s table/LT/h RTN_UNACK>RTN_UNACK condition retrospective silent
         20.5s table/LT/hh RTN_UNACK>RTN_UNACK condition retrospective silent
         20.7s table/LT/ll NORMAL>RTN_UNACK condition retrospective silent
         20.7s table/LT/l NORMAL>RTN_UNACK condition retrospective masked silent",
    );
    assert!(rig.transitions.iter().all(|t| !t.regions.after.masked));
}

/// 8.26: latch does not apply. An episode that is acknowledged and latched takes nothing in unseen.
#[test]
fn a_latch_does_not_apply() {
    let latched = || {
        ruled(
            |p| {
                h(p);
                p.limits.h = None;
            },
            "[[level]]
             id = \"t\"
             select = { tag = \"LT\" }
             latch = true
             h = { limit = 80 }",
        )
    };
    check(
        latched(),
        "0s LT=50
         20s LT=50
         20.1s LT=85 at=4s
         21s ack t/LT/h",
        "20.1s t/LT/h NORMAL>RTN_UNACK condition retrospective silent
         21s t/LT/h RTN_UNACK>NORMAL ack retrospective",
    );
    check(
        latched(),
        "0s LT=50
         10s LT=85
         11s LT=50
         20s LT=50
         20.1s LT=85 at=4s
         21s ack t/LT/h
         21.1s LT=85 at=15s
         22s LT=50
         23s reset t/LT/h
         24s LT=50",
        "10s t/LT/h NORMAL>UNACK condition
         11s t/LT/h UNACK>LATCH_UNACK returned
         20.1s t/LT/h LATCH_UNACK>LATCH_UNACK condition retrospective
         21s t/LT/h LATCH_UNACK>LATCH_ACK ack
         23s t/LT/h LATCH_ACK>NORMAL reset
         24s t/LT/h NORMAL>RTN_UNACK condition retrospective silent",
    );
}

/// 8.22: beneath a shelf it is listed, and the label stays.
#[test]
fn beneath_a_shelf_the_label_stays() {
    check(
        lt(h),
        "0s LT=50
         19s shelve table/LT/h 30m
         20s LT=50
         20.1s LT=85 at=4s
         21s unshelve table/LT/h",
        "19s table/LT/h NORMAL>SHELVED shelve
         20.1s table/LT/h SHELVED>SHELVED condition retrospective silent
         21s table/LT/h SHELVED>RTN_UNACK unshelve retrospective silent",
    );
}

/// Image and records bring back what was told, what waits and what stands: over a restart and over a
/// kill nothing is told twice, and ids go on.
#[test]
fn it_survives_a_restart() {
    for stop in ["restart", "kill"] {
        let rig = check(
            lt(h),
            &format!(
                "0s LT=50
                 10s LT=85
                 11s LT=50
                 20s LT=50
                 20.05s image
                 20.1s LT=85 at=4s
                 20.2s LT=85 at=5s
                 20.3s tick
                 21s {stop}
                 22s LT=50
                 22.1s LT=85 at=4s
                 22.2s LT=85 at=5s
                 22.3s LT=85 at=10s
                 22.4s LT=50 at=6s
                 22.5s LT=85 at=7.5s
                 23s ack table/LT/h"
            ),
            "10s table/LT/h NORMAL>UNACK condition
             11s table/LT/h UNACK>RTN_UNACK returned
             20.1s table/LT/h RTN_UNACK>RTN_UNACK condition retrospective
             21s table/LT/h RTN_UNACK>RTN_UNACK restart unknown
             22s table/LT/h RTN_UNACK>RTN_UNACK quality
             22.5s table/LT/h RTN_UNACK>RTN_UNACK condition retrospective
             23s table/LT/h RTN_UNACK>NORMAL ack",
        );
        let t = &rig.transitions;
        assert_eq!(t[4].occurrence, t[2].occurrence);
        assert_eq!(t[4].condition_start, t[2].condition_start);
        assert_ne!(t[5].occurrence, t[2].occurrence);
    }
    // What waits, waits over the restart.
    check(
        lt(h),
        "0s LT=50
         20s LT=50 uncertain
         20.1s LT=85 at=4s
         21s restart
         22s LT=50",
        "20s table/LT/h NORMAL>NORMAL quality unknown
         22s table/LT/h NORMAL>NORMAL quality
         22s table/LT/h NORMAL>RTN_UNACK condition retrospective silent",
    );
}

/// A bump in a test is no alarm that anybody missed, though it comes after it; what was measured
/// before it is, though it comes in it, once the test is over.
#[test]
fn a_test_leaves_nothing_behind() {
    let mut rig = Rig::new(lt(h).0, lt(h).1);
    let bypass = |rig: &mut Rig, at: i64, verb: crate::alarm::Verb| {
        let c = crate::alarm::Command {
            reason: "bump test".to_owned(),
            permit: Some("P-7".to_owned()),
            until: Some(Timestamp(BASE + at + 600 * S)),
            points: vec!["LT".to_owned()],
            role: "supervisor".to_owned(),
            second: Some("b".to_owned()),
            ..rig.plain(at, verb)
        };
        rig.give(at, Input::Command(Box::new(c)));
    };
    rig.run("0s LT=50");
    bypass(&mut rig, 10 * S, crate::alarm::Verb::Bypass);
    rig.run("15s LT=50\n15.1s LT=85 at=5s\n15.2s LT=50 at=6s\n19s LT=50");
    assert_eq!(told(&rig), []);
    bypass(&mut rig, 20 * S, crate::alarm::Verb::Restore);
    assert_eq!(rig.answers(), ["applied", "applied"]);
    rig.run("21s LT=50\n21.1s LT=85 at=16s\n21.2s LT=50 at=17s");
    assert_eq!(told(&rig), [("table/LT/h".to_owned(), 5 * S)]);
}

/// No limit loses a run: more than are remembered are all told, and while they wait the first stays
/// by itself.
#[test]
fn more_runs_than_are_remembered() {
    let mut script = String::from("0s LT=50\n2000s LT=50\n");
    for n in 0..40 {
        script += &format!("2000.1s LT=85 at={}s\n", 10 * n + 1);
    }
    let mut rig = Rig::new(lt(h).0, lt(h).1);
    rig.run(&script);
    assert_eq!(told(&rig).len(), 40);

    let mut rig = Rig::new(lt(h).0, lt(h).1);
    rig.run(&script.replace("2000s LT=50", "2000s LT=85"));
    assert_eq!(told(&rig).len(), 0);
    rig.run("2001s LT=50");
    let starts: Vec<i64> = told(&rig).iter().map(|(_, s)| s / S).collect();
    assert_eq!(starts.len(), 15);
    assert_eq!(starts[..3], [1, 11, 21]);
}

/// Alarm and start of what was told of late samples, by time.
fn told(rig: &Rig) -> Vec<(String, i64)> {
    let mut all: Vec<(String, i64)> = rig
        .transitions
        .iter()
        .filter(|t| is_late(t))
        .map(|t| (t.alarm.to_string(), t.condition_start.unwrap().0 - BASE))
        .collect();
    all.sort();
    all
}

fn is_late(t: &Transition) -> bool {
    t.cause == Cause::Condition && t.flags.contains(&Flag::Retrospective)
}

const QUALITIES: [Quality; 3] = [
    Quality::Good,
    Quality::UncertainRange,
    Quality::BadSensorFailure,
];

fn late(rig: &mut Rig, at: i64, (time, value, q): (i64, f64, usize)) {
    let point = rig.table.find("LT").unwrap();
    let s = Sample {
        point,
        value: Value::F64(value),
        quality: QUALITIES[q],
        source_time: Timestamp(BASE + time),
        offset_ns: 0,
        uncertainty_ns: 0,
        arrival_time: Timestamp(BASE + at),
        seq: u64::try_from(time.max(0)).unwrap(),
    };
    rig.give(at, Input::Sample(s));
}

fn values() -> impl Strategy<Value = Vec<(f64, usize)>> {
    let value = proptest::sample::select(vec![50.0, 50.0, 79.5, 85.0, 89.5, 95.0, 5.0, 15.0]);
    let quality = prop_oneof![8 => Just(0_usize), 1 => Just(1), 1 => Just(2)];
    proptest::collection::vec((value, quality), 1..40)
}

fn plant(delay: u64) -> Rig {
    let (table, rules) = ruled(
        |p| {
            p.stale_after = Duration::from_secs(3600);
            p.on_delay = Duration::from_secs(delay);
        },
        "[[level]]
         id = \"t\"
         select = { tag = \"LT\" }
         chatter = false",
    );
    let mut rig = Rig::new(table, rules);
    rig.run("0s LT=50\n1000s LT=50");
    rig
}

proptest! {
    #![proptest_config(cases())]

    /// Whatever comes late in whatever order: it only ever makes NORMAL or RTN_UNACK into RTN_UNACK,
    /// returns, acknowledges and sounds nothing, and moves no region but `open`.
    #[test]
    fn a_backfill_moves_no_live_state(
        live in proptest::collection::vec((0_usize..5, 0_usize..3, any::<bool>()), 1..30),
        late_ones in proptest::collection::vec((1_i64..600, 0_usize..8, 0_usize..3), 1..30),
        delay in 0_u64..3,
    ) {
        const LIVE: [f64; 5] = [50.0, 79.5, 85.0, 95.0, 5.0];
        const LATE: [f64; 8] = [50.0, 50.0, 79.5, 85.0, 95.0, 5.0, 15.0, f64::NAN];
        let mut rig = plant(delay);
        let mut at = 1000 * S;
        for (i, (v, q, ack)) in live.iter().enumerate() {
            at += S;
            late(&mut rig, at, (at, LIVE[*v], *q));
            if *ack {
                for alarm in ["t/LT/h", "t/LT/hh", "t/LT/l", "t/LT/ll"] {
                    if rig.transitions.iter().any(|t| &*t.alarm == alarm && !t.occurrence.is_empty()) {
                        let occurrence = rig.occurrence(alarm);
                        rig.command_for(at, "ack", &occurrence);
                    }
                }
            }
            let Some((time, v, q)) = late_ones.get(i) else { continue };
            let before = rig.transitions.len();
            let last = rig.engine.next_wake();
            late(&mut rig, at, (time * S, LATE[*v], *q));
            prop_assert_eq!(rig.engine.next_wake(), last, "no delay begins or ends");
            for t in &rig.transitions[before..] {
                prop_assert!(is_late(t));
                let (mut b, a) = (t.regions.before.clone(), t.regions.after.clone());
                prop_assert!(matches!(t.from, Label::Normal | Label::RtnUnack));
                prop_assert_eq!(t.to, Label::RtnUnack);
                prop_assert!(!a.audible || b.audible);
                b.open = true;
                prop_assert_eq!(b, a);
                prop_assert_eq!(t.annunciated_at, None);
            }
        }
        // Acknowledged or not, each id is of one occurrence.
        let mut ids: Vec<_> = rig.transitions.iter().filter(|t| t.cause == Cause::Condition)
            .map(|t| t.occurrence.clone()).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), all);
    }

    /// Cut anywhere, with live samples between the pieces, and sent again in any order: the same.
    #[test]
    fn a_backfill_is_told_alike_however_it_is_cut(
        values in values(),
        cuts in proptest::collection::vec(any::<bool>(), 40),
        again in proptest::collection::vec(any::<prop::sample::Index>(), 0..30),
        delay in 0_u64..4,
    ) {
        let mut whole = plant(delay);
        let mut cut = plant(delay);
        let mut at = 1000 * S;
        for (i, (v, q)) in (1_i64..).zip(&values) {
            late(&mut whole, 1000 * S, (i * S, *v, *q));
            late(&mut cut, at, (i * S, *v, *q));
            if cuts[usize::try_from(i).unwrap() - 1] {
                at += S;
                late(&mut cut, at, (at, 50.0, 0));
            }
        }
        prop_assert_eq!(told(&whole), told(&cut));
        // Runs of these lengths are all remembered.
        for i in again {
            let n = i.index(values.len());
            let time = i64::try_from(n).unwrap() + 1;
            late(&mut cut, at, (time * S, values[n].0, values[n].1));
            at += S;
            late(&mut cut, at, (at, 50.0, 0));
        }
        prop_assert_eq!(told(&whole), told(&cut));
    }

    /// Runs in any order, each with the exits before and after it: the same occurrences.
    #[test]
    fn the_order_of_runs_does_not_matter(
        lengths in proptest::collection::vec((1_i64..4, 1_i64..6, 0_usize..3), 1..10),
        order in any::<prop::sample::Index>(),
        seed in any::<u64>(),
        delay in 0_u64..4,
    ) {
        const ABOVE: [f64; 3] = [85.0, 95.0, 89.5];
        let mut pieces = Vec::new();
        let mut t = 1_i64;
        for (calm, high, value) in &lengths {
            let exits = (0..*calm).map(|i| ((t + i) * S, 50.0, 0));
            let run = (0..*high).map(|i| ((t + calm + i) * S, ABOVE[*value], 0));
            let end = ((t + calm + high) * S, 50.0, 0);
            let piece: Vec<_> = exits.chain(run).chain([end]).collect();
            t += calm + high;
            pieces.push(piece);
        }
        let mut ordered = plant(delay);
        for piece in &pieces {
            for s in piece {
                late(&mut ordered, 1000 * S, *s);
            }
        }
        let mut mixed = plant(delay);
        // Any order, from a seed.
        let mut state = seed | 1;
        let mut rest = pieces.clone();
        rest.rotate_left(order.index(pieces.len()));
        while !rest.is_empty() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let piece = rest.swap_remove(usize::try_from(state >> 33).unwrap() % rest.len());
            for s in &piece {
                late(&mut mixed, 1000 * S, *s);
            }
        }
        prop_assert_eq!(told(&ordered), told(&mixed));
    }

    /// Sample by sample in any order, with no on-delay: no run is lost, none is told for each sample,
    /// and what was sent once more adds nothing.
    #[test]
    fn in_any_order_nothing_is_lost_or_told_twice(
        values in values(),
        shuffled in Just((0_usize..40).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut ordered = plant(0);
        let mut mixed = plant(0);
        let sample = |n: usize| (i64::try_from(n).unwrap() * S + S, values[n].0, values[n].1);
        for n in 0..values.len() {
            late(&mut ordered, 1000 * S, sample(n));
        }
        for n in shuffled.iter().copied().filter(|n| *n < values.len()) {
            late(&mut mixed, 1000 * S, sample(n));
        }
        let (one, other) = (told(&ordered), told(&mixed));
        for level in ["hh", "h", "l", "ll"] {
            let of = |all: &[(String, i64)]| {
                all.iter().filter(|(a, _)| a.ends_with(&format!("/{level}"))).count()
            };
            prop_assert!(of(&one) == 0 || of(&other) > 0, "{:?} {:?}", one, other);
            prop_assert!(of(&one) > 0 || of(&other) == 0, "{:?} {:?}", one, other);
        }
        for n in shuffled.into_iter().filter(|n| *n < values.len()) {
            late(&mut mixed, 1000 * S, sample(n));
        }
        prop_assert_eq!(told(&mixed), other);
    }
}
