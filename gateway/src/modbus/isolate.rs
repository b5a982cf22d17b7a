//! Which address of a refused block the device does not have: bisection, one probe at a time.
//!
//! Lives here: the search. May not live here: sockets; the caller reads what [`Search::probe`]
//! says and tells the search what came. Read first: [`Search`].

use super::plan::{Block, Span};

/// A block was refused with exception 01, 02 or 03. The search narrows it down to one span in
/// ⌈log₂ n⌉ probes and one that proves it: 8 for 100 spans. A device that refuses the length of
/// the request or a bridged gap refuses no single span; then the block is cut in two.
#[derive(Debug)]
pub struct Search {
    block: Block,
    low: usize,
    high: usize,
    /// The range itself was read and refused, not only inferred.
    proven: bool,
}

/// How a search ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// These spans are refused; the rest is read in these blocks from now on.
    Refused {
        /// All spans that cover the refused address.
        spans: Vec<Span>,
        /// What remains.
        rest: Vec<Block>,
    },
    /// Each span can be read, but not all together: read it in these blocks from now on.
    Cut(Vec<Block>),
}

impl Search {
    /// Begins with a block that was refused as a whole.
    #[must_use]
    pub fn new(block: Block) -> Search {
        let high = block.spans.len();
        Search {
            block,
            low: 0,
            high,
            proven: true,
        }
    }

    /// The next request; none: the search is over.
    #[must_use]
    pub fn probe(&self) -> Option<Block> {
        let spans = match self.high - self.low {
            0 => return None,
            1 if self.proven => return None,
            1 => self.low..self.high,
            n => self.low..self.low + n / 2,
        };
        self.part(spans.start, spans.end)
    }

    /// What came of [`Search::probe`].
    pub fn answered(&mut self, refused: bool) {
        match self.high - self.low {
            0 => {}
            1 => {
                if refused {
                    self.proven = true;
                } else {
                    self.high = self.low; // nothing is refused alone
                }
            }
            n => {
                let middle = self.low + n / 2;
                if refused {
                    self.high = middle;
                } else {
                    self.low = middle;
                }
                self.proven = refused;
            }
        }
    }

    /// The result, once there is no more probe.
    #[must_use]
    pub fn finish(self) -> Found {
        let n = self.block.spans.len();
        if self.high == self.low {
            let cut = self.widest_gap().unwrap_or(n / 2);
            return Found::Cut(
                [self.part(0, cut), self.part(cut, n)]
                    .into_iter()
                    .flatten()
                    .collect(),
            );
        }
        let bad = self.block.spans[self.low];
        let covers = |s: &Span| s.address <= bad.address && s.end() >= bad.end();
        let (mut spans, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for s in &self.block.spans {
            if covers(s) {
                spans.push(*s);
            } else if s.address < bad.address {
                before.push(*s);
            } else {
                after.push(*s);
            }
        }
        let rest = [before, after]
            .into_iter()
            .filter_map(|spans| Block::around(self.block.unit_id, self.block.table, spans))
            .collect();
        Found::Refused { spans, rest }
    }

    /// Where the most registers that nobody wants lie between two spans.
    fn widest_gap(&self) -> Option<usize> {
        let mut end = 0;
        let mut widest = (0, None);
        for (i, span) in self.block.spans.iter().enumerate() {
            let gap = u32::from(span.address).saturating_sub(end);
            if i > 0 && gap > widest.0 {
                widest = (gap, Some(i));
            }
            end = end.max(span.end());
        }
        widest.1
    }

    fn part(&self, from: usize, to: usize) -> Option<Block> {
        Block::around(
            self.block.unit_id,
            self.block.table,
            self.block.spans[from..to].to_vec(),
        )
    }
}

#[cfg(test)]
mod tests {
    use davy_points::ModbusTable;
    use proptest::prelude::*;

    use super::super::plan::{Purpose, StatusIx};
    use super::*;

    fn block(spans: &[(u16, u16)]) -> Block {
        let spans = spans
            .iter()
            .zip(0..)
            .map(|((address, width), n)| Span {
                purpose: Purpose::Status(StatusIx(n)),
                address: *address,
                width: *width,
            })
            .collect();
        Block::around(1, ModbusTable::Holding, spans).expect("spans")
    }

    fn run(block: Block, refuses: impl Fn(&Block) -> bool) -> (usize, Found) {
        let mut search = Search::new(block);
        let mut probes = 0;
        while let Some(probe) = search.probe() {
            probes += 1;
            search.answered(refuses(&probe));
        }
        (probes, search.finish())
    }

    fn touches(b: &Block, address: u32) -> bool {
        (u32::from(b.address)..u32::from(b.address) + u32::from(b.count)).contains(&address)
    }

    #[test]
    fn one_bad_register_in_100_costs_at_most_8_probes() {
        let spans: Vec<_> = (0..100).map(|a| (a, 1)).collect();
        for bad in 0..100 {
            let (probes, found) = run(block(&spans), |b| touches(b, bad));
            assert!(probes <= 8, "{probes} probes for {bad}");
            let Found::Refused { spans, rest } = found else {
                panic!("{bad} is not found")
            };
            assert_eq!(spans.len(), 1);
            assert_eq!(u32::from(spans[0].address), bad);
            assert_eq!(rest.iter().map(|b| b.spans.len()).sum::<usize>(), 99);
            assert!(rest.iter().all(|b| !touches(b, bad)));
        }
    }

    #[test]
    fn a_refused_gap_or_length_blames_no_span() {
        let spans = [(0, 2), (2, 2), (10, 2), (12, 2)];
        let (_, found) = run(block(&spans), |b| touches(b, 6));
        assert_eq!(
            found,
            Found::Cut(vec![
                Block::around(1, ModbusTable::Holding, block(&spans).spans[..2].to_vec())
                    .expect("some"),
                Block::around(1, ModbusTable::Holding, block(&spans).spans[2..].to_vec())
                    .expect("some"),
            ])
        );
        let spans: Vec<_> = (0..100).map(|a| (a, 1)).collect();
        let (probes, found) = run(block(&spans), |b| b.count > 64);
        assert!(probes <= 8);
        assert!(matches!(found, Found::Cut(blocks) if blocks.len() == 2));
    }

    #[test]
    fn all_bits_of_a_refused_register_are_refused_at_once() {
        let mut spans: Vec<_> = (0..20).map(|a| (a, 1)).collect();
        spans.extend([(7, 1), (7, 1), (7, 1)]);
        spans.sort_unstable();
        let (_, found) = run(block(&spans), |b| touches(b, 7));
        let Found::Refused { spans, rest } = found else {
            panic!("found")
        };
        assert!(spans.iter().all(|s| s.address == 7));
        assert_eq!(spans.len(), 4);
        let all = spans.len() + rest.iter().map(|b| b.spans.len()).sum::<usize>();
        assert_eq!(all, 23);
    }

    proptest! {
        #[test]
        fn whatever_a_device_refuses_the_search_ends_and_loses_no_span(
            widths in prop::collection::vec((0u16..9, 1u16..5), 1..60), answers: u64,
        ) {
            let mut address = 0;
            let spans: Vec<_> = widths.iter().map(|(gap, width)| {
                let at = address + gap;
                address = at + width;
                (at, *width)
            }).collect();
            let n = spans.len();
            let mut search = Search::new(block(&spans));
            let mut probes = 0;
            while search.probe().is_some() {
                search.answered(answers >> probes & 1 == 1);
                probes += 1;
                prop_assert!(probes <= 7);
            }
            let after = match search.finish() {
                Found::Refused { spans, rest } =>
                    spans.len() + rest.iter().map(|b| b.spans.len()).sum::<usize>(),
                Found::Cut(blocks) => {
                    prop_assert!(n > 1);
                    blocks.iter().map(|b| b.spans.len()).sum()
                }
            };
            prop_assert_eq!(after, n);
        }
    }
}
