//! One message in, the samples of its points out.

use std::collections::HashMap;
use std::time::Duration;

use davy_plan::{Clock, MqttSource, Payload, filter_covers};
use davy_points::{Binding, NoData, PointIx, PointTable, Quality, Sample, Timestamp, Value};

use super::JsonPath;
use super::payload::{time_of_json, value_of_json, value_of_text};

/// A payload time may be this much older than its arrival (`acquisition.md` section 4).
const TIME_MAX_AGE: Duration = Duration::from_secs(72 * 3600);
/// A payload time may be this much ahead of its arrival.
const TIME_MAX_AHEAD: Duration = Duration::from_secs(5);
/// A payload beyond this is refused; the client's packet bound stands above it.
const PAYLOAD_MAX_BYTES: usize = 1024 * 1024;

/// Why a message, or one point of it, was refused. Its point is not touched: if nothing better
/// comes it grows stale, and that is an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// No point reads this topic.
    UnknownTopic,
    /// Nothing in it.
    Empty,
    /// Beyond 1 MiB.
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON.
    NotJson,
    /// Not a number, where the source says that payloads are numbers.
    NotANumber,
    /// Nothing at the point's path.
    NoField,
    /// An object or an array stands at the point's path.
    NotAValue,
    /// A text beyond 4 KiB.
    TextTooLong,
    /// A recording without a time that can be read: its clock is the pipeline's.
    NoTime,
}

impl Reject {
    /// Every reason.
    pub const ALL: [Reject; 10] = [
        Reject::UnknownTopic,
        Reject::Empty,
        Reject::TooLong,
        Reject::NotUtf8,
        Reject::NotJson,
        Reject::NotANumber,
        Reject::NoField,
        Reject::NotAValue,
        Reject::TextTooLong,
        Reject::NoTime,
    ];

    /// Label of the counter.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reject::UnknownTopic => "unknown_topic",
            Reject::Empty => "empty",
            Reject::TooLong => "too_long",
            Reject::NotUtf8 => "not_utf8",
            Reject::NotJson => "not_json",
            Reject::NotANumber => "not_a_number",
            Reject::NoField => "no_field",
            Reject::NotAValue => "not_a_value",
            Reject::TextTooLong => "text_too_long",
            Reject::NoTime => "no_time",
        }
    }
}

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Payload.
    pub payload: &'a [u8],
    /// The broker kept it from before our subscription: its age is unknown.
    pub retained: bool,
    /// When we had it.
    pub arrival: Timestamp,
}

/// What a source's messages mean: which point reads which topic, where and how.
#[derive(Debug)]
pub struct Intake {
    number: bool,
    time: Option<JsonPath>,
    clock: Clock,
    topics: HashMap<String, Vec<Reader>>,
    filters: Vec<String>,
    seq: u64,
}

#[derive(Debug)]
struct Reader {
    point: PointIx,
    path: Option<JsonPath>,
}

impl Intake {
    /// The intake of a source. A path that is none (the plan's check refuses it) reads nothing.
    #[must_use]
    pub fn new(source: &MqttSource, table: &PointTable) -> Intake {
        let (number, value, time) = match &source.payload {
            Payload::Number => (true, None, None),
            Payload::Json { value, time } => (
                false,
                value.parse().ok(),
                time.as_deref().and_then(|t| t.parse().ok()),
            ),
        };
        let mut topics: HashMap<String, Vec<Reader>> = HashMap::new();
        for (point, def) in table.iter().filter(|(_, d)| d.source == source.ix) {
            let Binding::Mqtt(binding) = &def.binding else {
                continue;
            };
            let path = match &binding.json_path {
                Some(own) => own.parse().ok(),
                None => value.clone(),
            };
            topics
                .entry(binding.topic.clone())
                .or_default()
                .push(Reader { point, path });
        }
        let mut filters = source.topics.clone();
        // A point whose topic no filter takes would be silent for ever: ask for it by name.
        let mut uncovered: Vec<&String> = topics
            .keys()
            .filter(|t| !filters.iter().any(|f| filter_covers(f, t)))
            .collect();
        uncovered.sort();
        let uncovered: Vec<String> = uncovered.into_iter().cloned().collect();
        filters.extend(uncovered);
        Intake {
            number,
            time,
            clock: source.clock,
            topics,
            filters,
            seq: 0,
        }
    }

    /// Filters to subscribe to: the source's own, and the topics of points that they leave out.
    #[must_use]
    pub fn filters(&self) -> &[String] {
        &self.filters
    }

    /// Reads a message. Samples are pushed on `out`, not yet scaled or checked against the range;
    /// every refusal is told once.
    pub fn read(
        &mut self,
        message: Message<'_>,
        out: &mut Vec<Sample>,
        mut refuse: impl FnMut(Reject),
    ) {
        let Some(readers) = self.topics.get(message.topic) else {
            return refuse(Reject::UnknownTopic);
        };
        if message.payload.len() > PAYLOAD_MAX_BYTES {
            return refuse(Reject::TooLong);
        }
        if message.payload.is_empty() {
            // An empty retained message deletes what was retained (MQTT 3.1.1, 3.3.1.3).
            return refuse(Reject::Empty);
        }
        let seq = self.seq + 1;
        if self.number {
            if self.clock == Clock::Recorded {
                return refuse(Reject::NoTime);
            }
            match value_of_text(message.payload) {
                Ok(value) => {
                    let stamp = Stamp::arrival(&message);
                    out.extend(
                        readers
                            .iter()
                            .map(|r| stamp.sample(r.point, value.clone(), seq)),
                    );
                    self.seq = seq;
                }
                Err(why) => refuse(why),
            }
            return;
        }
        let json: serde_json::Value = match serde_json::from_slice(message.payload) {
            Ok(json) => json,
            Err(_) if std::str::from_utf8(message.payload).is_err() => {
                return refuse(Reject::NotUtf8);
            }
            Err(_) => return refuse(Reject::NotJson),
        };
        let said = self.time.as_ref().and_then(|path| path.find(&json));
        let Some(stamp) = Stamp::of(self.clock, said, &message) else {
            return refuse(Reject::NoTime);
        };
        for reader in readers {
            let found = match &reader.path {
                Some(path) => path.find(&json),
                None => None,
            };
            match found.ok_or(Reject::NoField).and_then(value_of_json) {
                Ok(value) => out.push(stamp.sample(reader.point, value, seq)),
                Err(why) => refuse(why),
            }
        }
        self.seq = seq;
    }
}

/// When a message's values were true, and how far its clock can be believed.
struct Stamp {
    source_time: Timestamp,
    arrival: Timestamp,
    quality: Quality,
}

impl Stamp {
    fn arrival(message: &Message<'_>) -> Stamp {
        Stamp {
            source_time: message.arrival,
            arrival: message.arrival,
            quality: if message.retained {
                Quality::UncertainLastUsable
            } else {
                Quality::Good
            },
        }
    }

    /// None: a recording whose time cannot be read.
    fn of(clock: Clock, said: Option<&serde_json::Value>, message: &Message<'_>) -> Option<Stamp> {
        let time = said.and_then(time_of_json);
        match (clock, time) {
            (Clock::Recorded, time) => time.map(|at| Stamp {
                source_time: at,
                arrival: at,
                quality: Quality::Good,
            }),
            (Clock::Device, Some(at))
                if at >= message.arrival - TIME_MAX_AGE
                    && at <= message.arrival + TIME_MAX_AHEAD =>
            {
                Some(Stamp {
                    source_time: at,
                    arrival: message.arrival,
                    quality: Quality::Good,
                })
            }
            // The device has a clock that cannot be right, or a text that is no time.
            (Clock::Device, _) if said.is_some() => Some(Stamp {
                quality: Stamp::arrival(message)
                    .quality
                    .worst(Quality::UncertainClock),
                ..Stamp::arrival(message)
            }),
            (Clock::Device | Clock::Arrival, _) => Some(Stamp::arrival(message)),
        }
    }

    fn sample(&self, point: PointIx, value: Value, seq: u64) -> Sample {
        let quality = match value {
            Value::NoData(none) if none.no_data == NoData::Null => Quality::BadSensorFailure,
            _ => self.quality,
        };
        Sample {
            point,
            value,
            quality,
            source_time: self.source_time,
            offset_ns: 0,
            uncertainty_ns: 0,
            arrival_time: self.arrival,
            seq,
        }
    }
}
