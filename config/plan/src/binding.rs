//! Where a point lies on its source: registers, or a topic.

use davy_points::{ByteOrder, ModbusBinding, ModbusTable, ModbusType, MqttBinding};

use crate::cell;
use crate::faults::Faults;
use crate::headers::Column as C;
use crate::register;
use crate::row::RowReader;
use crate::site::{MqttSource, Payload};
use crate::sources::{ORDERS, unit_id_fault};
use crate::topic;

/// Columns that only a Modbus point has.
const MODBUS_ONLY: [C; 6] = [C::UnitId, C::Table, C::Type, C::Order, C::Status, C::Poll];

/// What is said once for the whole table, not at each of its rows.
#[derive(Default)]
pub(crate) struct Once {
    /// The first address in the `40001` style, and how many more there are.
    converted: Faults,
    more: usize,
    /// Columns that a Modbus point needs and the table does not have.
    absent: Vec<C>,
}

impl Once {
    /// Says that a Modbus point lacks a cell, or the table its column.
    fn lacking(
        &mut self,
        faults: &mut Faults,
        r: &RowReader<'_>,
        column: C,
        message: &str,
        hint: String,
    ) {
        if r.header.index(column).is_some() {
            r.error(faults, "E205", column, message, hint);
        } else if !self.absent.contains(&column) {
            self.absent.push(column);
            r.header
                .missing(faults, r.file, column, ", and a Modbus point needs it");
        }
    }

    fn converted(&mut self, r: &RowReader<'_>, register: register::Register, table: ModbusTable) {
        if !self.converted.is_empty() {
            self.more += 1;
            return;
        }
        let text = r.plain(C::Address).unwrap_or_default();
        let address = register.address;
        r.warning(
            &mut self.converted,
            "W201",
            C::Address,
            &format!(
                "`{text}` is read as {} {address}, zero-based",
                cell::table_name(table)
            ),
            match zero_based(&text) {
                Some(hex) => format!(
                    "write {address} to silence this; where the zero-based address {text} is meant, write `{hex}`"
                ),
                None => format!("write {address} to silence this"),
            },
        );
    }

    /// Says it, with how many other rows it is true of.
    pub(crate) fn say(self, faults: &mut Faults) {
        for mut d in self.converted.into_list() {
            if self.more > 0 {
                d.message = format!("{}; {} more rows are read so", d.message, self.more);
            }
            faults.push(d);
        }
    }
}

pub(crate) fn modbus(
    faults: &mut Faults,
    once: &mut Once,
    r: &RowReader<'_>,
) -> Option<ModbusBinding> {
    let unit_id = unit_id(faults, once, r);
    let written = r
        .word(faults, C::Table, cell::table, cell::TABLES)
        .map(|t| t.ok_or(()));
    let register = address(faults, r);
    let table = match (written, register.and_then(|a| a.table)) {
        (Some(Err(())), _) => None,
        (Some(Ok(table)), Some(digit)) if table != digit => {
            let text = r.plain(C::Address).unwrap_or_default();
            r.error(
                faults,
                "E216",
                C::Address,
                &format!(
                    "`{text}` names the table `{}`, but the column `table` says `{}`",
                    cell::table_name(digit),
                    cell::table_name(table)
                ),
                format!(
                    "correct one of the two{}",
                    zero_based(&text).map_or(String::new(), |hex| format!(
                        "; where the zero-based address {text} is meant, write `{hex}`"
                    ))
                ),
            );
            None
        }
        (Some(Ok(table)), _) | (None, Some(table)) => Some(table),
        (None, None) => {
            if register.is_some() {
                once.lacking(
                    faults,
                    r,
                    C::Table,
                    "a Modbus point needs its table",
                    format!("write {} (功能码 1, 2, 4 or 3)", cell::TABLES.join(", ")),
                );
            }
            None
        }
    };
    if let (Some(register), Some(table)) = (register, table)
        && register.table.is_some()
    {
        once.converted(r, register, table);
    }
    let kind = kind(faults, once, r, table);
    let order = match r.word(faults, C::Order, order, &["ABCD", "CDAB", "BADC", "DCBA"]) {
        None => Some(ByteOrder::Abcd),
        Some(order) => order,
    };
    if let (Some(a), Some(kind)) = (register, kind)
        && u32::from(a.address) + u32::from(kind.width()) > 65_536
    {
        r.error(
            faults,
            "E216",
            C::Address,
            &format!(
                "{} registers from {} reach beyond 65535",
                kind.width(),
                a.address
            ),
            "correct the address or the type",
        );
        return None;
    }
    let status = status(faults, r, table);
    Some(ModbusBinding {
        unit_id: unit_id?,
        table: table?,
        address: register?.address,
        kind: kind?,
        order: order?,
        status,
    })
}

/// The same number in the spelling that is always zero-based.
fn zero_based(text: &str) -> Option<String> {
    let n: u16 = text.parse().ok()?;
    Some(format!("0x{n:04X}"))
}

fn unit_id(faults: &mut Faults, once: &mut Once, r: &RowReader<'_>) -> Option<u8> {
    const HINT: &str =
        "write the device's unit id (站号), 1 to 247, or 255 for the Modbus TCP device itself";
    let Some(text) = r.plain(C::UnitId) else {
        once.lacking(
            faults,
            r,
            C::UnitId,
            "a Modbus point needs its unit id",
            HINT.to_owned(),
        );
        return None;
    };
    let Ok(n) = text.parse::<i64>() else {
        r.error(
            faults,
            "E217",
            C::UnitId,
            &format!("`{text}` is not a unit id"),
            HINT,
        );
        return None;
    };
    if let Some(why) = unit_id_fault(n) {
        r.error(faults, "E217", C::UnitId, &format!("{n}: {why}"), HINT);
        return None;
    }
    u8::try_from(n).ok()
}

fn address(faults: &mut Faults, r: &RowReader<'_>) -> Option<register::Register> {
    let text = r.required(faults, C::Address, "the zero-based register address")?;
    match register::parse(&text) {
        Ok(register) => Some(register),
        Err(why) => {
            r.error(
                faults,
                "E216",
                C::Address,
                &why,
                "write the zero-based address, or the `40001` style with five or six digits",
            );
            None
        }
    }
}

fn kind(
    faults: &mut Faults,
    once: &mut Once,
    r: &RowReader<'_>,
    table: Option<ModbusTable>,
) -> Option<ModbusType> {
    let bits = matches!(table, Some(ModbusTable::Coil | ModbusTable::Discrete));
    let kind = match r.word(faults, C::Type, cell::kind, cell::KINDS) {
        Some(kind) => kind?,
        None if bits => return Some(ModbusType::Bool),
        None => {
            if table.is_some() {
                once.lacking(
                    faults,
                    r,
                    C::Type,
                    "a register needs its data type",
                    format!("write one of {}", cell::KINDS.join(" ")),
                );
            }
            return None;
        }
    };
    match (bits, kind) {
        (true, ModbusType::Bool) => Some(kind),
        (true, _) => {
            r.error(
                faults,
                "E215",
                C::Type,
                "a coil or discrete input is one bit and nothing else",
                "write `bool` or leave the cell empty, or correct the table",
            );
            None
        }
        (false, ModbusType::Bool) if table.is_some() => {
            r.error(
                faults,
                "E215",
                C::Type,
                "a register is not one bit",
                "write `bit.0` to `bit.15` for a bit of the register, or correct the table",
            );
            None
        }
        _ => Some(kind),
    }
}

fn order(text: &str) -> Option<ByteOrder> {
    let text = text.to_ascii_uppercase();
    ORDERS.iter().find(|(w, _)| *w == text).map(|(_, o)| *o)
}

fn status(
    faults: &mut Faults,
    r: &RowReader<'_>,
    table: Option<ModbusTable>,
) -> Option<davy_points::StatusBits> {
    const HINT: &str = "write for example `120 fault=0x0001 inhibit=bit.1+bit.2`: a zero-based \
                        register of the same unit and table, and its bits";
    let text = r.plain(C::Status)?;
    if matches!(table, Some(ModbusTable::Coil | ModbusTable::Discrete)) {
        r.error(
            faults,
            "E218",
            C::Status,
            "a status word is a register, and this point lies in a table of bits",
            "remove it, or give the status bit a point of its own",
        );
        return None;
    }
    match cell::status(&text) {
        Ok(status) => Some(status),
        Err(why) => {
            r.error(
                faults,
                "E218",
                C::Status,
                &format!("not a status: {why}"),
                HINT,
            );
            None
        }
    }
}

/// Topic and path of an MQTT point. `source` is none where it has faults of its own.
pub(crate) fn mqtt(
    faults: &mut Faults,
    r: &RowReader<'_>,
    source: Option<&MqttSource>,
) -> Option<MqttBinding> {
    for column in MODBUS_ONLY {
        if r.has(column) {
            r.error(
                faults,
                "E221",
                column,
                "the source is MQTT, and this column is for Modbus",
                "leave the cell empty, or correct the source",
            );
        }
    }
    if r.header.index(C::Address).is_some() && !r.has(C::Address) {
        r.required(
            faults,
            C::Address,
            "the topic, for example `plant/hall/AT-301T`",
        );
    }
    let text = r.words(C::Address)?;
    let (topic, path) = match text.split_once('#') {
        Some((topic, path)) => (topic, Some(path)),
        None => (text, None),
    };
    if let Some(why) = topic::name_fault(topic) {
        r.error(
            faults,
            "E222",
            C::Address,
            &format!("`{topic}` is not a topic: {why}"),
            "write `topic` or `topic#json.path`",
        );
        return None;
    }
    if path.is_some_and(|p| p.split('.').any(str::is_empty)) {
        r.error(
            faults,
            "E222",
            C::Address,
            "the path behind `#` has an empty step",
            "write for example `plant/hall/AT-301T#gas.value`",
        );
        return None;
    }
    if let Some(source) = source {
        if path.is_some() && source.payload == Payload::Number {
            r.error(
                faults,
                "E222",
                C::Address,
                "a payload that is one number has no path",
                "remove `#…`, or give the source `payload = { kind = \"json\" }`",
            );
            return None;
        }
        if !source.topics.is_empty()
            && !source.topics.iter().any(|f| topic::filter_covers(f, topic))
        {
            r.error(
                faults,
                "E222",
                C::Address,
                &format!("`{}` does not subscribe to `{topic}`", source.id),
                format!(
                    "correct it, or add it to the source's topics ({})",
                    source.topics.join(", ")
                ),
            );
            return None;
        }
    }
    Some(MqttBinding {
        topic: topic.to_owned(),
        json_path: path.map(str::to_owned),
    })
}
