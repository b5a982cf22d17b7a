//! A point table as a workbook: the same rows, places by the names that Excel shows.

use davy_plan::{Loaded, load};

/// A workbook with one sheet of texts and numbers, stored uncompressed.
fn workbook(rows: &[&[&str]]) -> Vec<u8> {
    let mut sheet = String::from(
        r#"<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>"#,
    );
    for (i, row) in rows.iter().enumerate() {
        sheet.push_str(&format!("<row r=\"{}\">", i + 1));
        for (j, cell) in row.iter().enumerate() {
            let name = format!(
                "{}{}",
                char::from(b'A' + u8::try_from(j).expect("few")),
                i + 1
            );
            match cell.parse::<f64>() {
                _ if cell.is_empty() => {}
                Ok(v) => sheet.push_str(&format!("<c r=\"{name}\"><v>{v}</v></c>")),
                Err(_) => sheet.push_str(&format!(
                    "<c r=\"{name}\" t=\"inlineStr\"><is><t>{cell}</t></is></c>"
                )),
            }
        }
        sheet.push_str("</row>");
    }
    sheet.push_str("</sheetData></worksheet>");
    book_of(&sheet)
}

fn book_of(sheet: &str) -> Vec<u8> {
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    zip(&[
        (
            "[Content_Types].xml",
            r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#,
        ),
        (
            "_rels/.rels",
            &format!(
                r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/workbook.xml",
            &format!(
                r#"<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{office}"><sheets><sheet name="点表" sheetId="1" r:id="rId1"/></sheets></workbook>"#
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            &format!(
                r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#
            ),
        ),
        ("xl/worksheets/sheet1.xml", sheet),
    ])
}

/// A zip of stored files (APPNOTE 4.3): local headers, central directory, end record.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, text) in files {
        let offset = u32::try_from(out.len()).expect("small");
        let size = u32::try_from(text.len()).expect("small");
        let mut common = Vec::new();
        for field in [20u16, 0, 0, 0, 0x21] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc32(text.as_bytes()), size, size] {
            common.extend(field.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
        common.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let at = u32::try_from(out.len()).expect("small");
    let n = u16::try_from(files.len()).expect("few");
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(n.to_le_bytes());
    out.extend(n.to_le_bytes());
    out.extend(u32::try_from(directory.len()).expect("small").to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0; 2]);
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut crc, b| {
        crc ^= u32::from(*b);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

fn site_with(book: &[u8]) -> Loaded {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).expect("a file");
    };
    write(
        "site.toml",
        b"schema = 1\n[site]\nid = \"p\"\nzone = \"UTC\"\n[[gateway]]\nid = \"gw\"\n",
    );
    write(
        "sources.toml",
        b"schema = 1\n[[modbus]]\nid = \"plc\"\ngateway = \"gw\"\naddress = \"tcp://127.0.0.1:502\"\n",
    );
    write("points.xlsx", book);
    load(dir.path(), jiff::civil::date(2026, 12, 1))
}

const HEADER: &[&str] = &[
    "位号",
    "仪表类型",
    "量程下限",
    "量程上限",
    "高报",
    "数据源",
    "站号",
    "功能码",
    "寄存器地址",
    "数据类型",
    "检定有效期",
];

#[test]
fn a_workbook_is_read_as_the_same_rows() {
    let book = workbook(&[
        HEADER,
        &[
            "LT-1",
            "level",
            "0",
            "14",
            "11.5",
            "plc",
            "1",
            "3",
            "100",
            "f32",
            "2027-03-01",
        ],
        &[],
        &[
            "LT-2", "level", "0", "14", "", "plc", "1", "3", "102", "f32",
        ],
    ]);
    let loaded = site_with(&book);
    assert_eq!(loaded.faults, []);
    let plan = loaded.plan.expect("a plan");
    assert_eq!(plan.points.len(), 2);
    let first = plan.points.point(plan.points.find("LT-1").expect("LT-1"));
    assert_eq!(first.limits.h, Some(11.5));
    assert_eq!(first.calibration_due.as_deref(), Some("2027-03-01"));
}

#[test]
fn a_fault_names_its_cell() {
    let book = workbook(&[
        HEADER,
        &[
            "LT-1", "level", "0", "14", "15", "plc", "1", "3", "100", "f32",
        ],
        &["LT-2", "level", "0", "x", "", "plc", "1", "3", "102", "f33"],
    ]);
    let messages: Vec<String> = site_with(&book)
        .faults
        .into_iter()
        .map(|d| d.message)
        .collect();
    assert_eq!(
        messages,
        [
            "cell E2, column `H`: H = 15 lies outside the range 0 to 14",
            "cell J3, column `type`: `f33` is not known here",
            "cell D3, column `high`: `x` is not a number",
        ]
    );
}

#[test]
fn a_mark_in_the_last_corner_does_not_take_the_memory() {
    let book = book_of(
        r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>tag</t></is></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>"#,
    );
    let loaded = site_with(&book);
    assert!(loaded.plan.is_none());
    assert!(
        loaded.faults[0].message.contains("XFD1048576"),
        "{:?}",
        loaded.faults
    );
}
