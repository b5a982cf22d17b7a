//! `redundant`: instruments of one quantity that say different things (section 4; 8.16). Any two
//! healthy ones that are too far apart are true; false needs all of them. Where there are three or
//! more it names the one that stands alone.

use davy_points::Priority;

use super::head::{Head, Policy, Site, missing};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Derived};

#[derive(Debug, Clone, PartialEq)]
struct Redundant {
    /// How far apart two may be, in the unit.
    apart: f64,
    tags: Box<[std::sync::Arc<str>]>,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let with = keys.texts("with", f);
    if with.is_empty() {
        missing(
            &mut keys,
            "with",
            "the other instruments, like `with = [\"LT-101B\"]`",
            f,
        );
        if let Some(v) = keys.raw("with")
            && v.get_ref().as_array().is_some_and(|a| a.is_empty())
        {
            f.add(
                "E316",
                v.span(),
                "`with` is empty: one instrument agrees with itself",
                "name the other instruments of the same quantity",
            );
        }
    }
    let share = keys.amount("share", f);
    if share.is_none() {
        missing(
            &mut keys,
            "share",
            "how far apart they may be: 0.02 is 2 % of the span",
            f,
        );
    }
    let policy = Policy::read(&mut head, &mut keys, f);
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let Some((share, share_at)) = share else {
        return;
    };
    if share == 0.0 || share >= 1.0 {
        f.add(
            "E311",
            share_at,
            format!("`share` cannot be {share}"),
            "a share of the span between 0 and 1: 0.02 is 2 %",
        );
        return;
    }
    let rule = b.rule(head.rule.clone());
    for p in subjects {
        let point = site.table.point(p);
        let mut inputs = vec![p];
        for (name, span) in &with {
            let Some(other) = head.input(name, span, p, site, f) else {
                return;
            };
            if inputs.contains(&other) {
                f.add(
                    "E317",
                    span.clone(),
                    format!("{} is compared with itself", site.table.point(other).tag),
                    "name each instrument once; the selected one is the first of them",
                );
                return;
            }
            if !head.same_unit(other, p, span, site, f) {
                return;
            }
            inputs.push(other);
        }
        let (Some(low), Some(high)) = (point.low, point.high) else {
            f.add(
                "E320",
                share_at,
                format!(
                    "{} has no range that `share` could be a share of",
                    point.tag
                ),
                "fill the columns low and high of the point table",
            );
            return;
        };
        let tags = inputs.iter().map(|i| site.table.point(*i).tag.clone());
        let derived = Derived {
            rule,
            subject: p,
            settings: std::sync::Arc::new(Redundant {
                apart: share * (high - low),
                tags: tags.collect(),
            }),
            inputs,
            what: "冗余仪表示值不一致",
            unit: point.unit.clone(),
        };
        b.derived(derived, vec![head.on(rule, p, Priority::MEDIUM)]);
        policy.alarms(rule, p, b);
    }
}

impl Settings for Redundant {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Compare {
            latest: vec![None; self.tags.len()],
            settings: self.clone(),
        })
    }

    fn text(&self) -> String {
        format!("{}", self.apart)
    }
}

#[derive(Debug)]
struct Compare {
    settings: Redundant,
    /// Of each instrument; none where it has not spoken.
    latest: Vec<Option<Reading>>,
}

impl Compare {
    /// Those that have a value, with their place.
    fn healthy(&self) -> Vec<(usize, f64)> {
        let values = self.latest.iter().map(|r| r.and_then(|r| r.value));
        let numbered = values.enumerate();
        numbered.filter_map(|(n, v)| Some((n, v?))).collect()
    }

    /// The one of three or more that is far from the middle of the others, if there is just one.
    fn outlier(&self) -> Option<usize> {
        let healthy = self.healthy();
        if healthy.len() < 3 {
            return None;
        }
        let away = |n: usize, v: f64| {
            let mut others: Vec<f64> = healthy.iter().filter(|h| h.0 != n).map(|h| h.1).collect();
            others.sort_by(f64::total_cmp);
            let (low, high) = (others[(others.len() - 1) / 2], others[others.len() / 2]);
            (v - (low / 2.0 + high / 2.0)).abs()
        };
        let mut by: Vec<(f64, usize)> = healthy.iter().map(|(n, v)| (away(*n, *v), *n)).collect();
        by.sort_by(|a, b| b.0.total_cmp(&a.0));
        // Two that are equally far apart from the rest: neither is the one.
        (by[0].0 > by[1].0).then_some(by[0].1)
    }
}

impl Judge for Compare {
    fn take(&mut self, slot: usize, r: &Reading) {
        self.latest[slot] = Some(*r);
    }

    fn say(&mut self, _now: Now) -> Finding {
        let spread = |usable: &dyn Fn(&Reading) -> Option<f64>| {
            let values = self.latest.iter().flatten().filter_map(usable);
            let (low, high) = values.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            high - low > self.settings.apart
        };
        let every = |known: &dyn Fn(&Reading) -> bool| {
            self.latest.iter().all(|r| r.as_ref().is_some_and(known))
        };
        if spread(&|r| r.value) {
            return Finding::Truth {
                holds: true,
                good: spread(&|r| r.good()),
            };
        }
        match every(&|r| r.value.is_some()) {
            true => Finding::Truth {
                holds: false,
                good: every(&|r| r.good().is_some()),
            },
            false => Finding::Unknown,
        }
    }

    fn words(&self) -> Option<String> {
        let said: Vec<String> = self
            .healthy()
            .iter()
            .map(|(n, v)| format!("{} {v}", self.settings.tags[*n]))
            .collect();
        let mut words = said.join("，");
        if let Some(n) = self.outlier() {
            words.push_str(&format!("；{} 偏离其余", self.settings.tags[n]));
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use davy_points::QualityClass;
    use proptest::prelude::*;

    use super::*;
    use crate::kinds::trial::{ask, compiled, reading, refused};
    use crate::proof::plant;
    use crate::proof::script::check;

    fn tank(with: &str, keys: &str) -> (davy_points::PointTable, crate::ruleset::RuleSet) {
        let rule = format!(
            "[[redundant]]\nid = \"r\"\nselect = {{ tag = \"LT-*A\" }}\nwith = [{with}]\n\
             share = 0.02\n{keys}"
        );
        compiled(plant::patient(&["LT-1A", "LT-1B", "LT-1C"]), &rule)
    }

    /// 2 % of 0 to 100 is allowed, more for long enough is not; both are named.
    #[test]
    fn two_that_are_apart() {
        let rig = check(
            tank("\"LT-*B\"", "on_delay = \"3s\""),
            "0s LT-1A=50; LT-1B=52
             1s LT-1A=49.9
             2s LT-1B=51.9
             3s LT-1B=52
             6s tick
             7s LT-1A=50",
            "6s r/LT-1A/on NORMAL>UNACK condition
             7s r/LT-1A/on UNACK>RTN_UNACK returned",
        );
        let text = &*rig.transitions[0].text;
        assert_eq!(text, "LT-1A 冗余仪表示值不一致：LT-1A 49.9，LT-1B 52");
    }

    /// 8.16: any healthy pair is enough for true, false needs all; of three one is named.
    #[test]
    fn one_of_three_is_named_and_a_lost_one_returns_nothing() {
        let rig = check(
            tank("\"LT-*B\", \"LT-*C\"", ""),
            "0s LT-1A=50; LT-1B=50.1
             1s LT-1C=60
             2s LT-1B=none bad
             3s LT-1C=50
             4s LT-1B=55 uncertain
             5s LT-1B=50 uncertain
             6s LT-1B=50.2",
            "1s r/LT-1A/on NORMAL>UNACK condition
             3s r/LT-1A/on UNACK>UNACK quality unknown
             4s quality/LT-1B/bad NORMAL>UNACK condition
             6s quality/LT-1B/bad UNACK>RTN_UNACK returned
             6s r/LT-1A/on UNACK>UNACK quality
             6s r/LT-1A/on UNACK>RTN_UNACK returned",
        );
        let text = &*rig.transitions[0].text;
        assert!(
            text.ends_with("LT-1B 50.1，LT-1C 60；LT-1C 偏离其余"),
            "{text}"
        );
    }

    #[test]
    fn faults() {
        let mut flow = plant::point("FT-1");
        flow.unit = "m3/h".into();
        let mut bare = plant::point("LT-9");
        bare.high = None;
        let table = plant::table([plant::point("LT-1A"), plant::point("LT-1B"), flow, bare]);
        let rule = |id: &str, rest: &str| format!("[[redundant]]\nid = \"{id}\"\n{rest}\n");
        let text = [
            rule("a", "select = { tag = \"LT-1A\" }\nwith = []"),
            rule(
                "b",
                "select = { tag = \"LT-*A\" }\nwith = [\"LT-*A\"]\nshare = 0.1",
            ),
            rule(
                "c",
                "select = { tag = \"LT-*A\" }\nwith = [\"LT-*C\"]\nshare = 0.1",
            ),
            rule(
                "d",
                "select = { tag = \"LT-1A\" }\nwith = [\"FT-1\"]\nshare = 0.1",
            ),
            rule(
                "e",
                "select = { tag = \"LT-9\" }\nwith = [\"LT-1B\"]\nshare = 0.1",
            ),
            rule(
                "f",
                "select = { tag = \"LT-1A\" }\nwith = [\"LT-1B\"]\nshare = 2",
            ),
            rule("g", "select = { tag = \"LT-1A\" }\nshare = 0.1"),
        ];
        refused(
            &table,
            &text.concat(),
            &[
                "E316 5:8 [[]] `with` is empty: one instrument agrees with itself | name the other instruments of the same quantity",
                "E302 2:1 [[[redundant]]] `share` is missing | give how far apart they may be: 0.02 is 2 % of the span",
                "E317 9:9 [\"LT-*A\"] LT-1A is compared with itself | name each instrument once; the selected one is the first of them",
                "E317 14:9 [\"LT-*C\"] there is no point \"LT-1C\" | did you mean \"LT-1A\"?",
                "E341 19:9 [\"FT-1\"] FT-1 has \"m3/h\", LT-1A has \"m\" | compare points of one unit: let the point table scale both to it",
                "E320 25:9 [0.1] LT-9 has no range that `share` could be a share of | fill the columns low and high of the point table",
                "E311 30:9 [2] `share` cannot be 2 | a share of the span between 0 and 1: 0.02 is 2 %",
                "E302 31:1 [[[redundant]]] `with` is missing | give the other instruments, like `with = [\"LT-101B\"]`",
            ],
        );
    }

    proptest! {
        /// 8.16: against all pairs, one by one.
        #[test]
        fn it_says_what_the_sentence_says(
            steps in prop::collection::vec((0_usize..4, 0_u8..40, 0_u8..8), 1..60),
        ) {
            let s = Redundant {
                apart: 8.0,
                tags: ["a", "b", "c", "d"].map(Into::into).into(),
            };
            let mut judge = s.judge();
            let mut latest = [None::<Reading>; 4];
            for (at, (slot, v, class)) in (0_i64..).zip(steps) {
                let class = match class {
                    0 => QualityClass::Bad,
                    1 => QualityClass::Uncertain,
                    _ => QualityClass::Good,
                };
                let value = Some(f64::from(v)).filter(|_| class != QualityClass::Bad);
                let r = reading(at, value, class);
                latest[slot] = Some(r);
                let said = ask(&mut *judge, slot, &r);
                let (mut apart, mut apart_good) = (false, false);
                for a in latest.iter().flatten() {
                    for b in latest.iter().flatten() {
                        let far = a.value.zip(b.value).is_some_and(|(a, b)| (a - b).abs() > 8.0);
                        apart |= far;
                        apart_good |= far && a.good().is_some() && b.good().is_some();
                    }
                }
                let all = |good: bool| latest.iter().all(|r| {
                    r.is_some_and(|r| r.value.is_some() && (!good || r.good().is_some()))
                });
                let expected = match (apart, all(false)) {
                    (true, _) => Finding::Truth { holds: true, good: apart_good },
                    (false, true) => Finding::Truth { holds: false, good: all(true) },
                    (false, false) => Finding::Unknown,
                };
                prop_assert_eq!(said, expected);
            }
        }

        /// Three that agree and one that does not: it is that one, wherever it stands.
        #[test]
        fn the_odd_one_is_named(odd in 0_usize..4, by in 20.0..50.0_f64, up: bool) {
            let s = Redundant {
                apart: 8.0,
                tags: ["a", "b", "c", "d"].map(Into::into).into(),
            };
            let mut judge = s.judge();
            for slot in 0..4 {
                let near = 100.0 + slot as f64;
                let v = match (slot == odd, up) {
                    (false, _) => near,
                    (true, true) => near + by,
                    (true, false) => near - by,
                };
                ask(&mut *judge, slot, &reading(slot as i64, Some(v), QualityClass::Good));
            }
            let words = judge.words().expect("it has words");
            let named = format!("；{} 偏离其余", s.tags[odd]);
            prop_assert!(words.ends_with(&named), "{words}");
        }
    }
}
