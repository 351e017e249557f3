//! The firehose (RabbitMQ page "Firehose Tracer"): while a vhost is traced, a copy of every message that a
//! client publishes to it or is given from it goes to its exchange `amq.rabbitmq.trace`, with the key
//! `publish.<exchange>` or `deliver.<queue>`. The copy's headers tell what the message was and whose.
//!
//! Nothing of this costs a message of a vhost that is not traced more than a look at one flag: routes are not
//! remembered while it is.

use std::sync::Arc;

use leveret_router::RouteRequest;
use leveret_wire::properties::Property;
use leveret_wire::{
    ArrayBuilder, BodyPart, Message, Properties, PropertiesBuilder, RawValue, TableBuilder,
};

use super::publish::extra_keys;
use super::routes::Targets;
use super::{Failure, Output, Session};
use crate::mailbox::{Delivery, Notice};

/// The exchange of each vhost that copies go to.
pub(super) const TRACE: &str = "amq.rabbitmq.trace";
/// Octets of a routing key.
const KEY_MAX: usize = 255;

/// What became of a message, as its copy tells it.
enum Traced {
    /// A client published it, to queues of these names.
    Published { queues: ArrayBuilder },
    /// A client is given it.
    Given { redelivered: bool },
}

impl Session {
    /// Is the vhost traced now?
    pub(super) fn note_tracing(&mut self) {
        self.is_traced = self.vhost.is_traced();
    }

    /// Forget routes of an older topology; what was published by them goes out first.
    #[cold]
    pub(super) fn renew_routes(&mut self, generation: u64) -> Result<(), Failure> {
        self.flush_work()?;
        self.routes.forget(generation);
        self.note_tracing();
        Ok(())
    }

    /// A client has published `message`, which goes to `targets`.
    #[cold]
    pub(super) fn trace_publish(&mut self, number: u16, message: &Message, targets: &Targets) {
        let mut queues = ArrayBuilder::new();
        for name in self.routes.names_of(targets) {
            queues.push(&RawValue::LongString(name.as_bytes()));
        }
        let exchange = message.exchange().to_vec();
        self.trace(number, message, &Traced::Published { queues }, &exchange);
    }

    /// As [`Session::handle_notices`], with a copy of each delivery that is sent at once. Apart, because what untraced
    /// deliveries cost is counted in instructions.
    #[cold]
    pub(super) fn handle_traced(
        &mut self,
        output: &mut impl Output,
        ending: Option<u16>,
    ) -> Result<(), Failure> {
        // Here, where no message is on its way to runs that would be forgotten.
        let generation = self.vhost.generation();
        if self.routes.is_old(generation) {
            self.renew_routes(generation)?;
        }
        let mut done = Ok(());
        for notice in std::mem::take(&mut self.notices) {
            if let Notice::Delivery(delivery) = &notice {
                self.trace_delivery(delivery, ending);
            }
            self.notices.push(notice);
            done = done.and(self.handle_untraced(output, ending));
        }
        done
    }

    fn trace_delivery(&mut self, delivery: &Delivery, ending: Option<u16>) {
        let Some(consumer) = self.consumers.find(delivery.consumer) else {
            return;
        };
        let (number, slot) = (consumer.channel, consumer.queue);
        let channel = self.channels.get(&number);
        // What is held back is copied when it is sent.
        let sent = channel.is_some_and(|channel| !channel.ending && channel.held.is_empty());
        if sent && ending != Some(number) {
            let message = delivery.entry.message.clone();
            self.trace_given(number, slot, delivery.entry.redelivered(), &message);
        }
    }

    /// A client is given a message out of the queue in `slot`.
    #[cold]
    pub(super) fn trace_given(
        &mut self,
        number: u16,
        slot: u32,
        redelivered: bool,
        message: &Message,
    ) {
        let Some(queue) = self.queues.queue(slot).map(Arc::clone) else {
            return;
        };
        let name = queue.name().as_bytes();
        self.trace(number, message, &Traced::Given { redelivered }, name);
    }

    fn trace(&mut self, number: u16, message: &Message, what: &Traced, of: &[u8]) {
        if message.exchange() == TRACE.as_bytes() {
            return;
        }
        let mut key = match what {
            Traced::Published { .. } => b"publish.".to_vec(),
            Traced::Given { .. } => b"deliver.".to_vec(),
        };
        key.extend_from_slice(of);
        key.truncate(KEY_MAX);
        let mut headers = described(message, &self.shared.node);
        if let Traced::Given { redelivered } = what {
            headers.put(b"redelivered", &RawValue::I32((*redelivered).into()));
        }
        let text = |text: &str| text.as_bytes().to_vec();
        let (vhost, connection) = (text(self.vhost.name()), text(&self.peer.name));
        headers
            .put(b"vhost", &RawValue::LongString(&vhost))
            .put(b"connection", &RawValue::LongString(&connection))
            .put(b"channel", &RawValue::I32(number.into()))
            .put(b"user", &RawValue::LongString(self.user.name().as_bytes()));
        if let Traced::Published { queues } = what {
            headers.put(b"routed_queues", &RawValue::Array(queues.as_array()));
        }
        // A copy that cannot be made is no reason to refuse the message.
        if let Some(copy) = copy_of(message, &key, headers) {
            self.publish_copy(number, copy);
        }
    }

    /// Put a copy into the runs of its queues. Forgets no older routes: the message that is copied may be on its way by
    /// one of them.
    fn publish_copy(&mut self, number: u16, copy: Message) {
        let request = RouteRequest {
            routing_key: copy.routing_key(),
            extra_keys: &[],
            headers: copy.properties().headers(),
            properties: copy.properties(),
            delayed: false,
        };
        let routes = &mut self.routes;
        routes.queues.clear();
        self.vhost.route(
            TRACE.as_bytes(),
            &request,
            &mut routes.scratch,
            &mut routes.ids,
            &mut routes.queues,
        );
        let targets = routes.targets();
        routes.push_to(&targets, copy, number, 0);
    }
}

/// The message with this key for the exchange that copies go to.
fn copy_of(message: &Message, key: &[u8], headers: TableBuilder) -> Option<Message> {
    let content = headers.into_content();
    let body = message.body_bytes();
    let mut properties = PropertiesBuilder::new();
    let header = properties
        .headers(Some(&content))
        .build(body.len() as u64)
        .ok()?;
    Message::from_parts(TRACE.as_bytes(), key, &header, BodyPart::Bytes(body)).ok()
}

/// What the headers of a copy tell of the message itself.
fn described(message: &Message, node: &str) -> TableBuilder {
    let mut keys = ArrayBuilder::new();
    keys.push(&RawValue::LongString(message.routing_key()));
    for key in extra_keys(message).unwrap_or_default() {
        keys.push(&RawValue::LongString(key));
    }
    let properties = described_properties(&message.properties());
    let mut headers = TableBuilder::new();
    headers
        .put(b"exchange_name", &RawValue::LongString(message.exchange()))
        .put(b"routing_keys", &RawValue::Array(keys.as_array()))
        .put(b"properties", &RawValue::Table(properties.as_table()))
        .put(b"node", &RawValue::LongString(node.as_bytes()));
    headers
}

/// The properties that a message has, by the names and with the types that RabbitMQ gives them.
fn described_properties(properties: &Properties<'_>) -> TableBuilder {
    let mut table = TableBuilder::new();
    // RabbitMQ gathers them from the front of a list.
    let mut present: Vec<_> = properties.iter().collect();
    present.reverse();
    for (property, content) in present {
        let name: &[u8] = match property {
            Property::ClusterId => b"cluster_id",
            Property::AppId => b"app_id",
            Property::UserId => b"user_id",
            Property::Type => b"type",
            Property::Timestamp => b"timestamp",
            Property::MessageId => b"message_id",
            Property::Expiration => b"expiration",
            Property::ReplyTo => b"reply_to",
            Property::CorrelationId => b"correlation_id",
            Property::Priority => b"priority",
            Property::DeliveryMode => b"delivery_mode",
            Property::Headers => b"headers",
            Property::ContentEncoding => b"content_encoding",
            Property::ContentType => b"content_type",
        };
        let value = match property {
            Property::Timestamp => properties.timestamp().map(number_of_seconds),
            Property::Priority => properties.priority().map(|it| RawValue::I32(it.into())),
            Property::DeliveryMode => properties
                .delivery_mode()
                .map(|it| RawValue::I32(it.into())),
            Property::Headers => properties.headers().map(RawValue::Table),
            _ => Some(RawValue::LongString(content)),
        };
        if let Some(value) = value {
            table.put(name, &value);
        }
    }
    table
}

/// As RabbitMQ tells it as long as it fits there.
fn number_of_seconds(seconds: u64) -> RawValue<'static> {
    i32::try_from(seconds).map_or_else(
        |_| RawValue::I64(i64::try_from(seconds).unwrap_or(i64::MAX)),
        RawValue::I32,
    )
}
