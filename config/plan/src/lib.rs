//! Text and point tables to a checked [`Plan`]: every fault at once, each with its place.
//!
//! Lives here: reading `site.toml`, `sources.toml`, `points.csv` (`formats.md` section 2).
//! May not live here: rules (see `davy-rules`), rendering of faults (see `cli`), sockets, clocks.
//! Read first: [`load`], then `points`.

mod address;
mod binding;
mod cell;
mod directory;
mod duration;
mod faults;
mod headers;
mod ids;
mod limits;
#[cfg(test)]
mod manual;
mod overlap;
mod points;
mod points_csv;
mod points_xlsx;
mod register;
mod row;
mod scaling;
mod secrets;
mod site;
mod source_modbus;
mod source_mqtt;
mod sources;
mod text;
mod timing;
mod toml_section;
mod toml_site;
mod topic;

pub use directory::{Loaded, load, load_with_environment};
pub use site::{
    ApprovalKey, CenterPlan, Clock, GatewayPlan, HazardPlan, InfluxSink, ModbusAddress,
    ModbusSource, MqttAddress, MqttSource, Payload, Plan, PollPeriods, SiteSource, TimeRegister,
};
pub use topic::filter_covers;
