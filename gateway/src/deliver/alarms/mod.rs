//! The alarm lane: transitions to the centre over MQTT, commands back (`formats.md` section 5).
//!
//! Lives here: one task, two connections, the cursor. May not live here: alarm state (the engine
//! has it), durability (the journal has it). One connection publishes and is built anew after
//! any error; another keeps a session for `acked`, `command`, `resend` and `snapshot/get`, so that
//! an ack given while we were away still comes. Read first: [`AlarmLane::run`], `window`.

mod from_center;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use davy_journal::{JournalHandle, JournalReader, Sealed};
use davy_plan::MqttAddress;
use davy_rules::alarm::{
    Beat, CommandResult, Flag, Presence, Snapshot, Status, Transition, VERSION,
};
use rumqttc::{AsyncClient, Publish, QoS};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::outbox::{After, Outbox};
use super::window::Window;
use crate::broker::{Heard, Link, LinkPlan};
use crate::metrics::Metrics;
use crate::run::{Ask, Pulse};

/// The journal's cursor of this lane.
pub(crate) const CURSOR: &str = "center";
/// A broker that takes publishes and acknowledges none for so long is as good as gone.
const PUBACK_PATIENCE: Duration = Duration::from_secs(15);
const CURSOR_EVERY: Duration = Duration::from_secs(1);
/// What is left after the last `stopping`: until the broker has it.
const FAREWELL: Duration = Duration::from_millis(700);
/// Alarms in one `snapshot` message, so that it stays below 256 KiB.
const SNAPSHOT_ALARMS: usize = 128;

/// What the lane needs to know.
pub(crate) struct AlarmLanePlan {
    pub(crate) site: Arc<str>,
    pub(crate) owner: Arc<str>,
    pub(crate) plan_rev: Arc<str>,
    pub(crate) session: Arc<str>,
    pub(crate) broker: MqttAddress,
    pub(crate) command_key: Option<Vec<u8>>,
}

/// What the lane is connected to.
pub(crate) struct AlarmLanePorts {
    pub(crate) outbox: Arc<Outbox>,
    /// Taken when the lane begins.
    pub(crate) reader: Option<JournalReader>,
    /// Looks up what the centre acknowledges and is not at hand any more.
    pub(crate) checker: Arc<Mutex<JournalReader>>,
    pub(crate) journal: JournalHandle,
    pub(crate) acked: u64,
    pub(crate) engine: mpsc::Sender<Ask>,
    pub(crate) pulse: watch::Receiver<Pulse>,
    pub(crate) stop: watch::Receiver<Option<Instant>>,
    pub(crate) metrics: Metrics,
}

/// What waits for its PUBACK, in the order of publishing.
enum Published {
    /// Whatever the journal would send again.
    Plain,
    /// The answer to a command; kept until the broker has it.
    Result(Box<CommandResult>),
}

/// What a helper task brings back to the lane.
enum Done {
    /// A command has run its course: answer it, and tell the broker that we have it.
    Command(Option<CommandResult>, Option<(AsyncClient, Publish)>),
    Snapshot(Box<Snapshot>),
    /// Whether the record of this `acked` is one of ours; none: it could not be read.
    Acked {
        nth: u64,
        seq: u64,
        ours: Option<bool>,
    },
}

type Reading = JoinHandle<(JournalReader, Result<Vec<Sealed>, davy_journal::StoreError>)>;

pub(crate) struct AlarmLane {
    plan: AlarmLanePlan,
    ports: AlarmLanePorts,
    prefix: String,
    window: Window,
    up: Option<AsyncClient>,
    down: Option<AsyncClient>,
    published: VecDeque<Published>,
    results: VecDeque<CommandResult>,
    puback_at: Instant,
    late_seen: u64,
    late_told: u64,
    cursor_stored: (u64, Instant),
    reader: Option<JournalReader>,
    reading: Option<Reading>,
    read_not_before: Instant,
    done: mpsc::Sender<Done>,
    younger_told: bool,
    /// Counts the centre's `acked`: the newest alone counts.
    acked_heard: u64,
}

impl AlarmLane {
    /// Delivers until told to stop, then what it can until the deadline, and says farewell.
    pub(crate) async fn run(plan: AlarmLanePlan, ports: AlarmLanePorts) {
        let (done_tx, mut done) = mpsc::channel(256);
        let (up_tx, mut up_rx) = mpsc::channel(1024);
        let (down_tx, mut down_rx) = mpsc::channel(256);
        let mut changed = ports.outbox.subscribe();
        let mut pulse = ports.pulse.clone();
        let mut stop = ports.stop.clone();
        let mut lane = AlarmLane::new(plan, ports, done_tx);
        let mut uplink = Link::spawn(lane.uplink(), up_tx.clone());
        let _downlink = Link::spawn(lane.downlink(), down_tx);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut deadline = None;
        loop {
            lane.pump();
            if deadline.is_some_and(|at| Instant::now() >= at || lane.is_through()) {
                break;
            }
            let patience = deadline.map_or(Duration::from_secs(3600), |at: Instant| {
                at.saturating_duration_since(Instant::now())
            });
            tokio::select! {
                Some(heard) = up_rx.recv() => lane.hear_uplink(heard),
                Some(heard) = down_rx.recv() => lane.hear_downlink(heard),
                Some(done) = done.recv() => lane.finish(done),
                Ok(()) = changed.changed() => {}
                Ok(()) = pulse.changed() => lane.beat(&pulse.borrow_and_update()),
                read = AlarmLane::read(&mut lane.reading) => lane.take_read(read),
                _ = second.tick() => {
                    if lane.look_after() {
                        // No word to the old one: nothing that it held counts any more.
                        lane.hear_uplink(Heard::Down("no PUBACK for 15 s".into()));
                        uplink = Link::spawn(lane.uplink(), up_tx.clone());
                    }
                }
                changed = stop.changed(), if deadline.is_none() => match changed {
                    Ok(()) => deadline = *stop.borrow(),
                    Err(_) => return, // the gateway was dropped: as if killed
                },
                () = tokio::time::sleep(patience), if deadline.is_some() => {}
            }
        }
        lane.store_cursor();
        lane.say_farewell(&mut up_rx).await;
        drop(uplink);
    }

    fn new(plan: AlarmLanePlan, mut ports: AlarmLanePorts, done: mpsc::Sender<Done>) -> AlarmLane {
        let now = Instant::now();
        AlarmLane {
            prefix: format!("davy/v1/{}/{}", plan.site, plan.owner),
            window: Window::new(ports.acked),
            up: None,
            down: None,
            published: VecDeque::new(),
            results: VecDeque::new(),
            puback_at: now,
            late_seen: 0,
            late_told: 0,
            cursor_stored: (ports.acked, now),
            reader: ports.reader.take(),
            reading: None,
            read_not_before: now,
            done,
            younger_told: false,
            acked_heard: 0,
            plan,
            ports,
        }
    }

    fn uplink(&self) -> LinkPlan {
        LinkPlan {
            client_id: format!("davy-{}-{}-up", self.plan.site, self.plan.owner),
            address: self.plan.broker.clone(),
            keep_session: false,
            last_will: Some((self.topic("status"), self.status(Presence::Offline))),
            filters: Vec::new(),
            in_flight: 512,
            requests: 2048,
        }
    }

    fn downlink(&self) -> LinkPlan {
        LinkPlan {
            client_id: format!("davy-{}-{}-down", self.plan.site, self.plan.owner),
            address: self.plan.broker.clone(),
            keep_session: true,
            last_will: None,
            filters: ["acked", "command", "resend", "snapshot/get"]
                .map(|t| self.topic(t))
                .to_vec(),
            in_flight: 16,
            requests: 70_000, // every packet id may wait for its ack
        }
    }

    fn topic(&self, last: &str) -> String {
        format!("{}/{last}", self.prefix)
    }

    fn status(&self, state: Presence) -> Vec<u8> {
        json(&Status {
            v: VERSION,
            owner: self.plan.owner.clone(),
            session: self.plan.session.clone(),
            state,
            version: env!("CARGO_PKG_VERSION").into(),
            plan_rev: self.plan.plan_rev.clone(),
            clock: crate::run::wall_now(),
            last_seq: Some(self.ports.outbox.last_seq()),
        })
    }

    /// Gives the connection what it has room for, and asks the disk for what is not at hand.
    fn pump(&mut self) {
        let Some(client) = self.up.clone() else {
            return;
        };
        self.tell_late(&client);
        while let Some(result) = self.results.pop_front() {
            if !self.publish(&client, "result", json(&result)) {
                self.results.push_front(result);
                return;
            }
            if let Some(last) = self.published.back_mut() {
                *last = Published::Result(Box::new(result));
            }
        }
        while self.reading.is_none()
            && self.window.room() > 0
            && Instant::now() >= self.read_not_before
        {
            let max = usize::try_from(self.window.room()).unwrap_or(usize::MAX);
            match self.ports.outbox.after(self.window.sent(), max) {
                After::Here(records) if records.is_empty() => return,
                After::Here(records) => {
                    if !self.send(&client, &records) {
                        return;
                    }
                }
                After::OnDisk => self.start_read(max),
            }
        }
    }

    fn send(&mut self, client: &AsyncClient, records: &[Sealed]) -> bool {
        for record in records {
            if record.seq != self.window.sent() + 1 {
                return false; // the cursor moved meanwhile
            }
            if !self.publish(client, "transition", record.wire.to_vec()) {
                return false;
            }
            self.window.sent_one(record.seq, Instant::now());
        }
        true
    }

    /// QoS 1. False: no room among the requests; the next event tries again.
    fn publish(&mut self, client: &AsyncClient, last: &str, payload: Vec<u8>) -> bool {
        let retain = last == "status";
        let sent = client.try_publish(self.topic(last), QoS::AtLeastOnce, retain, payload);
        if sent.is_ok() {
            if self.published.is_empty() {
                self.puback_at = Instant::now();
            }
            self.published.push_back(Published::Plain);
        }
        sent.is_ok()
    }

    /// Records that the journal has not confirmed: told at once, flagged, and told again by their
    /// sealed form (`alarm-engine.md` section 7.12).
    fn tell_late(&mut self, client: &AsyncClient) {
        let count = self.ports.outbox.late_count();
        if count == self.late_seen {
            return;
        }
        for (seq, record) in self.ports.outbox.late_after(self.late_told) {
            let flagged = serde_json::from_slice::<Transition>(&record).map(|mut t| {
                t.flags.push(Flag::Unjournalled);
                json(&t)
            });
            match flagged {
                Ok(bytes) => {
                    if !self.publish(client, "transition", bytes) {
                        return;
                    }
                }
                Err(e) => tracing::error!(seq, "a late record is no transition: {e}"),
            }
            self.late_told = seq;
        }
        self.late_seen = count;
    }

    fn start_read(&mut self, max: usize) {
        let Some(reader) = self.reader.take() else {
            return;
        };
        let after = self.window.sent();
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let read = reader.read_from(after, max);
            (reader, read)
        }));
    }

    /// Pending for ever while nothing is being read.
    async fn read(reading: &mut Option<Reading>) -> Read {
        match reading {
            Some(task) => {
                let read = task.await.ok();
                *reading = None;
                read
            }
            None => std::future::pending().await,
        }
    }

    fn take_read(&mut self, read: Read) {
        let Some((reader, records)) = read else {
            tracing::error!("the reader of the journal is gone");
            return;
        };
        self.reader = Some(reader);
        match (records, self.up.clone()) {
            (Ok(records), Some(client)) => {
                self.send(&client, &records);
            }
            (Err(e), _) => {
                tracing::error!("cannot read the journal: {e}");
                self.read_not_before = Instant::now() + Duration::from_secs(1);
            }
            (Ok(_), None) => {}
        }
    }

    fn hear_uplink(&mut self, heard: Heard) {
        match heard {
            Heard::Connected(client) => {
                self.window.rewind();
                (self.late_seen, self.late_told) = (0, 0);
                let status = self.status(Presence::Online);
                self.publish(&client, "status", status);
                self.up = Some(client);
            }
            Heard::PubAck => {
                self.puback_at = Instant::now();
                self.published.pop_front();
            }
            Heard::Down(why) => {
                tracing::warn!(owner = %self.plan.owner, "the alarm lane's broker is away: {why}");
                self.ports
                    .metrics
                    .retries
                    .with_label_values(&["alarms"])
                    .inc();
                self.up = None;
                self.window.rewind();
                for sent in self.published.drain(..).rev() {
                    if let Published::Result(result) = sent {
                        self.results.push_front(*result);
                    }
                }
            }
            Heard::Ready | Heard::Message(_) => {}
        }
    }

    fn beat(&self, pulse: &Pulse) {
        if let Some(client) = &self.up {
            let beat = json(&Beat {
                v: VERSION,
                owner: self.plan.owner.clone(),
                session: self.plan.session.clone(),
                tick: pulse.tick,
                at: pulse.at,
                last_seq: pulse.last_seq,
            });
            // QoS 0: a beat that cannot go now says nothing later.
            let _ = client.try_publish(self.topic("beat"), QoS::AtMostOnce, false, beat);
        }
    }

    /// Once a second. True: the uplink must be built anew.
    fn look_after(&mut self) -> bool {
        let now = Instant::now();
        if self.window.stalled(now) {
            tracing::warn!(owner = %self.plan.owner, acked = self.window.acked(), "no progress at the centre; sending again");
            self.ports
                .metrics
                .retries
                .with_label_values(&["alarms"])
                .inc();
        }
        if now.duration_since(self.cursor_stored.1) >= CURSOR_EVERY {
            self.store_cursor();
        }
        let metrics = &self.ports.metrics;
        let depth = |name: &str, n: usize| {
            metrics
                .queue_depth
                .with_label_values(&[name])
                .set(i64::try_from(n).unwrap_or(i64::MAX));
        };
        depth("alarms.published", self.published.len());
        depth("alarms.results", self.results.len());
        depth("journal.submissions", self.ports.journal.queued());
        self.up.is_some()
            && !self.published.is_empty()
            && now.duration_since(self.puback_at) >= PUBACK_PATIENCE
    }

    fn store_cursor(&mut self) {
        if self.window.acked() != self.cursor_stored.0 {
            self.ports.journal.set_cursor(CURSOR, self.window.acked());
        }
        self.cursor_stored = (self.window.acked(), Instant::now());
    }

    /// Everything that can be told has been told and acknowledged.
    fn is_through(&self) -> bool {
        self.window.acked() >= self.ports.outbox.last_seq() && self.results.is_empty()
    }

    /// `stopping`, which clears nothing; then the socket closes with a word, so that no last will
    /// comes.
    async fn say_farewell(&mut self, up_rx: &mut mpsc::Receiver<Heard>) {
        let Some(client) = self.up.clone() else {
            return;
        };
        let status = self.status(Presence::Stopping);
        self.publish(&client, "status", status);
        let until = tokio::time::Instant::now() + FAREWELL;
        while !self.published.is_empty() && self.up.is_some() {
            match tokio::time::timeout_at(until, up_rx.recv()).await {
                Ok(Some(heard)) => self.hear_uplink(heard),
                Ok(None) | Err(_) => break,
            }
        }
        if client.try_disconnect().is_ok() {
            while let Ok(Some(heard)) = tokio::time::timeout_at(until, up_rx.recv()).await {
                if matches!(heard, Heard::Down(_)) {
                    break;
                }
            }
        }
    }
}

type Read = Option<(JournalReader, Result<Vec<Sealed>, davy_journal::StoreError>)>;

fn json(what: &impl Serialize) -> Vec<u8> {
    // Our own types: no map with odd keys, nothing that can fail.
    serde_json::to_vec(what).unwrap_or_default()
}
