//! Random histories of a queue against what must be true of any of them: nothing is lost or
//! doubled, the oldest goes first, limits hold, turns are fair, counts are right, and no message
//! waits while somebody who has credit could have it.

mod oracle;
mod player;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use self::player::Player;

/// Connections in the model; each has two channels.
const CONNECTIONS: usize = 3;

/// One thing that happens to the queue.
#[derive(Clone, Debug)]
enum Step {
    /// A run of this many messages; a bit of the mask makes one persistent, in turn.
    Publish {
        count: u64,
        persistent: u8,
        large: bool,
    },
    Consume {
        channel: usize,
        no_ack: bool,
        prefetch: u32,
        priority: i32,
    },
    Cancel {
        consumer: Index,
    },
    /// Some of the messages that are out are settled together, as one command would do it.
    Settle {
        first: Index,
        count: usize,
        how: Settlement,
    },
    Get {
        no_ack: bool,
    },
    Purge,
    /// The socket of a connection has taken everything it was given.
    Drain {
        connection: usize,
    },
    /// basic.qos with global = true.
    Limit {
        channel: usize,
        limit: u32,
    },
    /// The store gives the answers that are due.
    Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settlement {
    /// Acknowledged or discarded: for the queue it is the same.
    Done,
    Requeue,
}

fn step() -> impl Strategy<Value = Step> {
    let channels = 0..2 * CONNECTIONS;
    let how = prop_oneof![2 => Just(Settlement::Done), 1 => Just(Settlement::Requeue)];
    prop_oneof![
        6 => (1..50_u64, any::<u8>(), prop::bool::weighted(0.05))
            .prop_map(|(count, persistent, large)| Step::Publish { count, persistent, large }),
        3 => (channels.clone(), prop::bool::weighted(0.2), 0..5_u32, -1..2_i32)
            .prop_map(|(channel, no_ack, prefetch, priority)| Step::Consume { channel, no_ack, prefetch, priority }),
        2 => any::<Index>().prop_map(|consumer| Step::Cancel { consumer }),
        6 => (any::<Index>(), 1..12_usize, how)
            .prop_map(|(first, count, how)| Step::Settle { first, count, how }),
        1 => any::<bool>().prop_map(|no_ack| Step::Get { no_ack }),
        1 => prop::bool::weighted(0.2).prop_map(|purge| if purge { Step::Purge } else { Step::Answer }),
        4 => (0..CONNECTIONS).prop_map(|connection| Step::Drain { connection }),
        2 => (channels, 0..4_u32).prop_map(|(channel, limit)| Step::Limit { channel, limit }),
        2 => Just(Step::Answer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_what_a_queue_promises(
        durable in prop::bool::weighted(0.7),
        memory_limit in prop_oneof![2 => Just(1_000_usize), 1 => Just(usize::MAX)],
        // Near the messages that are kept in memory in any case, so that paging begins and ends.
        waiting in prop_oneof![Just(0_u64), 480..700_u64],
        steps in vec(step(), 1..80),
    ) {
        let mut player = Player::new(durable, memory_limit);
        if waiting > 0 {
            player.play(&Step::Publish { count: 1, persistent: 0, large: false });
            player.play(&Step::Publish { count: waiting, persistent: 0b0101_0110, large: false });
        }
        for step in &steps {
            player.play(step);
        }
        player.finish();
    }
}
