//! One connection to the broker, made anew after every fault.
//!
//! Lives here: the duties that `acquisition.md` section 3 lays on whoever uses `rumqttc`:
//! polling in a task that awaits nothing else, a new client and a new event loop after any error,
//! jittered backoff, 1 MiB packets, a short keep-alive, subscriptions made again and their
//! SUBACK looked at. May not live here: topics, payloads.

use std::time::Duration;

use davy_plan::MqttAddress;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS, SubscribeFilter,
    SubscribeReasonCode,
};
use tokio::sync::watch;

const PACKET_LIMIT: usize = 1024 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT_S: u64 = 3;
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How a connection presents itself.
#[derive(Debug, Clone)]
pub(crate) struct Dial {
    pub address: MqttAddress,
    pub client_id: String,
    /// The broker keeps what comes while we are away, and we acknowledge by hand.
    pub persistent: bool,
    /// Filters to hold, all with QoS 1.
    pub filters: Vec<String>,
    /// Requests that may wait in the client.
    pub requests: usize,
}

/// An acknowledgement that is due once a message is durable.
#[derive(Debug)]
pub(crate) struct Ack {
    client: AsyncClient,
    publish: Publish,
}

impl Ack {
    /// Where it cannot be sent the broker gives the message again, and it is a duplicate then.
    pub(crate) fn give(self) {
        if self.client.try_ack(&self.publish).is_err() {
            tracing::debug!("an acknowledgement went with its connection");
        }
    }
}

/// What a connection tells.
pub(crate) trait Hears: Send {
    /// The broker has accepted the connection (and the subscriptions, where there are any).
    fn connected(&mut self, client: &AsyncClient);
    /// A message; an error ends the connection, and what was not acknowledged comes again.
    fn message(&mut self, publish: &Publish, ack: Ack) -> Result<(), String>;
    /// The connection is gone.
    fn lost(&mut self, why: &str);
}

/// Holds the connection until `stopping` says so.
pub(crate) async fn hold(dial: Dial, mut hears: impl Hears, mut stopping: watch::Receiver<bool>) {
    let mut backoff = Backoff::new(&dial.client_id);
    while !*stopping.borrow() {
        let (client, events) = open(&dial);
        let end = tokio::select! {
            end = poll(&dial, &client, events, &mut hears, &mut backoff) => end,
            // The poll is given up only together with its connection.
            _ = stopping.wait_for(|s| *s) => break,
        };
        hears.lost(&end);
        let pause = backoff.next();
        tracing::warn!(
            client = dial.client_id,
            ?pause,
            "broker connection lost: {end}"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.wait_for(|s| *s) => break,
        }
    }
}

fn open(dial: &Dial) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(
        dial.client_id.clone(),
        dial.address.host.clone(),
        dial.address.port,
    );
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_max_packet_size(PACKET_LIMIT, PACKET_LIMIT)
        .set_clean_session(!dial.persistent)
        .set_manual_acks(dial.persistent);
    if let (Some(user), Some(password)) = (&dial.address.user, &dial.address.password) {
        options.set_credentials(user, password);
    }
    let (client, mut events) = AsyncClient::new(options, dial.requests);
    let mut network = events.network_options();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_TIMEOUT_S);
    events.set_network_options(network);
    (client, events)
}

/// Polls until the first fault and says what it was.
async fn poll(
    dial: &Dial,
    client: &AsyncClient,
    mut events: EventLoop,
    hears: &mut impl Hears,
    backoff: &mut Backoff,
) -> String {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if dial.filters.is_empty() {
                    backoff.reset();
                    hears.connected(client);
                    continue;
                }
                // Also where the session is present: retained messages come again, and the
                // filters may have changed since.
                let filters = dial
                    .filters
                    .iter()
                    .map(|f| SubscribeFilter::new(f.clone(), QoS::AtLeastOnce));
                if let Err(e) = client.try_subscribe_many(filters) {
                    return format!("the subscription could not be asked for: {e}");
                }
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                if ack
                    .return_codes
                    .iter()
                    .any(|c| matches!(c, SubscribeReasonCode::Failure))
                {
                    return "the broker refuses the subscription: check its access rules"
                        .to_owned();
                }
                backoff.reset();
                hears.connected(client);
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let ack = Ack {
                    client: client.clone(),
                    publish: publish.clone(),
                };
                if let Err(why) = hears.message(&publish, ack) {
                    return why;
                }
            }
            Ok(_) => {}
            Err(e) => return e.to_string(),
        }
    }
}

/// 0.5 s to 30 s, doubling, ±50 %: many gateways that lost one broker do not come back at once.
struct Backoff {
    next: Duration,
    seed: u64,
}

impl Backoff {
    fn new(name: &str) -> Backoff {
        // Differs by process and by name; nothing here needs to be unguessable.
        let seed = name.bytes().fold(u64::from(std::process::id()), |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Backoff {
            next: BACKOFF_MIN,
            seed,
        }
    }

    fn reset(&mut self) {
        self.next = BACKOFF_MIN;
    }

    fn next(&mut self) -> Duration {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = 50 + (self.seed >> 33) % 101;
        let pause = self.next.mul_f64(share as f64 / 100.0);
        self.next = (self.next * 2).min(BACKOFF_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_bound_and_starts_again() {
        let mut backoff = Backoff::new("a");
        for n in 0..20 {
            let nominal = (BACKOFF_MIN * 2u32.pow(n.min(10))).min(BACKOFF_MAX);
            let pause = backoff.next();
            assert!(
                pause >= nominal / 2 && pause <= nominal * 3 / 2,
                "{pause:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next() <= BACKOFF_MIN * 3 / 2);
    }
}
