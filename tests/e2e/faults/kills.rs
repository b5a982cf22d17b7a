//! kill -9 of the gateway and of the centre, at instants that a seed chooses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::harness::{VictoriaMetrics, get_json, wait_for};
use crate::plant::{Build, Chance, Device, Site, broker};

/// `DAVY_KILLS=500` for a longer look; `DAVY_SEED` for another one.
fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

/// Something that goes on until it is told to end.
struct Going<T> {
    end: Arc<AtomicBool>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> Going<T> {
    fn start(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Going<T> {
        let end = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&end);
        Going {
            end,
            thread: std::thread::spawn(move || work(&seen)),
        }
    }

    fn end(self) -> T {
        self.end.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// The level goes through H and HH and back, until told to end; then it stands at 95.
fn swing(device: Arc<Device>, mut chance: Chance) -> Going<()> {
    Going::start(move |end| {
        while !end.load(Ordering::SeqCst) {
            for level in [50, 87, 95, 87] {
                device.set(0, level);
                device.set(1, 100 - level);
                std::thread::sleep(Duration::from_millis(110 + chance.below(150)));
            }
        }
        device.set(0, 95);
        device.set(1, 50);
    })
}

/// Acknowledges whatever asks for it, and remembers every command that the centre took.
fn acknowledge(http: u16, dir: Site) -> Going<Vec<String>> {
    Going::start(move |end| {
        let site = Site { http, ..dir };
        let mut taken = Vec::new();
        while !end.load(Ordering::SeqCst) {
            let due: Vec<String> = site
                .alarms()
                .unwrap_or_default()
                .iter()
                .filter(|a| {
                    a["needs_ack"] == true && a["provisional"] == false && a["owner"] == "gw-1"
                })
                .map(|a| a["occurrence"].as_str().unwrap().to_owned())
                .collect();
            for occurrence in due {
                taken.extend(site.ack(&occurrence, &occurrence));
            }
            std::thread::sleep(Duration::from_millis(60));
        }
        taken.sort();
        taken.dedup();
        taken
    })
}

fn same(site: &Site) -> Site {
    Site {
        dir: site.dir.clone(),
        data: site.data.clone(),
        http: site.http,
    }
}

/// Every command that was taken has come to its end; how many were applied.
fn all_answered(site: &Site, taken: &[String]) -> usize {
    taken
        .iter()
        .filter(|id| {
            let command = wait_for(&format!("the end of command {id}"), || {
                get_json(site.http, &format!("/api/v1/commands/{id}"))
                    .filter(|c| c["state"] != "pending")
            });
            command["state"] == "applied"
        })
        .count()
}

#[test]
fn a_gateway_killed_at_any_instant_loses_and_doubles_nothing() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
        return;
    };
    let Some(store) = VictoriaMetrics::start(root.path()) else {
        return;
    };
    let device = Arc::new(Device::start(2));
    let site = Build {
        broker: broker.port,
        devices: &[(device.port, 2)],
        sink: Some(store.url()),
        ..Build::default()
    }
    .write(root.path());
    let mut chance = Chance(from_env("DAVY_SEED", 0x5eed_cafe));
    let kills = from_env("DAVY_KILLS", 25);

    let mut center = site.center();
    let swinging = swing(Arc::clone(&device), Chance(0xabcd));
    let acknowledging = acknowledge(site.http, same(&site));
    for _ in 0..kills {
        let mut gateway = site.gateway();
        // The instant is the fault.
        std::thread::sleep(Duration::from_millis(chance.below(900)));
        gateway.kill();
    }
    let mut gateway = site.gateway();
    wait_for("HH once more", || {
        site.alarm("table/LT-1000/hh")
            .filter(|a| a["unknown"] == false && a["label"] != "NORMAL")
    });
    let taken = acknowledging.end();
    swinging.end();
    site.value_is("LT-1000", 95.0);
    wait_for("HH at the end", || {
        site.alarm("table/LT-1000/hh")
            .filter(|a| a["regions"]["after"]["condition"] == "active" && a["unknown"] == false)
    });
    site.settled();
    let applied = all_answered(&site, &taken);
    assert!(applied > 0, "acks went through between the kills");
    site.settled();
    assert_eq!(site.standing(), site.standing_in_journal());
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    assert_eq!(site.standing(), site.standing_in_journal());
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());

    site.same_records();
    let rows = site.same_rows();
    for (tag, rows) in Site::rows(&site.gateway_dir()) {
        let values: Vec<(i64, f64)> = rows
            .iter()
            .filter_map(|(t, (bits, _))| Some((t / 1_000_000, f64::from_bits((*bits)?))))
            .collect();
        let selector = format!("tank_level_value{{tag=\"{tag}\"}}");
        let mirrored = wait_for(&format!("{} samples at the sink", values.len()), || {
            let mut rows = store.export(&selector);
            // What was sent twice stands twice until the store merges it.
            rows.dedup();
            (rows.len() >= values.len()).then_some(rows)
        });
        let missing: Vec<_> = values.iter().filter(|v| !mirrored.contains(v)).collect();
        let extra: Vec<_> = mirrored.iter().filter(|v| !values.contains(v)).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{tag} at the sink: missing {missing:?}, extra {extra:?}"
        );
    }
    println!(
        "{kills} kills: {} transitions, {rows} rows, {applied} of {} acks applied",
        site_last(&site),
        taken.len()
    );
}

fn site_last(site: &Site) -> u64 {
    davy_journal::JournalReader::open(&site.gateway_dir())
        .unwrap()
        .last_seq()
        .unwrap()
}

#[test]
fn a_centre_killed_at_any_instant_loses_and_doubles_nothing() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
        return;
    };
    let device = Arc::new(Device::start(2));
    let site = Build {
        broker: broker.port,
        devices: &[(device.port, 2)],
        ..Build::default()
    }
    .write(root.path());
    let mut chance = Chance(from_env("DAVY_SEED", 0xfeed_5eed));
    let kills = from_env("DAVY_KILLS", 25) / 2;

    let mut gateway = site.gateway();
    let swinging = swing(Arc::clone(&device), Chance(0x1234));
    let mut taken = Vec::new();
    for kill in 0..kills {
        let mut center = site.center();
        if kill % 3 == 2 {
            // An ack that the centre took in its last moment.
            let command = wait_for("an ack that is taken", || {
                let due = site.alarms()?.into_iter().find(|a| {
                    a["needs_ack"] == true && a["provisional"] == false && a["owner"] == "gw-1"
                })?;
                site.ack(due["occurrence"].as_str()?, &format!("kill-{kill}"))
            });
            center.kill();
            taken.push(command);
        } else {
            std::thread::sleep(Duration::from_millis(chance.below(1200)));
            center.kill();
        }
    }
    let mut center = site.center();
    swinging.end();
    site.value_is("LT-1000", 95.0);
    wait_for("HH at the end", || {
        site.alarm("table/LT-1000/hh")
            .filter(|a| a["regions"]["after"]["condition"] == "active" && a["unknown"] == false)
    });
    let applied = all_answered(&site, &taken);
    site.settled();
    assert_eq!(site.standing(), site.standing_in_journal());
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    site.settled();
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    site.same_records();
    let rows = site.same_rows();
    println!(
        "{kills} kills of the centre: {} transitions, {rows} rows, {applied} of {} acks applied",
        site_last(&site),
        taken.len()
    );
}
