//! From the change of a register to the alarm at an MQTT subscriber, fsync included.
//!
//! Eight devices with one gauge each, which jump over H at a random moment of the poll period and
//! come back. `davy gateway` is the real binary, the broker a real mosquitto, or the simulator's
//! where this machine has none. The floor polls the same registers with bare tokio-modbus and
//! publishes with rumqttc, with no journal, no rules and no checks. Both pay half a poll period
//! on the average and one at worst; what is left is theirs.
//!
//! `cargo bench -p davy --bench latency [-- --alarms 400]`

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod devices;
mod ear;
#[path = "../e2e/harness/mod.rs"]
mod harness;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use davy_points::ModbusTable;
use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::broker::Broker;
use davy_simulator::field::modbus_server::ModbusServer;
use davy_simulator::field::registers::Image;
use devices::{Site, SiteShape, percentile, size};
use ear::{acknowledge, connect, subscribe};
use harness::{Mosquitto, PATIENCE, Process, davy, wait_for};
use rumqttc::{AsyncClient, QoS};

const GAUGES: usize = 8;

/// An alarm as the subscriber saw it: which gauge, raised or returned, and when.
struct Told {
    gauge: usize,
    raised: bool,
    at: Instant,
}

fn main() {
    let alarms: usize = size("alarms", 400);
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
    println!("register change to MQTT subscriber, {alarms} alarms each, through {broker}");
    println!("            poll ms   p50 ms   p99 ms   max ms   p99 - poll   x floor");
    for poll in [10_u64, 100] {
        let mut floor = f64::NAN;
        for davy_runs in [false, true] {
            let dir = root.path().join(format!("{poll}-{davy_runs}"));
            let mut latencies = if davy_runs {
                davy_run(&runtime, &dir, port, poll, alarms)
            } else {
                floor_run(&runtime, port, poll, alarms)
            };
            latencies.sort_by(f64::total_cmp);
            let p99 = percentile(&latencies, 0.99);
            if !davy_runs {
                floor = p99;
            }
            #[allow(clippy::cast_precision_loss)]
            let over = p99 - poll as f64;
            println!(
                "{:<10} {poll:>8} {:>8.2} {p99:>8.2} {:>8.2} {over:>12.2} {:>9.2}",
                if davy_runs { "davy" } else { "floor" },
                percentile(&latencies, 0.5),
                latencies[latencies.len() - 1],
                p99 / floor
            );
        }
    }
    println!("target: p99 <= poll + 5 ms");
    if let Some(own) = own {
        runtime.block_on(own.stop());
    }
}

/// The gauges and the registers behind them.
struct Gauges {
    images: Vec<Arc<Image>>,
    servers: Vec<ModbusServer>,
}

impl Gauges {
    fn start(runtime: &tokio::runtime::Runtime) -> Gauges {
        let mut gauges = Gauges {
            images: Vec::new(),
            servers: Vec::new(),
        };
        for _ in 0..GAUGES {
            let mut image = Image::default();
            image.cover(1, ModbusTable::Holding, 0, 1);
            let image = Arc::new(image);
            image.set(1, ModbusTable::Holding, 0, &[LOW]);
            let faults = Arc::new(FaultSwitch::new(1));
            let server = ModbusServer::start(Arc::clone(&image), faults);
            gauges.servers.push(runtime.block_on(server).unwrap());
            gauges.images.push(image);
        }
        gauges
    }

    fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(|s| s.address().port()).collect()
    }
}

const LOW: u16 = 500;
const HIGH: u16 = 870;

/// Moves every gauge up and down until all alarms have been told; how long each raise took, in ms.
fn provoke(gauges: &Gauges, told: &Receiver<Told>, poll: u64, alarms: usize) -> Vec<f64> {
    struct Gauge {
        /// When it jumps next; none: its last jump was not told yet.
        jump_at: Option<Instant>,
        jumped_at: Instant,
        is_high: bool,
    }
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut within_poll = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        Duration::from_nanos(random % (poll * 1_000_000))
    };
    let start = Instant::now();
    let mut each: Vec<Gauge> = (0..GAUGES)
        .map(|_| Gauge {
            jump_at: Some(start + within_poll()),
            jumped_at: start,
            is_high: false,
        })
        .collect();
    let mut latencies = Vec::new();
    while latencies.len() < alarms {
        let now = Instant::now();
        for (gauge, image) in each.iter_mut().zip(&gauges.images) {
            if gauge.jump_at.is_some_and(|at| at <= now) {
                gauge.jump_at = None;
                gauge.is_high = !gauge.is_high;
                let value = if gauge.is_high { HIGH } else { LOW };
                gauge.jumped_at = Instant::now();
                image.set(1, ModbusTable::Holding, 0, &[value]);
            }
        }
        let next = each.iter().filter_map(|g| g.jump_at).min();
        let patience = next.map_or(PATIENCE, |at| at.saturating_duration_since(now));
        let heard = match told.recv_timeout(patience) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) if next.is_some() => continue,
            Err(error) => panic!("an alarm did not come: {error}"),
        };
        let gauge = &mut each[heard.gauge];
        if gauge.jump_at.is_none() && heard.raised == gauge.is_high {
            if heard.raised {
                latencies.push(heard.at.duration_since(gauge.jumped_at).as_secs_f64() * 1e3);
            }
            gauge.jump_at = Some(Instant::now() + within_poll());
        }
    }
    latencies
}

fn davy_run(
    runtime: &tokio::runtime::Runtime,
    dir: &Path,
    broker: u16,
    poll: u64,
    alarms: usize,
) -> Vec<f64> {
    let gauges = Gauges::start(runtime);
    let shape = SiteShape {
        ports: &gauges.ports(),
        points: 1,
        poll: &format!("{poll}ms"),
        on_delay: "0s",
        report: "0",
        broker,
    };
    let site = Site::write(dir, &shape);
    let (tell, told) = channel();
    let ack = acknowledge(runtime, broker);
    let read = move |payload: &[u8], at: Instant| {
        let json: serde_json::Value = serde_json::from_slice(payload).ok()?;
        ack(json["seq"].as_u64()?);
        let gauge = json["tag"].as_str()?.get(3..6)?.parse().ok()?;
        if json["level"] != "h" {
            return None;
        }
        let raised = match json["to"].as_str()? {
            "UNACK" => true,
            "RTN_UNACK" | "NORMAL" => false,
            _ => return None,
        };
        Some(Told { gauge, raised, at })
    };
    let topic: &'static str = "davy/v1/bench/gw-1/transition";
    subscribe(runtime, broker, topic, read, tell);
    let (site_dir, data) = (site.dir.to_str().unwrap(), site.data.to_str().unwrap());
    let arguments = ["gateway", site_dir, "--id", "gw-1", "--data-dir", data];
    let mut gateway = Process::spawn("davy gateway", &mut davy(&arguments));
    let latencies = provoke_when_polled(&gauges, &told, poll, alarms);
    gateway.stop();
    runtime.block_on(async {
        for server in gauges.servers {
            server.stop().await;
        }
    });
    latencies
}

fn floor_run(runtime: &tokio::runtime::Runtime, broker: u16, poll: u64, alarms: usize) -> Vec<f64> {
    let gauges = Gauges::start(runtime);
    let (tell, told) = channel();
    let read = |payload: &[u8], at: Instant| {
        let (gauge, raised) = std::str::from_utf8(payload).ok()?.split_once(' ')?;
        Some(Told {
            gauge: gauge.parse().ok()?,
            raised: raised == "true",
            at,
        })
    };
    subscribe(runtime, broker, "floor", read, tell);
    // As davy has it: one thread polls, another one talks to the broker.
    let (client, mut events) = connect("floor", broker);
    let talker = runtime.spawn(async move { while events.poll().await.is_ok() {} });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ports = gauges.ports();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for (n, port) in ports.into_iter().enumerate() {
                tasks.spawn(poll_bare(n, port, poll, client.clone()));
            }
            let _ = stopped.await;
        });
    });
    let latencies = provoke_when_polled(&gauges, &told, poll, alarms);
    let _ = stop.send(());
    thread.join().unwrap();
    talker.abort();
    runtime.block_on(async {
        for server in gauges.servers {
            server.stop().await;
        }
    });
    latencies
}

fn provoke_when_polled(
    gauges: &Gauges,
    told: &Receiver<Told>,
    poll: u64,
    alarms: usize,
) -> Vec<f64> {
    wait_for("every gauge to be polled", || {
        let polled = gauges.servers.iter().all(|s| s.stats().requests >= 5);
        polled.then_some(())
    });
    provoke(gauges, told, poll, alarms)
}

async fn poll_bare(n: usize, port: u16, poll: u64, client: AsyncClient) {
    use tokio_modbus::client::Reader as _;
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    stream.set_nodelay(true).unwrap();
    let mut context =
        tokio_modbus::client::tcp::attach_slave(stream, tokio_modbus::slave::Slave(1));
    let mut period = tokio::time::interval(Duration::from_millis(poll));
    let mut was_high = false;
    loop {
        period.tick().await;
        let words = context.read_holding_registers(0, 1).await.unwrap().unwrap();
        let is_high = words[0] >= 850;
        if is_high != was_high {
            was_high = is_high;
            let text = format!("{n} {is_high}");
            client
                .publish("floor", QoS::AtLeastOnce, false, text)
                .await
                .unwrap();
        }
    }
}
