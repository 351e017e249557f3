//! A session speaks through the protocol machine of its connection.

use leveret_protocol::{ChannelError, Connection};
use leveret_wire::{AMQPClass, Message};

use super::Output;

/// Reply code and text of a basic.return for a message that no queue took.
const NO_ROUTE: (u16, &str) = (312, "NO_ROUTE");

impl Output for Connection {
    fn accept_channel_open(&mut self, channel: u16) {
        Self::accept_channel_open(self, channel);
    }

    fn reply(&mut self, channel: u16, method: &AMQPClass) {
        Self::reply(self, channel, method);
    }

    #[inline]
    fn deliver(
        &mut self,
        channel: u16,
        consumer_tag: &str,
        delivery_tag: u64,
        redelivered: bool,
        message: &Message,
    ) {
        Self::deliver(
            self,
            channel,
            consumer_tag,
            delivery_tag,
            redelivered,
            message,
        );
    }

    fn get_ok(
        &mut self,
        channel: u16,
        delivery_tag: u64,
        redelivered: bool,
        message_count: u32,
        message: &Message,
    ) {
        Self::get_ok(
            self,
            channel,
            delivery_tag,
            redelivered,
            message_count,
            message,
        );
    }

    fn return_unroutable(&mut self, channel: u16, message: &Message) {
        let (code, text) = NO_ROUTE;
        self.return_message(channel, code, text, message);
    }

    fn confirm(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        self.confirm_ack(channel, delivery_tag, multiple);
    }

    fn refuse(&mut self, channel: u16, delivery_tag: u64) {
        self.confirm_nack(channel, delivery_tag, false);
    }

    fn close_channel(&mut self, channel: u16, error: &ChannelError) {
        Self::close_channel(self, channel, error);
    }

    fn accept_channel_close(&mut self, channel: u16) {
        Self::accept_channel_close(self, channel);
    }

    fn block(&mut self, reason: &str) {
        Self::block(self, reason);
    }

    fn unblock(&mut self) {
        Self::unblock(self);
    }
}
