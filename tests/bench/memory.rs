//! Resident memory of `davy gateway` at 10,000 and 100,000 points, 1,000 a device, all polled
//! and under rules (four levels, stale, quality), one register in a hundred changing. The floor
//! is the same process with ten points.
//!
//! `cargo bench -p davy --bench memory [-- --points 100000 --settle 5]`

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod devices;
#[path = "../e2e/harness/mod.rs"]
mod harness;

use std::time::Duration;

use devices::{Devices, Site, SiteShape, memory, size};
use harness::{Process, davy, wait_for};

const PER_DEVICE: usize = 1_000;

fn main() {
    devices::serve_if_asked();
    let most: usize = size("points", 100_000);
    let settle = Duration::from_secs_f64(size("settle", 5.0));
    println!("davy gateway, poll period 1 s, {settle:?} after every point was polled three times");
    println!("  points    RSS MB    peak MB   x floor   B/point");
    let mut floor = f64::NAN;
    for points in [10, most / 10, most] {
        let (resident, peak) = run(points, settle);
        if floor.is_nan() {
            floor = resident;
        }
        #[allow(clippy::cast_precision_loss)]
        let each = (resident - floor) * 1e6 / points as f64;
        println!(
            "{points:>8} {resident:>9.1} {peak:>10.1} {:>9.2} {each:>9.0}",
            resident / floor
        );
    }
    println!("target: 100,000 points in < 150 MB");
}

fn run(points: usize, settle: Duration) -> (f64, f64) {
    let root = tempfile::tempdir().unwrap();
    let each = points.min(PER_DEVICE);
    let mut field = Devices::start(points / each, each);
    let shape = SiteShape {
        ports: &field.ports,
        points: each,
        poll: "1s",
        on_delay: "5s",
        report: "0",
        broker: 9,
    };
    let site = Site::write(root.path(), &shape);
    let (dir, data) = (site.dir.to_str().unwrap(), site.data.to_str().unwrap());
    let arguments = ["gateway", dir, "--id", "gw-1", "--data-dir", data];
    let mut gateway = Process::spawn("davy gateway", &mut davy(&arguments));
    let scan = u64::try_from(each.div_ceil(125)).unwrap();
    wait_for("three scans of every device", || {
        (field.reads().1 >= 3 * scan).then_some(())
    });
    std::thread::sleep(settle); // what is measured is a state that lasts, not an event
    let pid = gateway.pid();
    let figures = (memory(pid, "VmRSS"), memory(pid, "VmHWM"));
    gateway.stop();
    figures
}
