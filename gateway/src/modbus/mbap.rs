//! The check of a Modbus TCP byte stream: an answer belongs to the one request in flight, or it
//! is none.
//!
//! Lives here: what `acquisition.md` section 3 asks of the guard before tokio-modbus. May not
//! live here: sockets. Read first: [`Guard`].
//!
//! tokio-modbus takes what comes. After a late answer every later call fails; an answer shorter
//! than asked for is taken as it is. So it sees only frames that passed here: protocol 0, length
//! 2 to 254, the transaction id in flight, the unit and function asked, and exactly the bytes
//! that the count demands.

use std::collections::VecDeque;

use davy_points::Mono;

/// Transaction, protocol, length: what stands before the unit id.
const PREFIX: usize = 6;
/// A read request: prefix, unit, function, address, count.
const REQUEST: usize = 12;
/// Frames kept for the trace.
const RING: usize = 16;

/// Why a stream can no longer be trusted. The connection must be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Bytes that are no Modbus TCP frame.
    #[error("bytes that are no Modbus TCP frame")]
    Garbage,
    /// The answer in flight came from another unit.
    #[error("an answer from another unit")]
    WrongUnit,
    /// The answer in flight is of another function.
    #[error("an answer to another function")]
    WrongFunction,
    /// The answer in flight has not the length that was asked for.
    #[error("an answer of another length than asked for")]
    WrongLength,
    /// Something follows the answer that is no frame: the answer may be two that ran together.
    #[error("bytes after an answer that are no frame")]
    Trailing,
    /// Our own request is no read of functions 1 to 4. This never leaves the process.
    #[error("a request that is not a read was stopped")]
    NotARead,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    transaction: u16,
    unit_id: u8,
    function: u8,
    bytes: u8,
}

/// A frame as it went over the wire.
#[derive(Debug, Clone)]
pub struct TraceFrame {
    /// When.
    pub at: Mono,
    /// Sent by us, or received.
    pub sent: bool,
    /// Swallowed, not given on.
    pub swallowed: bool,
    /// The frame, from transaction id to its end.
    pub bytes: Vec<u8>,
}

/// Checks one connection's bytes.
#[derive(Debug, Default)]
pub struct Guard {
    request: Option<Request>,
    /// Received and not yet a whole frame.
    buffer: Vec<u8>,
    /// Frames with another transaction id than the one in flight.
    swallowed: u64,
    ring: VecDeque<TraceFrame>,
}

impl Guard {
    /// Of a new connection.
    #[must_use]
    pub fn new() -> Guard {
        Guard {
            buffer: Vec::with_capacity(512),
            ..Guard::default()
        }
    }

    /// Frames with an abandoned, duplicate or foreign transaction id so far.
    #[must_use]
    pub fn swallowed(&self) -> u64 {
        self.swallowed
    }

    /// Bytes that are no whole frame.
    #[must_use]
    pub fn left_over(&self) -> usize {
        self.buffer.len()
    }

    /// The last frames, oldest first.
    #[must_use]
    pub fn trace(&self) -> &VecDeque<TraceFrame> {
        &self.ring
    }

    /// A request is about to be sent.
    ///
    /// # Errors
    /// It is no read: it must not be sent.
    pub fn sending(&mut self, frame: &[u8], at: Mono) -> Result<(), Fault> {
        let (&[t0, t1, 0, 0, 0, 6, unit_id, function, _, _, c0, c1], REQUEST) =
            (frame.first_chunk().ok_or(Fault::NotARead)?, frame.len())
        else {
            return Err(Fault::NotARead);
        };
        let count = u16::from_be_bytes([c0, c1]);
        let bytes = match function {
            1 | 2 if (1..=2000).contains(&count) => count.div_ceil(8),
            3 | 4 if (1..=125).contains(&count) => count * 2,
            _ => return Err(Fault::NotARead),
        };
        self.request = Some(Request {
            transaction: u16::from_be_bytes([t0, t1]),
            unit_id,
            function,
            bytes: u8::try_from(bytes).map_err(|_| Fault::NotARead)?,
        });
        self.remember(frame, true, false, at);
        Ok(())
    }

    /// Bytes have come. Gives the answer in flight to `accept` if it is complete; swallows
    /// frames of other transactions.
    ///
    /// # Errors
    /// The stream can no longer be trusted.
    pub fn received(
        &mut self,
        bytes: &[u8],
        at: Mono,
        mut accept: impl FnMut(&[u8]),
    ) -> Result<(), Fault> {
        // The common case, the whole answer and nothing else, is not copied twice.
        if self.buffer.is_empty() {
            let used = self.frames(bytes, at, &mut accept)?;
            self.buffer.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(bytes);
        let used = self.frames(&buffer, at, &mut accept);
        if let Ok(used) = used {
            buffer.drain(..used);
        }
        self.buffer = buffer;
        used.map(|_| ())
    }

    fn frames(
        &mut self,
        bytes: &[u8],
        at: Mono,
        accept: &mut impl FnMut(&[u8]),
    ) -> Result<usize, Fault> {
        let mut used = 0;
        while let Some(frame) = whole_frame(&bytes[used..])? {
            let end = used + frame.len();
            let transaction = u16::from_be_bytes([frame[0], frame[1]]);
            match self.request {
                Some(request) if request.transaction == transaction => {
                    request.check(frame)?;
                    // Look ahead before it is believed.
                    let mut next = end;
                    while let Some(frame) =
                        whole_frame(&bytes[next..]).map_err(|_| Fault::Trailing)?
                    {
                        next += frame.len();
                    }
                    self.request = None;
                    self.remember(frame, false, false, at);
                    accept(frame);
                }
                _ => {
                    self.swallowed += 1;
                    self.remember(frame, false, true, at);
                }
            }
            used = end;
        }
        Ok(used)
    }

    fn remember(&mut self, frame: &[u8], sent: bool, swallowed: bool, at: Mono) {
        let mut slot = if self.ring.len() < RING {
            None
        } else {
            self.ring.pop_front()
        }
        .unwrap_or_else(|| TraceFrame {
            at,
            sent,
            swallowed,
            bytes: Vec::new(),
        });
        slot.bytes.clear();
        slot.bytes.extend_from_slice(frame);
        (slot.at, slot.sent, slot.swallowed) = (at, sent, swallowed);
        self.ring.push_back(slot);
    }
}

impl Request {
    fn check(self, frame: &[u8]) -> Result<(), Fault> {
        let (unit_id, function) = (frame[6], frame[7]);
        let body = &frame[8..];
        if unit_id != self.unit_id {
            Err(Fault::WrongUnit)
        } else if function == self.function | 0x80 {
            // an exception is one code and nothing else
            if body.len() == 1 {
                Ok(())
            } else {
                Err(Fault::WrongLength)
            }
        } else if function != self.function {
            Err(Fault::WrongFunction)
        } else if body.first() == Some(&self.bytes) && body.len() == 1 + usize::from(self.bytes) {
            Ok(())
        } else {
            Err(Fault::WrongLength)
        }
    }
}

/// The frame at the head of the bytes; none: more must come.
fn whole_frame(bytes: &[u8]) -> Result<Option<&[u8]>, Fault> {
    // as soon as a byte can be judged, it is
    if bytes.get(2).is_some_and(|b| *b != 0)
        || bytes.get(3).is_some_and(|b| *b != 0)
        || bytes.get(4).is_some_and(|b| *b != 0)
        || bytes.get(5).is_some_and(|b| !(2..=254).contains(b))
    {
        return Err(Fault::Garbage);
    }
    let Some(length) = bytes.get(5) else {
        return Ok(None);
    };
    Ok(bytes.get(..PREFIX + usize::from(*length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST_3: [u8; 12] = [0, 9, 0, 0, 0, 6, 1, 3, 0, 100, 0, 2];
    const ANSWER: [u8; 13] = [0, 9, 0, 0, 0, 7, 1, 3, 4, 1, 2, 3, 4];

    fn check(chunks: &[&[u8]], accepted: usize, swallowed: u64, end: Result<(), Fault>) {
        let mut guard = Guard::new();
        guard.sending(&REQUEST_3, Mono(0)).expect("a read");
        let mut got = Vec::new();
        let mut result = Ok(());
        for chunk in chunks {
            result = guard.received(chunk, Mono(1), |f| got.push(f.to_vec()));
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result, end);
        assert_eq!(got, vec![ANSWER.to_vec(); accepted]);
        assert_eq!(guard.swallowed(), swallowed);
    }

    #[test]
    fn the_answer_passes_whole_or_in_pieces() {
        check(&[&ANSWER], 1, 0, Ok(()));
        let bytes: Vec<&[u8]> = ANSWER.chunks(1).collect();
        check(&bytes, 1, 0, Ok(()));
        check(&[&ANSWER[..8]], 0, 0, Ok(()));
        let mut exception = Vec::new();
        let mut guard = Guard::new();
        guard.sending(&REQUEST_3, Mono(0)).expect("a read");
        guard
            .received(&[0, 9, 0, 0, 0, 3, 1, 0x83, 2], Mono(0), |f| {
                exception = f.to_vec();
            })
            .expect("an exception is an answer");
        assert_eq!(exception[7..], [0x83, 2]);
    }

    #[test]
    fn late_duplicate_and_merged_frames_are_swallowed() {
        let late = {
            let mut f = ANSWER;
            f[1] = 8;
            f
        };
        check(&[&late], 0, 1, Ok(()));
        check(&[&late, &ANSWER], 1, 1, Ok(()));
        check(&[&[late, ANSWER].concat()], 1, 1, Ok(()));
        check(&[&[ANSWER, ANSWER].concat()], 1, 1, Ok(()));
        check(
            &[
                &[late, late, ANSWER].concat()[..30],
                &[late, late, ANSWER].concat()[30..],
            ],
            1,
            2,
            Ok(()),
        );
    }

    #[test]
    fn what_is_not_the_answer_drops_the_link() {
        let with = |i: usize, b: u8| {
            let mut f = ANSWER;
            f[i] = b;
            f
        };
        check(&[&with(6, 2)], 0, 0, Err(Fault::WrongUnit));
        check(&[&with(7, 4)], 0, 0, Err(Fault::WrongFunction));
        check(&[&with(8, 2)], 0, 0, Err(Fault::WrongLength));
        check(&[&with(2, 1)], 0, 0, Err(Fault::Garbage));
        check(&[&with(4, 1)], 0, 0, Err(Fault::Garbage));
        check(&[&with(5, 1)], 0, 0, Err(Fault::Garbage));
        // asked 2, got 1: the bare crate takes it
        check(
            &[&[0, 9, 0, 0, 0, 5, 1, 3, 2, 1, 2]],
            0,
            0,
            Err(Fault::WrongLength),
        );
        check(&[&[0, 9, 0, 0, 0, 2, 1, 3]], 0, 0, Err(Fault::WrongLength));
        check(
            &[&[0, 9, 0, 0, 0, 2, 1, 0x83]],
            0,
            0,
            Err(Fault::WrongLength),
        );
        // an answer cut in the middle and filled up by the next one
        check(
            &[&[&ANSWER[..10], &ANSWER[..]].concat()],
            0,
            0,
            Err(Fault::Trailing),
        );
    }

    #[test]
    fn nothing_but_a_read_is_ever_sent() {
        let mut guard = Guard::new();
        for function in 0..=255u8 {
            let mut frame = REQUEST_3;
            frame[7] = function;
            let read = (1..=4).contains(&function);
            assert_eq!(guard.sending(&frame, Mono(0)).is_ok(), read, "{function}");
        }
        assert!(guard.sending(&REQUEST_3[..11], Mono(0)).is_err());
        assert!(
            guard
                .sending(&[&REQUEST_3[..], &[0]].concat(), Mono(0))
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn noise_never_passes_as_an_answer(noise: Vec<u8>, cut in 1usize..40) {
            let mut guard = Guard::new();
            guard.sending(&REQUEST_3, Mono(0)).expect("a read");
            for chunk in noise.chunks(cut) {
                let mut passed = Vec::new();
                let result = guard.received(chunk, Mono(0), |f| passed.push(f.to_vec()));
                for frame in passed {
                    prop_assert_eq!(&frame[..5], &[0, 9, 0, 0, 0]);
                    prop_assert!(frame[7] & 0x7F == 3);
                }
                prop_assert!(guard.trace().len() <= RING);
                if result.is_err() {
                    break;
                }
            }
        }
    }
}
