//! basic.publish and confirm.select.

use leveret_protocol::{ConnectionError, Publish};
use leveret_router::RouteRequest;
use leveret_store::Ticket;
use leveret_wire::method::confirm;
use leveret_wire::{AMQPClass, FieldTable, Message, RawValue};
use smallvec::SmallVec;

use super::channel::{Held, Mode};
use super::confirm::Confirms;
use super::delayed::Holding;
use super::routes::Targets;
use super::{Failure, Output, Session};
use crate::delay::Delay;
use crate::queue::parse_expiration;
use crate::vhost::DelayedExchanges;

/// Class and method id of basic.publish.
const BASIC_PUBLISH: (u16, u16) = (60, 40);

/// CC and BCC keys of one message.
pub(super) type ExtraKeys<'a> = SmallVec<[&'a [u8]; 4]>;

/// Where a message goes.
pub(super) enum Target {
    Cached(u32),
    Once(Targets),
    /// Through exchanges that keep it: to be found again, in one step with the keeping, when all
    /// checks are passed.
    Kept,
    /// Some of it later.
    Held(Box<Holding>),
}

impl Session {
    /// Carry out a basic.publish. Its message reaches the queues with the next
    /// [`Session::flush`], which any other command of this connection causes.
    pub fn publish(
        &mut self,
        number: u16,
        publish: Publish,
        output: &mut impl Output,
    ) -> Result<(), ConnectionError> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        if channel.ending {
            return Ok(());
        }
        self.counters.received.add(1);
        if !channel.is_publisher {
            channel.is_publisher = true;
            self.counters.publishers_opened.add(1);
        }
        let done = if publish.immediate {
            Err(Failure::not_implemented("immediate=true"))
        } else if let Mode::Transaction(_) = channel.mode {
            self.hold_publish(number, publish)
        } else {
            let confirm = match &mut channel.mode {
                Mode::Confirm(confirms) => {
                    if confirms.is_settled() {
                        self.confirming.push(number);
                    }
                    self.counters.received_confirm.add(1);
                    confirms.publish()
                }
                _ => 0,
            };
            self.route(number, publish, confirm, output)
        };
        match done {
            Ok(()) => Ok(()),
            Err(failure) => {
                if let Some(Mode::Confirm(confirms)) = self
                    .channels
                    .get_mut(&number)
                    .map(|channel| &mut channel.mode)
                {
                    confirms.withdraw();
                }
                self.flush(output)?;
                let (class, method) = BASIC_PUBLISH;
                self.settle_failure(number, Err(failure.at(class, method)), output)
            }
        }
    }

    /// Give everything collected since the last call to the queues, and confirm what needs no
    /// disk. Called when a socket read is worked off.
    pub fn flush(&mut self, output: &mut impl Output) -> Result<(), ConnectionError> {
        self.flush_work().map_err(super::connection_error)?;
        self.advance_confirms(output);
        Ok(())
    }

    pub(super) fn flush_work(&mut self) -> Result<(), Failure> {
        if self.queues.has_settled() {
            self.flush_settled()?;
        }
        if !self.routes.dirty.is_empty() {
            self.shared.note_low_store();
        }
        while let Some(run) = self.routes.dirty.pop() {
            let Some(run) = self.routes.runs.get_mut(run as usize) else {
                continue;
            };
            let channels = &mut self.channels;
            let published = run.queue.publish(
                &mut run.messages,
                &mut self.effects,
                &mut |number, confirm, ticket| match channels
                    .get_mut(&number)
                    .map(|channel| &mut channel.mode)
                {
                    Some(Mode::Confirm(confirms)) => confirms.wait_for(confirm, ticket),
                    Some(Mode::Transaction(transaction)) => transaction.wait_for(ticket),
                    Some(Mode::Plain) | None => {}
                },
            );
            let ticket = published.inspect_err(|error| self.shared.note_refusal(error))?;
            self.last_ticket = self.last_ticket.max(ticket);
            for refused in run.messages.drain(..) {
                // Of a transaction; a traced copy is nobody's to miss.
                self.refused += usize::from(refused.confirm != 0);
                if refused.confirm != 0
                    && let Some(Mode::Confirm(confirms)) = self
                        .channels
                        .get_mut(&refused.channel)
                        .map(|channel| &mut channel.mode)
                {
                    confirms.refuse(refused.confirm);
                }
            }
        }
        if !self.held.is_empty() {
            self.flush_held()?;
        }
        self.fire();
        Ok(())
    }

    /// Confirm what is durable; hear from the store about the rest.
    pub(super) fn advance_confirms(&mut self, output: &mut impl Output) {
        if self.confirming.is_empty() {
            return;
        }
        let durable = self.shared.store.durable();
        let mut confirming = std::mem::take(&mut self.confirming);
        let mut watch = Ticket::NONE;
        confirming.retain(|number| {
            let Some(channel) = self.channels.get_mut(number) else {
                return false;
            };
            let Mode::Confirm(confirms) = &mut channel.mode else {
                return false;
            };
            // Returns that are held back must come before the confirms of their messages.
            while channel.held.is_empty() {
                if let Some(confirmed) = confirms.advance(durable) {
                    self.counters.confirmed.add(confirmed.count);
                    output.confirm(*number, confirmed.tag, confirmed.count > 1);
                }
                let Some(refused) = confirms.take_refused() else {
                    break;
                };
                self.counters.confirmed.add(1);
                output.refuse(*number, refused);
            }
            watch = watch.max(confirms.waits_for().unwrap_or(Ticket::NONE));
            !confirms.is_settled()
        });
        self.confirming = confirming;
        self.watch(watch);
    }

    pub(super) fn route(
        &mut self,
        number: u16,
        publish: Publish,
        confirm: u64,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let generation = self.vhost.generation();
        if self.routes.is_old(generation) {
            self.renew_routes(generation)?;
        }
        let message = publish.message;
        if message.has_headers()
            || message.has_user_id()
            || message.has_expiration()
            || message.has_unknown_delivery_mode()
        {
            return self.route_checked(number, message, confirm, publish.mandatory, output);
        }
        let target = match self.routes.find(message.routing()) {
            Some(route) => Target::Cached(route),
            None => self.find_route(&message, &[])?,
        };
        let message = if message.has_reply_to() {
            self.with_reply_address(number, message)?
        } else {
            message
        };
        let target = match target {
            Target::Kept => self.keep(&message, &message),
            target => target,
        };
        self.deliver_to(number, &target, message, confirm, publish.mandatory, output);
        Ok(())
    }

    /// Route a message with properties that the broker must look at.
    fn route_checked(
        &mut self,
        number: u16,
        message: Message,
        confirm: u64,
        mandatory: bool,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let (target, plain) = self.checked_target(number, &message)?;
        let message = self.with_reply_address(number, message)?;
        let target = if let Target::Kept = target {
            // Its keys are those it came with, but BCC is not for later readers either.
            let shown = without_bcc(message.clone());
            self.keep(&message, &shown)
        } else {
            target
        };
        if let Target::Held(holding) = &target {
            // With its BCC header, which tells where it goes when its time has come.
            self.hold(number, holding, &message, confirm);
        }
        let message = if plain { message } else { without_bcc(message) };
        self.deliver_to(number, &target, message, confirm, mandatory, output);
        Ok(())
    }

    /// Where a checked message goes, and whether its exchange and routing key alone decide it.
    fn checked_target(
        &mut self,
        number: u16,
        message: &Message,
    ) -> Result<(Target, bool), Failure> {
        let keys = extra_keys(message);
        let plain = keys.as_ref().is_ok_and(SmallVec::is_empty);
        let target = match self.routes.find(message.routing()) {
            Some(route) if plain => {
                self.check_properties(number, message, None)?;
                Target::Cached(route)
            }
            _ => self.find_checked(number, message, keys)?,
        };
        Ok((target, plain))
    }

    pub(super) fn deliver_to(
        &mut self,
        number: u16,
        target: &Target,
        message: Message,
        confirm: u64,
        mandatory: bool,
        output: &mut impl Output,
    ) {
        let returned = mandatory.then(|| message.clone());
        let routed = match target {
            Target::Cached(route) => self.routes.push(*route, message, number, confirm),
            Target::Once(targets) => {
                // Nothing is remembered while the vhost is traced.
                if self.is_traced {
                    self.trace_publish(number, &message, targets);
                }
                self.routes.push_to(targets, message, number, confirm)
            }
            // Was replaced by its queues before.
            Target::Kept => false,
            Target::Held(holding) => {
                if self.is_traced {
                    self.trace_publish(number, &message, &holding.targets);
                }
                self.routes
                    .push_to(&holding.targets, message, number, confirm);
                true
            }
        };
        if routed {
            self.counters.routed.add(1);
        } else if let Some(message) = returned {
            self.counters.unroutable_returned.add(1);
            self.emit(number, Held::Return(message), output);
        } else {
            self.counters.unroutable_dropped.add(1);
        }
    }

    /// Check a message and find its queues, in RabbitMQ's order.
    pub(super) fn find_checked(
        &mut self,
        number: u16,
        message: &Message,
        keys: Result<ExtraKeys<'_>, String>,
    ) -> Result<Target, Failure> {
        let (keys, malformed) = match keys {
            Ok(keys) => (keys, None),
            Err(text) => (ExtraKeys::new(), Some(text)),
        };
        let target = self.find_route(message, &keys)?;
        self.check_properties(number, message, malformed)?;
        Ok(target)
    }

    fn find_route(&mut self, message: &Message, extra_keys: &[&[u8]]) -> Result<Target, Failure> {
        self.authorise_publish(message)?;
        let headers = message.properties().headers();
        let delay = Delay::of(headers);
        let request = RouteRequest {
            routing_key: message.routing_key(),
            extra_keys,
            headers,
            properties: message.properties(),
            delayed: delay.is_some(),
        };
        let routes = &mut self.routes;
        routes.queues.clear();
        let route = self.vhost.route(
            message.exchange(),
            &request,
            &mut routes.scratch,
            &mut routes.ids,
            &mut routes.queues,
        );
        if !route.found || route.internal {
            let exchange = String::from_utf8_lossy(message.exchange());
            if !route.found {
                return Err(self.vhost.no_exchange(&exchange));
            }
            let text = format!(
                "cannot publish to internal {}",
                self.vhost.exchange_text(&exchange)
            );
            return Err(Failure::access_refused(text));
        }
        if route.is_topic {
            self.authorise_topics(message, extra_keys)?;
        }
        if !route.held.is_empty()
            && let Delay::Malformed(text) = delay
        {
            return Err(Failure::precondition_failed(text));
        }
        let to_reply_queue = self.add_reply_queues(message, extra_keys);
        let is_cached =
            route.cacheable && extra_keys.is_empty() && !to_reply_queue && !self.is_traced;
        if !is_cached {
            self.remember_allowed(message);
        }
        if route.kept {
            return Ok(Target::Kept);
        }
        if !route.held.is_empty() {
            return Ok(self.held_target(route.held, &delay));
        }
        if is_cached {
            Ok(Target::Cached(self.routes.remember(message.routing())))
        } else {
            Ok(Target::Once(self.routes.targets()))
        }
    }

    /// Have the exchanges on the way of a message that passed all checks keep it, as `shown`; its
    /// queues.
    fn keep(&mut self, message: &Message, shown: &Message) -> Target {
        let extra_keys = extra_keys(message).unwrap_or_default();
        let headers = message.properties().headers();
        let delay = Delay::of(headers);
        let request = RouteRequest {
            routing_key: message.routing_key(),
            extra_keys: &extra_keys,
            headers,
            properties: message.properties(),
            delayed: delay.is_some(),
        };
        let routes = &mut self.routes;
        routes.queues.clear();
        let held = self.vhost.route_kept(
            message.exchange(),
            shown,
            &request,
            &mut routes.scratch,
            &mut routes.ids,
            &mut routes.queues,
        );
        if held.is_empty() {
            Target::Once(self.routes.targets())
        } else {
            self.held_target(held, &delay)
        }
    }

    /// The target of a route that leads to delayed exchanges, and to the queues found besides.
    fn held_target(&mut self, exchanges: DelayedExchanges, delay: &Delay) -> Target {
        let targets = self.routes.targets();
        match delay {
            Delay::For(delay) => Target::Held(Box::new(Holding {
                exchanges,
                targets,
                delay: *delay,
            })),
            // Was refused before.
            Delay::Malformed(_) | Delay::None => Target::Once(targets),
        }
    }

    fn check_properties(
        &self,
        number: u16,
        message: &Message,
        malformed: Option<String>,
    ) -> Result<(), Failure> {
        self.check_reply_address(number, message)?;
        let properties = message.properties();
        if let Some(user) = properties.user_id()
            && user != self.user.name().as_bytes()
            && !self.shared.users.read().is_impersonator(self.user.name())
        {
            return Err(Failure::precondition_failed(format!(
                "user_id property set to '{}' but authenticated user was '{}'",
                String::from_utf8_lossy(user),
                self.user.name()
            )));
        }
        if let Some(expiration) = properties.expiration() {
            parse_expiration(expiration).map_err(|reason| {
                let expiration = String::from_utf8_lossy(expiration);
                Failure::precondition_failed(format!("invalid expiration '{expiration}': {reason}"))
            })?;
        }
        if let Some(text) = malformed {
            return Err(Failure::precondition_failed(text));
        }
        match properties.delivery_mode() {
            None | Some(1 | 2) => Ok(()),
            Some(mode) => Err(Failure::precondition_failed(format!(
                "invalid message: {{delivery_mode_unknown,{mode}}}"
            ))),
        }
    }

    pub(super) fn confirm_select(
        &mut self,
        number: u16,
        select: &confirm::Select,
        output: &mut impl Output,
    ) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&number) else {
            return Ok(());
        };
        match channel.mode {
            Mode::Transaction(_) => {
                return Err(Failure::precondition_failed(
                    "cannot switch from tx to confirm mode".to_owned(),
                ));
            }
            Mode::Plain => channel.mode = Mode::Confirm(Confirms::default()),
            Mode::Confirm(_) => {}
        }
        if !select.nowait {
            let ok = AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {}));
            self.emit(number, Held::Reply(Ticket::NONE, ok), output);
        }
        Ok(())
    }
}

/// The keys that the CC and BCC headers of a message add; the text of the 406 for a malformed one.
pub(super) fn extra_keys(message: &Message) -> Result<ExtraKeys<'_>, String> {
    let mut keys = ExtraKeys::new();
    if let Some(headers) = message.properties().headers() {
        add_keys("CC", &headers, &mut keys)?;
        add_keys("BCC", &headers, &mut keys)?;
    }
    Ok(keys)
}

/// The keys of a CC or BCC header: long strings in an array, others are passed over
///.
fn add_keys<'a>(
    name: &str,
    headers: &leveret_wire::RawTable<'a>,
    keys: &mut ExtraKeys<'a>,
) -> Result<(), String> {
    match headers.get(name.as_bytes()) {
        None => Ok(()),
        Some(RawValue::Array(array)) => {
            keys.extend(array.iter().filter_map(|value| match value {
                RawValue::LongString(key) => Some(key),
                _ => None,
            }));
            Ok(())
        }
        Some(other) => Err(format!(
            "invalid message: {{unacceptable_type_in_header,\"{name}\",{}}}",
            other.type_name()
        )),
    }
}

/// The BCC header is for the broker alone.
pub(super) fn without_bcc(message: Message) -> Message {
    let Some(headers) = message.properties().headers() else {
        return message;
    };
    if headers.get(b"BCC").is_none() {
        return message;
    }
    let mut kept = FieldTable::default();
    for (name, value) in headers.to_field_table().inner() {
        if name.as_str() != "BCC" {
            kept.insert(name.clone(), value.clone());
        }
    }
    let mut content = Vec::new();
    leveret_wire::encode_table(&kept, &mut content);
    match leveret_wire::rewrite_headers(message.header(), Some(&content)) {
        Ok(header) => message.with_header(&header),
        Err(_) => message,
    }
}
