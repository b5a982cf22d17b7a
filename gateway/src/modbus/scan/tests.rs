//! Report by exception: what may be left unsaid, and for how long.

use davy_points::{
    Life, Limits, ModbusBinding, ModbusTable, PointDef, PollClass, Scaling, Signal, SourceDef,
};

use super::*;

/// A block of two u16 points at 10 and 11 that report by exception.
fn block(deadband: Option<f64>, change: impl Fn(&mut PointDef)) -> BlockState {
    let mut table = PointTable::new();
    let source = table.add_source(SourceDef {
        id: "plc".into(),
        gateway: "gw".into(),
        recorded: false,
    });
    let spans = [10, 11].map(|address| {
        let mut def = PointDef {
            tag: format!("P-{address}").into(),
            description: "".into(),
            hazard: "".into(),
            area: "".into(),
            class: "tank_level".into(),
            unit: "%".into(),
            low: None,
            high: None,
            source,
            binding: Binding::Modbus(ModbusBinding {
                unit_id: 1,
                table: ModbusTable::Holding,
                address,
                kind: ModbusType::U16,
                order: ByteOrder::Abcd,
                status: None,
            }),
            scaling: Scaling::default(),
            poll: PollClass::Normal,
            expected_interval: Duration::from_secs(4),
            stale_after: Duration::from_secs(12),
            report_deadband: deadband,
            limits: Limits::default(),
            deadband: 0.0,
            on_delay: Duration::ZERO,
            off_delay: Duration::ZERO,
            priority: None,
            sentinels: [999.0].into(),
            life: Life::InService,
            calibration_due: None,
            note: "".into(),
            span: 0..0,
        };
        change(&mut def);
        Span {
            purpose: Purpose::Point(table.add(def).expect("a new tag"), None),
            address,
            width: 1,
        }
    });
    let block = Block::around(1, ModbusTable::Holding, spans.to_vec()).expect("two points");
    BlockState::new(block, &table, Report::AsThePointSays)
}

fn stamp(second: u64) -> Stamp {
    Stamp {
        source_time: Timestamp(second as i64 * 1_000_000_000),
        offset_ns: 0,
        uncertainty_ns: 0,
        arrival_time: Timestamp(second as i64 * 1_000_000_000),
        mono: Mono(second * 1_000_000_000),
        seq: second,
        clock_suspect: false,
    }
}

/// What is told of these registers at this second: index of the point and quality.
fn told(block: &mut BlockState, second: u64, registers: [u16; 2]) -> Vec<(usize, Quality)> {
    tell(block, &stamp(second), registers)
}

fn tell(block: &mut BlockState, stamp: &Stamp, registers: [u16; 2]) -> Vec<(usize, Quality)> {
    let mut out = Vec::new();
    let words = Words::Registers(registers.to_vec());
    block.accept(words, stamp, &mut StatusWords::new(0), &mut out);
    out.iter().map(|s| (s.point.index(), s.quality)).collect()
}

const G: Quality = Quality::Good;

#[test]
fn without_a_report_deadband_every_reading_is_told() {
    let mut b = block(None, |_| {});
    for second in 0..5 {
        assert_eq!(told(&mut b, second, [5, 6]), [(0, G), (1, G)]);
    }
}

#[test]
fn with_one_only_what_moved_or_was_silent_too_long_is_told() {
    let mut b = block(Some(2.0), |_| {});
    assert_eq!(told(&mut b, 0, [50, 60]), [(0, G), (1, G)]);
    assert_eq!(told(&mut b, 1, [50, 60]), []);
    assert_eq!(
        told(&mut b, 2, [52, 60]),
        [],
        "by no more than the deadband"
    );
    assert_eq!(
        told(&mut b, 3, [53, 60]),
        [(0, G)],
        "it counts from what was told"
    );
    assert_eq!(told(&mut b, 4, [53, 60]), []);
    // half of stale_after is 6 s
    assert_eq!(told(&mut b, 5, [53, 60]), []);
    assert_eq!(told(&mut b, 6, [53, 60]), [(1, G)], "silent too long");
    assert_eq!(told(&mut b, 9, [53, 60]), [(0, G)]);
    assert_eq!(told(&mut b, 10, [53, 60]), []);
    assert_eq!(told(&mut b, 12, [53, 60]), [(1, G)]);
}

#[test]
fn a_change_of_quality_is_always_told() {
    let mut b = block(Some(1e9), |_| {});
    assert_eq!(told(&mut b, 0, [50, 60]), [(0, G), (1, G)]);
    assert_eq!(told(&mut b, 1, [999, 60]), [(0, Quality::BadSensorFailure)]);
    assert_eq!(told(&mut b, 2, [999, 60]), []);
    assert_eq!(told(&mut b, 3, [50, 60]), [(0, G)]);
    let suspect = Stamp {
        clock_suspect: true,
        ..stamp(4)
    };
    let u = Quality::UncertainClock;
    assert_eq!(tell(&mut b, &suspect, [50, 60]), [(0, u), (1, u)]);
    assert_eq!(told(&mut b, 5, [50, 60]), [(0, G), (1, G)]);
}

#[test]
fn a_failing_current_is_judged_though_its_raw_value_stands_still() {
    let mut b = block(Some(1.0), |d| {
        (d.low, d.high) = (Some(0.0), Some(100.0));
        d.scaling.raw = Some((4000.0, 20_000.0));
        d.scaling.signal = Signal::Ma4To20;
        d.stale_after = Duration::from_secs(100);
    });
    let u = Quality::UncertainRange;
    assert_eq!(told(&mut b, 0, [0, 12_000]), [(0, u), (1, G)]);
    assert_eq!(told(&mut b, 2, [0, 12_000]), []);
    assert_eq!(
        told(&mut b, 4, [0, 12_000]),
        [(0, Quality::BadSensorFailure)]
    );
}

#[test]
fn a_failure_is_told_at_once_again_after_ten_seconds_and_its_end_always() {
    let mut b = block(None, |d| d.stale_after = Duration::from_secs(100));
    let mut failed = |second| {
        let mut out = Vec::new();
        b.fail(
            NoData::NoAnswer,
            Quality::BadCommunication,
            &stamp(second),
            &mut StatusWords::new(0),
            &mut out,
        );
        out.len()
    };
    assert_eq!([0, 1, 9, 10, 11].map(&mut failed), [2, 0, 0, 2, 0]);
    assert_eq!(told(&mut b, 12, [5, 6]), [(0, G), (1, G)]);

    let mut b = block(Some(1e9), |_| {});
    told(&mut b, 0, [5, 6]);
    let mut out = Vec::new();
    let bad = Quality::BadCommunication;
    b.fail(
        NoData::NoAnswer,
        bad,
        &stamp(1),
        &mut StatusWords::new(0),
        &mut out,
    );
    assert!(out.len() == 2 && out.iter().all(|s| s.quality == bad));
    assert_eq!(
        told(&mut b, 2, [5, 6]),
        [(0, G), (1, G)],
        "the same registers, but news"
    );
}
