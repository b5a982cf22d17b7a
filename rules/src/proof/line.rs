//! A transition as an engineer reads it: `TIME ALARM FROM>TO CAUSE`, then the marks that are on.
//!
//! Lives here: the one wording that our own scripts and `*.test.toml` share. May not live here:
//! what a test is.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::alarm::{Cause, Eval, Flag, Label, Rejection, Transition, Verb};

/// The UNKNOWN overlay is on.
const UNKNOWN: &str = "unknown";
/// Open and unacknowledged, but not audible, though nothing masks it.
const SILENT: &str = "silent";

/// `zero_ns` is the wall time of second 0.
pub(crate) fn line(t: &Transition, zero_ns: i64) -> String {
    let mut line = format!(
        "{} {} {}>{} {}",
        seconds(t.recorded_at.0 - zero_ns),
        t.alarm,
        word(&t.from),
        word(&t.to),
        word(&t.cause)
    );
    for flag in &t.flags {
        line.push(' ');
        line.push_str(&word(flag));
    }
    let after = &t.regions.after;
    if after.eval == Eval::Unknown {
        line.push(' ');
        line.push_str(UNKNOWN);
    }
    if after.open && !after.acked && !after.audible && !after.masked {
        line.push(' ');
        line.push_str(SILENT);
    }
    line
}

/// A command that was not obeyed: `TIME VERB ALARM rejected WHY`.
pub(crate) fn rejected(at_ns: i64, verb: Verb, alarm: &str, why: Rejection) -> String {
    format!(
        "{} {} {alarm} rejected {}",
        seconds(at_ns),
        word(&verb),
        word(&why)
    )
}

/// `5s`, `0.25s`, `-3600s`.
#[allow(clippy::cast_precision_loss)] // a test of a hundred days keeps its microseconds
pub(crate) fn seconds(ns: i64) -> String {
    format!("{}s", ns as f64 / 1e9)
}

/// As in records.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}

/// The value with this word.
pub(crate) fn named<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// What is wrong with an expected line, past its time: the word, and what it should have been.
pub(crate) fn misspelt<'l>(words: &[&'l str]) -> Option<(&'l str, &'static str)> {
    const SHAPE: &str = "write `TIME ALARM FROM>TO CAUSE`, or `TIME VERB ALARM rejected WHY`";
    const LABEL: &str = "a label is one of: NORMAL, UNACK, ACKED, RTN_UNACK, LATCH_UNACK, \
                         LATCH_ACK, SHELVED, SUPPRESSED, OUT_OF_SERVICE";
    match words {
        [verb, alarm, "rejected", why] => {
            if named::<Verb>(verb).is_none() {
                return Some((verb, "a verb like ack, shelve or reset"));
            }
            // These name points.
            if !is_alarm(alarm) && !matches!(*verb, "bypass" | "restore") {
                return Some((alarm, "an alarm is `rule/tag/level`"));
            }
            named::<Rejection>(why).is_none().then_some((
                *why,
                "a reason like already_acked, stale_occurrence or not_applicable",
            ))
        }
        [alarm, change, cause, marks @ ..] => {
            if !is_alarm(alarm) {
                return Some((alarm, "an alarm is `rule/tag/level`"));
            }
            let Some((from, to)) = change.split_once('>') else {
                return Some((change, "write `FROM>TO`, like NORMAL>UNACK"));
            };
            for label in [from, to] {
                if named::<Label>(label).is_none() {
                    return Some((if label.is_empty() { change } else { label }, LABEL));
                }
            }
            if named::<Cause>(cause).is_none() {
                return Some((
                    cause,
                    "a cause like condition, returned, ack, quality or expired",
                ));
            }
            let strange = |m: &&&str| ![UNKNOWN, SILENT].contains(*m) && named::<Flag>(m).is_none();
            marks
                .iter()
                .find(strange)
                .map(|m| (*m, "a mark is a flag of the record, `unknown` or `silent`"))
        }
        [first, ..] => Some((first, SHAPE)),
        [] => Some(("", SHAPE)),
    }
}

fn is_alarm(text: &str) -> bool {
    text.split('/').filter(|part| !part.is_empty()).count() >= 3
}

#[cfg(test)]
mod tests {
    use super::misspelt;

    #[test]
    fn a_misspelt_expectation_is_told_by_its_word() {
        for (line, strange) in [
            ("r/LT/h NORMAL>UNACK condition", None),
            ("r/LT/h NORMAL>UNACK condition masked unknown silent", None),
            ("ack r/LT/h rejected already_acked", None),
            ("bypass LT-1,LT-2 rejected forbidden", None),
            ("r/LT/h NORMAL>UNAKC condition", Some("UNAKC")),
            ("r/LT/h NORMAL-UNACK condition", Some("NORMAL-UNACK")),
            ("r/LT/h NORMAL> condition", Some("NORMAL>")),
            ("r/LT/h NORMAL>UNACK raised", Some("raised")),
            ("r/LT/h NORMAL>UNACK condition loud", Some("loud")),
            ("r/LT NORMAL>UNACK condition", Some("r/LT")),
            ("ack r/LT/h rejected never", Some("never")),
            ("akc r/LT/h rejected already_acked", Some("akc")),
            ("r/LT/h", Some("r/LT/h")),
            ("", Some("")),
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(misspelt(&words).map(|m| m.0), strange, "{line}");
        }
    }
}
