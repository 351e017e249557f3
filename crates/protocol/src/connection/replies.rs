//! What the owner sends to the peer. A channel that is not open gets nothing: after our own close
//! AMQP forbids it, and after the client's nobody reads it.

use leveret_wire::{
    Message, encode_ack, encode_deliver, encode_get_ok, encode_method, encode_nack, encode_return,
    method::{AMQPClass, basic, channel, connection},
};

use super::{Connection, Phase};
use crate::{
    channel::ChannelState,
    error::{ChannelError, short_string},
};

impl Connection {
    /// Sends a method on an open channel. A `basic.cancel` goes only to clients that announced
    /// `consumer_cancel_notify`.
    pub fn reply(&mut self, channel: u16, method: &AMQPClass) {
        let is_cancel = matches!(method, AMQPClass::Basic(basic::AMQPMethod::Cancel(_)));
        if is_cancel && !self.capabilities.consumer_cancel_notify {
            return;
        }
        if self.can_send(channel) {
            encode_method(&mut self.output, channel, method);
        }
    }

    /// Sends `basic.deliver` with its content.
    #[inline]
    pub fn deliver(
        &mut self,
        channel: u16,
        consumer_tag: &str,
        delivery_tag: u64,
        redelivered: bool,
        message: &Message,
    ) {
        if self.can_send(channel) {
            let (out, frame_max) = (&mut self.output, self.frame_max);
            let tag = consumer_tag.as_bytes();
            encode_deliver(
                out,
                channel,
                tag,
                delivery_tag,
                redelivered,
                message,
                frame_max,
            );
        }
    }

    /// Sends `basic.get-ok` with its content. `message_count` is what is ready in the queue still.
    #[inline]
    pub fn get_ok(
        &mut self,
        channel: u16,
        delivery_tag: u64,
        redelivered: bool,
        message_count: u32,
        message: &Message,
    ) {
        if self.can_send(channel) {
            let (out, frame_max) = (&mut self.output, self.frame_max);
            encode_get_ok(
                out,
                channel,
                delivery_tag,
                redelivered,
                message_count,
                message,
                frame_max,
            );
        }
    }

    /// Sends `basic.return` with its content: `code` and `text` say why, such as 312 `NO_ROUTE`.
    pub fn return_message(&mut self, channel: u16, code: u16, text: &str, message: &Message) {
        if self.can_send(channel) {
            let text = short_string(text);
            encode_return(
                &mut self.output,
                channel,
                code,
                text.as_str(),
                message,
                self.frame_max,
            );
        }
    }

    /// Confirms a publish, or all up to `delivery_tag`.
    #[inline]
    pub fn confirm_ack(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        if self.can_send(channel) {
            encode_ack(&mut self.output, channel, delivery_tag, multiple);
        }
    }

    /// Tells a publisher that a message was not taken, or all up to `delivery_tag` were not.
    #[inline]
    pub fn confirm_nack(&mut self, channel: u16, delivery_tag: u64, multiple: bool) {
        if self.can_send(channel) {
            encode_nack(&mut self.output, channel, delivery_tag, multiple);
        }
    }

    /// The owner has room for the channel that the client opened: `open-ok` goes out. Without
    /// effect unless the channel is open.
    pub fn accept_channel_open(&mut self, channel: u16) {
        if self.can_send(channel) {
            self.send_channel_method(channel, channel::AMQPMethod::OpenOk(channel::OpenOk {}));
        }
    }

    /// The owner has cleaned up after the client's `channel.close`: the number is free, then
    /// `close-ok` goes out. Without effect unless such a close is pending.
    pub fn accept_channel_close(&mut self, channel: u16) {
        if self.phase == Phase::Running
            && self.channels.state(channel) == ChannelState::ClosingByClient
        {
            self.channels.remove(channel);
            self.send_channel_method(channel, channel::AMQPMethod::CloseOk(channel::CloseOk {}));
        }
    }

    /// The new secret was taken: `update-secret-ok` goes out. Without effect unless one is pending.
    pub fn accept_secret(&mut self) {
        if std::mem::take(&mut self.secret_pending) && self.phase == Phase::Running {
            self.excuse_silence();
            let update_secret_ok = connection::UpdateSecretOk {};
            self.send_connection_method(connection::AMQPMethod::UpdateSecretOk(update_secret_ok));
        }
    }

    /// Whether something sent on the channel may go out.
    #[inline]
    pub(super) fn can_send(&self, channel: u16) -> bool {
        self.phase == Phase::Running && self.is_open(channel)
    }

    pub(super) fn send_connection_method(&mut self, method: connection::AMQPMethod) {
        encode_method(&mut self.output, 0, &AMQPClass::Connection(method));
    }

    pub(super) fn send_channel_method(&mut self, channel: u16, method: channel::AMQPMethod) {
        encode_method(&mut self.output, channel, &AMQPClass::Channel(method));
    }

    pub(super) fn send_channel_close(&mut self, channel: u16, error: &ChannelError) {
        let close = channel::Close {
            reply_code: error.code.as_u16(),
            reply_text: error.short_text(),
            class_id: error.class,
            method_id: error.method,
        };
        self.send_channel_method(channel, channel::AMQPMethod::Close(close));
    }
}
