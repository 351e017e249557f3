//! What the protocol machine recognised, turned into calls on the session: the one place where
//! a client's command becomes the broker's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use leveret_broker::{ConnectionDetails, OpenRefused, Peer, User};
use leveret_protocol::{ConnectionError, Credentials, Event, LostReason};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::{End, Link};

/// Messages that take milliseconds: longer than it takes to give a thread's tasks to another one.
const VERY_MANY: usize = 10_000;

impl Link<'_> {
    /// Work off what was read, then give it to the queues in one go.
    pub(super) fn work_off(&mut self, input: &mut BytesMut, now: Duration) {
        self.unparsed = false;
        while let Some(event) = self.machine.poll_event(input, now) {
            // A lost connection shows in the machine's state; the caller looks at it.
            if self.handle(event, now).is_err() {
                break;
            }
            // Short commands can have long answers: the rest waits until these are written.
            if self.machine.output().len() >= self.node.output_max {
                self.unparsed = true;
                break;
            }
        }
        // What an alarm has stopped stands in the rest, and waits for no octet of the socket. To be noted now: the alarm
        // may be over before anything else is looked at.
        // Once the end has begun nothing is stopped any more, and the close-ok has to be read off the socket.
        let reads_on = self.machine.wants_input();
        self.unparsed |= self.machine.is_blocked() && !reads_on && !self.machine.is_closing();
        self.count_aside();
        if let Some(session) = &mut self.session
            && let Err(error) = session.flush(&mut self.machine)
        {
            self.fail(&error, now);
        }
    }

    /// Act on one event.
    #[inline]
    pub(super) fn handle(&mut self, event: Event, now: Duration) -> Result<(), End> {
        let Some(session) = &mut self.session else {
            return self.handle_handshake(event, now);
        };
        let machine = &mut self.machine;
        let done = match event {
            Event::Publish(channel, publish) => session.publish(channel, publish, machine),
            Event::Ack(channel, ack) => session.ack(channel, ack, machine),
            Event::Nack(channel, nack) => {
                let most = session.outstanding(Some(channel));
                at_length(most, || session.nack(channel, nack, machine))
            }
            Event::Reject(channel, reject) => session.reject(channel, reject, machine),
            Event::Method(channel, method) => session.execute(channel, method, machine),
            Event::ChannelOpened(channel) => session.open_channel(channel, machine),
            Event::ChannelClose(channel) => {
                let most = session.outstanding(Some(channel));
                at_length(most, || session.close_channel(channel, machine))
            }
            Event::ChannelFailed(channel, error) => {
                tracing::warn!(
                    peer = %self.peer, user = %session.user().name(), vhost = %session.vhost().name(), channel,
                    "channel error: {error}"
                );
                session.channel_failed(channel, machine)
            }
            Event::Close => {
                let flushed = session.flush(machine);
                self.close_pending = true;
                self.answer_close(now);
                flushed
            }
            Event::ConnectionFailed(error) => {
                self.log_failure(&error);
                self.end_session();
                Ok(())
            }
            Event::UpdateSecret { .. } => {
                // A password user has no token to renew; RabbitMQ accepts it all the same.
                machine.accept_secret();
                Ok(())
            }
            Event::Lost(reason) => return Err(End::Lost(reason)),
            // The session had done with a closed channel when it was told to close it.
            Event::ChannelClosed(_) | Event::Closed | Event::Login(_) | Event::Open { .. } => {
                Ok(())
            }
        };
        if let Err(error) = done {
            self.fail(&error, now);
        }
        Ok(())
    }

    fn handle_handshake(&mut self, event: Event, now: Duration) -> Result<(), End> {
        match event {
            Event::Login(credentials) => self.login(&credentials, now),
            Event::Open { vhost } => self.open(&vhost, now),
            Event::ConnectionFailed(error) => self.log_failure(&error),
            Event::Lost(reason) => {
                if let LostReason::UnsupportedProtocol { header } = &reason {
                    self.log_foreign(*header);
                }
                return Err(End::Lost(reason));
            }
            Event::Close => self.machine.accept_close(now),
            Event::ChannelClose(channel) => self.machine.accept_channel_close(channel),
            // Left over from before a session ended: nothing is there to act on it.
            _ => {}
        }
        Ok(())
    }

    fn login(&mut self, credentials: &Credentials, now: Duration) {
        let mechanism = credentials.mechanism();
        let logins = &self.node.failed_logins;
        if !logins.may_try(self.peer.ip(), now) {
            self.node
                .churn
                .logins_throttled
                .fetch_add(1, Ordering::Relaxed);
            let reason = "too many logins from its address have failed";
            return self.refuse_login(mechanism, "", reason, now);
        }
        let (user, checked) = match (credentials, &self.certificate_name) {
            (Credentials::Password { user, password, .. }, _) => {
                let checked = self.check_password(user, password.expose());
                (user.clone(), checked)
            }
            (Credentials::External, Some(user)) => {
                let broker = &self.node.broker;
                let checked = broker.login_external(user, self.from_loopback);
                (user.clone(), checked.map_err(|refused| refused.to_string()))
            }
            _ => {
                let reason = "the mechanism is not offered";
                return self.refuse_login(mechanism, "", reason, now);
            }
        };
        match checked {
            Ok(user) => {
                self.node
                    .churn
                    .logins_succeeded
                    .fetch_add(1, Ordering::Relaxed);
                tracing::info!(peer = %self.peer, user = %user.name(), mechanism, "authenticated");
                self.user = Some(Arc::new(user));
                self.machine.accept_login(now);
            }
            Err(reason) => {
                logins.note_failure(self.peer.ip(), now);
                self.refuse_login(mechanism, &user, &reason, now);
            }
        }
    }

    fn check_password(&self, user: &str, password: &[u8]) -> Result<User, String> {
        let Ok(password) = std::str::from_utf8(password) else {
            return Err("the password is not UTF-8".to_owned());
        };
        let broker = &self.node.broker;
        broker
            .login(user, password, self.from_loopback)
            .map_err(|refused| refused.to_string())
    }

    fn refuse_login(&mut self, mechanism: &str, user: &str, reason: &str, now: Duration) {
        self.node
            .churn
            .logins_failed
            .fetch_add(1, Ordering::Relaxed);
        tracing::warn!(peer = %self.peer, user = ?user, mechanism, reason, "login refused");
        self.machine.refuse_login(mechanism, now);
    }

    fn open(&mut self, vhost: &str, now: Duration) {
        let Some(user) = self.user.clone() else {
            return;
        };
        let details = ConnectionDetails {
            client_properties: (&self.machine.take_client_properties()).into(),
            mechanism: self.machine.mechanism().to_owned(),
            frame_max: self.machine.frame_max(),
            channel_max: self.machine.channel_max(),
            heartbeat: u16::try_from(self.machine.heartbeat().as_secs()).unwrap_or(u16::MAX),
            tls: self.stream.is_encrypted(),
            connected_at: self.node.time.now(),
        };
        let peer = Peer {
            name: self.name.clone(),
            consumer_cancel_notify: self.machine.capabilities().consumer_cancel_notify,
            details: Arc::new(details),
        };
        match self
            .node
            .broker
            .open_session(Arc::clone(&user), vhost, peer)
        {
            Ok(session) => {
                tracing::info!(peer = %self.peer, user = %user.name(), vhost = ?vhost, "connection opened");
                self.session = Some(session);
                self.machine.accept_open();
            }
            Err(refused) => {
                let mut error = ConnectionError::not_allowed(&refused);
                error.limit = refused.limit();
                let error = match refused {
                    OpenRefused::NoVhost(_)
                    | OpenRefused::NoAccess { .. }
                    | OpenRefused::UserFull { .. }
                    | OpenRefused::VhostFull { .. }
                    | OpenRefused::TooManyConnections(_) => error.at(10, 40),
                };
                self.log_failure(&error);
                self.machine.close(&error, now);
            }
        }
    }

    /// Answer the client's connection.close once all earlier replies are out. Its exclusive queues
    /// are gone before it hears of it.
    pub(super) fn answer_close(&mut self, now: Duration) {
        if self.close_pending
            && self
                .session
                .as_ref()
                .is_none_or(leveret_broker::Session::is_settled)
        {
            self.close_pending = false;
            self.end_session();
            self.machine.accept_close(now);
        }
    }

    /// End the connection with a hard error of the broker's.
    pub(super) fn fail(&mut self, error: &ConnectionError, now: Duration) {
        self.log_failure(error);
        self.end_session();
        self.machine.close(error, now);
    }

    pub(super) fn end_session(&mut self) {
        if let Some(session) = self.session.take() {
            at_length(session.outstanding(None), || session.close());
        }
    }

    /// The peer's first octets are no header of AMQP's.
    fn log_foreign(&self, header: [u8; 8]) {
        let peer = self.peer;
        if is_tls(header) {
            tracing::warn!(%peer, "connection refused: TLS on a port for plain text");
        } else {
            let header = header.escape_ascii().to_string();
            tracing::warn!(%peer, header, "connection refused: no AMQP 0-9-1");
        }
    }

    fn log_failure(&self, error: &ConnectionError) {
        let user = self.user.as_ref().map_or("", |user| user.name());
        let vhost = self
            .session
            .as_ref()
            .map_or("", |session| session.vhost().name());
        tracing::warn!(peer = %self.peer, user, vhost, "connection error: {error}");
    }

    pub(super) fn log_end(&self, end: &End) {
        let peer = self.peer;
        let user = self.user.as_ref().map_or("", |user| user.name());
        match end {
            End::Closed => tracing::info!(%peer, user, "connection closed"),
            // A health check connects and goes; nobody wants to read of it.
            End::PeerGone if !self.machine.has_received() => {
                tracing::debug!(%peer, "connection closed before any octet");
            }
            End::PeerGone => {
                tracing::warn!(%peer, user, "connection closed: the peer closed the socket unexpectedly");
            }
            End::Lost(LostReason::HeartbeatMissed) => {
                tracing::warn!(%peer, user, "connection closed: no heartbeat from the peer");
            }
            End::Lost(reason) => tracing::warn!(%peer, user, "connection closed: {reason:?}"),
            End::Failed(error) => {
                tracing::warn!(%peer, user, %error, "connection closed: the socket failed");
            }
            End::Stopping => tracing::info!(%peer, user, "connection closed: the broker stops"),
            End::WriteStalled => {
                tracing::warn!(%peer, user, "connection closed: the peer reads nothing");
            }
        }
    }
}

/// Do what may concern so many messages. If these are very many, the thread's other tasks, and the sockets that it
/// watches, are given to another thread first.
fn at_length<T>(messages: usize, work: impl FnOnce() -> T) -> T {
    let has_others = || Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if messages >= VERY_MANY && has_others() {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Whether a client's first octets are those of a TLS handshake (RFC 8446, 5.1): type and version of a record.
fn is_tls(header: [u8; 8]) -> bool {
    header.starts_with(&[22, 3])
}
