//! A point table as a workbook: the same rows, places by the names that Excel shows.

#[path = "../../../tests/fuzz/src/book.rs"]
mod book;

use book::book_of;
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

#[test]
fn a_cell_reference_that_no_program_writes_is_a_fault_and_no_panic() {
    for reference in ["inlineStr", "ZZZZZZZZZZZZ1", "A99999999999", "1", ""] {
        let book = book_of(&format!(
            r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="{reference}" t="inlineStr"><is><t>tag</t></is></c></row></sheetData></worksheet>"#
        ));
        let loaded = site_with(&book);
        assert!(loaded.plan.is_none(), "{reference}");
        assert!(!loaded.faults.is_empty(), "{reference}");
    }
}
