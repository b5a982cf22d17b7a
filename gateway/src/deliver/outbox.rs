//! What the journal has to tell: records that are durable, and those that it could not confirm
//! in time.
//!
//! Lives here: the hand-over from the journal's thread to the alarm lane. May not live here:
//! sockets, disks. Nothing is owned: the journal has every record, this holds the newest ones so
//! that the lane needs no disk for them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use davy_journal::Sealed;
use tokio::sync::watch;

/// Newest durable records kept at hand; the lane reads older ones from the journal.
const RECENT_MAX: usize = 4096;

/// Filled by the journal's announcer, emptied by the alarm lane.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Newest durable sequence and a count of late records: changes wake the lane.
    changed: watch::Sender<(u64, u64)>,
}

#[derive(Debug, Default)]
struct State {
    recent: VecDeque<Sealed>,
    /// Told before they are durable, by sequence. The journal holds each of them too, so its
    /// bound is the bound here.
    late: BTreeMap<u64, Vec<u8>>,
}

/// Where records after a sequence are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Here they are, in order; empty: there are none.
    Here(Vec<Sealed>),
    /// In the journal alone.
    OnDisk,
}

impl Outbox {
    pub(crate) fn new(last_seq: u64) -> Outbox {
        Outbox {
            state: Mutex::default(),
            changed: watch::Sender::new((last_seq, 0)),
        }
    }

    /// Records that are durable now, in sequence.
    pub(crate) fn committed(&self, sealed: Vec<Sealed>) {
        let Some(last) = sealed.last().map(|s| s.seq) else {
            return;
        };
        let mut state = self.lock();
        state.late.retain(|seq, _| *seq > last);
        state.recent.extend(sealed);
        let surplus = state.recent.len().saturating_sub(RECENT_MAX);
        state.recent.drain(..surplus);
        drop(state);
        self.changed.send_modify(|(seq, _)| *seq = last);
    }

    /// Records that the journal has not confirmed in time.
    pub(crate) fn late(&self, records: Vec<Vec<u8>>) {
        #[derive(serde::Deserialize)]
        struct Seq {
            seq: u64,
        }
        let mut state = self.lock();
        for record in records {
            match serde_json::from_slice::<Seq>(&record) {
                Ok(Seq { seq }) => {
                    state.late.insert(seq, record);
                }
                Err(e) => tracing::error!("a late record is no transition: {e}"),
            }
        }
        drop(state);
        self.changed.send_modify(|(_, late)| *late += 1);
    }

    /// True while some record has been told that is not durable yet.
    pub(crate) fn has_late(&self) -> bool {
        !self.lock().late.is_empty()
    }

    /// Late records after this sequence that are not durable yet.
    pub(crate) fn late_after(&self, seq: u64) -> Vec<(u64, Vec<u8>)> {
        self.lock()
            .late
            .range(seq.saturating_add(1)..)
            .map(|(seq, record)| (*seq, record.clone()))
            .collect()
    }

    /// At most `max` durable records after `seq`.
    pub(crate) fn after(&self, seq: u64, max: usize) -> After {
        if self.last_seq() <= seq {
            return After::Here(Vec::new());
        }
        let state = self.lock();
        match state.recent.front() {
            Some(oldest) if oldest.seq <= seq + 1 => {
                let from = state.recent.partition_point(|s| s.seq <= seq);
                After::Here(state.recent.range(from..).take(max).cloned().collect())
            }
            _ => After::OnDisk,
        }
    }

    /// The record of this sequence, where it is at hand.
    pub(crate) fn record(&self, seq: u64) -> Option<Sealed> {
        let state = self.lock();
        let at = state.recent.partition_point(|s| s.seq < seq);
        state.recent.get(at).filter(|s| s.seq == seq).cloned()
    }

    /// Newest durable sequence.
    pub(crate) fn last_seq(&self) -> u64 {
        self.changed.borrow().0
    }

    /// How often late records were handed over.
    pub(crate) fn late_count(&self) -> u64 {
        self.changed.borrow().1
    }

    /// Wakes with every change: (newest durable sequence, count of late hand-overs).
    pub(crate) fn subscribe(&self) -> watch::Receiver<(u64, u64)> {
        self.changed.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn sealed(seqs: std::ops::RangeInclusive<u64>) -> Vec<Sealed> {
        seqs.map(|seq| Sealed {
            seq,
            wire: Arc::from(format!("{{\"seq\":{seq}}}").as_bytes()),
        })
        .collect()
    }

    #[test]
    fn new_records_are_here_and_old_ones_on_disk() {
        let outbox = Outbox::new(10);
        assert_eq!(outbox.after(10, 5), After::Here(vec![]));
        assert_eq!(outbox.after(3, 5), After::OnDisk);
        outbox.committed(sealed(11..=14));
        assert_eq!(outbox.last_seq(), 14);
        assert_eq!(outbox.after(10, 2), After::Here(sealed(11..=12)));
        assert_eq!(outbox.after(12, 9), After::Here(sealed(13..=14)));
        assert_eq!(outbox.after(9, 9), After::OnDisk);
        outbox.committed(sealed(15..=15 + RECENT_MAX as u64));
        assert_eq!(outbox.after(14, 1), After::OnDisk);
        assert_eq!(outbox.after(15, 1), After::Here(sealed(16..=16)));
        assert_eq!(outbox.record(15), None);
        assert_eq!(outbox.record(17), sealed(17..=17).pop());
    }

    #[test]
    fn a_late_record_is_told_until_it_is_durable() {
        let outbox = Outbox::new(0);
        outbox.late(vec![br#"{"seq":1}"#.to_vec(), br#"{"seq":2}"#.to_vec()]);
        assert_eq!(outbox.late_after(0).len(), 2);
        assert_eq!(outbox.late_after(1).len(), 1);
        outbox.committed(sealed(1..=1));
        assert!(outbox.has_late());
        outbox.committed(sealed(2..=2));
        assert!(!outbox.has_late());
    }
}
