//! The rule reference, `rules/reference`, held against what is read: every kind has its page, every
//! key stands in it or among those of every rule, and its example compiles.

use std::collections::BTreeSet;
use std::path::PathBuf;

use davy_points::{Limits, PointDef, PointTable};

use crate::language::compile;
use crate::proof::plant;
use crate::ruleset::Kind;

const MANUAL: &str = include_str!("../../../MANUAL.md");

/// A key that no kind has, and that is like none.
const NONE: &str = "qqqqqqqqqqqqqqqqqqqq";

/// A page of the reference.
pub(crate) fn page(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("reference/{name}.md"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The plant that the examples are about.
fn small_plant() -> PointTable {
    let point = |tag: &str, class: &str, unit: &str, high: f64| PointDef {
        class: class.into(),
        unit: unit.into(),
        high: Some(high),
        ..plant::point(tag)
    };
    let mut points = Vec::new();
    for tank in ["101", "101A", "101B", "101C"] {
        let mut level = point(&format!("LT-{tank}"), "tank_level", "m", 18.0);
        level.limits = Limits {
            ll: Some(0.5),
            l: Some(1.0),
            h: Some(16.0),
            hh: Some(17.5),
        };
        points.push(level);
        points.push(point(&format!("FT-{tank}"), "flow", "m³/h", 500.0));
        points.push(point(&format!("FT-{tank}D"), "flow", "m³/h", 500.0));
        points.push(point(&format!("PT-{tank}"), "pressure", "MPa", 2.5));
    }
    points.push(point("AT-301", "gas_toxic", "ppm", 100.0));
    points.push(point("XS-401", "contact", "", 1.0));
    points.push(point("XV-401.OUT", "valve", "%", 100.0));
    points.push(point("XV-401.ZT", "valve", "%", 100.0));
    points.push(point("TIC-501.PV", "temperature", "°C", 200.0));
    points.push(point("TIC-501.SP", "temperature", "°C", 200.0));
    plant::table(points)
}

/// What a text says of unknown keys: all that are known where they stand.
fn known(text: &str) -> BTreeSet<String> {
    let files = [("rules/a.toml".into(), text.to_owned())];
    let (_, faults) = compile(&files, &small_plant(), &[]);
    let lists = faults.iter().filter(|d| d.message.contains(NONE));
    let lists = lists.filter_map(|d| d.hint.strip_prefix("known here: "));
    let keys = lists.flat_map(|list| list.split(", "));
    keys.map(str::to_owned).collect()
}

/// All keys of a kind, those of the tables within it too.
fn keys_of(kind: Kind) -> BTreeSet<String> {
    let head = format!("schema = 1\n[[{}]]\n", kind.name());
    let own = known(&format!("{head}{NONE} = 1\n"));
    let mut all = own.clone();
    for key in own {
        all.extend(known(&format!("{head}{key} = {{ {NONE} = 1 }}\n")));
        all.extend(known(&format!("{head}{key} = [{{ {NONE} = 1 }}]\n")));
    }
    all
}

/// What stands in backquotes in the first cell of a row, or in its words.
fn told(page: &str) -> BTreeSet<&str> {
    let rows = page.lines().filter(|l| l.starts_with("| "));
    rows.flat_map(|l| l.split('`').skip(1).step_by(2))
        .flat_map(|code| code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .collect()
}

/// The TOML of a page.
fn example(page: &str) -> Option<&str> {
    let (_, after) = page.split_once("```toml\n")?;
    Some(after.split_once("```")?.0)
}

#[test]
fn every_kind_has_its_page() {
    let common = page("README");
    for kind in super::all() {
        let name = kind.name();
        let page = page(name);
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        assert!(
            page.contains("**Blind.**"),
            "{name}: what when it is blind?"
        );
        let link = format!("[{name}]({name}.md)");
        assert!(common.contains(&link), "the index has no {link}");
        let link = format!("(rules/reference/{name}.md)");
        assert!(MANUAL.contains(&link), "the manual has no {link}");
    }
}

#[test]
fn every_key_stands_in_the_reference() {
    let common = page("README");
    for kind in super::all() {
        let page = page(kind.name());
        let keys = keys_of(kind);
        assert!(keys.len() > 8, "{kind:?}: {keys:?}");
        let missing: Vec<&String> = keys
            .iter()
            .filter(|k| !told(&page).contains(&***k) && !told(&common).contains(&***k))
            .collect();
        assert!(missing.is_empty(), "{}: {missing:?}", kind.name());
    }
}

#[test]
fn every_example_compiles_and_is_of_its_kind() {
    for kind in super::all() {
        let page = page(kind.name());
        let text = example(&page).unwrap_or_else(|| panic!("{}: no example", kind.name()));
        let table = small_plant();
        let files = [("rules/a.toml".into(), text.to_owned())];
        let (rules, faults) = compile(&files, &table, &[]);
        assert_eq!(faults, [], "{}", kind.name());
        let rules = rules.expect("no fault");
        let of_kind = rules.rules().iter().filter(|r| r.origin.is_some());
        let of_kind: Vec<Kind> = of_kind.map(|r| r.kind).collect();
        assert!(of_kind.contains(&kind), "{}: {of_kind:?}", kind.name());
    }
}
