//! A gateway as the wire shows one: it seals records with the journal's own chain and speaks MQTT.

use davy_journal::{Chain, seal};
use davy_rules::alarm::Transition;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

pub(crate) struct Gateway {
    pub(crate) id: &'static str,
    client: AsyncClient,
    heard: mpsc::UnboundedReceiver<(String, Json)>,
    /// Heard, and not asked for yet.
    kept: Vec<(String, Json)>,
    chain: Chain,
    tick: u64,
}

impl Gateway {
    /// Connected and subscribed to what the centre tells it.
    pub(crate) async fn connect(id: &'static str, port: u16) -> Gateway {
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::new(options, 1_000);
        client
            .subscribe_many(["acked", "command", "resend", "snapshot/get"].map(|kind| {
                rumqttc::SubscribeFilter::new(format!("davy/v1/s1/{id}/{kind}"), QoS::AtLeastOnce)
            }))
            .await
            .expect("asked");
        let (tell, heard) = mpsc::unbounded_channel();
        let (ready, subscribed) = tokio::sync::oneshot::channel();
        let mut ready = Some(ready);
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                match event {
                    Event::Incoming(Packet::SubAck(_)) => {
                        if let Some(ready) = ready.take() {
                            let _ = ready.send(());
                        }
                    }
                    Event::Incoming(Packet::Publish(p)) => {
                        let kind = p.topic.rsplit('/').next().unwrap_or("").to_owned();
                        let json = serde_json::from_slice(&p.payload).expect("JSON");
                        if tell.send((kind, json)).is_err() {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        });
        super::within("the gateway's subscription", subscribed)
            .await
            .expect("subscribed");
        Gateway {
            id,
            client,
            heard,
            kept: Vec::new(),
            chain: Chain::start(&format!("s1/{id}")),
            tick: 0,
        }
    }

    /// A new connection of the same gateway, after its broker went.
    pub(crate) async fn reconnect(self, port: u16) -> Gateway {
        Gateway {
            chain: self.chain,
            tick: self.tick,
            ..Gateway::connect(self.id, port).await
        }
    }

    /// A record sealed onto this gateway's chain.
    pub(crate) fn seal(&mut self, t: &Transition) -> Vec<u8> {
        let mut t = t.clone();
        t.owner = self.id.into();
        (t.prev, t.hash) = (None, None);
        let json = serde_json::to_vec(&t).expect("JSON");
        let link = self.chain.seal(&json).expect("a record");
        seal::wire(&link.stored, link.hash).to_vec()
    }

    pub(crate) fn begin_anew(&mut self) {
        self.chain = Chain::start("another life");
    }

    pub(crate) async fn publish(&self, kind: &str, payload: Vec<u8>) {
        self.client
            .publish(
                format!("davy/v1/s1/{}/{kind}", self.id),
                QoS::AtLeastOnce,
                kind == "status",
                payload,
            )
            .await
            .expect("published");
    }

    pub(crate) async fn online(&mut self, plan_rev: &str) {
        let status = json!({
            "v": 1, "owner": self.id, "session": "a", "state": "online", "version": "0",
            "plan_rev": plan_rev, "clock": 0, "last_seq": 0,
        });
        self.publish("status", status.to_string().into_bytes())
            .await;
    }

    pub(crate) async fn beat(&mut self, last_seq: u64) {
        self.tick += 1;
        let beat = json!({
            "v": 1, "owner": self.id, "session": "a", "tick": self.tick, "at": 0,
            "last_seq": last_seq,
        });
        self.publish("beat", beat.to_string().into_bytes()).await;
    }

    /// The first thing of this kind that the centre tells and that fits.
    pub(crate) async fn hears(&mut self, kind: &str, fits: impl Fn(&Json) -> bool) -> Json {
        super::within(kind, async {
            loop {
                if let Some(i) = self
                    .kept
                    .iter()
                    .position(|(k, json)| k == kind && fits(json))
                {
                    return self.kept.remove(i).1;
                }
                let heard = self.heard.recv().await.expect("connected");
                self.kept.push(heard);
            }
        })
        .await
    }
}
