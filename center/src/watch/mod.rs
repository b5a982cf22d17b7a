//! The centre's own engine: the same engine as a gateway's, over what only the centre can see.
//!
//! A point per gateway whose samples are its beats, so that silence is `stale`; disagreement of
//! plans, the broker and the centre's own store as health. Its transitions are journalled like
//! any other owner's and take the same way to the pages.
//!
//! Lives here: the ways in ([`Watch`]) and, in `engine`, the thread. May not live here: rules of
//! the plant. The beat of the event stream carries the age of this thread's tick, so a hung
//! engine behind a living HTTP server is seen (`alarm-engine.md` 7.11).

pub(crate) mod engine;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use davy_points::Mono;
use davy_rules::alarm::{Command, Transition};

use crate::OWNER;
use crate::room::Room;
use crate::state::alarms::active;

/// Inputs that may wait. When it is full a beat is dropped, as if it had been lost on its way:
/// an engine that takes nothing for so long is itself what the pages see.
const QUEUE: usize = 4_096;

/// Gives inputs to the engine's thread.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    inputs: SyncSender<Seen>,
    /// Monotonic time of the last tick.
    ticked: Arc<AtomicU64>,
    /// Health as it was told last, so that it is told on change only.
    health: Arc<Mutex<HashMap<String, bool>>>,
}

/// What the centre saw.
#[derive(Debug)]
pub(crate) enum Seen {
    Beat {
        gateway: Arc<str>,
        tick: u64,
    },
    Health {
        part: String,
        ok: bool,
        detail: String,
    },
    Broker {
        up: bool,
    },
    Command(Box<Command>),
    Stop,
}

impl Watch {
    pub(crate) fn new() -> (Watch, Receiver<Seen>) {
        let (inputs, seen) = sync_channel(QUEUE);
        let watch = Watch {
            inputs,
            ticked: Arc::new(AtomicU64::new(0)),
            health: Arc::default(),
        };
        (watch, seen)
    }

    pub(crate) fn beat(&self, gateway: &Arc<str>, tick: u64) {
        self.offer(Seen::Beat {
            gateway: gateway.clone(),
            tick,
        });
    }

    /// A part of the centre works, or does not; told on change.
    pub(crate) fn health(&self, part: &str, ok: bool, detail: String) {
        let mut known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        // What was never bad need not be called good.
        if known.get(part).copied().unwrap_or(true) == ok {
            return;
        }
        let told = self.offer(Seen::Health {
            part: part.to_owned(),
            ok,
            detail,
        });
        if told {
            known.insert(part.to_owned(), ok);
        }
    }

    pub(crate) fn broker(&self, up: bool) {
        self.offer(Seen::Broker { up });
    }

    pub(crate) fn command(&self, command: Command) {
        self.offer(Seen::Command(Box::new(command)));
    }

    pub(crate) fn tick_age(&self, now: Mono) -> Duration {
        now.since(Mono(self.ticked.load(Ordering::Acquire)))
    }

    pub(crate) fn stop(&self) {
        // Its thread may have ended already.
        let _ = self.inputs.send(Seen::Stop);
    }

    fn offer(&self, seen: Seen) -> bool {
        match self.inputs.try_send(seen) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                tracing::error!("the centre's engine takes no inputs");
                false
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

/// A gateway is silent exactly while the centre's engine says so.
pub(crate) fn note_silence(room: &Room, t: &Transition) {
    if *t.owner != *OWNER || &*t.kind != "stale" {
        return;
    }
    let silent = active(t);
    let mut live = room.write();
    let Some(g) = live.gateways.get_mut(&t.tag) else {
        return;
    };
    if g.silent == silent {
        return;
    }
    g.silent = silent;
    g.silent_since = silent.then_some(t.annunciated_at.unwrap_or(t.source_time));
    live.sweep(room.now());
    drop(live);
    room.tell_gateway(&t.tag);
    room.uplink.notify_one();
}
