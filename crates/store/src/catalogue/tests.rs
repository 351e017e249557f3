use super::*;

fn snapshot(version: u64, entries: &[(&str, &str)]) -> Snapshot {
    let entries = entries.iter();
    Snapshot {
        epoch: 4,
        version,
        map: entries
            .map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into()))
            .collect(),
    }
}

#[test]
fn keeps_definitions_queues_and_segments() {
    let folder = tempfile::tempdir().unwrap();
    let (catalogue, broken) = Catalogue::open(folder.path());
    let catalogue = catalogue.unwrap();
    assert_eq!(broken, None);
    assert_eq!(catalogue.snapshot(), Ok(None));
    let first = snapshot(7, &[("a", "1"), ("b", "2")]);
    catalogue.store_definitions(&first).unwrap();
    let second = snapshot(8, &[("b", "3"), ("c", "4")]);
    catalogue.store_definitions(&second).unwrap();
    let mut checkpoint = Checkpoint {
        queues: vec![(QueueId(1), 10), (QueueId(2), 20)],
        dropped: vec![],
        segments: [(1, 100), (2, 200)].into(),
    };
    catalogue.checkpoint(&checkpoint).unwrap();
    checkpoint = Checkpoint {
        queues: vec![(QueueId(2), 21)],
        dropped: vec![QueueId(1)],
        segments: [(2, 200), (3, 300)].into(),
    };
    catalogue.checkpoint(&checkpoint).unwrap();
    catalogue.sync().unwrap();
    drop(catalogue);
    let (catalogue, broken) = Catalogue::open(folder.path());
    let catalogue = catalogue.unwrap();
    assert_eq!(broken, None);
    assert_eq!(catalogue.snapshot(), Ok(Some(second)));
    assert_eq!(catalogue.epoch(), Ok(4));
    assert_eq!(catalogue.queues(), Ok(vec![(QueueId(2), 21)]));
    assert_eq!(catalogue.segments(), Ok([(2, 200), (3, 300)].into()));
}

#[test]
fn a_large_definition_stands_in_the_snapshot_only() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open(folder.path()).0.unwrap();
    let large = "x".repeat(VALUE_MAX);
    catalogue
        .store_definitions(&snapshot(1, &[("a", &large)]))
        .unwrap();
    assert_eq!(catalogue.snapshot(), Ok(None), "it is not all of them");
    let small = snapshot(2, &[("a", "1")]);
    catalogue.store_definitions(&small).unwrap();
    assert_eq!(catalogue.snapshot(), Ok(Some(small)));
}

#[test]
fn one_that_does_not_open_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..3 {
        let path = folder.path().join(FOLDER);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir(&path).unwrap();
        fs::write(path.join("conf"), b"no configuration of sled").unwrap();
        fs::write(path.join("db"), vec![0xA5; 10_000]).unwrap();
        let (catalogue, broken) = Catalogue::open(folder.path());
        assert!(broken.is_some());
        assert_eq!(catalogue.unwrap().snapshot(), Ok(None));
        assert!(folder.path().join(format!("sled.broken-{round}")).exists());
    }
}

#[test]
fn a_panic_inside_is_an_error_outside() {
    let broken = guarded(|| -> Result<(), sled::Error> { panic!("torn page") });
    assert_eq!(broken, Err("torn page".to_owned()));
}
