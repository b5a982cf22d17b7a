//! What the parts of the process say of themselves; the engine looks at every tick and makes it
//! `system/<part>/on`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The newest word of each part. A part that never spoke is well.
#[derive(Debug, Default)]
pub(crate) struct Health {
    parts: Mutex<BTreeMap<&'static str, Word>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

impl Health {
    /// A part speaks.
    pub(crate) fn set(&self, part: &'static str, ok: bool, detail: &str) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let word = Word {
            ok,
            detail: detail.to_owned(),
        };
        if parts.get(part).map_or(!ok, |old| old.ok != ok) {
            if ok {
                tracing::info!(part, "works again");
            } else {
                tracing::error!(part, "does not work: {detail}");
            }
        }
        parts.insert(part, word);
    }

    /// Parts whose state differs from what was heard before, which is brought up to date.
    pub(crate) fn news(
        &self,
        heard: &mut BTreeMap<&'static str, bool>,
    ) -> Vec<(&'static str, Word)> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        for (part, word) in parts.iter() {
            let before = heard.insert(part, word.ok);
            if before.unwrap_or(true) != word.ok {
                news.push((*part, word.clone()));
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_news() {
        let health = Health::default();
        let mut heard = BTreeMap::new();
        health.set("journal", true, "");
        assert!(health.news(&mut heard).is_empty(), "well from the start");
        health.set("journal", false, "full");
        health.set("journal", false, "still full");
        let news = health.news(&mut heard);
        assert_eq!(news.len(), 1);
        assert_eq!((news[0].0, news[0].1.ok), ("journal", false));
        assert!(health.news(&mut heard).is_empty());
        health.set("journal", true, "");
        assert!(health.news(&mut heard)[0].1.ok);
    }
}
