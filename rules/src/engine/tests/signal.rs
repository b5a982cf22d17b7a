//! Kinds `quality` and `system`, and what is stored.

use super::{compiled, ruled};
use crate::proof::plant;
use crate::proof::script::check;

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
