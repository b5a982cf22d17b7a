//! The lifecycle as a table: what an event makes of an alarm's regions (`alarm-engine.md`
//! section 2, all rows; masking of 3.8). Every pair of state and event has an answer: new regions,
//! or the reason why not.
//!
//! Lives here: what an event does to each region. May not live here: who may, for how long, when:
//! that is the engine's. Pending conditions are the engine's, too: they change no label and make
//! no record. Read first: [`Event`], then [`step`]; the tests hold it against a table.

use davy_points::Timestamp;

use super::{Cause, Condition, Eval, Label, OutOfService, Regions, Rejection, Shelve};

/// What can happen to an alarm. `sounds`: it may, for its point is in service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The entry condition was held for the on-delay, or a worse level made it active (8.9).
    Activated {
        /// A worse level stands for it.
        masked: bool,
        /// It may sound: false for a point in commissioning.
        sounds: bool,
    },
    /// Samples that came late show that it would have been active (8.26).
    Retrospective,
    /// The exit condition was held on Good data for the off-delay.
    Returned,
    /// The same, after an edit that made the condition false (8.24).
    ReturnedByEdit,
    /// The same, where another alarm stood for it all its life: nobody was asked to look at it.
    ReturnedUnseen,
    /// It returned, and its rule latches it (row 7).
    Latched,
    /// The same, after an edit that made the condition false.
    LatchedByEdit,
    /// A person has seen it.
    Acked,
    /// A person takes the acknowledgement back.
    UnAcked {
        /// It may sound.
        sounds: bool,
    },
    /// The re-alarm time is over.
    Realarmed {
        /// It may sound.
        sounds: bool,
    },
    /// It says more than what was acknowledged: to be seen again, whatever lies over it.
    Reannounced {
        /// It may sound.
        sounds: bool,
    },
    /// A person found it to be true or false.
    Confirmed {
        /// What the person found.
        verdict: bool,
        /// Nothing but the confirmation kept it.
        closes: bool,
    },
    /// A person ends the latch.
    Reset {
        /// Its rule wants it confirmed first.
        confirm: bool,
        /// The rule or level is gone: nothing can show that the condition is Normal (row 10).
        gone: bool,
    },
    /// This annunciation is silenced.
    Silenced,
    /// A worse level became active.
    Masked,
    /// No worse level is active any more.
    Unmasked {
        /// It may sound.
        sounds: bool,
    },
    /// The UNKNOWN overlay comes on.
    Blinded,
    /// The UNKNOWN overlay goes off.
    Seen,
    /// The process started again: every alarm starts UNKNOWN.
    Restarted,
    /// The rule or level is gone: never closed by the edit, a person closes it.
    Superseded,
    /// The same, of a rule that latches.
    SupersededLatched,
    /// A person puts it on a shelf.
    Shelved(Shelve),
    /// A person takes it off the shelf.
    Unshelved {
        /// The occurrence that stands is the one that stood when it was shelved.
        seen: bool,
        /// It may sound.
        sounds: bool,
    },
    /// The time of the shelf is over, or what a one-shot shelf was for has cleared.
    ShelfExpired {
        /// It may sound.
        sounds: bool,
    },
    /// The shelf may not be any longer: a raised priority forbids it, or its deadline cannot be
    /// determined.
    ShelfVoided {
        /// It may sound.
        sounds: bool,
    },
    /// A cause suppresses it.
    Suppressed {
        /// Which.
        cause: String,
        /// When the last of all causes ends.
        until: Timestamp,
    },
    /// A cause is no longer true, or is Unknown.
    Unsuppressed {
        /// Which.
        cause: String,
        /// When the last of the others ends.
        until: Option<Timestamp>,
        /// It may sound.
        sounds: bool,
    },
    /// The time of a cause is over.
    SuppressionExpired {
        /// Which.
        cause: String,
        /// When the last of the others ends.
        until: Option<Timestamp>,
        /// It may sound.
        sounds: bool,
    },
    /// Every cause is Unknown (8.21).
    SuppressionUnknown {
        /// It may sound.
        sounds: bool,
    },
    /// Out of service.
    TakenOut(OutOfService),
    /// A person puts it into service again, or its deadline cannot be determined.
    BackInService {
        /// It may sound.
        sounds: bool,
    },
    /// The time of its permit is over.
    OutOfServiceExpired {
        /// It may sound.
        sounds: bool,
    },
}

impl Event {
    /// The cause that the record gives.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Event::Activated { .. } | Event::Retrospective => Cause::Condition,
            Event::Returned | Event::ReturnedUnseen | Event::Latched => Cause::Returned,
            Event::ReturnedByEdit | Event::LatchedByEdit => Cause::RuleChanged,
            Event::Acked => Cause::Ack,
            Event::UnAcked { .. } => Cause::UnAck,
            Event::Realarmed { .. } | Event::Reannounced { .. } => Cause::Realarm,
            Event::Confirmed { .. } => Cause::Confirm,
            Event::Reset { .. } => Cause::Reset,
            Event::Silenced => Cause::Silence,
            Event::Masked => Cause::Masked,
            Event::Unmasked { .. } => Cause::Unmasked,
            Event::Blinded | Event::Seen => Cause::Quality,
            Event::Restarted => Cause::Restart,
            Event::Superseded | Event::SupersededLatched => Cause::Superseded,
            Event::Shelved(_) => Cause::Shelve,
            Event::Unshelved { .. } | Event::ShelfVoided { .. } => Cause::Unshelve,
            // 8.22: all deadline ends, and any end of a one-shot.
            Event::ShelfExpired { .. }
            | Event::SuppressionExpired { .. }
            | Event::OutOfServiceExpired { .. } => Cause::Expired,
            Event::Suppressed { .. } => Cause::Suppress,
            Event::Unsuppressed { .. } | Event::SuppressionUnknown { .. } => Cause::Unsuppress,
            Event::TakenOut(_) => Cause::OutOfService,
            Event::BackInService { .. } => Cause::InService,
        }
    }
}

/// What an event makes of the regions.
///
/// # Errors
/// The event does not apply in this state; the reason is the one that a command's result gives.
#[allow(clippy::too_many_lines)] // one table
pub fn step(before: &Regions, event: Event) -> Result<Regions, Rejection> {
    use Label::{Acked, LatchAck, LatchUnack, Normal, RtnUnack, Unack};
    let label = before.underlying_label();
    let mut r = before.clone();
    match (label, event) {
        // Rows 1, 5, 9: a new occurrence; it sounds again whatever was silenced before, and is
        // silent where something lies over it (8.11).
        (Normal | RtnUnack | LatchUnack | LatchAck, Event::Activated { masked, sounds }) => {
            r.condition = Condition::Active;
            r.open = true;
            r.latched = false;
            r.masked = masked;
            forget_seen(&mut r);
            sound(&mut r, sounds);
        }
        // 8.26: only where Good data show it normal. It joins an open episode and acknowledges
        // nothing; a latch does not apply; it starts no sound.
        (Normal | RtnUnack | LatchUnack, Event::Retrospective)
            if before.condition == Condition::Normal && before.eval == Eval::Known =>
        {
            r.open = true;
        }
        // Row 3: an unacknowledged one stays on the list, its sound with it (8.25).
        (Unack, Event::Returned | Event::ReturnedByEdit) => {
            r.condition = Condition::Normal;
            r.masked = false;
        }
        (Acked, Event::Returned | Event::ReturnedByEdit) => close(&mut r),
        // A child of a lost source: what stood for it is what a person acknowledges.
        (Unack, Event::ReturnedUnseen) if before.masked => close(&mut r),
        // Row 7.
        (Unack | Acked, Event::Latched | Event::LatchedByEdit) => {
            r.condition = Condition::Normal;
            r.masked = false;
            r.latched = true;
        }
        // Rows 2 and 8.
        (Unack | LatchUnack, Event::Acked) => {
            r.acked = true;
            r.audible = false;
        }
        // Row 4.
        (RtnUnack, Event::Acked) => close(&mut r),
        (Acked | LatchAck, Event::Acked) => return Err(Rejection::AlreadyAcked),
        (Normal, Event::Acked | Event::Confirmed { .. }) => {
            return Err(Rejection::StaleOccurrence);
        }
        // Row 6.
        (Acked, Event::UnAcked { sounds } | Event::Reannounced { sounds }) => {
            forget_seen(&mut r);
            sound(&mut r, sounds);
        }
        // Silenced or not: whoever has heard it has heard less.
        (Unack, Event::Reannounced { sounds }) if before.is_bare() && !before.masked => {
            sound(&mut r, sounds);
        }
        // 8.25: not while shelved, suppressed, out of service or masked.
        (Acked, Event::Realarmed { sounds }) if before.is_bare() && !before.masked => {
            forget_seen(&mut r);
            sound(&mut r, sounds);
        }
        // Row 17, 8.13.
        (Acked | LatchAck, Event::Confirmed { verdict, closes }) if !before.confirmed => {
            r.confirmed = true;
            r.verdict = Some(verdict);
            if closes && label == LatchAck {
                close(&mut r);
            }
        }
        (Acked | LatchAck, Event::Confirmed { .. }) => return Err(Rejection::AlreadyConfirmed),
        (Unack | RtnUnack | LatchUnack, Event::Confirmed { .. }) => {
            return Err(Rejection::NotAcked);
        }
        // Row 10.
        (LatchAck, Event::Reset { confirm, gone }) => {
            let normal = before.condition == Condition::Normal && before.eval == Eval::Known;
            if confirm && !before.confirmed {
                return Err(Rejection::NotConfirmed);
            }
            if !gone && !normal {
                return Err(Rejection::NotNormal);
            }
            close(&mut r);
        }
        (LatchUnack, Event::Reset { .. }) => return Err(Rejection::NotAcked),
        (Unack | Acked, Event::Reset { .. }) => return Err(Rejection::NotNormal),
        // Row 18.
        (_, Event::Silenced) if before.audible => r.audible = false,
        // 3.8, 8.23.
        (Unack | Acked, Event::Masked) if !before.masked => {
            r.masked = true;
            r.audible = false;
        }
        (Unack | Acked, Event::Unmasked { sounds }) if before.masked => {
            r.masked = false;
            sound(&mut r, sounds);
        }
        // Row 16: an overlay, never a return.
        (_, Event::Blinded) if before.eval == Eval::Known => r.eval = Eval::Unknown,
        (_, Event::Seen) if before.eval == Eval::Unknown => r.eval = Eval::Known,
        // Restart: UNKNOWN, and an off-delay begins again from zero (8.15).
        (_, Event::Restarted) if before.eval == Eval::Known => {
            r.eval = Eval::Unknown;
            if r.condition == Condition::PendingOff {
                r.condition = Condition::Active;
            }
        }
        // 8.24: an unlatched ACKED goes NORMAL, what nobody has seen stays for a person. What lay
        // over it lay over an alarm that is no more.
        (Unack, Event::Superseded) => supersede(&mut r),
        (Acked, Event::Superseded) => {
            supersede(&mut r);
            close(&mut r);
        }
        (Unack | Acked, Event::SupersededLatched) => {
            supersede(&mut r);
            r.latched = true;
        }
        (_, Event::Superseded | Event::SupersededLatched) if !before.is_bare() => supersede(&mut r),
        // Row 11.
        (_, Event::Shelved(_)) if before.shelved.is_some() => {
            return Err(Rejection::AlreadyShelved);
        }
        (_, Event::Shelved(shelf)) => {
            r.shelved = Some(shelf);
            r.audible = false;
        }
        // Row 12: a person who takes it down has seen what they put up; what is newer is as it
        // stands underneath (8.25).
        (_, Event::Unshelved { seen, sounds }) if before.shelved.is_some() => {
            r.shelved = None;
            r.acked |= seen && before.is_active();
            release(&mut r, sounds);
        }
        // Row 12: with the condition true it asks again for whoever is there.
        (_, Event::ShelfExpired { sounds } | Event::ShelfVoided { sounds })
            if before.shelved.is_some() =>
        {
            r.shelved = None;
            ask_again(&mut r);
            release(&mut r, sounds);
        }
        // Row 13, 8.14.
        (_, Event::Suppressed { cause, until }) if !before.suppressed.contains(&cause) => {
            r.suppressed.push(cause);
            r.suppressed_until = Some(until);
            r.audible = false;
        }
        // Row 15: what is underneath; unacked sounds, acked stays acked.
        (
            _,
            Event::Unsuppressed {
                cause,
                until,
                sounds,
            }
            | Event::SuppressionExpired {
                cause,
                until,
                sounds,
            },
        ) if before.suppressed.contains(&cause) => {
            r.suppressed.retain(|c| *c != cause);
            r.suppressed_until = until.filter(|_| !r.suppressed.is_empty());
            release(&mut r, sounds);
        }
        (_, Event::SuppressionUnknown { sounds }) if !before.suppressed.is_empty() => {
            r.suppressed.clear();
            r.suppressed_until = None;
            release(&mut r, sounds);
        }
        // Row 14.
        (_, Event::TakenOut(permit)) if before.out_of_service.is_none() => {
            r.out_of_service = Some(permit);
            r.audible = false;
        }
        // Row 15: with the condition true, UNACK.
        (_, Event::BackInService { sounds } | Event::OutOfServiceExpired { sounds })
            if before.out_of_service.is_some() =>
        {
            r.out_of_service = None;
            ask_again(&mut r);
            release(&mut r, sounds);
        }
        _ => return Err(Rejection::NotApplicable),
    }
    Ok(r)
}

/// Nobody has seen it so far, and nobody has confirmed it.
fn forget_seen(r: &mut Regions) {
    r.acked = false;
    r.confirmed = false;
    r.verdict = None;
}

/// An acknowledgement from before does not stand for what is seen again.
fn ask_again(r: &mut Regions) {
    if r.is_active() {
        forget_seen(r);
    }
}

/// Sounds where it is unacknowledged, may, and nothing lies over it or stands for it (section 1).
fn sound(r: &mut Regions, sounds: bool) {
    r.audible = sounds && !r.acked && !r.masked && r.is_bare();
}

/// Something that lay over it is gone; on release only UNACK sounds (8.25).
fn release(r: &mut Regions, sounds: bool) {
    sound(r, sounds && r.underlying_label() == Label::Unack);
}

/// NORMAL: nothing of the episode is left but the overlay, and what lies over it.
fn close(r: &mut Regions) {
    if r.is_active() {
        r.condition = Condition::Normal;
    }
    r.open = false;
    r.latched = false;
    r.masked = false;
    r.audible = false;
    forget_seen(r);
}

/// The condition of an alarm that is no more, and what lay over it.
fn supersede(r: &mut Regions) {
    r.condition = Condition::Normal;
    r.masked = false;
    r.shelved = None;
    r.suppressed.clear();
    r.suppressed_until = None;
    r.out_of_service = None;
}

#[cfg(test)]
mod tests;
