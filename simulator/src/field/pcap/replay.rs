//! A device that answers as a recorded one did: the k-th reply to the k-th request of a block.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::recording::{Recording, Reply};
use crate::field::modbus_server::{Device, Exception, ReadRequest};
use crate::field::registers::{push_bits, push_registers};

/// One recorded device. After the last reply of a block that one is repeated, and counted; a block
/// that was never read is refused with exception 02, and counted.
#[derive(Debug)]
pub struct Replay {
    tracks: BTreeMap<ReadRequest, Track>,
    unfinished: AtomicUsize,
    repeated: AtomicU64,
    unknown: AtomicU64,
    done: Notify,
}

#[derive(Debug)]
struct Track {
    replies: Vec<Reply>,
    next: AtomicUsize,
}

impl Replay {
    /// The device at this address of the recording.
    #[must_use]
    pub fn of(recording: &Recording, server: Ipv4Addr) -> Replay {
        let tracks: BTreeMap<ReadRequest, Track> = recording
            .blocks()
            .filter(|(block, _)| block.server == server)
            .map(|(block, replies)| {
                let track = Track {
                    replies: replies.iter().map(|(_, r)| r.clone()).collect(),
                    next: AtomicUsize::new(0),
                };
                (block.request, track)
            })
            .collect();
        Replay {
            unfinished: AtomicUsize::new(tracks.len()),
            tracks,
            repeated: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            done: Notify::new(),
        }
    }

    /// How many requests of a block were answered.
    #[must_use]
    pub fn served(&self, request: &ReadRequest) -> usize {
        self.tracks
            .get(request)
            .map_or(0, |t| t.next.load(Ordering::Relaxed))
    }

    /// Answers given beyond the recording: its last reply once more.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Requests for blocks that were not recorded.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Whether every reply of every block was given.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.unfinished.load(Ordering::Acquire) == 0
    }

    /// Waits until every reply of every block was given.
    pub async fn finished(&self) {
        loop {
            let notified = self.done.notified();
            if self.is_finished() {
                return;
            }
            notified.await;
        }
    }
}

impl Device for Replay {
    fn read(&self, request: ReadRequest, out: &mut Vec<u8>) -> Result<(), Exception> {
        let Some(track) = self.tracks.get(&request) else {
            self.unknown.fetch_add(1, Ordering::Relaxed);
            return Err(Exception::ILLEGAL_ADDRESS);
        };
        let turn = track.next.fetch_add(1, Ordering::Relaxed);
        let last = track.replies.len() - 1;
        if turn > last {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        } else if turn == last && self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_waiters();
        }
        match &track.replies[turn.min(last)] {
            Reply::Words(words) if request.function <= 2 => {
                push_bits(out, words.iter().map(|&w| w != 0));
                Ok(())
            }
            Reply::Words(words) => {
                push_registers(out, words);
                Ok(())
            }
            Reply::Refused(exception) => Err(*exception),
            Reply::Garbled(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}
