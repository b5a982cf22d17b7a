//! A Modbus device that shows one row of a data set at a time, and the next one only when every
//! register of this one has been read: no poll is too slow to see a row, none too fast.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Dataset;
use crate::field::modbus_server::{Device, Exception, ReadRequest};
use crate::field::registers::push_registers;

/// Registers of the time before the first column: i64 nanoseconds.
const TIME: u16 = 4;
/// Registers of a column: f64.
const WIDTH: u16 = 4;

/// Serves a data set in the holding registers of unit 1: the row's time as i64 UTC nanoseconds at
/// 0, the columns as f64 from 4 on, all ABCD; NaN for an empty cell.
///
/// A reply can be lost with its connection, and a reader that is killed loses what it had not kept.
/// So a new connection winds back over the rows that were read completely within the last `rewind`;
/// reading a row again does no harm, its time is its key. The last row stays. It counts as finished
/// when it has been read completely twice: the second reading shows that the reader went on after
/// the first.
#[derive(Debug)]
pub struct StepLock {
    data: Arc<Dataset>,
    rewind: Duration,
    state: Mutex<State>,
    finished: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    row: usize,
    words: Vec<u16>,
    read: Vec<bool>,
    missing: usize,
    /// Rows read completely, and when.
    handed: VecDeque<(Instant, usize)>,
    last_read: u32,
    rewound: u64,
}

impl StepLock {
    /// At the first row.
    ///
    /// # Panics
    /// The set has no rows, or more columns than registers: a mistake of the test.
    #[must_use]
    pub fn new(data: Arc<Dataset>, rewind: Duration) -> StepLock {
        assert!(!data.rows.is_empty(), "a data set without rows");
        let registers = usize::from(TIME) + data.columns.len() * usize::from(WIDTH);
        assert!(registers <= 0x1_0000, "more columns than registers");
        let lock = StepLock {
            state: Mutex::new(State {
                row: 0,
                words: vec![0; registers],
                read: vec![false; registers],
                missing: registers,
                handed: VecDeque::new(),
                last_read: 0,
                rewound: 0,
            }),
            data,
            rewind,
            finished: watch::Sender::new(false),
        };
        lock.show(&mut lock.state(), 0);
        lock
    }

    /// The register at which a column lies.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // checked in `new`
    pub const fn register(column: usize) -> u16 {
        TIME + column as u16 * WIDTH
    }

    /// The row that stands, counted from 0.
    #[must_use]
    pub fn row(&self) -> usize {
        self.state().row
    }

    /// How many rows were wound back, over all connections.
    #[must_use]
    pub fn rewound(&self) -> u64 {
        self.state().rewound
    }

    /// Whether the last row has been read completely twice. A new connection may wind it back.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        *self.finished.borrow()
    }

    /// Waits for that.
    pub async fn finished(&self) {
        let mut finished = self.finished.subscribe();
        // the sender lives in self
        let _ = finished.wait_for(|done| *done).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &mut State, row: usize) {
        let (time, values) = &self.data.rows[row];
        put(&mut state.words[..4], time.ns().to_be_bytes());
        for (value, words) in values.iter().zip(state.words[4..].chunks_exact_mut(4)) {
            put(words, value.unwrap_or(f64::NAN).to_be_bytes());
        }
        state.row = row;
        state.read.fill(false);
        state.missing = state.read.len();
    }

    fn completed(&self, state: &mut State) {
        let now = Instant::now();
        let row = state.row;
        let fresh = state.handed.back().is_none_or(|(_, last)| *last < row);
        if fresh {
            state.handed.push_back((now, row));
            self.forget(state, now);
        }
        if row + 1 < self.data.rows.len() {
            self.show(state, row + 1);
        } else {
            state.last_read += 1;
            self.show(state, row);
            if state.last_read == 2 {
                self.finished.send_replace(true);
            }
        }
    }

    fn forget(&self, state: &mut State, now: Instant) {
        while state
            .handed
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) > self.rewind)
        {
            state.handed.pop_front();
        }
    }
}

impl Device for StepLock {
    fn connected(&self) {
        let mut state = self.state();
        self.forget(&mut state, Instant::now());
        let back = state.handed.front().map_or(state.row, |(_, row)| *row);
        state.rewound += (state.row - back) as u64;
        state.handed.clear();
        state.last_read = 0;
        self.show(&mut state, back);
        self.finished.send_replace(false);
    }

    fn read(&self, request: ReadRequest, out: &mut Vec<u8>) -> Result<(), Exception> {
        if request.unit != 1 {
            return Err(Exception::TARGET_NO_ANSWER);
        }
        if request.function != 3 {
            return Err(Exception::ILLEGAL_ADDRESS);
        }
        let mut state = self.state();
        let range = usize::from(request.start)..usize::from(request.start + request.count);
        let words = state
            .words
            .get(range.clone())
            .ok_or(Exception::ILLEGAL_ADDRESS)?;
        push_registers(out, words);
        let mut fresh = 0;
        for read in &mut state.read[range] {
            fresh += usize::from(!*read);
            *read = true;
        }
        state.missing -= fresh;
        if state.missing == 0 {
            self.completed(&mut state);
        }
        Ok(())
    }
}

fn put(words: &mut [u16], bytes: [u8; 8]) {
    for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_points::Timestamp;
    use proptest::prelude::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn set(rows: usize, columns: usize) -> Arc<Dataset> {
        Arc::new(Dataset {
            name: "x".into(),
            columns: (0..columns).map(|c| format!("c{c}")).collect(),
            rows: (0..rows)
                .map(|r| {
                    let value =
                        |c| (c != 1).then_some(f64::from(u32::try_from(r * 10 + c).unwrap()));
                    (
                        Timestamp(i64::try_from(r).unwrap()),
                        (0..columns).map(value).collect(),
                    )
                })
                .collect(),
            labels: Vec::new(),
        })
    }

    fn read(lock: &StepLock, start: u16, count: u16) -> Result<Vec<u8>, Exception> {
        let mut out = Vec::new();
        let request = ReadRequest {
            unit: 1,
            function: 3,
            start,
            count,
        };
        lock.read(request, &mut out).map(|()| out[1..].to_vec())
    }

    fn time(bytes: &[u8]) -> i64 {
        i64::from_be_bytes(bytes[..8].try_into().unwrap())
    }

    #[test]
    fn a_row_stands_until_every_register_was_read() {
        let lock = StepLock::new(set(3, 2), LONG);
        let head = read(&lock, 0, 8).unwrap();
        assert_eq!(time(&head), 0);
        assert_eq!(head[8..], 0.0_f64.to_be_bytes());
        assert_eq!(time(&read(&lock, 0, 8).unwrap()), 0, "not yet all of it");
        let empty = read(&lock, 8, 4).unwrap();
        assert!(f64::from_be_bytes(empty.try_into().unwrap()).is_nan());
        assert_eq!(lock.row(), 1);
        let all = read(&lock, 0, 12).unwrap();
        assert_eq!(time(&all), 1);
        assert_eq!(all[8..16], 10.0_f64.to_be_bytes());
        assert_eq!(read(&lock, 8, 5), Err(Exception::ILLEGAL_ADDRESS));
    }

    #[tokio::test]
    async fn the_last_row_stays_and_is_finished_when_it_was_read_twice() {
        let lock = StepLock::new(set(2, 1), LONG);
        read(&lock, 0, 8).unwrap();
        assert_eq!(time(&read(&lock, 0, 8).unwrap()), 1);
        assert!(!lock.is_finished());
        assert_eq!(time(&read(&lock, 0, 8).unwrap()), 1);
        lock.finished().await;
        lock.connected();
        assert!(!lock.is_finished(), "wound back");
        assert_eq!(time(&read(&lock, 0, 8).unwrap()), 0);
    }

    #[test]
    fn a_new_connection_winds_back_what_was_handed_out_lately() {
        let lock = StepLock::new(set(10, 1), LONG);
        for _ in 0..4 {
            read(&lock, 0, 8).unwrap();
        }
        read(&lock, 0, 4).unwrap();
        lock.connected();
        assert_eq!((lock.row(), lock.rewound()), (0, 4));
        assert_eq!(time(&read(&lock, 0, 8).unwrap()), 0);

        let lock = StepLock::new(set(10, 1), Duration::ZERO);
        for _ in 0..4 {
            read(&lock, 0, 8).unwrap();
        }
        read(&lock, 0, 4).unwrap();
        while lock
            .state()
            .handed
            .front()
            .is_some_and(|(at, _)| at.elapsed().is_zero())
        {
            std::hint::spin_loop();
        }
        lock.connected();
        assert_eq!(lock.row(), 4, "nothing to wind back");
        read(&lock, 4, 4).unwrap();
        assert_eq!(lock.row(), 4, "but the half-read row begins anew");
    }

    proptest! {
        /// Whatever a reader reads, in whatever order and however often it reconnects: every reply
        /// is of the row that stands, rows never skip, and a scan sees one row only.
        #[test]
        fn rows_never_skip(
            reads in prop::collection::vec((0_u16..12, 1_u16..12, 0_u8..20), 1..400),
        ) {
            let lock = StepLock::new(set(6, 2), LONG);
            let mut complete = [false; 12];
            let mut row = 0;
            for (start, count, event) in reads {
                if event == 0 {
                    lock.connected();
                    prop_assert!(lock.row() <= row);
                    row = lock.row();
                    complete = [false; 12];
                }
                let count = count.min(12 - start);
                let bytes = read(&lock, start, count).unwrap();
                if start == 0 && count >= 4 {
                    prop_assert_eq!(time(&bytes), i64::try_from(row).unwrap());
                }
                complete[usize::from(start)..usize::from(start + count)].fill(true);
                if complete.iter().all(|c| *c) {
                    complete = [false; 12];
                    row = (row + 1).min(5);
                }
                prop_assert_eq!(lock.row(), row);
            }
        }
    }
}
