//! What a person sees of a thoroughly broken directory, and what a machine reads.

use super::*;
use davy_plan::{Loaded, load_with_environment};

const SITE: &str = r#"schema = 1

[site]
id = "Plant 1"
name = "示范厂"
zone = "Asia/Shanghia"
color = "red"

[[hazard]]
id = "TF"
name = "罐区"
grade = 5

[[hazard]]
id = "TF"
name = "又一个罐区"

[[gateway]]
id = "gw-tank"

[[gateway]]
id = "center"

[center]
listen = "0.0.0.0:8080"
broker = "mqtt://gw:hunter2@10.0.0.1"
command_key_file = "no-such-file"

[[sink]]
id = "vm"
url = "http://vm:8480/insert/0/influx"
bucket = 7
"#;

const SOURCES: &str = r#"schema = 1

[[modbus]]
id = "plc-1"
gateway = "gw-tnak"
adress = "tcp://127.0.0.1:502"
timeout = "300 parsecs"
max_registers = 200

[[modbus]]
id = "plc-2"
gateway = "gw-tank"
address = "rtu:///dev/ttyS1?baud=9600"

[[modbus]]
id = "plc-3"
gateway = "gw-tank"
address = "tcp://127.0.0.1:502"

[[mqtt]]
id = "broker"
gateway = "gw-tank"
address = "mqtt://127.0.0.1"
topics = ["plant/#/x", "plant/hall/+"]
payload = { kind = "sparkplug" }

[[mqtt]]
id = "hall"
gateway = "gw-tank"
address = "mqtt://127.0.0.1"
topics = ["plant/hall/+"]
payload = { kind = "json" }
clock = "device"
"#;

const POINTS: &str = "\
位号,描述,重大危险源,仪表类型,单位,量程下限,量程上限,source,站号,功能码,寄存器地址,数据类型,低低报,低报,高报,高高报,延时,检定有效期,stale_after,poll,备注,colour
LT-1,苯罐液位,TF,tank_level,m,0,14,plc-3,1,3,40001,u16,1.9,2.0,１１．５,12.2,5s,2020-01-01,,,第一行,
LT-1,重号,TF,tank_level,m,0,14,plc-3,1,3,1,u16,2.5,2.0,11.5,15,5,,,,,
LT 2,标签有空格,TF,tank_level,m,14,0,plc-3,0,9,30001,u16,—,无,/,-,5s,,100ms,,,
LT-3,地址与功能码矛盾,TG,tank_level,m,0,14,plc-9,1,3,30001,u16,,,,,,明天,,,,
LT-4,数字里有字,TF,,m,0,十四,plc-3,1,3,0x10,float64x,,,高,,,,,,,
LT-5,线圈不是数,TF,switch,,,,plc-3,1,1,65536,u16,,,,,,,,hourly,,
LT-6,越界,TF,tank_level,m,0,14,plc-3,248,4,65535,f32,,,,,,,,,,
AT-1,不订阅的主题,TF,gas,ppm,0,100,hall,1,,plant/yard/AT-1,,,,,,,,,,,
AT-2,\"引号,没有关,TF
";

fn broken() -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("site.toml", SITE);
    write("sources.toml", SOURCES);
    write("points.csv", POINTS);
    load_with_environment(dir.path(), jiff::civil::date(2026, 12, 1), &|_| None)
}

#[test]
fn a_thoroughly_broken_directory_as_a_person_sees_it() {
    let loaded = broken();
    assert!(loaded.plan.is_none());
    let text = render(&loaded.faults, &loaded.texts, false);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_same_for_a_machine() {
    let loaded = broken();
    let json = to_json(&loaded.faults, &loaded.texts);
    let first = &json["faults"][0];
    assert_eq!(json["v"], 1);
    assert_eq!(
        json["errors"].as_u64().unwrap() + json["warnings"].as_u64().unwrap(),
        loaded.faults.len() as u64
    );
    assert_eq!(first["file"], "points.csv");
    assert_eq!(first["line"], 1);
    // `colour` is the 22nd column; characters count, not bytes.
    let header = POINTS.lines().next().unwrap();
    let column = header.chars().count() - "colour".len() + 1;
    assert_eq!(first["column"], column);
    assert_eq!(first["code"], "E201");
    assert_eq!(first["severity"], "error");
}

#[test]
fn colours_only_where_asked_for() {
    let loaded = broken();
    assert!(render(&loaded.faults, &loaded.texts, true).contains('\x1b'));
    assert!(!render(&loaded.faults, &loaded.texts, false).contains('\x1b'));
}

#[test]
fn an_empty_directory_is_three_lines_and_a_count() {
    let dir = tempfile::tempdir().unwrap();
    let loaded = load_with_environment(dir.path(), jiff::civil::date(2026, 12, 1), &|_| None);
    insta::assert_snapshot!(render(&loaded.faults, &loaded.texts, false));
    assert_eq!(render(&[], &[], false), "");
}

/// Whatever places a fault names, drawing it neither panics nor loses it.
#[test]
fn no_place_is_too_strange_to_draw() {
    let text = "苯,\u{2028}a\r\n\t\"罐\u{85}\n\n";
    let texts = [(PathBuf::from("f"), text.to_owned())];
    for start in 0..text.len() + 3 {
        for end in 0..text.len() + 3 {
            let fault = Diagnostic::error("E999", "f", start..end, "strange", "none").also(
                "f",
                end..start,
                "there",
            );
            let out = render(&[fault], &texts, false);
            assert!(out.contains("[E999] Error: "), "{start}..{end}: {out}");
        }
    }
}

/// The rules of every example compile against its points: what `davy check` would say of them.
#[test]
fn the_rules_of_every_example_compile() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(examples).unwrap() {
        let dir = entry.unwrap().path();
        if !dir.is_dir() {
            continue; // their README
        }
        let loaded = load_with_environment(&dir, jiff::civil::date(2026, 12, 1), &|_| None);
        let plan = loaded.plan.unwrap();
        let guidance: Vec<String> = plan.guidance.iter().map(|(name, _)| name.clone()).collect();
        let (rules, faults) =
            davy_rules::language::compile(&plan.rule_files, &plan.points, &guidance);
        assert!(
            faults.is_empty(),
            "{}",
            render(&faults, &loaded.texts, false)
        );
        let rules = rules.unwrap();
        // Every rule of the files stands, beside the six implicit ones.
        let written: usize = plan
            .rule_files
            .iter()
            .map(|(_, text)| text.lines().filter(|l| l.starts_with("[[")).count())
            .sum();
        assert_eq!(rules.rules().len(), written + 6, "{}", dir.display());
        names.push(dir.file_name().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["3w", "demo", "dust-hall", "tank-farm", "tep"]);
}

/// MANUAL.md against the sources: every fault code that can be said has its row, and no other.
#[test]
fn every_fault_code_stands_in_the_manual() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut said = std::collections::BTreeSet::new();
    for folder in [
        "config/plan/src",
        "rules/src/grammar",
        "rules/src/ruleset",
        "rules/src/language",
        "rules/src/kinds",
        "rules/src/proof",
    ] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "rs") || path.ends_with("tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            said.extend(text.split('"').filter(|t| is_code(t)).map(str::to_owned));
        }
    }
    let manual = std::fs::read_to_string(root.join("MANUAL.md")).unwrap();
    let rows: Vec<String> = manual
        .lines()
        .filter_map(|l| Some(l.strip_prefix("| ")?.split_once(" |")?.0))
        .filter(|cell| is_code(cell))
        .map(str::to_owned)
        .collect();
    assert!(said.len() > 60, "{said:?}");
    assert_eq!(rows.len(), said.len(), "a code stands there once");
    assert_eq!(
        rows.into_iter().collect::<std::collections::BTreeSet<_>>(),
        said
    );
}

fn is_code(text: &str) -> bool {
    text.len() == 4
        && text.starts_with(['E', 'L', 'W'])
        && text[1..].bytes().all(|b| b.is_ascii_digit())
}

/// Every request that the API describes stands in the manual.
#[test]
fn every_request_stands_in_the_manual() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let api = std::fs::read_to_string(root.join("center/src/server/openapi.json")).unwrap();
    let api: serde_json::Value = serde_json::from_str(&api).unwrap();
    let manual = std::fs::read_to_string(root.join("MANUAL.md")).unwrap();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let request = format!("`{} {path}`", method.to_uppercase());
            assert!(manual.contains(&request), "{request} is missing");
        }
    }
}
