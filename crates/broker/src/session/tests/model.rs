//! Random histories of clients that hold up their channels, close them, vanish, do not read and
//! change their minds: whatever they do, every message stays in its place until it is settled.

mod player;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use self::player::Player;

const CLIENTS: usize = 2;
/// Queues whose messages must all be accounted for. The first one is durable.
const QUEUES: usize = 2;

/// A channel of a client. Each client has two; the second one of the first is transactional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    client: usize,
    channel: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settlement {
    Ack,
    Requeue,
    Discard,
}

#[derive(Clone, Debug)]
enum Step {
    Publish {
        at: Place,
        queue: usize,
        persistent: bool,
        count: usize,
    },
    Consume {
        at: Place,
        queue: usize,
    },
    Cancel {
        at: Place,
        consumer: Index,
    },
    Get {
        at: Place,
        queue: usize,
    },
    Settle {
        at: Place,
        which: Index,
        how: Settlement,
        multiple: bool,
    },
    Recover {
        at: Place,
    },
    Qos {
        at: Place,
        count: u16,
        global: bool,
    },
    /// Declare a durable queue, so that all answers of the channel wait for the store.
    Hold {
        at: Place,
    },
    /// tx.commit or tx.rollback.
    End {
        commit: bool,
    },
    CloseChannel {
        at: Place,
    },
    /// The protocol machine closes the channel.
    FailChannel {
        at: Place,
    },
    CloseConnection {
        client: usize,
    },
    /// The end of a socket read.
    Flush {
        client: usize,
    },
    /// The mailbox is worked off; the socket takes nothing.
    Poll {
        client: usize,
    },
    /// Mailbox and socket run until nothing moves.
    Run {
        client: usize,
    },
    /// Everything becomes durable.
    Sync,
    /// The store answers reads.
    Answer,
}

fn place() -> impl Strategy<Value = Place> {
    (0..CLIENTS, 1..3_u16).prop_map(|(client, channel)| Place { client, channel })
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![3 => Just(Settlement::Ack), 2 => Just(Settlement::Requeue), 1 => Just(Settlement::Discard)];
    let queue = 0..QUEUES;
    let client = 0..CLIENTS;
    prop_oneof![
        6 => (place(), queue.clone(), any::<bool>(), 1..6_usize)
            .prop_map(|(at, queue, persistent, count)| Step::Publish { at, queue, persistent, count }),
        4 => (place(), queue.clone()).prop_map(|(at, queue)| Step::Consume { at, queue }),
        2 => (place(), any::<Index>()).prop_map(|(at, consumer)| Step::Cancel { at, consumer }),
        2 => (place(), queue).prop_map(|(at, queue)| Step::Get { at, queue }),
        5 => (place(), any::<Index>(), how, any::<bool>())
            .prop_map(|(at, which, how, multiple)| Step::Settle { at, which, how, multiple }),
        1 => place().prop_map(|at| Step::Recover { at }),
        2 => (place(), 0..4_u16, any::<bool>()).prop_map(|(at, count, global)| Step::Qos { at, count, global }),
        3 => place().prop_map(|at| Step::Hold { at }),
        2 => any::<bool>().prop_map(|commit| Step::End { commit }),
        1 => place().prop_map(|at| Step::CloseChannel { at }),
        1 => place().prop_map(|at| Step::FailChannel { at }),
        1 => client.clone().prop_map(|client| Step::CloseConnection { client }),
        2 => client.clone().prop_map(|client| Step::Flush { client }),
        3 => client.clone().prop_map(|client| Step::Poll { client }),
        5 => client.prop_map(|client| Step::Run { client }),
        3 => Just(Step::Sync),
        1 => Just(Step::Answer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_clients_do_no_message_is_lost_or_doubled(
        outbox in prop_oneof![Just((1_usize << 20, 1_usize << 18)), Just((600, 200))],
        // Over the messages that a queue keeps in memory in any case, the rest is in the store.
        waiting in prop_oneof![3 => Just(0_usize), 1 => 505..520_usize],
        steps in vec(step(), 1..100),
    ) {
        let mut player = Player::new(outbox);
        player.fill(waiting);
        for step in &steps {
            player.play(step);
        }
        player.finish();
    }
}
