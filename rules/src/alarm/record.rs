//! Records that cross a border (`formats.md` sections 4 and 5). Names and meanings are fixed:
//! add fields, never repurpose one.

use std::fmt;
use std::sync::Arc;

use davy_points::{Priority, Quality, Timestamp, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Schema version that every record carries.
pub const VERSION: u32 = 1;

/// Level of an alarm within its rule. `alarm` = `rule/tag/level`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Low low.
    Ll,
    /// Low.
    L,
    /// High.
    H,
    /// High high.
    Hh,
    /// The third high step of a standard (ammonia 150 ppm).
    Hhh,
    /// The one level of a rule that has no steps (`stuck`, `discrete`, …).
    On,
    /// No admitted arrival for too long.
    Stale,
    /// Policy `on_bad = "alarm"`, and the level of `quality` rules.
    Bad,
    /// The input of a pending alarm went blind past its gap tolerance; or a source or gateway is lost.
    LossOfView,
    /// An alarm of the rule comes and goes: the chatter guard holds it (section 4).
    Chattering,
}

impl Level {
    /// As in alarm names: `hh`, `loss_of_view`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Ll => "ll",
            Level::L => "l",
            Level::H => "h",
            Level::Hh => "hh",
            Level::Hhh => "hhh",
            Level::On => "on",
            Level::Stale => "stale",
            Level::Bad => "bad",
            Level::LossOfView => "loss_of_view",
            Level::Chattering => "chattering",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The exit condition holds.
    #[default]
    Normal,
    /// Entered; the on-delay runs.
    PendingOn,
    /// Annunciated, or would be.
    Active,
    /// Beyond exit; the off-delay runs.
    PendingOff,
}

/// Whether the condition can be evaluated now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Eval {
    /// On Good input.
    Known,
    /// The UNKNOWN overlay: every alarm starts so.
    #[default]
    Unknown,
}

/// A shelf. Deadlines are wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Shelve {
    /// Ends when the current occurrence (or the next) clears, at the latest at `until`.
    OneShot {
        /// Mandatory maximum.
        until: Timestamp,
    },
    /// Ends at `until`.
    Timed {
        /// Deadline.
        until: Timestamp,
    },
}

impl Shelve {
    /// Its deadline.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        match self {
            Shelve::OneShot { until } | Shelve::Timed { until } => *until,
        }
    }
}

/// Out of service under a permit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutOfService {
    /// Permit id.
    pub permit: String,
    /// Deadline.
    pub until: Timestamp,
}

/// State of one alarm as orthogonal regions. The ISA label is derived, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Regions {
    /// Where the condition stands.
    pub condition: Condition,
    /// Whether it can be evaluated.
    pub eval: Eval,
    /// The open episode's latest occurrence has been acknowledged.
    pub acked: bool,
    /// Confirmed true or false by a person.
    pub confirmed: bool,
    /// What that person found: a true alarm or a false one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<bool>,
    /// Latched after return.
    pub latched: bool,
    /// An occurrence is open: it stays so after the return until it is acknowledged.
    pub open: bool,
    /// On a shelf.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shelved: Option<Shelve>,
    /// Causes that suppress it by design.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub suppressed: Vec<String>,
    /// When the last of the causes ends, at the latest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suppressed_until: Option<Timestamp>,
    /// Taken out of service.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub out_of_service: Option<OutOfService>,
    /// A worse level of the same rule and point stands for it.
    pub masked: bool,
    /// Sounding.
    pub audible: bool,
}

/// The words of ISA-18.2 (its letters differ between editions).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Label {
    /// Nothing stands.
    Normal,
    /// Active, not acknowledged.
    Unack,
    /// Active, acknowledged.
    Acked,
    /// Returned, not acknowledged.
    RtnUnack,
    /// Returned with a latch, not acknowledged.
    LatchUnack,
    /// Returned with a latch, acknowledged, to be reset.
    LatchAck,
    /// On a shelf.
    Shelved,
    /// Suppressed by design.
    Suppressed,
    /// Out of service.
    OutOfService,
}

impl Regions {
    /// Neither shelved nor suppressed, and in service (section 1: only then, and unmasked, does an
    /// alarm annunciate).
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.shelved.is_none() && self.suppressed.is_empty() && self.out_of_service.is_none()
    }

    /// The condition stands, its off-delay included (8.9).
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.condition, Condition::Active | Condition::PendingOff)
    }

    /// The ISA label. Precedence: OUT_OF_SERVICE, SUPPRESSED, SHELVED (`alarm-engine.md` 8.11).
    #[must_use]
    pub fn label(&self) -> Label {
        if self.out_of_service.is_some() {
            Label::OutOfService
        } else if !self.suppressed.is_empty() {
            Label::Suppressed
        } else if self.shelved.is_some() {
            Label::Shelved
        } else {
            self.underlying_label()
        }
    }

    /// The label underneath shelf, suppression and out of service.
    #[must_use]
    pub fn underlying_label(&self) -> Label {
        match (self.is_active(), self.open, self.latched, self.acked) {
            (true, _, _, false) => Label::Unack,
            (true, _, _, true) => Label::Acked,
            (false, true, true, false) => Label::LatchUnack,
            (false, true, true, true) => Label::LatchAck,
            (false, true, false, false) => Label::RtnUnack,
            (false, _, _, _) => Label::Normal,
        }
    }
}

/// Regions before and after a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegionsChange {
    /// Before.
    pub before: Regions,
    /// After.
    pub after: Regions,
}

/// Why a transition happened.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words are the specification's own: formats.md section 4
pub enum Cause {
    Condition,
    Returned,
    Ack,
    Confirm,
    Reset,
    Silence,
    Shelve,
    Unshelve,
    Expired,
    Suppress,
    Unsuppress,
    Masked,
    Unmasked,
    OutOfService,
    InService,
    Quality,
    Realarm,
    UnAck,
    RuleChanged,
    Superseded,
    Restart,
    ClockStep,
    /// First-out: a late earlier event says more than was said.
    Amended,
}

/// Marks on a transition.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words are the specification's own: formats.md section 4
pub enum Flag {
    Assumed,
    Degraded,
    Retrospective,
    Drill,
    Test,
    Grouped,
    Chattering,
    Masked,
    Unjournalled,
}

/// One transition: journal, MQTT, API and export hold this one record (`formats.md` section 4).
///
/// The engine makes it without `prev` and `hash`; the journal adds both. `hash` is the SHA-256 of
/// the stored bytes, which hold `prev` and no `hash`; on the wire `hash` is the last field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// Gapless per owner, from 1.
    pub seq: u64,
    /// Site id.
    pub site: Arc<str>,
    /// Gateway whose engine holds the alarm, or `center`.
    pub owner: Arc<str>,
    /// `rule/tag/level`.
    pub alarm: Arc<str>,
    /// Rule id; `table` for the limits of the point table.
    pub rule: Arc<str>,
    /// Rule kind: `level`, `stale`, `stuck`, `quality`.
    pub kind: Arc<str>,
    /// 位号.
    pub tag: Arc<str>,
    /// Hazard source id, or empty.
    pub hazard: Arc<str>,
    /// Area id, or empty.
    pub area: Arc<str>,
    /// Level within the rule.
    pub level: Level,
    /// 1 critical … 4 low.
    pub priority: Priority,
    /// Occurrence id, 26 characters; empty where none has been yet (an overlay on a NORMAL alarm).
    pub occurrence: Arc<str>,
    /// Occurrence id that opened the episode; empty where none has been yet.
    pub episode: Arc<str>,
    /// Label before.
    pub from: Label,
    /// Label after.
    pub to: Label,
    /// Why.
    pub cause: Cause,
    /// Value that was judged.
    pub value: Value,
    /// Its quality.
    pub quality: Quality,
    /// Limit of the level, where it has one.
    pub limit: Option<f64>,
    /// Unit of value and limit.
    pub unit: Arc<str>,
    /// As rendered then, in the site's language.
    pub text: Arc<str>,
    /// Name of the guidance page, or empty.
    pub guidance: Arc<str>,
    /// Time of the sample or deadline that caused it, UTC ns.
    pub source_time: Timestamp,
    /// When the condition began; none before the first occurrence.
    pub condition_start: Option<Timestamp>,
    /// When the occurrence was annunciated; none before.
    pub annunciated_at: Option<Timestamp>,
    /// Wall time of the envelope that caused it.
    pub recorded_at: Timestamp,
    /// Hash of the rule as it ran.
    pub rule_rev: Arc<str>,
    /// Hash of the plan as it ran.
    pub plan_rev: Arc<str>,
    /// Command that caused it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub command_id: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<String>,
    /// Their reason.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// Marks.
    pub flags: Vec<Flag>,
    /// In a flood: the alarm that came first at the hazard source and is still open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<Arc<str>>,
    /// Regions before and after.
    pub regions: RegionsChange,
    /// Hash of the owner's previous record; the journal sets it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prev: Option<String>,
    /// Hash of this record; the journal sets it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<String>,
}

/// What a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // ISA-18.2 verbs
pub enum Verb {
    Ack,
    UnAck,
    Confirm,
    Reset,
    Silence,
    Shelve,
    Unshelve,
    OutOfService,
    InService,
    Suppress,
    Unsuppress,
    /// Of points, for a bump test or a calibration.
    Bypass,
    /// Ends a bypass.
    Restore,
}

/// A command from a person, addressed by occurrence or by alarm (`formats.md` section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// Applied once however often it arrives.
    pub id: String,
    /// `rule/tag/level`, for verbs on an alarm.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alarm: Option<String>,
    /// Occurrence, for verbs on an occurrence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub occurrence: Option<String>,
    /// What.
    pub verb: Verb,
    /// Who.
    pub actor: String,
    /// In which role.
    pub role: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Deadline of a shelf, of out of service, of a suppression, of a bypass.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    /// Shelve the current occurrence alone, or the next.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub one_shot: bool,
    /// Permit of out of service and bypass; the override that lets a suppression cover priority 1
    /// or the second level of a gas alarm.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub permit: Option<String>,
    /// Second person, where two are needed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub second: Option<String>,
    /// What a confirmation found: `true` or `false`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<String>,
    /// Cause of a suppression.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// Tags that a bypass is for, or `area:ID`, or `device:SOURCE/UNIT`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub points: Vec<String>,
    /// When it was given.
    pub issued_at: Timestamp,
    /// After this it is rejected; an ack may wait for a gateway that is away.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The transition with `seq` is its effect.
    Applied,
    /// Nothing changed; `why` says why.
    Rejected,
}

/// Why a command was rejected.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// It has been acknowledged already.
    AlreadyAcked,
    /// The occurrence belongs to a closed episode.
    StaleOccurrence,
    /// No alarm has or had this occurrence.
    UnknownOccurrence,
    /// No such alarm.
    UnknownAlarm,
    /// The command's time was over.
    Expired,
    /// It does not apply in the alarm's state.
    NotApplicable,
    /// The role may not.
    Forbidden,
    /// A field is missing or out of bounds.
    Malformed,
    /// The verb is not supported by this version.
    Unsupported,
    /// It is on a shelf already: the deadline of a shelf is never moved.
    AlreadyShelved,
    /// Priority 1 and loss of view cannot be shelved.
    NotShelvable,
    /// The deadline lies beyond what may be asked for.
    TooLong,
    /// A deadline that lies ahead is missing.
    NeedsDeadline,
    /// A reason is missing.
    NeedsReason,
    /// The permit is missing; for a suppression, the name of the override.
    NeedsPermit,
    /// A second person is missing, or is the first one.
    NeedsSecondPerson,
    /// It has not been acknowledged.
    NotAcked,
    /// It has not been confirmed true or false.
    NotConfirmed,
    /// It has been confirmed already.
    AlreadyConfirmed,
    /// Its condition stands, or cannot be seen.
    NotNormal,
    /// No such point, area or device.
    UnknownPoint,
    /// More points than may be bypassed at once.
    TooMany,
}

/// Answer to a command (`formats.md` section 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandResult {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// The command.
    pub id: String,
    /// Applied or rejected.
    pub outcome: Outcome,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<Rejection>,
    /// Transition that it made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seq: Option<u64>,
}

/// One alarm that is not at rest, with its latest record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StandingAlarm {
    /// The latest transition of the alarm: what it is, and its regions.
    pub last: Transition,
}

/// All standing alarms of an owner at a `seq` (`formats.md` section 5, `snapshot`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// Owner.
    pub owner: Arc<str>,
    /// The latest transition that it includes.
    pub seq: u64,
    /// Alarms whose label is not NORMAL or that are UNKNOWN.
    pub alarms: Vec<StandingAlarm>,
    /// Which part this is, from 1: a long one comes in several messages.
    #[serde(default = "one")]
    pub part: u32,
    /// How many parts there are.
    #[serde(default = "one")]
    pub parts: u32,
}

const fn one() -> u32 {
    1
}
