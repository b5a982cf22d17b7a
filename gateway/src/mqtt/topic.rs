//! Topic filters (MQTT 3.1.1 section 4.7).

/// True where `filter` (with `+` and `#`) takes `topic`. A wildcard in the first place does
/// not take topics that begin with `$` (4.7.2).
#[must_use]
pub fn filter_covers(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && (filter.starts_with('+') || filter.starts_with('#')) {
        return false;
    }
    let mut levels = topic.split('/');
    let mut wanted = filter.split('/').peekable();
    while let Some(want) = wanted.next() {
        if want == "#" {
            // `a/#` takes `a` too (4.7.1.2); `#` must be the last level.
            return wanted.peek().is_none();
        }
        match levels.next() {
            Some(level) if want == "+" || want == level => {}
            Some(_) => return false,
            None => return false,
        }
        if levels.clone().next().is_none() && wanted.peek() == Some(&"#") {
            return true;
        }
    }
    levels.next().is_none()
}

/// True for a filter that a broker accepts: `+` and `#` fill whole levels, `#` is the last.
#[must_use]
pub fn valid_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.len() > 65_535 || filter.contains('\0') {
        return false;
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        if level.contains('#') && (level != "#" || !last) {
            return false;
        }
        if level.contains('+') && level != "+" {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_what_the_standard_says() {
        for (filter, topic, takes) in [
            ("plant/tf3/#", "plant/tf3/lt/101", true),
            ("plant/tf3/#", "plant/tf3", true),
            ("plant/tf3/#", "plant/tf30", false),
            ("plant/+/lt", "plant/tf3/lt", true),
            ("plant/+/lt", "plant/tf3/x/lt", false),
            ("plant/+", "plant/", true),
            ("plant/+", "plant", false),
            ("#", "anything/at/all", true),
            ("#", "$SYS/broker", false),
            ("+/broker", "$SYS/broker", false),
            ("$SYS/#", "$SYS/broker", true),
            ("a/#/b", "a/x/b", false),
            ("罐区/+", "罐区/液位", true),
            ("a", "a", true),
            ("a", "a/b", false),
            ("", "a", false),
        ] {
            assert_eq!(filter_covers(filter, topic), takes, "{filter} ~ {topic}");
        }
    }

    #[test]
    fn a_filter_that_a_broker_refuses_is_not_valid() {
        for (filter, valid) in [
            ("a/b/#", true),
            ("#", true),
            ("+/+/c", true),
            ("", false),
            ("a#", false),
            ("a/#/b", false),
            ("a+/b", false),
            ("a\0b", false),
        ] {
            assert_eq!(valid_filter(filter), valid, "{filter:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_answered(filter in ".*", topic in ".*") {
            let _ = filter_covers(&filter, &topic);
            let _ = valid_filter(&filter);
        }
    }
}
