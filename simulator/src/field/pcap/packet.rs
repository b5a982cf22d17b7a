//! Classic pcap, Ethernet, IPv4, TCP: bytes to segments.

use std::net::{Ipv4Addr, SocketAddrV4};

use davy_points::Timestamp;

/// Why a file is no capture that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PcapError {
    /// The first bytes are not those of classic pcap.
    #[error("not a classic pcap file (pcapng is not read: convert it with editcap -F pcap)")]
    NotPcap,
    /// Not Ethernet.
    #[error("link type {0} is not Ethernet (1)")]
    LinkType(u32),
}

/// A TCP segment over IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) time: Timestamp,
    pub(super) from: SocketAddrV4,
    pub(super) to: SocketAddrV4,
    pub(super) seq: u32,
    pub(super) syn: bool,
    pub(super) payload: &'a [u8],
}

/// The packets of a capture, in order. A record that is cut off ends it.
#[derive(Debug)]
pub(super) struct Packets<'a> {
    rest: &'a [u8],
    big_endian: bool,
    /// Nanoseconds in a unit of the fractional field.
    unit_ns: i64,
}

impl<'a> Packets<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Packets<'a>, PcapError> {
        let (header, rest) = bytes.split_at_checked(24).ok_or(PcapError::NotPcap)?;
        let (big_endian, unit_ns) = match header[..4] {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1000),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1),
            _ => return Err(PcapError::NotPcap),
        };
        let packets = Packets {
            rest,
            big_endian,
            unit_ns,
        };
        match packets.number(&header[20..24]) & 0x0fff_ffff {
            1 => Ok(packets),
            other => Err(PcapError::LinkType(other)),
        }
    }

    fn number(&self, bytes: &[u8]) -> u32 {
        let four: [u8; 4] = bytes.try_into().unwrap_or_default();
        if self.big_endian {
            u32::from_be_bytes(four)
        } else {
            u32::from_le_bytes(four)
        }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = (Timestamp, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (header, rest) = self.rest.split_at_checked(16)?;
        let seconds = i64::from(self.number(&header[..4]));
        let fraction = i64::from(self.number(&header[4..8]));
        let length = usize::try_from(self.number(&header[8..12])).ok()?;
        let (packet, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        let time = Timestamp(seconds * 1_000_000_000 + fraction * self.unit_ns);
        Some((time, packet))
    }
}

/// The TCP segment in an Ethernet frame; none where it holds something else or is cut off.
pub(super) fn segment(time: Timestamp, frame: &[u8]) -> Option<Segment<'_>> {
    let mut at = 12;
    // VLAN tags, single or stacked
    while matches!(be16(frame, at)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    if be16(frame, at)? != 0x0800 {
        return None;
    }
    let ip = frame.get(at + 2..)?;
    let first = *ip.first()?;
    let header = usize::from(first & 0x0f) * 4;
    let fragment = be16(ip, 6)? & 0x3fff;
    if first >> 4 != 4 || header < 20 || *ip.get(9)? != 6 || fragment != 0 {
        return None;
    }
    let total = match usize::from(be16(ip, 2)?) {
        0 => ip.len(), // left to the network card
        total => total,
    };
    let tcp = ip.get(header..total.min(ip.len()))?;
    let offset = usize::from(*tcp.get(12)? >> 4) * 4;
    if offset < 20 {
        return None;
    }
    let address = |at: usize| -> Option<Ipv4Addr> {
        Some(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?.into())
    };
    Some(Segment {
        time,
        from: SocketAddrV4::new(address(12)?, be16(tcp, 0)?),
        to: SocketAddrV4::new(address(16)?, be16(tcp, 2)?),
        seq: u32::from(be16(tcp, 4)?) << 16 | u32::from(be16(tcp, 6)?),
        syn: *tcp.get(13)? & 0x02 != 0,
        payload: tcp.get(offset..)?,
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}
