//! Disks: full, torn, cut to nothing, replaced.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use davy_journal::{JournalReader, ReceivedReader};

use crate::harness::{Process, get_json, wait_for};
use crate::plant::{Build, Device, Site, broker};

/// A small disk of its own, as far as root allows it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, megabytes: u32) -> Option<SmallDisk> {
        fs::create_dir_all(&at).unwrap();
        let size = format!("size={megabytes}m");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "davy-test"])
            .arg(&at)
            .output();
        if done.is_ok_and(|o| o.status.success()) {
            return Some(SmallDisk(at));
        }
        // Not a failure under CI either: it is the machine that may not do it, not a package.
        eprintln!("skipped: a full disk needs the right to mount a tmpfs (run as root)");
        None
    }

    /// Takes what is free, to the last page.
    fn fill(&self, name: &str) {
        let mut file = fs::File::create(self.0.join(name)).unwrap();
        for piece in [1 << 20, 4096] {
            let zeros = vec![0; piece];
            while file.write_all(&zeros).is_ok() {}
        }
    }

    fn free(&self, name: &str) {
        fs::remove_file(self.0.join(name)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn system(site: &Site, part: &str, active: bool) {
    let name = format!("system/{part}/on");
    wait_for(&format!("{name}, active: {active}"), || {
        let alarm = site.alarm(&name)?;
        (active == (alarm["regions"]["after"]["condition"] == "active")).then_some(())
    });
}

#[test]
fn a_full_disk_silences_no_alarm_and_says_so() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
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
    let Some(disk) = SmallDisk::mount(site.gateway_dir(), 160) else {
        return;
    };
    let mut center = site.center();
    let mut gateway = site.gateway();
    site.value_is("LT-1000", 50.0);

    // The series can take no more; what was kept in reserve is left to alarms.
    disk.fill("filler");
    system(&site, "history", true);
    device.set(0, 95);
    let hh = site.alarm_as("table/LT-1000/hh", "UNACK");
    let occurrence = hh["occurrence"].as_str().unwrap().to_owned();
    // Swing until the journal has needed the reserve and said so.
    wait_for("the reserve", || {
        device.set(0, 50);
        wait_for("a return", || {
            site.alarm("table/LT-1000/hh")
                .filter(|a| a["regions"]["after"]["condition"] == "normal")
        });
        device.set(0, 95);
        wait_for("HH again", || {
            site.alarm("table/LT-1000/hh")
                .filter(|a| a["regions"]["after"]["condition"] == "active")
        });
        site.alarm("system/disk/on")
            .filter(|a| a["regions"]["after"]["condition"] == "active")
    });

    // Somebody eats the reserve too: now not even a transition can be written.
    disk.fill("more");
    let unjournalled = wait_for("an alarm that no disk has", || {
        device.set(
            0,
            if site
                .alarm("table/LT-1000/h")
                .is_some_and(|a| a["regions"]["after"]["condition"] == "active")
            {
                50
            } else {
                95
            },
        );
        site.alarms()?.into_iter().find(|a| {
            a["provisional"] == true
                && a["flags"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|f| f == "unjournalled")
        })
    });
    assert_eq!(unjournalled["owner"], "gw-1", "{unjournalled}");
    system(&site, "journal", true);

    disk.free("more");
    disk.free("filler");
    system(&site, "journal", false);
    system(&site, "history", false);
    device.set(0, 51);
    site.value_is("LT-1000", 51.0);
    site.settled();
    wait_for("nothing provisional", || {
        site.alarms()?
            .iter()
            .all(|a| a["provisional"] == false)
            .then_some(())
    });
    let again = site.alarm("table/LT-1000/hh").unwrap();
    assert_ne!(again["occurrence"], occurrence, "{again}");
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());

    // A gateway that is started on a full disk warns all the same. One start with space, which
    // keeps its reserve again; then one without.
    let mut gateway = site.gateway();
    gateway.line("source is up");
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    disk.fill("filler");
    let mut gateway = site.gateway();
    device.set(0, 95);
    wait_for("HH from a start on a full disk", || {
        site.alarm("table/LT-1000/hh")
            .filter(|a| a["regions"]["after"]["condition"] == "active" && a["unknown"] == false)
    });
    disk.free("filler");
    site.value_is("LT-1000", 95.0);
    site.settled();
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    site.same_records();
    site.same_rows();
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(&path).unwrap())
        })
        .filter(|(name, _)| name.contains(".db") && !name.ends_with("-shm"))
        .collect()
}

/// Somebody or something has cut or scribbled into a file of a gateway that was stopped, or killed.
#[test]
fn a_torn_file_is_one_clear_line_and_nothing_is_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
        return;
    };
    let device = Device::start(2);
    let site = Build {
        broker: broker.port,
        devices: &[(device.port, 2)],
        ..Build::default()
    }
    .write(root.path());
    let mut center = site.center();
    let mut gateway = site.gateway();
    for level in [95, 50, 95, 50, 95] {
        device.set(0, level);
        site.value_is("LT-1000", f64::from(level));
    }
    gateway.kill();
    let killed = root.path().join("killed");
    copy(&site.gateway_dir(), &killed);
    let mut gateway = site.gateway();
    gateway.line("source is up");
    site.alarm_as("table/LT-1000/hh", "UNACK");
    assert_eq!(gateway.stop(), Some(0));
    assert_eq!(center.stop(), Some(0));
    let stopped = root.path().join("stopped");
    copy(&site.gateway_dir(), &stopped);
    for name in ["journal.db", "series.db"] {
        // Everything in the file itself, so that a tear takes something away.
        let db = rusqlite::Connection::open(stopped.join(name)).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
    }

    type Tear = fn(&Path);
    let tears: [(&str, Tear); 5] = [
        ("cut to half", |file| {
            let length = fs::metadata(file).unwrap().len();
            cut(file, length / 2 / 4096 * 4096);
        }),
        ("cut in a page", |file| {
            let length = fs::metadata(file).unwrap().len();
            cut(file, length / 2 + 1000);
        }),
        ("cut to nothing", |file| cut(file, 0)),
        ("another header", |file| scribble(file, 0, 100)),
        ("scribbled over", |file| {
            let length = fs::metadata(file).unwrap().len();
            scribble(file, 4096, usize::try_from(length).unwrap() - 4096);
        }),
    ];
    for (from, what) in [(&stopped, "stopped"), (&killed, "killed")] {
        for name in ["journal.db", "series.db"] {
            for (how, tear) in tears {
                let dir = site.gateway_dir();
                fs::remove_dir_all(&dir).unwrap();
                copy(from, &dir);
                if fs::metadata(dir.join(name)).unwrap().len() <= 8192 {
                    assert_eq!(what, "killed");
                    continue; // all of it is still in the write-ahead log
                }
                tear(&dir.join(name));
                let before = contents(&dir);
                let mut gateway = site.gateway();
                let case = format!("{name} of a {what} gateway, {how}");
                let code = ended_or_running(&mut gateway);
                let said = gateway.tail().join("\n");
                assert_eq!(code, Some(2), "{case}: {said}");
                let line: Vec<&str> = said.lines().filter(|l| l.starts_with("davy: ")).collect();
                assert!(
                    line.len() == 1 && line[0].contains(name) && line[0].contains(": copy the"),
                    "{case}: {said}"
                );
                assert!(contents(&dir) == before, "{case}: a file was changed");
            }
        }
    }
}

/// The exit code; none where it runs and polls.
fn ended_or_running(gateway: &mut Process) -> Option<i32> {
    let up = wait_for("an end, or a running gateway", || {
        if !gateway.is_running() {
            return Some(false);
        }
        let lines = gateway.lines.lock().unwrap();
        lines
            .iter()
            .any(|l| l.contains("source is up"))
            .then_some(true)
    });
    if up { None } else { gateway.ended() }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        // The reserve is 64 MiB of nothing.
        if path.is_file() && !path.ends_with("journal.reserve") {
            fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

fn cut(file: &Path, to: u64) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(to).unwrap();
}

fn scribble(file: &Path, at: u64, count: usize) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&vec![0xa5; count], at).unwrap();
}

/// The remedy for a torn series is to move it aside: what comes after it is delivered all the same.
#[test]
fn a_series_that_begins_anew_is_delivered_from_its_start() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
        return;
    };
    let device = Device::start(1);
    device.set(0, 20);
    let site = Build {
        broker: broker.port,
        devices: &[(device.port, 1)],
        ..Build::default()
    }
    .write(root.path());
    let mut center = site.center();
    let mut gateway = site.gateway();
    for level in 21..30 {
        device.set(0, level);
        site.value_is("LT-1000", f64::from(level));
    }
    assert_eq!(gateway.stop(), Some(0));
    let before = Site::rows(&site.center_dir());
    for file in ["series.db", "series.db-wal", "series.db-shm"] {
        let _ = fs::remove_file(site.gateway_dir().join(file));
    }
    let mut gateway = site.gateway();
    device.set(0, 40);
    site.value_is("LT-1000", 40.0);
    assert_eq!(gateway.stop(), Some(0));
    assert_eq!(center.stop(), Some(0));
    let (ours, theirs) = (
        Site::rows(&site.gateway_dir()),
        Site::rows(&site.center_dir()),
    );
    for (when, row) in ours["LT-1000"].iter().chain(&before["LT-1000"]) {
        assert_eq!(theirs["LT-1000"].get(when), Some(row), "{when}");
    }
}

/// A gateway's disk is replaced, and its journal begins at 1 again.
fn replaced(away: bool) {
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
    let mut center = site.center();
    let mut gateway = site.gateway();
    for _ in 0..3 {
        device.set(0, 95);
        let hh = site.alarm_as("table/LT-1000/hh", "UNACK");
        let occurrence = hh["occurrence"].as_str().unwrap();
        site.ack(occurrence, occurrence).unwrap();
        site.alarm_as("table/LT-1000/hh", "ACKED");
        device.set(0, 50);
        wait_for("the return", || {
            site.alarm("table/LT-1000/hh")
                .is_none_or(|a| a["label"] == "NORMAL")
                .then_some(())
        });
    }
    site.settled();
    let old: Vec<Vec<u8>> = records(&site, "gw-1");
    assert!(old.len() > 6);
    if away {
        // The centre is away meanwhile, and the new journal outgrows what it has of the old one.
        // The broker forgets what it kept for the centre.
        assert_eq!(center.stop(), Some(0));
        broker.kill();
        broker.restart();
    }
    gateway.kill();
    fs::remove_dir_all(site.gateway_dir()).unwrap();
    let mut gateway = site.gateway();
    if away {
        let (mut seen, mut level) = (0, 95);
        device.set(0, level);
        wait_for("a journal that is longer than the old one", || {
            let seq = JournalReader::open(&site.gateway_dir())
                .ok()?
                .last_seq()
                .ok()?;
            if seq > seen + 1 {
                (seen, level) = (seq, 145 - level);
                device.set(0, level);
            }
            (seq > old.len() as u64 + 3).then_some(())
        });
        gateway.line("source is up");
        device.set(0, 50);
        center = site.center();
        site.value_is("LT-1000", 50.0);
    }
    device.set(0, 95);
    let hh = wait_for("HH of the new journal on the page", || {
        site.alarm("table/LT-1000/hh")
            .filter(|a| a["regions"]["after"]["condition"] == "active" && a["unknown"] == false)
    });
    // It can be acknowledged like any other, as soon as it is committed.
    let command = wait_for("an ack that is taken", || {
        let hh = site.alarm("table/LT-1000/hh")?;
        site.ack(hh["occurrence"].as_str()?, "anew")
    });
    wait_for("the ack's end", || {
        get_json(site.http, &format!("/api/v1/commands/{command}"))
            .filter(|c| c["state"] == "applied")
    });
    site.settled();
    let list = get_json(site.http, "/api/v1/not-protecting").unwrap();
    assert!(
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|i| i["kind"] == "journal" && i["gateway"] == "gw-1"),
        "a replaced journal is said: {list}"
    );
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    site.settled();
    let standing = site.standing();
    assert_eq!(standing, site.standing_in_journal(), "{hh}");
    // A restart of the centre knows both lives.
    center.kill();
    let mut center = site.center();
    wait_for("the centre again", || get_json(site.http, "/api/v1/alarms"));
    assert_eq!(site.standing(), standing);
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    assert!(records(&site, "gw-1") == old, "the old records stay");
    let new: Vec<Vec<u8>> = JournalReader::open(&site.gateway_dir())
        .unwrap()
        .read_from(0, usize::MAX >> 1)
        .unwrap()
        .iter()
        .map(|s| s.wire.to_vec())
        .collect();
    assert!(
        records(&site, "gw-1#2") == new,
        "and the new ones are whole"
    );
}

fn records(site: &Site, chain: &str) -> Vec<Vec<u8>> {
    ReceivedReader::open(&site.center_dir())
        .unwrap()
        .received_of(chain, 0, usize::MAX >> 1)
        .unwrap()
        .into_iter()
        .map(|r| r.wire)
        .collect()
}

#[test]
fn a_gateway_whose_disk_was_replaced_is_heard_at_once() {
    replaced(false);
}

#[test]
fn a_gateway_whose_disk_was_replaced_while_the_centre_was_away_is_heard_whole() {
    replaced(true);
}
