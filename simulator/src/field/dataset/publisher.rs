//! Publishes a data set over MQTT, QoS 1, with a bounded window of unacknowledged messages.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Dataset;
use crate::field::backoff::Backoff;

/// How rows become messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A topic for each column: `{"ts":<ns>,"value":x}`, null for an empty cell.
    TopicPerColumn,
    /// One topic: `{"ts":<ns>,"values":{"column":x,…}}`, null for an empty cell.
    Combined,
}

/// What is published again after the connection was lost. A broker that dies may take what it had
/// acknowledged with it; publishing a row again does no harm, its time is its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewind {
    /// Rows acknowledged within so long before.
    Last(Duration),
    /// Everything.
    Start,
}

/// How a set is published.
#[derive(Debug, Clone)]
pub struct MqttReplayConfig {
    /// Client id.
    pub client: String,
    /// The broker.
    pub broker: SocketAddr,
    /// First levels of the topics: `replay/skab`.
    pub prefix: String,
    /// How rows become messages.
    pub layout: Layout,
    /// Most messages sent and not acknowledged.
    pub window: u16,
    /// What is published again after a reconnect.
    pub rewind: Rewind,
    /// Shortest time between two rows; zero: as fast as the broker acknowledges.
    pub pace: Duration,
}

/// A running replay. Dropping it ends it.
#[derive(Debug)]
pub struct MqttReplay {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Rows acknowledged, counted from the first.
    acknowledged: watch::Sender<usize>,
    rows: usize,
    reconnects: AtomicU64,
}

impl MqttReplay {
    /// Begins to publish, on the runtime of the caller. It dials until it is dropped.
    #[must_use]
    pub fn start(data: Arc<Dataset>, config: MqttReplayConfig) -> MqttReplay {
        let shared = Arc::new(Shared {
            acknowledged: watch::Sender::new(0),
            rows: data.rows.len(),
            reconnects: AtomicU64::new(0),
        });
        let task = tokio::spawn(run(data, config, shared.clone()));
        MqttReplay { shared, task }
    }

    /// Rows that the broker has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        *self.shared.acknowledged.borrow()
    }

    /// How often it had to dial again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.shared.reconnects.load(Ordering::Relaxed)
    }

    /// Waits until the broker has acknowledged so many rows.
    pub async fn reached(&self, rows: usize) {
        let mut acknowledged = self.shared.acknowledged.subscribe();
        let _ = acknowledged.wait_for(|done| *done >= rows).await;
    }

    /// Waits until every row is acknowledged.
    pub async fn finished(&self) {
        self.reached(self.shared.rows).await;
    }
}

impl Drop for MqttReplay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(data: Arc<Dataset>, config: MqttReplayConfig, shared: Arc<Shared>) {
    let mut backoff = Backoff::new(&config.client);
    let mut from = 0;
    let mut recent: VecDeque<(Instant, usize)> = VecDeque::new();
    loop {
        let mut options = MqttOptions::new(
            config.client.clone(),
            config.broker.ip().to_string(),
            config.broker.port(),
        );
        options.set_keep_alive(Duration::from_secs(10));
        options.set_inflight(config.window.max(1));
        options.set_max_packet_size(1024 * 1024, 1024 * 1024);
        let (client, mut events) = AsyncClient::new(options, usize::from(config.window.max(1)));
        let feeder = tokio::spawn(feed(client, data.clone(), config.clone(), from));
        let per_row = match config.layout {
            Layout::TopicPerColumn => data.columns.len().max(1),
            Layout::Combined => 1,
        };
        let mut acks = 0;
        // on any error client and loop are discarded: what they still hold is published anew
        while let Ok(event) = events.poll().await {
            if let Event::Incoming(Packet::PubAck(_)) = event {
                backoff.reset();
                acks += 1;
                if acks % per_row == 0 {
                    let now = Instant::now();
                    let done = from + acks / per_row;
                    recent.push_back((now, done - 1));
                    if let Rewind::Last(window) = config.rewind {
                        while recent
                            .front()
                            .is_some_and(|(at, _)| now.duration_since(*at) > window)
                        {
                            recent.pop_front();
                        }
                    }
                    shared.acknowledged.send_replace(done);
                }
            }
        }
        feeder.abort();
        shared.reconnects.fetch_add(1, Ordering::Relaxed);
        let done = *shared.acknowledged.borrow();
        let now = Instant::now();
        from = match config.rewind {
            Rewind::Start => 0,
            Rewind::Last(window) => recent
                .iter()
                .find(|(at, _)| now.duration_since(*at) <= window)
                .map_or(done, |(_, row)| *row),
        };
        recent.clear();
        shared.acknowledged.send_replace(from);
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Puts messages in line from a row on; waits where the window is full.
async fn feed(client: AsyncClient, data: Arc<Dataset>, config: MqttReplayConfig, from: usize) {
    let topics: Vec<String> = (0..data.columns.len())
        .map(|column| topic(&config.prefix, &data, column))
        .collect();
    for (time, values) in &data.rows[from..] {
        match config.layout {
            Layout::TopicPerColumn => {
                for (topic, value) in topics.iter().zip(values) {
                    let payload = column_payload(time.ns(), *value);
                    if send(&client, topic, payload).await.is_err() {
                        return;
                    }
                }
            }
            Layout::Combined => {
                let payload = row_payload(&data, time.ns(), values);
                if send(&client, &config.prefix, payload).await.is_err() {
                    return;
                }
            }
        }
        if !config.pace.is_zero() {
            tokio::time::sleep(config.pace).await;
        }
    }
    // the client must live as long as its connection
    std::future::pending::<()>().await;
}

async fn send(
    client: &AsyncClient,
    topic: &str,
    payload: Vec<u8>,
) -> Result<(), rumqttc::ClientError> {
    client
        .publish(topic, QoS::AtLeastOnce, false, payload)
        .await
}

/// The topic of a column.
pub(super) fn topic(prefix: &str, data: &Dataset, column: usize) -> String {
    format!("{prefix}/{}", key(data, column))
}

/// The name of a column in topics and paths: its tag behind the set's name.
pub(super) fn key(data: &Dataset, column: usize) -> String {
    let tag = data.tag(column);
    tag[data.name.len() + 1..].to_owned()
}

fn column_payload(time_ns: i64, value: Option<f64>) -> Vec<u8> {
    match value {
        // the shortest text that reads back to the same bits
        Some(value) => format!("{{\"ts\":{time_ns},\"value\":{}}}", Value::from(value)),
        None => format!("{{\"ts\":{time_ns},\"value\":null}}"),
    }
    .into_bytes()
}

fn row_payload(data: &Dataset, time_ns: i64, values: &[Option<f64>]) -> Vec<u8> {
    let cells: Map<String, Value> = values
        .iter()
        .enumerate()
        .map(|(column, value)| (key(data, column), value.map_or(Value::Null, Value::from)))
        .collect();
    format!("{{\"ts\":{time_ns},\"values\":{}}}", Value::Object(cells)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::broker::Broker;
    use davy_points::Timestamp;
    use std::collections::BTreeMap;

    fn set(rows: u32) -> Arc<Dataset> {
        Arc::new(Dataset {
            name: "x".into(),
            columns: vec!["a b".into(), "c".into()],
            rows: (0..rows)
                .map(|r| {
                    let odd = r % 2 == 1;
                    (
                        Timestamp(i64::from(r)),
                        vec![Some(f64::from(r) / 3.0), odd.then_some(1.0)],
                    )
                })
                .collect(),
            labels: Vec::new(),
        })
    }

    fn config(broker: SocketAddr, layout: Layout, rewind: Rewind) -> MqttReplayConfig {
        MqttReplayConfig {
            client: "replay".into(),
            broker,
            prefix: "r".into(),
            layout,
            window: 10,
            rewind,
            pace: Duration::ZERO,
        }
    }

    async fn check(layout: Layout, rewind: Rewind, cuts: usize) {
        const ROWS: u32 = 200;
        let broker = Broker::start().await.unwrap();
        let mut options = MqttOptions::new("reader", "127.0.0.1", broker.address().port());
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::new(options, 100);
        client.subscribe("r/#", QoS::AtLeastOnce).await.unwrap();
        while !matches!(
            events.poll().await.unwrap(),
            Event::Incoming(Packet::SubAck(_))
        ) {}
        let data = set(ROWS);
        let replay = MqttReplay::start(data.clone(), config(broker.address(), layout, rewind));
        let mut seen: BTreeMap<(String, i64), Value> = BTreeMap::new();
        let mut cut = 0;
        while seen.len() < 2 * ROWS as usize {
            let event = tokio::time::timeout(Duration::from_secs(30), events.poll())
                .await
                .expect("more messages")
                .unwrap();
            let Event::Incoming(Packet::Publish(p)) = event else {
                continue;
            };
            let payload: Value = serde_json::from_slice(&p.payload).unwrap();
            let ts = payload["ts"].as_i64().unwrap();
            match layout {
                Layout::TopicPerColumn => {
                    seen.insert((p.topic, ts), payload["value"].clone());
                }
                Layout::Combined => {
                    for (key, value) in payload["values"].as_object().unwrap() {
                        seen.insert((format!("r/{key}"), ts), value.clone());
                    }
                }
            }
            if cut < cuts && seen.len() > (cut + 1) * 100 {
                cut += 1;
                let _ = broker.cut("replay");
            }
        }
        replay.finished().await;
        assert_eq!(replay.acknowledged(), ROWS as usize);
        assert_eq!(replay.reconnects(), cuts as u64);
        for (time, values) in &data.rows {
            let cell = |topic: &str| &seen[&(topic.to_owned(), time.ns())];
            assert_eq!(
                cell("r/a_b").as_f64().map(f64::to_bits),
                values[0].map(f64::to_bits)
            );
            assert_eq!(cell("r/c").as_f64(), values[1]);
        }
    }

    #[tokio::test]
    async fn every_cell_arrives_to_the_bit() {
        check(Layout::TopicPerColumn, Rewind::Start, 0).await;
        check(Layout::Combined, Rewind::Start, 0).await;
    }

    #[tokio::test]
    async fn a_cut_connection_loses_nothing() {
        let last = Rewind::Last(Duration::from_secs(2));
        check(Layout::TopicPerColumn, last, 2).await;
        check(Layout::Combined, Rewind::Start, 1).await;
    }
}
