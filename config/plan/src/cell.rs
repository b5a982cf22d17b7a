//! What is written in one cell: full-width digits, signs for "none", numbers, words, dates.
//!
//! Each reader gives the value, or in few words why there is none. May not live here: places.

use std::borrow::Cow;

use davy_points::{Life, ModbusTable, ModbusType, PollClass, Signal, StatusBits};

/// Full-width letters, digits and signs to the ones that machines read: `１２％` → `12%`.
pub(crate) fn halfwidth(text: &str) -> Cow<'_, str> {
    let wide = |c: char| {
        matches!(
            c,
            '\u{ff01}'..='\u{ff5e}' | '\u{3000}' | '\u{a0}' | '−' | '–'
        )
    };
    if !text.contains(wide) {
        return Cow::Borrowed(text);
    }
    text.chars()
        .map(|c| match c {
            '\u{ff01}'..='\u{ff5e}' => {
                // The block repeats ASCII at a fixed distance.
                char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c)
            }
            '\u{3000}' | '\u{a0}' => ' ',
            '−' | '–' => '-',
            c => c,
        })
        .collect()
}

/// Whether a cell says "none" in one of the ways that tables do.
pub(crate) fn is_none(text: &str) -> bool {
    matches!(
        text.trim(),
        "" | "/" | "／" | "—" | "——" | "–" | "-" | "--" | "－" | "无" | "N/A" | "n/a" | "NA"
    )
}

/// A finite number.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if v.is_finite() && text.starts_with(|c: char| "+-.0123456789".contains(c)) => Ok(v),
        _ => Err(format!("`{text}` is not a number")),
    }
}

/// An integer, decimal or `0x…`.
pub(crate) fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16).ok().map(i64::from),
        None => text.parse().ok(),
    }
}

/// A Modbus table by its word, its function code or its Chinese name.
pub(crate) fn table(text: &str) -> Option<ModbusTable> {
    let code = text.trim_start_matches("FC").trim_start_matches("fc");
    match code.trim_start_matches('0') {
        "1" => return Some(ModbusTable::Coil),
        "2" => return Some(ModbusTable::Discrete),
        "3" => return Some(ModbusTable::Holding),
        "4" => return Some(ModbusTable::Input),
        _ => {}
    }
    match text.to_ascii_lowercase().as_str() {
        "coil" | "线圈" => Some(ModbusTable::Coil),
        "discrete" | "离散输入" => Some(ModbusTable::Discrete),
        "input" | "输入寄存器" => Some(ModbusTable::Input),
        "holding" | "保持寄存器" => Some(ModbusTable::Holding),
        _ => None,
    }
}

/// The words of [`table`], for a remedy.
pub(crate) const TABLES: &[&str] = &["coil", "discrete", "input", "holding"];

/// As `table` reads it.
pub(crate) const fn table_name(table: ModbusTable) -> &'static str {
    match table {
        ModbusTable::Coil => "coil",
        ModbusTable::Discrete => "discrete",
        ModbusTable::Input => "input",
        ModbusTable::Holding => "holding",
    }
}

/// How registers make a value.
pub(crate) fn kind(text: &str) -> Option<ModbusType> {
    let text = text.to_ascii_lowercase();
    if let Some(n) = text.strip_prefix("bit.") {
        return n.parse().ok().filter(|n| *n < 16).map(ModbusType::Bit);
    }
    if let Some(n) = text.strip_prefix("text.") {
        // 125 registers are what one request can carry.
        let n = n.parse().ok().filter(|n| (1..=125).contains(n));
        return n.map(ModbusType::Text);
    }
    Some(match text.as_str() {
        "bool" | "bit" => ModbusType::Bool,
        "u16" | "uint16" => ModbusType::U16,
        "i16" | "int16" => ModbusType::I16,
        "u32" | "uint32" => ModbusType::U32,
        "i32" | "int32" => ModbusType::I32,
        "u64" | "uint64" => ModbusType::U64,
        "i64" | "int64" => ModbusType::I64,
        "f32" | "float32" | "float" => ModbusType::F32,
        "f64" | "float64" | "double" => ModbusType::F64,
        "bcd16" => ModbusType::Bcd16,
        "bcd32" => ModbusType::Bcd32,
        _ => return None,
    })
}

/// The words of [`kind`], for a remedy.
pub(crate) const KINDS: &[&str] = &[
    "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bcd16", "bcd32", "bool", "bit.0",
    "text.8",
];

/// Signal kind.
pub(crate) fn signal(text: &str) -> Option<Signal> {
    match text.to_ascii_lowercase().replace(' ', "").as_str() {
        "4-20ma" | "4~20ma" => Some(Signal::Ma4To20),
        "number" | "ai" | "di" => Some(Signal::Number),
        _ => None,
    }
}

/// Poll class.
pub(crate) fn poll(text: &str) -> Option<PollClass> {
    match text.to_ascii_lowercase().as_str() {
        "fast" | "快" => Some(PollClass::Fast),
        "normal" | "普通" => Some(PollClass::Normal),
        "slow" | "慢" => Some(PollClass::Slow),
        _ => None,
    }
}

/// Life of a point.
pub(crate) fn life(text: &str) -> Option<Life> {
    match text.to_ascii_lowercase().as_str() {
        "planned" | "计划" => Some(Life::Planned),
        "commissioning" | "调试" => Some(Life::Commissioning),
        "in_service" | "投用" => Some(Life::InService),
        _ => None,
    }
}

/// `ADDRESS fault=MASK inhibit=MASK`: a mask is `0x0003`, `3` or `bit.0+bit.1`.
pub(crate) fn status(text: &str) -> Result<StatusBits, String> {
    let mut words = text.split([' ', ';']).filter(|w| !w.is_empty());
    let address = words.next().unwrap_or("");
    let address = integer(address)
        .and_then(|n| u16::try_from(n).ok())
        .ok_or_else(|| format!("`{address}` is not a register address"))?;
    let mut bits = StatusBits {
        address,
        fault_mask: 0,
        inhibit_mask: 0,
    };
    for word in words {
        let (name, mask) = word
            .split_once('=')
            .ok_or_else(|| format!("`{word}` is not `fault=…` or `inhibit=…`"))?;
        let to = match name {
            "fault" => &mut bits.fault_mask,
            "inhibit" => &mut bits.inhibit_mask,
            _ => return Err(format!("`{name}` is neither `fault` nor `inhibit`")),
        };
        if *to != 0 {
            return Err(format!("`{name}` stands there twice"));
        }
        *to = mask_of(mask).ok_or_else(|| format!("`{mask}` is not a mask of 16 bits"))?;
    }
    if bits.fault_mask == 0 && bits.inhibit_mask == 0 {
        return Err("it names no bit".to_owned());
    }
    if bits.fault_mask & bits.inhibit_mask != 0 {
        return Err("the same bit is both fault and inhibit".to_owned());
    }
    Ok(bits)
}

fn mask_of(text: &str) -> Option<u16> {
    if let Some(n) = integer(text) {
        return u16::try_from(n).ok().filter(|n| *n != 0);
    }
    text.split('+').try_fold(0, |mask, bit| {
        let n: u16 = bit.strip_prefix("bit.")?.parse().ok().filter(|n| *n < 16)?;
        Some(mask | 1 << n)
    })
}

/// `2026-03-01`, `2026/3/1`, `2026.3.1`, `2026年3月1日`.
pub(crate) fn date(text: &str) -> Option<jiff::civil::Date> {
    let mut parts = text
        .split(['-', '/', '.', '年', '月', '日'])
        .map(str::trim)
        .filter(|p| !p.is_empty());
    let year = parts
        .next()?
        .parse()
        .ok()
        .filter(|y| (1990..=2200).contains(y))?;
    let month = parts.next()?.parse().ok()?;
    let day = parts.next()?.parse().ok()?;
    if parts.next().is_some() {
        return None;
    }
    jiff::civil::Date::new(year, month, day).ok()
}

/// A unit as the console writes it: `mg/m3` → `mg/m³`, `℃` → `°C`.
pub(crate) fn unit(text: &str) -> String {
    halfwidth(text)
        .trim()
        .replace('℃', "°C")
        .replace("m3", "m³")
        .replace("m^3", "m³")
        .replace('㎥', "m³")
        .replace("%lel", "%LEL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_width_signs_become_plain() {
        assert_eq!(halfwidth("１２．５％"), "12.5%");
        assert_eq!(halfwidth("（ｓ）　−3"), "(s) -3");
        assert!(matches!(halfwidth("苯"), Cow::Borrowed(_)));
    }

    #[test]
    fn none_is_written_in_many_ways() {
        for text in ["", " ", "/", "／", "—", "——", "-", "－", "无", "N/A"] {
            assert!(is_none(text), "{text}");
        }
        for text in ["0", "无报警", "-1"] {
            assert!(!is_none(text), "{text}");
        }
    }

    #[test]
    fn numbers_are_finite() {
        for (text, expected) in [
            ("12.5", Some(12.5)),
            ("-3", Some(-3.0)),
            ("1e3", Some(1000.0)),
            ("nan", None),
            ("inf", None),
            ("1e999", None),
            ("12 m", None),
            ("1,5", None),
            ("", None),
        ] {
            assert_eq!(number(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn tables_by_word_code_and_name() {
        for (text, expected) in [
            ("holding", Some(ModbusTable::Holding)),
            ("03", Some(ModbusTable::Holding)),
            ("FC4", Some(ModbusTable::Input)),
            ("线圈", Some(ModbusTable::Coil)),
            ("2", Some(ModbusTable::Discrete)),
            ("6", None),
            ("", None),
        ] {
            assert_eq!(table(text), expected, "{text}");
        }
    }

    #[test]
    fn every_word_of_a_remedy_is_read() {
        assert!(KINDS.iter().all(|w| kind(w).is_some()));
        assert!(TABLES.iter().all(|w| table(w).map(table_name) == Some(*w)));
        assert_eq!(kind("bit.16"), None);
        assert_eq!(kind("text.126"), None);
        assert_eq!(kind("BIT.15"), Some(ModbusType::Bit(15)));
    }

    #[test]
    fn a_status_names_a_register_and_bits() {
        assert_eq!(
            status("120 fault=0x0001 inhibit=bit.1+bit.3"),
            Ok(StatusBits {
                address: 120,
                fault_mask: 1,
                inhibit_mask: 0b1010,
            })
        );
        for text in [
            "",
            "120",
            "x fault=1",
            "120 fault",
            "120 fault=0",
            "120 a=1",
            "120 fault=bit.16",
            "120 fault=1 inhibit=1",
            "120 fault=1 fault=2",
            "70000 fault=1",
            "120 fault=0x10000",
        ] {
            assert!(status(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_as_tables_write_them() {
        let first_of_march = jiff::civil::date(2027, 3, 1);
        for text in ["2027-03-01", "2027/3/1", "2027.03.01", "2027年3月1日"] {
            assert_eq!(date(text), Some(first_of_march), "{text}");
        }
        for text in [
            "2027-02-30",
            "27-3-1",
            "tomorrow",
            "2027-3",
            "2027-3-1-1",
            "",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn units_are_written_one_way() {
        for (text, expected) in [
            ("％LEL", "%LEL"),
            ("mg/m3", "mg/m³"),
            ("℃", "°C"),
            ("m3/h", "m³/h"),
            ("m", "m"),
        ] {
            assert_eq!(unit(text), expected);
        }
    }
}
