//! From the start of the process to the first request at a device, for one point and for 1,000;
//! beside it the connection, which comes first. The floor is `davy --version`: a process that
//! starts, reads its arguments and ends. And the size of the binary.
//!
//! `cargo bench -p davy --bench start [-- --runs 15 --points 1000]`

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod devices;
#[path = "../e2e/harness/mod.rs"]
mod harness;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::modbus_server::{Device, Exception, ModbusServer, ReadRequest};
use devices::{Site, SiteShape, median, size};
use harness::{PATIENCE, Process, davy};

enum Seen {
    Connected(Instant),
    Asked(Instant),
}

/// Notes when somebody comes, and when it is first asked for something.
struct Doorbell(Sender<Seen>);

impl Device for Doorbell {
    fn connected(&self) {
        let _ = self.0.send(Seen::Connected(Instant::now()));
    }

    fn read(&self, request: ReadRequest, out: &mut Vec<u8>) -> Result<(), Exception> {
        let _ = self.0.send(Seen::Asked(Instant::now()));
        out.push(u8::try_from(request.count * 2).unwrap());
        out.extend(std::iter::repeat_n([1, 244], usize::from(request.count)).flatten());
        Ok(())
    }
}

fn main() {
    let runs: usize = size("runs", 15);
    let floor = median(
        (0..runs)
            .map(|_| {
                let began = Instant::now();
                let said = davy(&["--version"]).output().unwrap();
                assert!(said.status.success());
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect(),
    );
    println!("process start to the device, {runs} runs, poll period 1 s");
    println!("                       median ms    worst ms   x floor");
    println!("davy --version        {floor:>10.1}");
    for points in [1, size("points", 1_000)] {
        let (connected, asked): (Vec<f64>, Vec<f64>) = (0..runs).map(|_| run(points)).unzip();
        for (what, times) in [("connection", connected), ("first poll", asked)] {
            let worst = times.iter().copied().fold(0.0, f64::max);
            let middle = median(times);
            println!(
                "{points:>5} points, {what} {middle:>10.1} {worst:>11.1} {:>9.1}",
                middle / floor
            );
        }
    }
    #[allow(clippy::cast_precision_loss)]
    let bytes = std::fs::metadata(env!("CARGO_BIN_EXE_davy")).unwrap().len() as f64;
    println!("binary {:.1} MB", bytes / 1e6);
    println!("target: first poll < 300 ms, binary < 20 MB");
}

/// Milliseconds to the connection and to the first request.
fn run(points: usize) -> (f64, f64) {
    let root = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (bell, rung) = channel();
    let faults = Arc::new(FaultSwitch::new(1));
    let server = runtime
        .block_on(ModbusServer::start(Doorbell(bell), faults))
        .unwrap();
    let shape = SiteShape {
        ports: &[server.address().port()],
        points,
        poll: "1s",
        on_delay: "5s",
        report: "0",
        broker: 9,
    };
    let site = Site::write(root.path(), &shape);
    let (dir, data) = (site.dir.to_str().unwrap(), site.data.to_str().unwrap());
    let arguments = ["gateway", dir, "--id", "gw-1", "--data-dir", data];
    let began = Instant::now();
    let mut gateway = Process::spawn("davy gateway", &mut davy(&arguments));
    let since = |at: Instant| at.duration_since(began).as_secs_f64() * 1e3;
    let mut connected = f64::NAN;
    let asked = loop {
        match rung.recv_timeout(PATIENCE).expect("a gateway that polls") {
            Seen::Connected(at) => connected = since(at),
            Seen::Asked(at) => break since(at),
        }
    };
    gateway.kill();
    runtime.block_on(server.stop());
    (connected, asked)
}
