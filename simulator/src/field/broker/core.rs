//! The broker's state: sessions, subscriptions, retained messages. No socket, no clock.
//!
//! May not live here: I/O. Read first: [`Core`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, PubAck, Publish, SubAck, Subscribe,
    SubscribeReasonCode, UnsubAck,
};
use tokio::sync::Notify;

use super::topic::{is_filter, is_topic, matches};
use super::{BrokerConfig, BrokerStats};

/// A connection that was let in. Its number tells it from a later one of the same client.
#[derive(Debug)]
pub(super) struct Admitted {
    client_id: String,
    number: u64,
    /// There may be something to write.
    pub(super) woken: Arc<Notify>,
    /// Something was written.
    pub(super) drained: Arc<Notify>,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Read on.
    Goes,
    /// Read on when answers have been written.
    Full,
    /// The client says goodbye.
    Goodbye,
    /// The client broke the protocol.
    Violation,
    /// This connection is no longer the client's.
    Cut,
}

/// What there is to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulled {
    Something,
    Nothing,
    /// This connection is no longer the client's.
    Cut,
}

/// Bytes of control answers that may wait before reading stops.
const CONTROL_FULL: usize = 64 * 1024;
/// Bytes gathered for one write.
const WRITE_CHUNK: usize = 64 * 1024;

#[derive(Debug, Clone)]
struct Message {
    topic: Arc<str>,
    payload: Bytes,
    qos: QoS,
    retain: bool,
}

#[derive(Debug)]
struct Session {
    persistent: bool,
    filters: BTreeMap<String, QoS>,
    /// Waiting for their first sending.
    queue: VecDeque<Message>,
    /// Sent and not acknowledged, in the order of sending.
    in_flight: VecDeque<(u16, Message)>,
    /// How many of `in_flight` still have to be sent again on this connection.
    to_resend: usize,
    next_id: u16,
    link: Option<Link>,
}

/// The open connection of a session.
#[derive(Debug)]
struct Link {
    number: u64,
    woken: Arc<Notify>,
    drained: Arc<Notify>,
    control: BytesMut,
    will: Option<LastWill>,
}

/// All sessions of the broker.
#[derive(Debug)]
pub(super) struct Core {
    sessions: BTreeMap<String, Session>,
    retained: BTreeMap<Arc<str>, Message>,
    next_number: u64,
    max_queued: usize,
    max_in_flight: usize,
    pub(super) stats: BrokerStats,
}

impl Core {
    pub(super) fn new(config: &BrokerConfig) -> Core {
        Core {
            sessions: BTreeMap::new(),
            retained: BTreeMap::new(),
            next_number: 1,
            max_queued: config.max_queued.max(1),
            max_in_flight: config.max_in_flight.clamp(1, 60_000),
            stats: BrokerStats::default(),
        }
    }

    /// Lets a client in: takes over an open connection of the same id (3.1.4), keeps or drops the
    /// session (3.1.2.4), and puts the CONNACK first in line.
    pub(super) fn admit(&mut self, connect: Connect) -> Admitted {
        let number = self.next_number;
        self.next_number += 1;
        self.stats.connections += 1;
        let client_id = if connect.client_id.is_empty() {
            format!("auto-{number}")
        } else {
            connect.client_id
        };
        let _ = self.cut(&client_id);
        if connect.clean_session {
            self.sessions.remove(&client_id);
        }
        let present = self.sessions.contains_key(&client_id);
        let woken = Arc::new(Notify::new());
        let drained = Arc::new(Notify::new());
        let mut control = BytesMut::new();
        encode(
            &Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, present)),
            &mut control,
        );
        let session = self
            .sessions
            .entry(client_id.clone())
            .or_insert_with(Session::new);
        session.persistent = !connect.clean_session;
        session.to_resend = session.in_flight.len();
        session.link = Some(Link {
            number,
            woken: woken.clone(),
            drained: drained.clone(),
            control,
            will: connect.last_will,
        });
        Admitted {
            client_id,
            number,
            woken,
            drained,
        }
    }

    /// Ends a client's connection from this side; its will is published.
    pub(super) fn cut(&mut self, client_id: &str) -> bool {
        let Some(session) = self.sessions.get_mut(client_id) else {
            return false;
        };
        let Some(link) = session.link.take() else {
            return false;
        };
        link.woken.notify_one();
        link.drained.notify_one();
        if !session.persistent {
            self.sessions.remove(client_id);
        }
        self.publish_will(link.will);
        true
    }

    /// A connection has ended.
    pub(super) fn leave(&mut self, me: &Admitted, goodbye: bool, violation: bool) {
        if violation {
            self.stats.violations += 1;
        }
        let Some(session) = self.sessions.get_mut(&me.client_id) else {
            return;
        };
        if session.link.as_ref().is_none_or(|l| l.number != me.number) {
            return;
        }
        let link = session.link.take();
        if !session.persistent {
            self.sessions.remove(&me.client_id);
        }
        if !goodbye {
            self.publish_will(link.and_then(|l| l.will));
        }
    }

    fn publish_will(&mut self, will: Option<LastWill>) {
        if let Some(will) = will
            && is_topic(&will.topic)
        {
            self.publish(&Message {
                topic: will.topic.into(),
                payload: will.message,
                qos: at_most_once_or_least_once(will.qos),
                retain: will.retain,
            });
        }
    }

    /// One packet of a connection.
    pub(super) fn handle(&mut self, me: &Admitted, packet: Packet) -> Outcome {
        if self.session(me).is_none() {
            return Outcome::Cut;
        }
        match packet {
            Packet::Publish(publish) => {
                if !is_topic(&publish.topic) || publish.qos == QoS::ExactlyOnce {
                    return Outcome::Violation;
                }
                self.stats.received += 1;
                let (qos, pkid) = (publish.qos, publish.pkid);
                self.publish(&Message {
                    topic: publish.topic.into(),
                    // a copy: the payload would pin the whole read buffer
                    payload: Bytes::copy_from_slice(&publish.payload),
                    qos,
                    retain: publish.retain,
                });
                if qos == QoS::AtLeastOnce {
                    return self.reply(me, &Packet::PubAck(PubAck::new(pkid)));
                }
                Outcome::Goes
            }
            Packet::PubAck(ack) => {
                if let Some(session) = self.session(me) {
                    session.acknowledged(ack.pkid);
                    me.woken.notify_one();
                }
                Outcome::Goes
            }
            Packet::Subscribe(subscribe) => self.subscribe(me, &subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                if let Some(session) = self.session(me) {
                    for filter in &unsubscribe.topics {
                        session.filters.remove(filter);
                    }
                }
                self.reply(me, &Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)))
            }
            Packet::PingReq => self.reply(me, &Packet::PingResp),
            Packet::Disconnect => Outcome::Goodbye,
            // 3.1.0-2: a second CONNECT is a violation; the rest is not a client's to send
            _ => Outcome::Violation,
        }
    }

    fn subscribe(&mut self, me: &Admitted, subscribe: &Subscribe) -> Outcome {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut granted = Vec::new();
        let Some(session) = self.session(me) else {
            return Outcome::Cut;
        };
        for filter in &subscribe.filters {
            if is_filter(&filter.path) {
                let qos = at_most_once_or_least_once(filter.qos);
                session.filters.insert(filter.path.clone(), qos);
                granted.push((filter.path.clone(), qos));
                codes.push(SubscribeReasonCode::Success(qos));
            } else {
                codes.push(SubscribeReasonCode::Failure);
            }
        }
        let outcome = self.reply(me, &Packet::SubAck(SubAck::new(subscribe.pkid, codes)));
        // 3.3.1.3: retained messages go out anew at every subscription, flagged
        for (filter, qos) in granted {
            let found: Vec<Message> = self
                .retained
                .values()
                .filter(|m| matches(&filter, &m.topic))
                .cloned()
                .collect();
            for message in found {
                let qos = lower(message.qos, qos);
                let max_queued = self.max_queued;
                if let Some(session) = self.session(me)
                    && !session.offer(Message { qos, ..message }, max_queued)
                {
                    self.stats.dropped += 1;
                }
            }
        }
        outcome
    }

    /// Hands a message to every session that wants it, once each, at the highest of the QoS that
    /// its filters ask for.
    fn publish(&mut self, message: &Message) {
        if message.retain {
            if message.payload.is_empty() {
                self.retained.remove(&message.topic);
            } else {
                self.retained.insert(message.topic.clone(), message.clone());
            }
        }
        for session in self.sessions.values_mut() {
            let granted = session
                .filters
                .iter()
                .filter(|(filter, _)| matches(filter, &message.topic))
                .map(|(_, qos)| *qos)
                .reduce(higher);
            if let Some(granted) = granted {
                let copy = Message {
                    qos: lower(message.qos, granted),
                    // 3.3.1-9: flagged only on what a new subscription brings
                    retain: false,
                    ..message.clone()
                };
                self.stats.dropped += u64::from(!session.offer(copy, self.max_queued));
            }
        }
    }

    fn reply(&mut self, me: &Admitted, packet: &Packet) -> Outcome {
        let Some(link) = self.session(me).and_then(|s| s.link.as_mut()) else {
            return Outcome::Cut;
        };
        encode(packet, &mut link.control);
        link.woken.notify_one();
        if link.control.len() > CONTROL_FULL {
            Outcome::Full
        } else {
            Outcome::Goes
        }
    }

    /// Gathers what goes out next: answers, then repetitions (4.4), then new messages.
    pub(super) fn pull(&mut self, me: &Admitted, out: &mut BytesMut) -> Pulled {
        let max_in_flight = self.max_in_flight;
        let Some(session) = self.sessions.get_mut(&me.client_id) else {
            return Pulled::Cut;
        };
        let Some(link) = session.link.as_mut().filter(|l| l.number == me.number) else {
            return Pulled::Cut;
        };
        out.extend_from_slice(&link.control);
        link.control.clear();
        let mut sent = 0;
        while session.to_resend > 0 && out.len() < WRITE_CHUNK {
            let i = session.in_flight.len() - session.to_resend;
            let (id, message) = &session.in_flight[i];
            encode_publish(message, *id, true, out);
            session.to_resend -= 1;
            sent += 1;
        }
        while out.len() < WRITE_CHUNK {
            let Some(next) = session.queue.front() else {
                break;
            };
            if next.qos == QoS::AtLeastOnce && session.in_flight.len() >= max_in_flight {
                break;
            }
            let Some(message) = session.queue.pop_front() else {
                break;
            };
            if message.qos == QoS::AtLeastOnce {
                let id = session.free_id();
                encode_publish(&message, id, false, out);
                session.in_flight.push_back((id, message));
            } else {
                encode_publish(&message, 0, false, out);
            }
            sent += 1;
        }
        self.stats.sent += sent;
        if out.is_empty() {
            Pulled::Nothing
        } else {
            Pulled::Something
        }
    }

    /// The session of a connection, if it still is the client's.
    fn session(&mut self, me: &Admitted) -> Option<&mut Session> {
        self.sessions
            .get_mut(&me.client_id)
            .filter(|s| s.link.as_ref().is_some_and(|l| l.number == me.number))
    }
}

impl Session {
    fn new() -> Session {
        Session {
            persistent: false,
            filters: BTreeMap::new(),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            to_resend: 0,
            next_id: 1,
            link: None,
        }
    }

    /// A packet id that nothing in flight carries; there are always some, `max_in_flight` is lower
    /// than their number.
    fn free_id(&mut self) -> u16 {
        loop {
            let id = self.next_id;
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if self.in_flight.iter().all(|(taken, _)| *taken != id) {
                return id;
            }
        }
    }

    /// Puts a message in line. False: the session is full, the message is dropped.
    fn offer(&mut self, message: Message, max_queued: usize) -> bool {
        if self.link.is_none() && message.qos == QoS::AtMostOnce {
            return true; // not for a client that is away, and no loss by our promise
        }
        if self.queue.len() + self.in_flight.len() >= max_queued {
            return false;
        }
        self.queue.push_back(message);
        if let Some(link) = &self.link {
            link.woken.notify_one();
        }
        true
    }

    fn acknowledged(&mut self, id: u16) {
        if let Some(i) = self.in_flight.iter().position(|(taken, _)| *taken == id) {
            if i >= self.in_flight.len() - self.to_resend {
                self.to_resend -= 1;
            }
            self.in_flight.remove(i);
        }
    }
}

/// QoS 2 is not spoken here.
fn at_most_once_or_least_once(qos: QoS) -> QoS {
    match qos {
        QoS::AtMostOnce => QoS::AtMostOnce,
        QoS::AtLeastOnce | QoS::ExactlyOnce => QoS::AtLeastOnce,
    }
}

fn lower(a: QoS, b: QoS) -> QoS {
    if a == QoS::AtMostOnce { a } else { b }
}

fn higher(a: QoS, b: QoS) -> QoS {
    if a == QoS::AtMostOnce { b } else { a }
}

fn encode(packet: &Packet, out: &mut BytesMut) {
    let fits = packet.write(out, usize::MAX);
    debug_assert!(fits.is_ok(), "our own packets have ids and fit");
}

fn encode_publish(message: &Message, id: u16, dup: bool, out: &mut BytesMut) {
    let publish = Publish {
        dup,
        qos: message.qos,
        retain: message.retain,
        topic: message.topic.to_string(),
        pkid: id,
        payload: message.payload.clone(),
    };
    encode(&Packet::Publish(publish), out);
}
