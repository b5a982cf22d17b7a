//! A site made from a capture's own blocks, with the series that it must store.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::recording::{Block, Recording, Reply};
use crate::field::site_text::SiteSpec;

/// A recording is replayed faster than it was made, on machines that have other work: what counts is
/// the values, so a late one is not stale.
const STALE_AFTER: &str = "30s";

/// A point: one register or bit of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockPoint {
    /// Its tag.
    pub tag: String,
    /// The source that reads its block, and nothing else.
    pub source: String,
    /// Its block.
    pub block: Block,
    /// Place within the block.
    pub index: u16,
}

/// The configuration of a site that reads a recording.
#[derive(Debug, Clone)]
pub struct CaptureSite {
    /// Relative path and text of every file.
    pub files: Vec<(PathBuf, String)>,
    /// The points.
    pub points: Vec<BlockPoint>,
    /// Blocks of units that no plant may ask (0, 248 to 254).
    pub skipped: Vec<Block>,
}

impl CaptureSite {
    /// A site with a source for every block, so that a gateway that joins neighbouring points asks
    /// for exactly what was recorded. `devices` says where each recorded server is replayed; a
    /// server that is not in it is left out. Each block is polled so often that its replies take
    /// about `span` (at most a hundred times a second): all of them end together.
    #[must_use]
    pub fn new(
        recording: &Recording,
        devices: &BTreeMap<Ipv4Addr, SocketAddr>,
        span: Duration,
        spec: &SiteSpec,
    ) -> CaptureSite {
        let gateway = &spec.gateway;
        let mut sources = String::from("schema = 1\n");
        let mut table = String::from(
            "tag,description,class,unit,source,unit_id,table,address,type,stale_after\n",
        );
        let mut points = Vec::new();
        let mut skipped = Vec::new();
        for (block, replies) in recording.blocks() {
            let Some(address) = devices.get(&block.server) else {
                continue;
            };
            let r = block.request;
            if !matches!(r.unit, 1..=247 | 255) {
                skipped.push(block);
                continue;
            }
            let each = span.as_millis() / replies.len().max(1) as u128;
            let poll = format!("{}ms", each.max(10));
            let server = block.server.to_string().replace('.', "-");
            let source = format!(
                "c{server}-u{}-f{}-{}x{}",
                r.unit, r.function, r.start, r.count
            );
            let _ = write!(
                sources,
                "\n[[modbus]]\nid = \"{source}\"\ngateway = \"{gateway}\"\naddress = \"tcp://{address}\"\n\
                 poll = {{ fast = \"{poll}\", normal = \"{poll}\", slow = \"{poll}\" }}\n"
            );
            let (table_name, kind) = match r.function {
                1 => ("coil", ""),
                2 => ("discrete", ""),
                3 => ("holding", "u16"),
                _ => ("input", "u16"),
            };
            for index in 0..r.count {
                let tag = format!("{source}.{index}").to_uppercase();
                let _ = writeln!(
                    table,
                    "{tag},recorded,recorded,,{source},{},{table_name},0x{:X},{kind},{STALE_AFTER}",
                    r.unit,
                    r.start + index
                );
                points.push(BlockPoint {
                    tag,
                    source: source.clone(),
                    block,
                    index,
                });
            }
        }
        CaptureSite {
            files: vec![
                ("site.toml".into(), spec.site_toml()),
                ("sources.toml".into(), sources),
                ("points.csv".into(), table),
            ],
            points,
            skipped,
        }
    }
}

impl BlockPoint {
    /// What the recorded device said of this point, in order; none where it refused or garbled.
    #[must_use]
    pub fn expected(&self, recording: &Recording) -> Vec<Option<u16>> {
        recording
            .replies(&self.block)
            .iter()
            .map(|(_, reply)| match reply {
                Reply::Words(words) => words.get(usize::from(self.index)).copied(),
                Reply::Refused(_) | Reply::Garbled(_) => None,
            })
            .collect()
    }
}
