//! Topics and filters (MQTT 3.1.1, 4.7).
//!
//! Our own: the codec crate's matcher takes the first byte of a topic for its first character and
//! panics on 储罐/1.

/// A topic that may be published to: not empty, no wildcard, no NUL.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// A filter that may be subscribed to: `#` alone at the end, `+` alone in its level.
pub(super) fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let wild = level.contains(['+', '#']);
        if wild && level.len() > 1 || level == "#" && levels.peek().is_some() {
            return false;
        }
    }
    true
}

/// Whether a filter takes a topic. A wildcard in the first level does not take a topic that begins
/// with `$` (4.7.2).
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut topics = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match topics.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    topics.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/ranking",
                true,
            ),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
                true,
            ),
            ("sport/#", "sport", true),
            ("#", "a/b/c", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/load", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/load", true),
            ("储罐/+", "储罐/1", true),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
        for (filter, expected) in [
            ("#", true),
            ("sport/tennis#", false),
            ("sport/tennis/#/ranking", false),
            ("sport+", false),
            ("+", true),
            ("+/tennis/#", true),
            ("", false),
            ("/", true),
        ] {
            assert_eq!(is_filter(filter), expected, "{filter}");
        }
        assert!(is_topic("a") && !is_topic("") && !is_topic("a/+") && !is_topic("a/#"));
    }
}
