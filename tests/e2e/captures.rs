//! Captures of real Modbus TCP traffic through the whole product: a replay server answers as the
//! recorded devices did, and every stored value equals the capture's. Fuzzing captures crash
//! nothing and yield no Good value beyond what a real device said in them.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)] // a test says what broke by panicking

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use davy_journal::{Series, SeriesReader};
use davy_points::{Quality, Timestamp};
use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::modbus_server::ModbusServer;
use davy_simulator::field::pcap::{CaptureSite, Recording, Replay};
use davy_simulator::field::{SiteSpec, write_site};
use harness::{Mosquitto, Process, davy, free_port, get_json, recorded, wait_for};

/// How long the replay of a capture takes.
const SPAN: Duration = Duration::from_secs(10);

/// Rows stored for a point: time, number, quality.
type Rows = Vec<(Timestamp, Option<f64>, Quality)>;

/// Runs a capture through gateway and centre; what each of its points came to.
fn stored(
    name: &str,
    broker: &Mosquitto,
) -> Option<(Recording, CaptureSite, BTreeMap<String, Rows>)> {
    let bytes = fs::read(recorded("modbus_pcap")?.join(name)).unwrap();
    let recording = Recording::read(&bytes).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut addresses: BTreeMap<Ipv4Addr, SocketAddr> = BTreeMap::new();
    let mut devices = Vec::new();
    for server in recording.servers() {
        let replay = Arc::new(Replay::of(&recording, server));
        let running = runtime
            .block_on(ModbusServer::start(
                Arc::clone(&replay),
                Arc::new(FaultSwitch::new(1)),
            ))
            .unwrap();
        addresses.insert(server, running.address());
        devices.push((replay, running));
    }
    let http = free_port();
    let spec = SiteSpec {
        site: "capture".into(),
        gateway: "gw-1".into(),
        broker: ([127, 0, 0, 1], broker.port).into(),
        listen: ([127, 0, 0, 1], http).into(),
        mirror: None,
    };
    let site = CaptureSite::new(&recording, &addresses, SPAN, &spec);
    if site.points.is_empty() {
        println!("{name}: no read with a reply in it");
        return Some((recording, site, BTreeMap::new()));
    }
    let root = tempfile::tempdir().unwrap();
    write_site(&root.path().join("site"), &site.files).unwrap();
    let (dir, data) = (root.path().join("site"), root.path().join("data"));
    let mut davy = Process::spawn(
        "davy run",
        davy(&[
            "run",
            dir.to_str().unwrap(),
            "--data-dir",
            data.to_str().unwrap(),
        ])
        .env("DAVY_LOG", "warn"),
    );
    for (block, replies) in recording.blocks() {
        // Every recorded reply of every block that the site asks for has been given.
        if site.skipped.contains(&block) {
            continue;
        }
        let device = addresses.keys().position(|a| *a == block.server).unwrap();
        wait_for(&format!("{} replies of {block:?}", replies.len()), || {
            (devices[device].0.served(&block.request) >= replies.len()).then_some(())
        });
    }
    // Everything polled until now, and so every recorded value, is at the centre.
    let now = i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos(),
    )
    .unwrap();
    wait_for("everything at the centre", || {
        let points = get_json(http, "/api/v1/points")?;
        let mut points = points["points"].as_array()?.iter();
        // A refused address is asked again later, and later still.
        points
            .all(|p| p["quality"] == 4 || p["source_time"].as_i64().is_some_and(|t| t >= now))
            .then_some(())
    });
    assert_eq!(davy.stop(), Some(0), "{:?}", davy.tail());
    let (reader, center) = (series(&data.join("gw-1")), series(&data.join("center")));
    let mut all = BTreeMap::new();
    for point in &site.points {
        let (here, there) = (rows(&reader, &point.tag), rows(&center, &point.tag));
        assert_eq!(
            here, there,
            "{}: the centre has what the gateway has",
            point.tag
        );
        all.insert(point.tag.clone(), there);
    }
    for (_, server) in devices {
        assert_eq!(server.stats().write_attempts, 0);
        runtime.block_on(server.stop());
    }
    Some((recording, site, all))
}

/// A store at rest, sorted by point: thousands of points are asked for one by one.
fn series(dir: &Path) -> SeriesReader {
    Series::open(dir).unwrap().compact_all().unwrap();
    SeriesReader::open(dir).unwrap()
}

fn rows(series: &SeriesReader, tag: &str) -> Rows {
    let mut rows = Rows::new();
    series
        .scan(tag, Timestamp(i64::MIN), Timestamp(i64::MAX), &mut |row| {
            rows.push((row.time, row.value.number(), row.quality));
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

fn broker() -> Option<(tempfile::TempDir, Mosquitto)> {
    let root = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(root.path())?;
    Some((root, broker))
}

/// The k-th stored value is the k-th recorded one; after the last, the server repeats it.
fn equals_the_capture(name: &str) {
    let Some((_root, broker)) = broker() else {
        return;
    };
    let Some((recording, site, all)) = stored(name, &broker) else {
        return;
    };
    let mut values = 0;
    for point in &site.points {
        let expected = point.expected(&recording);
        let rows = &all[&point.tag];
        let good: Vec<f64> = rows
            .iter()
            .filter(|r| r.2.is_good())
            .filter_map(|r| r.1)
            .collect();
        let wanted: Vec<f64> = expected.iter().flatten().map(|w| f64::from(*w)).collect();
        assert!(
            good.len() >= wanted.len(),
            "{}: {} of {} values",
            point.tag,
            good.len(),
            wanted.len()
        );
        assert_eq!(good[..wanted.len()], wanted, "{}", point.tag);
        let last = expected.last().copied().flatten().map(f64::from);
        for again in &good[wanted.len()..] {
            assert_eq!(
                Some(*again),
                last,
                "{}: the last reply once more",
                point.tag
            );
        }
        for (time, value, quality) in rows {
            assert!(
                quality.is_good() == value.is_some(),
                "{} at {time}: {value:?} {quality}",
                point.tag
            );
        }
        values += wanted.len();
    }
    assert!(values > 0, "{name} holds replies");
    println!(
        "{name}: {} points, {values} recorded values, all stored as recorded",
        site.points.len()
    );
}

#[test]
fn a_plant_capture_is_stored_as_recorded() {
    equals_the_capture("ModbusTCP.pcap");
}

#[test]
fn a_small_capture_is_stored_as_recorded() {
    equals_the_capture("modbusSmall.pcap");
}

#[test]
fn a_test_capture_is_stored_as_recorded() {
    equals_the_capture("modbus_test.pcap");
}

#[test]
fn fuzzing_captures_yield_no_value_that_no_device_said() {
    let Some((_root, broker)) = broker() else {
        return;
    };
    for name in ["fuzz-72.pcap", "modbus_test_data_part2.pcap"] {
        let Some((recording, site, all)) = stored(name, &broker) else {
            return;
        };
        let mut good = 0;
        for point in &site.points {
            let said = point.expected(&recording);
            for (time, value, quality) in &all[&point.tag] {
                if quality.is_good() {
                    good += 1;
                    let value = value.unwrap();
                    assert!(
                        said.iter().flatten().any(|w| f64::from(*w) == value),
                        "{} at {time}: {value} was never said",
                        point.tag
                    );
                }
            }
        }
        if name == "fuzz-72.pcap" {
            assert_eq!(good, 0, "{name}");
        }
    }
}
