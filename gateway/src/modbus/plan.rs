//! Which registers to ask for, and in how many requests.
//!
//! Lives here: coalescing of points into blocks. May not live here: when to ask (`acquire`),
//! what a device refuses (`isolate`). Read first: [`plan_reads`].

use std::collections::{BTreeMap, HashMap};

use davy_plan::{Clock, ModbusSource};
use davy_points::{Binding, ModbusTable, ModbusType, PointIx, PointTable, PollClass};

/// Most registers of one read (Modbus Application Protocol V1.1b3, 6.3 and 6.4).
pub const MAX_REGISTERS: u16 = 125;
/// Most bits of one read (6.1 and 6.2).
pub const MAX_BITS: u16 = 2000;

/// Index of a status register in the [`ReadPlan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusIx(pub u32);

/// What a span of registers is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The value of a point, and where its device says how it is.
    Point(PointIx, Option<StatusIx>),
    /// A status register of the device.
    Status(StatusIx),
    /// The time of the row, in a source that has its own clock.
    Time,
}

/// A span that must be read in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What for.
    pub purpose: Purpose,
    /// Zero-based address.
    pub address: u16,
    /// Registers or bits.
    pub width: u16,
}

impl Span {
    /// One past its last address.
    #[must_use]
    pub fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.width)
    }
}

/// A span and the unit and table where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Unit id.
    pub unit_id: u8,
    /// Table.
    pub table: ModbusTable,
    /// What to read.
    pub span: Span,
}

/// One request, and what lies in its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Unit id.
    pub unit_id: u8,
    /// Table.
    pub table: ModbusTable,
    /// First address.
    pub address: u16,
    /// Registers or bits.
    pub count: u16,
    /// By address; never empty.
    pub spans: Vec<Span>,
}

impl Block {
    /// The smallest request that covers these spans; none where there are none.
    #[must_use]
    pub fn around(unit_id: u8, table: ModbusTable, spans: Vec<Span>) -> Option<Block> {
        let address = spans.iter().map(|s| s.address).min()?;
        let end = spans.iter().map(Span::end).max()?;
        Some(Block {
            unit_id,
            table,
            address,
            count: u16::try_from(end - u32::from(address)).ok()?,
            spans,
        })
    }
}

/// Most that one request may ask for, and how much it may bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unread registers between two spans that are read along; sixteen bits count as one.
    pub gap: u16,
    /// Registers in one request, 1 to 125.
    pub max_registers: u16,
}

impl Limits {
    /// Gap and size for a table.
    fn of(self, table: ModbusTable) -> (u32, u32) {
        let max = self.max_registers.clamp(1, MAX_REGISTERS);
        match table {
            ModbusTable::Holding | ModbusTable::Input => (u32::from(self.gap), u32::from(max)),
            ModbusTable::Coil | ModbusTable::Discrete => (
                u32::from(self.gap) * 16,
                (u32::from(max) * 16).min(u32::from(MAX_BITS)),
            ),
        }
    }
}

/// Coalesces spans into blocks: each span lies whole in exactly one block. Neighbouring blocks
/// of a unit differ in length where that costs no request, so that on a line without
/// transaction ids a late answer shows itself.
///
/// A span that no request can hold is left out and returned beside.
#[must_use]
pub fn plan_reads(wants: &[Want], limits: Limits) -> (Vec<Block>, Vec<Want>) {
    let mut groups: BTreeMap<(u8, ModbusTable), Vec<Span>> = BTreeMap::new();
    let mut refused = Vec::new();
    for want in wants {
        let (_, max) = limits.of(want.table);
        if want.span.width == 0 || u32::from(want.span.width) > max || want.span.end() > 0x1_0000 {
            refused.push(*want);
        } else {
            groups
                .entry((want.unit_id, want.table))
                .or_default()
                .push(want.span);
        }
    }
    let mut blocks = Vec::new();
    for ((unit_id, table), mut spans) in groups {
        spans.sort_by_key(|s| (s.address, s.width));
        let (gap, max) = limits.of(table);
        let plain = coalesce(&spans, gap, max, false);
        let distinct = coalesce(&spans, gap, max, true);
        let chosen = if distinct.len() == plain.len() {
            distinct
        } else {
            plain
        };
        blocks.extend(
            chosen
                .into_iter()
                .filter_map(|spans| Block::around(unit_id, table, spans)),
        );
    }
    (blocks, refused)
}

/// Greedy from the lowest address: a span joins while gap and size allow.
fn coalesce(spans: &[Span], gap: u32, max: u32, distinct: bool) -> Vec<Vec<Span>> {
    let mut blocks = Vec::new();
    let mut rest = spans;
    let mut previous = 0;
    while !rest.is_empty() {
        let (mut n, mut length) = run(rest, gap, max);
        if distinct && length == previous && length > 1 {
            let (shorter, shorter_length) = run(rest, gap, length - 1);
            if shorter > 0 {
                (n, length) = (shorter, shorter_length);
            }
        }
        let (block, after) = rest.split_at(n);
        blocks.push(block.to_vec());
        rest = after;
        previous = length;
    }
    blocks
}

/// How many of the first spans fit into one request of at most `max`, and its length. At least
/// one, unless the first alone is too long.
fn run(spans: &[Span], gap: u32, max: u32) -> (usize, u32) {
    let start = u32::from(spans[0].address);
    let mut end = start;
    let mut n = 0;
    for span in spans {
        let new_end = end.max(span.end());
        if u32::from(span.address) > end + gap || new_end - start > max {
            break;
        }
        end = new_end;
        n += 1;
    }
    (n, end - start)
}

/// What a source reads in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Class whose period it has.
    pub class: PollClass,
    /// In the order of reading: status registers and time first.
    pub blocks: Vec<Block>,
    /// Points that no request can read: their span is too long, lies beyond the table, or is of
    /// a type that the table does not hold.
    pub unreadable: Vec<PointIx>,
}

/// All that a source reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPlan {
    /// One for each class that has points.
    pub scans: Vec<Scan>,
    /// How many status registers.
    pub status: usize,
}

/// Plans all reads of a source. A recording has one scan only: all its points belong together.
#[must_use]
pub fn plan_source(source: &ModbusSource, table: &PointTable) -> ReadPlan {
    let recorded = source.clock == Clock::Recorded;
    let mut fastest = None;
    let mut by_class: BTreeMap<PollClass, (Vec<Want>, Vec<PointIx>)> = BTreeMap::new();
    let mut status: HashMap<(PollClass, u8, ModbusTable, u16), StatusIx> = HashMap::new();
    let class_of = |class| if recorded { PollClass::Fast } else { class };
    for (ix, def) in table.iter().filter(|(_, p)| p.source == source.ix) {
        let Binding::Modbus(binding) = &def.binding else {
            continue;
        };
        let class = class_of(def.poll);
        let period = source.poll.of(def.poll);
        if fastest.is_none_or(|(p, _)| period < p) {
            fastest = Some((period, def.poll));
        }
        let (wants, unreadable) = by_class.entry(class).or_default();
        let is_bit_table = matches!(binding.table, ModbusTable::Coil | ModbusTable::Discrete);
        if is_bit_table != (binding.kind == ModbusType::Bool) {
            unreadable.push(ix);
            continue;
        }
        let mut want = |purpose, address, width| {
            wants.push(Want {
                unit_id: binding.unit_id,
                table: binding.table,
                span: Span {
                    purpose,
                    address,
                    width,
                },
            });
        };
        let cell = binding.status.as_ref().map(|bits| {
            let next = StatusIx(u32::try_from(status.len()).unwrap_or(u32::MAX));
            *status
                .entry((class, binding.unit_id, binding.table, bits.address))
                .or_insert_with(|| {
                    want(Purpose::Status(next), bits.address, 1);
                    next
                })
        });
        want(
            Purpose::Point(ix, cell),
            binding.address,
            binding.kind.width(),
        );
    }
    if let (Some(time), Clock::Recorded | Clock::Device) = (source.time, source.clock) {
        for (wants, _) in by_class.values_mut() {
            wants.push(Want {
                unit_id: time.unit_id,
                table: time.table,
                span: Span {
                    purpose: Purpose::Time,
                    address: time.address,
                    width: 4,
                },
            });
        }
    }
    let limits = Limits {
        gap: source.gap,
        max_registers: source.max_registers,
    };
    let mut scans = Vec::new();
    for (class, (wants, mut unreadable)) in by_class {
        let (mut blocks, refused) = plan_reads(&wants, limits);
        blocks.sort_by_key(reading_order);
        for want in refused {
            if let Purpose::Point(ix, _) = want.span.purpose {
                unreadable.push(ix);
            }
        }
        let class = match fastest {
            Some((_, fastest)) if recorded => fastest,
            _ => class,
        };
        scans.push(Scan {
            class,
            blocks,
            unreadable,
        });
    }
    ReadPlan {
        scans,
        status: status.len(),
    }
}

fn reading_order(block: &Block) -> u8 {
    let has = |f: fn(&Span) -> bool| block.spans.iter().any(f);
    if has(|s| s.purpose == Purpose::Time) {
        0
    } else if has(|s| matches!(s.purpose, Purpose::Status(_))) {
        1
    } else {
        2
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn want(table: ModbusTable, unit_id: u8, n: u32, address: u16, width: u16) -> Want {
        Want {
            unit_id,
            table,
            span: Span {
                purpose: Purpose::Status(StatusIx(n)),
                address,
                width,
            },
        }
    }

    fn holding(spans: &[(u16, u16)]) -> Vec<Want> {
        spans
            .iter()
            .zip(0..)
            .map(|((address, width), n)| want(ModbusTable::Holding, 1, n, *address, *width))
            .collect()
    }

    fn check(spans: &[(u16, u16)], gap: u16, max_registers: u16, expected: &[(u16, u16)]) {
        let (blocks, refused) = plan_reads(&holding(spans), Limits { gap, max_registers });
        assert!(refused.is_empty());
        let got: Vec<_> = blocks.iter().map(|b| (b.address, b.count)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn near_registers_share_a_request_and_far_ones_do_not() {
        check(&[(0, 1), (5, 2), (16, 1)], 8, 125, &[(0, 7), (16, 1)]);
        check(&[(0, 1), (9, 1)], 8, 125, &[(0, 10)]);
        check(&[(0, 1), (10, 1)], 8, 125, &[(0, 1), (10, 1)]);
    }

    #[test]
    fn a_value_is_never_split_at_the_limit() {
        // sixty-three f32: 125 registers would cut the last one
        let spans: Vec<_> = (0..63).map(|i| (i * 2, 2)).collect();
        check(&spans, 0, 125, &[(0, 124), (124, 2)]);
        check(&[(0, 2), (2, 4)], 0, 5, &[(0, 2), (2, 4)]);
    }

    #[test]
    fn neighbouring_blocks_differ_in_length_where_that_costs_nothing() {
        let spans: Vec<_> = (0..15).map(|i| (i, 1)).collect();
        check(&spans, 0, 6, &[(0, 6), (6, 5), (11, 4)]);
        // two full blocks: making them differ would take a third request
        let spans: Vec<_> = (0..12).map(|i| (i, 1)).collect();
        check(&spans, 0, 6, &[(0, 6), (6, 6)]);
    }

    #[test]
    fn what_no_request_can_hold_is_named() {
        let wants = holding(&[(0, 126), (65_535, 1), (65_535, 2), (7, 0)]);
        let (blocks, refused) = plan_reads(
            &wants,
            Limits {
                gap: 8,
                max_registers: 125,
            },
        );
        assert_eq!(blocks.len(), 1);
        assert_eq!(refused, [wants[0], wants[2], wants[3]]);
    }

    fn any_want() -> impl Strategy<Value = Want> {
        let table = prop::sample::select(vec![
            ModbusTable::Coil,
            ModbusTable::Discrete,
            ModbusTable::Input,
            ModbusTable::Holding,
        ]);
        (table, 1u8..4, any::<u32>(), any::<u16>(), 1u16..6).prop_map(|(t, u, n, a, w)| {
            let bits = matches!(t, ModbusTable::Coil | ModbusTable::Discrete);
            // half of them close together
            let address = if n % 2 == 0 { a % 300 } else { a };
            want(t, u, n, address, if bits { 1 } else { w })
        })
    }

    proptest! {
        #[test]
        fn every_span_lies_whole_in_exactly_one_lawful_request(
            wants in prop::collection::vec(any_want(), 0..200), gap in 0u16..20, max in 1u16..=125,
        ) {
            let limits = Limits { gap, max_registers: max };
            let (blocks, refused) = plan_reads(&wants, limits);
            let mut planned: Vec<Want> = refused;
            for r in &planned {
                prop_assert!(r.span.end() > 0x1_0000 || r.span.width > max);
            }
            for b in &blocks {
                let (gap, most) = limits.of(b.table);
                prop_assert!(b.count >= 1 && u32::from(b.count) <= most);
                prop_assert!(most <= 2000);
                prop_assert!(u32::from(b.address) + u32::from(b.count) <= 0x1_0000);
                let mut end = u32::from(b.address);
                for s in &b.spans {
                    prop_assert!(s.address >= b.address);
                    prop_assert!(s.end() <= u32::from(b.address) + u32::from(b.count));
                    prop_assert!(u32::from(s.address) <= end + gap, "a gap too wide is bridged");
                    end = end.max(s.end());
                    planned.push(Want { unit_id: b.unit_id, table: b.table, span: *s });
                }
            }
            let key = |w: &Want| (w.unit_id, w.table, w.span.address, w.span.width, match w.span.purpose {
                Purpose::Status(StatusIx(n)) => n,
                _ => 0,
            });
            let mut wanted: Vec<_> = wants.iter().map(key).collect();
            let mut planned: Vec<_> = planned.iter().map(key).collect();
            wanted.sort_unstable();
            planned.sort_unstable();
            prop_assert_eq!(wanted, planned);
        }
    }
}
