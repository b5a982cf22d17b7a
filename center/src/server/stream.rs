//! `GET /api/v1/stream`: server-sent events, resumed by `Last-Event-ID` from the store.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use tokio::sync::{broadcast, watch};

use super::App;
use super::hub::{Frame, frame, resync};
use crate::room::Room;
use crate::store::transition;

/// Most transitions that are replayed to a page; beyond that a full fetch is cheaper for both.
const RESUME_LIMIT: usize = 5_000;

/// Events are gathered into pieces of about this size.
const PIECE: usize = 64 * 1024;

/// One page's stream.
struct Page {
    room: Arc<Room>,
    ring: broadcast::Receiver<Frame>,
    stopping: watch::Receiver<bool>,
    /// Sent before anything of the ring.
    first: VecDeque<Frame>,
    /// Newest transition sent.
    sent: u64,
}

pub(super) async fn get(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let last_id = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .map(|id| id.trim().parse::<u64>());
    // Listening begins before the store is read, so that nothing falls between the two.
    let ring = app.room.hub.listen();
    let center_seq = app.room.read().center_seq;
    let mut first = VecDeque::from([Frame {
        seq: None,
        bytes: Bytes::from_static(b"retry: 1000\n\n"),
    }]);
    let mut sent = 0;
    match last_id {
        None => {}
        Some(Ok(after)) if after <= center_seq => match app.resume(after, RESUME_LIMIT).await {
            Some(frames) => {
                first.extend(frames);
                sent = first.iter().filter_map(|f| f.seq).max().unwrap_or(after);
            }
            None => first.push_back(resync(center_seq)),
        },
        Some(_) => first.push_back(resync(center_seq)),
    }
    let page = Page {
        room: app.room.clone(),
        ring,
        stopping: app.stopping.clone(),
        first,
        sent,
    };
    let body = Body::from_stream(stream::unfold(page, |mut page| async move {
        let bytes = page.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), page))
    }));
    (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        body,
    )
        .into_response()
}

impl Page {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(frame) = self.first.pop_front() {
            return Some(frame.bytes);
        }
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            let frame = tokio::select! {
                frame = self.ring.recv() => frame,
                _ = self.stopping.changed() => return None,
            };
            match frame {
                Ok(Frame { seq: Some(seq), .. }) if seq <= self.sent => {}
                Ok(frame) => {
                    self.sent = frame.seq.unwrap_or(self.sent);
                    return Some(self.gather(frame.bytes));
                }
                Err(broadcast::error::RecvError::Lagged(frames)) => {
                    self.room.metrics.slow_pages.inc();
                    tracing::warn!(frames, "a page reads too slowly and must fetch all again");
                    return Some(resync(self.room.read().center_seq).bytes);
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Page {
    /// What else is there already goes out in the same piece: in a flood, one write for many.
    fn gather(&mut self, first: Bytes) -> Bytes {
        let mut more = Vec::new();
        while more.len() < PIECE {
            let Ok(frame) = self.ring.try_recv() else {
                // Empty, or lagging: the next call finds out.
                break;
            };
            if frame.seq.is_some_and(|seq| seq <= self.sent) {
                continue;
            }
            self.sent = frame.seq.unwrap_or(self.sent);
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&frame.bytes);
        }
        if more.is_empty() { first } else { more.into() }
    }
}

impl App {
    /// Transitions after a centre sequence as events; none where there are too many, or the store
    /// cannot give them.
    async fn resume(&self, after: u64, limit: usize) -> Option<Vec<Frame>> {
        let records = self
            .store
            .records_after(after, None, limit + 1)
            .await
            .ok()?;
        if records.len() > limit {
            return None;
        }
        let live = self.room.read();
        let mut frames = Vec::new();
        for record in records {
            // Each event is the alarm as that transition left it.
            let t = transition(&record)?;
            let view = live.view_of(&t, Some(record.center_seq));
            frames.push(frame("transition", Some(record.center_seq), &view));
        }
        Some(frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;
    use crate::metrics::Metrics;
    use crate::server::hub::RING;
    use crate::state::Live;

    #[tokio::test]
    async fn a_page_that_reads_too_slowly_is_told_to_fetch_all_again_and_goes_on() {
        let plan = Arc::new(example::plan());
        let live = Live::new(plan.clone());
        let metrics = Metrics::new().expect("metrics");
        let room = Arc::new(Room::new(plan, live, metrics));
        let (_stop, stopping) = watch::channel(false);
        let mut page = Page {
            room: room.clone(),
            ring: room.hub.listen(),
            stopping,
            first: VecDeque::new(),
            sent: 0,
        };
        let tell = |n: u64| room.hub.tell(frame("transition", Some(n), &n));
        (1..=RING as u64 + 1).for_each(tell);
        let text = |bytes: Option<Bytes>| {
            String::from_utf8(bytes.expect("an event").to_vec()).expect("UTF-8")
        };
        assert!(text(page.next().await).starts_with("event: resync\n"));
        assert_eq!(room.metrics.slow_pages.get(), 1);
        // What is still in the ring follows, gathered, each once and in order.
        let mut seen = String::new();
        while !seen.contains(&format!("id: {}\n", RING + 1)) {
            seen += &text(page.next().await);
        }
        let ids: Vec<u64> = seen
            .lines()
            .filter_map(|l| l.strip_prefix("id: ")?.parse().ok())
            .collect();
        assert_eq!(ids, (2..=RING as u64 + 1).collect::<Vec<_>>());
        // What was replayed already is not sent twice.
        page.sent = RING as u64 + 5;
        (RING as u64 + 2..=RING as u64 + 6).for_each(tell);
        assert_eq!(
            text(page.next().await),
            format!("id: {0}\nevent: transition\ndata: {0}\n\n", RING + 6)
        );
    }
}
