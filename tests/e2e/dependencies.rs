//! The conditions under which `deny.toml` looks away, held against `Cargo.lock`. cargo-deny needs the
//! advisory database for the rest; this needs nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Crate and version, and what it depends on.
struct Locked(BTreeMap<(String, String), Vec<String>>);

impl Locked {
    fn read() -> Locked {
        let text = file("Cargo.lock");
        let mut locked = BTreeMap::new();
        for package in text.split("[[package]]").skip(1) {
            let value = |key: &str| {
                let line = package.lines().find_map(|l| l.strip_prefix(key));
                line.map(|l| l.trim_matches([' ', '=', '"']).to_owned())
            };
            let list = package.split("dependencies = [").nth(1).unwrap_or("");
            let list = list.split(']').next().unwrap_or("");
            let dependencies = list
                .lines()
                .map(|l| l.trim_matches([' ', '"', ',']).to_owned())
                .filter(|l| !l.is_empty());
            let name = (
                value("name").expect("a name"),
                value("version").expect("a version"),
            );
            locked.insert(name, dependencies.collect());
        }
        assert!(locked.len() > 100, "{} crates", locked.len());
        Locked(locked)
    }

    fn versions(&self, name: &str) -> Vec<&str> {
        self.0
            .keys()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// Who depends on this version of a crate.
    fn dependents(&self, name: &str, version: &str) -> BTreeSet<&str> {
        let (plain, exact) = (name.to_owned(), format!("{name} {version}"));
        let of = |(_, list): &(&(String, String), &Vec<String>)| {
            list.contains(&exact) || list.contains(&plain)
        };
        self.0
            .iter()
            .filter(of)
            .map(|((n, _), _)| n.as_str())
            .collect()
    }
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map_while(|n| n.parse().ok()).collect()
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

#[test]
fn nothing_that_is_banned_is_in_the_tree() {
    let locked = Locked::read();
    let deny = file("deny.toml");
    let banned: Vec<_> = deny
        .lines()
        .filter_map(|l| l.trim().strip_prefix("{ crate = \"")?.split('"').next())
        .collect();
    for must in [
        "openssl",
        "aws-lc-rs",
        "aws-lc-sys",
        "native-tls",
        "zstd-sys",
    ] {
        assert!(banned.contains(&must), "deny.toml forgot {must}");
    }
    for name in banned {
        let (name, below) = name.split_once(":<").unwrap_or((name, ""));
        let there = locked.versions(name);
        let bad = there
            .iter()
            .any(|v| below.is_empty() || numbers(v) < numbers(below));
        assert!(!bad, "{name} has come into the tree: {there:?}");
    }
}

#[test]
fn every_advisory_that_is_ignored_still_stands_on_its_reason() {
    let locked = Locked::read();
    let only = |name: &str, version: &str, dependents: &[&str]| {
        assert!(
            locked
                .0
                .contains_key(&(name.to_owned(), version.to_owned())),
            "{name} {version} has gone: take its line out of deny.toml"
        );
        let dependents: BTreeSet<_> = dependents.iter().copied().collect();
        assert_eq!(
            locked.dependents(name, version),
            dependents,
            "{name} {version}"
        );
    };
    // HTTP/2 of the client that `deliver/writer.rs` builds with `http1_only`, and of no other.
    only("h2", "0.3.27", &["hyper", "reqwest"]);
    only("hyper", "0.14.32", &["reqwest"]);
    only("reqwest", "0.11.27", &["davy-gateway", "influxdb2"]);
    only("instant", "0.1.13", &["parking_lot", "parking_lot_core"]);
    only("parking_lot", "0.11.2", &["influxdb2"]);
    let deny = file("deny.toml");
    for line in deny
        .lines()
        .filter_map(|l| l.trim().strip_prefix("# crate: "))
    {
        let (name, version) = line.split_once('@').expect("crate: NAME@VERSION");
        assert!(
            locked
                .0
                .contains_key(&(name.to_owned(), version.to_owned())),
            "{line} has gone: take its advisories out of deny.toml"
        );
    }
    for ignored in deny
        .lines()
        .filter(|l| l.contains("RUSTSEC-") && l.contains("reason"))
    {
        assert!(
            ignored.contains("2026-") && ignored.contains(", again 20"),
            "no date: {ignored}"
        );
    }
}
