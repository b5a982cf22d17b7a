//! Runs the tests of a site: its own engine, its own rules, a plant made of series.
//!
//! Lives here: how a test becomes inputs of the engine, and what came out. May not live here: the
//! grammar (`testfile`), rendering (`cli`). Read first: [`Suite::run`].
//!
//! One engine judges the points that the test has a series for, with all rules of the site. A point
//! without a series is nobody's: it is never stale, and what reads it knows nothing of it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use davy_points::{
    Binding, Diagnostic, ModbusType, Mono, NoData, PointDef, PointIx, PointTable, Quality, Sample,
    Severity, SourceDef, SourceEvent, Span, Timestamp, Value,
};

use super::coverage::{Coverage, Seen, Watch, given};
use super::line::{self, line, rejected, seconds};
use super::series::{Given, Reading};
use super::testfile::{self, Edit, Step, Test, Wanted, What};
use super::timeline::{Row, align};
use crate::alarm::{Command, CommandResult, Outcome, Rejection, Transition, VERSION, Verb};
use crate::engine::{Engine, EngineImage, Envelope, Identity, Input, Output, Reload, Restored};
use crate::language::compile_signed;
use crate::ruleset::{Approval, RuleSet};

/// Wall time of second 0: noon UTC, an ordinary day.
const ZERO: i64 = 1_767_700_800_000_000_000;

/// The gateway of a test.
const OWNER: &str = "test";

const PLAN_REV: &str = "0000000000000000";

/// How old the image may be that a killed process falls back to (section 2, restart).
const IMAGE_AGE: i64 = 1_000_000_000;

/// What is tested: the texts of a configuration directory.
#[derive(Debug, Clone, Copy)]
pub struct Suite<'a> {
    /// Rule files.
    pub rules: &'a [(PathBuf, String)],
    /// `*.test.toml` files.
    pub tests: &'a [(PathBuf, String)],
    /// Points of the site.
    pub points: &'a PointTable,
    /// Names of guidance pages, without `.md`.
    pub guidance: &'a [String],
    /// The key that overrides of caps are signed with.
    pub approval: &'a Approval,
}

/// What the tests showed.
#[derive(Debug, Default)]
pub struct Report {
    /// Faults of the test files, and of rules that a test alone brings. A test that has one did
    /// not run.
    pub faults: Vec<Diagnostic>,
    /// One for each test that ran.
    pub verdicts: Vec<Verdict>,
    /// One row for each (rule, level) of the site's files.
    pub coverage: Vec<Coverage>,
}

/// What one test showed.
#[derive(Debug)]
pub struct Verdict {
    /// Its file.
    pub file: PathBuf,
    /// Where it stands.
    pub span: Span,
    /// Its name.
    pub name: String,
    /// Expected and actual lists are the same.
    pub passed: bool,
    /// Tags of its series, in order: the columns of `rows`.
    pub tags: Vec<String>,
    /// The time line; empty where it passed.
    pub rows: Vec<Row>,
    /// Rules that a differing line names, each with its place.
    pub rules: Vec<(String, PathBuf, Span)>,
    /// What was expected.
    pub expected: Vec<String>,
    /// What happened.
    pub actual: Vec<String>,
}

impl Suite<'_> {
    /// Runs every test.
    #[must_use]
    pub fn run(&self) -> Report {
        let mut report = Report::default();
        let mut seen = Seen::default();
        let site = apart(self.points, &BTreeSet::new());
        let mut rules: Option<Option<Arc<RuleSet>>> = None;
        for (file, text) in self.tests {
            let tests = testfile::read(file, text, self.points, &mut report.faults);
            for test in &tests {
                let of_test = match &test.table {
                    // Points that only the test has: rules are read against them.
                    Some(table) => {
                        let apart = apart(table, &BTreeSet::new());
                        self.compile(self.rules, &apart, &mut report.faults)
                    }
                    None => rules
                        .get_or_insert_with(|| self.compile(self.rules, &site, &mut report.faults))
                        .clone(),
                };
                let Some(of_test) = of_test else { continue };
                seen.expect(&of_test);
                if let Some(verdict) = self.judge(file, test, &of_test, &mut seen, &mut report) {
                    report.verdicts.push(verdict);
                }
            }
        }
        // Rules that no test has come near have rows too.
        let whole = rules.unwrap_or_else(|| self.compile(self.rules, &site, &mut Vec::new()));
        if let Some(whole) = whole {
            seen.expect(&whole);
        }
        report.coverage = seen.into_rows();
        report
    }

    fn compile(
        &self,
        files: &[(PathBuf, String)],
        table: &PointTable,
        faults: &mut Vec<Diagnostic>,
    ) -> Option<Arc<RuleSet>> {
        let (rules, found) = compile_signed(files, table, self.guidance, self.approval);
        for d in found {
            // Warnings about rules are `davy check`'s to tell.
            if d.severity == Severity::Error && !faults.contains(&d) {
                faults.push(d);
            }
        }
        rules.map(Arc::new)
    }

    fn judge(
        &self,
        file: &std::path::Path,
        test: &Test,
        rules: &Arc<RuleSet>,
        seen: &mut Seen,
        report: &mut Report,
    ) -> Option<Verdict> {
        let tags: BTreeSet<&str> = test.series.iter().map(|(tag, _)| tag.as_str()).collect();
        let base = test.table.as_ref().unwrap_or(self.points);
        let table = Arc::new(apart(base, &tags));
        self.names_alarms(file, test, rules, &table, report)?;
        let run = Run::new(rules.clone(), table, self.guidance, self.approval);
        let (actual, reloads) = match run.play(test, self.rules, seen) {
            Ok(done) => done,
            Err((span, message)) => {
                report.faults.push(Diagnostic::error(
                    "E354",
                    file,
                    span,
                    message,
                    "correct `reload`: the text after it must be a rule file without a fault",
                ));
                return None;
            }
        };
        let expected: Vec<String> = test.expect.iter().map(|e| e.line.clone()).collect();
        let passed = expected == actual;
        let mut verdict = Verdict {
            file: file.to_owned(),
            span: test.span.clone(),
            name: test.name.clone(),
            passed,
            tags: test.series.iter().map(|(tag, _)| tag.clone()).collect(),
            rows: Vec::new(),
            rules: Vec::new(),
            expected,
            actual,
        };
        if !passed {
            let steps: Vec<(i64, String)> = test.steps.iter().map(|s| (s.at, told(s))).collect();
            verdict.rows = align(&verdict.expected, &verdict.actual, &steps, |at| {
                test.series
                    .iter()
                    .map(|(_, s)| value_at(&s.readings, at))
                    .collect()
            });
            verdict.rules = places(&verdict, rules, &reloads);
        }
        Some(verdict)
    }

    /// Alarms that a test names must be there: a misspelt one would only never come.
    fn names_alarms(
        &self,
        file: &std::path::Path,
        test: &Test,
        rules: &RuleSet,
        table: &PointTable,
        report: &mut Report,
    ) -> Option<()> {
        let edited = |s: &Step| matches!(s.what, What::Reload { .. });
        if test.steps.iter().any(edited) {
            return Some(());
        }
        let before = report.faults.len();
        let named = test.expect.iter().map(|e| (&e.alarm, &e.span));
        let commanded = test.steps.iter().filter_map(|s| match &s.what {
            What::Command(w) => Some((&w.alarm, &s.span)),
            _ => None,
        });
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for (alarm, span) in named.chain(commanded) {
            // Parts of the process, and what a step names by points.
            if alarm.starts_with("system/")
                || alarm.starts_with("bypass/")
                || !alarm.contains('/')
                || !told.insert(alarm)
            {
                continue;
            }
            if rules.can_come(alarm, table) {
                continue;
            }
            let all: Vec<String> = rules
                .alarms()
                .map(|(_, def)| rules.name(def, table))
                .collect();
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let hint = match crate::grammar::nearest(alarm, &all) {
                Some(near) => format!("did you mean {near}?"),
                None => {
                    "an alarm is `rule/tag/level`; `table/TAG/LEVEL` for limits of the point table \
                         that no rule covers"
                        .to_owned()
                }
            };
            report.faults.push(Diagnostic::error(
                "E352",
                file,
                span.clone(),
                format!("there is no alarm {alarm}"),
                hint,
            ));
        }
        (report.faults.len() == before).then_some(())
    }
}

/// Where the rules stand that differing lines name.
fn places(v: &Verdict, rules: &RuleSet, reloads: &[Arc<RuleSet>]) -> Vec<(String, PathBuf, Span)> {
    let both = |l: &&String| v.expected.contains(l) && v.actual.contains(l);
    let mut out: Vec<(String, PathBuf, Span)> = Vec::new();
    for l in v.expected.iter().chain(&v.actual).filter(|l| !both(l)) {
        let Some(alarm) = l.split(' ').find(|w| w.contains('/')) else {
            continue;
        };
        let id = alarm.split('/').next().unwrap_or("");
        let sets = std::iter::once(rules).chain(reloads.iter().map(|r| &**r));
        let origin = sets
            .flat_map(RuleSet::rules)
            .find(|r| &*r.id == id)
            .and_then(|r| r.origin.clone());
        if let Some((file, span)) = origin
            && !out.iter().any(|(i, ..)| i == id)
        {
            out.push((id.to_owned(), file, span));
        }
    }
    out
}

/// A step as the time line tells it.
fn told(s: &Step) -> String {
    match &s.what {
        What::Command(w) => format!("{} {}", line::word(&w.verb), w.alarm),
        What::Source { id, up: true } => format!("source {id} up"),
        What::Source { id, up: false } => format!("source {id} down"),
        What::Restart { away, kill: false } => format!("restart, away {}", seconds(*away)),
        What::Restart { away, kill: true } => format!("kill, away {}", seconds(*away)),
        What::Reload { file, .. } => format!("reload {file}"),
        What::ClockStep(by) => format!("clock step {}", seconds(*by)),
        What::Tick => "tick".to_owned(),
    }
}

/// What a series gave at this instant; in parentheses, what it gave last.
fn value_at(readings: &[Reading], at: i64) -> String {
    let n = readings.partition_point(|r| r.at <= at);
    let Some(r) = n.checked_sub(1).map(|n| readings[n]) else {
        return String::new();
    };
    let word = match r.given {
        Given::Good(v) => short(v),
        Given::Uncertain(v) => format!("uncertain:{}", short(v)),
        Given::BadValue(v) => format!("bad:{}", short(v)),
        Given::Bad => "bad".to_owned(),
        Given::NotANumber => "nan".to_owned(),
    };
    if r.at == at {
        word
    } else {
        format!("({word})")
    }
}

/// As written, without the dust of sums like 0.1 + 0.2.
fn short(v: f64) -> String {
    format!("{}", (v * 1e9).round() / 1e9)
}

/// The same points on the same places; those with these tags are read by the test's gateway, all
/// others by nobody.
fn apart(table: &PointTable, tags: &BTreeSet<&str>) -> PointTable {
    let mut out = PointTable::new();
    for (_, s) in table.sources() {
        out.add_source(SourceDef {
            gateway: OWNER.into(),
            ..s.clone()
        });
    }
    let nobody = out.add_source(SourceDef {
        id: "untested".into(),
        gateway: "untested".into(),
        recorded: false,
    });
    for (_, p) in table.iter() {
        let mut p = p.clone();
        if !tags.contains(&*p.tag) && !tags.is_empty() {
            p.source = nobody;
        }
        // The tags of a table differ.
        let _ = out.add(p);
    }
    out
}

/// One engine, and what came out of it.
struct Run<'a> {
    rules: Arc<RuleSet>,
    table: Arc<PointTable>,
    guidance: &'a [String],
    approval: &'a Approval,
    engine: Engine,
    transitions: Vec<Transition>,
    actual: Vec<String>,
    /// What a kill falls back to.
    image: Option<EngineImage>,
    seq: u64,
    sample_seq: u64,
    commands: u64,
    /// Test time of the process's monotonic zero.
    origin: i64,
    /// Wall minus test time.
    wall: i64,
    last: i64,
    /// The command under way.
    asked: Option<(Verb, String)>,
}

/// Something that comes, at one instant: readings first, then steps, each in the order of the file.
enum Coming<'t> {
    Reading(PointIx, &'t Reading),
    /// What a killed process falls back to is taken.
    Image,
    Step(&'t Step),
}

type Done = (Vec<String>, Vec<Arc<RuleSet>>);

impl<'a> Run<'a> {
    fn new(
        rules: Arc<RuleSet>,
        table: Arc<PointTable>,
        guidance: &'a [String],
        approval: &'a Approval,
    ) -> Run<'a> {
        let engine = start(&rules, &table, Restored::default(), ZERO);
        Run {
            rules,
            table,
            guidance,
            approval,
            engine,
            transitions: Vec::new(),
            actual: Vec::new(),
            image: None,
            seq: 0,
            sample_seq: 0,
            commands: 0,
            origin: 0,
            wall: ZERO,
            last: 0,
            asked: None,
        }
    }

    fn play(
        mut self,
        test: &Test,
        files: &[(PathBuf, String)],
        seen: &mut Seen,
    ) -> Result<Done, (Span, String)> {
        let mut coming: Vec<(i64, u8, Coming<'_>)> = Vec::new();
        for (tag, series) in &test.series {
            let Some(p) = self.table.find(tag) else {
                continue;
            };
            let readings = series.readings.iter();
            coming.extend(readings.map(|r| (r.at, 0, Coming::Reading(p, r))));
        }
        for s in &test.steps {
            if let What::Restart { kill: true, .. } = s.what
                && s.at >= IMAGE_AGE
            {
                coming.push((s.at - IMAGE_AGE, 1, Coming::Image));
            }
            coming.push((s.at, 2, Coming::Step(s)));
        }
        coming.sort_by_key(|(at, order, _)| (*at, *order));
        let tags = || test.series.iter().map(|(tag, _)| tag);
        let mut watch = Watch::of(given(&self.table, tags()), &self.rules, seen);
        let mut files = files.to_vec();
        let mut reloads = Vec::new();
        let mut away_until = i64::MIN;
        self.drain();
        for (at, _, what) in &coming {
            match what {
                // Nobody is there to take it.
                Coming::Reading(..) if *at < away_until => continue,
                Coming::Reading(p, r) => {
                    self.pass(*at, &mut watch, seen);
                    let sample = self.sample(*p, r);
                    self.give(*at, Input::Sample(sample));
                }
                Coming::Image => {
                    self.pass(*at, &mut watch, seen);
                    self.image = Some(self.engine.image());
                }
                Coming::Step(s) => {
                    self.pass(*at, &mut watch, seen);
                    match &s.what {
                        What::Reload { file, edit } => {
                            files =
                                edited(&files, file, edit).map_err(|why| (s.span.clone(), why))?;
                            self.reload(*at, &files)
                                .map_err(|why| (s.span.clone(), why))?;
                            reloads.push(self.rules.clone());
                            watch = Watch::of(given(&self.table, tags()), &self.rules, seen);
                        }
                        What::Restart { away, kill } => {
                            if !kill {
                                self.image = Some(self.engine.image());
                            }
                            away_until = at + away;
                            self.restart(away_until);
                            watch = Watch::of(given(&self.table, tags()), &self.rules, seen);
                        }
                        other => self.step(*at, other),
                    }
                }
            }
            watch.look(&self.engine, seen);
        }
        self.pass(test.end.max(self.last), &mut watch, seen);
        Ok((self.actual, reloads))
    }

    /// Time passes: what is due by then happens (8.2: ticks change nothing).
    fn pass(&mut self, at: i64, watch: &mut Watch, seen: &mut Seen) {
        if at > self.last {
            self.give(at, Input::Tick);
            watch.look(&self.engine, seen);
        }
    }

    fn step(&mut self, at: i64, what: &What) {
        match what {
            What::Command(wanted) => self.command(at, wanted),
            What::Source { id, up } => {
                let found = self.table.sources().find(|(_, s)| *s.id == **id);
                if let Some((source, _)) = found {
                    let quality = Quality::BadCommunication;
                    let up = *up;
                    let event = SourceEvent {
                        source,
                        up,
                        quality,
                    };
                    self.give(at, Input::SourceStatus(event));
                }
            }
            What::ClockStep(by_ns) => {
                self.wall += by_ns;
                self.give(at, Input::ClockStep { by_ns: *by_ns });
            }
            What::Tick | What::Restart { .. } | What::Reload { .. } => {}
        }
    }

    /// The record that would come over the wire, field by field.
    fn command(&mut self, at: i64, wanted: &Wanted) {
        self.commands += 1;
        let mut record = serde_json::json!({
            "v": VERSION,
            "id": format!("c{}", self.commands),
            "verb": wanted.verb,
            "actor": "tester",
            "role": "operator",
            "reason": "test",
            "issued_at": self.wall + at,
        });
        let by_occurrence = matches!(
            wanted.verb,
            Verb::Ack | Verb::UnAck | Verb::Confirm | Verb::Reset | Verb::Silence
        );
        if by_occurrence {
            let latest = self
                .transitions
                .iter()
                .rev()
                .find(|t| *t.alarm == *wanted.alarm && !t.occurrence.is_empty());
            match latest {
                Some(t) => record["occurrence"] = serde_json::json!(&*t.occurrence),
                None => {
                    // There is nothing that a person could have named.
                    let why = Rejection::UnknownOccurrence;
                    self.actual
                        .push(rejected(at, wanted.verb, &wanted.alarm, why));
                    return;
                }
            }
        } else if wanted.alarm.contains('/') {
            record["alarm"] = serde_json::json!(wanted.alarm);
        }
        if let Some(length) = wanted.length {
            record["until"] = serde_json::json!((self.wall + at).saturating_add(length));
        }
        for (field, value) in &wanted.fields {
            record[*field] = value.clone();
        }
        self.asked = Some((wanted.verb, wanted.alarm.clone()));
        match serde_json::from_value::<Command>(record) {
            Ok(command) => self.give(at, Input::Command(Box::new(command))),
            // A gateway that cannot read a command says so too.
            Err(_) => {
                let why = Rejection::Malformed;
                self.actual
                    .push(rejected(at, wanted.verb, &wanted.alarm, why));
            }
        }
        self.asked = None;
    }

    fn sample(&mut self, point: PointIx, r: &Reading) -> Sample {
        self.sample_seq += 1;
        let now = self.wall + r.at;
        let (value, quality) = qualified(self.table.point(point), r.given);
        Sample {
            point,
            value,
            quality,
            source_time: Timestamp(now.saturating_add(r.measured - r.at)),
            offset_ns: 0,
            uncertainty_ns: 0,
            arrival_time: Timestamp(now),
            seq: self.sample_seq,
        }
    }

    fn give(&mut self, at: i64, input: Input) {
        self.seq += 1;
        let e = Envelope {
            seq: self.seq,
            mono: Mono((at - self.origin).max(0).unsigned_abs()),
            wall: Timestamp(self.wall + at),
            input,
        };
        self.engine.handle(&e);
        self.last = at;
        self.drain();
    }

    /// What the journal has comes back at `at`; the process was last alive at the step before.
    fn restart(&mut self, at: i64) {
        let after = self.image.as_ref().map_or(0, |i| i.seq);
        let restored = Restored {
            image: self.image.clone(),
            transitions: self
                .transitions
                .iter()
                .filter(|t| t.seq > after)
                .cloned()
                .collect(),
            stopped_at: Some(Timestamp(self.wall + self.last)),
            wall_doubtful: false,
        };
        self.origin = at;
        self.last = at;
        self.engine = start(&self.rules, &self.table, restored, self.wall + at);
        self.drain();
    }

    /// Other rules from here on, as a gateway takes them while it runs.
    fn reload(&mut self, at: i64, files: &[(PathBuf, String)]) -> Result<(), String> {
        let (table, rev) = (self.table.clone(), PLAN_REV.into());
        let (reload, found) = Reload::compile(files, self.guidance, table, rev, self.approval);
        let Some(reload) = reload else {
            let first = found
                .iter()
                .find(|d| d.severity == Severity::Error)
                .map_or(String::new(), |d| {
                    format!("{}: {}: {}", d.file.display(), d.code, d.message)
                });
            return Err(format!("the rules do not compile after it: {first}"));
        };
        self.rules = reload.rules().clone();
        self.give(at, Input::Reload(Box::new(reload)));
        Ok(())
    }

    fn drain(&mut self) {
        while let Some(out) = self.engine.poll() {
            match out {
                Output::Transition(t) => {
                    self.actual.push(line(&t, self.wall));
                    self.transitions.push(*t);
                }
                Output::Result(CommandResult {
                    outcome: Outcome::Rejected,
                    why: Some(why),
                    ..
                }) => {
                    if let Some((verb, alarm)) = &self.asked {
                        self.actual.push(rejected(self.last, *verb, alarm, why));
                    }
                }
                _ => {}
            }
        }
    }
}

fn start(rules: &Arc<RuleSet>, table: &Arc<PointTable>, restored: Restored, wall: i64) -> Engine {
    let identity = Identity {
        site: "test".into(),
        owner: OWNER.into(),
        plan_rev: PLAN_REV.into(),
    };
    let (rules, table) = (rules.clone(), table.clone());
    Engine::start(identity, rules, table, restored, Mono(0), Timestamp(wall))
}

/// As a gateway would say it: beyond the range a value is clamped and Uncertain (3.2).
fn qualified(point: &PointDef, given: Given) -> (Value, Quality) {
    let clamp = |v: f64| {
        let low = point.low.map_or(v, |low| v.max(low));
        point.high.map_or(low, |high| low.min(high))
    };
    let value = |v: f64| match &point.binding {
        Binding::Modbus(m) if matches!(m.kind, ModbusType::Bool | ModbusType::Bit(_)) => {
            Value::Bool(v != 0.0)
        }
        _ => Value::F64(v),
    };
    match given {
        #[allow(clippy::float_cmp)] // clamped or not
        Given::Good(v) if clamp(v) == v => (value(v), Quality::Good),
        Given::Good(v) | Given::Uncertain(v) => (value(clamp(v)), Quality::UncertainRange),
        Given::BadValue(v) => (value(v), Quality::BadSensorFailure),
        Given::Bad => (Value::none(NoData::NoAnswer), Quality::BadCommunication),
        Given::NotANumber => (Value::F64(f64::NAN), Quality::Good),
    }
}

fn edited(
    files: &[(PathBuf, String)],
    file: &str,
    edit: &Edit,
) -> Result<Vec<(PathBuf, String)>, String> {
    let mut files = files.to_vec();
    let there = files
        .iter_mut()
        .find(|(path, _)| path.file_name().is_some_and(|n| n == file));
    match (edit, there) {
        (Edit::Replace { old, new }, Some((_, text))) => {
            if !text.contains(old.as_str()) {
                return Err(format!("{file} does not hold \"{old}\""));
            }
            *text = text.replacen(old.as_str(), new, 1);
        }
        (Edit::Replace { .. }, None) => return Err(format!("there is no rule file {file}")),
        (Edit::Text(new), Some((_, text))) => new.clone_into(text),
        (Edit::Text(new), None) => files.push((PathBuf::from("rules").join(file), new.clone())),
    }
    Ok(files)
}
