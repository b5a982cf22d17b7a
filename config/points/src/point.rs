//! A point as its row of the point table says, checked and resolved.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{SourceIx, Span};

/// Alarm priority: 1 critical, 2 high, 3 medium, 4 low. Not a hazard level, not a gas step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// Critical.
    pub const CRITICAL: Priority = Priority(1);
    /// High.
    pub const HIGH: Priority = Priority(2);
    /// Medium.
    pub const MEDIUM: Priority = Priority(3);
    /// Low.
    pub const LOW: Priority = Priority(4);

    /// 1 to 4; anything else is none.
    #[must_use]
    pub const fn new(n: u8) -> Option<Priority> {
        if n >= 1 && n <= 4 {
            Some(Priority(n))
        } else {
            None
        }
    }

    /// 1 to 4.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Serialize for Priority {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u8(self.0)
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Priority, D::Error> {
        let n = u8::deserialize(d)?;
        Priority::new(n)
            .ok_or_else(|| serde::de::Error::custom(format!("priority {n} is not 1 to 4")))
    }
}

impl schemars::JsonSchema for Priority {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Priority".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Alarm priority: 1 critical, 2 high, 3 medium, 4 low.",
            "type": "integer",
            "minimum": 1,
            "maximum": 4,
        })
    }
}

/// The life of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Listed; no alarms.
    Planned,
    /// Evaluated and listed, not annunciated beyond the commissioning view.
    Commissioning,
    /// Watched.
    #[default]
    InService,
}

/// How often a point is read; the periods stand at its source.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PollClass {
    /// Alarm switches, sparks.
    Fast,
    /// Levels, pressures, gas.
    #[default]
    Normal,
    /// Temperatures.
    Slow,
}

/// The four Modbus tables that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModbusTable {
    /// Function 1.
    Coil,
    /// Function 2.
    Discrete,
    /// Function 4.
    Input,
    /// Function 3.
    Holding,
}

/// How registers make a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModbusType {
    /// One bit of a coil or discrete input.
    Bool,
    /// 16-bit unsigned.
    U16,
    /// 16-bit two's complement.
    I16,
    /// 32-bit unsigned.
    U32,
    /// 32-bit two's complement.
    I32,
    /// 64-bit unsigned.
    U64,
    /// 64-bit two's complement.
    I64,
    /// IEEE 754 single.
    F32,
    /// IEEE 754 double.
    F64,
    /// Four BCD digits.
    Bcd16,
    /// Eight BCD digits.
    Bcd32,
    /// Bit 0 (least significant) to 15 of one register.
    Bit(u8),
    /// A text of so many registers, two bytes each.
    Text(u8),
}

impl ModbusType {
    /// How many registers (or bits, for `Bool`) it takes.
    #[must_use]
    pub const fn width(self) -> u16 {
        match self {
            ModbusType::Bool
            | ModbusType::U16
            | ModbusType::I16
            | ModbusType::Bcd16
            | ModbusType::Bit(_) => 1,
            ModbusType::U32 | ModbusType::I32 | ModbusType::F32 | ModbusType::Bcd32 => 2,
            ModbusType::U64 | ModbusType::I64 | ModbusType::F64 => 4,
            ModbusType::Text(n) => n as u16,
        }
    }
}

/// Order of bytes within a value that spans registers. `A` is the most significant byte;
/// for 64 bits the same letter order holds by register (`CDAB` = registers reversed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ByteOrder {
    /// Big-endian: most significant register first, most significant byte first.
    #[default]
    Abcd,
    /// Registers reversed, bytes within a register as sent.
    Cdab,
    /// Bytes within each register swapped.
    Badc,
    /// Registers reversed and bytes swapped: little-endian.
    Dcba,
}

/// Device status that becomes quality: a register of the same unit and table, and its bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatusBits {
    /// Register address, zero-based, in the point's own table.
    pub address: u16,
    /// Any of these bits set: Bad (device failure).
    pub fault_mask: u16,
    /// Any of these bits set: Uncertain (test).
    pub inhibit_mask: u16,
}

/// Where a Modbus point lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModbusBinding {
    /// Unit id (站号).
    pub unit_id: u8,
    /// Which table.
    pub table: ModbusTable,
    /// Zero-based address.
    pub address: u16,
    /// How to read it.
    pub kind: ModbusType,
    /// Byte order.
    pub order: ByteOrder,
    /// Status register of the device, if it has one.
    pub status: Option<StatusBits>,
}

/// Where an MQTT point lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MqttBinding {
    /// Exact topic.
    pub topic: String,
    /// Path into the JSON payload, `a.b.0`; none: the source's `payload.value` key.
    pub json_path: Option<String>,
}

/// Where the value comes from on its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Binding {
    /// Registers.
    Modbus(ModbusBinding),
    /// A topic.
    Mqtt(MqttBinding),
    /// A value that the process makes itself (gateway beats at the centre).
    Internal,
}

/// What the raw number stands for electrically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Signal {
    /// A plain number.
    #[default]
    Number,
    /// 4–20 mA by `raw_low`/`raw_high`: NAMUR NE43 judges saturation and failure.
    Ma4To20,
}

/// Raw to engineering: `raw * scale + offset`, or by two points where `raw` is given
/// (`raw_low → low`, `raw_high → high`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Factor.
    pub scale: f64,
    /// Engineering units added after the factor.
    pub offset: f64,
    /// Raw counts at the low and the high end of the range.
    pub raw: Option<(f64, f64)>,
    /// Signal kind.
    pub signal: Signal,
}

impl Default for Scaling {
    fn default() -> Scaling {
        Scaling {
            scale: 1.0,
            offset: 0.0,
            raw: None,
            signal: Signal::Number,
        }
    }
}

/// Limits of the point table, in the point's unit. They make rule `table`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Low low.
    pub ll: Option<f64>,
    /// Low.
    pub l: Option<f64>,
    /// High.
    pub h: Option<f64>,
    /// High high.
    pub hh: Option<f64>,
}

/// A point: one row of the point table, checked and resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointDef {
    /// 位号, unique in the site.
    pub tag: Arc<str>,
    /// Words for people.
    pub description: Box<str>,
    /// Hazard source (重大危险源) id, or empty. A site has few, its points share them.
    pub hazard: Arc<str>,
    /// Area id, or empty.
    pub area: Arc<str>,
    /// Instrument class that rules select by: `tank_level`, `gas_toxic`, ….
    pub class: Arc<str>,
    /// Engineering unit as written, normalised (`m`, `%LEL`, `mg/m³`).
    pub unit: Arc<str>,
    /// Low end of the range.
    pub low: Option<f64>,
    /// High end of the range.
    pub high: Option<f64>,
    /// Source that reads it.
    pub source: SourceIx,
    /// Where on the source.
    pub binding: Binding,
    /// Raw to engineering.
    pub scaling: Scaling,
    /// How often it is read.
    pub poll: PollClass,
    /// How often a value is expected: the poll period, or for MQTT a third of `stale_after`.
    pub expected_interval: Duration,
    /// No admitted arrival for longer than this is stale; default 3 × `expected_interval`.
    pub stale_after: Duration,
    /// Report by exception: forward a sample only when it moved by more than this; none: all.
    pub report_deadband: Option<f64>,
    /// Limits of the table.
    pub limits: Limits,
    /// Deadband of the table's limits, in the unit.
    pub deadband: f64,
    /// On-delay of the table's limits.
    pub on_delay: Duration,
    /// Off-delay of the table's limits.
    pub off_delay: Duration,
    /// Priority of all the table's limits; none: LL and HH 1, L and H 2.
    pub priority: Option<Priority>,
    /// Raw values that mean "no value".
    pub sentinels: Box<[f64]>,
    /// Life of the point.
    pub life: Life,
    /// Calibration due date as `YYYY-MM-DD`, where given.
    pub calibration_due: Option<Box<str>>,
    /// Remark.
    pub note: Box<str>,
    /// Where its row stands in the point table (bytes); 0..0 where it has none.
    pub span: Span,
}
