//! Range, raw counts and sentinels of a row: how a raw number becomes an engineering value.

use davy_points::{ModbusType, Scaling, Signal};

use crate::cell;
use crate::faults::Faults;
use crate::headers::Column as C;
use crate::row::RowReader;

/// Low and high end of the range.
pub(crate) fn range(faults: &mut Faults, r: &RowReader<'_>) -> (Option<f64>, Option<f64>) {
    let low = r.number(faults, C::Low);
    let high = r.number(faults, C::High);
    if let (Some(low), Some(high)) = (low, high)
        && low >= high
    {
        r.error(
            faults,
            "E213",
            C::High,
            &format!("the range ends at {high} and begins at {low}"),
            "low < high: correct the range",
        );
        return (None, None);
    }
    (low, high)
}

pub(crate) fn scaling(
    faults: &mut Faults,
    r: &RowReader<'_>,
    kind: Option<ModbusType>,
    range: (Option<f64>, Option<f64>),
) -> Scaling {
    let numeric = !matches!(
        kind,
        Some(ModbusType::Bool | ModbusType::Bit(_) | ModbusType::Text(_))
    );
    let columns = [C::Scale, C::Offset, C::RawLow, C::RawHigh, C::Signal];
    if !numeric {
        for c in columns.into_iter().filter(|c| r.has(*c)) {
            // 信号类型 DI says nothing about scaling.
            if c == C::Signal
                && cell::signal(&r.plain(c).unwrap_or_default()) == Some(Signal::Number)
            {
                continue;
            }
            r.error(
                faults,
                "E215",
                c,
                "a bit or a text is not scaled",
                "leave the cell empty, or correct the type",
            );
        }
        return Scaling::default();
    }
    let scale = r.number(faults, C::Scale);
    let offset = r.number(faults, C::Offset);
    if scale == Some(0.0) {
        r.error(
            faults,
            "E225",
            C::Scale,
            "a factor of 0 makes every value the same",
            "write the factor, or leave the cell empty for 1",
        );
    }
    let signal = r
        .word(faults, C::Signal, cell::signal, &["4-20mA", "number"])
        .flatten()
        .unwrap_or_default();
    let raw = raw(faults, r, range);
    if r.has(C::RawLow) && (r.has(C::Scale) || r.has(C::Offset)) {
        r.error(
            faults,
            "E214",
            C::RawLow,
            "raw counts and `scale`/`offset` are both given",
            "give raw_low and raw_high, or scale and offset, not both",
        );
    }
    if signal == Signal::Ma4To20 && !r.has(C::RawLow) && !r.has(C::RawHigh) {
        r.error(
            faults,
            "E214",
            C::Signal,
            "a 4–20 mA signal needs the raw counts at 4 mA and at 20 mA",
            "write raw_low and raw_high, for example 4000 and 20000",
        );
    }
    Scaling {
        scale: scale.unwrap_or(1.0),
        offset: offset.unwrap_or(0.0),
        raw,
        signal,
    }
}

fn raw(
    faults: &mut Faults,
    r: &RowReader<'_>,
    (low, high): (Option<f64>, Option<f64>),
) -> Option<(f64, f64)> {
    let raw_low = r.number(faults, C::RawLow);
    let raw_high = r.number(faults, C::RawHigh);
    match (r.has(C::RawLow), r.has(C::RawHigh)) {
        (false, false) => return None,
        (true, true) => {}
        (given, _) => {
            let missing = if given { C::RawHigh } else { C::RawLow };
            r.error(
                faults,
                "E214",
                missing,
                "one of raw_low and raw_high is missing",
                "give both, for example 4000 and 20000, or neither",
            );
            return None;
        }
    }
    if !r.has(C::Low) || !r.has(C::High) {
        r.error(
            faults,
            "E214",
            C::RawLow,
            "raw counts need the range that they stand for",
            "write low and high (量程) as well",
        );
        return None;
    }
    let (raw_low, raw_high) = (raw_low?, raw_high?);
    if raw_low == raw_high {
        r.error(
            faults,
            "E214",
            C::RawHigh,
            &format!("raw_low and raw_high are both {raw_low}"),
            "write the counts at both ends of the range",
        );
        return None;
    }
    (low.is_some() && high.is_some()).then_some((raw_low, raw_high))
}

/// Raw values that mean "no value", separated by spaces, `;` or `|`.
pub(crate) fn sentinels(
    faults: &mut Faults,
    r: &RowReader<'_>,
    kind: Option<ModbusType>,
) -> Vec<f64> {
    let Some(text) = r.plain(C::Sentinel) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for word in text.split([' ', ';', '|', '、']).filter(|w| !w.is_empty()) {
        let Some(v) = sentinel(word, kind) else {
            r.error(
                faults,
                "E206",
                C::Sentinel,
                &format!("`{word}` is not a number"),
                "write raw values as numbers or `0x7FFF`, separated by spaces; NaN never needs one",
            );
            continue;
        };
        if let Some((least, most)) = kind.and_then(raw_range)
            && !(least..=most).contains(&v)
        {
            r.error(
                faults,
                "E225",
                C::Sentinel,
                &format!("`{word}` can never be read from this type"),
                format!("it holds {least} to {most}"),
            );
            continue;
        }
        out.push(v);
    }
    out
}

/// A raw value; `0x8000` means the bits, so it is -32768 in an i16.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // the bits are the meaning
fn sentinel(word: &str, kind: Option<ModbusType>) -> Option<f64> {
    if !(word.starts_with("0x") || word.starts_with("0X")) {
        return cell::number(word).ok();
    }
    let bits = u32::try_from(cell::integer(word)?).ok()?;
    Some(match kind {
        Some(ModbusType::I16) if bits <= 0xffff => f64::from(bits as u16 as i16),
        Some(ModbusType::I32) => f64::from(bits as i32),
        Some(ModbusType::F32) => f64::from(f32::from_bits(bits)),
        _ => f64::from(bits),
    })
    .filter(|v| v.is_finite())
}

fn raw_range(kind: ModbusType) -> Option<(f64, f64)> {
    Some(match kind {
        ModbusType::U16 => (0.0, 65_535.0),
        ModbusType::I16 => (-32_768.0, 32_767.0),
        ModbusType::U32 => (0.0, f64::from(u32::MAX)),
        ModbusType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        ModbusType::Bcd16 => (0.0, 9_999.0),
        ModbusType::Bcd32 => (0.0, 99_999_999.0),
        ModbusType::Bool | ModbusType::Bit(_) => (0.0, 1.0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hexadecimal_sentinel_means_the_bits() {
        for (word, kind, expected) in [
            ("0x8000", Some(ModbusType::I16), Some(-32_768.0)),
            ("0x8000", Some(ModbusType::U16), Some(32_768.0)),
            ("0xFFFFFFFF", Some(ModbusType::I32), Some(-1.0)),
            ("0x7FC00000", Some(ModbusType::F32), None),
            ("-999", None, Some(-999.0)),
            ("x", None, None),
        ] {
            assert_eq!(sentinel(word, kind), expected, "{word}");
        }
    }
}
