//! `rate`: how fast a value moves, as the slope of the least-squares line over a window of event
//! time (section 4; 8.16). Over a limit but not over three standard errors is Unknown (8.27): noise
//! neither raises nor returns anything.

use super::head::{Head, Policy, Site, missing};
use super::ladder::{Ladder, Many};
use super::mode::Modes;
use super::moments::SlidingLine;
use super::{Finding, Judge, Now, Reading, Settings};
use crate::alarm::Level;
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Derived};

/// A slope must be worth so many steps of the instrument over the window.
const STEPS: f64 = 5.0;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Rate {
    window_ns: i64,
    /// Seconds of the unit of time that limits are given in.
    per_s: f64,
    /// The least that is too fast, upwards and downwards.
    rise: Option<f64>,
    fall: Option<f64>,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let window = keys.duration_ns("window", f);
    match &window {
        None => missing(
            &mut keys,
            "window",
            "the time that the slope is taken over, like \"5m\"",
            f,
        ),
        Some((0, span)) => {
            f.add(
                "E310",
                span.clone(),
                "`window` is zero",
                "give the time that the slope is taken over, like \"5m\"",
            );
        }
        Some(_) => {}
    }
    let per = keys
        .word("per", &[("min", (60.0, "min")), ("h", (3600.0, "h"))], f)
        .unwrap_or((60.0, "min"));
    let resolution = keys.amount("resolution", f).map(|r| r.0);
    let ladder = Ladder::read(&mut keys, f);
    let policy = Policy::read(&mut head, &mut keys, f);
    let whole = ladder.is_whole("h = { limit = 0.5 }", f);
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let (true, Some((window_ns @ 1.., _))) = (whole, window) else {
        return;
    };
    let settings = Rate {
        window_ns,
        per_s: per.0,
        rise: ladder.nearest(&[Level::H, Level::Hh, Level::Hhh]),
        fall: ladder.nearest(&[Level::L, Level::Ll]),
    };
    let modes = Modes::of(&ladder, &head, &subjects, site, f);
    let rule = b.rule(head.rule.clone());
    let mut too_fine = Many::default();
    for p in subjects {
        let point = site.table.point(p);
        let step = resolution.or_else(|| Some((point.high? - point.low?) * 0.001));
        for (level, limit, span) in ladder.limits() {
            let change = figures(limit.abs() * settings.windows());
            if let Some(step) = step.filter(|s| change < s * STEPS) {
                let (tag, unit) = (&point.tag, &point.unit);
                let said = format!(
                    "level {level} is a change of {change} {unit} within the window, less than five \
                     steps of {step} {unit} on {tag}"
                );
                too_fine.note_as(said, span, level);
            }
        }
        let derived = Derived {
            rule,
            subject: p,
            inputs: vec![p],
            settings: std::sync::Arc::new(settings),
            what: "变化速率",
            unit: format!("{}/{}", point.unit, per.1).into(),
        };
        b.derived(derived, ladder.alarms(&head, rule, p));
        modes.add(rule, p, f, b);
        policy.alarms(rule, p, b);
    }
    too_fine.tell("E319", f, |said, _| {
        let hint = match resolution {
            Some(_) => "a longer `window` or a wider limit: what is finer is noise",
            None => {
                "a longer `window` or a wider limit; or `resolution`, where the instrument is finer \
                 than a thousandth of its range"
            }
        };
        (said.to_owned(), hint.to_owned())
    });
}

impl Rate {
    /// How many of its units of time the window is.
    #[allow(clippy::cast_precision_loss)] // ten years in ns have 59 bits: six are of no use
    fn windows(&self) -> f64 {
        self.window_ns as f64 / 1e9 / self.per_s
    }
}

impl Settings for Rate {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Slope {
            settings: *self,
            line: SlidingLine::new(self.window_ns),
        })
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }

    fn window_ns(&self) -> Option<i64> {
        Some(self.window_ns)
    }
}

#[derive(Debug)]
struct Slope {
    settings: Rate,
    line: SlidingLine,
}

impl Slope {
    /// The slope and its standard error in the rule's unit, where there is enough to tell.
    fn measured(&self) -> Option<(f64, f64)> {
        // ≥ 0.6 of the window, in whole numbers.
        let span = i128::from(self.line.span_ns());
        if span * 5 < i128::from(self.settings.window_ns) * 3 {
            return None;
        }
        let (slope, error) = self.line.moments().line()?;
        let (slope, error) = (slope * self.settings.per_s, error * self.settings.per_s);
        (slope.is_finite() && error.is_finite()).then_some((slope, error))
    }
}

impl Judge for Slope {
    fn take(&mut self, _slot: usize, r: &Reading) {
        match r.good() {
            Some(v) => self.line.push(r.time, v),
            // 8.16: only what comes after the last sample that is not Good.
            None => self.line.clear(),
        }
    }

    fn say(&mut self, _now: Now) -> Finding {
        let Some((slope, error)) = self.measured() else {
            return Finding::Unknown;
        };
        let over = self.settings.rise.is_some_and(|l| slope >= l)
            || self.settings.fall.is_some_and(|l| slope <= l);
        match over && slope.abs() <= 3.0 * error {
            // 8.27.
            true => Finding::Unknown,
            false => Finding::Number {
                value: slope,
                good: true,
            },
        }
    }

    fn begin_again(&mut self) {
        self.line.clear();
    }

    fn words(&self) -> Option<String> {
        let (_, error) = self.measured()?;
        let n = self.line.moments().n;
        let window = seconds(self.settings.window_ns);
        Some(format!("{window} s 窗口内 {n} 个样本，标准误差 {error:.2}"))
    }
}

/// To nine figures: what a product of decimals leaves behind is no change.
fn figures(v: f64) -> f64 {
    format!("{v:.8e}").parse().unwrap_or(v)
}

#[allow(clippy::cast_precision_loss)] // for people
fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use davy_points::QualityClass;
    use proptest::prelude::*;

    use super::*;
    use crate::kinds::trial::{ask, compiled, reading, refused};
    use crate::proof::plant;
    use crate::proof::script::check;

    const S: i64 = 1_000_000_000;

    fn tank(keys: &str) -> (davy_points::PointTable, crate::ruleset::RuleSet) {
        let rule = format!(
            "[[rate]]\nid = \"rise\"\nselect = {{ tag = \"LT-*\" }}\nwindow = \"10s\"\n{keys}"
        );
        compiled(plant::patient(&["LT-1"]), &rule)
    }

    /// A metre a second is sixty a minute; rise and fall each have their side.
    #[test]
    fn a_slope_alarms_on_its_side() {
        let rig = check(
            tank("h = { limit = 30, deadband = 5 }\nl = { limit = -30 }"),
            "0s LT-1=10
             2s LT-1=11
             4s LT-1=12
             6s LT-1=13
             8s LT-1=15
             10s LT-1=17
             18s LT-1=17
             26s LT-1=17
             27s LT-1=13
             28s LT-1=9
             32s LT-1=5",
            "6s rise/LT-1/h NORMAL>UNACK condition
             18s rise/LT-1/h UNACK>RTN_UNACK returned
             26s rise/LT-1/h RTN_UNACK>RTN_UNACK quality unknown
             27s rise/LT-1/h RTN_UNACK>RTN_UNACK quality
             28s rise/LT-1/h RTN_UNACK>RTN_UNACK quality unknown
             32s rise/LT-1/h RTN_UNACK>RTN_UNACK quality
             32s rise/LT-1/l NORMAL>UNACK condition",
        );
        assert_eq!(
            &*rig.transitions[0].text,
            "LT-1 变化速率 30.0 m/min ≥ 高限 30.0 m/min：10 s 窗口内 4 个样本，标准误差 0.00"
        );
    }

    #[test]
    fn faults() {
        refused(
            &plant::patient(&["LT-1", "LT-2"]),
            "[[rate]]
id = \"a\"
select = { tag = \"LT-*\" }
per = \"s\"
[[rate]]
id = \"b\"
select = { tag = \"LT-*\" }
window = \"0s\"
h = { limit = 5 }
hh = { limit = 4 }
[[rate]]
id = \"c\"
select = { tag = \"LT-*\" }
window = \"6s\"
h = { limit = 4 }
[[rate]]
id = \"d\"
select = { tag = \"LT-*\" }
window = \"6s\"
resolution = 0.08
per = \"h\"
l = { limit = -230 }
",
            &[
                "E302 2:1 [[[rate]]] `window` is missing | give the time that the slope is taken over, like \"5m\"",
                "E316 5:7 [\"s\"] `per` cannot be \"s\" | did you mean \"h\"? It is one of: min, h",
                "E315 2:1 [[[rate]]] the rule has no limit | give one, like `h = { limit = 0.5 }`",
                "E310 9:10 [\"0s\"] `window` is zero | give the time that the slope is taken over, like \"5m\"",
                "E307 11:16 [4] h 5 is not below hh 4 | LL < L < H < HH, with deadbands that do not meet",
                "E319 16:15 [4] level h is a change of 0.4 m within the window, less than five steps of 0.1 m on LT-1 (and 1 more points) | a longer `window` or a wider limit; or `resolution`, where the instrument is finer than a thousandth of its range",
                "E319 23:15 [-230] level l is a change of 0.383333333 m within the window, less than five steps of 0.08 m on LT-1 (and 1 more points) | a longer `window` or a wider limit: what is finer is noise",
            ],
        );
        // Exactly five steps are enough; where there is no range, nobody can know.
        tank("resolution = 0.1\nh = { limit = 3 }");
    }

    /// 8.16: the window begins anew after what is not Good, and what stood is UNKNOWN until it is
    /// known again; a step of the wall clock does the same.
    #[test]
    fn a_window_never_reaches_across_what_is_not_good() {
        let up = "0s LT-1=10
             3s LT-1=12
             6s LT-1=14";
        check(
            tank("h = { limit = 30 }"),
            &format!(
                "{up}
             7s LT-1=14 uncertain
             8s LT-1=14
             11s LT-1=14
             13s LT-1=14
             14s LT-1=14"
            ),
            "6s rise/LT-1/h NORMAL>UNACK condition
             7s rise/LT-1/h UNACK>UNACK quality unknown
             14s rise/LT-1/h UNACK>UNACK quality
             14s rise/LT-1/h UNACK>RTN_UNACK returned",
        );
        check(
            tank("h = { limit = 30 }"),
            &format!(
                "{up}
             6.5s step 3600s
             7s LT-1=14
             10s LT-1=14
             13s LT-1=14"
            ),
            "6s rise/LT-1/h NORMAL>UNACK condition
             3607s rise/LT-1/h UNACK>UNACK quality unknown
             3613s rise/LT-1/h UNACK>UNACK quality
             3613s rise/LT-1/h UNACK>RTN_UNACK returned",
        );
    }

    /// 8.27: over the limit, but the line does not fit: nothing is raised, nothing is returned.
    #[test]
    fn noise_over_the_limit_is_unknown() {
        check(
            tank("h = { limit = 30 }"),
            "0s LT-1=10
             2s LT-1=40
             4s LT-1=10
             6s LT-1=40
             8s LT-1=60
             10s LT-1=80
             11s LT-1=10",
            "10s rise/LT-1/h NORMAL>UNACK condition
             11s rise/LT-1/h UNACK>UNACK quality unknown",
        );
    }

    /// A late sample is history (3.9); it moves no line.
    #[test]
    fn a_late_sample_moves_no_line() {
        check(
            tank("h = { limit = 30 }"),
            "0s LT-1=10
             3s LT-1=10
             6s LT-1=10
             7s LT-1=90 at=5s
             8s LT-1=90 at=6s seq=1
             9s LT-1=10",
            "",
        );
    }

    /// A rule that has seen a million samples, for a profile: `--release -- --ignored`.
    #[test]
    #[ignore = "a measurement, not a proof: time it in release"]
    fn five_million_samples_over_a_minute() {
        let (table, rules) = compiled(
            plant::patient(&["LT-1"]),
            "[[rate]]\nid = \"r\"\nselect = { tag = \"LT-1\" }\nwindow = \"60s\"\nh = { limit = 5 }",
        );
        let mut rig = crate::proof::script::Rig::new(table, rules);
        let point = rig.table.find("LT-1").expect("it is there");
        for i in 0..5_000_000_i64 {
            let now = davy_points::Timestamp(crate::proof::script::BASE + i * S);
            let sample = davy_points::Sample {
                point,
                value: davy_points::Value::F64(50.0 + (i % 7) as f64 * 0.01),
                quality: davy_points::Quality::Good,
                source_time: now,
                offset_ns: 0,
                uncertainty_ns: 0,
                arrival_time: now,
                seq: i as u64,
            };
            rig.engine.handle(&crate::engine::Envelope {
                seq: i as u64,
                mono: davy_points::Mono((i * S) as u64),
                wall: now,
                input: crate::engine::Input::Sample(sample),
            });
            while rig.engine.poll().is_some() {}
        }
        assert_eq!(rig.engine.seq(), 0);
    }

    /// The rule as it stands in section 4, 8.16 and 8.27, over all that has ever come.
    fn naive(all: &[Reading], s: &Rate) -> Option<(f64, f64)> {
        let t = all.last()?.time;
        let after = all
            .iter()
            .rposition(|r| r.good().is_none())
            .map_or(0, |i| i + 1);
        let inside: Vec<(f64, f64)> = all[after..]
            .iter()
            .filter(|r| r.time >= t - s.window_ns)
            .filter_map(|r| Some(((r.time - t) as f64 / 1e9 / s.per_s, r.value?)))
            .collect();
        let n = inside.len() as f64;
        let first = inside.first()?.0;
        if n < 3.0 || -first * s.per_s < 0.6 * s.window_ns as f64 / 1e9 {
            return None;
        }
        let (x, y) = inside
            .iter()
            .fold((0.0, 0.0), |a, p| (a.0 + p.0 / n, a.1 + p.1 / n));
        let xx: f64 = inside.iter().map(|p| (p.0 - x).powi(2)).sum();
        let xy: f64 = inside.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
        let slope = xy / xx;
        let left: f64 = inside
            .iter()
            .map(|p| (p.1 - y - slope * (p.0 - x)).powi(2))
            .sum();
        Some((slope, (left / (n - 2.0) / xx).sqrt()))
    }

    proptest! {
        /// 8.16, 8.27: gaps, Bad, Uncertain, one instant twice: always what the sentence of the specification
        /// says of the samples, taken together.
        #[test]
        fn it_says_what_the_sentence_says(
            steps in prop::collection::vec((0_i64..6, 0.0..4.0_f64, 0_u8..20), 1..120),
            window in 4_i64..20,
            rise in 1.0..40.0_f64,
            noise in 0.0..2.0_f64,
        ) {
            let s = Rate {
                window_ns: window * S,
                per_s: 60.0,
                rise: Some(rise),
                fall: Some(-rise),
            };
            let mut judge = s.judge();
            let mut all: Vec<Reading> = Vec::new();
            let mut t = 1_700_000_000 * S;
            for (dt, v, class) in steps {
                t += dt * S;
                let slow = (all.len() % 40) as f64 * 0.3;
                let value = Some(slow + v * noise).filter(|_| class != 0);
                let class = match class {
                    1 => QualityClass::Uncertain,
                    _ => QualityClass::Good,
                };
                let r = reading(t, value, class);
                all.push(r);
                let said = ask(&mut *judge, 0, &r);
                let Some((slope, error)) = naive(&all, &s) else {
                    prop_assert_eq!(said, Finding::Unknown);
                    continue;
                };
                let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * (1.0 + a.abs());
                if near(slope.abs(), rise) || near(slope.abs(), 3.0 * error) {
                    continue;
                }
                match said {
                    Finding::Unknown => {
                        prop_assert!(slope.abs() > rise && slope.abs() < 3.0 * error);
                    }
                    Finding::Number { value, good } => {
                        prop_assert!(good && near(value, slope), "{value} {slope}");
                        prop_assert!(slope.abs() < rise || slope.abs() > 3.0 * error);
                    }
                    Finding::Truth { .. } | Finding::Band { .. } => prop_assert!(false),
                }
            }
        }
    }

    /// Values that overflow their own squares are no slope.
    #[test]
    fn what_cannot_be_reckoned_is_unknown() {
        let s = Rate {
            window_ns: 10 * S,
            per_s: 60.0,
            rise: Some(1.0),
            fall: None,
        };
        let mut judge = s.judge();
        let mut said = Vec::new();
        for (i, v) in [0.0, f64::MAX, f64::MIN, f64::MAX, 0.0].iter().enumerate() {
            let r = reading(i as i64 * 3 * S, Some(*v), QualityClass::Good);
            said.push(ask(&mut *judge, 0, &r));
        }
        assert_eq!(said, [Finding::Unknown; 5]);
    }
}
