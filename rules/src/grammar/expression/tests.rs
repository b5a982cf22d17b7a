//! Expressions as their writer sees them: what is read, what is refused and where, what is said.

use std::cell::Cell;

use davy_points::{PointDef, PointIx, PointTable, Span};
use proptest::prelude::*;

use super::names::Names;
use super::token::Context;
use super::*;
use crate::proof::plant;

/// FT and PT measure, P.1-RUN and ZS-2 are contacts, N-1 and N-2 have no unit.
fn site() -> PointTable {
    let with = |tag: &str, unit: &str| PointDef {
        unit: unit.into(),
        binding: davy_points::Binding::Mqtt(davy_points::MqttBinding {
            topic: tag.to_owned(),
            json_path: None,
        }),
        ..plant::point(tag)
    };
    plant::table([
        with("FT-101", "m³/h"),
        with("FT-101D", "L/min"),
        with("FT-102", "m³/h"),
        with("LT-101A", "m"),
        with("LT-101B", "cm"),
        with("PT-101", "kPa"),
        with("PT-102", "MPa"),
        with("TT-101", "°C"),
        with("TT-102", "K"),
        with("P.1-RUN", ""),
        with("ZS-2", ""),
        with("N-1", ""),
        with("N-2", ""),
        with("V-101", "m³"),
        with("3-1", ""),
        with("泵-1", ""),
        with("A.1", ""),
        with("A-1", ""),
    ])
}

type Values<'a> = &'a [(&'a str, f64)];

fn value_of(table: &PointTable, p: PointIx, values: Values<'_>) -> Option<f64> {
    let tag = &*table.point(p).tag;
    values.iter().find(|(t, _)| *t == tag).map(|(_, v)| *v)
}

fn check(text: &str, values: Values<'_>, expected: Kleene) {
    let table = site();
    let e = parse(text, &Names::of(&table), None).unwrap_or_else(|f| panic!("{text}: {f:?}"));
    let got = e.judge(&|p| value_of(&table, p, values));
    assert_eq!(got, expected, "{text} with {values:?}: {e:?}");
}

fn number(text: &str) -> Result<Expression, Vec<Fault>> {
    let table = site();
    let names = Names::of(&table);
    let context = Context {
        names: &names,
        capture: None,
        hints: true,
    };
    super::parse::read(text, context, false)
}

fn gives(text: &str, values: Values<'_>, expected: Option<f64>) {
    let table = site();
    let e = number(text).unwrap_or_else(|f| panic!("{text}: {f:?}"));
    let got = e.number(&|slot| value_of(&table, e.inputs()[slot], values));
    assert_eq!(got, expected, "{text} with {values:?}: {e:?}");
}

/// The first fault stands there and says this.
fn refused(text: &str, at: Span, words: &str) {
    let table = site();
    let faults = parse(text, &Names::of(&table), None).expect_err(text);
    let f = &faults[0];
    assert_eq!(f.span, at, "{text}: {f:?}");
    assert!(f.message.contains(words), "{text}: {f:?}");
    assert!(faults.iter().all(|f| !f.hint.is_empty()));
}

use Kleene::{False, True, Unknown};

/// CEL's precedence: `?:`, `||`, `&&`, relations, `+ -`, `* / %`, unary; from the left but `?:`.
#[test]
fn precedence_and_associativity() {
    check("1 + 2 * 3 == 7", &[], True);
    check("(1 + 2) * 3 == 7", &[], False);
    check("10 - 3 - 2 == 5", &[], True);
    check("100 / 10 / 5 == 2", &[], True);
    check("2 * 7 % 4 == 2", &[], True);
    check("17 % 5 * 2 == 4", &[], True);
    check("-2 * -3 == 6", &[], True);
    check("- -5 == 5", &[], True);
    check("--5 == 5", &[], True);
    check("true || false && false", &[], True);
    check("(true || false) && false", &[], False);
    check("!true || true", &[], True);
    check("!(true || true)", &[], False);
    check("1 + 1 > 1 && 2 < 1 + 2", &[], True);
    check("1 < 2 == true", &[], True);
    check("true ? false : true ? true : true", &[], False);
    check("false ? false : false ? false : true", &[], True);
    check("(true ? false : true) ? true : false", &[], False);
    check("(1 > 2 ? 10 : 20) + 1 == 21", &[], True);
    check("2 in [1, 1 + 1]", &[], True);
    check("2 in [1, 3] || true", &[], True);
    check("!(2 in [1, 3])", &[], True);
    check("2 in [1, 2] == true", &[], True);
    check("min(3, 1, 2) + max(1, 4) == 5", &[], True);
    check("0x1F == 31 && .5 == 0.5 && 5e-1 == 0.5", &[], True);
}

#[test]
fn points_are_read() {
    check("abs(FT_101) > 5", &[("FT-101", -6.0)], True);
    check("-FT_101 - 1 < -3", &[("FT-101", 3.0)], True);
    check("!(FT_101 >= 1e1)", &[("FT-101", 9.5)], True);
    check("FT_101 != 3", &[("FT-101", 3.0)], False);
    check("FT_101 <= 3", &[("FT-101", 3.0)], True);
    check("ZS_2", &[("ZS-2", 1.0)], True);
    check("!P_1_RUN", &[("P.1-RUN", 0.0)], True);
    check("ZS_2 == true", &[("ZS-2", 0.0)], False);
    check("false == ZS_2", &[("ZS-2", 0.0)], True);
    check(
        "ZS_2 == 1 && ZS_2 + P_1_RUN >= 2",
        &[("ZS-2", 1.0), ("P.1-RUN", 1.0)],
        True,
    );
    check(
        "ZS_2 ? FT_101 > 5 : P_1_RUN",
        &[("ZS-2", 0.0), ("P.1-RUN", 1.0)],
        True,
    );
    check(
        "(ZS_2 ? P_1_RUN : N_1) && true",
        &[("ZS-2", 0.0), ("N-1", 1.0)],
        True,
    );
    check("N_1 in [2, N_2]", &[("N-1", 3.0), ("N-2", 3.0)], True);
    check("_3_1 > 0 && 泵_1", &[("3-1", 1.0), ("泵-1", 1.0)], True);
    gives(
        "min(N_1, N_2) - max(N_1, 2)",
        &[("N-1", 3.0), ("N-2", 1.0)],
        Some(-2.0),
    );
    gives("N_1 % N_2", &[("N-1", -7.5), ("N-2", 2.0)], Some(-1.5));
}

/// 3.1: Kleene, a true leg trips an OR, a false one blocks an AND, whatever is unknown.
#[test]
fn unknown_is_neither_true_nor_false() {
    check("FT_101 > 5", &[], Unknown);
    check("FT_101 > 5 || true", &[], True);
    check("true || FT_101 > 5", &[], True);
    check("FT_101 > 5 || false", &[], Unknown);
    check("FT_101 > 5 && false", &[], False);
    check("false && FT_101 > 5", &[], False);
    check("FT_101 > 5 && true", &[], Unknown);
    check("!(FT_101 > 5)", &[], Unknown);
    check("(FT_101 > 5) == true", &[], Unknown);
    check("FT_101 == FT_101", &[], Unknown);
    check("FT_101 != FT_101", &[], Unknown);
    check("!ZS_2", &[], Unknown);
    check("max(FT_101, 5) >= 5", &[], Unknown);
    check("N_1 in [1, N_2]", &[("N-1", 1.0)], True);
    check("N_1 in [N_2, 1]", &[("N-1", 1.0)], True);
    check("N_1 in [2, N_2]", &[("N-1", 1.0)], Unknown);
    check("N_1 in [1, 2]", &[], Unknown);
}

/// An unknown condition gives what both branches agree on, else Unknown.
#[test]
fn an_unknown_condition_needs_agreement() {
    check("ZS_2 ? true : N_1 > 0", &[("N-1", 1.0)], True);
    check("ZS_2 ? true : N_1 > 0", &[("N-1", 0.0)], Unknown);
    check("ZS_2 ? N_1 > 0 : N_1 > 0", &[], Unknown);
    check("ZS_2 ? N_1 > 0 : false", &[("ZS-2", 0.0)], False);
    check("ZS_2 ? N_1 > 0 : false", &[("ZS-2", 1.0)], Unknown);
    gives("ZS_2 ? 3 : N_1", &[("N-1", 3.0)], Some(3.0));
    gives("ZS_2 ? 3 : N_1", &[("N-1", 4.0)], None);
}

/// What leaves the finite numbers is not known.
#[test]
fn no_infinity_is_a_number() {
    check("1 / N_1 > 5", &[("N-1", 0.0)], Unknown);
    check("5 % N_1 > 5", &[("N-1", 0.0)], Unknown);
    check("N_1 * 1e300 > 5", &[("N-1", 1e300)], Unknown);
    check(
        "N_1 + N_2 > 5",
        &[("N-1", 1.7e308), ("N-2", 1.7e308)],
        Unknown,
    );
    check(
        "N_1 - N_2 < 5",
        &[("N-1", -1.7e308), ("N-2", 1.7e308)],
        Unknown,
    );
    check("N_1 > 5", &[("N-1", f64::INFINITY)], Unknown);
    check("N_1 > 5", &[("N-1", f64::NAN)], Unknown);
    check("-1 / N_1 < 0 || 1 / N_1 > 0", &[("N-1", 0.0)], Unknown);
    // Pa of 1e305 MPa.
    check(
        "quantity(1, \"Pa\") < PT_102",
        &[("PT-102", 1e305)],
        Unknown,
    );
}

#[test]
fn faults_name_their_place() {
    refused("", 0..0, "ends too early");
    refused("abs(FT_101) > ", 14..14, "ends too early");
    refused("abs(FT_101 > 5", 0..3, "not closed");
    refused("FT_109 > 5", 0..6, "no point is called `FT_109`");
    refused("FT_101 + 1", 0..10, "this is a number in m³/h");
    refused("N_1 + 1", 0..7, "this is a number, where");
    refused("LT_101A && true", 0..7, "this is a number in m,");
    refused("FT_101 $ 3", 7..8, "means nothing");
    refused("FT_101 = 3", 7..8, "means nothing");
    refused("(1 > 2) + 3 > 1", 0..7, "true or false");
    refused("1 + (2 > 1) > 1", 4..11, "true or false");
    refused("-true", 1..5, "true or false");
    refused("abs(true) > 1", 4..8, "true or false");
    refused("1 > 2 > 3", 0..5, "true or false");
    refused("true < false", 0..4, "true or false");
    refused("1 == true", 0..1, "this is a number");
    refused("!5", 1..2, "this is a number");
    refused("1e999 > 2", 0..5, "not a number");
    refused("5m > 2", 0..2, "not a number");
    refused("5. > 2", 0..2, "not a number");
    refused("1.2.3 > 2", 0..5, "not a number");
    refused("99999999999999999999 > 2", 0..20, "not a number");
    refused("A_1 > 2", 0..3, "more than one tag");
    refused("sqrt(2) > 1", 0..4, "no function `sqrt`");
    refused("FT_101 (2) > 1", 0..6, "no function `FT_101`");
    refused("abs(1, 2) > 1", 5..6, "`)` is missing before `,`");
    refused("min(1) > 1", 0..6, "of one number");
    refused("1 in 2", 5..6, "a list is needed");
    refused("1 in []", 5..7, "the list is empty");
    refused("1 in [1, true]", 9..13, "true or false");
    refused("true in [1]", 0..4, "true or false");
    refused("1 in [1", 5..6, "not closed");
    refused("ZS_2 ? true", 11..11, "`:` is missing");
    refused("ZS_2 ? 1 : true", 7..8, "this is a number");
    refused(
        "ZS_2 ? ZS_2 ? true : false : true",
        12..13,
        "`:` is missing",
    );
    refused("N_1 ? 1 : 2", 0..11, "this is a number");
    refused("ZS_2 and ZS_2", 5..8, "`and` is left over");
    refused("true)", 4..5, "left over");
    refused("\"a\" == 5", 0..3, "cannot stand here");
    refused("quantity(5, bar) > 1", 12..15, "a unit in quotes");
    refused("quantity(N_1, \"bar\") > 1", 9..12, "begins with a number");
    refused("quantity(5, \"bar) > 1", 12..21, "not closed");
    refused("* > 1", 0..1, "nothing to put for `*`");
}

/// Every name that is not there is told in one run, and types are still checked beside it.
#[test]
fn faults_come_together() {
    let table = site();
    let faults = parse(
        "FT_109 > 5 && FT_108 < 3 || LT_101A > PT_101",
        &Names::of(&table),
        None,
    )
    .expect_err("three faults");
    let spans: Vec<Span> = faults.iter().map(|f| f.span.clone()).collect();
    assert_eq!(spans, [0..6, 14..20, 28..44], "{faults:?}");
    assert_eq!(
        faults[0].hint,
        "did you mean `FT_101`? Write - and . of a tag as _"
    );
}

#[test]
fn constants_divide_by_no_zero_and_lose_no_rest() {
    refused("N_1 / 0 > 5", 6..7, "this is zero");
    refused("N_1 / 0.0 > 5", 6..9, "this is zero");
    refused("N_1 / (2 - 2) > 5", 6..13, "this is zero");
    refused("N_1 / -(2 - 2) > 5", 6..14, "this is zero");
    refused("N_1 / (true ? 0 : 1) > 5", 6..20, "this is zero");
    refused("N_1 % (1 - 1) > 5", 6..13, "this is zero");
    refused("N_1 / quantity(0, \"m\") > 5", 6..22, "this is zero");
    // CEL: 3 / 2 is 1. Whoever writes it means 1.5.
    refused("N_1 > 3 / 2", 6..11, "without a rest");
    refused("(ZS_2 ? 3 : 4) / 2 > 1", 0..18, "without a rest");
    refused("1e308 * 10 > N_1", 0..10, "leaves the numbers");
    refused("9007199254740993 * 3 > N_1", 0..20, "too large");
    gives("3 / 2.0", &[], Some(1.5));
    gives("6 / 2", &[], Some(3.0));
    gives("N_1 / 2", &[("N-1", 3.0)], Some(1.5));
    gives("1 / N_1", &[("N-1", 4.0)], Some(0.25));
}

#[test]
fn units_that_differ_are_refused_or_converted() {
    refused("LT_101A > PT_101", 0..16, "m and kPa cannot be compared");
    refused("LT_101A + FT_101 > 5", 0..16, "m and m³/h cannot be added");
    refused(
        "LT_101A - N_1 > 5",
        0..13,
        "m and no unit cannot be subtracted",
    );
    refused("TT_101 > TT_102", 0..15, "°C and K cannot be compared");
    refused(
        "LT_101A in [1, PT_101]",
        0..21,
        "m and kPa cannot be compared",
    );
    refused(
        "min(LT_101A, FT_101) > 1",
        4..19,
        "m and m³/h cannot be compared",
    );
    refused(
        "(ZS_2 ? LT_101A : FT_101) > 1",
        8..24,
        "m and m³/h cannot be alternatives",
    );
    refused(
        "PT_101 > quantity(5, \"m\")",
        0..25,
        "kPa and m cannot be compared",
    );
    // The right side is brought to the unit of the left.
    check(
        "LT_101A == LT_101B",
        &[("LT-101A", 1.5), ("LT-101B", 150.0)],
        True,
    );
    check(
        "LT_101B == LT_101A",
        &[("LT-101A", 1.5), ("LT-101B", 150.0)],
        True,
    );
    check(
        "PT_101 < PT_102",
        &[("PT-101", 99.0), ("PT-102", 0.1)],
        True,
    );
    check("PT_101 > quantity(5, \"bar\")", &[("PT-101", 501.0)], True);
    check("PT_101 > quantity(5, 'bar')", &[("PT-101", 500.0)], False);
    check(
        "PT_101 in [quantity(5, \"bar\"), 7]",
        &[("PT-101", 500.0)],
        True,
    );
    check(
        "quantity(-5, \"bar\") < PT_101",
        &[("PT-101", -499.0)],
        True,
    );
    check(
        "FT_101 - FT_101D > 0",
        &[("FT-101", 6.0), ("FT-101D", 99.0)],
        True,
    );
    check(
        "FT_101 - FT_101D < 0",
        &[("FT-101", 6.0), ("FT-101D", 101.0)],
        True,
    );
    gives(
        "LT_101A + LT_101B",
        &[("LT-101A", 1.0), ("LT-101B", 150.0)],
        Some(2.5),
    );
    gives(
        "LT_101B + LT_101A",
        &[("LT-101A", 1.0), ("LT-101B", 150.0)],
        Some(250.0),
    );
    gives("(TT_101 + 10) / 2", &[("TT-101", 20.0)], Some(15.0));
}

#[test]
fn products_have_units() {
    // A plain number beside what was made here would be ambiguous.
    refused(
        "FT_101 * quantity(30, \"min\") > 5",
        31..32,
        "which unit has it",
    );
    refused("5 < LT_101A * LT_101A", 0..1, "which unit has it");
    check(
        "FT_101 * quantity(30, \"min\") > quantity(4, \"m³\")",
        &[("FT-101", 10.0)],
        True,
    );
    check("LT_101A * LT_101A > 0", &[("LT-101A", -2.0)], True);
    check(
        "V_101 / FT_101 < quantity(20, \"min\")",
        &[("V-101", 3.0), ("FT-101", 10.0)],
        True,
    );
    check(
        "V_101 / FT_101 < quantity(17, \"min\")",
        &[("V-101", 3.0), ("FT-101", 10.0)],
        False,
    );
    // A ratio has no unit: 1.5 m in cm is 1.
    check(
        "LT_101A / LT_101B == 1",
        &[("LT-101A", 1.5), ("LT-101B", 150.0)],
        True,
    );
    check("FT_101 * 2 > 5 && FT_101 / 2 < 5", &[("FT-101", 3.0)], True);
    refused("1 / FT_101 > 5", 13..14, "which unit has it");
    refused(
        "FT_101 * LT_101A > FT_101",
        0..25,
        "m³/h·m and m³/h cannot be compared",
    );
    let e = number("V_101 / FT_101").expect("a time");
    let minutes = e.in_unit(&Unit::parse("min")).expect("a time");
    let got = minutes.number(&|slot| [Some(3.0), Some(10.0)][slot]);
    assert_eq!(got, Some(18.0));
    assert_eq!(minutes.gives(), &Gives::Number(Some(Unit::parse("min"))));
    assert!(
        number("V_101")
            .expect("a volume")
            .in_unit(&Unit::parse("m"))
            .is_none()
    );
    assert!(
        number("5")
            .expect("a number")
            .in_unit(&Unit::parse("m"))
            .is_some()
    );
    assert!(
        number("N_1 / N_2")
            .expect("a ratio")
            .in_unit(&Unit::parse("%"))
            .is_none()
    );
    assert!(
        number("N_1 / N_2 * quantity(100, \"%\")")
            .expect("%")
            .in_unit(&Unit::parse("%"))
            .is_some()
    );
}

/// `*` in a name; the rule stands in `token.rs`.
#[test]
fn a_star_is_a_placeholder_or_multiplies() {
    let table = site();
    let names = Names::of(&table);
    let inputs = |text: &str, capture: Option<&str>| -> Vec<String> {
        let e = parse(text, &names, capture).unwrap_or_else(|f| panic!("{text}: {f:?}"));
        e.inputs()
            .iter()
            .map(|p| table.point(*p).tag.to_string())
            .collect()
    };
    assert_eq!(inputs("FT_* > 5", Some("101")), ["FT-101"]);
    assert_eq!(inputs("abs(FT_*) > 5", Some("102")), ["FT-102"]);
    assert_eq!(inputs("FT_*D>5", Some("101")), ["FT-101D"]);
    assert_eq!(inputs("*D > 5", Some("FT-101")), ["FT-101D"]);
    assert_eq!(inputs("FT_*-5 > 0", Some("101")), ["FT-101"]);
    assert_eq!(inputs("FT_1*1 > 0", Some("0")), ["FT-101"]);
    assert_eq!(
        inputs("FT_* * 2 > FT_*D", Some("101")),
        ["FT-101", "FT-101D"]
    );
    assert_eq!(inputs("2*FT_* > 5", Some("101")), ["FT-101"]);
    assert_eq!(inputs("FT_101*2 > 5", None), ["FT-101"]);
    assert_eq!(inputs("FT_101*2 > 5", Some("101")), ["FT-101"]);
    assert_eq!(inputs("FT_101*N_1*N_2 > 5", None), ["FT-101", "N-1", "N-2"]);
    assert_eq!(inputs("N_1*(N_2) > 5", None), ["N-1", "N-2"]);
    assert_eq!(inputs("N_1*-N_2 > 5", None), ["N-1", "N-2"]);
    assert_eq!(inputs("N_1* 2 > 5", None), ["N-1"]);
    assert_eq!(inputs("N_1 *N_2 > 5", Some("101")), ["N-1", "N-2"]);
    // ZS_*2 is ZS_ times 2 for nobody: no point is called ZS_.
    assert_eq!(inputs("ZS_*2 > 0", Some("")), ["ZS-2"]);

    let refused = |text: &str, capture: Option<&str>, at: Span, words: &str| {
        let faults = parse(text, &names, capture).expect_err(text);
        assert_eq!(faults[0].span, at, "{text}: {faults:?}");
        assert!(faults[0].message.contains(words), "{text}: {faults:?}");
    };
    refused("FT_* > 5", None, 0..4, "nothing to put for `*`");
    refused("5 + FT_*2 > 5", None, 4..9, "nothing to put for `*`");
    refused(
        "FT_* > 5",
        Some("104"),
        0..4,
        "no point is called `FT_104` (`FT_*`, where * is \"104\")",
    );
    refused(
        "FT_101* > 5",
        Some("104"),
        0..7,
        "no point is called `FT_101104`",
    );
    // Both would do: N_1 times 1, or N_1 with nothing between.
    refused(
        "FT_101*D > 5",
        Some(""),
        0..8,
        "may be a product of `FT_101`, or stand for `FT_101D`",
    );
    refused("FT_**2 > 5", Some("101"), 0..6, "no point");
}

/// Whoever reads the alarm is told what was not seen, and not what did not matter.
#[test]
fn blindness_names_its_causes() {
    let table = site();
    let blind = |text: &str, values: Values<'_>| -> Vec<String> {
        let e = parse(text, &Names::of(&table), None).unwrap_or_else(|f| panic!("{text}: {f:?}"));
        let read = |slot: usize| value_of(&table, e.inputs()[slot], values);
        let causes = e.blind_slots(&read);
        assert_eq!(causes.is_empty(), e.truth(&read) != Unknown, "{text}");
        causes
            .iter()
            .map(|slot| table.point(e.inputs()[*slot]).tag.to_string())
            .collect()
    };
    assert_eq!(blind("FT_102 > 5 && FT_101 > 5", &[]), ["FT-102", "FT-101"]);
    assert_eq!(
        blind("FT_101 > 5 && FT_102 > 5", &[("FT-101", 6.0)]),
        ["FT-102"]
    );
    assert!(blind("FT_101 > 5 && FT_102 > 5", &[("FT-101", 4.0)]).is_empty());
    assert_eq!(blind("FT_101 > 5 && false || ZS_2", &[]), ["ZS-2"]);
    assert_eq!(
        blind("ZS_2 ? FT_101 > 5 : FT_102 > 5", &[("ZS-2", 1.0)]),
        ["FT-101"]
    );
    assert_eq!(
        blind("ZS_2 ? FT_101 > 5 : FT_102 > 5", &[("ZS-2", 0.0)]),
        ["FT-102"]
    );
    assert_eq!(
        blind("ZS_2 ? FT_101 > 5 : true", &[("FT-101", 1.0)]),
        ["ZS-2"]
    );
    assert_eq!(blind("N_1 in [1, N_2]", &[("N-1", 3.0)]), ["N-2"]);
    assert_eq!(
        blind("abs(FT_101) + FT_102 > 3", &[("FT-102", 3.0)]),
        ["FT-101"]
    );
    // All is known, and the arithmetic left the numbers.
    assert_eq!(
        blind(
            "N_1 / N_2 > 5 && ZS_2",
            &[("N-1", 1.0), ("N-2", 0.0), ("ZS-2", 1.0)]
        ),
        ["N-1", "N-2"]
    );
}

/// Bounded in length and depth: no text takes the stack.
#[test]
fn no_text_is_too_much() {
    let names = Names::of(&site());
    let message = |text: &str| {
        parse(text, &names, None).expect_err("refused")[0]
            .message
            .clone()
    };
    let many = |s: &str, n: usize| s.repeat(n);
    for open in ["(", "!", "-", "abs(", "1 in [", "true ? 1 : ", "min(1,"] {
        assert!(
            message(&many(open, 100_000)).contains("4096 are read"),
            "{open}"
        );
        let most = super::parse::LONGEST / open.len();
        assert!(message(&many(open, most)).contains("levels deep"), "{open}");
    }
    let deep = |n: usize| format!("{}true{}", many("(", n), many(")", n));
    assert!(parse(&deep(64), &names, None).is_ok());
    assert!(message(&deep(65)).contains("levels deep"));
    // What stands open to the left of a parenthesis is bounded too.
    let open = |n: usize| format!("{}1{} > 1", many("N_1 + (", n), many(")", n));
    assert!(parse(&open(20), &names, None).is_ok());
    assert!(message(&open(40)).contains("open at once"));
    // Long but flat is no trouble, whichever way it goes.
    let flat = format!("N_1 > 0{}", many(" || N_1 > 0", 370));
    assert!(parse(&flat, &names, None).is_ok());
    assert!(parse(&format!("1 in [1{}]", many(",1", 2000)), &names, None).is_ok());
}

/// One text for many subjects: shared where it reads the same, one fault for all.
#[test]
fn each_subject_has_its_own() {
    let names = Names::of(&site());
    let of = |text, captures: &[&'static str]| {
        each(
            text,
            Wanted::Truth,
            &names,
            captures.iter().map(|c| Some(*c)),
        )
    };
    let all = of("FT_* > 5", &["101", "102"]).expect("both are there");
    assert_ne!(all[0].inputs(), all[1].inputs());
    let all = of("FT_101 > 5", &["101", "102"]).expect("no star");
    assert!(Arc::ptr_eq(&all[0], &all[1]));
    let all = of("N_1*2 > 5", &["101", "102"]).expect("a product");
    assert!(Arc::ptr_eq(&all[0], &all[1]));
    let faults = of("FT_* > 5", &["101", "103", "104", "105"]).expect_err("three are not");
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.contains("FT_103"), "{faults:?}");
    assert!(
        faults[0].message.contains("(and 2 more points)"),
        "{faults:?}"
    );
    let faults = of("FT_9 > 5", &["101", "103"]).expect_err("one text, one fault");
    assert!(!faults[0].message.contains("more points"));
}

/// Each input is read once for each time that it stands in the text, and nothing else is.
#[test]
fn only_inputs_are_read() {
    let table = site();
    let e = parse("N_2 > N_1 || N_2 > 5", &Names::of(&table), None).expect("good");
    let tags: Vec<&str> = e.inputs().iter().map(|p| &*table.point(*p).tag).collect();
    assert_eq!(tags, ["N-2", "N-1"]);
    let reads = Cell::new(0);
    let _ = e.truth(&|slot| {
        assert!(slot < 2);
        reads.set(reads.get() + 1);
        Some(1.0)
    });
    assert_eq!(reads.get(), 3);
}

/// A gateway judges a million of them a second: nothing is allocated on the way.
#[test]
fn judging_allocates_nothing() {
    let table = site();
    let text =
        "abs(FT_101 - FT_102) > 5 && LT_101A in [1, LT_101B] || (ZS_2 ? N_1 : N_2) % 2.0 < 1";
    let e = parse(text, &Names::of(&table), None).expect("good");
    let counted = allocation_counter::measure(|| {
        for known in 0..64_usize {
            let read = |slot: usize| (known >> slot & 1 == 1).then_some(1.5);
            std::hint::black_box(e.truth(&read));
        }
    });
    assert_eq!(counted.count_total, 0);
}

/// Pieces that make texts which come close to being expressions.
const PIECES: [&str; 44] = [
    "FT_101",
    "FT_*",
    "LT_101A",
    "LT_101B",
    "N_1",
    "ZS_2",
    "泵_1",
    "x",
    "*",
    "1",
    "0",
    "2.5",
    "1e9",
    "0x1",
    "9223372036854775807",
    "+",
    "-",
    "/",
    "%",
    "<",
    "<=",
    "==",
    "!=",
    "&&",
    "||",
    "!",
    "?",
    ":",
    "(",
    ")",
    "[",
    "]",
    ",",
    " in ",
    "abs(",
    "min(",
    "max(",
    "quantity(",
    "\"m\"",
    "'kPa·GJ'",
    "true",
    "false",
    " ",
    "é",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// 100,000 texts a run: none panics, every fault lies within its text, what is read is judged.
    #[test]
    fn no_text_panics(
        lines in prop::collection::vec(prop::collection::vec(0..PIECES.len(), 0..24), 350),
        noise in prop::collection::vec("\\PC{0,30}", 50),
    ) {
        let table = site();
        let names = Names::of(&table);
        let texts = lines.iter().map(|l| l.iter().map(|i| PIECES[*i]).collect::<String>());
        for text in texts.chain(noise) {
            for (capture, truth) in [(None, true), (Some("101"), false)] {
                let context = Context { names: &names, capture, hints: false };
                match super::parse::read(&text, context, truth) {
                    Ok(e) => {
                        let values = [Some(1.0), None, Some(0.0), Some(-3.5)];
                        let read = |slot: usize| values[slot % values.len()];
                        let known = match truth {
                            true => e.truth(&read) != Unknown,
                            false => e.number(&read).is_some(),
                        };
                        prop_assert_eq!(e.blind_slots(&read).is_empty(), known, "{}", text);
                    }
                    Err(faults) => for f in faults {
                        prop_assert!(text.get(f.span.clone()).is_some(), "{}: {:?}", text, f);
                        prop_assert!(!f.hint.is_empty());
                    },
                }
            }
        }
    }
}
