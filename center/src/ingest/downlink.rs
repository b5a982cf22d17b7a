//! What gateways tell: read, handed on, acknowledged by whoever made it durable.

use std::collections::HashSet;
use std::sync::Arc;

use davy_rules::alarm::{Beat, Status};
use rumqttc::{AsyncClient, Publish};

use super::intake::{self, Message, Refusal};
use super::link::{Ack, Dial, Hears};
use super::recorder::{Job, Recorder};
use crate::room::Room;
use crate::watch::Watch;

/// The subscribing connection.
pub(crate) struct Downlink {
    pub room: Arc<Room>,
    pub watch: Watch,
    pub recorder: Recorder,
    /// Attempts that failed since the last connection that held.
    pub failures: u32,
    /// Topics of which it was said that they speak a newer version, until they do no more. Only
    /// topics of this plan's gateways come here.
    pub newer: HashSet<String>,
}

impl Downlink {
    /// A fixed client id and a session that the broker keeps: what comes while the centre is away
    /// waits there.
    pub(crate) fn dial(room: &Room) -> Dial {
        let site = &room.plan.site;
        Dial {
            address: room.plan.center.broker.clone(),
            client_id: format!("davy-center-{site}"),
            persistent: true,
            filters: ["status", "beat", "transition", "result", "snapshot"]
                .iter()
                .map(|kind| format!("davy/v1/{site}/+/{kind}"))
                .collect(),
            requests: 16_384,
        }
    }

    fn status(&self, owner: &str, s: Status) {
        let mut live = self.room.write();
        if let Some(g) = live.gateways.get_mut(owner) {
            let journal_ends = g.status(s);
            let agrees = g.plan_agrees(&self.room.plan.rev);
            let detail = format!(
                "{owner} 的配置为 {}，中心为 {}",
                g.plan_rev, self.room.plan.rev
            );
            let forgotten = journal_ends.is_some_and(|seq| live.alarms.forget_beyond(owner, seq));
            drop(live);
            if forgotten {
                tracing::warn!(owner, "what it told and never journalled is forgotten");
                self.room.tell_resync();
            }
            self.watch.health(&format!("plan/{owner}"), agrees, detail);
        }
        self.room.uplink.notify_one();
        self.room.tell_gateway(owner);
    }

    fn beat(&self, owner: &Arc<str>, b: &Beat) {
        self.room.metrics.beats.with_label_values(&[owner]).inc();
        let now = self.room.now();
        let mut live = self.room.write();
        let mut wishes = false;
        if let Some(g) = live.gateways.get_mut(owner) {
            g.beat(b, now);
            wishes = g.resend_after.is_some();
        }
        drop(live);
        self.watch.beat(owner, b.tick);
        if wishes {
            self.room.uplink.notify_one();
        }
    }
}

impl Hears for Downlink {
    fn connected(&mut self, _client: &AsyncClient) {
        tracing::info!("listening to gateways");
        self.failures = 0;
        // "The centre asks again from its last seq", of everyone, each time that it can hear
        // again; and what stands, however long the records take that are still missing.
        let mut live = self.room.write();
        for g in live.gateways.iter_mut() {
            let after = g.acked_seq;
            g.resend_after.get_or_insert(after);
            g.ask_snapshot = true;
        }
        drop(live);
        self.room.uplink.notify_one();
        self.watch.broker(true);
    }

    fn message(&mut self, publish: &Publish, ack: Ack) -> Result<(), String> {
        let plan = &self.room.plan;
        let read = intake::topic(plan, &publish.topic).and_then(|(owner, kind)| {
            intake::read(plan, &owner, kind, &publish.payload).map(|m| (owner, m))
        });
        let (owner, message) = match read {
            Ok(read) => {
                self.newer.remove(&publish.topic);
                read
            }
            Err(why) => {
                // Acknowledged: poison must not come again for ever.
                let lane = publish.topic.rsplit('/').next().unwrap_or("");
                let lane = match lane {
                    "status" | "beat" | "transition" | "result" | "snapshot" => lane,
                    _ => "other",
                };
                self.room.metrics.malformed.with_label_values(&[lane]).inc();
                // A newer gateway says it every second: one clear line, and the counter.
                let again = matches!(why, Refusal::NewerVersion(_))
                    && !self.newer.insert(publish.topic.clone());
                if !again {
                    tracing::warn!(topic = publish.topic, "a message was refused: {why}");
                }
                ack.give();
                return Ok(());
            }
        };
        match message {
            Message::Transition(told) => {
                return self
                    .recorder
                    .offer(Job::Transition {
                        owner,
                        told,
                        wire: publish.payload.to_vec(),
                        ack: Some(ack),
                    })
                    .map_err(|e| e.to_string());
            }
            Message::Result(result) => {
                return self
                    .recorder
                    .offer(Job::Answer {
                        owner,
                        result,
                        ack: Some(ack),
                    })
                    .map_err(|e| e.to_string());
            }
            Message::Unjournalled(told) => self.room.provisional(&told),
            Message::Snapshot(snapshot) => {
                for alarm in snapshot.alarms {
                    self.room.provisional(&Arc::new(alarm.last));
                }
            }
            Message::Status(s) => self.status(&owner, s),
            Message::Beat(b) => self.beat(&owner, &b),
        }
        ack.give();
        Ok(())
    }

    fn lost(&mut self, _why: &str) {
        self.room
            .metrics
            .links_lost
            .with_label_values(&["downlink"])
            .inc();
        // One lost connection that comes back at once is no loss of view: beats say the rest.
        self.failures += 1;
        if self.failures > 1 {
            self.watch.broker(false);
        }
    }
}
