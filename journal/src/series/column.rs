//! One column of numbers as bytes, exactly.
//!
//! Lives here: the codecs of a block's columns. May not live here: rows. Read first: the table.
//!
//! | codec | bytes |
//! |---|---|
//! | 0 constant | the number, where all are equal |
//! | 1 steps | zigzag varint of each wrapping difference to the one before |
//! | 2 raw | eight bytes each, little-endian |
//! | 3 pco | a `pco` standalone stream |
//! | 4 grid | the first number and the wrapping step, where all steps are equal |
//!
//! A column is `codec, length of its bytes (varint), bytes`; how many numbers there are, the
//! block knows. Runs are their own form: `number of runs, (byte, run length)…`.

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress};

/// How hard to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// At the speed of the disk: the spool.
    Fast,
    /// As small as it gets: a point's chunks.
    Small,
}

/// What pco needs to be worth its time: shorter columns are merged into longer ones anyway.
const PCO_FROM: usize = 128;

const CONSTANT: u8 = 0;
const STEPS: u8 = 1;
const RAW: u8 = 2;
const PCO: u8 = 3;
const GRID: u8 = 4;

/// The bytes are not what an encoder wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Torn;

/// Reads what the encoder wrote, from the front.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], Torn> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Torn)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Torn> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Torn> {
        let mut out = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            out |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(out);
            }
        }
        Err(Torn)
    }

    /// A length that must still be there, `unit` bytes (at least) for each.
    pub(crate) fn len(&mut self) -> Result<usize, Torn> {
        usize::try_from(self.varint()?).map_err(|_| Torn)
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63).cast_unsigned()
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

pub(crate) fn put_i64(out: &mut Vec<u8>, numbers: &[i64], effort: Effort) {
    if let Some(first) = all_equal(numbers) {
        return put_column(out, CONSTANT, &first.to_le_bytes());
    }
    if let Some((first, step)) = grid(numbers) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..].copy_from_slice(&step.to_le_bytes());
        return put_column(out, GRID, &bytes);
    }
    if effort == Effort::Small && numbers.len() >= PCO_FROM && put_pco(out, numbers) {
        return;
    }
    let mut bytes = Vec::with_capacity(numbers.len() * 2);
    let mut before = 0;
    for &n in numbers {
        put_varint(&mut bytes, zigzag(n.wrapping_sub(before)));
        before = n;
    }
    put_column(out, STEPS, &bytes);
}

pub(crate) fn take_i64(from: &mut Cursor<'_>, n: usize) -> Result<Vec<i64>, Torn> {
    let (codec, mut bytes) = take_column(from)?;
    match codec {
        CONSTANT => Ok(vec![i64::from_le_bytes(eight(&mut bytes)?); n]),
        STEPS => {
            let mut out = Vec::with_capacity(n.min(bytes.0.len()));
            let mut before = 0_i64;
            for _ in 0..n {
                before = before.wrapping_add(unzigzag(bytes.varint()?));
                out.push(before);
            }
            Ok(out)
        }
        GRID => {
            let mut at = i64::from_le_bytes(eight(&mut bytes)?);
            let step = i64::from_le_bytes(eight(&mut bytes)?);
            let mut next = || {
                let now = at;
                at = at.wrapping_add(step);
                now
            };
            Ok((0..n).map(|_| next()).collect())
        }
        PCO => take_pco(bytes.0, n),
        _ => Err(Torn),
    }
}

pub(crate) fn put_u64(out: &mut Vec<u8>, numbers: &[u64], effort: Effort) {
    if let Some(first) = all_equal(numbers) {
        return put_column(out, CONSTANT, &first.to_le_bytes());
    }
    if effort == Effort::Small && numbers.len() >= PCO_FROM && put_pco(out, numbers) {
        return;
    }
    put_raw(out, numbers.iter().map(|n| n.to_le_bytes()));
}

pub(crate) fn take_u64(from: &mut Cursor<'_>, n: usize) -> Result<Vec<u64>, Torn> {
    let (codec, mut bytes) = take_column(from)?;
    match codec {
        CONSTANT => Ok(vec![u64::from_le_bytes(eight(&mut bytes)?); n]),
        RAW => take_raw(&mut bytes, n, u64::from_le_bytes),
        PCO => take_pco(bytes.0, n),
        _ => Err(Torn),
    }
}

/// Floats by their bits: NaN payloads and the sign of zero survive.
pub(crate) fn put_f64(out: &mut Vec<u8>, numbers: &[f64], effort: Effort) {
    if let Some(first) = numbers.first()
        && numbers.iter().all(|n| n.to_bits() == first.to_bits())
    {
        return put_column(out, CONSTANT, &first.to_le_bytes());
    }
    if effort == Effort::Small && numbers.len() >= PCO_FROM && put_pco(out, numbers) {
        return;
    }
    put_raw(out, numbers.iter().map(|n| n.to_le_bytes()));
}

pub(crate) fn take_f64(from: &mut Cursor<'_>, n: usize) -> Result<Vec<f64>, Torn> {
    let (codec, mut bytes) = take_column(from)?;
    match codec {
        CONSTANT => Ok(vec![f64::from_le_bytes(eight(&mut bytes)?); n]),
        RAW => take_raw(&mut bytes, n, f64::from_le_bytes),
        PCO => take_pco(bytes.0, n),
        _ => Err(Torn),
    }
}

/// Bytes that seldom change.
pub(crate) fn put_runs(out: &mut Vec<u8>, bytes: &[u8]) {
    let runs = || bytes.chunk_by(|a, b| a == b);
    put_varint(out, runs().count() as u64);
    for run in runs() {
        out.push(run[0]);
        put_varint(out, run.len() as u64);
    }
}

pub(crate) fn take_runs(from: &mut Cursor<'_>, n: usize) -> Result<Vec<u8>, Torn> {
    let mut out = Vec::new();
    for _ in 0..from.len()? {
        let byte = from.byte()?;
        let len = from.len()?;
        if len > n - out.len() {
            return Err(Torn);
        }
        out.resize(out.len() + len, byte);
    }
    if out.len() == n { Ok(out) } else { Err(Torn) }
}

fn all_equal<T: PartialEq + Copy>(numbers: &[T]) -> Option<T> {
    let first = *numbers.first()?;
    numbers.iter().all(|n| *n == first).then_some(first)
}

/// Points of a scan, and the times of a point that is read on its grid.
fn grid(numbers: &[i64]) -> Option<(i64, i64)> {
    let [first, second, ..] = numbers else {
        return None;
    };
    let step = second.wrapping_sub(*first);
    let even = numbers.windows(2).all(|w| w[1].wrapping_sub(w[0]) == step);
    even.then_some((*first, step))
}

fn put_column(out: &mut Vec<u8>, codec: u8, bytes: &[u8]) {
    out.push(codec);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take_column<'a>(from: &mut Cursor<'a>) -> Result<(u8, Cursor<'a>), Torn> {
    let codec = from.byte()?;
    let len = from.len()?;
    Ok((codec, Cursor(from.take(len)?)))
}

fn put_raw(out: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = [u8; 8]>) {
    out.push(RAW);
    put_varint(out, numbers.len() as u64 * 8);
    for bytes in numbers {
        out.extend_from_slice(&bytes);
    }
}

fn take_raw<T>(
    bytes: &mut Cursor<'_>,
    n: usize,
    make: impl Fn([u8; 8]) -> T,
) -> Result<Vec<T>, Torn> {
    let all = bytes.take(n.checked_mul(8).ok_or(Torn)?)?;
    let (numbers, _) = all.as_chunks::<8>();
    Ok(numbers.iter().map(|b| make(*b)).collect())
}

fn eight(bytes: &mut Cursor<'_>) -> Result<[u8; 8], Torn> {
    bytes.take(8)?.try_into().map_err(|_| Torn)
}

/// False where pco will not have the numbers, or does not make them smaller.
fn put_pco<T: pco::data_types::Number>(out: &mut Vec<u8>, numbers: &[T]) -> bool {
    match simple_compress(numbers, &ChunkConfig::default()) {
        Ok(bytes) if bytes.len() < numbers.len() * 8 => {
            put_column(out, PCO, &bytes);
            true
        }
        _ => false,
    }
}

fn take_pco<T: pco::data_types::Number>(bytes: &[u8], n: usize) -> Result<Vec<T>, Torn> {
    let out = simple_decompress::<T>(bytes).map_err(|_| Torn)?;
    if out.len() == n { Ok(out) } else { Err(Torn) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<T: Clone, B: PartialEq + std::fmt::Debug>(
        numbers: &[T],
        put: impl Fn(&mut Vec<u8>, &[T], Effort),
        take: impl Fn(&mut Cursor<'_>, usize) -> Result<Vec<T>, Torn>,
        bits: impl Fn(&T) -> B,
    ) {
        for effort in [Effort::Fast, Effort::Small] {
            let mut bytes = Vec::new();
            put(&mut bytes, numbers, effort);
            let mut cursor = Cursor(&bytes);
            if numbers.is_empty() {
                continue;
            }
            let back = take(&mut cursor, numbers.len()).expect("what was written reads back");
            assert!(cursor.0.is_empty());
            let a: Vec<B> = numbers.iter().map(&bits).collect();
            let b: Vec<B> = back.iter().map(&bits).collect();
            assert_eq!(a, b);
        }
    }

    proptest! {
        #[test]
        fn integers_come_back(v in prop::collection::vec(any::<i64>(), 0..200)) {
            check(&v, put_i64, take_i64, |n| *n);
        }

        #[test]
        fn grids_come_back(first in any::<i64>(), step in any::<i64>(), n in 0..300_usize) {
            let v: Vec<i64> = (0..n as i64).map(|i| first.wrapping_add(step.wrapping_mul(i))).collect();
            check(&v, put_i64, take_i64, |n| *n);
            let mut bytes = Vec::new();
            put_i64(&mut bytes, &v, Effort::Fast);
            prop_assert!(bytes.len() <= 18, "{} bytes", bytes.len());
        }

        #[test]
        fn unsigned_come_back(v in prop::collection::vec(any::<u64>(), 0..200)) {
            check(&v, put_u64, take_u64, |n| *n);
        }

        #[test]
        fn floats_come_back_bit_for_bit(v in prop::collection::vec(any::<u64>(), 0..200)) {
            let v: Vec<f64> = v.into_iter().map(f64::from_bits).collect();
            check(&v, put_f64, take_f64, |n| n.to_bits());
        }

        #[test]
        fn readings_come_back_bit_for_bit(v in prop::collection::vec(
            prop_oneof![
                (0..4096_i32).prop_map(|raw| f64::from(raw) * 0.025),
                Just(f64::NAN), Just(-0.0), Just(0.0), Just(f64::INFINITY),
                Just(f64::from_bits(0x7ff8_0000_0000_0abc)),
                Just(f64::from_bits(0xfff0_0000_0000_0001)),
            ], 0..400)) {
            check(&v, put_f64, take_f64, |n| n.to_bits());
        }

        #[test]
        fn runs_come_back(v in prop::collection::vec(0..3_u8, 0..100)) {
            let mut bytes = Vec::new();
            put_runs(&mut bytes, &v);
            prop_assert_eq!(take_runs(&mut Cursor(&bytes), v.len()), Ok(v));
        }
    }
}
