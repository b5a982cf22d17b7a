//! A body of line protocol becomes samples of known points, or is refused whole at its first
//! wrong line (the sender bisects and sets the line aside).
//!
//! Lives here: what measurement, tags and fields mean (`formats.md` section 5). May not live
//! here: HTTP, the store. A value never gets under another tag: every tag that a line carries
//! must agree with the plan.

use std::fmt;

use davy_plan::Plan;
use davy_points::{PointIx, Quality, Timestamp, Value};

use super::line::{Field, Line, LineError, Lines, Precision};
use crate::state::points::no_data;

/// One sample as it came in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arrived {
    pub point: PointIx,
    pub value: Value,
    pub quality: Quality,
    pub time: Timestamp,
    pub offset_ns: i64,
    /// When its gateway had it; the sample's own time where the line does not say.
    pub arrival: Timestamp,
}

/// What a body held.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Body {
    pub samples: Vec<Arrived>,
    /// Lines of the measurement `alarm`: a mirror for other engines. The centre has the
    /// transitions themselves.
    pub alarm_lines: usize,
}

/// The first wrong line, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub line: usize,
    /// Short, stable word for the metric.
    pub kind: &'static str,
    pub why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl From<LineError> for Refused {
    fn from(e: LineError) -> Refused {
        Refused {
            line: e.line,
            kind: "grammar",
            why: e.what.to_string(),
        }
    }
}

/// Reads a whole body.
///
/// # Errors
/// The first line that is not line protocol, or not a sample of this site.
pub(crate) fn read(body: &[u8], precision: Precision, plan: &Plan) -> Result<Body, Refused> {
    let mut lines = Lines::new(body, precision)?;
    let mut line = Line::default();
    let mut out = Body::default();
    while lines.next_into(&mut line)? {
        if line.measurement == "alarm" && line.field("state").is_some() {
            out.alarm_lines += 1;
            continue;
        }
        match sample(&line, plan) {
            Ok(sample) => out.samples.push(sample),
            Err((kind, why)) => {
                return Err(Refused {
                    line: line.number,
                    kind,
                    why,
                });
            }
        }
    }
    Ok(out)
}

fn sample(line: &Line<'_>, plan: &Plan) -> Result<Arrived, (&'static str, String)> {
    let forged = |why: String| ("forged", why);
    let tag = line
        .tag("tag")
        .ok_or_else(|| forged("the tag `tag` is missing".into()))?;
    let ix = plan
        .points
        .find(tag)
        .ok_or_else(|| forged(format!("the plan has no point `{tag}`")))?;
    let def = plan.points.point(ix);
    let gateway = &plan.points.source(def.source).gateway;
    for (name, found, expected, may_miss) in [
        ("site", line.tag("site"), &*plan.site, false),
        ("gateway", line.tag("gateway"), &**gateway, false),
        (
            "hazard",
            line.tag("hazard"),
            &*def.hazard,
            def.hazard.is_empty(),
        ),
    ] {
        match found {
            Some(found) if found == expected => {}
            None if may_miss => {}
            found => {
                return Err(forged(format!(
                    "`{name}` is `{}`, but `{tag}` belongs to `{expected}`",
                    found.unwrap_or("missing")
                )));
            }
        }
    }
    if !def.class.is_empty() && *line.measurement != *def.class {
        return Err(forged(format!(
            "the measurement is `{}`, but `{tag}` is of class `{}`",
            line.measurement, def.class
        )));
    }
    let quality = match line.field("q") {
        Some(Field::I64(code)) => u8::try_from(*code)
            .ok()
            .and_then(Quality::from_code)
            .ok_or_else(|| {
                (
                    "quality",
                    format!("`q` is {code}, which is no quality code"),
                )
            })?,
        Some(_) => return Err(("quality", "`q` is not a whole number with `i`".into())),
        None => return Err(("quality", "the field `q` is missing".into())),
    };
    let value = match line.field("value") {
        Some(Field::F64(v)) => Value::F64(*v),
        Some(Field::I64(v)) => Value::I64(*v),
        Some(Field::U64(v)) => Value::U64(*v),
        Some(Field::Bool(v)) => Value::Bool(*v),
        Some(Field::Text(v)) => Value::Text((&**v).into()),
        None if !quality.is_good() => Value::none(no_data(quality)),
        None => {
            return Err((
                "value",
                "the field `value` is missing from a good sample".into(),
            ));
        }
    };
    let time = line
        .time
        .ok_or_else(|| ("time", "the time is missing: a sample keeps its own".into()))?;
    let whole = |name: &str| match line.field(name) {
        Some(Field::I64(n)) => Some(*n),
        _ => None,
    };
    Ok(Arrived {
        point: ix,
        value,
        quality,
        time: Timestamp(time),
        offset_ns: whole("offset").unwrap_or(0),
        arrival: Timestamp(whole("arrival").unwrap_or(time)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    fn check(body: &str) -> Result<Body, String> {
        read(body.as_bytes(), Precision::Ns, &example::plan()).map_err(|e| e.to_string())
    }

    #[test]
    fn lines_become_samples_of_their_points() {
        let plan = example::plan();
        let lt = plan.points.find("LT-101").expect("a point");
        let body = check(
            "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=12.5,q=192i 1000\n\
             tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 q=24i 2000\n\
             alarm,site=s1,gateway=gw-01,tag=LT-101 state=1i,q=192i 2000\n\
             tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=85,q=84i,offset=-7i,arrival=3100i 3000\n",
        )
        .expect("a good body");
        assert_eq!(body.alarm_lines, 1);
        let got: Vec<_> = body
            .samples
            .iter()
            .map(|s| {
                (
                    s.point,
                    s.value.clone(),
                    s.quality,
                    s.time.ns(),
                    s.offset_ns,
                    s.arrival.ns(),
                )
            })
            .collect();
        assert_eq!(
            got,
            [
                (lt, Value::F64(12.5), Quality::Good, 1000, 0, 1000),
                (
                    lt,
                    Value::none(davy_points::NoData::NoAnswer),
                    Quality::BadCommunication,
                    2000,
                    0,
                    2000
                ),
                (
                    lt,
                    Value::F64(85.0),
                    Quality::UncertainRange,
                    3000,
                    -7,
                    3100
                ),
            ]
        );
    }

    #[test]
    fn a_line_that_does_not_agree_with_the_plan_is_refused_with_its_number() {
        let good = "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=192i 5";
        for (line, why) in [
            (
                "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-999 value=1,q=192i 5",
                "line 2: the plan has no point `LT-999`",
            ),
            (
                "tank_level,site=s1,gateway=gw-02,hazard=TF,tag=LT-101 value=1,q=192i 5",
                "line 2: `gateway` is `gw-02`, but `LT-101` belongs to `gw-01`",
            ),
            (
                "tank_level,site=s2,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=192i 5",
                "line 2: `site` is `s2`, but `LT-101` belongs to `s1`",
            ),
            (
                "tank_level,site=s1,gateway=gw-01,tag=LT-101 value=1,q=192i 5",
                "line 2: `hazard` is `missing`, but `LT-101` belongs to `TF`",
            ),
            (
                "gas_toxic,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=192i 5",
                "line 2: the measurement is `gas_toxic`, but `LT-101` is of class `tank_level`",
            ),
            (
                "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1 5",
                "line 2: the field `q` is missing",
            ),
            (
                "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=0i 5",
                "line 2: `q` is 0, which is no quality code",
            ),
            (
                "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=192 5",
                "line 2: `q` is not a whole number with `i`",
            ),
            (
                "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 q=192i 5",
                "line 2: the field `value` is missing from a good sample",
            ),
            (
                "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=192i",
                "line 2: the time is missing: a sample keeps its own",
            ),
            (
                "tank_level,site=s1 value=NaN,q=192i 5",
                "line 2: a field has no value that is a number, a truth value or a quoted text",
            ),
        ] {
            assert_eq!(check(&format!("{good}\n{line}\n")), Err(why.to_owned()));
        }
    }
}
