//! Our expressions against the `cel` crate: texts and bindings are generated, both must say the same.
//!
//! Points are doubles or contacts, some are not known: CEL has no such variable then, and an error
//! where we have Unknown. Nothing is divided by what may be zero: infinities are numbers there and
//! Unknown here (`tests.rs` has those). Parentheses are left out wherever the types allow it, so
//! that precedence and associativity are put to the test too.

use cel::{Context as Bindings, Program, Value};
use proptest::prelude::*;

use super::judge::Kleene;
use super::names::Names;
use super::token::Context;
use crate::proof::plant;

/// What points may show: none of them zero.
const VALUES: [f64; 5] = [-3.0, -0.5, 1.0, 2.5, 3.0];

/// Four numbers x0 … x3 and two contacts c0, c1; None is not known.
#[derive(Debug, Clone)]
struct Known {
    numbers: [Option<f64>; 4],
    contacts: [Option<bool>; 2],
}

fn known() -> impl Strategy<Value = Known> {
    let number = || {
        prop_oneof![
            3 => prop::sample::select(&VALUES[..]).prop_map(Some),
            1 => Just(None),
        ]
    };
    let contact = || {
        prop_oneof![
            3 => any::<bool>().prop_map(Some),
            1 => Just(None),
        ]
    };
    (
        [number(), number(), number(), number()],
        [contact(), contact()],
    )
        .prop_map(|(numbers, contacts)| Known { numbers, contacts })
}

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..4_usize).prop_map(|n| format!("x{n}")),
        1 => prop::sample::select(&["1.0", "2.5", "3.0", "0.5", "-3.0", "5e-1", "1e0"][..])
            .prop_map(str::to_owned),
    ]
}

fn closed(text: &str) -> String {
    format!("({text})")
}

/// Number texts of this depth: bare texts bind at least like a sum.
fn number(depth: u32) -> BoxedStrategy<String> {
    if depth == 0 {
        return atom().boxed();
    }
    let n = move || number(depth - 1);
    let sign = prop::sample::select(&["+", "-", "*"][..]);
    prop_oneof![
        2 => n(),
        2 => (n(), sign.clone(), n()).prop_map(|(a, s, b)| format!("{a} {s} {b}")),
        1 => (n(), sign, n()).prop_map(|(a, s, b)| format!("({a}) {s} ({b})")),
        1 => (n(), atom()).prop_map(|(a, b)| format!("{a} / {b}")),
        1 => (n(), n(), n()).prop_map(|(a, b, c)| format!("{a} - ({b} - {c}) - {b}")),
        1 => n().prop_map(|a| format!("-{}", closed(&a))),
        1 => n().prop_map(|a| format!("abs({a})")),
        1 => (n(), n()).prop_map(|(a, b)| format!("min({a}, {b})")),
        1 => (n(), n(), n()).prop_map(|(a, b, c)| format!("max({a}, {b}, {c})")),
        1 => (truth(depth - 1), n(), n()).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
    ]
    .boxed()
}

/// Truth texts of this depth: bare texts bind at least like an OR.
fn truth(depth: u32) -> BoxedStrategy<String> {
    let contact = (0..2_usize).prop_map(|n| format!("c{n}"));
    let literal = prop::sample::select(&["true", "false"][..]).prop_map(str::to_owned);
    if depth == 0 {
        return prop_oneof![4 => contact, 1 => literal].boxed();
    }
    let n = move || number(depth - 1);
    let t = move || truth(depth - 1);
    let relation = prop::sample::select(&["<", "<=", ">", ">=", "==", "!="][..]);
    prop_oneof![
        4 => (n(), relation, n()).prop_map(|(a, r, b)| format!("{a} {r} {b}")),
        3 => (t(), prop::sample::select(&["&&", "||"][..]), t())
            .prop_map(|(a, s, b)| format!("{a} {s} {b}")),
        1 => (t(), t(), t()).prop_map(|(a, b, c)| format!("{a} && ({b} || {c})")),
        1 => t().prop_map(|a| format!("!{}", closed(&a))),
        1 => (t(), prop::sample::select(&["==", "!="][..]), t())
            .prop_map(|(a, s, b)| format!("({a}) {s} ({b})")),
        1 => (t(), t(), t(), t(), t())
            .prop_map(|(a, b, c, d, e)| format!("({a} ? {b} : {c} ? {d} : {e})")),
        1 => (n(), prop::collection::vec(n(), 1..4))
            .prop_map(|(x, list)| format!("{x} in [{}]", list.join(", "))),
    ]
    .boxed()
}

/// What the crate says; none is an error.
fn cel(program: &Program, known: &Known) -> Option<Value> {
    let mut bindings = Bindings::default();
    for (n, v) in known.numbers.iter().enumerate() {
        if let Some(v) = v {
            bindings.add_variable_from_value(format!("x{n}"), *v);
        }
    }
    for (n, b) in known.contacts.iter().enumerate() {
        if let Some(b) = b {
            bindings.add_variable_from_value(format!("c{n}"), *b);
        }
    }
    let added = bindings
        .add_function("abs", f64::abs)
        .and(bindings.add_function("min", cel::functions::min))
        .and(bindings.add_function("max", cel::functions::max));
    added.expect("no other functions have the names");
    program.execute(&bindings).ok()
}

/// What we say.
fn ours(text: &str, is_truth: bool, known: &Known) -> Option<Value> {
    let tags = ["x0", "x1", "x2", "x3", "c0", "c1"];
    let table = plant::table(tags.map(|t| davy_points::PointDef {
        unit: "".into(),
        ..plant::point(t)
    }));
    let names = Names::of(&table);
    let context = Context {
        names: &names,
        capture: None,
        hints: true,
    };
    let e = super::parse::read(text, context, is_truth)
        .unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    let read = |slot: usize| match e.inputs()[slot].index() {
        n @ 0..4 => known.numbers[n],
        n => known.contacts[n - 4].map(|b| if b { 1.0 } else { 0.0 }),
    };
    match is_truth {
        true => match e.truth(&read) {
            Kleene::True => Some(Value::Bool(true)),
            Kleene::False => Some(Value::Bool(false)),
            Kleene::Unknown => None,
        },
        false => e.number(&read).map(Value::Float),
    }
}

/// Everything that could be true of what is not known, as far as a few values go.
fn possible(known: &Known) -> Vec<Known> {
    let mut all = vec![known.clone()];
    for n in 0..known.numbers.len() {
        if known.numbers[n].is_none() {
            let with = |k: &Known| {
                [-3.0, 1.0, 2.5].map(|v| {
                    let mut k = k.clone();
                    k.numbers[n] = Some(v);
                    k
                })
            };
            all = all.iter().flat_map(with).collect();
        }
    }
    for n in 0..known.contacts.len() {
        if known.contacts[n].is_none() {
            let with = |k: &Known| {
                [false, true].map(|b| {
                    let mut k = k.clone();
                    k.contacts[n] = Some(b);
                    k
                })
            };
            all = all.iter().flat_map(with).collect();
        }
    }
    all
}

fn agree(text: &str, is_truth: bool, known: &Known) -> Result<(), TestCaseError> {
    let program =
        Program::compile(text).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
    let (theirs, ours) = (cel(&program, known), ours(text, is_truth, known));
    match (&theirs, &ours) {
        (Some(_), _) => prop_assert_eq!(&theirs, &ours, "{}", text),
        (None, None) => {}
        // We may know more: where the branches of a condition agree, where a list has it already.
        // Then it must be so whatever the unknown is.
        (None, Some(_)) => {
            prop_assert!(
                text.contains('?') || text.contains(" in "),
                "{text}: {ours:?}"
            );
            for full in possible(known) {
                prop_assert_eq!(&cel(&program, &full), &ours, "{} with {:?}", text, full);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn truths_agree_with_cel(text in truth(4), known in known()) {
        agree(&text, true, &known)?;
    }

    #[test]
    fn numbers_agree_with_cel(text in number(4), known in known()) {
        agree(&text, false, &known)?;
    }

    /// Whole numbers: what is read has CEL's value; what CEL would round is refused.
    #[test]
    fn whole_numbers_agree_with_cel(
        first in 0..9_i64,
        more in prop::collection::vec((prop::sample::select(&["+", "-", "*", "/", "%"][..]), 0..9_i64), 1..5),
    ) {
        let rest: String = more.iter().map(|(s, n)| format!(" {s} {n}")).collect();
        let text = format!("{first}{rest}");
        let theirs = Program::compile(&text)
            .ok()
            .and_then(|p| p.execute(&Bindings::default()).ok());
        let names = Names::of(&plant::table_of(&["x0"]));
        let context = Context { names: &names, capture: None, hints: true };
        match super::parse::read(&text, context, false) {
            Ok(e) => {
                let ours = e.number(&|_| None).map(Value::Float);
                prop_assert_eq!(theirs, ours, "{}", text);
            }
            Err(faults) => {
                let why = &faults[0].message;
                let zero = why.contains("this is zero");
                prop_assert!(zero || why.contains("without a rest"), "{text}: {why}");
                // A rest may stand left of a zero, but CEL never divides by zero where we read on.
                prop_assert!(!zero || theirs.is_none(), "{}", text);
            }
        }
    }
}
