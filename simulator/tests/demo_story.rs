//! The story of the demo and the site of the demo belong together.

#![allow(clippy::unwrap_used)] // a test says what broke by panicking

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use std::collections::BTreeMap;
use std::time::Duration;

use davy_points::{
    Binding, ByteOrder, Life, Limits, ModbusBinding, ModbusTable, ModbusType, PointDef, PointTable,
    PollClass, Scaling, SourceDef,
};
use davy_simulator::plant::Plant;
use davy_simulator::scenarios::{Act, Story, Teller};

fn site() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/demo")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn tags() -> BTreeSet<String> {
    read(&site().join("points.csv"))
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap_or_default().to_owned())
        .collect()
}

/// Ids in every array of tables of a TOML file, with the name of the array.
fn ids(text: &str) -> BTreeSet<(String, String)> {
    let file: toml::Table = toml::from_str(text).unwrap();
    let mut found = BTreeSet::new();
    for (kind, value) in &file {
        for table in value.as_array().into_iter().flatten() {
            if let Some(id) = table.get("id").and_then(toml::Value::as_str) {
                found.insert((kind.clone(), id.to_owned()));
            }
        }
    }
    found
}

#[test]
fn the_demo_names_only_what_its_site_has() {
    let story = Story::named("demo").unwrap();
    let tags = tags();
    let sources = ids(&read(&site().join("sources.toml")));
    let is_source = |kind: &str, name: &str| sources.contains(&(kind.into(), name.into()));
    for chapter in &story.chapters {
        for (at, act) in &chapter.acts {
            let place = format!("{} at {at:?}: {act}", chapter.name);
            match act {
                Act::Silence(name) | Act::Refuse(name) => assert!(
                    is_source("modbus", name) || is_source("mqtt", name) || tags.contains(name),
                    "{place}"
                ),
                Act::Restore(name) => assert!(
                    is_source("modbus", name) || is_source("mqtt", name) || tags.contains(name),
                    "{place}"
                ),
                act => {
                    if let Some(tag) = act.target() {
                        assert!(tags.contains(tag), "{place}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_ground_truth_names_alarms_that_the_site_can_raise() {
    let story = Story::named("demo").unwrap();
    let tags = tags();
    let sources = ids(&read(&site().join("sources.toml")));
    let mut rules: BTreeSet<String> = ["table", "stale", "quality"].map(String::from).into();
    for entry in std::fs::read_dir(site().join("rules")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.ends_with(".test.toml") {
            rules.extend(ids(&read(&path)).into_iter().map(|(_, id)| id));
        }
    }
    let levels = [
        "ll",
        "l",
        "h",
        "hh",
        "hhh",
        "on",
        "stale",
        "bad",
        "loss_of_view",
    ];
    let expectations = story.chapters.iter().flat_map(|c| &c.expect);
    for expectation in expectations {
        let alarm = &expectation.alarm;
        let parts: Vec<&str> = alarm.split('/').collect();
        let [rule, tag, level] = parts[..] else {
            panic!("{alarm} is not rule/tag/level");
        };
        if rule == "source" {
            assert!(sources.iter().any(|(_, id)| id == tag), "{alarm}");
        } else {
            assert!(rules.contains(rule), "{alarm}");
            assert!(tags.contains(tag), "{alarm}");
        }
        assert!(levels.contains(&level), "{alarm}");
        assert!(expectation.after < expectation.by, "{alarm}");
    }
}

/// What a newcomer must see within the first minute.
#[test]
fn the_first_minute_holds_stuck_two_levels_and_a_loss_of_view() {
    let story = Story::named("demo").unwrap();
    let first = &story.chapters[0];
    for part in ["stuck", "/h", "/hh", "loss_of_view"] {
        assert!(
            first
                .expect
                .iter()
                .any(|e| e.alarm.contains(part) && e.by.as_secs() < 60),
            "{part}"
        );
    }
}

/// The site's points as far as the plant looks at them; the real reader is `davy-plan`'s.
fn points() -> Vec<PointDef> {
    let text = read(&site().join("points.csv"));
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let source = PointTable::new().add_source(SourceDef {
        id: "any".into(),
        gateway: "any".into(),
        recorded: false,
    });
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let cells: BTreeMap<&str, &str> = header.iter().copied().zip(line.split(',')).collect();
            let number = |name: &str| cells[name].parse::<f64>().ok();
            let bit = matches!(cells["table"], "coil" | "discrete");
            PointDef {
                tag: cells["tag"].into(),
                description: "".into(),
                hazard: cells["hazard"].into(),
                area: "".into(),
                class: cells["class"].into(),
                unit: "".into(),
                low: number("low"),
                high: number("high"),
                source,
                binding: Binding::Modbus(ModbusBinding {
                    unit_id: 1,
                    table: if bit {
                        ModbusTable::Coil
                    } else {
                        ModbusTable::Input
                    },
                    address: 0,
                    kind: if bit {
                        ModbusType::Bool
                    } else {
                        ModbusType::F64
                    },
                    order: ByteOrder::Abcd,
                    status: None,
                }),
                scaling: Scaling::default(),
                poll: PollClass::Normal,
                expected_interval: Duration::from_secs(1),
                stale_after: Duration::from_secs(3),
                report_deadband: None,
                limits: Limits {
                    ll: number("LL"),
                    l: number("L"),
                    h: number("H"),
                    hh: number("HH"),
                },
                deadband: 0.0,
                on_delay: Duration::ZERO,
                off_delay: Duration::ZERO,
                priority: None,
                sentinels: Box::default(),
                life: Life::InService,
                calibration_due: None,
                note: "".into(),
                span: 0..0,
            }
        })
        .collect()
}

/// The limit of a level, by its name in alarms.
fn limit(def: &PointDef, level: &str) -> Option<f64> {
    match level {
        "ll" => def.limits.ll,
        "l" => def.limits.l,
        "h" => def.limits.h,
        "hh" => def.limits.hh,
        _ => None,
    }
}

fn beyond(reading: f64, level: &str, limit: f64) -> bool {
    if level.starts_with('l') {
        reading <= limit
    } else {
        reading >= limit
    }
}

/// Tells forty minutes on the plant alone and looks when readings pass their limits: each level alarm
/// that a chapter promises has its cause in that chapter's window, and no other limit is passed.
#[test]
fn every_promised_level_is_reached_in_time_and_no_other() {
    let points = points();
    for seed in 0..3 {
        let story = Story::named("demo").unwrap();
        let mut plant = Plant::new(&points, seed);
        plant.set_speed(story.speed);
        let mut teller = Teller::new(story, seed);
        // (begin of the chapter, alarm) -> first time beyond the limit
        let mut crossed: BTreeMap<(Duration, String), Duration> = BTreeMap::new();
        let mut told = BTreeMap::new();
        for tenth in 0..24_000_u64 {
            let now = Duration::from_millis(tenth * 100);
            for due in teller.due(now) {
                act(&mut plant, &due.act);
            }
            plant.step(Duration::from_millis(100));
            let (chapter, began) = teller.chapter().unwrap();
            told.entry(began).or_insert_with(|| chapter.clone());
            for (def, reading) in points.iter().zip(plant.readings()) {
                for level in ["ll", "l", "h", "hh"] {
                    if let Some(limit) = limit(def, level)
                        && beyond(reading, level, limit)
                    {
                        let key = (began, format!("{}/{level}", def.tag));
                        crossed.entry(key).or_insert(now - began);
                    }
                }
            }
        }
        told.pop_last(); // not told to its end
        for (began, chapter) in &told {
            let expected: Vec<_> = chapter
                .expect
                .iter()
                .filter(|e| !e.alarm.ends_with("/hhh"))
                .map(|e| (e, e.alarm.split_once('/').unwrap().1.to_owned()))
                .filter(|(_, name)| ["/ll", "/l", "/h", "/hh"].iter().any(|l| name.ends_with(l)))
                .collect();
            for (expectation, name) in &expected {
                let at = crossed.get(&(*began, name.clone()));
                assert!(
                    at.is_some_and(|at| *at >= expectation.after
                        && *at + Duration::from_secs(3) <= expectation.by),
                    "seed {seed}, {}: {name} at {at:?}, expected {expectation:?}",
                    chapter.name
                );
            }
            for ((_, name), at) in crossed.range((*began, String::new())..) {
                if !crossed.contains_key(&(*began, name.clone())) {
                    break;
                }
                // a lower level of the same point is passed on the way to a promised one
                let (tag, _) = name.split_once('/').unwrap();
                assert!(
                    expected
                        .iter()
                        .any(|(_, e)| e.starts_with(&format!("{tag}/"))),
                    "seed {seed}, {}: {name} at {at:?} was not promised",
                    chapter.name
                );
            }
        }
    }
}

/// The plant's part of `field::assembly`: a source that works again is no instrument.
fn act(plant: &mut Plant, act: &Act) {
    let played = act.play(plant);
    assert!(
        played.is_ok() || matches!(act, Act::Restore(_)),
        "{act}: {played:?}"
    );
}
