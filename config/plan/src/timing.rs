//! How often a point is read, and after how long a silence it is stale.

use std::time::Duration;

use davy_points::PollClass;

use crate::cell;
use crate::duration::{self, show};
use crate::faults::Faults;
use crate::headers::Column as C;
use crate::row::RowReader;
use crate::site::{PollPeriods, SiteSource};
use crate::sources::SourceEntry;

/// Poll class, expected interval and staleness.
pub(crate) fn timing(
    faults: &mut Faults,
    r: &RowReader<'_>,
    source: Option<&SourceEntry>,
) -> Option<(PollClass, Duration, Duration)> {
    let stale_after = r.duration(faults, C::StaleAfter);
    match source?.source.as_ref()? {
        SiteSource::Mqtt(m) => {
            let stale_after = stale_after.unwrap_or(m.stale_after);
            if stale_after.is_zero() {
                r.error(
                    faults,
                    "E219",
                    C::StaleAfter,
                    "a value cannot be stale at once",
                    "write how long the device may be silent, for example `30s`",
                );
            }
            Some((PollClass::Normal, stale_after / 3, stale_after))
        }
        SiteSource::Modbus(m) => {
            let poll = match r.plain(C::Poll) {
                None => PollClass::Normal,
                Some(text) => poll_class(faults, r, &text, m.poll)?,
            };
            let period = m.poll.of(poll);
            let stale_after = match stale_after {
                Some(stale_after) if stale_after.is_zero() || stale_after < period => {
                    r.error(
                        faults,
                        "E219",
                        C::StaleAfter,
                        &format!(
                            "stale after {}, but read every {} only",
                            show(stale_after),
                            show(period)
                        ),
                        format!("write at least {}, or read it more often", show(period * 2)),
                    );
                    stale_after
                }
                Some(stale_after) => stale_after,
                None if period.is_zero() => {
                    r.error(
                        faults,
                        "E219",
                        C::StaleAfter,
                        "a point that is polled as fast as the device answers needs its own `stale_after`",
                        "write at least three intervals of the recording, for example `3s`",
                    );
                    return None;
                }
                None => period * 3,
            };
            let expected = if period.is_zero() {
                stale_after / 3
            } else {
                period
            };
            Some((poll, expected, stale_after))
        }
    }
}

/// A class, or the class whose period is written (`采集周期(ms)`).
fn poll_class(
    faults: &mut Faults,
    r: &RowReader<'_>,
    text: &str,
    periods: PollPeriods,
) -> Option<PollClass> {
    if let Some(class) = cell::poll(text) {
        return Some(class);
    }
    if let Ok(period) = duration::parse(text, r.header.unit(C::Poll)) {
        for class in [PollClass::Fast, PollClass::Normal, PollClass::Slow] {
            if periods.of(class) == period {
                return Some(class);
            }
        }
    }
    r.error(
        faults,
        "E207",
        C::Poll,
        &format!("`{text}` is not a poll class of this source"),
        format!(
            "write `fast` ({}), `normal` ({}) or `slow` ({}), or change the periods at the source",
            show(periods.fast),
            show(periods.normal),
            show(periods.slow)
        ),
    );
    None
}
