//! Connections, channels and consumers.
//!
//! What a channel has is its session's alone: each session is asked through its mailbox and
//! answers when its task next looks there.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use serde_json::{Map, Value};

use crate::broker::Broker;
use crate::connections::{ConnectionDetails, ConnectionId};
use crate::definitions_file::from_table;
use crate::mailbox::Notice;
use crate::session::{SessionChannel, SessionConsumer};

/// An open connection, as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionListing {
    /// Its id; never used again by this process.
    pub id: ConnectionId,
    /// `peer address:port -> own address:port`.
    pub name: String,
    /// The user it logged in as.
    pub user: Arc<str>,
    /// The vhost it opened.
    pub vhost: Arc<str>,
    /// Channels that it has open.
    pub channels: u64,
    /// What was told of it before it opened the vhost.
    pub details: Arc<ConnectionDetails>,
}

impl ConnectionListing {
    /// What the client says of itself, as definitions write arguments.
    pub fn client_properties(&self) -> Map<String, Value> {
        from_table(&self.details.client_properties.unpack())
    }
}

/// What a channel is for its publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelMode {
    /// They are neither confirmed nor held.
    Plain,
    /// After confirm.select.
    Confirm,
    /// After tx.select.
    Transaction,
}

/// An open channel, as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelListing {
    /// Its connection.
    pub connection: ConnectionId,
    /// The connection's name.
    pub connection_name: String,
    /// Its number.
    pub number: u16,
    /// The user of its connection.
    pub user: Arc<str>,
    /// The vhost of its connection.
    pub vhost: Arc<str>,
    /// What it is for its publishes.
    pub mode: ChannelMode,
    /// Messages that the client has and must settle.
    pub messages_unacknowledged: u64,
    /// Prefetch of consumers to come (basic.qos without global); 0 is none.
    pub prefetch_count: u32,
    /// Prefetch that its consumers share (basic.qos with global); 0 is none.
    pub global_prefetch_count: u32,
    /// Its consumers, in the order of their tags.
    pub consumers: Vec<ConsumerListing>,
}

/// A consumer, as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerListing {
    /// Its queue.
    pub queue: String,
    /// Its tag.
    pub tag: String,
    /// It must acknowledge.
    pub ack_required: bool,
    /// Unacknowledged messages it may have; 0 is any number.
    pub prefetch_count: u32,
    /// Its arguments, as definitions write them.
    pub arguments: Map<String, Value>,
}

/// The question for a session's channels. It ends unanswered with its connection.
#[derive(Debug)]
pub(crate) struct Inquiry {
    answer: Sender<Vec<ChannelListing>>,
}

impl Broker {
    /// The open connections, oldest first.
    pub fn list_connections(&self) -> Vec<ConnectionListing> {
        let mut connections = self.shared.connections.list();
        connections.sort_unstable_by_key(|connection| connection.id);
        connections
    }

    /// Ask every open connection for its channels and their consumers. Each answers when its task
    /// next runs, in one piece; the receiver ends when all have answered or are gone. Whoever
    /// waits does so with a limit of time: a connection answers late while it writes much.
    pub fn inquire_channels(&self) -> Receiver<Vec<ChannelListing>> {
        let (answer, answers) = mpsc::channel();
        for mailbox in self.shared.connections.mailboxes() {
            let answer = answer.clone();
            // One that has ended has no channels.
            if let Ok(Some(sleeper)) = mailbox.push(Notice::Inquiry(Inquiry { answer })) {
                sleeper.wake();
            }
        }
        answers
    }
}

impl Inquiry {
    /// Tell who asks what the session has.
    pub(crate) fn answer(&self, connection: &ConnectionListing, channels: Vec<SessionChannel>) {
        let channels = channels.into_iter().map(|channel| ChannelListing {
            connection: connection.id,
            connection_name: connection.name.clone(),
            number: channel.number,
            user: Arc::clone(&connection.user),
            vhost: Arc::clone(&connection.vhost),
            mode: channel.mode,
            messages_unacknowledged: channel.unacked,
            prefetch_count: channel.prefetch,
            global_prefetch_count: channel.global_prefetch,
            consumers: channel.consumers.iter().map(listed).collect(),
        });
        // Who asked may have stopped waiting.
        let _ = self.answer.send(channels.collect());
    }
}

fn listed(consumer: &SessionConsumer) -> ConsumerListing {
    ConsumerListing {
        queue: consumer.queue.to_string(),
        tag: consumer.tag.to_string(),
        ack_required: !consumer.no_ack,
        prefetch_count: consumer.prefetch,
        arguments: from_table(&consumer.arguments),
    }
}
