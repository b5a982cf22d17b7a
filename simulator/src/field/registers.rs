//! The register image of one device: what its units hold at every address.
//!
//! Lives here: tables of registers and bits, built from a point table and written by the plant. May
//! not live here: sockets, models. Read first: [`Image`].

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use davy_points::{Binding, ModbusBinding, ModbusTable, ModbusType, PointDef};

use super::encode::{Raw, raw_of, registers};
use super::modbus_server::{Device, Exception, ReadRequest};

/// All units of a device. One lock for each unit, held for one request or one value: a client
/// never sees half of a value.
#[derive(Debug, Default)]
pub struct Image {
    units: Vec<(u8, Mutex<Unit>)>,
}

#[derive(Debug, Default)]
struct Unit {
    tables: [Cells; 4],
}

/// One table: the addresses from the lowest to the highest that anything is bound to. Holes in
/// between read as zero, as in a controller's memory, unless they are declared illegal.
#[derive(Debug, Default)]
struct Cells {
    start: u16,
    words: Vec<u16>,
    illegal: Vec<Range<u32>>,
}

const fn index(table: ModbusTable) -> usize {
    match table {
        ModbusTable::Coil => 0,
        ModbusTable::Discrete => 1,
        ModbusTable::Holding => 2,
        ModbusTable::Input => 3,
    }
}

/// The table that a function code reads.
const fn table_of(function: u8) -> Option<ModbusTable> {
    match function {
        1 => Some(ModbusTable::Coil),
        2 => Some(ModbusTable::Discrete),
        3 => Some(ModbusTable::Holding),
        4 => Some(ModbusTable::Input),
        _ => None,
    }
}

impl Image {
    /// An image that holds every Modbus point of the list, all zero. Other points are passed over.
    pub fn for_points<'a>(points: impl IntoIterator<Item = &'a PointDef>) -> Image {
        let mut image = Image::default();
        for def in points {
            if let Binding::Modbus(at) = &def.binding {
                image.cover(at.unit_id, at.table, at.address, at.kind.width());
                if let Some(status) = &at.status {
                    image.cover(at.unit_id, at.table, status.address, 1);
                }
            }
        }
        image
    }

    /// Makes sure that these addresses exist.
    pub fn cover(&mut self, unit: u8, table: ModbusTable, address: u16, count: u16) {
        let place = match self.units.binary_search_by_key(&unit, |u| u.0) {
            Ok(i) => i,
            Err(i) => {
                self.units.insert(i, (unit, Mutex::default()));
                i
            }
        };
        let unit = self.units[place]
            .1
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        unit.tables[index(table)].cover(address, count);
    }

    /// Makes addresses illegal: a read that touches one is refused with exception 02.
    pub fn forbid(&mut self, unit: u8, table: ModbusTable, addresses: Range<u32>) {
        if let Ok(i) = self.units.binary_search_by_key(&unit, |u| u.0) {
            let unit = self.units[i]
                .1
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner);
            unit.tables[index(table)].illegal.push(addresses);
        }
    }

    /// Writes an engineering value where the point lies. Points that are not Modbus, or that the
    /// image does not hold, are passed over.
    pub fn write(&self, def: &PointDef, value: f64) {
        if let Binding::Modbus(at) = &def.binding {
            self.write_raw(at, &raw_of(def, at.kind, value));
        }
    }

    /// Writes a raw value where a binding lies.
    pub fn write_raw(&self, at: &ModbusBinding, raw: &Raw) {
        let mut words = [0_u16; 4];
        let width = usize::from(at.kind.width());
        if let ModbusType::Text(n) = at.kind {
            let mut long = vec![0_u16; usize::from(n)];
            registers(at.kind, at.order, raw, &mut long);
            self.set(at.unit_id, at.table, at.address, &long);
            return;
        }
        registers(at.kind, at.order, raw, &mut words[..width]);
        if let ModbusType::Bit(bit) = at.kind {
            self.with(at.unit_id, at.table, |cells| {
                if let Some(word) = cells.word_mut(at.address) {
                    let mask = 1_u16.checked_shl(u32::from(bit)).unwrap_or(0);
                    *word = if words[0] == 0 {
                        *word & !mask
                    } else {
                        *word | mask
                    };
                }
            });
            return;
        }
        self.set(at.unit_id, at.table, at.address, &words[..width]);
    }

    /// Sets registers (or bits: zero is off) as they are.
    pub fn set(&self, unit: u8, table: ModbusTable, address: u16, words: &[u16]) {
        self.with(unit, table, |cells| {
            for (address, word) in (u32::from(address)..).zip(words) {
                if let Some(cell) = u16::try_from(address).ok().and_then(|a| cells.word_mut(a)) {
                    *cell = *word;
                }
            }
        });
    }

    /// The register (or bit) at an address, if the image holds it.
    #[must_use]
    pub fn get(&self, unit: u8, table: ModbusTable, address: u16) -> Option<u16> {
        self.with(unit, table, |cells| cells.word_mut(address).map(|w| *w))
            .flatten()
    }

    fn with<R>(
        &self,
        unit: u8,
        table: ModbusTable,
        work: impl FnOnce(&mut Cells) -> R,
    ) -> Option<R> {
        let i = self.units.binary_search_by_key(&unit, |u| u.0).ok()?;
        let mut unit = self.units[i]
            .1
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(work(&mut unit.tables[index(table)]))
    }
}

impl Cells {
    fn cover(&mut self, address: u16, count: u16) {
        if count == 0 {
            return;
        }
        let end = (u32::from(address) + u32::from(count)).min(0x1_0000);
        if self.words.is_empty() {
            self.start = address;
        } else if address < self.start {
            let missing = usize::from(self.start - address);
            self.words.splice(0..0, std::iter::repeat_n(0, missing));
            self.start = address;
        }
        let length = (end - u32::from(self.start)) as usize;
        if length > self.words.len() {
            self.words.resize(length, 0);
        }
    }

    fn word_mut(&mut self, address: u16) -> Option<&mut u16> {
        let i = address.checked_sub(self.start)?;
        self.words.get_mut(usize::from(i))
    }

    fn read(&self, start: u16, count: u16) -> Result<&[u16], Exception> {
        let from = u32::from(start);
        let to = from + u32::from(count);
        if self
            .illegal
            .iter()
            .any(|hole| from < hole.end && hole.start < to)
        {
            return Err(Exception::ILLEGAL_ADDRESS);
        }
        let first = start
            .checked_sub(self.start)
            .ok_or(Exception::ILLEGAL_ADDRESS)?;
        self.words
            .get(usize::from(first)..usize::from(first) + usize::from(count))
            .ok_or(Exception::ILLEGAL_ADDRESS)
    }
}

impl Device for Image {
    fn read(&self, request: ReadRequest, out: &mut Vec<u8>) -> Result<(), Exception> {
        let table = table_of(request.function).ok_or(Exception::ILLEGAL_FUNCTION)?;
        self.with(request.unit, table, |cells| {
            let words = cells.read(request.start, request.count)?;
            if request.function <= 2 {
                push_bits(out, words.iter().map(|&w| w != 0));
            } else {
                push_registers(out, words);
            }
            Ok(())
        })
        .unwrap_or(Err(Exception::TARGET_NO_ANSWER))
    }
}

/// Byte count and registers, as a reply of function 3 or 4 carries them.
#[allow(clippy::cast_possible_truncation)] // at most 125 registers
pub(crate) fn push_registers(out: &mut Vec<u8>, words: &[u16]) {
    out.push((words.len() * 2) as u8);
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// Byte count and bits, the first one lowest, as a reply of function 1 or 2 carries them.
#[allow(clippy::cast_possible_truncation)] // at most 2000 bits
pub(crate) fn push_bits(out: &mut Vec<u8>, bits: impl ExactSizeIterator<Item = bool>) {
    out.push(bits.len().div_ceil(8) as u8);
    let mut byte = 0_u8;
    let mut filled = 0;
    for bit in bits {
        byte |= u8::from(bit) << filled;
        filled += 1;
        if filled == 8 {
            out.push(byte);
            byte = 0;
            filled = 0;
        }
    }
    if filled > 0 {
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests_support::{holding, modbus};

    fn read(image: &Image, unit: u8, function: u8, start: u16, count: u16) -> Result<Vec<u8>, u8> {
        let mut out = Vec::new();
        image
            .read(
                ReadRequest {
                    unit,
                    function,
                    start,
                    count,
                },
                &mut out,
            )
            .map(|()| out)
            .map_err(|e| e.0)
    }

    #[test]
    fn values_lie_where_their_points_say() {
        let points = [
            holding("A", 10, ModbusType::U16),
            holding("B", 14, ModbusType::F32),
            holding("C", 12, ModbusType::Bit(3)),
            modbus("D", 1, ModbusTable::Coil, 4, ModbusType::Bool),
        ];
        let image = Image::for_points(&points);
        image.write(&points[0], 7.0);
        image.write(&points[1], 1.0);
        image.write(&points[2], 1.0);
        image.write(&points[3], 1.0);
        assert_eq!(
            read(&image, 1, 3, 10, 6),
            Ok(vec![12, 0, 7, 0, 0, 0, 8, 0, 0, 0x3f, 0x80, 0, 0])
        );
        assert_eq!(read(&image, 1, 1, 4, 1), Ok(vec![1, 1]));
        image.write(&points[2], 0.0);
        assert_eq!(image.get(1, ModbusTable::Holding, 12), Some(0));
    }

    #[test]
    fn what_is_not_there_is_refused_by_its_code() {
        let mut image = Image::for_points(&[holding("A", 10, ModbusType::U32)]);
        assert_eq!(read(&image, 1, 3, 9, 2), Err(2));
        assert_eq!(read(&image, 1, 3, 11, 2), Err(2));
        assert_eq!(read(&image, 1, 4, 10, 1), Err(2), "an empty table");
        assert_eq!(read(&image, 2, 3, 10, 1), Err(0x0b), "no such unit");
        image.forbid(1, ModbusTable::Holding, 11..12);
        assert_eq!(read(&image, 1, 3, 10, 2), Err(2));
        assert_eq!(read(&image, 1, 3, 10, 1), Ok(vec![2, 0, 0]));
        image.cover(1, ModbusTable::Input, 65_535, 2);
        assert_eq!(read(&image, 1, 4, 65_535, 1), Ok(vec![2, 0, 0]));
    }

    #[test]
    fn bits_are_packed_from_the_lowest() {
        let mut out = Vec::new();
        push_bits(
            &mut out,
            [
                true, false, true, true, false, false, true, true, true, true,
            ]
            .into_iter(),
        );
        // the example of the Modbus application protocol, 6.1: CD is 1100 1101
        assert_eq!(out, [2, 0xcd, 0x03]);
    }
}
