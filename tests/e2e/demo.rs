//! `davy demo --for 60s --json`: the promise to a newcomer, kept by the binary that they run.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)] // a test says what broke by panicking

mod harness;

use std::fs;

use harness::{Process, davy};
use serde_json::Value;

#[test]
fn the_story_happens_within_the_first_minute_and_nothing_is_lost() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().to_str().unwrap();
    let mut demo = Process::spawn(
        "davy demo",
        &mut davy(&[
            "demo",
            "--for",
            "60s",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data,
            "--input-log",
        ]),
    );
    assert_eq!(demo.ended(), Some(0), "{:?}", demo.tail());
    let last = demo
        .lines
        .lock()
        .unwrap()
        .iter()
        .rfind(|l| l.starts_with("{\"v\":1"))
        .cloned()
        .unwrap();
    let summary: Value = serde_json::from_str(&last).unwrap();
    for key in ["seconds", "samples", "samples_bad", "gaps", "transitions"] {
        assert!(summary[key].is_number(), "{key} in {last}");
    }
    assert!(summary["samples"].as_u64().unwrap() > 1000, "{last}");
    assert!(
        summary["gaps"].as_u64().unwrap() >= 1,
        "a device went silent: {last}"
    );
    assert_eq!(summary["lost"], 0, "{last}");
    assert_eq!(summary["journal_verified"], true, "{last}");
    assert_eq!(
        summary["delivered"]["transitions"], summary["transitions"],
        "{last}"
    );
    for key in ["unack", "acked", "returned"] {
        assert!(
            summary["alarms"][key].as_u64().unwrap() > 0,
            "{key} in {last}"
        );
    }

    // What the control room was told: each part of the story, and the operator's name on the acks.
    let center = root.path().join("data/center");
    let mut export = Process::spawn(
        "export",
        &mut davy(&["journal", "export", "--data-dir", center.to_str().unwrap()]),
    );
    assert_eq!(export.ended(), Some(0));
    let records: Vec<Value> = export
        .lines
        .lock()
        .unwrap()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |alarm: &str, to: &str| records.iter().any(|r| r["alarm"] == alarm && r["to"] == to);
    assert!(
        told("tank-gauge-stuck/LT-101A/on", "UNACK"),
        "the frozen gauge"
    );
    assert!(told("tank-level/LT-101B/h", "UNACK"), "H");
    assert!(told("tank-level/LT-101B/hh", "UNACK"), "HH");
    assert!(
        told("source/plc-nh3/loss_of_view", "UNACK"),
        "the silent device"
    );
    assert!(
        told("source/plc-nh3/loss_of_view", "NORMAL")
            || told("source/plc-nh3/loss_of_view", "RTN_UNACK"),
        "the device came back"
    );
    assert!(
        records
            .iter()
            .any(|r| r["cause"] == "ack" && r["actor"] == "simulated-operator"),
        "acknowledged through the API"
    );
    assert!(
        fs::metadata(root.path().join("site/points.csv")).is_ok(),
        "the site is there to be read"
    );
    replays(root.path());
}

/// Both engines again, from their inputs, to the journals' bytes (`alarm-engine.md` 7.3).
fn replays(root: &std::path::Path) {
    let site = root.join("site");
    let mut gateways = 0;
    for folder in fs::read_dir(root.join("data")).unwrap() {
        let folder = folder.unwrap().path();
        let logs = fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path());
        let is_log = |p: &std::path::PathBuf| p.extension().is_some_and(|e| e == "log");
        for log in logs.filter(is_log) {
            gateways += 1;
            let id = folder.file_name().unwrap().to_str().unwrap();
            let mut p = Process::spawn(
                "replay",
                &mut davy(&[
                    "journal",
                    "replay",
                    site.to_str().unwrap(),
                    "--id",
                    id,
                    "--log",
                    log.to_str().unwrap(),
                    "--data-dir",
                    folder.to_str().unwrap(),
                ]),
            );
            let code = p.ended();
            let said = p.tail().join("\n");
            assert_eq!(code, Some(0), "{id}: {said}");
            assert!(said.contains("byte for byte"), "{id}: {said}");
        }
    }
    assert_eq!(gateways, 2, "a log of each gateway");
}

#[test]
fn an_unknown_scenario_lists_those_there_are() {
    let mut demo = Process::spawn("davy demo", &mut davy(&["demo", "--scenario", "nonsense"]));
    assert_eq!(demo.ended(), Some(2));
    let said = demo.tail().join("\n");
    assert!(said.contains("demo") && said.contains("quiet"), "{said}");
}

#[test]
fn a_listener_that_is_not_loopback_is_refused() {
    let mut demo = Process::spawn("davy demo", &mut davy(&["demo", "--listen", "0.0.0.0:0"]));
    assert_eq!(demo.ended(), Some(2));
    assert!(demo.tail().join("\n").contains("loopback"));
}
