use crate::conformance;

mod callbacks;
mod damage;
mod failures;
mod fixture;
mod folder;
mod ledger;
mod oracle;
mod power;
mod rot;
mod simulated;
mod sled_folder;
mod small_disk;
mod space;
mod tools;

use folder::Folder;

/// How much of a test is done: a little, or what an environment variable says (`docs/durability.md`).
fn full_form(variable: &str, little: u64) -> u64 {
    let asked = std::env::var(variable).ok();
    asked.map_or(little, |count| count.parse().unwrap())
}

/// The seeds of runs, one after the other; from `LEVERET_SEED` on, if that is set.
fn seeds() -> impl Iterator<Item = u64> {
    full_form("LEVERET_SEED", 1)..
}

#[test]
fn conforms() {
    let folders = std::cell::RefCell::new(Vec::new());
    conformance::run(|| {
        let folder = Folder::new();
        let store = folder.open();
        folders.borrow_mut().push(folder);
        store
    });
}

#[test]
fn conforms_across_crashes() {
    let folders = std::cell::RefCell::new(Vec::<Folder>::new());
    conformance::run_with_crashes(
        || {
            let folder = Folder::new();
            let store = folder.open();
            folders.borrow_mut().push(folder);
            store
        },
        |store| {
            store.abandon();
            drop(store);
            folders.borrow().last().unwrap().open()
        },
    );
}
