//! The plan: what a site is, checked and resolved. All processes of a site read the same one.
//!
//! Lives here: the types. May not live here: reading them (`toml_site`, `sources`, `row`).
//! Types that hold a secret write their own `Debug`, so that none reaches a log.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use davy_points::{ByteOrder, ModbusTable, PointTable, PollClass, SourceIx};

/// A checked configuration directory. Whoever holds one need not check again.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The directory that it was read from.
    pub dir: PathBuf,
    /// Site id: `[a-z0-9-]+`, as in topics.
    pub site: Arc<str>,
    /// Name for people.
    pub name: String,
    /// IANA zone of the site, `Asia/Shanghai`.
    pub zone: String,
    /// Hazard sources (重大危险源).
    pub hazards: Vec<HazardPlan>,
    /// Areas of responsibility: id and name.
    pub areas: Vec<(String, String)>,
    /// Gateways.
    pub gateways: Vec<GatewayPlan>,
    /// The control room.
    pub center: CenterPlan,
    /// External engines that mirror the history (InfluxDB v2 API), each with its own cursor.
    pub sinks: Vec<InfluxSink>,
    /// `[storage] path`: state of all processes, one folder for each beneath it.
    pub storage: PathBuf,
    /// Key that signs limits beyond a standard's cap, read from `[approval] key_file`; none: no such
    /// limit can be verified.
    pub approval_key: Option<ApprovalKey>,
    /// Points and the engine's view of the sources.
    pub points: Arc<PointTable>,
    /// Sources with all that acquisition needs, indexed by [`SourceIx`].
    pub sources: Vec<SiteSource>,
    /// Rule files, relative path and text, sorted by path: the input of `davy_rules::language`.
    pub rule_files: Vec<(PathBuf, String)>,
    /// Test files (`*.test.toml`), relative path and text, sorted by path.
    pub test_files: Vec<(PathBuf, String)>,
    /// Guidance pages: name without `.md`, and text, sorted.
    pub guidance: Vec<(String, String)>,
    /// SHA-256 (hex, first 16 characters) over every file read, names included.
    pub rev: Arc<str>,
}

/// A key that signs; its bytes reach no log.
#[derive(Clone, PartialEq, Eq)]
pub struct ApprovalKey(pub Vec<u8>);

impl fmt::Debug for ApprovalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApprovalKey(…)")
    }
}

/// A hazard source (重大危险源) as registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HazardPlan {
    /// Id that points name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// 危险源等级 1 (highest) to 4; none: not graded yet.
    pub grade: Option<u8>,
    /// Main substance, free text.
    pub substance: String,
}

/// One gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPlan {
    /// Id: `[a-z0-9-]+`, the owner of its points' alarms.
    pub id: Arc<str>,
    /// Name for people.
    pub name: String,
}

/// The control room.
#[derive(Clone, PartialEq, Eq)]
pub struct CenterPlan {
    /// Where the console listens, `127.0.0.1:8080`. Loopback only until sign-in exists.
    pub listen: String,
    /// Where gateways reach `/api/v2/write`: `http://127.0.0.1:8080`. Default from `listen`.
    pub url: String,
    /// Broker between gateways and centre: `mqtt://127.0.0.1:1883`.
    pub broker: MqttAddress,
    /// Token that `/api/v2/write` demands, read from `token_file` or the environment; none: no token.
    pub token: Option<String>,
    /// Key that signs commands (HMAC-SHA-256), read from `command_key_file`; none: unsigned.
    pub command_key: Option<Vec<u8>>,
}

/// An engine that takes the InfluxDB v2 API.
#[derive(Clone, PartialEq, Eq)]
pub struct InfluxSink {
    /// Id of the sink and of its cursor.
    pub id: String,
    /// Base URL without a path.
    pub url: String,
    /// Organisation.
    pub org: String,
    /// Bucket.
    pub bucket: String,
    /// Token; secret.
    pub token: Option<String>,
}

/// A source with all that acquisition needs.
#[derive(Debug, Clone, PartialEq)]
pub enum SiteSource {
    /// A Modbus device, or several units behind one address.
    Modbus(ModbusSource),
    /// An MQTT broker with field devices.
    Mqtt(MqttSource),
}

/// A Modbus link.
#[derive(Debug, Clone, PartialEq)]
pub struct ModbusSource {
    /// Index in the point table's sources.
    pub ix: SourceIx,
    /// Id.
    pub id: Arc<str>,
    /// Gateway that reads it.
    pub gateway: Arc<str>,
    /// Where.
    pub address: ModbusAddress,
    /// Deadline of one call.
    pub timeout: Duration,
    /// Poll periods by class.
    pub poll: PollPeriods,
    /// Unread registers that may be bridged in one request.
    pub gap: u16,
    /// Most registers in one request, 1 to 125.
    pub max_registers: u16,
    /// Requests in flight; 1 unless the device allows more.
    pub in_flight: u16,
    /// Whose clock stamps the samples.
    pub clock: Clock,
    /// Register that holds the row's time, for `clock = "recorded"` or `"device"`.
    pub time: Option<TimeRegister>,
}

/// A register that holds UTC nanoseconds as i64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRegister {
    /// Unit id.
    pub unit_id: u8,
    /// Table.
    pub table: ModbusTable,
    /// Zero-based address of the first of its four registers.
    pub address: u16,
    /// Byte order.
    pub order: ByteOrder,
}

/// Where a Modbus link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModbusAddress {
    /// `tcp://HOST:PORT`
    Tcp {
        /// Host name or address.
        host: String,
        /// Port, 502 by default.
        port: u16,
    },
}

/// Poll periods by class. A period of zero polls as fast as the device answers (recordings).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollPeriods {
    /// Class `fast`.
    pub fast: Duration,
    /// Class `normal`.
    pub normal: Duration,
    /// Class `slow`.
    pub slow: Duration,
}

impl PollPeriods {
    /// The period of a class.
    #[must_use]
    pub const fn of(&self, class: PollClass) -> Duration {
        match class {
            PollClass::Fast => self.fast,
            PollClass::Normal => self.normal,
            PollClass::Slow => self.slow,
        }
    }
}

/// An MQTT field source.
#[derive(Debug, Clone, PartialEq)]
pub struct MqttSource {
    /// Index in the point table's sources.
    pub ix: SourceIx,
    /// Id.
    pub id: Arc<str>,
    /// Gateway that reads it.
    pub gateway: Arc<str>,
    /// Where.
    pub address: MqttAddress,
    /// Topic filters to subscribe to.
    pub topics: Vec<String>,
    /// How payloads are read.
    pub payload: Payload,
    /// No arrival for longer is stale.
    pub stale_after: Duration,
    /// Whose clock stamps the samples.
    pub clock: Clock,
}

/// An MQTT broker.
#[derive(Clone, PartialEq, Eq)]
pub struct MqttAddress {
    /// Host name or address.
    pub host: String,
    /// Port, 1883 by default.
    pub port: u16,
    /// User name.
    pub user: Option<String>,
    /// Password; secret.
    pub password: Option<String>,
}

/// Shown in place of a secret.
struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn redact<T>(secret: Option<&T>) -> Option<Redacted> {
    secret.map(|_| Redacted)
}

impl fmt::Debug for CenterPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CenterPlan")
            .field("listen", &self.listen)
            .field("url", &self.url)
            .field("broker", &self.broker)
            .field("token", &redact(self.token.as_ref()))
            .field("command_key", &redact(self.command_key.as_ref()))
            .finish()
    }
}

impl fmt::Debug for InfluxSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InfluxSink")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("org", &self.org)
            .field("bucket", &self.bucket)
            .field("token", &redact(self.token.as_ref()))
            .finish()
    }
}

impl fmt::Debug for MqttAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttAddress")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("password", &redact(self.password.as_ref()))
            .finish()
    }
}

/// How a payload is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON: paths of the value and, where it has one, of the time (RFC 3339 text, or a number of
    /// seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by size).
    Json {
        /// Path of the value, used where the point's own binding has none.
        value: String,
        /// Path of the time.
        time: Option<String>,
    },
    /// The payload is one number as text.
    Number,
}

/// Whose clock stamps the samples of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Clock {
    /// The device's or payload's time where it has one.
    Device,
    /// The gateway's.
    #[default]
    Arrival,
    /// A recording: its clock is the pipeline's.
    Recorded,
}
