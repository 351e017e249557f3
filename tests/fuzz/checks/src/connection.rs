//! The machine of a connection: frames right, wrong and mutated, with whatever its owner does meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use leveret_protocol::{ChannelError, Config, Connection, ConnectionError, Event};
use leveret_wire::{FRAME_END, FrameHeader, FrameKind, Message, cut};

use crate::allocation::bounded;
use crate::frame::drain;
use crate::input::Input;

/// Octets that one of a peer's may come to: a void in the array of a method's table.
const PER_OCTET: u64 = 192;

/// Actions of one input that are played.
const ACTIONS_MAX: usize = 200;

/// Octets of a piece in which the network brings what is not much longer.
const PIECE: usize = 5;

/// Pieces of one action at most.
const PIECES_MAX: usize = 64;

/// Largest frame of the connections here, in octets.
const FRAME_MAX: u32 = 4096;

/// Every method that a peer may try, with some that only a server sends and one that nobody knows.
const METHODS: [(u16, u16); 46] = [
    (10, 11),
    (10, 21),
    (10, 31),
    (10, 40),
    (10, 50),
    (10, 51),
    (10, 60),
    (10, 61),
    (10, 70),
    (10, 71),
    (20, 10),
    (20, 11),
    (20, 20),
    (20, 21),
    (20, 40),
    (20, 41),
    (40, 10),
    (40, 20),
    (40, 30),
    (40, 40),
    (50, 10),
    (50, 20),
    (50, 30),
    (50, 40),
    (50, 50),
    (60, 10),
    (60, 20),
    (60, 30),
    (60, 40),
    (60, 50),
    (60, 60),
    (60, 70),
    (60, 80),
    (60, 90),
    (60, 100),
    (60, 110),
    (60, 120),
    (85, 10),
    (85, 11),
    (90, 10),
    (90, 20),
    (90, 30),
    (30, 10),
    (60, 31),
    (10, 10),
    (77, 1),
];

/// The input: whether the handshake is over, then actions.
pub fn check(input: &[u8]) {
    let mut choices = Input::new(input);
    let is_running = choices.bool();
    let mut actions = Vec::new();
    while !choices.is_empty() && actions.len() < ACTIONS_MAX {
        actions.push(Action::read(&mut choices));
    }
    let whole = play(is_running, &actions, usize::MAX);
    // However the network cuts the octets, the same things happen.
    let cut = play(is_running, &actions, PIECE);
    assert_eq!(whole, cut);
}

/// What happens next.
enum Action {
    Advance(u16),
    Block,
    Close,
    CloseChannel(u16),
    Deliver(u16, usize),
    Pause(bool),
    Send(Vec<u8>),
    Unblock,
}

impl Action {
    fn read(choices: &mut Input<'_>) -> Self {
        let kind = choices.u8();
        match kind % 24 {
            0 => Self::Send(choices.sized().to_vec()),
            1 => Self::Send(frame(choices.u8(), choices.u16(), choices.sized())),
            2 | 3 => {
                let (class, method) = METHODS[usize::from(choices.u8()) % METHODS.len()];
                let number = channel(choices);
                Self::Send(method_frame(number, class, method, choices.sized()))
            }
            4 => Self::Send(method_frame(channel(choices), 20, 10, &[0])),
            5 => Self::Send(publish(channel(choices), choices.text(), choices.sized())),
            6 => Self::Send(header(channel(choices), choices.u16().into())),
            7 => Self::Send(frame(3, channel(choices), choices.sized())),
            8 => Self::Send(frame(
                3,
                channel(choices),
                &vec![7; usize::from(choices.u16()) % 6000],
            )),
            9 => {
                let number = channel(choices);
                Self::Send(method_frame(number, 60, 40, b"\0\0\0\x01k\0"))
            }
            10 => Self::Send(method_frame(channel(choices), 20, 40, b"\0\xc8\0\0\0\0\0")),
            11 => Self::Send(method_frame(channel(choices), 20, 41, b"")),
            12 => Self::Send(frame(8, 0, b"")),
            13 => Self::Send(method_frame(0, 10, 50, b"\0\xc8\0\0\0\0\0")),
            14 => Self::Send(method_frame(0, 10, 51, b"")),
            15 => Self::Send(method_frame(0, 10, 70, b"\0\0\0\x03new\0")),
            16 => Self::Send(start_ok(choices)),
            17 => Self::Send(tune_ok(choices.u16(), FRAME_MAX, choices.u8().into())),
            18 => Self::Send(method_frame(0, 10, 40, b"\x01/\0\0")),
            19 => Self::Advance(choices.u8().into()),
            20 => Self::CloseChannel(channel(choices)),
            21 => Self::Deliver(channel(choices), choices.u16().into()),
            22 => Self::Pause(choices.bool()),
            _ => match choices.u8() % 4 {
                0 => Self::Block,
                1 => Self::Close,
                2 => Self::Send(b"AMQP\0\0\x09\x01".to_vec()),
                _ => Self::Unblock,
            },
        }
    }
}

/// Few numbers, so that things happen on the same channel.
fn channel(choices: &mut Input<'_>) -> u16 {
    u16::from(choices.u8() % 4)
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        kind,
        channel,
        size: u32::try_from(payload.len()).unwrap(),
    };
    [&header.octets()[..], payload, &[FRAME_END]].concat()
}

fn method_frame(channel: u16, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    frame(1, channel, &payload)
}

fn header(channel: u16, body_size: u64) -> Vec<u8> {
    let payload = [&b"\0\x3c\0\0"[..], &body_size.to_be_bytes(), b"\0\0"].concat();
    frame(2, channel, &payload)
}

fn publish(channel: u16, key: &str, body: &[u8]) -> Vec<u8> {
    let len = [u8::try_from(key.len()).unwrap()];
    let arguments = [b"\0\0\0", &len[..], key.as_bytes(), b"\0"].concat();
    let mut frames = method_frame(channel, 60, 40, &arguments);
    frames.extend(header(channel, u64::try_from(body.len()).unwrap()));
    if !body.is_empty() {
        frames.extend(frame(3, channel, body));
    }
    frames
}

/// With the capabilities that make a difference.
fn start_ok(choices: &mut Input<'_>) -> Vec<u8> {
    let capabilities = b"\x12connection.blockedt\x01\x1cauthentication_failure_closet\x01";
    let mut table = b"\x0ccapabilitiesF".to_vec();
    table.extend(u32::try_from(capabilities.len()).unwrap().to_be_bytes());
    table.extend(capabilities);
    let response: &[u8] = match choices.u8() % 3 {
        0 => b"\0good\0secret",
        1 => b"\0bad\0secret",
        _ => choices.sized(),
    };
    let mut arguments = u32::try_from(table.len()).unwrap().to_be_bytes().to_vec();
    arguments.extend(table);
    arguments.extend(b"\x05PLAIN");
    arguments.extend(u32::try_from(response.len()).unwrap().to_be_bytes());
    arguments.extend(response);
    arguments.extend(b"\x05en_US");
    method_frame(0, 10, 11, &arguments)
}

fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    let arguments = [
        &channel_max.to_be_bytes()[..],
        &frame_max.to_be_bytes(),
        &heartbeat.to_be_bytes(),
    ];
    method_frame(0, 10, 31, &arguments.concat())
}

/// What an input came to: the events in words, and the frames that were written.
type Transcript = (Vec<String>, Vec<Written>);

#[derive(Debug, PartialEq, Eq)]
struct Written {
    kind: FrameKind,
    channel: u16,
    payload: Vec<u8>,
}

fn play(is_running: bool, actions: &[Action], piece: usize) -> Transcript {
    let mut rig = Rig::new();
    if is_running {
        let handshake = [
            b"AMQP\0\0\x09\x01".to_vec(),
            start_ok(&mut Input::new(&[])),
            tune_ok(7, FRAME_MAX, 0),
            method_frame(0, 10, 40, b"\x01/\0\0"),
            method_frame(1, 20, 10, &[0]),
        ];
        rig.send(&handshake.concat(), usize::MAX);
        assert!(rig.connection.is_running() && rig.connection.is_open(1));
    }
    for action in actions {
        rig.act(action, piece);
    }
    rig.end();
    (rig.events, rig.written)
}

/// A machine, its owner and its peer.
struct Rig {
    connection: Connection,
    input: BytesMut,
    now: Duration,
    events: Vec<String>,
    written: Vec<Written>,
    /// Channels that the machine has told of.
    open: HashSet<u16>,
    has_failed: bool,
    /// `connection.close` was written.
    has_closed: bool,
    /// The last event was told.
    is_over: bool,
}

impl Rig {
    fn new() -> Self {
        let config = Config {
            frame_max: 2 * FRAME_MAX,
            channel_max: 7,
            max_message_size: 2000,
            content_in_progress_max: 4000,
            ..Config::default()
        };
        let now = Duration::from_secs(1000);
        Self {
            connection: Connection::new(Arc::new(config), now),
            input: BytesMut::new(),
            now,
            events: Vec::new(),
            written: Vec::new(),
            open: HashSet::new(),
            has_failed: false,
            has_closed: false,
            is_over: false,
        }
    }

    fn act(&mut self, action: &Action, piece: usize) {
        match action {
            Action::Advance(secs) => self.advance(u64::from(*secs)),
            Action::Block => self.connection.block("low on memory"),
            Action::Close => {
                let error = ConnectionError::connection_forced("enough");
                self.connection.close(&error, self.now);
            }
            Action::CloseChannel(channel) => {
                let error = ChannelError::not_found("nothing there");
                self.connection.close_channel(*channel, &error);
                self.open.remove(channel);
            }
            Action::Deliver(channel, len) => {
                let header = b"\0\x3c\0\0\0\0\0\0\0\0\0\x01\0\0";
                let body = vec![5; *len];
                let message = Message::new(b"\x01x\x01k", header, body[..].into());
                self.connection.deliver(*channel, "tag", 1, false, &message);
                self.connection
                    .return_message(*channel, 312, "NO_ROUTE", &message);
                self.connection.confirm_ack(*channel, 1, true);
            }
            Action::Pause(true) => self.connection.pause_reading(),
            Action::Pause(false) => self.connection.resume_reading(),
            Action::Send(octets) => return self.send(octets, piece),
            Action::Unblock => self.connection.unblock(),
        }
        self.send(&[], piece);
    }

    fn send(&mut self, octets: &[u8], piece: usize) {
        for octets in octets.chunks(piece.max(octets.len().div_ceil(PIECES_MAX))) {
            self.input.extend_from_slice(octets);
            self.poll();
        }
        self.poll();
    }

    fn poll(&mut self) {
        loop {
            let (connection, input, now) = (&mut self.connection, &mut self.input, self.now);
            let event = bounded(input.len(), PER_OCTET, || connection.poll_event(input, now));
            let Some(event) = event else { break };
            self.take(&event);
        }
        self.flush();
        if self.connection.is_finished() {
            assert_eq!(self.connection.poll_timeout(), None);
            assert!(!self.connection.wants_input() && self.input.is_empty());
        } else if self.connection.is_running() && !self.connection.wants_input() {
            assert!(self.connection.is_blocked(), "every question was answered");
        }
    }

    /// The owner does what an event asks for.
    fn take(&mut self, event: &Event) {
        assert!(!self.is_over, "{event:?} after the last event");
        let (now, connection) = (self.now, &mut self.connection);
        match event {
            Event::Login(credentials) => {
                let text = format!("{credentials:?}");
                assert!(!text.contains("secret\""), "{text}");
                if text.contains("good") {
                    connection.accept_login(now);
                } else {
                    connection.refuse_login(credentials.mechanism(), now);
                }
            }
            Event::Open { .. } => connection.accept_open(),
            Event::UpdateSecret { .. } => connection.accept_secret(),
            Event::Close => connection.accept_close(now),
            Event::ConnectionFailed(_) => {
                assert!(!self.has_failed, "failed twice");
                self.has_failed = true;
                assert!(!connection.is_running());
            }
            Event::Closed | Event::Lost(_) => {
                self.is_over = true;
                assert!(connection.is_finished());
            }
            Event::ChannelOpened(channel) => {
                assert!(self.open.insert(*channel), "opened twice");
                assert!(self.open.len() <= 7, "more channels than agreed");
                connection.accept_channel_open(*channel);
            }
            Event::ChannelClose(channel) => {
                assert!(self.open.remove(channel), "closed and not open");
                connection.accept_channel_close(*channel);
            }
            Event::ChannelFailed(channel, _) => {
                assert!(self.open.remove(channel), "failed and not open");
            }
            Event::ChannelClosed(channel) => assert!(!self.open.contains(channel)),
            Event::Publish(channel, publish) => {
                assert!(self.open.contains(channel));
                assert!(publish.message.body().len() <= 2000);
            }
            Event::Method(channel, _)
            | Event::Ack(channel, _)
            | Event::Nack(channel, _)
            | Event::Reject(channel, _) => assert!(self.open.contains(channel)),
        }
        self.events.push(match event {
            Event::Publish(_, publish) => {
                let message = &publish.message;
                format!("{event:?} {:?} {:?}", message.header(), message.body())
            }
            other => format!("{other:?}"),
        });
    }

    /// Reads what the machine has written, as a strict peer.
    fn flush(&mut self) {
        let octets = drain(self.connection.output());
        if octets.is_empty() {
            return;
        }
        self.connection.note_written(self.now);
        if octets == b"AMQP\0\0\x09\x01" {
            assert!(self.connection.is_finished());
            return;
        }
        let mut rest = &octets[..];
        while !rest.is_empty() {
            let frame = cut(rest, u32::MAX)
                .unwrap()
                .expect("only whole frames are written");
            let len = frame.encoded_len();
            assert!(len <= usize::try_from(self.connection.frame_max()).unwrap());
            let is = |id: [u8; 4]| frame.channel == 0 && frame.payload.starts_with(&id);
            assert!(
                !self.has_closed || is([0, 10, 0, 51]),
                "{frame:?} after close"
            );
            self.has_closed |= is([0, 10, 0, 50]);
            self.written.push(Written {
                kind: frame.kind,
                channel: frame.channel,
                payload: frame.payload.to_vec(),
            });
            rest = &rest[len..];
        }
    }

    /// Time passes, in steps from deadline to deadline as an owner would take them.
    fn advance(&mut self, secs: u64) {
        let until = self.now + Duration::from_secs(secs);
        while let Some(deadline) = self.connection.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(deadline);
            if let Some(event) = self.connection.handle_timeout(self.now) {
                self.take(&event);
            }
            self.flush();
        }
        self.now = until;
    }

    /// Whoever began it, the end comes.
    fn end(&mut self) {
        let was_running = self.connection.is_running();
        if self.has_failed {
            assert!(!was_running, "in use after an error");
        }
        self.input.clear();
        let error = ConnectionError::connection_forced("end");
        self.connection.close(&error, self.now);
        self.flush();
        assert!(!self.connection.is_running());
        assert!(!was_running || self.has_closed, "the peer was not told");
        self.advance(31);
        assert!(
            self.connection.is_finished(),
            "a machine that is closed finishes"
        );
    }
}
