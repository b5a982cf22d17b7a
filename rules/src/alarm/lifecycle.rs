//! The lifecycle as a table: what an event makes of an alarm's regions (`alarm-engine.md`
//! section 2, rows 1–6, 16 and 18; masking of 3.8). Every pair of state and event has an answer:
//! new regions, or the reason why not.
//!
//! Pending conditions are the engine's: they change no label and make no record.

use super::{Cause, Condition, Eval, Label, Regions, Rejection};

/// What can happen to an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The entry condition was held for the on-delay, or a worse level made it active (8.9).
    Activated {
        /// A worse level stands for it.
        masked: bool,
        /// It may sound: false for a point in commissioning.
        sounds: bool,
    },
    /// The exit condition was held on Good data for the off-delay.
    Returned,
    /// The same, after an edit that made the condition false (8.24).
    ReturnedByEdit,
    /// The same, where another alarm stood for it all its life: nobody was asked to look at it.
    ReturnedUnseen,
    /// A person has seen it.
    Acked,
    /// A person takes the acknowledgement back.
    UnAcked {
        /// It may sound.
        sounds: bool,
    },
    /// The re-alarm time is over.
    Realarmed {
        /// It may sound.
        sounds: bool,
    },
    /// This annunciation is silenced.
    Silenced,
    /// A worse level became active.
    Masked,
    /// No worse level is active any more.
    Unmasked {
        /// It may sound.
        sounds: bool,
    },
    /// The UNKNOWN overlay comes on.
    Blinded,
    /// The UNKNOWN overlay goes off.
    Seen,
    /// The process started again: every alarm starts UNKNOWN.
    Restarted,
    /// The rule or level is gone: never closed by the edit, a person closes it.
    Superseded,
}

impl Event {
    /// The cause that the record gives.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Event::Activated { .. } => Cause::Condition,
            Event::Returned | Event::ReturnedUnseen => Cause::Returned,
            Event::Acked => Cause::Ack,
            Event::ReturnedByEdit => Cause::RuleChanged,
            Event::UnAcked { .. } => Cause::UnAck,
            Event::Realarmed { .. } => Cause::Realarm,
            Event::Silenced => Cause::Silence,
            Event::Masked => Cause::Masked,
            Event::Unmasked { .. } => Cause::Unmasked,
            Event::Blinded | Event::Seen => Cause::Quality,
            Event::Restarted => Cause::Restart,
            Event::Superseded => Cause::Superseded,
        }
    }
}

/// What an event makes of the regions.
///
/// # Errors
/// The event does not apply in this state; the reason is the one that a command's result gives.
pub fn step(before: &Regions, event: Event) -> Result<Regions, Rejection> {
    let label = before.underlying_label();
    let mut r = before.clone();
    match (label, event) {
        // Rows 1, 5, 9: a new occurrence; it sounds again whatever was silenced before.
        (
            Label::Normal | Label::RtnUnack | Label::LatchUnack | Label::LatchAck,
            Event::Activated { masked, sounds },
        ) => {
            r.condition = Condition::Active;
            r.open = true;
            r.acked = false;
            r.confirmed = false;
            r.latched = false;
            r.masked = masked;
            r.audible = sounds && !masked;
        }
        // Row 3: an unacknowledged one stays on the list, its sound with it (8.25).
        (Label::Unack, Event::Returned | Event::ReturnedByEdit) => {
            r.condition = Condition::Normal;
            r.masked = false;
        }
        (Label::Acked, Event::Returned | Event::ReturnedByEdit) => close(&mut r),
        // A child of a lost source: what stood for it is what a person acknowledges.
        (Label::Unack, Event::ReturnedUnseen) if before.masked => close(&mut r),
        // Row 2.
        (Label::Unack, Event::Acked) => {
            r.acked = true;
            r.audible = false;
        }
        // Row 4.
        (Label::RtnUnack, Event::Acked) => close(&mut r),
        (Label::Acked | Label::LatchAck, Event::Acked) => return Err(Rejection::AlreadyAcked),
        (Label::Normal, Event::Acked) => return Err(Rejection::StaleOccurrence),
        // Row 8 is of the latch, which no rule of this version sets.
        (Label::LatchUnack, Event::Acked) => {
            r.acked = true;
            r.audible = false;
        }
        // Row 6.
        (Label::Acked, Event::UnAcked { sounds }) => {
            r.acked = false;
            r.confirmed = false;
            r.audible = sounds && !r.masked;
        }
        // 8.25: not while masked.
        (Label::Acked, Event::Realarmed { sounds }) if !before.masked => {
            r.acked = false;
            r.confirmed = false;
            r.audible = sounds;
        }
        // Row 18.
        (_, Event::Silenced) if before.audible => r.audible = false,
        // 3.8, 8.23.
        (Label::Unack | Label::Acked, Event::Masked) if !before.masked => {
            r.masked = true;
            r.audible = false;
        }
        (Label::Unack | Label::Acked, Event::Unmasked { sounds }) if before.masked => {
            r.masked = false;
            r.audible = sounds && !r.acked;
        }
        // Row 16: an overlay, never a return.
        (_, Event::Blinded) if before.eval == Eval::Known => r.eval = Eval::Unknown,
        (_, Event::Seen) if before.eval == Eval::Unknown => r.eval = Eval::Known,
        // Restart: UNKNOWN, and an off-delay begins again from zero (8.15).
        (_, Event::Restarted) if before.eval == Eval::Known => {
            r.eval = Eval::Unknown;
            if r.condition == Condition::PendingOff {
                r.condition = Condition::Active;
            }
        }
        // 8.24: an unlatched ACKED goes NORMAL, what nobody has seen stays for a person.
        (Label::Unack, Event::Superseded) => {
            r.condition = Condition::Normal;
            r.masked = false;
        }
        (Label::Acked, Event::Superseded) => close(&mut r),
        _ => return Err(Rejection::NotApplicable),
    }
    Ok(r)
}

/// NORMAL: nothing of the episode is left but the overlay.
fn close(r: &mut Regions) {
    if matches!(r.condition, Condition::Active | Condition::PendingOff) {
        r.condition = Condition::Normal;
    }
    r.open = false;
    r.acked = false;
    r.confirmed = false;
    r.masked = false;
    r.audible = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regions of a label, with and without what may lie over it.
    fn states() -> Vec<Regions> {
        let mut out = Vec::new();
        for (condition, open, acked) in [
            (Condition::Normal, false, false),
            (Condition::PendingOn, false, false),
            (Condition::Active, true, false),
            (Condition::PendingOff, true, false),
            (Condition::Active, true, true),
            (Condition::PendingOff, true, true),
            (Condition::Normal, true, false),
            (Condition::PendingOn, true, false),
        ] {
            let active = matches!(condition, Condition::Active | Condition::PendingOff);
            for eval in [Eval::Known, Eval::Unknown] {
                for masked in [false, true] {
                    for audible in [false, true] {
                        let possible =
                            (!masked || (active && !audible)) && (!audible || (open && !acked));
                        if possible {
                            out.push(Regions {
                                condition,
                                eval,
                                open,
                                acked,
                                masked,
                                audible,
                                ..Regions::default()
                            });
                        }
                    }
                }
            }
        }
        out
    }

    const EVENTS: [Event; 15] = [
        Event::Activated {
            masked: false,
            sounds: true,
        },
        Event::Activated {
            masked: true,
            sounds: true,
        },
        Event::Activated {
            masked: false,
            sounds: false,
        },
        Event::Returned,
        Event::ReturnedByEdit,
        Event::ReturnedUnseen,
        Event::Acked,
        Event::UnAcked { sounds: true },
        Event::Realarmed { sounds: true },
        Event::Silenced,
        Event::Masked,
        Event::Unmasked { sounds: true },
        Event::Blinded,
        Event::Seen,
        Event::Superseded,
    ];

    /// Every pair, by label: `to`, or the rejection. `?` marks pairs that hang on an overlay and
    /// have tests of their own below.
    #[test]
    fn every_pair_of_label_and_event() {
        #[rustfmt::skip]
        let table: [(&str, [&str; 4]); 15] = [
            // event                NORMAL             UNACK             ACKED            RTN_UNACK
            ("activated",          ["UNACK",           "not_applicable", "not_applicable", "UNACK"]),
            ("activated masked",   ["UNACK",           "not_applicable", "not_applicable", "UNACK"]),
            ("activated silent",   ["UNACK",           "not_applicable", "not_applicable", "UNACK"]),
            ("returned",           ["not_applicable",  "RTN_UNACK",      "NORMAL",         "not_applicable"]),
            ("returned by edit",   ["not_applicable",  "RTN_UNACK",      "NORMAL",         "not_applicable"]),
            ("returned unseen",    ["not_applicable",  "NORMAL?",        "not_applicable", "not_applicable"]),
            ("acked",              ["stale_occurrence","ACKED",          "already_acked",  "NORMAL"]),
            ("un-acked",           ["not_applicable",  "not_applicable", "UNACK",          "not_applicable"]),
            ("realarmed",          ["not_applicable",  "not_applicable", "UNACK?",         "not_applicable"]),
            ("silenced",           ["not_applicable",  "UNACK?",         "not_applicable", "RTN_UNACK?"]),
            ("masked",             ["not_applicable",  "UNACK?",         "ACKED?",         "not_applicable"]),
            ("unmasked",           ["not_applicable",  "UNACK?",         "ACKED?",         "not_applicable"]),
            ("blinded",            ["NORMAL?",         "UNACK?",         "ACKED?",         "RTN_UNACK?"]),
            ("seen",               ["NORMAL?",         "UNACK?",         "ACKED?",         "RTN_UNACK?"]),
            ("superseded",         ["not_applicable",  "RTN_UNACK",      "NORMAL",         "not_applicable"]),
        ];
        for (row, event) in table.iter().zip(EVENTS) {
            for before in states() {
                let column = match before.label() {
                    Label::Normal => 0,
                    Label::Unack => 1,
                    Label::Acked => 2,
                    _ => 3,
                };
                let expected = row.1[column];
                let got = match step(&before, event) {
                    Ok(after) => word(after.label()),
                    Err(why) => word(why),
                };
                let overlay = expected.strip_suffix('?');
                assert!(
                    got == expected
                        || overlay == Some(&got)
                        || (overlay.is_some() && got == "not_applicable"),
                    "{} on {before:?}: {got}, expected {expected}",
                    row.0
                );
            }
        }
    }

    fn word(v: impl serde::Serialize) -> String {
        serde_json::to_value(v)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    #[test]
    fn no_event_leaves_regions_that_contradict_themselves() {
        for before in states() {
            for event in EVENTS {
                let Ok(after) = step(&before, event) else {
                    continue;
                };
                let active = matches!(after.condition, Condition::Active | Condition::PendingOff);
                assert!(!active || after.open, "{event:?} on {before:?}");
                assert!(!after.masked || active, "{event:?} on {before:?}");
                assert!(
                    !after.audible || (after.open && !after.acked && !after.masked),
                    "{event:?} on {before:?}"
                );
                assert!(!after.acked || active, "{event:?} on {before:?}");
            }
        }
    }

    /// Row 16: an overlay moves no other region, so it is never a return.
    #[test]
    fn the_overlay_touches_nothing_else() {
        for before in states() {
            for event in [Event::Blinded, Event::Seen] {
                match step(&before, event) {
                    Ok(mut after) => {
                        assert_ne!(after.eval, before.eval);
                        after.eval = before.eval;
                        assert_eq!(after, before);
                    }
                    Err(why) => assert_eq!(why, Rejection::NotApplicable),
                }
            }
        }
    }

    /// 3.8, 8.23: `unmasked` to UNACK sounds, to ACKED does not.
    #[test]
    fn masking_silences_and_unmasking_sounds_only_what_nobody_saw() {
        for before in states() {
            let masked = step(&before, Event::Masked);
            assert_eq!(
                masked.is_ok(),
                before.open && !before.masked && before.label() != Label::RtnUnack,
                "{before:?}"
            );
            if let Ok(masked) = masked {
                assert!(!masked.audible);
                let after = step(&masked, Event::Unmasked { sounds: true }).unwrap();
                assert_eq!(after.audible, !before.acked);
                assert_eq!(after.label(), before.label());
            }
        }
    }

    /// Only what something stands for can have gone unseen.
    #[test]
    fn only_a_masked_alarm_returns_unseen() {
        for before in states() {
            let closed = step(&before, Event::ReturnedUnseen).is_ok();
            let masked = before.masked && before.label() == Label::Unack;
            assert_eq!(closed, masked, "{before:?}");
        }
    }

    /// 8.25: re-alarm does not fire while masked.
    #[test]
    fn a_masked_alarm_does_not_re_alarm() {
        for before in states() {
            let fired = step(&before, Event::Realarmed { sounds: true }).is_ok();
            assert_eq!(fired, before.acked && !before.masked, "{before:?}");
        }
    }

    /// Row 18: silence is of this annunciation only; a new occurrence sounds again.
    #[test]
    fn silence_lasts_until_the_next_occurrence() {
        for before in states() {
            let silenced = step(&before, Event::Silenced);
            assert_eq!(silenced.is_ok(), before.audible, "{before:?}");
            let Ok(silenced) = silenced else { continue };
            assert_eq!(silenced.label(), before.label());
            let returned = step(&silenced, Event::Returned).unwrap_or(silenced);
            let again = step(
                &returned,
                Event::Activated {
                    masked: false,
                    sounds: true,
                },
            )
            .unwrap();
            assert!(again.audible);
        }
    }

    /// 8.15: a restart ends an off-delay and shows UNKNOWN.
    #[test]
    fn a_restart_blinds_and_takes_back_a_running_off_delay() {
        for before in states() {
            let Ok(after) = step(&before, Event::Restarted) else {
                assert_eq!(before.eval, Eval::Unknown);
                continue;
            };
            assert_eq!(after.eval, Eval::Unknown);
            assert_ne!(after.condition, Condition::PendingOff);
            assert_eq!(after.label(), before.label());
        }
    }
}
