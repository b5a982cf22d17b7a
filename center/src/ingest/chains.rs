//! Under which name an owner's records are stored: another one each time its journal began anew,
//! so that neither life overwrites the other's evidence.

use std::collections::HashMap;

/// Name of each owner's chain in the store: `gw-01`, and `gw-01#2` once its journal began anew.
#[derive(Debug, Default)]
pub(crate) struct Chains(HashMap<String, u32>);

impl Chains {
    /// From the names that the store holds.
    pub(crate) fn of(names: impl IntoIterator<Item = String>) -> Chains {
        let mut chains = HashMap::new();
        for name in names {
            let (owner, generation) = split(&name);
            let newest = chains.entry(owner.to_owned()).or_insert(1);
            *newest = (*newest).max(generation);
        }
        Chains(chains)
    }

    pub(crate) fn generation(&self, owner: &str) -> u32 {
        self.0.get(owner).copied().unwrap_or(1)
    }

    pub(crate) fn name(&self, owner: &str) -> String {
        match self.generation(owner) {
            1 => owner.to_owned(),
            n => format!("{owner}#{n}"),
        }
    }

    pub(crate) fn begin_anew(&mut self, owner: &str) {
        let next = self.generation(owner) + 1;
        self.0.insert(owner.to_owned(), next);
    }
}

/// The owner and the generation of a chain's name.
pub(crate) fn split(name: &str) -> (&str, u32) {
    match name.rsplit_once('#') {
        Some((owner, n)) => (owner, n.parse().unwrap_or(1)),
        None => (name, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_begins_anew_gets_a_name_that_the_next_start_finds() {
        let mut chains = Chains::of(["gw-01".into(), "gw-02".into(), "gw-02#3".into()]);
        assert_eq!(chains.name("gw-01"), "gw-01");
        assert_eq!(chains.name("gw-02"), "gw-02#3");
        assert_eq!(chains.name("unheard"), "unheard");
        chains.begin_anew("gw-01");
        assert_eq!(chains.name("gw-01"), "gw-01#2");
        assert_eq!(split("gw-01#2"), ("gw-01", 2));
        assert_eq!(Chains::of([chains.name("gw-01")]).generation("gw-01"), 2);
    }
}
