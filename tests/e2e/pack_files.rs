//! Every rule pack, as a plant would copy it: it loads, its rules have reasons and come in time, its
//! tests hold, and its numbers say where they come from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKS: [&str; 11] = [
    "ammonia",
    "confined-space",
    "dust-almg",
    "dust-starch",
    "dust-wood",
    "flammable-gas",
    "gas-holder",
    "reactor",
    "sphere",
    "tank-farm",
    "toxic-gas",
];

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/packs")
}

/// Runs `davy VERB PACK …` and wants a clean end.
fn davy(pack: &str, verb: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_davy"))
        .arg(verb[0])
        .arg(packs().join(pack))
        .args(&verb[1..])
        .output()
        .expect("davy runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "davy {verb:?} {pack}:\n{text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    text
}

fn rule_files(pack: &str) -> Vec<(PathBuf, toml::Table)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(packs().join(pack).join("rules"))
        .expect("a folder of rules")
        .map(|e| e.expect("an entry").path())
        .filter(|p| !p.to_string_lossy().ends_with(".test.toml"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|p| {
            let text = std::fs::read_to_string(&p).expect("a rule file");
            let table = text.parse().expect("TOML");
            (p, table)
        })
        .collect()
}

/// Each `[[kind]]` table of a pack with its kind.
fn rules(pack: &str) -> Vec<(String, toml::Table)> {
    rule_files(pack)
        .into_iter()
        .flat_map(|(_, file)| {
            file.into_iter().flat_map(|(kind, v)| {
                let list = v.as_array().cloned().unwrap_or_default();
                list.into_iter()
                    .filter_map(move |r| Some((kind.clone(), r.as_table()?.clone())))
            })
        })
        .collect()
}

const LEVELS: [&str; 5] = ["ll", "l", "h", "hh", "hhh"];

#[test]
fn no_pack_is_forgotten() {
    let mut found: Vec<String> = std::fs::read_dir(packs())
        .expect("the folder")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.is_dir())
        .filter_map(|p| Some(p.file_name()?.to_str()?.to_owned()))
        .collect();
    found.sort();
    assert_eq!(found, PACKS);
}

#[test]
fn every_pack_passes_check() {
    for pack in PACKS {
        let said = davy(pack, &["check", "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
        let codes: Vec<&str> = said["faults"]
            .as_array()
            .expect("faults")
            .iter()
            .filter_map(|f| f["code"].as_str())
            .collect();
        // Only what the plant has to decide may be open: whose exposure limit of ethylene oxide.
        assert!(codes.iter().all(|c| *c == "W330"), "{pack}: {codes:?}");
    }
}

#[test]
fn every_pack_passes_lint() {
    for pack in PACKS {
        davy(pack, &["lint"]);
    }
}

#[test]
fn every_pack_passes_its_tests() {
    for pack in PACKS {
        davy(pack, &["test"]);
    }
}

/// A limit without a source is a number that somebody once typed; `verified` needs a document, and
/// what is ours is not verified.
#[test]
fn every_limit_says_where_it_comes_from() {
    for pack in PACKS {
        let mut limits = 0;
        for (kind, rule) in rules(pack) {
            let id = rule["id"].as_str().expect("an id");
            assert!(rule.get("guidance").is_some(), "{pack}: {id} has no page");
            for level in LEVELS {
                let Some(limit) = rule.get(level) else {
                    continue;
                };
                limits += 1;
                let source = limit.get("source").and_then(toml::Value::as_str);
                let source = source.unwrap_or_else(|| panic!("{pack}: {kind} {id} {level}"));
                let verified = limit["verified"].as_bool().expect("a truth");
                let ours = source.contains("engineering default") || source.contains("recalled");
                assert!(!(verified && ours), "{pack}: {id} {level}: {source}");
            }
        }
        assert!(limits >= 4, "{pack}: {limits}");
    }
}

/// The point table and the rules say the same: a bar on the page ends where the alarm begins.
#[test]
fn the_point_table_agrees_with_the_rules() {
    for pack in PACKS {
        let text = std::fs::read_to_string(packs().join(pack).join("points.csv")).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
        for line in lines {
            let row: BTreeMap<&str, &str> = header.iter().copied().zip(line.split(',')).collect();
            for level in ["ll", "l", "h", "hh"] {
                let cell = row[level.to_uppercase().as_str()];
                if cell.is_empty() {
                    continue;
                }
                let table: f64 = cell.parse().expect("a number");
                let said: Vec<f64> = rules(pack)
                    .iter()
                    .filter(|(kind, rule)| kind == "level" && selects(rule, &row))
                    .filter_map(|(_, rule)| number(rule.get(level)?.get("limit")?))
                    .collect();
                assert!(
                    said.contains(&table) && said.iter().all(|s| (s - table).abs() < 1e-9),
                    "{pack}: {} {level} is {table} in the table, {said:?} in the rules",
                    row["tag"]
                );
            }
        }
    }
}

fn number(v: &toml::Value) -> Option<f64> {
    #[allow(clippy::cast_precision_loss)] // limits are small
    v.as_float().or_else(|| v.as_integer().map(|i| i as f64))
}

fn selects(rule: &toml::Table, row: &BTreeMap<&str, &str>) -> bool {
    rule["select"]
        .as_table()
        .expect("a selector")
        .iter()
        .all(|(key, wanted)| {
            let wanted = wanted.as_str().expect("a text");
            let have = row[key.as_str()];
            if key == "tag" {
                glob(wanted, have)
            } else {
                wanted == have
            }
        })
}

/// `*` any letters, `?` one.
fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            glob(&pattern[1..], text)
                || text
                    .chars()
                    .next()
                    .is_some_and(|c| glob(pattern, &text[c.len_utf8()..]))
        }
        (Some(p), Some(t)) if p == '?' || p == t => {
            glob(&pattern[p.len_utf8()..], &text[t.len_utf8()..])
        }
        _ => false,
    }
}

/// Each pack says what it is for, and that nobody has checked it against the originals.
#[test]
fn every_pack_says_what_it_is() {
    for pack in PACKS {
        let dir = packs().join(pack);
        let text = std::fs::read_to_string(dir.join("pack.toml")).expect("pack.toml");
        let about: toml::Table = text.parse().expect("TOML");
        let head = about["pack"].as_table().expect("[pack]");
        for key in ["title", "about", "conformity"] {
            assert!(
                head[key].as_str().is_some_and(|t| !t.is_empty()),
                "{pack}: {key}"
            );
        }
        let site: toml::Table = std::fs::read_to_string(dir.join("site.toml"))
            .expect("site.toml")
            .parse()
            .expect("TOML");
        let ids: Vec<&str> = site["hazard"]
            .as_array()
            .expect("hazards")
            .iter()
            .filter_map(|h| h["id"].as_str())
            .collect();
        let named: Vec<&str> = head["hazards"]
            .as_array()
            .expect("hazards")
            .iter()
            .filter_map(toml::Value::as_str)
            .collect();
        assert_eq!(named, ids, "{pack}");
        for s in about["standard"].as_array().expect("standards") {
            assert!(s["verified"].is_bool() && s["use"].is_str(), "{pack}: {s}");
        }
    }
}

/// A page that no rule names is a page that nobody sees.
#[test]
fn every_page_is_named_by_a_rule() {
    for pack in PACKS {
        let named: Vec<String> = rules(pack)
            .iter()
            .filter_map(|(_, r)| Some(r.get("guidance")?.as_str()?.to_owned()))
            .collect();
        for page in std::fs::read_dir(packs().join(pack).join("guidance")).expect("pages") {
            let path = page.expect("an entry").path();
            let name = path
                .file_stem()
                .and_then(|n| n.to_str())
                .expect("a name")
                .to_owned();
            assert!(named.contains(&name), "{pack}: {name}.md");
        }
    }
}
