//! What a test expects to come next. All of it fails on the test's line.

use leveret_wire::AMQPClass;
use leveret_wire::method::{basic, channel, connection};

use crate::client::Event;
use crate::content::{Delivery, Returned};
use crate::{Client, Method};

impl Client {
    /// The next event is this method, on this channel.
    #[track_caller]
    pub fn expect<M: Method>(&mut self, channel: u16) -> M {
        match self.next_event() {
            Event::Method(number, method) if number == channel => {
                let name = std::any::type_name::<M>();
                M::from_class(method.clone())
                    .unwrap_or_else(|| panic!("expected {name}, got {method:?}"))
            }
            other => {
                let name = std::any::type_name::<M>();
                panic!("expected {name} on channel {channel}, got {other:?}")
            }
        }
    }

    /// The next event is a delivery on this channel.
    #[track_caller]
    pub fn expect_delivery(&mut self, channel: u16) -> Delivery {
        match self.next_event() {
            Event::Delivery(delivery) if delivery.channel == channel => delivery,
            other => panic!("expected a delivery on channel {channel}, got {other:?}"),
        }
    }

    /// So many deliveries on this channel.
    #[track_caller]
    pub fn expect_deliveries(&mut self, channel: u16, count: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::with_capacity(count);
        while deliveries.len() < count {
            deliveries.push(self.expect_delivery(channel));
        }
        deliveries
    }

    /// Deliveries with these bodies, in this order, on this channel.
    #[track_caller]
    pub fn expect_bodies(&mut self, channel: u16, bodies: &[&str]) -> Vec<Delivery> {
        let deliveries = self.expect_deliveries(channel, bodies.len());
        let found: Vec<&str> = deliveries.iter().map(Delivery::text).collect();
        assert_eq!(found, bodies);
        deliveries
    }

    /// The next event is basic.return 312 on this channel.
    #[track_caller]
    pub fn expect_return(&mut self, channel: u16) -> Returned {
        match self.next_event() {
            Event::Returned(number, returned) if number == channel => {
                let method = &returned.method;
                assert_eq!(
                    (method.reply_code, method.reply_text.as_str()),
                    (312, "NO_ROUTE")
                );
                returned
            }
            other => panic!("expected basic.return on channel {channel}, got {other:?}"),
        }
    }

    /// Every publish of the channel up to `last` is confirmed, each once, and none is nacked.
    /// `first` is the first that is not confirmed yet.
    #[track_caller]
    pub fn expect_confirms(&mut self, channel: u16, first: u64, last: u64) {
        let mut open: std::collections::BTreeSet<u64> = (first..=last).collect();
        while !open.is_empty() {
            let ack: basic::Ack = self.expect(channel);
            let tag = ack.delivery_tag;
            assert!(open.contains(&tag), "confirm {tag} was not expected");
            if ack.multiple {
                open = open.split_off(&(tag + 1));
            } else {
                open.remove(&tag);
            }
        }
    }

    /// Nothing came before the answer to a question asked now. Whatever the broker had for this
    /// client by now would have come first.
    #[track_caller]
    pub fn expect_quiet(&mut self, channel: u16) {
        let ok = self.call(channel, channel::Flow { active: true });
        assert!(ok.active);
    }

    /// The next event is channel.close with this code and text. It is left unanswered.
    #[track_caller]
    pub fn expect_channel_close(&mut self, channel: u16, code: u16, text: &str) -> channel::Close {
        let close: channel::Close = self.expect(channel);
        assert_eq!((close.reply_code, close.reply_text.as_str()), (code, text));
        close
    }

    /// A method is refused by a soft error that names it. The channel is opened again.
    #[track_caller]
    pub fn expect_refused(&mut self, channel: u16, method: impl Method, code: u16, text: &str) {
        let class = method.into_class();
        let ids = ids(&class);
        self.write(&crate::client::encoded(channel, &class));
        let close = self.expect_channel_close(channel, code, text);
        assert_eq!((close.class_id, close.method_id), ids);
        self.reopen_channel(channel);
    }

    /// Answer a channel.close of the broker's and open the channel again.
    #[track_caller]
    pub fn reopen_channel(&mut self, channel: u16) {
        self.send(channel, channel::CloseOk {});
        self.open_channel(channel);
    }

    /// The next event is connection.close with this code and text. It is left unanswered.
    #[track_caller]
    pub fn expect_connection_close(&mut self, code: u16, text: &str) -> connection::Close {
        let close: connection::Close = self.expect(0);
        assert_eq!((close.reply_code, close.reply_text.as_str()), (code, text));
        close
    }

    /// As [`Self::expect_connection_close`]; then close-ok is sent, and TCP ends.
    #[track_caller]
    pub fn expect_hard_error(&mut self, code: u16, text: &str) -> connection::Close {
        let close = self.expect_connection_close(code, text);
        self.answer_close();
        close
    }

    /// A method is refused by a hard error that names it; the connection ends.
    #[track_caller]
    pub fn expect_fatal(mut self, channel: u16, method: impl Method, code: u16, text: &str) {
        let class = method.into_class();
        let ids = ids(&class);
        self.write(&crate::client::encoded(channel, &class));
        let close = self.expect_hard_error(code, text);
        assert_eq!((close.class_id, close.method_id), ids);
    }

    /// Answer a connection.close of the broker's; TCP ends, with nothing more said. A broker that
    /// stopped reading may have ended it already.
    #[track_caller]
    pub fn answer_close(&mut self) {
        let close_ok = crate::client::encoded(0, &connection::CloseOk {}.into_class());
        self.try_write(&close_ok);
        self.expect_end();
    }

    /// The broker closes TCP and says nothing more.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let event = self.next_event();
        assert_eq!(event, Event::End, "expected the end of the stream");
    }
}

fn ids(class: &AMQPClass) -> (u16, u16) {
    (class.get_amqp_class_id(), class.get_amqp_method_id())
}
