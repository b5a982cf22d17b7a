//! Commands as they come from the centre: bytes to a [`Command`], or a refusal with its reason.

use davy_rules::alarm::{self, Command, CommandResult, Outcome, Rejection, Unreadable, VERSION};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A command payload beyond this is refused.
const COMMAND_MAX_BYTES: usize = 64 * 1024;
const SIG_OPEN: &[u8] = b",\"sig\":\"";
const SIG_HEX: usize = 64;

/// Why a command never reached the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not a command; there is nobody to answer.
    Unreadable(String),
    /// A command that is answered with a rejection.
    Answered(&'static str, Box<CommandResult>),
}

impl Refused {
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Refused::Unreadable(_) => "unreadable",
            Refused::Answered(reason, _) => reason,
        }
    }
}

/// Reads a command; where a key is given its signature must be the last field and right.
pub(crate) fn read(payload: &[u8], key: Option<&[u8]>) -> Result<Command, Refused> {
    if payload.len() > COMMAND_MAX_BYTES {
        return Err(Refused::Unreadable("longer than 64 KiB".into()));
    }
    let command: Command = match alarm::read(payload) {
        Ok(command) => command,
        Err(Unreadable::Malformed(why)) => return Err(Refused::Unreadable(why)),
        Err(newer @ Unreadable::Newer(_)) => return Err(newer_version(payload, &newer)),
    };
    let refuse = |reason, why| Err(answered(reason, &command.id, why));
    if command.id.is_empty() || command.id.len() > 128 {
        return refuse("malformed", Rejection::Malformed);
    }
    if let Some(key) = key
        && !signed(payload, key)
    {
        return refuse("signature", Rejection::Forbidden);
    }
    Ok(command)
}

fn answered(reason: &'static str, id: &str, why: Rejection) -> Refused {
    let result = CommandResult {
        v: VERSION,
        id: id.to_owned(),
        outcome: Outcome::Rejected,
        why: Some(why),
        seq: None,
    };
    Refused::Answered(reason, Box::new(result))
}

/// Of a command that a newer centre wrote only the id is read, for the answer.
fn newer_version(payload: &[u8], newer: &Unreadable) -> Refused {
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    match serde_json::from_slice::<Id>(payload) {
        Ok(Id { id }) => answered("version", &id, Rejection::Unsupported),
        Err(_) => Refused::Unreadable(newer.to_string()),
    }
}

/// True where the payload ends with `,"sig":"<hex>"}` and hex is the HMAC-SHA-256 of the bytes
/// without that field.
fn signed(payload: &[u8], key: &[u8]) -> bool {
    let tail = SIG_OPEN.len() + SIG_HEX + 2;
    let Some(at) = payload.len().checked_sub(tail) else {
        return false;
    };
    let (body, tail) = payload.split_at(at);
    let Some(hex) = tail
        .strip_prefix(SIG_OPEN)
        .and_then(|t| t.strip_suffix(b"\"}"))
    else {
        return false;
    };
    let Some(sig) = bytes_of_hex(hex) else {
        return false;
    };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return false;
    };
    mac.update(body);
    mac.update(b"}");
    mac.verify_slice(&sig).is_ok()
}

fn bytes_of_hex(hex: &[u8]) -> Option<Vec<u8>> {
    hex.chunks(2)
        .map(|pair| {
            let text = std::str::from_utf8(pair).ok()?;
            if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            u8::from_str_radix(text, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ACK: &str = r#"{"v":1,"id":"c-1","occurrence":"abc","verb":"ack","actor":"op","role":"operator","reason":"","issued_at":1}"#;

    fn sign(body: &str, key: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
        mac.update(body.as_bytes());
        let hex: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        format!(
            "{},\"sig\":\"{hex}\"}}",
            body.strip_suffix('}').expect("JSON")
        )
    }

    #[test]
    fn a_command_is_read_where_its_signature_is_right() {
        let key = &b"secret"[..];
        assert_eq!(read(ACK.as_bytes(), None).expect("read").id, "c-1");
        assert_eq!(
            read(sign(ACK, key).as_bytes(), Some(key)).expect("read").id,
            "c-1"
        );
        assert!(
            read(sign(ACK, key).as_bytes(), None).is_ok(),
            "a signature hurts nobody"
        );
        let forged = sign(ACK, key).replace("\"op\"", "\"xx\"");
        for payload in [ACK.to_owned(), forged, sign(ACK, b"other")] {
            assert_eq!(
                read(payload.as_bytes(), Some(key))
                    .expect_err("refused")
                    .reason(),
                "signature",
                "{payload}"
            );
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_its_reason() {
        for (payload, reason) in [
            ("", "unreadable"),
            ("[]", "unreadable"),
            (r#"{"v":1,"id":"x"}"#, "unreadable"),
            (&ACK.replace("\"ack\"", "\"detonate\""), "unreadable"),
            (&ACK.replace("\"v\":1", "\"v\":2"), "version"),
            (r#"{"v":2,"id":"c-1","verb":"unheard_of"}"#, "version"),
            (r#"{"v":2}"#, "unreadable"),
            (&ACK.replace("c-1", ""), "malformed"),
        ] {
            let refused = read(payload.as_bytes(), None).expect_err("refused");
            assert_eq!(refused.reason(), reason, "{payload}");
        }
    }

    #[test]
    fn fields_that_are_not_known_are_ignored() {
        let later = ACK.replace("\"v\":1", "\"v\":1,\"shift\":{\"v\":7}");
        let ack = read(ACK.as_bytes(), None).expect("read");
        assert_eq!(read(later.as_bytes(), None).expect("read"), ack);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, None);
            prop_assert!(read(&bytes, Some(b"key")).is_err());
        }
    }
}
