//! Which property tries to break which clause of `alarm-engine.md` 3 and 8, and what it cannot see.
//!
//! The tests below hold this table against the sources: every clause is named in the comment of a
//! property test, and every test of the table is there and names its clause. A new reading of the
//! specification is a line here and a property, or the build fails.
//!
//! How to repeat a failure: proptest prints the smallest case and writes its seed to
//! `rules/proptest-regressions/`, from where it is tried first; `PROPTEST_RNG_SEED=7` repeats a whole
//! run; `PROPTEST_CASES=3000` tries longer (96 where nothing is said).
//!
//! | clause | property | what it cannot see |
//! |---|---|---|
//! | 3.1 | `logic_is_three_valued` | expressions deeper than one operator: `truths_agree_with_cel` has those |
//! | 3.1 | `uncertain_raises_and_never_returns` | on-delays under Uncertain: the model has those |
//! | 3.2 | `beyond_the_range_is_true_for_every_limit` | NE43 currents: they are qualified where samples are acquired |
//! | 3.3 | `absence_clears_no_kind` | kinds that the plant there has not: `mass_balance`, `time_to_limit`, `first_out` |
//! | 3.3 | `absence_never_returns` | |
//! | 3.3 | `what_nobody_has_seen_stands` | |
//! | 3.4 | `bad_stands_beside_the_levels` | the words of a Bad input |
//! | 3.5 | `a_deadband_acts_on_exit_alone_to_the_bit` | derived numbers, which pass through the same line |
//! | 3.6 | `a_gap_is_within_up_to_its_tolerance` | gaps of several parts: the model has those |
//! | 3.6 | `gaps_make_the_records_of_the_model` | |
//! | 3.7 | `absence_never_returns` | |
//! | 3.7 | `gaps_make_the_records_of_the_model` | |
//! | 3.8 | `good_samples_make_the_records_of_the_model` | |
//! | 3.8 | `what_is_done_to_h_leaves_hh_alone` | |
//! | 3.8 | `only_what_stands_masks` | three steps under a shelf |
//! | 3.9 | `what_is_late_changes_nothing` | |
//! | 3.9 | `odd_times_make_the_records_of_the_model` | |
//! | 3.10 | `a_clock_is_suspect_after_three_intervals` | what follows: the next one has that |
//! | 3.10 | `odd_times_make_the_records_of_the_model` | a source of several points |
//! | 3.11 | `what_is_late_changes_nothing` | that a backfill makes an occurrence: no engine makes one yet |
//! | 3.12 | `windows_agree_with_those_made_from_scratch` | |
//! | 3.12 | `the_books_agree_with_those_made_from_scratch` | |
//! | 3.13 | `what_is_not_finite_is_never_good` | |
//! | 3.13 | `no_limit_drops_what_stands` | more than 4,200 occurrences of one episode |
//! | 8.1 | `a_deadband_acts_on_exit_alone_to_the_bit` | |
//! | 8.2 | `ticks_change_nothing` | |
//! | 8.2 | `ticks_change_no_kind` | |
//! | 8.2 | `a_timer_acts_before_the_input_of_its_instant` | |
//! | 8.3 | `odd_times_make_the_records_of_the_model` | |
//! | 8.4 | `every_record_is_that_of_the_model` | |
//! | 8.5 | `under_hold_a_bad_value_means_nothing` | |
//! | 8.5 | `gaps_make_the_records_of_the_model` | |
//! | 8.6 | `gaps_make_the_records_of_the_model` | |
//! | 8.7 | `silence_is_stale_strictly_after_its_time` | a silence that something stands for |
//! | 8.8 | `every_record_is_that_of_the_model` | the overlay of what is stuck |
//! | 8.9 | `good_samples_make_the_records_of_the_model` | |
//! | 8.10 | `it_sounds_again_in_its_time` | |
//! | 8.11 | `what_lies_over_an_alarm_names_it` | latched and confirmed ones: `the_lifecycle_keeps_its_promises` |
//! | 8.12 | `a_shelf_ends_when_it_must` | |
//! | 8.13 | `a_rejection_changes_nothing` | confirm and reset: `the_lifecycle_keeps_its_promises` |
//! | 8.14 | `suppressed_while_its_cause_is_true` | several causes of one alarm |
//! | 8.15 | `restarts_make_the_records_of_the_model` | an image older than the stop |
//! | 8.15 | `a_restart_keeps_what_stands` | |
//! | 8.16 | `stuck_is_what_the_sentence_says` | samples at uneven times |
//! | 8.16 | `counts_agree_with_those_made_from_scratch` | |
//! | 8.16 | `it_says_what_the_sentence_says` | |
//! | 8.17 | `odd_times_make_the_records_of_the_model` | |
//! | 8.18 | `gaps_make_the_records_of_the_model` | |
//! | 8.18 | `restarts_make_the_records_of_the_model` | |
//! | 8.19 | `gaps_make_the_records_of_the_model` | |
//! | 8.20 | `a_clock_is_suspect_after_three_intervals` | |
//! | 8.20 | `odd_times_make_the_records_of_the_model` | the end of it over several points |
//! | 8.21 | `suppressed_while_its_cause_is_true` | |
//! | 8.22 | `what_lies_over_an_alarm_names_it` | |
//! | 8.22 | `records_of_all_kinds_hold_together` | |
//! | 8.23 | `good_samples_make_the_records_of_the_model` | levels that an edit adds |
//! | 8.24 | `an_edit_starts_the_off_delay_of_now` | |
//! | 8.24 | `no_edit_loses_anything` | |
//! | 8.24 | `a_reload_does_what_a_restart_does` | |
//! | 8.25 | `it_sounds_again_in_its_time` | |
//! | 8.26 | `what_is_late_changes_nothing` | as 3.11 |
//! | 8.27 | `it_says_what_the_sentence_says` | |

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every property test of the crate with the clauses that its comment names. Tests of one name in
/// several files are one.
fn properties() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the crate") {
            let path = entry.expect("its entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                read(&text, &mut found);
            }
        }
    }
    found
}

fn read(text: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    // A block ends with the brace below its beginning.
    let mut block: Option<usize> = None;
    let (mut comment, mut is_test) = (String::new(), false);
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        match block {
            None => {
                if line == "proptest! {" {
                    block = Some(indent);
                }
                continue;
            }
            Some(start) if indent == start && line == "}" => {
                block = None;
                continue;
            }
            Some(_) => {}
        }
        if let Some(words) = line.strip_prefix("///") {
            comment.push_str(words);
            comment.push(' ');
        } else if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            let name = rest.split('(').next().unwrap_or_default().to_owned();
            if std::mem::take(&mut is_test) {
                found.entry(name).or_default().extend(clauses(&comment));
            }
            comment.clear();
        }
    }
}

/// `3.4`, `8.12`, but no part of a longer number.
fn clauses(text: &str) -> BTreeSet<String> {
    let number = |c: char| c.is_ascii_digit() || c == '.';
    text.split(|c| !number(c))
        .map(|w| w.trim_matches('.'))
        .filter(|w| {
            w.split_once('.').is_some_and(|(a, b)| {
                let last = if a == "3" { 13 } else { 27 };
                matches!(a, "3" | "8") && b.parse().is_ok_and(|n: u8| (1..=last).contains(&n))
            })
        })
        .map(str::to_owned)
        .collect()
}

/// The table above: clause and test.
fn table() -> Vec<(String, String)> {
    include_str!("clauses.rs")
        .lines()
        .filter_map(|l| l.strip_prefix("//! | "))
        .filter_map(|l| {
            let mut cells = l.split('|').map(str::trim);
            let (clause, test) = (cells.next()?, cells.next()?);
            Some((
                clause.to_owned(),
                test.strip_prefix('`')?.strip_suffix('`')?.to_owned(),
            ))
        })
        .collect()
}

#[test]
fn every_clause_has_a_property() {
    let properties = properties();
    let table = table();
    let named: BTreeSet<&String> = properties.values().flatten().collect();
    let listed: BTreeSet<&String> = table.iter().map(|(clause, _)| clause).collect();
    let all = (1..=13)
        .map(|n| format!("3.{n}"))
        .chain((1..=27).map(|n| format!("8.{n}")));
    let missing: Vec<String> = all
        .filter(|clause| !named.contains(clause) || !listed.contains(clause))
        .collect();
    assert_eq!(missing, Vec::<String>::new(), "no property names these");
}

#[test]
fn the_table_speaks_of_tests_that_are_there() {
    let properties = properties();
    let wrong: Vec<String> = table()
        .into_iter()
        .filter(|(clause, test)| !properties.get(test).is_some_and(|p| p.contains(clause)))
        .map(|(clause, test)| format!("{clause} {test}"))
        .collect();
    assert_eq!(
        wrong,
        Vec::<String>::new(),
        "no such property, or its comment does not name the clause"
    );
}

#[test]
fn a_clause_is_read_as_it_is_written() {
    let of = |text| clauses(text).into_iter().collect::<Vec<_>>();
    assert_eq!(
        of("3.4, 8.12: and 8.27. Not 3.14, 8.0, 1.8.2 or 13.4"),
        ["3.4", "8.12", "8.27"]
    );
    let mut found = BTreeMap::new();
    read(
        "/// 3.1\n#[test]\nfn a() {}\nproptest! {\n    /// 3.2\n    #[test]\n    fn b() {}\n}\n",
        &mut found,
    );
    assert_eq!(found.keys().collect::<Vec<_>>(), ["b"]);
}
