//! MQTT field sources: a session that the broker keeps, and no "received" before it is durable.
//!
//! Lives here: connections, batching, acknowledgements. May not live here: what payloads mean
//! (`mqtt`), reconnecting (`broker`). A message is acknowledged when its samples are durable in
//! the series (`Batch::done`); what is not acknowledged the broker gives again. Read first:
//! [`Subscriber::run`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use davy_plan::{MqttSource, Plan, SiteSource};
use davy_points::{NoData, Quality, Sample, SourceEvent, Timestamp, Value};
use prometheus::IntCounter;
use rumqttc::{AsyncClient, Publish, QoS};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::{AcquireHandle, Batch, Clock, finish};
use crate::broker::{Heard, Link, LinkPlan};
use crate::metrics::Metrics;
use crate::modbus::decode::Raw;
use crate::modbus::qualify::{Memory, Qualifier, Status};
use crate::mqtt::{Intake, Message, Reject};

/// Messages in one batch at most.
const BATCH_MESSAGES: usize = 1000;
/// Messages that may wait between the polling task and the batches. When full the polling task
/// waits, and with it the broker.
const HEARD_MAX: usize = 4096;
/// Batches that may wait for their durability.
const UNSTORED_MAX: usize = 4096;
/// Every packet id may wait for its ack at once.
const REQUESTS: usize = 70_000;

/// Starts a subscriber for each MQTT source among `sources`, all on one thread; none without one.
///
/// # Errors
/// The thread or its runtime could not be made.
pub fn spawn(
    sources: &[SiteSource],
    plan: &Plan,
    gateway: &str,
    tx: &mpsc::Sender<Batch>,
    clock: Clock,
    metrics: &Metrics,
) -> io::Result<Option<AcquireHandle>> {
    let subscribers: Vec<Subscriber> = sources
        .iter()
        .filter_map(|s| match s {
            SiteSource::Mqtt(m) => Some(m),
            SiteSource::Modbus(_) => None,
        })
        .map(|source| Subscriber::new(source, plan, gateway, tx.clone(), clock, metrics))
        .collect();
    if subscribers.is_empty() {
        return Ok(None);
    }
    AcquireHandle::spawn("acquire-mqtt", |stopped| run(subscribers, stopped)).map(Some)
}

async fn run(subscribers: Vec<Subscriber>, stopped: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    for subscriber in subscribers {
        tasks.spawn(subscriber.run(stopped.clone()));
    }
    finish(tasks, stopped, async {}).await;
}

/// Messages of one batch, to be acknowledged once their samples are durable; in order.
struct Unacked {
    /// None: there was nothing to store.
    durable: Option<oneshot::Receiver<()>>,
    client: AsyncClient,
    messages: Vec<Publish>,
}

struct Subscriber {
    source: MqttSource,
    client_id: String,
    intake: Intake,
    /// By point index: how its raw numbers are judged, and what that remembers.
    judges: Vec<Option<(Qualifier, Memory)>>,
    tx: mpsc::Sender<Batch>,
    clock: Clock,
    refused: [IntCounter; Reject::ALL.len()],
    queue_full: IntCounter,
    client: Option<AsyncClient>,
    /// What the engine has been told; none: nothing yet.
    told_up: Option<bool>,
    samples: Vec<Sample>,
    messages: Vec<Publish>,
    events: Vec<SourceEvent>,
}

impl Subscriber {
    fn new(
        source: &MqttSource,
        plan: &Plan,
        gateway: &str,
        tx: mpsc::Sender<Batch>,
        clock: Clock,
        metrics: &Metrics,
    ) -> Subscriber {
        let table = &plan.points;
        let judges = table
            .iter()
            .map(|(_, def)| {
                (def.source == source.ix).then(|| (Qualifier::new(def, None), Memory::default()))
            })
            .collect();
        Subscriber {
            client_id: format!("davy-{}-{gateway}-{}", plan.site, source.id),
            intake: Intake::new(source, table),
            judges,
            tx,
            clock,
            refused: metrics.refused(&source.id),
            queue_full: metrics.mqtt_queue_full.with_label_values(&[&source.id]),
            client: None,
            told_up: None,
            samples: Vec::new(),
            messages: Vec::new(),
            events: Vec::new(),
            source: source.clone(),
        }
    }

    fn link(&self) -> LinkPlan {
        LinkPlan {
            client_id: self.client_id.clone(),
            address: self.source.address.clone(),
            keep_session: true,
            last_will: None,
            filters: self.intake.filters().to_vec(),
            in_flight: 16,
            requests: REQUESTS,
        }
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let (heard_tx, mut heard) = mpsc::channel(HEARD_MAX);
        let (unacked, waiting) = mpsc::channel(UNSTORED_MAX);
        let given_up = Arc::new(Notify::new());
        let acks = tokio::spawn(acknowledge(waiting, Arc::clone(&given_up)));
        let mut link = Link::spawn(self.link(), heard_tx.clone());
        loop {
            tokio::select! {
                first = heard.recv() => {
                    let Some(first) = first else { break };
                    self.hear(first);
                    // What is there goes together; nothing waits for more.
                    while self.messages.len().max(self.samples.len()) < BATCH_MESSAGES {
                        match heard.try_recv() {
                            Ok(next) => self.hear(next),
                            Err(_) => break,
                        }
                    }
                    if !self.hand_over(&unacked).await {
                        break;
                    }
                }
                () = given_up.notified() => {
                    // Samples were not stored. A new link makes the broker give them again.
                    self.hear(Heard::Down("samples could not be stored".into()));
                    drop(link);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    link = Link::spawn(self.link(), heard_tx.clone());
                }
                // An error means that the handle is gone, which is the same wish.
                _ = stopped.changed() => break,
            }
        }
        drop(unacked);
        let _ = acks.await;
        if let Some(client) = &self.client {
            let _ = client.try_disconnect();
            let until = tokio::time::Instant::now() + Duration::from_millis(200);
            while let Ok(Some(last)) = tokio::time::timeout_at(until, heard.recv()).await {
                if matches!(last, Heard::Down(_)) {
                    break;
                }
            }
        }
        drop(link);
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Connected(client) => self.client = Some(client),
            Heard::Ready => self.tell(true, Quality::Good),
            Heard::Down(why) => {
                tracing::warn!(source = %self.source.id, "the broker is away: {why}");
                self.client = None;
                // Their packet ids mean nothing on the next connection: they come again.
                self.messages.clear();
                let quality = match self.told_up {
                    None => Quality::BadNotConnected,
                    Some(_) => Quality::BadCommunication,
                };
                self.tell(false, quality);
            }
            Heard::Message(message) => self.read(message),
            Heard::PubAck => {}
        }
    }

    fn tell(&mut self, up: bool, quality: Quality) {
        if self.told_up.replace(up) != Some(up) {
            if up {
                tracing::info!(source = %self.source.id, "source is up");
            }
            self.events.push(SourceEvent {
                source: self.source.ix,
                up,
                quality,
            });
        }
    }

    fn read(&mut self, mut message: Publish) {
        let now = self.clock.now();
        let begin = self.samples.len();
        let refused = &self.refused;
        self.intake.read(
            Message {
                topic: &message.topic,
                payload: &message.payload,
                retained: message.retain,
                arrival: now.wall,
            },
            &mut self.samples,
            |why| refused[why as usize].inc(),
        );
        for sample in &mut self.samples[begin..] {
            let Some(Some((judge, memory))) = self.judges.get_mut(sample.point.index()) else {
                continue;
            };
            // A recording's own time runs the hold of a failed transmitter.
            let mono = match self.source.clock {
                davy_plan::Clock::Recorded => recorded_mono(sample.source_time),
                davy_plan::Clock::Device | davy_plan::Clock::Arrival => now.mono,
            };
            qualify(sample, judge, memory, mono);
        }
        if message.qos != QoS::AtMostOnce {
            message.payload.clear();
            message.topic.clear();
            self.messages.push(message);
        }
    }

    /// Gives the engine what has gathered. False: the engine is gone.
    async fn hand_over(&mut self, unacked: &mpsc::Sender<Unacked>) -> bool {
        let samples = std::mem::take(&mut self.samples);
        let events = std::mem::take(&mut self.events);
        let messages = std::mem::take(&mut self.messages);
        let (done, durable) = if samples.is_empty() || messages.is_empty() {
            (None, None)
        } else {
            let (done, durable) = oneshot::channel();
            (Some(done), Some(durable))
        };
        if !(samples.is_empty() && events.is_empty()) {
            let batch = Batch {
                samples,
                events,
                done,
            };
            match self.tx.try_send(batch) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(batch)) => {
                    self.queue_full.inc();
                    if self.tx.send(batch).await.is_err() {
                        return false;
                    }
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
        }
        if let (false, Some(client)) = (messages.is_empty(), &self.client) {
            let wait = Unacked {
                durable,
                client: client.clone(),
                messages,
            };
            return unacked.send(wait).await.is_ok();
        }
        true
    }
}

/// Acknowledges in order, each batch when it is durable.
async fn acknowledge(mut waiting: mpsc::Receiver<Unacked>, given_up: Arc<Notify>) {
    while let Some(batch) = waiting.recv().await {
        if let Some(durable) = batch.durable
            && durable.await.is_err()
        {
            given_up.notify_one();
            continue;
        }
        for message in &batch.messages {
            if batch.client.try_ack(message).is_err() {
                break; // that connection is gone: the broker gives them again
            }
        }
    }
}

/// The same judgement as for registers: sentinels, scaling, range, NE43.
fn qualify(sample: &mut Sample, judge: &Qualifier, memory: &mut Memory, now: davy_points::Mono) {
    let raw = match &sample.value {
        Value::F64(v) => Raw::F64(*v),
        Value::I64(v) => Raw::Signed(*v, 64),
        Value::U64(v) => Raw::Unsigned(*v, 64),
        Value::Bool(v) => Raw::Bool(*v),
        Value::Text(v) => Raw::Text(v.clone()),
        Value::NoData(none) => {
            debug_assert_eq!(none.no_data, NoData::Null, "a payload says no other");
            return; // qualified by the intake: the device says that it has none
        }
    };
    let (value, quality) = judge.judge(memory, Ok(raw), Status::None, now);
    sample.value = value;
    sample.quality = sample.quality.worst(quality);
}

fn recorded_mono(time: Timestamp) -> davy_points::Mono {
    davy_points::Mono(time.ns().max(0).unsigned_abs())
}
