//! The guard around a socket: tokio-modbus reads and writes through it.
//!
//! Lives here: draining before each write, counting, and handing on only what
//! [`Guard`](crate::modbus::mbap::Guard) accepts. May not live here: what a frame must look like.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Clock, metrics::SourceMetrics};
use crate::modbus::mbap::{Fault, Guard};

/// The guard, shared with whoever wants to see its trace.
pub(crate) type SharedGuard = Arc<Mutex<Guard>>;

pub(crate) fn lock(guard: &SharedGuard) -> MutexGuard<'_, Guard> {
    guard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream whose answers have been checked.
pub(crate) struct Guarded<S> {
    stream: S,
    guard: SharedGuard,
    clock: Clock,
    metrics: Arc<SourceMetrics>,
    /// An accepted frame, and how much of it has been handed on.
    ready: Vec<u8>,
    handed: usize,
    /// Bytes of an announced request that are still to be written.
    unsent: usize,
}

impl<S> fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    pub(crate) fn new(
        stream: S,
        guard: SharedGuard,
        clock: Clock,
        metrics: Arc<SourceMetrics>,
    ) -> Guarded<S> {
        Guarded {
            stream,
            guard,
            clock,
            metrics,
            ready: Vec::with_capacity(260),
            handed: 0,
            unsent: 0,
        }
    }

    /// One read from the socket through the guard. Ready: bytes came, or the stream is over.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; 1024];
        let mut chunk = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut chunk))?;
        let bytes = chunk.filled();
        if bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.metrics.bytes_in.inc_by(bytes.len() as u64);
        let ready = &mut self.ready;
        let mut guard = lock(&self.guard);
        let swallowed = guard.swallowed();
        let result = guard.received(bytes, self.clock.mono(), |frame| {
            ready.extend_from_slice(frame);
        });
        let newly = guard.swallowed() - swallowed;
        if newly > 0 {
            self.metrics.swallowed.inc_by(newly);
        }
        Poll::Ready(result.map_err(|fault| {
            let garbage = guard.left_over().max(bytes.len());
            self.metrics.garbage.inc_by(garbage as u64);
            io_error(fault)
        }))
    }
}

/// A fault travels through tokio-modbus as an I/O error.
fn io_error(fault: Fault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

/// The fault in an I/O error, if it holds one.
pub(crate) fn fault_of(error: &io::Error) -> Option<Fault> {
    error.get_ref()?.downcast_ref().copied()
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.handed == self.ready.len() {
            self.ready.clear();
            self.handed = 0;
            ready!(self.poll_bytes(cx))?;
        }
        let n = buf.remaining().min(self.ready.len() - self.handed);
        buf.put_slice(&self.ready[self.handed..self.handed + n]);
        self.handed += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.unsent == 0 {
            // What an earlier request left behind is no answer to this one.
            while let Poll::Ready(result) = self.poll_bytes(cx) {
                result?;
            }
            self.ready.clear();
            self.handed = 0;
            lock(&self.guard)
                .sending(buf, self.clock.mono())
                .map_err(io_error)?;
            self.unsent = buf.len();
        }
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.unsent = self.unsent.saturating_sub(n);
        self.metrics.bytes_out.inc_by(n as u64);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
