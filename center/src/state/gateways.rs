//! What the centre knows of each gateway: its status, its beats, how far its records have come.

use std::sync::Arc;

use davy_journal::Hash;
use davy_plan::Plan;
use davy_points::{Mono, Timestamp};
use davy_rules::alarm::{Beat, Presence, Status};
use serde::Serialize;

use super::points::{Now, Seen};
use crate::clock::millis;

/// How many beats in a row must contradict the records before the centre believes them: beats
/// and transitions travel on different connections and may pass each other.
const BEATS_TO_BELIEVE: u32 = 3;

/// What a gateway said last of its own link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// Nothing heard since the centre started.
    Unheard,
    Online,
    Stopping,
    Offline,
}

impl From<Presence> for LinkState {
    fn from(said: Presence) -> LinkState {
        match said {
            Presence::Online => LinkState::Online,
            Presence::Stopping => LinkState::Stopping,
            Presence::Offline => LinkState::Offline,
        }
    }
}

/// What is known of one gateway.
#[derive(Debug, Clone)]
pub(crate) struct GatewayState {
    pub id: Arc<str>,
    pub name: String,
    pub link: LinkState,
    pub session: Arc<str>,
    pub version: Arc<str>,
    pub plan_rev: Arc<str>,
    /// Last beat, and last beat whose tick had advanced.
    pub beat: Option<Mono>,
    pub tick: Option<(u64, Mono)>,
    /// Newest sequence that it says it has.
    pub last_seq: u64,
    /// Newest sequence that is committed here without a gap.
    pub acked_seq: u64,
    /// The hash of that record, so that the gateway knows its own journal by it.
    pub acked_hash: Option<Hash>,
    /// The centre's engine says that it is silent.
    pub silent: bool,
    /// Since when, for people.
    pub silent_since: Option<Timestamp>,
    /// Its wall clock minus the centre's, as of its last beat, transit included.
    pub clock_offset_ns: i64,
    /// Last samples that came in, by the centre's clock.
    pub history: Option<Mono>,
    /// Why its chain of records cannot be believed.
    pub broken: Option<Broken>,
    /// It is to send again what comes after this sequence.
    pub resend_after: Option<u64>,
    /// It is to say what stands.
    pub ask_snapshot: bool,
    behind: u32,
    ahead: u32,
}

/// A broken chain.
#[derive(Debug, Clone)]
pub(crate) struct Broken {
    pub since: Timestamp,
    pub text: String,
}

/// A gateway as the API gives it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GatewayView<'a> {
    pub v: u32,
    pub id: &'a str,
    pub name: &'a str,
    /// `online`, `stopping`, `offline`, `unheard`; `silent` where beats have ceased.
    pub state: &'static str,
    pub beat_age_ms: Option<u64>,
    pub tick_age_ms: Option<u64>,
    pub session: &'a str,
    pub version: &'a str,
    pub plan_rev: &'a str,
    pub plan_agrees: bool,
    pub last_seq: u64,
    pub acked_seq: u64,
    /// Milliseconds since its last samples came in; none: none yet.
    pub history_behind: Option<u64>,
    pub chain_intact: bool,
}

impl GatewayState {
    fn new(id: &Arc<str>, name: &str) -> GatewayState {
        GatewayState {
            id: id.clone(),
            name: name.to_owned(),
            link: LinkState::Unheard,
            session: "".into(),
            version: "".into(),
            plan_rev: "".into(),
            beat: None,
            tick: None,
            last_seq: 0,
            acked_seq: 0,
            acked_hash: None,
            silent: false,
            silent_since: None,
            clock_offset_ns: 0,
            history: None,
            broken: None,
            resend_after: None,
            ask_snapshot: false,
            behind: 0,
            ahead: 0,
        }
    }

    /// A gateway of which the control room sees nothing: its points are greyed, its alarms stand.
    pub(crate) fn lost(&self) -> bool {
        self.silent || matches!(self.link, LinkState::Offline | LinkState::Stopping)
    }

    /// What it says of itself; where it is a new process, the last record that its journal holds:
    /// whatever was told beyond that was never journalled, and its sequence is given out again.
    pub(crate) fn status(&mut self, s: Status) -> Option<u64> {
        let begun = s.state == Presence::Online && s.session != self.session;
        self.link = s.state.into();
        self.session = s.session;
        self.version = s.version;
        self.plan_rev = s.plan_rev;
        s.last_seq.filter(|_| begun)
    }

    /// A beat: it proves that the engine ticks, and says how many records there are.
    pub(crate) fn beat(&mut self, b: &Beat, now: Now) {
        self.beat = Some(now.mono);
        if self.tick.is_none_or(|(tick, _)| tick != b.tick) || self.session != b.session {
            self.tick = Some((b.tick, now.mono));
        }
        if self.session.is_empty() {
            self.session.clone_from(&b.session);
        }
        // A retained last will may be older than the beat that follows it.
        if b.session == self.session && self.link == LinkState::Unheard {
            self.link = LinkState::Online;
        }
        self.last_seq = b.last_seq;
        if b.at.ns() > 0 {
            self.clock_offset_ns = b.at.since(now.wall);
        }
        let count = |wrong: bool, n: &mut u32| {
            *n = if wrong { *n + 1 } else { 0 };
            *n != 0 && n.is_multiple_of(BEATS_TO_BELIEVE)
        };
        if count(b.last_seq < self.acked_seq, &mut self.behind) {
            self.broken.get_or_insert_with(|| Broken {
                since: now.wall,
                text: format!(
                    "{} 的记录只到第 {} 条，而中心已收到第 {} 条：记录被替换或回退",
                    self.id, b.last_seq, self.acked_seq
                ),
            });
            self.resend_after = Some(0);
        }
        if count(b.last_seq > self.acked_seq, &mut self.ahead) {
            self.resend_after = Some(self.acked_seq);
        }
    }

    pub(crate) fn tick_age_ms(&self, now: Mono) -> Option<u64> {
        self.tick.map(|(_, at)| millis(now.since(at)))
    }

    pub(crate) fn plan_agrees(&self, rev: &str) -> bool {
        self.plan_rev.is_empty() || *self.plan_rev == *rev
    }

    pub(crate) fn view(&self, plan: &Plan, now: Mono) -> GatewayView<'_> {
        let age = |at: Mono| millis(now.since(at));
        GatewayView {
            v: 1,
            id: &self.id,
            name: &self.name,
            state: match self.link {
                LinkState::Stopping => "stopping",
                LinkState::Offline => "offline",
                _ if self.silent => "silent",
                LinkState::Online => "online",
                LinkState::Unheard => "unheard",
            },
            beat_age_ms: self.beat.map(age),
            tick_age_ms: self.tick_age_ms(now),
            session: &self.session,
            version: &self.version,
            plan_rev: &self.plan_rev,
            plan_agrees: self.plan_agrees(&plan.rev),
            last_seq: self.last_seq,
            acked_seq: self.acked_seq,
            history_behind: self.history.map(age),
            chain_intact: self.broken.is_none(),
        }
    }
}

/// All gateways of the plan, in its order.
#[derive(Debug)]
pub(crate) struct Gateways(Vec<GatewayState>);

impl Gateways {
    pub(crate) fn new(plan: &Plan) -> Gateways {
        Gateways(
            plan.gateways
                .iter()
                .map(|g| GatewayState::new(&g.id, &g.name))
                .collect(),
        )
    }

    pub(crate) fn get(&self, id: &str) -> Option<&GatewayState> {
        self.0.iter().find(|g| *g.id == *id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut GatewayState> {
        self.0.iter_mut().find(|g| *g.id == *id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &GatewayState> {
        self.0.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut GatewayState> {
        self.0.iter_mut()
    }

    /// What the points of a gateway must know of it.
    pub(crate) fn seen(&self, id: &str) -> Seen {
        self.get(id).map_or(
            Seen {
                lost: false,
                clock_offset_ns: 0,
            },
            |g| Seen {
                lost: g.lost(),
                clock_offset_ns: g.clock_offset_ns,
            },
        )
    }
}
