//! 3.3 over every way in which an engine may come to other limits or to a new start: reloads,
//! restarts and operating modes return nothing; a Good sample of that very point does.

use davy_points::Quality;
use proptest::prelude::*;

use super::compiled;
use super::properties::{QUARTER, Step, give, points, process, steps};
use crate::alarm::Cause;
use crate::proof::plant;
use crate::proof::script::Rig;

/// The limits of A hang on B, those of C on A; one has delays, one latches.
fn rules(h: i64, off: i64) -> String {
    format!(
        "[[level]]
         id = \"modal\"
         select = {{ tag = \"A\" }}
         off_delay = \"{off}s\"
         h = {{ limit = {h}, deadband = 1 }}
         hh = {{ limit = 95 }}
         [[level.mode]]
         name = \"high\"
         while = \"B > 50\"
         h = {{ limit = 90, deadband = 3 }}
         [[level.mode]]
         name = \"low\"
         while = \"C > 50\"
         h = {{ limit = 60, on_delay = \"1s\" }}
         [[level]]
         id = \"latched\"
         select = {{ tag = \"C\" }}
         latch = true
         h = {{ limit = 80 }}
         [[level.mode]]
         name = \"idle\"
         while = \"A < 50\"
         h = {{ limit = 70 }}"
    )
}

#[derive(Debug, Clone, Copy)]
enum Between {
    Nothing,
    Reload(i64, i64),
    Restart(i64),
    Kill,
}

fn between() -> impl Strategy<Value = Between> {
    prop_oneof![
        8 => Just(Between::Nothing),
        2 => (prop_oneof![Just(60_i64), Just(79), Just(85)], 0_i64..4).prop_map(|(h, off)| Between::Reload(h, off)),
        1 => (0_i64..40).prop_map(Between::Restart),
        1 => Just(Between::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Zero returns without a Good sample of that point, at or after the end of the off-delay.
    #[test]
    fn absence_never_returns_over_edits(
        steps in steps(), edits in proptest::collection::vec(between(), 120),
    ) {
        let (table, set) = compiled(plant::table(points()), &rules(80, 2));
        let mut rig = Rig::new(table, set);
        let mut at = 0;
        let mut off = 2;
        // When A last said anything but Good, or was interrupted.
        let mut broken = i64::MIN;
        for ((wait, step), edit) in steps.iter().zip(&edits) {
            let from = rig.transitions.len();
            let now = format!("{}s", at as f64 / 1e9);
            match edit {
                Between::Nothing => {}
                Between::Reload(h, delay) => {
                    off = *delay;
                    rig.edit(plant::table(points()), &rules(*h, off));
                    rig.run(&format!("{now} reload"));
                }
                Between::Restart(away) => {
                    at += away * QUARTER;
                    rig.run(&format!("{}s restart", at as f64 / 1e9));
                    broken = at;
                }
                Between::Kill => {
                    rig.run(&format!("{now} image\n{now} kill"));
                    broken = at;
                }
            }
            for t in &rig.transitions[from..] {
                prop_assert!(!matches!(t.cause, Cause::Returned | Cause::RuleChanged), "{edit:?} returned {}", t.alarm);
            }
            at += wait * QUARTER;
            let (from, stored) = (rig.transitions.len(), rig.stored.len());
            give(&mut rig, at, step);
            for t in rig.transitions[from..].iter().filter(|t| process(t)) {
                let closes = t.regions.before.is_active() && !t.regions.after.is_active();
                prop_assert!(!closes || matches!(t.cause, Cause::Returned | Cause::RuleChanged), "{t:?}");
                if !closes {
                    continue;
                }
                let Step::Sample(p, _, Quality::Good, age) = step else {
                    panic!("{step:?} returned {}", t.alarm);
                };
                prop_assert_eq!(&*t.tag, ["A", "B", "C"][*p]);
                prop_assert_eq!(rig.stored[stored].1, Quality::Good);
                let value = t.value.number().unwrap();
                let limit = t.limit.unwrap();
                prop_assert!(if limit > 50.0 { value < limit } else { value > limit }, "{} at {value}", t.alarm);
                if &*t.rule == "modal" {
                    let source_time = at - age.max(&0) * QUARTER;
                    prop_assert!(broken == i64::MIN || source_time >= broken + off * 1_000_000_000, "{} at {at}, broken at {broken}", t.alarm);
                }
            }
            match step {
                Step::Sample(0, _, q, 0) if *q != Quality::Good => broken = at,
                Step::Nan(0) => broken = at,
                _ => {}
            }
        }
    }
}
