//! The end of a connection, whoever began it.
//!
//! After a close of ours everything is ignored but the peer's `close-ok` (the end) and its own
//! `close` (which gets its `close-ok`, as both sides may have begun at once).

use std::time::Duration;

use leveret_wire::{
    Frame, FrameKind,
    method::{
        AMQPClass,
        connection::{AMQPMethod, Close, CloseOk},
    },
    parse_method,
};

use super::{Connection, Phase};
use crate::{error::ConnectionError, event::Event, limit::Limit};

impl Connection {
    /// Ends the connection with an error of the broker's, or by force (320). Everything of the peer's
    /// is ignored from now on. Before `tune` nothing can be sent, so the connection just finishes.
    /// Without effect once an end has begun.
    pub fn close(&mut self, error: &ConnectionError, now: Duration) {
        match self.phase {
            Phase::Header | Phase::Starting | Phase::Authenticating => {
                self.count_limit(error.limit);
                self.phase = Phase::Finished;
            }
            Phase::Tuning | Phase::Opening | Phase::VhostPending | Phase::Running => {
                self.send_close(error, now);
            }
            Phase::PeerClosing { .. }
            | Phase::Closing { .. }
            | Phase::Ending { .. }
            | Phase::Finished => {}
        }
    }

    /// The owner has cleaned up after the client's close: `close-ok` goes out, and the client is
    /// given time to end the TCP connection. Without effect unless a close is pending.
    pub fn accept_close(&mut self, now: Duration) {
        let Phase::PeerClosing { deaf } = self.phase else {
            return;
        };
        self.send_connection_method(AMQPMethod::CloseOk(CloseOk {}));
        self.begin_closing(now);
        if deaf {
            self.stop_parsing(now);
        }
    }

    /// The machine's own hard error. A peer that has not come as far as tune-ok is not told.
    pub(super) fn fail(&mut self, error: ConnectionError, now: Duration) -> Event {
        if matches!(self.phase, Phase::Opening | Phase::Running) {
            self.send_close(&error, now);
        } else {
            self.count_limit(error.limit);
            self.phase = Phase::Ending {
                until: now + self.config.failure_delay,
            };
        }
        Event::ConnectionFailed(error)
    }

    /// Sends `connection.close` and waits for the answer.
    pub(super) fn send_close(&mut self, error: &ConnectionError, now: Duration) {
        self.count_limit(error.limit);
        self.send_close_method(error);
        self.begin_closing(now);
    }

    /// A limit was met, or none.
    pub(super) fn count_limit(&self, limit: Option<Limit>) {
        if let Some(limit) = limit {
            self.config.limits_met.count(limit);
        }
    }

    pub(super) fn send_close_method(&mut self, error: &ConnectionError) {
        self.send_connection_method(AMQPMethod::Close(Close {
            reply_code: error.code.as_u16(),
            reply_text: error.short_text(),
            class_id: error.class,
            method_id: error.method,
        }));
        self.may_linger = true;
    }

    /// The peer's last word is awaited: not longer than a heartbeat interval, if there is one.
    fn begin_closing(&mut self, now: Duration) {
        let interval = self.heartbeat.interval();
        let wait = if interval.is_zero() {
            self.config.close_timeout
        } else {
            self.config.close_timeout.min(interval)
        };
        self.channels.clear();
        self.may_linger = true;
        self.phase = Phase::Closing { until: now + wait };
    }

    /// Nothing that comes makes sense any more: the end comes soon, whatever the peer says.
    pub(super) fn stop_parsing(&mut self, now: Duration) {
        match &mut self.phase {
            Phase::Closing { until } => {
                let until = (*until).min(now + self.config.failure_delay);
                self.phase = Phase::Ending { until };
            }
            Phase::PeerClosing { deaf } => *deaf = true,
            _ => {}
        }
    }

    /// A frame after the end has begun.
    pub(super) fn on_closing_frame(&mut self, frame: &Frame<'_>) -> Option<Event> {
        if frame.kind != FrameKind::Method || frame.channel != 0 {
            return None;
        }
        match parse_method(frame.payload) {
            Ok(AMQPClass::Connection(AMQPMethod::Close(_))) => {
                self.send_connection_method(AMQPMethod::CloseOk(CloseOk {}));
                None
            }
            Ok(AMQPClass::Connection(AMQPMethod::CloseOk(_))) => match self.phase {
                Phase::Closing { .. } => {
                    self.phase = Phase::Finished;
                    Some(Event::Closed)
                }
                _ => None,
            },
            // What does not decode is ignored like the rest.
            Ok(_) | Err(_) => None,
        }
    }
}
