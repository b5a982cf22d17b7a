//! Everything is away while the plant goes on: memory stays bounded, and the backlog drains whole.
//! And what is opened is closed, however often a peer comes and goes.

use std::fs;
use std::time::{Duration, Instant};

use davy_simulator::faults::LinkFault;

use crate::harness::{Mosquitto, free_port, wait_for};
use crate::plant::{Build, Device, broker};

/// Resident memory of a process, in MiB.
fn rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// 5,000 points a second, every one of them moving through HH, with neither broker nor centre.
/// `DAVY_FLOOD_S=60` for a long one.
#[test]
fn an_outage_of_broker_and_centre_costs_disk_not_memory_and_drains_whole() {
    let seconds: u64 = std::env::var("DAVY_FLOOD_S")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(10);
    let root = tempfile::tempdir().unwrap();
    let device = Device::start(500);
    let port = free_port();
    let site = Build {
        broker: port,
        devices: &[(device.port, 500)],
        ..Build::default()
    }
    .write(root.path());
    let mut gateway = site.gateway();
    gateway.line("source is up");
    wait_for("samples in the series", || {
        let series = davy_journal::SeriesReader::open(&site.gateway_dir()).ok()?;
        (series.last_batch().ok()? > 0).then_some(())
    });
    let before = rss(gateway.pid());
    let began = Instant::now();
    let mut waves = 0_u16;
    // The time is the outage's length; what it must come to is asked below.
    while began.elapsed() < Duration::from_secs(seconds) {
        for n in 0..500 {
            device.set(
                n,
                if (n + waves).is_multiple_of(50) {
                    95
                } else {
                    20 + (n + waves) % 40
                },
            );
        }
        waves = waves.wrapping_add(1);
        std::thread::sleep(Duration::from_millis(100));
    }
    let after = rss(gateway.pid());
    let Some(_broker) = Mosquitto::start_at(root.path(), port) else {
        return;
    };
    let mut center = site.center();
    for n in 0..500 {
        device.set(n, 50);
    }
    let back = Instant::now();
    site.value_is("LT-1499", 50.0);
    site.settled();
    let drained = back.elapsed();
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    site.same_records();
    let rows = site.same_rows();
    let records = davy_journal::JournalReader::open(&site.gateway_dir())
        .unwrap()
        .last_seq()
        .unwrap();
    println!(
        "{seconds} s away: {rows} rows, {records} transitions; resident {before} MiB before, \
         {after} MiB after; drained {:.1} s after the return",
        drained.as_secs_f64()
    );
    // A bound, not a measure: a backlog held in memory would be some 100 bytes a row.
    assert!(after < before + 150, "{before} MiB became {after} MiB");
}

#[test]
fn what_is_opened_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let Some(mut broker) = broker(root.path()) else {
        return;
    };
    let device = Device::start(1);
    device.set(0, 50);
    let site = Build {
        broker: broker.port,
        devices: &[(device.port, 1)],
        ..Build::default()
    }
    .write(root.path());
    let mut run = site.process("run", &[]);
    site.value_is("LT-1000", 50.0);
    wait_for("a gateway that is online", || {
        site.gateway_view().filter(|g| g["state"] == "online")
    });
    let before = descriptors(run.pid());
    // A device that cuts every connection instead of answering.
    device.faults.set(LinkFault::Drop);
    wait_for("a device that is lost", || {
        site.alarm("source/plc-1/loss_of_view")
            .filter(|a| a["regions"]["after"]["condition"] == "active")
    });
    device.faults.clear();
    site.value_is("LT-1000", 50.0);
    // The broker comes and goes; pages come, hear something, and go without a word.
    for round in 0..100_u16 {
        if round.is_multiple_of(20) {
            broker.kill();
            broker.restart();
        }
        let page = std::net::TcpStream::connect(("127.0.0.1", site.http)).unwrap();
        let get = format!(
            "GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
            site.http
        );
        std::io::Write::write_all(&mut &page, get.as_bytes()).unwrap();
        let mut some = [0; 64];
        assert!(std::io::Read::read(&mut &page, &mut some).unwrap() > 0);
    }
    device.set(0, 51);
    site.value_is("LT-1000", 51.0);
    wait_for("a gateway that is back", || {
        site.gateway_view().filter(|g| g["state"] == "online")
    });
    let mut after = usize::MAX;
    wait_for("as many descriptors as before", || {
        after = descriptors(run.pid());
        (after <= before + 4).then_some(())
    });
    println!("descriptors: {before} before, {after} after");
    assert_eq!(run.stop(), Some(0), "{:?}", run.tail());
}
