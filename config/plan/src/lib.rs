//! Text and point tables to a checked [`Plan`]: every fault at once, each with its place.
//!
//! Lives here: reading `site.toml`, `sources.toml`, `points.csv` (`formats.md` section 2).
//! May not live here: rules (see `davy-rules`), rendering of faults (see `cli`), sockets.

mod site;

pub use site::{
    CenterPlan, Clock, GatewayPlan, HazardPlan, InfluxSink, ModbusAddress, ModbusSource,
    MqttAddress, MqttSource, Payload, Plan, PollPeriods, SiteSource, TimeRegister,
};
