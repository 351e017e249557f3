//! From the protocol header to `open-ok`: one expected method at a time, heartbeats ignored. Up to
//! tune-ok, whoever sends anything else gets silence and, after a delay, the end of the TCP
//! connection: a peer that has not logged in is not talked to.

use std::time::Duration;

use leveret_wire::{
    Frame, FrameKind, LongString,
    method::{
        AMQPClass,
        connection::{AMQPMethod, Open, OpenOk, Start, StartOk, Tune, TuneOk},
    },
    parse_method,
};

use super::{Connection, Phase, undecodable, unexpected};
use crate::{
    config::Config,
    credentials::{self, Unreadable},
    error::ConnectionError,
    event::{Event, LostReason},
    heartbeat::Heartbeat,
    negotiation::{
        ClientCapabilities, PROTOCOL_HEADER, check_tune_ok, is_served, with_capabilities,
    },
};

/// The only locale; what the client answers is ignored.
const LOCALES: &str = "en_US";

impl Connection {
    /// The client's first eight octets: `start` goes out, or the header that is served.
    pub(super) fn on_protocol_header(&mut self, header: [u8; 8]) -> Option<Event> {
        if !is_served(header) {
            self.output.put_slice(&PROTOCOL_HEADER);
            self.phase = Phase::Finished;
            self.may_linger = true;
            return Some(Event::Lost(LostReason::UnsupportedProtocol { header }));
        }
        let start = AMQPMethod::Start(Start {
            version_major: 0,
            version_minor: 9,
            server_properties: with_capabilities(self.config.server_properties.clone()),
            mechanisms: LongString::from(self.config.mechanisms.join(" ")),
            locales: LongString::from(LOCALES),
        });
        self.send_connection_method(start);
        self.phase = Phase::Starting;
        None
    }

    pub(super) fn on_handshake_frame(&mut self, frame: &Frame<'_>, now: Duration) -> Option<Event> {
        match (frame.kind, frame.channel) {
            (FrameKind::Heartbeat, 0) => return None,
            (FrameKind::Method, 0) => {}
            _ => return Some(self.fail(unexpected(frame), now)),
        }
        let method = match parse_method(frame.payload) {
            Ok(method) => method,
            Err(error) => return Some(self.fail(undecodable(&error), now)),
        };
        match (self.phase, method) {
            (Phase::Starting, AMQPClass::Connection(AMQPMethod::StartOk(start_ok))) => {
                Some(self.on_start_ok(start_ok, now))
            }
            (Phase::Tuning, AMQPClass::Connection(AMQPMethod::TuneOk(tune_ok))) => {
                self.on_tune_ok(&tune_ok, now)
            }
            (Phase::Opening, AMQPClass::Connection(AMQPMethod::Open(open))) => {
                Some(self.on_open(open))
            }
            (phase, method) => {
                let state = match phase {
                    Phase::Tuning => "tuning",
                    Phase::Opening => "opening",
                    _ => "starting",
                };
                let error = unexpected_method(state).at_method(&method);
                Some(self.fail(error, now))
            }
        }
    }

    fn on_start_ok(&mut self, start_ok: StartOk, now: Duration) -> Event {
        self.capabilities = ClientCapabilities::from_properties(&start_ok.client_properties);
        self.client_properties = start_ok.client_properties;
        self.mechanism = start_ok.mechanism.into();
        if !self.config.mechanisms.contains(&self.mechanism) {
            return self.fail_login(Unreadable::UnknownMechanism, now);
        }
        match credentials::read(&self.mechanism, start_ok.response.as_bytes()) {
            Ok(credentials) => {
                self.phase = Phase::Authenticating;
                Event::Login(credentials)
            }
            Err(unreadable) => self.fail_login(unreadable, now),
        }
    }

    /// No login can be tried with what the client sent.
    fn fail_login(&mut self, unreadable: Unreadable, now: Duration) -> Event {
        let mechanism = self.mechanism.clone();
        let error = match unreadable {
            Unreadable::UnknownMechanism => ConnectionError::command_invalid(format_args!(
                "unknown authentication mechanism '{mechanism}'"
            )),
            Unreadable::Malformed => {
                ConnectionError::syntax_error(format_args!("malformed {mechanism} response"))
            }
            Unreadable::NoSuchUser => {
                self.phase = Phase::Authenticating;
                self.refuse_login(&mechanism, now);
                return Event::ConnectionFailed(login_refused(&mechanism));
            }
        };
        self.fail(error.at(10, 11), now)
    }

    /// The credentials are good: `tune` goes out. Without effect unless a login is pending.
    pub fn accept_login(&mut self, _now: Duration) {
        if self.phase == Phase::Authenticating {
            let tune = self.tune_offer();
            self.send_connection_method(AMQPMethod::Tune(tune));
            self.phase = Phase::Tuning;
        }
    }

    /// The credentials are bad, or the user may not log in from where it is: a 403 goes out if the
    /// client can take one, else nothing. The TCP connection ends after the failure delay either way.
    /// Without effect unless a login is pending.
    pub fn refuse_login(&mut self, mechanism: &str, now: Duration) {
        if self.phase != Phase::Authenticating {
            return;
        }
        if self.capabilities.authentication_failure_close {
            self.send_close_method(&login_refused(mechanism));
        }
        self.phase = Phase::Ending {
            until: now + self.config.failure_delay,
        };
    }

    fn tune_offer(&self) -> Tune {
        Tune {
            channel_max: self.config.channel_max,
            frame_max: match self.config.frame_max {
                0 => Config::FRAME_MAX,
                frame_max => frame_max,
            },
            heartbeat: self.config.heartbeat,
        }
    }

    fn on_tune_ok(&mut self, tune_ok: &TuneOk, now: Duration) -> Option<Event> {
        if let Err(error) = check_tune_ok(&self.tune_offer(), tune_ok) {
            let error = error.at(10, 31);
            self.send_close(&error, now);
            return Some(Event::ConnectionFailed(error));
        }
        self.frame_max = tune_ok.frame_max;
        self.channel_max = tune_ok.channel_max;
        // RabbitMQ forgives clients that forget the eight octets of overhead.
        self.payload_max = tune_ok.frame_max;
        self.heartbeat = Heartbeat::started(tune_ok.heartbeat, now);
        self.phase = Phase::Opening;
        None
    }

    fn on_open(&mut self, open: Open) -> Event {
        self.phase = Phase::VhostPending;
        Event::Open {
            vhost: open.virtual_host.into(),
        }
    }

    /// The client may use the virtual host: `open-ok` goes out and the handshake is over. Without
    /// effect unless an `open` is pending.
    pub fn accept_open(&mut self) {
        if self.phase == Phase::VhostPending {
            self.send_connection_method(AMQPMethod::OpenOk(OpenOk {}));
            self.phase = Phase::Running;
        }
    }
}

/// A legal method at the wrong time.
pub(super) fn unexpected_method(state: &str) -> ConnectionError {
    ConnectionError::channel_error(format_args!(
        "unexpected method in connection state {state}"
    ))
}

/// The text says nothing about the reason, so that names cannot be probed.
fn login_refused(mechanism: &str) -> ConnectionError {
    ConnectionError::access_refused(format_args!(
        "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
    ))
}
