//! What a capture says the devices answered: for each block, its replies in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};

use davy_points::Timestamp;

use super::packet::{Packets, PcapError, segment};
use super::stream::Stream;
use crate::field::modbus_server::{Exception, ReadRequest};

/// The port that tells the server's end of a connection.
const MODBUS: u16 = 502;

/// What was read: server and request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block {
    /// Address of the recorded device.
    pub server: Ipv4Addr,
    /// Unit, function, start, count.
    pub request: ReadRequest,
}

/// A recorded reply to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Registers, or bits as 0 and 1; as many as were asked for.
    Words(Vec<u16>),
    /// An exception.
    Refused(Exception),
    /// A reply that does not fit its request: what followed the function code.
    Garbled(Vec<u8>),
}

/// What else was in the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureStats {
    /// Records of the file.
    pub packets: u64,
    /// TCP segments from or to port 502 with a payload.
    pub segments: u64,
    /// MBAP frames.
    pub frames: u64,
    /// Requests of functions 1 to 4 that a device may answer.
    pub reads: u64,
    /// Requests of other functions, or reads of nothing.
    pub other_requests: u64,
    /// Reads whose reply is not in the capture.
    pub unanswered: u64,
    /// Replies to no request of the capture.
    pub unasked: u64,
    /// Replies that do not fit their request.
    pub garbled: u64,
    /// Places where a stream was no MBAP.
    pub malformed: u64,
    /// Payload bytes that are in no frame: repeated, nonsense, or cut off.
    pub dropped_bytes: u64,
}

/// All reads of a capture with their replies.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    blocks: BTreeMap<Block, Vec<(Timestamp, Reply)>>,
    /// What was in the capture.
    pub stats: CaptureStats,
}

impl Recording {
    /// Reads a classic pcap file. Requests and replies are paired by connection and transaction id;
    /// an id that is used again while it is open belongs to the later request.
    ///
    /// # Errors
    /// Not a capture of Ethernet in classic pcap. Whatever is inside one is never an error.
    pub fn read(bytes: &[u8]) -> Result<Recording, PcapError> {
        let mut streams: HashMap<(SocketAddrV4, SocketAddrV4), Stream> = HashMap::new();
        let mut pairing = Pairing::default();
        let mut stats = CaptureStats::default();
        let mut order = Vec::new();
        let mut last = Timestamp::default();
        for (time, packet) in Packets::open(bytes)? {
            stats.packets += 1;
            last = time;
            let Some(segment) = segment(time, packet) else {
                continue;
            };
            if segment.from.port() != MODBUS && segment.to.port() != MODBUS {
                continue;
            }
            let key = (segment.from, segment.to);
            let stream = streams.entry(key).or_insert_with(|| {
                order.push(key);
                Stream::default()
            });
            if segment.syn {
                stream.synchronise(segment.seq);
                continue;
            }
            stats.segments += u64::from(!segment.payload.is_empty());
            stream.push(segment.seq, segment.payload, &mut |frame: &[u8]| {
                pairing.frame(key, segment.time, frame);
            });
        }
        for key in order {
            if let Some(stream) = streams.get_mut(&key) {
                stream.finish(&mut |frame: &[u8]| pairing.frame(key, last, frame));
                stats.malformed += stream.malformed;
                stats.dropped_bytes += stream.dropped;
            }
        }
        stats.frames = pairing.frames;
        stats.reads = pairing.reads;
        stats.other_requests = pairing.other_requests;
        stats.unanswered = pairing.unanswered + pairing.open.values().flatten().count() as u64;
        stats.unasked = pairing.unasked;
        stats.garbled = pairing.garbled;
        Ok(Recording {
            blocks: pairing.blocks,
            stats,
        })
    }

    /// Addresses of the recorded devices.
    #[must_use]
    pub fn servers(&self) -> BTreeSet<Ipv4Addr> {
        self.blocks.keys().map(|b| b.server).collect()
    }

    /// Every block with its replies and when they came.
    pub fn blocks(&self) -> impl Iterator<Item = (Block, &[(Timestamp, Reply)])> {
        self.blocks.iter().map(|(b, r)| (*b, &**r))
    }

    /// The replies to one block.
    #[must_use]
    pub fn replies(&self, block: &Block) -> &[(Timestamp, Reply)] {
        self.blocks.get(block).map_or(&[], |r| r)
    }
}

/// Requests that wait for their replies.
#[derive(Debug, Default)]
struct Pairing {
    /// By client, server and transaction id; none: a request that is no read.
    open: HashMap<(SocketAddrV4, SocketAddrV4, u16), Option<ReadRequest>>,
    blocks: BTreeMap<Block, Vec<(Timestamp, Reply)>>,
    frames: u64,
    reads: u64,
    other_requests: u64,
    unanswered: u64,
    unasked: u64,
    garbled: u64,
}

impl Pairing {
    fn frame(&mut self, (from, to): (SocketAddrV4, SocketAddrV4), time: Timestamp, frame: &[u8]) {
        let &[t1, t2, _, _, _, _, unit, function, ref body @ ..] = frame else {
            return;
        };
        self.frames += 1;
        let id = u16::from_be_bytes([t1, t2]);
        if to.port() == MODBUS {
            let read = read(unit, function, body);
            match read {
                Some(_) => self.reads += 1,
                None => self.other_requests += 1,
            }
            if let Some(Some(_)) = self.open.insert((from, to, id), read) {
                self.unanswered += 1;
            }
            return;
        }
        let Some(request) = self.open.remove(&(to, from, id)) else {
            self.unasked += 1;
            return;
        };
        let Some(request) = request else { return };
        if unit != request.unit || function & 0x7f != request.function {
            self.garbled += 1;
            self.unanswered += 1;
            return;
        }
        let reply = reply(request, function, body);
        if matches!(reply, Reply::Garbled(_)) {
            self.garbled += 1;
        }
        let block = Block {
            server: *from.ip(),
            request,
        };
        self.blocks.entry(block).or_default().push((time, reply));
    }
}

/// A read that a server may answer with values.
fn read(unit: u8, function: u8, body: &[u8]) -> Option<ReadRequest> {
    let &[a, b, c, d] = body else { return None };
    let start = u16::from_be_bytes([a, b]);
    let count = u16::from_be_bytes([c, d]);
    let most = match function {
        1 | 2 => 2000,
        3 | 4 => 125,
        _ => return None,
    };
    let fits = (1..=most).contains(&count) && u32::from(start) + u32::from(count) <= 0x1_0000;
    fits.then_some(ReadRequest {
        unit,
        function,
        start,
        count,
    })
}

fn reply(request: ReadRequest, function: u8, body: &[u8]) -> Reply {
    let count = usize::from(request.count);
    let bits = request.function <= 2;
    let expected = if bits { count.div_ceil(8) } else { count * 2 };
    match body {
        [code] if function >= 0x80 => Reply::Refused(Exception(*code)),
        [bytes, data @ ..]
            if function < 0x80 && usize::from(*bytes) == expected && data.len() == expected =>
        {
            Reply::Words(if bits {
                (0..count)
                    .map(|i| u16::from(data[i / 8] >> (i % 8) & 1))
                    .collect()
            } else {
                data.chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect()
            })
        }
        other => Reply::Garbled(other.to_vec()),
    }
}
