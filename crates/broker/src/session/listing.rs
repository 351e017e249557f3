//! What the session tells of its channels when an operator asks.

use std::sync::Arc;

use leveret_wire::FieldTable;

use super::Session;
use super::channel::{Channel, Mode};
use crate::listing::{ChannelMode, ConnectionListing, Inquiry};

/// An open channel.
pub(crate) struct SessionChannel {
    pub(crate) number: u16,
    pub(crate) mode: ChannelMode,
    pub(crate) unacked: u64,
    pub(crate) prefetch: u32,
    pub(crate) global_prefetch: u32,
    /// In the order of their tags.
    pub(crate) consumers: Vec<SessionConsumer>,
}

/// A consumer of a channel.
pub(crate) struct SessionConsumer {
    pub(crate) queue: Arc<str>,
    pub(crate) tag: Arc<str>,
    pub(crate) no_ack: bool,
    pub(crate) prefetch: u32,
    pub(crate) arguments: FieldTable,
}

impl Session {
    /// Somebody asks what channels there are.
    pub(super) fn answer_inquiry(&self, inquiry: &Inquiry) {
        let connection = ConnectionListing {
            id: self.id(),
            name: self.peer.name.clone(),
            user: Arc::clone(self.user.name()),
            vhost: Arc::clone(self.vhost.name()),
            channels: self.channels.len() as u64,
            details: Arc::clone(&self.peer.details),
        };
        let open = self.channels.iter().filter(|(_, channel)| !channel.ending);
        let mut channels: Vec<_> = open
            .map(|(number, channel)| self.describe(*number, channel))
            .collect();
        channels.sort_unstable_by_key(|channel| channel.number);
        inquiry.answer(&connection, channels);
    }

    fn describe(&self, number: u16, channel: &Channel) -> SessionChannel {
        let keys = channel.consumers.values();
        let found = keys.filter_map(|key| {
            let consumer = self.consumers.find(*key)?;
            let queue = self.queues.queue(consumer.queue)?;
            Some(SessionConsumer {
                queue: Arc::clone(queue.name()),
                tag: Arc::clone(&consumer.tag),
                no_ack: consumer.no_ack,
                prefetch: consumer.prefetch,
                arguments: consumer.arguments.clone(),
            })
        });
        let mut consumers: Vec<_> = found.collect();
        consumers.sort_unstable_by(|a, b| a.tag.cmp(&b.tag));
        SessionChannel {
            number,
            mode: match channel.mode {
                Mode::Plain => ChannelMode::Plain,
                Mode::Confirm(_) => ChannelMode::Confirm,
                Mode::Transaction(_) => ChannelMode::Transaction,
            },
            unacked: channel.unacked().count() as u64,
            prefetch: channel.prefetch,
            global_prefetch: channel.credit.limit(),
            consumers,
        }
    }
}
