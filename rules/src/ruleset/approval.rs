//! A limit beyond a standard's cap, and who answers for it: the signature over the override.
//!
//! Lives here: what is signed and how it is checked. May not live here: caps (`standards`), the key
//! itself (the site's plan reads it, and no text of ours repeats it). Read first: [`Approval`].

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use toml::de::{DeTable, DeValue};

/// The site's approval key; none: no override can be verified.
#[derive(Clone, Default)]
pub struct Approval(Held);

#[derive(Clone, Default)]
enum Held {
    #[default]
    Nothing,
    Key(Vec<u8>),
    /// The rules were verified when they were taken; the log of inputs holds no key.
    Verified,
}

impl fmt::Debug for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Held::Nothing => "Approval(none)",
            Held::Key(_) => "Approval(a key)",
            Held::Verified => "Approval(verified)",
        })
    }
}

/// What is signed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Override<'t> {
    pub(crate) reason: &'t str,
    pub(crate) by: &'t str,
    pub(crate) approved_by: &'t str,
    pub(crate) date: &'t str,
}

impl Approval {
    /// With this key, or without one.
    #[must_use]
    pub fn new(key: Option<&[u8]>) -> Approval {
        Approval(key.map_or(Held::Nothing, |k| Held::Key(k.to_vec())))
    }

    /// For rules out of a log of inputs: they were verified before they were written there.
    pub(crate) const fn verified() -> Approval {
        Approval(Held::Verified)
    }

    /// Whether there is a key.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        !matches!(self.0, Held::Nothing)
    }

    fn mac(&self, rule: &str, level: &str, limit: f64, o: &Override<'_>) -> Option<Hmac<Sha256>> {
        let Held::Key(key) = &self.0 else {
            return None;
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(
            format!(
                "{rule}|{level}|{limit}|{}|{}|{}|{}",
                o.reason, o.by, o.approved_by, o.date
            )
            .as_bytes(),
        );
        Some(mac)
    }

    /// Hex HMAC-SHA-256 over `rule|level|limit|reason|by|approved_by|date`.
    fn sign(&self, rule: &str, level: &str, limit: f64, o: &Override<'_>) -> Option<String> {
        let bytes = self.mac(rule, level, limit, o)?.finalize().into_bytes();
        let mut hex = String::with_capacity(64);
        for b in bytes {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{b:02x}");
        }
        Some(hex)
    }

    /// Whether the signature is that of exactly these words; compared in constant time.
    pub(crate) fn verify(
        &self,
        rule: &str,
        level: &str,
        limit: f64,
        o: &Override<'_>,
        signature: &str,
    ) -> bool {
        if matches!(self.0, Held::Verified) {
            return true;
        }
        let Some(bytes) = from_hex(signature) else {
            return false;
        };
        self.mac(rule, level, limit, o)
            .is_some_and(|mac| mac.verify_slice(&bytes).is_ok())
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..64)
        .step_by(2)
        .map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok())
        .collect()
}

/// Signs the override that stands in the rule files at `RULE/LEVEL`, or `RULE/LEVEL/MODE`; the
/// signature is what `signature = "…"` must say. An error says what is missing.
pub fn sign_override(
    files: &[(PathBuf, String)],
    approval: &Approval,
    which: &str,
) -> Result<String, String> {
    let (rule, level) = which
        .split_once('/')
        .filter(|(r, l)| !r.is_empty() && !l.is_empty())
        .ok_or_else(|| format!("\"{which}\" is not RULE/LEVEL, like gas-chlorine/hh"))?;
    if !approval.has_key() {
        return Err(
            "the site has no approval key: set `[approval] key_file` in site.toml".to_owned(),
        );
    }
    for (_, text) in files {
        let (document, _) = DeTable::parse_recoverable(text);
        for (_, kind) in document.get_ref() {
            for t in kind.get_ref().as_array().into_iter().flatten() {
                let Some(t) = t.get_ref().as_table() else {
                    continue;
                };
                if word(t, "id") == Some(rule) {
                    return sign_in(t, approval, rule, level);
                }
            }
        }
    }
    Err(format!("there is no rule \"{rule}\" in the rule files"))
}

fn sign_in(
    rule_table: &DeTable<'_>,
    approval: &Approval,
    rule: &str,
    level: &str,
) -> Result<String, String> {
    let table = match level.split_once('/') {
        None => Some(rule_table),
        Some((_, mode)) => rule_table
            .get("mode")
            .and_then(|v| v.get_ref().as_array())
            .into_iter()
            .flatten()
            .filter_map(|m| m.get_ref().as_table())
            .find(|m| word(m, "name") == Some(mode)),
    };
    let key = level.split_once('/').map_or(level, |(l, _)| l);
    let limits = table
        .and_then(|t| t.get(key))
        .and_then(|v| v.get_ref().as_table())
        .ok_or_else(|| format!("rule \"{rule}\" has no level \"{level}\""))?;
    let limit = limits
        .get("limit")
        .and_then(|v| match v.get_ref() {
            DeValue::Integer(i) => i.as_str().parse::<f64>().ok(),
            DeValue::Float(x) => x.as_str().parse::<f64>().ok(),
            _ => None,
        })
        .filter(|n| n.is_finite())
        .ok_or_else(|| format!("{rule}/{level} has no `limit` to sign"))?;
    let o = limits
        .get("override")
        .and_then(|v| v.get_ref().as_table())
        .ok_or_else(|| {
            format!(
                "{rule}/{level} has no override: write override = {{ reason = \"…\", by = \"…\", \
                 approved_by = \"…\", date = \"2026-11-25\" }} first"
            )
        })?;
    let need = |key: &str| word(o, key).ok_or_else(|| format!("the override has no `{key}`"));
    let o = Override {
        reason: need("reason")?,
        by: need("by")?,
        approved_by: need("approved_by")?,
        date: need("date")?,
    };
    if let Some(why) = o.flaw() {
        return Err(format!("it could not be verified: {why}"));
    }
    approval
        .sign(rule, level, limit, &o)
        .ok_or_else(|| "the approval key cannot be used".to_owned())
}

impl Override<'_> {
    /// What makes it no override, whoever signed it.
    pub(crate) fn flaw(&self) -> Option<&'static str> {
        let all = [self.reason, self.by, self.approved_by, self.date];
        if all.iter().any(|w| w.trim().is_empty()) {
            Some("a reason, an author, an approver and a date are needed")
        } else if all.iter().any(|w| w.contains('|')) {
            Some("| may not stand in it: it divides what is signed")
        } else if self.by.trim() == self.approved_by.trim() {
            Some("who approves may not be who wrote it")
        } else if !is_date(self.date) {
            Some("the date is not written like 2026-11-25")
        } else {
            None
        }
    }
}

fn is_date(text: &str) -> bool {
    let b = text.as_bytes();
    let number = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse::<u32>().ok());
    b.len() == 10
        && b[4] == b'-'
        && b[7] == b'-'
        && b.iter()
            .enumerate()
            .all(|(i, c)| i == 4 || i == 7 || c.is_ascii_digit())
        && number(5, 7).is_some_and(|m| (1..=12).contains(&m))
        && number(8, 10).is_some_and(|d| (1..=31).contains(&d))
}

fn word<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t str> {
    table.get(key)?.get_ref().as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"0123456789abcdef";

    fn signed() -> Override<'static> {
        Override {
            reason: "探头在风管内",
            by: "甲",
            approved_by: "乙",
            date: "2026-11-25",
        }
    }

    /// Computed once by another program: `printf '…' | openssl dgst -sha256 -hmac 0123456789abcdef`.
    #[test]
    fn the_signature_is_plain_hmac() {
        let a = Approval::new(Some(KEY));
        assert_eq!(
            a.sign("gas", "h", 30.0, &signed()).as_deref(),
            Some("6327393782197fdcad6fef3701401112538d4ec6966e8da52a60f3735073a57d")
        );
    }

    /// Whatever is signed cannot be changed; neither can the key.
    #[test]
    fn a_changed_word_is_another_signature() {
        let a = Approval::new(Some(KEY));
        let o = signed();
        let s = a.sign("gas", "h", 30.0, &o).unwrap();
        assert!(a.verify("gas", "h", 30.0, &o, &s));
        assert!(a.verify("gas", "h", 30.0, &o, &s.to_uppercase()));
        let other = |f: fn(&mut Override<'static>)| {
            let mut o = signed();
            f(&mut o);
            a.verify("gas", "h", 30.0, &o, &s)
        };
        assert!(!other(|o| o.reason = "别的"));
        assert!(!other(|o| o.by = "丙"));
        assert!(!other(|o| o.approved_by = "丙"));
        assert!(!other(|o| o.date = "2026-11-26"));
        assert!(!a.verify("gas2", "h", 30.0, &o, &s));
        assert!(!a.verify("gas", "hh", 30.0, &o, &s));
        assert!(!a.verify("gas", "h", 30.5, &o, &s));
        assert!(!Approval::new(Some(b"another key, 16+")).verify("gas", "h", 30.0, &o, &s));
        assert!(!Approval::default().verify("gas", "h", 30.0, &o, &s));
        for bad in ["", "00", "é", &s[..63], &format!("{s}0"), &"g".repeat(64)] {
            assert!(!a.verify("gas", "h", 30.0, &o, bad), "{bad}");
        }
    }

    #[test]
    fn flaws_no_signature_heals() {
        for (o, flawed) in [
            (signed(), false),
            (
                Override {
                    approved_by: "甲",
                    ..signed()
                },
                true,
            ),
            (
                Override {
                    approved_by: " 甲 ",
                    ..signed()
                },
                true,
            ),
            (
                Override {
                    reason: " ",
                    ..signed()
                },
                true,
            ),
            (
                Override {
                    reason: "a|b",
                    ..signed()
                },
                true,
            ),
            (
                Override {
                    date: "25.11.2026",
                    ..signed()
                },
                true,
            ),
            (
                Override {
                    date: "2026-13-01",
                    ..signed()
                },
                true,
            ),
            (
                Override {
                    date: "2026-1+-01",
                    ..signed()
                },
                true,
            ),
        ] {
            assert_eq!(o.flaw().is_some(), flawed, "{o:?}");
        }
    }

    #[test]
    fn no_key_in_a_debug_text() {
        let text = format!("{:?}", Approval::new(Some(KEY)));
        assert!(!text.contains("0123") && !text.contains("48"), "{text}");
    }
}
