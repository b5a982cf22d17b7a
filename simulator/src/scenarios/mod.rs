//! Stories: what happens to the plant and when, as data, with what must be said about it.
//!
//! Lives here: the form of a story, the embedded stories (`simulator/scenarios/*.toml`), the teller
//! that says what is due, and the replay that tells a story to the plant alone, as fast as it can. May
//! not live here: sockets, models; the field does what a story asks for. Read first: [`Story`], then
//! [`Teller`], [`Replay`].

mod act;
mod replay;
mod teller;
mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

pub use self::act::Act;
pub use self::replay::{Heard, Replay, ReplayError};
pub use self::teller::{Teller, Told};
pub use self::truth::{Incident, Pattern, Reached};
use crate::plant::{Shown, UnitSpec};

/// The embedded stories: name and text.
macro_rules! stories {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*]
    };
}

const STORIES: &[(&str, &str)] = &stories![
    "demo",
    "quiet",
    "normal-day",
    "ammonia-leak",
    "baoyuanfeng",
    "bhopal",
    "buncefield",
    "capeco",
    "chlorine-leak",
    "eo-brine-lost",
    "hydrogen-sulphide",
    "imperial-sugar",
    "kunshan",
    "linyi",
    "methane-leak",
    "normal-day-ammonia",
    "normal-day-confined-space",
    "normal-day-dust-almg",
    "normal-day-dust-starch",
    "normal-day-dust-wood",
    "normal-day-flammable-gas",
    "normal-day-gas-holder",
    "normal-day-reactor",
    "normal-day-sphere",
    "normal-day-toxic-gas",
    "rizhao",
    "sewage-pit",
    "shenghua",
    "texas-city",
    "tianjin",
    "wood-ember",
    "xiangshui",
    "yima",
];

/// A named story.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// Its name on the command line.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// How many times faster than life contents move.
    pub speed: f64,
    /// How many seconds of the story a second of `davy demo` is. A replay is always as fast as it can.
    pub pace: f64,
    /// The rule pack that must warn of it, and whose site has its tags.
    pub pack: Option<String>,
    /// Instruments are read no oftener than this in a replay: a story of days.
    pub poll: Duration,
    /// Process models.
    pub units: Vec<UnitSpec>,
    /// What an incident demands of the rules.
    pub incident: Option<Incident>,
    /// Alarms that may come though nothing is wrong.
    pub may: Vec<Pattern>,
    /// The first is told first; then, for ever, one after the other by the seed, never the same
    /// twice in a row.
    pub chapters: Vec<Chapter>,
}

/// A part of a story. When it is over, every instrument is mended, every link restored, every
/// stream still.
#[derive(Debug, Clone, PartialEq)]
pub struct Chapter {
    /// Short name.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// How long it lasts.
    pub length: Duration,
    /// What happens, in order of time.
    pub acts: Vec<(Duration, Act)>,
    /// The ground truth.
    pub expect: Vec<Expectation>,
}

/// What must have been annunciated by when, counted from the chapter's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// `rule/tag/level`
    pub alarm: String,
    /// Not before, because its cause begins then.
    pub after: Duration,
    /// At the latest.
    pub by: Duration,
}

/// Why there is no story.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// No embedded story has that name.
    #[error("there is no scenario {name:?}; there are: {}", Story::names().collect::<Vec<_>>().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The text is no story.
    #[error("the scenario cannot be read: {0}")]
    Malformed(String),
}

impl Story {
    /// Names of the embedded stories.
    pub fn names() -> impl Iterator<Item = &'static str> {
        STORIES.iter().map(|(name, _)| *name)
    }

    /// An embedded story.
    ///
    /// # Errors
    /// There is none of that name; the message lists those that there are.
    pub fn named(name: &str) -> Result<Story, StoryError> {
        let (_, text) = STORIES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| StoryError::Unknown {
                name: name.to_owned(),
            })?;
        Story::parse(text)
    }

    /// Reads a story.
    ///
    /// # Errors
    /// Not TOML, an unknown key, an act without a verb, a time beyond the chapter.
    pub fn parse(text: &str) -> Result<Story, StoryError> {
        let file: StoryFile =
            toml::from_str(text).map_err(|e| StoryError::Malformed(e.to_string()))?;
        if file.schema != 1 {
            return Err(StoryError::Malformed(format!(
                "schema {} is not 1",
                file.schema
            )));
        }
        let chapters: Vec<Chapter> = file
            .chapter
            .into_iter()
            .map(ChapterFile::check)
            .collect::<Result<_, _>>()
            .map_err(StoryError::Malformed)?;
        let length = chapters.iter().map(|c| c.length).sum();
        let incident = file
            .incident
            .map(|incident| incident.check(length))
            .transpose()
            .map_err(StoryError::Malformed)?;
        let poll = match &file.poll {
            None => Duration::ZERO,
            Some(text) => duration(text)
                .ok_or_else(|| StoryError::Malformed(format!("poll {text:?} is no time")))?,
        };
        let may = file
            .may
            .iter()
            .map(|text| Pattern::parse(text))
            .collect::<Result<_, _>>()
            .map_err(StoryError::Malformed)?;
        Ok(Story {
            name: file.name,
            title: file.title,
            speed: file.speed,
            pace: file.pace,
            pack: file.pack,
            poll,
            units: file.unit.into_iter().map(UnitFile::unit).collect(),
            incident,
            may,
            chapters,
        })
    }

    /// All chapters, once.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.chapters.iter().map(|c| c.length).sum()
    }

    /// Every tag and source that the story touches.
    #[must_use]
    pub fn targets(&self) -> BTreeSet<&str> {
        self.acts().filter_map(Act::target).collect()
    }

    /// Everything that happens in it.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        self.chapters
            .iter()
            .flat_map(|c| c.acts.iter().map(|(_, act)| act))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoryFile {
    schema: u32,
    name: String,
    title: String,
    #[serde(default = "one")]
    speed: f64,
    #[serde(default = "one")]
    pace: f64,
    pack: Option<String>,
    poll: Option<String>,
    #[serde(default)]
    unit: Vec<UnitFile>,
    incident: Option<truth::IncidentFile>,
    #[serde(default)]
    may: Vec<String>,
    #[serde(default)]
    chapter: Vec<ChapterFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitFile {
    name: String,
    model: String,
    #[serde(default)]
    with: BTreeMap<String, f64>,
    #[serde(default)]
    from: BTreeMap<String, String>,
    #[serde(default)]
    shows: BTreeMap<String, ShownFile>,
}

/// `"level_m"`, or a table with a factor.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ShownFile {
    Plain(String),
    Scaled(Scaled),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaled {
    of: String,
    times: Option<f64>,
    #[serde(default)]
    plus: f64,
}

impl UnitFile {
    fn unit(self) -> UnitSpec {
        let shown = |file| match file {
            ShownFile::Plain(of) => Shown {
                of,
                times: None,
                plus: 0.0,
            },
            ShownFile::Scaled(s) => Shown {
                of: s.of,
                times: s.times,
                plus: s.plus,
            },
        };
        UnitSpec {
            name: self.name,
            model: self.model,
            with: self.with,
            from: self.from,
            shows: self
                .shows
                .into_iter()
                .map(|(tag, s)| (tag, shown(s)))
                .collect(),
        }
    }
}

fn one() -> f64 {
    1.0
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChapterFile {
    name: String,
    title: String,
    length: String,
    #[serde(default)]
    acts: Vec<act::ActFile>,
    #[serde(default)]
    expect: Vec<ExpectFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectFile {
    alarm: String,
    after: String,
    by: String,
}

impl ChapterFile {
    fn check(self) -> Result<Chapter, String> {
        let name = self.name;
        let inside = |what: &str, text: &str, length: Duration| {
            let at = duration(text).ok_or_else(|| format!("{name}: {what} {text:?} is no time"))?;
            if at > length {
                return Err(format!("{name}: {what} {text} is beyond the chapter"));
            }
            Ok(at)
        };
        let length = duration(&self.length)
            .filter(|l| *l >= Duration::from_secs(1))
            .ok_or_else(|| format!("{name}: length {:?} is no time", self.length))?;
        let mut acts = Vec::new();
        for file in self.acts {
            let at = inside("at", &file.at, length)?;
            acts.push((at, file.check().map_err(|e| format!("{name}: {e}"))?));
        }
        acts.sort_by_key(|(at, _)| *at);
        let mut expect = Vec::new();
        for file in self.expect {
            expect.push(Expectation {
                after: inside("after", &file.after, length)?,
                by: inside("by", &file.by, length)?,
                alarm: file.alarm,
            });
        }
        Ok(Chapter {
            name,
            title: self.title,
            length,
            acts,
            expect,
        })
    }
}

/// `250ms`, `5s`, `1.5s`, `2m`, `3h10m`, `2d`
fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, tail) = tail.split_at(
            tail.find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(tail.len()),
        );
        let number: f64 = number.parse().ok()?;
        seconds += match unit {
            "ms" => number / 1000.0,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            "d" => number * 86_400.0,
            _ => return None,
        };
        rest = tail;
    }
    if text.is_empty() {
        return None;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_story_can_be_read_under_its_name() {
        for name in Story::names() {
            assert_eq!(Story::named(name).unwrap().name, name);
        }
        assert!(Story::named("quiet").unwrap().targets().is_empty());
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let said = Story::named("demno").unwrap_err().to_string();
        assert!(
            said.starts_with("there is no scenario \"demno\"; there are: demo, quiet, "),
            "{said}"
        );
    }

    #[test]
    fn what_is_no_story_is_said() {
        let wrap = |act: &str| {
            format!(
                "schema = 1\nname = 'x'\ntitle = ''\n[[chapter]]\nname = 'c'\ntitle = ''\nlength = '10s'\nacts = [{act}]"
            )
        };
        for (text, word) in [
            (
                String::from("schema = 2\nname = 'x'\ntitle = ''"),
                "schema 2",
            ),
            (String::from("name = 'x'"), "schema"),
            (wrap("{ at = '11s', freeze = 'A' }"), "beyond the chapter"),
            (wrap("{ at = 'soon', freeze = 'A' }"), "is no time"),
            (wrap("{ at = '1s' }"), "no verb"),
            (
                wrap("{ at = '1s', freeze = 'A', calm = true }"),
                "more than one verb",
            ),
            (wrap("{ at = '1s', freze = 'A' }"), "freze"),
            (wrap("{ at = '1s', ramp = 'A' }"), "`to`"),
            (wrap("{ at = '1s', fill = 'A' }"), "`flow`"),
        ] {
            let said = Story::parse(&text).unwrap_err().to_string();
            assert!(said.contains(word), "{said} does not say {word}");
        }
        Story::parse(&wrap("{ at = '1s', freeze = 'A' }")).unwrap();
    }
}
