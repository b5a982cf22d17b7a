//! Weaves all changes that `cargo mutants --list` names into the sources at once, each behind
//! `crate::mutant(N)`: built once, they are switched on one at a time.
//!
//! Lives here: how a change of each genre is woven in so that the rest of the file means what it
//! meant. Marks in comments say to whom a fault of the compiler belongs: `/*<N*/ … /*N>*/` is what
//! change N puts in, `/*{N,M*/ … /*N,M}*/` the place that was taken apart for it.
//!
//! May not live here: compiling, running. What cannot be woven (constants, `const fn`, iterators of
//! an unnamed type) is told, and left to cargo-mutants itself.

use proc_macro2::Span;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};

struct Mutant {
    id: usize,
    genre: String,
    replacement: String,
    start: (usize, usize),
    returns: String,
}

#[derive(Default)]
struct Edits {
    closings: Vec<(usize, usize, String)>,
    openings: Vec<(usize, usize, String)>,
    tokens: BTreeMap<usize, (usize, String)>,
}

struct Walk<'a> {
    src: &'a str,
    by_start: HashMap<(usize, usize), Vec<&'a Mutant>>,
    edits: Edits,
    done: BTreeSet<usize>,
    unviable: BTreeSet<usize>,
    constant: usize,
    /// The outermost binary expression around the one that is visited, with nothing between.
    chain: Option<syn::ExprBinary>,
    at_root: Vec<(usize, String)>,
}

fn at(s: Span) -> (usize, usize) {
    let l = s.start();
    (l.line, l.column + 1)
}

impl Walk<'_> {
    fn of(&self, s: Span, genre: &str) -> Vec<(usize, String)> {
        if self.constant > 0 {
            return vec![];
        }
        self.by_start
            .get(&at(s))
            .map(|v| {
                v.iter()
                    .filter(|m| m.genre == genre)
                    .map(|m| (m.id, m.replacement.clone()))
                    .collect()
            })
            .unwrap_or_default()
    }
    fn open(&mut self, pos: usize, len: usize, t: String) {
        self.edits.openings.push((pos, len, t));
    }
    fn close(&mut self, pos: usize, len: usize, t: String) {
        self.edits.closings.push((pos, len, t));
    }
    fn text(&self, r: std::ops::Range<usize>) -> String {
        self.src[r].to_string()
    }
}

fn has_let(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(b) => has_let(&b.left) || has_let(&b.right),
        _ => false,
    }
}

fn alt(n: usize, code: &str) -> String {
    format!("/*<{n}*/{code}/*{n}>*/")
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_const(&mut self, i: &'ast syn::ItemConst) {
        self.constant += 1;
        visit::visit_item_const(self, i);
        self.constant -= 1;
    }
    fn visit_impl_item_const(&mut self, i: &'ast syn::ImplItemConst) {
        self.constant += 1;
        visit::visit_impl_item_const(self, i);
        self.constant -= 1;
    }
    fn visit_item_static(&mut self, i: &'ast syn::ItemStatic) {
        self.constant += 1;
        visit::visit_item_static(self, i);
        self.constant -= 1;
    }
    fn visit_expr_repeat(&mut self, i: &'ast syn::ExprRepeat) {
        self.visit_expr(&i.expr);
        self.constant += 1;
        self.visit_expr(&i.len);
        self.constant -= 1;
    }
    fn visit_type(&mut self, i: &'ast syn::Type) {
        self.constant += 1;
        visit::visit_type(self, i);
        self.constant -= 1;
    }
    fn visit_pat(&mut self, i: &'ast syn::Pat) {
        self.constant += 1;
        visit::visit_pat(self, i);
        self.constant -= 1;
    }
    fn visit_item_fn(&mut self, i: &'ast syn::ItemFn) {
        let c = usize::from(i.sig.constness.is_some());
        self.constant += c;
        self.body(&i.block);
        visit::visit_item_fn(self, i);
        self.constant -= c;
    }
    fn visit_impl_item_fn(&mut self, i: &'ast syn::ImplItemFn) {
        let c = usize::from(i.sig.constness.is_some());
        self.constant += c;
        self.body(&i.block);
        visit::visit_impl_item_fn(self, i);
        self.constant -= c;
    }
    fn visit_trait_item_fn(&mut self, i: &'ast syn::TraitItemFn) {
        if let Some(b) = &i.default {
            self.body(b);
        }
        visit::visit_trait_item_fn(self, i);
    }

    fn visit_expr(&mut self, e: &'ast syn::Expr) {
        if let syn::Expr::Binary(b) = e {
            if self.chain.is_none() {
                self.chain = Some(b.clone());
                self.visit_expr_binary(b);
                self.chain = None;
                let r = b.span().byte_range();
                for (n, text) in std::mem::take(&mut self.at_root) {
                    self.open(
                        r.start,
                        r.len() + 1,
                        format!(
                            "/*{{{n}*/(if crate::mutant({n}) {{ {} }} else {{ ",
                            alt(n, &text)
                        ),
                    );
                    self.close(r.end, r.len() + 1, format!(" }})/*{n}}}*/"));
                }
            } else {
                self.visit_expr_binary(b);
            }
            return;
        }
        let (chain, roots) = (self.chain.take(), std::mem::take(&mut self.at_root));
        visit::visit_expr(self, e);
        assert!(self.at_root.is_empty());
        (self.chain, self.at_root) = (chain, roots);
    }

    fn visit_expr_binary(&mut self, b: &'ast syn::ExprBinary) {
        let mut all = self.of(b.op.span(), "BinaryOperator");
        if let Some(root) = self.chain.clone() {
            let r = root.span().byte_range();
            let op = b.op.span().byte_range();
            let here = at(b.op.span());
            all.retain(|(n, o)| {
                let text = format!(
                    "{}{o}{}",
                    &self.src[r.start..op.start],
                    &self.src[op.end..r.end]
                );
                let mut meant = syn::Expr::Binary(root.clone());
                Put {
                    here,
                    op: syn::parse_str(o).unwrap(),
                }
                .visit_expr_mut(&mut meant);
                if syn::parse_str::<syn::Expr>(&text).is_ok_and(|said| said == meant) {
                    return true;
                }
                self.done.insert(*n);
                if has_let(&syn::Expr::Binary(root.clone())) {
                    self.unviable.insert(*n);
                } else {
                    self.at_root.push((*n, text));
                }
                false
            });
        }
        if !all.is_empty() {
            let (l, r, op) = (
                b.left.span().byte_range(),
                b.right.span().byte_range(),
                b.op.span().byte_range(),
            );
            let (s, e) = (l.start, r.end);
            let len = e - s;
            let sign = self.text(op.clone());
            let first = all[0].0;
            self.done.extend(all.iter().map(|a| a.0));
            let site: String = all
                .iter()
                .map(|a| a.0.to_string())
                .collect::<Vec<_>>()
                .join(",");
            use syn::BinOp as B;
            match b.op {
                B::And(_) | B::Or(_) if has_let(&b.left) || has_let(&b.right) => {
                    self.unviable.extend(all.iter().map(|a| a.0));
                }
                B::And(_) | B::Or(_) if all.len() == 1 => {
                    let eq = if matches!(b.op, B::And(_)) {
                        "!="
                    } else {
                        "=="
                    };
                    self.open(s, len, format!("/*{{{site}*/({{ let l_: bool = ("));
                    self.edits.tokens.insert(
                        op.start,
                        (op.end, format!("); if l_ {eq} crate::mutant({first}) {{ ")),
                    );
                    self.close(e, len, format!(" }} else {{ l_ }} }})/*{site}}}*/"));
                }
                B::AddAssign(_)
                | B::SubAssign(_)
                | B::MulAssign(_)
                | B::DivAssign(_)
                | B::RemAssign(_)
                | B::BitXorAssign(_)
                | B::BitAndAssign(_)
                | B::BitOrAssign(_)
                | B::ShlAssign(_)
                | B::ShrAssign(_) => {
                    let left = self.text(l.clone());
                    let arms: String = all
                        .iter()
                        .map(|(n, o)| {
                            format!(
                                "if crate::mutant({n}) {{ {} }} else ",
                                alt(*n, &format!("{left} {o} r_;"))
                            )
                        })
                        .collect();
                    self.open(s, len, format!("/*{{{site}*/{{ let r_ = ("));
                    self.edits.tokens.insert(l.start, (r.start, String::new()));
                    self.close(
                        e,
                        len,
                        format!("); {arms} {{ {left} {sign} r_; }} }}/*{site}}}*/"),
                    );
                    self.visit_expr(&b.right);
                    return;
                }
                _ => {
                    let by = if matches!(
                        b.op,
                        B::Eq(_) | B::Ne(_) | B::Lt(_) | B::Le(_) | B::Gt(_) | B::Ge(_)
                    ) {
                        "&"
                    } else {
                        ""
                    };
                    let arms: String = all
                        .iter()
                        .map(|(n, o)| {
                            format!(
                                "if crate::mutant({n}) {{ {} }} else ",
                                alt(*n, &format!("l_ {o} r_"))
                            )
                        })
                        .collect();
                    self.open(s, len, format!("/*{{{site}*/(match ({by}("));
                    self.edits
                        .tokens
                        .insert(op.start, (op.end, format!("), {by}(")));
                    self.close(
                        e,
                        len,
                        format!(")) {{ (l_, r_) => {arms} {{ l_ {sign} r_ }} }})/*{site}}}*/"),
                    );
                }
            }
        }
        visit::visit_expr_binary(self, b);
    }

    fn visit_expr_unary(&mut self, u: &'ast syn::ExprUnary) {
        let all = self.of(u.op.span(), "UnaryOperator");
        if let Some((n, _)) = all.first() {
            self.done.insert(*n);
            let op = u.op.span().byte_range();
            let x = u.expr.span().byte_range();
            let sign = self.text(op.clone());
            self.edits
                .tokens
                .insert(op.start, (op.end, format!("/*{{{n}*/({{ let u_ = ")));
            self.close(
                x.end,
                x.end - op.start,
                format!(
                    "; if crate::mutant({n}) {{ {} }} else {{ {sign}u_ }} }})/*{n}}}*/",
                    alt(*n, "u_")
                ),
            );
        }
        visit::visit_expr_unary(self, u);
    }

    fn visit_arm(&mut self, a: &'ast syn::Arm) {
        let start = a.attrs.first().map_or(a.pat.span(), |x| x.span());
        let mut del = self.of(start, "MatchArm");
        if del.is_empty() {
            del = self.of(a.pat.span(), "MatchArm");
        }
        let dropped: String = del
            .iter()
            .map(|(n, _)| format!("!crate::mutant({n}) && "))
            .collect();
        self.done.extend(del.iter().map(|d| d.0));
        let site = del
            .iter()
            .map(|d| d.0.to_string())
            .collect::<Vec<_>>()
            .join(",");
        if let Some((_, g)) = &a.guard {
            let all = self.of(g.span(), "MatchArmGuard");
            if !all.is_empty() || !del.is_empty() {
                self.done.extend(all.iter().map(|d| d.0));
                let yes: String = all
                    .iter()
                    .filter(|x| x.1 == "true")
                    .map(|x| format!("crate::mutant({}) || ", x.0))
                    .collect();
                let no: String = all
                    .iter()
                    .filter(|x| x.1 == "false")
                    .map(|x| format!("!crate::mutant({}) && ", x.0))
                    .collect();
                let ids = all
                    .iter()
                    .map(|x| x.0)
                    .chain(del.iter().map(|d| d.0))
                    .map(|n| n.to_string())
                    .collect::<Vec<_>>()
                    .join(",");
                let r = g.span().byte_range();
                self.open(
                    r.start,
                    r.len() + 1,
                    format!("/*{{{ids}*/{dropped}({yes}({no}("),
                );
                self.close(r.end, r.len() + 1, format!(")))/*{ids}}}*/"));
            }
        } else if !del.is_empty() {
            let p = a.pat.span().byte_range();
            self.close(
                p.end,
                p.len() + 1,
                format!(" /*{{{site}*/if {dropped}true/*{site}}}*/"),
            );
        }
        visit::visit_arm(self, a);
    }

    fn visit_expr_struct(&mut self, s: &'ast syn::ExprStruct) {
        if let Some(rest) = &s.rest {
            let base = self.text(rest.span().byte_range());
            for f in &s.fields {
                for (n, _) in self.of(f.span(), "StructField") {
                    self.done.insert(n);
                    let r = f.span().byte_range();
                    let name = self.text(f.member.span().byte_range());
                    if f.colon_token.is_some() {
                        let v = f.expr.span().byte_range();
                        self.open(
                            v.start,
                            v.len() + 1,
                            format!(
                                "/*{{{n}*/if crate::mutant({n}) {{ {} }} else {{ ",
                                alt(n, &format!("({base}).{name}"))
                            ),
                        );
                        self.close(v.end, v.len() + 1, format!(" }}/*{n}}}*/"));
                    } else {
                        self.open(
                            r.start,
                            r.len() + 1,
                            format!(
                                "/*{{{n}*/{name}: if crate::mutant({n}) {{ {} }} else {{ ",
                                alt(n, &format!("({base}).{name}"))
                            ),
                        );
                        self.close(r.end, r.len() + 1, format!(" }}/*{n}}}*/"));
                    }
                }
            }
        }
        visit::visit_expr_struct(self, s);
    }
}

/// The same tree with another operator in one place: what a textual change means unless precedence moves.
struct Put {
    here: (usize, usize),
    op: syn::BinOp,
}

impl VisitMut for Put {
    fn visit_expr_binary_mut(&mut self, b: &mut syn::ExprBinary) {
        if at(b.op.span()) == self.here {
            b.op = self.op;
        }
        visit_mut::visit_expr_binary_mut(self, b);
    }
}

impl Walk<'_> {
    fn body(&mut self, b: &syn::Block) {
        let Some(first) = b.stmts.first() else { return };
        let all = self.of(first.span(), "FnValue");
        let start = first.span().byte_range().start;
        let len = b.span().byte_range().len();
        for (n, v) in all {
            let returns = self.by_start[&at(first.span())]
                .iter()
                .find(|m| m.id == n)
                .map(|m| m.returns.clone())
                .unwrap_or_default();
            if returns.contains("impl ") {
                continue;
            }
            self.done.insert(n);
            self.open(
                start,
                len,
                format!(
                    "if crate::mutant({n}) {{ {} }} ",
                    alt(n, &format!("return {v};"))
                ),
            );
        }
    }
}

/// What became of the changes.
#[derive(Default)]
pub struct Woven {
    pub done: BTreeSet<usize>,
    /// Left to cargo-mutants.
    pub not: BTreeSet<usize>,
    /// No Rust: `||` beside a `let`.
    pub unviable: BTreeSet<usize>,
}

/// Weaves `list` (numbered from 1), but for what stands in `skip`, into the files below `root`.
pub fn weave(list: &[Value], root: &std::path::Path, skip: &BTreeSet<usize>) -> Woven {
    let mut files: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
    for (n, m) in list.iter().enumerate() {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let number = |k: &str| m["span"]["start"][k].as_u64().unwrap() as usize;
        if !skip.contains(&(n + 1)) {
            files.entry(text(&m["file"])).or_default().push(Mutant {
                id: n + 1,
                genre: text(&m["genre"]),
                replacement: text(&m["replacement"]),
                start: (number("line"), number("column")),
                returns: text(&m["function"]["return_type"]),
            });
        }
    }
    let mut woven = Woven::default();
    for (file, mutants) in &files {
        let path = root.join(file);
        let src = std::fs::read_to_string(&path).unwrap();
        let tree = syn::parse_file(&src).unwrap();
        let mut by_start: HashMap<(usize, usize), Vec<&Mutant>> = HashMap::new();
        for m in mutants {
            by_start.entry(m.start).or_default().push(m);
        }
        let mut walk = Walk {
            src: &src,
            by_start,
            edits: Edits::default(),
            done: BTreeSet::new(),
            unviable: BTreeSet::new(),
            constant: 0,
            chain: None,
            at_root: Vec::new(),
        };
        walk.visit_file(&tree);
        woven.not.extend(
            mutants
                .iter()
                .map(|m| m.id)
                .filter(|id| !walk.done.contains(id)),
        );
        woven.done.extend(walk.done);
        woven.unviable.extend(walk.unviable);
        std::fs::write(&path, apply(&src, walk.edits)).unwrap();
    }
    woven
}

/// At one place first what closes, the inner first; then what opens, the outer first; then what
/// stands for a token.
fn apply(src: &str, mut edits: Edits) -> String {
    edits.closings.sort_by_key(|c| (c.0, c.1));
    edits
        .openings
        .sort_by_key(|c| (c.0, std::cmp::Reverse(c.1)));
    let mut closings = edits.closings.into_iter().peekable();
    let mut openings = edits.openings.into_iter().peekable();
    let (mut out, mut copied, mut here) = (String::new(), 0, 0);
    while here <= src.len() {
        let mut put = |text: &str| {
            out.push_str(&src[copied..here]);
            out.push_str(text);
            copied = here;
        };
        while let Some((.., text)) = closings.next_if(|c| c.0 == here) {
            put(&text);
        }
        while let Some((.., text)) = openings.next_if(|c| c.0 == here) {
            put(&text);
        }
        match edits.tokens.get(&here) {
            Some((end, text)) => {
                put(text);
                (copied, here) = (*end, *end);
            }
            None => here += 1,
        }
    }
    out.push_str(&src[copied..]);
    out
}
