//! The control room: the live picture and the ways to tell of it, shared by all parts of the
//! centre.
//!
//! Lives here: the lock around [`Live`] and what happens on both sides of it. May not live here:
//! sockets and files.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use davy_plan::Plan;
use davy_rules::alarm::{CommandResult, Outcome, Transition};
use serde::Serialize;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::server::hub::{Frame, Hub, frame, resync};
use crate::state::Live;
use crate::state::alarms::AlarmKey;
use crate::state::commands::{CommandRecord, Progress};
use crate::state::points::Now;

/// Shared by ingest, the watch and the server.
#[derive(Debug)]
pub(crate) struct Room {
    pub plan: Arc<Plan>,
    pub clock: Clock,
    live: RwLock<Live>,
    pub hub: Hub,
    pub metrics: Metrics,
    /// Something is to be told to the gateways: the uplink looks what.
    pub uplink: Notify,
}

impl Room {
    pub(crate) fn new(plan: Arc<Plan>, live: Live, metrics: Metrics) -> Room {
        Room {
            clock: Clock::start(),
            live: RwLock::new(live),
            hub: Hub::new(),
            metrics,
            uplink: Notify::new(),
            plan,
        }
    }

    /// The picture; held for moments, never across an await.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The picture, to change it.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono: self.clock.mono(),
            wall: self.clock.wall(),
        }
    }

    /// A transition that is committed: the picture changes, pages hear of it.
    pub(crate) fn committed(&self, center_seq: u64, t: Arc<Transition>) {
        let key: AlarmKey = (t.owner.clone(), t.alarm.clone());
        let mut live = self.write();
        live.center_seq = live.center_seq.max(center_seq);
        live.alarms.commit(center_seq, t);
        if let Some(view) = live.alarm_view(&key) {
            self.hub.tell(frame("transition", Some(center_seq), &view));
        }
    }

    /// A transition that is shown before it is committed.
    pub(crate) fn provisional(&self, t: &Arc<Transition>) {
        let key: AlarmKey = (t.owner.clone(), t.alarm.clone());
        let mut live = self.write();
        if live.alarms.provisional(t.clone())
            && let Some(view) = live.alarm_view(&key)
        {
            self.hub.tell(frame("transition", None, &view));
        }
    }

    /// A command whose fate is durable.
    pub(crate) fn command(&self, record: CommandRecord) {
        let mut live = self.write();
        self.hub.tell(frame("command", None, &record.view()));
        live.commands.put(record);
        drop(live);
        self.uplink.notify_one();
    }

    /// The record of a command with the owner's answer in it; none where it is unknown or
    /// answered already.
    pub(crate) fn answered(&self, result: &CommandResult, owner: &str) -> Option<CommandRecord> {
        let live = self.read();
        let record = live.commands.get(&result.id)?;
        if record.state != Progress::Pending || *record.owner != *owner {
            return None;
        }
        Some(CommandRecord {
            state: match result.outcome {
                Outcome::Applied => Progress::Applied,
                Outcome::Rejected => Progress::Rejected,
            },
            why: result.why.map(snake),
            seq: result.seq,
            ..record.clone()
        })
    }

    /// Tells pages how a gateway stands.
    pub(crate) fn tell_gateway(&self, id: &str) {
        let now = self.clock.mono();
        let live = self.read();
        if let Some(g) = live.gateways.get(id) {
            self.hub
                .tell(frame("gateway", None, &g.view(&self.plan, now)));
        }
    }

    /// Something that pages were told no longer counts, and no event takes it back.
    pub(crate) fn tell_resync(&self) {
        let center_seq = self.read().center_seq;
        self.hub.tell(resync(center_seq));
    }

    /// Samples that changed since the last call, as one event; none where nothing changed.
    pub(crate) fn samples_frame(&self) -> Option<Frame> {
        #[derive(Serialize)]
        struct Samples<'a> {
            v: u32,
            rows: Vec<(&'a str, Option<davy_points::Value>, u8, i64, i64)>,
        }
        let now = self.now();
        let mut live = self.write();
        let changed = live.points.take_changed();
        if changed.is_empty() {
            return None;
        }
        let rows = changed
            .into_iter()
            .map(|ix| {
                let row = live.row(ix, now);
                (
                    &*self.plan.points.point(ix).tag,
                    row.value,
                    row.quality.code(),
                    row.source_time.ns(),
                    row.arrival.ns(),
                )
            })
            .collect();
        drop(live);
        Some(frame("samples", None, &Samples { v: 1, rows }))
    }
}

/// The wire word of a unit enum.
pub(crate) fn snake(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(s)) => s,
        _ => String::new(),
    }
}
