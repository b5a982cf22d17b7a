//! Who may do what to an alarm.
//!
//! Lives here: the roles and their verbs. May not live here: who a person is; that is the
//! centre's to say.

use super::Verb;

/// A role, as a command names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Runs the plant: acknowledges, silences, shelves, confirms, resets.
    Operator,
    /// Takes alarms out of service and suppresses them.
    Engineer,
    /// The same, for the shift.
    Supervisor,
    /// Keeps the system.
    Administrator,
}

impl Role {
    /// By its word; any other word is no role.
    #[must_use]
    pub fn named(word: &str) -> Option<Role> {
        Some(match word {
            "viewer" => Role::Viewer,
            "operator" => Role::Operator,
            "engineer" => Role::Engineer,
            "supervisor" => Role::Supervisor,
            "administrator" => Role::Administrator,
            _ => return None,
        })
    }

    /// Whether the role may give a command.
    #[must_use]
    pub const fn may(self, verb: Verb) -> bool {
        match verb {
            Verb::Ack
            | Verb::UnAck
            | Verb::Confirm
            | Verb::Reset
            | Verb::Silence
            | Verb::Shelve
            | Verb::Unshelve => !matches!(self, Role::Viewer),
            Verb::OutOfService
            | Verb::InService
            | Verb::Suppress
            | Verb::Unsuppress
            | Verb::Bypass
            | Verb::Restore => !matches!(self, Role::Viewer | Role::Operator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_only_looks_and_an_operator_takes_nothing_out_of_service() {
        let every_day = [
            Verb::Ack,
            Verb::UnAck,
            Verb::Confirm,
            Verb::Reset,
            Verb::Silence,
            Verb::Shelve,
            Verb::Unshelve,
        ];
        let rare = [
            Verb::OutOfService,
            Verb::InService,
            Verb::Suppress,
            Verb::Unsuppress,
            Verb::Bypass,
            Verb::Restore,
        ];
        for (word, daily, all) in [
            ("viewer", false, false),
            ("operator", true, false),
            ("engineer", true, true),
            ("supervisor", true, true),
            ("administrator", true, true),
        ] {
            let role = Role::named(word).unwrap();
            assert!(every_day.iter().all(|v| role.may(*v) == daily), "{word}");
            assert!(rare.iter().all(|v| role.may(*v) == all), "{word}");
        }
        assert_eq!(Role::named("Operator"), None);
        assert_eq!(Role::named(""), None);
    }
}
