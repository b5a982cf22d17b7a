//! A `*.test.toml` file: text to checked tests, every fault at once.
//!
//! Lives here: the grammar. May not live here: engines, verdicts (see `run`). Read first:
//! `series` for the notation of values, `line` for that of expectations.

use std::path::Path;

use davy_points::{Binding, Diagnostic, Life, PointDef, PointTable, PollClass, Scaling, Span};
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::line;
use super::series::{self, Series};
use crate::alarm::Verb;
use crate::grammar::{Faults, Keys, duration, nearest, ns, wrong_type};

/// Readings that one test may have.
const MOST: usize = 1_000_000;

/// No test lasts longer, ns.
const LONGEST: i64 = 3650 * 86_400 * 1_000_000_000;

/// One `[[test]]`.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) series: Vec<(String, Series)>,
    /// The point table of this test, where it or its file changes points.
    pub(crate) table: Option<PointTable>,
    pub(crate) steps: Vec<Step>,
    pub(crate) expect: Vec<Expected>,
    pub(crate) end: i64,
}

/// An expected line.
#[derive(Debug)]
pub(crate) struct Expected {
    /// With one space between words, and its time in seconds.
    pub(crate) line: String,
    /// Rule, where it names one.
    pub(crate) alarm: String,
    pub(crate) span: Span,
}

/// Something that happens.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) at: i64,
    pub(crate) span: Span,
    pub(crate) what: What,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum What {
    /// A person wants something.
    Command(Wanted),
    /// A source comes or goes.
    Source { id: String, up: bool },
    /// The process stops (or is killed) and is away so long.
    Restart { away: i64, kill: bool },
    /// A rule file is edited, or replaced by a text.
    Reload { file: String, edit: Edit },
    /// The wall clock is set, ns.
    ClockStep(i64),
    /// Nothing; time has passed.
    Tick,
}

/// How a rule file changes.
#[derive(Debug)]
pub(crate) enum Edit {
    Replace { old: String, new: String },
    Text(String),
}

/// A command as the file gives it.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) verb: Verb,
    pub(crate) alarm: String,
    /// Deadline, from the step on.
    pub(crate) length: Option<i64>,
    /// The other fields of the record, by their names on the wire.
    pub(crate) fields: Vec<(&'static str, serde_json::Value)>,
}

/// Verbs of a step, as keys. `bypass` and `restore` name points, the others an alarm.
const VERBS: [&str; 13] = [
    "ack",
    "un_ack",
    "confirm",
    "reset",
    "silence",
    "shelve",
    "unshelve",
    "out_of_service",
    "in_service",
    "suppress",
    "unsuppress",
    "bypass",
    "restore",
];

/// Reads a file. What has a fault is left out; the faults say so.
pub(crate) fn read(
    file: &Path,
    source: &str,
    table: &PointTable,
    all: &mut Vec<Diagnostic>,
) -> Vec<Test> {
    let mut f = Faults { file, source, all };
    let (document, errors) = DeTable::parse_recoverable(source);
    for e in &errors {
        f.add(
            "E300",
            e.span().unwrap_or(0..0),
            format!("not TOML: {}", e.message().trim()),
            "`[[test]]` before each test, then `key = value`",
        );
    }
    if !errors.is_empty() {
        return Vec::new();
    }
    let mut keys = Keys::new(document.get_ref(), 0..0);
    match keys.number("schema", &mut f) {
        Some((1.0, _)) => {}
        Some((n, span)) => {
            let said = format!("schema {n} is not one that this version reads");
            f.add("E303", span, said, "schema = 1");
        }
        None if keys.raw("schema").is_none() => {
            let first = 0..source.lines().next().map_or(0, str::len);
            f.add(
                "E303",
                first,
                "`schema` is missing",
                "begin the file with schema = 1",
            );
        }
        None => {}
    }
    let shared = points(&mut keys, table, &mut f);
    let mut tests = Vec::new();
    if let Some(v) = keys.raw("test") {
        match v.get_ref().as_array() {
            Some(items) => {
                for item in items {
                    let Some(t) = item.get_ref().as_table() else {
                        wrong_type(&mut f, "test", item, "a table: [[test]]");
                        continue;
                    };
                    let keys = Keys::new(t, item.span());
                    tests.extend(test(keys, table, shared.as_ref(), &mut f));
                }
            }
            None => wrong_type(&mut f, "test", v, "an array of tables: [[test]]"),
        }
    }
    keys.finish(&mut f);
    tests
}

fn test(
    mut keys: Keys<'_, '_>,
    site: &PointTable,
    shared: Option<&PointTable>,
    f: &mut Faults<'_>,
) -> Option<Test> {
    let before = f.all.len();
    let own = points(&mut keys, shared.unwrap_or(site), f);
    let table = own.or_else(|| shared.cloned());
    let name = match keys.text("name", f) {
        Some((name, span)) => Some((name.to_owned(), span)),
        None => {
            if keys.raw("name").is_none() {
                let head = first_line(f, &keys.span);
                f.add(
                    "E302",
                    head,
                    "`name` is missing",
                    "say in one sentence what the plant does and what must follow",
                );
            }
            None
        }
    };
    let interval = match keys.duration_ns("interval", f) {
        Some((0, span)) => {
            f.add(
                "E310",
                span,
                "`interval` is zero",
                "give the time from one value to the next",
            );
            1_000_000_000
        }
        Some((n, _)) => n,
        None => 1_000_000_000,
    };
    let until = keys.duration_ns("until", f).map(|u| u.0);
    let series = all_series(&mut keys, interval, table.as_ref().unwrap_or(site), f);
    let steps = steps(&mut keys, table.as_ref().unwrap_or(site), f);
    let expect = expectations(&mut keys, f);
    let span = keys.span.clone();
    keys.finish(f);
    let last = series.iter().map(|(_, s)| s.end).max().unwrap_or(0);
    let last = last.max(steps.last().map_or(0, |s| s.at + away(&s.what)));
    if f.all.len() > before {
        return None;
    }
    let (name, _) = name?;
    Some(Test {
        name,
        span,
        series,
        table,
        steps,
        expect,
        end: until.unwrap_or(0).max(last),
    })
}

fn away(what: &What) -> i64 {
    match what {
        What::Restart { away, .. } => *away,
        _ => 0,
    }
}

fn all_series(
    keys: &mut Keys<'_, '_>,
    interval: i64,
    table: &PointTable,
    f: &mut Faults<'_>,
) -> Vec<(String, Series)> {
    let like = "{ \"LT-101\" = \"80+1x6\" }";
    let Some(v) = keys.raw("series") else {
        let head = first_line(f, &keys.span);
        f.add(
            "E302",
            head,
            "`series` is missing",
            format!("give `series = {like}`"),
        );
        return Vec::new();
    };
    let Some(t) = v.get_ref().as_table() else {
        wrong_type(f, "series", v, &format!("a table, like `series = {like}`"));
        return Vec::new();
    };
    let mut out: Vec<(String, Series)> = Vec::new();
    let mut sum = 0;
    for (tag, v) in t {
        let name: &str = tag.get_ref();
        let Some(p) = table.find(name) else {
            no_point(name, tag.span(), table, f);
            continue;
        };
        let Some(text) = v.get_ref().as_str() else {
            wrong_type(f, name, v, "a text in quotes: \"80+1x6\"");
            continue;
        };
        let stale = ns(table.point(p).stale_after);
        if stale > 0 && interval > stale {
            f.add(
                "E350",
                v.span(),
                format!(
                    "values every {}, and {name} is stale after {}: it would be between any two",
                    line::seconds(interval),
                    line::seconds(stale)
                ),
                format!(
                    "interval = \"{}ms\", as it is read",
                    table.point(p).expected_interval.as_millis()
                ),
            );
            continue;
        }
        match series::parse(text, interval, stale) {
            Ok(s) if s.end > LONGEST => {
                f.add(
                    "E350",
                    v.span(),
                    format!("the series of {name} lasts longer than ten years"),
                    "fewer gaps, or a shorter `interval`",
                );
            }
            Ok(s) => {
                sum += s.readings.len();
                out.push((name.to_owned(), s));
            }
            Err(faults) => {
                for fault in faults {
                    let at = within(f, v, text, fault.span);
                    f.add("E350", at, fault.message, fault.hint);
                }
            }
        }
    }
    if sum > MOST {
        f.add(
            "E350",
            v.span(),
            format!("{sum} readings in one test"),
            format!("at most {MOST}"),
        );
    }
    out
}

/// Where a part of a text stands in the file; the whole value, where it is not written as it reads.
fn within(f: &Faults<'_>, v: &Spanned<DeValue<'_>>, text: &str, part: Span) -> Span {
    let place = v.span();
    let written = f.source.get(place.clone()).unwrap_or("");
    match written.find(text) {
        Some(at) if !text.is_empty() => place.start + at + part.start..place.start + at + part.end,
        _ => place,
    }
}

fn no_point(name: &str, span: Span, table: &PointTable, f: &mut Faults<'_>) {
    let all: Vec<&str> = table.iter().map(|(_, p)| &*p.tag).collect();
    let hint = match nearest(name, &all) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "add it to the point table, or to `points` of the test".to_owned(),
    };
    f.add("E351", span, format!("there is no point \"{name}\""), hint);
}

fn steps(keys: &mut Keys<'_, '_>, table: &PointTable, f: &mut Faults<'_>) -> Vec<Step> {
    let like = "a list of tables: [{ at = \"4s\", ack = \"RULE/TAG/LEVEL\" }]";
    let Some(v) = keys.raw("steps") else {
        return Vec::new();
    };
    let DeValue::Array(items) = v.get_ref() else {
        wrong_type(f, "steps", v, like);
        return Vec::new();
    };
    let mut out: Vec<Step> = Vec::new();
    for item in items {
        match item.get_ref().as_table() {
            Some(t) => out.extend(step(Keys::new(t, item.span()), table, f)),
            None => wrong_type(f, "steps", item, like),
        }
    }
    // Steps of one instant stay in the order of the file.
    out.sort_by_key(|s| s.at);
    let mut back_at = i64::MIN;
    for s in &out {
        if s.at < back_at {
            f.add(
                "E353",
                s.span.clone(),
                "the process is away then: nobody hears this",
                format!("it comes back at {}", line::seconds(back_at)),
            );
        }
        back_at = back_at.max(s.at.saturating_add(away(&s.what)));
    }
    out
}

fn step(mut keys: Keys<'_, '_>, table: &PointTable, f: &mut Faults<'_>) -> Option<Step> {
    let before = f.all.len();
    let at = keys.duration_ns("at", f);
    if at.is_none() && keys.raw("at").is_none() {
        f.add(
            "E302",
            keys.span.clone(),
            "`at` is missing",
            "say when: at = \"4s\"",
        );
    }
    let mut given: Vec<(&'static str, What)> = Vec::new();
    for verb in VERBS {
        if let Some(wanted) = command(verb, &mut keys, table, f) {
            given.push((verb, What::Command(wanted)));
        }
    }
    for (key, up) in [("down", false), ("up", true)] {
        let Some((id, span)) = keys.text(key, f) else {
            continue;
        };
        let ids: Vec<&str> = table.sources().map(|(_, s)| &*s.id).collect();
        if !ids.contains(&id) {
            f.add(
                "E353",
                span,
                format!("there is no source \"{id}\""),
                format!("one of: {}", ids.join(", ")),
            );
        }
        given.push((
            key,
            What::Source {
                id: id.to_owned(),
                up,
            },
        ));
    }
    for (key, kill) in [("restart", false), ("kill", true)] {
        if let Some((away, _)) = keys.duration_ns(key, f) {
            given.push((key, What::Restart { away, kill }));
        }
    }
    if let Some((by, span)) = keys.text("clock_step", f) {
        match signed(by) {
            Ok(by) => given.push(("clock_step", What::ClockStep(by))),
            Err(why) => {
                f.add(
                    "E310",
                    span,
                    format!("`clock_step` is no time: \"{by}\" {why}"),
                    "\"-1h\" sets the clock back by an hour, \"1h\" forward",
                );
            }
        }
    }
    if let Some((file, _)) = keys.text("reload", f) {
        let old = keys.text("replace", f).map(|t| t.0.to_owned());
        let new = keys.text("by", f).map(|t| t.0.to_owned());
        let text = keys.text("text", f).map(|t| t.0.to_owned());
        let edit = match (old, new, text) {
            (Some(old), Some(new), None) => Some(Edit::Replace { old, new }),
            (None, None, Some(text)) => Some(Edit::Text(text)),
            _ => None,
        };
        match edit {
            Some(edit) => given.push((
                "reload",
                What::Reload {
                    file: file.to_owned(),
                    edit,
                },
            )),
            None => {
                f.add(
                    "E353",
                    keys.span.clone(),
                    "how does the rule file change?",
                    "`reload = \"tank.toml\", replace = \"limit = 85\", by = \"limit = 90\"`, or the \
                     whole of it in `text`",
                );
            }
        }
    }
    if keys.truth("tick", f) == Some(true) {
        given.push(("tick", What::Tick));
    }
    let span = keys.span.clone();
    keys.finish(f);
    if given.len() != 1 && f.all.len() == before {
        let said = match given.len() {
            0 => "the step does nothing".to_owned(),
            n => format!("{n} things in one step"),
        };
        f.add(
            "E353",
            span.clone(),
            said,
            "one thing a step: ack, shelve, restart, kill, reload, clock_step, down, up, …",
        );
    }
    if f.all.len() > before {
        return None;
    }
    Some(Step {
        at: at?.0,
        span,
        what: given.pop()?.1,
    })
}

fn command(
    verb: &'static str,
    keys: &mut Keys<'_, '_>,
    table: &PointTable,
    f: &mut Faults<'_>,
) -> Option<Wanted> {
    let points = matches!(verb, "bypass" | "restore");
    let mut fields: Vec<(&'static str, serde_json::Value)> = Vec::new();
    let (alarm, span) = if points {
        let span = keys.raw(verb)?.span();
        let tags = tags(keys, verb, table, f)?;
        fields.push(("points", serde_json::json!(tags)));
        (tags.join(","), span)
    } else {
        let (alarm, span) = keys.text(verb, f)?;
        (alarm.to_owned(), span)
    };
    let Some(known) = line::named::<Verb>(verb) else {
        f.add(
            "E353",
            span,
            format!("this version of davy knows no command `{verb}`"),
            "take the step away",
        );
        return None;
    };
    if !points && alarm.split('/').filter(|p| !p.is_empty()).count() < 3 {
        f.add(
            "E352",
            span,
            format!("\"{alarm}\" is no alarm"),
            "an alarm is `rule/tag/level`: \"tank-level/LT-101/h\"",
        );
    }
    let length = keys.duration_ns("for", f).map(|d| d.0);
    for field in [
        "actor", "role", "reason", "permit", "second", "verdict", "cause",
    ] {
        if let Some((text, _)) = keys.text(field, f) {
            fields.push((field, serde_json::json!(text)));
        }
    }
    if let Some(one) = keys.truth("one_shot", f) {
        fields.push(("one_shot", serde_json::json!(one)));
    }
    Some(Wanted {
        verb: known,
        alarm,
        length,
        fields,
    })
}

fn tags(
    keys: &mut Keys<'_, '_>,
    key: &'static str,
    table: &PointTable,
    f: &mut Faults<'_>,
) -> Option<Vec<String>> {
    let v = keys.raw(key)?;
    let DeValue::Array(items) = v.get_ref() else {
        wrong_type(f, key, v, "a list of tags: [\"LT-101\"]");
        return None;
    };
    let mut out = Vec::new();
    for item in items {
        match item.get_ref().as_str() {
            Some(many) if many.starts_with("area:") || many.starts_with("device:") => {
                out.push(many.to_owned());
            }
            Some(tag) if table.find(tag).is_some() => out.push(tag.to_owned()),
            Some(tag) => no_point(tag, item.span(), table, f),
            None => wrong_type(f, key, item, "a tag in quotes"),
        }
    }
    Some(out)
}

fn signed(text: &str) -> Result<i64, &'static str> {
    match text.strip_prefix('-') {
        Some(back) => duration(back).map(|d| -ns(d)),
        None => duration(text.strip_prefix('+').unwrap_or(text)).map(ns),
    }
}

/// The whole transition list: a list of texts, or one text with a line each.
fn expectations(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Vec<Expected> {
    let Some(v) = keys.raw("expect") else {
        let head = first_line(f, &keys.span);
        f.add(
            "E302",
            head,
            "`expect` is missing",
            "give the whole transition list; `expect = []` where nothing may happen",
        );
        return Vec::new();
    };
    let mut out = Vec::new();
    match v.get_ref() {
        DeValue::Array(items) => {
            for item in items {
                match item.get_ref().as_str() {
                    Some(text) => out.extend(expectation(text, item.span(), f)),
                    None => wrong_type(f, "expect", item, "a text in quotes"),
                }
            }
        }
        DeValue::String(text) => {
            for line in text.lines() {
                let written = line.trim();
                if written.is_empty() || written.starts_with('#') {
                    continue;
                }
                let from = written.as_ptr() as usize - text.as_ptr() as usize;
                let at = within(f, v, text, from..from + written.len());
                out.extend(expectation(written, at, f));
            }
        }
        _ => wrong_type(f, "expect", v, "a list of texts"),
    }
    out
}

fn expectation(text: &str, span: Span, f: &mut Faults<'_>) -> Option<Expected> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (time, rest) = words.split_first().unwrap_or((&"", &[]));
    let at = match duration(time) {
        Ok(at) => ns(at),
        Err(why) => {
            f.add(
                "E352",
                span,
                format!("the line begins with its time, and \"{time}\" {why}"),
                "`5s tank-level/LT-101/h NORMAL>UNACK condition`",
            );
            return None;
        }
    };
    if let Some((word, hint)) = line::misspelt(rest) {
        let said = match word {
            "" => "the line says nothing but its time".to_owned(),
            _ => format!("\"{word}\" cannot stand here"),
        };
        f.add("E352", span, said, hint);
        return None;
    }
    let alarm = if rest.get(2) == Some(&"rejected") {
        rest.get(1)
    } else {
        rest.first()
    };
    Some(Expected {
        line: format!("{} {}", line::seconds(at), rest.join(" ")),
        alarm: alarm.map_or_else(String::new, |a| (*a).to_owned()),
        span,
    })
}

fn first_line(f: &Faults<'_>, span: &Span) -> Span {
    let rest = f.source.get(span.start..).unwrap_or("");
    span.start..span.start + rest.lines().next().map_or(0, str::len)
}

/// `points`: cells of the point table that are otherwise here, or points that it does not have.
fn points(keys: &mut Keys<'_, '_>, table: &PointTable, f: &mut Faults<'_>) -> Option<PointTable> {
    let v = keys.raw("points")?;
    let Some(t) = v.get_ref().as_table() else {
        wrong_type(
            f,
            "points",
            v,
            "a table: points = { \"LT-101\" = { H = 85 } }",
        );
        return None;
    };
    let mut defs: Vec<PointDef> = table.iter().map(|(_, p)| p.clone()).collect();
    let mut out = PointTable::new();
    for (_, s) in table.sources() {
        out.add_source(s.clone());
    }
    // A site has a source; a pack's test has none but this.
    let first = out.sources().next().map(|(ix, _)| ix);
    let source = match first {
        Some(ix) => ix,
        None => out.add_source(davy_points::SourceDef {
            id: "test".into(),
            gateway: "test".into(),
            recorded: false,
        }),
    };
    for (tag, v) in t {
        let name: &str = tag.get_ref();
        let Some(cells) = v.get_ref().as_table() else {
            wrong_type(f, name, v, "a table: { H = 85 }");
            continue;
        };
        let keys = Keys::new(cells, v.span());
        match defs.iter_mut().find(|p| &*p.tag == name) {
            Some(there) => cells_of(there, keys, f),
            None => {
                let mut p = new_point(name, source);
                cells_of(&mut p, keys, f);
                defs.push(p);
            }
        }
    }
    for p in defs {
        // Tags are those of a table, or keys of one.
        let _ = out.add(p);
    }
    Some(out)
}

fn new_point(tag: &str, source: davy_points::SourceIx) -> PointDef {
    PointDef {
        tag: tag.into(),
        description: "".into(),
        hazard: "".into(),
        area: "".into(),
        class: "".into(),
        unit: "".into(),
        low: None,
        high: None,
        source,
        binding: Binding::Internal,
        scaling: Scaling::default(),
        poll: PollClass::Normal,
        expected_interval: std::time::Duration::from_secs(1),
        stale_after: std::time::Duration::from_secs(3),
        report_deadband: None,
        limits: davy_points::Limits::default(),
        deadband: 0.0,
        on_delay: std::time::Duration::ZERO,
        off_delay: std::time::Duration::ZERO,
        priority: None,
        sentinels: Box::default(),
        life: Life::InService,
        calibration_due: None,
        note: "".into(),
        span: 0..0,
    }
}

fn cells_of(p: &mut PointDef, mut k: Keys<'_, '_>, f: &mut Faults<'_>) {
    let time = |ns: i64| std::time::Duration::from_nanos(ns.max(0).unsigned_abs());
    if let Some((t, _)) = k.text("description", f) {
        p.description = t.into();
    }
    for (key, cell) in [
        ("hazard", &mut p.hazard),
        ("area", &mut p.area),
        ("class", &mut p.class),
        ("unit", &mut p.unit),
    ] {
        if let Some((t, _)) = k.text(key, f) {
            *cell = t.into();
        }
    }
    for (key, cell) in [
        ("low", &mut p.low),
        ("high", &mut p.high),
        ("LL", &mut p.limits.ll),
        ("L", &mut p.limits.l),
        ("H", &mut p.limits.h),
        ("HH", &mut p.limits.hh),
    ] {
        if let Some((n, _)) = k.number(key, f) {
            *cell = Some(n);
        }
    }
    if let Some((n, _)) = k.amount("deadband", f) {
        p.deadband = n;
    }
    if let Some((t, _)) = k.duration_ns("poll", f) {
        p.expected_interval = time(t);
        p.stale_after = time(t.saturating_mul(3));
    }
    for (key, cell) in [
        ("on_delay", &mut p.on_delay),
        ("off_delay", &mut p.off_delay),
        ("stale_after", &mut p.stale_after),
    ] {
        if let Some((t, _)) = k.duration_ns(key, f) {
            *cell = time(t);
        }
    }
    if let Some(n) = k.priority("priority", f) {
        p.priority = Some(n);
    }
    let lives = [
        ("planned", Life::Planned),
        ("commissioning", Life::Commissioning),
        ("in_service", Life::InService),
    ];
    if let Some(life) = k.word("life", &lives, f) {
        p.life = life;
    }
    k.finish(f);
}
