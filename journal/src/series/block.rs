//! Rows as one blob: a commit of the spool, or a chunk of one point.
//!
//! Lives here: the byte format. May not live here: SQL, time order. Read first: the layout.
//!
//! ```text
//! 'd' 'b' 1 0     magic, version of the format, zero
//! 8 bytes         the first of SHA-256 over everything that follows
//! varint          number of rows n
//! columns         point, time, offset, arrival − time (integers); quality, kind (runs)
//! by kind         floats, signed, unsigned (columns); truths, reasons (runs); texts
//! ```
//! The columns by kind hold only the rows of that kind, so a point that turns from numbers to
//! a reason and back costs nothing beside. What does not check is refused whole.

use std::sync::Arc;

use davy_points::{NoData, Quality, Timestamp, Value};

use super::column::{
    Cursor, Effort, Torn, put_f64, put_i64, put_runs, put_u64, put_varint, take_f64, take_i64,
    take_runs, take_u64,
};
use super::{Row, SeriesPoint};
use crate::seal::Hash;

const MAGIC: [u8; 4] = [b'd', b'b', 1, 0];
const HEADER: usize = MAGIC.len() + 8;
/// No encoder makes more rows in one blob.
pub(crate) const MAX_ROWS: usize = 1 << 24;

const F64: u8 = 0;
const I64: u8 = 1;
const U64: u8 = 2;
const BOOL: u8 = 3;
const TEXT: u8 = 4;
const NO_DATA: u8 = 5;

const REASONS: [NoData; 7] = [
    NoData::NeverRead,
    NoData::Null,
    NoData::NoAnswer,
    NoData::Refused,
    NoData::Undecodable,
    NoData::Sentinel,
    NoData::LinkDown,
];

fn reason_code(reason: NoData) -> u8 {
    match reason {
        NoData::NeverRead => 0,
        NoData::Null => 1,
        NoData::NoAnswer => 2,
        NoData::Refused => 3,
        NoData::Undecodable => 4,
        NoData::Sentinel => 5,
        NoData::LinkDown => 6,
    }
}

/// Rows to bytes, in the order given.
pub(crate) fn encode(rows: &[Row], effort: Effort) -> Vec<u8> {
    assert!(
        rows.len() <= MAX_ROWS,
        "a blob holds at most {MAX_ROWS} rows"
    );
    let mut out = Vec::with_capacity(HEADER + 16 + rows.len() * 14);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 8]);
    put_varint(&mut out, rows.len() as u64);
    let mut numbers: Vec<i64> = Vec::with_capacity(rows.len());
    let mut column = |out: &mut Vec<u8>, of: &dyn Fn(&Row) -> i64| {
        numbers.clear();
        numbers.extend(rows.iter().map(of));
        put_i64(out, &numbers, effort);
    };
    column(&mut out, &|r| i64::from(r.point.0));
    column(&mut out, &|r| r.time.0);
    column(&mut out, &|r| r.offset_ns);
    column(&mut out, &|r| r.arrival.0.wrapping_sub(r.time.0));
    let quality: Vec<u8> = rows.iter().map(|r| r.quality.code()).collect();
    put_runs(&mut out, &quality);
    put_values(&mut out, rows, effort);
    let sum = checksum(&out[HEADER..]);
    out[MAGIC.len()..HEADER].copy_from_slice(&sum);
    out
}

fn put_values(out: &mut Vec<u8>, rows: &[Row], effort: Effort) {
    let mut kinds = Vec::with_capacity(rows.len());
    let mut floats = Vec::new();
    let mut signed = Vec::new();
    let mut unsigned = Vec::new();
    let mut truths = Vec::new();
    let mut reasons = Vec::new();
    let mut texts = Vec::new();
    for row in rows {
        kinds.push(match &row.value {
            Value::F64(v) => {
                floats.push(*v);
                F64
            }
            Value::I64(v) => {
                signed.push(*v);
                I64
            }
            Value::U64(v) => {
                unsigned.push(*v);
                U64
            }
            Value::Bool(v) => {
                truths.push(u8::from(*v));
                BOOL
            }
            Value::Text(v) => {
                texts.push(v);
                TEXT
            }
            Value::NoData(v) => {
                reasons.push(reason_code(v.no_data));
                NO_DATA
            }
        });
    }
    put_runs(out, &kinds);
    if !floats.is_empty() {
        put_f64(out, &floats, effort);
    }
    if !signed.is_empty() {
        put_i64(out, &signed, effort);
    }
    if !unsigned.is_empty() {
        put_u64(out, &unsigned, effort);
    }
    if !truths.is_empty() {
        put_runs(out, &truths);
    }
    if !reasons.is_empty() {
        put_runs(out, &reasons);
    }
    for text in texts {
        put_varint(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

/// Bytes to rows, in the order in which they were given; with `only`, those of that point.
pub(crate) fn decode(blob: &[u8], only: Option<SeriesPoint>) -> Result<Vec<Row>, Torn> {
    let mut from = open(blob)?;
    let n = from.len()?;
    if n > MAX_ROWS {
        return Err(Torn);
    }
    if n == 0 {
        return Ok(Vec::new());
    }
    let points = take_i64(&mut from, n)?;
    if let Some(only) = only
        && !points.contains(&i64::from(only.0))
    {
        return Ok(Vec::new());
    }
    let times = take_i64(&mut from, n)?;
    let offsets = take_i64(&mut from, n)?;
    let lags = take_i64(&mut from, n)?;
    let qualities = take_runs(&mut from, n)?;
    let mut values = Values::take(&mut from, n)?;
    let mut rows = Vec::with_capacity(if only.is_some() { 0 } else { n });
    for i in 0..n {
        let value = values.next(i)?;
        let point = SeriesPoint(u32::try_from(points[i]).map_err(|_| Torn)?);
        if only.is_some_and(|only| only != point) {
            continue;
        }
        rows.push(Row {
            point,
            value,
            quality: Quality::from_code(qualities[i]).ok_or(Torn)?,
            time: Timestamp(times[i]),
            offset_ns: offsets[i],
            arrival: Timestamp(times[i].wrapping_add(lags[i])),
        });
    }
    Ok(rows)
}

/// The columns by kind, read in step with the rows.
struct Values<'a> {
    kinds: Vec<u8>,
    floats: std::vec::IntoIter<f64>,
    signed: std::vec::IntoIter<i64>,
    unsigned: std::vec::IntoIter<u64>,
    truths: std::vec::IntoIter<u8>,
    reasons: std::vec::IntoIter<u8>,
    texts: Cursor<'a>,
}

impl<'a> Values<'a> {
    fn take(from: &mut Cursor<'a>, n: usize) -> Result<Values<'a>, Torn> {
        let kinds = take_runs(from, n)?;
        let count = |kind| kinds.iter().filter(|k| **k == kind).count();
        fn some<'a, T>(
            n: usize,
            from: &mut Cursor<'a>,
            take: impl Fn(&mut Cursor<'a>, usize) -> Result<Vec<T>, Torn>,
        ) -> Result<std::vec::IntoIter<T>, Torn> {
            let column = if n == 0 { Vec::new() } else { take(from, n)? };
            Ok(column.into_iter())
        }
        Ok(Values {
            floats: some(count(F64), from, take_f64)?,
            signed: some(count(I64), from, take_i64)?,
            unsigned: some(count(U64), from, take_u64)?,
            truths: some(count(BOOL), from, take_runs)?,
            reasons: some(count(NO_DATA), from, take_runs)?,
            kinds,
            texts: Cursor(from.0),
        })
    }

    fn next(&mut self, row: usize) -> Result<Value, Torn> {
        Ok(match self.kinds[row] {
            F64 => Value::F64(self.floats.next().ok_or(Torn)?),
            I64 => Value::I64(self.signed.next().ok_or(Torn)?),
            U64 => Value::U64(self.unsigned.next().ok_or(Torn)?),
            BOOL => Value::Bool(self.truths.next().ok_or(Torn)? != 0),
            TEXT => {
                let len = self.texts.len()?;
                let text = std::str::from_utf8(self.texts.take(len)?).map_err(|_| Torn)?;
                Value::Text(Arc::from(text))
            }
            NO_DATA => {
                let code = self.reasons.next().ok_or(Torn)?;
                Value::none(*REASONS.get(usize::from(code)).ok_or(Torn)?)
            }
            _ => return Err(Torn),
        })
    }
}

fn open(blob: &[u8]) -> Result<Cursor<'_>, Torn> {
    let (header, body) = blob.split_at_checked(HEADER).ok_or(Torn)?;
    if header[..MAGIC.len()] != MAGIC || header[MAGIC.len()..] != checksum(body) {
        return Err(Torn);
    }
    Ok(Cursor(body))
}

fn checksum(body: &[u8]) -> [u8; 8] {
    let mut sum = [0; 8];
    sum.copy_from_slice(&Hash::of(body).0[..8]);
    sum
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            4 => any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
            4 => (0..4096_i32).prop_map(|raw| Value::F64(f64::from(raw) * 0.1)),
            1 => Just(Value::F64(-0.0)),
            1 => any::<i64>().prop_map(Value::I64),
            1 => any::<u64>().prop_map(Value::U64),
            1 => any::<bool>().prop_map(Value::Bool),
            1 => ".{0,12}".prop_map(|t| Value::Text(t.into())),
            1 => (0..REASONS.len()).prop_map(|i| Value::none(REASONS[i])),
        ]
    }

    pub(crate) fn any_quality() -> impl Strategy<Value = Quality> {
        prop_oneof![
            5 => Just(Quality::Good),
            1 => (0..Quality::ALL.len()).prop_map(|i| Quality::ALL[i]),
        ]
    }

    pub(crate) fn any_row(
        points: u32,
        time: impl Strategy<Value = i64>,
    ) -> impl Strategy<Value = Row> {
        let offset = prop_oneof![3 => -5_000_000..5_000_000_i64, 1 => any::<i64>()];
        let arrival = any::<i64>();
        (
            0..points,
            any_value(),
            any_quality(),
            time,
            offset,
            arrival,
            any::<bool>(),
        )
            .prop_map(
                |(point, value, quality, time, offset_ns, arrival, near)| Row {
                    point: SeriesPoint(point),
                    value,
                    quality,
                    time: Timestamp(time),
                    offset_ns,
                    arrival: Timestamp(if near {
                        time.wrapping_add(arrival % 1_000_000)
                    } else {
                        arrival
                    }),
                },
            )
    }

    /// Rows with floats by their bits, so that NaN equals itself.
    pub(crate) fn bits(rows: &[Row]) -> Vec<(Row, u64)> {
        rows.iter()
            .map(|row| match row.value {
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
            })
            .collect()
    }

    fn check(rows: &[Row]) {
        for effort in [Effort::Fast, Effort::Small] {
            let blob = encode(rows, effort);
            let back = decode(&blob, None).expect("what was written reads back");
            assert_eq!(bits(&back), bits(rows));
            let one: Vec<Row> = rows
                .iter()
                .filter(|r| r.point == SeriesPoint(1))
                .cloned()
                .collect();
            let back = decode(&blob, Some(SeriesPoint(1))).expect("one point reads back");
            assert_eq!(bits(&back), bits(&one));
        }
    }

    proptest! {
        #[test]
        fn rows_come_back_bit_for_bit(rows in prop::collection::vec(
            any_row(3, prop_oneof![1_700_000_000..1_700_000_100_i64, any::<i64>()]), 0..120)) {
            check(&rows);
        }

        #[test]
        fn a_changed_byte_is_refused(
            rows in prop::collection::vec(any_row(3, any::<i64>()), 0..20),
            at in any::<prop::sample::Index>(),
            by in 1..=255_u8,
        ) {
            let mut blob = encode(&rows, Effort::Fast);
            let at = at.index(blob.len());
            blob[at] ^= by;
            prop_assert_eq!(decode(&blob, None), Err(Torn));
        }

        #[test]
        fn a_cut_blob_is_refused(
            rows in prop::collection::vec(any_row(3, any::<i64>()), 0..20),
            keep in any::<prop::sample::Index>(),
        ) {
            let blob = encode(&rows, Effort::Small);
            let keep = keep.index(blob.len());
            prop_assert_eq!(decode(&blob[..keep], None), Err(Torn));
        }

        /// Bytes that check but that no encoder wrote: an error, never a panic.
        #[test]
        fn nonsense_that_checks_is_no_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut blob = MAGIC.to_vec();
            blob.extend_from_slice(&checksum(&body));
            blob.extend_from_slice(&body);
            let _ = decode(&blob, None);
        }
    }
}
