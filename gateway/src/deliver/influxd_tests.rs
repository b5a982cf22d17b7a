//! Our lines before the strict parser of a real InfluxDB 1.6: it takes each one, and gives back
//! what was meant.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use davy_points::{Quality, Timestamp, Value};
use serde_json::Value as Json;

use super::lineprotocol::{Lines, SeriesKey};
use crate::machine::{Server, free_port, program};

struct Influx {
    port: u16,
    _server: Server,
    _dir: tempfile::TempDir,
}

impl Influx {
    fn start() -> Option<Influx> {
        let program = program("influxd", "influxdb")?;
        for _ in 0..20 {
            let dir = tempfile::tempdir().expect("a directory");
            let (port, rpc) = (free_port(), free_port());
            let at = |name: &str| dir.path().join(name).display().to_string();
            let conf = at("influxdb.conf");
            std::fs::write(
                &conf,
                format!(
                    "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\ndir = \"{}\"\n[data]\ndir = \"{}\"\nwal-dir = \"{}\"\n[monitor]\nstore-enabled = false\n[http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\n",
                    at("meta"),
                    at("data"),
                    at("wal"),
                ),
            )
            .expect("a file");
            if let Some(server) = Server::launch(&program, &["-config", &conf], port) {
                let influx = Influx {
                    port,
                    _server: server,
                    _dir: dir,
                };
                let (status, body) = influx.post("/query?q=CREATE%20DATABASE%20d", b"");
                assert_eq!(status, 200, "{body}");
                return Some(influx);
            }
        }
        panic!("influxd does not start");
    }

    fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let head = format!(
            "POST {path} HTTP/1.0\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(body).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .expect("a status");
        (status, body.to_owned())
    }

    fn write(&self, lines: &mut Lines) {
        let body = lines.take();
        let (status, text) = self.post("/write?db=d&precision=ns", &body);
        assert_eq!(status, 204, "{text}\n{}", String::from_utf8_lossy(&body));
    }

    /// All rows of all series: tag `tag`, time, value, quality.
    fn rows(&self, measurement: &str) -> Vec<(String, i64, Json, i64)> {
        let query = format!("SELECT value, q FROM \"{measurement}\" GROUP BY *");
        let encoded: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let (status, body) = self.post(&format!("/query?db=d&epoch=ns&q={encoded}"), b"");
        assert_eq!(status, 200, "{body}");
        let json: Json = serde_json::from_str(&body).expect("JSON");
        let mut rows = Vec::new();
        for series in json["results"][0]["series"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let tag = series["tags"]["tag"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            for row in series["values"].as_array().into_iter().flatten() {
                rows.push((
                    tag.clone(),
                    row[0].as_i64().expect("a time"),
                    row[1].clone(),
                    row[2].as_i64().expect("a quality"),
                ));
            }
        }
        rows
    }
}

/// Numbers from a fixed seed (xorshift), so that a failure comes again.
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn the_strict_parser_takes_every_line_and_means_the_same() {
    let Some(influx) = Influx::start() else {
        return;
    };
    let mut bits = Bits(0x9E37_79B9_7F4A_7C15);
    let time = |i: i64| Timestamp(1_580_000_000_000_000_000 + i);

    // Doubles, all bit patterns that a value can have.
    let mut doubles = vec![
        0.0,
        -0.0,
        1.0,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        0.1,
        1e16,
        1e-7,
    ];
    while doubles.len() < 20_000 {
        let f = f64::from_bits(bits.next());
        if f.is_finite() {
            doubles.push(f);
        }
    }
    let mut lines = Lines::new();
    let key = SeriesKey::new(
        "tank_level",
        &[("site", "s"), ("hazard", ""), ("tag", "LT-101")],
    );
    for (i, f) in (0..).zip(&doubles) {
        lines.sample(&key, &Value::F64(*f), Quality::Good, time(i));
        if lines.count() == 5000 {
            influx.write(&mut lines);
        }
    }
    lines.sample(
        &key,
        &Value::F64(f64::NAN),
        Quality::BadSensorFailure,
        time(-1),
    );
    influx.write(&mut lines);
    let rows = influx.rows("tank_level");
    assert_eq!(rows.len(), doubles.len() + 1);
    assert_eq!(
        (&rows[0].2, rows[0].3),
        (&Json::Null, 16),
        "bad: quality without a value"
    );
    for ((tag, at, value, q), (i, f)) in rows[1..].iter().zip((0..).zip(&doubles)) {
        let back = value.as_f64().expect("a number");
        assert_eq!((tag.as_str(), *at, *q), ("LT-101", time(i).ns(), 192));
        // Go prints a negative zero as 0 in JSON; every other bit comes back.
        assert!(
            back.to_bits() == f.to_bits() || (back == 0.0 && *f == 0.0),
            "{f:?} {back:?}"
        );
    }

    // Integers, truths, texts.
    let kinds: Vec<(&str, Value, Json)> = vec![
        ("count", Value::I64(i64::MIN), i64::MIN.into()),
        ("count", Value::I64(i64::MAX), i64::MAX.into()),
        ("count", Value::U64(7), 7.into()),
        (
            "big",
            Value::U64(u64::MAX),
            18_446_744_073_709_552_000_f64.into(),
        ),
        ("switch", Value::Bool(true), true.into()),
        ("switch", Value::Bool(false), false.into()),
        (
            "text",
            Value::Text(Arc::from("a \"b\" \\ , = 液位\\")),
            "a \"b\" \\ , = 液位\\".into(),
        ),
        (
            "text",
            Value::Text(Arc::from("two\nlines")),
            "two lines".into(),
        ),
        ("text", Value::Text(Arc::from("")), "".into()),
    ];
    for (i, (class, value, _)) in (0..).zip(&kinds) {
        lines.sample(
            &SeriesKey::new(class, &[("tag", "T")]),
            value,
            Quality::Good,
            time(i),
        );
    }
    influx.write(&mut lines);
    for (i, (class, _, meant)) in (0..).zip(&kinds) {
        let rows = influx.rows(class);
        let row = rows.iter().find(|r| r.1 == time(i).ns()).expect("there");
        let same = row.2 == *meant
            || row
                .2
                .as_f64()
                .zip(meant.as_f64())
                .is_some_and(|(a, b)| a == b);
        assert!(same, "{row:?} for {meant}");
    }

    // Names made of what breaks lines: each is one series, and none forges another.
    let pieces = [
        "\\", ",", "=", " ", "\"", "\n", "\t", "a", "液", "#", "'", "\u{0}", "v=1i 5",
    ];
    let mut names = Vec::new();
    for n in 0..3000_i64 {
        let mut name: String = (0..1 + bits.next() % 8)
            .map(|_| pieces[(bits.next() % pieces.len() as u64) as usize])
            .collect();
        name.push_str(&n.to_string());
        let key = SeriesKey::new("hostile", &[("gateway", ""), ("tag", &name)]);
        lines.sample(&key, &Value::F64(n as f64), Quality::Good, time(n));
        names.push(name);
    }
    influx.write(&mut lines);
    let rows = influx.rows("hostile");
    assert_eq!(rows.len(), names.len());
    for (tag, at, value, _) in rows {
        let n = at - time(0).ns();
        assert_eq!(value.as_f64(), Some(n as f64));
        let name = &names[usize::try_from(n).expect("ours")];
        assert!(tag.ends_with(&n.to_string()), "{tag:?} for {name:?}");
    }
    // Measurements too.
    for (n, name) in (0..).zip(names.iter().take(500)) {
        lines.sample(
            &SeriesKey::new(name, &[("tag", "T")]),
            &Value::F64(1.0),
            Quality::Good,
            time(n),
        );
    }
    influx.write(&mut lines);
    let (_, body) = influx.post("/query?db=d&q=SHOW%20MEASUREMENTS", b"");
    let json: Json = serde_json::from_str(&body).expect("JSON");
    let known = json["results"][0]["series"][0]["values"]
        .as_array()
        .expect("some")
        .len();
    let mine = names
        .iter()
        .take(500)
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    assert!(
        known <= 6 + mine && known >= mine,
        "{known} measurements of {mine} names"
    );
}
