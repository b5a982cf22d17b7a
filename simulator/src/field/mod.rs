//! Field devices on real sockets: Modbus TCP servers and MQTT publishers that serve the plant or a
//! recording, and the small broker between them.
//!
//! Lives here: sockets, encoders, captures and data sets. May not live here: process models
//! (`plant`), stories (`scenarios`), any code of the gateway. Read first: [`Field`],
//! then [`modbus_server`] and [`broker`].

mod assembly;
mod backoff;
pub mod broker;
pub mod dataset;
pub mod encode;
pub mod modbus_server;
pub mod mqtt_publisher;
pub mod pcap;
pub mod registers;
mod site_text;

pub use assembly::{DeviceKind, DeviceSpec, Field, FieldError, FieldStats};
pub use mqtt_publisher::PayloadShape;
pub use site_text::{SiteSpec, write_site};

#[cfg(test)]
pub(crate) mod tests_support;
