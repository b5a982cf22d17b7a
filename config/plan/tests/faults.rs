//! Every fault code: one small slip in a sound directory, the one fault that it makes, and the
//! text that its caret stands under.

use std::collections::BTreeSet;
use std::path::Path;

use davy_plan::{Loaded, load_with_environment};
use davy_points::Severity;

const SITE: &str = r#"schema = 1
[site]
id = "plant"
name = "示范厂"
zone = "Asia/Shanghai"
[[hazard]]
id = "TF"
name = "罐区"
grade = 3
[[area]]
id = "yard"
[[gateway]]
id = "gw-1"
[[gateway]]
id = "gw-2"
[center]
listen = "127.0.0.1:8080"
broker = "mqtt://127.0.0.1:1883"
[[sink]]
id = "vm"
url = "http://127.0.0.1:8428"
bucket = "davy"
"#;

const SOURCES: &str = r#"schema = 1
[[modbus]]
id = "plc"
gateway = "gw-1"
address = "tcp://127.0.0.1:502"
timeout = "300ms"
poll = { fast = "250ms", normal = "1s", slow = "5s" }
gap = 8
[[mqtt]]
id = "hall"
gateway = "gw-1"
address = "mqtt://127.0.0.1:1883"
topics = ["plant/hall/#"]
payload = { kind = "json", value = "value", time = "ts" }
stale_after = "30s"
"#;

const HEADER: &str = "tag,description,hazard,area,class,unit,low,high,source,unit_id,table,address,type,order,scale,offset,raw_low,raw_high,signal,status,poll,report_deadband,LL,L,H,HH,deadband,on_delay,off_delay,priority,stale_after,sentinel,life,calibration_due,note";
const LEVEL: &str = "LT-1,液位,TF,yard,level,m,0,14,plc,1,holding,10,u16,ABCD,,,4000,20000,4-20mA,90 fault=0x1,fast,0.01,1.9,2,11.5,12.2,0.07,5s,10s,,3s,0xFFFF,in_service,2027-03-01,";
const GAS: &str =
    "AT-1,氨,TF,yard,gas,ppm,0,1000,hall,,,plant/hall/AT-1,,,,,,,,,,,,,28,57,1,,,1,,,,,";

/// What a directory holds.
struct Directory {
    files: Vec<(String, Vec<u8>)>,
    env: Vec<(&'static str, &'static str)>,
}

impl Directory {
    fn sound() -> Directory {
        let points = format!("{HEADER}\n{LEVEL}\n{GAS}\n");
        Directory {
            files: vec![
                ("site.toml".to_owned(), SITE.into()),
                ("sources.toml".to_owned(), SOURCES.into()),
                ("points.csv".to_owned(), points.into()),
            ],
            env: Vec::new(),
        }
    }

    fn text(&mut self, name: &str) -> &mut Vec<u8> {
        let i = self.files.iter().position(|(n, _)| n == name);
        let i = i.unwrap_or_else(|| {
            self.files.push((name.to_owned(), Vec::new()));
            self.files.len() - 1
        });
        &mut self.files[i].1
    }

    /// The same with one text in place of another, which must be there.
    fn with(mut self, name: &str, from: &str, to: &str) -> Directory {
        let text = self.text(name);
        let old = String::from_utf8(text.clone()).expect("text");
        assert!(old.contains(from), "{name} has no {from:?}");
        *text = old.replacen(from, to, 1).into_bytes();
        self
    }

    fn add(mut self, name: &str, text: &[u8]) -> Directory {
        *self.text(name) = text.to_vec();
        self
    }

    fn without(mut self, name: &str) -> Directory {
        self.files.retain(|(n, _)| n != name);
        self
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Directory {
        self.env.push((name, value));
        self
    }

    fn load(&self) -> Loaded {
        let dir = tempfile::tempdir().expect("a folder");
        for (name, text) in &self.files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        load_with_environment(dir.path(), jiff::civil::date(2026, 12, 1), &|name| {
            let found = self.env.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        })
    }
}

fn site(from: &str, to: &str) -> Directory {
    Directory::sound().with("site.toml", from, to)
}

fn sources(from: &str, to: &str) -> Directory {
    Directory::sound().with("sources.toml", from, to)
}

/// The level point with cells changed: `("HH", "15")`.
fn level(cells: &[(&str, &str)]) -> Directory {
    row(LEVEL, cells)
}

fn row(row: &str, cells: &[(&str, &str)]) -> Directory {
    let names: Vec<&str> = HEADER.split(',').collect();
    let mut values: Vec<&str> = row.split(',').collect();
    assert_eq!(names.len(), values.len());
    for (name, value) in cells {
        let i = names.iter().position(|n| n == name).expect("a column");
        values[i] = value;
    }
    Directory::sound().with("points.csv", row, &values.join(","))
}

/// Each fault as `CODE "text under the caret"`.
fn seen(loaded: &Loaded) -> Vec<String> {
    loaded
        .faults
        .iter()
        .map(|d| {
            let text = loaded.texts.iter().find(|(path, _)| *path == d.file);
            let under = text.and_then(|(_, t)| t.get(d.span.clone())).unwrap_or("");
            let under = under.lines().next().unwrap_or("");
            assert!(!d.message.is_empty() && !d.hint.is_empty(), "{d:?}");
            format!("{} {under}", d.code).trim_end().to_owned()
        })
        .collect()
}

/// The directory has exactly these faults.
#[track_caller]
fn check(directory: &Directory, expected: &[&str]) {
    let loaded = directory.load();
    let mut got = seen(&loaded);
    let mut expected: Vec<&str> = expected.to_vec();
    got.sort();
    expected.sort_unstable();
    assert_eq!(got, expected, "{:#?}", loaded.faults);
    let refused = loaded.faults.iter().any(|d| d.severity == Severity::Error);
    assert_eq!(loaded.plan.is_none(), refused);
}

#[test]
fn a_sound_directory_has_no_fault() {
    check(&Directory::sound(), &[]);
}

#[test]
fn files() {
    let sound = Directory::sound;
    check(&sound().without("site.toml"), &["E100"]);
    check(&sound().without("sources.toml"), &["E100"]);
    check(&sound().without("points.csv"), &["E100"]);
    check(&sound().add("sources.toml", b"\xff\xfe\x00"), &["E101"]);
    check(
        &sound().without("points.csv").add("points.csv/a", b""),
        &["E101"],
    );
    check(&sound().add("rules/bad.toml", b"\xff\xff"), &["E101"]);
    check(&sound().add("points.xlsx", b"PK"), &["E224"]);
    check(
        &sound().without("points.csv").add("points.xlsx", b"PK"),
        &["E101"],
    );
    let nowhere = davy_plan::load(Path::new("/nonexistent"), jiff::civil::date(2026, 12, 1));
    assert_eq!(seen(&nowhere), ["E100"]);
}

#[test]
fn toml_shapes() {
    check(&site("zone = \"Asia", "zone = Asia"), &["E102"]);
    check(&site("name = \"罐区\"", "colour = 1"), &["E103 colour"]);
    check(&site("zone = \"Asia/Shanghai\"", ""), &["E104 site"]);
    check(&site("grade = 3", "grade = \"三\""), &["E105 \"三\""]);
    check(&site("grade = 3", "grade = 5"), &["E116 5"]);
    check(&sources("\"300ms\"", "\"300\""), &["E106 \"300\""]);
    check(&sources("\"300ms\"", "\"0s\""), &["E106 \"0s\""]);
    check(
        &sources("\"250ms\"", "\"2s\""),
        &["E116 { fast = \"2s\", normal = \"1s\", slow = \"5s\" }"],
    );
    check(&sources("gap = 8", "gap = 125"), &["E116 125"]);
    check(&sources("gap = 8", "clock = \"sun\""), &["E105 \"sun\""]);
    check(
        &sources("kind = \"json\"", "kind = \"xml\""),
        &["E105 \"xml\""],
    );
    check(
        &sources("topics = [\"plant/hall/#\"]", "topics = [1]"),
        &["E105 1"],
    );
    // A slip in an array of tables names its table.
    let loaded = sources("gap = 8", "gaps = 8").load();
    assert_eq!(
        loaded.faults[0].message,
        "unknown key `gaps` in [[modbus]] plc"
    );
    assert_eq!(loaded.faults[0].hint, "did you mean `gap`?");
}

#[test]
fn a_newer_schema_is_one_clear_line() {
    check(&site("schema = 1", "schema = 2\ncolour = 1"), &["E111 2"]);
    check(&site("schema = 1\n", ""), &["E111"]);
    check(&sources("schema = 1", "schema = \"1\""), &["E111 \"1\""]);
}

#[test]
fn ids_and_what_names_them() {
    check(
        &site("id = \"plant\"", "id = \"Plant 1\""),
        &["E110 \"Plant 1\""],
    );
    check(
        &site("id = \"gw-2\"", "id = \"center\""),
        &["E110 \"center\""],
    );
    check(&site("id = \"gw-2\"", "id = \"gw-1\""), &["E108 \"gw-1\""]);
    check(
        &sources("id = \"hall\"", "id = \"plc\""),
        &["E108 \"plc\"", "E208 hall"],
    );
    check(&sources("\"gw-1\"", "\"gw-3\""), &["E109 \"gw-3\""]);
    // A gateway whose id is refused is one fault, not one of each source that names it.
    check(
        &site("id = \"gw-1\"", "id = \"GW 1\"").with("sources.toml", "\"gw-1\"", "\"GW 1\""),
        &["E110 \"GW 1\"", "E109 \"gw-1\""],
    );
    check(&level(&[("hazard", "TG")]), &["E208 TG"]);
    check(&level(&[("area", "yrd")]), &["E208 yrd"]);
    check(&level(&[("source", "plx")]), &["E208 plx"]);
    // A torn file is not blamed for what may be missing because of it.
    check(
        &site("[[gateway]]\nid = \"gw-1\"", "[[gateway]\nid = \"gw-1\""),
        &["E102"],
    );
}

#[test]
fn addresses() {
    check(
        &sources("tcp://127.0.0.1:502", "127.0.0.1"),
        &["E107 \"127.0.0.1\""],
    );
    check(
        &sources("tcp://127.0.0.1:502", "rtu:///dev/ttyS1"),
        &["E113 \"rtu:///dev/ttyS1\""],
    );
    check(
        &sources("tcp://127.0.0.1:502", "rtu+tcp://h:4001"),
        &["E113 \"rtu+tcp://h:4001\""],
    );
    check(
        &sources("\"json\"", "\"sparkplug\""),
        &["E113 \"sparkplug\""],
    );
    check(
        &site("127.0.0.1:8080", "0.0.0.0:8080"),
        &["E112 \"0.0.0.0:8080\""],
    );
    check(&site("127.0.0.1:8080", "here"), &["E107 \"here\""]);
    check(
        &site("http://127.0.0.1:8428", "http://vm/insert/0"),
        &["E115 \"http://vm/insert/0\""],
    );
    check(
        &sources("plant/hall/#", "plant/#/hall"),
        &["E119 \"plant/#/hall\""],
    );
    check(&sources("[\"plant/hall/#\"]", "[]"), &["E119 []"]);
    check(
        &site("Asia/Shanghai", "Asia/Shanghia"),
        &["E118 \"Asia/Shanghia\""],
    );
}

#[test]
fn secrets() {
    let key = "command_key_file = \"key\"\n[[sink]]";
    let long = b"0123456789abcdef\n";
    check(&site("[[sink]]", key).add("key", long), &[]);
    check(&site("[[sink]]", key), &["E114 \"key\""]);
    check(&site("[[sink]]", key).add("key", b" \n"), &["E114 \"key\""]);
    check(
        &site("[[sink]]", key).add("key", b"short"),
        &["E114 \"key\""],
    );
    check(
        &site("[[sink]]", key).add("key", b"two lines\nof text"),
        &["E114 \"key\""],
    );
    check(
        &Directory::sound().env("DAVY_CENTER_TOKEN", "a\r\nb"),
        &["E114"],
    );
    // A password that no user goes with would not be sent at all.
    check(
        &Directory::sound().env("DAVY_BROKER_PASSWORD", "secret"),
        &["E114 center"],
    );
    check(
        &Directory::sound().env("DAVY_SOURCE_HALL_PASSWORD", "secret"),
        &["E114 [[mqtt]]"],
    );
    check(
        &site("mqtt://127", "mqtt://gw:hunter2@127"),
        &["E114 \"mqtt://gw:*******@127.0.0.1:1883\""],
    );
    check(
        &site("bucket", "token = \"hunter2\"\nbucket"),
        &["E103 token"],
    );

    let loaded = site("[[sink]]", key)
        .add("key", long)
        .env("DAVY_CENTER_TOKEN", "center-token")
        .env("DAVY_SINK_VM_TOKEN", "sink-token")
        .env("DAVY_SOURCE_HALL_PASSWORD", "hall-password")
        .env("DAVY_BROKER_USER", "gw-1")
        .env("DAVY_BROKER_PASSWORD", "broker-password")
        .with("sources.toml", "mqtt://127", "mqtt://hall@127")
        .load();
    let plan = loaded.plan.expect("a plan");
    // Each process may be another user of the broker, under one and the same plan.
    assert_eq!(plan.center.broker.user.as_deref(), Some("gw-1"));
    assert_eq!(plan.center.token.as_deref(), Some("center-token"));
    assert_eq!(
        plan.center.command_key.as_deref(),
        Some(&b"0123456789abcdef"[..])
    );
    assert_eq!(plan.sinks[0].token.as_deref(), Some("sink-token"));
    let shown = format!("{plan:?}");
    for secret in [
        "center-token",
        "sink-token",
        "hall-password",
        "broker-password",
        "48, 49",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    // A secret is not part of the hash that all processes compare.
    let rev = Directory::sound().load().plan.expect("a plan").rev;
    let with = Directory::sound().env("DAVY_CENTER_TOKEN", "t").load();
    assert_eq!(rev, with.plan.expect("a plan").rev);
}

#[test]
fn clocks_and_recordings() {
    let time = "time = { unit_id = 1, table = \"holding\", address = 0, order = \"ABCD\" }";
    let recorded = format!("clock = \"recorded\"\n{time}\n[[mqtt]]");
    check(
        &sources("[[mqtt]]", "clock = \"device\"\n[[mqtt]]"),
        &["E117 \"device\""],
    );
    check(
        &sources("[[mqtt]]", &format!("{time}\n[[mqtt]]")),
        &["E117 { unit_id = 1, table = \"holding\", address = 0, order = \"ABCD\" }"],
    );
    // `hall` is live and shares the gateway.
    check(&sources("[[mqtt]]", &recorded), &["E117 [[mqtt]]"]);
    let apart = sources("[[mqtt]]", &recorded).with(
        "sources.toml",
        "id = \"hall\"\ngateway = \"gw-1\"",
        "id = \"hall\"\ngateway = \"gw-2\"",
    );
    check(&apart, &[]);
    let plan = apart.load().plan.expect("a plan");
    assert!(plan.points.sources().next().expect("plc").1.recorded);
    check(
        &sources(", time = \"ts\"", "").with(
            "sources.toml",
            "stale_after",
            "clock = \"device\"\nstale_after",
        ),
        &["E117 \"device\""],
    );
    let fast = "normal = \"1s\"";
    check(
        &sources(
            &format!("{{ fast = \"250ms\", {fast}"),
            "{ fast = \"0s\", normal = \"0s\"",
        )
        .with("points.csv", ",3s,0xFFFF", ",,0xFFFF"),
        &[&format!("E219 {}", LEVEL.replace(",3s,", ",,"))],
    );
    check(
        &sources("[[mqtt]]", &recorded.replace("unit_id = 1", "unit_id = 0")).with(
            "sources.toml",
            "id = \"hall\"\ngateway = \"gw-1\"",
            "id = \"hall\"\ngateway = \"gw-2\"",
        ),
        &["E116 0"],
    );
}

#[test]
fn the_table_itself() {
    let sound = Directory::sound;
    check(&sound().add("points.csv", b"\n"), &["E200"]);
    check(&sound().add("points.csv", HEADER.as_bytes()), &["E200"]);
    check(
        &sound().with("points.csv", ",deadband,on", ",dedband,on"),
        &["E201 dedband"],
    );
    let loaded = sound()
        .with("points.csv", ",deadband,on", ",deadbnad,on")
        .load();
    assert_eq!(loaded.faults[0].hint, "did you mean `deadband`?");
    check(
        &sound().add(
            "points.csv",
            "tag,class,source\nLT-1,level,plc\n".as_bytes(),
        ),
        &["E202 tag,class,source", "E202 tag,class,source"],
    );
    check(&sound().with("points.csv", "note", "位号"), &["E203 位号"]);
    check(&sound().with("points.csv", "note", "介质"), &["W206 介质"]);
    check(
        &sound().with("points.csv", GAS, &format!("{GAS},extra")),
        &["E204 extra"],
    );
    check(
        &sound().with("points.csv", "AT-1,氨", "AT-1,\"氨"),
        &[&format!("E204 {}", GAS.replace('氨', "\"氨"))],
    );
    check(&level(&[("tag", "AT-1")]), &["E209 AT-1"]);
    check(&level(&[("tag", "LT/1")]), &["E210 LT/1"]);
}

#[test]
fn cells() {
    let blank = |column: &str, row: &str| format!("E205 {}", row.replacen(column, "", 1));
    check(&level(&[("class", "")]), &[&blank("level", LEVEL)]);
    check(&level(&[("unit_id", "/")]), &["E205 /"]);
    check(&level(&[("type", "无")]), &["E205 无"]);
    check(&level(&[("table", "—")]), &["E205 —"]);
    check(&level(&[("H", "11.5 m")]), &["E206 11.5 m"]);
    check(&level(&[("H", "NaN")]), &["E206 NaN"]);
    check(&level(&[("sentinel", "nan")]), &["E206 nan"]);
    check(&level(&[("table", "holdnig")]), &["E207 holdnig"]);
    check(&level(&[("type", "u17")]), &["E207 u17"]);
    check(&level(&[("order", "ACBD")]), &["E207 ACBD"]);
    check(&level(&[("signal", "HART")]), &["E207 HART"]);
    check(&level(&[("poll", "hourly")]), &["E207 hourly"]);
    check(&level(&[("life", "retired")]), &["E207 retired"]);
    check(&level(&[("priority", "5")]), &["E207 5"]);
    check(&level(&[("priority", "一级")]), &["E207 一级"]);
    check(&level(&[("HH", "11.5")]), &["E211 11.5"]);
    check(&level(&[("LL", "2.1")]), &["E211 2"]);
    check(&level(&[("HH", "15")]), &["E212 15"]);
    check(&level(&[("low", "14")]), &["E213 14"]);
    check(&level(&[("raw_high", "4000")]), &["E214 4000"]);
    check(&level(&[("raw_high", "-")]), &["E214 -"]);
    check(&level(&[("scale", "2")]), &["E214 4000"]);
    check(
        &level(&[("raw_low", ""), ("raw_high", "")]),
        &["E214 4-20mA"],
    );
    check(&level(&[("low", "/")]), &["E214 4000"]);
    check(
        &level(&[("table", "holding"), ("type", "bool")]),
        &["E215 bool"],
    );
    check(&level(&[("deadband", "-1")]), &["E225 -1"]);
    check(
        &level(&[
            ("scale", "0"),
            ("raw_low", ""),
            ("raw_high", ""),
            ("signal", ""),
        ]),
        &["E225 0"],
    );
    check(&level(&[("sentinel", "65536")]), &["E225 65536"]);
    check(&level(&[("on_delay", "5")]), &["E220 5"]);
    check(&level(&[("stale_after", "100ms")]), &["E219 100ms"]);
    check(
        &level(&[("calibration_due", "2027-02-30")]),
        &["E223 2027-02-30"],
    );
    check(
        &level(&[("calibration_due", "2026-11-30")]),
        &["W203 2026-11-30"],
    );
    check(&level(&[("calibration_due", "2026-12-01")]), &[]);
}

#[test]
fn registers() {
    check(&level(&[("unit_id", "0")]), &["E217 0"]);
    check(&level(&[("unit_id", "248")]), &["E217 248"]);
    check(&level(&[("unit_id", "255")]), &[]);
    check(&level(&[("unit_id", "x")]), &["E217 x"]);
    check(&level(&[("address", "65536")]), &["E216 65536"]);
    check(
        &level(&[("address", "65534"), ("type", "f64"), ("sentinel", "")]),
        &["E216 65534"],
    );
    check(&level(&[("address", "40011")]), &["W201 40011"]);
    check(
        &level(&[("address", "400011"), ("table", "")]),
        &["W201 400011"],
    );
    check(&level(&[("address", "30011")]), &["E216 30011"]);
    check(&level(&[("address", "ten")]), &["E216 ten"]);
    check(&level(&[("status", "90")]), &["E218 90"]);
    check(
        &level(&[
            ("table", "coil"),
            ("type", ""),
            ("raw_low", ""),
            ("raw_high", ""),
            ("signal", ""),
            ("low", ""),
            ("high", ""),
            ("sentinel", ""),
        ]),
        &["E218 90 fault=0x1"],
    );
    let plan = level(&[("address", "40011")]).load().plan.expect("a plan");
    let ix = plan.points.find("LT-1").expect("the point");
    let davy_points::Binding::Modbus(m) = &plan.points.point(ix).binding else {
        panic!("not Modbus");
    };
    assert_eq!(m.address, 10);
    // Three rows in the old style are said once.
    let rows = format!(
        "{}\n{}\n{}",
        LEVEL.replace(",10,u16", ",40011,u16"),
        LEVEL
            .replace("LT-1", "LT-2")
            .replace(",10,u16", ",40012,u16"),
        LEVEL
            .replace("LT-1", "LT-3")
            .replace(",10,u16", ",40013,u16"),
    );
    let loaded = Directory::sound().with("points.csv", LEVEL, &rows).load();
    assert_eq!(seen(&loaded), ["W201 40011"]);
    assert!(
        loaded.faults[0].message.contains("2 more rows"),
        "{:?}",
        loaded.faults[0]
    );
}

#[test]
fn two_points_in_one_place() {
    let twice =
        |second: &str| Directory::sound().with("points.csv", GAS, &format!("{GAS}\n{second}"));
    check(&twice(&LEVEL.replace("LT-1", "LT-2")), &["W202 10"]);
    // A 32-bit value reaches into its neighbour.
    let wide = LEVEL
        .replace("LT-1", "LT-2")
        .replace(",10,u16,", ",9,u32,")
        .replace("0xFFFF", "");
    check(&twice(&wide), &["W202 9"]);
    check(
        &twice(&GAS.replacen("AT-1,", "AT-2,", 1)),
        &["W202 plant/hall/AT-1"],
    );
    // Bits of one word are points of their own.
    let bit = |tag: &str, n: u8| {
        format!("{tag},,,,run,,,,plc,1,holding,10,bit.{n},,,,,,,,,,,,,,,,,,,,,,")
    };
    check(
        &twice(&format!("{}\n{}", bit("XS-1", 0), bit("XS-2", 1))),
        &[],
    );
    check(
        &twice(&format!("{}\n{}", bit("XS-1", 3), bit("XS-2", 3))),
        &["W202 10"],
    );
}

#[test]
fn types_of_another_kind() {
    let coil = &[
        ("table", "coil"),
        ("type", ""),
        ("raw_low", ""),
        ("raw_high", ""),
        ("signal", ""),
        ("low", ""),
        ("high", ""),
        ("sentinel", ""),
        ("status", ""),
    ];
    check(&level(coil), &[]);
    let with = |more: (&'static str, &'static str)| level(&[coil.as_slice(), &[more]].concat());
    check(&with(("type", "u16")), &["E215 u16"]);
    check(&with(("scale", "2")), &["E215 2"]);
    let text = [
        ("type", "text.4"),
        ("raw_low", ""),
        ("raw_high", ""),
        ("signal", ""),
        ("sentinel", ""),
    ];
    check(
        &level(&text),
        &["E215 1.9", "E215 2", "E215 11.5", "E215 12.2"],
    );
}

#[test]
fn topics() {
    check(&row(GAS, &[("unit_id", "1")]), &["E221 1"]);
    check(&row(GAS, &[("poll", "fast")]), &["E221 fast"]);
    check(
        &row(GAS, &[("address", "plant/yard/AT-1")]),
        &["E222 plant/yard/AT-1"],
    );
    check(
        &row(GAS, &[("address", "plant/hall/+")]),
        &["E222 plant/hall/+"],
    );
    check(
        &row(GAS, &[("address", "plant/hall/AT-1#a..b")]),
        &["E222 plant/hall/AT-1#a..b"],
    );
    check(&row(GAS, &[("address", "plant/hall/AT-1#gas.value")]), &[]);
    check(&row(GAS, &[("stale_after", "0s")]), &["E219 0s"]);
    let number = "payload = { kind = \"number\" }";
    check(
        &row(GAS, &[("address", "plant/hall/AT-1#a")]).with(
            "sources.toml",
            "payload = { kind = \"json\", value = \"value\", time = \"ts\" }",
            number,
        ),
        &["E222 plant/hall/AT-1#a"],
    );
}

#[test]
fn a_source_that_nobody_reads() {
    check(
        &Directory::sound().with("points.csv", GAS, ""),
        &["W101 [[mqtt]]"],
    );
}

/// A table as Chinese Excel saves it: GB18030, Chinese headers with units, full-width digits,
/// signs for "none", the old address style.
#[test]
fn a_table_as_integrators_send_it() {
    let table = "序号,位号,描述,重大危险源,仪表类型,单位,量程下限,量程上限,数据源,站号,功能码,寄存器地址,数据类型,字节序(ABCD/CDAB),低低报,低报,高报,高高报,延时(s),采集周期(ms),报警级别\r\n\
         1,ＬＴ-1,苯罐液位,TF,液位,ｍ,0,１４,plc,1,03,40001,float,cdab,无,—,１１．５,12.2,5,1000,/\r\n";
    let (bytes, _, lost) = encoding_rs::GB18030.encode(table);
    assert!(!lost);
    let directory = Directory::sound().add("points.csv", &bytes);
    check(&directory, &["W101 [[mqtt]]", "W201 40001", "W206 序号"]);
    let plan = directory.load().plan.expect("a plan");
    let p = plan
        .points
        .point(plan.points.find("LT-1").expect("the tag, in plain letters"));
    assert_eq!((p.low, p.high), (Some(0.0), Some(14.0)));
    assert_eq!((p.limits.ll, p.limits.l), (None, None));
    assert_eq!((p.limits.h, p.limits.hh), (Some(11.5), Some(12.2)));
    assert_eq!(p.on_delay, std::time::Duration::from_secs(5));
    assert_eq!(p.poll, davy_points::PollClass::Normal);
    assert_eq!(&*p.unit, "m");
    assert_eq!(p.stale_after, p.expected_interval * 3);
    let davy_points::Binding::Modbus(m) = &p.binding else {
        panic!("not Modbus");
    };
    assert_eq!(m.order, davy_points::ByteOrder::Cdab);
    assert_eq!(m.table, davy_points::ModbusTable::Holding);
    assert_eq!(m.address, 0);
}

/// No bytes, however torn, stop the reading; and every place lies within its text.
mod torn {
    use super::*;
    use proptest::prelude::*;

    fn whole(directory: &Directory) {
        let loaded = directory.load();
        let refused = loaded.faults.iter().any(|d| d.severity == Severity::Error);
        assert_eq!(loaded.plan.is_none(), refused);
        for d in &loaded.faults {
            let text = loaded.texts.iter().find(|(path, _)| *path == d.file);
            let places = std::iter::once((&d.file, &d.span));
            for (file, span) in places.chain(d.related.iter().map(|(f, s, _)| (f, s))) {
                assert_eq!(*file, d.file);
                let text = text.map_or("", |(_, t)| t);
                assert!(text.get(span.clone()).is_some(), "{d:?}");
            }
        }
    }

    fn name() -> impl Strategy<Value = &'static str> {
        prop_oneof![Just("site.toml"), Just("sources.toml"), Just("points.csv")]
    }

    /// What slips are made of, and what parsers stumble over.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..8),
            "\\PC{0,6}".prop_map(String::into_bytes),
            proptest::sample::select(vec![
                "\"",
                "[",
                "[[",
                "]",
                "]]",
                "{",
                "}",
                "=",
                ",",
                "\n",
                "\r",
                "\t",
                "#",
                ".",
                "'",
                "\"\"\"",
                "0",
                "-1",
                "65535",
                "40001",
                "99999999999999999999",
                "1e999",
                "nan",
                "0x",
                "bit.",
                "text.255",
                "\u{feff}",
                "\u{2028}",
                "\0",
                "：",
                "９",
                "@",
                "://",
                "[::",
                "id = \"x\"",
                "a.b.c",
            ])
            .prop_map(|s| s.as_bytes().to_vec()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes(name in name(), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            whole(&Directory::sound().add(name, &bytes));
        }

        #[test]
        fn any_workbook(bytes in proptest::collection::vec(any::<u8>(), 0..400), magic in any::<bool>()) {
            let mut file = if magic { b"PK\x03\x04".to_vec() } else { Vec::new() };
            file.extend(bytes);
            whole(&Directory::sound().without("points.csv").add("points.xlsx", &file));
        }

        #[test]
        fn slips(edits in proptest::collection::vec((name(), any::<prop::sample::Index>(), 0usize..12, piece()), 1..4)) {
            let mut directory = Directory::sound();
            for (name, at, cut, piece) in edits {
                let text = directory.text(name);
                let at = at.index(text.len() + 1);
                let end = (at + cut).min(text.len());
                text.splice(at..end, piece);
            }
            whole(&directory);
        }

        /// One cell of a row with anything in it.
        #[test]
        fn any_cell(column in 0usize..35, cell in "\\PC{0,12}", mqtt in any::<bool>()) {
            let row = if mqtt { GAS } else { LEVEL };
            let mut cells: Vec<String> = row.split(',').map(str::to_owned).collect();
            cells[column] = format!("\"{}\"", cell.replace('"', "\"\""));
            whole(&Directory::sound().with("points.csv", row, &cells.join(",")));
        }
    }
}

/// Each code that the sources can say stands in a test above.
#[test]
fn every_code_has_a_test() {
    let codes = |text: &str| -> BTreeSet<String> {
        text.match_indices(['E', 'W'])
            .filter_map(|(i, _)| text.get(i..i + 4))
            .filter(|c| c[1..].bytes().all(|b| b.is_ascii_digit()))
            .map(str::to_owned)
            .collect()
    };
    let mut said = BTreeSet::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in std::fs::read_dir(src).expect("the sources") {
        let text = std::fs::read_to_string(entry.expect("a file").path()).expect("text");
        for line in text
            .lines()
            .filter(|l| l.contains("\"E") || l.contains("\"W"))
        {
            said.extend(codes(line));
        }
    }
    let tested = codes(include_str!("faults.rs"));
    let missing: Vec<_> = said.difference(&tested).collect();
    assert!(said.len() > 40 && missing.is_empty(), "{missing:?}");
}
