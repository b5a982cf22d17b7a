//! Tells the people: takes what gateways tell into an embedded store, keeps the live picture,
//! serves the API, the event stream and the console.
//!
//! Lives here: `ingest` (MQTT and line protocol in, commands out), `state` (the live picture),
//! `watch` (the centre's own engine), `store`, `server`. May not live here: the state of a
//! gateway's alarms. Its owner decides; the centre shows, stores and asks. Read first:
//! [`start`], then `room`.
//!
//! ```text
//! broker ─► downlink ─► recorder ─(commit)─► ack · picture ─► hub ─► pages
//!   ▲                      ▲                                          │
//! uplink ◄── acked · resend · commands ◄──────────── server ◄── POST ─┘
//! gateways' HTTP ─► server/write ─(append)─► 204 · picture
//! beats ─► watch (engine, own thread) ─► own journal ─► recorder
//! ```

pub mod border;
mod clock;
#[cfg(test)]
mod example;
mod ingest;
mod metrics;
mod restore;
mod room;
mod server;
mod start;
mod state;
mod store;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use davy_plan::Plan;

pub use start::{Center, start};

/// The owner of the centre's own alarms.
pub(crate) const OWNER: &str = "center";

/// What a centre needs to run.
#[derive(Debug, Clone)]
pub struct CenterConfig {
    /// The site.
    pub plan: Arc<Plan>,
    /// Its own folder: `<storage>/center`.
    pub data_dir: PathBuf,
    /// Where it listens; loopback, port 0 for any free one.
    pub listen: SocketAddr,
}

/// Why a centre could not start; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Sign-in does not exist yet.
    #[error(
        "the centre would listen on {0}, which other machines can reach: until sign-in exists it listens on loopback only, set `listen = \"127.0.0.1:{port}\"`",
        port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// The address is taken, or not ours.
    #[error(
        "the centre cannot listen on {address}: {source}; stop what holds it, or give another port by `listen`"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] davy_journal::OpenError),
    /// What is stored cannot be read.
    #[error("what the centre stored cannot be read: {0}")]
    Store(#[from] davy_journal::StoreError),
    /// A bug of ours.
    #[error("the centre's own rules do not hold: {0}; please report this")]
    Internal(String),
    /// The system gives no thread.
    #[error("the system gives the centre no thread: {0}; close other programs or raise the limit")]
    Thread(#[from] std::io::Error),
}
