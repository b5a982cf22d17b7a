use std::io::Read;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::*;

fn parse(body: &[u8], precision: Precision) -> Result<Vec<Json>, LineError> {
    let mut lines = Lines::new(body, precision)?;
    let mut line = Line::default();
    let mut out = Vec::new();
    while lines.next_into(&mut line)? {
        let mut tags: Vec<_> = line.tags.clone();
        tags.sort();
        out.push(serde_json::json!({
            "name": line.measurement,
            "tags": tags.iter().map(|(k, v)| serde_json::json!({"key": k, "value": v})).collect::<Vec<_>>(),
            "fields": line.fields.iter().map(|(k, v)| serde_json::json!({"key": k, "value": field(v)})).collect::<Vec<_>>(),
            "time": line.time,
        }));
    }
    Ok(out)
}

fn field(f: &Field<'_>) -> Json {
    match f {
        Field::F64(v) => serde_json::json!({"float": v}),
        Field::I64(v) => serde_json::json!({"int": v}),
        Field::U64(v) => serde_json::json!({"uint": v}),
        Field::Bool(v) => serde_json::json!({"bool": v}),
        Field::Text(v) => serde_json::json!({"string": v}),
    }
}

#[test]
fn a_fault_names_its_line() {
    for (body, line, what) in [
        ("m,a=1 f=1i 5\n# words\n\nm f=x 6", 4, Fault::FieldValue),
        ("m f=\"a\nb\" 5\nm f=1 5 6", 3, Fault::AfterTime),
        ("m f=1\nm f=NaN", 2, Fault::FieldValue),
        ("m f=1\nm f=1e999", 2, Fault::OutOfRange),
        ("m,a=1,a=2 f=1", 1, Fault::DuplicateTag),
        ("m", 1, Fault::NoFields),
        ("m f=\"open", 1, Fault::OpenQuote),
        ("m f=1 12x", 1, Fault::Time),
    ] {
        assert_eq!(
            parse(body.as_bytes(), Precision::Ns),
            Err(LineError { line, what }),
            "{body:?}"
        );
    }
    assert_eq!(
        parse(b"m f=1\nm\xff f=1", Precision::Ns).map_err(|e| e.to_string()),
        Err("line 2: the bytes are not UTF-8".into())
    );
}

#[test]
fn a_newline_in_a_name_cannot_forge_a_second_series() {
    // What our own encoder refuses to write, another's may send: a raw newline ends the line.
    assert!(parse(b"m,tag=A\nB value=1,q=192i 5", Precision::Ns).is_err());
}

/// Where recorded data lie: `DAVY_DATA`, else beside the workspace.
fn corpus() -> Option<Json> {
    let root = std::env::var_os("DAVY_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = root.join("lineprotocol/corpus_part.json.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!(
            "skipped: {} is absent; set DAVY_DATA to the recorded data",
            path.display()
        );
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("the corpus is gzip");
    Some(serde_json::from_str(&text).expect("the corpus is JSON"))
}

#[test]
fn the_conformance_vectors_of_the_protocol_agree() {
    let Some(corpus) = corpus() else { return };
    let cases = corpus["decode"].as_object().expect("decode cases");
    let mut wrong = Vec::new();
    for (key, case) in cases {
        let input = &case["input"];
        let body = match &input["text"] {
            Json::String(s) => s.clone().into_bytes(),
            binary => base64(binary["binary"].as_str().expect("binary text")),
        };
        let precision = match input["precision"].as_str() {
            Some("1s") => Precision::S,
            Some("1ms") => Precision::Ms,
            Some("1µs") => Precision::Us,
            _ => Precision::Ns,
        };
        let got = parse(&body, precision);
        let ok = match (&got, case["output"].get("result")) {
            (Ok(lines), Some(expected)) => same(lines, expected, input["precision"].as_str()),
            (Err(_), None) => true,
            _ => false,
        };
        if !ok {
            wrong.push(format!(
                "{key} {:?}\n  got {got:?}\n  expected {}",
                String::from_utf8_lossy(&body),
                case["output"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
}

/// The vectors fill a missing time from their default, truncated to the precision; we leave it out.
fn same(lines: &[Json], expected: &Json, _precision: Option<&str>) -> bool {
    let expected = expected.as_array().expect("result list");
    lines.len() == expected.len()
        && lines.iter().zip(expected).all(|(got, want)| {
            got["name"] == want["name"]
                && got["tags"] == want["tags"]
                && (got["time"].is_null() || got["time"] == want["time"])
                && got["fields"].as_array().map(Vec::len) == want["fields"].as_array().map(Vec::len)
                && got["fields"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .zip(want["fields"].as_array().into_iter().flatten())
                    .all(|(g, w)| {
                        g["key"] == w["key"]
                            && match (g["value"].get("float"), w["value"].get("float")) {
                                // The vectors write 1 for 1.0.
                                (Some(a), Some(b)) => a.as_f64() == b.as_f64(),
                                _ => g["value"] == w["value"] || binary_text(g, w),
                            }
                    })
        })
}

fn binary_text(got: &Json, want: &Json) -> bool {
    let Some(binary) = want["value"]["string"]["binary"].as_str() else {
        return false;
    };
    got["value"]["string"].as_str().map(str::as_bytes) == Some(&base64(binary)[..])
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut out) = (0u32, 0u32, Vec::new());
    for b in text.bytes().filter(|&b| b != b'=') {
        let v = ALPHABET.iter().position(|&a| a == b).expect("base64") as u32;
        bits = bits << 6 | v;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that look like the protocol more often than chance would have it.
    fn almost_lines() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[a-z]{1,3}".prop_map(String::into_bytes),
            prop::sample::select(vec![
                ",", "=", " ", "\n", "\\", "\"", "#", "1", "-", "i", "u", ".", "e", "t", "\r",
                "\t", "\0", "罐",
            ])
            .prop_map(|s| s.as_bytes().to_vec()),
            any::<u8>().prop_map(|b| vec![b]),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    fn escaped(text: &str, special: &str) -> String {
        text.chars()
            .flat_map(|c| special.contains(c).then_some('\\').into_iter().chain([c]))
            .collect()
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_a_fault_lies_within_the_body(body in almost_lines()) {
            if let Err(e) = parse(&body, Precision::Ns) {
                let lines = 1 + body.iter().filter(|&&b| b == b'\n').count();
                prop_assert!(e.line >= 1 && e.line <= lines, "{e} of {lines}");
            }
        }

        #[test]
        fn what_is_escaped_comes_back(
            // A backslash of its own before what must be escaped cannot be said in names.
            name in "[a-z罐][a-z罐 ,=]{0,8}",
            tag in "[a-z罐 ,=]{1,8}",
            text in "[a-z罐\"\\\\ ,=\n]{0,12}",
            number in any::<f64>().prop_filter("finite", |v| v.is_finite()),
            time in any::<i64>(),
        ) {
            let body = format!(
                "{},tag={} value={number:?},text=\"{}\" {time}\n",
                escaped(&name, ", "),
                escaped(&tag, ",= "),
                escaped(&text, "\"\\"),
            );
            let mut lines = Lines::new(body.as_bytes(), Precision::Ns).expect("UTF-8");
            let mut line = Line::default();
            prop_assert!(lines.next_into(&mut line).expect("a line"));
            prop_assert_eq!(&*line.measurement, name.as_str());
            prop_assert_eq!(line.tag("tag"), Some(tag.as_str()));
            let Some(Field::F64(got)) = line.field("value") else {
                panic!("no number in {body:?}");
            };
            prop_assert_eq!(got.to_bits(), number.to_bits());
            let Some(Field::Text(got)) = line.field("text") else {
                panic!("no text in {body:?}");
            };
            prop_assert_eq!(&**got, text.as_str());
            prop_assert_eq!(line.time, Some(time));
            prop_assert!(!lines.next_into(&mut line).expect("the end"));
        }
    }
}
