//! What goes with what: truths with truths, numbers with numbers of one dimension; and the code
//! that comes of it. Constants are computed here, once.
//!
//! Units: what is added, compared or chosen between must measure the same; the right side is
//! brought to the unit of the left. A plain number takes the unit of what stands beside it, unless
//! that unit was made by multiplying or dividing here (`m³/h·min`): there it must say its own.

use davy_points::{PointIx, Span};

use super::Fault;
use super::judge::{Op, Two, run};
use crate::grammar::units::{Scale, Unit};

/// A part of an expression; its code is the last in the program.
pub(super) struct Node {
    pub(super) span: Span,
    /// Where its code begins.
    start: usize,
    is: Is,
    /// Its value where no point is read.
    constant: Option<f64>,
    /// An integer in CEL.
    whole: bool,
    /// A point by itself that may stand for a truth.
    contact: bool,
}

enum Is {
    Truth,
    Number(Measure),
    /// It had its fault; nothing more is said of it.
    Faulty,
}

#[derive(Clone)]
struct Measure {
    /// None: plain numbers, which take any unit.
    unit: Option<Unit>,
    /// Made by multiplying or dividing here.
    made: bool,
}

impl Node {
    pub(super) fn is_faulty(&self) -> bool {
        matches!(self.is, Is::Faulty)
    }

    pub(super) fn is_truth(&self) -> bool {
        matches!(self.is, Is::Truth)
    }

    pub(super) fn has_made_unit(&self) -> bool {
        matches!(&self.is, Is::Number(m) if m.made)
    }

    /// Its unit, of a number.
    pub(super) fn unit(&self) -> Option<&Unit> {
        match &self.is {
            Is::Number(m) => m.unit.as_ref(),
            _ => None,
        }
    }
}

/// How a conversion is written in a program.
pub(in crate::grammar) fn scaling(scale: Scale) -> Option<Op> {
    match scale {
        Scale::Same => None,
        Scale::Times(by) => Some(Op::Times(by)),
        Scale::Over(by) => Some(Op::Over(by)),
    }
}

/// The program as it grows, and what was found wrong.
#[derive(Default)]
pub(super) struct Program {
    pub(super) code: Vec<Op>,
    pub(super) inputs: Vec<PointIx>,
    pub(super) faults: Vec<Fault>,
}

impl Program {
    pub(super) fn fault(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Node {
        self.faults.push(Fault::new(span.clone(), message, hint));
        self.faulty(span)
    }

    /// A part that has had its fault. It begins where the code ends: nothing of it is looked at.
    pub(super) fn faulty(&self, span: Span) -> Node {
        Node {
            span,
            start: self.code.len(),
            is: Is::Faulty,
            constant: None,
            whole: false,
            contact: false,
        }
    }

    pub(super) fn truth_literal(&mut self, b: bool, span: Span) -> Node {
        self.push(if b { 1.0 } else { 0.0 }, Is::Truth, false, span)
    }

    pub(super) fn number_literal(
        &mut self,
        v: f64,
        whole: bool,
        unit: Option<Unit>,
        span: Span,
    ) -> Node {
        let is = Is::Number(Measure { unit, made: false });
        self.push(v, is, whole, span)
    }

    fn push(&mut self, v: f64, is: Is, whole: bool, span: Span) -> Node {
        self.code.push(Op::Push(v));
        Node {
            span,
            start: self.code.len() - 1,
            is,
            constant: Some(v),
            whole,
            contact: false,
        }
    }

    pub(super) fn point(&mut self, p: PointIx, unit: Unit, contact: bool, span: Span) -> Node {
        let slot = self.inputs.iter().position(|i| *i == p).unwrap_or_else(|| {
            self.inputs.push(p);
            self.inputs.len() - 1
        });
        // The length of the text bounds the number of inputs far below this.
        self.code
            .push(Op::Read(u16::try_from(slot).unwrap_or(u16::MAX)));
        let unit = Some(unit);
        Node {
            span,
            start: self.code.len() - 1,
            is: Is::Number(Measure { unit, made: false }),
            constant: None,
            whole: false,
            contact,
        }
    }

    /// Makes a truth of a part whose code ends at `end`; false, with a fault, where it is none.
    fn as_truth(&mut self, node: &mut Node, end: usize) -> bool {
        match &node.is {
            Is::Truth => true,
            Is::Faulty => false,
            Is::Number(_) if node.contact => {
                self.code.insert(end, Op::NotZero);
                node.is = Is::Truth;
                node.contact = false;
                true
            }
            Is::Number(m) => {
                let unit = m.unit.as_ref().filter(|u| !u.is_none());
                let unit = unit.map_or_else(String::new, |u| format!(" in {u}"));
                self.fault(
                    node.span.clone(),
                    format!("this is a number{unit}, where true or false is needed"),
                    "compare it: `abs(FT_101) > 5`",
                );
                false
            }
        }
    }

    /// A part that must be true or false, the last of the program.
    pub(super) fn truth(&mut self, mut node: Node) -> Node {
        let end = self.code.len();
        match self.as_truth(&mut node, end) {
            true => node,
            false => self.faulty(node.span),
        }
    }

    fn as_number(&mut self, node: &Node) -> bool {
        match node.is {
            Is::Number(_) => true,
            Is::Faulty => false,
            Is::Truth => {
                self.fault(
                    node.span.clone(),
                    "this is true or false, where a number is needed",
                    "put parentheses around the comparison, or compare numbers",
                );
                false
            }
        }
    }

    pub(super) fn number(&mut self, node: Node) -> Node {
        match self.as_number(&node) {
            true => node,
            false => self.faulty(node.span),
        }
    }

    pub(super) fn not(&mut self, node: Node, span: Span) -> Node {
        let node = self.truth(node);
        self.one(Op::Not, node, span)
    }

    pub(super) fn negate(&mut self, node: Node, span: Span) -> Node {
        let node = self.number(node);
        self.one(Op::Negate, node, span)
    }

    pub(super) fn abs(&mut self, node: Node, span: Span) -> Node {
        let node = self.number(node);
        self.one(Op::Abs, node, span)
    }

    fn one(&mut self, op: Op, node: Node, span: Span) -> Node {
        if node.is_faulty() {
            return self.faulty(span);
        }
        self.code.push(op);
        let constant = node.constant.is_some();
        let node = Node {
            span,
            contact: false,
            ..node
        };
        self.settle(node, constant)
    }

    /// After its code is written: a part that reads nothing is computed now.
    fn settle(&mut self, mut node: Node, constant: bool) -> Node {
        node.constant = None;
        if !constant {
            return node;
        }
        let v = run(&self.code[node.start..], &|_| None);
        self.code.truncate(node.start);
        self.code.push(Op::Push(v));
        if v.is_nan() {
            return self.fault(
                node.span,
                "this leaves the numbers",
                "no value can be compared with what is not finite: correct the constants",
            );
        }
        // Beyond 2^53 a double no longer holds every integer of CEL.
        if node.whole && v.abs() > 9_007_199_254_740_992.0 {
            return self.fault(
                node.span,
                "this is too large for a whole number",
                "write it with a decimal point, like 1e16",
            );
        }
        node.constant = Some(v);
        node
    }

    pub(super) fn and_or(&mut self, two: Two, mut a: Node, mut b: Node) -> Node {
        let (span, constant) = (a.span.start..b.span.end, both_constant(&a, &b));
        let before = self.code.len();
        let ok_a = self.as_truth(&mut a, b.start);
        b.start += self.code.len() - before;
        let end = self.code.len();
        if !self.as_truth(&mut b, end) || !ok_a {
            return self.faulty(span);
        }
        self.code.push(Op::Two(two));
        self.settle(Node { span, ..a }, constant)
    }

    pub(super) fn compare(&mut self, two: Two, mut a: Node, mut b: Node) -> Node {
        let (span, constant) = (a.span.start..b.span.end, both_constant(&a, &b));
        if a.is_faulty() || b.is_faulty() {
            return self.faulty(span);
        }
        if a.is_truth() || b.is_truth() {
            if !matches!(two, Two::Eq | Two::Ne) {
                let (what, at) = match a.is_truth() {
                    true => ("this", a.span.clone()),
                    false => ("this", b.span.clone()),
                };
                return self.fault(
                    at,
                    format!("{what} is true or false, where a number is needed"),
                    "truths can be compared with == and != only; join conditions with && or ||",
                );
            }
            return self.same_truths(two, a, b, span, constant);
        }
        if self.alike(&a, &mut b, "compared").is_none() {
            return self.faulty(span);
        }
        self.code.push(Op::Two(two));
        a.is = Is::Truth;
        a.whole = false;
        a.contact = false;
        self.settle(Node { span, ..a }, constant)
    }

    fn same_truths(
        &mut self,
        two: Two,
        mut a: Node,
        mut b: Node,
        span: Span,
        constant: bool,
    ) -> Node {
        let before = self.code.len();
        let ok = self.as_truth(&mut a, b.start);
        b.start += self.code.len() - before;
        let end = self.code.len();
        if !self.as_truth(&mut b, end) || !ok {
            return self.faulty(span);
        }
        self.code.push(Op::Two(two));
        self.settle(Node { span, ..a }, constant)
    }

    /// `+`, `-`, `%`, min, max: of one dimension.
    pub(super) fn alike_two(&mut self, two: Two, a: &Node, mut b: Node) -> Node {
        let (span, constant) = (a.span.start..b.span.end, both_constant(a, &b));
        let ok = self.as_number(a);
        if !self.as_number(&b) || !ok {
            return self.faulty(span);
        }
        let what = match two {
            Two::Add => "added",
            Two::Sub => "subtracted",
            Two::Rem => "divided with a rest",
            _ => "compared",
        };
        if two == Two::Rem && b.constant == Some(0.0) {
            return self.by_zero(b.span);
        }
        let Some(measure) = self.alike(a, &mut b, what) else {
            return self.faulty(span);
        };
        self.code.push(Op::Two(two));
        let whole = a.whole && b.whole;
        let node = Node {
            span,
            is: Is::Number(measure),
            whole,
            contact: false,
            start: a.start,
            constant: None,
        };
        self.settle(node, constant)
    }

    fn by_zero(&mut self, span: Span) -> Node {
        self.fault(
            span,
            "this is zero: nothing can be divided by it",
            "divide by something else; a point that is zero at times makes the result unknown then",
        )
    }

    /// `*` and `/`: units are multiplied and divided.
    pub(super) fn product(&mut self, two: Two, a: &Node, b: &Node) -> Node {
        let (span, constant) = (a.span.start..b.span.end, both_constant(a, b));
        let ok = self.as_number(a);
        if !self.as_number(b) || !ok {
            return self.faulty(span);
        }
        let (Is::Number(ma), Is::Number(mb)) = (&a.is, &b.is) else {
            return self.faulty(span);
        };
        let divides = two == Two::Div;
        if divides && b.constant == Some(0.0) {
            return self.by_zero(b.span.clone());
        }
        let whole = a.whole && b.whole;
        if divides && whole {
            let exact = match (a.constant, b.constant) {
                (Some(x), Some(y)) => x % y == 0.0,
                _ => false,
            };
            if !exact {
                return self.fault(
                    span,
                    "CEL divides whole numbers without a rest: 3 / 2 is 1",
                    "write one of them with a decimal point: 3 / 2.0 is 1.5",
                );
            }
        }
        self.code.push(Op::Two(two));
        let mut measure = match (&ma.unit, &mb.unit) {
            (_, None) => ma.clone(),
            (None, Some(_)) if !divides => mb.clone(),
            (Some(_), Some(u)) if u.is_none() => ma.clone(),
            (Some(u), Some(_)) if u.is_none() && !divides => mb.clone(),
            (x, Some(y)) => {
                let x = x.clone().unwrap_or_else(Unit::none);
                Measure {
                    unit: Some(if divides { x.over(y) } else { x.times(y) }),
                    made: true,
                }
            }
        };
        // m/cm is 100: what has no dimension left is brought to a plain ratio.
        if let Some(unit) = measure.unit.as_ref().filter(|u| u.is_none()) {
            let Some(scale) = unit.scale_to(&Unit::none()) else {
                return self.fault(
                    span,
                    format!("{unit} leaves the numbers"),
                    "use units that differ less",
                );
            };
            self.code.extend(scaling(scale));
            measure = Measure {
                unit: Some(Unit::none()),
                made: false,
            };
        }
        let node = Node {
            span,
            is: Is::Number(measure),
            whole,
            contact: false,
            start: a.start,
            constant: None,
        };
        self.settle(node, constant)
    }

    /// Sees that two numbers measure the same, and brings `b`, the last of the program, to the
    /// unit of `a`. None: they do not, which is a fault.
    fn alike(&mut self, a: &Node, b: &mut Node, done: &str) -> Option<Measure> {
        let (Is::Number(ma), Is::Number(mb)) = (&a.is, &b.is) else {
            return None;
        };
        let (ma, mb) = (ma.clone(), mb.clone());
        let (ua, ub) = match (&ma.unit, &mb.unit) {
            (None, None) => return Some(ma),
            (Some(_), None) => return self.takes_unit(b, &ma).then_some(ma),
            (None, Some(_)) => return self.takes_unit(a, &mb).then_some(mb),
            (Some(ua), Some(ub)) => (ua, ub),
        };
        let Some(scale) = ua
            .dimension()
            .eq(ub.dimension())
            .then(|| ub.scale_to(ua))
            .flatten()
        else {
            self.fault(
                a.span.start..b.span.end,
                format!("{ua} and {ub} cannot be {done}: they do not measure the same"),
                why_not(ua, ub),
            );
            return None;
        };
        if let Some(op) = scaling(scale) {
            self.code.push(op);
            if b.constant.is_some() {
                let moved = Node {
                    span: b.span.clone(),
                    start: b.start,
                    is: Is::Faulty,
                    constant: None,
                    whole: false,
                    contact: false,
                };
                let settled = self.settle(moved, true);
                b.constant = settled.constant;
                b.constant?;
            }
            b.whole = false;
        }
        Some(ma)
    }

    /// Whether a plain number may take the unit of what stands beside it.
    fn takes_unit(&mut self, plain: &Node, beside: &Measure) -> bool {
        // Nothing is nothing in every unit.
        if !beside.made || plain.constant == Some(0.0) {
            return true;
        }
        let unit = beside.unit.as_ref().map_or("", Unit::text);
        self.fault(
            plain.span.clone(),
            format!("a plain number beside a result in {unit}: which unit has it?"),
            "say it: `quantity(5, \"m³\")`; the result is converted to it",
        );
        false
    }

    /// `x in [a, b]`: begins with `x`, the last of the program.
    pub(super) fn begin_within(&mut self, x: Node) -> Node {
        let x = self.number(x);
        self.code.push(Op::Push(0.0));
        x
    }

    /// One element, the last of the program.
    pub(super) fn within(&mut self, x: Node, element: Node) -> Node {
        let mut element = self.number(element);
        if x.is_faulty() || element.is_faulty() {
            return self.faulty(x.span);
        }
        if self.alike(&x, &mut element, "compared").is_none() {
            return self.faulty(x.span);
        }
        self.code.push(Op::Within);
        Node {
            // Only where all of it is constant can it be computed now.
            constant: x.constant.filter(|_| element.constant.is_some()),
            ..x
        }
    }

    pub(super) fn end_within(&mut self, x: &Node, span: Span) -> Node {
        if x.is_faulty() {
            return self.faulty(span);
        }
        self.code.push(Op::EndWithin);
        let constant = x.constant.is_some();
        let node = Node {
            span,
            is: Is::Truth,
            whole: false,
            contact: false,
            start: x.start,
            constant: None,
        };
        self.settle(node, constant)
    }

    /// `c ? a : b`, the last three of the program; `c` is a truth already.
    pub(super) fn select(&mut self, c: &Node, mut a: Node, mut b: Node) -> Node {
        let span = c.span.start..b.span.end;
        if c.is_faulty() || a.is_faulty() || b.is_faulty() {
            return self.faulty(span);
        }
        let constant = c.constant.is_some() && both_constant(&a, &b);
        let (is, whole) = if a.is_truth() || b.is_truth() {
            let before = self.code.len();
            let ok = self.as_truth(&mut a, b.start);
            b.start += self.code.len() - before;
            let end = self.code.len();
            if !self.as_truth(&mut b, end) || !ok {
                return self.faulty(span);
            }
            (Is::Truth, false)
        } else {
            let Some(measure) = self.alike(&a, &mut b, "alternatives") else {
                return self.faulty(span);
            };
            (Is::Number(measure), a.whole && b.whole)
        };
        let contact = a.contact && b.contact && matches!(is, Is::Number(_));
        self.code.push(Op::Select);
        let node = Node {
            span,
            is,
            whole,
            contact,
            start: c.start,
            constant: None,
        };
        self.settle(node, constant)
    }
}

fn both_constant(a: &Node, b: &Node) -> bool {
    a.constant.is_some() && b.constant.is_some()
}

fn why_not(a: &Unit, b: &Unit) -> String {
    let temperature = |u: &Unit| matches!(&*u.text().replace('℃', "°C"), "°C" | "K" | "°F");
    if temperature(a) && temperature(b) {
        return "their zeros differ: bring both points to one scale in the point table".to_owned();
    }
    match (a.is_none(), b.is_none()) {
        (true, false) | (false, true) => {
            "give the one without a unit its unit in the point table, or multiply it: \
             `* quantity(1, \"m\")`"
                .to_owned()
        }
        _ => "correct the unit in the point table, or convert one: `* quantity(…) / quantity(…)`"
            .to_owned(),
    }
}
