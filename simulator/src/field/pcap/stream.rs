//! One direction of a TCP connection: segments in any order to MBAP frames in order.

use std::collections::BTreeMap;

/// Segments that are kept while an earlier one is missing; then the gap is given up.
const PATIENCE: usize = 32;
/// A sequence number further off than this is nonsense, not a gap.
const WINDOW: u32 = 1 << 20;
/// MBAP lengths: unit and function at least, 254 at most.
const LENGTHS: std::ops::RangeInclusive<u16> = 2..=254;

/// Bytes in order, and frames cut from them.
#[derive(Debug, Default)]
pub(super) struct Stream {
    next: Option<u32>,
    buffer: Vec<u8>,
    waiting: BTreeMap<u32, Vec<u8>>,
    /// Bytes that were repeated, nonsense, or lost in a gap's partial frame.
    pub(super) dropped: u64,
    /// Places where the bytes were no MBAP.
    pub(super) malformed: u64,
}

impl Stream {
    /// A new connection begins after this number.
    pub(super) fn synchronise(&mut self, seq: u32) {
        self.dropped += self.buffer.len() as u64;
        self.buffer.clear();
        self.waiting.clear();
        self.next = Some(seq.wrapping_add(1));
    }

    /// Takes a segment and hands on the frames that are whole now.
    pub(super) fn push(&mut self, seq: u32, payload: &[u8], frame: &mut impl FnMut(&[u8])) {
        if payload.is_empty() {
            return;
        }
        let next = *self.next.get_or_insert(seq);
        let ahead = seq.wrapping_sub(next);
        let behind = next.wrapping_sub(seq);
        if ahead == 0 || behind < WINDOW {
            self.append(behind, payload);
            self.catch_up();
        } else if ahead < WINDOW {
            self.waiting.insert(seq, payload.to_vec());
            if self.waiting.len() > PATIENCE {
                self.give_up();
            }
        } else {
            self.dropped += payload.len() as u64;
        }
        self.cut(frame);
    }

    /// The capture is over: what waits behind gaps is taken as it is.
    pub(super) fn finish(&mut self, frame: &mut impl FnMut(&[u8])) {
        while !self.waiting.is_empty() {
            self.give_up();
            self.cut(frame);
        }
    }

    /// Appends what is new of a segment that begins `known` bytes before the end of the buffer.
    fn append(&mut self, known: u32, payload: &[u8]) {
        let known = known as usize;
        self.dropped += known.min(payload.len()) as u64;
        if let Some(new) = payload.get(known..) {
            self.buffer.extend_from_slice(new);
            #[allow(clippy::cast_possible_truncation)] // a segment is at most 64 KiB
            let length = new.len() as u32;
            self.next = self.next.map(|n| n.wrapping_add(length));
        }
    }

    /// Appends the waiting segments that follow without a gap.
    fn catch_up(&mut self) {
        while let Some(next) = self.next {
            let Some(&seq) = self
                .waiting
                .keys()
                .find(|seq| next.wrapping_sub(**seq) < WINDOW)
            else {
                return;
            };
            if let Some(payload) = self.waiting.remove(&seq) {
                self.append(next.wrapping_sub(seq), &payload);
            }
        }
    }

    /// Goes on behind the first gap; the frame that the gap is in is lost.
    fn give_up(&mut self) {
        let Some(next) = self.next else { return };
        let nearest = self
            .waiting
            .keys()
            .copied()
            .min_by_key(|seq| seq.wrapping_sub(next));
        if let Some(seq) = nearest {
            self.dropped += self.buffer.len() as u64;
            self.buffer.clear();
            self.next = Some(seq);
            self.catch_up();
        }
    }

    fn cut(&mut self, frame: &mut impl FnMut(&[u8])) {
        let mut used = 0;
        loop {
            let rest = &self.buffer[used..];
            let &[_, _, p1, p2, l1, l2, ..] = rest else {
                break;
            };
            let length = u16::from_be_bytes([l1, l2]);
            if (p1, p2) != (0, 0) || !LENGTHS.contains(&length) {
                // no way to find the next frame in these bytes: go on with the next segment
                self.malformed += 1;
                self.dropped += rest.len() as u64;
                used = self.buffer.len();
                break;
            }
            let Some(whole) = rest.get(..6 + usize::from(length)) else {
                break;
            };
            frame(whole);
            used += whole.len();
        }
        self.buffer.drain(..used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mbap(id: u8, extra: usize) -> Vec<u8> {
        let mut frame = vec![0, id, 0, 0, 0, u8::try_from(extra).unwrap() + 2, 1, 3];
        frame.extend(std::iter::repeat_n(id, extra));
        frame
    }

    fn run(segments: &[(u32, &[u8])]) -> (Vec<Vec<u8>>, Stream) {
        let mut stream = Stream::default();
        let mut frames = Vec::new();
        for (seq, payload) in segments {
            stream.push(*seq, payload, &mut |f: &[u8]| frames.push(f.to_vec()));
        }
        stream.finish(&mut |f: &[u8]| frames.push(f.to_vec()));
        (frames, stream)
    }

    #[test]
    fn repeated_and_reversed_segments_make_the_same_frames() {
        let (a, b) = (mbap(1, 4), mbap(2, 4));
        let all = [a.clone(), b.clone()].concat();
        let start = u32::MAX - 5; // the numbers wrap
        let at = |i: usize| start.wrapping_add(u32::try_from(i).unwrap());
        let (frames, _) = run(&[
            (at(0), &all[..3]),
            (at(10), &all[10..20]),
            (at(0), &all[..3]),
            (at(20), &all[20..]),
            (at(2), &all[2..12]),
        ]);
        assert_eq!(frames, [a, b]);
    }

    #[test]
    fn a_gap_costs_its_frame_and_no_other() {
        let frames: Vec<Vec<u8>> = (1..=4).map(|i| mbap(i, 4)).collect();
        let (got, stream) = run(&[
            (0, &frames[0]),
            (12, &frames[1][..5]),
            (24, &frames[2]),
            (36, &frames[3]),
        ]);
        assert_eq!(got, [&*frames[0], &*frames[2], &*frames[3]]);
        assert_eq!(stream.dropped, 5);
    }

    #[test]
    fn nonsense_is_counted_and_the_next_segment_is_read() {
        let good = mbap(1, 4);
        let (frames, stream) = run(&[(0, &[0xaa; 12]), (12, &good), (0x7f00_0000, &good)]);
        assert_eq!(frames, [good]);
        assert_eq!((stream.malformed, stream.dropped), (1, 24));
    }

    proptest! {
        /// Cut anywhere, in any order, with anything repeated: the frames are the same.
        #[test]
        fn order_does_not_matter(cuts in prop::collection::vec(1_usize..200, 1..12), seed: u64, start: u32) {
            let all: Vec<u8> = (1..=8).flat_map(|i| mbap(i, usize::from(i) * 3)).collect();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                let to = (from + cut).min(all.len());
                pieces.push((from, to));
                from = to;
            }
            pieces.push((from, all.len()));
            pieces.retain(|(a, b)| a < b);
            let first = pieces.remove(0);
            let mut chance = crate::random::Seeded::new(seed);
            for i in (1..pieces.len()).rev() {
                pieces.swap(i, chance.below(i + 1));
            }
            pieces.insert(0, first);
            pieces.push(first);
            let segments: Vec<(u32, &[u8])> = pieces
                .iter()
                .map(|(a, b)| (start.wrapping_add(u32::try_from(*a).unwrap()), &all[*a..*b]))
                .collect();
            let (frames, _) = run(&segments);
            prop_assert_eq!(frames.concat(), all);
        }

        #[test]
        fn no_bytes_break_it(segments in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..80)), 0..40)) {
            let segments: Vec<(u32, &[u8])> = segments.iter().map(|(s, p)| (*s, &**p)).collect();
            let (frames, _) = run(&segments);
            for frame in frames {
                prop_assert!(frame.len() >= 8);
            }
        }
    }
}
