//! Faults of links and of instruments: what the field does to us, on purpose and by seed.
//!
//! Lives here: the names of the faults and the switch that a scenario or a test throws while a
//! device runs. May not live here: sockets (the devices in `field` misbehave by themselves), stories
//! (`scenarios`). Read first: [`LinkFault`], [`InstrumentFault`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::random::Seeded;

/// How a device behaves on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum LinkFault {
    /// As it should.
    #[default]
    None,
    /// Connections are accepted, nothing is answered.
    Silent,
    /// Open connections are cut and new ones refused.
    Refuse,
    /// The connection is cut instead of an answer.
    Drop,
    /// The answer comes so much later.
    Late(Duration),
    /// The answer comes twice.
    Duplicate,
    /// Half of the answer comes, then nothing.
    Truncate,
    /// The answer waits for the next one and comes with it in one segment.
    Merge,
    /// The answer comes byte by byte.
    Split,
    /// The answer carries another transaction id.
    WrongTransaction,
    /// The answer carries another unit id.
    WrongUnit,
    /// The answer holds one register (or one byte of bits) less than was asked for.
    Short,
    /// Random bytes come instead of an answer.
    Garbage,
    /// The answer is this exception.
    Exception(u8),
}

/// The switch of one device: the fault, how often it strikes, and by which seed. Cheap to ask while
/// nothing is wrong.
#[derive(Debug)]
pub struct FaultSwitch {
    active: AtomicBool,
    state: Mutex<State>,
    refusing: watch::Sender<bool>,
    struck: AtomicU64,
}

#[derive(Debug)]
struct State {
    faults: Vec<LinkFault>,
    odds: f64,
    chance: Seeded,
}

impl FaultSwitch {
    /// A switch that is off; its chance follows this seed.
    #[must_use]
    pub fn new(seed: u64) -> FaultSwitch {
        FaultSwitch {
            active: AtomicBool::new(false),
            state: Mutex::new(State {
                faults: Vec::new(),
                odds: 1.0,
                chance: Seeded::new(seed),
            }),
            refusing: watch::Sender::new(false),
            struck: AtomicU64::new(0),
        }
    }

    /// From now on every answer suffers this fault.
    pub fn set(&self, fault: LinkFault) {
        self.mix(&[fault], 1.0);
    }

    /// From now on a share `odds` of the answers suffers one of these faults, chosen by the seed.
    /// `Refuse` in a mixture counts as `Drop`: a door is either open or shut.
    pub fn mix(&self, faults: &[LinkFault], odds: f64) {
        let refuse = faults == [LinkFault::Refuse];
        {
            let mut state = self.lock();
            state.faults = faults
                .iter()
                .copied()
                .filter(|f| *f != LinkFault::None)
                .collect();
            state.odds = odds;
            self.active
                .store(!state.faults.is_empty(), Ordering::Release);
        }
        self.refusing.send_if_modified(|now| {
            let changed = *now != refuse;
            *now = refuse;
            changed
        });
    }

    /// All is well again.
    pub fn clear(&self) {
        self.set(LinkFault::None);
    }

    /// How many answers suffered.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::Relaxed)
    }

    /// The fault of the next answer.
    pub(crate) fn next(&self) -> LinkFault {
        if !self.active.load(Ordering::Acquire) {
            return LinkFault::None;
        }
        let mut state = self.lock();
        let odds = state.odds;
        if state.chance.unit() >= odds {
            return LinkFault::None;
        }
        let n = state.faults.len();
        let pick = state.chance.below(n);
        let fault = state.faults.get(pick).copied().unwrap_or_default();
        self.struck.fetch_add(1, Ordering::Relaxed);
        if fault == LinkFault::Refuse {
            LinkFault::Drop
        } else {
            fault
        }
    }

    /// Random bytes by the same seed.
    pub(crate) fn garbage(&self, out: &mut Vec<u8>, count: usize) {
        let mut state = self.lock();
        out.extend((0..count).map(|_| state.chance.bits().to_le_bytes()[0]));
    }

    /// Whether the door is shut, and news of it.
    pub(crate) fn refusing(&self) -> watch::Receiver<bool> {
        self.refusing.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an instrument behaves towards its process.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum InstrumentFault {
    /// It follows the process.
    #[default]
    None,
    /// It holds its last reading, noise included.
    Frozen,
    /// It has failed: NaN, the sentinel, or 3.5 mA.
    Failed,
    /// It reads so much more than there is.
    Offset(f64),
    /// One reading in `every` is off by `by`.
    Spike {
        /// How far off.
        by: f64,
        /// How rarely.
        every: u32,
    },
    /// It reads more with every hour.
    Drift {
        /// By how much an hour.
        per_hour: f64,
    },
    /// Its readings scatter with this deviation, over the usual.
    Noise(f64),
    /// It reads no further than here; and, as a displacer that is wholly under does, from then on
    /// less with every hour.
    Saturated {
        /// The last true reading.
        at: f64,
        /// By how much an hour it sinks.
        sag_per_hour: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_strikes_by_seed_and_by_its_odds() {
        let run = |seed| {
            let switch = FaultSwitch::new(seed);
            switch.mix(&[LinkFault::Duplicate, LinkFault::Garbage], 0.1);
            let told: Vec<LinkFault> = (0..5000).map(|_| switch.next()).collect();
            (told, switch.struck())
        };
        let (told, struck) = run(3);
        assert_eq!(told, run(3).0);
        assert!((400..600).contains(&struck), "{struck}");
        assert!(told.contains(&LinkFault::Duplicate) && told.contains(&LinkFault::Garbage));
        let switch = FaultSwitch::new(3);
        switch.set(LinkFault::Silent);
        switch.clear();
        assert_eq!(switch.next(), LinkFault::None);
    }
}
