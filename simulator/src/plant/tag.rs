//! Tags by ISA-5.1: letters, loop, suffix.

/// `TF3-LT-101A` is area `TF3`, letters `LT`, loop `101`, suffix `A`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) area: String,
    pub(super) letters: String,
    pub(super) number: String,
}

impl Tag {
    /// None where the tag is not of that form.
    pub(super) fn parse(tag: &str) -> Option<Tag> {
        let mut parts: Vec<&str> = tag.split(['-', '_']).collect();
        let last = parts.pop()?;
        let digits = last.chars().take_while(char::is_ascii_digit).count();
        let number = last[..digits].to_owned();
        let letters = parts.pop()?;
        if number.is_empty() || !letters.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        Some(Tag {
            area: parts.join("-"),
            letters: letters.to_ascii_uppercase(),
            number,
        })
    }

    /// The same loop of the same area.
    pub(super) fn same_loop(&self, other: &Tag) -> bool {
        self.area == other.area && self.number == other.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_apart() {
        for (text, expected) in [
            ("LT-101A", Some(("", "LT", "101"))),
            ("TF3-LT-101B", Some(("TF3", "LT", "101"))),
            ("A-1-TT-7", Some(("A-1", "TT", "7"))),
            ("XMEAS_12", Some(("", "XMEAS", "12"))),
            ("储罐-LT-1", Some(("储罐", "LT", "1"))),
            ("储罐1", None),
            ("LT", None),
            ("LT-A", None),
            ("", None),
        ] {
            let got = Tag::parse(text);
            let got = got.as_ref().map(|t| (&*t.area, &*t.letters, &*t.number));
            assert_eq!(got, expected, "{text}");
        }
    }
}
