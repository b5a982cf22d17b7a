//! A recording over Modbus: its own time, whole rows only, every bit.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::device::{Ask, random};
use super::*;

const COLUMNS: u16 = 60;
const TIME_AT: u16 = 0;
const DATA_AT: u16 = 4;

/// Cell of a row: all bit patterns, NaN among them.
fn cell(row: u64, column: u16) -> f64 {
    let bits = (row * 61 + u64::from(column) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    f64::from_bits(bits)
}

fn time(row: u64) -> i64 {
    1_583_077_446_000_000_000 + row as i64 * 1_000_000_000
}

fn read(ask: Ask, row: u64) -> Answer {
    let registers = (ask.address..ask.address + ask.count).map(|a| {
        let (bits, part) = if a < DATA_AT {
            (time(row).cast_unsigned(), a - TIME_AT)
        } else {
            (cell(row, (a - DATA_AT) / 4).to_bits(), (a - DATA_AT) % 4)
        };
        (bits >> (48 - 16 * part)) as u16
    });
    Answer::Registers(registers.collect())
}

fn site(server: &Server) -> Site {
    let mut site = Site::new();
    let source = site.source(server, |s| {
        s.poll.normal = Duration::ZERO;
        s.clock = SourceClock::Recorded;
        s.time = Some(TimeRegister {
            unit_id: 1,
            table: ModbusTable::Holding,
            address: TIME_AT,
            order: ByteOrder::Abcd,
        });
    });
    for c in 0..COLUMNS {
        site.point(source, DATA_AT + 4 * c, ModbusType::F64, |_, _| {});
    }
    site
}

/// Checks a batch as a whole row, and gives its number.
fn row_of(batch: &Batch) -> u64 {
    assert_eq!(batch.samples.len(), usize::from(COLUMNS), "a whole row");
    let at = batch.samples[0].source_time;
    let row = (at.ns() - time(0)) as u64 / 1_000_000_000;
    for s in &batch.samples {
        assert_eq!((s.source_time, s.arrival_time, s.offset_ns), (at, at, 0));
        let expected = cell(row, s.point.index() as u16);
        match s.value {
            Value::F64(v) => {
                assert_eq!(v.to_bits(), expected.to_bits(), "row {row}");
                assert_eq!(s.quality, Quality::Good);
            }
            _ => {
                assert!(!expected.is_finite());
                assert_eq!(s.quality, Quality::BadSensorFailure);
            }
        }
    }
    row
}

/// The server goes on to the next row as soon as every register of this one has been read.
#[tokio::test]
async fn a_step_locked_recording_comes_whole_in_order_and_bit_for_bit() {
    let size = usize::from(DATA_AT + 4 * COLUMNS);
    let progress = Mutex::new((0, vec![false; size]));
    let server = Server::start(move |ask| {
        let mut p = progress.lock().expect("no panic");
        let (row, covered) = &mut *p;
        let answer = read(ask, *row);
        for a in ask.address..ask.address + ask.count {
            covered[usize::from(a)] = true;
        }
        if covered.iter().all(|c| *c) {
            covered.fill(false);
            *row += 1;
        }
        answer
    })
    .await;
    let mut run = site(&server).run();
    let mut next = 0;
    while next < 300 {
        let batch = run.next().await;
        if !batch.samples.is_empty() {
            assert_eq!(row_of(&batch), next, "every row, once, in order");
            next += 1;
        }
    }
    assert_eq!(run.count("torn_scans_total"), 0.0);
}

#[tokio::test]
async fn a_row_that_changes_while_it_is_read_is_thrown_away() {
    // the row changes now and then, but not under the reader's last look at the time
    let (row, seed) = (AtomicU64::new(0), AtomicU64::new(7));
    let server = Server::start(move |ask| {
        let may_change = ask.address == TIME_AT;
        let changes = u64::from(may_change && random(&seed, 3) == 0);
        read(ask, row.fetch_add(changes, Ordering::SeqCst) + changes)
    })
    .await;
    let mut run = site(&server).run();
    let mut rows = 0;
    let mut newest = None;
    while rows < 50 {
        let batch = run.next().await;
        if !batch.samples.is_empty() {
            let row = row_of(&batch);
            assert!(newest.replace(row) < Some(row), "no row twice");
            rows += 1;
        }
    }
    assert!(run.count("torn_scans_total") > 0.0);
}
