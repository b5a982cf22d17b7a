//! Lanes that are away, silent, refusing or hanging; a gateway that stands still behind living
//! sockets.

use crate::harness::{Mosquitto, free_port, get_json, wait_for};
use crate::plant::{Build, CLOSE, Device, HANG, Mute, PASS, Proxy, REFUSE, broker};

/// The broker is not there when everything starts, then a host accepts and never answers, then it
/// is a broker.
#[test]
fn a_broker_that_comes_late_or_never_answers_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mute = Mute::start();
    let device = Device::start(1);
    device.set(0, 95);
    let site = Build {
        broker: mute.port,
        devices: &[(device.port, 1)],
        ..Build::default()
    }
    .write(root.path());
    let mut center = site.center();
    let mut gateway = site.gateway();
    // History has its own lane and needs no broker; neither does the judging.
    site.value_is("LT-1000", 95.0);
    wait_for("somebody who waits for the mute broker", || {
        (mute.accepted.load(std::sync::atomic::Ordering::SeqCst) >= 4).then_some(())
    });
    device.set(0, 50);
    site.value_is("LT-1000", 50.0);
    device.set(0, 95);
    site.value_is("LT-1000", 95.0);
    let port = mute.end();
    // Nobody listens there for a moment; then a broker does.
    let Some(broker) = Mosquitto::start_at(root.path(), port) else {
        return;
    };
    let hh = site.alarm_as("table/LT-1000/hh", "UNACK");
    site.ack(hh["occurrence"].as_str().unwrap(), "late")
        .unwrap();
    site.alarm_as("table/LT-1000/hh", "ACKED");
    site.settled();
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    drop(broker);
    site.same_records();
    site.same_rows();
}

/// 503, no answer at all, a cut connection: each until a request has met it.
#[test]
fn a_centre_that_refuses_hangs_or_cuts_loses_no_sample() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
        return;
    };
    let device = Device::start(1);
    device.set(0, 10);
    let http = free_port();
    let proxy = Proxy::start(http);
    let site = Build {
        broker: broker.port,
        devices: &[(device.port, 1)],
        center_url: Some(proxy.url()),
        http,
        ..Build::default()
    }
    .write(root.path());
    let mut center = site.center();
    let mut gateway = site.gateway();
    site.value_is("LT-1000", 10.0);
    for (n, fault) in [REFUSE, CLOSE, HANG].into_iter().enumerate() {
        proxy.mode(fault);
        let level = 20 + u16::try_from(n).unwrap();
        device.set(0, level);
        proxy.struck();
        // Alarms have their own lane: they do not wait for history.
        device.set(0, 95);
        let hh = site.alarm_as("table/LT-1000/hh", "UNACK");
        site.ack(hh["occurrence"].as_str().unwrap(), &format!("{n}"))
            .unwrap();
        device.set(0, level);
        wait_for("the return of HH", || {
            site.alarm("table/LT-1000/hh")
                .is_none_or(|a| a["label"] == "NORMAL")
                .then_some(())
        });
        proxy.mode(PASS);
        site.value_is("LT-1000", f64::from(level));
    }
    site.settled();
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    site.same_records();
    site.same_rows();
}

/// Stopped, not killed: its sockets live, and only the beat tells.
#[test]
fn a_gateway_that_stands_still_is_an_alarm_and_clears_none() {
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
    let hh = site.alarm_as("table/LT-1000/hh", "UNACK");
    wait_for("a gateway that is online", || {
        site.gateway_view().filter(|g| g["state"] == "online")
    });

    gateway.signal("STOP");
    device.set(0, 50);
    let silence = wait_for("the centre's own alarm", || {
        site.alarms()?
            .into_iter()
            .find(|a| a["owner"] == "center" && a["tag"] == "gw-1" && a["label"] == "UNACK")
    });
    assert_eq!(silence["priority"], 1, "{silence}");
    wait_for("points that nobody can see", || {
        site.point("LT-1000").filter(|p| p["quality"] != 192)
    });
    let greyed = site.point("LT-1000").unwrap();
    assert!(greyed["quality"].as_i64().unwrap() < 64, "{greyed}");
    assert_eq!(
        site.gateway_view().unwrap()["state"],
        "silent",
        "no socket has closed"
    );
    let list = get_json(site.http, "/api/v1/not-protecting").unwrap();
    assert!(
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|i| i["kind"] == "gateway" && i["hazard"] == "TF"),
        "{list}"
    );
    let stands = site.alarm("table/LT-1000/hh").unwrap();
    assert_eq!(
        (&stands["label"], &stands["occurrence"]),
        (&hh["label"], &hh["occurrence"]),
        "silence clears nothing"
    );
    // An ack that is given now waits for the gateway.
    let command = site
        .ack(hh["occurrence"].as_str().unwrap(), "silent")
        .unwrap();
    let pending = get_json(site.http, &format!("/api/v1/commands/{command}")).unwrap();
    assert_eq!(pending["state"], "pending", "{pending}");

    gateway.signal("CONT");
    wait_for("the ack's end", || {
        get_json(site.http, &format!("/api/v1/commands/{command}"))
            .filter(|c| c["state"] == "applied")
    });
    site.value_is("LT-1000", 50.0);
    wait_for("a gateway that is back", || {
        site.gateway_view().filter(|g| g["state"] == "online")
    });
    wait_for("the silence's return", || {
        site.alarms()?
            .into_iter()
            .any(|a| a["owner"] == "center" && a["tag"] == "gw-1" && a["label"] == "RTN_UNACK")
            .then_some(())
    });
    site.settled();
    assert_eq!(gateway.stop(), Some(0), "{:?}", gateway.tail());
    assert_eq!(center.stop(), Some(0), "{:?}", center.tail());
    site.same_records();
    site.same_rows();
}
