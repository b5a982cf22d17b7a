//! When a class of points is polled, and the nominal time of each scan.
//!
//! The grid lies on wall time, so that the store's keys are exact: whole periods since the epoch
//! plus a phase that keeps the sources of a site apart. Waiting runs on monotonic time. May not
//! live here: sleeping. Read first: [`Grid::start`].

use std::time::Duration;

use davy_points::{Mono, Timestamp};

use super::Moment;

/// One class's timetable.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    period: i64,
    phase: i64,
    next: i64,
    due: Mono,
}

/// A scan begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// Its nominal time.
    pub(crate) grid: Timestamp,
    /// How long after it was due.
    pub(crate) late: Duration,
    /// Ticks before it that nobody had time for.
    pub(crate) missed: u64,
}

impl Grid {
    /// The first scan is due at once, with the time at which it is: nobody waits a period to
    /// see again what stands. From the second on they lie on the grid.
    pub(crate) fn new(period: Duration, nth_source: usize, now: Moment) -> Grid {
        let period = i64::try_from(period.as_nanos()).unwrap_or(i64::MAX);
        Grid {
            period,
            phase: phase(period, nth_source),
            next: whole_ms(now.wall.ns()),
            due: now.mono,
        }
    }

    pub(crate) fn due(&self) -> Mono {
        self.due
    }

    pub(crate) fn period(&self) -> Duration {
        Duration::from_nanos(self.period.unsigned_abs())
    }

    /// The next scan has to be done before this.
    pub(crate) fn deadline(&self) -> Mono {
        self.due + self.period()
    }

    /// Not before `then`: for polls as fast as possible of a device that is away.
    pub(crate) fn postpone(&mut self, then: Mono) {
        self.due = self.due.max(then);
    }

    /// A scan begins now: what is its time, and when is the next due? Ticks that are over are
    /// skipped and counted; the newest one is always done.
    pub(crate) fn start(&mut self, now: Moment) -> Start {
        let late = now.mono.since(self.due);
        if self.period <= 0 {
            let grid = now.wall.ns().max(self.next);
            self.next = grid + 1; // strictly rising, whatever the wall clock does
            if grid - now.wall.ns() > 1_000_000_000 {
                self.next = now.wall.ns(); // unless it was set back
            }
            self.due = now.mono;
            return Start {
                grid: Timestamp(grid),
                late,
                missed: 0,
            };
        }
        let late_ns = i64::try_from(late.as_nanos()).unwrap_or(i64::MAX);
        let stepped = now.wall.ns() - self.next.saturating_add(late_ns);
        let mut missed = 0;
        let mut grid = self.next;
        if stepped.abs() > self.period / 2 {
            grid = self.at_or_before(now.wall.ns());
        } else {
            missed = late_ns / self.period;
            grid += missed * self.period;
        }
        // The first alone lies beside the grid; the next keeps half a period from it, so that it
        // has time to end.
        self.next = self.at_or_before(grid + self.period / 2) + self.period;
        self.due = now.mono + until(self.next, now.wall);
        Start {
            grid: Timestamp(grid),
            late,
            missed: missed.unsigned_abs(),
        }
    }

    fn at_or_before(&self, wall: i64) -> i64 {
        (wall - self.phase).div_euclid(self.period) * self.period + self.phase
    }
}

/// Some stores keep no more.
fn whole_ms(ns: i64) -> i64 {
    ns.div_euclid(1_000_000) * 1_000_000
}

fn until(grid: i64, wall: Timestamp) -> Duration {
    Duration::from_nanos(u64::try_from(grid - wall.ns()).unwrap_or(0))
}

/// Golden-ratio steps spread any number of sources evenly, and a new one moves no other. Whole
/// milliseconds where the period has room for them.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // a share of a period
fn phase(period: i64, nth: usize) -> i64 {
    let share = (nth as f64 * 0.618_033_988_749_895).fract();
    let phase = (share * period as f64) as i64;
    if period >= 20_000_000 {
        phase / 1_000_000 * 1_000_000
    } else {
        phase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn at(mono_ms: u64, wall_ms: i64) -> Moment {
        Moment {
            mono: Mono(mono_ms * 1_000_000),
            wall: Timestamp(wall_ms * MS),
        }
    }

    fn check(grid: &mut Grid, now: Moment, time_ms: i64, late_ms: u64, missed: u64, due_ms: u64) {
        let start = grid.start(now);
        assert_eq!(
            (start.grid.ns() / MS, start.late.as_millis(), start.missed),
            (time_ms, u128::from(late_ms), missed)
        );
        assert_eq!(grid.due(), Mono(due_ms * 1_000_000));
    }

    #[test]
    fn scans_lie_on_whole_periods_however_late_they_start() {
        let mut grid = Grid::new(Duration::from_secs(1), 0, at(0, 10_250));
        check(&mut grid, at(0, 10_250), 10_250, 0, 0, 750);
        check(&mut grid, at(750, 11_000), 11_000, 0, 0, 1_750);
        check(&mut grid, at(1_753, 12_003), 12_000, 3, 0, 2_750);
        // a stall: the ticks at 13 and 14 are over, the one at 15 is done now
        check(&mut grid, at(5_000, 15_250), 15_000, 2_250, 2, 5_750);
        check(&mut grid, at(5_750, 16_000), 16_000, 0, 0, 6_750);
    }

    #[test]
    fn the_first_scan_does_not_wait_for_the_grid() {
        let mut grid = Grid::new(Duration::from_secs(1), 0, at(0, 10_250));
        assert_eq!(grid.due(), Mono(0));
        // the dial took its time: still at once, and counted
        check(&mut grid, at(2_100, 12_350), 12_250, 2_100, 2, 2_750);
        check(&mut grid, at(2_750, 13_000), 13_000, 0, 0, 3_750);
        let mut grid = Grid::new(Duration::from_secs(1), 0, at(0, 10_900));
        check(&mut grid, at(0, 10_900), 10_900, 0, 0, 1_100);
    }

    #[test]
    fn the_grid_follows_a_slewed_clock_and_takes_a_step() {
        let mut grid = Grid::new(Duration::from_secs(1), 0, at(0, 10_000));
        check(&mut grid, at(0, 10_000), 10_000, 0, 0, 1_000);
        check(&mut grid, at(1_000, 11_010), 11_000, 0, 0, 1_990);
        // an hour back, then forth
        check(
            &mut grid,
            at(1_990, 12_000 - 3_600_000),
            12_000 - 3_600_000,
            0,
            0,
            2_990,
        );
        check(&mut grid, at(2_990, 13_000), 13_000, 0, 0, 3_990);
    }

    #[test]
    fn sources_are_spread_over_the_period_and_keep_their_place() {
        let period = 1_000 * MS;
        let mut phases: Vec<i64> = (0..1000).map(|n| phase(period, n)).collect();
        phases.sort_unstable();
        assert!(phases.windows(2).all(|w| w[1] - w[0] <= 2 * MS));
        assert!(phases[0] >= 0 && phases[999] < period);
    }

    #[test]
    fn a_period_of_zero_is_due_at_once_with_rising_times() {
        let mut grid = Grid::new(Duration::ZERO, 3, at(5, 100));
        let a = grid.start(at(5, 100)).grid;
        let b = grid.start(at(5, 100)).grid;
        assert!(b > a);
        assert_eq!(grid.due(), Mono(5_000_000));
    }
}
