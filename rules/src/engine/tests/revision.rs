//! `rule_rev`: any setting that is another makes another revision, and nothing else does. Without it
//! an edit over a restart would pass for the same rule, and a record would name the wrong one.

use davy_points::PointTable;

use crate::language::compile;
use crate::proof::plant;

const RULES: &[(&str, &[(&str, &str)])] = &[
    (
        "[[level]]\nid = \"x\"\nselect = { tag = \"A\" }\nh = { limit = 70, priority = 3, deadband = 2, on_delay = \"1s\", off_delay = \"2s\" }\nlatch = false\nconfirm = false\nsafety = false\ntext = \"a\"\nrealarm = \"1h\"\non_bad = \"hold\"\npending = \"held\"\ngap_tolerance = \"5s\"\nchatter = { count = 3, window = \"60s\" }",
        &[
            ("limit = 70", "limit = 71"),
            ("priority = 3", "priority = 4"),
            ("deadband = 2", "deadband = 1"),
            ("on_delay = \"1s\"", "on_delay = \"3s\""),
            ("off_delay = \"2s\"", "off_delay = \"3s\""),
            ("latch = false", "latch = true"),
            ("confirm = false", "confirm = true"),
            ("safety = false", "safety = true"),
            ("text = \"a\"", "text = \"b\""),
            ("realarm = \"1h\"", "realarm = \"2h\""),
            ("on_bad = \"hold\"", "on_bad = \"use_value\""),
            ("pending = \"held\"", "pending = \"strict\""),
            ("gap_tolerance = \"5s\"", "gap_tolerance = \"6s\""),
            ("count = 3", "count = 4"),
            ("window = \"60s\"", "window = \"30s\""),
        ],
    ),
    (
        "[[deviation]]\nid = \"x\"\nselect = { tag = \"A\" }\nsp = \"B\"\nh = { limit = 20 }\nsp_settle = \"5s\"\nsp_step = 1",
        &[
            ("\"5s\"", "\"6s\""),
            ("sp_step = 1", "sp_step = 2"),
            ("limit = 20", "limit = 21"),
            ("\"B\"", "\"C\""),
        ],
    ),
    (
        "[[rate]]\nid = \"x\"\nselect = { tag = \"A\" }\nwindow = \"60s\"\nper = \"min\"\nh = { limit = 60 }",
        &[("\"60s\"", "\"70s\""), ("\"min\"", "\"h\"")],
    ),
    (
        "[[redundant]]\nid = \"x\"\nselect = { tag = \"A\" }\nwith = [\"B\"]\nshare = 0.1",
        &[("0.1", "0.2"), ("\"B\"", "\"C\"")],
    ),
    (
        "[[vote]]\nid = \"x\"\nselect = { tag = \"A\" }\nlegs = [\"A\", \"B\", \"C\"]\nof = 2\nabove = 70\nbad_leg = \"degrade\"",
        &[
            ("of = 2", "of = 3"),
            ("above = 70", "above = 71"),
            ("above", "below"),
            ("degrade", "trip"),
        ],
    ),
    (
        "[[count]]\nid = \"x\"\nselect = { tag = \"A\" }\nwhen = \"A > 70\"\nwindow = \"20s\"\nat_least = 3",
        &[
            ("A > 70", "A > 71"),
            ("\"20s\"", "\"21s\""),
            ("at_least = 3", "at_least = 4"),
        ],
    ),
    (
        "[[aggregate]]\nid = \"x\"\nselect = { tag = \"A\" }\nfunction = \"mean\"\nwindow = \"60s\"\nmin_coverage = 0.8\nh = { limit = 70 }",
        &[
            ("\"mean\"", "\"max\""),
            ("\"60s\"", "\"61s\""),
            ("0.8", "0.9"),
        ],
    ),
    (
        "[[expression]]\nid = \"x\"\nselect = { tag = \"A\" }\nwhen = \"A > 70\"",
        &[("A > 70", "A > 71"), ("A > 70", "A >= 70")],
    ),
    (
        "[[sequence]]\nid = \"x\"\nselect = { tag = \"A\" }\nfirst = \"A > 70\"\nthen = \"B > 70\"\nwithin = \"3s\"\nalarm_on = \"missing\"",
        &[
            ("A > 70", "A > 71"),
            ("B > 70", "B > 71"),
            ("\"3s\"", "\"4s\""),
            ("missing", "order"),
        ],
    ),
    (
        "[[discrepancy]]\nid = \"x\"\nselect = { tag = \"A\" }\nfeedback = \"B\"\ntolerance = 1\nwithin = \"2s\"",
        &[
            ("tolerance = 1", "tolerance = 2"),
            ("\"2s\"", "\"3s\""),
            ("\"B\"", "\"C\""),
        ],
    ),
    (
        "[[stuck]]\nid = \"x\"\nselect = { tag = \"A\" }\nepsilon = 0.5\nwindow = \"30s\"\nwhile = \"B > 30\"",
        &[("0.5", "0.6"), ("\"30s\"", "\"31s\""), ("B > 30", "B > 31")],
    ),
    (
        "[[time_to_limit]]\nid = \"x\"\nselect = { tag = \"A\" }\nto = 90\ndirection = \"up\"\nbelow = \"20m\"\nshort = \"60s\"\nlong = \"600s\"\nr2 = 0.7",
        &[
            ("to = 90", "to = 91"),
            ("\"up\"", "\"down\""),
            ("\"20m\"", "\"21m\""),
            ("\"60s\"", "\"61s\""),
            ("\"600s\"", "\"601s\""),
            ("0.7", "0.8"),
        ],
    ),
    (
        "[[mass_balance]]\nid = \"x\"\nselect = { tag = \"A\" }\nin = [\"F\"]\nout = []\nwindow = \"600s\"\narea = 100\nh = { limit = 5 }",
        &[
            ("\"600s\"", "\"601s\""),
            ("area = 100", "area = 101"),
            ("limit = 5", "limit = 6"),
        ],
    ),
];

fn revision(rule: &str) -> String {
    let mut flow = plant::point("F");
    flow.unit = "m³/h".into();
    let tags = ["A", "B", "C"].map(plant::point);
    let table: PointTable = plant::table(tags.into_iter().chain([flow]));
    let files = [("rules/a.toml".into(), format!("schema = 1\n{rule}"))];
    let (rules, faults) = compile(&files, &table, &[]);
    let rules = rules.unwrap_or_else(|| panic!("{rule}\n{faults:#?}"));
    let of = rules.alarms().find(|(_, d)| &*rules.rule(d.rule).id == "x");
    let (_, def) = of.expect("an alarm of the rule");
    rules.rule_rev(def, &table)
}

#[test]
fn every_setting_is_in_the_revision() {
    for (rule, changes) in RULES {
        let first = revision(rule);
        assert_eq!(first, revision(rule), "{rule}");
        assert_eq!(
            first,
            revision(&format!("# said otherwise\n\n{rule}\n")),
            "{rule}"
        );
        for (from, to) in *changes {
            assert!(rule.contains(from), "{from} {rule}");
            assert_ne!(
                first,
                revision(&rule.replacen(from, to, 1)),
                "{from} {to}\n{rule}"
            );
        }
    }
}
