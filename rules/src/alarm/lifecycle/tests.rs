//! Every pair of state and event against a table that was written from the specification.

use super::*;

fn at(s: i64) -> Timestamp {
    Timestamp(s * 1_000_000_000)
}

fn permit() -> OutOfService {
    OutOfService {
        permit: "P-7".to_owned(),
        until: at(50),
    }
}

/// Every combination of regions that does not contradict itself.
fn states() -> Vec<Regions> {
    let mut out = Vec::new();
    let bases = [
        // condition, open, acked, latched
        (Condition::Normal, false, false, false),
        (Condition::PendingOn, false, false, false),
        (Condition::Active, true, false, false),
        (Condition::PendingOff, true, false, false),
        (Condition::Active, true, true, false),
        (Condition::PendingOff, true, true, false),
        (Condition::Normal, true, false, false),
        (Condition::PendingOn, true, false, false),
        (Condition::Normal, true, false, true),
        (Condition::PendingOn, true, false, true),
        (Condition::Normal, true, true, true),
        (Condition::PendingOn, true, true, true),
    ];
    let shelves = [
        None,
        Some(Shelve::OneShot { until: at(10) }),
        Some(Shelve::Timed { until: at(20) }),
    ];
    let suppressions: [&[&str]; 3] = [&[], &["fan-off"], &["fan-off", "idle"]];
    for (condition, open, acked, latched) in bases {
        for eval in [Eval::Known, Eval::Unknown] {
            for masked in [false, true] {
                for audible in [false, true] {
                    for confirmed in [false, true] {
                        for shelved in shelves {
                            for causes in suppressions {
                                for out_of_service in [None, Some(permit())] {
                                    let r = Regions {
                                        condition,
                                        eval,
                                        acked,
                                        confirmed,
                                        verdict: confirmed.then_some(false),
                                        latched,
                                        open,
                                        shelved,
                                        suppressed: causes
                                            .iter()
                                            .map(|c| (*c).to_owned())
                                            .collect(),
                                        suppressed_until: (!causes.is_empty()).then(|| at(40)),
                                        out_of_service,
                                        masked,
                                        audible,
                                    };
                                    if is_sound(&r) {
                                        out.push(r);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    out
}

/// Regions that do not contradict each other.
fn is_sound(r: &Regions) -> bool {
    (!r.is_active() || (r.open && !r.latched))
        && (!r.masked || r.is_active())
        && (!r.audible || (r.open && !r.acked && !r.masked && r.is_bare()))
        && (!r.confirmed || r.acked)
        && (r.confirmed == r.verdict.is_some())
        && (!r.acked || r.is_active() || r.latched)
        && (!r.latched || r.open)
        && (r.suppressed.is_empty() == r.suppressed_until.is_none())
}

/// What a row says of sound: `keep`, `off`, `ask` (sounds where UNACK and nothing lies over or
/// stands for it), `mute` (the point is in commissioning).
///
/// A cell: `=` the label stays; a label; `!reason`; `guard?yes|no`. The last column: which regions
/// may change at all: c condition, e eval, o open, a acked, f confirmed, l latched, m masked,
/// u audible, s shelf, p suppression, x out of service.
#[rustfmt::skip]
fn table() -> Vec<(Event, [&'static str; 6], &'static str, &'static str)> {
    let again = |sounds| Event::Activated { masked: false, sounds };
    let until = Some(at(30));
    let cause = || "fan-off".to_owned();
    const NA: &str = "!not_applicable";
    vec![
        // event                                                    NORMAL   UNACK    ACKED    RTN_UNACK LATCH_UNACK LATCH_ACK          sound   touches
        // Rows 1, 5, 9
        (again(true),                                               ["UNACK", NA, NA, "UNACK", "UNACK", "UNACK"],                        "ask",  "coaflmu"),
        (again(false),                                              ["UNACK", NA, NA, "UNACK", "UNACK", "UNACK"],                        "mute", "coaflmu"),
        (Event::Activated { masked: true, sounds: true },           ["UNACK", NA, NA, "UNACK", "UNACK", "UNACK"],                        "off",  "coaflmu"),
        // 8.26
        (Event::Retrospective,                                      ["normal?RTN_UNACK|!not_applicable", NA, NA, "normal?=|!not_applicable", "normal?=|!not_applicable", NA], "keep", "o"),
        // Row 3
        (Event::Returned,                                           [NA, "RTN_UNACK", "NORMAL", NA, NA, NA],                             "keep", "coafmu"),
        (Event::ReturnedByEdit,                                     [NA, "RTN_UNACK", "NORMAL", NA, NA, NA],                             "keep", "coafmu"),
        (Event::ReturnedUnseen,                                     [NA, "masked?NORMAL|!not_applicable", NA, NA, NA, NA],               "off",  "com"),
        // Row 7
        (Event::Latched,                                            [NA, "LATCH_UNACK", "LATCH_ACK", NA, NA, NA],                        "keep", "clm"),
        (Event::LatchedByEdit,                                      [NA, "LATCH_UNACK", "LATCH_ACK", NA, NA, NA],                        "keep", "clm"),
        // Rows 2, 4, 8
        (Event::Acked,                                              ["!stale_occurrence", "ACKED", "!already_acked", "NORMAL", "LATCH_ACK", "!already_acked"], "off", "aou"),
        // Row 6
        (Event::UnAcked { sounds: true },                           [NA, NA, "UNACK", NA, NA, NA],                                       "ask",  "afu"),
        (Event::Realarmed { sounds: true },                         [NA, NA, "free?UNACK|!not_applicable", NA, NA, NA],                  "ask",  "afu"),
        (Event::Realarmed { sounds: false },                        [NA, NA, "free?UNACK|!not_applicable", NA, NA, NA],                  "mute", "afu"),
        (Event::Reannounced { sounds: true },                       [NA, "free?UNACK|!not_applicable", "UNACK", NA, NA, NA],               "ask",  "afu"),
        // Row 17
        (Event::Confirmed { verdict: true, closes: false },         ["!stale_occurrence", "!not_acked", "confirmed?!already_confirmed|=", "!not_acked", "!not_acked", "confirmed?!already_confirmed|="], "keep", "f"),
        (Event::Confirmed { verdict: true, closes: true },          ["!stale_occurrence", "!not_acked", "confirmed?!already_confirmed|=", "!not_acked", "!not_acked", "confirmed?!already_confirmed|NORMAL"], "keep", "foal"),
        // Row 10
        (Event::Reset { confirm: false, gone: false },              [NA, "!not_normal", "!not_normal", NA, "!not_acked", "normal?NORMAL|!not_normal"], "off", "oafl"),
        (Event::Reset { confirm: false, gone: true },               [NA, "!not_normal", "!not_normal", NA, "!not_acked", "NORMAL"],       "off",  "oafl"),
        (Event::Reset { confirm: true, gone: true },                [NA, "!not_normal", "!not_normal", NA, "!not_acked", "confirmed?NORMAL|!not_confirmed"], "off", "oafl"),
        // Row 18
        (Event::Silenced,                                           [NA, "audible?=|!not_applicable", NA, "audible?=|!not_applicable", "audible?=|!not_applicable", NA], "off", "u"),
        // 3.8
        (Event::Masked,                                             [NA, "masked?!not_applicable|=", "masked?!not_applicable|=", NA, NA, NA], "off", "mu"),
        (Event::Unmasked { sounds: true },                          [NA, "masked?=|!not_applicable", "masked?=|!not_applicable", NA, NA, NA], "ask", "mu"),
        (Event::Unmasked { sounds: false },                         [NA, "masked?=|!not_applicable", "masked?=|!not_applicable", NA, NA, NA], "mute", "mu"),
        // Row 16
        (Event::Blinded,                                            ["known?=|!not_applicable"; 6],                                      "keep", "e"),
        (Event::Seen,                                               ["known?!not_applicable|="; 6],                                      "keep", "e"),
        // Restart
        (Event::Restarted,                                          ["known?=|!not_applicable"; 6],                                      "keep", "ec"),
        // Edits
        (Event::Superseded,                                         ["bare?!not_applicable|=", "RTN_UNACK", "NORMAL", "bare?!not_applicable|=", "bare?!not_applicable|=", "bare?!not_applicable|="], "keep", "coafmuspx"),
        (Event::SupersededLatched,                                  ["bare?!not_applicable|=", "LATCH_UNACK", "LATCH_ACK", "bare?!not_applicable|=", "bare?!not_applicable|=", "bare?!not_applicable|="], "keep", "clmuspx"),
        // Row 11
        (Event::Shelved(Shelve::Timed { until: at(99) }),           ["shelf?!already_shelved|="; 6],                                     "off",  "us"),
        (Event::Shelved(Shelve::OneShot { until: at(99) }),         ["shelf?!already_shelved|="; 6],                                     "off",  "us"),
        // Row 12
        (Event::Unshelved { seen: true, sounds: true },             ["shelf?=|!not_applicable", "shelf?ACKED|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable"], "ask", "aus"),
        (Event::Unshelved { seen: false, sounds: true },            ["shelf?=|!not_applicable"; 6],                                      "ask",  "us"),
        (Event::ShelfExpired { sounds: true },                      ["shelf?=|!not_applicable", "shelf?=|!not_applicable", "shelf?UNACK|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable"], "ask", "afus"),
        (Event::ShelfExpired { sounds: false },                     ["shelf?=|!not_applicable", "shelf?=|!not_applicable", "shelf?UNACK|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable"], "mute", "afus"),
        (Event::ShelfVoided { sounds: true },                       ["shelf?=|!not_applicable", "shelf?=|!not_applicable", "shelf?UNACK|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable", "shelf?=|!not_applicable"], "ask", "afus"),
        // Rows 13 and 15
        (Event::Suppressed { cause: cause(), until: at(60) },       ["fan-off?!not_applicable|="; 6],                                    "off",  "up"),
        (Event::Suppressed { cause: "test".into(), until: at(60) }, ["="; 6],                                                            "off",  "up"),
        (Event::Unsuppressed { cause: cause(), until, sounds: true }, ["fan-off?=|!not_applicable"; 6],                                  "ask",  "up"),
        (Event::Unsuppressed { cause: "test".into(), until, sounds: true }, ["!not_applicable"; 6],                                      "ask",  ""),
        (Event::SuppressionExpired { cause: cause(), until, sounds: true }, ["fan-off?=|!not_applicable"; 6],                            "ask",  "up"),
        (Event::SuppressionUnknown { sounds: true },                ["fan-off?=|!not_applicable"; 6],                                    "ask",  "up"),
        (Event::SuppressionUnknown { sounds: false },               ["fan-off?=|!not_applicable"; 6],                                    "mute", "up"),
        // Rows 14 and 15
        (Event::TakenOut(permit()),                                 ["out?!not_applicable|="; 6],                                        "off",  "ux"),
        (Event::BackInService { sounds: true },                     ["out?=|!not_applicable", "out?=|!not_applicable", "out?UNACK|!not_applicable", "out?=|!not_applicable", "out?=|!not_applicable", "out?=|!not_applicable"], "ask", "afux"),
        (Event::OutOfServiceExpired { sounds: true },               ["out?=|!not_applicable", "out?=|!not_applicable", "out?UNACK|!not_applicable", "out?=|!not_applicable", "out?=|!not_applicable", "out?=|!not_applicable"], "ask", "afux"),
    ]
}

fn holds(guard: &str, r: &Regions) -> bool {
    match guard {
        "masked" => r.masked,
        "free" => r.is_bare() && !r.masked,
        "bare" => r.is_bare(),
        "audible" => r.audible,
        "known" => r.eval == Eval::Known,
        "confirmed" => r.confirmed,
        "normal" => r.condition == Condition::Normal && r.eval == Eval::Known,
        "shelf" => r.shelved.is_some(),
        "out" => r.out_of_service.is_some(),
        cause => r.suppressed.iter().any(|c| c == cause),
    }
}

fn word(v: impl serde::Serialize) -> String {
    serde_json::to_value(v)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Which regions differ.
fn touched(a: &Regions, b: &Regions) -> String {
    [
        ('c', a.condition != b.condition),
        ('e', a.eval != b.eval),
        ('o', a.open != b.open),
        ('a', a.acked != b.acked),
        ('f', (a.confirmed, a.verdict) != (b.confirmed, b.verdict)),
        ('l', a.latched != b.latched),
        ('m', a.masked != b.masked),
        ('u', a.audible != b.audible),
        ('s', a.shelved != b.shelved),
        (
            'p',
            (&a.suppressed, a.suppressed_until) != (&b.suppressed, b.suppressed_until),
        ),
        ('x', a.out_of_service != b.out_of_service),
    ]
    .into_iter()
    .filter_map(|(letter, differs)| differs.then_some(letter))
    .collect()
}

/// All states × all events: the label underneath or the reason, the sound, and that nothing moves
/// that the row does not name.
#[test]
fn every_pair_of_state_and_event() {
    let states = states();
    assert_eq!(states.len(), 804);
    for (event, cells, sound, touches) in table() {
        for before in &states {
            let from = before.underlying_label();
            let cell = cells[match from {
                Label::Normal => 0,
                Label::Unack => 1,
                Label::Acked => 2,
                Label::RtnUnack => 3,
                Label::LatchUnack => 4,
                _ => 5,
            }];
            let cell = match cell.split_once('?') {
                Some((guard, rest)) => {
                    let (yes, no) = rest.split_once('|').unwrap();
                    if holds(guard, before) { yes } else { no }
                }
                None => cell,
            };
            let got = step(before, event.clone());
            if let Some(reason) = cell.strip_prefix('!') {
                let why = got.expect_err(&format!("{event:?} on {before:?}"));
                assert_eq!(word(why), reason, "{event:?} on {before:?}");
                continue;
            }
            let after = got.unwrap_or_else(|why| panic!("{event:?} on {before:?}: {why:?}"));
            let to = after.underlying_label();
            let expected = if cell == "=" {
                word(from)
            } else {
                cell.to_owned()
            };
            assert_eq!(word(to), expected, "{event:?} on {before:?}");
            let closed = to == Label::Normal;
            let audible = match sound {
                "keep" => before.audible && !closed,
                "ask" => to == Label::Unack && !after.masked && after.is_bare(),
                _ => false,
            };
            assert_eq!(after.audible, audible, "{event:?} on {before:?}");
            let moved = touched(before, &after);
            assert!(
                moved.chars().all(|c| touches.contains(c)),
                "{event:?} on {before:?} moved {moved}"
            );
            assert!(is_sound(&after), "{event:?} on {before:?} gave {after:?}");
        }
    }
}

/// No event is missing from the table.
#[test]
fn the_table_names_every_event() {
    let mut named: Vec<std::mem::Discriminant<Event>> = Vec::new();
    for (event, ..) in table() {
        let kind = std::mem::discriminant(&event);
        if !named.contains(&kind) {
            named.push(kind);
        }
    }
    // One more event: one more row of the table, and this number.
    assert_eq!(named.len(), 32);
}

/// What is put over an alarm is what was asked for, and taking it off leaves nothing.
#[test]
fn what_lies_over_an_alarm_is_what_was_put_there() {
    for before in states() {
        let shelf = Shelve::Timed { until: at(99) };
        if let Ok(after) = step(&before, Event::Shelved(shelf)) {
            assert_eq!(after.shelved, Some(shelf));
            let down = step(&after, Event::ShelfExpired { sounds: true }).unwrap();
            assert_eq!(down.shelved, None);
        }
        let cause = "test".to_owned();
        let until = at(70);
        let after = step(&before, Event::Suppressed { cause, until }).unwrap();
        assert_eq!(after.suppressed.len(), before.suppressed.len() + 1);
        assert_eq!(after.suppressed_until, Some(until));
        let cause = "test".to_owned();
        let lifted = step(
            &after,
            Event::Unsuppressed {
                cause,
                until: before.suppressed_until,
                sounds: true,
            },
        )
        .unwrap();
        assert_eq!(lifted.suppressed, before.suppressed);
        assert_eq!(lifted.suppressed_until, before.suppressed_until);
        if let Ok(after) = step(&before, Event::TakenOut(permit())) {
            assert_eq!(after.out_of_service, Some(permit()));
            let back = step(&after, Event::BackInService { sounds: true }).unwrap();
            assert_eq!(back.out_of_service, None);
        }
    }
}

/// 8.11: OUT_OF_SERVICE before SUPPRESSED before SHELVED before what is underneath.
#[test]
fn labels_have_an_order() {
    for r in states() {
        let label = r.label();
        let expected = match (
            r.out_of_service.is_some(),
            r.suppressed.is_empty(),
            r.shelved.is_some(),
        ) {
            (true, _, _) => Label::OutOfService,
            (false, false, _) => Label::Suppressed,
            (false, true, true) => Label::Shelved,
            (false, true, false) => r.underlying_label(),
        };
        assert_eq!(label, expected, "{r:?}");
    }
}

/// 3.8, 8.23: `unmasked` to UNACK sounds, to ACKED does not.
#[test]
fn masking_silences_and_unmasking_sounds_only_what_nobody_saw() {
    for before in states() {
        let Ok(masked) = step(&before, Event::Masked) else {
            continue;
        };
        assert!(!masked.audible);
        let after = step(&masked, Event::Unmasked { sounds: true }).unwrap();
        assert_eq!(after.audible, !before.acked && before.is_bare());
        assert_eq!(after.label(), before.label());
    }
}

/// Row 18: silence is of this annunciation only; a new occurrence sounds again.
#[test]
fn silence_lasts_until_the_next_occurrence() {
    for before in states() {
        let Ok(silenced) = step(&before, Event::Silenced) else {
            continue;
        };
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

/// 8.22: the words that records carry.
#[test]
fn deadline_ends_have_cause_expired() {
    for (event, ..) in table() {
        let expires = matches!(
            event,
            Event::ShelfExpired { .. }
                | Event::SuppressionExpired { .. }
                | Event::OutOfServiceExpired { .. }
        );
        assert_eq!(event.cause() == Cause::Expired, expires, "{event:?}");
    }
}
