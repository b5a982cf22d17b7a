//! What must be said of an incident: the ground truth that the acceptance of rule packs holds.
//!
//! Lives here: when it begins, when harm is done, how much time the library of incidents gives, which
//! alarm must be the first and by when. May not live here: what rules say. Read first: [`Incident`].

use std::time::Duration;

use serde::Deserialize;

use super::duration;

/// An incident's ground truth; times count from the beginning of the story.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The event of the library that is told.
    pub of: String,
    /// The initiating event: before it nothing is wrong.
    pub begins: Duration,
    /// When it is too late.
    pub harm: Duration,
    /// The time available that the library states.
    pub lead: Duration,
    /// The first alarm after `begins` must be one of these.
    pub root: Vec<Pattern>,
    /// It must have been annunciated by then.
    pub by: Duration,
    /// Further alarms that must come, each by its time.
    pub then: Vec<(Pattern, Duration)>,
    /// While it lasts, a root alarm must be annunciated again at least so often, however often it is
    /// acknowledged: nothing grows old in silence.
    pub again: Option<Duration>,
    /// What the plant itself shows when harm is done, where a model has it: a quantity (`t101.spill_kgs`)
    /// beyond a bound.
    pub reached: Option<Reached>,
}

/// A quantity of a model beyond a bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Reached {
    /// `unit.quantity`.
    pub quantity: String,
    /// Above the bound, or below.
    pub above: bool,
    /// The bound.
    pub bound: f64,
}

impl Reached {
    fn parse(text: &str) -> Option<Reached> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [quantity, sign @ (">" | "<"), bound] = words[..] else {
            return None;
        };
        Some(Reached {
            quantity: quantity.to_owned(),
            above: sign == ">",
            bound: bound.parse().ok()?,
        })
    }

    /// Whether a value of the quantity is there.
    #[must_use]
    pub fn by(&self, value: f64) -> bool {
        if self.above {
            value > self.bound
        } else {
            value < self.bound
        }
    }
}

/// `kind tag level`, each with `*` and `?` as wildcards; a kind or level that is left out is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    kind: String,
    tag: String,
    level: String,
}

impl Pattern {
    /// Reads one: `level LT-101? hh`, `stuck LT-101A`.
    ///
    /// # Errors
    /// Not two or three words.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [kind, tag, ref level @ ..] = words[..] else {
            return Err(format!("{text:?} is not `kind tag level`"));
        };
        if level.len() > 1 {
            return Err(format!("{text:?} is not `kind tag level`"));
        }
        Ok(Pattern {
            kind: kind.to_owned(),
            tag: tag.to_owned(),
            level: level.first().map_or("*", |l| *l).to_owned(),
        })
    }

    /// Whether an alarm is meant.
    #[must_use]
    pub fn fits(&self, kind: &str, tag: &str, level: &str) -> bool {
        fits(&self.kind, kind) && fits(&self.tag, tag) && fits(&self.level, level)
    }

    /// The tag with its wildcards.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.kind, self.tag, self.level)
    }
}

/// Glob over bytes: `*` any run, `?` any one, `a|b` either.
fn fits(pattern: &str, text: &str) -> bool {
    fn one(p: &[u8], t: &[u8]) -> bool {
        match p.split_first() {
            None => t.is_empty(),
            Some((b'*', rest)) => (0..=t.len()).any(|n| one(rest, &t[n..])),
            Some((b'?', rest)) => t.split_first().is_some_and(|(_, t)| one(rest, t)),
            Some((c, rest)) => t.split_first().is_some_and(|(d, t)| c == d && one(rest, t)),
        }
    }
    pattern
        .split('|')
        .any(|p| one(p.as_bytes(), text.as_bytes()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IncidentFile {
    of: String,
    begins: String,
    harm: String,
    lead: String,
    root: Vec<String>,
    by: String,
    #[serde(default)]
    then: Vec<ThenFile>,
    again: Option<String>,
    reached: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThenFile {
    alarm: String,
    by: String,
}

impl IncidentFile {
    pub(super) fn check(self, length: Duration) -> Result<Incident, String> {
        let time = |what: &str, text: &str| {
            duration(text).ok_or_else(|| format!("incident: {what} {text:?} is no time"))
        };
        let incident = Incident {
            begins: time("begins", &self.begins)?,
            harm: time("harm", &self.harm)?,
            lead: time("lead", &self.lead)?,
            by: time("by", &self.by)?,
            root: self
                .root
                .iter()
                .map(|text| Pattern::parse(text))
                .collect::<Result<_, _>>()?,
            then: self
                .then
                .iter()
                .map(|t| Ok((Pattern::parse(&t.alarm)?, time("by", &t.by)?)))
                .collect::<Result<_, String>>()?,
            again: self
                .again
                .as_deref()
                .map(|t| time("again", t))
                .transpose()?,
            reached: match &self.reached {
                None => None,
                Some(text) => Some(
                    Reached::parse(text)
                        .ok_or_else(|| format!("incident: {text:?} is not `quantity > bound`"))?,
                ),
            },
            of: self.of,
        };
        if incident.root.is_empty() {
            return Err("incident: no root alarm".to_owned());
        }
        if !(incident.begins < incident.by && incident.by < incident.harm) {
            return Err("incident: not begins < by < harm".to_owned());
        }
        if incident.begins + incident.lead > incident.harm {
            return Err("incident: the library gives more time than there is".to_owned());
        }
        let last = incident.then.iter().map(|(_, by)| *by).max();
        if incident.by > length || last.is_some_and(|by| by > length) {
            return Err("incident: an alarm is due after the end".to_owned());
        }
        Ok(incident)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_what_they_say() {
        for (pattern, alarm, expected) in [
            ("stuck LT-101?", ("stuck", "LT-101A", "on"), true),
            ("stuck LT-101?", ("stuck", "LT-101", "on"), false),
            ("level AT-*T h", ("level", "AT-301T", "hh"), false),
            ("level AT-*T h|hh", ("level", "AT-301T", "hh"), true),
            ("* TT-901* *", ("rate", "TT-901B", "h"), true),
            ("rate TT-901*", ("level", "TT-901B", "h"), false),
        ] {
            let (kind, tag, level) = alarm;
            let p = Pattern::parse(pattern).unwrap();
            assert_eq!(p.fits(kind, tag, level), expected, "{pattern} {alarm:?}");
        }
        assert!(Pattern::parse("stuck").is_err());
        assert!(Pattern::parse("a b c d").is_err());
    }

    #[test]
    fn times_that_contradict_each_other_are_refused() {
        let file = |begins: &str, by: &str, harm: &str, lead: &str| IncidentFile {
            of: "x".into(),
            begins: begins.into(),
            harm: harm.into(),
            lead: lead.into(),
            root: vec!["stuck LT-1".into()],
            by: by.into(),
            then: Vec::new(),
            again: None,
            reached: None,
        };
        let hours = Duration::from_secs(36_000);
        file("1h", "70m", "3h", "2h").check(hours).unwrap();
        for (begins, by, harm, lead) in [
            ("1h", "30m", "3h", "1h"),
            ("1h", "4h", "3h", "1h"),
            ("1h", "70m", "3h", "3h"),
            ("1h", "70m", "soon", "1h"),
            ("1h", "70m", "20h", "never"),
        ] {
            file(begins, by, harm, lead).check(hours).unwrap_err();
        }
        let minutes = Duration::from_secs(600);
        file("1h", "70m", "3h", "2h").check(minutes).unwrap_err();
    }
}
