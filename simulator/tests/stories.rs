//! The stories of incidents and of normal days belong to the rule packs: every tag that they show, move
//! or demand an alarm of stands in the pack's point table, and what happens happens when they say.

#![allow(clippy::unwrap_used)] // a test says what broke by panicking

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use davy_points::{
    Binding, ByteOrder, Life, Limits, ModbusBinding, ModbusTable, ModbusType, PointDef, PointTable,
    PollClass, Quality, Scaling, SourceDef,
};
use davy_simulator::scenarios::{Heard, Replay, Story};

fn pack(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../config/packs")
        .join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The pack's points as far as the plant looks at them; the real reader is `davy-plan`'s.
fn table(pack_name: &str) -> PointTable {
    let text = read(&pack(pack_name).join("points.csv"));
    let sources: toml::Table =
        toml::from_str(&read(&pack(pack_name).join("sources.toml"))).unwrap();
    let mut table = PointTable::new();
    let mut ids = BTreeMap::new();
    for source in sources["modbus"].as_array().unwrap() {
        let id = source["id"].as_str().unwrap();
        let ix = table.add_source(SourceDef {
            id: id.into(),
            gateway: "gw".into(),
            recorded: false,
        });
        ids.insert(id.to_owned(), ix);
    }
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    for line in lines.filter(|l| !l.is_empty()) {
        let cells: BTreeMap<&str, &str> = header.iter().copied().zip(line.split(',')).collect();
        let number = |name: &str| cells.get(name).and_then(|c| c.parse::<f64>().ok());
        let bit = matches!(cells["table"], "coil" | "discrete");
        let poll = match cells.get("poll") {
            Some(&"fast") => Duration::from_millis(250),
            Some(&"slow") => Duration::from_secs(5),
            _ => Duration::from_secs(1),
        };
        let def = PointDef {
            tag: cells["tag"].into(),
            description: "".into(),
            hazard: cells["hazard"].into(),
            area: "".into(),
            class: cells["class"].into(),
            unit: cells["unit"].into(),
            low: number("low"),
            high: number("high"),
            source: ids[cells["source"]],
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
            expected_interval: poll,
            stale_after: poll * 3,
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
        };
        table.add(def).unwrap();
    }
    table
}

/// Every story of a pack, with the pack's points.
fn stories() -> Vec<(Story, PointTable)> {
    Story::names()
        .map(|name| Story::named(name).unwrap())
        .filter_map(|story| {
            let table = table(story.pack.as_deref()?);
            Some((story, table))
        })
        .collect()
}

#[test]
fn a_story_names_only_what_its_pack_has() {
    for (story, table) in stories() {
        let name = &story.name;
        for unit in &story.units {
            for tag in unit.shows.keys() {
                assert!(
                    table.find(tag).is_some(),
                    "{name}: {} shows {tag}",
                    unit.name
                );
            }
        }
        let tags: BTreeSet<&str> = table.iter().map(|(_, def)| &*def.tag).collect();
        let demanded = story
            .incident
            .iter()
            .flat_map(|i| i.root.iter().chain(i.then.iter().map(|(p, _)| p)));
        for pattern in demanded.chain(&story.may) {
            let sources: Vec<_> = table.sources().map(|(_, s)| s.id.clone()).collect();
            assert!(
                tags.iter()
                    .any(|tag| pattern.fits("*", tag, "*") || glob(pattern.tag(), tag))
                    || sources.iter().any(|id| glob(pattern.tag(), id)),
                "{name}: no point for {pattern}"
            );
        }
        Replay::new(&story, &table, 1).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            story.incident.is_some() != name.starts_with("normal-day"),
            "{name}: an incident has a ground truth, a normal day has none"
        );
        assert_eq!(story.chapters.len(), 1, "{name}");
    }
}

fn glob(pattern: &str, tag: &str) -> bool {
    davy_simulator::scenarios::Pattern::parse(&format!("* {pattern}"))
        .unwrap()
        .fits("any", tag, "any")
}

#[test]
fn a_replay_is_in_order_complete_and_the_same_for_the_same_seed() {
    let (story, table) = stories().remove(0);
    let hear = |seed| {
        Replay::new(&story, &table, seed)
            .unwrap()
            .take_while(|h| h.at() <= Duration::from_secs(120))
            .collect::<Vec<_>>()
    };
    let once = hear(7);
    assert_eq!(once, hear(7));
    assert_ne!(once, hear(8));
    assert!(once.is_sorted_by_key(Heard::at));
    for (ix, def) in table.iter() {
        let times: Vec<Duration> = once
            .iter()
            .filter_map(|h| match h {
                Heard::Reading { at, point, .. } if *point == ix => Some(*at),
                _ => None,
            })
            .collect();
        for pair in times.windows(2) {
            assert_eq!(pair[1] - pair[0], def.expected_interval, "{}", def.tag);
        }
        assert!(times.len() as f64 >= 119.0 / def.expected_interval.as_secs_f64());
    }
}

/// Before its initiating event no incident shows a reading beyond a limit of the table; nor does a
/// normal day at any time, but under the test mark and where the story says that an alarm may come.
#[test]
fn while_nothing_is_wrong_no_reading_is_beyond_a_limit() {
    let mut found = BTreeMap::new();
    for (mut story, table) in stories() {
        let until = story.incident.as_ref().map_or(story.length(), |i| i.begins);
        story.poll = Duration::from_secs(30);
        for heard in Replay::new(&story, &table, 3).unwrap() {
            let Heard::Reading {
                at,
                point,
                value,
                quality,
            } = heard
            else {
                continue;
            };
            if at >= until {
                break;
            }
            let def = table.point(point);
            let allowed = story.may.iter().any(|may| glob(may.tag(), &def.tag));
            if quality == Quality::UncertainTest
                || allowed
                || (def.low.is_none() && def.high.is_none())
            {
                continue;
            }
            // low limits of suction stand whenever the fan is off: the packs carry its run condition
            let runs = &*def.class != "dust_pressure";
            let limits = def.limits;
            let within = value.number().is_some_and(|v| {
                limits.h.or(limits.hh).is_none_or(|h| v < h)
                    && (!runs || limits.l.or(limits.ll).is_none_or(|l| v > l))
            });
            if !within || quality != Quality::Good {
                let key = format!("{}: {}", story.name, def.tag);
                found
                    .entry(key)
                    .or_insert_with(|| format!("{value:?} {quality} at {at:?}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Harm is done when the ground truth says so: the plant's own quantity passes its bound then, within a
/// twentieth of the time since the initiating event, and not before.
#[test]
fn harm_is_done_when_the_story_says() {
    let mut found = Vec::new();
    for (mut story, table) in stories() {
        let Some(incident) = story.incident.clone() else {
            continue;
        };
        let Some(reached) = &incident.reached else {
            continue;
        };
        story.poll = Duration::from_secs(60);
        let mut replay = Replay::new(&story, &table, 1).unwrap();
        let mut at = None;
        while let Some(heard) = replay.next() {
            let value = replay.plant().quantity(&reached.quantity);
            let value = value.unwrap_or_else(|| panic!("{}: {reached:?}", story.name));
            if reached.by(value) {
                at = Some(heard.at());
                break;
            }
        }
        let spare = ((incident.harm - incident.begins) / 20).max(Duration::from_secs(90));
        if at.is_none_or(|at| at.abs_diff(incident.harm) > spare) {
            found.push(format!(
                "{}: {reached:?} at {at:?}, harm is said to be done at {:?}",
                story.name, incident.harm
            ));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_manual_lists_every_scenario_with_its_pack() {
    let manual = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../MANUAL.md"));
    for name in Story::names() {
        let story = Story::named(name).unwrap();
        let pack = story.pack.as_deref().unwrap_or("–");
        let row = format!("| `{name}` | {pack} |");
        assert!(manual.contains(&row), "MANUAL.md has no row {row}");
    }
}
