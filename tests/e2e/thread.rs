//! One thread through everything, with the real binary: a register of a device → qualify → HH →
//! journal → MQTT → centre → API, acknowledged, killed, restarted, replayed, tampered with.

#![allow(missing_docs)]
// Helpers stand outside the test functions that clippy knows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use davy_points::ModbusTable;
use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::modbus_server::ModbusServer;
use davy_simulator::field::registers::Image;
use harness::{Mosquitto, Process, davy, free_port, get, get_json, post, wait_for};
use serde_json::Value;

/// A device with one level gauge, 0 to 100 % as a plain register, on a runtime of its own.
struct Gauge {
    image: Arc<Image>,
    server: Option<ModbusServer>,
    runtime: tokio::runtime::Runtime,
    port: u16,
}

impl Gauge {
    fn start() -> Gauge {
        let mut image = Image::default();
        image.cover(1, ModbusTable::Holding, 0, 1);
        let image = Arc::new(image);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime
            .block_on(ModbusServer::start(
                Arc::clone(&image),
                Arc::new(FaultSwitch::new(1)),
            ))
            .unwrap();
        let port = server.address().port();
        Gauge {
            image,
            server: Some(server),
            runtime,
            port,
        }
    }

    fn set(&self, percent: u16) {
        self.image.set(1, ModbusTable::Holding, 0, &[percent]);
    }

    fn write_attempts(&self) -> u64 {
        self.server.as_ref().map_or(0, |s| s.stats().write_attempts)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

struct Site {
    dir: PathBuf,
    data: PathBuf,
    http: u16,
}

fn site(root: &Path, device: u16, broker: u16) -> Site {
    let (dir, data, http) = (root.join("site"), root.join("data"), free_port());
    fs::create_dir_all(dir.join("rules")).unwrap();
    fs::write(
        dir.join("site.toml"),
        format!(
            "schema = 1\n[site]\nid = \"e2e\"\nname = \"一个罐\"\nzone = \"Asia/Shanghai\"\n\
             [[hazard]]\nid = \"TF\"\nname = \"罐区\"\ngrade = 1\nsubstance = \"苯\"\n\
             [[area]]\nid = \"A\"\nname = \"罐区\"\n[[gateway]]\nid = \"gw-1\"\nname = \"网关\"\n\
             [center]\nlisten = \"127.0.0.1:{http}\"\nbroker = \"mqtt://127.0.0.1:{broker}\"\n"
        ),
    )
    .unwrap();
    fs::write(
        dir.join("sources.toml"),
        format!(
            "schema = 1\n[[modbus]]\nid = \"plc-1\"\ngateway = \"gw-1\"\naddress = \"tcp://127.0.0.1:{device}\"\n\
             timeout = \"300ms\"\npoll = {{ fast = \"100ms\", normal = \"100ms\", slow = \"1s\" }}\n"
        ),
    )
    .unwrap();
    fs::write(
        dir.join("points.csv"),
        "tag,description,hazard,area,class,unit,low,high,source,unit_id,table,address,type,LL,L,H,HH,deadband\n\
         LT-1,苯罐液位,TF,A,tank_level,%,0,100,plc-1,1,holding,0,u16,5,10,85,90,1\n",
    )
    .unwrap();
    Site { dir, data, http }
}

impl Site {
    fn run(&self, verb: &str, more: &[&str]) -> Process {
        let (dir, data) = (self.dir.to_str().unwrap(), self.data.to_str().unwrap());
        let mut arguments = vec![verb, dir, "--data-dir", data];
        arguments.extend(more);
        Process::spawn(&format!("davy {verb}"), &mut davy(&arguments))
    }

    fn alarm(&self, name: &str) -> Option<Value> {
        let list = get_json(self.http, "/api/v1/alarms")?;
        list["alarms"]
            .as_array()?
            .iter()
            .find(|a| a["alarm"] == name)
            .cloned()
    }

    fn alarm_as(&self, name: &str, label: &str) -> Value {
        wait_for(&format!("{name} as {label}"), || {
            self.alarm(name)
                .filter(|a| a["label"] == label && a["unknown"] == false)
        })
    }

    fn ack(&self, occurrence: &str) -> (u16, Value) {
        let (status, body) = post(
            self.http,
            &format!("/api/v1/occurrences/{occurrence}/ack"),
            format!("{{\"actor\":\"e2e\",\"reason\":\"\",\"idempotency_key\":\"{occurrence}\"}}")
                .as_bytes(),
        );
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn value(&self) -> Option<f64> {
        get_json(self.http, "/api/v1/points")?["points"][0]["value"].as_f64()
    }
}

#[test]
fn a_register_becomes_an_acknowledged_alarm_that_outlives_a_kill() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = Mosquitto::start(root.path()) else {
        return;
    };
    let gauge = Gauge::start();
    gauge.set(50);
    let site = site(root.path(), gauge.port, broker.port);

    let mut center = site.run("center", &[]);
    let mut gateway = site.run("gateway", &["--id", "gw-1", "--input-log"]);
    wait_for("the value at the centre", || {
        site.value().filter(|v| *v == 50.0)
    });

    // HH annunciates HH and records H, masked.
    gauge.set(95);
    let hh = site.alarm_as("table/LT-1/hh", "UNACK");
    assert_eq!(hh["priority"], 1);
    assert_eq!(hh["value"], 95.0);
    let h = site.alarm_as("table/LT-1/h", "UNACK");
    assert_eq!(h["masked"], true);

    // An occurrence that nobody made is refused and disturbs nothing.
    let (status, refused) = site.ack("aaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_eq!(status, 404, "{refused}");
    assert!(refused["remedy"].is_string(), "{refused}");

    let occurrence = hh["occurrence"].as_str().unwrap();
    let (status, accepted) = site.ack(occurrence);
    assert_eq!(status, 202, "{accepted}");
    let acked = site.alarm_as("table/LT-1/hh", "ACKED");
    assert_eq!(acked["actor"], "e2e");
    assert_eq!(acked["occurrence"], occurrence);
    let command = accepted["command_id"].as_str().unwrap();
    wait_for("the command's outcome", || {
        get_json(site.http, &format!("/api/v1/commands/{command}"))
            .filter(|c| c["state"] == "applied")
    });

    // A second process on the same data directory: one clear line, exit 2.
    let mut second = site.run("gateway", &["--id", "gw-1"]);
    assert_eq!(second.ended(), Some(2));
    let said = second.tail().join("\n");
    assert!(said.contains("davy: ") && said.contains("gw-1"), "{said}");

    // kill -9 of everything: the same alarms stand, the acked one acked.
    gateway.kill();
    center.kill();
    let mut gateway = site.run("gateway", &["--id", "gw-1", "--input-log"]);
    let mut center = site.run("center", &[]);
    let after = site.alarm_as("table/LT-1/hh", "ACKED");
    assert_eq!(
        after["occurrence"], occurrence,
        "the same occurrence, not a new one"
    );

    // It returns on the arrival of Good data, and H is exposed on the way down.
    gauge.set(87);
    wait_for(
        "H, exposed and unacknowledged: an ack of HH never covers H",
        || {
            site.alarm("table/LT-1/h")
                .filter(|h| h["label"] == "UNACK" && h["masked"] == false)
        },
    );
    gauge.set(50);
    site.alarm_as("table/LT-1/h", "RTN_UNACK");

    // A clean stop: within PATIENCE, exit 0, and no alarm is cleared by it.
    assert_eq!(gateway.stop(), Some(0));
    site.alarm_as("table/LT-1/h", "RTN_UNACK");
    let online = get_json(site.http, "/api/v1/gateways").unwrap();
    assert_eq!(online["gateways"][0]["state"], "stopping", "{online}");
    assert_eq!(center.stop(), Some(0));
    assert_eq!(
        gauge.write_attempts(),
        0,
        "nothing but reads reaches a device"
    );

    verify_and_tamper(&site);
    replay(&site);
}

fn verify_and_tamper(site: &Site) {
    let gateway = site.data.join("gw-1");
    let verify = |dir: &Path| {
        let mut p = Process::spawn(
            "verify",
            &mut davy(&["journal", "verify", "--data-dir", dir.to_str().unwrap()]),
        );
        (p.ended(), p.tail().join("\n"))
    };
    let (code, said) = verify(&gateway);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = verify(&site.data.join("center"));
    assert_eq!(code, Some(0), "{said}");

    // Somebody makes the HH a little less high, in a copy.
    let copy = site.data.join("copy");
    fs::create_dir(&copy).unwrap();
    for file in ["journal.db", "journal.db-wal"] {
        if gateway.join(file).exists() {
            fs::copy(gateway.join(file), copy.join(file)).unwrap();
        }
    }
    let db = rusqlite::Connection::open(copy.join("journal.db")).unwrap();
    let seq: i64 = db
        .query_row(
            "SELECT min(seq) FROM \"transition\" WHERE instr(CAST(bytes AS TEXT), '\"value\":95') > 0",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let changed = db
        .execute(
            "UPDATE \"transition\" SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"value\":95', '\"value\":89') AS BLOB) WHERE seq = ?1",
            [seq],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(db);
    let (code, said) = verify(&copy);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("record {seq}")),
        "the first broken link is {seq}: {said}"
    );
}

fn replay(site: &Site) {
    let (dir, data) = (site.dir.to_str().unwrap(), site.data.join("gw-1"));
    // One log for each start; the last one begins with what was read back after the kill.
    let mut logs: Vec<PathBuf> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    logs.sort();
    assert_eq!(logs.len(), 2, "{logs:?}");
    // The first one ends at the kill, and the journal goes on: that is no difference.
    for log in &logs {
        let mut p = Process::spawn(
            "replay",
            &mut davy(&[
                "journal",
                "replay",
                dir,
                "--id",
                "gw-1",
                "--log",
                log.to_str().unwrap(),
                "--data-dir",
                data.to_str().unwrap(),
            ]),
        );
        let code = p.ended();
        let said = p.tail().join("\n");
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("byte for byte"), "{said}");
    }
}

#[test]
fn a_forged_or_oversize_body_stores_nothing() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = Mosquitto::start(root.path()) else {
        return;
    };
    let gauge = Gauge::start();
    gauge.set(50);
    let site = site(root.path(), gauge.port, broker.port);
    let mut run = site.run("run", &[]);
    wait_for("the value at the centre", || {
        site.value().filter(|v| *v == 50.0)
    });
    let write = "/api/v2/write?org=davy&bucket=davy&precision=ns";
    for (forged, expect) in [
        (
            &b"tank_level,site=e2e,gateway=gw-1,hazard=TF,tag=LT-9 value=1,q=192i 1"[..],
            400,
        ),
        (
            b"tank_level,site=e2e,gateway=gw-1,hazard=TF,tag=LT-1 value=NaN,q=192i 1",
            400,
        ),
        (b"\xff\xfe\x00", 400),
        (
            b"tank_level,site=e2e,gateway=gw-1,hazard=TF,tag=LT-1 value=1,q=0i 1",
            400,
        ),
    ] {
        let (status, body) = post(site.http, write, forged);
        assert_eq!(status, expect, "{body}");
        assert!(body.contains("line"), "{body}");
    }
    let (status, _) = post(site.http, write, &vec![b'x'; 9 << 20]);
    assert!(status == 413 || status == 0, "too large: {status}");
    let (status, body) = get(site.http, "/metrics");
    assert_eq!(status, 200);
    assert!(!body.contains("LT-1"), "no per-tag labels");
    wait_for("values still flow", || {
        gauge.set(51);
        site.value().filter(|v| *v == 51.0)
    });
    assert_eq!(run.stop(), Some(0));
}
