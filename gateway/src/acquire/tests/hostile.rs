//! A wrong, late, duplicated, truncated or merged reply can never become a value of another
//! address (`acquisition.md` section 5.B row 1).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_modbus::client::{Client, tcp};
use tokio_modbus::slave::Slave;
use tokio_modbus::{Error, ProtocolError, Request, Response};

use super::device::{Ask, random};
use super::*;

/// Points are u32: the register's own address, then a number that no two answers share.
fn signed(nonce: &AtomicU64) -> impl Fn(Ask) -> Answer + use<> {
    let first = nonce.fetch_add(1, Ordering::SeqCst);
    let nonce = AtomicU64::new(first);
    move |ask| {
        let n = nonce.fetch_add(1, Ordering::SeqCst) as u16;
        Answer::Registers(
            (ask.address..ask.address + ask.count)
                .map(|a| if a % 2 == 0 { a } else { n })
                .collect(),
        )
    }
}

const KINDS: u64 = 13;

/// One reply in twenty goes wrong. `memory` holds this connection's last honest reply.
fn mangle(
    memory: &mut Vec<u8>,
    frame: Vec<u8>,
    seed: &AtomicU64,
    late: Duration,
) -> Option<Vec<(Duration, Vec<u8>)>> {
    let now = |bytes| Some(vec![(Duration::ZERO, bytes)]);
    let old = std::mem::replace(memory, frame.clone());
    if random(seed, 20) > 0 {
        return now(frame);
    }
    let with = |i: usize, b: u8| {
        let mut f = frame.clone();
        f[i] = b;
        f
    };
    let half = frame.len() / 2;
    match random(seed, KINDS) {
        0 => Some(vec![(late, frame)]),
        1 => now([frame.clone(), frame].concat()),
        2 => now(frame[..half].to_vec()),
        3 => now([&frame[..half], &frame[..]].concat()),
        4 => now([old, frame].concat()),
        5 => now(with(6, frame[6] ^ 3)),
        6 => now(with(1, frame[1].wrapping_sub(1))),
        7 => {
            // a register fewer, in a frame that is lawful in itself
            let mut f = frame[..frame.len() - 2].to_vec();
            f[5] -= 2;
            f[8] -= 2;
            now(f)
        }
        8 => now((0..40).map(|_| random(seed, 256) as u8).collect()),
        9 => None,
        10 => now(with(5, 255)),
        // the last answer once more, under the new transaction's number but with its own length
        11 if old.len() != frame.len() && old.len() > 2 => now([&frame[..2], &old[2..]].concat()),
        11 | 12 => Some(vec![(Duration::ZERO, old), (late / 8, frame)]),
        _ => now(frame),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_polls_of_hostile_devices_yield_no_wrong_value() {
    const DEVICES: usize = 16;
    const POLLS: usize = 20_000;
    let timeout = Duration::from_millis(40);
    let mut site = Site::new();
    let mut servers = Vec::new();
    for n in 0..DEVICES {
        let seed = AtomicU64::new(0x9E37_79B9_7F4A_7C15 ^ (n as u64) << 32 | 1);
        let server = Server::at("127.0.0.1:0", signed(&AtomicU64::new(0)), move |m, f| {
            mangle(m, f, &seed, timeout * 2)
        })
        .await;
        let source = site.source(&server, |s| {
            s.poll.normal = Duration::ZERO;
            s.timeout = timeout;
        });
        // three blocks of different length, and two of the same
        for (start, points) in [(0, 10), (100, 10), (200, 7), (300, 20)] {
            for p in 0..points {
                site.point(source, start + 2 * p, ModbusType::U32, |_, _| {});
            }
        }
        servers.push(server);
    }
    let mut run = site.run();
    let mut newest: HashMap<PointIx, i64> = HashMap::new();
    let (mut values, mut bad) = (0_u64, 0_u64);
    while servers.iter().map(Server::requests).sum::<usize>() < POLLS {
        for s in run.next().await.samples {
            if !s.quality.is_good() {
                bad += 1;
                continue;
            }
            let Binding::Modbus(binding) = &run.table.point(s.point).binding else {
                panic!("a Modbus point")
            };
            let value = s.value.number().expect("a number") as i64;
            assert_eq!(
                value >> 16,
                i64::from(binding.address),
                "a value of another address"
            );
            let n = value & 0xFFFF;
            if let Some(last) = newest.insert(s.point, n) {
                assert!(
                    n > last,
                    "an old answer came back as a new value: {n} after {last}"
                );
            }
            values += 1;
        }
    }
    assert!(values > 100_000, "{values} values");
    assert!(bad > 0, "broken replies are seen");
    assert!(run.count("swallowed_frames_total") > 0.0);
    assert!(run.count("protocol_errors_total") > 0.0);
    assert!(run.count("timeouts_total") > 0.0);
    assert!(run.count("garbage_bytes_total") > 0.0);
    eprintln!(
        "{values} values, {bad} bad, {} swallowed, {} protocol errors, {} timeouts, {} dials",
        run.count("swallowed_frames_total"),
        run.count("protocol_errors_total"),
        run.count("timeouts_total"),
        run.count("dials_total"),
    );
}

/// Why the guard is there: the crate alone takes what comes.
#[tokio::test]
async fn the_bare_crate_takes_a_short_answer_for_good() {
    let server = Server::at("127.0.0.1:0", signed(&AtomicU64::new(0)), |_, mut frame| {
        frame.truncate(frame.len() - 4);
        frame[5] -= 4;
        frame[8] -= 4;
        Some(vec![(Duration::ZERO, frame)])
    })
    .await;
    let mut bare = tcp::connect_slave(server.address, Slave(1))
        .await
        .expect("a server");
    // `Reader::read_holding_registers` panics on this in a debug build and gives two in release
    let answer = bare.call(Request::ReadHoldingRegisters(0, 4)).await;
    let Ok(Ok(Response::ReadHoldingRegisters(words))) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(words.len(), 2, "asked for four");
}

#[tokio::test]
async fn the_bare_crate_never_recovers_from_one_late_answer() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::at(
        "127.0.0.1:0",
        signed(&AtomicU64::new(0)),
        move |_, frame| {
            let late = first.swap(false, Ordering::SeqCst);
            let pause = Duration::from_millis(if late { 120 } else { 60 });
            Some(vec![(pause, frame)])
        },
    )
    .await;
    let mut bare = tcp::connect_slave(server.address, Slave(1))
        .await
        .expect("a server");
    let call = bare.call(Request::ReadHoldingRegisters(0, 4));
    tokio::time::timeout(Duration::from_millis(10), call)
        .await
        .expect_err("too late");
    for address in [100, 200, 300] {
        let error = bare
            .call(Request::ReadHoldingRegisters(address, 4))
            .await
            .expect_err("poisoned");
        let Error::Protocol(ProtocolError::HeaderMismatch { result, .. }) = error else {
            panic!("{error:?}")
        };
        // and it carries the answer to the call before
        let Ok(Response::ReadHoldingRegisters(words)) = result else {
            panic!("{result:?}")
        };
        assert_ne!(words[0], address);
    }
}
