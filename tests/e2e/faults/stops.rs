//! SIGINT and SIGTERM while nothing around answers: gone within 5 s, exit 0, nothing cleared.

use std::time::Instant;

use crate::harness::{Process, davy, free_port, get_json, wait_for};
use crate::plant::{Build, Device, HANG, Mute, Proxy, Site, broker};

fn ended(what: &str, process: &mut Process, signal: &str) {
    let began = Instant::now();
    process.signal(signal);
    let code = process.ended();
    println!(
        "{what}, SIG{signal}: gone after {:.2} s",
        began.elapsed().as_secs_f64()
    );
    assert_eq!(code, Some(0), "{what}: {:?}", process.tail());
}

/// More gateways than one, so that the stops of all together must be short.
fn three_gateways(
    root: &std::path::Path,
    broker: u16,
    device: &Device,
    proxy: &Proxy,
    http: u16,
) -> Site {
    let mut more = String::new();
    let (mut sources, mut points) = (String::new(), String::new());
    for g in 2..=3 {
        more += &format!("[[gateway]]\nid = \"gw-{g}\"\nname = \"网关{g}\"\n");
        sources += &format!(
            "[[modbus]]\nid = \"more-{g}\"\ngateway = \"gw-{g}\"\naddress = \"tcp://127.0.0.1:{}\"\n\
             timeout = \"300ms\"\npoll = {{ fast = \"100ms\", normal = \"100ms\", slow = \"1s\" }}\n",
            device.port
        );
        points += &format!(
            "LT-9{g},液位,TF,A,tank_level,%,0,100,more-{g},1,holding,0,u16,5,10,85,90,1\n"
        );
    }
    Build {
        broker,
        devices: &[(device.port, 1)],
        center_url: Some(proxy.url()),
        sources,
        points,
        site: more,
        http,
        ..Build::default()
    }
    .write(root)
}

fn standing(dir: &std::path::Path) -> usize {
    let records = davy_journal::JournalReader::open(dir)
        .unwrap()
        .read_json(0, usize::MAX >> 1)
        .unwrap();
    records
        .iter()
        .filter(|(_, json)| {
            let t: serde_json::Value = serde_json::from_slice(json).unwrap();
            t["alarm"].as_str().unwrap().starts_with("table/") && t["to"] == "NORMAL"
        })
        .count()
}

#[test]
fn davy_run_stops_while_broker_and_centre_do_not_answer() {
    let root = tempfile::tempdir().unwrap();
    let device = Device::start(1);
    device.set(0, 95);
    let (mute, http) = (Mute::start(), free_port());
    let proxy = Proxy::start(http);
    let site = three_gateways(root.path(), mute.port, &device, &proxy, http);
    for signal in ["INT", "TERM"] {
        let mut run = site.process("run", &[]);
        wait_for("a value of every gateway", || {
            let points = get_json(http, "/api/v1/points")?;
            points["points"]
                .as_array()?
                .iter()
                .all(|p| p["value"] == 95.0)
                .then_some(())
        });
        proxy.mode(HANG);
        proxy.struck();
        ended("davy run, broker mute, writes hang", &mut run, signal);
        proxy.mode(crate::plant::PASS);
    }
    for gateway in ["gw-1", "gw-2", "gw-3"] {
        assert_eq!(
            standing(&site.data.join(gateway)),
            0,
            "a stop clears nothing"
        );
    }
}

/// Somebody else holds the journal's write lock: a backup, a person with sqlite3.
#[test]
fn a_gateway_stops_while_its_journal_is_busy() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
        return;
    };
    let device = Device::start(1);
    device.set(0, 95);
    let site = Build {
        broker: broker.port,
        devices: &[(device.port, 1)],
        ..Build::default()
    }
    .write(root.path());
    let mut center = site.center();
    let mut gateway = site.gateway();
    site.alarm_as("table/LT-1000/hh", "UNACK");
    let mut db = rusqlite::Connection::open(site.gateway_dir().join("journal.db")).unwrap();
    let held = db
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    // What cannot be journalled in time is told all the same.
    device.set(0, 50);
    let told = wait_for("a return that is told though it is not journalled", || {
        site.alarm("table/LT-1000/hh")
            .filter(|a| a["label"] == "RTN_UNACK" && a["provisional"] == true)
    });
    assert!(
        told["flags"]
            .as_array()
            .unwrap()
            .iter()
            .any(|f| f == "unjournalled"),
        "{told}"
    );
    ended("davy gateway, journal busy", &mut gateway, "TERM");
    assert_eq!(
        site.gateway_view().unwrap()["state"],
        "stopping",
        "said before it went"
    );
    drop(held);
    // The return was told, but no journal has it; meanwhile the level is back where it was. What
    // stands is what the gateway says now, not what was told and never written.
    device.set(0, 95);
    let mut gateway = site.gateway();
    wait_for("HH as its journal has it", || {
        site.alarm("table/LT-1000/hh")
            .filter(|a| a["label"] == "UNACK" && a["provisional"] == false)
    });
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    site.settled();
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    site.same_records();
}

#[test]
fn davy_demo_stops_by_both_signals() {
    for signal in ["INT", "TERM"] {
        let root = tempfile::tempdir().unwrap();
        let http = free_port();
        let listen = format!("127.0.0.1:{http}");
        let data = root.path().to_str().unwrap();
        let mut demo = Process::spawn(
            "davy demo",
            &mut davy(&["demo", "--json", "--listen", &listen, "--data-dir", data]),
        );
        wait_for("both gateways", || {
            let all = get_json(http, "/api/v1/gateways")?;
            all["gateways"]
                .as_array()?
                .iter()
                .all(|g| g["state"] == "online")
                .then_some(())
        });
        ended("davy demo", &mut demo, signal);
        let summary: serde_json::Value = serde_json::from_str(&demo.line("\"lost\"")).unwrap();
        assert_eq!(
            (&summary["lost"], &summary["journal_verified"]),
            (&0.into(), &true.into()),
            "{summary}"
        );
    }
}
