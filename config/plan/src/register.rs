//! Register addresses as tables write them: zero-based, `0x…`, or the `40001` style.

use davy_points::ModbusTable;

use crate::cell;

/// An address and, where it was written in the `40001` style, the table that its digit names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Register {
    pub(crate) address: u16,
    pub(crate) table: Option<ModbusTable>,
}

/// Reads an address, or says in few words why it is none.
pub(crate) fn parse(text: &str) -> Result<Register, String> {
    let plain = |n: i64| match u16::try_from(n) {
        Ok(address) => Ok(Register {
            address,
            table: None,
        }),
        Err(_) => Err(format!("address {n} lies beyond 65535")),
    };
    if text.starts_with("0x") || text.starts_with("0X") {
        return cell::integer(text).map_or_else(|| Err(not(text)), plain);
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not(text));
    }
    let n: i64 = text.parse().map_err(|_| not(text))?;
    let table = match text.as_bytes()[0] {
        b'0' => ModbusTable::Coil,
        b'1' => ModbusTable::Discrete,
        b'3' => ModbusTable::Input,
        b'4' => ModbusTable::Holding,
        _ => return plain(n),
    };
    // Five digits hold references 1 to 9999, six hold 1 to 65536.
    let most = match text.len() {
        5 => 9_999,
        6 => 65_536,
        _ => return plain(n),
    };
    let reference: i64 = text[1..].parse().map_err(|_| not(text))?;
    if reference == 0 {
        return plain(n);
    }
    if reference > most {
        return Err(format!("`{text}` lies beyond register 65536 of its table"));
    }
    Ok(Register {
        address: u16::try_from(reference - 1).map_err(|_| not(text))?,
        table: Some(table),
    })
}

fn not(text: &str) -> String {
    format!("`{text}` is not a register address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_based_and_the_40001_style() {
        let ok = |address, table| Ok(Register { address, table });
        for (text, expected) in [
            ("0", ok(0, None)),
            ("120", ok(120, None)),
            ("9999", ok(9_999, None)),
            ("40001", ok(0, Some(ModbusTable::Holding))),
            ("49999", ok(9_998, Some(ModbusTable::Holding))),
            ("400001", ok(0, Some(ModbusTable::Holding))),
            ("465536", ok(65_535, Some(ModbusTable::Holding))),
            ("30011", ok(10, Some(ModbusTable::Input))),
            ("10001", ok(0, Some(ModbusTable::Discrete))),
            ("00017", ok(16, Some(ModbusTable::Coil))),
            ("000017", ok(16, Some(ModbusTable::Coil))),
            ("40000", ok(40_000, None)),
            ("50000", ok(50_000, None)),
            ("65535", ok(65_535, None)),
            ("0x9C41", ok(40_001, None)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        for text in [
            "65536",
            "465537",
            "0x10000",
            "-1",
            "4x0001",
            "",
            "1.5",
            "99999999999999999999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
