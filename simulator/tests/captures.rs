//! The recorded captures, read and replayed. They lie beside the workspace (`../shared/data`) or
//! where `DAVY_DATA` says.

#![allow(clippy::unwrap_used)] // a test says what broke by panicking

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use davy_simulator::faults::FaultSwitch;
use davy_simulator::field::SiteSpec;
use davy_simulator::field::modbus_server::{Device, ModbusServer, ReadRequest};
use davy_simulator::field::pcap::{CaptureSite, Recording, Replay, Reply};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("DAVY_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    if dir.join("modbus_pcap").is_dir() {
        return Some(dir);
    }
    eprintln!(
        "skipped: no recorded data at {} (set DAVY_DATA)",
        dir.display()
    );
    None
}

fn capture(name: &str) -> Option<Vec<u8>> {
    let path = data()?.join("modbus_pcap").join(name);
    Some(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

const CAPTURES: [&str; 5] = [
    "ModbusTCP.pcap",
    "fuzz-72.pcap",
    "modbusSmall.pcap",
    "modbus_test.pcap",
    "modbus_test_data_part2.pcap",
];

/// Good replies, refusals, sum of all words, blocks. Counted by a script that shares no code with
/// ours (it sorts segments by sequence number first and pairs afterwards).
#[test]
fn every_capture_says_what_an_independent_reader_says() {
    let expected = [
        ("ModbusTCP.pcap", (5856, 0, 293_326_952, 115)),
        ("fuzz-72.pcap", (0, 0, 0, 0)),
        ("modbusSmall.pcap", (8, 0, 12, 1)),
        ("modbus_test.pcap", (1052, 0, 31_561_923, 9)),
        ("modbus_test_data_part2.pcap", (4, 8, 4, 12)),
    ];
    for (name, expected) in expected {
        let Some(bytes) = capture(name) else { return };
        let recording = Recording::read(&bytes).unwrap();
        let (mut good, mut refused, mut sum) = (0, 0, 0);
        for (block, replies) in recording.blocks() {
            for (_, reply) in replies {
                match reply {
                    Reply::Words(words) => {
                        assert_eq!(words.len(), usize::from(block.request.count));
                        good += 1;
                        sum += words.iter().map(|w| u64::from(*w)).sum::<u64>();
                    }
                    Reply::Refused(_) => refused += 1,
                    Reply::Garbled(_) => panic!("{name}: {block:?}"),
                }
            }
        }
        let got = (good, refused, sum, recording.blocks().count());
        assert_eq!(got, expected, "{name}: {:?}", recording.stats);
        assert!(recording.stats.reads >= good + refused);
    }
}

async fn read(stream: &mut TcpStream, id: u16, request: ReadRequest) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(id.to_be_bytes());
    frame.extend([0, 0, 0, 6, request.unit, request.function]);
    frame.extend(request.start.to_be_bytes());
    frame.extend(request.count.to_be_bytes());
    stream.write_all(&frame).await.unwrap();
    let mut head = [0; 6];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[..2], id.to_be_bytes());
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]]))];
    stream.read_exact(&mut body).await.unwrap();
    body
}

/// The bytes after the unit id that a reply must have, written out anew.
fn body(request: ReadRequest, reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Refused(code) => vec![request.function | 0x80, code.0],
        Reply::Garbled(bytes) => [&[request.function], &**bytes].concat(),
        Reply::Words(words) if request.function > 2 => {
            let mut body = vec![request.function, u8::try_from(words.len() * 2).unwrap()];
            body.extend(words.iter().flat_map(|w| w.to_be_bytes()));
            body
        }
        Reply::Words(bits) => {
            let mut bytes = vec![0_u8; bits.len().div_ceil(8)];
            for (i, bit) in bits.iter().enumerate() {
                bytes[i / 8] |= u8::try_from(*bit).unwrap() << (i % 8);
            }
            let mut body = vec![request.function, u8::try_from(bytes.len()).unwrap()];
            body.extend(bytes);
            body
        }
    }
}

#[tokio::test]
async fn a_replay_answers_as_the_devices_did_and_counts_what_they_never_said() {
    for name in CAPTURES {
        let Some(bytes) = capture(name) else { return };
        let recording = Recording::read(&bytes).unwrap();
        for address in recording.servers() {
            let replay = Arc::new(Replay::of(&recording, address));
            let server = ModbusServer::start(replay.clone(), Arc::new(FaultSwitch::new(0)))
                .await
                .unwrap();
            let mut stream = TcpStream::connect(server.address()).await.unwrap();
            let mut id = 0;
            let blocks: Vec<_> = recording
                .blocks()
                .filter(|(b, _)| b.server == address)
                .collect();
            for (block, replies) in &blocks {
                assert!(!replay.is_finished());
                for (_, reply) in *replies {
                    id += 1;
                    let got = read(&mut stream, id, block.request).await;
                    assert_eq!(got[0], block.request.unit);
                    assert_eq!(got[1..], body(block.request, reply), "{block:?}");
                }
            }
            replay.finished().await;
            assert_eq!((replay.repeated(), replay.unknown()), (0, 0));
            let (block, replies) = blocks[0];
            let again = read(&mut stream, 1, block.request).await;
            assert_eq!(again[1..], body(block.request, &replies.last().unwrap().1));
            assert_eq!(replay.served(&block.request), replies.len() + 1);
            let never = ReadRequest {
                start: 60_000,
                ..block.request
            };
            let refused = read(&mut stream, 2, never).await;
            assert_eq!(refused[1..], [never.function | 0x80, 2]);
            assert_eq!((replay.repeated(), replay.unknown()), (1, 1));
        }
    }
}

#[test]
fn a_site_of_a_capture_names_every_register_once() {
    let Some(bytes) = capture("ModbusTCP.pcap") else {
        return;
    };
    let recording = Recording::read(&bytes).unwrap();
    let devices: BTreeMap<_, _> = recording
        .servers()
        .into_iter()
        .zip(5000_u16..)
        .map(|(ip, port)| (ip, ([127, 0, 0, 1], port).into()))
        .collect();
    let spec = SiteSpec {
        site: "capture".into(),
        gateway: "gw-1".into(),
        broker: ([127, 0, 0, 1], 1883).into(),
        listen: ([127, 0, 0, 1], 8080).into(),
        mirror: None,
    };
    let site = CaptureSite::new(&recording, &devices, Duration::from_millis(20), &spec);
    let registers: usize = recording
        .blocks()
        .map(|(b, _)| usize::from(b.request.count))
        .sum();
    assert_eq!(site.points.len(), registers);
    assert!(site.skipped.is_empty());
    let mut values = 0;
    for point in &site.points {
        let expected = point.expected(&recording);
        assert_eq!(expected.len(), recording.replies(&point.block).len());
        values += expected
            .iter()
            .flatten()
            .map(|v| u64::from(*v))
            .sum::<u64>();
    }
    assert_eq!(values, 293_326_952);
    let table = &site
        .files
        .iter()
        .find(|(p, _)| p.ends_with("points.csv"))
        .unwrap()
        .1;
    assert_eq!(table.lines().count(), registers + 1);
}

#[test]
fn what_is_no_capture_is_said() {
    for (bytes, word) in [
        (&b""[..], "classic pcap"),
        (&[0x0a, 0x0d, 0x0d, 0x0a, 1, 2, 3, 4][..], "editcap"),
        (
            &[
                0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 113, 0, 0,
                0,
            ][..],
            "113",
        ),
    ] {
        let said = Recording::read(bytes).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Any byte of a real capture changed, any part missing: nothing breaks, and a reply still has
    /// as many words as were asked for.
    #[test]
    fn a_damaged_capture_breaks_nothing(
        which in 1_usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let Some(mut bytes) = capture(CAPTURES[which]) else { return Ok(()) };
        for (at, byte) in changes {
            let at = 24 + at.index(bytes.len() - 24);
            bytes[at] = byte;
        }
        bytes.truncate(24 + cut.index(bytes.len() - 24));
        let recording = Recording::read(&bytes).unwrap();
        for (block, replies) in recording.blocks() {
            for (_, reply) in replies {
                if let Reply::Words(words) = reply {
                    prop_assert_eq!(words.len(), usize::from(block.request.count));
                }
            }
        }
        for server in recording.servers() {
            let replay = Replay::of(&recording, server);
            for (block, _) in recording.blocks().filter(|(b, _)| b.server == server) {
                let mut out = Vec::new();
                let _ = replay.read(block.request, &mut out);
            }
            prop_assert_eq!(replay.unknown(), 0);
        }
    }
}
