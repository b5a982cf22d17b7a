//! Whoever listens to a gateway: a subscriber, and the word of the centre that a record has come.
//!
//! Lives here: what benchmarks of the alarm lane share. May not live here: what is measured.

use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};

use crate::harness::PATIENCE;

/// Where the gateway of the benchmarks speaks.
pub(crate) const TOPIC: &str = "davy/v1/bench/gw-1";

/// A subscriber that says what it is told.
pub(crate) fn subscribe<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    port: u16,
    topic: &'static str,
    read: impl Fn(&[u8], Instant) -> Option<T> + Send + 'static,
    tell: Sender<T>,
) {
    let name = format!("ear-{topic}").replace('/', "-");
    let (client, mut events) = connect(&name, port);
    let (ready, subscribed) = channel();
    runtime.spawn(async move {
        client.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    let _ = ready.send(());
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    if let Some(told) = read(&message.payload, Instant::now())
                        && tell.send(told).is_err()
                    {
                        break;
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    });
    subscribed.recv_timeout(PATIENCE).expect("a subscription");
}

pub(crate) fn connect(name: &str, port: u16) -> (AsyncClient, EventLoop) {
    let options = MqttOptions::new(name, "127.0.0.1", port);
    let (client, mut events) = AsyncClient::new(options, 256);
    let mut network = events.network_options();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}

/// The centre's word, without which the gateway stops after 256 records. On a connection of its
/// own, as the centre has it.
pub(crate) fn acknowledge(
    runtime: &tokio::runtime::Runtime,
    port: u16,
) -> impl Fn(u64) + Send + 'static {
    let (client, mut events) = connect("acks", port);
    runtime.spawn(async move { while events.poll().await.is_ok() {} });
    move |seq| {
        let acked = serde_json::json!({"v": 1, "owner": "gw-1", "seq": seq});
        let topic = format!("{TOPIC}/acked");
        let _ = client.try_publish(topic, QoS::AtLeastOnce, true, acked.to_string());
    }
}
