//! Server-sent events, made once and shared by all pages.
//!
//! What when full: a page that reads too slowly loses frames of the shared ring and is told to
//! `resync`; nothing waits for it.

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::broadcast;

/// Frames that a slow page may lag behind.
pub(crate) const RING: usize = 16_384;

/// One event as its bytes go out.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Centre sequence of a transition; none for events that are not resumed.
    pub seq: Option<u64>,
    pub bytes: Bytes,
}

/// Where events are told.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    ring: broadcast::Sender<Frame>,
}

impl Hub {
    pub(crate) fn new() -> Hub {
        Hub {
            ring: broadcast::channel(RING).0,
        }
    }

    pub(crate) fn tell(&self, frame: Frame) {
        // No page is open: nobody to tell.
        let _ = self.ring.send(frame);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Frame> {
        self.ring.subscribe()
    }

    pub(crate) fn pages(&self) -> usize {
        self.ring.receiver_count()
    }
}

/// An event. JSON holds no raw newline, so one `data:` line is enough.
pub(crate) fn frame(event: &str, seq: Option<u64>, data: &impl Serialize) -> Frame {
    let mut out = Vec::with_capacity(256);
    if let Some(seq) = seq {
        out.extend_from_slice(format!("id: {seq}\n").as_bytes());
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    if let Err(e) = serde_json::to_writer(&mut out, data) {
        // Only our own types come here; none of them has a key that is not a text.
        tracing::error!("an event could not be written: {e}");
        out.extend_from_slice(b"{}");
    }
    out.extend_from_slice(b"\n\n");
    Frame {
        seq,
        bytes: out.into(),
    }
}

/// Pages that hear it fetch everything anew.
pub(crate) fn resync(center_seq: u64) -> Frame {
    #[derive(Serialize)]
    struct Resync {
        v: u32,
        center_seq: u64,
    }
    frame("resync", None, &Resync { v: 1, center_seq })
}
