//! `while`: a small part of CEL over points, typed when it is read, judged with Kleene's logic.
//!
//! Numbers, `+ - * /`, comparison, `&& || !`, parentheses, `abs()`, `true`, `false`. A point's tag
//! is written with `_` for `-`, `.` and any other sign that CEL does not allow in a name.

use std::collections::HashMap;

use davy_points::{PointIx, PointTable, Span};

/// True, false, or not known (3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kleene {
    True,
    False,
    Unknown,
}

impl Kleene {
    fn of(b: bool) -> Kleene {
        if b { Kleene::True } else { Kleene::False }
    }

    pub(crate) fn and(self, other: Kleene) -> Kleene {
        match (self, other) {
            (Kleene::False, _) | (_, Kleene::False) => Kleene::False,
            (Kleene::True, Kleene::True) => Kleene::True,
            _ => Kleene::Unknown,
        }
    }

    fn not(self) -> Kleene {
        match self {
            Kleene::True => Kleene::False,
            Kleene::False => Kleene::True,
            Kleene::Unknown => Kleene::Unknown,
        }
    }

    fn or(self, other: Kleene) -> Kleene {
        self.not().and(other.not()).not()
    }
}

/// A checked expression that is true, false or unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    root: Logic,
    inputs: Vec<PointIx>,
}

impl Expression {
    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The points that it reads, each once.
    #[must_use]
    pub fn inputs(&self) -> &[PointIx] {
        &self.inputs
    }

    pub(crate) fn judge(&self, read: &impl Fn(PointIx) -> Option<f64>) -> Kleene {
        self.root.judge(read)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

#[derive(Debug, Clone, PartialEq)]
enum Logic {
    Literal(bool),
    /// A discrete point by itself: not zero.
    NotZero(Number),
    Compare(Number, Comparison, Number),
    Not(Box<Logic>),
    And(Box<Logic>, Box<Logic>),
    Or(Box<Logic>, Box<Logic>),
}

#[derive(Debug, Clone, PartialEq)]
enum Number {
    Literal(f64),
    Point(PointIx),
    Abs(Box<Number>),
    Negate(Box<Number>),
    Of(Box<Number>, Arithmetic, Box<Number>),
}

impl Logic {
    fn judge(&self, read: &impl Fn(PointIx) -> Option<f64>) -> Kleene {
        match self {
            Logic::Literal(b) => Kleene::of(*b),
            Logic::NotZero(n) => n
                .value(read)
                .map_or(Kleene::Unknown, |v| Kleene::of(v != 0.0)),
            Logic::Compare(a, op, b) => match (a.value(read), b.value(read)) {
                (Some(a), Some(b)) => Kleene::of(match op {
                    Comparison::Lt => a < b,
                    Comparison::Le => a <= b,
                    Comparison::Gt => a > b,
                    Comparison::Ge => a >= b,
                    #[allow(clippy::float_cmp)] // the writer asked for it
                    Comparison::Eq => a == b,
                    #[allow(clippy::float_cmp)]
                    Comparison::Ne => a != b,
                }),
                _ => Kleene::Unknown,
            },
            Logic::Not(a) => a.judge(read).not(),
            Logic::And(a, b) => a.judge(read).and(b.judge(read)),
            Logic::Or(a, b) => a.judge(read).or(b.judge(read)),
        }
    }
}

impl Number {
    /// None: an input is not known, or the arithmetic left the numbers.
    fn value(&self, read: &impl Fn(PointIx) -> Option<f64>) -> Option<f64> {
        let v = match self {
            Number::Literal(v) => *v,
            Number::Point(p) => read(*p)?,
            Number::Abs(n) => n.value(read)?.abs(),
            Number::Negate(n) => -n.value(read)?,
            Number::Of(a, op, b) => {
                let (a, b) = (a.value(read)?, b.value(read)?);
                match op {
                    Arithmetic::Add => a + b,
                    Arithmetic::Sub => a - b,
                    Arithmetic::Mul => a * b,
                    Arithmetic::Div => a / b,
                }
            }
        };
        v.is_finite().then_some(v)
    }
}

/// What is wrong with an expression, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Names that tags go by in expressions.
pub(crate) struct Names {
    by_name: HashMap<String, Option<PointIx>>,
}

impl Names {
    pub(crate) fn of(table: &PointTable) -> Names {
        let mut by_name = HashMap::new();
        for (ix, point) in table.iter() {
            by_name
                .entry(name_of(&point.tag))
                .and_modify(|there| *there = None)
                .or_insert(Some(ix));
        }
        Names { by_name }
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        let mut all: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        all.sort_unstable();
        super::nearest::nearest(name, &all)
    }
}

/// How a tag is written in an expression: FT-101 is `FT_101`.
pub(crate) fn name_of(tag: &str) -> String {
    let mut name: String = tag
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(&'static str),
}

impl Token {
    fn describe(&self) -> String {
        match self {
            Token::Number(n) => format!("number {n}"),
            Token::Name(n) => format!("`{n}`"),
            Token::Sign(s) => format!("`{s}`"),
        }
    }
}

const SIGNS: [&str; 16] = [
    "&&", "||", "<=", ">=", "==", "!=", "<", ">", "!", "(", ")", "+", "-", "*", "/", ",",
];

fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Fault> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if c.is_ascii_digit()
            || (c == '.' && rest[1..].starts_with(|d: char| d.is_ascii_digit()))
        {
            let mut len = 0;
            let bytes = rest.as_bytes();
            while len < bytes.len() {
                let b = bytes[len];
                let exponent_sign =
                    (b == b'+' || b == b'-') && len > 0 && matches!(bytes[len - 1], b'e' | b'E');
                if b.is_ascii_digit() || b == b'.' || b == b'e' || b == b'E' || exponent_sign {
                    len += 1;
                } else {
                    break;
                }
            }
            let number = rest[..len].parse::<f64>().ok().filter(|v| v.is_finite());
            let Some(number) = number else {
                return Err(Fault {
                    span: at..at + len,
                    message: format!("`{}` is not a number", &rest[..len]),
                    hint: "write a number like 5, 0.5 or 1e3".to_owned(),
                });
            };
            out.push((Token::Number(number), at..at + len));
            at += len;
        } else if c.is_alphabetic() || c == '_' {
            let len = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            out.push((Token::Name(rest[..len].to_owned()), at..at + len));
            at += len;
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            out.push((Token::Sign(sign), at..at + sign.len()));
            at += sign.len();
        } else {
            return Err(Fault {
                span: at..at + c.len_utf8(),
                message: format!("`{c}` means nothing here"),
                hint: "use numbers, tags, + - * /, comparison, && || !, parentheses and abs()"
                    .to_owned(),
            });
        }
    }
    Ok(out)
}

/// Depth of parentheses that is read; more is refused, so that no text can exhaust the stack.
const DEPTH: usize = 64;

struct Parser<'a> {
    tokens: Vec<(Token, Span)>,
    at: usize,
    end: usize,
    depth: usize,
    names: &'a Names,
    inputs: Vec<PointIx>,
}

/// A node before its type is settled.
enum Node {
    Number(Number, Span),
    Logic(Logic, Span),
}

impl Node {
    fn span(&self) -> Span {
        match self {
            Node::Number(_, s) | Node::Logic(_, s) => s.clone(),
        }
    }

    fn number(self) -> Result<Number, Fault> {
        match self {
            Node::Number(n, _) => Ok(n),
            Node::Logic(_, span) => Err(Fault {
                span,
                message: "this is true or false, where a number is needed".to_owned(),
                hint: "put parentheses around the comparison, or compare numbers".to_owned(),
            }),
        }
    }

    fn logic(self) -> Result<Logic, Fault> {
        match self {
            Node::Logic(l, _) => Ok(l),
            // A discrete point is true where it is not zero.
            Node::Number(n @ Number::Point(_), _) => Ok(Logic::NotZero(n)),
            Node::Number(_, span) => Err(Fault {
                span,
                message: "this is a number, where true or false is needed".to_owned(),
                hint: "compare it: `abs(FT_101) > 5`".to_owned(),
            }),
        }
    }
}

/// Reads and checks an expression against the names of the site.
pub(crate) fn parse(text: &str, names: &Names) -> Result<Expression, Fault> {
    let mut p = Parser {
        tokens: tokens(text)?,
        at: 0,
        end: text.len(),
        depth: 0,
        names,
        inputs: Vec::new(),
    };
    let root = p.or()?.logic()?;
    if let Some((token, span)) = p.tokens.get(p.at) {
        return Err(Fault {
            span: span.clone(),
            message: format!("{} is left over", token.describe()),
            hint: "join two conditions with && or ||".to_owned(),
        });
    }
    let mut inputs = p.inputs;
    inputs.sort_unstable();
    inputs.dedup();
    Ok(Expression {
        text: text.to_owned(),
        root,
        inputs,
    })
}

impl Parser<'_> {
    fn sign(&mut self, any: &[&'static str]) -> Option<&'static str> {
        match self.tokens.get(self.at) {
            Some((Token::Sign(s), _)) if any.contains(s) => {
                self.at += 1;
                Some(s)
            }
            _ => None,
        }
    }

    fn or(&mut self) -> Result<Node, Fault> {
        let mut left = self.and()?;
        while self.sign(&["||"]).is_some() {
            let right = self.and()?;
            let span = left.span().start..right.span().end;
            left = Node::Logic(
                Logic::Or(Box::new(left.logic()?), Box::new(right.logic()?)),
                span,
            );
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, Fault> {
        let mut left = self.compare()?;
        while self.sign(&["&&"]).is_some() {
            let right = self.compare()?;
            let span = left.span().start..right.span().end;
            left = Node::Logic(
                Logic::And(Box::new(left.logic()?), Box::new(right.logic()?)),
                span,
            );
        }
        Ok(left)
    }

    fn compare(&mut self) -> Result<Node, Fault> {
        let left = self.sum()?;
        let Some(sign) = self.sign(&["<=", ">=", "==", "!=", "<", ">"]) else {
            return Ok(left);
        };
        let op = match sign {
            "<" => Comparison::Lt,
            "<=" => Comparison::Le,
            ">" => Comparison::Gt,
            ">=" => Comparison::Ge,
            "==" => Comparison::Eq,
            _ => Comparison::Ne,
        };
        let right = self.sum()?;
        let span = left.span().start..right.span().end;
        Ok(Node::Logic(
            Logic::Compare(left.number()?, op, right.number()?),
            span,
        ))
    }

    fn sum(&mut self) -> Result<Node, Fault> {
        let mut left = self.product()?;
        while let Some(sign) = self.sign(&["+", "-"]) {
            let right = self.product()?;
            let op = if sign == "+" {
                Arithmetic::Add
            } else {
                Arithmetic::Sub
            };
            left = binary(left, op, right)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Node, Fault> {
        let mut left = self.unary()?;
        while let Some(sign) = self.sign(&["*", "/"]) {
            let right = self.unary()?;
            let op = if sign == "*" {
                Arithmetic::Mul
            } else {
                Arithmetic::Div
            };
            left = binary(left, op, right)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        let start = self.here().start;
        let Some(sign) = self.sign(&["!", "-"]) else {
            return self.atom();
        };
        self.deeper()?;
        let inner = self.unary()?;
        self.depth -= 1;
        let span = start..inner.span().end;
        Ok(if sign == "!" {
            Node::Logic(Logic::Not(Box::new(inner.logic()?)), span)
        } else {
            Node::Number(Number::Negate(Box::new(inner.number()?)), span)
        })
    }

    fn atom(&mut self) -> Result<Node, Fault> {
        let span = self.here();
        let Some((token, _)) = self.tokens.get(self.at).cloned() else {
            return Err(Fault {
                span,
                message: "the expression ends too early".to_owned(),
                hint: "give a number, a tag or a parenthesis here".to_owned(),
            });
        };
        self.at += 1;
        match token {
            Token::Number(n) => Ok(Node::Number(Number::Literal(n), span)),
            Token::Name(name) => match name.as_str() {
                "true" | "false" => Ok(Node::Logic(Logic::Literal(name == "true"), span)),
                "abs" if self.sign(&["("]).is_some() => {
                    let inner = self.closed(&span)?.number()?;
                    let end = self.tokens[self.at - 1].1.end;
                    Ok(Node::Number(Number::Abs(Box::new(inner)), span.start..end))
                }
                _ => self.point(&name, span),
            },
            Token::Sign("(") => {
                let inner = self.closed(&span)?;
                let end = self.tokens[self.at - 1].1.end;
                Ok(match inner {
                    Node::Number(n, _) => Node::Number(n, span.start..end),
                    Node::Logic(l, _) => Node::Logic(l, span.start..end),
                })
            }
            Token::Sign(_) => Err(Fault {
                span,
                message: format!("{} cannot stand here", token.describe()),
                hint: "give a number, a tag or a parenthesis here".to_owned(),
            }),
        }
    }

    fn point(&mut self, name: &str, span: Span) -> Result<Node, Fault> {
        match self.names.by_name.get(name) {
            Some(Some(ix)) => {
                self.inputs.push(*ix);
                Ok(Node::Number(Number::Point(*ix), span))
            }
            Some(None) => Err(Fault {
                span,
                message: format!("`{name}` could be more than one tag"),
                hint: "two tags differ only in signs that are written as _ here: rename one"
                    .to_owned(),
            }),
            None => Err(Fault {
                span,
                message: format!("no point is called `{name}`"),
                hint: match self.names.nearest(name) {
                    Some(near) => format!("did you mean `{near}`? Write - and . of a tag as _"),
                    None => "name a tag of the point table, with - and . written as _".to_owned(),
                },
            }),
        }
    }

    fn closed(&mut self, open: &Span) -> Result<Node, Fault> {
        self.deeper()?;
        let inner = self.or()?;
        self.depth -= 1;
        if self.sign(&[")"]).is_none() {
            return Err(Fault {
                span: open.clone(),
                message: "this parenthesis is not closed".to_owned(),
                hint: "add `)`".to_owned(),
            });
        }
        Ok(inner)
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault {
                span: self.here(),
                message: format!("more than {DEPTH} levels deep"),
                hint: "write it flatter".to_owned(),
            });
        }
        Ok(())
    }

    fn here(&self) -> Span {
        self.tokens
            .get(self.at)
            .map_or(self.end..self.end, |(_, s)| s.clone())
    }
}

fn binary(left: Node, op: Arithmetic, right: Node) -> Result<Node, Fault> {
    let span = left.span().start..right.span().end;
    Ok(Node::Number(
        Number::Of(Box::new(left.number()?), op, Box::new(right.number()?)),
        span,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, values: &[(&str, Option<f64>)], expected: Kleene) {
        let table = crate::proof::plant::table_of(&["FT-101", "P.1-RUN", "ZS-2"]);
        let e = parse(text, &Names::of(&table)).unwrap_or_else(|f| panic!("{text}: {f:?}"));
        let read = |p: PointIx| {
            let tag = &*table.point(p).tag;
            values.iter().find(|(t, _)| *t == tag).and_then(|(_, v)| *v)
        };
        assert_eq!(e.judge(&read), expected, "{text} with {values:?}");
    }

    fn refused(text: &str, at: Span, words: &str) {
        let table = crate::proof::plant::table_of(&["FT-101"]);
        let f = parse(text, &Names::of(&table)).expect_err(text);
        assert_eq!(f.span, at, "{text}: {f:?}");
        assert!(f.message.contains(words), "{text}: {f:?}");
        assert!(!f.hint.is_empty());
    }

    #[test]
    fn precedence_and_arithmetic() {
        let ft = |v| [("FT-101", Some(v))];
        check("abs(FT_101) > 5", &ft(-6.0), Kleene::True);
        check("1 + 2 * 3 == 7", &[], Kleene::True);
        check("(1 + 2) * 3 == 7", &[], Kleene::False);
        check("-FT_101 - 1 < -3", &ft(3.0), Kleene::True);
        check("true || false && false", &[], Kleene::True);
        check("!(FT_101 >= 1e1)", &ft(9.5), Kleene::True);
        check("ZS_2", &[("ZS-2", Some(1.0))], Kleene::True);
        check("!P_1_RUN", &[("P.1-RUN", Some(0.0))], Kleene::True);
    }

    /// 3.1: Kleene, a true leg trips an OR, a false one blocks an AND, whatever is unknown.
    #[test]
    fn unknown_is_neither_true_nor_false() {
        check("FT_101 > 5", &[], Kleene::Unknown);
        check("FT_101 > 5 || true", &[], Kleene::True);
        check("FT_101 > 5 && false", &[], Kleene::False);
        check("FT_101 > 5 && true", &[], Kleene::Unknown);
        check("1 / FT_101 > 5", &[("FT-101", Some(0.0))], Kleene::Unknown);
    }

    #[test]
    fn faults_name_their_place() {
        refused("abs(FT_101) > ", 14..14, "ends too early");
        refused("abs(FT_101 > 5", 0..3, "not closed");
        refused("FT_102 > 5", 0..6, "no point");
        refused("FT_101 + 1", 0..10, "number");
        refused("1 > 2 > 3", 6..7, "left over");
        refused("FT_101 $ 3", 7..8, "means nothing");
        refused("(1 > 2) + 3 > 1", 0..7, "true or false");
        refused(&"(".repeat(100), 65..66, "levels deep");
        refused("1e999 > 2", 0..5, "not a number");
    }
}
