//! The recorded data sets, read whole and served over real sockets. They lie beside the workspace
//! (`../shared/data`) or where `DAVY_DATA` says.

#![allow(clippy::unwrap_used)] // a test says what broke by panicking

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use davy_points::Timestamp;
use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::dataset::{
    Dataset, DatasetSite, Layout, StepLock, StuckRule, Transport,
};
use davy_simulator::field::modbus_server::ModbusServer;
use davy_simulator::field::{SiteSpec, write_site};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("DAVY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    if dir.join("skab").is_dir() {
        return Some(dir);
    }
    eprintln!(
        "skipped: no recorded data at {} (set DAVY_DATA)",
        dir.display()
    );
    None
}

fn text(path: &str) -> Option<String> {
    let path = data()?.join(path);
    Some(std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

/// Rows, numbers and label cells, counted by a script of its own from the files.
#[test]
fn every_file_holds_what_was_counted() {
    for (path, rows, columns, finite) in [
        ("3w/class2_WELL-00003_20180206182917.csv", 5084, 8, 20_336),
        ("3w/class2_WELL-00011_20140530100015.csv", 1980, 8, 5940),
        ("3w/class2_WELL-00012_20170320033022.csv", 1703, 8, 6812),
        (
            "3w/class3_WELL-00014_20170919210016.csv",
            14_385,
            8,
            100_695,
        ),
        ("3w/class4_WELL-00004_20140805120107.csv", 7134, 8, 34_223),
        ("3w/class6_WELL-00004_20171031193025.csv", 1079, 8, 5395),
        ("skab/anomaly-free_anomaly-free.csv", 9405, 8, 75_240),
        ("skab/other_1.csv", 745, 8, 5960),
        ("skab/other_11.csv", 1190, 8, 9520),
        ("skab/other_14.csv", 905, 8, 7240),
        ("skab/valve1_0.csv", 1147, 8, 9176),
        ("skab/valve1_1.csv", 1145, 8, 9160),
        ("skab/valve1_2.csv", 1075, 8, 8600),
        ("skab/valve1_3.csv", 1148, 8, 9184),
        ("skab/valve2_0.csv", 1125, 8, 9000),
        ("tep/d00_te.dat", 960, 52, 49_920),
        ("tep/d01_te.dat", 960, 52, 49_920),
        ("tep/d04_te.dat", 960, 52, 49_920),
        ("tep/d06_te.dat", 960, 52, 49_920),
    ] {
        let Some(text) = text(path) else { return };
        let set = match &path[..2] {
            "3w" => Dataset::three_w(path, &text),
            "sk" => Dataset::skab(path, &text),
            _ => Dataset::tep(path, &text),
        }
        .unwrap();
        let got = (set.rows.len(), set.columns.len(), set.finite());
        assert_eq!(got, (rows, columns, finite), "{path}");
        assert!(set.rows.is_sorted_by(|a, b| a.0 < b.0), "{path}");
        for (_, labels) in &set.labels {
            assert_eq!(labels.len(), rows, "{path}");
        }
        let step = if path.starts_with("tep") { 180 } else { 1 };
        assert_eq!(set.step_ns(), step * 1_000_000_000, "{path}");
    }
}

#[test]
fn the_first_and_last_cells_are_those_of_the_file() {
    let Some(tep) = text("tep/d00_te.dat") else {
        return;
    };
    let tep = Dataset::tep("d00", &tep).unwrap();
    assert_eq!(tep.columns[0], "XMEAS_1");
    assert_eq!(tep.columns[51], "XMV_11");
    assert_eq!(tep.rows[0].0.to_string(), "2000-01-01T00:00:00Z");
    assert_eq!(tep.rows[1].0.to_string(), "2000-01-01T00:03:00Z");
    assert_eq!(tep.rows[0].1[..2], [Some(0.24889), Some(3702.3)]);
    let skab = Dataset::skab("other_1", &text("skab/other_1.csv").unwrap()).unwrap();
    assert_eq!(skab.rows[0].0, Timestamp(1_583_077_446_000_000_000));
    assert_eq!(skab.tag(7), "other-1.Volume_Flow_RateRMS");
}

/// Reads a set to its end over the socket, a scan of several requests a row, and cuts the
/// connection now and then.
#[tokio::test]
async fn a_step_locked_set_is_read_whole_over_the_socket_and_over_cut_connections() {
    let Some(tep) = text("tep/d06_te.dat") else {
        return;
    };
    let set = Arc::new(Dataset::tep("d06", &tep).unwrap());
    let lock = Arc::new(StepLock::new(set.clone(), Duration::from_secs(2)));
    let server = ModbusServer::start(lock.clone(), Arc::new(FaultSwitch::new(1)))
        .await
        .unwrap();
    let mut got: Vec<Option<Vec<u64>>> = vec![None; set.rows.len()];
    let mut scans = 0_u64;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    while !lock.is_finished() {
        let mut words = Vec::new();
        for (start, count) in [(0, 120), (120, 92)] {
            words.extend(read(&mut stream, start, count).await);
        }
        let cells: Vec<u64> = words
            .chunks_exact(8)
            .map(|b| u64::from_be_bytes(b.try_into().unwrap()))
            .collect();
        let time = i64::try_from(cells[0]).unwrap();
        let row = set.rows.iter().position(|(t, _)| t.ns() == time).unwrap();
        if let Some(before) = &got[row] {
            assert_eq!(*before, cells[1..], "the same row reads the same");
        }
        got[row] = Some(cells[1..].to_vec());
        scans += 1;
        if scans == 300 || scans == 800 {
            // mid-scan
            read(&mut stream, 0, 120).await;
            stream = TcpStream::connect(server.address()).await.unwrap();
        }
    }
    lock.finished().await;
    for ((_, values), got) in set.rows.iter().zip(&got) {
        let expected: Vec<u64> = values
            .iter()
            .map(|v| v.unwrap_or(f64::NAN).to_bits())
            .collect();
        assert_eq!(got.as_ref().unwrap(), &expected);
    }
}

async fn read(stream: &mut TcpStream, start: u16, count: u16) -> Vec<u8> {
    let mut request = vec![0, 1, 0, 0, 0, 6, 1, 3];
    request.extend(start.to_be_bytes());
    request.extend(count.to_be_bytes());
    stream.write_all(&request).await.unwrap();
    let mut reply = vec![0; 9 + usize::from(count) * 2];
    stream.read_exact(&mut reply).await.unwrap();
    reply.split_off(9)
}

#[test]
fn a_site_of_a_set_names_every_column() {
    let Some(text) = text("skab/valve1_0.csv") else {
        return;
    };
    let set = Dataset::skab("valve1_0", &text).unwrap().head(10);
    assert_eq!((set.rows.len(), set.labels[0].1.len()), (10, 10));
    let spec = SiteSpec {
        site: "skab".into(),
        gateway: "gw-1".into(),
        broker: ([127, 0, 0, 1], 1883).into(),
        listen: ([127, 0, 0, 1], 8080).into(),
        mirror: Some("http://127.0.0.1:8428".into()),
    };
    let stuck = StuckRule {
        epsilon: 0.0,
        window: Duration::from_secs(60),
    };
    let mqtt = |layout| Transport::Mqtt {
        broker: ([127, 0, 0, 1], 1884).into(),
        prefix: "replay/skab".into(),
        layout,
    };
    for transport in [
        Transport::Modbus(([127, 0, 0, 1], 5020).into()),
        mqtt(Layout::TopicPerColumn),
        mqtt(Layout::Combined),
    ] {
        let site = DatasetSite::new(&set, &transport, Some(stuck), &spec);
        assert_eq!(site.tags.len(), 8);
        let dir = tempfile::tempdir().unwrap();
        write_site(dir.path(), &site.files).unwrap();
        let table = std::fs::read_to_string(dir.path().join("points.csv")).unwrap();
        for tag in &site.tags {
            assert_eq!(table.matches(&format!("{tag},")).count(), 1, "{tag}");
        }
        for file in ["site.toml", "sources.toml", "rules/stuck.toml"] {
            let text = std::fs::read_to_string(dir.path().join(file)).unwrap();
            text.parse::<toml::Table>().unwrap();
        }
    }
}
