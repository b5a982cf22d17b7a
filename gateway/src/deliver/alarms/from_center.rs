//! The centre's side of the lane: its `acked`, its commands, what it asks for again.
//!
//! Lives here: messages in, and their acknowledgement to the broker: a command's when it has run
//! its course and its record is durable, so that none is lost between broker and journal.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use davy_journal::Sealed;
use davy_rules::alarm::{
    Acked as AckedRecord, CommandResult, Resend, Snapshot, SnapshotGet, Unreadable, read,
};
use rumqttc::{Publish, QoS};
use tokio::sync::oneshot;

use super::super::command::{self, Refused};
use super::super::window::Acked;
use super::{AlarmLane, Done, SNAPSHOT_ALARMS, json};
use crate::broker::Heard;
use crate::run::Ask;

impl AlarmLane {
    pub(super) fn hear_downlink(&mut self, heard: Heard) {
        match heard {
            Heard::Connected(client) => self.down = Some(client),
            Heard::Down(why) => {
                tracing::warn!(owner = %self.plan.owner, "no commands from the centre: {why}");
                self.down = None;
            }
            Heard::Message(message) => self.take_message(&message),
            Heard::Ready | Heard::PubAck => {}
        }
    }

    fn take_message(&mut self, message: &Publish) {
        let last = self.ports.outbox.last_seq();
        let topic = message
            .topic
            .strip_prefix(self.prefix.as_str())
            .unwrap_or_default();
        match topic {
            "/acked" => match read::<AckedRecord>(&message.payload) {
                Ok(acked) => self.check_acked(acked, last),
                Err(why) => self.refuse_record("acked", &why),
            },
            "/resend" => match read::<Resend>(&message.payload) {
                Ok(Resend { after, .. }) => self.window.resend(after.min(last)),
                Err(why) => self.refuse_record("resend", &why),
            },
            "/snapshot/get" => match read::<SnapshotGet>(&message.payload) {
                Ok(SnapshotGet { .. }) => self.ask_snapshot(),
                Err(why) => self.refuse_record("snapshot_get", &why),
            },
            "/command" => return self.take_command(message),
            other => tracing::debug!(topic = other, "nothing reads this topic"),
        }
        self.puback(message);
    }

    /// A sequence alone does not say whose record it is: after a new disk both journals have a
    /// record 12. What the centre acknowledges must have the hash of ours.
    fn check_acked(&mut self, acked: AckedRecord, last: u64) {
        self.acked_heard += 1;
        let AckedRecord { seq, hash, .. } = acked;
        let (Some(hash), 1..) = (hash, seq) else {
            return self.take_acked(seq, last);
        };
        if seq > last {
            return self.take_acked(seq, last);
        }
        if let Some(record) = self.ports.outbox.record(seq) {
            return self.judge_acked(seq, Some(has_hash(&record, &hash)));
        }
        let (nth, done) = (self.acked_heard, self.done.clone());
        let checker = Arc::clone(&self.ports.checker);
        tokio::task::spawn_blocking(move || {
            let reader = checker.lock().unwrap_or_else(PoisonError::into_inner);
            let ours = match reader.read_from(seq - 1, 1) {
                Ok(records) => Some(records.first().is_some_and(|r| has_hash(r, &hash))),
                Err(e) => {
                    tracing::error!("cannot read what the centre acknowledges: {e}");
                    None
                }
            };
            let _ = done.blocking_send(Done::Acked { nth, seq, ours });
        });
    }

    fn judge_acked(&mut self, seq: u64, ours: Option<bool>) {
        match ours {
            Some(true) => self.take_acked(seq, self.ports.outbox.last_seq()),
            Some(false) => {
                tracing::error!(
                    owner = %self.plan.owner,
                    seq,
                    "the centre has records of another journal under this gateway's name (a new disk, a restored copy?): all of this one are sent"
                );
                self.window.foreign();
            }
            // It is said again with the next record, or on the next connection.
            None => {}
        }
    }

    fn take_acked(&mut self, seq: u64, last: u64) {
        match self.window.acknowledge(seq, last, Instant::now()) {
            Acked::Forward => {}
            Acked::Back => tracing::warn!(
                owner = %self.plan.owner,
                seq,
                "the centre has less than it had; everything after is sent again"
            ),
            Acked::Beyond => {
                if !std::mem::replace(&mut self.younger_told, true) {
                    tracing::error!(
                        owner = %self.plan.owner,
                        seq,
                        last,
                        "the centre has records that this journal does not: the data directory is younger than the centre's, restore it or retire this gateway id"
                    );
                }
            }
        }
        let metrics = &self.ports.metrics;
        metrics
            .acked_seq
            .set(i64::try_from(self.window.acked()).unwrap_or(i64::MAX));
    }

    fn take_command(&mut self, message: &Publish) {
        let stub = stub(message).zip(self.down.clone()).map(|(m, c)| (c, m));
        if message.retain {
            // Nobody retains a command (section 5); a broker would give it to us for ever.
            self.refuse("retained", "a command must not be retained");
            return self.puback(message);
        }
        match command::read(&message.payload, self.plan.command_key.as_deref()) {
            Err(refused) => {
                let detail = format!("{refused:?}");
                self.refuse(refused.reason(), &detail);
                if let Refused::Answered(_, result) = refused {
                    self.results.push_back(*result);
                }
                self.puback(message);
            }
            Ok(command) => {
                let (reply, result) = oneshot::channel();
                let (engine, done) = (self.ports.engine.clone(), self.done.clone());
                let mut durable = self.ports.outbox.subscribe();
                // One task a command: as many as the broker's window has, no more.
                tokio::spawn(async move {
                    if engine
                        .send(Ask::Command(Box::new(command), reply))
                        .await
                        .is_err()
                    {
                        return; // stopping: unacknowledged, it comes again
                    }
                    let result = result.await.ok();
                    if let Some(seq) = result.as_ref().and_then(|r: &CommandResult| r.seq)
                        && durable.wait_for(|(last, _)| *last >= seq).await.is_err()
                    {
                        return;
                    }
                    let _ = done.send(Done::Command(result, stub)).await;
                });
            }
        }
    }

    fn ask_snapshot(&self) {
        let (reply, snapshot) = oneshot::channel();
        let (engine, done) = (self.ports.engine.clone(), self.done.clone());
        let mut durable = self.ports.outbox.subscribe();
        tokio::spawn(async move {
            if engine.send(Ask::Snapshot(reply)).await.is_err() {
                return;
            }
            if let Ok(snapshot) = snapshot.await
                && durable
                    .wait_for(|(last, _)| *last >= snapshot.seq)
                    .await
                    .is_ok()
            {
                let _ = done.send(Done::Snapshot(snapshot)).await;
            }
        });
    }

    pub(super) fn finish(&mut self, done: Done) {
        match done {
            Done::Command(result, message) => {
                self.results.extend(result);
                if let Some((client, message)) = message {
                    // With the client it came through: packet ids mean nothing to another.
                    let _ = client.try_ack(&message);
                }
            }
            Done::Acked { nth, seq, ours } => {
                if nth == self.acked_heard {
                    self.judge_acked(seq, ours);
                }
            }
            Done::Snapshot(snapshot) => {
                let Some(client) = self.up.clone() else {
                    return; // the centre asks again
                };
                let parts: Vec<_> = match snapshot.alarms.chunks(SNAPSHOT_ALARMS) {
                    none if none.len() == 0 => vec![&[][..]],
                    some => some.collect(),
                };
                for (i, alarms) in parts.iter().enumerate() {
                    let part = Snapshot {
                        owner: snapshot.owner.clone(),
                        alarms: alarms.to_vec(),
                        part: count(i + 1),
                        parts: count(parts.len()),
                        ..*snapshot
                    };
                    self.publish(&client, "snapshot", json(&part));
                }
            }
        }
    }

    fn puback(&self, message: &Publish) {
        if let Some(client) = &self.down
            && let Err(e) = client.try_ack(message)
        {
            tracing::debug!("an ack has no way back, the message comes again: {e}");
        }
    }

    fn refuse_record(&self, what: &str, why: &Unreadable) {
        match why {
            Unreadable::Newer(_) => self.refuse("version", &format!("{what}: {why}")),
            Unreadable::Malformed(detail) => self.refuse(what, detail),
        }
    }

    fn refuse(&self, reason: &str, detail: &str) {
        self.ports
            .metrics
            .commands_refused
            .with_label_values(&[reason])
            .inc();
        tracing::warn!(owner = %self.plan.owner, reason, "refused from the centre's side: {detail}");
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A wire record ends with its hash.
fn has_hash(record: &Sealed, hash: &str) -> bool {
    let ours = record.wire.strip_suffix(b"\"}");
    hash.len() == 64 && ours.is_some_and(|wire| wire.ends_with(hash.as_bytes()))
}

/// What an ack needs of a message.
fn stub(message: &Publish) -> Option<Publish> {
    (message.qos != QoS::AtMostOnce).then(|| {
        let mut stub = Publish::new("", message.qos, Vec::new());
        stub.pkid = message.pkid;
        stub
    })
}
