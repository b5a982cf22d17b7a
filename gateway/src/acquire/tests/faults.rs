//! What a device, a unit and a link may do, and what the points say then.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::device::{Ask, registers};
use super::*;
use davy_points::NoData;

fn good(ask: Ask) -> Answer {
    registers(ask, &HashSet::new(), |a| a)
}

#[tokio::test]
async fn one_illegal_register_among_100_costs_8_requests_once_and_99_points_nothing() {
    let server = Server::start(|ask| registers(ask, &HashSet::from([37]), |a| a)).await;
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    let points: Vec<_> = (0..100)
        .map(|a| site.point(source, a, ModbusType::U16, |_, _| {}))
        .collect();
    let mut run = site.run();
    let mut seen = HashSet::new();
    while seen.len() < 100 {
        for s in run.next().await.samples {
            if s.point == points[37] {
                assert_eq!(s.quality, Quality::BadConfiguration);
                assert_eq!(s.value, Value::none(NoData::Refused));
            } else {
                assert_eq!(s.quality, Quality::Good);
                assert_eq!(s.value.number(), Some(s.point.index() as f64));
            }
            seen.insert(s.point);
        }
    }
    // the refused request, 8 probes, and the two requests that remain
    let asked = server.asked.lock().expect("no panic").clone();
    let settled = asked.iter().position(|a| (a.address, a.count) == (38, 62));
    assert!(settled.expect("the second half") <= 10);
    run.until(|_| (server.requests() > 30).then_some(())).await;
    let later = server
        .asked
        .lock()
        .expect("no panic")
        .split_off(asked.len());
    assert!(
        later
            .iter()
            .all(|a| [(0, 37), (38, 62)].contains(&(a.address, a.count))),
        "the refused address is not asked again"
    );
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_unknown_function_refuses_its_table_at_once() {
    let server = Server::start(|ask| match ask.function {
        3 => good(ask),
        _ => Answer::Exception(1),
    })
    .await;
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    let holding = site.point(source, 5, ModbusType::U16, |_, _| {});
    let inputs: HashSet<_> = (0..50)
        .map(|a| {
            site.point(source, a, ModbusType::U16, |_, b| {
                b.table = ModbusTable::Input;
            })
        })
        .collect();
    let mut run = site.run();
    let mut refused = HashSet::new();
    while refused.len() < 50 {
        for s in run.next().await.samples {
            if s.point == holding {
                assert_eq!(s.quality, Quality::Good);
            } else {
                assert_eq!(s.quality, Quality::BadConfiguration);
                refused.insert(s.point);
            }
        }
    }
    assert_eq!(refused, inputs);
    let asked = server.asked.lock().expect("no panic").clone();
    assert_eq!(asked.iter().filter(|a| a.function == 4).count(), 2);
}

#[tokio::test]
async fn an_illegal_gap_is_no_longer_bridged_and_blames_no_point() {
    let server = Server::start(|ask| registers(ask, &HashSet::from([3]), |a| a)).await;
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    let points: HashSet<_> = [0, 1, 5, 6]
        .map(|a| site.point(source, a, ModbusType::U16, |_, _| {}))
        .into();
    let mut run = site.run();
    let mut seen = HashSet::new();
    while seen.len() < 4 {
        for s in run.next().await.samples {
            assert_eq!(s.quality, Quality::Good);
            seen.insert(s.point);
        }
    }
    assert_eq!(seen, points);
}

/// One point on a device that answers with this code, then well again.
async fn exception(code: u8, expected: Quality) {
    let failing = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&failing);
    let server = Server::start(move |ask| {
        if switch.load(Ordering::SeqCst) {
            Answer::Exception(code)
        } else {
            good(ask)
        }
    })
    .await;
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    site.point(source, 9, ModbusType::U16, |_, _| {});
    let mut run = site.run();
    run.sample(|s| s.quality.is_good()).await;
    failing.store(true, Ordering::SeqCst);
    let bad = run.sample(|s| !s.quality.is_good()).await;
    assert_eq!(bad.quality, expected, "exception {code:02X}");
    assert!(matches!(bad.value, Value::NoData(_)));
    failing.store(false, Ordering::SeqCst);
    run.sample(|s| s.quality.is_good()).await;
    assert_eq!(
        server.connections.load(Ordering::SeqCst),
        1,
        "an exception is no fault of the link"
    );
    assert!(run.count("exceptions_total") > 0.0);
}

#[tokio::test]
async fn exceptions_are_faults_of_the_device_and_pass() {
    exception(4, Quality::BadDeviceFailure).await;
    exception(5, Quality::BadDeviceFailure).await;
    exception(6, Quality::BadDeviceFailure).await;
    exception(8, Quality::BadDeviceFailure).await;
    exception(0x0A, Quality::BadCommunication).await;
    exception(0x0B, Quality::BadCommunication).await;
}

#[tokio::test]
async fn a_dead_unit_behind_a_gateway_takes_no_other_with_it() {
    let dead = Arc::new(AtomicU8::new(0));
    let switch = Arc::clone(&dead);
    let server = Server::start(move |ask| match switch.load(Ordering::SeqCst) {
        0 => good(ask),
        _ if ask.unit == 1 => good(ask),
        _ => Answer::Exception(0x0B),
    })
    .await;
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    let alive = site.point(source, 9, ModbusType::U16, |_, _| {});
    let dying = site.point(source, 9, ModbusType::U16, |_, b| b.unit_id = 2);
    let mut run = site.run();
    run.sample(|s| s.point == dying && s.quality.is_good())
        .await;
    dead.store(1, Ordering::SeqCst);
    let mut down = None;
    // many polls later: the breaker is open, the other unit is read as ever
    let start = server.requests();
    while server.requests() < start + 60 {
        let batch = run.next().await;
        assert!(batch.events.iter().all(|e| e.up), "the source is not down");
        for s in batch.samples {
            if s.point == alive {
                assert_eq!(s.quality, Quality::Good);
            } else if !s.quality.is_good() {
                down = Some(s.quality);
            }
        }
    }
    assert_eq!(down, Some(Quality::BadCommunication));
    let asked = server.asked.lock().expect("no panic")[start..].to_vec();
    let wasted = asked.iter().filter(|a| a.unit == 2).count();
    assert!(
        wasted <= 10,
        "{wasted} of 60 requests went to the dead unit"
    );
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    dead.store(0, Ordering::SeqCst);
    run.sample(|s| s.point == dying && s.quality.is_good())
        .await;
}

#[tokio::test]
async fn a_silent_device_is_down_and_comes_back() {
    let silent = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&silent);
    let server = Server::start(move |ask| {
        if switch.load(Ordering::SeqCst) {
            Answer::Silence
        } else {
            good(ask)
        }
    })
    .await;
    let mut site = Site::new();
    let source = site.source(&server, |s| s.timeout = Duration::from_millis(100));
    site.point(source, 9, ModbusType::U16, |_, _| {});
    let mut run = site.run();
    run.sample(|s| s.quality.is_good()).await;
    silent.store(true, Ordering::SeqCst);
    let bad = run.sample(|s| !s.quality.is_good()).await;
    assert_eq!(bad.quality, Quality::BadCommunication);
    assert_eq!(bad.value, Value::none(NoData::NoAnswer));
    assert_eq!(run.event(false).await, Quality::BadCommunication);
    silent.store(false, Ordering::SeqCst);
    run.event(true).await;
    run.sample(|s| s.quality.is_good()).await;
}

#[tokio::test]
async fn a_device_that_goes_and_comes_back_at_the_same_address() {
    let honest = |_: &mut Vec<u8>, frame| Some(vec![(Duration::ZERO, frame)]);
    let server = Server::at("127.0.0.1:0", good, honest).await;
    let address = server.address.to_string();
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    site.point(source, 9, ModbusType::U16, |_, _| {});
    let mut run = site.run();
    run.sample(|s| s.quality.is_good()).await;
    drop(server);
    assert_eq!(run.event(false).await, Quality::BadNotConnected);
    let server = Server::at(&address, good, honest).await;
    run.event(true).await;
    let back = run.sample(|s| s.quality.is_good()).await;
    assert_eq!(back.value, Value::F64(9.0));
    drop(server);
}

#[tokio::test]
async fn a_device_that_never_was_is_down_and_its_points_are_bad() {
    let server = Server::start(good).await;
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    site.point(source, 9, ModbusType::U16, |_, _| {});
    drop(server);
    let mut run = site.run();
    let bad = run.sample(|_| true).await;
    assert!(bad.quality.is_bad());
    assert_eq!(run.event(false).await, Quality::BadNotConnected);
    run.handle.stop();
}

#[tokio::test]
async fn one_closed_connection_is_no_fault() {
    let hang_up = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&hang_up);
    let server = Server::start(move |ask| {
        if switch.swap(false, Ordering::SeqCst) {
            Answer::Hangup
        } else {
            good(ask)
        }
    })
    .await;
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    site.point(source, 9, ModbusType::U16, |_, _| {});
    let mut run = site.run();
    run.sample(|_| true).await;
    for _ in 0..5 {
        hang_up.store(true, Ordering::SeqCst);
        let before = server.connections.load(Ordering::SeqCst);
        let mut after = 0;
        while server.connections.load(Ordering::SeqCst) == before || after < 3 {
            let batch = run.next().await;
            assert!(batch.events.iter().all(|e| e.up));
            assert!(batch.samples.iter().all(|s| s.quality.is_good()));
            after += 1;
        }
    }
}

#[tokio::test]
async fn coils_and_status_bits() {
    let fault = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&fault);
    let server = Server::start(move |ask| match ask.function {
        2 => Answer::Bits((0..ask.count).map(|i| (ask.address + i) % 3 == 0).collect()),
        _ => registers(ask, &HashSet::new(), |a| {
            if a == 400 {
                if switch.load(Ordering::SeqCst) { 2 } else { 4 }
            } else {
                a
            }
        }),
    })
    .await;
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    let bits: Vec<_> = (0..20)
        .map(|a| {
            site.point(source, a, ModbusType::Bool, |_, b| {
                b.table = ModbusTable::Discrete;
            })
        })
        .collect();
    // its status register lies far away, in a block of its own
    let gas = site.point(source, 10, ModbusType::U16, |_, b| {
        b.status = Some(davy_points::StatusBits {
            address: 400,
            fault_mask: 2,
            inhibit_mask: 4,
        });
    });
    let mut run = site.run();
    for (a, bit) in bits.iter().enumerate() {
        let s = run.sample(|s| s.point == *bit).await;
        assert_eq!(
            (s.value, s.quality),
            (Value::Bool(a % 3 == 0), Quality::Good)
        );
    }
    let s = run.sample(|s| s.point == gas).await;
    assert_eq!(
        (s.value, s.quality),
        (Value::F64(10.0), Quality::UncertainTest)
    );
    fault.store(true, Ordering::SeqCst);
    let s = run.sample(|s| s.point == gas && s.quality.is_bad()).await;
    assert_eq!(s.quality, Quality::BadDeviceFailure);
    assert_eq!(run.table.point(gas).source, source);
}

#[tokio::test]
async fn a_full_queue_makes_the_poller_wait_and_loses_nothing() {
    let server = Server::start(good).await;
    let mut site = Site::new();
    let source = site.source(&server, |s| s.poll.normal = Duration::ZERO);
    site.point(source, 9, ModbusType::U16, |_, _| {});
    let mut run = site.run();
    let mut next = run.next().await.samples[0].seq;
    // nobody takes anything until the queue and the outbox are full
    let full = async {
        while run.count("queue_full_total") == 0.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, full)
        .await
        .expect("it fills");
    let waited = next + 20_000;
    while next < waited {
        for s in run.next().await.samples {
            assert!(s.seq == next || s.seq == next + 1);
            next = s.seq;
        }
    }
}

#[tokio::test]
async fn what_a_starting_device_refuses_is_asked_for_again_when_it_is_back() {
    let honest = |_: &mut Vec<u8>, frame| Some(vec![(Duration::ZERO, frame)]);
    let server = Server::at("127.0.0.1:0", |_| Answer::Exception(2), honest).await;
    let address = server.address.to_string();
    let mut site = Site::new();
    let source = site.source(&server, |_| {});
    let points: HashSet<_> = (0..9)
        .map(|a| site.point(source, a, ModbusType::U16, |_, _| {}))
        .collect();
    let mut run = site.run();
    let mut refused = HashSet::new();
    while refused.len() < points.len() {
        for s in run.next().await.samples {
            assert_eq!(s.quality, Quality::BadConfiguration);
            refused.insert(s.point);
        }
    }
    drop(server);
    run.event(false).await;
    let _server = Server::at(&address, good, honest).await;
    let mut well = HashSet::new();
    while well.len() < points.len() {
        let batch = run.next().await;
        well.extend(
            batch
                .samples
                .iter()
                .filter(|s| s.quality.is_good())
                .map(|s| s.point),
        );
    }
}

#[tokio::test]
async fn a_point_that_no_request_can_read_is_bad_and_the_rest_is_well() {
    let server = Server::start(good).await;
    let mut site = Site::new();
    let source = site.source(&server, |s| s.max_registers = 3);
    let wide = site.point(source, 0, ModbusType::F64, |_, _| {});
    let odd = site.point(source, 0, ModbusType::U16, |_, b| {
        b.table = ModbusTable::Coil;
    });
    let beyond = site.point(source, 65_535, ModbusType::U32, |_, _| {});
    let well = site.point(source, 7, ModbusType::U16, |_, _| {});
    let mut run = site.run();
    let mut seen = HashSet::new();
    while seen.len() < 4 {
        for s in run.next().await.samples {
            let expected = if s.point == well {
                Quality::Good
            } else {
                Quality::BadConfiguration
            };
            assert_eq!(s.quality, expected);
            seen.insert(s.point);
        }
    }
    assert_eq!(seen, HashSet::from([wide, odd, beyond, well]));
}

#[tokio::test]
async fn a_fast_class_is_not_held_up_by_a_long_slow_scan() {
    // every request takes a millisecond; the slow class needs sixty of them
    let server = Server::at("127.0.0.1:0", good, |_, frame| {
        Some(vec![(Duration::from_millis(1), frame)])
    })
    .await;
    let mut site = Site::new();
    let source = site.source(&server, |s| {
        s.gap = 0;
        s.poll.fast = Duration::from_millis(10);
        s.poll.slow = Duration::from_millis(400);
    });
    site.point(source, 9_000, ModbusType::U16, |d, _| {
        d.poll = PollClass::Fast;
    });
    for n in 0..60 {
        site.point(source, n * 10, ModbusType::U16, |d, _| {
            d.poll = PollClass::Slow;
        });
    }
    let mut run = site.run();
    run.until(|_| (server.requests() > 400).then_some(())).await;
    let asked = server.asked.lock().expect("no panic").clone();
    // between two fast requests there are never so many slow ones as a slow scan has
    let longest = asked
        .split(|a| a.address == 9_000)
        .map(<[Ask]>::len)
        .max()
        .expect("some");
    assert!(longest < 40, "{longest} slow requests in a row");
    assert!(asked.iter().filter(|a| a.address != 9_000).count() > 60);
}

#[tokio::test]
async fn a_device_clock_stamps_unless_it_is_absurd() {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos() as i64;
    for (offset, quality) in [
        (-5_000_000_000, Quality::Good),
        (-400_000_000_000_000, Quality::UncertainClock),
        (3_600_000_000_000, Quality::UncertainClock),
    ] {
        let time = now + offset;
        let server = Server::start(move |ask| {
            registers(ask, &HashSet::new(), |a| match a {
                100..104 => (time >> (48 - 16 * (a - 100))) as u16,
                _ => a,
            })
        })
        .await;
        let mut site = Site::new();
        let source = site.source(&server, |s| {
            s.clock = SourceClock::Device;
            s.time = Some(TimeRegister {
                unit_id: 1,
                table: ModbusTable::Holding,
                address: 100,
                order: ByteOrder::Abcd,
            });
        });
        site.point(source, 9, ModbusType::U16, |_, _| {});
        let mut run = site.run();
        let s = run.sample(|_| true).await;
        assert_eq!((s.value, s.quality), (Value::F64(9.0), quality));
        assert_eq!(s.source_time.ns() == time, quality.is_good());
    }
}
