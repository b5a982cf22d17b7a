//! A flood: so many alarms in ten seconds, from registers to the journal and to a subscriber.
//!
//! Ten devices; at a steady pace gauge after gauge jumps over H, and one in fifty over HH, which is
//! priority 1. `davy gateway` is the real binary, the broker a real mosquitto, or the simulator's
//! where this machine has none. Every alarm must be in the journal when it is over, and at the
//! subscriber: that is checked. How late priority 1 was told is measured. The floor is the same
//! gateway telling one alarm at a time.
//!
//! `cargo bench -p davy --bench flood [-- --alarms 10000 --seconds 10]`

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod devices;
mod ear;
#[path = "../e2e/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use davy_points::ModbusTable;
use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::broker::Broker;
use davy_simulator::field::modbus_server::ModbusServer;
use davy_simulator::field::registers::Image;
use devices::{Site, SiteShape, percentile, size};
use ear::{TOPIC, acknowledge, subscribe};
use harness::{Mosquitto, PATIENCE, Process, davy, wait_for};

const DEVICES: usize = 10;
const LOW: u16 = 500;
const H: u16 = 870;
const HH: u16 = 950;
/// One in so many jumps over HH.
const CRITICAL: usize = 50;
const POLL_MS: u64 = 100;

/// An alarm as it was told: device, register, level.
struct Told {
    gauge: (usize, usize),
    hh: bool,
    at: Instant,
}

fn main() {
    let alarms: usize = size("alarms", 10_000);
    let seconds: f64 = size("seconds", 10.0);
    let each = alarms.div_ceil(DEVICES);
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mosquitto = Mosquitto::start(root.path());
    let own = mosquitto
        .is_none()
        .then(|| runtime.block_on(Broker::start()).unwrap());
    let (port, broker) = match (&mosquitto, &own) {
        (Some(m), _) => (m.port, "mosquitto"),
        (None, Some(b)) => (b.address().port(), "the simulator's broker"),
        (None, None) => unreachable!("one of the two"),
    };
    println!("{alarms} alarms in {seconds} s, poll {POLL_MS} ms, through {broker}");

    let (images, servers) = field(&runtime, each);
    let ports: Vec<u16> = servers.iter().map(|s| s.address().port()).collect();
    let shape = SiteShape {
        ports: &ports,
        points: each,
        poll: &format!("{POLL_MS}ms"),
        on_delay: "0s",
        report: "0",
        broker: port,
    };
    let site = Site::write(root.path(), &shape);
    let (tell, told) = channel();
    let ack = acknowledge(&runtime, port);
    let read = move |payload: &[u8], at: Instant| {
        let json: serde_json::Value = serde_json::from_slice(payload).ok()?;
        ack(json["seq"].as_u64()?);
        if json["cause"] != "condition" || json["rule"] != "table" {
            return None;
        }
        let tag = json["tag"].as_str()?;
        let gauge = (tag.get(3..6)?.parse().ok()?, tag.get(7..)?.parse().ok()?);
        let hh = json["level"] == "hh";
        // The H beneath an HH is masked: not an alarm of its own.
        let masked = json["regions"]["after"]["masked"] == true;
        (!masked).then_some(Told { gauge, hh, at })
    };
    let topic: &'static str = "davy/v1/bench/gw-1/transition";
    assert!(topic.starts_with(TOPIC));
    subscribe(&runtime, port, topic, read, tell);
    let (dir, data) = (site.dir.to_str().unwrap(), site.data.to_str().unwrap());
    let arguments = ["gateway", dir, "--id", "gw-1", "--data-dir", data];
    let mut gateway = Process::spawn("davy gateway", &mut davy(&arguments));
    wait_for("every device to be polled", || {
        let blocks = u64::try_from(each.div_ceil(125)).unwrap();
        let polled = servers.iter().all(|s| s.stats().requests >= 5 * blocks);
        polled.then_some(())
    });

    println!("                          told   p50 ms   p99 ms   max ms");
    let calm = one_by_one(&images, &told, each);
    say("floor: one at a time", &calm);
    let (high, critical) = flood(
        &images,
        &told,
        alarms,
        each,
        Duration::from_secs_f64(seconds),
    );
    say("priority 1", &critical);
    say("priority 2", &high);
    gateway.stop();
    let journalled = journalled(&format!("{data}/gw-1"));
    println!(
        "in the journal: {journalled} of {alarms}; told: {}",
        high.len() + critical.len()
    );
    assert_eq!(high.len() + critical.len(), alarms, "told");
    assert_eq!(journalled, alarms, "in the journal");
    println!("target: every one journalled, priority 1 annunciated within 1000 ms");
    runtime.block_on(async {
        for server in servers {
            server.stop().await;
        }
        if let Some(own) = own {
            own.stop().await;
        }
    });
}

fn field(runtime: &tokio::runtime::Runtime, each: usize) -> (Vec<Arc<Image>>, Vec<ModbusServer>) {
    let (mut images, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..DEVICES {
        let mut image = Image::default();
        let count = u16::try_from(each).unwrap();
        image.cover(1, ModbusTable::Holding, 0, count);
        let image = Arc::new(image);
        for at in 0..count {
            image.set(1, ModbusTable::Holding, at, &[LOW]);
        }
        let faults = Arc::new(FaultSwitch::new(1));
        let server = ModbusServer::start(Arc::clone(&image), faults);
        servers.push(runtime.block_on(server).unwrap());
        images.push(image);
    }
    (images, servers)
}

fn set(images: &[Arc<Image>], n: usize, value: u16) {
    let (device, at) = (n % images.len(), n / images.len());
    let at = u16::try_from(at).unwrap();
    images[device].set(1, ModbusTable::Holding, at, &[value]);
}

/// The last gauge of each device jumps over HH and comes back, alone.
fn one_by_one(images: &[Arc<Image>], told: &Receiver<Told>, each: usize) -> Vec<f64> {
    let mut latencies = Vec::new();
    for n in 0..images.len() {
        let last = (each - 1) * images.len() + n;
        let began = Instant::now();
        set(images, last, HH);
        let heard = told.recv_timeout(PATIENCE).expect("one alarm");
        latencies.push(heard.at.duration_since(began).as_secs_f64() * 1e3);
        set(images, last, LOW);
    }
    latencies
}

/// Every gauge jumps once, at a steady pace; how long it took to hear of each, by priority.
fn flood(
    images: &[Arc<Image>],
    told: &Receiver<Told>,
    alarms: usize,
    each: usize,
    over: Duration,
) -> (Vec<f64>, Vec<f64>) {
    // Those that have jumped already have to come back first.
    std::thread::sleep(Duration::from_millis(POLL_MS * 5));
    let mut jumped: BTreeMap<(usize, usize), Instant> = BTreeMap::new();
    let began = Instant::now();
    let (mut high, mut critical) = (Vec::new(), Vec::new());
    let mut next = 0;
    let mut heard = 0;
    while heard < alarms {
        let due = began + over.mul_f64(next as f64 / alarms as f64);
        let now = Instant::now();
        if next < alarms && due <= now {
            let value = if next % CRITICAL == 0 { HH } else { H };
            jumped.insert((next % images.len(), next / images.len()), now);
            set(images, next, value);
            next += 1;
            continue;
        }
        let patience = match next < alarms {
            true => due.saturating_duration_since(now),
            false => PATIENCE,
        };
        match told.recv_timeout(patience) {
            Ok(t) => {
                let Some(at) = jumped.get(&t.gauge) else {
                    continue;
                };
                let late = t.at.duration_since(*at).as_secs_f64() * 1e3;
                match t.hh {
                    true => critical.push(late),
                    false => high.push(late),
                }
                heard += 1;
            }
            Err(_) if next < alarms => {}
            Err(why) => panic!("{heard} of {alarms} alarms came ({each} a device): {why}"),
        }
    }
    (high, critical)
}

fn say(what: &str, latencies: &[f64]) {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    println!(
        "{what:<24} {:>6} {:>8.1} {:>8.1} {:>8.1}",
        sorted.len(),
        percentile(&sorted, 0.5),
        percentile(&sorted, 0.99),
        sorted[sorted.len() - 1]
    );
}

/// Occurrences of gauges in the journal that were not masked, the floor's apart.
fn journalled(data: &str) -> usize {
    let out = davy(&["journal", "export", "--data-dir", data])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let records = String::from_utf8(out.stdout).unwrap();
    let occurrences = records.lines().filter(|line| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        json["cause"] == "condition"
            && json["rule"] == "table"
            && json["regions"]["after"]["masked"] != true
    });
    occurrences.count() - DEVICES
}
