//! MQTT topic names and filters (MQTT 3.1.1 section 4.7).

/// Longest topic that MQTT can carry.
const LONGEST_BYTES: usize = 65_535;

/// Why a text is no topic filter.
pub(crate) fn filter_fault(filter: &str) -> Option<&'static str> {
    if let Some(why) = text_fault(filter) {
        return Some(why);
    }
    let levels: Vec<&str> = filter.split('/').collect();
    for (i, level) in levels.iter().enumerate() {
        if level.contains('#') && (*level != "#" || i + 1 != levels.len()) {
            return Some("`#` must be a whole level, and the last one");
        }
        if level.contains('+') && *level != "+" {
            return Some("`+` must be a whole level");
        }
    }
    None
}

/// Why a text is no topic name.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    if name.contains(['+', '#']) {
        return Some("a point has one exact topic, without `+` or `#`");
    }
    text_fault(name)
}

fn text_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > LONGEST_BYTES {
        Some("it is longer than 65535 bytes")
    } else if text.chars().any(char::is_control) {
        Some("it holds a control character")
    } else {
        None
    }
}

/// Whether a filter of a plan (where `#` is the last level) lets a topic through.
#[must_use]
pub fn filter_covers(filter: &str, name: &str) -> bool {
    // [MQTT-4.7.2-1]: wildcards at the beginning do not match topics of the broker itself.
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut names = name.split('/');
    for level in filter.split('/') {
        match (level, names.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (f, Some(n)) if f == n => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, name, expected) in [
            ("plant/#", "plant/hall/AT-1", true),
            ("plant/#", "plant", true),
            ("plant/+/AT-1", "plant/hall/AT-1", true),
            ("plant/+", "plant/hall/AT-1", false),
            ("plant/hall", "plant/hall/AT-1", false),
            ("#", "$SYS/uptime", false),
            ("#", "a/b", true),
            ("+/b", "/b", true),
            ("plant/tf3/#", "plant/tf30", false),
            ("plant/+/lt", "plant/tf3/x/lt", false),
            ("plant/+", "plant/", true),
            ("plant/+", "plant", false),
            ("+/broker", "$SYS/broker", false),
            ("$SYS/#", "$SYS/broker", true),
            ("罐区/+", "罐区/液位", true),
            ("a", "a", true),
            ("a", "a/b", false),
            ("", "a", false),
        ] {
            assert_eq!(filter_covers(filter, name), expected, "{filter} {name}");
        }
    }

    #[test]
    fn wildcards_are_whole_levels() {
        for (filter, fine) in [
            ("a/#", true),
            ("a/#/b", false),
            ("a#", false),
            ("a/+/b", true),
            ("a/b+", false),
            ("", false),
            ("a\nb", false),
        ] {
            assert_eq!(filter_fault(filter).is_none(), fine, "{filter}");
        }
        assert!(name_fault("a/+").is_some());
        assert!(name_fault("a/b").is_none());
    }
}
