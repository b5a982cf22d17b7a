//! Where a set point comes from.

use crate::alarm::Level;

/// Where a set point comes from, as its limit table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Of which level.
    pub level: Level,
    /// The source named; none where nothing is said.
    pub source: Option<std::sync::Arc<str>>,
    /// Somebody read the number in that source.
    pub verified: bool,
    /// It lies beyond a standard's cap, by a signed override.
    pub overridden: bool,
}
