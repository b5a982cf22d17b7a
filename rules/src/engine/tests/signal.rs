//! Kinds `quality` and `system`, and what is stored.

use davy_points::{NoData, Quality, Sample, Timestamp, Value};

use super::{compiled, ruled};
use crate::engine::Input;
use crate::proof::plant;
use crate::proof::script::{BASE, Rig, check};

/// Section 4, `quality`: a class in a set, for a duration; only Good returns it (3.1).
#[test]
fn a_quality_class_for_a_duration() {
    check(
        compiled(
            plant::table_of(&["LT"]),
            "[[quality]]
             id = \"poor\"
             select = { tag = \"LT\" }
             classes = [\"bad\", \"uncertain\"]
             on_delay = \"2s\"
             off_delay = \"2s\"
             priority = 2",
        ),
        "0s LT=1
         1s LT=1 uncertain
         2s LT=1
         3s LT=1 uncertain
         4s LT=1 bad
         5s LT=1 uncertain
         6s LT=1
         7s LT=1 uncertain
         8s LT=1
         10s LT=1",
        "5s poor/LT/bad NORMAL>UNACK condition
         10s poor/LT/bad UNACK>RTN_UNACK returned",
    );
    check(
        compiled(plant::table_of(&["LT"]), ""),
        "0s LT=1 bad
         1s LT=1 uncertain
         2s tick
         3s LT=1 uncertain
         4s LT=1",
        "2s quality/LT/bad NORMAL>UNACK condition
         4s quality/LT/bad UNACK>RTN_UNACK returned",
    );
}

/// 8.4: what is neither in the set nor Good starts the off-delay again.
#[test]
fn only_good_counts_towards_the_end_of_a_quality() {
    check(
        compiled(
            plant::table_of(&["LT"]),
            "[[quality]]
             id = \"poor\"
             select = { tag = \"LT\" }
             classes = [\"bad\"]
             on_delay = \"0s\"
             off_delay = \"2s\"
             priority = 2",
        ),
        "0s LT=1 bad
         1s LT=1
         2s LT=1 uncertain
         3s LT=1
         4s LT=1
         5s LT=1",
        "0s poor/LT/bad NORMAL>UNACK condition
         5s poor/LT/bad UNACK>RTN_UNACK returned",
    );
}

/// 3.13: what a sample lacks is Bad for everybody; a text is Bad only where a number was asked for,
/// and what the source itself calls Bad keeps its own word.
#[test]
fn what_is_no_number_has_its_own_quality() {
    let none = || Value::none(NoData::NoAnswer);
    let text = || Value::Text("OPEN".into());
    let nan = || Value::F64(f64::NAN);
    let (good, broken) = (Quality::Good, Quality::BadSensorFailure);
    let (lost, wrong) = (Quality::BadCommunication, Quality::BadConfiguration);
    for (limits, value, said, stored) in [
        (true, text(), good, wrong),
        (true, text(), Quality::UncertainRange, wrong),
        (true, text(), lost, lost),
        (true, none(), good, broken),
        (true, none(), lost, lost),
        (true, nan(), good, broken),
        (true, nan(), lost, lost),
        (false, text(), good, good),
        (false, text(), lost, lost),
        (false, none(), good, broken),
        (false, none(), Quality::UncertainRange, broken),
        (false, none(), lost, lost),
        (false, nan(), lost, lost),
    ] {
        let (table, rules) = ruled(
            |p| {
                if !limits {
                    p.limits = davy_points::Limits::default();
                }
            },
            "",
        );
        let mut rig = Rig::new(table, rules);
        let case = format!("{limits} {value:?} {said:?}");
        rig.give(
            0,
            Input::Sample(Sample {
                point: rig.table.find("LT").unwrap(),
                value,
                quality: said,
                source_time: Timestamp(BASE),
                offset_ns: 0,
                uncertainty_ns: 0,
                arrival_time: Timestamp(BASE),
                seq: 1,
            }),
        );
        assert_eq!(rig.stored, [("LT".to_owned(), stored)], "{case}");
    }
}

/// A part of the process itself: priority 1, and its words.
#[test]
fn a_failed_part_is_an_alarm() {
    let mut rig = check(
        ruled(|p| p.stale_after = std::time::Duration::from_secs(60), ""),
        "0s health journal ok
         1s health journal bad
         2s health journal bad
         3s health journal ok
         4s health journal bad",
        "1s system/journal/on NORMAL>UNACK condition
         3s system/journal/on UNACK>RTN_UNACK returned
         4s system/journal/on RTN_UNACK>UNACK condition",
    );
    assert_eq!(rig.transitions[0].priority.get(), 1);
    assert_eq!(&*rig.transitions[0].text, "报警日志 故障");
    rig.give(
        5_000_000_000,
        crate::engine::Input::Health {
            part: "series".to_owned(),
            ok: false,
            detail: "disk full".to_owned(),
        },
    );
    assert_eq!(&*rig.transitions[3].text, "历史存储 故障：disk full");
}
