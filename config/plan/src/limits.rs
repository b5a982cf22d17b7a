//! The limits of a row: their order, and the range that they must lie in.

use davy_points::{Limits, ModbusType};

use crate::faults::Faults;
use crate::headers::Column as C;
use crate::row::RowReader;

/// LL, L, H and HH of a row.
pub(crate) fn limits(
    faults: &mut Faults,
    r: &RowReader<'_>,
    kind: Option<ModbusType>,
    (low, high): (Option<f64>, Option<f64>),
) -> Limits {
    let columns = [C::LL, C::L, C::H, C::HH];
    let values = columns.map(|c| r.number(faults, c));
    if matches!(kind, Some(ModbusType::Text(_))) {
        for c in columns.into_iter().filter(|c| r.has(*c)) {
            r.error(
                faults,
                "E215",
                c,
                "a text has no limits",
                "leave the cell empty, or correct the type",
            );
        }
        return Limits::default();
    }
    let given: Vec<(C, f64)> = columns
        .into_iter()
        .zip(values)
        .filter_map(|(c, v)| v.map(|v| (c, v)))
        .collect();
    for pair in given.windows(2) {
        let ((lesser, a), (greater, b)) = (pair[0], pair[1]);
        if a >= b {
            let other = r.cell_span(lesser);
            let d = r.error(
                faults,
                "E211",
                greater,
                &format!(
                    "{} = {b} is not above {} = {a}",
                    greater.name(),
                    lesser.name()
                ),
                "LL < L < H < HH",
            );
            if !other.is_empty() {
                d.related
                    .push((r.file.to_owned(), other, format!("{} = {a}", lesser.name())));
            }
        }
    }
    for (c, v) in given {
        if low.is_some_and(|low| v < low) || high.is_some_and(|high| v > high) {
            let end = |v: Option<f64>| v.map_or("…".to_owned(), |v| v.to_string());
            r.error(
                faults,
                "E212",
                c,
                &format!(
                    "{} = {v} lies outside the range {} to {}",
                    c.name(),
                    end(low),
                    end(high)
                ),
                "the instrument can never show it: correct the limit, the range or the unit (kPa or MPa, ppm or mg/m³?)",
            );
        }
    }
    Limits {
        ll: values[0],
        l: values[1],
        h: values[2],
        hh: values[3],
    }
}
