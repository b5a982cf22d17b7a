//! Field devices that publish their readings to a broker as JSON or as plain numbers.
//!
//! Lives here: one publisher for each MQTT source. May not live here: models, the broker. Messages
//! are QoS 1 and never retained; what cannot be sent while the broker is away is lost, as with a
//! device that has no memory. Read first: [`MqttPublisher`].

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use davy_points::{Binding, PointDef};
use rumqttc::{AsyncClient, EventLoop, MqttOptions, QoS};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::backoff::Backoff;

/// How a source's payloads look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadShape {
    /// A JSON object: the value at this path (`value`, `a.b`) unless the point has a path of its
    /// own, and the time in milliseconds at that one.
    Json {
        /// Path of the value.
        value: String,
        /// Path of the time; none: the payload carries none.
        time: Option<String>,
    },
    /// The number as text.
    Number,
}

/// Reads the point with this number in the source's list.
pub type Readings = Arc<dyn Fn(usize) -> f64 + Send + Sync>;

/// Which tags are not published.
#[derive(Debug, Default)]
pub struct Silence {
    all: bool,
    tags: HashSet<Arc<str>>,
}

/// A running publisher. Dropping it ends it without a goodbye.
#[derive(Debug)]
pub struct MqttPublisher {
    silence: Arc<Mutex<Silence>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What is published under one topic.
struct TopicPlan {
    topic: String,
    /// Number in the source's list, tag, path of the value.
    points: Vec<(usize, Arc<str>, Option<String>)>,
}

impl MqttPublisher {
    /// Publishes the readings of `points` to `broker`, every `period`, on the runtime of the caller.
    /// `name` is the client id.
    #[must_use]
    pub fn start(
        name: &str,
        broker: SocketAddr,
        points: &[PointDef],
        shape: PayloadShape,
        period: Duration,
        readings: Readings,
    ) -> MqttPublisher {
        let silence = Arc::new(Mutex::new(Silence::default()));
        let (stop, stopped) = watch::channel(false);
        let publisher = Publisher {
            name: name.to_owned(),
            broker,
            topics: topics(points),
            shape,
            period,
            readings,
            silence: silence.clone(),
        };
        let task = tokio::spawn(publisher.run(stopped));
        MqttPublisher {
            silence,
            stop,
            task,
        }
    }

    /// Publishes nothing of this tag until further notice; of none: nothing at all.
    pub fn silence(&self, tag: Option<&str>) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        match tag {
            None => silence.all = true,
            Some(tag) => {
                silence.tags.insert(tag.into());
            }
        }
    }

    /// Publishes it again.
    pub fn restore(&self, tag: Option<&str>) {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        match tag {
            None => silence.all = false,
            Some(tag) => {
                silence.tags.remove(tag);
            }
        }
    }

    /// Says goodbye to the broker and ends.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for MqttPublisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn topics(points: &[PointDef]) -> Vec<TopicPlan> {
    let mut by_topic: BTreeMap<&str, TopicPlan> = BTreeMap::new();
    for (i, def) in points.iter().enumerate() {
        if let Binding::Mqtt(at) = &def.binding {
            by_topic
                .entry(&at.topic)
                .or_insert_with(|| TopicPlan {
                    topic: at.topic.clone(),
                    points: Vec::new(),
                })
                .points
                .push((i, def.tag.clone(), at.json_path.clone()));
        }
    }
    by_topic.into_values().collect()
}

struct Publisher {
    name: String,
    broker: SocketAddr,
    topics: Vec<TopicPlan>,
    shape: PayloadShape,
    period: Duration,
    readings: Readings,
    silence: Arc<Mutex<Silence>>,
}

impl Publisher {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(&self.name);
        let mut ticks = tokio::time::interval(self.period.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            // after an error client and loop are discarded: they lose and confuse what they hold
            let (client, events) = self.connect();
            let (ended, mut end) = watch::channel(false);
            let mut connection = tokio::spawn(drive(events, ended));
            loop {
                tokio::select! {
                    _ = stopped.changed() => {
                        let _ = client.disconnect().await;
                        let _ = tokio::time::timeout(Duration::from_secs(1), &mut connection).await;
                        connection.abort();
                        return;
                    }
                    _ = end.changed() => break,
                    _ = ticks.tick() => {
                        if self.publish(&client) {
                            backoff.reset();
                        }
                    }
                }
            }
            connection.abort();
            tokio::select! {
                _ = stopped.changed() => return,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    fn connect(&self) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new(
            self.name.clone(),
            self.broker.ip().to_string(),
            self.broker.port(),
        );
        options.set_keep_alive(Duration::from_secs(10));
        options.set_max_packet_size(1024 * 1024, 1024 * 1024);
        AsyncClient::new(options, 1024)
    }

    /// True: everything that is not silent was taken by the client.
    fn publish(&self, client: &AsyncClient) -> bool {
        let now = i64::try_from(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis(),
        )
        .unwrap_or(i64::MAX);
        let mut taken = true;
        for plan in &self.topics {
            if let Some(payload) = self.payload(plan, now) {
                taken &= client
                    .try_publish(&plan.topic, QoS::AtLeastOnce, false, payload)
                    .is_ok();
            }
        }
        taken
    }

    fn payload(&self, plan: &TopicPlan, now_ms: i64) -> Option<Vec<u8>> {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        if silence.all {
            return None;
        }
        let mut heard = plan
            .points
            .iter()
            .filter(|(_, tag, _)| !silence.tags.contains(tag));
        match &self.shape {
            PayloadShape::Number => {
                let (i, _, _) = heard.next_back()?;
                Some(format!("{}", (self.readings)(*i)).into_bytes())
            }
            PayloadShape::Json { value, time } => {
                let mut object = Map::new();
                for (i, _, path) in heard {
                    // a number that JSON cannot hold is null
                    let number = Value::from((self.readings)(*i));
                    put(&mut object, path.as_deref().unwrap_or(value), number);
                }
                if object.is_empty() {
                    return None;
                }
                if let Some(time) = time {
                    put(&mut object, time, Value::from(now_ms));
                }
                serde_json::to_vec(&object).ok()
            }
        }
    }
}

/// Puts a value at `a.b.c`, making objects on the way.
pub(super) fn put(object: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = object
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

async fn drive(mut events: EventLoop, ended: watch::Sender<bool>) {
    while events.poll().await.is_ok() {}
    let _ = ended.send(true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::broker::Broker;
    use crate::field::tests_support::point;
    use davy_points::MqttBinding;
    use rumqttc::{Event, Packet};

    fn mqtt(tag: &str, topic: &str, path: Option<&str>) -> PointDef {
        point(
            tag,
            "",
            Binding::Mqtt(MqttBinding {
                topic: topic.into(),
                json_path: path.map(Into::into),
            }),
        )
    }

    async fn next(events: &mut EventLoop) -> (String, Value) {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), events.poll())
                .await
                .expect("a message");
            if let Ok(Event::Incoming(Packet::Publish(p))) = event {
                assert!(!p.retain);
                return (p.topic, serde_json::from_slice(&p.payload).unwrap());
            }
        }
    }

    #[tokio::test]
    async fn readings_arrive_under_their_topics_and_silence_is_kept() {
        let broker = Broker::start().await.unwrap();
        let options = MqttOptions::new("reader", "127.0.0.1", broker.address().port());
        let (client, mut events) = AsyncClient::new(options, 100);
        client.subscribe("#", QoS::AtLeastOnce).await.unwrap();
        while !matches!(
            events.poll().await.unwrap(),
            Event::Incoming(Packet::SubAck(_))
        ) {}
        let points = [
            mqtt("AT-1", "hall/AT-1", None),
            mqtt("AT-2", "hall/both", Some("a.v")),
            mqtt("AT-3", "hall/both", Some("b.v")),
        ];
        let shape = PayloadShape::Json {
            value: "value".into(),
            time: Some("ts".into()),
        };
        let readings: Readings = Arc::new(|i| [12.5, f64::NAN, 7.0][i]);
        let publisher = MqttPublisher::start(
            "hall",
            broker.address(),
            &points,
            shape,
            Duration::from_millis(20),
            readings,
        );
        let mut seen = BTreeMap::new();
        while seen.len() < 2 {
            let (topic, payload) = next(&mut events).await;
            seen.insert(topic, payload);
        }
        assert_eq!(seen["hall/AT-1"]["value"], 12.5);
        assert!(seen["hall/AT-1"]["ts"].as_i64().unwrap() > 1_600_000_000_000);
        assert_eq!(seen["hall/both"]["a"]["v"], Value::Null);
        assert_eq!(seen["hall/both"]["b"]["v"], 7.0);

        publisher.silence(Some("AT-2"));
        publisher.silence(Some("AT-1"));
        loop {
            let (_, payload) = next(&mut events).await;
            if payload.get("a").is_none() && payload.get("b").is_some() {
                break;
            }
        }
        for _ in 0..5 {
            assert_eq!(next(&mut events).await.0, "hall/both");
        }
        // the broker cuts it: it comes back by itself
        assert!(broker.cut("hall"));
        publisher.restore(Some("AT-1"));
        while next(&mut events).await.0 != "hall/AT-1" {}
        publisher.stop().await;
        broker.stop().await;
    }
}
