//! An input log through the engine: the same log gives the same transitions, bit for bit.

use sha2::{Digest, Sha256};

use davy_points::{Mono, Timestamp};
use serde::{Deserialize, Serialize};

use crate::alarm::Transition;
use crate::engine::{Engine, Envelope, Output, Restored};

/// The first line of an input log: how the recorded engine was started. The lines after it are
/// [`Envelope`]s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogStart {
    /// Schema version.
    pub v: u32,
    /// Hash of the plan that was in force: a replay on another plan proves nothing.
    pub plan_rev: String,
    /// Monotonic time of the start.
    pub mono: Mono,
    /// Wall time of the start.
    pub wall: Timestamp,
    /// What was read back.
    pub restored: Restored,
}

/// What came out of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Every transition, in order.
    pub transitions: Vec<Transition>,
    /// SHA-256 (hex) over their JSON, each with a line feed after it.
    pub hash: String,
}

/// Runs a log through an engine that was just started as the recorded one was.
#[must_use]
pub fn replay<'a>(mut engine: Engine, log: impl IntoIterator<Item = &'a Envelope>) -> Replay {
    let mut transitions = Vec::new();
    collect(&mut engine, &mut transitions);
    for e in log {
        engine.handle(e);
        collect(&mut engine, &mut transitions);
    }
    let hash = hash(&transitions);
    Replay { transitions, hash }
}

fn collect(engine: &mut Engine, into: &mut Vec<Transition>) {
    while let Some(out) = engine.poll() {
        if let Output::Transition(t) = out {
            into.push(*t);
        }
    }
}

fn hash(transitions: &[Transition]) -> String {
    let mut h = Sha256::new();
    for t in transitions {
        // A record holds no map with keys that are not text and no value that JSON lacks.
        let json = serde_json::to_vec(t).expect("a transition is JSON");
        h.update(&json);
        h.update(b"\n");
    }
    h.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
