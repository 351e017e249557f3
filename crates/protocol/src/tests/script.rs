//! A script: frames go in, events and frames come out, the clock moves when told to.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::BytesMut;
use leveret_wire::{
    FRAME_OVERHEAD, FrameKind, cut,
    method::{
        AMQPClass, channel,
        connection::{self, AMQPMethod},
    },
    parse_method,
};

use super::frames;
use crate::{Config, Connection, Event};

/// What the script's client can do unless a test says otherwise.
pub(super) const ALL_CAPABILITIES: &[&str] = &[
    "authentication_failure_close",
    "basic.nack",
    "connection.blocked",
    "consumer_cancel_notify",
    "publisher_confirms",
];

/// One frame that the machine has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) kind: FrameKind,
    pub(super) channel: u16,
    pub(super) payload: Vec<u8>,
}

/// A machine with its peer, and the time.
pub(super) struct Script {
    pub(super) connection: Connection,
    pub(super) input: BytesMut,
    pub(super) now: Duration,
    events: VecDeque<Event>,
    written: VecDeque<Written>,
    /// Octets written that are no whole frame, such as a protocol header.
    pub(super) octets: Vec<u8>,
}

impl Script {
    pub(super) fn with_config(config: Config) -> Self {
        // An origin other than zero, so that nothing depends on it.
        let now = Duration::from_secs(1_000);
        Self {
            connection: Connection::new(Arc::new(config), now),
            input: BytesMut::new(),
            now,
            events: VecDeque::new(),
            written: VecDeque::new(),
            octets: Vec::new(),
        }
    }

    pub(super) fn new() -> Self {
        Self::with_config(Config::default())
    }

    /// `start` has been received.
    pub(super) fn started() -> Self {
        let mut script = Self::new();
        script.sends(frames::PROTOCOL_HEADER);
        script.expect_start();
        script
    }

    /// `tune` has been received.
    pub(super) fn tuning(config: Config) -> Self {
        let mut script = Self::with_config(config);
        script.sends(frames::PROTOCOL_HEADER);
        script.expect_start();
        script.sends(&frames::start_ok(
            "PLAIN",
            b"\0guest\0guest",
            ALL_CAPABILITIES,
        ));
        assert_eq!(script.event_text(), "login guest by PLAIN");
        script.connection.accept_login(script.now);
        script.flush();
        assert!(matches!(
            script.next_connection_method(),
            AMQPMethod::Tune(_)
        ));
        script
    }

    /// `open-ok` has been received.
    pub(super) fn opened(config: Config, tune_ok: &[u8]) -> Self {
        let mut script = Self::tuning(config);
        script.sends(tune_ok).sends(&frames::open("/"));
        assert_eq!(script.event_text(), "open /");
        script.connection.accept_open();
        script.flush();
        assert!(matches!(
            script.next_connection_method(),
            AMQPMethod::OpenOk(_)
        ));
        script.expect_quiet();
        script
    }

    /// Channel 1 is open; no heartbeats.
    pub(super) fn running() -> Self {
        let mut script = Self::opened(Config::default(), &frames::tune_ok(2_047, 131_072, 0));
        script.opens(1);
        script
    }

    /// As [`Self::running`] with heartbeats.
    pub(super) fn beating(secs: u16) -> Self {
        Self::opened(Config::default(), &frames::tune_ok(2_047, 131_072, secs))
    }

    pub(super) fn opens(&mut self, channel: u16) -> &mut Self {
        self.sends(&frames::channel_open(channel));
        assert_eq!(self.event_text(), format!("channel {channel} opened"));
        self.expect_method(
            channel,
            &channel::AMQPMethod::OpenOk(channel::OpenOk {}).into_class(),
        );
        self
    }

    /// The client sends octets; the machine is polled until it gives nothing more.
    pub(super) fn sends(&mut self, octets: &[u8]) -> &mut Self {
        self.input.extend_from_slice(octets);
        self.poll()
    }

    pub(super) fn poll(&mut self) -> &mut Self {
        while let Some(event) = self.connection.poll_event(&mut self.input, self.now) {
            // The owner has room for any channel.
            if let Event::ChannelOpened(channel) = event {
                self.connection.accept_channel_open(channel);
            }
            self.events.push_back(event);
        }
        self.flush()
    }

    /// What the machine has written goes out to the client.
    pub(super) fn flush(&mut self) -> &mut Self {
        let octets = frames::drain(self.connection.output());
        if !octets.is_empty() {
            self.connection.note_written(self.now);
        }
        self.octets.extend(octets);
        while let Ok(Some(frame)) = cut(&self.octets, u32::MAX) {
            let len = frame.payload.len() + FRAME_OVERHEAD;
            self.written.push_back(Written {
                kind: frame.kind,
                channel: frame.channel,
                payload: frame.payload.to_vec(),
            });
            self.octets.drain(..len);
        }
        self
    }

    /// Time passes, in steps from deadline to deadline as an owner would take them.
    pub(super) fn advance(&mut self, secs: f64) -> &mut Self {
        let until = self.now + Duration::from_secs_f64(secs);
        while let Some(deadline) = self.connection.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(deadline);
            self.events.extend(self.connection.handle_timeout(self.now));
            self.flush();
        }
        self.now = until;
        self
    }

    /// The next event in a few words.
    pub(super) fn event_text(&mut self) -> String {
        self.events
            .pop_front()
            .map_or_else(|| "no event".to_owned(), |event| describe(&event))
    }

    pub(super) fn event(&mut self) -> Event {
        self.events.pop_front().expect("an event")
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    pub(super) fn next_written(&mut self) -> Written {
        self.written.pop_front().expect("a frame")
    }

    pub(super) fn next_method(&mut self) -> (u16, AMQPClass) {
        let Written {
            kind,
            channel,
            payload,
        } = self.next_written();
        assert_eq!(kind, FrameKind::Method);
        (channel, parse_method(&payload).expect("a method"))
    }

    pub(super) fn next_connection_method(&mut self) -> AMQPMethod {
        match self.next_method() {
            (0, AMQPClass::Connection(method)) => method,
            other => panic!("{other:?} is not a method of the connection"),
        }
    }

    pub(super) fn expect_start(&mut self) -> connection::Start {
        match self.next_connection_method() {
            AMQPMethod::Start(start) => start,
            other => panic!("{other:?} is not start"),
        }
    }

    pub(super) fn expect_method(&mut self, channel: u16, expected: &AMQPClass) -> &mut Self {
        assert_eq!(self.next_method(), (channel, expected.clone()));
        self
    }

    /// `connection.close` with these arguments was written.
    pub(super) fn expect_close(
        &mut self,
        code: u16,
        text: &str,
        class: u16,
        method: u16,
    ) -> &mut Self {
        let AMQPMethod::Close(close) = self.next_connection_method() else {
            panic!("close was expected");
        };
        let got = (
            close.reply_code,
            close.reply_text.as_str(),
            close.class_id,
            close.method_id,
        );
        assert_eq!(got, (code, text, class, method));
        self
    }

    /// The machine failed the connection, told the client, and nothing else happened.
    pub(super) fn expect_hard_error(
        &mut self,
        code: u16,
        text: &str,
        class: u16,
        method: u16,
    ) -> &mut Self {
        assert_eq!(self.event_text(), format!("failed: {code} {text}"));
        self.expect_close(code, text, class, method);
        self.expect_quiet()
    }

    /// The machine failed the connection without a word, and ends it after three seconds.
    pub(super) fn expect_silent_drop(&mut self) -> &mut Self {
        let event = self.event_text();
        assert!(event.starts_with("failed: "), "{event}");
        self.expect_quiet();
        assert!(!self.connection.is_finished());
        self.advance(2.9).expect_quiet();
        self.advance(0.1);
        assert_eq!(self.event_text(), "closed");
        assert!(self.connection.is_finished());
        assert!(!self.connection.may_linger(), "there is nothing to be read");
        self.expect_quiet()
    }

    /// `channel.close` with these arguments was written.
    pub(super) fn expect_channel_close(
        &mut self,
        channel: u16,
        code: u16,
        text: &str,
        class: u16,
        method: u16,
    ) -> &mut Self {
        match self.next_method() {
            (number, AMQPClass::Channel(channel::AMQPMethod::Close(close))) => {
                let got = (number, close.reply_code, close.reply_text.as_str());
                assert_eq!(got, (channel, code, text));
                assert_eq!((close.class_id, close.method_id), (class, method));
            }
            other => panic!("{other:?} is not channel.close"),
        }
        self
    }

    /// No event, no frame, no stray octet.
    pub(super) fn expect_quiet(&mut self) -> &mut Self {
        assert_eq!(self.event_text(), "no event");
        assert_eq!(self.written.pop_front(), None);
        assert_eq!(self.octets, b"");
        self
    }

    /// All that has happened so far, in words.
    pub(super) fn transcript(&mut self) -> (Vec<String>, Vec<Written>, Vec<u8>) {
        let events = self
            .events
            .drain(..)
            .map(|event| describe(&event))
            .collect();
        (
            events,
            self.written.drain(..).collect(),
            std::mem::take(&mut self.octets),
        )
    }
}

/// The class a method belongs to.
pub(super) trait IntoClass {
    fn into_class(self) -> AMQPClass;
}

impl IntoClass for channel::AMQPMethod {
    fn into_class(self) -> AMQPClass {
        AMQPClass::Channel(self)
    }
}

/// An event in a few words, with all it carries.
pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::Ack(channel, ack) => format!(
            "channel {channel} ack {} {}",
            ack.delivery_tag, ack.multiple
        ),
        Event::ChannelClose(channel) => format!("channel {channel} close"),
        Event::ChannelClosed(channel) => format!("channel {channel} closed"),
        Event::ChannelFailed(channel, error) => {
            format!("channel {channel} failed: {} {error}", error.code.as_u16())
        }
        Event::ChannelOpened(channel) => format!("channel {channel} opened"),
        Event::Close => "close".to_owned(),
        Event::Closed => "closed".to_owned(),
        Event::ConnectionFailed(error) => format!("failed: {} {error}", error.code.as_u16()),
        Event::Login(credentials) => match credentials {
            crate::Credentials::Password {
                mechanism, user, ..
            } => format!("login {user} by {mechanism}"),
            other => format!("login by {}", other.mechanism()),
        },
        Event::Lost(reason) => format!("lost: {reason:?}"),
        Event::Method(channel, method) => format!("channel {channel} {method:?}"),
        Event::Nack(channel, nack) => {
            format!(
                "channel {channel} nack {} {} {}",
                nack.delivery_tag, nack.multiple, nack.requeue
            )
        }
        Event::Open { vhost } => format!("open {vhost}"),
        Event::Publish(channel, publish) => {
            let message = &publish.message;
            format!(
                "channel {channel} publish {}/{} {} {}: {:?} {}",
                String::from_utf8_lossy(message.exchange()),
                String::from_utf8_lossy(message.routing_key()),
                publish.mandatory,
                publish.immediate,
                message.header(),
                String::from_utf8_lossy(message.body()),
            )
        }
        Event::Reject(channel, reject) => {
            format!(
                "channel {channel} reject {} {}",
                reject.delivery_tag, reject.requeue
            )
        }
        Event::UpdateSecret { secret, reason } => {
            format!(
                "secret {}: {reason}",
                String::from_utf8_lossy(secret.expose())
            )
        }
    }
}
