//! `discrepancy`: a feedback that does not equal its command in time (section 4): a valve, a pump.
//!
//! The clock begins with the command, and anew with a command that differs from it by more than the
//! tolerance, or that by itself made what agreed disagree. What leaves its commanded place later, by
//! itself, has had its time. The clock survives a restart.

use davy_points::Priority;
use serde::{Deserialize, Serialize};

use super::head::{Head, Policy, Site, missing};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Derived};

/// Input slots.
const COMMAND: usize = 0;

#[derive(Debug, Clone, PartialEq)]
struct Discrepancy {
    tolerance: f64,
    within_ns: i64,
    /// For words.
    feedback: std::sync::Arc<str>,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let feedback = keys.text("feedback", f);
    if feedback.is_none() {
        missing(
            &mut keys,
            "feedback",
            "the tag of the point that must follow",
            f,
        );
    }
    let tolerance = keys.amount("tolerance", f).map_or(0.0, |t| t.0);
    let within = keys.duration_ns("within", f);
    if within.is_none() {
        missing(
            &mut keys,
            "within",
            "how long it may take to follow, like \"30s\"",
            f,
        );
    }
    let policy = Policy::read(&mut head, &mut keys, f);
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let (Some((feedback, span)), Some((within_ns, _))) = (feedback, within) else {
        return;
    };
    let rule = b.rule(head.rule.clone());
    for p in subjects {
        let Some(follower) = head.input(feedback, &span, p, site, f) else {
            return;
        };
        if follower == p {
            f.add(
                "E317",
                span,
                format!("\"{feedback}\" is the command itself: it always agrees"),
                "give the point that says where the thing really is",
            );
            return;
        }
        let derived = Derived {
            rule,
            subject: p,
            inputs: vec![p, follower],
            settings: std::sync::Arc::new(Discrepancy {
                tolerance,
                within_ns,
                feedback: site.table.point(follower).tag.clone(),
            }),
            what: "反馈与指令不符",
            unit: site.table.point(p).unit.clone(),
        };
        b.derived(derived, vec![head.on(rule, p, Priority::MEDIUM)]);
        policy.alarms(rule, p, b);
    }
}

impl Settings for Discrepancy {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Pair {
            settings: self.clone(),
            command: None,
            feedback: None,
            asked: None,
            said_at: i64::MIN,
        })
    }

    fn text(&self) -> String {
        format!("{} {}", self.tolerance, self.within_ns)
    }
}

/// The command that the clock runs for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Asked {
    value: f64,
    since: i64,
}

#[derive(Debug)]
struct Pair {
    settings: Discrepancy,
    command: Option<Reading>,
    feedback: Option<Reading>,
    asked: Option<Asked>,
    /// When it was last asked, monotonic.
    said_at: i64,
}

impl Pair {
    fn values(&self) -> Option<(f64, f64)> {
        Some((self.command?.value?, self.feedback?.value?))
    }

    fn differ(&self) -> Option<bool> {
        let (command, feedback) = self.values()?;
        Some((feedback - command).abs() > self.settings.tolerance)
    }

    fn due(&self) -> Option<i64> {
        Some(self.asked?.since.saturating_add(self.settings.within_ns))
    }
}

impl Judge for Pair {
    fn take(&mut self, slot: usize, r: &Reading) {
        if slot != COMMAND {
            self.feedback = Some(*r);
            return;
        }
        let agreed = self.differ() == Some(false);
        self.command = Some(*r);
        let Some(v) = r.value else { return };
        let moved = self
            .asked
            .is_none_or(|a| (v - a.value).abs() > self.settings.tolerance);
        if moved || (agreed && self.differ() == Some(true)) {
            self.asked = Some(Asked {
                value: v,
                since: r.at,
            });
        }
    }

    fn say(&mut self, now: Now) -> Finding {
        self.said_at = now.at;
        let (Some(differ), Some(due)) = (self.differ(), self.due()) else {
            return Finding::Unknown;
        };
        let good = |r: &Option<Reading>| r.and_then(|r| r.good()).is_some();
        Finding::Truth {
            holds: differ && now.at >= due,
            good: good(&self.command) && good(&self.feedback),
        }
    }

    fn wake(&self) -> Option<i64> {
        self.due()
            .filter(|due| *due > self.said_at && self.differ() == Some(true))
    }

    fn words(&self) -> Option<String> {
        let (command, feedback) = self.values()?;
        let tag = &self.settings.feedback;
        Some(format!("指令 {command}，{tag} 反馈 {feedback}"))
    }

    fn save(&self, label: &dyn Fn(i64) -> i64) -> Option<serde_json::Value> {
        let asked = self.asked?;
        serde_json::to_value(Saved {
            command: asked.value.to_bits(),
            since: label(asked.since),
        })
        .ok()
    }

    fn restore(&mut self, saved: &serde_json::Value, instant: &dyn Fn(i64) -> i64) {
        if let Ok(s) = Saved::deserialize(saved) {
            let value = f64::from_bits(s.command);
            self.asked = value.is_finite().then(|| Asked {
                value,
                since: instant(s.since),
            });
        }
    }
}

/// What a restart may not lose.
#[derive(Serialize, Deserialize)]
struct Saved {
    /// Bits of the double: text need not bring back the last one.
    command: u64,
    /// Wall clock, UTC ns.
    since: i64,
}

#[cfg(test)]
mod tests {
    use davy_points::QualityClass;
    use proptest::prelude::*;

    use super::*;
    use crate::kinds::trial::{ask, compiled, reading, refused};
    use crate::proof::plant;
    use crate::proof::script::check;

    fn valve(keys: &str) -> (davy_points::PointTable, crate::ruleset::RuleSet) {
        let rule = format!(
            "[[discrepancy]]\nid = \"v\"\nselect = {{ tag = \"XV-*.OUT\" }}\n\
             feedback = \"XV-*.ZT\"\nwithin = \"5s\"\n{keys}"
        );
        compiled(plant::patient(&["XV-1.OUT", "XV-1.ZT"]), &rule)
    }

    /// In time: nothing. Not in time: at the deadline, though nothing comes in.
    #[test]
    fn a_feedback_has_its_time_to_follow() {
        let rig = check(
            valve(""),
            "0s XV-1.OUT=0; XV-1.ZT=0
             10s XV-1.OUT=1
             15s XV-1.ZT=1
             20s XV-1.OUT=0
             22s XV-1.OUT=0
             26s tick
             27s XV-1.ZT=0; XV-1.OUT=0",
            "15s v/XV-1.OUT/on NORMAL>UNACK condition
             15s v/XV-1.OUT/on UNACK>RTN_UNACK returned
             25s v/XV-1.OUT/on RTN_UNACK>UNACK condition
             27s v/XV-1.OUT/on UNACK>RTN_UNACK returned",
        );
        assert_eq!(
            &*rig.transitions[2].text,
            "XV-1.OUT 反馈与指令不符：指令 0，XV-1.ZT 反馈 1"
        );
    }

    /// What leaves its place without a command has had its time.
    #[test]
    fn what_moves_by_itself_is_wrong_at_once() {
        check(
            valve("tolerance = 2"),
            "0s XV-1.OUT=50; XV-1.ZT=49
             10s XV-1.ZT=48
             11s XV-1.ZT=47.9
             12s XV-1.OUT=50.5",
            "11s v/XV-1.OUT/on NORMAL>UNACK condition",
        );
    }

    /// A new command restarts the clock; one within the tolerance does, only where it made the
    /// difference; a ramp adds up.
    #[test]
    fn what_changes_the_command_restarts_the_clock() {
        check(
            valve("tolerance = 2"),
            "0s XV-1.OUT=50; XV-1.ZT=50
             10s XV-1.OUT=60
             14s XV-1.OUT=70
             18s XV-1.OUT=71
             20s XV-1.ZT=70
             30s XV-1.OUT=72
             31s XV-1.OUT=72.5
             35s XV-1.OUT=72.5
             36s tick",
            "19s v/XV-1.OUT/on NORMAL>UNACK condition
             20s v/XV-1.OUT/on UNACK>RTN_UNACK returned
             36s v/XV-1.OUT/on RTN_UNACK>UNACK condition",
        );
    }

    /// Unknown if either is: nothing returns; Uncertain may raise.
    #[test]
    fn a_lost_feedback_returns_nothing() {
        check(
            valve(""),
            "0s XV-1.OUT=1; XV-1.ZT=0 uncertain
             5s tick
             6s XV-1.ZT=1 uncertain
             7s XV-1.ZT=1 lost
             8s XV-1.ZT=1",
            "5s v/XV-1.OUT/on NORMAL>UNACK condition unknown
             8s v/XV-1.OUT/on UNACK>UNACK quality
             8s v/XV-1.OUT/on UNACK>RTN_UNACK returned",
        );
    }

    /// The clock runs through a restart, and a command that was changed meanwhile restarts it.
    #[test]
    fn the_clock_survives_a_restart() {
        let (asked, restart) = (
            "0s XV-1.OUT=0; XV-1.ZT=0
             10s XV-1.OUT=1
             11s restart",
            "13s XV-1.ZT=0",
        );
        check(
            valve(""),
            &format!("{asked}\n12s XV-1.OUT=1\n{restart}\n15s tick"),
            "15s v/XV-1.OUT/on NORMAL>UNACK condition",
        );
        check(
            valve(""),
            &format!("{asked}\n12s XV-1.OUT=2\n{restart}\n15s tick\n17s tick"),
            "17s v/XV-1.OUT/on NORMAL>UNACK condition",
        );
    }

    #[test]
    fn faults() {
        refused(
            &plant::patient(&["XV-1.OUT", "XV-1.ZT", "XV-2.OUT"]),
            "[[discrepancy]]
id = \"a\"
select = { tag = \"XV-*.OUT\" }
[[discrepancy]]
id = \"b\"
select = { tag = \"XV-*.OUT\" }
feedback = \"XV-*.ZT\"
within = \"5s\"
tolerance = -1
[[discrepancy]]
id = \"c\"
select = { tag = \"XV-1.OUT\" }
feedback = \"XV-1.OUT\"
within = \"5s\"
",
            &[
                "E302 2:1 [[[discrepancy]]] `feedback` is missing | give the tag of the point that must follow",
                "E302 2:1 [[[discrepancy]]] `within` is missing | give how long it may take to follow, like \"30s\"",
                "E311 10:13 [-1] `tolerance` is negative: -1 | give zero or more, in the point's unit",
                "E317 8:12 [\"XV-*.ZT\"] there is no point \"XV-2.ZT\" | did you mean \"XV-1.ZT\"?",
                "E317 14:12 [\"XV-1.OUT\"] \"XV-1.OUT\" is the command itself: it always agrees | give the point that says where the thing really is",
            ],
        );
    }

    proptest! {
        /// Against the sentence, over all that has ever come; and a judge that was saved and
        /// restored at any moment says the same from its next readings on.
        #[test]
        fn it_says_what_the_sentence_says(
            steps in prop::collection::vec((0_i64..4, 0_usize..2, 0_u8..3, 0_u8..12), 1..80),
            tolerance in 0_u8..2,
            cut in 0_usize..80,
        ) {
            let s = Discrepancy {
                tolerance: f64::from(tolerance),
                within_ns: 5,
                feedback: "ZT".into(),
            };
            let mut judge = s.judge();
            let mut now = 0;
            let mut latest = [None::<Reading>; 2];
            // The command of the clock and its start, found anew from the whole history.
            let mut history: Vec<(usize, Reading)> = Vec::new();
            for (n, (dt, slot, v, class)) in steps.into_iter().enumerate() {
                now += dt;
                if n == cut {
                    let saved = judge.save(&|t| t + 1_000);
                    judge = s.judge();
                    if let Some(saved) = saved {
                        judge.restore(&saved, &|t| t - 1_000);
                    }
                    for (slot, r) in latest.iter().enumerate() {
                        if let Some(r) = r {
                            judge.take(slot, r);
                        }
                    }
                }
                let class = match class {
                    0 => QualityClass::Bad,
                    1 => QualityClass::Uncertain,
                    _ => QualityClass::Good,
                };
                let r = reading(now, Some(f64::from(v)).filter(|_| class != QualityClass::Bad), class);
                latest[slot] = Some(r);
                history.push((slot, r));
                let said = ask(&mut *judge, slot, &r);
                let (c, z) = (latest[0], latest[1]);
                let both = c.and_then(|c| c.value).zip(z.and_then(|z| z.value));
                let Some((c_v, z_v)) = both else {
                    prop_assert_eq!(said, Finding::Unknown);
                    continue;
                };
                let differ = (c_v - z_v).abs() > s.tolerance;
                let due = started(&history, s.tolerance) + s.within_ns;
                let good = [c, z].iter().flatten().all(|r| r.good().is_some());
                prop_assert_eq!(said, Finding::Truth { holds: differ && now >= due, good });
                prop_assert_eq!(judge.wake(), (differ && due > now).then_some(due));
            }
        }
    }

    fn started(history: &[(usize, Reading)], tolerance: f64) -> i64 {
        let (mut reference, mut since) = (f64::NAN, i64::MIN);
        for (n, (slot, r)) in history.iter().enumerate() {
            let (COMMAND, Some(v)) = (*slot, r.value) else {
                continue;
            };
            let last = |slot: usize| {
                history[..n]
                    .iter()
                    .rfind(|h| h.0 == slot)
                    .map(|h| h.1.value)
            };
            let (before, feedback) = (last(0).flatten(), last(1).flatten());
            let far = |a: f64, b: f64| (a - b).abs() > tolerance;
            let broke = match (before, feedback) {
                (Some(b), Some(z)) => !far(b, z) && far(v, z),
                _ => false,
            };
            if reference.is_nan() || far(v, reference) || broke {
                (reference, since) = (v, r.at);
            }
        }
        since
    }
}
