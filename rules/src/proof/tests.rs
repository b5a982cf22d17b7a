//! Whole test files against a small site: what passes, what fails and how, what is refused.

use std::path::PathBuf;

use super::plant::{point, table};
use super::{Mark, Report, Suite};

const RULES: &str = r#"schema = 1
[[level]]
id = "tank-level"
select = { tag = "LT-*" }
h = { limit = 85, priority = 3, deadband = 1, on_delay = "2s", off_delay = "2s" }
hh = { limit = 90, priority = 1 }
"#;

fn run(tests: &str) -> Report {
    let points = table([point("LT-101"), point("LT-102"), point("FT-101")]);
    Suite {
        rules: &[(PathBuf::from("rules/tank.toml"), RULES.to_owned())],
        tests: &[(
            PathBuf::from("rules/tank.test.toml"),
            format!("schema = 1\n{tests}"),
        )],
        points: &points,
        guidance: &[],
        approval: &crate::language::Approval::default(),
    }
    .run()
}

/// The one test of this text, with what it made.
fn actual(test: &str) -> String {
    let report = run(&format!("[[test]]\nname = \"t\"\nexpect = []\n{test}"));
    assert_eq!(report.faults, [], "{test}");
    report.verdicts[0].actual.join("\n")
}

#[track_caller]
fn check(test: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(actual(test), expected.join("\n"), "{test}");
}

#[test]
fn a_filling_tank() {
    check(
        r#"series = { "LT-101" = "80+1x12 80x4" }"#,
        "7s tank-level/LT-101/h NORMAL>UNACK condition
         10s tank-level/LT-101/hh NORMAL>UNACK condition
         10s tank-level/LT-101/h UNACK>UNACK masked masked
         12s tank-level/LT-101/hh UNACK>RTN_UNACK returned
         12s tank-level/LT-101/h UNACK>UNACK unmasked
         14s tank-level/LT-101/h UNACK>RTN_UNACK returned",
    );
}

#[test]
fn a_point_without_a_series_is_nobodys() {
    // LT-102 and FT-101 give nothing for a minute, and no alarm says so; LT-101 does.
    check(
        r#"series = { "LT-101" = "80x3 stale" }"#,
        "5s tank-level/LT-101/hh NORMAL>NORMAL quality unknown
         5s tank-level/LT-101/h NORMAL>NORMAL quality unknown
         5s stale/LT-101/stale NORMAL>UNACK condition",
    );
}

#[test]
fn commands_go_the_way_of_live_ones() {
    check(
        r#"series = { "LT-101" = "95x9" }
           steps = [
               { at = "2s", ack = "tank-level/LT-101/hh", actor = "shift-a", reason = "seen" },
               { at = "3s", ack = "tank-level/LT-101/hh" },
               { at = "4s", ack = "tank-level/LT-102/hh" },
           ]"#,
        "0s tank-level/LT-101/hh NORMAL>UNACK condition
         0s tank-level/LT-101/h NORMAL>UNACK condition masked
         2s tank-level/LT-101/hh UNACK>ACKED ack
         3s ack tank-level/LT-101/hh rejected already_acked
         4s ack tank-level/LT-102/hh rejected unknown_occurrence",
    );
}

/// Every field of a command reaches the engine under its name on the wire.
#[test]
fn the_other_commands() {
    check(
        r#"series = { "LT-101" = "86x20" }
           steps = [
               { at = "3s", shelve = "tank-level/LT-101/h", for = "5s", reason = "loop check" },
               { at = "4s", shelve = "tank-level/LT-101/h", for = "5s", reason = "again" },
               { at = "10s", shelve = "tank-level/LT-101/hh", for = "5s", reason = "priority 1" },
               { at = "11s", out_of_service = "tank-level/LT-101/h", for = "1h", permit = "P-7", role = "supervisor" },
               { at = "12s", in_service = "tank-level/LT-101/h", role = "supervisor" },
               { at = "13s", suppress = "tank-level/LT-101/h", for = "1h", cause = "fan-off", role = "supervisor" },
               { at = "14s", unsuppress = "tank-level/LT-101/h", cause = "fan-off", role = "supervisor" },
               { at = "15s", shelve = "tank-level/LT-101/h", for = "1m", one_shot = true, reason = "once" },
               { at = "16s", unshelve = "tank-level/LT-101/h" },
               { at = "17s", bypass = ["LT-101"], for = "1h", permit = "P-8" },
               { at = "18s", bypass = ["LT-101"], for = "1h", permit = "P-8", role = "engineer", reason = "calibration", second = "b" },
               { at = "19s", restore = ["LT-101"], role = "engineer" },
           ]"#,
        "2s tank-level/LT-101/h NORMAL>UNACK condition
         3s tank-level/LT-101/h UNACK>SHELVED shelve silent
         4s shelve tank-level/LT-101/h rejected already_shelved
         8s tank-level/LT-101/h SHELVED>UNACK expired
         10s shelve tank-level/LT-101/hh rejected not_shelvable
         11s tank-level/LT-101/h UNACK>OUT_OF_SERVICE out_of_service silent
         12s tank-level/LT-101/h OUT_OF_SERVICE>UNACK in_service
         13s tank-level/LT-101/h UNACK>SUPPRESSED suppress silent
         14s tank-level/LT-101/h SUPPRESSED>UNACK unsuppress
         15s tank-level/LT-101/h UNACK>SHELVED shelve silent
         16s tank-level/LT-101/h SHELVED>ACKED unshelve
         17s bypass LT-101 rejected forbidden
         18s bypass/LT-101/on NORMAL>OUT_OF_SERVICE out_of_service
         19s tank-level/LT-101/hh NORMAL>NORMAL quality test unknown
         19s tank-level/LT-101/h ACKED>ACKED quality test unknown
         19s bypass/LT-101/on OUT_OF_SERVICE>NORMAL in_service
         19s tank-level/LT-101/h ACKED>UNACK realarm unknown",
    );
}

#[test]
fn beyond_its_range_a_value_is_clamped_and_uncertain() {
    // It raises, it does not return, and the overlay says that nobody knows.
    let made = actual(r#"series = { "LT-101" = "50 120 50" }"#);
    assert!(
        made.contains("1s tank-level/LT-101/hh NORMAL>UNACK condition unknown"),
        "{made}"
    );
}

#[test]
fn a_late_sample_lies_in_history() {
    // 95 was measured before 50 was: it raises nothing, and is listed (3.11).
    let listed = "4s tank-level/LT-101/hh NORMAL>RTN_UNACK condition retrospective silent
         4s tank-level/LT-101/h NORMAL>RTN_UNACK condition retrospective masked silent";
    check(r#"series = { "LT-101" = "50x4 95@2s 50x3" }"#, listed);
    check(r#"series = { "LT-101" = "50x4 95@-2s 50x3" }"#, listed);
    // Out of the grid: H stands from 3.5 s on for two seconds.
    check(
        r#"series = { "LT-101" = "50x2 86@3.5s 86x4" }"#,
        "5.5s tank-level/LT-101/h NORMAL>UNACK condition",
    );
}

#[test]
fn sources_go_and_come() {
    check(
        r#"series = { "LT-101" = "50x2 _x4 50" }
           steps = [{ at = "2s", down = "plc" }]"#,
        "2s tank-level/LT-101/hh NORMAL>NORMAL quality unknown
         2s tank-level/LT-101/h NORMAL>NORMAL quality unknown
         2s source/plc/loss_of_view NORMAL>UNACK condition
         4s stale/LT-101/stale NORMAL>UNACK condition masked
         6s tank-level/LT-101/hh NORMAL>NORMAL quality
         6s tank-level/LT-101/h NORMAL>NORMAL quality
         6s stale/LT-101/stale UNACK>NORMAL returned
         6s source/plc/loss_of_view UNACK>RTN_UNACK returned",
    );
}

/// 8.15: what stands, stands again, UNKNOWN; what came while nobody was there came to nobody.
#[test]
fn a_restart_loses_what_came_meanwhile_and_nothing_else() {
    check(
        r#"series = { "LT-101" = "95x3 50x4 95" }
           steps = [
               { at = "1s", ack = "tank-level/LT-101/hh" },
               { at = "2s", restart = "5s" },
           ]"#,
        "0s tank-level/LT-101/hh NORMAL>UNACK condition
         0s tank-level/LT-101/h NORMAL>UNACK condition masked
         1s tank-level/LT-101/hh UNACK>ACKED ack
         7s tank-level/LT-101/hh ACKED>ACKED restart unknown
         7s tank-level/LT-101/h UNACK>UNACK restart masked unknown
         7s tank-level/LT-101/hh ACKED>ACKED quality
         7s tank-level/LT-101/h UNACK>UNACK quality masked",
    );
}

/// Section 2, restart: a pending start is saved at most a second old, so it is not lost here.
#[test]
fn a_kill_falls_back_to_the_image_of_a_second_before() {
    let made = actual(
        r#"series = { "LT-101" = "50 86x9" }
           steps = [{ at = "2s", kill = "3s" }]"#,
    );
    assert!(
        made.contains("tank-level/LT-101/h NORMAL>UNACK condition"),
        "{made}"
    );
}

/// 1: a clock step is recorded, and makes no transition; times of the list run on.
#[test]
fn the_list_tells_time_passed_whatever_the_clock() {
    check(
        r#"series = { "LT-101" = "86x2 95x3 95" }
           steps = [{ at = "1s", clock_step = "-1h" }]"#,
        "2s tank-level/LT-101/h NORMAL>UNACK condition
         2s tank-level/LT-101/hh NORMAL>UNACK condition
         2s tank-level/LT-101/h UNACK>UNACK masked masked",
    );
}

#[test]
fn an_edit_switches_to_other_rules() {
    // 8.24: the on-delay starts at the edit; the engine runs on, so nothing goes UNKNOWN.
    check(
        r#"series = { "LT-101" = "80x9" }
           steps = [{ at = "3s", reload = "tank.toml", replace = "limit = 85", by = "limit = 79" }]"#,
        "5s tank-level/LT-101/h NORMAL>UNACK condition",
    );
    // What stood acknowledged goes with the cause that an edit has.
    check(
        r#"series = { "LT-101" = "86x9" }
           steps = [
               { at = "3s", ack = "tank-level/LT-101/h" },
               { at = "4s", reload = "tank.toml", replace = "limit = 85", by = "limit = 88" },
           ]"#,
        "2s tank-level/LT-101/h NORMAL>UNACK condition
         3s tank-level/LT-101/h UNACK>ACKED ack
         6s tank-level/LT-101/h ACKED>NORMAL rule_changed",
    );
    for (edit, why) in [
        (
            "replace = \"limit = 99\", by = \"\"",
            "tank.toml does not hold \"limit = 99\"",
        ),
        (
            "replace = \"limit = 85\", by = \"limit = 95\"",
            "the rules do not compile after it: rules/tank.toml: E307: h 95 is not below hh 90 on LT-101 (and 1 more points)",
        ),
    ] {
        let report = run(&format!(
            "[[test]]\nname = \"t\"\nexpect = []\nseries = {{ \"LT-101\" = \"80\" }}\n\
             steps = [{{ at = \"0s\", reload = \"tank.toml\", {edit} }}]"
        ));
        assert_eq!(report.faults[0].message, why);
        assert!(report.verdicts.is_empty());
    }
}

#[test]
fn points_of_a_test_are_its_own() {
    check(
        r#"points = { "LT-101" = { low = 0, high = 200, HH = 150 }, "LT-9" = { class = "x", high = 100 } }
           series = { "LT-9" = "95" }"#,
        "0s tank-level/LT-9/hh NORMAL>UNACK condition
         0s tank-level/LT-9/h NORMAL>UNACK condition masked",
    );
    // And of no other test.
    let report = run(
        "[[test]]\nname = \"a\"\npoints = { \"LT-9\" = { class = \"x\" } }\nseries = { \"LT-9\" = \"1\" }\nexpect = []\n\
         [[test]]\nname = \"b\"\nseries = { \"LT-9\" = \"1\" }\nexpect = []\n",
    );
    assert_eq!(report.verdicts.len(), 1);
    assert_eq!(report.faults[0].code, "E351");
}

#[test]
fn a_failure_is_a_time_line() {
    let report = run(r#"[[test]]
name = "t"
series = { "LT-101" = "84+1x4", "FT-101" = "3 _ 3" }
steps = [{ at = "4s", ack = "tank-level/LT-101/h" }]
expect = """
  2s  tank-level/LT-101/h NORMAL>UNACK condition
  4s  tank-level/LT-101/h UNACK>ACKED  ack
"""
"#);
    assert_eq!(report.faults, []);
    let v = &report.verdicts[0];
    assert!(!v.passed);
    let rows: Vec<String> = v
        .rows
        .iter()
        .map(|r| {
            let mark = match r.mark {
                Mark::Both => ' ',
                Mark::Missing => '-',
                Mark::Extra => '+',
                Mark::Step => '·',
            };
            format!("{mark} {} [{}] {}", r.time, r.values.join(" "), r.text)
        })
        .collect();
    assert_eq!(
        rows,
        [
            "- 2s [86 3] tank-level/LT-101/h NORMAL>UNACK condition",
            "+ 3s [87 (3)] tank-level/LT-101/h NORMAL>UNACK condition",
            "· 4s [(87) (3)] ack tank-level/LT-101/h",
            "  4s [(87) (3)] tank-level/LT-101/h UNACK>ACKED ack",
        ]
    );
    assert_eq!(v.rules[0].0, "tank-level");
}

#[test]
fn every_fault_of_a_file_at_once() {
    let report = run(r#"colour = "red"
[[test]]
series = { "LT-101" = "80 eighty", "LT-10l" = "1" }
interval = "0s"
steps = [
    { at = "1s" },
    { at = "1s", ack = "tank-level", restart = "5s" },
    { at = "1s", up = "plcc" },
    { ack = "tank-level/LT-101/h" },
    { at = "1s", clock_step = "1 hour" },
    { at = "2s", reload = "tank.toml" },
    { at = "2s", shelve = "tank-level/LT-101/h", fro = "10m" },
]
expect = ["tank-level/LT-101/h NORMAL>UNACK condition", "5s tank-level/LT-101/h NORMAL>UNACK"]
[[test]]
name = "away"
series = { "LT-101" = "" }
steps = [{ at = "1s", restart = "5s" }, { at = "3s", ack = "tank-level/LT-101/h" }]
expect = []
[[test]]
name = "no such alarm"
series = { "LT-101" = "1" }
expect = ["1s tank-levle/LT-101/h NORMAL>UNACK condition"]
"#);
    let told: Vec<String> = report
        .faults
        .iter()
        .map(|d| format!("{} {} | {}", d.code, d.message, d.hint))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert!(report.verdicts.is_empty());
}

#[test]
fn coverage_counts_what_was_shown() {
    let row = |tests: &str, level: &str| {
        let report = run(tests);
        let c = report
            .coverage
            .iter()
            .find(|c| c.rule == "tank-level" && c.level.name() == level)
            .unwrap()
            .clone();
        (c.items().map(|(_, seen)| seen), c.missing().count())
    };
    let (no, yes, none) = (Some(false), Some(true), None);
    assert_eq!(row("", "h"), ([no; 7], 7));
    // HH has no delays: it cannot miss them.
    assert_eq!(row("", "hh"), ([no, no, none, none, none, none, no], 3));
    let test = |series: &str| {
        format!("[[test]]\nname = \"t\"\nexpect = []\nseries = {{ \"LT-101\" = \"{series}\" }}\n")
    };
    assert_eq!(
        row(&test("80 86x3 80x3"), "h").0,
        [yes, yes, yes, no, yes, no, no]
    );
    assert_eq!(row(&test("80 86 80"), "h").0, [no, no, no, yes, no, no, no]);
    assert_eq!(
        row(&test("80 86x3 80x2 86"), "h").0,
        [yes, no, yes, no, no, yes, no]
    );
    // Unknown at the start shows nothing; unknown after it was known does.
    assert_eq!(row(&test("bad"), "h").0, [no; 7]);
    assert_eq!(
        row(&test("80 bad"), "hh").0,
        [no, no, none, none, none, none, yes]
    );
    // Two tests add up.
    let both = test("80 86x3 80x2 86 80x3 86 80 bad") + &test("80");
    assert_eq!(row(&both, "h"), ([yes; 7], 0));
    assert_eq!(run("").coverage.len(), 2, "only what files give has a row");
}

#[test]
fn a_thousand_readings_take_no_time() {
    // A day at a minute and a hundred alarms; what it costs is measured by hand, that it ends here.
    let report = run(
        "[[test]]\nname = \"t\"\ninterval = \"1m\"\npoints = { \"LT-101\" = { poll = \"1m\" } }\n\
         expect = []\nseries = { \"LT-101\" = \"80x10 95x10 80x10 95x10 80x1000\" }\n",
    );
    assert_eq!(report.faults, []);
    assert!(report.verdicts[0].actual.len() > 5);
}

/// MANUAL.md 4.6 against what is read here. An unknown key lists all that are known.
#[test]
fn every_key_of_a_test_stands_in_the_manual() {
    let manual = include_str!("../../../MANUAL.md");
    let from = manual.find("### 4.6").unwrap();
    let part = &manual[from..from + manual[from..].find("\n---").unwrap()];
    let test = "name = \"t\"\nseries = { \"LT-101\" = \"1\" }\nexpect = []\n";
    for text in [
        format!("[[test]]\nqqqqqqqqqqqq = 1\n{test}"),
        format!("[[test]]\nsteps = [{{ at = \"1s\", qqqqqqqqqqqq = 1 }}]\n{test}"),
        format!("[[test]]\nsteps = [{{ at = \"1s\", ack = \"a/b/c\", qqqqqqqqqqqq = 1 }}]\n{test}"),
        format!(
            "[[test]]\nsteps = [{{ at = \"1s\", reload = \"tank.toml\", text = \"\", qqqqqqqqqqqq = 1 }}]\n{test}"
        ),
        "points = { \"LT-101\" = { qqqqqqqqqqqq = 1 } }\n".to_owned(),
    ] {
        let report = run(&text);
        let hints: Vec<&str> = report.faults.iter().map(|d| &*d.hint).collect();
        let list = hints
            .iter()
            .find_map(|h| h.strip_prefix("known here: "))
            .unwrap_or_else(|| panic!("{text}: {hints:?}"));
        for key in list.split(", ") {
            let named = |by: char| {
                part.split(by)
                    .skip(1)
                    .step_by(2)
                    .any(|quoted| quoted.split_whitespace().any(|word| word == key))
            };
            assert!(named('`'), "{key} stands nowhere in 4.6");
        }
    }
}
