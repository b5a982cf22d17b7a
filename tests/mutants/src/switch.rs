
/// The change that is switched on, by `DAVY_MUTANT`. With `DAVY_MUTANT_SEEN` every test writes there
/// which changes lie on its way.
#[doc(hidden)]
pub fn mutant(n: usize) -> bool {
    use std::collections::BTreeSet;
    use std::sync::OnceLock;
    static ACTIVE: OnceLock<(usize, Option<String>)> = OnceLock::new();
    struct Seen(BTreeSet<usize>);
    impl Drop for Seen {
        fn drop(&mut self) {
            if let Some((_, Some(folder))) = ACTIVE.get() {
                let test = std::thread::current().name().unwrap_or("none").to_owned();
                let list: Vec<String> = self.0.iter().map(ToString::to_string).collect();
                let _ = std::fs::write(format!("{folder}/{test}"), list.join(" "));
            }
        }
    }
    thread_local! {
        static SEEN: std::cell::RefCell<Seen> =
            const { std::cell::RefCell::new(Seen(BTreeSet::new())) };
    }
    let (active, folder) = ACTIVE.get_or_init(|| {
        let active = std::env::var("DAVY_MUTANT").ok().and_then(|n| n.parse().ok());
        (active.unwrap_or(0), std::env::var("DAVY_MUTANT_SEEN").ok())
    });
    if folder.is_some() {
        SEEN.with(|s| s.borrow_mut().0.insert(n));
    }
    *active == n
}
