//! Direct reply-to, seen from the publisher: the requester's return address and the replier's
//! way to it.

use std::sync::Arc;

use leveret_wire::{Message, rewrite_reply_to};

use super::{Failure, Session};
use crate::queue::Queue;
use crate::vhost::{REPLY_TO, Vhost};

impl Session {
    /// `message` with the pseudo-queue in its `reply-to` replaced by the channel's reply queue.
    pub(super) fn with_reply_address(
        &self,
        number: u16,
        message: Message,
    ) -> Result<Message, Failure> {
        let Some(queue) = self.check_reply_address(number, &message)? else {
            return Ok(message);
        };
        match rewrite_reply_to(message.header(), Some(queue.name().as_bytes())) {
            Ok(header) => Ok(message.with_header(&header)),
            Err(error) => Err(Failure::internal_error(format!(
                "the return address cannot be written: {error}"
            ))),
        }
    }

    /// The channel's reply queue, if `message` asks for replies to come there: then it must be open.
    pub(super) fn check_reply_address(
        &self,
        number: u16,
        message: &Message,
    ) -> Result<Option<&Arc<Queue>>, Failure> {
        if !message.has_reply_to() || message.properties().reply_to() != Some(REPLY_TO.as_bytes()) {
            return Ok(None);
        }
        let replies = self
            .channels
            .get(&number)
            .and_then(|channel| channel.replies.as_ref());
        match replies {
            Some((_, queue)) => Ok(Some(queue)),
            None => Err(Failure::precondition_failed(
                "fast reply consumer does not exist".to_owned(),
            )),
        }
    }

    /// Add the reply queues that a message to the default exchange names; `true` if it names
    /// any, there or gone, so that the route must not be remembered.
    pub(super) fn add_reply_queues(&mut self, message: &Message, extra_keys: &[&[u8]]) -> bool {
        if !message.exchange().is_empty() {
            return false;
        }
        let mut names_some = false;
        for key in std::iter::once(message.routing_key()).chain(extra_keys.iter().copied()) {
            if !Vhost::is_reply_key(key) {
                continue;
            }
            names_some = true;
            if let Some(queue) = self.vhost.reply_queue(key)
                && self
                    .routes
                    .queues
                    .iter()
                    .all(|known| known.id() != queue.id())
            {
                self.routes.queues.push(queue);
            }
        }
        names_some
    }
}
