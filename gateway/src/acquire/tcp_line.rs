//! Modbus TCP by tokio-modbus, behind our guard.
//!
//! Lives here: dialling, deadlines, and the mapping of the crate's nested results. May not live
//! here: when to redial (`poller`). `Client::call` is used instead of the crate's `Reader`,
//! whose length check is a `debug_assert`: a lying device would stop a debug build and be
//! believed by a release build.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use davy_plan::{ModbusAddress, ModbusSource};
use davy_points::ModbusTable;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};
use tokio_modbus::{Request, Response};

use super::guarded::{Guarded, SharedGuard, fault_of, lock};
use super::metrics::SourceMetrics;
use super::{Clock, Line, LineError};
use crate::modbus::mbap::{Fault, Guard, TraceFrame};
use crate::modbus::{Exception, Words};

/// A connection must stand within this time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Unacknowledged data may wait so long before the kernel gives the connection up.
const USER_TIMEOUT_MS: u32 = 15_000;

/// A line over Modbus TCP.
pub struct TokioModbusLine {
    host: String,
    port: u16,
    timeout: Duration,
    clock: Clock,
    metrics: Arc<SourceMetrics>,
    connection: Option<(Context, SharedGuard)>,
    deadline: Deadline,
}

impl TokioModbusLine {
    pub(crate) fn new(
        source: &ModbusSource,
        clock: Clock,
        metrics: Arc<SourceMetrics>,
    ) -> TokioModbusLine {
        let ModbusAddress::Tcp { host, port } = &source.address;
        TokioModbusLine {
            host: host.clone(),
            port: *port,
            timeout: source.timeout,
            clock,
            metrics,
            connection: None,
            deadline: Deadline::default(),
        }
    }

    /// The last frames of the connection, oldest first.
    #[must_use]
    pub fn trace(&self) -> Vec<TraceFrame> {
        self.connection
            .as_ref()
            .map_or_else(Vec::new, |(_, guard)| {
                lock(guard).trace().iter().cloned().collect()
            })
    }

    /// Drops the connection and says why, with its last frames for whoever traces.
    fn broken(&mut self, error: LineError) -> LineError {
        if matches!(error, LineError::Protocol(_)) {
            self.metrics.protocol_errors.inc();
            for frame in self.trace() {
                tracing::debug!(
                    host = self.host,
                    port = self.port,
                    sent = frame.sent,
                    swallowed = frame.swallowed,
                    bytes = ?frame.bytes,
                    "frame before the fault"
                );
            }
        }
        self.connection = None;
        error
    }
}

async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    // An address needs no resolver, which would be another thread.
    let stream = match host.parse() {
        Ok(ip) => TcpStream::connect(SocketAddr::new(ip, port)).await?,
        Err(_) => TcpStream::connect((host, port)).await?,
    };
    stream.set_nodelay(true)?;
    keep_alive(&stream)?;
    Ok(stream)
}

/// A peer that vanished is found by the kernel within 25 s, and within 15 s where data waits.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(10))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_tcp_user_timeout(stream, USER_TIMEOUT_MS)?;
    Ok(())
}

impl Line for TokioModbusLine {
    async fn connect(&mut self) -> Result<(), LineError> {
        self.connection = None;
        self.metrics.dials.inc();
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, dial(&self.host, self.port))
            .await
            .map_err(|_| LineError::Timeout)??;
        let guard = SharedGuard::new(Guard::new().into());
        let guarded = Guarded::new(
            stream,
            Arc::clone(&guard),
            self.clock,
            Arc::clone(&self.metrics),
        );
        self.connection = Some((tcp::attach_slave(guarded, Slave(0)), guard));
        Ok(())
    }

    fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    async fn read(
        &mut self,
        unit_id: u8,
        table: ModbusTable,
        address: u16,
        count: u16,
    ) -> Result<Words, LineError> {
        let Some((context, _)) = &mut self.connection else {
            return Err(LineError::NotConnected);
        };
        context.set_slave(Slave(unit_id));
        let request = match table {
            ModbusTable::Coil => Request::ReadCoils(address, count),
            ModbusTable::Discrete => Request::ReadDiscreteInputs(address, count),
            ModbusTable::Input => Request::ReadInputRegisters(address, count),
            ModbusTable::Holding => Request::ReadHoldingRegisters(address, count),
        };
        let answer = match self
            .deadline
            .within(self.timeout, context.call(request))
            .await
        {
            Err(Late) => {
                self.metrics.timeouts.inc();
                return Err(self.broken(LineError::Timeout));
            }
            Ok(Err(error)) => return Err(self.broken(link_error(error))),
            Ok(Ok(Err(code))) => return Err(LineError::Exception(Exception(code.into()))),
            Ok(Ok(Ok(answer))) => answer,
        };
        let count = usize::from(count);
        let words = match (table, answer) {
            (ModbusTable::Coil, Response::ReadCoils(mut bits))
            | (ModbusTable::Discrete, Response::ReadDiscreteInputs(mut bits)) => {
                // The crate unpacks whole bytes; the guard has checked how many.
                if bits.len().div_ceil(8) == count.div_ceil(8) {
                    bits.truncate(count);
                }
                Words::Bits(bits)
            }
            (ModbusTable::Input, Response::ReadInputRegisters(registers))
            | (ModbusTable::Holding, Response::ReadHoldingRegisters(registers)) => {
                Words::Registers(registers)
            }
            _ => return Err(self.broken(LineError::Protocol(Fault::WrongFunction))),
        };
        if words.len() == count {
            Ok(words)
        } else {
            Err(self.broken(LineError::Protocol(Fault::WrongLength)))
        }
    }
}

/// A timer that is set again only when it fires. An ordinary time-out enters the timer wheel for
/// every request and leaves it again, which at a hundred thousand requests a second counts.
#[derive(Default)]
struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
}

/// The time was over first.
struct Late;

impl Deadline {
    async fn within<F: Future>(&mut self, limit: Duration, work: F) -> Result<F::Output, Late> {
        let mut work = pin!(work);
        let mut until = None;
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            let until = *until.get_or_insert_with(|| Instant::now() + limit);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            loop {
                if timer.as_mut().poll(cx).is_pending() {
                    // It may be set for an earlier request: then it fires early and is set anew.
                    return Poll::Pending;
                }
                if Instant::now() >= until {
                    return Poll::Ready(Err(Late));
                }
                timer.as_mut().reset(until);
            }
        })
        .await
    }
}

fn link_error(error: tokio_modbus::Error) -> LineError {
    match error {
        tokio_modbus::Error::Transport(error) => match fault_of(&error) {
            Some(fault) => LineError::Protocol(fault),
            // The crate's own words for bytes that it cannot decode.
            None if error.kind() == io::ErrorKind::InvalidData => {
                LineError::Protocol(Fault::Garbage)
            }
            None => LineError::Io(error),
        },
        // The guard lets neither pass; were it wrong, the payload within must not be read.
        tokio_modbus::Error::Protocol(_) => LineError::Protocol(Fault::WrongFunction),
    }
}
