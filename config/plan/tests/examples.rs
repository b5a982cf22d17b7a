//! Every example site loads. Their rules are compiled by a test of the binary.

use std::path::{Path, PathBuf};

use davy_plan::{Loaded, load};

fn example(name: &str) -> Loaded {
    let dir: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name);
    load(&dir, jiff::civil::date(2026, 12, 1))
}

/// No error; and no warning beyond these codes.
fn check(name: &str, points: usize, expected: &[&str]) {
    let loaded = example(name);
    let others: Vec<_> = loaded
        .faults
        .iter()
        .filter(|d| !expected.contains(&d.code))
        .collect();
    assert!(others.is_empty(), "{name}: {others:#?}");
    for code in expected {
        assert!(
            loaded.faults.iter().any(|d| d.code == *code),
            "{name}: {code}"
        );
    }
    let plan = loaded.plan.expect("a plan");
    assert_eq!(plan.points.len(), points, "{name}");
    assert!(
        !plan.rule_files.is_empty() && !plan.guidance.is_empty(),
        "{name}"
    );
    for (path, text) in &plan.rule_files {
        let table: toml::Table = text.parse().expect("a rule file is TOML");
        for rule in table.values().filter_map(toml::Value::as_array).flatten() {
            if let Some(page) = rule.get("guidance").and_then(toml::Value::as_str) {
                assert!(
                    plan.guidance.iter().any(|(name, _)| name == page),
                    "{}: no guidance page `{page}`",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_demo_plant() {
    check("demo", 68, &[]);
}

/// Its table is as integrators send it: Chinese headers, `40001` addresses, columns for others.
#[test]
fn the_tank_farm() {
    check("tank-farm", 16, &["W201", "W206"]);
}

/// Replays: each recording is a gateway, for its recorded time is the gateway's clock.
#[test]
fn the_recorded_plants() {
    check("tep", 52, &[]);
    check("3w", 28, &[]);
}

#[test]
fn the_dust_hall() {
    check("dust-hall", 15, &[]);
}
