//! Which points a rule is for: tag glob, class, hazard, area; all that is given must match.

use davy_points::{PointDef, PointIx, PointTable, Span};

use super::nearest::nearest;
use super::text::{Faults, Keys};

/// A condition by name, as written, and where a point has it.
type Condition<'a> = (&'a str, &'a Option<(&'a str, Span)>, fn(&PointDef) -> &str);

/// A selector as written.
pub(crate) struct Selector<'t> {
    tag: Option<(&'t str, Span)>,
    class: Option<(&'t str, Span)>,
    hazard: Option<(&'t str, Span)>,
    area: Option<(&'t str, Span)>,
    span: Span,
}

impl<'t> Selector<'t> {
    pub(crate) fn read(mut keys: Keys<'t, '_>, f: &mut Faults<'_>) -> Selector<'t> {
        let before = f.all.len();
        let s = Selector {
            tag: keys.text("tag", f),
            class: keys.text("class", f),
            hazard: keys.text("hazard", f),
            area: keys.text("area", f),
            span: keys.span.clone(),
        };
        keys.finish(f);
        let empty = s.tag.is_none() && s.class.is_none() && s.hazard.is_none() && s.area.is_none();
        if empty && f.all.len() == before {
            f.add(
                "E306",
                s.span.clone(),
                "the selector names nothing",
                "give a tag, class, hazard or area; `tag = \"*\"` is every point",
            );
        }
        s
    }

    /// What the one `*` of the tag pattern stands for in this tag; none where it has not just one.
    pub(crate) fn capture<'p>(&self, tag: &'p str) -> Option<&'p str> {
        let (before, after) = self.tag.as_ref()?.0.split_once('*')?;
        if after.contains(['*', '?']) || before.contains('?') {
            return None;
        }
        tag.strip_prefix(before)?.strip_suffix(after)
    }

    fn matches(&self, p: &PointDef) -> bool {
        let is = |wanted: &Option<(&str, Span)>, have: &str| {
            wanted.as_ref().is_none_or(|(w, _)| *w == have)
        };
        let given = self.tag.is_some()
            || self.class.is_some()
            || self.hazard.is_some()
            || self.area.is_some();
        given
            && self.tag.as_ref().is_none_or(|(g, _)| glob(g, &p.tag))
            && is(&self.class, &p.class)
            && is(&self.hazard, &p.hazard)
            && is(&self.area, &p.area)
    }

    /// The points, in the order of the table, be there any or none.
    pub(crate) fn matching(&self, table: &PointTable) -> Vec<PointIx> {
        // Ten thousand rules that each name one point do not each walk the table.
        let named = self.tag.as_ref().map(|(tag, _)| *tag);
        if let Some(tag) = named.filter(|tag| !tag.contains(['*', '?'])) {
            let found = table.find(tag);
            return found
                .filter(|ix| self.matches(table.point(*ix)))
                .into_iter()
                .collect();
        }
        let found = table.iter().filter(|(_, p)| self.matches(p));
        found.map(|(ix, _)| ix).collect()
    }

    /// The points, in the order of the table; none is a fault.
    pub(crate) fn points(&self, table: &PointTable, f: &mut Faults<'_>) -> Vec<PointIx> {
        let found = self.matching(table);
        if found.is_empty() {
            let (span, hint) = self.why_nothing(table);
            f.add("E306", span, "no point matches", hint);
        }
        found
    }

    /// The first condition that no point meets by itself, with what was probably meant.
    fn why_nothing(&self, table: &PointTable) -> (Span, String) {
        let conditions: [Condition<'_>; 3] = [
            ("class", &self.class, |p| &p.class),
            ("hazard", &self.hazard, |p| &p.hazard),
            ("area", &self.area, |p| &p.area),
        ];
        for (name, wanted, have) in conditions {
            let Some((wanted, span)) = wanted else {
                continue;
            };
            let mut all: Vec<&str> = table.iter().map(|(_, p)| have(p)).collect();
            all.sort_unstable();
            all.dedup();
            if all.contains(wanted) {
                continue;
            }
            let hint = match nearest(wanted, &all) {
                Some(near) => format!("no point has {name} \"{wanted}\"; did you mean \"{near}\"?"),
                None => format!("no point of the table has {name} \"{wanted}\""),
            };
            return (span.clone(), hint);
        }
        if let Some((pattern, span)) = &self.tag
            && !table.iter().any(|(_, p)| glob(pattern, &p.tag))
        {
            let all: Vec<&str> = table.iter().map(|(_, p)| &*p.tag).collect();
            let hint = match nearest(pattern, &all) {
                Some(near) => format!("no tag is like \"{pattern}\"; did you mean \"{near}\"?"),
                None => {
                    format!("no tag is like \"{pattern}\"; * stands for any letters, ? for one")
                }
            };
            return (span.clone(), hint);
        }
        (
            self.span.clone(),
            "each condition is met by some point, all of them by none: take one away".to_owned(),
        )
    }
}

/// `*` any letters, `?` one.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    // Most do not even begin alike.
    let literal = pattern.find(['*', '?']).unwrap_or(pattern.len());
    if !text.as_bytes().starts_with(&pattern.as_bytes()[..literal]) {
        return false;
    }
    let p: Vec<char> = pattern.chars().collect();
    let t: Vec<char> = text.chars().collect();
    let (mut i, mut j) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while j < t.len() {
        if i < p.len() && (p[i] == '?' || (p[i] == t[j] && p[i] != '*')) {
            i += 1;
            j += 1;
        } else if i < p.len() && p[i] == '*' {
            star = Some((i, j));
            i += 1;
        } else if let Some((at, from)) = star {
            i = at + 1;
            j = from + 1;
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    p[i..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    #[test]
    fn globs() {
        for (pattern, text, matches) in [
            ("LT-*", "LT-101A", true),
            ("LT-*", "PT-101", false),
            ("*-101?", "LT-101A", true),
            ("*-101?", "LT-101", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("储罐*", "储罐1", true),
        ] {
            assert_eq!(super::glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
