//! The grammar: CEL's precedence and associativity over the part of it that rules need.
//!
//! ```text
//! expr     = or [ "?" or ":" expr ]
//! or       = and { "||" and }
//! and      = relation { "&&" relation }
//! relation = sum { ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum | "in" list }
//! sum      = product { ( "+" | "-" ) product }
//! product  = unary { ( "*" | "/" | "%" ) unary }
//! unary    = { "!" } atom | { "-" } atom
//! atom     = number | name | "true" | "false" | "(" expr ")"
//!          | ( "abs" | "min" | "max" ) "(" expr { "," expr } ")"
//!          | "quantity" "(" [ "-" ] number "," text ")"
//! list     = "[" expr { "," expr } "]"
//! ```

use davy_points::Span;

use super::judge::{STACK, Two};
#[cfg(test)]
use super::names::Names;
use super::token::{Context, Token, tokens};
use super::types::{Node, Program};
use super::{Expression, Fault, Gives};
use crate::grammar::nearest;
use crate::grammar::units::Unit;

/// Bytes of an expression that are read; who needs more needs two rules.
pub(super) const LONGEST: usize = 4096;

/// Depth of nesting that is read; more is refused, so that no text can exhaust the stack.
const DEPTH: usize = 64;

const FUNCTIONS: [&str; 4] = ["abs", "min", "max", "quantity"];

/// Reads and checks an expression that says true or false. `capture` is what the `*` of
/// `select.tag` matched, which a `*` in a name stands for. Every fault that can be told at once.
#[cfg(test)]
pub(crate) fn parse(
    text: &str,
    names: &Names,
    capture: Option<&str>,
) -> Result<Expression, Vec<Fault>> {
    let context = Context {
        names,
        capture,
        hints: true,
    };
    read(text, context, true)
}

/// As [`parse`], for an expression that says true or false, or else a number.
pub(super) fn read(
    text: &str,
    context: Context<'_>,
    truth: bool,
) -> Result<Expression, Vec<Fault>> {
    if text.len() > LONGEST {
        return Err(vec![Fault::new(
            0..text.len(),
            format!("{} bytes long, {LONGEST} are read", text.len()),
            "write two rules, or a shorter expression",
        )]);
    }
    let mut program = Program::default();
    let tokens = match tokens(text, context, &mut program.faults) {
        Ok(tokens) => tokens,
        Err(fault) => {
            program.faults.push(fault);
            return Err(program.faults);
        }
    };
    let mut p = Parser {
        tokens,
        at: 0,
        end: text.len(),
        depth: 0,
        context,
        program,
    };
    let (gives, made) = match p.whole(truth) {
        Ok(said) => said,
        Err(fault) => {
            p.program.faults.push(fault);
            return Err(p.program.faults);
        }
    };
    let Program {
        code,
        inputs,
        mut faults,
    } = p.program;
    if faults.is_empty() && height(&code) > STACK {
        faults.push(Fault::new(
            0..text.len(),
            format!("more than {STACK} values are open at once"),
            "write it flatter, with fewer parentheses to the right of an operator",
        ));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Expression {
        text: text.into(),
        code: code.into(),
        inputs: inputs.into(),
        gives,
        made,
    })
}

fn height(code: &[super::judge::Op]) -> usize {
    let (mut now, mut most) = (0_isize, 0_isize);
    for op in code {
        now += op.grows();
        most = most.max(now);
    }
    most.unsigned_abs()
}

struct Parser<'a> {
    tokens: Vec<(Token, Span)>,
    at: usize,
    end: usize,
    depth: usize,
    context: Context<'a>,
    program: Program,
}

impl Parser<'_> {
    fn whole(&mut self, truth: bool) -> Result<(Gives, bool), Fault> {
        let root = self.expr()?;
        if let Some((token, span)) = self.tokens.get(self.at) {
            let hint = match token {
                Token::Name(n) if matches!(&*n.to_lowercase(), "and" | "or" | "not") => {
                    "and is &&, or is ||, not is !"
                }
                Token::Sign(")" | "]") => "there is one more than was opened",
                Token::Sign("?" | ":") => "put parentheses around what stands between ? and :",
                _ => "join two conditions with && or ||",
            };
            let message = format!("{} is left over", token.describe());
            return Err(Fault::new(span.clone(), message, hint));
        }
        if truth {
            self.program.truth(root);
            return Ok((Gives::Truth, false));
        }
        let root = self.program.number(root);
        Ok((Gives::Number(root.unit().cloned()), root.has_made_unit()))
    }

    fn sign(&mut self, any: &[&'static str]) -> Option<&'static str> {
        match self.tokens.get(self.at) {
            Some((Token::Sign(s), _)) if any.contains(s) => {
                self.at += 1;
                Some(s)
            }
            _ => None,
        }
    }

    fn expr(&mut self) -> Result<Node, Fault> {
        let condition = self.binary(0)?;
        if self.sign(&["?"]).is_none() {
            return Ok(condition);
        }
        let condition = self.program.truth(condition);
        let then = self.binary(0)?;
        if self.sign(&[":"]).is_none() {
            return Err(Fault::new(
                self.here(),
                "`:` is missing",
                "`condition ? this : that`",
            ));
        }
        self.deeper()?;
        let other = self.expr()?;
        self.depth -= 1;
        Ok(self.program.select(&condition, then, other))
    }

    /// Operators that bind at least as tightly as `least`, from the left.
    fn binary(&mut self, least: u8) -> Result<Node, Fault> {
        let mut left = self.unary()?;
        while let Some((operator, level)) = self.operator().filter(|o| o.1 >= least) {
            self.at += 1;
            if operator == Operator::In {
                left = self.within(left)?;
                continue;
            }
            let right = self.binary(level + 1)?;
            let program = &mut self.program;
            left = match operator {
                Operator::Two(two) => match two {
                    Two::And | Two::Or => program.and_or(two, left, right),
                    Two::Mul | Two::Div => program.product(two, &left, &right),
                    Two::Add | Two::Sub | Two::Rem => program.alike_two(two, &left, right),
                    _ => program.compare(two, left, right),
                },
                Operator::In => left,
            };
        }
        Ok(left)
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let (two, level) = match &self.tokens.get(self.at)?.0 {
            Token::Name(n) if n == "in" => return Some((Operator::In, 2)),
            Token::Sign(s) => match *s {
                "||" => (Two::Or, 0),
                "&&" => (Two::And, 1),
                "<" => (Two::Lt, 2),
                "<=" => (Two::Le, 2),
                ">" => (Two::Gt, 2),
                ">=" => (Two::Ge, 2),
                "==" => (Two::Eq, 2),
                "!=" => (Two::Ne, 2),
                "+" => (Two::Add, 3),
                "-" => (Two::Sub, 3),
                "*" => (Two::Mul, 4),
                "/" => (Two::Div, 4),
                "%" => (Two::Rem, 4),
                _ => return None,
            },
            _ => return None,
        };
        Some((Operator::Two(two), level))
    }

    /// What stands after `x in`.
    fn within(&mut self, x: Node) -> Result<Node, Fault> {
        let open = self.here();
        let start = x.span.start;
        if self.sign(&["["]).is_none() {
            return Err(Fault::new(
                open,
                "a list is needed after `in`",
                "`x in [1, 2, 3]`",
            ));
        }
        if self.sign(&["]"]).is_some() {
            return Err(Fault::new(
                open.start..self.before(),
                "the list is empty: nothing can be in it",
                "`x in [1, 2, 3]`",
            ));
        }
        self.deeper()?;
        let mut x = self.program.begin_within(x);
        loop {
            let element = self.expr()?;
            x = self.program.within(x, element);
            if self.sign(&[","]).is_none() {
                break;
            }
        }
        self.depth -= 1;
        self.close(&open, "]", "this list is not closed")?;
        let span = start..self.before();
        Ok(self.program.end_within(&x, span))
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        let start = self.here().start;
        let Some(sign) = self.sign(&["!", "-"]) else {
            return self.atom();
        };
        self.deeper()?;
        let inner = self.unary()?;
        self.depth -= 1;
        let span = start..inner.span.end;
        Ok(match sign {
            "!" => self.program.not(inner, span),
            _ => self.program.negate(inner, span),
        })
    }

    fn atom(&mut self) -> Result<Node, Fault> {
        let span = self.here();
        let Some((token, _)) = self.tokens.get(self.at).cloned() else {
            return Err(Fault::new(
                span,
                "the expression ends too early",
                "give a number, a tag or a parenthesis here",
            ));
        };
        self.at += 1;
        match token {
            Token::Number(n, whole) => Ok(self.program.number_literal(n, whole, None, span)),
            Token::Faulty => Ok(self.program.faulty(span)),
            Token::Name(name) => match &*name {
                "true" | "false" => Ok(self.program.truth_literal(name == "true", span)),
                _ if self.sign(&["("]).is_some() => self.call(&name, span),
                _ => Ok(self.point(&name, span)),
            },
            Token::Sign("(") => {
                self.deeper()?;
                let mut inner = self.expr()?;
                self.depth -= 1;
                self.close(&span, ")", "this parenthesis is not closed")?;
                inner.span = span.start..self.before();
                Ok(inner)
            }
            Token::Sign(_) | Token::Text(_) => Err(Fault::new(
                span,
                format!("{} cannot stand here", token.describe()),
                match token {
                    Token::Text(_) => "texts stand in quantity(5, \"bar\") only",
                    _ => "give a number, a tag or a parenthesis here",
                },
            )),
        }
    }

    fn point(&mut self, name: &str, span: Span) -> Node {
        let names = self.context.names;
        match names.get(name) {
            Some(Some(p)) => {
                let unit = Unit::parse(names.unit(p));
                self.program.point(p, unit, names.is_truth(p), span)
            }
            Some(None) => self.program.fault(
                span,
                format!("`{name}` could be more than one tag"),
                "two tags differ only in signs that are written as _ here: rename one",
            ),
            None => {
                let fault = self.context.unknown(name, span.clone(), "");
                self.program.faults.push(fault);
                self.program.faulty(span)
            }
        }
    }

    /// A function, after its `(`.
    fn call(&mut self, name: &str, span: Span) -> Result<Node, Fault> {
        if !FUNCTIONS.contains(&name) {
            let hint = match nearest(name, &FUNCTIONS) {
                Some(near) if name.len() < 100 => format!("did you mean `{near}`?"),
                _ => "there are abs(), min(), max() and quantity()".to_owned(),
            };
            return Err(Fault::new(
                span,
                format!("there is no function `{name}`"),
                hint,
            ));
        }
        self.deeper()?;
        let node = match name {
            "quantity" => self.quantity(&span)?,
            "abs" => {
                let inner = self.expr()?;
                self.close(&span, ")", "this parenthesis is not closed")?;
                self.program.abs(inner, span.start..self.before())
            }
            _ => self.extreme(if name == "min" { Two::Min } else { Two::Max }, &span)?,
        };
        self.depth -= 1;
        Ok(node)
    }

    fn extreme(&mut self, two: Two, span: &Span) -> Result<Node, Fault> {
        let first = self.expr()?;
        let mut node = self.program.number(first);
        let mut more = false;
        while self.sign(&[","]).is_some() {
            more = true;
            let next = self.expr()?;
            node = self.program.alike_two(two, &node, next);
        }
        self.close(span, ")", "this parenthesis is not closed")?;
        let span = span.start..self.before();
        if !more {
            return Err(Fault::new(
                span,
                "the least or greatest of one number is that number",
                "give two or more, with commas between",
            ));
        }
        node.span = span;
        Ok(node)
    }

    fn quantity(&mut self, span: &Span) -> Result<Node, Fault> {
        let like = "`quantity(5, \"bar\")`: a number, then its unit in quotes";
        let negative = self.sign(&["-"]).is_some();
        let at = self.here();
        let Some((Token::Number(n, _), _)) = self.tokens.get(self.at).cloned() else {
            return Err(Fault::new(at, "a quantity begins with a number", like));
        };
        self.at += 1;
        let comma = self.sign(&[","]).is_some();
        let at = self.here();
        let unit = match self.tokens.get(self.at) {
            Some((Token::Text(unit), _)) if comma => unit.clone(),
            _ => return Err(Fault::new(at, "a quantity has a unit in quotes", like)),
        };
        self.at += 1;
        self.close(span, ")", "this parenthesis is not closed")?;
        let span = span.start..self.before();
        let n = if negative { -n } else { n };
        let unit = Some(Unit::parse(&unit));
        Ok(self.program.number_literal(n, false, unit, span))
    }

    fn close(&mut self, open: &Span, sign: &'static str, message: &str) -> Result<(), Fault> {
        if self.sign(&[sign]).is_some() {
            return Ok(());
        }
        match self.tokens.get(self.at) {
            None => Err(Fault::new(open.clone(), message, format!("add `{sign}`"))),
            Some((token, span)) => Err(Fault::new(
                span.clone(),
                format!("`{sign}` is missing before {}", token.describe()),
                "put an operator or a comma between two operands, or close what was opened",
            )),
        }
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::new(
                self.here(),
                format!("more than {DEPTH} levels deep"),
                "write it flatter",
            ));
        }
        Ok(())
    }

    fn here(&self) -> Span {
        self.tokens
            .get(self.at)
            .map_or(self.end..self.end, |(_, s)| s.clone())
    }

    /// Where the last token that was read ends.
    fn before(&self) -> usize {
        match self.at.checked_sub(1).and_then(|i| self.tokens.get(i)) {
            Some((_, span)) => span.end,
            None => 0,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Two(Two),
    In,
}
