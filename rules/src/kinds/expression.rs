//! `expression`: a condition (`when`) or a number with limits (`value`, `unit`) over points, in CEL's
//! syntax (section 4). Kleene; it says which inputs made it unknown, and which doubtful ones it
//! rests on. What can be written stands in `language/expression`.

use std::sync::Arc;

use davy_points::{PointIx, Priority, QualityClass, Span};

use super::head::{Head, Policy, Site, missing};
use super::ladder::Ladder;
use super::mode::Modes;
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::expression::{Gives, Wanted};
use crate::grammar::units::Unit;
use crate::grammar::{Expression, Faults, Keys};
use crate::ruleset::{Builder, Derived};

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let when = keys.text("when", f);
    let value = keys.text("value", f);
    let unit = keys.text("unit", f);
    let ladder = Ladder::read(&mut keys, f);
    let policy = Policy::read(&mut head, &mut keys, f);
    let whole = value.is_none() || ladder.is_whole("h = { limit = 5 }", f);
    let wanted = match (&when, &value) {
        (Some((_, span)), Some(_)) => {
            f.add(
                "E302",
                span.clone(),
                "`when` and `value` stand in one rule",
                "write two rules: a condition, and a number with limits",
            );
            None
        }
        (Some((text, span)), None) => {
            only_beside_value(&ladder, unit.as_ref(), f);
            Some((*text, span.clone(), Wanted::Truth))
        }
        (None, Some((text, span))) => Some((*text, span.clone(), Wanted::Number)),
        (None, None) => {
            if keys.raw("value").is_none() {
                missing(
                    &mut keys,
                    "when",
                    "a condition, or `value`, `unit` and limits",
                    f,
                );
            }
            None
        }
    };
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let Some((text, span, wanted)) = wanted else {
        return;
    };
    let Some(all) = head.expressions(text, &span, wanted, &subjects, site, f) else {
        return;
    };
    let modes = Modes::of(&ladder, &head, &subjects, site, f);
    let rule = b.rule(head.rule.clone());
    for (p, e) in subjects.into_iter().zip(all) {
        if e.inputs().is_empty() {
            f.add(
                "E313",
                span,
                "this reads no point: it could never change",
                "name a tag, with - and . written as _",
            );
            return;
        }
        let inputs = e.inputs().to_vec();
        let alarms = match wanted {
            Wanted::Truth => vec![head.on(rule, p, Priority::MEDIUM)],
            Wanted::Number => ladder.alarms(&head, rule, p),
        };
        let (e, unit_text) = match wanted {
            Wanted::Truth => (e, "".into()),
            Wanted::Number => match in_unit(e, unit.as_ref(), &span, f) {
                Some(e) => e,
                None => return,
            },
        };
        if !whole {
            return;
        }
        let derived = Derived {
            rule,
            subject: p,
            settings: Arc::new(Formula {
                tags: tags(&inputs, site),
                expression: e,
            }),
            inputs,
            what: match wanted {
                Wanted::Truth => "条件成立",
                Wanted::Number => "计算值",
            },
            unit: unit_text,
        };
        b.derived(derived, alarms);
        modes.add(rule, p, f, b);
        policy.alarms(rule, p, b);
    }
}

fn only_beside_value(ladder: &Ladder, unit: Option<&(&str, Span)>, f: &mut Faults<'_>) {
    let limits = ladder.given.iter().map(|g| g.span.clone());
    for span in limits.chain(unit.map(|u| u.1.clone())) {
        f.add(
            "E302",
            span,
            "this has no effect beside `when`, which is true or false",
            "give `value = \"…\"` in place of `when`, or take this away",
        );
    }
}

fn tags(inputs: &[PointIx], site: &Site<'_>) -> Arc<[Arc<str>]> {
    let tag = |p: &PointIx| site.table.point(*p).tag.clone();
    inputs.iter().map(tag).collect()
}

/// The number in the unit of its limits, and that unit's text.
fn in_unit(
    e: Arc<Expression>,
    unit: Option<&(&str, Span)>,
    span: &Span,
    f: &mut Faults<'_>,
) -> Option<(Arc<Expression>, Arc<str>)> {
    let result = match e.gives() {
        Gives::Number(unit) => unit.clone().unwrap_or_else(Unit::none),
        Gives::Truth => Unit::none(),
    };
    let Some((text, at)) = unit else {
        // What was made by multiplying and dividing has a size of its own that nobody would guess.
        if e.has_made_unit() {
            f.add(
                "E302",
                span.clone(),
                format!("`unit` is missing: the result is in {result}"),
                "give the unit of the limits; the result is converted to it",
            );
            return None;
        }
        return Some((e, result.text().into()));
    };
    let Some(e) = e.in_unit(&Unit::parse(text)) else {
        let hint = match result.is_none() {
            true => format!("correct it, or multiply the ratio by quantity(…, \"{text}\")"),
            false => "correct the unit or the expression".to_owned(),
        };
        f.add(
            "E313",
            at.clone(),
            format!("\"{text}\" does not measure what `value` does: it is in {result}"),
            hint,
        );
        return None;
    };
    Some((Arc::new(e), (*text).into()))
}

#[derive(Debug)]
struct Formula {
    expression: Arc<Expression>,
    /// Of its inputs.
    tags: Arc<[Arc<str>]>,
}

impl Settings for Formula {
    fn judge(&self) -> Box<dyn Judge> {
        let none = self.tags.iter().map(|_| None);
        Box::new(Computed {
            expression: self.expression.clone(),
            tags: self.tags.clone(),
            good: none.clone().collect(),
            any: none.collect(),
            finding: Finding::Unknown,
        })
    }

    fn text(&self) -> String {
        self.expression.text().to_owned()
    }
}

#[derive(Debug)]
struct Computed {
    expression: Arc<Expression>,
    tags: Arc<[Arc<str>]>,
    /// The inputs as far as they are Good.
    good: Box<[Option<f64>]>,
    /// And as far as they are Good or Uncertain.
    any: Box<[Option<f64>]>,
    finding: Finding,
}

impl Computed {
    fn find(&self) -> Finding {
        let good = |slot: usize| self.good[slot];
        let any = |slot: usize| self.any[slot];
        let e = &self.expression;
        match e.gives() {
            Gives::Truth => match (e.truth(&good).known(), || e.truth(&any).known()) {
                (Some(holds), _) => Finding::Truth { holds, good: true },
                (None, any) => match any() {
                    Some(holds) => Finding::Truth { holds, good: false },
                    None => Finding::Unknown,
                },
            },
            Gives::Number(_) => match (e.number(&good), || e.number(&any)) {
                (Some(value), _) => Finding::Number { value, good: true },
                (None, any) => match any() {
                    Some(value) => Finding::Number { value, good: false },
                    None => Finding::Unknown,
                },
            },
        }
    }

    /// The inputs for which it is unknown by these values: their tags, those without a value first.
    fn blind(&self, values: &[Option<f64>]) -> (Vec<&str>, Vec<&str>) {
        let slots = self.expression.blind_slots(&|slot: usize| values[slot]);
        let (none, some): (Vec<usize>, Vec<usize>) =
            slots.into_iter().partition(|s| values[*s].is_none());
        let tags = |slots: Vec<usize>| slots.into_iter().map(|s| &*self.tags[s]).collect();
        (tags(none), tags(some))
    }
}

impl Judge for Computed {
    fn take(&mut self, slot: usize, r: &Reading) {
        self.any[slot] = r.value;
        self.good[slot] = r.good();
        debug_assert!(r.value.is_some() || r.class == QualityClass::Bad);
    }

    fn say(&mut self, _now: Now) -> Finding {
        self.finding = self.find();
        self.finding
    }

    /// What it lacks, or what doubtful values it rests on.
    fn words(&self) -> Option<String> {
        let said = |tags: &[&str], what: &str| match tags {
            [] => None,
            _ => Some(format!("{} {what}", tags.join("、"))),
        };
        match self.finding {
            Finding::Unknown => {
                let (none, some) = self.blind(&self.any);
                let parts = [said(&none, "无有效数据"), said(&some, "的值无法计算")];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                (!parts.is_empty()).then(|| parts.join("，"))
            }
            Finding::Number { good: false, .. } | Finding::Truth { good: false, .. } => {
                let (doubtful, _) = self.blind(&self.good);
                said(&doubtful, "数据可疑")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::kinds::trial::{compiled, refused};
    use crate::proof::plant;
    use crate::proof::script::check;
    use crate::ruleset::RuleSet;
    use davy_points::{PointDef, PointTable};

    /// Two tanks with two gauges, a feed and a pump each.
    fn site() -> PointTable {
        let with = |tag: &str, unit: &str| PointDef {
            unit: unit.into(),
            stale_after: std::time::Duration::from_secs(3600),
            ..plant::point(tag)
        };
        plant::table([
            with("LT-1A", "m"),
            with("LT-1B", "cm"),
            with("FT-1", "m³/h"),
            with("XS-1", ""),
            with("LT-2A", "m"),
            with("LT-2B", "cm"),
            with("FT-2", "m³/h"),
            with("XS-2", ""),
        ])
    }

    fn rule(keys: &str) -> (PointTable, RuleSet) {
        compiled(site(), &format!("[[expression]]\nid = \"e\"\n{keys}"))
    }

    const DRY: &str = "select = { tag = \"XS-*\" }
        when = \"XS_* && FT_* < 1\"\n";

    /// One rule over a class; each subject reads what its `*` stands for.
    #[test]
    fn a_condition_over_a_class() {
        let rig = check(
            rule(DRY),
            "0s XS-1=1; FT-1=5; XS-2=1; FT-2=5; LT-1A=1; LT-1B=1; LT-2A=1; LT-2B=1
             1s FT-2=0.5
             2s FT-1=1
             3s FT-1=0; XS-2=0
             4s XS-1=0",
            "1s e/XS-2/on NORMAL>UNACK condition
             3s e/XS-1/on NORMAL>UNACK condition
             3s e/XS-2/on UNACK>RTN_UNACK returned
             4s e/XS-1/on UNACK>RTN_UNACK returned",
        );
        assert_eq!(&*rig.transitions[0].text, "XS-2 条件成立");
        assert_eq!(rig.transitions[0].priority.get(), 3);
    }

    /// A number in the unit of its limits: the gauges differ by centimetres, the limit is in mm.
    #[test]
    fn a_number_is_brought_to_the_unit_of_its_limits() {
        let rig = check(
            rule(
                "select = { tag = \"LT-*A\" }
                 value = \"abs(LT_*A - LT_*B)\"
                 unit = \"mm\"
                 h = { limit = 50, deadband = 10 }
                 hh = { limit = 100 }",
            ),
            "0s LT-1A=5; LT-1B=500; LT-2A=3; LT-2B=300; FT-1=1; FT-2=1; XS-1=1; XS-2=1
             1s LT-1A=5.0625
             2s LT-1A=5.04296875
             3s LT-1A=5.125
             4s LT-1A=5",
            "1s e/LT-1A/h NORMAL>UNACK condition
             3s e/LT-1A/hh NORMAL>UNACK condition
             3s e/LT-1A/h UNACK>UNACK masked masked
             4s e/LT-1A/hh UNACK>RTN_UNACK returned
             4s e/LT-1A/h UNACK>RTN_UNACK returned silent",
        );
        let text = &rig.transitions[0].text;
        assert_eq!(&**text, "LT-1A 计算值 62.5 mm ≥ 高限 50.0 mm");
    }

    /// 3.1: Uncertain raises, and says on what it rests; it does not return. Bad says what is missing.
    #[test]
    fn it_says_what_it_rests_on_and_what_it_lacks() {
        let rig = check(
            rule(DRY),
            "0s XS-1=1; FT-1=5; XS-2=0; FT-2=5; LT-1A=1; LT-1B=1; LT-2A=1; LT-2B=1
             1s FT-1=0 uncertain
             2s FT-1=5 uncertain
             3s FT-1=0
             4s FT-1=none bad; XS-1=1
             5s XS-1=0",
            "1s e/XS-1/on NORMAL>UNACK condition unknown
             3s e/XS-1/on UNACK>UNACK quality
             4s e/XS-1/on UNACK>UNACK quality unknown
             5s e/XS-1/on UNACK>UNACK quality
             5s e/XS-1/on UNACK>RTN_UNACK returned",
        );
        let texts: Vec<&str> = rig.transitions.iter().map(|t| &*t.text).collect();
        assert_eq!(texts[0], "XS-1 条件成立：FT-1 数据可疑");
        assert_eq!(texts[2], "XS-1 条件成立：FT-1 无有效数据");
        assert_eq!(texts[4], "XS-1 条件成立：FT-1 数据可疑", "as it was raised");
    }

    /// 3.1, Kleene: what is unknown does not hide a true leg, nor hold what a false one ends.
    #[test]
    fn a_true_leg_trips_beside_an_unknown_one() {
        check(
            rule(
                "select = { tag = \"XS-1\" }
                 when = \"LT_1A > 10 || FT_1 > 100\"",
            ),
            "0s LT-1A=11
             1s LT-1A=9
             2s FT-1=5
             3s LT-1A=9",
            "0s e/XS-1/on NORMAL>UNACK condition
             1s e/XS-1/on UNACK>UNACK quality unknown
             2s e/XS-1/on UNACK>UNACK quality
             2s e/XS-1/on UNACK>RTN_UNACK returned",
        );
    }

    /// A division by what is zero is unknown: it raises nothing and returns nothing.
    #[test]
    fn what_cannot_be_computed_is_unknown() {
        let rig = check(
            rule(
                "select = { tag = \"LT-1A\" }
                 value = \"LT_1A / LT_2A\"
                 h = { limit = 2 }",
            ),
            "0s LT-1A=5; LT-2A=2
             1s LT-2A=0
             2s LT-2A=5",
            "0s e/LT-1A/h NORMAL>UNACK condition
             1s e/LT-1A/h UNACK>UNACK quality unknown
             2s e/LT-1A/h UNACK>UNACK quality
             2s e/LT-1A/h UNACK>RTN_UNACK returned",
        );
        assert!(
            rig.transitions[1]
                .text
                .ends_with("：LT-1A、LT-2A 的值无法计算"),
            "{}",
            rig.transitions[1].text
        );
    }

    /// 3.4: policy `alarm` has an alarm of its own for what is missing.
    #[test]
    fn bad_input_may_alarm_by_itself() {
        let rig = check(
            rule(
                "select = { tag = \"LT-1A\" }
                 when = \"LT_1A > 10 || FT_1 > 100\"
                 on_bad = \"alarm\"",
            ),
            "0s LT-1A=11; FT-1=5
             1s FT-1=none bad",
            "0s e/LT-1A/on NORMAL>UNACK condition
             1s e/LT-1A/bad NORMAL>UNACK condition",
        );
        assert_eq!(
            &*rig.transitions[1].text,
            "LT-1A 条件成立 输入数据质量坏：FT-1"
        );
    }

    #[test]
    fn what_is_wrong_is_said_at_its_place() {
        let is = |keys: &str, expected: &[&str]| {
            refused(
                &site(),
                &format!("[[expression]]\nid = \"e\"\n{keys}"),
                expected,
            );
        };
        is(
            "select = { tag = \"XS-*\" }",
            &[
                "E302 2:1 [[[expression]]] `when` is missing | give a condition, or `value`, `unit` and limits",
            ],
        );
        is(
            "select = { tag = \"XS-*\" }\nwhen = \"XS_*\"\nvalue = \"FT_*\"\nh = { limit = 1 }",
            &[
                "E302 5:8 [\"XS_*\"] `when` and `value` stand in one rule | write two rules: a condition, and a number with limits",
            ],
        );
        is(
            "select = { tag = \"XS-*\" }\nwhen = \"XS_*\"\nunit = \"m\"\nh = { limit = 1 }",
            &[
                "E302 7:5 [{ limit = 1 }] this has no effect beside `when`, which is true or false | give `value = \"…\"` in place of `when`, or take this away",
                "E302 6:8 [\"m\"] this has no effect beside `when`, which is true or false | give `value = \"…\"` in place of `when`, or take this away",
            ],
        );
        is(
            "select = { tag = \"XS-*\" }\nvalue = \"FT_*\"",
            &[
                "E315 2:1 [[[expression]]] the rule has no limit | give one, like `h = { limit = 5 }`",
            ],
        );
        is(
            "select = { tag = \"XS-*\" }\nwhen = \"2 > 1\"",
            &[
                "E313 5:8 [\"2 > 1\"] this reads no point: it could never change | name a tag, with - and . written as _",
            ],
        );
        is(
            "select = { tag = \"LT-*A\" }\nvalue = \"LT_*A + FT_*\"\nunit = \"m\"\nh = { limit = 1 }",
            &[
                "E313 5:10 [LT_*A + FT_*] m and m³/h cannot be added: they do not measure the same (and 1 more points) | correct the unit in the point table, or convert one: `* quantity(…) / quantity(…)`",
            ],
        );
        is(
            "select = { tag = \"LT-*A\" }\nvalue = \"LT_*A - LT_*B\"\nunit = \"kPa\"\nh = { limit = 1 }",
            &[
                "E313 6:8 [\"kPa\"] \"kPa\" does not measure what `value` does: it is in m | correct the unit or the expression",
            ],
        );
        is(
            "select = { tag = \"LT-1A\" }\nvalue = \"LT_1A / LT_2A\"\nunit = \"%\"\nh = { limit = 1 }",
            &[
                "E313 6:8 [\"%\"] \"%\" does not measure what `value` does: it is in no unit | correct it, or multiply the ratio by quantity(…, \"%\")",
            ],
        );
        is(
            "select = { tag = \"LT-*A\" }\nvalue = \"FT_* * LT_*A\"\nh = { limit = 1 }",
            &[
                "E302 5:9 [\"FT_* * LT_*A\"] `unit` is missing: the result is in m³/h·m | give the unit of the limits; the result is converted to it",
            ],
        );
        is(
            "select = { class = \"tank_level\" }\nwhen = \"XS_*\"",
            &[
                "E313 5:9 [XS_*] `XS_*` stands for no point: there is nothing to put for `*` (and 7 more points) | select the rule's points by one tag with exactly one * (`tag = \"LT-*\"`), write the tag in full, or put a blank before a * that multiplies",
            ],
        );
    }

    /// `cargo test --release -p davy-rules three_points -- --ignored`: five million samples, each
    /// judged by an expression over three points, the engine's whole way.
    #[test]
    #[ignore = "a measurement, not a proof: time it in release"]
    #[allow(clippy::cast_possible_wrap)]
    fn five_million_samples_of_three_points() {
        use davy_points::{Mono, Quality, Sample, Timestamp, Value};
        let (table, rules) = rule(
            "select = { tag = \"XS-1\" }
             when = \"abs(LT_1A - LT_2A) > 5 && FT_1 < 1\"",
        );
        let mut rig = crate::proof::script::Rig::new(table, rules);
        let points = ["LT-1A", "LT-2A", "FT-1"].map(|t| rig.table.find(t).expect("it is there"));
        for i in 0..5_000_000_u64 {
            let at = i * 1_000_000;
            let now = Timestamp(crate::proof::script::BASE + at as i64);
            rig.engine.handle(&crate::engine::Envelope {
                seq: i,
                mono: Mono(at),
                wall: now,
                input: crate::engine::Input::Sample(Sample {
                    point: points[(i % 3) as usize],
                    value: Value::F64(50.0 + (i % 7) as f64),
                    quality: Quality::Good,
                    source_time: now,
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: now,
                    seq: i,
                }),
            });
            while rig.engine.poll().is_some() {}
        }
    }
}
