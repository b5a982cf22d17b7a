//! The series against a model, whatever is appended, compacted, crashed and opened again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use davy_journal::{OpenError, Row, Series, SeriesOptions, SeriesPoint, SeriesReader};
use davy_points::{NoData, Quality, Timestamp, Value};
use proptest::prelude::*;

const TAGS: [&str; 3] = ["LT-A", "温度-1", "p/3"];

fn row(point: SeriesPoint, value: f64, time: i64) -> Row {
    Row {
        point,
        value: Value::F64(value),
        quality: Quality::Good,
        time: Timestamp(time),
        offset_ns: 0,
        arrival: Timestamp(time),
    }
}

/// Floats by their bits, so that NaN equals itself.
fn bits(row: &Row) -> (Row, u64) {
    match row.value {
        Value::F64(v) => {
            let value = Value::F64(0.0);
            (
                Row {
                    value,
                    ..row.clone()
                },
                v.to_bits(),
            )
        }
        _ => (row.clone(), 0),
    }
}

fn same(found: &[Row], expected: &[Row]) {
    let found: Vec<_> = found.iter().map(bits).collect();
    let expected: Vec<_> = expected.iter().map(bits).collect();
    assert_eq!(found, expected);
}

const ALWAYS: (Timestamp, Timestamp) = (Timestamp(i64::MIN), Timestamp(i64::MAX));

/// What a series must answer: by tag, the last appended row of each time.
#[derive(Default, Clone)]
struct Model {
    rows: Vec<Row>,
    latest: BTreeMap<(usize, i64), Row>,
}

impl Model {
    fn append(&mut self, rows: &[(usize, Row)]) {
        for (tag, row) in rows {
            self.rows.push(row.clone());
            self.latest.insert((*tag, row.time.0), row.clone());
        }
    }

    fn history(&self, tag: usize, from: i64, to: i64) -> Vec<Row> {
        if from > to {
            return Vec::new();
        }
        let range = self.latest.range((tag, from)..=(tag, to));
        range.map(|(_, row)| row.clone()).collect()
    }

    fn check(&self, read: &SeriesReader) {
        for (i, tag) in TAGS.iter().enumerate() {
            let all = self.history(i, i64::MIN, i64::MAX);
            let found = read.history(tag, ALWAYS.0, ALWAYS.1, usize::MAX);
            same(&found.expect("it reads"), &all);
            let latest = read.latest(tag).expect("it reads");
            same(latest.as_slice(), &all[all.len().saturating_sub(1)..]);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(usize, Row)>),
    /// Some compaction, possibly stopped half-way.
    Compact(u8),
    CompactAll,
    Reopen,
    /// The process dies: only what is on disk is left.
    Crash,
    Release,
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        4 => (0..4096_i32).prop_map(|raw| Value::F64(f64::from(raw) * 0.1)),
        1 => any::<i64>().prop_map(Value::I64),
        1 => any::<u64>().prop_map(Value::U64),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => ".{0,8}".prop_map(|t| Value::Text(t.into())),
        1 => Just(Value::none(NoData::LinkDown)),
    ]
}

fn any_rows() -> impl Strategy<Value = Vec<(usize, Row)>> {
    let time = prop_oneof![8 => 0..200_i64, 1 => any::<i64>()];
    let quality = (0..Quality::ALL.len()).prop_map(|i| Quality::ALL[i]);
    let one = (
        0..TAGS.len(),
        any_value(),
        quality,
        time,
        any::<i64>(),
        any::<i64>(),
    );
    let one = one.prop_map(|(tag, value, quality, time, offset_ns, arrival)| {
        let row = Row {
            point: interned(tag),
            value,
            quality,
            time: Timestamp(time),
            offset_ns,
            arrival: Timestamp(arrival),
        };
        (tag, row)
    });
    prop::collection::vec(one, 1..40)
}

/// Points as a series gives them that interns TAGS in order.
fn interned(tag: usize) -> SeriesPoint {
    let dir = tempfile::tempdir().expect("a directory");
    thread_local!(static POINTS: std::cell::RefCell<Vec<SeriesPoint>> = const { std::cell::RefCell::new(Vec::new()) });
    POINTS.with_borrow_mut(|points| {
        if points.is_empty() {
            let mut series = Series::open(dir.path()).expect("the series opens");
            points.extend(TAGS.map(|t| series.intern(t)));
        }
        points[tag]
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_rows().prop_map(Step::Append),
        4 => (0..12_u8).prop_map(Step::Compact),
        2 => Just(Step::CompactAll),
        1 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        1 => Just(Step::Release),
    ]
}

/// Chunks so small that merging is the rule.
fn open(dir: &Path) -> Series {
    let options = SeriesOptions {
        chunk_rows: 20,
        max_small: 3,
    };
    let mut series = Series::open_with(dir, options).expect("the series opens");
    for tag in TAGS {
        series.intern(tag);
    }
    series
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_series_answers_as_its_model(steps in prop::collection::vec(any_step(), 1..30),
                                     from in 0..200_i64, len in 0..100_i64) {
        let mut dir = tempfile::tempdir().expect("a directory");
        let mut series = open(dir.path());
        let mut model = Model::default();
        let mut spooled: Vec<(u64, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Append(rows) => {
                    let plain: Vec<Row> = rows.iter().map(|r| r.1.clone()).collect();
                    spooled.push((series.append(&plain).expect("it appends"), rows.len()));
                    model.append(&rows);
                }
                Step::Compact(steps) => {
                    // With no time at all each call does one small piece; `all` makes it begin.
                    for _ in 0..steps {
                        series.compact_piece().expect("it compacts");
                    }
                }
                Step::CompactAll => {
                    series.compact_all().expect("it compacts");
                }
                Step::Reopen => {
                    drop(series);
                    series = open(dir.path());
                }
                Step::Crash => {
                    let after = tempfile::tempdir().expect("a directory");
                    copy_dir(dir.path(), after.path());
                    drop(series);
                    dir = after;
                    series = open(dir.path());
                }
                Step::Release => {
                    if let Some((batch, _)) = spooled.first() {
                        series.release(*batch);
                        spooled.remove(0);
                    }
                }
            }
            model.check(series.read());
        }
        model.check(&series.reader().expect("a reader"));
        for (i, tag) in TAGS.iter().enumerate() {
            let range = model.history(i, from, from + len);
            let found = series.history(tag, Timestamp(from), Timestamp(from + len), 7);
            same(&found.expect("it reads"), &range[..range.len().min(7)]);
        }
        // What no lane released is still there for it, in order.
        let after = spooled.first().map_or(0, |s| s.0 - 1);
        let batches = series.batches(after, usize::MAX).expect("it reads");
        let held: Vec<(u64, usize)> = batches.iter().map(|(id, rows)| (*id, rows.len())).collect();
        if !spooled.is_empty() {
            prop_assert_eq!(held, spooled);
        }
        prop_assert_eq!(series.read().damaged(), 0);
    }
}

#[test]
fn many_small_chunks_become_full_ones_and_the_spool_is_trimmed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut series = Series::open(dir.path()).expect("the series opens");
    let points: Vec<SeriesPoint> = (0..5).map(|i| series.intern(&format!("T-{i}"))).collect();
    let mut time = 0;
    for _ in 0..80 {
        let mut rows = Vec::new();
        for _ in 0..100 {
            time += 1_000;
            rows.extend(
                points
                    .iter()
                    .map(|p| row(*p, (time / 7 % 91) as f64 * 0.1, time)),
            );
        }
        let batch = series.append(&rows).expect("it appends");
        series.release(batch);
        series.compact_all().expect("it compacts");
    }
    assert_eq!(series.batches(0, usize::MAX).expect("it reads"), []);
    let all = series.history("T-3", ALWAYS.0, ALWAYS.1, usize::MAX);
    let times: Vec<i64> = all.expect("it reads").iter().map(|r| r.time.0).collect();
    assert_eq!(times, (1..=8_000).map(|i| i * 1_000).collect::<Vec<_>>());
    let db = rusqlite::Connection::open(dir.path().join("series.db")).expect("sqlite");
    let sizes: Vec<i64> = db
        .prepare("SELECT n FROM chunk WHERE point = 3 AND small = 0 ORDER BY t0")
        .and_then(|mut s| s.query_map([], |r| r.get(0))?.collect())
        .expect("it reads");
    assert_eq!(sizes, [3_600, 3_600]);
    assert_eq!(
        series.latest("T-4").expect("it reads").map(|r| r.time.0),
        Some(8_000_000)
    );
    assert_eq!(series.latest("none").expect("it reads"), None);

    let deleted = series.retention(Timestamp(3_600_001)).expect("it deletes");
    assert_eq!(deleted, 5, "one full chunk of each point");
    let first = series
        .history("T-0", ALWAYS.0, ALWAYS.1, 1)
        .expect("it reads");
    assert_eq!(first[0].time, Timestamp(3_601_000));
}

#[test]
fn a_batch_that_a_lane_needs_outlives_compaction_and_opening() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut series = Series::open(dir.path()).expect("the series opens");
    let point = series.intern("LT-A");
    for time in 1..=4 {
        series.append(&[row(point, 1.0, time)]).expect("it appends");
    }
    series.release(2);
    series.compact_all().expect("it compacts");
    drop(series);
    let mut series = Series::open(dir.path()).expect("the series opens");
    let ids = |series: &Series, after, max| -> Vec<u64> {
        let batches = series.batches(after, max).expect("it reads");
        batches.iter().map(|b| b.0).collect()
    };
    assert_eq!(ids(&series, 2, usize::MAX), [3, 4]);
    assert_eq!(
        ids(&series, 2, 0),
        [3],
        "at least one, or a lane never moves"
    );
    series.release(u64::MAX);
    series.compact_all().expect("it compacts");
    assert!(ids(&series, 0, usize::MAX).is_empty());
    // A batch id never comes again, or a cursor would pass over new rows.
    assert_eq!(series.append(&[row(point, 2.0, 9)]).expect("it appends"), 5);
}

#[test]
fn a_damaged_blob_is_passed_over_and_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut series = Series::open(dir.path()).expect("the series opens");
    let point = series.intern("LT-A");
    for time in 1..=3 {
        series.append(&[row(point, 1.0, time)]).expect("it appends");
    }
    let db = rusqlite::Connection::open(dir.path().join("series.db")).expect("sqlite");
    let mut blob: Vec<u8> = db
        .query_row("SELECT blob FROM spool WHERE batch = 2", [], |r| r.get(0))
        .expect("it reads");
    let last = blob.len() - 1;
    blob[last] ^= 1;
    db.execute("UPDATE spool SET blob = ?1 WHERE batch = 2", [blob])
        .expect("it writes");
    let times = |series: &Series| -> Vec<i64> {
        let rows = series
            .history("LT-A", ALWAYS.0, ALWAYS.1, 9)
            .expect("it reads");
        rows.iter().map(|r| r.time.0).collect()
    };
    assert_eq!(times(&series), [1, 3]);
    let batches = series.batches(0, 9).expect("it reads");
    let sizes: Vec<usize> = batches.iter().map(|b| b.1.len()).collect();
    assert_eq!(sizes, [1, 0, 1], "a lane's cursor can pass it");
    assert_eq!(series.read().damaged(), 2);
    series.compact_all().expect("it compacts");
    assert_eq!(times(&series), [1, 3]);
}

#[test]
fn a_trend_keeps_extremes_ends_quality_changes_and_gaps() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut series = Series::open(dir.path()).expect("the series opens");
    let point = series.intern("LT-A");
    let second = 1_000_000_000;
    let mut rows: Vec<Row> = (0..10_000)
        .filter(|i| !(5_010..5_050).contains(i))
        .map(|i| row(point, f64::from(i % 60), i64::from(i) * second))
        .collect();
    let at = |i: i64| {
        rows.iter()
            .position(|r| r.time.0 == i * second)
            .expect("it is there")
    };
    let (spike, dip, held, lost) = (at(1_234), at(2_345), at(7_001), at(8_003));
    rows[spike].value = Value::F64(99.0);
    rows[dip].value = Value::F64(-9.0);
    rows[held].quality = Quality::UncertainLastUsable;
    rows[lost].value = Value::none(NoData::LinkDown);
    rows[lost].quality = Quality::BadCommunication;
    series.append(&rows).expect("it appends");
    let gap = Duration::from_secs(5);
    let trend = |max| {
        let trend = series.history_decimated("LT-A", ALWAYS.0, Timestamp(9_999 * second), max, gap);
        trend.expect("it reads")
    };
    let whole = trend(10_000);
    assert!(!whole.thinned);
    same(&whole.rows, &rows);
    let thin = trend(400);
    assert!(thin.thinned);
    assert!(thin.rows.len() <= 420, "{}", thin.rows.len());
    assert!(thin.rows.is_sorted_by(|a, b| a.time < b.time));
    let times: Vec<i64> = thin.rows.iter().map(|r| r.time.0 / second).collect();
    for must in [
        0, 9_999, 1_234, 2_345, 5_009, 5_050, 7_000, 7_001, 7_002, 8_002, 8_003, 8_004,
    ] {
        assert!(times.contains(&must), "{must} is missing");
    }
    for kept in &thin.rows {
        assert!(rows.contains(kept), "no row is made up");
    }
}

#[test]
fn a_second_process_on_a_series_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let held = Series::open(dir.path()).expect("the series opens");
    let second = Series::open(dir.path());
    assert!(
        matches!(second, Err(OpenError::Locked { .. })),
        "{second:?}"
    );
    drop(held);
    Series::open(dir.path()).expect("the series opens again");
}
