//! Acceptance of the rule packs: each story that names a pack is told to the pack's rules, on the pure
//! plant and the pure engine, hours in seconds. An incident must be warned of within the time that the
//! library of incidents states, by its root alarm first, with at most ten alarms in the first ten
//! minutes; a normal day must stay quiet. A failure shows the time line.
//!
//! `cargo test -p davy --test packs`; `PACKS_STORY=buncefield` tells one, `PACKS_SEED=7` by another
//! seed, and prints its time line.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use davy_plan::Plan;
use davy_points::{Mono, PointTable, Quality, Sample, Severity, SourceEvent, SourceIx, Timestamp};
use davy_rules::alarm::{Command, Label, Transition};
use davy_rules::engine::{Engine, Envelope, Identity, Input, Output, Restored};
use davy_rules::language::{self, RuleSet};
use davy_simulator::scenarios::{Heard, Incident, Pattern, Replay, Story};

/// 2026-01-01T00:00:00+08:00: a story begins at midnight in Shanghai.
const BASE_NS: i64 = 1_767_196_800_000_000_000;
/// An operator who is awake acknowledges so long after the annunciation.
const ACK_AFTER: Duration = Duration::from_secs(120);
/// A calibrated point goes back into service so long after its test, once its alarms have returned:
/// longer than any off-delay.
const LOOKED_AT_AFTER: Duration = Duration::from_secs(600);
/// Engines tick at least so often.
const TICK: Duration = Duration::from_secs(10);
/// Validation rule of the library: so many alarms in the first ten minutes.
const FLOOD: (usize, Duration) = (10, Duration::from_secs(600));

/// An alarm that a person would have heard.
struct Told {
    at: Duration,
    alarm: Transition,
}

impl Told {
    fn fits(&self, pattern: &Pattern) -> bool {
        let t = &self.alarm;
        pattern.fits(&t.kind, &t.tag, t.level.name())
    }
}

/// A pack's directory, checked; none where it has no rules yet.
fn load(pack: &str, poll: Duration) -> Option<(Plan, Arc<PointTable>, Arc<RuleSet>)> {
    let dir = packs().join(pack);
    let loaded = davy_plan::load(&dir, jiff::civil::date(2026, 1, 1));
    let plan = loaded.plan.unwrap_or_else(|| {
        panic!("{}: {:#?}", dir.display(), loaded.faults);
    });
    if plan.rule_files.is_empty() {
        return None;
    }
    let mut table = PointTable::new();
    for (_, source) in plan.points.sources() {
        table.add_source(source.clone());
    }
    for (_, def) in plan.points.iter() {
        let mut def = def.clone();
        if def.expected_interval < poll {
            // a story of days is read less often
            def.expected_interval = poll;
            def.stale_after = def.stale_after.max(poll * 3);
        }
        table.add(def).unwrap();
    }
    let guidance: Vec<String> = plan.guidance.iter().map(|(name, _)| name.clone()).collect();
    let (rules, faults) = language::compile(&plan.rule_files, &table, &guidance);
    let errors: Vec<_> = faults
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .collect();
    let rules = rules.unwrap_or_else(|| panic!("{}: {errors:#?}", dir.display()));
    Some((plan, Arc::new(table), Arc::new(rules)))
}

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/packs")
}

/// The engines of a site's gateways, and a person at their console.
struct Watch {
    engines: Vec<(Arc<str>, Engine)>,
    table: Arc<PointTable>,
    rules: Arc<RuleSet>,
    seq: u64,
    told: Vec<Told>,
    to_ack: VecDeque<(Duration, usize, String)>,
    /// Alarms of a calibrated point go back into service once its reading has been looked at.
    to_return: VecDeque<(Duration, usize, String)>,
    ticked: Duration,
}

impl Watch {
    fn new(plan: &Plan, table: Arc<PointTable>, rules: &Arc<RuleSet>) -> Watch {
        let engines = plan
            .gateways
            .iter()
            .map(|gateway| {
                let id = Identity {
                    site: plan.site.clone(),
                    owner: gateway.id.clone(),
                    plan_rev: plan.rev.clone(),
                };
                let engine = Engine::start(
                    id,
                    rules.clone(),
                    table.clone(),
                    Restored::default(),
                    Mono(0),
                    Timestamp(BASE_NS),
                );
                (gateway.id.clone(), engine)
            })
            .collect();
        Watch {
            engines,
            table,
            rules: rules.clone(),
            seq: 0,
            told: Vec::new(),
            to_ack: VecDeque::new(),
            to_return: VecDeque::new(),
            ticked: Duration::ZERO,
        }
    }

    fn hear(&mut self, heard: &Heard) {
        let at = heard.at();
        while self.ticked + TICK <= at {
            self.ticked += TICK;
            for i in 0..self.engines.len() {
                self.give(i, self.ticked, Input::Tick);
            }
        }
        while self.to_ack.front().is_some_and(|(due, _, _)| *due <= at) {
            let (due, i, occurrence) = self.to_ack.pop_front().unwrap();
            let command = acknowledge(&occurrence, self.seq, due);
            self.give(i, at, Input::Command(Box::new(command)));
        }
        while self.to_return.front().is_some_and(|(due, _, _)| *due <= at) {
            let (_, i, alarm) = self.to_return.pop_front().unwrap();
            let command = take_out(&alarm, false, self.seq, at);
            self.give(i, at, Input::Command(Box::new(command)));
        }
        match heard {
            Heard::Source { source, up, .. } => {
                let event = SourceEvent {
                    source: *source,
                    up: *up,
                    quality: Quality::BadCommunication,
                };
                let i = self.owner(*source);
                self.give(i, at, Input::SourceStatus(event));
            }
            Heard::Bypass { point, on, .. } => {
                let i = self.owner(self.table.point(*point).source);
                let rules = self.rules.clone();
                for (_, def) in rules.of_point(*point) {
                    let alarm = rules.name(def, &self.table);
                    if *on {
                        let command = take_out(&alarm, true, self.seq, at);
                        self.give(i, at, Input::Command(Box::new(command)));
                    } else {
                        self.to_return.push_back((at + LOOKED_AT_AFTER, i, alarm));
                    }
                }
            }
            Heard::Reading {
                point,
                value,
                quality,
                ..
            } => {
                let i = self.owner(self.table.point(*point).source);
                let sample = Sample {
                    point: *point,
                    value: value.clone(),
                    quality: *quality,
                    source_time: wall(at),
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: wall(at),
                    seq: self.seq,
                };
                self.give(i, at, Input::Sample(sample));
            }
        }
    }

    fn owner(&self, source: SourceIx) -> usize {
        let gateway = &self.table.source(source).gateway;
        self.engines
            .iter()
            .position(|(id, _)| id == gateway)
            .expect("each source has a gateway")
    }

    fn give(&mut self, i: usize, at: Duration, input: Input) {
        self.seq += 1;
        let engine = &mut self.engines[i].1;
        engine.handle(&Envelope {
            seq: self.seq,
            mono: Mono(nanos(at).unsigned_abs()),
            wall: wall(at),
            input,
        });
        while let Some(out) = engine.poll() {
            let t = match out {
                Output::Transition(t) => t,
                // an acknowledgement may come late: the operator read an older list
                Output::Result(r) if r.why.is_some() && !r.id.starts_with("ack") => {
                    panic!("{}: {:?}", r.id, r.why)
                }
                _ => continue,
            };
            let annunciates = t.to == Label::Unack && t.from != Label::Unack;
            if annunciates && !t.regions.after.masked {
                let at = Duration::from_nanos((t.recorded_at.0 - BASE_NS).unsigned_abs());
                self.to_ack
                    .push_back((at + ACK_AFTER, i, t.occurrence.to_string()));
                self.told.push(Told { at, alarm: *t });
            }
        }
    }
}

fn nanos(at: Duration) -> i64 {
    i64::try_from(at.as_nanos()).unwrap()
}

fn wall(at: Duration) -> Timestamp {
    Timestamp(BASE_NS + nanos(at))
}

fn acknowledge(occurrence: &str, n: u64, at: Duration) -> Command {
    serde_json::from_value(serde_json::json!({
        "v": 1,
        "id": format!("ack-{n}"),
        "occurrence": occurrence,
        "verb": "ack",
        "actor": "shift-a",
        "role": "operator",
        "issued_at": wall(at).0,
    }))
    .expect("a command")
}

/// A calibration by the book: each alarm of the point is taken out of service under a permit, by two
/// people, until it is over.
fn take_out(alarm: &str, out: bool, n: u64, at: Duration) -> Command {
    serde_json::from_value(serde_json::json!({
        "v": 1,
        "id": format!("service-{n}"),
        "alarm": alarm,
        "verb": if out { "out_of_service" } else { "in_service" },
        "actor": "instruments-a",
        "second": "instruments-b",
        "role": "supervisor",
        "permit": "PTW-1",
        "reason": "calibration",
        "until": wall(at + Duration::from_secs(3600)).0,
        "issued_at": wall(at).0,
    }))
    .expect("a command")
}

/// Tells a story to its pack; none where the pack has no rules.
fn tell(story: &Story, seed: u64) -> Option<Vec<Told>> {
    let (plan, table, rules) = load(story.pack.as_deref()?, story.poll)?;
    let replay = Replay::new(story, &table, seed).unwrap_or_else(|e| panic!("{}: {e}", story.name));
    let mut watch = Watch::new(&plan, table, &rules);
    for heard in replay {
        watch.hear(&heard);
    }
    watch.told.sort_by_key(|told| told.at);
    Some(watch.told)
}

/// What is wrong with what was told; empty: nothing.
fn judge(story: &Story, told: &[Told]) -> Vec<String> {
    let allowed = |t: &Told| story.may.iter().any(|may| t.fits(may));
    let mut faults = Vec::new();
    let quiet_until = story.incident.as_ref().map_or(story.length(), |i| i.begins);
    for t in told.iter().filter(|t| t.at < quiet_until && !allowed(t)) {
        faults.push(format!(
            "nothing was wrong at {}: {}",
            clock(t.at),
            t.alarm.alarm
        ));
    }
    if let Some(incident) = &story.incident {
        incident_faults(incident, told, &mut faults);
    }
    faults
}

fn incident_faults(incident: &Incident, told: &[Told], faults: &mut Vec<String>) {
    let after: Vec<&Told> = told.iter().filter(|t| t.at >= incident.begins).collect();
    let is_root = |t: &Told| incident.root.iter().any(|p| t.fits(p));
    let Some(first) = after.first() else {
        faults.push("it was not warned of at all".to_owned());
        return;
    };
    if !is_root(first) {
        faults.push(format!(
            "the first alarm is not the root: {}",
            first.alarm.alarm
        ));
    }
    match after.iter().find(|t| is_root(t)) {
        None => faults.push("the root alarm never came".to_owned()),
        Some(root) if root.at > incident.by => faults.push(format!(
            "the root alarm came at {}, and was due by {}",
            clock(root.at),
            clock(incident.by)
        )),
        Some(_) => {}
    }
    if let Some(again) = incident.again {
        let mut last: Option<Duration> = None;
        let ends = std::iter::once(incident.harm);
        let roots = after.iter().filter(|t| is_root(t)).map(|t| t.at);
        for at in roots.chain(ends) {
            // an acknowledgement starts the clock of the next
            if let Some(since) = last
                && at > since + again + ACK_AFTER + TICK * 10
            {
                faults.push(format!(
                    "it stood in silence from {} to {}",
                    clock(since),
                    clock(at)
                ));
            }
            last = Some(at);
        }
    }
    let (most, window) = FLOOD;
    let count = after.iter().filter(|t| t.at < first.at + window).count();
    if count > most {
        faults.push(format!(
            "{count} alarms in the first ten minutes, more than {most}"
        ));
    }
    for (pattern, by) in &incident.then {
        if !after.iter().any(|t| t.fits(pattern) && t.at <= *by) {
            faults.push(format!("no `{pattern}` by {}", clock(*by)));
        }
    }
}

/// The time line, for people.
fn time_line(story: &Story, told: &[Told]) -> String {
    let mut text = format!("{}: {}\n", story.name, story.title);
    let mut count = 0;
    let begins = story.incident.as_ref().map(|i| i.begins);
    if let Some(i) = &story.incident {
        let first = told.iter().find(|t| t.at >= i.begins);
        let lead = first.map_or_else(|| "none".to_owned(), |t| clock(i.harm.saturating_sub(t.at)));
        let _ = writeln!(
            text,
            "  begins {}, root due by {}, harm {}; time before harm at the first alarm {lead}, the \
             library gives {}",
            clock(i.begins),
            clock(i.by),
            clock(i.harm),
            clock(i.lead),
        );
        count = told
            .iter()
            .filter(|t| first.is_some_and(|f| t.at >= f.at && t.at < f.at + FLOOD.1))
            .count();
    }
    for t in told.iter().take(60) {
        let root = story
            .incident
            .as_ref()
            .is_some_and(|i| i.root.iter().any(|p| t.fits(p)));
        let mark = match begins {
            Some(b) if t.at < b => "early",
            _ if root => "root",
            _ => "",
        };
        let a = &t.alarm;
        let _ = writeln!(
            text,
            "  {:>9} {mark:<5} P{} {:<13} {} = {} {}",
            clock(t.at),
            a.priority.get(),
            &*a.kind,
            a.alarm,
            a.value,
            a.unit
        );
    }
    if told.len() > 60 {
        let _ = writeln!(text, "  … and {} more", told.len() - 60);
    }
    let _ = writeln!(text, "  {count} alarms in the first ten minutes");
    text
}

/// `3h07m05s`
fn clock(at: Duration) -> String {
    let s = at.as_secs();
    let days = s / 86_400;
    let rest = format!("{}h{:02}m{:02}s", s % 86_400 / 3600, s % 3600 / 60, s % 60);
    if days > 0 {
        format!("{days}d{rest}")
    } else {
        rest
    }
}

fn check(wanted: impl Fn(&Story) -> bool) {
    let only = std::env::var("PACKS_STORY").ok();
    let seed = std::env::var("PACKS_SEED").ok();
    let seed = seed.map_or(1, |s| s.parse().expect("PACKS_SEED is a number"));
    let mut report = String::new();
    let mut without = BTreeSet::new();
    for name in Story::names() {
        let story = Story::named(name).unwrap();
        if story.pack.is_none() || !wanted(&story) || only.as_deref().is_some_and(|o| o != name) {
            continue;
        }
        let Some(told) = tell(&story, seed) else {
            without.insert(story.pack);
            continue;
        };
        let faults = judge(&story, &told);
        if only.is_some() {
            print!("{}", time_line(&story, &told));
        }
        if !faults.is_empty() {
            report.push_str(&time_line(&story, &told));
            for fault in faults {
                let _ = writeln!(report, "  ✗ {fault}");
            }
        }
    }
    if !without.is_empty() {
        println!("packs without rules: {without:?}");
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_incident_is_warned_of_in_time_by_its_root_alarm_and_without_a_flood() {
    check(|story| story.incident.is_some());
}

#[test]
fn a_normal_day_stays_quiet() {
    check(|story| story.incident.is_none());
}
