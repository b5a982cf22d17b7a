//! Tells a story: which acts are due, and which chapter comes next. Time comes in as a value.

use std::time::Duration;

use super::{Act, Chapter, Story};
use crate::random::Seeded;

/// An act that fell due.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// When it was due, from the beginning of the story.
    pub at: Duration,
    /// The chapter.
    pub chapter: String,
    /// What happened.
    pub act: Act,
}

/// Goes through the chapters of a story.
#[derive(Debug)]
pub struct Teller {
    story: Story,
    chance: Seeded,
    chapter: usize,
    /// When the chapter began.
    began: Duration,
    /// The next act of it.
    next: usize,
}

impl Teller {
    /// At the beginning of a story; the seed orders the chapters after the first.
    #[must_use]
    pub fn new(story: Story, seed: u64) -> Teller {
        Teller {
            story,
            chance: Seeded::for_name(seed, "story"),
            chapter: 0,
            began: Duration::ZERO,
            next: 0,
        }
    }

    /// The story.
    #[must_use]
    pub fn story(&self) -> &Story {
        &self.story
    }

    /// The chapter that is being told, and when it began.
    #[must_use]
    pub fn chapter(&self) -> Option<(&Chapter, Duration)> {
        Some((self.story.chapters.get(self.chapter)?, self.began))
    }

    /// The acts that are due at `now` (from the beginning of the story) and were not told yet.
    pub fn due(&mut self, now: Duration) -> Vec<Told> {
        let mut due = Vec::new();
        while let Some(chapter) = self.story.chapters.get(self.chapter) {
            let end = self.began + chapter.length;
            while let Some((at, act)) = chapter.acts.get(self.next) {
                if self.began + *at > now {
                    return due;
                }
                due.push(Told {
                    at: self.began + *at,
                    chapter: chapter.name.clone(),
                    act: act.clone(),
                });
                self.next += 1;
            }
            if end > now {
                return due;
            }
            due.push(Told {
                at: end,
                chapter: chapter.name.clone(),
                act: Act::Calm,
            });
            self.began = end;
            self.next = 0;
            self.chapter = self.another();
        }
        due
    }

    /// Any chapter but the one just told, if there is another.
    fn another(&mut self) -> usize {
        let others = self.story.chapters.len() - 1;
        if others == 0 {
            return 0;
        }
        (self.chapter + 1 + self.chance.below(others)) % self.story.chapters.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(seed: u64, until_s: u64) -> Vec<Told> {
        let mut teller = Teller::new(Story::named("demo").unwrap(), seed);
        let mut all = Vec::new();
        for tenth in 0..until_s * 10 {
            all.extend(teller.due(Duration::from_millis(tenth * 100)));
        }
        all
    }

    #[test]
    fn the_first_chapter_is_told_first_and_others_follow_by_seed() {
        let story = Story::named("demo").unwrap();
        let hour = told(1, 3600);
        assert_eq!(hour, told(1, 3600));
        assert!(hour.is_sorted_by_key(|t| t.at));
        let mut chapters: Vec<&str> = hour.iter().map(|t| &*t.chapter).collect();
        chapters.dedup();
        assert_eq!(chapters[0], story.chapters[0].name);
        for chapter in &story.chapters {
            assert!(chapters.contains(&&*chapter.name), "{}", chapter.name);
        }
        assert_ne!(hour, told(2, 3600));
    }

    #[test]
    fn one_late_look_tells_all_that_was_missed_in_order() {
        let mut teller = Teller::new(Story::named("demo").unwrap(), 1);
        assert_eq!(
            teller.due(Duration::from_secs(3599)),
            told(1, 3600)
                .into_iter()
                .filter(|t| t.at <= Duration::from_secs(3599))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn every_chapter_of_a_story_ends_in_calm() {
        let all = told(3, 1200);
        for pair in all.windows(2) {
            if pair[0].chapter != pair[1].chapter {
                assert_eq!(pair[0].act, Act::Calm);
            }
        }
    }

    #[test]
    fn a_quiet_story_tells_nothing_for_ever() {
        let mut teller = Teller::new(Story::named("quiet").unwrap(), 1);
        assert_eq!(teller.due(Duration::from_secs(1_000_000)), []);
        assert!(teller.chapter().is_none());
    }
}
