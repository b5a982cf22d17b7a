//! What the centre tells its gateways: how far their records are committed, what is to be sent
//! again, commands.
//!
//! There is no queue: each round looks at the picture and says what has not been said on this
//! connection, so a lost message is only a late one. A client of its own, with a clean session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use davy_journal::Hash;
use davy_points::Mono;
use davy_rules::alarm::{Acked, Resend, SnapshotGet, VERSION};
use hmac::{Hmac, KeyInit, Mac};
use rumqttc::{AsyncClient, Publish, QoS};
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::watch;

use super::link::{Ack, Dial, Hears, hold};
use super::recorder::{Job, Recorder};
use crate::OWNER;
use crate::room::Room;
use crate::server::hex;
use crate::state::commands::CommandRecord;
use crate::state::gateways::LinkState;
use crate::watch::Watch;

/// Longest pause between two rounds.
const ROUND: Duration = Duration::from_millis(500);
/// A gateway is not asked again for the same records sooner.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Holds the publishing connection and goes its rounds until `stopping`.
pub(crate) async fn run(
    room: Arc<Room>,
    watch: Watch,
    recorder: Recorder,
    mut stopping: watch::Receiver<bool>,
) {
    let shared = Arc::new(Mutex::new(None));
    let dial = Dial {
        address: room.plan.center.broker.clone(),
        client_id: format!("davy-center-{}-up", room.plan.site),
        persistent: false,
        filters: Vec::new(),
        requests: 1_024,
    };
    let hears = Uplink {
        room: room.clone(),
        client: shared.clone(),
    };
    let link = tokio::spawn(hold(dial, hears, stopping.clone()));
    let mut said = Said::default();
    loop {
        tokio::select! {
            () = room.uplink.notified() => {}
            () = tokio::time::sleep(ROUND) => {}
            _ = stopping.wait_for(|s| *s) => break,
        }
        for id in room.read().commands.overdue(room.clock.wall()) {
            // Full: the next round finds it again.
            let _ = recorder.offer(Job::Expire { id });
        }
        let connection = shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        said.round(&room, &watch, connection);
    }
    // `hold` looks at the same signal.
    if let Err(e) = link.await {
        tracing::error!("the uplink's connection ended badly: {e}");
    }
}

/// A connection and its number: what was said on an older one is not known to have arrived.
type Connection = (u64, AsyncClient);

struct Uplink {
    room: Arc<Room>,
    client: Arc<Mutex<Option<Connection>>>,
}

impl Uplink {
    fn set(&self, client: Option<&AsyncClient>) {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) =
            client.map(|c| (number, c.clone()));
    }
}

impl Hears for Uplink {
    fn connected(&mut self, client: &AsyncClient) {
        self.set(Some(client));
        self.room.uplink.notify_one();
    }

    fn message(&mut self, _publish: &Publish, _ack: Ack) -> Result<(), String> {
        // It subscribes to nothing.
        Ok(())
    }

    fn lost(&mut self, _why: &str) {
        self.room
            .metrics
            .links_lost
            .with_label_values(&["uplink"])
            .inc();
        self.set(None);
    }
}

/// What has been said on the present connection.
#[derive(Default)]
struct Said {
    connection: u64,
    acked: HashMap<Arc<str>, (u64, Option<Hash>)>,
    asked: HashMap<Arc<str>, (u64, Mono)>,
}

impl Said {
    fn round(&mut self, room: &Room, watch: &Watch, connection: Option<Connection>) {
        let now = room.clock.mono();
        // The centre's own alarms are commanded without a broker.
        for c in room.write().commands.due(now, |owner| owner == OWNER) {
            watch.command(c.command);
        }
        let Some((number, client)) = connection else {
            return;
        };
        if number != self.connection {
            *self = Said {
                connection: number,
                ..Said::default()
            };
            room.write().commands.forget_sent();
        }
        let site = &room.plan.site;
        let publish = |owner: &str, kind: &str, retain: bool, payload: Vec<u8>| {
            let topic = format!("davy/v1/{site}/{owner}/{kind}");
            match client.try_publish(topic, QoS::AtLeastOnce, retain, payload) {
                Ok(()) => true,
                Err(e) => {
                    tracing::debug!("said in the next round: {e}");
                    false
                }
            }
        };
        let mut live = room.write();
        for g in live.gateways.iter_mut() {
            let acked = (g.acked_seq, g.acked_hash);
            if self.acked.get(&g.id) != Some(&acked) {
                let payload = json(&Acked {
                    v: VERSION,
                    owner: g.id.clone(),
                    seq: g.acked_seq,
                    hash: g.acked_hash.map(|hash| hash.to_string().into()),
                });
                if publish(&g.id, "acked", true, payload) {
                    self.acked.insert(g.id.clone(), acked);
                }
            }
            if g.ask_snapshot {
                let get = json(&SnapshotGet { v: VERSION });
                let asked = publish(&g.id, "snapshot/get", false, get);
                g.ask_snapshot = !asked;
            }
            if let Some(after) = g.resend_after {
                let lately = self
                    .asked
                    .get(&g.id)
                    .is_some_and(|(a, at)| *a == after && now.since(*at) < ASK_AGAIN);
                let resend = json(&Resend { v: VERSION, after });
                if !lately && publish(&g.id, "resend", false, resend) {
                    self.asked.insert(g.id.clone(), (after, now));
                    g.resend_after = None;
                }
            }
        }
        let hearing: Vec<Arc<str>> = live
            .gateways
            .iter()
            .filter(|g| g.link == LinkState::Online && !g.silent)
            .map(|g| g.id.clone())
            .collect();
        let due = live
            .commands
            .due(now, |owner| hearing.iter().any(|g| **g == *owner));
        drop(live);
        for c in due {
            match payload(&c, room.plan.center.command_key.as_deref()) {
                Ok(bytes) => {
                    publish(&c.owner, "command", false, bytes);
                }
                Err(e) => tracing::error!(id = c.command.id, "a command could not be written: {e}"),
            }
        }
    }
}

fn json(record: &impl Serialize) -> Vec<u8> {
    // Our own types: no map with odd keys, nothing that can fail.
    serde_json::to_vec(record).unwrap_or_default()
}

/// The command's JSON; where there is a key, with `,"sig":"<hex HMAC-SHA-256 of the JSON without
/// it>"` before its last brace.
fn payload(c: &CommandRecord, key: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let mut json = serde_json::to_vec(&c.command).map_err(|e| e.to_string())?;
    if let Some(key) = key {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|e| e.to_string())?;
        mac.update(&json);
        let sig = mac.finalize().into_bytes();
        json.pop();
        json.extend_from_slice(b",\"sig\":\"");
        json.extend_from_slice(hex(&sig).as_bytes());
        json.extend_from_slice(b"\"}");
    }
    Ok(json)
}
