//! A sliding window over time that knows its least-squares line at every step, in constant time and
//! without drift.
//!
//! Nothing is ever subtracted: what has gone out of the window is left out of a sum that is merged
//! anew, so a window that has run for a year says what one says that holds the same samples only.
//! Memory is bounded: samples closer together than a thousandth of the window share a block, and a
//! block goes out as a whole, as soon as its first sample does.

/// How many blocks a window is divided into at most. Samples that are further apart than that
/// are each a block of their own, and the window is exact.
const BLOCKS: i64 = 1024;

/// Count, means and centred second moments of a set of points (Chan, Golub, LeVeque 1979).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Moments {
    fn of(x: f64, y: f64) -> Moments {
        Moments {
            n: 1.0,
            x,
            y,
            ..Moments::default()
        }
    }

    /// Of both sets together.
    fn and(self, o: Moments) -> Moments {
        if self.n == 0.0 {
            return o;
        }
        if o.n == 0.0 {
            return self;
        }
        let n = self.n + o.n;
        let share = o.n / n;
        let (dx, dy) = (o.x - self.x, o.y - self.y);
        let w = self.n * share;
        Moments {
            n,
            x: self.x + dx * share,
            y: self.y + dy * share,
            xx: self.xx + o.xx + dx * dx * w,
            xy: self.xy + o.xy + dx * dy * w,
            yy: self.yy + o.yy + dy * dy * w,
        }
    }

    /// Slope of the least-squares line and its standard error, per second; none where it is not
    /// determined, or not a number that can be compared.
    pub(super) fn line(&self) -> Option<(f64, f64)> {
        let slope = self.xy / self.xx;
        let left = (self.yy - self.xy * slope).max(0.0);
        let error = (left / (self.n - 2.0) / self.xx).sqrt();
        (self.n >= 3.0 && slope.is_finite() && error.is_finite()).then_some((slope, error))
    }
}

#[derive(Debug, Clone, Copy)]
struct Block {
    first: i64,
    moments: Moments,
}

impl Moments {
    /// How much of what moves the line explains, 0 to 1 (r²); none where nothing moves.
    pub(super) fn fit(&self) -> Option<f64> {
        let r2 = self.xy / self.xx * (self.xy / self.yy);
        r2.is_finite().then_some(r2)
    }
}

/// The samples of the last so many nanoseconds. Two stacks: `back` takes what comes; what goes is
/// on `front`, where each block already holds the sum of all that are younger there.
#[derive(Debug)]
pub(super) struct SlidingLine {
    window_ns: i64,
    /// x is in seconds from here: near, so that nothing is lost in the difference.
    origin: i64,
    /// Oldest last.
    front: Vec<Block>,
    /// Oldest first.
    back: Vec<Block>,
    /// Sum of `back`.
    sum: Moments,
    newest: Option<i64>,
}

impl SlidingLine {
    pub(super) fn new(window_ns: i64) -> SlidingLine {
        SlidingLine {
            window_ns,
            origin: 0,
            front: Vec::new(),
            back: Vec::new(),
            sum: Moments::default(),
            newest: None,
        }
    }

    /// Knows nothing.
    pub(super) fn clear(&mut self) {
        self.front.clear();
        self.back.clear();
        self.sum = Moments::default();
        self.newest = None;
    }

    /// Takes a sample and lets go of what is older than the window. A time before the newest one
    /// begins anew: nothing that was known lies on the same clock.
    pub(super) fn push(&mut self, time: i64, y: f64) {
        if self.newest.is_some_and(|n| time < n) {
            self.clear();
        }
        if self.newest.is_none() {
            self.origin = time;
        }
        self.newest = Some(time);
        let m = Moments::of(self.seconds(time), y);
        let near = self.window_ns / BLOCKS;
        match self.back.last_mut() {
            Some(b) if time.saturating_sub(b.first) <= near => b.moments = b.moments.and(m),
            _ => self.back.push(Block {
                first: time,
                moments: m,
            }),
        }
        self.sum = self.sum.and(m);
        self.expire(time.saturating_sub(self.window_ns));
    }

    fn expire(&mut self, before: i64) {
        while self.oldest().is_some_and(|t| t < before) {
            if self.front.is_empty() {
                self.turn();
            }
            self.front.pop();
        }
    }

    /// `back` becomes `front`, each block with the sum of what is younger.
    fn turn(&mut self) {
        let by = match self.back.first() {
            Some(oldest) => self.seconds(oldest.first),
            None => return,
        };
        let mut sum = Moments::default();
        for mut b in self.back.drain(..).rev() {
            b.moments.x -= by;
            sum = b.moments.and(sum);
            self.front.push(Block {
                first: b.first,
                moments: sum,
            });
        }
        self.sum = Moments::default();
        self.origin = self.front.last().map_or(0, |b| b.first);
    }

    fn oldest(&self) -> Option<i64> {
        Some(self.front.last().or(self.back.first())?.first)
    }

    /// From the oldest sample to the newest, ns.
    pub(super) fn span_ns(&self) -> i64 {
        match (self.oldest(), self.newest) {
            (Some(a), Some(b)) => b.saturating_sub(a),
            _ => 0,
        }
    }

    /// All that is in the window.
    pub(super) fn moments(&self) -> Moments {
        let front = self.front.last().map_or(Moments::default(), |b| b.moments);
        front.and(self.sum)
    }

    #[allow(clippy::cast_precision_loss)] // within two windows: a nanosecond in a hundred days
    fn seconds(&self, time: i64) -> f64 {
        time.saturating_sub(self.origin) as f64 / 1e9
    }

    #[cfg(test)]
    pub(super) fn blocks(&self) -> usize {
        self.front.len() + self.back.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Least squares in two passes over what the window holds.
    fn naive(samples: &[(i64, f64)], window: i64) -> Vec<(f64, f64)> {
        let newest = samples.last().map_or(0, |s| s.0);
        let inside = samples.iter().filter(|s| s.0 >= newest - window);
        inside.map(|s| ((s.0 - newest) as f64 / 1e9, s.1)).collect()
    }

    fn line(points: &[(f64, f64)]) -> (f64, f64) {
        let n = points.len() as f64;
        let (x, y) = points
            .iter()
            .fold((0.0, 0.0), |a, p| (a.0 + p.0, a.1 + p.1));
        let (x, y) = (x / n, y / n);
        let xx: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
        let xy: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
        let slope = xy / xx;
        let left = points
            .iter()
            .map(|p| (p.1 - y - slope * (p.0 - x)).powi(2))
            .sum::<f64>();
        (slope, (left / (n - 2.0) / xx).sqrt())
    }

    proptest! {
        /// Exact against two passes, wherever the window has got to, on a large offset too.
        #[test]
        fn the_line_is_that_of_the_window(
            steps in prop::collection::vec((0_i64..4_000_000_000, -5.0..5.0_f64), 3..200),
            window in 4_096_000_000_i64..30_000_000_000,
            offset in prop::sample::select(vec![0.0, 101_325.0]),
        ) {
            let mut w = SlidingLine::new(window);
            let mut all = Vec::new();
            let mut t = 1_700_000_000_000_000_000;
            for (dt, y) in steps {
                // Either one instant, or farther apart than a block.
                t += if dt < 30_000_000 { 0 } else { dt };
                w.push(t, y + offset);
                all.push((t, y + offset));
                let points = naive(&all, window);
                prop_assert_eq!(w.moments().n, points.len() as f64);
                prop_assert_eq!(w.span_ns(), (-points[0].0 * 1e9).round() as i64);
                if points.len() > 3 && w.span_ns() > window / 10 {
                    let (slope, error) = line(&points);
                    let (s, e) = w.moments().line().expect("it is determined");
                    prop_assert!((s - slope).abs() < 1e-7, "{s} {slope}");
                    prop_assert!((e - error).abs() < 1e-6, "{e} {error}");
                }
            }
        }
    }

    /// A year at one a second says what a window says that began an hour ago: to the last digits.
    #[test]
    fn it_does_not_drift() {
        let (mut old, mut young) = (
            SlidingLine::new(60_000_000_000),
            SlidingLine::new(60_000_000_000),
        );
        let y = |i: i64| 1e5 + (i * 7_919 % 1_000) as f64 / 100.0;
        for i in 0..2_000_000_i64 {
            old.push(i * 1_000_000_000, y(i));
            if i > 1_996_400 {
                young.push(i * 1_000_000_000, y(i));
            }
        }
        let ((a, _), (b, _)) = (
            old.moments().line().expect("full"),
            young.moments().line().expect("full"),
        );
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }

    /// However many come, and however many at once, the memory is that of some thousand blocks;
    /// and the line is still that of the samples, but for a thousandth of the window.
    #[test]
    fn its_memory_is_bounded() {
        let mut w = SlidingLine::new(1_000_000_000);
        for i in 0..300_000_i64 {
            w.push(i / 3 * 20_000, (i / 3) as f64 * 2e-5);
            assert!(w.blocks() <= 1026, "{}", w.blocks());
        }
        let (slope, _) = w.moments().line().expect("full");
        assert!((slope - 1.0).abs() < 1e-9, "{slope}");
        assert!(w.moments().n > 149_000.0, "{}", w.moments().n);
        let mut tiny = SlidingLine::new(10);
        for _ in 0..10_000 {
            tiny.push(5, 1.0);
        }
        assert_eq!(tiny.blocks(), 1);
    }

    #[test]
    fn a_time_that_goes_back_begins_anew() {
        let mut w = SlidingLine::new(10);
        w.push(100, 1.0);
        w.push(90, 2.0);
        assert_eq!((w.moments().n, w.span_ns()), (1.0, 0));
    }
}
