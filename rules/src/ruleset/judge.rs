//! What a rule that derives something is to the engine: readings in, findings out.
//!
//! Lives here: the form ([`Judge`], [`Settings`]). May not live here: what any one kind makes of its
//! inputs, which stands in `kinds`.

use std::fmt::Debug;

use davy_points::QualityClass;

/// One reading of an input, admitted to live evaluation; or the loss of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Source time, UTC ns: for windows and slopes. Never older than the one before of its input.
    pub(crate) time: i64,
    /// The same on the monotonic clock, ns: for delays and timers.
    pub(crate) at: i64,
    /// Finite; none where nothing can be judged: Bad, stale, source down.
    pub(crate) value: Option<f64>,
    /// Bad where there is no value; with one only under `use_value`, as good as Uncertain (8.5).
    pub(crate) class: QualityClass,
}

impl Reading {
    /// The value, where it is Good.
    pub(crate) fn good(&self) -> Option<f64> {
        self.value.filter(|_| self.class == QualityClass::Good)
    }
}

/// The instant of a question: the newest time that any input had, or a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Now {
    /// Source time, UTC ns.
    pub(crate) time: i64,
    /// Monotonic clock, ns.
    pub(crate) at: i64,
}

/// What a judge says. Where an input is Uncertain `good` is false: it may raise, never return (3.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Finding {
    /// A number that the rule's limits are held against.
    Number {
        /// Finite.
        value: f64,
        /// All of it rests on Good input.
        good: bool,
    },
    /// A number that the judge holds against the limit of its one alarm itself: it has entered,
    /// it has left, or it lies between.
    Band {
        /// Finite.
        value: f64,
        /// The alarm may be raised.
        enters: bool,
        /// The alarm may return, where it is good.
        leaves: bool,
        /// All of it rests on Good input.
        good: bool,
    },
    /// The condition itself.
    Truth {
        /// It holds.
        holds: bool,
        /// All of it rests on Good input.
        good: bool,
    },
    /// Too little is known (3.12).
    Unknown,
}

impl Finding {
    /// Known, and all of it rests on Good input.
    pub(crate) fn is_good(&self) -> bool {
        match self {
            Finding::Number { good, .. }
            | Finding::Band { good, .. }
            | Finding::Truth { good, .. } => *good,
            Finding::Unknown => false,
        }
    }
}

/// What a rule makes of its inputs, for one subject. Pure; its memory is bounded whatever comes.
pub(crate) trait Judge: Debug + Send {
    /// A reading of input `slot`, in the order of the instance's inputs.
    fn take(&mut self, slot: usize, r: &Reading);

    /// What it says now. Asked after every reading and at [`Judge::wake`].
    fn say(&mut self, now: Now) -> Finding;

    /// The monotonic instant at which it may say something else though nothing comes in.
    fn wake(&self) -> Option<i64> {
        None
    }

    /// The wall clock was stepped: what it knows over source time begins anew (1).
    fn begin_again(&mut self) {}

    /// What the alarm's sentence says beside the finding, in the site's language.
    fn words(&self) -> Option<String> {
        None
    }

    /// A vote that misses a leg (8.27).
    fn degraded(&self) -> bool {
        false
    }

    /// What a restart may not lose; times as labels, for the monotonic clock ends with the process.
    fn save(&self, _label: &dyn Fn(i64) -> i64) -> Option<serde_json::Value> {
        None
    }

    /// The reverse of [`Judge::save`].
    fn restore(&mut self, _saved: &serde_json::Value, _instant: &dyn Fn(i64) -> i64) {}
}

/// A rule's settings on one subject, checked.
pub(crate) trait Settings: Debug + Send + Sync {
    /// A judge that knows nothing yet.
    fn judge(&self) -> Box<dyn Judge>;

    /// Everything that the judgement depends on, for the rule's revision.
    fn text(&self) -> String;

    /// The time that it looks back on before it can say anything, ns: part of an alarm's latency,
    /// and too short where it holds fewer than three readings (`davy lint`).
    fn window_ns(&self) -> Option<i64> {
        None
    }

    /// How many inputs under test can make its alarm by themselves, and so silence it.
    fn alone(&self) -> usize {
        1
    }
}
