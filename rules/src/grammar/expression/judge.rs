//! What a checked program says of values: Kleene's logic, no allocation, no recursion.
//!
//! A program is postfix code over a stack of doubles. NaN is Unknown; of truths 1 is true and 0 is
//! false. Arithmetic that leaves the finite numbers is Unknown.

/// True, false, or not known (3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kleene {
    True,
    False,
    Unknown,
}

impl Kleene {
    /// None: not known.
    pub(crate) fn known(self) -> Option<bool> {
        match self {
            Kleene::True => Some(true),
            Kleene::False => Some(false),
            Kleene::Unknown => None,
        }
    }

    pub(crate) fn and(self, other: Kleene) -> Kleene {
        match (self, other) {
            (Kleene::False, _) | (_, Kleene::False) => Kleene::False,
            (Kleene::True, Kleene::True) => Kleene::True,
            _ => Kleene::Unknown,
        }
    }
}

pub(super) fn kleene(v: f64) -> Kleene {
    if v.is_nan() {
        Kleene::Unknown
    } else if v == 0.0 {
        Kleene::False
    } else {
        Kleene::True
    }
}

/// How many values a program may hold at once; a power of two.
pub(super) const STACK: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op {
    Push(f64),
    /// An input, by its place in the list.
    Read(u16),
    Negate,
    Abs,
    /// A conversion of units.
    Times(f64),
    Over(f64),
    /// A number becomes a truth: not zero.
    NotZero,
    Not,
    Two(Two),
    /// `x acc e` → `x (acc || x == e)`.
    Within,
    /// `x acc` → `acc`.
    EndWithin,
    /// `c a b` → a or b; where c is not known, what a and b agree on.
    Select,
}

/// Of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Two {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Min,
    Max,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    And,
    Or,
}

impl Op {
    /// How much higher the stack is after it.
    pub(super) fn grows(self) -> isize {
        match self {
            Op::Push(_) | Op::Read(_) => 1,
            Op::Two(_) | Op::Within | Op::EndWithin => -1,
            Op::Select => -2,
            _ => 0,
        }
    }
}

/// The result on the stack; `parse` has seen to it that a program never holds more than [`STACK`].
#[inline]
pub(super) fn run(code: &[Op], read: &impl Fn(usize) -> Option<f64>) -> f64 {
    const MASK: usize = STACK - 1;
    let mut stack = [0.0_f64; STACK];
    // The uppermost value stands in `top`; `n` values lie below it.
    let mut top = f64::NAN;
    let mut n = 0_usize;
    for op in code {
        match *op {
            Op::Push(v) => {
                stack[n & MASK] = top;
                n += 1;
                top = v;
            }
            Op::Read(slot) => {
                stack[n & MASK] = top;
                n += 1;
                top = finite(read(usize::from(slot)).unwrap_or(f64::NAN));
            }
            Op::Two(two) => {
                n = n.wrapping_sub(1);
                top = of_two(two, stack[n & MASK], top);
            }
            Op::Within => {
                n = n.wrapping_sub(1);
                let acc = stack[n & MASK];
                let x = stack[n.wrapping_sub(1) & MASK];
                top = of_two(Two::Or, acc, of_two(Two::Eq, x, top));
            }
            Op::EndWithin => n = n.wrapping_sub(1),
            Op::Select => {
                n = n.wrapping_sub(2);
                top = select(stack[n & MASK], stack[(n + 1) & MASK], top);
            }
            one => top = of_one(one, top),
        }
    }
    top
}

fn finite(v: f64) -> f64 {
    if v.is_finite() { v } else { f64::NAN }
}

fn truth(b: bool) -> f64 {
    if b { 1.0 } else { 0.0 }
}

#[inline]
fn of_one(op: Op, v: f64) -> f64 {
    match op {
        Op::Negate => -v,
        Op::Abs => v.abs(),
        Op::Times(by) => finite(v * by),
        Op::Over(by) => v / by,
        Op::Not => 1.0 - v,
        Op::NotZero if v.is_nan() => v,
        Op::NotZero => truth(v != 0.0),
        _ => v,
    }
}

#[inline]
#[allow(clippy::float_cmp)] // whoever wrote == asked for it
fn of_two(two: Two, a: f64, b: f64) -> f64 {
    match two {
        Two::Add => return finite(a + b),
        Two::Sub => return finite(a - b),
        Two::Mul => return finite(a * b),
        Two::Div => return finite(a / b),
        // Sign of the dividend, as CEL has it for integers.
        Two::Rem => return a % b,
        Two::And if a == 0.0 || b == 0.0 => return 0.0,
        Two::Or if a == 1.0 || b == 1.0 => return 1.0,
        _ => {}
    }
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    match two {
        Two::Min => a.min(b),
        Two::Max => a.max(b),
        Two::Lt => truth(a < b),
        Two::Le => truth(a <= b),
        Two::Gt => truth(a > b),
        Two::Ge => truth(a >= b),
        Two::Eq => truth(a == b),
        Two::Ne => truth(a != b),
        // Neither operand decided: both are known, and true or false respectively.
        Two::And => 1.0,
        _ => 0.0,
    }
}

#[inline]
#[allow(clippy::float_cmp)] // agreement is equality
fn select(condition: f64, a: f64, b: f64) -> f64 {
    match kleene(condition) {
        Kleene::True => a,
        Kleene::False => b,
        Kleene::Unknown if a == b => a,
        Kleene::Unknown => f64::NAN,
    }
}

/// A value with the inputs that it was made of, and those that made it Unknown.
#[derive(Clone)]
struct Traced {
    value: f64,
    made_of: Vec<usize>,
    blind_to: Vec<usize>,
}

/// The inputs that made the result Unknown, by their places, in order; empty where it is known.
/// For people: it allocates.
pub(super) fn causes(code: &[Op], read: &impl Fn(usize) -> Option<f64>) -> Vec<usize> {
    let mut stack: Vec<Traced> = Vec::new();
    for op in code {
        let pushed = match *op {
            Op::Push(value) => Traced {
                value,
                made_of: Vec::new(),
                blind_to: Vec::new(),
            },
            Op::Read(slot) => {
                let slot = usize::from(slot);
                let value = finite(read(slot).unwrap_or(f64::NAN));
                Traced {
                    value,
                    made_of: vec![slot],
                    blind_to: if value.is_nan() { vec![slot] } else { vec![] },
                }
            }
            Op::Two(two) => {
                let (b, a) = (stack.pop(), stack.pop());
                join(&[a, b], |v| of_two(two, v[0], v[1]))
            }
            Op::Within => {
                let (e, acc) = (stack.pop(), stack.pop());
                let x = stack.last().cloned();
                join(&[x, acc, e], |v| {
                    of_two(Two::Or, v[1], of_two(Two::Eq, v[0], v[2]))
                })
            }
            Op::EndWithin => {
                let acc = stack.pop();
                stack.pop();
                join(&[acc], |v| v[0])
            }
            Op::Select => {
                let (b, a, c) = (stack.pop(), stack.pop(), stack.pop());
                match c.as_ref().map(|c| kleene(c.value)) {
                    // The branch that was not taken has no part in it.
                    Some(Kleene::True) => join(&[c, a], |v| v[1]),
                    Some(Kleene::False) => join(&[c, b], |v| v[1]),
                    _ => join(&[c, a, b], |v| select(v[0], v[1], v[2])),
                }
            }
            one => join(&[stack.pop()], |v| of_one(one, v[0])),
        };
        stack.push(pushed);
    }
    let mut slots = match stack.pop() {
        Some(t) if t.value.is_nan() => t.blind_to,
        _ => Vec::new(),
    };
    slots.sort_unstable();
    slots.dedup();
    slots
}

fn join(parts: &[Option<Traced>], of: impl Fn(&[f64]) -> f64) -> Traced {
    let values: Vec<f64> = parts
        .iter()
        .map(|p| p.as_ref().map_or(f64::NAN, |p| p.value))
        .collect();
    let value = of(&values);
    let all = |pick: fn(&Traced) -> &Vec<usize>| -> Vec<usize> {
        let mut all: Vec<usize> = parts.iter().flatten().flat_map(pick).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let made_of = all(|p| &p.made_of);
    let blind_to = match value.is_nan() {
        false => Vec::new(),
        // Known values whose arithmetic left the numbers.
        true if !values.iter().any(|v| v.is_nan()) => made_of.clone(),
        true => all(|p| &p.blind_to),
    };
    Traced {
        value,
        made_of,
        blind_to,
    }
}
