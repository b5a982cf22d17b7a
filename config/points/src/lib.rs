//! What a point, a sample and its quality are.
//!
//! Lives here: the nouns that every other folder shares (tag, point, value,
//! quality, time, sample, diagnostic). May not live here: I/O, clocks, parsing of
//! files, rules. Read first: [`Sample`], then [`Quality`], then [`PointDef`].

mod diagnostic;
mod point;
mod quality;
mod sample;
mod table;
mod time;
mod value;

pub use diagnostic::{Diagnostic, Severity, Span};
pub use point::{
    Binding, ByteOrder, Life, Limits, ModbusBinding, ModbusTable, ModbusType, MqttBinding,
    PointDef, PollClass, Priority, Scaling, Signal, StatusBits,
};
pub use quality::{Quality, QualityClass};
pub use sample::{Sample, SourceEvent};
pub use table::{PointIx, PointTable, PointTableError, SourceDef, SourceIx};
pub use time::{Mono, Timestamp};
pub use value::{NoData, NoDataWire, Value};
