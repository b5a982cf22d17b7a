//! What comes in: transitions, beats and answers over MQTT, samples as line protocol over HTTP.
//!
//! Lives here: parsing at the border, the order *commit, then acknowledge*, and what the centre
//! tells its gateways. May not live here: decisions about alarms, pages. Read first: `recorder`,
//! then `downlink`, then `samples`.

pub(crate) mod audit;
pub(crate) mod chains;
pub(crate) mod downlink;
pub(crate) mod intake;
pub(crate) mod line;
pub(crate) mod link;
pub(crate) mod recorder;
pub(crate) mod samples;
pub(crate) mod uplink;
