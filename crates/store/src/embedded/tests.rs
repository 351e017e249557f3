use crate::conformance;

mod callbacks;
mod damage;
mod failures;
mod folder;
mod oracle;
mod simulated;
mod space;

use folder::Folder;

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
