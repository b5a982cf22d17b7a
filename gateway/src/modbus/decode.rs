//! Registers to raw values: every type in every byte order.
//!
//! Lives here: bytes and their order. May not live here: scaling and quality (`qualify`).
//! Read first: [`decode`].

use std::sync::Arc;

use davy_points::{ByteOrder, ModbusType, Timestamp};

use super::Words;

/// What the registers say, before scaling.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// Coil, discrete input or bit of a register.
    Bool(bool),
    /// A signed integer of so many bits.
    Signed(i64, u8),
    /// An unsigned integer of so many bits.
    Unsigned(u64, u8),
    /// Single precision; the bits stay at hand for sentinels.
    F32(f32),
    /// Double precision.
    F64(f64),
    /// Text up to the first NUL, without blanks at its end.
    Text(Arc<str>),
}

/// The bytes are no value of that type: a BCD nibble above 9, text that is not UTF-8, or a type
/// that does not fit the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable;

/// Reads the value of type `kind` that begins at `at`.
///
/// BADC and DCBA swap the two bytes of a single register too. Text keeps the order of its
/// registers and swaps the two bytes in each. Bits are counted in the register as Modbus sends it.
///
/// # Errors
/// The bytes are no such value, or lie beyond the words.
#[inline]
pub fn decode(
    kind: ModbusType,
    order: ByteOrder,
    words: &Words,
    at: usize,
) -> Result<Raw, Undecodable> {
    match words {
        Words::Bits(bits) => match kind {
            ModbusType::Bool => bits.get(at).map(|b| Raw::Bool(*b)).ok_or(Undecodable),
            _ => Err(Undecodable),
        },
        Words::Registers(registers) => {
            let span = registers
                .get(at..at + usize::from(kind.width()))
                .ok_or(Undecodable)?;
            registers_to_raw(kind, order, span)
        }
    }
}

fn registers_to_raw(kind: ModbusType, order: ByteOrder, r: &[u16]) -> Result<Raw, Undecodable> {
    Ok(match kind {
        ModbusType::Bool => return Err(Undecodable),
        ModbusType::U16 => Raw::Unsigned(u64::from(one(order, r)), 16),
        ModbusType::I16 => Raw::Signed(i64::from(one(order, r).cast_signed()), 16),
        ModbusType::U32 => Raw::Unsigned(u64::from(two(order, r)), 32),
        ModbusType::I32 => Raw::Signed(i64::from(two(order, r).cast_signed()), 32),
        ModbusType::U64 => Raw::Unsigned(four(order, r), 64),
        ModbusType::I64 => Raw::Signed(four(order, r).cast_signed(), 64),
        ModbusType::F32 => Raw::F32(f32::from_bits(two(order, r))),
        ModbusType::F64 => Raw::F64(f64::from_bits(four(order, r))),
        ModbusType::Bcd16 => Raw::Unsigned(bcd(u32::from(one(order, r)), 4)?, 16),
        ModbusType::Bcd32 => Raw::Unsigned(bcd(two(order, r), 8)?, 32),
        ModbusType::Bit(n) if n < 16 => Raw::Bool(r[0] >> n & 1 == 1),
        ModbusType::Bit(_) => return Err(Undecodable),
        ModbusType::Text(_) => Raw::Text(text(order, r)?),
    })
}

/// One register, most significant byte first.
fn one(order: ByteOrder, r: &[u16]) -> u16 {
    match order {
        ByteOrder::Abcd | ByteOrder::Cdab => r[0],
        ByteOrder::Badc | ByteOrder::Dcba => r[0].swap_bytes(),
    }
}

/// Two registers, most significant byte first.
fn two(order: ByteOrder, r: &[u16]) -> u32 {
    let (high, low) = match order {
        ByteOrder::Abcd => (r[0], r[1]),
        ByteOrder::Cdab => (r[1], r[0]),
        ByteOrder::Badc => (r[0].swap_bytes(), r[1].swap_bytes()),
        ByteOrder::Dcba => (r[1].swap_bytes(), r[0].swap_bytes()),
    };
    u32::from(high) << 16 | u32::from(low)
}

/// A time register: UTC nanoseconds as i64. None: these are not four registers.
#[must_use]
pub fn time(order: ByteOrder, registers: &[u16]) -> Option<Timestamp> {
    (registers.len() == 4).then(|| Timestamp(four(order, registers).cast_signed()))
}

/// Four registers, most significant byte first.
fn four(order: ByteOrder, r: &[u16]) -> u64 {
    let (high, low) = match order {
        ByteOrder::Abcd | ByteOrder::Badc => (&r[..2], &r[2..4]),
        ByteOrder::Cdab | ByteOrder::Dcba => (&r[2..4], &r[..2]),
    };
    u64::from(two(order, high)) << 32 | u64::from(two(order, low))
}

fn bcd(bits: u32, digits: u32) -> Result<u64, Undecodable> {
    let mut value = 0;
    for digit in (0..digits).rev() {
        let nibble = bits >> (4 * digit) & 0xF;
        if nibble > 9 {
            return Err(Undecodable);
        }
        value = value * 10 + u64::from(nibble);
    }
    Ok(value)
}

fn text(order: ByteOrder, r: &[u16]) -> Result<Arc<str>, Undecodable> {
    let swap = matches!(order, ByteOrder::Badc | ByteOrder::Dcba);
    let mut bytes = Vec::with_capacity(r.len() * 2);
    for register in r {
        let register = if swap {
            register.swap_bytes()
        } else {
            *register
        };
        bytes.extend_from_slice(&register.to_be_bytes());
    }
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| Undecodable)?;
    Ok(text.trim_end().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORDERS: [ByteOrder; 4] = [
        ByteOrder::Abcd,
        ByteOrder::Cdab,
        ByteOrder::Badc,
        ByteOrder::Dcba,
    ];

    /// The other way round, written from the letters: `bytes` stand most significant first.
    fn encode(order: ByteOrder, bytes: &[u8]) -> Words {
        let mut registers: Vec<[u8; 2]> = bytes.chunks(2).map(|c| [c[0], c[1]]).collect();
        match order {
            ByteOrder::Abcd => {}
            ByteOrder::Cdab => registers.reverse(),
            ByteOrder::Badc => registers.iter_mut().for_each(|r| r.reverse()),
            ByteOrder::Dcba => {
                registers.reverse();
                registers.iter_mut().for_each(|r| r.reverse());
            }
        }
        let mut words = vec![0xDEAD]; // something before it: `at` must count
        words.extend(registers.iter().map(|r| u16::from_be_bytes(*r)));
        words.push(0xBEEF);
        Words::Registers(words)
    }

    #[allow(clippy::needless_pass_by_value)] // an expectation is used up
    fn check(kind: ModbusType, bytes: &[u8], expected: Result<Raw, Undecodable>) {
        for order in ORDERS {
            let got = decode(kind, order, &encode(order, bytes), 1);
            assert_eq!(got, expected, "{kind:?} {order:?}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back_in_every_order(v: u64) {
            let (w, d) = ((v >> 48) as u16, (v >> 32) as u32);
            check(ModbusType::U16, &w.to_be_bytes(), Ok(Raw::Unsigned(w.into(), 16)));
            check(ModbusType::I16, &w.to_be_bytes(), Ok(Raw::Signed((w as i16).into(), 16)));
            check(ModbusType::U32, &d.to_be_bytes(), Ok(Raw::Unsigned(d.into(), 32)));
            check(ModbusType::I32, &d.to_be_bytes(), Ok(Raw::Signed((d as i32).into(), 32)));
            check(ModbusType::U64, &v.to_be_bytes(), Ok(Raw::Unsigned(v, 64)));
            check(ModbusType::I64, &v.to_be_bytes(), Ok(Raw::Signed(v as i64, 64)));
            for order in ORDERS {
                // bit for bit, NaN payloads too
                let Ok(Raw::F64(f)) = decode(ModbusType::F64, order, &encode(order, &v.to_be_bytes()), 1)
                    else { panic!("an f64") };
                prop_assert_eq!(f.to_bits(), v);
                let Ok(Raw::F32(f)) = decode(ModbusType::F32, order, &encode(order, &d.to_be_bytes()), 1)
                    else { panic!("an f32") };
                prop_assert_eq!(f.to_bits(), d);
            }
            for n in 0..16 {
                let got = decode(ModbusType::Bit(n), ByteOrder::Dcba, &Words::Registers(vec![w]), 0);
                prop_assert_eq!(got, Ok(Raw::Bool(w & (1 << n) != 0)));
            }
        }

        #[test]
        fn bcd_comes_back_or_is_refused(bits: u32) {
            let expected = format!("{bits:x}").parse::<u64>().map_err(|_| Undecodable);
            check(ModbusType::Bcd32, &bits.to_be_bytes(), expected.map(|v| Raw::Unsigned(v, 32)));
            let half = (bits >> 16) as u16;
            let expected = format!("{half:x}").parse::<u64>().map_err(|_| Undecodable);
            check(ModbusType::Bcd16, &half.to_be_bytes(), expected.map(|v| Raw::Unsigned(v, 16)));
        }

        #[test]
        fn nothing_panics_wherever_it_points(at in 0usize..80, n: u8, words: Vec<u16>) {
            for kind in [ModbusType::U16, ModbusType::F64, ModbusType::Bit(n), ModbusType::Text(n)] {
                let _ = decode(kind, ByteOrder::Dcba, &Words::Registers(words.clone()), at);
                let _ = decode(kind, ByteOrder::Dcba, &Words::Bits(vec![true; 3]), at);
            }
        }
    }

    #[test]
    fn an_8_byte_value_by_its_letters() {
        // ABCDEFGH in the four orders, as devices document them
        for (order, registers) in [
            (ByteOrder::Abcd, [0x4142, 0x4344, 0x4546, 0x4748]),
            (ByteOrder::Cdab, [0x4748, 0x4546, 0x4344, 0x4142]),
            (ByteOrder::Badc, [0x4241, 0x4443, 0x4645, 0x4847]),
            (ByteOrder::Dcba, [0x4847, 0x4645, 0x4443, 0x4241]),
        ] {
            assert_eq!(four(order, &registers), 0x4142_4344_4546_4748, "{order:?}");
        }
    }

    #[test]
    fn text_ends_at_nul_and_must_be_utf8() {
        let words = |b: &[u8]| {
            Words::Registers(
                b.chunks(2)
                    .map(|c| u16::from_be_bytes([c[0], c[1]]))
                    .collect(),
            )
        };
        let get = |b: &[u8], o| decode(ModbusType::Text(3), o, &words(b), 0);
        assert_eq!(
            get(b"V1.2\0x", ByteOrder::Abcd),
            Ok(Raw::Text("V1.2".into()))
        );
        assert_eq!(
            get(b"V1.2  ", ByteOrder::Cdab),
            Ok(Raw::Text("V1.2".into()))
        );
        assert_eq!(
            get(b"1V2.  ", ByteOrder::Badc),
            Ok(Raw::Text("V1.2".into()))
        );
        assert_eq!(
            get("罐区".as_bytes(), ByteOrder::Abcd),
            Ok(Raw::Text("罐区".into()))
        );
        assert_eq!(
            get(&[0xFF, 0xFE, 1, 1, 1, 1], ByteOrder::Abcd),
            Err(Undecodable)
        );
    }

    #[test]
    fn a_coil_is_a_bool_and_nothing_else() {
        let bits = Words::Bits(vec![false, true]);
        assert_eq!(
            decode(ModbusType::Bool, ByteOrder::Abcd, &bits, 1),
            Ok(Raw::Bool(true))
        );
        assert_eq!(
            decode(ModbusType::U16, ByteOrder::Abcd, &bits, 1),
            Err(Undecodable)
        );
        assert_eq!(
            decode(ModbusType::Bool, ByteOrder::Abcd, &bits, 2),
            Err(Undecodable)
        );
    }
}
