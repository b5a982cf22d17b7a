//! A Modbus TCP server (MBAP) for functions 1 to 4, written for the simulator alone.
//!
//! Lives here: framing, exceptions, and the misbehaviour that a [`FaultSwitch`] asks for. What is
//! answered comes from a [`Device`]. There is no write function: whoever sends one gets exception 01
//! and is counted. Read first: [`Device`], [`ModbusServer`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::faults::{FaultSwitch, LinkFault};

/// A read, checked: the function is 1 to 4 and the count within the protocol's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadRequest {
    /// Unit id.
    pub unit: u8,
    /// 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers.
    pub function: u8,
    /// First address.
    pub start: u16,
    /// How many, at least 1.
    pub count: u16,
}

/// An exception code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Exception(pub u8);

impl Exception {
    /// 01
    pub const ILLEGAL_FUNCTION: Exception = Exception(1);
    /// 02
    pub const ILLEGAL_ADDRESS: Exception = Exception(2);
    /// 03
    pub const ILLEGAL_VALUE: Exception = Exception(3);
    /// 0B: the gateway's target did not answer.
    pub const TARGET_NO_ANSWER: Exception = Exception(0x0b);
}

/// Whatever stands behind a server.
pub trait Device: Send + Sync + 'static {
    /// A client has connected.
    fn connected(&self) {}

    /// Appends what follows the function code in a good reply (byte count and data), or refuses.
    ///
    /// # Errors
    /// The exception to send; what was appended is then taken back.
    fn read(&self, request: ReadRequest, out: &mut Vec<u8>) -> Result<(), Exception>;
}

impl<D: Device> Device for Arc<D> {
    fn connected(&self) {
        (**self).connected();
    }

    fn read(&self, request: ReadRequest, out: &mut Vec<u8>) -> Result<(), Exception> {
        (**self).read(request, out)
    }
}

/// Counts since the start of a server.
#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
    exceptions: AtomicU64,
    write_attempts: AtomicU64,
    malformed: AtomicU64,
}

/// What a server has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerStats {
    /// Connections accepted.
    pub connections: u64,
    /// Whole frames received.
    pub requests: u64,
    /// Exceptions among the answers.
    pub exceptions: u64,
    /// Requests of any function but 1 to 4. Davy must never cause one.
    pub write_attempts: u64,
    /// Streams that were cut because they were not MBAP.
    pub malformed: u64,
}

/// A running server. Dropping it closes every connection.
#[derive(Debug)]
pub struct ModbusServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    device: Box<dyn Device>,
    faults: Arc<FaultSwitch>,
    counters: Counters,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl ModbusServer {
    /// Listens on an ephemeral loopback port.
    ///
    /// # Errors
    /// No port to be had.
    pub async fn start(device: impl Device, faults: Arc<FaultSwitch>) -> io::Result<ModbusServer> {
        ModbusServer::start_at(([127, 0, 0, 1], 0).into(), device, faults).await
    }

    /// Listens at an address. The server runs on the runtime of the caller.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn start_at(
        address: SocketAddr,
        device: impl Device,
        faults: Arc<FaultSwitch>,
    ) -> io::Result<ModbusServer> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            device: Box::new(device),
            faults,
            counters: Counters::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, shared.clone(), stopped));
        Ok(ModbusServer {
            address,
            shared,
            stop,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The switch of its faults.
    #[must_use]
    pub fn faults(&self) -> &Arc<FaultSwitch> {
        &self.shared.faults
    }

    /// What it has seen.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        let c = &self.shared.counters;
        ServerStats {
            connections: c.connections.load(Ordering::Relaxed),
            requests: c.requests.load(Ordering::Relaxed),
            exceptions: c.exceptions.load(Ordering::Relaxed),
            write_attempts: c.write_attempts.load(Ordering::Relaxed),
            malformed: c.malformed.load(Ordering::Relaxed),
        }
    }

    /// Closes the port and every connection, and returns when that is done.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for ModbusServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts until told to stop. A shut door (`Refuse`) closes the listener itself, so that a client
/// sees its connection refused, and opens the same port again.
async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut refusing = shared.faults.refusing();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if *refusing.borrow_and_update() {
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            match TcpListener::bind(address).await {
                Ok(again) => listener = Some(again),
                Err(error) => {
                    tracing::warn!(%address, %error, "the simulated device cannot open its port again");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            }
        }
        tokio::select! {
            _ = stopped.changed() => break,
            changed = refusing.changed() => {
                if changed.is_err() {
                    break;
                }
            }
            Some(_) = connections.join_next() => {}
            accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            } => {
                if let Ok((stream, _)) = accepted {
                    shared.counters.connections.fetch_add(1, Ordering::Relaxed);
                    shared.device.connected();
                    let shared = shared.clone();
                    connections.spawn(async move { serve(stream, &shared).await; });
                }
            }
        }
    }
    connections.shutdown().await;
}

/// MBAP header: transaction, protocol, length, unit.
const HEADER: usize = 7;
/// The largest frame: 6 bytes and at most 254 more.
const LARGEST: usize = 260;

/// Serves one client: all whole frames in the buffer are answered in one write.
async fn serve(mut stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut input = [0_u8; 4 * LARGEST];
    let mut filled = 0;
    let mut out = Vec::with_capacity(1024);
    // a reply that `Merge` holds back
    let mut held = Vec::new();
    loop {
        let mut used = 0;
        let open = loop {
            match frame(&input[used..filled]) {
                Frame::Whole(length) => {
                    shared.counters.requests.fetch_add(1, Ordering::Relaxed);
                    let request = &input[used..used + length];
                    used += length;
                    let fault = shared.faults.next();
                    if fault == LinkFault::None && held.is_empty() {
                        answer(shared, request, &mut out);
                    } else if !misbehave(shared, fault, request, &mut out, &mut held, &mut stream)
                        .await
                    {
                        return;
                    }
                }
                Frame::Partial => break true,
                Frame::Nonsense => {
                    shared.counters.malformed.fetch_add(1, Ordering::Relaxed);
                    break false;
                }
            }
        };
        if !out.is_empty() {
            if stream.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
        }
        if !open {
            return;
        }
        input.copy_within(used..filled, 0);
        filled -= used;
        match stream.read(&mut input[filled..]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => filled += n,
        }
    }
}

enum Frame {
    Whole(usize),
    Partial,
    Nonsense,
}

fn frame(bytes: &[u8]) -> Frame {
    if bytes.len() < HEADER {
        return Frame::Partial;
    }
    let length = 6 + usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    let protocol = u16::from_be_bytes([bytes[2], bytes[3]]);
    if protocol != 0 || !(HEADER + 1..=LARGEST).contains(&length) {
        Frame::Nonsense
    } else if bytes.len() < length {
        Frame::Partial
    } else {
        Frame::Whole(length)
    }
}

/// Appends the reply to a whole frame.
#[allow(clippy::cast_possible_truncation)] // a reply is at most 260 bytes
fn answer(shared: &Shared, request: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    let function = request[HEADER];
    out.extend_from_slice(&request[..HEADER]);
    out.push(function);
    let result = read_request(request).and_then(|read| shared.device.read(read, out));
    if let Err(exception) = result {
        if !(1..=4).contains(&function) {
            shared
                .counters
                .write_attempts
                .fetch_add(1, Ordering::Relaxed);
        }
        refuse(shared, out, at, exception);
    }
    let length = (out.len() - at - 6) as u16;
    out[at + 4..at + 6].copy_from_slice(&length.to_be_bytes());
}

/// Turns the reply that starts at `at` into an exception.
fn refuse(shared: &Shared, out: &mut Vec<u8>, at: usize, exception: Exception) {
    shared.counters.exceptions.fetch_add(1, Ordering::Relaxed);
    out.truncate(at + HEADER + 1);
    out[at + HEADER] |= 0x80;
    out.push(exception.0);
}

fn read_request(frame: &[u8]) -> Result<ReadRequest, Exception> {
    let function = frame[HEADER];
    let most = match function {
        1 | 2 => 2000,
        3 | 4 => 125,
        _ => return Err(Exception::ILLEGAL_FUNCTION),
    };
    let &[a, b, c, d] = &frame[HEADER + 1..] else {
        return Err(Exception::ILLEGAL_VALUE);
    };
    let count = u16::from_be_bytes([c, d]);
    if count == 0 || count > most {
        return Err(Exception::ILLEGAL_VALUE);
    }
    let start = u16::from_be_bytes([a, b]);
    if u32::from(start) + u32::from(count) > 0x1_0000 {
        return Err(Exception::ILLEGAL_ADDRESS);
    }
    Ok(ReadRequest {
        unit: frame[6],
        function,
        start,
        count,
    })
}

/// Answers as the fault wants. False: the connection is to be cut.
#[allow(clippy::cast_possible_truncation)] // a reply is at most 260 bytes
async fn misbehave(
    shared: &Shared,
    fault: LinkFault,
    request: &[u8],
    out: &mut Vec<u8>,
    held: &mut Vec<u8>,
    stream: &mut TcpStream,
) -> bool {
    let at = out.len();
    out.append(held);
    let from = out.len();
    answer(shared, request, out);
    match fault {
        LinkFault::None => {}
        LinkFault::Silent => out.truncate(at),
        LinkFault::Refuse | LinkFault::Drop => {
            out.truncate(at);
            let _ = stream.write_all(out).await;
            return false;
        }
        LinkFault::Late(by) => {
            tokio::time::sleep(by).await;
        }
        LinkFault::Duplicate => out.extend_from_within(from..),
        LinkFault::Truncate => out.truncate(from + (out.len() - from) / 2),
        LinkFault::Merge => held.extend(out.drain(from..)),
        LinkFault::Split => {
            let all = std::mem::take(out);
            for byte in all {
                if stream.write_all(&[byte]).await.is_err() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
        }
        LinkFault::WrongTransaction => out[from + 1] = out[from + 1].wrapping_add(1),
        LinkFault::WrongUnit => out[from + 6] = out[from + 6].wrapping_add(1),
        LinkFault::Short => {
            let function = out[from + HEADER];
            let cut = if function <= 2 { 1 } else { 2 };
            // a recorded reply may be shorter than its own byte count
            let data = (out.len() - from).saturating_sub(HEADER + 2);
            if function < 0x80 && data >= cut {
                out.truncate(out.len() - cut);
                out[from + HEADER + 1] = out[from + HEADER + 1].wrapping_sub(cut as u8);
                let length = (out.len() - from - 6) as u16;
                out[from + 4..from + 6].copy_from_slice(&length.to_be_bytes());
            }
        }
        LinkFault::Garbage => {
            let length = out.len() - from;
            out.truncate(from);
            shared.faults.garbage(out, length);
        }
        LinkFault::Exception(code) => {
            if out[from + HEADER] < 0x80 {
                refuse(shared, out, from, Exception(code));
                out[from + 4..from + 6].copy_from_slice(&3_u16.to_be_bytes());
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::registers::Image;
    use crate::field::tests_support::{holding, modbus};
    use davy_points::{ModbusTable, ModbusType};
    use std::time::Duration;

    async fn server() -> ModbusServer {
        let points = [
            holding("A", 0, ModbusType::U16),
            holding("B", 1, ModbusType::U16),
            modbus("C", 1, ModbusTable::Coil, 0, ModbusType::Bool),
        ];
        let image = Image::for_points(&points);
        image.write(&points[0], 258.0);
        image.write(&points[1], 3.0);
        image.write(&points[2], 1.0);
        ModbusServer::start(image, Arc::new(FaultSwitch::new(1)))
            .await
            .unwrap()
    }

    async fn exchange(stream: &mut TcpStream, request: &[u8], expected: &[u8]) {
        stream.write_all(request).await.unwrap();
        expect(stream, expected).await;
    }

    async fn expect(stream: &mut TcpStream, expected: &[u8]) {
        let mut got = vec![0; expected.len()];
        tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut got))
            .await
            .expect("an answer")
            .unwrap();
        assert_eq!(got, expected);
    }

    const READ_TWO: [u8; 12] = [0, 9, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2];
    const TWO: [u8; 13] = [0, 9, 0, 0, 0, 7, 1, 3, 4, 1, 2, 0, 3];

    #[tokio::test]
    async fn answers_byte_for_byte() {
        let server = server().await;
        let mut s = TcpStream::connect(server.address()).await.unwrap();
        exchange(&mut s, &READ_TWO, &TWO).await;
        // coils
        exchange(
            &mut s,
            &[1, 2, 0, 0, 0, 6, 1, 1, 0, 0, 0, 1],
            &[1, 2, 0, 0, 0, 4, 1, 1, 1, 1],
        )
        .await;
        // beyond the end: 02; count zero or too many: 03; a write, and a function nobody knows: 01
        for (request, reply) in [
            (
                [0, 1, 0, 0, 0, 6, 1, 3, 0, 1, 0, 2],
                [0, 1, 0, 0, 0, 3, 1, 0x83, 2],
            ),
            (
                [0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 0],
                [0, 1, 0, 0, 0, 3, 1, 0x83, 3],
            ),
            (
                [0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 126],
                [0, 1, 0, 0, 0, 3, 1, 0x83, 3],
            ),
            (
                [0, 1, 0, 0, 0, 6, 1, 3, 0xff, 0xff, 0, 2],
                [0, 1, 0, 0, 0, 3, 1, 0x83, 2],
            ),
            (
                [0, 1, 0, 0, 0, 6, 1, 6, 0, 0, 0, 1],
                [0, 1, 0, 0, 0, 3, 1, 0x86, 1],
            ),
            (
                [0, 1, 0, 0, 0, 6, 1, 99, 0, 0, 0, 1],
                [0, 1, 0, 0, 0, 3, 1, 0xe3, 1],
            ),
            (
                [0, 1, 0, 0, 0, 6, 7, 3, 0, 0, 0, 1],
                [0, 1, 0, 0, 0, 3, 7, 0x83, 0x0b],
            ),
        ] {
            exchange(&mut s, &request, &reply).await;
        }
        let stats = server.stats();
        assert_eq!((stats.write_attempts, stats.exceptions), (2, 7));
        server.stop().await;
        assert_eq!(s.read(&mut [0]).await.unwrap_or(0), 0, "closed");
    }

    #[tokio::test]
    async fn frames_may_come_in_pieces_or_many_at_once() {
        let server = server().await;
        let mut s = TcpStream::connect(server.address()).await.unwrap();
        for byte in READ_TWO {
            s.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        expect(&mut s, &TWO).await;
        let many: Vec<u8> = std::iter::repeat_n(READ_TWO, 500).flatten().collect();
        let replies: Vec<u8> = std::iter::repeat_n(TWO, 500).flatten().collect();
        exchange(&mut s, &many, &replies).await;
    }

    #[tokio::test]
    async fn a_stream_that_is_not_mbap_is_cut_and_counted() {
        let server = server().await;
        for nonsense in [*b"GET / HTTP/1.1\r\n", [0; 16], [0xff; 16]] {
            let mut s = TcpStream::connect(server.address()).await.unwrap();
            s.write_all(&nonsense).await.unwrap();
            assert_eq!(s.read(&mut [0]).await.unwrap_or(0), 0);
        }
        assert_eq!(server.stats().malformed, 3);
    }

    #[tokio::test]
    async fn faults_strike_while_it_runs_and_pass() {
        let server = server().await;
        let faults = server.faults().clone();
        let mut s = TcpStream::connect(server.address()).await.unwrap();
        faults.set(LinkFault::WrongTransaction);
        exchange(&mut s, &READ_TWO, &[0, 10, 0, 0, 0, 7, 1, 3, 4, 1, 2, 0, 3]).await;
        faults.set(LinkFault::WrongUnit);
        exchange(&mut s, &READ_TWO, &[0, 9, 0, 0, 0, 7, 2, 3, 4, 1, 2, 0, 3]).await;
        faults.set(LinkFault::Short);
        exchange(&mut s, &READ_TWO, &[0, 9, 0, 0, 0, 5, 1, 3, 2, 1, 2]).await;
        faults.set(LinkFault::Exception(6));
        exchange(&mut s, &READ_TWO, &[0, 9, 0, 0, 0, 3, 1, 0x83, 6]).await;
        faults.set(LinkFault::Duplicate);
        exchange(&mut s, &READ_TWO, &[TWO, TWO].concat()).await;
        faults.set(LinkFault::Split);
        exchange(&mut s, &READ_TWO, &TWO).await;
        faults.set(LinkFault::Late(Duration::from_millis(20)));
        exchange(&mut s, &READ_TWO, &TWO).await;
        faults.set(LinkFault::Merge);
        s.write_all(&READ_TWO).await.unwrap();
        while faults.struck() < 8 {
            tokio::task::yield_now().await;
        }
        faults.clear();
        exchange(&mut s, &READ_TWO, &[TWO, TWO].concat()).await;
        faults.set(LinkFault::Truncate);
        exchange(&mut s, &READ_TWO, &TWO[..6]).await;
        faults.set(LinkFault::Garbage);
        exchange_any(&mut s, &READ_TWO, TWO.len()).await;
        faults.set(LinkFault::Silent);
        s.write_all(&READ_TWO).await.unwrap();
        while faults.struck() < 11 {
            tokio::task::yield_now().await;
        }
        faults.set(LinkFault::Drop);
        s.write_all(&READ_TWO).await.unwrap();
        assert_eq!(
            s.read(&mut [0]).await.unwrap_or(0),
            0,
            "cut, and silent before"
        );

        faults.set(LinkFault::Refuse);
        while TcpStream::connect(server.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
        faults.clear();
        let mut s = loop {
            if let Ok(s) = TcpStream::connect(server.address()).await {
                break s;
            }
            tokio::task::yield_now().await;
        };
        exchange(&mut s, &READ_TWO, &TWO).await;
    }

    /// A device that answers with anything.
    struct Garbled(Vec<u8>);

    impl Device for Garbled {
        fn read(&self, _: ReadRequest, out: &mut Vec<u8>) -> Result<(), Exception> {
            out.extend_from_slice(&self.0);
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_fault_can_strike_every_answer() {
        let late = LinkFault::Late(Duration::from_millis(1));
        for bytes in [vec![], vec![0], vec![255, 1], vec![4, 1, 2, 3, 4]] {
            let server = ModbusServer::start(Garbled(bytes), Arc::new(FaultSwitch::new(1)))
                .await
                .unwrap();
            for fault in [
                LinkFault::None,
                late,
                LinkFault::Duplicate,
                LinkFault::Truncate,
                LinkFault::Split,
                LinkFault::WrongTransaction,
                LinkFault::WrongUnit,
                LinkFault::Short,
                LinkFault::Garbage,
                LinkFault::Exception(4),
            ] {
                server.faults().set(fault);
                let mut s = TcpStream::connect(server.address()).await.unwrap();
                for request in [READ_TWO, [0, 1, 0, 0, 0, 6, 1, 6, 0, 0, 0, 1]] {
                    s.write_all(&request).await.unwrap();
                    let mut one = [0];
                    let answered = tokio::time::timeout(Duration::from_secs(20), s.read(&mut one));
                    assert_eq!(answered.await.unwrap().unwrap(), 1, "{fault:?}");
                }
            }
        }
    }

    async fn exchange_any(stream: &mut TcpStream, request: &[u8], length: usize) {
        stream.write_all(request).await.unwrap();
        let mut got = vec![0; length];
        stream.read_exact(&mut got).await.unwrap();
        assert_ne!(got, TWO);
    }
}
