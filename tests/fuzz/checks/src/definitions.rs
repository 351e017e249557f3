//! Definitions as RabbitMQ exports them, imported into a node.

use std::sync::Arc;

use leveret_broker::{Broker, BrokerOptions, DefinitionsFile};
use leveret_store::MemoryStore;

use crate::allocation::bounded;

/// Octets that one of the file's may come to when it is read: a value of two octets in an array.
const READ: u64 = 192;

/// Octets that one of the file's may come to when it is imported: a vhost has seven exchanges from the start.
const IMPORTED: u64 = 4096;

/// The input: a file.
pub fn check(json: &[u8]) {
    let Ok(file) = bounded(json.len(), READ, || DefinitionsFile::parse(json)) else {
        return;
    };
    let again = DefinitionsFile::parse(file.to_json().as_bytes()).unwrap();
    assert_eq!(again, file);
    let checked = file.check();
    let node = node();
    let before = node.export_definitions();
    // What every import takes, whatever is in the file.
    let fixed = 16 << 10;
    let imported = bounded(json.len() + fixed, IMPORTED, || {
        node.import_definitions(&file, None)
    });
    let after = node.export_definitions();
    if imported.is_err() {
        assert_eq!(after, before, "refused, and yet something of it was done");
        return;
    }
    assert!(checked.is_ok(), "imported and refused by the check");
    assert!(after.check().is_ok());
    // What is exported is a file that gives the same node elsewhere, and changes nothing here.
    let text = after.to_json();
    let exported = DefinitionsFile::parse(text.as_bytes()).unwrap();
    assert_eq!(exported, after);
    let other = self::node();
    for node in [&other, &node] {
        let report = node.import_definitions(&exported, None).unwrap();
        assert_eq!(report.skipped, [] as [&str; 0]);
        assert_eq!(node.export_definitions().to_json(), text);
    }
    // A second time there is nothing new.
    let report = node.import_definitions(&file, None).unwrap();
    assert_eq!(
        (
            report.vhosts,
            report.queues,
            report.exchanges,
            report.bindings
        ),
        (0, 0, 0, 0)
    );
}

fn node() -> Broker {
    Broker::open(BrokerOptions::default(), Arc::new(MemoryStore::new())).unwrap()
}
