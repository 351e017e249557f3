//! What happens because time passes.

use std::time::Duration;

use bytes::BytesMut;
use leveret_wire::{FrameHeader, encode_heartbeat};

use super::{Connection, Phase};
use crate::{
    error::ConnectionError,
    event::{Event, LostReason},
    heartbeat::Due,
    limit::Limit,
};

impl Connection {
    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` is never. It changes
    /// with every other call.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Header
            | Phase::Starting
            | Phase::Authenticating
            | Phase::Tuning
            | Phase::Opening
            | Phase::VhostPending => Some(self.handshake_until),
            Phase::Running => earliest(self.heartbeat.deadline(), self.stall_deadline()),
            Phase::PeerClosing { .. } => self.heartbeat.deadline(),
            Phase::Closing { until } | Phase::Ending { until } => Some(until),
            Phase::Finished => None,
        }
    }

    /// Does what is due at `now`; nothing if it is called early. A heartbeat may stand in the output
    /// afterwards.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<Event> {
        match self.phase {
            Phase::Running => self
                .handle_heartbeat(now)
                .or_else(|| self.handle_stall(now)),
            Phase::PeerClosing { .. } => self.handle_heartbeat(now),
            Phase::Closing { until } if until <= now => Some(self.lose(LostReason::CloseTimeout)),
            Phase::Ending { until } if until <= now => {
                self.phase = Phase::Finished;
                Some(Event::Closed)
            }
            Phase::Closing { .. } | Phase::Ending { .. } | Phase::Finished => None,
            _ if self.handshake_until <= now => {
                let nothing_received = !self.heard;
                Some(self.lose(LostReason::HandshakeTimeout { nothing_received }))
            }
            _ => None,
        }
    }

    /// Octets of the output, or others of this connection's, were written to the peer at `now`: the
    /// next heartbeat can wait.
    #[inline]
    pub fn note_written(&mut self, now: Duration) {
        self.heartbeat.note_written(now);
    }

    /// The owner stops reading the socket for reasons of its own (its buffers are full): the peer's
    /// silence is not held against it until [`resume_reading`](Self::resume_reading).
    pub fn pause_reading(&mut self) {
        self.reading_paused = true;
    }

    /// The owner reads the socket again.
    pub fn resume_reading(&mut self) {
        if std::mem::take(&mut self.reading_paused) {
            self.excuse_silence();
        }
    }

    /// The peer could not be heard up to now: it gets its full time from here on.
    pub(super) fn excuse_silence(&mut self) {
        self.heartbeat.note_heard();
        self.progress_stale = true;
    }

    /// The clocks of half-received content start anew.
    pub(super) fn restart_progress(&mut self, now: Duration) {
        // What was set aside has to be put back first, which the next poll does.
        self.progress_stale = self.has_aside();
        self.channels.restart_progress(now);
    }

    /// The input ends within a frame. If octets came, the content the frame belongs to progresses.
    pub(super) fn note_partial_frame(&mut self, input: &BytesMut, now: Duration) {
        if std::mem::take(&mut self.fresh)
            && let Some(header) = FrameHeader::parse(input)
        {
            self.channels
                .update_content(header.channel, |content| content.progress_at = now);
        }
    }

    /// Whether the peer could be heard if it said something.
    fn listens(&self) -> bool {
        self.wants_input() && !self.reading_paused
    }

    fn handle_heartbeat(&mut self, now: Duration) -> Option<Event> {
        if !self.listens() {
            self.heartbeat.note_heard();
        }
        match self.heartbeat.due(now) {
            Due::Lost => return Some(self.lose(LostReason::HeartbeatMissed)),
            // With octets waiting the peer has something to read already, and a peer that reads
            // nothing must not gather heartbeats.
            Due::Send if self.output.is_empty() => encode_heartbeat(&mut self.output),
            Due::Send | Due::Nothing => {}
        }
        None
    }

    fn handle_stall(&mut self, now: Duration) -> Option<Event> {
        let (channel, progress_at) = self.channels.oldest_progress()?;
        if progress_at + self.config.content_stall > now {
            return None;
        }
        if !self.listens() || self.progress_stale || self.is_blocked() {
            self.restart_progress(now);
            return None;
        }
        let stall = self.config.content_stall.as_secs();
        let error = ConnectionError::resource_error(format_args!(
            "content on channel {channel} made no progress for {stall} s"
        ))
        .over(Limit::ContentStall);
        let (class, method) = self.channels.content(channel)?.opened_by;
        Some(self.fail(error.at(class, method), now))
    }

    /// When half-received content has stood still for too long.
    fn stall_deadline(&self) -> Option<Duration> {
        let (_, progress_at) = self.channels.oldest_progress()?;
        Some(progress_at + self.config.content_stall)
    }

    fn lose(&mut self, reason: LostReason) -> Event {
        if matches!(reason, LostReason::HandshakeTimeout { .. }) {
            self.count_limit(Some(Limit::HandshakeTimeout));
        }
        self.phase = Phase::Finished;
        Event::Lost(reason)
    }
}

fn earliest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
