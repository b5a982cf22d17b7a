//! A link to an MQTT broker that is built anew, whole, after every error.
//!
//! Lives here: the one task that polls a rumqttc `EventLoop`, with backoff. May not live here:
//! what messages mean, what is to be sent. Why it is so: `acquisition.md` section 3. The crate
//! drops what is in flight when a session is gone and can livelock after a collision, so no client
//! outlives an error and none owns retransmission; it deadlocks when the polling task waits on
//! its own request channel, so this task only polls and hands over. Whoever takes what it hands
//! over must never wait on the request channel: use the `try_` calls. Read first: [`Heard`].

use std::time::Duration;

use davy_plan::MqttAddress;
use rumqttc::mqttbytes::Error as PacketError;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Packet, Publish, QoS,
    StateError, SubscribeFilter, SubscribeReasonCode,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::backoff::{Backoff, any_seed};

/// No packet beyond this, either way. Payloads are bounded below it.
const PACKET_MAX_BYTES: usize = 1024 * 1024 + 64 * 1024;
/// A message beyond the bound that the broker keeps for our session would come again for ever.
/// The next client takes it up to here, so that it can be refused, counted and acknowledged.
const POISON_MAX_BYTES: usize = 16 * 1024 * 1024;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const CONNECT_S: u64 = 3;
/// Filters in one SUBSCRIBE.
const FILTERS_AT_ONCE: usize = 64;

/// What a link is for.
pub(crate) struct LinkPlan {
    pub(crate) client_id: String,
    pub(crate) address: MqttAddress,
    /// True: the broker keeps subscriptions and unacknowledged messages while we are away.
    pub(crate) keep_session: bool,
    /// What the broker says for us when we are gone without a word: topic and payload, retained.
    pub(crate) last_will: Option<(String, Vec<u8>)>,
    pub(crate) filters: Vec<String>,
    /// Most QoS 1 publishes without PUBACK.
    pub(crate) in_flight: u16,
    /// Requests (publishes, acks) that may wait for the polling task.
    pub(crate) requests: usize,
}

/// What a link hands over, in order.
pub(crate) enum Heard {
    /// Connected. The client is good until `Down`. Messages of a kept session may come at once.
    Connected(AsyncClient),
    /// Every filter is granted.
    Ready,
    /// A message; acknowledge it with the client of the last `Connected`.
    Message(Publish),
    /// The broker took a QoS 1 publish. No proof of delivery.
    PubAck,
    /// The link is gone, and everything that was in flight with it.
    Down(String),
}

/// A running link. Dropping it closes the socket without a word: the last will comes.
pub(crate) struct Link {
    task: JoinHandle<()>,
}

impl Link {
    /// Connects now and after every error until dropped.
    pub(crate) fn spawn(plan: LinkPlan, tell: mpsc::Sender<Heard>) -> Link {
        Link {
            task: tokio::spawn(run(plan, tell)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(plan: LinkPlan, tell: mpsc::Sender<Heard>) {
    let mut backoff = Backoff::of_a_peer(any_seed());
    let mut packet_max = PACKET_MAX_BYTES;
    // The session that the broker kept may know other filters than this configuration.
    let mut subscribed = false;
    let mut wipe = false;
    loop {
        let options = options(&plan, packet_max, wipe);
        let requests = plan.requests + plan.filters.len() / FILTERS_AT_ONCE + 1;
        let (client, mut events) = AsyncClient::new(options, requests);
        let mut network = events.network_options();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_S);
        events.set_network_options(network);
        let end = if wipe {
            wipe_session(&mut events).await
        } else {
            poll(
                &plan,
                &client,
                &mut events,
                &mut subscribed,
                &mut backoff,
                &tell,
            )
            .await
        };
        drop(events);
        let why = match end {
            End::Nobody => return,
            End::Wiped => {
                wipe = false;
                continue;
            }
            End::Refused(filters) => {
                subscribed = false;
                format!("the broker refuses to let us read {filters}")
            }
            End::Lost(e) => {
                packet_max = PACKET_MAX_BYTES;
                if let ConnectionError::MqttState(StateError::Deserialization(
                    PacketError::PayloadSizeLimitExceeded(size),
                )) = &e
                {
                    if *size <= POISON_MAX_BYTES {
                        packet_max = POISON_MAX_BYTES;
                    } else {
                        tracing::error!(
                            client = plan.client_id,
                            size,
                            "a message too long to be taken even once: the broker's session is given up, with whatever waits in it"
                        );
                        wipe = true;
                        subscribed = false;
                    }
                }
                e.to_string()
            }
        };
        if tell.send(Heard::Down(why)).await.is_err() {
            return;
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

fn options(plan: &LinkPlan, packet_max: usize, wipe: bool) -> MqttOptions {
    let address = &plan.address;
    let mut options = MqttOptions::new(&plan.client_id, &address.host, address.port);
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_max_packet_size(packet_max, PACKET_MAX_BYTES)
        .set_clean_session(!plan.keep_session || wipe)
        .set_manual_acks(true)
        .set_inflight(plan.in_flight);
    if let Some(user) = &address.user {
        options.set_credentials(user, address.password.clone().unwrap_or_default());
    }
    if let Some((topic, payload)) = &plan.last_will {
        options.set_last_will(LastWill::new(
            topic,
            payload.clone(),
            QoS::AtLeastOnce,
            true,
        ));
    }
    options
}

enum End {
    /// Whoever listened is gone.
    Nobody,
    /// The broker has forgotten our session.
    Wiped,
    Refused(String),
    Lost(ConnectionError),
}

/// Connecting with a clean session and leaving at once makes the broker forget (3.1.2.4).
async fn wipe_session(events: &mut EventLoop) -> End {
    match events.poll().await {
        Ok(_) => End::Wiped,
        Err(e) => End::Lost(e),
    }
}

async fn poll(
    plan: &LinkPlan,
    client: &AsyncClient,
    events: &mut EventLoop,
    subscribed: &mut bool,
    backoff: &mut Backoff,
    tell: &mpsc::Sender<Heard>,
) -> End {
    let mut subacks_due = 0;
    loop {
        let heard = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(ack))) => {
                if tell.send(Heard::Connected(client.clone())).await.is_err() {
                    return End::Nobody;
                }
                if !(plan.filters.is_empty() || (*subscribed && ack.session_present)) {
                    for some in plan.filters.chunks(FILTERS_AT_ONCE) {
                        let some = some
                            .iter()
                            .map(|f| SubscribeFilter::new(f.clone(), QoS::AtLeastOnce));
                        if client.try_subscribe_many(some).is_err() {
                            return End::Refused("a filter that is none".into());
                        }
                        subacks_due += 1;
                    }
                    continue;
                }
                backoff.reset();
                Heard::Ready
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                    return End::Refused(plan.filters.join(", "));
                }
                subacks_due -= 1;
                if subacks_due > 0 {
                    continue;
                }
                *subscribed = true;
                backoff.reset();
                Heard::Ready
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => Heard::Message(publish),
            Ok(Event::Incoming(Packet::PubAck(_))) => Heard::PubAck,
            Ok(_) => continue,
            Err(e) => return End::Lost(e),
        };
        if tell.send(heard).await.is_err() {
            return End::Nobody;
        }
    }
}
