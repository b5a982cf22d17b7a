//! The hash chain: a record's bytes become stored bytes and wire bytes, never re-serialised.
//!
//! Lives here: pure byte work. May not live here: files, SQL, the meaning of a record.
//! Read first: [`Chain::seal`].
//!
//! ```text
//! record   {…}                      as the engine wrote it
//! stored   {…,"prev":"<64 hex>"}     hash = SHA-256(stored)
//! wire     {…,"prev":"…","hash":"<64 hex>"}
//! ```
//! (`formats.md` section 4: the hash is over the stored bytes, never over a re-serialisation;
//! the first `prev` is the hash of the owner's identity.)

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

/// A SHA-256. Printed and written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// Reads 64 hex digits.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Hash> {
        if text.len() != 64 {
            return None;
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Some(Hash(out))
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok().map(Hash)
    }

    fn push_hex(self, out: &mut Vec<u8>) {
        for byte in self.0 {
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex_digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

/// A record as it goes out: JSON with `prev` and, last, `hash`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Sequence number, gapless per owner.
    pub seq: u64,
    /// The bytes for the wire.
    pub wire: Arc<[u8]>,
}

/// The end of a chain: what the next record's `prev` will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    tip: Hash,
}

/// One link: the bytes to store and their hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// JSON with `prev`.
    pub stored: Vec<u8>,
    /// SHA-256 of `stored`.
    pub hash: Hash,
}

impl Chain {
    /// The chain of transitions of this owner, before its first record.
    #[must_use]
    pub fn start(identity: &str) -> Chain {
        Chain {
            tip: Hash::of(identity.as_bytes()),
        }
    }

    /// The chain of audit entries of this owner: another beginning, so that an entry of one
    /// chain never fits into the other.
    #[must_use]
    pub fn start_audit(identity: &str) -> Chain {
        Chain {
            tip: Hash::of(format!("{identity}#audit").as_bytes()),
        }
    }

    /// A chain that goes on after this hash.
    #[must_use]
    pub fn after(tip: Hash) -> Chain {
        Chain { tip }
    }

    /// What the next record's `prev` will be.
    #[must_use]
    pub fn tip(&self) -> Hash {
        self.tip
    }

    /// Puts `prev` before the last brace and moves the tip on.
    ///
    /// # Errors
    /// Says why, where the bytes are not one JSON object that lacks `prev` and `hash`.
    pub fn seal(&mut self, record: &[u8]) -> Result<Link, String> {
        check_record(record)?;
        let stored = with_field(record, PREV, self.tip);
        let hash = Hash::of(&stored);
        self.tip = hash;
        Ok(Link { stored, hash })
    }
}

const PREV: &[u8] = b",\"prev\":\"";
const HASH: &[u8] = b",\"hash\":\"";
const FIELD_LEN: usize = PREV.len() + 64 + 1;

/// Stored bytes to wire bytes.
#[must_use]
pub fn wire(stored: &[u8], hash: Hash) -> Arc<[u8]> {
    with_field(stored, HASH, hash).into()
}

/// Wire bytes back to stored bytes and the hash that they claim. None where they do not end in
/// a `hash`.
#[must_use]
pub fn unwire(wire: &[u8]) -> Option<(Vec<u8>, Hash)> {
    without_field(wire, HASH)
}

/// Stored bytes back to the record as the engine wrote it, and the `prev` that they hold. None
/// where they do not end in a `prev`.
#[must_use]
pub fn unseal(stored: &[u8]) -> Option<(Vec<u8>, Hash)> {
    without_field(stored, PREV)
}

fn with_field(json: &[u8], field: &[u8], hash: Hash) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + FIELD_LEN);
    out.extend_from_slice(json.strip_suffix(b"}").unwrap_or(json));
    out.extend_from_slice(field);
    hash.push_hex(&mut out);
    out.extend_from_slice(b"\"}");
    out
}

fn without_field(json: &[u8], field: &[u8]) -> Option<(Vec<u8>, Hash)> {
    let body = json.strip_suffix(b"\"}")?;
    let (rest, hex) = body.split_at_checked(body.len().checked_sub(64)?)?;
    let hash = Hash::from_hex(hex)?;
    let mut out = rest.strip_suffix(field)?.to_vec();
    out.push(b'}');
    Some((out, hash))
}

/// The chain's own fields, and nothing else of the record.
#[derive(Deserialize)]
struct OwnFields {
    prev: Option<IgnoredAny>,
    hash: Option<IgnoredAny>,
}

fn check_record(record: &[u8]) -> Result<(), String> {
    if record.first() != Some(&b'{') || record.last() != Some(&b'}') {
        return Err("it is not a JSON object from its first byte to its last".to_owned());
    }
    let fields: OwnFields = serde_json::from_slice(record).map_err(|e| e.to_string())?;
    if fields.prev.is_some() || fields.hash.is_some() {
        return Err("it already has `prev` or `hash`, which the journal sets".to_owned());
    }
    if record[1..].trim_ascii_start().first() == Some(&b'}') {
        return Err("it is empty".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut chain = Chain::start("site/gw-01");
        let first = chain
            .seal(br#"{"v":1,"seq":1,"text":"\"hash\":\"x\"}"}"#)
            .expect("a record");
        let prev = Hash::of(b"site/gw-01");
        assert_eq!(
            String::from_utf8_lossy(&first.stored),
            format!(r#"{{"v":1,"seq":1,"text":"\"hash\":\"x\"}}","prev":"{prev}"}}"#)
        );
        assert_eq!(first.hash, Hash::of(&first.stored));
        assert_eq!(chain.tip(), first.hash);
        let wire = wire(&first.stored, first.hash);
        assert!(wire.ends_with(format!(",\"hash\":\"{}\"}}", first.hash).as_bytes()));
        let (stored, claimed) = unwire(&wire).expect("a wire record");
        assert_eq!((stored, claimed), (first.stored.clone(), first.hash));
        let (record, found) = unseal(&first.stored).expect("a stored record");
        assert_eq!(found, prev);
        assert_eq!(record, br#"{"v":1,"seq":1,"text":"\"hash\":\"x\"}"}"#);
    }

    #[test]
    fn what_is_no_record_is_refused_and_moves_nothing() {
        let mut chain = Chain::start("a");
        let tip = chain.tip();
        for bytes in [
            &b""[..],
            b"{}",
            b"{ }",
            b"[1]",
            b"{\"seq\":1",
            b"{\"seq\":1} ",
            b"{\"seq\":1}}",
            br#"{"seq":1,"prev":"x"}"#,
            br#"{"hash":"x","seq":1}"#,
        ] {
            assert!(
                chain.seal(bytes).is_err(),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        assert_eq!(chain.tip(), tip);
        assert_eq!(unwire(b"{\"seq\":1}"), None);
        assert_eq!(unseal(b"\"}"), None);
    }
}
