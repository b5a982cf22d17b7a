//! `vote`: M of N instruments say so (section 4; 8.27). A leg that is lost does not vote: two of
//! three become one of two, then one of one, flagged `degraded` as long as a leg is lost, and listed
//! as `rule/tag/bad`: a vote that misses a leg is not the protection that was designed.
//!
//! Losing legs never ends a vote (3.3): the legs that said so when they were lost may not be what
//! keeps the number that was designed from being reached.

use std::sync::Arc;

use davy_points::{Priority, QualityClass};

use super::head::{Head, Policy, Site, missing};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::{Faults, Keys, ns};
use crate::ruleset::{Builder, Derived, OnBad};

/// What a leg says so by.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// Mirrored like levels (8.1): at the limit it says so.
    Above(f64),
    Below(f64),
    Equals(f64),
}

/// What becomes of a leg that is Bad.
#[derive(Debug, Clone, Copy, PartialEq)]
enum BadLeg {
    /// It does not vote, and fewer are needed.
    Degrade,
    /// It votes for the alarm.
    Trip,
    /// A finite Bad value votes as if it were Uncertain; without one, as `degrade`.
    UseValue,
}

#[derive(Debug, Clone, PartialEq)]
struct Vote {
    needed: usize,
    when: When,
    /// Acts on exit only (3.5), of each leg.
    deadband: f64,
    bad_leg: BadLeg,
    tags: Box<[Arc<str>]>,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let legs = keys.texts("legs", f);
    if legs.is_empty() {
        missing(
            &mut keys,
            "legs",
            "the points that vote, like `legs = [\"PT-1A\", \"PT-1B\"]`",
            f,
        );
    }
    let of = keys.number("of", f);
    if of.is_none() {
        missing(
            &mut keys,
            "of",
            "how many legs must say so: 2 of three is `of = 2`",
            f,
        );
    }
    let when = condition(&mut keys, f);
    let deadband = keys.amount("deadband", f).map_or(0.0, |d| d.0);
    let words = [
        ("degrade", BadLeg::Degrade),
        ("trip", BadLeg::Trip),
        ("use_value", BadLeg::UseValue),
    ];
    let bad_leg = keys.word("bad_leg", &words, f).unwrap_or(BadLeg::Degrade);
    let needed = of.and_then(|(n, span)| needed(n, legs.len(), span, f));
    let mut policy = Policy::listed(&mut head, &mut keys, f);
    head.rule.on_bad = match bad_leg {
        BadLeg::UseValue => OnBad::UseValue,
        BadLeg::Degrade | BadLeg::Trip => OnBad::Hold,
    };
    keys.finish(f);
    let mut subjects = head.subjects(site, f);
    // Legs that are the same whatever is selected are one vote.
    if !legs.iter().any(|(name, _)| name.contains('*')) {
        subjects.truncate(1);
    }
    let (Some(needed), Some(when)) = (needed, when) else {
        return;
    };
    let rule = b.rule(head.rule.clone());
    for p in subjects {
        let mut inputs = Vec::new();
        for (name, span) in &legs {
            let Some(leg) = head.input(name, span, p, site, f) else {
                return;
            };
            if inputs.contains(&leg) {
                f.add(
                    "E317",
                    span.clone(),
                    format!("{} votes twice", site.table.point(leg).tag),
                    "name each leg once",
                );
                return;
            }
            if inputs
                .first()
                .is_some_and(|first| !head.same_unit(leg, *first, span, site, f))
            {
                return;
            }
            inputs.push(leg);
        }
        let tags: Box<[Arc<str>]> = inputs
            .iter()
            .map(|i| site.table.point(*i).tag.clone())
            .collect();
        let interval = inputs
            .iter()
            .map(|i| site.table.point(*i).expected_interval);
        policy.unless_given(interval.map(ns).max().unwrap_or(0).saturating_mul(2));
        let derived = Derived {
            rule,
            subject: p,
            inputs,
            settings: Arc::new(Vote {
                needed,
                when,
                deadband,
                bad_leg,
                tags,
            }),
            what: "表决",
            unit: site.table.point(p).unit.clone(),
        };
        b.derived(derived, vec![head.on(rule, p, Priority::HIGH)]);
        policy.alarms(rule, p, b);
    }
}

/// One of `above`, `below` and `equals`.
fn condition(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Option<When> {
    let faults = f.all.len();
    let given = [
        keys.number("above", f).map(|n| When::Above(n.0)),
        keys.number("below", f).map(|n| When::Below(n.0)),
        keys.number("equals", f).map(|n| When::Equals(n.0)),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(when), None) => Some(when),
        (None, _) if f.all.len() > faults => None,
        (one, _) => {
            let said = match one {
                None => "no leg can say so: there is no condition",
                Some(_) => "more than one condition",
            };
            f.add(
                "E302",
                keys.span.clone(),
                said,
                "give one of `above = 1.6`, `below = 0.2`, `equals = 1`",
            );
            None
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a whole number up to `legs`
#[allow(clippy::cast_precision_loss)] // a rule names few legs
fn needed(n: f64, legs: usize, span: davy_points::Span, f: &mut Faults<'_>) -> Option<usize> {
    if legs == 0 {
        return None;
    }
    if n.fract() == 0.0 && n >= 1.0 && n <= legs as f64 {
        return Some(n as usize);
    }
    f.add(
        "E311",
        span,
        format!("{n} of {legs} legs is no vote"),
        format!("a whole number from 1 to {legs}, the number of legs"),
    );
    None
}

impl Settings for Vote {
    fn alone(&self) -> usize {
        self.needed
    }

    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Ballot {
            legs: vec![Leg::default(); self.tags.len()],
            settings: self.clone(),
        })
    }

    fn text(&self) -> String {
        let Vote {
            needed,
            when,
            deadband,
            bad_leg,
            tags: _,
        } = self;
        format!("{needed} {when:?} {deadband} {bad_leg:?}")
    }
}

/// One instrument.
#[derive(Debug, Clone, Copy, Default)]
struct Leg {
    latest: Option<Reading>,
    /// It says so; within its deadband it goes on to.
    says_so: bool,
}

#[derive(Debug)]
struct Ballot {
    settings: Vote,
    legs: Vec<Leg>,
}

/// How the legs stand.
#[derive(Debug, Default)]
struct Count {
    /// Lost: they have no voice of their own.
    bad: usize,
    /// They have a value.
    healthy: usize,
    /// Say so, on Good data.
    sure: usize,
    /// Say so, on any data.
    for_it: usize,
    /// Said so when they were lost.
    lost_for_it: usize,
    /// Do not say so, but their data are not Good, or have not come yet: they might (3.1).
    might: usize,
}

impl Ballot {
    /// Lost: Bad, though under `use_value` it may still have a voice.
    fn is_bad(leg: &Leg) -> bool {
        leg.latest
            .is_some_and(|r| r.class == QualityClass::Bad || r.value.is_none())
    }

    fn count(&self) -> Count {
        let mut c = Count::default();
        for leg in &self.legs {
            let Some(r) = leg.latest else {
                c.might += 1;
                continue;
            };
            if r.value.is_none() {
                c.bad += 1;
                c.lost_for_it += usize::from(leg.says_so);
                continue;
            }
            c.healthy += 1;
            let good = r.good().is_some();
            match (leg.says_so, good) {
                (true, _) => {
                    c.for_it += 1;
                    c.sure += usize::from(good);
                }
                (false, false) => c.might += 1,
                (false, true) => {}
            }
        }
        if self.settings.bad_leg == BadLeg::Trip {
            c.for_it += c.bad;
            c.lost_for_it = 0;
        }
        c
    }

    /// 8.27; and where fewer are left than are needed, any one is enough (section 4).
    fn threshold(&self, c: &Count) -> usize {
        let (needed, all) = (self.settings.needed, self.legs.len());
        match self.settings.bad_leg {
            BadLeg::Trip => needed,
            BadLeg::Degrade | BadLeg::UseValue if all - c.bad < needed => 1,
            BadLeg::Degrade | BadLeg::UseValue => needed.saturating_sub(c.bad).max(1),
        }
    }
}

impl Judge for Ballot {
    fn take(&mut self, slot: usize, r: &Reading) {
        let leg = &mut self.legs[slot];
        leg.latest = Some(*r);
        let Some(v) = r.value else { return };
        let db = self.settings.deadband;
        let (enters, stays) = match self.settings.when {
            When::Above(limit) => (v >= limit, v >= limit - db),
            When::Below(limit) => (v <= limit, v <= limit + db),
            When::Equals(x) => (v == x, (v - x).abs() <= db),
        };
        // 3.1: what is not Good may say so, never take it back.
        leg.says_so = enters || (leg.says_so && (stays || r.good().is_none()));
    }

    fn say(&mut self, _now: Now) -> Finding {
        let c = self.count();
        if c.healthy + c.might == 0 && self.settings.bad_leg != BadLeg::Trip {
            return Finding::Unknown;
        }
        let threshold = self.threshold(&c);
        if c.for_it >= threshold {
            return Finding::Truth {
                holds: true,
                good: c.sure >= threshold,
            };
        }
        let never_heard = self.legs.iter().any(|l| l.latest.is_none());
        let most = c.for_it + c.might;
        match most < threshold && most + c.lost_for_it < self.settings.needed {
            true => Finding::Truth {
                holds: false,
                good: true,
            },
            false if never_heard => Finding::Unknown,
            false => Finding::Truth {
                holds: false,
                good: false,
            },
        }
    }

    fn words(&self) -> Option<String> {
        let c = self.count();
        let names = |which: &dyn Fn(&Leg) -> bool| {
            let legs = self.legs.iter().zip(&self.settings.tags);
            let named: Vec<&str> = legs.filter(|(l, _)| which(l)).map(|(_, t)| &**t).collect();
            named.join("、")
        };
        let mut words = format!("{} 选 {}", self.legs.len(), self.settings.needed);
        let for_it = names(&|l| l.says_so && l.latest.is_some_and(|r| r.value.is_some()));
        if !for_it.is_empty() {
            words.push_str(&format!("，{for_it} 动作"));
        }
        let bad = names(&Ballot::is_bad);
        if !bad.is_empty() {
            let left = match self.settings.bad_leg {
                BadLeg::Trip => format!("{bad} 失效按动作计"),
                BadLeg::Degrade | BadLeg::UseValue => {
                    format!("{bad} 失效，降为 {} 选 {}", c.healthy, self.threshold(&c))
                }
            };
            words.push_str(&format!("；{left}"));
        }
        Some(words)
    }

    fn degraded(&self) -> bool {
        self.legs.iter().any(Ballot::is_bad)
    }

    /// A leg within its deadband said so before the stop, and goes on to.
    fn save(&self, _label: &dyn Fn(i64) -> i64) -> Option<serde_json::Value> {
        let says_so: Vec<bool> = self.legs.iter().map(|l| l.says_so).collect();
        says_so.contains(&true).then(|| says_so.into())
    }

    fn restore(&mut self, saved: &serde_json::Value, _instant: &dyn Fn(i64) -> i64) {
        let Some(said) = saved.as_array().filter(|s| s.len() == self.legs.len()) else {
            return;
        };
        for (leg, said) in self.legs.iter_mut().zip(said) {
            leg.says_so = said.as_bool().unwrap_or(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kinds::trial::{ask, compiled, reading, refused};
    use crate::proof::plant;
    use crate::proof::script::check;

    const TAGS: [&str; 3] = ["PT-1A", "PT-1B", "PT-1C"];

    fn two_of_three(keys: &str) -> (davy_points::PointTable, crate::ruleset::RuleSet) {
        let rule = format!(
            "[[vote]]\nid = \"v\"\nselect = {{ tag = \"PT-*A\" }}\n\
             legs = [\"PT-*A\", \"PT-*B\", \"PT-*C\"]\nof = 2\nabove = 80\nbad = {{ on_delay = \"0s\" }}\n{keys}"
        );
        compiled(plant::patient(&TAGS), &rule)
    }

    /// One of three is not enough, two are; they leave below their deadband.
    #[test]
    fn two_of_three_vote() {
        let rig = check(
            two_of_three("deadband = 2"),
            "0s PT-1A=50; PT-1B=50; PT-1C=50
             1s PT-1A=80
             2s PT-1C=81
             3s PT-1A=78
             4s PT-1A=77.9
             5s PT-1A=79",
            "2s v/PT-1A/on NORMAL>UNACK condition
             4s v/PT-1A/on UNACK>RTN_UNACK returned",
        );
        let text = &*rig.transitions[0].text;
        assert_eq!(text, "PT-1A 表决：3 选 2，PT-1A、PT-1C 动作");
        assert_eq!(rig.transitions[0].priority.get(), 2);
    }

    /// 8.27: 2oo3, 1oo2, 1oo1, Unknown; flagged, and listed while a leg is lost.
    #[test]
    fn a_vote_degrades_leg_by_leg() {
        let rig = check(
            two_of_three(""),
            "0s PT-1A=50; PT-1B=50; PT-1C=50
             1s PT-1B=none bad
             2s PT-1C=80
             3s PT-1C=50
             4s PT-1C=none bad
             5s PT-1A=80
             6s PT-1A=none bad
             7s PT-1B=50
             8s PT-1C=50
             9s PT-1A=50",
            "1s v/PT-1A/bad NORMAL>UNACK condition
             2s v/PT-1A/on NORMAL>UNACK condition degraded
             3s quality/PT-1B/bad NORMAL>UNACK condition
             3s v/PT-1A/on UNACK>RTN_UNACK returned degraded
             5s v/PT-1A/on RTN_UNACK>UNACK condition degraded
             6s quality/PT-1C/bad NORMAL>UNACK condition
             6s v/PT-1A/on UNACK>UNACK quality degraded unknown
             7s quality/PT-1B/bad UNACK>RTN_UNACK returned
             7s v/PT-1A/on UNACK>UNACK quality degraded
             7s v/PT-1A/on UNACK>RTN_UNACK returned degraded
             8s quality/PT-1A/bad NORMAL>UNACK condition
             8s quality/PT-1C/bad UNACK>RTN_UNACK returned
             9s quality/PT-1A/bad UNACK>RTN_UNACK returned
             9s v/PT-1A/bad UNACK>RTN_UNACK returned",
        );
        let texts: Vec<&str> = rig.transitions.iter().map(|t| &*t.text).collect();
        assert_eq!(texts[0], "PT-1A 表决 输入数据质量坏：PT-1B");
        assert_eq!(
            texts[1],
            "PT-1A 表决：3 选 2，PT-1C 动作；PT-1B 失效，降为 2 选 1"
        );
    }

    /// 3.3: two legs say so and are lost, in the fire that they saw: the third, which sees nothing,
    /// does not end the alarm. Two that see nothing do.
    #[test]
    fn a_vote_does_not_end_by_losing_its_legs() {
        check(
            two_of_three("chatter = false"),
            "0s PT-1A=80; PT-1B=80; PT-1C=50
             1s PT-1A=none bad; PT-1B=none bad
             1.5s PT-1C=50
             2s PT-1C=50
             2.5s PT-1B=50",
            "0s v/PT-1A/on NORMAL>UNACK condition
             1s v/PT-1A/bad NORMAL>UNACK condition
             1s v/PT-1A/on UNACK>UNACK quality degraded unknown
             2.5s v/PT-1A/on UNACK>UNACK quality degraded
             2.5s v/PT-1A/on UNACK>RTN_UNACK returned degraded",
        );
    }

    /// Until every leg has been heard, none is missing: what has not come yet is no loss.
    #[test]
    fn a_start_is_no_degradation() {
        check(
            two_of_three(""),
            "0s PT-1A=90
             1s PT-1B=50
             2s PT-1C=80",
            "2s v/PT-1A/on NORMAL>UNACK condition",
        );
    }

    /// A leg whose silence is a loss votes no longer (8.7).
    #[test]
    fn silence_is_a_lost_leg() {
        let rule = "[[vote]]\nid = \"v\"\nselect = { tag = \"PT-1A\" }\n\
             legs = [\"PT-1A\", \"PT-1B\", \"PT-1C\"]\nof = 2\nabove = 80\n";
        check(
            compiled(plant::table_of(&TAGS), rule),
            "0s PT-1A=50; PT-1B=50; PT-1C=50
             2s PT-1A=50; PT-1B=50
             3.5s PT-1A=80",
            "3s stale/PT-1C/stale NORMAL>UNACK condition
             3.5s v/PT-1A/on NORMAL>UNACK condition degraded",
        );
    }

    #[test]
    fn a_lost_leg_may_trip_or_lend_its_value() {
        check(
            two_of_three("bad_leg = \"trip\""),
            "0s PT-1A=50; PT-1B=50; PT-1C=50
             1s PT-1B=none bad
             2s PT-1C=80
             2.5s PT-1C=50",
            "1s v/PT-1A/bad NORMAL>UNACK condition
             2s v/PT-1A/on NORMAL>UNACK condition degraded unknown
             2.5s v/PT-1A/on UNACK>UNACK quality degraded
             2.5s v/PT-1A/on UNACK>RTN_UNACK returned degraded",
        );
        check(
            two_of_three("bad_leg = \"use_value\""),
            "0s PT-1A=50; PT-1B=50; PT-1C=50
             1s PT-1B=90 bad
             2s PT-1C=70
             2.5s PT-1C=80",
            "1s v/PT-1A/bad NORMAL>UNACK condition
             2.5s v/PT-1A/on NORMAL>UNACK condition degraded unknown",
        );
    }

    /// Within its deadband a leg goes on to say so, across a restart too.
    #[test]
    fn a_restart_forgets_no_voice() {
        check(
            two_of_three("deadband = 5"),
            "0s PT-1A=80; PT-1B=80; PT-1C=50
             1s restart
             2s PT-1A=77; PT-1B=77; PT-1C=50
             3s PT-1A=74",
            "0s v/PT-1A/on NORMAL>UNACK condition
             1s v/PT-1A/on UNACK>UNACK restart unknown
             2s v/PT-1A/on UNACK>UNACK quality
             3s v/PT-1A/on UNACK>RTN_UNACK returned",
        );
    }

    #[test]
    fn faults() {
        let mut flow = plant::point("FT-1");
        flow.unit = "m3/h".into();
        let table = plant::table([plant::point("PT-1A"), plant::point("PT-1B"), flow]);
        let head = "[[vote]]\nselect = { tag = \"PT-1A\" }\n";
        let text = format!(
            "{head}id = \"a\"
{head}id = \"b\"
legs = [\"PT-1A\", \"PT-1B\"]
of = 3
above = 1
below = 0
{head}id = \"c\"
legs = [\"PT-1A\", \"FT-1\"]
of = 1.5
equals = 1
bad_leg = \"ignore\"
{head}id = \"d\"
legs = [\"PT-1A\", \"FT-1\"]
of = 1
equals = 1
on_bad = \"alarm\"
{head}id = \"e\"
legs = [\"PT-1A\", \"PT-1A\"]
of = 1
equals = 1
"
        );
        refused(
            &table,
            &text,
            &[
                "E302 2:1 [[[vote]]] `legs` is missing | give the points that vote, like `legs = [\"PT-1A\", \"PT-1B\"]`",
                "E302 2:1 [[[vote]]] `of` is missing | give how many legs must say so: 2 of three is `of = 2`",
                "E302 2:1 [[[vote]]] no leg can say so: there is no condition | give one of `above = 1.6`, `below = 0.2`, `equals = 1`",
                "E302 5:1 [[[vote]]] more than one condition | give one of `above = 1.6`, `below = 0.2`, `equals = 1`",
                "E311 9:6 [3] 3 of 2 legs is no vote | a whole number from 1 to 2, the number of legs",
                "E316 18:11 [\"ignore\"] `bad_leg` cannot be \"ignore\" | one of: degrade, trip, use_value",
                "E311 16:6 [1.5] 1.5 of 2 legs is no vote | a whole number from 1 to 2, the number of legs",
                "E301 25:1 [on_bad] unknown key `on_bad` | did you mean `bad`?",
                "E341 22:18 [\"FT-1\"] FT-1 has \"m3/h\", PT-1A has \"m\" | compare points of one unit: let the point table scale both to it",
                "E317 29:18 [\"PT-1A\"] PT-1A votes twice | name each leg once",
            ],
        );
    }

    proptest! {
        /// Against the sentence of 8.27, leg by leg, for every M of N.
        #[test]
        fn it_says_what_the_sentence_says(
            n in 1_usize..5,
            needed in 1_usize..5,
            trip: bool,
            steps in prop::collection::vec((0_usize..5, 0_u8..3, 0_u8..6), 1..60),
        ) {
            let needed = needed.min(n);
            let s = Vote {
                needed,
                when: When::Above(2.0),
                deadband: 0.0,
                bad_leg: if trip { BadLeg::Trip } else { BadLeg::Degrade },
                tags: vec!["x".into(); n].into(),
            };
            let mut judge = s.judge();
            let mut latest = vec![None::<Reading>; n];
            let mut says = vec![false; n];
            for (at, (slot, v, class)) in (0_i64..).zip(steps) {
                let slot = slot % n;
                let class = match class {
                    0 => QualityClass::Bad,
                    1 => QualityClass::Uncertain,
                    _ => QualityClass::Good,
                };
                let r = reading(at, Some(f64::from(v)).filter(|_| class != QualityClass::Bad), class);
                latest[slot] = Some(r);
                match (r.value, r.good()) {
                    (Some(2.0), _) => says[slot] = true,
                    (_, Some(_)) => says[slot] = false,
                    _ => {}
                }
                let said = ask(&mut *judge, slot, &r);
                let is = |k: usize, c: QualityClass| latest[k].is_some_and(|r| r.class == c);
                let legs = |f: &dyn Fn(usize) -> bool| (0..n).filter(|k| f(*k)).count();
                let bad = legs(&|k| is(k, QualityClass::Bad));
                let unheard = legs(&|k| latest[k].is_none());
                prop_assert_eq!(judge.degraded(), bad > 0);
                let good_for = legs(&|k| says[k] && is(k, QualityClass::Good));
                let unsure_for = legs(&|k| says[k] && is(k, QualityClass::Uncertain));
                let unsure = legs(&|k| !says[k] && is(k, QualityClass::Uncertain));
                let lost_for = legs(&|k| !trip && says[k] && is(k, QualityClass::Bad));
                let (least, most, threshold) = if trip {
                    (good_for + unsure_for + bad, good_for + unsure_for + bad + unsure + unheard, needed)
                } else if bad == n {
                    prop_assert_eq!(said, Finding::Unknown);
                    continue;
                } else {
                    let threshold = if n - bad < needed { 1 } else { needed.saturating_sub(bad).max(1) };
                    let least = good_for + unsure_for;
                    (least, least + unsure + unheard, threshold)
                };
                let expected = if least >= threshold {
                    Finding::Truth { holds: true, good: good_for >= threshold }
                } else if most < threshold && most + lost_for < needed {
                    Finding::Truth { holds: false, good: true }
                } else if unheard > 0 {
                    Finding::Unknown
                } else {
                    Finding::Truth { holds: false, good: false }
                };
                prop_assert_eq!(said, expected);
            }
        }
    }
}
