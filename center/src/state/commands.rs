//! Commands that people gave, until their owner has answered.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use davy_points::{Mono, Timestamp};
use davy_rules::alarm::{Command, Verb};
use serde::{Deserialize, Serialize};

/// Answers that are kept at hand; older ones are in the store.
const ANSWERED_KEPT: usize = 10_000;

/// How long before an unanswered command is sent again. It is applied once however often it
/// arrives.
const RESEND: Duration = Duration::from_secs(5);

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    Pending,
    Applied,
    Rejected,
}

/// A command with its fate: what the store keeps and the API gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommandRecord {
    pub v: u32,
    pub owner: Arc<str>,
    pub command: Command,
    pub state: Progress,
    pub why: Option<String>,
    /// Sequence of the transition that it made, where it made one.
    pub seq: Option<u64>,
}

/// `commands/{id}` and the event `command`.
#[derive(Debug, Serialize)]
pub(crate) struct CommandView<'a> {
    pub v: u32,
    pub id: &'a str,
    pub state: Progress,
    pub why: Option<&'a str>,
}

impl CommandRecord {
    pub(crate) fn view(&self) -> CommandView<'_> {
        CommandView {
            v: 1,
            id: &self.command.id,
            state: self.state,
            why: self.why.as_deref(),
        }
    }
}

/// Pending and lately answered commands.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    by_id: HashMap<String, CommandRecord>,
    sent: HashMap<String, Mono>,
    answered: VecDeque<String>,
}

impl Commands {
    pub(crate) fn put(&mut self, record: CommandRecord) {
        let id = record.command.id.clone();
        if record.state != Progress::Pending {
            self.sent.remove(&id);
            self.answered.push_back(id.clone());
        }
        self.by_id.insert(id, record);
        while self.answered.len() > ANSWERED_KEPT
            && let Some(old) = self.answered.pop_front()
        {
            self.by_id.remove(&old);
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&CommandRecord> {
        self.by_id.get(id)
    }

    pub(crate) fn pending(&self) -> impl Iterator<Item = &CommandRecord> {
        self.by_id.values().filter(|c| c.state == Progress::Pending)
    }

    /// The command that waits for this occurrence or alarm, if one does.
    pub(crate) fn pending_for(&self, occurrence: &str, alarm: &str) -> Option<&str> {
        self.pending()
            .find(|c| {
                c.command.occurrence.as_deref() == Some(occurrence)
                    || c.command.alarm.as_deref() == Some(alarm)
            })
            .map(|c| c.command.id.as_str())
    }

    /// Commands that are to be sent (again) to owners that can hear them.
    pub(crate) fn due(&mut self, now: Mono, hears: impl Fn(&str) -> bool) -> Vec<CommandRecord> {
        let due: Vec<CommandRecord> = self
            .by_id
            .values()
            .filter(|c| c.state == Progress::Pending && hears(&c.owner))
            .filter(|c| {
                self.sent
                    .get(&c.command.id)
                    .is_none_or(|at| now.since(*at) >= RESEND)
            })
            .cloned()
            .collect();
        for c in &due {
            self.sent.insert(c.command.id.clone(), now);
        }
        due
    }

    /// Forgets when commands were sent: the connection that carried them is gone.
    pub(crate) fn forget_sent(&mut self) {
        self.sent.clear();
    }

    /// Commands whose time is over: rejected here, should their owner stay away.
    pub(crate) fn overdue(&self, now: Timestamp) -> Vec<String> {
        self.pending()
            .filter(|c| c.command.expires_at.is_some_and(|at| at < now))
            .map(|c| c.command.id.clone())
            .collect()
    }
}

/// An acknowledgement and a confirmation say what a person has seen, of one occurrence: they wait
/// for a gateway that is away. Everything else expires after 30 s (`formats.md` section 5): a
/// silence that comes late would still what has been sounded again since.
pub(crate) fn expires_at(verb: Verb, issued_at: Timestamp) -> Option<Timestamp> {
    match verb {
        Verb::Ack | Verb::Confirm => None,
        _ => Some(issued_at + Duration::from_secs(30)),
    }
}
