//! Text → tokens, and what a `*` that touches a name means.
//!
//! `FT_*` stands for the tag that has in this place what the `*` of `select.tag` matched; `FT_1*2` is
//! CEL for a product. Which of the two is meant is told by the names of the site: a product where
//! the name before the `*` is a point and an operand follows, a placeholder where the whole, filled
//! in, is a point. Where it could be both, or is neither, it is a fault. A `*` with a blank before it
//! multiplies, always.

use davy_points::Span;

use super::{Fault, Names};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Whole: written without point and exponent, an integer in CEL.
    Number(f64, bool),
    /// With every `*` filled in.
    Name(String),
    /// In quotes.
    Text(String),
    Sign(&'static str),
    /// A name that had its fault already.
    Faulty,
}

impl Token {
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Number(n, _) => format!("number {n}"),
            Token::Name(n) => format!("`{n}`"),
            Token::Text(t) => format!("\"{t}\""),
            Token::Sign(s) => format!("`{s}`"),
            Token::Faulty => "a name".to_owned(),
        }
    }

    /// Whether an operator may follow.
    fn ends_operand(&self) -> bool {
        match self {
            Token::Name(n) => n != "in",
            Token::Sign(s) => matches!(*s, ")" | "]"),
            Token::Number(..) | Token::Text(_) | Token::Faulty => true,
        }
    }
}

const SIGNS: [&str; 21] = [
    "&&", "||", "<=", ">=", "==", "!=", "<", ">", "!", "(", ")", "[", "]", "+", "-", "*", "/", "%",
    ",", "?", ":",
];

/// What a text is read against.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) names: &'a Names,
    /// What the one `*` of `select.tag` matched.
    pub(super) capture: Option<&'a str>,
    /// Whether to look for the name that was meant: slow, and of use once.
    pub(super) hints: bool,
}

impl Context<'_> {
    /// The fault for a name that no point has. `note` says how it came about.
    pub(super) fn unknown(&self, name: &str, span: Span, note: &str) -> Fault {
        let near = if self.hints {
            self.names.nearest(name)
        } else {
            None
        };
        let hint = match near {
            Some(near) => format!("did you mean `{near}`? Write - and . of a tag as _"),
            None => "name a tag of the point table, with - and . written as _".to_owned(),
        };
        Fault::new(span, format!("no point is called `{name}`{note}"), hint)
    }
}

/// The tokens. Faults that end the reading are the error; of names, they are added to `faults`.
pub(super) fn tokens(
    text: &str,
    context: Context<'_>,
    faults: &mut Vec<Fault>,
) -> Result<Vec<(Token, Span)>, Fault> {
    let mut out: Vec<(Token, Span)> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let after_operand = out.last().is_some_and(|(t, _)| t.ends_operand());
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, len) = if c.is_ascii_digit() || (c == '.' && starts_digit(&rest[1..])) {
            number(rest, at)?
        } else if in_name(c) || (c == '*' && !after_operand) {
            name(rest, at, context, faults)
        } else if c == '"' || c == '\'' {
            quoted(rest, at, c)?
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            (Token::Sign(sign), sign.len())
        } else {
            let hint = match c {
                '=' => "`==` compares",
                '&' => "`&&` is and",
                '|' => "`||` is or",
                _ => {
                    "use numbers, tags, + - * / %, comparison, && || !, ? :, in [], abs() min() max()"
                }
            };
            return Err(Fault::new(
                at..at + c.len_utf8(),
                format!("`{c}` means nothing here"),
                hint,
            ));
        };
        out.push((token, at..at + len));
        at += len;
    }
    Ok(out)
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn starts_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// `5`, `0x1F`, `0.5`, `.5`, `5e-1`.
fn number(rest: &str, at: usize) -> Result<(Token, usize), Fault> {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let mut len;
    let value;
    let mut whole = true;
    if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let n = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        len = 2 + n;
        value = i64::from_str_radix(&hex[..n], 16).ok().map(to_f64);
    } else {
        len = digits(rest);
        if rest[len..].starts_with('.') && starts_digit(&rest[len + 1..]) {
            whole = false;
            len += 1 + digits(&rest[len + 1..]);
        }
        if let Some(power) = rest[len..].strip_prefix(['e', 'E']) {
            let sign = usize::from(power.starts_with(['+', '-']));
            let n = digits(&power[sign..]);
            if n > 0 {
                whole = false;
                len += 1 + sign + n;
            }
        }
        value = match whole {
            true => rest[..len].parse::<i64>().ok().map(to_f64),
            false => rest[..len].parse::<f64>().ok().filter(|v| v.is_finite()),
        };
    }
    let more: usize = rest[len..]
        .chars()
        .take_while(|c| in_name(*c) || *c == '.')
        .map(char::len_utf8)
        .sum();
    match value {
        Some(value) if more == 0 => Ok((Token::Number(value, whole), len)),
        _ => Err(Fault::new(
            at..at + len + more,
            format!("`{}` is not a number", &rest[..len + more]),
            "write a number like 5, 0.5 or 1e3; with a unit it is quantity(5, \"m\")",
        )),
    }
}

#[allow(clippy::cast_precision_loss)] // as CEL does where an integer meets a double
fn to_f64(i: i64) -> f64 {
    i as f64
}

/// No escapes: nothing that stands in quotes here needs one.
fn quoted(rest: &str, at: usize, quote: char) -> Result<(Token, usize), Fault> {
    let inside = &rest[1..];
    match inside.find([quote, '\\', '\n']) {
        Some(end) if inside[end..].starts_with(quote) => {
            Ok((Token::Text(inside[..end].to_owned()), end + 2))
        }
        end => Err(Fault::new(
            at..at + 1 + end.unwrap_or(inside.len()),
            "this text is not closed",
            format!("end it with {quote}; \\ and line ends cannot stand in it"),
        )),
    }
}

/// A name, or a run of letters with `*` in it.
fn name(rest: &str, at: usize, context: Context<'_>, faults: &mut Vec<Fault>) -> (Token, usize) {
    let len = rest
        .find(|c: char| !(in_name(c) || c == '*'))
        .unwrap_or(rest.len());
    let run = &rest[..len];
    let Some(star) = run.find('*') else {
        return (Token::Name(run.to_owned()), len);
    };
    let before = &run[..star];
    let known = |name: &str| context.names.get(name).is_some();
    // `FT_1*2`, `FT_1* 2`, `FT_1*(…)`, `FT_1*-2`: the name of a point, and an operand follows.
    let product = known(before)
        && rest[star + 1..]
            .trim_start()
            .starts_with(|c: char| in_name(c) || matches!(c, '.' | '(' | '-'));
    let filled = context
        .capture
        .map(|capture| super::names::name_of(&run.replace('*', capture)));
    let placeholder = filled.as_deref().is_some_and(known);
    let span = at..at + len;
    match (product, placeholder, filled) {
        (true, false, _) => (Token::Name(before.to_owned()), star),
        (false, true, Some(filled)) => (Token::Name(filled), len),
        (true, _, filled) => {
            faults.push(Fault::new(
                span,
                format!(
                    "`{run}` may be a product of `{before}`, or stand for `{}`",
                    filled.unwrap_or_default()
                ),
                "put a blank before a * that multiplies, or write the other tag in full",
            ));
            (Token::Faulty, len)
        }
        (false, _, Some(filled)) => {
            let capture = context.capture.unwrap_or_default();
            let note = format!(" (`{run}`, where * is \"{capture}\")");
            faults.push(context.unknown(&filled, span, &note));
            (Token::Faulty, len)
        }
        (false, _, None) => {
            faults.push(Fault::new(
                span,
                format!("`{run}` stands for no point: there is nothing to put for `*`"),
                "select the rule's points by one tag with exactly one * (`tag = \"LT-*\"`), write \
                 the tag in full, or put a blank before a * that multiplies",
            ));
            (Token::Faulty, len)
        }
    }
}
