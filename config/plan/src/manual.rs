//! MANUAL.md against what is read here: a key or column that it leaves out, or that is gone, fails.

use std::collections::BTreeSet;

use crate::headers::{COLUMNS, UNUSED};
use crate::{source_modbus, source_mqtt, toml_site};

const MANUAL: &str = include_str!("../../../MANUAL.md");

/// The first cells of the tables between two headings, without their quotes.
fn first_cells(from: &str, to: &str) -> BTreeSet<String> {
    let start = MANUAL.find(from).expect(from);
    let end = start + MANUAL[start..].find(to).expect(to);
    MANUAL[start..end]
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split_once("` |"))
        .map(|(cell, _)| cell.to_owned())
        .collect()
}

fn keys(tables: &[(&str, &[&str])]) -> BTreeSet<String> {
    tables
        .iter()
        .flat_map(|(table, keys)| keys.iter().map(move |key| format!("{table}.{key}")))
        // Tables within tables, each of whose keys has its own row.
        .filter(|k| !["modbus.poll", "modbus.time", "mqtt.payload"].contains(&k.as_str()))
        .collect()
}

#[test]
fn every_key_of_the_files_stands_in_the_manual() {
    let site = keys(&[
        ("site", toml_site::SITE),
        ("hazard", toml_site::HAZARD),
        ("area", toml_site::AREA),
        ("gateway", toml_site::GATEWAY),
        ("center", toml_site::CENTER),
        ("sink", toml_site::SINK),
        ("storage", toml_site::STORAGE),
        ("approval", toml_site::APPROVAL),
    ]);
    assert_eq!(first_cells("### 3.1", "### 3.2"), site);
    let modbus = keys(&[
        ("modbus", source_modbus::KEYS),
        ("modbus.poll", source_modbus::POLL),
        ("modbus.time", source_modbus::TIME),
    ]);
    assert_eq!(first_cells("### 3.2", "### 3.3"), modbus);
    let mqtt = keys(&[
        ("mqtt", source_mqtt::KEYS),
        ("mqtt.payload", source_mqtt::PAYLOAD),
    ]);
    assert_eq!(first_cells("### 3.3", "### 3.4"), mqtt);
}

#[test]
fn every_column_stands_in_the_manual_with_its_chinese_names() {
    for (_, name, aliases) in COLUMNS {
        let row = format!("| `{name}` | {} |", aliases.join(", "));
        assert!(MANUAL.contains(&row), "no row begins with {row}");
    }
    let columns = first_cells("| column |", "**Byte order.**");
    assert_eq!(columns.len(), COLUMNS.len(), "{columns:?}");
    assert!(MANUAL.contains(&UNUSED.join(" ")), "{UNUSED:?}");
}
