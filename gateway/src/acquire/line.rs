//! The line to a device: it can be read and nothing else.

use std::future::Future;
use std::io;

use davy_points::ModbusTable;

use crate::modbus::mbap::Fault;
use crate::modbus::{Exception, Words};

/// A line to one or more units. There is no function that writes to a device, here or below.
pub trait Line: Send + 'static {
    /// Dials. A connection that is up is dropped first.
    fn connect(&mut self) -> impl Future<Output = Result<(), LineError>> + Send;

    /// A connection is up, as far as we know.
    fn is_connected(&self) -> bool;

    /// Reads exactly `count` registers or bits. After any error but an exception the connection
    /// is gone, so that nothing of the old one can be taken for a new answer.
    fn read(
        &mut self,
        unit_id: u8,
        table: ModbusTable,
        address: u16,
        count: u16,
    ) -> impl Future<Output = Result<Words, LineError>> + Send;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The device answered with an exception: a fault of the device or of the configuration,
    /// not of the line.
    #[error("exception {:02X} {}", .0.0, .0.name())]
    Exception(Exception),
    /// No answer within the time of the source.
    #[error("no answer in time")]
    Timeout,
    /// The stream cannot be trusted.
    #[error("protocol: {0}")]
    Protocol(Fault),
    /// The connection is closed or broken.
    #[error("connection: {0}")]
    Io(#[from] io::Error),
    /// There is no connection.
    #[error("not connected")]
    NotConnected,
}
