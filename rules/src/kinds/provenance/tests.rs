//! What a rule engineer is told about a gas limit beyond its cap.

use davy_points::{Limits, PointTable, Severity};

use crate::alarm::Level;
use crate::language::compile_signed;
use crate::proof::plant;
use crate::ruleset::{Approval, sign_override};

const KEY: &[u8] = b"a key of the site, 32 characters";

fn site() -> PointTable {
    let gas = |tag: &str, class: &str, unit: &str, high: f64| {
        let mut p = plant::point(tag);
        p.class = class.into();
        p.unit = unit.into();
        p.low = Some(0.0);
        p.high = Some(high);
        p
    };
    let mut table_alone = gas("AT-9F", "gas_flammable", "%LEL", 100.0);
    table_alone.limits = Limits {
        h: Some(25.0),
        ..Limits::default()
    };
    let mut from_table = gas("AT-3T", "gas_toxic", "ppm", 100.0);
    from_table.limits = Limits {
        h: Some(50.0),
        ..Limits::default()
    };
    plant::table([
        gas("AT-1T", "gas_toxic", "ppm", 1000.0),
        gas("AT-2T", "gas_toxic", "mg/m³", 1000.0),
        from_table,
        gas("AT-1F", "gas_flammable", "%LEL", 100.0),
        gas("AT-2F", "gas_flammable", "%LEL", 100.0),
        gas("AT-1X", "gas_oxygen", "%vol", 30.0),
        gas("AT-4T", "gas_toxic", "", 1000.0),
        table_alone,
    ])
}

/// Each fault as `CODE LINE [what the caret spans] message | hint`.
fn faults_with(text: &str, key: Option<&[u8]>) -> Vec<String> {
    let (rules, faults) = compile_signed(
        &[("rules/a.toml".into(), text.to_owned())],
        &site(),
        &[],
        &Approval::new(key),
    );
    let refused = faults.iter().any(|d| d.severity == Severity::Error);
    assert_eq!(rules.is_none(), refused);
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    faults
        .iter()
        .map(|d| {
            let marked = text[d.span.clone()].lines().next().unwrap_or("");
            format!(
                "{} {} [{marked}] {} | {}",
                d.code,
                line(d.span.start),
                d.message,
                d.hint
            )
        })
        .collect()
}

fn check(rule: &str, key: Option<&[u8]>, expected: &[&str]) {
    let text = format!("schema = 1\n[[level]]\nid = \"gas\"\n{rule}\n");
    let got = faults_with(&text, key);
    assert!(
        got == expected,
        "\n{text}\nexpected:\n  {}\ngot:\n  {}",
        expected.join("\n  "),
        got.join("\n  ")
    );
}

#[test]
fn a_toxic_limit_above_its_cap_is_refused() {
    let nh3 = "select = { tag = \"AT-1T\" }\nsubstance = \"NH3\"";
    let source = "(GB/T 50493-2019 (100 % and 200 %) on the exposure limit table, read in a copy; 150 ppm: GB 50072-2021 7.4)";
    check(
        &format!("{nh3}\nh = {{ limit = 28.7 }}\nhh = {{ limit = 57 }}\nhhh = {{ limit = 150 }}"),
        None,
        &[],
    );
    check(
        &format!("{nh3}\nh = {{ limit = 30 }}\nhh = {{ limit = 57 }}\nhhh = {{ limit = 151 }}"),
        None,
        &[
            &format!(
                "E330 6 [30] gas h 30 on AT-1T lies above the cap of 28.7 ppm {source} | keep to the cap (standards.toml of 2026-11-25); or add override = {{ reason, by, approved_by, date, signature }}, signed with `davy check DIR --sign gas/h`"
            ),
            &format!(
                "E330 8 [151] gas hhh 151 on AT-1T lies above the cap of 150 ppm {source} | keep to the cap (standards.toml of 2026-11-25); or add override = {{ reason, by, approved_by, date, signature }}, signed with `davy check DIR --sign gas/hhh`"
            ),
        ],
    );
    // The same gas in the other unit, by its CAS number.
    check(
        "select = { tag = \"AT-2T\" }\nsubstance = \"7664-41-7\"\nh = { limit = 20.1 }",
        None,
        &[&format!(
            "E330 6 [20.1] gas h 20.1 on AT-2T lies above the cap of 20 mg/m³ {source} | keep to the cap (standards.toml of 2026-11-25); or add override = {{ reason, by, approved_by, date, signature }}, signed with `davy check DIR --sign gas/h`"
        )],
    );
}

/// One fault for many points, and the rule's own place where the limit comes from the table.
#[test]
fn a_limit_of_the_point_table_is_held_against_the_cap_too() {
    let got = faults_with(
        "schema = 1\n[[level]]\nid = \"gas\"\nselect = { tag = \"AT-3T\" }\nsubstance = \"NH3\"\nh = { priority = 2 }\n",
        None,
    );
    assert_eq!(got.len(), 1);
    assert!(
        got[0].starts_with(
            "E330 6 [{ priority = 2 }] gas h 50 on AT-3T lies above the cap of 28.7 ppm"
        ),
        "{got:?}"
    );
    // Flammable needs no substance: the unit says it. Two heads, one fault.
    let got = faults_with(
        "schema = 1\n[[level]]\nid = \"gas\"\nselect = { class = \"gas_flammable\", tag = \"AT-?F\" }\nh = { limit = 26 }\n",
        None,
    );
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(
        got[0].contains("on AT-1F lies above the cap of 25 %LEL"),
        "{got:?}"
    );
    assert!(got[0].contains("(and 2 more points)"), "{got:?}");
}

/// Where no rule at all covers the point, the implicit rule `table` is held against its class.
#[test]
fn a_point_without_a_rule_is_held_against_its_class() {
    let mut point = plant::point("AT-1F");
    point.class = "gas_flammable".into();
    point.unit = "%LEL".into();
    point.limits.h = Some(30.0);
    let (rules, faults) = crate::language::compile(&[], &plant::table([point]), &[]);
    assert!(rules.is_none());
    assert_eq!(faults.len(), 1);
    assert_eq!(
        (faults[0].code, &*faults[0].file.to_string_lossy()),
        ("E330", "points.csv")
    );
    assert!(
        faults[0].message.contains("H 30 of AT-1F"),
        "{}",
        faults[0].message
    );
}

#[test]
fn oxygen_is_held_from_both_sides() {
    check(
        "select = { tag = \"AT-1X\" }\nl = { limit = 19.5 }\nh = { limit = 23.5 }",
        None,
        &[],
    );
    check(
        "select = { tag = \"AT-1X\" }\nl = { limit = 18 }\nh = { limit = 24 }",
        None,
        &[
            "E330 5 [18] gas l 18 on AT-1X lies below the cap of 19.5 %vol (GB/T 50493-2019, oxygen: 19.5 and 23.5 %vol) | keep to the cap (standards.toml of 2026-11-25); or add override = { reason, by, approved_by, date, signature }, signed with `davy check DIR --sign gas/l`",
            "E330 6 [24] gas h 24 on AT-1X lies above the cap of 23.5 %vol (GB/T 50493-2019, oxygen: 19.5 and 23.5 %vol) | keep to the cap (standards.toml of 2026-11-25); or add override = { reason, by, approved_by, date, signature }, signed with `davy check DIR --sign gas/h`",
        ],
    );
}

#[test]
fn a_substance_that_nobody_knows() {
    check(
        "select = { tag = \"AT-1T\" }\nsubstance = \"NH4\"\nh = { limit = 1 }",
        None,
        &[
            "E333 5 [\"NH4\"] no substance \"NH4\" in standards.toml | did you mean \"NH3\"? A CAS number is understood too",
        ],
    );
}

/// A toxic gas in a unit without caps, and one whose exposure limit the plant has to choose: both
/// run, and both are said.
#[test]
fn what_cannot_be_capped_is_said() {
    check(
        "select = { tag = \"AT-4T\" }\nsubstance = \"NH3\"\nh = { limit = 30 }",
        None,
        &[
            "W331 6 [30] no cap of NH3 is known in the unit of AT-4T, no unit | give the point its unit, mg/m³ or ppm, or take `substance` away",
        ],
    );
    let eo = "select = { tag = \"AT-1T\" }\nsubstance = \"EO\"";
    check(
        &format!("{eo}\nh = {{ limit = 0.3 }}"),
        None,
        &[
            "W330 6 [0.3] EO: two exposure limits are in circulation: 0.6/1.2 mg/m³ in the copy of the table, PC-TWA 2 mg/m³ (1.1/2.2 ppm) recalled | the plant decides: write its source and `verified = true` beside the limit",
        ],
    );
    check(
        &format!("{eo}\nh = {{ limit = 0.3, source = \"本厂签字\", verified = true }}"),
        None,
        &[],
    );
}

const OVERRIDE: &str = "select = { tag = \"AT-1T\" }\nsubstance = \"CO\"
h = { limit = 30, override = { reason = \"风管内，非呼吸带\", by = \"甲\", approved_by = \"乙\", date = \"2026-11-25\", signature = \"SIG\" } }";

fn signed() -> (String, String) {
    let text = format!("schema = 1\n[[level]]\nid = \"gas\"\n{OVERRIDE}\n");
    let signature = sign_override(
        &[("rules/a.toml".into(), text)],
        &Approval::new(Some(KEY)),
        "gas/h",
    )
    .expect("a signature");
    (OVERRIDE.replace("SIG", &signature), signature)
}

#[test]
fn a_signed_override_goes_beyond_the_cap() {
    let (rule, _) = signed();
    check(&rule, Some(KEY), &[]);
    // It is on record that it does.
    let text = format!("schema = 1\n[[level]]\nid = \"gas\"\n{rule}\n");
    let (rules, _) = compile_signed(
        &[("rules/a.toml".into(), text)],
        &site(),
        &[],
        &Approval::new(Some(KEY)),
    );
    let rules = rules.expect("rules");
    let rule = rules.rules().iter().find(|r| &*r.id == "gas").expect("gas");
    assert_eq!(rule.provenance.len(), 1);
    assert!(rule.provenance[0].overridden && rule.provenance[0].level == Level::H);
}

/// Anything else than exactly what was signed: another limit, another word, another key, no key.
#[test]
fn an_override_that_was_not_signed_is_refused() {
    let (rule, signature) = signed();
    let remedy = "set `[approval] key_file` in site.toml, write `limit` beside the override, and let the approver print the signature: `davy check DIR --sign gas/h`";
    let wrong = |limit: &str, sig: &str| {
        format!(
            "E332 6 [\"{sig}\"] gas h {limit} on AT-1T lies above the cap of 17.5 ppm, and the signature of the override is not that of these words | {remedy}"
        )
    };
    check(
        &rule.replace("limit = 30", "limit = 31"),
        Some(KEY),
        &[&wrong("31", &signature)],
    );
    check(
        &rule.replace("风管内", "风道内"),
        Some(KEY),
        &[&wrong("30", &signature)],
    );
    check(
        &rule,
        Some(b"another key, also long enough"),
        &[&wrong("30", &signature)],
    );
    check(OVERRIDE, Some(KEY), &[&wrong("30", "SIG")]);
    check(
        &rule,
        None,
        &[&format!(
            "E332 6 [\"{signature}\"] gas h 30 on AT-1T lies above the cap of 17.5 ppm, and the override cannot be verified: the site has no approval key | {remedy}"
        )],
    );
}

/// The limit that is signed must stand there: one of the point table can change behind the signature.
#[test]
fn an_override_signs_a_limit() {
    let (rule, _) = signed();
    let rule = rule.replace("AT-1T", "AT-3T").replace("limit = 30, ", "");
    let text = format!("schema = 1\n[[level]]\nid = \"gas\"\n{rule}\n");
    let got = faults_with(&text, Some(KEY));
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(got[0].starts_with("E332 6 [{ reason"), "{got:?}");
    assert!(got[0].contains("the override signs no `limit`"), "{got:?}");
}

#[test]
fn an_override_that_is_none() {
    let remedy = "who goes beyond a standard gives reason, by, approved_by (somebody else), date and signature";
    let (rule, _) = signed();
    let one = |text: &str| {
        let text = format!("schema = 1\n[[level]]\nid = \"gas\"\n{text}\n");
        faults_with(&text, Some(KEY))
    };
    // By the same person.
    let got = one(&rule.replace("approved_by = \"乙\"", "approved_by = \"甲\""));
    assert!(got[0].starts_with("E331 6 [{ reason"), "{got:?}");
    assert!(
        got[0].ends_with(&format!(
            "the override is none: who approves may not be who wrote it | {remedy}"
        )),
        "{got:?}"
    );
    // And it does not cover the limit any more.
    assert!(got[1].starts_with("E330"), "{got:?}");
    // Without an approver; with a word that nobody reads.
    let got = one(&rule.replace("approved_by = \"乙\", ", ""));
    assert!(got[0].contains("the override lacks approved_by"), "{got:?}");
    let got = one(&rule.replace("reason =", "reasons ="));
    assert!(
        got.iter()
            .any(|g| g.starts_with("E301") && g.contains("did you mean `reason`?")),
        "{got:?}"
    );
    // Kept although the limit is within its cap: it could cover a later change.
    let got = one(&rule.replace("limit = 30", "limit = 17"));
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(
        got[0].contains("E331") && got[0].contains("no limit goes beyond its cap"),
        "{got:?}"
    );
    // At a kind that has no caps.
    let got = faults_with(
        "schema = 1\n[[deviation]]\nid = \"d\"\nselect = { tag = \"AT-1T\" }\nsp = 1\nh = { limit = 5, override = { reason = \"r\", by = \"a\", approved_by = \"b\", date = \"2026-11-25\", signature = \"\" } }\n",
        Some(KEY),
    );
    assert!(got[0].contains("`override` has no effect here"), "{got:?}");
}

#[test]
fn a_source_says_something() {
    check(
        "select = { tag = \"AT-1F\" }\nh = { limit = 20, source = \" \" }",
        None,
        &["E302 5 [\" \"] `source` is empty | name the document and its clause, or leave it out"],
    );
    check(
        "select = { tag = \"AT-1F\" }\nh = { limit = 20, verified = true }",
        None,
        &[
            "E302 5 [{ limit = 20, verified = true }] `verified` without a source | name what the number was read in: source = \"GB/T 50493-2019 5.5\"",
        ],
    );
}

/// Signing says what is missing, and never shows the key.
#[test]
fn signing_says_what_it_needs() {
    let text = format!("schema = 1\n[[level]]\nid = \"gas\"\n{OVERRIDE}\nhh = {{ limit = 60 }}\n");
    let files = [("rules/a.toml".into(), text)];
    let key = Approval::new(Some(KEY));
    for (which, approval, says) in [
        ("gas", &key, "is not RULE/LEVEL"),
        ("gas/", &key, "is not RULE/LEVEL"),
        ("gsa/h", &key, "there is no rule \"gsa\""),
        ("gas/l", &key, "rule \"gas\" has no level \"l\""),
        ("gas/hh", &key, "has no override"),
        ("gas/h/filling", &key, "has no level \"h/filling\""),
        ("gas/h", &Approval::default(), "no approval key"),
    ] {
        let e = sign_override(&files, approval, which).expect_err(which);
        assert!(e.contains(says), "{which}: {e}");
        assert!(!e.contains("a key of the site"), "{e}");
    }
}
