//! Two points that read the same place: allowed, but seldom meant.

use std::collections::HashMap;
use std::sync::Arc;

use davy_points::{Binding, ModbusBinding, ModbusTable, ModbusType, MqttBinding, PointDef, Span};

use crate::cell;
use crate::faults::Faults;
use crate::headers::Column as C;
use crate::row::RowReader;

/// One register or bit of a source.
#[derive(PartialEq, Eq, Hash)]
struct RegisterKey {
    source: usize,
    unit_id: u8,
    table: ModbusTable,
    address: u16,
    /// The one bit of it that is read; none: all. Bits of one word are points of their own, and
    /// the word may be read whole beside them.
    bit: Option<u8>,
}

/// One value in the messages of a source.
#[derive(PartialEq, Eq, Hash)]
struct TopicKey {
    source: usize,
    topic: String,
    path: Option<String>,
}

/// The point that said it reads a place, and where.
struct Reader {
    tag: Arc<str>,
    span: Span,
}

/// Who reads what, row by row.
#[derive(Default)]
pub(crate) struct Places {
    registers: HashMap<RegisterKey, Reader>,
    topics: HashMap<TopicKey, Reader>,
}

impl Places {
    /// Adds a point, and warns where another reads the same.
    pub(crate) fn add(&mut self, faults: &mut Faults, r: &RowReader<'_>, point: &PointDef) {
        match &point.binding {
            Binding::Modbus(m) => self.modbus(faults, r, point, m),
            Binding::Mqtt(m) => self.mqtt(faults, r, point, m),
            Binding::Internal => {}
        }
    }

    fn modbus(
        &mut self,
        faults: &mut Faults,
        r: &RowReader<'_>,
        point: &PointDef,
        m: &ModbusBinding,
    ) {
        let bit = match m.kind {
            ModbusType::Bit(n) => Some(n),
            _ => None,
        };
        let mut said = false;
        // The last register exists: an address that reaches beyond 65535 was refused.
        for address in (m.address..=u16::MAX).take(usize::from(m.kind.width())) {
            let key = RegisterKey {
                source: point.source.index(),
                unit_id: m.unit_id,
                table: m.table,
                address,
                bit,
            };
            match self.registers.get(&key) {
                Some(other) if !said => {
                    said = true;
                    let what = format!(
                        "{} {address} of unit {}",
                        cell::table_name(m.table),
                        m.unit_id
                    );
                    warn(faults, r, point, other, &what);
                }
                Some(_) => {}
                None => {
                    let reader = Reader {
                        tag: point.tag.clone(),
                        span: r.cell_span(C::Address),
                    };
                    self.registers.insert(key, reader);
                }
            }
        }
    }

    fn mqtt(&mut self, faults: &mut Faults, r: &RowReader<'_>, point: &PointDef, m: &MqttBinding) {
        let key = TopicKey {
            source: point.source.index(),
            topic: m.topic.clone(),
            path: m.json_path.clone(),
        };
        match self.topics.get(&key) {
            Some(other) => warn(faults, r, point, other, &format!("`{}`", m.topic)),
            None => {
                let reader = Reader {
                    tag: point.tag.clone(),
                    span: r.cell_span(C::Address),
                };
                self.topics.insert(key, reader);
            }
        }
    }
}

fn warn(faults: &mut Faults, r: &RowReader<'_>, point: &PointDef, other: &Reader, what: &str) {
    let d = r.warning(
        faults,
        "W202",
        C::Address,
        &format!("`{}` and `{}` both read {what}", point.tag, other.tag),
        "correct the address of one of them, or keep one point only",
    );
    if !other.span.is_empty() {
        d.related.push((
            r.file.to_owned(),
            other.span.clone(),
            format!("`{}`", other.tag),
        ));
    }
}
