//! A test that plays the centre: takes transitions, commits them in its memory, acknowledges.
//! It knows the wire alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use davy_plan::MqttAddress;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value as Json;
use tokio::sync::watch;

use super::DEADLINE;

#[derive(Default)]
pub(super) struct Taken {
    /// By sequence, as they came; provisional copies stand apart.
    pub(super) records: BTreeMap<u64, Vec<u8>>,
    pub(super) provisional: Vec<Json>,
    /// Sequences in the order of coming, doubles included.
    pub(super) order: Vec<u64>,
    /// Everything else: topic without prefix, payload.
    pub(super) rest: Vec<(String, Json)>,
    /// A double that was not the same bytes.
    pub(super) rewritten: Vec<u64>,
}

pub(super) struct Center {
    pub(super) taken: Arc<Mutex<Taken>>,
    client: Arc<Mutex<AsyncClient>>,
    changed: watch::Receiver<u64>,
    acking: Arc<std::sync::atomic::AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Center {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const PREFIX: &str = "davy/v1/site/gw-1/";

impl Center {
    pub(super) fn start(broker: &MqttAddress) -> Center {
        let taken = Arc::new(Mutex::new(Taken::default()));
        let (tell, changed) = watch::channel(0);
        let acking = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let (client, events) = connect(broker);
        let client = Arc::new(Mutex::new(client));
        let task = tokio::spawn(play(
            broker.clone(),
            Arc::clone(&client),
            events,
            Arc::clone(&taken),
            Arc::clone(&acking),
            tell,
        ));
        Center {
            taken,
            client,
            changed,
            acking,
            task,
        }
    }

    /// From now on it commits and says nothing.
    pub(super) fn ack(&self, yes: bool) {
        self.acking.store(yes, std::sync::atomic::Ordering::SeqCst);
    }

    pub(super) fn publish(&self, last: &str, payload: &str) {
        self.client
            .lock()
            .expect("no panic")
            .try_publish(format!("{PREFIX}{last}"), QoS::AtLeastOnce, false, payload)
            .expect("room");
    }

    /// Waits until `look` finds something in what has come.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&Taken) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                self.changed.mark_unchanged();
                if let Some(found) = look(&self.taken.lock().expect("no panic")) {
                    return found;
                }
                self.changed.changed().await.expect("the task lives");
            }
        };
        match tokio::time::timeout(DEADLINE, found).await {
            Ok(found) => found,
            Err(_) => panic!("never came: {what}"),
        }
    }

    /// The transition of this alarm to this label.
    pub(super) async fn transition(&mut self, alarm: &str, to: &str) -> Json {
        self.until(&format!("{alarm} to {to}"), |taken| {
            taken
                .records
                .values()
                .map(|r| serde_json::from_slice::<Json>(r).expect("JSON"))
                .find(|r| r["alarm"] == alarm && r["to"] == to)
        })
        .await
    }

    /// The latest message on another topic that `look` likes.
    pub(super) async fn message(&mut self, topic: &str, look: impl Fn(&Json) -> bool) -> Json {
        self.until(topic, |taken| {
            taken
                .rest
                .iter()
                .rev()
                .find(|(t, j)| t == topic && look(j))
                .map(|(_, j)| j.clone())
        })
        .await
    }
}

fn connect(broker: &MqttAddress) -> (AsyncClient, rumqttc::EventLoop) {
    let mut options = MqttOptions::new("played-center", &broker.host, broker.port);
    options
        .set_clean_session(false)
        .set_keep_alive(Duration::from_secs(5))
        .set_max_packet_size(1 << 21, 1 << 21)
        .set_inflight(1000);
    AsyncClient::new(options, 100_000)
}

async fn play(
    broker: MqttAddress,
    client: Arc<Mutex<AsyncClient>>,
    mut events: rumqttc::EventLoop,
    taken: Arc<Mutex<Taken>>,
    acking: Arc<std::sync::atomic::AtomicBool>,
    tell: watch::Sender<u64>,
) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                let client = client.lock().expect("no panic");
                client
                    .try_subscribe(format!("{PREFIX}#"), QoS::AtLeastOnce)
                    .expect("room");
                // As a centre that starts: what it has.
                let acked = contiguous(&taken.lock().expect("no panic").records);
                if acked > 0 && acking.load(std::sync::atomic::Ordering::SeqCst) {
                    say_acked(&client, acked);
                }
            }
            Ok(Event::Incoming(Packet::Publish(p))) => {
                let topic = p.topic.strip_prefix(PREFIX).unwrap_or_default().to_owned();
                if matches!(&*topic, "command" | "acked" | "resend" | "snapshot/get") {
                    continue; // our own
                }
                let json: Json = serde_json::from_slice(&p.payload).expect("JSON from the gateway");
                let mut t = taken.lock().expect("no panic");
                if topic == "transition" && json.get("hash").is_none() {
                    t.provisional.push(json);
                } else if topic == "transition" {
                    let seq = json["seq"].as_u64().expect("a sequence");
                    t.order.push(seq);
                    let bytes = p.payload.to_vec();
                    if t.records.get(&seq).is_some_and(|had| *had != bytes) {
                        t.rewritten.push(seq);
                    }
                    t.records.insert(seq, bytes);
                    if acking.load(std::sync::atomic::Ordering::SeqCst) {
                        say_acked(&client.lock().expect("no panic"), contiguous(&t.records));
                    }
                } else {
                    t.rest.push((topic, json));
                }
                drop(t);
                tell.send_modify(|n| *n += 1);
            }
            Ok(_) => {}
            Err(_) => {
                let (new, loop_) = connect(&broker);
                *client.lock().expect("no panic") = new;
                events = loop_;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn say_acked(client: &AsyncClient, seq: u64) {
    let payload = format!(r#"{{"v":1,"owner":"gw-1","seq":{seq}}}"#);
    client
        .try_publish(format!("{PREFIX}acked"), QoS::AtLeastOnce, true, payload)
        .expect("room");
}

/// The highest sequence without a gap below it.
pub(super) fn contiguous(records: &BTreeMap<u64, Vec<u8>>) -> u64 {
    let mut last = 0;
    for seq in records.keys() {
        if *seq != last + 1 {
            break;
        }
        last = *seq;
    }
    last
}
