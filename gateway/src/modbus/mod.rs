//! Modbus without sockets: what to read, what the registers mean, how a device is doing.
//!
//! Lives here: read planning, decoding, qualifying, the state of a unit (illegal addresses,
//! circuit breaker) and the check of a TCP byte stream. May not live here: sockets, tasks,
//! clocks (time comes in as a value). Nothing here can write to a device. Read first: [`plan`],
//! then [`scan`].

pub mod decode;
pub mod device;
pub mod isolate;
pub mod mbap;
pub mod plan;
pub mod qualify;
pub mod scan;

/// What a read brought back: as many registers or bits as were asked for, never fewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// Of an input or holding table.
    Registers(Vec<u16>),
    /// Of a coil or discrete table.
    Bits(Vec<bool>),
}

impl Words {
    /// How many registers or bits.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Words::Registers(r) => r.len(),
            Words::Bits(b) => b.len(),
        }
    }

    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a device answers instead of a value (Modbus Application Protocol V1.1b3, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exception(pub u8);

/// What an exception asks us to do. It is never a fault of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// 01, 02, 03: the configuration names what the device does not have. Find the address.
    Isolate,
    /// 04: the device failed; ask again in the next cycle.
    DeviceFailed,
    /// 05, 06: the device is busy; ask again later.
    Later,
    /// 08 and codes that nobody defined: the answer is worthless.
    Worthless,
    /// 0A, 0B: the unit behind the gateway is not there; the link is healthy.
    UnitDown,
}

impl Exception {
    /// The code as a word for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0x01 => "illegal_function",
            0x02 => "illegal_data_address",
            0x03 => "illegal_data_value",
            0x04 => "server_device_failure",
            0x05 => "acknowledge",
            0x06 => "server_device_busy",
            0x08 => "memory_parity_error",
            0x0A => "gateway_path_unavailable",
            0x0B => "gateway_target_no_response",
            _ => "unknown",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        match self.0 {
            0x01..=0x03 => Remedy::Isolate,
            0x04 => Remedy::DeviceFailed,
            0x05 | 0x06 => Remedy::Later,
            0x0A | 0x0B => Remedy::UnitDown,
            _ => Remedy::Worthless,
        }
    }
}
