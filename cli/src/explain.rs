//! `davy explain OCCURRENCE`: what an alarm rested on, why it stands or is over, and who knew.
//!
//! Lives here: the words. May not live here: where records come from ([`sources`]); judging: all
//! that is said here stands in the records.

use std::fmt::Write as _;

use davy_points::{Quality, Timestamp, Value};
use davy_rules::alarm::{Cause, Condition, Eval, Flag, Label, Level, Transition};
use serde_json::json;

use crate::run::unusable;
use crate::{End, args};

mod sources;

/// What is known of an occurrence.
#[derive(Debug)]
struct Known {
    occurrence: String,
    /// Its records, in order; the first made it.
    records: Vec<Transition>,
    /// The alarm's newest record, of this occurrence or a later one.
    newest: Option<Transition>,
    /// The point's newest sample, where somebody has it.
    sample: Option<(Value, u8, Timestamp)>,
    told: Told,
}

/// Who has the records.
#[derive(Debug)]
enum Told {
    /// The centre holds all of them.
    Centre,
    /// A gateway's journal; the centre has confirmed records up to this one.
    UpTo(u64),
}

/// Why there is nothing to explain.
#[derive(Debug)]
enum Nothing {
    /// No such occurrence: a finding.
    Unknown(String),
    /// It cannot be asked.
    Unusable(String),
}

/// `davy explain OCCURRENCE --server URL | --data-dir DIR`.
pub(crate) fn main(args: &args::Explain) -> End {
    let known = match (&args.server, &args.data_dir) {
        (Some(url), _) => sources::ask(url, &args.occurrence),
        (None, Some(dir)) => sources::read(dir, &args.occurrence),
        (None, None) => {
            return unusable(
                "who is to be asked? `--server http://127.0.0.1:8080`, or a gateway's `--data-dir DATA/ID`",
            );
        }
    };
    match known {
        Ok(known) if args.json => println!("{}", to_json(&known)),
        Ok(known) => print!("{}", render(&known)),
        Err(Nothing::Unknown(why)) => {
            eprintln!("davy: {why}");
            return End::Findings;
        }
        Err(Nothing::Unusable(why)) => return unusable(&why),
    }
    End::Good
}

impl Known {
    /// The record that annunciated it; where there is none, its first.
    fn raised(&self) -> &Transition {
        let raised = self.records.iter().find(|t| t.annunciated_at.is_some());
        // A source gives at least one record, or says that it knows nothing.
        raised.unwrap_or(&self.records[0])
    }

    fn last(&self) -> &Transition {
        &self.records[self.records.len() - 1]
    }

    fn returned(&self) -> Option<&Transition> {
        self.records.iter().find(|t| is_over(t))
    }

    /// Records of people about it.
    fn people(&self) -> impl Iterator<Item = &Transition> {
        self.records.iter().filter(|t| t.actor.is_some())
    }

    fn stands(&self) -> bool {
        let newest = self.newest.as_ref().unwrap_or(self.last());
        *newest.occurrence == *self.occurrence && !is_closed(newest)
    }

    /// Why it is as it is now, in one sentence.
    fn why(&self) -> String {
        let newest = self.newest.as_ref().unwrap_or(self.last());
        if *newest.occurrence != *self.occurrence {
            return format!("over: occurrence {} came after it", newest.occurrence);
        }
        let after = &newest.regions.after;
        let active = matches!(after.condition, Condition::Active | Condition::PendingOff);
        match (active, after.eval) {
            (false, _) if !after.open => {
                let by = match (newest.cause, &newest.actor) {
                    (Cause::Ack, Some(actor)) => format!(", acknowledged by {actor}"),
                    (Cause::Reset, Some(actor)) => format!(", reset by {actor}"),
                    _ => String::new(),
                };
                format!("over: closed at {}{by}", newest.recorded_at)
            }
            (false, _) => {
                let waits = match (after.latched, after.acked) {
                    (true, true) => "it is latched, and waits for a reset",
                    (true, false) => "it is latched, and waits for an acknowledgement and a reset",
                    (false, _) => "it waits for an acknowledgement",
                };
                let at = self
                    .returned()
                    .map_or(newest.recorded_at, |t| t.recorded_at);
                format!("returned at {at}; {waits}")
            }
            (true, Eval::Unknown) => {
                let blind = self
                    .records
                    .iter()
                    .rev()
                    .take_while(|t| is_unknown(t))
                    .last();
                let since = blind.unwrap_or(newest);
                format!(
                    "not returned: its input cannot be judged since {} ({}); absence never clears",
                    since.recorded_at, since.quality
                )
            }
            (true, Eval::Known) => self.why_active(newest),
        }
    }

    fn why_active(&self, newest: &Transition) -> String {
        let Some((value, quality, at)) = &self.sample else {
            return "not returned: no Good sample has stayed beyond exit for the off-delay"
                .to_owned();
        };
        let said = format!("{} at {at}", with_unit(value, newest));
        let good = Quality::from_code(*quality).is_some_and(Quality::is_good);
        let holds = holds(value, newest);
        match (good, holds) {
            (false, _) => format!("not returned: the newest sample, {said}, is not Good"),
            (true, Some(true)) => format!("not returned: it still holds, {said}"),
            (true, _) => format!(
                "not returned: the newest sample, {said}, has not been beyond exit (limit and \
                 deadband) for the whole off-delay"
            ),
        }
    }
}

fn is_active(t: &Transition) -> bool {
    matches!(
        t.regions.after.condition,
        Condition::Active | Condition::PendingOff
    )
}

fn is_over(t: &Transition) -> bool {
    !is_active(t)
}

fn is_closed(t: &Transition) -> bool {
    is_over(t) && !t.regions.after.open
}

fn is_unknown(t: &Transition) -> bool {
    t.regions.after.eval == Eval::Unknown
}

/// Whether a value is at or beyond the limit of the record.
fn holds(value: &Value, t: &Transition) -> Option<bool> {
    let (v, limit) = (value.number()?, t.limit?);
    match t.level {
        Level::H | Level::Hh | Level::Hhh => Some(v >= limit),
        Level::L | Level::Ll => Some(v <= limit),
        _ => None,
    }
}

/// Without the last digits of a conversion: the records below are exact in `--json`.
fn with_unit(value: &Value, t: &Transition) -> String {
    let said = match value {
        Value::F64(v) if v.abs() < 1e9 => ((v * 1e6).round() / 1e6).to_string(),
        other => other.to_string(),
    };
    match t.unit.is_empty() {
        true => said,
        false => format!("{said} {}", t.unit),
    }
}

/// As records spell it.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// `1.25s`, `-3s`.
#[allow(clippy::cast_precision_loss)] // shown to the millisecond
fn between(from: Timestamp, to: Timestamp) -> String {
    format!("{}s", (to.since(from) / 1_000_000) as f64 / 1000.0)
}

fn render(k: &Known) -> String {
    let mut out = String::new();
    let raised = k.raised();
    let mut line = |head: &str, text: &str| {
        let _ = writeln!(out, "{head:<13} {text}");
    };
    line("alarm", &raised.alarm);
    line("", &raised.text);
    let state = match k.stands() {
        true => "stands",
        false => "is over",
    };
    line(
        "occurrence",
        &format!(
            "{} {state}; priority {}",
            k.occurrence,
            raised.priority.get()
        ),
    );
    line("why", &why_raised(raised));
    line("now", &k.why());
    line("value", &with_unit(&raised.value, raised));
    line("quality", raised.quality.name());
    line("measured", &raised.source_time.to_string());
    line("recorded", &raised.recorded_at.to_string());
    if let Some(limit) = raised.limit {
        line("limit", &with_unit(&Value::F64(limit), raised));
    }
    if let Some(start) = raised.condition_start {
        line("condition", &format!("since {start}"));
        if let Some(at) = raised.annunciated_at {
            line(
                "annunciated",
                &format!("{at}, {} after it", between(start, at)),
            );
        }
    }
    line(
        "rule",
        &format!("{} ({}), rev {}", raised.rule, raised.kind, raised.rule_rev),
    );
    line("plan", &format!("rev {}", raised.plan_rev));
    line(
        "guidance",
        match raised.guidance.is_empty() {
            true => "none",
            false => &raised.guidance,
        },
    );
    let mut nobody = true;
    for t in k.people() {
        nobody = false;
        let actor = t.actor.as_deref().unwrap_or("");
        let after = raised.annunciated_at.unwrap_or(raised.recorded_at);
        let mut said = format!(
            "{} by {actor} at {}, {} after the alarm",
            word(&t.cause),
            t.recorded_at,
            between(after, t.recorded_at)
        );
        if let Some(reason) = &t.reason {
            let _ = write!(said, ": {reason}");
        }
        line("person", &said);
    }
    if nobody {
        line("person", "nobody has acknowledged it");
    }
    line("delivered", &delivered(k));
    let _ = writeln!(out, "\nrecords of {}", raised.owner);
    for t in &k.records {
        let mut said = format!(
            "{:>6}  {:<30}  {}>{} {}",
            t.seq,
            t.recorded_at.to_string(),
            word(&t.from),
            word(&t.to),
            word(&t.cause),
        );
        let _ = write!(said, "  {} {}", with_unit(&t.value, t), t.quality.name());
        for flag in &t.flags {
            let _ = write!(said, " {}", word(flag));
        }
        if is_unknown(t) {
            said.push_str(" unknown");
        }
        let _ = writeln!(out, "{said}");
    }
    out
}

/// What brought it about.
fn why_raised(t: &Transition) -> String {
    if t.flags.contains(&Flag::Assumed) {
        return "its input went blind during the on-delay: that it went on was assumed".to_owned();
    }
    if t.annunciated_at.is_none() && t.from == Label::Normal {
        return "it was not annunciated: something worse stood for it, or it was held back"
            .to_owned();
    }
    match (holds(&t.value, t), t.limit) {
        (Some(true), Some(limit)) => {
            let sign = match t.level {
                Level::L | Level::Ll => "≤",
                _ => "≥",
            };
            format!(
                "{} {sign} {} {}",
                with_unit(&t.value, t),
                t.level,
                with_unit(&Value::F64(limit), t)
            )
        }
        _ => format!("the condition of {} {} held", t.rule, t.level),
    }
}

fn delivered(k: &Known) -> String {
    let (first, last) = (k.records[0].seq, k.last().seq);
    let loose = k
        .records
        .iter()
        .filter(|t| t.flags.contains(&Flag::Unjournalled))
        .count();
    let mut said = match k.told {
        Told::Centre => format!("the centre holds records {first} to {last}"),
        Told::UpTo(seq) if seq >= last => format!("the centre has confirmed all, up to {seq}"),
        Told::UpTo(seq) if seq < first => {
            format!(
                "nothing yet: the centre has confirmed up to {seq}, these are {first} to {last}"
            )
        }
        Told::UpTo(seq) => format!("in part: the centre has confirmed up to {seq} of {last}"),
    };
    if loose > 0 {
        let _ = write!(said, "; {loose} of them before the disk had it");
    }
    said
}

fn to_json(k: &Known) -> serde_json::Value {
    let raised = k.raised();
    let people: Vec<serde_json::Value> = k
        .people()
        .map(|t| {
            json!({ "verb": t.cause, "actor": t.actor, "reason": t.reason, "at": t.recorded_at })
        })
        .collect();
    json!({
        "v": 1,
        "occurrence": k.occurrence,
        "alarm": raised.alarm,
        "owner": raised.owner,
        "standing": k.stands(),
        "why": why_raised(raised),
        "now": k.why(),
        "value": raised.value,
        "quality": raised.quality,
        "limit": raised.limit,
        "unit": raised.unit,
        "source_time": raised.source_time,
        "recorded_at": raised.recorded_at,
        "condition_start": raised.condition_start,
        "annunciated_at": raised.annunciated_at,
        "rule_rev": raised.rule_rev,
        "plan_rev": raised.plan_rev,
        "guidance": raised.guidance,
        "people": people,
        "delivered": delivered(k),
        "records": k.records,
    })
}

#[cfg(test)]
mod tests;
