//! `stuck` (section 4; 8.16): against all that has ever come, in both directions.

use davy_points::QualityClass;
use proptest::prelude::*;

use super::compiled;
use super::model::{Reading, S};
use super::prop_level::give;
use super::properties::from_records;
use crate::alarm::{Cause, Regions};
use crate::proof::plant;
use crate::proof::script::Rig;

/// A second's sample of the gauge and of the witness.
type Second = ((u8, QualityClass), (bool, QualityClass));

fn class() -> impl Strategy<Value = QualityClass> {
    prop_oneof![
        30 => Just(QualityClass::Good),
        1 => Just(QualityClass::Uncertain),
        1 => Just(QualityClass::Bad),
    ]
}

fn seconds() -> impl Strategy<Value = Vec<Second>> {
    let value = prop_oneof![20 => Just(0_u8), 1 => Just(1), 1 => Just(3)];
    let witness = prop_oneof![20 => Just(true), 1 => Just(false)];
    proptest::collection::vec(((value, class()), (witness, class())), 1..80)
}

proptest! {
    #![proptest_config(super::cases())]

    /// 8.16: a witness that was true all the while over a covered window in which the value stood still
    /// raises; a false witness anywhere in it, or a value that moved, never does, and an Unknown one
    /// only after twice the window. What is stuck is Uncertain: it returns no alarm of the point (3.1).
    #[test]
    fn stuck_is_what_the_sentence_says(seconds in seconds(), window in 3_i64..8) {
        let rules = format!(
            "[[stuck]]\nid = \"s\"\nselect = {{ tag = \"A\" }}\nepsilon = 0.5\nwindow = \"{window}s\"\nwhile = \"X == 1\"\n\
             [[level]]\nid = \"l\"\nselect = {{ tag = \"A\" }}\nchatter = false\nh = {{ limit = 50.9, priority = 3 }}"
        );
        let (table, rules) = compiled(plant::table_of(&["A", "X"]), &rules);
        let mut rig = Rig::new(table, rules);
        for (n, (gauge, witness)) in seconds.iter().enumerate() {
            let at = n as i64 * S;
            let give = |rig: &mut Rig, tag: &str, value: f64, class| {
                give(rig, tag, &Reading { at, time: at, seq: 2 * n as u64 + 1, value, class });
            };
            give(&mut rig, "X", f64::from(u8::from(witness.0)), witness.1);
            let from = rig.transitions.len();
            give(&mut rig, "A", 50.0 + f64::from(gauge.0), gauge.1);
            let now = from_records(&rig.transitions);
            let stuck = now.get("s/A/on").is_some_and(Regions::is_active);
            let raised = rig.transitions[from..].iter()
                .any(|t| &*t.alarm == "s/A/on" && t.cause == Cause::Condition);
            let back = |windows: i64| {
                let first = n as i64 - windows * window;
                usize::try_from(first).ok().map(|first| &seconds[first..=n])
            };
            let still = |s: &[Second]| {
                let good = s.iter().filter(|x| x.0.1 == QualityClass::Good).map(|x| x.0.0);
                good.clone().max() == good.min()
            };
            // What the witness was at the start of the window was said by its sample then.
            let was = |s: &[Second], f: fn(&(bool, QualityClass)) -> bool| s.iter().any(|x| f(&x.1));
            let is_false = |w: &(bool, QualityClass)| !w.0 && w.1 == QualityClass::Good;
            // 3.1: Uncertain is looked at for entry.
            let is_unknown = |w: &(bool, QualityClass)| {
                w.1 == QualityClass::Bad || (w.1 == QualityClass::Uncertain && !w.0)
            };
            if raised {
                prop_assert_eq!(gauge.1, QualityClass::Good);
                let Some(w) = back(1) else {
                    return Err(TestCaseError::fail("raised before a window had passed"));
                };
                prop_assert!(still(w), "it moved: {:?}", w);
                prop_assert!(!was(&w[1..], is_false), "its witness was false: {:?}", w);
                if was(&w[1..], is_unknown) {
                    let twice = back(2);
                    prop_assert!(twice.is_some_and(|t| still(t) && !was(&t[1..], is_false)));
                }
            }
            // A second longer than the window: whatever happens at its edge.
            let longer = usize::try_from(n as i64 - window - 1).ok().map(|first| &seconds[first..=n]);
            if let Some(w) = longer {
                let all_good = w.iter().all(|x| x.0.1 == QualityClass::Good && x.1 == (true, QualityClass::Good));
                prop_assert!(!(all_good && still(w)) || stuck, "it stands still: {:?} {:#?}", w, rig.lines());
            }
            if stuck {
                let of_level = rig.transitions[from..].iter().filter(|t| &*t.alarm == "l/A/h");
                prop_assert!(of_level.clone().all(|t| t.cause != Cause::Returned));
            }
            if gauge.1 == QualityClass::Good && n > 0 && seconds[n - 1].0.1 == QualityClass::Good
                && seconds[n - 1].0.0 != gauge.0
            {
                prop_assert!(!stuck, "it moves: {:?}", &seconds[..=n]);
            }
        }
    }
}
