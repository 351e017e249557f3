//! The channels of one connection: which numbers are in use, in which state, with which content half
//! received.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::content::Content;

/// Numbers below this live in a vector, others in a map. Clients count up from 1, so the vector
/// serves them all; a client that opens number 65535 costs one map entry and not 65535 slots.
const DENSE: u16 = 256;

/// Where a channel stands (AMQP 0-9-1 section 2.2.5 and RabbitMQ's channel process).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ChannelState {
    /// The number is free.
    #[default]
    Absent,
    /// The client asked for the end; the owner is cleaning up.
    ClosingByClient,
    /// Our `channel.close` is out, `close-ok` has not come: everything else is ignored.
    ClosingByServer,
    /// In use.
    Open,
}

/// One channel number.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    state: ChannelState,
    /// Half-received content. It outlives a soft error, as its frames still come.
    content: Option<Box<Content>>,
}

/// All channel numbers of a connection.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    dense: Vec<Channel>,
    sparse: FxHashMap<u16, Channel>,
    /// Channels that are not absent.
    count: usize,
    /// Channels with half-received content.
    contents: usize,
    /// Octets held by half-received content.
    held: u64,
}

impl Channels {
    /// How many numbers are in use, closing ones included: they count against `channel_max`.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Octets held by half-received content of all channels.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    #[inline]
    pub(crate) fn state(&self, number: u16) -> ChannelState {
        self.slot(number)
            .map_or(ChannelState::Absent, |channel| channel.state)
    }

    /// Whether a command may be taken on the channel: open, and no content under way.
    #[inline]
    pub(crate) fn takes_commands(&self, number: u16) -> bool {
        self.slot(number)
            .is_some_and(|channel| channel.state == ChannelState::Open && channel.content.is_none())
    }

    pub(crate) fn open(&mut self, number: u16) {
        let index = usize::from(number);
        if number >= DENSE {
            self.sparse.insert(number, Channel::default());
        } else if self.dense.len() <= index {
            self.dense.resize_with(index + 1, Channel::default);
        }
        if let Some(slot) = self.slot_mut(number) {
            slot.state = ChannelState::Open;
            self.count += 1;
        }
    }

    /// An open channel starts to close: what it receives from now on is not kept.
    pub(crate) fn start_closing(&mut self, number: u16, state: ChannelState) {
        let Some(slot) = self.slot_mut(number) else {
            return;
        };
        slot.state = state;
        if let Some(content) = &mut slot.content {
            let held = content.held();
            content.discard();
            self.held -= held;
        }
    }

    /// Frees the number.
    pub(crate) fn remove(&mut self, number: u16) {
        self.end_content(number);
        let removed = if number < DENSE {
            self.dense.get_mut(usize::from(number)).map(std::mem::take)
        } else {
            self.sparse.remove(&number)
        };
        if removed.is_some_and(|channel| channel.state != ChannelState::Absent) {
            self.count -= 1;
        }
    }

    /// Frees all numbers and what they hold.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    #[inline]
    pub(crate) fn content(&self, number: u16) -> Option<&Content> {
        self.slot(number)?.content.as_deref()
    }

    pub(crate) fn begin_content(&mut self, number: u16, content: Content) {
        let held = content.held();
        if let Some(slot) = self.slot_mut(number) {
            slot.content = Some(Box::new(content));
            self.contents += 1;
            self.held += held;
        }
    }

    /// Changes the content under way on a channel, keeping count of what it holds.
    pub(crate) fn update_content(&mut self, number: u16, change: impl FnOnce(&mut Content)) {
        let Some(content) = self
            .slot_mut(number)
            .and_then(|slot| slot.content.as_deref_mut())
        else {
            return;
        };
        let before = content.held();
        change(content);
        let after = content.held();
        self.held = self.held - before + after;
    }

    /// Takes the content off its channel.
    pub(crate) fn end_content(&mut self, number: u16) -> Option<Content> {
        let content = self.slot_mut(number)?.content.take()?;
        self.contents -= 1;
        self.held -= content.held();
        Some(*content)
    }

    /// When half-received content got its last octet, for the one that waits longest. Discarded
    /// content holds no memory, so it may wait.
    pub(crate) fn oldest_progress(&self) -> Option<(u16, Duration)> {
        if self.contents == 0 {
            return None;
        }
        self.numbered()
            .filter_map(|(number, channel)| Some((number, channel.content.as_deref()?)))
            .filter(|(_, content)| !content.discarded)
            .map(|(number, content)| (number, content.progress_at))
            .min_by_key(|(number, at)| (*at, *number))
    }

    /// The clock was stopped for a while: all content counts as having progressed at `now`.
    pub(crate) fn restart_progress(&mut self, now: Duration) {
        for channel in self.dense.iter_mut().chain(self.sparse.values_mut()) {
            if let Some(content) = &mut channel.content {
                content.progress_at = now;
            }
        }
    }

    fn numbered(&self) -> impl Iterator<Item = (u16, &Channel)> {
        let dense = (0..DENSE).zip(&self.dense);
        dense.chain(
            self.sparse
                .iter()
                .map(|(number, channel)| (*number, channel)),
        )
    }

    #[inline]
    fn slot(&self, number: u16) -> Option<&Channel> {
        if number < DENSE {
            self.dense.get(usize::from(number))
        } else {
            self.sparse.get(&number)
        }
    }

    #[inline]
    fn slot_mut(&mut self, number: u16) -> Option<&mut Channel> {
        if number < DENSE {
            self.dense.get_mut(usize::from(number))
        } else {
            self.sparse.get_mut(&number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discarded() -> Content {
        Content::discarded((60, 60), Duration::ZERO)
    }

    #[test]
    fn a_number_is_absent_until_opened_and_after_removal() {
        for number in [1, 255, 256, u16::MAX] {
            let mut channels = Channels::default();
            assert_eq!(channels.state(number), ChannelState::Absent);
            channels.open(number);
            assert_eq!(
                (channels.state(number), channels.count()),
                (ChannelState::Open, 1)
            );
            channels.start_closing(number, ChannelState::ClosingByServer);
            assert_eq!(
                (channels.state(number), channels.count()),
                (ChannelState::ClosingByServer, 1)
            );
            channels.remove(number);
            assert_eq!(
                (channels.state(number), channels.count()),
                (ChannelState::Absent, 0)
            );
            channels.remove(number);
            assert_eq!(channels.count(), 0);
        }
    }

    #[test]
    fn a_high_number_does_not_fill_the_vector() {
        let mut channels = Channels::default();
        channels.open(u16::MAX);
        assert!(channels.dense.is_empty());
        channels.remove(u16::MAX);
        assert!(channels.sparse.is_empty());
    }

    #[test]
    fn removing_a_channel_forgets_its_content() {
        let mut channels = Channels::default();
        channels.open(3);
        channels.begin_content(3, discarded());
        assert!(!channels.takes_commands(3));
        channels.remove(3);
        assert_eq!((channels.contents, channels.held()), (0, 0));
    }

    #[test]
    fn discarded_content_is_not_watched() {
        let mut channels = Channels::default();
        channels.open(1);
        channels.begin_content(1, discarded());
        assert_eq!(channels.oldest_progress(), None);
    }
}
