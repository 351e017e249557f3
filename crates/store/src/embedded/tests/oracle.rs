//! Random operations with crashes, side by side with the memory store.

use proptest::prelude::*;

use super::folder::Folder;
use crate::conformance::{EVERYTHING, append, fetch, message, wait};
use crate::{Change, MemoryStore, Operation, QueueId, Seq, Store, Ticket};

#[derive(Clone, Debug)]
enum Step {
    Put {
        queue: usize,
        count: u64,
        size: usize,
        durable: bool,
        fan_out: bool,
    },
    Settle {
        queue: usize,
        first: u64,
        len: u64,
        known: bool,
    },
    Delivered {
        queue: usize,
        first: u64,
        len: u64,
    },
    Change {
        key: u8,
        delete: bool,
    },
    Drop {
        queue: usize,
    },
    Compare {
        queue: usize,
    },
    Crash {
        clean: bool,
        without_sled: bool,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let queue = 0..3_usize;
    prop_oneof![
        6 => (queue.clone(), 1..25_u64, 0..400_usize, prop::bool::weighted(0.8), prop::bool::weighted(0.3))
            .prop_map(|(queue, count, size, durable, fan_out)| Step::Put { queue, count, size, durable, fan_out }),
        5 => (queue.clone(), 0..120_u64, 0..40_u64, any::<bool>())
            .prop_map(|(queue, first, len, known)| Step::Settle { queue, first, len, known }),
        2 => (queue.clone(), 0..120_u64, 0..20_u64)
            .prop_map(|(queue, first, len)| Step::Delivered { queue, first, len }),
        1 => (0..4_u8, any::<bool>()).prop_map(|(key, delete)| Step::Change { key, delete }),
        1 => queue.clone().prop_map(|queue| Step::Drop { queue }),
        2 => queue.prop_map(|queue| Step::Compare { queue }),
        2 => (any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(clean, without_sled)| Step::Crash { clean, without_sled }),
    ]
}

/// Sequence, routing key, body, delivery count and persistence of everything in a queue.
fn shown(store: &impl Store, queue: QueueId) -> Vec<(Seq, Vec<u8>, u32, bool)> {
    let fetched = fetch(store, queue, 0, EVERYTHING).unwrap().into_iter();
    fetched
        .map(|one| {
            (
                one.seq,
                one.message.body().to_vec(),
                one.delivery_count,
                one.persistent,
            )
        })
        .collect()
}

/// Both stores, and what is needed to use them.
struct Pair {
    queues: Vec<QueueId>,
    /// The next sequence of each queue, and the ticket of each put that was not before a crash.
    next: Vec<Seq>,
    tickets: Vec<Vec<(Seq, Ticket)>>,
}

impl Pair {
    fn operations(&mut self, newest: Ticket, step: &Step) -> Vec<Operation> {
        match *step {
            Step::Put {
                queue,
                count,
                size,
                durable,
                fan_out,
            } => {
                let targets = if fan_out { 0..3 } else { queue..queue + 1 };
                let body = vec![b'x'; size];
                let messages: Vec<_> = (0..count).map(|_| message("k", &body)).collect();
                let mut operations = Vec::new();
                for target in targets {
                    for message in &messages {
                        let ticket = Ticket(newest.0 + 1 + operations.len() as u64);
                        self.tickets[target].push((self.next[target], ticket));
                        operations.push(Operation::Put {
                            queue: self.queues[target],
                            seq: self.next[target],
                            message: message.clone(),
                            durable: durable || target == 1,
                        });
                        self.next[target] += 1;
                    }
                }
                operations
            }
            Step::Settle {
                queue,
                first,
                len,
                known,
            } => {
                // Counted from the end, so that it is often something not written yet.
                let last = self.next[queue].saturating_sub(first);
                let first = last.saturating_sub(len);
                let tickets = self.tickets[queue].iter();
                let put = tickets
                    .clone()
                    .find(|(seq, _)| known && *seq == first)
                    .map(|(_, at)| *at);
                vec![Operation::Settle {
                    queue: self.queues[queue],
                    first,
                    last,
                    put,
                }]
            }
            Step::Delivered { queue, first, len } => {
                let last = self.next[queue].saturating_sub(first);
                let first = last.saturating_sub(len);
                vec![Operation::Delivered {
                    queue: self.queues[queue],
                    first,
                    last,
                }]
            }
            _ => Vec::new(),
        }
    }
}

fn compare(embedded: &impl Store, memory: &MemoryStore, queue: QueueId) {
    assert_eq!(shown(embedded, queue), shown(memory, queue));
}

fn run(steps: &[Step]) {
    let folder = Folder::with_segments(8 << 10);
    let mut embedded = folder.open();
    let mut memory = MemoryStore::new();
    embedded.recovered();
    let mut pair = Pair {
        queues: (0..3).map(|_| embedded.next_queue_id()).collect(),
        next: vec![0; 3],
        tickets: vec![Vec::new(); 3],
    };
    for step in steps {
        let newest = embedded.append(&mut Vec::new()).unwrap();
        let operations = pair.operations(newest, step);
        match step {
            Step::Change { key, delete } => {
                let change = if *delete {
                    Change::Delete { key: vec![*key] }
                } else {
                    Change::Put {
                        key: vec![*key],
                        value: newest.0.to_le_bytes().to_vec(),
                    }
                };
                embedded.change(vec![change.clone()]).unwrap();
                memory.change(vec![change]).unwrap();
                assert_eq!(embedded.definitions(), memory.definitions());
            }
            Step::Drop { queue } => {
                embedded.drop_queue(pair.queues[*queue]).unwrap();
                memory.drop_queue(pair.queues[*queue]).unwrap();
                let id = embedded.next_queue_id();
                pair.queues[*queue] = id;
                pair.next[*queue] = 0;
                pair.tickets[*queue].clear();
            }
            Step::Compare { queue } => compare(&embedded, &memory, pair.queues[*queue]),
            Step::Crash {
                clean,
                without_sled,
            } => {
                if *clean {
                    embedded.shutdown();
                } else {
                    let newest = embedded.append(&mut Vec::new()).unwrap();
                    wait(&embedded, newest).unwrap();
                    embedded.abandon();
                }
                drop(embedded);
                if *without_sled {
                    std::fs::remove_dir_all(folder.path().join("sled")).unwrap();
                }
                embedded = folder.open();
                memory = memory.reopen();
                for queue in 0..3 {
                    let claimed = embedded.claim(pair.queues[queue]).unwrap();
                    let expected = memory.claim(pair.queues[queue]).unwrap();
                    assert_eq!(
                        (claimed.messages, claimed.bytes),
                        (expected.messages, expected.bytes)
                    );
                    assert!(claimed.next_seq <= pair.next[queue]);
                    pair.tickets[queue].clear();
                }
                embedded.recovered();
                memory.recovered();
                assert_eq!(embedded.definitions(), memory.definitions());
                for queue in &pair.queues {
                    compare(&embedded, &memory, *queue);
                }
            }
            Step::Put { .. } | Step::Settle { .. } | Step::Delivered { .. } => {
                append(&memory, operations.clone());
                append(&embedded, operations);
            }
        }
    }
    for queue in &pair.queues {
        compare(&embedded, &memory, *queue);
    }
    assert_eq!(embedded.usage().damaged_records, 0);
    assert_eq!(embedded.usage().live_messages, memory.usage().live_messages);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn does_what_the_memory_store_does(steps in proptest::collection::vec(any_step(), 10..90)) {
        run(&steps);
    }
}

#[test]
fn a_settle_after_a_crash_knows_no_tickets_of_before() {
    run(&[
        Step::Put {
            queue: 0,
            count: 5,
            size: 10,
            durable: true,
            fan_out: true,
        },
        Step::Crash {
            clean: false,
            without_sled: false,
        },
        Step::Put {
            queue: 0,
            count: 5,
            size: 10,
            durable: true,
            fan_out: false,
        },
        Step::Settle {
            queue: 0,
            first: 3,
            len: 4,
            known: true,
        },
        Step::Crash {
            clean: true,
            without_sled: true,
        },
    ]);
}
