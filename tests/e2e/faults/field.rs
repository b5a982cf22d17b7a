//! Devices that lie, garbage on MQTT: refused, said, and never a value under a wrong tag.

use std::time::Duration;

use davy_simulator::faults::LinkFault;
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

use crate::harness::{free_port, wait_for};
use crate::plant::{Build, Device, Site, broker};

/// Every lie of a device in turn. Its registers hold their own number times 10, so that a value
/// under a wrong tag shows itself.
#[test]
fn a_lying_device_gives_no_wrong_value_and_disturbs_no_neighbour() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
        return;
    };
    let (liar, honest) = (Device::start(5), Device::start(3));
    for n in 0..5 {
        liar.set(n, 20 + n);
    }
    for n in 0..3 {
        honest.set(n, 50 + n);
    }
    let site = Build {
        broker: broker.port,
        // Nobody answers at the third one.
        devices: &[(liar.port, 5), (honest.port, 3), (free_port(), 1)],
        ..Build::default()
    }
    .write(root.path());
    let mut run = site.process("run", &[]);
    site.value_is("LT-1004", 24.0);
    site.value_is("LT-2002", 52.0);
    site.alarm_as("source/plc-3/loss_of_view", "UNACK");

    let lies = [
        LinkFault::Duplicate,
        LinkFault::WrongTransaction,
        LinkFault::WrongUnit,
        LinkFault::Short,
        LinkFault::Truncate,
        LinkFault::Merge,
        LinkFault::Split,
        LinkFault::Garbage,
        LinkFault::Drop,
        LinkFault::Late(Duration::from_millis(350)),
        LinkFault::Exception(6),
    ];
    // One answer in five, so that the source is tried again soon and meets the next lie.
    liar.faults.mix(&lies, 0.2);
    for n in 0..8 {
        let struck = liar.faults.struck();
        wait_for("answers that suffer", || {
            (liar.faults.struck() >= struck + 2).then_some(())
        });
        // The neighbour moves on meanwhile.
        let level = 60 + n;
        honest.set(0, level);
        site.value_is("LT-2000", f64::from(level));
    }
    liar.faults.clear();
    liar.set(0, 30);
    site.value_is("LT-1000", 30.0);
    wait_for("the liar's source, returned", || {
        site.alarm("source/plc-1/loss_of_view")
            .is_none_or(|a| a["regions"]["after"]["condition"] == "normal")
            .then_some(())
    });
    assert_eq!(run.stop(), Some(0), "{:?}", run.tail());
    for (tag, rows) in Site::rows(&site.gateway_dir()) {
        let register: u32 = tag[4..].parse().unwrap();
        for (time, (bits, quality)) in rows {
            let Some(value) = bits.map(f64::from_bits) else {
                continue;
            };
            let own = match &tag[..4] {
                "LT-1" => value == f64::from(20 + register) || (register == 0 && value == 30.0),
                "LT-2" => {
                    value == f64::from(50 + register)
                        || (register == 0 && (50.0..70.0).contains(&value))
                }
                _ => false,
            };
            assert!(own, "{tag} at {time}: {value} with quality {quality}");
            assert!(
                !tag.starts_with("LT-2") || quality == 192,
                "{tag} at {time}: {quality}"
            );
        }
    }
}

/// Whatever somebody publishes on the field's topics, and on those of gateway and centre.
#[test]
fn garbage_on_mqtt_is_refused_and_said() {
    let root = tempfile::tempdir().unwrap();
    let Some(broker) = broker(root.path()) else {
        return;
    };
    let device = Device::start(1);
    device.set(0, 50);
    let sources = format!(
        "[[mqtt]]\nid = \"field\"\ngateway = \"gw-1\"\naddress = \"mqtt://127.0.0.1:{}\"\n\
         topics = [\"plant/#\"]\npayload = {{ kind = \"json\", value = \"value\", time = \"ts\" }}\n\
         stale_after = \"60s\"\n",
        broker.port
    );
    let points = "GT-1,可燃气,TF,A,gas,%,0,100,field,,,plant/g1,,,,,,\n\
                  GT-2,可燃气,TF,A,gas,%,0,100,field,,,plant/g2,,,,,,\n";
    let site = Build {
        broker: broker.port,
        devices: &[(device.port, 1)],
        sources,
        points: points.to_owned(),
        ..Build::default()
    }
    .write(root.path());
    let mut run = site.process("run", &[]);
    wait_for("a gateway that is online", || {
        site.gateway_view().filter(|g| g["state"] == "online")
    });
    let mut options = MqttOptions::new("stranger", "127.0.0.1", broker.port);
    options.set_max_packet_size(2 << 20, 2 << 20);
    let (client, mut connection) = Client::new(options, 64);
    let acked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&acked);
    std::thread::spawn(move || {
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Packet::PubAck(_))) => {
                    count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    let now = davy_now_ms();
    let good = |value: f64| format!("{{\"value\":{value},\"ts\":{}}}", davy_now_ms()).into_bytes();
    let mut sent = 0;
    let mut say = |topic: &str, retain, payload: Vec<u8>| {
        client
            .publish(topic, QoS::AtLeastOnce, retain, payload)
            .unwrap();
        sent += 1;
        wait_for("a PUBACK", || {
            (acked.load(std::sync::atomic::Ordering::SeqCst) >= sent).then_some(())
        });
    };
    wait_for("the field's subscription", || {
        say("plant/g1", false, good(11.0));
        site.point("GT-1").filter(|p| p["value"] == 11.0)
    });
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    for garbage in [
        &b""[..],
        b"\xff\xfe\x00\x01",
        b"{\"value\":",
        b"{\"value\":\"11\"}",
        b"{\"value\":null,\"ts\":1}",
        b"{\"value\":[1,2],\"ts\":1}",
        b"{\"value\":1e999,\"ts\":1767225600000}",
        b"{\"value\":12,\"ts\":\"yesterday\"}",
        b"{\"value\":12,\"ts\":9223372036854775807}",
        deep.as_bytes(),
    ] {
        say("plant/g1", false, garbage.to_vec());
    }
    say("plant/g1", false, vec![b'9'; 1 << 20]);
    say("plant/nobody", false, good(99.0));
    say("plant/g1/deeper", false, good(99.0));
    for kind in [
        "status",
        "beat",
        "transition",
        "result",
        "snapshot",
        "acked",
        "command",
        "resend",
        "snapshot/get",
        "nonsense",
    ] {
        for payload in [
            &b"garbage"[..],
            b"{}",
            b"{\"v\":99}",
            b"{\"v\":1,\"owner\":\"gw-9\"}",
        ] {
            say(&format!("davy/v1/sab/gw-1/{kind}"), false, payload.to_vec());
        }
        say(
            &format!("davy/v1/sab/center/{kind}"),
            false,
            b"{\"v\":1}".to_vec(),
        );
    }
    // Both parts and the neighbours are as before.
    say("plant/g2", false, good(22.0));
    wait_for("the neighbour on MQTT", || {
        site.point("GT-2").filter(|p| p["value"] == 22.0)
    });
    device.set(0, 95);
    let hh = site.alarm_as("table/LT-1000/hh", "UNACK");
    site.ack(hh["occurrence"].as_str().unwrap(), "g").unwrap();
    site.alarm_as("table/LT-1000/hh", "ACKED");
    assert_eq!(site.gateway_view().unwrap()["state"], "online");
    site.settled();
    let (_, metrics) = crate::harness::get(site.http, "/metrics");
    assert!(
        metrics
            .lines()
            .any(|l| l.contains("malformed") && !l.starts_with('#') && !l.ends_with(" 0")),
        "the centre counts what it refused: {metrics}"
    );
    run.line("was refused");
    assert_eq!(run.stop(), Some(0), "{:?}", run.tail());
    let rows = Site::rows(&site.gateway_dir());
    for (tag, own) in [("GT-1", 11.0), ("GT-2", 22.0)] {
        for (time, (bits, quality)) in &rows[tag] {
            let value = bits.map(f64::from_bits);
            assert!(
                value.is_none_or(|v| v == own) || *quality != 192,
                "{tag} at {time}: {value:?} {quality}"
            );
            assert!(
                value.is_none() || *time > (now - 600_000) * 1_000_000,
                "{tag}: a time that nobody meant: {time}"
            );
        }
    }
    site.same_records();
}

fn davy_now_ms() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(now.as_millis()).unwrap()
}
