//! A small MQTT 3.1.1 broker for the demo and for tests, never for a plant: QoS 0 and 1, retained
//! messages, wildcards, last wills, persistent sessions in memory, take-over, keep-alive.
//!
//! Lives here: the sockets. The state behind them is in `core`, matching in `topic`. May not live
//! here: anything durable; what is retained or queued dies with the process. One suite of tests
//! judges it against mosquitto (`tests/broker_conformance.rs`). Read first: [`Broker`].
//!
//! What when full: a session holds at most [`BrokerConfig::max_queued`] messages that wait for their
//! client (those in flight included). A message that finds it full is dropped for that session alone
//! and counted in [`BrokerStats::dropped`]: nobody's publisher is held up by somebody's absence, as
//! with mosquitto. QoS 0 is not queued for a client that is away. Control answers (acknowledgements)
//! are bounded by not reading on while more than 64 KiB of them wait. QoS 2 is not spoken: a
//! subscription to it is granted QoS 1, a publication of it ends the connection.

mod core;
mod topic;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{ConnAck, Connect, ConnectReturnCode, Packet};
use rumqttc::mqttbytes::{Error as CodecError, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::core::{Admitted, Core, Outcome, Pulled};

/// Bounds and place of a broker.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Most messages that wait in one session.
    pub max_queued: usize,
    /// Most QoS 1 messages sent to a client and not yet acknowledged by it.
    pub max_in_flight: usize,
    /// Largest packet taken, in bytes.
    pub max_packet: usize,
}

impl Default for BrokerConfig {
    fn default() -> BrokerConfig {
        BrokerConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            max_queued: 100_000,
            max_in_flight: 100,
            max_packet: 1024 * 1024,
        }
    }
}

/// What a broker has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BrokerStats {
    /// Connections that were admitted.
    pub connections: u64,
    /// Messages published to it.
    pub received: u64,
    /// Messages handed to subscribers, repetitions included.
    pub sent: u64,
    /// Messages dropped because a session was full.
    pub dropped: u64,
    /// Connections ended for breaking the protocol.
    pub violations: u64,
}

/// A running broker. Dropping it closes every connection.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    core: Arc<Mutex<Core>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Broker {
    /// Listens on an ephemeral loopback port.
    ///
    /// # Errors
    /// No port to be had.
    pub async fn start() -> io::Result<Broker> {
        Broker::start_with(BrokerConfig::default()).await
    }

    /// Starts on the runtime of the caller.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn start_with(config: BrokerConfig) -> io::Result<Broker> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let core = Arc::new(Mutex::new(Core::new(&config)));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, core.clone(), config.max_packet, stopped));
        Ok(Broker {
            address,
            core,
            stop,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen.
    #[must_use]
    pub fn stats(&self) -> BrokerStats {
        lock(&self.core).stats
    }

    /// Cuts a client's connection without a goodbye: its last will is published. False: it was not
    /// connected.
    #[must_use]
    pub fn cut(&self, client_id: &str) -> bool {
        lock(&self.core).cut(client_id)
    }

    /// Closes the port and every connection, and returns when that is done. No last will is
    /// published: it is the broker that goes, not the clients.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(core: &Mutex<Core>) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    core: Arc<Mutex<Core>>,
    max_packet: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let _ = stream.set_nodelay(true);
                    let core = core.clone();
                    connections.spawn(async move { connection(stream, &core, max_packet).await; });
                }
            }
        }
    }
    connections.shutdown().await;
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// DISCONNECT came: no last will.
    Goodbye,
    /// The socket closed, failed, or was silent for too long.
    Lost,
    /// The client broke the protocol.
    Violation,
    /// Another connection took the client id, or the broker cut it.
    Cut,
}

async fn connection(mut stream: TcpStream, core: &Mutex<Core>, max_packet: usize) {
    let mut buffer = BytesMut::with_capacity(4096);
    let patience = Duration::from_secs(10);
    let first =
        tokio::time::timeout(patience, next_packet(&mut stream, &mut buffer, max_packet)).await;
    let connect = match first {
        Ok(Ok(Some(Packet::Connect(connect)))) => connect,
        Ok(Err(CodecError::InvalidProtocolLevel(_))) => {
            refuse(&mut stream, ConnectReturnCode::RefusedProtocolVersion).await;
            return;
        }
        Ok(Ok(Some(_)) | Err(_)) => {
            lock(core).stats.violations += 1;
            return;
        }
        Ok(Ok(None)) | Err(_) => return,
    };
    if let Some(code) = refusal(&connect) {
        refuse(&mut stream, code).await;
        return;
    }
    let keep_alive = match connect.keep_alive {
        0 => None,
        seconds => Some(Duration::from_millis(u64::from(seconds) * 1500)),
    };
    let admitted = lock(core).admit(connect);
    let (reader, writer) = stream.into_split();
    let end = tokio::select! {
        end = read_loop(reader, buffer, core, &admitted, keep_alive, max_packet) => end,
        end = write_loop(writer, core, &admitted) => end,
    };
    lock(core).leave(&admitted, end == End::Goodbye, end == End::Violation);
}

/// MQTT 3.1.1, 3.1.2.2 and 3.1.3.1: what is refused, and how it is said.
fn refusal(connect: &Connect) -> Option<ConnectReturnCode> {
    if connect.protocol != Protocol::V4 {
        Some(ConnectReturnCode::RefusedProtocolVersion)
    } else if connect.client_id.is_empty() && !connect.clean_session {
        Some(ConnectReturnCode::BadClientId)
    } else {
        None
    }
}

async fn refuse(stream: &mut TcpStream, code: ConnectReturnCode) {
    let mut out = BytesMut::new();
    if ConnAck::new(code, false).write(&mut out).is_ok() {
        let _ = stream.write_all(&out).await;
    }
}

/// The next whole packet; none at the end of the stream.
async fn next_packet<R: AsyncReadExt + Unpin>(
    reader: &mut R,
    buffer: &mut BytesMut,
    max_packet: usize,
) -> Result<Option<Packet>, CodecError> {
    loop {
        match Packet::read(buffer, max_packet) {
            Ok(packet) => return Ok(Some(packet)),
            Err(CodecError::InsufficientBytes(missing)) => buffer.reserve(missing.max(4096)),
            Err(error) => return Err(error),
        }
        match reader.read_buf(buffer).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

async fn read_loop(
    mut reader: OwnedReadHalf,
    mut buffer: BytesMut,
    core: &Mutex<Core>,
    me: &Admitted,
    keep_alive: Option<Duration>,
    max_packet: usize,
) -> End {
    loop {
        let next = next_packet(&mut reader, &mut buffer, max_packet);
        let packet = match keep_alive {
            None => next.await,
            // 3.1.2.10: one and a half times the keep-alive
            Some(limit) => match tokio::time::timeout(limit, next).await {
                Ok(packet) => packet,
                Err(_) => return End::Lost,
            },
        };
        let packet = match packet {
            Ok(Some(packet)) => packet,
            Ok(None) => return End::Lost,
            Err(_) => return End::Violation,
        };
        let outcome = lock(core).handle(me, packet);
        match outcome {
            Outcome::Goes => {}
            Outcome::Full => me.drained.notified().await,
            Outcome::Goodbye => return End::Goodbye,
            Outcome::Violation => return End::Violation,
            Outcome::Cut => return End::Cut,
        }
    }
}

async fn write_loop(mut writer: OwnedWriteHalf, core: &Mutex<Core>, me: &Admitted) -> End {
    let mut out = BytesMut::with_capacity(16 * 1024);
    loop {
        let pulled = lock(core).pull(me, &mut out);
        match pulled {
            Pulled::Cut => return End::Cut,
            Pulled::Nothing => me.woken.notified().await,
            Pulled::Something => {
                if writer.write_all(&out).await.is_err() {
                    return End::Lost;
                }
                out.clear();
                me.drained.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rumqttc::mqttbytes::QoS;
    use rumqttc::mqttbytes::v4::{LastWill, Publish, Subscribe};

    fn packets() -> Vec<Vec<u8>> {
        let mut connect = Connect::new("fuzz");
        connect.last_will = Some(LastWill::new("w", "gone", QoS::AtLeastOnce, true));
        let mut publish = Publish::new("a/b", QoS::AtLeastOnce, "payload");
        publish.pkid = 3;
        let mut subscribe = Subscribe::new("a/+", QoS::AtLeastOnce);
        subscribe.pkid = 4;
        [
            Packet::Connect(connect),
            Packet::Publish(publish),
            Packet::Subscribe(subscribe),
            Packet::PingReq,
        ]
        .iter()
        .map(|packet| {
            let mut out = BytesMut::new();
            packet.write(&mut out, usize::MAX).unwrap();
            out.to_vec()
        })
        .collect()
    }

    proptest! {
        /// Packets with any bytes changed, behind a good CONNECT: whatever they are taken for, the
        /// state stands and the next client is served.
        #[test]
        fn no_bytes_break_the_core(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
            order in prop::collection::vec(0_usize..4, 1..12),
        ) {
            let packets = packets();
            let mut stream: Vec<u8> = order.iter().flat_map(|i| packets[*i].clone()).collect();
            for (at, byte) in changes {
                let at = at.index(stream.len());
                stream[at] = byte;
            }
            let mut core = Core::new(&BrokerConfig::default());
            let me = core.admit(Connect::new("me"));
            let mut buffer = BytesMut::from(&stream[..]);
            let mut out = BytesMut::new();
            while let Ok(packet) = Packet::read(&mut buffer, 1024) {
                if core.handle(&me, packet) != Outcome::Goes {
                    break;
                }
                core.pull(&me, &mut out);
            }
            core.leave(&me, false, true);
            let next = core.admit(Connect::new("next"));
            out.clear();
            prop_assert_eq!(core.pull(&next, &mut out), Pulled::Something);
        }
    }
}
