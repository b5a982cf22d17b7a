//! Engineering values to registers, written for the simulator alone: a peer that shared the
//! gateway's codec would share its mistakes.
//!
//! May not live here: sockets, anything that decodes. Read first: [`raw_of`], then [`registers`].

use std::sync::Arc;

use davy_points::{ByteOrder, ModbusType, PointDef, Signal};

/// What a transmitter or a program puts into registers, before scaling is undone by the reader.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A whole number.
    Int(i128),
    /// A floating number.
    Float(f64),
    /// Characters.
    Text(Arc<str>),
}

/// NAMUR NE43: the signal goes on to 3.8 mA and 20.5 mA, and says failure at 3.5 mA.
const SATURATED_LOW: f64 = (3.8 - 4.0) / 16.0;
const SATURATED_HIGH: f64 = (20.5 - 4.0) / 16.0;
const BURNOUT: f64 = (3.5 - 4.0) / 16.0;

/// The raw value of an engineering value, by the point's scaling. NaN means that the instrument
/// has failed: 3.5 mA on a 4–20 mA loop, else the point's sentinel, else NaN or all ones.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // clamped to the type afterwards
pub fn raw_of(def: &PointDef, kind: ModbusType, value: f64) -> Raw {
    let scaling = &def.scaling;
    let number = if value.is_nan() {
        match (scaling.signal, scaling.raw) {
            (Signal::Ma4To20, Some((low, high))) => low + BURNOUT * (high - low),
            _ => def.sentinels.first().copied().unwrap_or(f64::NAN),
        }
    } else if let Some((raw_low, raw_high)) = scaling.raw {
        let low = def.low.unwrap_or(0.0);
        let high = def.high.unwrap_or(low + 1.0);
        let mut share = (value - low) / (high - low);
        if scaling.signal == Signal::Ma4To20 {
            share = share.clamp(SATURATED_LOW, SATURATED_HIGH);
        }
        raw_low + share * (raw_high - raw_low)
    } else {
        (value - scaling.offset) / scaling.scale
    };
    match kind {
        ModbusType::F32 | ModbusType::F64 => Raw::Float(number),
        ModbusType::Text(_) => Raw::Text(format!("{number}").into()),
        _ if number.is_nan() => Raw::Int(i128::from(u64::MAX)),
        _ => Raw::Int(number.round() as i128),
    }
}

/// Lays a raw value into registers, in the point's type and byte order. A number beyond the type
/// stands at the type's end, as a device's own converter would leave it. `Bool` and `Bit` are not
/// whole registers and yield 0 or 1; the image puts the bit in its place.
///
/// `into` must be as wide as the type; what is missing or over is left alone.
pub fn registers(kind: ModbusType, order: ByteOrder, raw: &Raw, into: &mut [u16]) {
    let mut bytes = [0_u8; 8];
    let width = usize::from(kind.width());
    match kind {
        ModbusType::Bool | ModbusType::Bit(_) => {
            if let Some(first) = into.first_mut() {
                *first = u16::from(truth(raw));
            }
            return;
        }
        ModbusType::Text(_) => {
            text(order, raw, into);
            return;
        }
        ModbusType::U16 => put(&mut bytes, &(clamped(raw, 0, 0xffff) as u16).to_be_bytes()),
        ModbusType::I16 => put(
            &mut bytes,
            &(clamped(raw, -0x8000, 0x7fff) as i16).to_be_bytes(),
        ),
        ModbusType::U32 => put(
            &mut bytes,
            &(clamped(raw, 0, i128::from(u32::MAX)) as u32).to_be_bytes(),
        ),
        ModbusType::I32 => put(
            &mut bytes,
            &(clamped(raw, i128::from(i32::MIN), i128::from(i32::MAX)) as i32).to_be_bytes(),
        ),
        ModbusType::U64 => put(
            &mut bytes,
            &(clamped(raw, 0, i128::from(u64::MAX)) as u64).to_be_bytes(),
        ),
        ModbusType::I64 => put(
            &mut bytes,
            &(clamped(raw, i128::from(i64::MIN), i128::from(i64::MAX)) as i64).to_be_bytes(),
        ),
        ModbusType::F32 => put(&mut bytes, &(float(raw) as f32).to_be_bytes()),
        ModbusType::F64 => put(&mut bytes, &float(raw).to_be_bytes()),
        ModbusType::Bcd16 => put(&mut bytes, &(bcd(raw, 4) as u16).to_be_bytes()),
        ModbusType::Bcd32 => put(&mut bytes, &(bcd(raw, 8) as u32).to_be_bytes()),
    }
    // the order speaks of values that span registers; a single one is as Modbus sends it
    let order = if width == 1 { ByteOrder::Abcd } else { order };
    place(order, &bytes[..width * 2], into);
}

/// Puts big-endian bytes into registers in the given order.
fn place(order: ByteOrder, bytes: &[u8], into: &mut [u16]) {
    let width = bytes.len() / 2;
    for (i, pair) in bytes.chunks_exact(2).enumerate() {
        let (reversed, swapped) = match order {
            ByteOrder::Abcd => (false, false),
            ByteOrder::Cdab => (true, false),
            ByteOrder::Badc => (false, true),
            ByteOrder::Dcba => (true, true),
        };
        let word = if swapped {
            u16::from_le_bytes([pair[0], pair[1]])
        } else {
            u16::from_be_bytes([pair[0], pair[1]])
        };
        let at = if reversed { width - 1 - i } else { i };
        if let Some(register) = into.get_mut(at) {
            *register = word;
        }
    }
}

fn put(bytes: &mut [u8; 8], from: &[u8]) {
    bytes[..from.len()].copy_from_slice(from);
}

fn truth(raw: &Raw) -> bool {
    match raw {
        Raw::Int(n) => *n != 0,
        Raw::Float(f) => *f >= 0.5,
        Raw::Text(t) => !t.is_empty(),
    }
}

#[allow(clippy::cast_possible_truncation)] // `as` from f64 saturates
fn clamped(raw: &Raw, low: i128, high: i128) -> i128 {
    match raw {
        Raw::Int(n) => *n,
        Raw::Float(f) => f.round() as i128,
        Raw::Text(_) => 0,
    }
    .clamp(low, high)
}

#[allow(clippy::cast_precision_loss)] // a float register holds what it can
fn float(raw: &Raw) -> f64 {
    match raw {
        Raw::Int(n) => *n as f64,
        Raw::Float(f) => *f,
        Raw::Text(_) => f64::NAN,
    }
}

fn bcd(raw: &Raw, digits: u32) -> u64 {
    let mut rest = clamped(raw, 0, 10_i128.pow(digits) - 1);
    let mut out = 0_u64;
    for place in 0..digits {
        out |= ((rest % 10) as u64) << (4 * place);
        rest /= 10;
    }
    out
}

/// Two characters a register, the first in the high byte; the rest is NUL.
fn text(order: ByteOrder, raw: &Raw, into: &mut [u16]) {
    let Raw::Text(text) = raw else { return };
    let mut bytes = text.bytes();
    let swapped = matches!(order, ByteOrder::Badc | ByteOrder::Dcba);
    for register in into {
        let pair = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
        *register = if swapped {
            u16::from_le_bytes(pair)
        } else {
            u16::from_be_bytes(pair)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests_support::holding;
    use davy_points::Scaling;

    fn check(kind: ModbusType, order: ByteOrder, raw: &Raw, expected: &[u16]) {
        let mut got = vec![0xdead; usize::from(kind.width())];
        registers(kind, order, raw, &mut got);
        assert_eq!(got, expected, "{kind:?} {order:?} {raw:?}");
    }

    /// Vectors written out by hand, from the definitions of the formats: none comes from our code.
    #[test]
    fn known_vectors() {
        use ByteOrder::{Abcd, Badc, Cdab, Dcba};
        use ModbusType::*;
        let int = Raw::Int;
        check(U16, Abcd, &int(0x1234), &[0x1234]);
        check(U16, Cdab, &int(0x1234), &[0x1234]);
        check(U16, Badc, &int(0x1234), &[0x1234]);
        check(U16, Abcd, &int(70_000), &[0xffff]);
        check(U16, Abcd, &int(-1), &[0]);
        check(I16, Abcd, &int(-2), &[0xfffe]);
        check(I16, Abcd, &int(-40_000), &[0x8000]);
        check(U32, Abcd, &int(0x0102_0304), &[0x0102, 0x0304]);
        check(U32, Cdab, &int(0x0102_0304), &[0x0304, 0x0102]);
        check(U32, Badc, &int(0x0102_0304), &[0x0201, 0x0403]);
        check(U32, Dcba, &int(0x0102_0304), &[0x0403, 0x0201]);
        check(I32, Abcd, &int(-1), &[0xffff, 0xffff]);
        check(
            U64,
            Abcd,
            &int(0x0102_0304_0506_0708),
            &[0x0102, 0x0304, 0x0506, 0x0708],
        );
        check(
            U64,
            Cdab,
            &int(0x0102_0304_0506_0708),
            &[0x0708, 0x0506, 0x0304, 0x0102],
        );
        check(
            I64,
            Dcba,
            &int(0x0102_0304_0506_0708),
            &[0x0807, 0x0605, 0x0403, 0x0201],
        );
        // IEEE 754: 1.0 = 3f800000, 123.456 = 42f6e979, -0.15625 = be200000
        check(F32, Abcd, &Raw::Float(1.0), &[0x3f80, 0]);
        check(F32, Cdab, &Raw::Float(123.456), &[0xe979, 0x42f6]);
        check(F32, Badc, &Raw::Float(123.456), &[0xf642, 0x79e9]);
        check(F32, Dcba, &Raw::Float(-0.15625), &[0, 0x20be]);
        // 64-bit pi = 400921fb54442d18
        let pi = Raw::Float(std::f64::consts::PI);
        check(F64, Abcd, &pi, &[0x4009, 0x21fb, 0x5444, 0x2d18]);
        check(F64, Cdab, &pi, &[0x2d18, 0x5444, 0x21fb, 0x4009]);
        check(Bcd16, Abcd, &int(1234), &[0x1234]);
        check(Bcd16, Abcd, &int(12_345), &[0x9999]);
        check(Bcd32, Abcd, &int(12_345_678), &[0x1234, 0x5678]);
        check(Bcd32, Cdab, &int(12_345_678), &[0x5678, 0x1234]);
        check(Text(2), Abcd, &Raw::Text("P1A".into()), &[0x5031, 0x4100]);
        check(Text(2), Badc, &Raw::Text("P1A".into()), &[0x3150, 0x0041]);
    }

    fn raw(scaling: Scaling, value: f64) -> Raw {
        let mut def = holding("X", 0, ModbusType::U16);
        def.low = Some(0.0);
        def.high = Some(10.0);
        def.scaling = scaling;
        raw_of(&def, ModbusType::U16, value)
    }

    #[test]
    fn a_current_loop_saturates_and_breaks_as_ne43_says() {
        let loop_4000 = Scaling {
            raw: Some((4000.0, 20_000.0)),
            signal: Signal::Ma4To20,
            ..Scaling::default()
        };
        for (value, counts) in [
            (0.0, 4000),
            (10.0, 20_000),
            (2.5, 8000),
            (99.0, 20_500),
            (-99.0, 3800),
            (f64::NAN, 3500),
        ] {
            assert_eq!(raw(loop_4000, value), Raw::Int(counts), "{value}");
        }
    }

    #[test]
    fn scale_offset_and_two_points_are_undone() {
        let linear = Scaling {
            scale: 0.01,
            offset: -2.0,
            ..Scaling::default()
        };
        assert_eq!(raw(linear, 1.25), Raw::Int(325));
        let siemens = Scaling {
            raw: Some((0.0, 27_648.0)),
            ..Scaling::default()
        };
        assert_eq!(raw(siemens, 5.0), Raw::Int(13_824));
        assert_eq!(raw(siemens, 12.0), Raw::Int(33_178));
    }
}
