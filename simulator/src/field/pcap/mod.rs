//! Captures of real Modbus traffic: read, paired, and replayed as the recorded devices answered.
//!
//! Lives here: a parser for classic pcap, TCP streams put together by sequence number, the
//! recording, and the device that replays it. Every byte of a capture is untrusted: fuzzed ones must
//! crash nothing. May not live here: the gateway's codec. Read first: [`Recording`], then [`Replay`].

mod packet;
mod recording;
mod replay;
mod site;
mod stream;

pub use packet::PcapError;
pub use recording::{Block, CaptureStats, Recording, Reply};
pub use replay::Replay;
pub use site::{BlockPoint, CaptureSite};
