//! A recording through the engine, and through the floor.
//!
//! May not live here: figures, drawing.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_plan::Plan;
use davy_points::{Mono, NoData, Quality, Sample, Timestamp, Value};
use davy_rules::alarm::{Label, Regions, Transition};
use davy_rules::engine::{Engine, Envelope, Identity, Input, Output, Restored};
use davy_rules::language::RuleSet;

use crate::recording::{MINUTE, Recording};

/// Before the first row: nothing is known yet.
const LEAD_NS: i64 = 1_000_000_000;

/// One annunciation.
pub(crate) struct Alarm {
    pub at: i64,
    pub name: String,
    /// Of the process, or of an instrument.
    pub process: bool,
}

/// What was annunciated, in order, and when each alarm stood.
pub(crate) struct Log {
    pub alarms: Vec<Alarm>,
    pub stood: BTreeMap<String, Vec<(i64, i64)>>,
}

impl Log {
    /// Process alarms after `from`, up to before `to`.
    pub(crate) fn process(&self, from: i64, to: i64) -> impl Iterator<Item = &Alarm> {
        let within = move |a: &&Alarm| a.process && a.at > from && a.at < to;
        self.alarms.iter().filter(within)
    }

    /// Process alarms in each 10 minutes of a stretch.
    pub(crate) fn bins(&self, from: i64, to: i64) -> Vec<usize> {
        let width = 10 * MINUTE;
        let mut bins = vec![0; usize::try_from((to - from) / width + 1).unwrap()];
        for a in self.process(from, to + 1) {
            bins[usize::try_from((a.at - from) / width).unwrap()] += 1;
        }
        bins
    }
}

/// An alarm that sounds: ISA-18.2 counts entries to UNACK that are annunciated.
fn sounds(r: &Regions) -> bool {
    r.label() == Label::Unack && !r.masked && r.is_bare()
}

/// The recorded time is the clock, as with `clock = "recorded"`. Nobody acknowledges: an alarm that
/// comes again counts again.
pub(crate) fn judge(plan: &Plan, rules: &Arc<RuleSet>, r: &Recording) -> Log {
    let zero = r.start() - LEAD_NS;
    let identity = Identity {
        site: Arc::clone(&plan.site),
        owner: Arc::clone(&plan.points.source_of(r.points[0].0).gateway),
        plan_rev: Arc::clone(&plan.rev),
    };
    let mut engine = Engine::start(
        identity,
        Arc::clone(rules),
        Arc::clone(&plan.points),
        Restored::default(),
        Mono(0),
        Timestamp(zero),
    );
    let mut log = Log {
        alarms: Vec::new(),
        stood: BTreeMap::new(),
    };
    let mut seq = 0;
    for (time, values) in &r.data.rows {
        for (point, column) in &r.points {
            seq += 1;
            let (value, quality) = match values[*column] {
                Some(v) => (Value::F64(v), Quality::Good),
                None => (Value::none(NoData::Null), Quality::BadSensorFailure),
            };
            engine.handle(&Envelope {
                seq,
                mono: Mono((time.ns() - zero).unsigned_abs()),
                wall: *time,
                input: Input::Sample(Sample {
                    point: *point,
                    value,
                    quality,
                    source_time: *time,
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: *time,
                    seq,
                }),
            });
            while let Some(out) = engine.poll() {
                if let Output::Transition(t) = out {
                    log.take(&t, zero, r);
                }
            }
        }
    }
    log.close(r.end());
    log
}

impl Log {
    fn take(&mut self, t: &Transition, zero: i64, r: &Recording) {
        // What is about the source or the gateway as a whole is no alarm of a point.
        if !r.tags.iter().any(|tag| **tag == *t.tag) {
            return;
        }
        let (before, after) = (&t.regions.before, &t.regions.after);
        let at = t.recorded_at.ns().max(zero);
        if sounds(after) && !sounds(before) {
            let instrument = ["stuck", "quality", "stale"].contains(&&*t.kind)
                || ["bad", "stale", "loss_of_view"].contains(&t.level.name());
            self.alarms.push(Alarm {
                at,
                name: t.alarm.to_string(),
                process: !instrument,
            });
        }
        match (before.is_active(), after.is_active()) {
            (false, true) => self.begin(&t.alarm, at),
            (true, false) => self.finish(&t.alarm, at),
            _ => {}
        }
    }

    fn begin(&mut self, name: &str, at: i64) {
        let spans = self.stood.entry(name.to_owned()).or_default();
        spans.push((at, i64::MAX));
    }

    fn finish(&mut self, name: &str, at: i64) {
        if let Some(last) = self.stood.get_mut(name).and_then(|s| s.last_mut()) {
            last.1 = at;
        }
    }

    fn close(&mut self, end: i64) {
        for span in self.stood.values_mut().flatten() {
            span.1 = span.1.min(end);
        }
    }
}

/// Mean ± 3 σ of the normal rows, on every variable, row by row. None where no row is normal.
pub(crate) fn floor(r: &Recording) -> Option<Log> {
    let bands: Vec<Option<(f64, f64)>> = r.normal.iter().map(|v| band(v)).collect();
    if bands.iter().all(Option::is_none) {
        return None;
    }
    let mut log = Log {
        alarms: Vec::new(),
        stood: BTreeMap::new(),
    };
    let mut outside = vec![false; bands.len()];
    for (time, values) in &r.data.rows {
        for (n, (_, column)) in r.points.iter().enumerate() {
            let (Some(v), Some((low, high))) = (values[*column], bands[n]) else {
                continue;
            };
            let out = v < low || v > high;
            if out && !outside[n] {
                log.alarms.push(Alarm {
                    at: time.ns(),
                    name: r.tags[n].clone(),
                    process: true,
                });
                log.begin(&r.tags[n], time.ns());
            } else if !out && outside[n] {
                log.finish(&r.tags[n], time.ns());
            }
            outside[n] = out;
        }
    }
    log.close(r.end());
    Some(log)
}

fn band(normal: &[f64]) -> Option<(f64, f64)> {
    if normal.is_empty() {
        return None;
    }
    let (mean, sigma) = crate::tune::moments(normal);
    (sigma > 0.0).then_some((mean - 3.0 * sigma, mean + 3.0 * sigma))
}
