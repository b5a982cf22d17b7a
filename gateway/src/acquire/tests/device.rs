//! A small Modbus TCP server of the tests' own, which can be told to misbehave. It shares no code
//! with the gateway.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A read request as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) unit: u8,
    pub(super) function: u8,
    pub(super) address: u16,
    pub(super) count: u16,
}

/// What the server does with a request.
pub(super) enum Answer {
    /// Registers from a function of the address.
    Registers(Vec<u16>),
    Bits(Vec<bool>),
    Exception(u8),
    Silence,
    Hangup,
}

type Behaviour = dyn Fn(Ask) -> Answer + Send + Sync;
/// Makes of an honest reply frame the pieces that are sent, with pauses before them; none: hang up.
type Mangle = dyn Fn(&mut Vec<u8>, Vec<u8>) -> Option<Vec<(Duration, Vec<u8>)>> + Send + Sync;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) asked: Arc<Mutex<Vec<Ask>>>,
    pub(super) connections: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(behaviour: impl Fn(Ask) -> Answer + Send + Sync + 'static) -> Server {
        Server::at("127.0.0.1:0", behaviour, |_, frame| {
            Some(vec![(Duration::ZERO, frame)])
        })
        .await
    }

    pub(super) async fn at(
        address: &str,
        behaviour: impl Fn(Ask) -> Answer + Send + Sync + 'static,
        mangle: impl Fn(&mut Vec<u8>, Vec<u8>) -> Option<Vec<(Duration, Vec<u8>)>>
        + Send
        + Sync
        + 'static,
    ) -> Server {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicU64::new(0));
        let (log, count) = (Arc::clone(&asked), Arc::clone(&connections));
        let (behaviour, mangle): (Arc<Behaviour>, Arc<Mangle>) =
            (Arc::new(behaviour), Arc::new(mangle));
        let task = tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                count.fetch_add(1, Ordering::SeqCst);
                clients.spawn(serve(
                    stream,
                    Arc::clone(&behaviour),
                    Arc::clone(&mangle),
                    Arc::clone(&log),
                ));
            }
        });
        Server {
            address,
            asked,
            connections,
            task,
        }
    }

    pub(super) fn requests(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

async fn serve(
    mut stream: TcpStream,
    behaviour: Arc<Behaviour>,
    mangle: Arc<Mangle>,
    log: Arc<Mutex<Vec<Ask>>>,
) {
    let _ = stream.set_nodelay(true);
    // what this connection remembers between replies, for whoever mangles them
    let mut memory = Vec::new();
    let mut request = [0; 12];
    while stream.read_exact(&mut request).await.is_ok() {
        let word = |i: usize| u16::from_be_bytes([request[i], request[i + 1]]);
        let ask = Ask {
            unit: request[6],
            function: request[7],
            address: word(8),
            count: word(10),
        };
        log.lock().expect("no panic").push(ask);
        let body = match behaviour(ask) {
            Answer::Registers(registers) => {
                let mut body = vec![ask.function, (registers.len() * 2) as u8];
                body.extend(registers.iter().flat_map(|r| r.to_be_bytes()));
                body
            }
            Answer::Bits(bits) => {
                let mut bytes = vec![0; bits.len().div_ceil(8)];
                for (i, _) in bits.iter().enumerate().filter(|(_, b)| **b) {
                    bytes[i / 8] |= 1 << (i % 8);
                }
                let mut body = vec![ask.function, bytes.len() as u8];
                body.extend(bytes);
                body
            }
            Answer::Exception(code) => vec![ask.function | 0x80, code],
            Answer::Silence => continue,
            Answer::Hangup => return,
        };
        let mut frame = request[..2].to_vec();
        frame.extend([0, 0, 0, body.len() as u8 + 1, ask.unit]);
        frame.extend(body);
        let Some(pieces) = mangle(&mut memory, frame) else {
            return;
        };
        for (pause, bytes) in pieces {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            if stream.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }
}

/// Registers whose value is a function of their address; asking for one of `illegal` is refused.
pub(super) fn registers(ask: Ask, illegal: &HashSet<u16>, value: impl Fn(u16) -> u16) -> Answer {
    let range = ask.address..ask.address + ask.count;
    if range.clone().any(|a| illegal.contains(&a)) {
        Answer::Exception(2)
    } else {
        Answer::Registers(range.map(value).collect())
    }
}

/// xorshift: the faults of a run are the same in every run.
pub(super) fn random(state: &AtomicU64, below: u64) -> u64 {
    let mut x = state.load(Ordering::SeqCst);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    state.store(x, Ordering::SeqCst);
    x % below
}
