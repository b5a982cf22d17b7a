//! What a rule engineer sees: each fault at its place, all in one run.

use davy_points::{Life, Limits, PointTable};

use super::*;
use crate::alarm::Level;
use crate::proof::plant;
use crate::ruleset::{About, Shade, sentence};

fn site() -> PointTable {
    let mut a = plant::point("LT-101A");
    a.limits = Limits {
        ll: Some(10.0),
        l: Some(20.0),
        h: Some(80.0),
        hh: Some(90.0),
    };
    let mut b = plant::point("LT-101B");
    b.description = "液位".into();
    b.high = Some(14.0);
    b.deadband = 0.1;
    let mut flow = plant::point("FT-101");
    flow.class = "flow".into();
    flow.hazard = "TF4".into();
    let mut planned = plant::point("LT-900");
    planned.life = Life::Planned;
    plant::table([a, b, flow, planned])
}

/// Each fault as `CODE LINE:COLUMN "what the caret spans" message | hint`.
fn faults(text: &str) -> Vec<String> {
    let (rules, faults) = compile(
        &[("rules/a.toml".into(), text.to_owned())],
        &site(),
        &["tank-overfill".to_owned()],
    );
    assert_eq!(rules.is_none(), !faults.is_empty());
    faults
        .iter()
        .map(|d| {
            let before = &text[..d.span.start];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |n| n + 1) + 1;
            let marked = text[d.span.clone()].lines().next().unwrap_or("");
            format!(
                "{} {line}:{column} [{marked}] {} | {}",
                d.code, d.message, d.hint
            )
        })
        .collect()
}

fn check(text: &str, expected: &[&str]) {
    let got = faults(text);
    assert!(
        got == expected,
        "\n{text}\nexpected:\n  {}\ngot:\n  {}",
        expected.join("\n  "),
        got.join("\n  ")
    );
}

fn compiled(text: &str) -> (PointTable, RuleSet) {
    let table = site();
    let (rules, faults) = compile(
        &[("rules/a.toml".into(), text.to_owned())],
        &table,
        &["tank-overfill".to_owned()],
    );
    assert_eq!(faults, []);
    (table, rules.unwrap())
}

#[test]
fn everything_wrong_is_said_at_once() {
    check(
        "schema = 1
[[level]]
id = \"Tank Level\"
select = { class = \"tank_levle\" }
h = { limit = 85, prioritty = 3, deadband = -1 }
hh = { limit = inf, priority = 5 }
on_bad = \"hodl\"
on_delay = 5
guidance = \"tank-overfil\"
[[stuck]]
id = \"stale\"
select = { tag = \"LT-*\", hazard = \"TF4\" }
epsilon = \"0.02\"
while = \"abs(FT_102) > 5\"
[[levels]]
",
        &[
            "E305 3:6 [\"Tank Level\"] \"Tank Level\" cannot be a rule's id | use a-z, 0-9 and - only: it is part of alarm names and topics",
            "E314 9:12 [\"tank-overfil\"] there is no guidance page \"tank-overfil\" | did you mean \"tank-overfill\"?",
            "E302 8:12 [5] `on_delay` is of type integer | give a duration in quotes, like \"5s\"",
            "E311 5:45 [-1] `deadband` is negative: -1 | give zero or more, in the point's unit",
            "E301 5:19 [prioritty] unknown key `prioritty` | did you mean `priority`?",
            "E311 6:16 [inf] `limit` is not a finite number | give a number that a value can be compared with",
            "E309 6:32 [5] priority 5 is not 1 to 4 | 1 critical, 2 high, 3 medium, 4 low",
            "E316 7:10 [\"hodl\"] `on_bad` cannot be \"hodl\" | did you mean \"hold\"? It is one of: hold, alarm, use_value",
            "E306 4:20 [\"tank_levle\"] no point matches | no point has class \"tank_levle\"; did you mean \"tank_level\"?",
            "E305 11:6 [\"stale\"] \"stale\" is the name of an implicit rule | choose another id",
            "E302 13:11 [\"0.02\"] `epsilon` is of type string | give a number",
            "E302 10:1 [[[stuck]]] `window` is missing | give how long a value may stand still, like \"10m\"",
            "E306 12:10 [{ tag = \"LT-*\", hazard = \"TF4\" }] no point matches | each condition is met by some point, all of them by none: take one away",
            "E313 14:14 [FT_102] no point is called `FT_102` | did you mean `FT_101`? Write - and . of a tag as _",
            "E301 15:3 [levels] unknown key `levels` | did you mean `level`?",
        ],
    );
}

#[test]
fn limits_stand_in_order_and_deadbands_do_not_meet() {
    check(
        "schema = 1
[[level]]
id = \"a\"
select = { tag = \"LT-101A\" }
h = { limit = 95 }
[[level]]
id = \"b\"
select = { tag = \"LT-101B\" }
h = { limit = 11, deadband = 1 }
hh = { limit = 12, deadband = 1 }
[[level]]
id = \"c\"
select = { tag = \"LT-101B\" }
hh = { limit = 14.5 }
[[level]]
id = \"d\"
select = { tag = \"FT-101\" }
ll = { priority = 1 }
[[level]]
id = \"e\"
select = { class = \"flow\" }
",
        &[
            "E307 2:1 [[[level]]] h 95 is not below hh 90 on LT-101A | LL < L < H < HH, with deadbands that do not meet",
            "E307 10:16 [12] the deadbands of h 11 and hh 12 on LT-101B meet: 11 ≥ 11 | LL < L < H < HH, with deadbands that do not meet",
            "E308 14:16 [14.5] limit 14.5 lies outside the range of LT-101B, 0 to 14 m | a value is clamped to its range: such a limit could never be passed",
            "E315 18:6 [{ priority = 1 }] level ll has no limit, neither here nor in the point table for FT-101 | give `limit`, or fill column LL of the point table",
            "E315 15:1 [[[level]]] FT-101 has no limit at all, neither here nor in the point table | give a level, like `h = { limit = 85 }`, or select other points",
            "E315 19:1 [[[level]]] FT-101 has no limit at all, neither here nor in the point table | give a level, like `h = { limit = 85 }`, or select other points",
        ],
    );
}

#[test]
fn a_file_that_is_no_rule_file() {
    check(
        "schema = 2\nlevel = 5\n",
        &[
            "E303 1:10 [2] schema 2 is not one that this version reads | schema = 1",
            "E302 2:9 [5] `level` is of type integer | give an array of tables: [[level]]",
        ],
    );
    check(
        "[[level]]\nid = \"a\"\n",
        &[
            "E303 1:1 [[[level]]] `schema` is missing | begin the file with schema = 1",
            "E302 1:1 [[[level]]] `select` is missing | give `select = { class = \"tank_level\" }`",
        ],
    );
    check(
        "schema = 1\n[[level]\nid = ",
        &[
            "E300 2:9 [] not TOML: unclosed array table, expected `]` | one `[[level]]`, `[[stale]]`, `[[stuck]]` or `[[quality]]` before each rule, then `key = value`",
        ],
    );
}

#[test]
fn an_id_belongs_to_one_rule_of_the_site() {
    let file = |id: &str| {
        format!("schema = 1\n[[quality]]\nid = \"{id}\"\nselect = {{ tag = \"FT-101\" }}\n")
    };
    let files = [
        ("rules/a.toml".into(), file("x")),
        ("rules/b.toml".into(), file("x")),
    ];
    let (_, faults) = compile(&files, &site(), &[]);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].code, "E304");
    assert_eq!(faults[0].file, PathBuf::from("rules/b.toml"));
    assert_eq!(faults[0].related[0].0, PathBuf::from("rules/a.toml"));
}

fn alarms(table: &PointTable, rules: &RuleSet, tag: &str) -> Vec<String> {
    rules
        .of_point(table.find(tag).unwrap())
        .map(|(_, a)| {
            format!(
                "{} p{} {}",
                rules.name(a, table),
                a.priority.get(),
                a.limit.map_or("-".to_owned(), |l| l.to_string())
            )
        })
        .collect()
}

/// `formats.md` section 2: a limit left out comes from the point table; a rule file wins over it.
#[test]
fn a_rule_file_wins_over_the_table_and_takes_what_it_leaves_out() {
    let (table, rules) = compiled(
        "schema = 1
[[level]]
id = \"tank-level\"
select = { tag = \"LT-101A\" }
h = { limit = 85, priority = 3, deadband = 1, on_delay = \"5s\" }
hh = { priority = 1 }
guidance = \"tank-overfill\"
",
    );
    assert_eq!(
        alarms(&table, &rules, "LT-101A"),
        [
            "tank-level/LT-101A/hh p1 90",
            "tank-level/LT-101A/h p3 85",
            "tank-level/LT-101A/ll p1 10",
            "tank-level/LT-101A/l p2 20",
            "tank-level/LT-101A/loss_of_view p3 -",
            "stale/LT-101A/stale p3 -",
            "quality/LT-101A/bad p3 -",
        ]
    );
    assert_eq!(
        alarms(&table, &rules, "LT-101B"),
        ["stale/LT-101B/stale p3 -", "quality/LT-101B/bad p3 -"]
    );
    assert_eq!(alarms(&table, &rules, "LT-900"), Vec::<String>::new());
    let a = rules.find("tank-level/LT-101A/h", &table).unwrap();
    assert_eq!(rules.alarm(a).level, Level::H);
    assert_eq!(rules.find("table/LT-101A/h", &table), None);
    assert_eq!(
        rules.find("source/plc/loss_of_view", &table),
        Some(rules.of_source(table.point(table.find("FT-101").unwrap()).source))
    );
}

/// A rule's revision changes with what it resolves to, and with nothing else.
#[test]
fn a_revision_is_of_what_runs() {
    let text = |limit: f64| {
        format!(
            "schema = 1\n[[level]]\nid = \"t\"\nselect = {{ tag = \"LT-101B\" }}\nhh = {{ limit = {limit} }}\n"
        )
    };
    let rev = |text: &str| {
        let (table, rules) = compiled(text);
        let a = rules.find("t/LT-101B/hh", &table).unwrap();
        rules.rule_rev(rules.alarm(a), &table)
    };
    let first = rev(&text(12.2));
    assert_eq!(first.len(), 16);
    assert_eq!(first, rev(&(text(12.2) + "# a remark\n")));
    assert_ne!(first, rev(&text(12.1)));
}

#[test]
fn an_alarm_speaks_in_one_sentence() {
    let (table, rules) = compiled(
        "schema = 1\n[[level]]\nid = \"t\"\nselect = { tag = \"LT-101B\" }\nhh = { limit = 12.2 }\n",
    );
    let a = rules.alarm(rules.find("t/LT-101B/hh", &table).unwrap());
    let point = table.point(table.find("LT-101B").unwrap());
    let said = sentence(
        rules.rule(a.rule),
        a,
        &About::Point(point),
        &davy_points::Value::F64(12.31),
        Shade::Plain,
    );
    assert_eq!(said, "LT-101B 液位 12.31 m ≥ 高高限 12.20 m");
}

#[test]
fn no_text_panics() {
    use proptest::prelude::*;
    let table = site();
    proptest!(|(text in "\\PC*", cut in 0_usize..400)| {
        let _ = compile(&[("a.toml".into(), text)], &table, &[]);
        let whole = "schema = 1\n[[stuck]]\nid = \"s\"\nselect = { tag = \"LT*\" }\nepsilon = 0.1\nwindow = \"1m\"\nwhile = \"abs(FT_101) > 5 && (1 + 2) * 3 / 4 >= -1\"\n[[quality]]\nid = \"q\"\nselect = { area = \"north\" }\nclasses = [\"bad\"]\n";
        let cut = cut.min(whole.len());
        let _ = compile(&[("a.toml".into(), whole[..cut].to_owned())], &table, &[]);
    });
}

/// MANUAL.md part 4 against what is read here. An unknown key lists all that are known.
#[test]
fn every_key_of_a_rule_stands_in_the_manual() {
    let manual = include_str!("../../../MANUAL.md");
    let part = &manual[manual.find("## 4. Rules").unwrap()..manual.find("## 5. Faults").unwrap()];
    let mut known = std::collections::BTreeSet::new();
    let head = "id = \"r\"\nselect = { class = \"tank_level\" }\n";
    for text in [
        "[[level]]\nqqqqqqqqqqqq = 1\n",
        "[[stale]]\nqqqqqqqqqqqq = 1\n",
        "[[stuck]]\nqqqqqqqqqqqq = 1\n",
        "[[quality]]\nqqqqqqqqqqqq = 1\n",
        "[[level]]\nh = { qqqqqqqqqqqq = 1 }\n",
        "[[level]]\nbad = { qqqqqqqqqqqq = 1 }\n",
        "[[level]]\nloss_of_view = { qqqqqqqqqqqq = 1 }\n",
    ] {
        let said = faults(&format!("schema = 1\n{text}{head}"));
        let list = said
            .iter()
            .find_map(|f| f.split_once("known here: "))
            .unwrap_or_else(|| panic!("{text}: {said:?}"));
        known.extend(list.1.split(", ").map(str::to_owned));
    }
    for select in ["tag", "class", "hazard", "area"] {
        assert!(part.contains(&format!("`select.{select}`")), "{select}");
    }
    known.remove("select");
    assert!(known.len() > 20, "{known:?}");
    let pages: Vec<String> = ["README", "level", "stale", "stuck", "quality"]
        .map(crate::kinds::reference::page)
        .into();
    for key in &known {
        let row = format!("| `{key}` |");
        let told = part.contains(&row) || pages.iter().any(|page| page.contains(&row));
        assert!(
            told,
            "no row for `{key}`, neither here nor in the reference"
        );
    }
}

/// `stale` has `after`; a delay would be read and mean nothing.
#[test]
fn a_stale_rule_takes_no_delay() {
    check(
        "schema = 1
[[stale]]
id = \"s\"
select = { class = \"flow\" }
on_delay = \"5s\"
",
        &[
            "E301 5:1 [on_delay] unknown key `on_delay` | known here: id, select, guidance, text, realarm, latch, confirm, priority, suppress, after",
        ],
    );
}
