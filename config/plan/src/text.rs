//! Bytes of a file to text: UTF-8, UTF-16 with its mark, or GB18030 as Chinese Excel writes CSV.

/// The text without its byte order mark, or none where it is in neither encoding.
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        return encoding
            .decode_without_bom_handling_and_without_replacement(&bytes[mark..])
            .map(|t| t.into_owned());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(text.to_owned());
    }
    // GB18030 holds GBK and GB 2312. Every file that is not UTF-8 is judged by it, so a binary
    // file may decode too: control characters give that away.
    encoding_rs::GB18030
        .decode_without_bom_handling_and_without_replacement(bytes)
        .filter(|t| !t.contains('\0'))
        .map(|t| t.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_that_excel_writes() {
        let text = "位号,描述\r\nLT-101,苯储罐液位 ㎡\r\n";
        let (gb, _, lost) = encoding_rs::GB18030.encode(text);
        assert!(!lost);
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        let mut bom = b"\xef\xbb\xbf".to_vec();
        bom.extend_from_slice(text.as_bytes());
        for bytes in [text.as_bytes(), &gb, &utf16, &bom] {
            assert_eq!(decode(bytes).as_deref(), Some(text));
        }
        assert_eq!(decode(b"\xff\xff\xff"), None);
        assert_eq!(decode(b"PK\x03\x04\x00\xff"), None);
    }
}
