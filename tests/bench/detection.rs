//! How soon recorded faults are seen, and at what price in alarms: Tennessee Eastman (faults 1, 4, 6)
//! and Petrobras 3W through the rules of `config/examples`, on the real engine, beside a floor: a
//! plain 3 σ threshold on every variable, without deadband or delay.
//!
//! `DAVY_DATA=… cargo bench -p davy --bench detection [-- --tune] [-- --chart]`
//!
//! `--tune` writes `rules/limits.toml` of both examples from normal data alone (see `tune`), and
//! `--chart` writes their `detection.svg`. The recordings are public, lie elsewhere and stay there:
//! `DAVY_DATA` names the folder that holds `tep` and `3w`.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "detection/chart.rs"]
mod chart;
#[path = "detection/play.rs"]
mod play;
#[path = "detection/recording.rs"]
mod recording;
#[path = "detection/tune.rs"]
mod tune;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use davy_plan::Plan;
use davy_rules::language::{RuleSet, compile};

use play::{Log, floor, judge};
use recording::{MINUTE, Recording};

fn main() {
    let Some(data) = std::env::var_os("DAVY_DATA").map(PathBuf::from) else {
        println!("skipped: DAVY_DATA does not name the folder that holds `tep` and `3w`");
        return;
    };
    let wanted = |flag: &str| std::env::args().any(|a| a == flag);
    for name in ["tep", "3w"] {
        let folder = data.join(name);
        if !folder.is_dir() {
            println!("skipped: no recorded data at {}", folder.display());
            continue;
        }
        let site = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../config/examples")
            .join(name);
        let (plan, _) = load(&site, "");
        let recordings = recording::read(name, &folder, &plan.points);
        if wanted("--tune") {
            let file = site.join("rules/limits.toml");
            std::fs::write(&file, tune::rules(name, &recordings, &plan.points)).unwrap();
            println!("wrote {}", file.display());
        }
        let (plan, rules) = load(&site, "");
        let rules = Arc::new(rules.expect("the rules compile"));
        let (_, limits) = load(&site, "limits.toml");
        let limits = Arc::new(limits.expect("the limits compile"));
        let runs: Vec<Run> = recordings
            .into_iter()
            .map(|recording| Run {
                engine: judge(&plan, &rules, &recording),
                limits: judge(&plan, &limits, &recording),
                floor: floor(&recording),
                recording,
            })
            .collect();
        table(name, &runs);
        if wanted("--chart") {
            let file = site.join("detection.svg");
            std::fs::write(&file, chart::draw(name, &runs)).unwrap();
            println!("wrote {}", file.display());
        }
    }
}

/// One recording, judged three times.
struct Run {
    recording: Recording,
    engine: Log,
    /// By the tuned limits alone: no number in them comes from a fault.
    limits: Log,
    floor: Option<Log>,
}

/// The plan, and the rules of the files so named where they compile: `--tune` begins without them.
fn load(site: &Path, file: &str) -> (Plan, Option<RuleSet>) {
    let loaded = davy_plan::load(site, jiff::civil::date(2026, 12, 1));
    let plan = loaded
        .plan
        .unwrap_or_else(|| panic!("{}: {:#?}", site.display(), loaded.faults));
    let pages: Vec<String> = plan.guidance.iter().map(|(name, _)| name.clone()).collect();
    let files: Vec<_> = plan
        .rule_files
        .iter()
        .filter(|(path, _)| path.to_string_lossy().ends_with(file))
        .cloned()
        .collect();
    let (rules, faults) = compile(&files, &plan.points, &pages);
    for fault in &faults {
        println!("{}: {} {}", fault.file.display(), fault.code, fault.message);
    }
    (plan, rules)
}

fn table(name: &str, runs: &[Run]) {
    println!("\n{name}: davy / floor (3 σ); of the delay: davy / tuned limits alone / floor");
    println!(
        "{:<22} {:>17} {:>38} {:>17} {:>17} {:>11} {:>15} {:>10}",
        "recording",
        "delay, min",
        "first alarm",
        "false per 10 min",
        "then per 10 min",
        "peak",
        "bins > 10, %",
        "instrument"
    );
    for run in runs {
        let r = &run.recording;
        let row = |log: &Log| Figures::of(r, log);
        let (e, f) = (row(&run.engine), run.floor.as_ref().map(row));
        let pair = |of: &dyn Fn(&Figures) -> String| {
            let floor = f.as_ref().map_or("-".into(), of);
            format!("{} / {floor}", of(&e))
        };
        let shown =
            |v: Option<f64>, digits: usize| v.map_or("-".into(), |v| format!("{v:.digits$}"));
        println!(
            "{:<22} {:>17} {:>38} {:>17} {:>17} {:>11} {:>15} {:>10}",
            r.name,
            format!(
                "{} / {} / {}",
                shown(e.delay_min, 1),
                shown(row(&run.limits).delay_min, 1),
                shown(f.as_ref().and_then(|f| f.delay_min), 1)
            ),
            e.first.as_deref().unwrap_or("-"),
            pair(&|f| shown(f.false_rate, 3)),
            pair(&|f| format!("{:.2}", f.rate)),
            pair(&|f| f.peak.to_string()),
            pair(&|f| format!("{:.1}", f.crowded)),
            e.instrument
        );
    }
}

/// What section 5 of the specification asks for, of one recording.
struct Figures {
    /// From the onset to the first process alarm annunciated after it.
    delay_min: Option<f64>,
    first: Option<String>,
    /// Process alarms per 10 min of the normal rows that no limit was tuned on.
    false_rate: Option<f64>,
    /// Process alarms per 10 min from the onset on, or from the start where there is none: mean,
    /// most in one bin, share of bins over 10.
    rate: f64,
    peak: usize,
    crowded: f64,
    /// Alarms about instruments (stuck, quality, stale), over the whole recording.
    instrument: usize,
}

impl Figures {
    #[allow(clippy::cast_precision_loss)]
    fn of(r: &Recording, log: &Log) -> Figures {
        let count = |from: i64, to: i64| log.process(from, to).count() as f64;
        let tens = |from: i64, to: i64| (to - from) as f64 / (10 * MINUTE) as f64;
        let held = r.held.map(|(from, to)| count(from, to) / tens(from, to));
        let mut figures = Figures {
            delay_min: None,
            first: None,
            false_rate: held,
            rate: 0.0,
            peak: 0,
            crowded: 0.0,
            instrument: log.alarms.iter().filter(|a| !a.process).count(),
        };
        let (begin, end) = (r.onset.unwrap_or(r.start()), r.end());
        let bins = log.bins(begin, end);
        figures.rate = count(begin, end + 1) / tens(begin, end);
        figures.peak = bins.iter().max().copied().unwrap_or(0);
        let over = bins.iter().filter(|n| **n > 10).count();
        figures.crowded = 100.0 * over as f64 / bins.len() as f64;
        if r.onset.is_some() {
            let first = log.process(begin, end + 1).next();
            figures.delay_min = first.map(|a| (a.at - begin) as f64 / MINUTE as f64);
            figures.first = first.map(|a| a.name.clone());
        }
        figures
    }
}
