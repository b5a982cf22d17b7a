//! What a rule file says of alarms that have no places yet: causes of suppression, trip groups.

use std::path::PathBuf;
use std::sync::Arc;

use davy_points::{PointIx, Priority, Span};

use super::RuleIx;
use crate::alarm::Level;
use crate::grammar::Expression;

/// A group as the file gives it, before alarms have their places.
#[derive(Debug)]
pub(crate) struct PendingGroup {
    pub(crate) rule: RuleIx,
    pub(crate) name: Arc<str>,
    pub(crate) priority: Priority,
    pub(crate) alarms: Vec<(String, Span)>,
    pub(crate) file: PathBuf,
}

/// A cause as the file gives it, before alarms have their places.
#[derive(Debug)]
pub(crate) struct PendingCause {
    pub(crate) rule: String,
    pub(crate) subjects: Vec<PointIx>,
    pub(crate) levels: Option<Vec<Level>>,
    pub(crate) cause: Arc<str>,
    pub(crate) max_ns: i64,
    pub(crate) by: PendingBy,
    pub(crate) is_overridden: bool,
    pub(crate) file: PathBuf,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum PendingBy {
    /// For each subject.
    While(Vec<Arc<Expression>>),
    /// Names of alarms, for each subject.
    Alarm(Vec<String>),
}
