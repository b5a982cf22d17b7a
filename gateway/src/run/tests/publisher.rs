//! A field device that publishes at QoS 1 and knows when the broker has it.

use std::time::Duration;

use davy_plan::MqttAddress;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::sync::watch;

use super::{DEADLINE, Store};

pub(super) struct Publisher {
    client: AsyncClient,
    sent: u64,
    acked: watch::Receiver<u64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Publisher {
    pub(super) fn connect(broker: &MqttAddress) -> Publisher {
        let mut options = MqttOptions::new("field-device", &broker.host, broker.port);
        options
            .set_keep_alive(Duration::from_secs(5))
            .set_max_packet_size(1 << 24, 1 << 24)
            .set_inflight(200);
        let (client, mut events) = AsyncClient::new(options, 100_000);
        let (tell, acked) = watch::channel(0);
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::PubAck(_))) => tell.send_modify(|n| *n += 1),
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        Publisher {
            client,
            sent: 0,
            acked,
            task,
        }
    }

    pub(super) fn put(&mut self, tag: &str, retain: bool, payload: impl Into<Vec<u8>>) {
        self.client
            .try_publish(format!("plant/{tag}"), QoS::AtLeastOnce, retain, payload)
            .expect("room");
        self.sent += 1;
    }

    /// Publishes, retained, and waits until a store has it: the gateway hears this point from now on.
    pub(super) async fn first(&mut self, store: &mut Store, tag: &str, payload: &str) {
        self.put(tag, true, payload);
        store
            .until("the first value", |lines| {
                lines
                    .iter()
                    .find(|l| l.contains(&format!("tag={tag} ")))
                    .cloned()
            })
            .await;
    }

    /// Waits until the broker has everything.
    pub(super) async fn flush(&mut self) {
        let sent = self.sent;
        tokio::time::timeout(DEADLINE, self.acked.wait_for(|n| *n >= sent))
            .await
            .expect("the broker takes it")
            .expect("the task lives");
    }
}
