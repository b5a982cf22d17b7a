//! MQTT payloads become typed messages, or a counted refusal. Untrusted input ends here.

use std::sync::Arc;

use davy_plan::Plan;
use davy_rules::alarm::{
    self, Beat, CommandResult, Flag, Snapshot, Status, Transition, Unreadable, VERSION,
};
use serde::de::DeserializeOwned;

/// What a gateway can tell (`formats.md` section 5).
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    Status(Status),
    Beat(Beat),
    Transition(Arc<Transition>),
    /// Told before its journal confirmed it; the sealed record follows.
    Unjournalled(Arc<Transition>),
    Result(CommandResult),
    Snapshot(Snapshot),
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the topic is none of this site's gateways")]
    ForeignTopic,
    #[error("it is not what its topic promises: {0}")]
    Malformed(String),
    #[error("its schema version is {0}, this program knows {VERSION}: update the centre")]
    NewerVersion(u64),
    #[error("it says `{found}` where the topic says `{expected}`")]
    Forged { found: String, expected: String },
    #[error("a sealed record lacks `prev` or `hash`")]
    Unsealed,
}

/// `davy/v1/{site}/{owner}/{kind}` of a gateway of this plan.
pub(crate) fn topic<'a>(plan: &Plan, topic: &'a str) -> Result<(Arc<str>, &'a str), Refusal> {
    let rest = topic
        .strip_prefix("davy/v1/")
        .and_then(|t| t.strip_prefix(&*plan.site))
        .and_then(|t| t.strip_prefix('/'))
        .ok_or(Refusal::ForeignTopic)?;
    let (owner, kind) = rest.split_once('/').ok_or(Refusal::ForeignTopic)?;
    let gateway = plan
        .gateways
        .iter()
        .find(|g| *g.id == *owner)
        .ok_or(Refusal::ForeignTopic)?;
    Ok((gateway.id.clone(), kind))
}

/// Reads a payload as what its topic promises.
pub(crate) fn read(
    plan: &Plan,
    owner: &str,
    kind: &str,
    payload: &[u8],
) -> Result<Message, Refusal> {
    match kind {
        "status" => {
            let m: Status = parse(payload)?;
            same(&m.owner, owner)?;
            Ok(Message::Status(m))
        }
        "beat" => {
            let m: Beat = parse(payload)?;
            same(&m.owner, owner)?;
            Ok(Message::Beat(m))
        }
        "transition" => {
            let t: Transition = parse(payload)?;
            same(&t.owner, owner)?;
            same(&t.site, &plan.site)?;
            if t.seq == 0 {
                return Err(Refusal::Malformed("`seq` is 0".into()));
            }
            match (&t.prev, &t.hash) {
                (Some(_), Some(_)) => Ok(Message::Transition(Arc::new(t))),
                (None, None) if t.flags.contains(&Flag::Unjournalled) => {
                    Ok(Message::Unjournalled(Arc::new(t)))
                }
                _ => Err(Refusal::Unsealed),
            }
        }
        "result" => parse(payload).map(Message::Result),
        "snapshot" => {
            let m: Snapshot = parse(payload)?;
            same(&m.owner, owner)?;
            if let Some(a) = m.alarms.iter().find(|a| *a.last.owner != *owner) {
                same(&a.last.owner, owner)?;
            }
            Ok(Message::Snapshot(m))
        }
        _ => Err(Refusal::ForeignTopic),
    }
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    alarm::read(payload).map_err(|why| match why {
        Unreadable::Newer(v) => Refusal::NewerVersion(v),
        Unreadable::Malformed(why) => Refusal::Malformed(why),
    })
}

fn same(found: &str, expected: &str) -> Result<(), Refusal> {
    if found == expected {
        Ok(())
    } else {
        Err(Refusal::Forged {
            found: alarm::one_line(found).chars().take(80).collect(),
            expected: expected.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    #[test]
    fn only_topics_of_this_sites_gateways_are_taken() {
        let plan = example::plan();
        assert_eq!(
            topic(&plan, "davy/v1/s1/gw-01/transition"),
            Ok(("gw-01".into(), "transition"))
        );
        for foreign in [
            "davy/v1/s2/gw-01/transition",
            "davy/v1/s1/gw-99/transition",
            "davy/v1/s1/center/transition",
            "davy/v1/s1",
            "davy/v1/s1/gw-01",
            "",
        ] {
            assert_eq!(
                topic(&plan, foreign),
                Err(Refusal::ForeignTopic),
                "{foreign}"
            );
        }
    }

    #[test]
    fn every_record_is_read_past_fields_that_are_not_known_and_refused_in_a_higher_version() {
        let plan = example::plan();
        let sealed = serde_json::to_string(&example::transition("gw-01", 7)).expect("JSON");
        let snapshot = format!(
            r#"{{"v":1,"owner":"gw-01","seq":7,"alarms":[{{"last":{sealed},"later":1}}]}}"#
        );
        for (kind, known) in [
            ("status", r#"{"v":1,"owner":"gw-01","state":"online"}"#),
            ("beat", r#"{"v":1,"owner":"gw-01","tick":1}"#),
            ("transition", sealed.as_str()),
            ("result", r#"{"v":1,"id":"c","outcome":"applied","seq":7}"#),
            ("snapshot", snapshot.as_str()),
        ] {
            let read = |text: String| super::read(&plan, "gw-01", kind, text.as_bytes());
            let later = known.replacen(r#""v":1"#, r#""later":{"v":9},"v":1"#, 1);
            assert_eq!(read(later), read(known.to_owned()), "{kind}");
            assert!(read(known.to_owned()).is_ok(), "{kind}");
            let newer = known.replacen(r#""v":1"#, r#""v":2"#, 1);
            assert_eq!(read(newer), Err(Refusal::NewerVersion(2)), "{kind}");
        }
    }

    #[test]
    fn garbage_is_refused_and_said() {
        let plan = example::plan();
        let check = |kind: &str, payload: &[u8]| {
            read(&plan, "gw-01", kind, payload).map_err(|e| {
                e.to_string()
                    .split(" at line")
                    .next()
                    .unwrap_or("")
                    .to_owned()
            })
        };
        let sealed = example::transition("gw-01", 7);
        let mut forged = sealed.clone();
        forged.owner = "gw-02".into();
        let mut other_site = sealed.clone();
        other_site.site = "s9".into();
        let mut unsealed = sealed.clone();
        unsealed.hash = None;
        let text = |t: &Transition| serde_json::to_vec(t).expect("JSON");
        for (kind, payload, why) in [
            (
                "beat",
                b"".to_vec(),
                "it is not what its topic promises: EOF while parsing a value",
            ),
            (
                "beat",
                b"\xff\xfe".to_vec(),
                "it is not what its topic promises: expected value",
            ),
            (
                "beat",
                br#"{"v":9}"#.to_vec(),
                "its schema version is 9, this program knows 1: update the centre",
            ),
            (
                "beat",
                br#"{"v":1,"owner":"gw-02","tick":1}"#.to_vec(),
                "it says `gw-02` where the topic says `gw-01`",
            ),
            (
                "beat",
                br#"{"v":1,"owner":"gw\n01","tick":1}"#.to_vec(),
                "it says `gw\u{FFFD}01` where the topic says `gw-01`",
            ),
            (
                "transition",
                text(&forged),
                "it says `gw-02` where the topic says `gw-01`",
            ),
            (
                "transition",
                text(&other_site),
                "it says `s9` where the topic says `s1`",
            ),
            (
                "transition",
                text(&unsealed),
                "a sealed record lacks `prev` or `hash`",
            ),
            (
                "acked",
                b"{}".to_vec(),
                "the topic is none of this site's gateways",
            ),
        ] {
            assert_eq!(check(kind, &payload), Err(why.to_owned()), "{kind}");
        }
        assert!(matches!(
            check("transition", &text(&sealed)),
            Ok(Message::Transition(_))
        ));
        unsealed.prev = None;
        unsealed.flags.push(Flag::Unjournalled);
        assert!(matches!(
            check("transition", &text(&unsealed)),
            Ok(Message::Unjournalled(_))
        ));
    }
}
