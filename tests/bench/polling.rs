//! Acquisition through qualify, rules, journal and series, against a client that only reads.
//!
//! 100 devices × 100 registers, one request in flight at each; every reply has one register in a
//! hundred changed; a point that did not change is not forwarded. Devices, all on one thread,
//! stand in a process of their own. The floor is `floor.c`, an epoll loop that reads and looks
//! at nothing; beside it, bare tokio-modbus. They take turns.
//!
//! `cargo bench -p davy --bench polling [-- --devices 100 --registers 100 --seconds 2 --rounds 4]`

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod devices;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use devices::{Devices, Site, SiteShape, cpu, median, size};

fn main() {
    devices::serve_if_asked();
    let (count, registers) = (size("devices", 100), size("registers", 100_u16));
    let seconds = Duration::from_secs_f64(size("seconds", 2.0));
    let rounds: usize = size("rounds", 4);
    let root = tempfile::tempdir().unwrap();
    let floor = compile(root.path());
    let mut field = Devices::start(count, usize::from(registers));
    println!(
        "{count} devices x {registers} registers, one request in flight each, {rounds} rounds of {seconds:?}"
    );
    let ways: [(&str, Way); 3] = [
        ("floor", Way::Floor),
        ("davy", Way::Davy),
        ("bare", Way::Bare),
    ];
    let mut figures = [const { Vec::new() }; 3];
    for round in 0..rounds {
        for (n, (name, way)) in ways.iter().enumerate() {
            let dir = root.path().join(format!("{name}-{round}"));
            std::fs::create_dir(&dir).unwrap();
            let figure = match way {
                Way::Floor => floor_run(&floor, &mut field, registers, seconds),
                Way::Davy => davy_run(&dir, &mut field, registers, seconds),
                Way::Bare => bare_run(&mut field, registers, seconds),
            };
            println!(
                "  {name:<6} {:>9.0} req/s  {:>6.2} µs of processor a request{}",
                figure.rate,
                figure.cost * 1e6,
                figure.note
            );
            figures[n].push(figure);
        }
    }
    let rate = |n: usize| median(figures[n].iter().map(|f| f.rate).collect());
    let cost = |n: usize| 1e6 * median(figures[n].iter().map(|f| f.cost).collect());
    println!("\nmedians             req/s   x floor   µs/req   x floor");
    for (n, what) in ["floor.c", "davy", "tokio-modbus"].iter().enumerate() {
        println!(
            "{what:<14} {:>10.0} {:>9.2} {:>8.2} {:>9.2}",
            rate(n),
            rate(n) / rate(0),
            cost(n),
            cost(0) / cost(n)
        );
    }
    println!(
        "(the devices, on one thread, hold the rate back; processor time is that of all threads"
    );
    println!(" of the reader together, and suffers less from whoever else uses the machine)");
    println!("target: davy >= 0.60 x floor");
}

#[derive(Clone, Copy)]
enum Way {
    Floor,
    Davy,
    Bare,
}

struct Figure {
    /// Requests a second, as the devices count them.
    rate: f64,
    /// Processor seconds of the reader a request, all its threads.
    cost: f64,
    note: String,
}

/// What the devices answer while somebody polls.
#[allow(clippy::cast_precision_loss)]
fn measure(field: &mut Devices, pid: u32, seconds: Duration) -> Figure {
    std::thread::sleep(Duration::from_millis(500)); // warm
    let (began, (reads, _), spent) = (Instant::now(), field.reads(), cpu(pid));
    std::thread::sleep(seconds);
    let (took, (now, _), used) = (began.elapsed(), field.reads(), cpu(pid));
    let requests = (now - reads) as f64;
    Figure {
        rate: requests / took.as_secs_f64(),
        cost: (used - spent).as_secs_f64() / requests,
        note: String::new(),
    }
}

fn compile(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench/floor.c");
    let program = dir.join("floor");
    let done = Command::new("cc")
        .args(["-O2", "-o"])
        .args([&program, &source])
        .status();
    assert!(
        done.is_ok_and(|s| s.success()),
        "the floor wants a C compiler: apt-get install gcc"
    );
    program
}

fn floor_run(program: &Path, field: &mut Devices, registers: u16, seconds: Duration) -> Figure {
    let ports: Vec<String> = field.ports.iter().map(u16::to_string).collect();
    let mut child = Command::new(program)
        .args([&ports.join(","), &registers.to_string(), "3600"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let figure = measure(field, child.id(), seconds);
    let _ = child.kill();
    let _ = child.wait();
    figure
}

fn davy_run(dir: &Path, field: &mut Devices, registers: u16, seconds: Duration) -> Figure {
    let shape = SiteShape {
        ports: &field.ports,
        points: usize::from(registers),
        poll: "0ms",
        on_delay: "5s",
        report: "0",
        broker: 9,
    };
    let site = Site::write(dir, &shape);
    let (plan, rules) = site.load();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let _within = runtime.enter();
    let gateway = davy_gateway::start(davy_gateway::GatewayConfig {
        plan: Arc::new(plan),
        rules: Arc::new(rules),
        id: "gw-1".into(),
        data_dir: site.data,
        input_log: None,
    })
    .unwrap();
    let mut figure = measure(field, std::process::id(), seconds);
    let before = gateway.stats();
    let stats = runtime.block_on(gateway.stop());
    figure.note = format!(
        "  ({} samples judged, {} Bad, {} rows stored, {} lost)",
        before.samples, before.samples_bad, stats.rows_stored, stats.lost
    );
    figure
}

fn bare_run(field: &mut Devices, registers: u16, seconds: Duration) -> Figure {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let ports = field.ports.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let reader = std::thread::spawn(move || {
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for port in ports {
                tasks.spawn(async move {
                    use tokio_modbus::client::Reader as _;
                    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
                        .await
                        .unwrap();
                    stream.set_nodelay(true).unwrap();
                    let slave = tokio_modbus::slave::Slave(1);
                    let mut context = tokio_modbus::client::tcp::attach_slave(stream, slave);
                    loop {
                        let words = context.read_holding_registers(0, registers).await;
                        std::hint::black_box(words.unwrap().unwrap());
                    }
                });
            }
            let _ = stopped.await;
        });
    });
    let figure = measure(field, std::process::id(), seconds);
    let _ = stop.send(());
    reader.join().unwrap();
    figure
}
