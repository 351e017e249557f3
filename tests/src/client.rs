//! A client on a blocking TCP stream.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use leveret_wire::AMQPClass;
use leveret_wire::method::basic;
use leveret_wire::{FieldTable, OutputBuffer, encode_method, parse_method};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::content::{Content, Delivery, Got, Publish, Returned};
use crate::frame::{BODY, Frame, HEADER, HEARTBEAT, METHOD};
use crate::methods::{Method, Request};
use crate::{Login, PATIENCE};

/// Octets of one read from the socket.
const READ: usize = 256 * 1024;

/// What comes from the broker: a method, a message, or the end of the stream.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// basic.deliver.
    Delivery(Delivery),
    /// The broker closed the TCP connection.
    End,
    /// basic.get-ok, on a channel.
    Got(u16, Got),
    /// A method without content, on a channel.
    Method(u16, AMQPClass),
    /// basic.return, on a channel.
    Returned(u16, Returned),
}

/// What a client reads from and writes to.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn reader(&mut self) -> &mut dyn Read {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.as_mut(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.as_mut(),
        }
    }
}

/// A client. What it expects and does not get fails the test.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Octets read and not looked at yet.
    input: Vec<u8>,
    /// How many of them were looked at.
    taken: usize,
    /// The broker's server-properties.
    pub server_properties: FieldTable,
    /// The broker's mechanisms.
    pub mechanisms: String,
}

impl Client {
    /// A TCP connection on which nothing was said.
    pub fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream: Stream::Plain(stream),
            input: Vec::new(),
            taken: 0,
            server_properties: FieldTable::default(),
            mechanisms: String::new(),
        }
    }

    /// The same with TLS upon it, as far as the handshake has gone: the first write or read does the rest. It asks for
    /// the host of this name.
    #[must_use]
    pub fn encrypted(self, config: &Arc<ClientConfig>, host: &str) -> Self {
        let host = host.to_owned().try_into().expect("a host's name");
        let session = ClientConnection::new(Arc::clone(config), host).unwrap();
        let Stream::Plain(socket) = self.stream else {
            panic!("it is encrypted already");
        };
        Self {
            stream: Stream::Tls(Box::new(StreamOwned::new(session, socket))),
            ..self
        }
    }

    /// The certificate that the broker has shown, in DER, once something was read.
    pub fn certificate_of_broker(&self) -> Vec<u8> {
        let Stream::Tls(stream) = &self.stream else {
            panic!("nothing is encrypted");
        };
        let shown = stream.conn.peer_certificates();
        shown.expect("the handshake is over")[0].to_vec()
    }

    /// Do the handshake of TLS and what the broker says upon it: the octets that it answers to AMQP's header, or why
    /// there are none.
    pub fn handshake_of_tls(&mut self) -> Result<usize, String> {
        let mut answer = [0; 64];
        let writer = self.stream.writer();
        writer
            .write_all(crate::login::PROTOCOL_HEADER)
            .and_then(|()| writer.flush())
            .map_err(|error| error.to_string())?;
        match self.stream.reader().read(&mut answer) {
            Ok(0) => Err("the end".to_owned()),
            Ok(count) => Ok(count),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A client with an open connection and no channel.
    pub fn connect(address: SocketAddr) -> Self {
        Self::log_in(address, &Login::default())
    }

    /// As [`Self::connect`], as somebody else or with other limits.
    pub fn log_in(address: SocketAddr, login: &Login) -> Self {
        let mut client = Self::dial(address);
        client.open_connection(login);
        client
    }

    /// The address that the broker sees.
    pub fn address(&self) -> SocketAddr {
        self.stream.socket().local_addr().unwrap()
    }

    /// A second handle of the socket, for a thread that only writes.
    pub fn socket(&self) -> TcpStream {
        self.stream.socket().try_clone().unwrap()
    }

    /// Write octets as they are.
    #[track_caller]
    pub fn write(&mut self, octets: &[u8]) {
        assert!(self.try_write(octets), "the broker takes what is written");
    }

    /// As [`Self::write`], for input upon which the broker may close at any time; gives whether it
    /// was all taken.
    pub fn try_write(&mut self, octets: &[u8]) -> bool {
        let writer = self.stream.writer();
        writer
            .write_all(octets)
            .and_then(|()| writer.flush())
            .is_ok()
    }

    /// Send no more; the broker can still write.
    pub fn finish_writing(&mut self) {
        self.stream.socket().shutdown(Shutdown::Write).unwrap();
    }

    /// Send a frame.
    #[track_caller]
    pub fn send_frame(&mut self, frame: &Frame) {
        self.write(&frame.octets());
    }

    /// Send a method.
    #[track_caller]
    pub fn send(&mut self, channel: u16, method: impl Method) {
        let octets = encoded(channel, &method.into_class());
        self.write(&octets);
    }

    /// Send a request and wait for its answer, which must be the next thing that comes.
    #[track_caller]
    pub fn call<R: Request>(&mut self, channel: u16, request: R) -> R::Reply {
        self.send(channel, request);
        self.expect(channel)
    }

    /// Publish a message.
    #[track_caller]
    pub fn publish(&mut self, channel: u16, publish: &Publish) {
        self.write(&publish.octets(channel));
    }

    /// Publish messages, many in one write.
    #[track_caller]
    pub fn publish_all(&mut self, channel: u16, publishes: impl IntoIterator<Item = Publish>) {
        let mut octets = Vec::new();
        for publish in publishes {
            octets.extend(publish.octets(channel));
            if octets.len() >= READ {
                self.write(&octets);
                octets.clear();
            }
        }
        self.write(&octets);
    }

    /// The next frame, heartbeats too; `None` at the end of the stream.
    #[track_caller]
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, length)) = Frame::cut(&self.input[self.taken..]) {
                self.taken += length;
                return Some(frame);
            }
            if self.fill() == 0 {
                let rest = &self.input[self.taken..];
                assert!(rest.is_empty(), "the stream ended within a frame: {rest:?}");
                return None;
            }
        }
    }

    /// The next octets, exactly so many, without looking for frames.
    #[track_caller]
    pub fn read_octets(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() - self.taken < count {
            assert!(
                self.fill() > 0,
                "the stream ended before {count} octets came"
            );
        }
        let octets = self.input[self.taken..self.taken + count].to_vec();
        self.taken += count;
        octets
    }

    /// All octets up to the end of the stream, without looking for frames.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill() > 0 {}
        self.input.split_off(self.taken)
    }

    /// Read once; gives how many octets came, none at the end of the stream.
    #[track_caller]
    fn fill(&mut self) -> usize {
        self.input.drain(..self.taken);
        self.taken = 0;
        let before = self.input.len();
        self.input.resize(before + READ, 0);
        let read = loop {
            match self.stream.reader().read(&mut self.input[before..]) {
                // A signal, as when the machine stood still for a moment.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let count = match read {
            Ok(count) => count,
            // The end, too: the broker had octets of ours that it did not read.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            // TLS says how it ends, if it can.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => 0,
            Err(error) => panic!("nothing came from the broker: {error}"),
        };
        self.input.truncate(before + count);
        count
    }

    /// The next event; heartbeats are passed over.
    #[track_caller]
    pub fn next_event(&mut self) -> Event {
        loop {
            let Some(frame) = self.next_frame() else {
                return Event::End;
            };
            match frame.kind {
                HEARTBEAT => {}
                METHOD => return self.event(&frame),
                _ => panic!("a frame without its method: {frame:?}"),
            }
        }
    }

    fn event(&mut self, frame: &Frame) -> Event {
        let channel = frame.channel;
        let method = parse_method(&frame.payload).expect("the broker sends methods that decode");
        match method {
            AMQPClass::Basic(basic::AMQPMethod::Deliver(method)) => Event::Delivery(Delivery {
                channel,
                method,
                content: self.content(channel),
            }),
            AMQPClass::Basic(basic::AMQPMethod::GetOk(method)) => {
                let content = self.content(channel);
                Event::Got(channel, Got { method, content })
            }
            AMQPClass::Basic(basic::AMQPMethod::Return(method)) => {
                let content = self.content(channel);
                Event::Returned(channel, Returned { method, content })
            }
            method => Event::Method(channel, method),
        }
    }

    /// Header and body frames that follow a method.
    fn content(&mut self, channel: u16) -> Content {
        let header = self.piece_of_content(HEADER, channel);
        let size = u64::from_be_bytes(header[4..12].try_into().unwrap());
        let mut content = Content {
            header,
            body: Vec::new(),
            pieces: Vec::new(),
        };
        while (content.body.len() as u64) < size {
            let piece = self.piece_of_content(BODY, channel);
            assert!(!piece.is_empty(), "the broker sent an empty body frame");
            content.pieces.push(piece.len());
            content.body.extend(piece);
        }
        assert_eq!(content.body.len() as u64, size, "the body is as announced");
        content
    }

    fn piece_of_content(&mut self, kind: u8, channel: u16) -> Vec<u8> {
        loop {
            let frame = self.next_frame().expect("content is sent to its end");
            if frame.kind != HEARTBEAT {
                assert_eq!((frame.kind, frame.channel), (kind, channel));
                return frame.payload;
            }
        }
    }
}

/// A method's frame.
pub fn encoded(channel: u16, method: &AMQPClass) -> Vec<u8> {
    let mut out = OutputBuffer::new();
    encode_method(&mut out, channel, method);
    let mut slices = [std::io::IoSlice::new(&[])];
    let filled = out.chunks(&mut slices);
    assert_eq!(filled, 1, "a method is copied into one piece");
    slices[0].to_vec()
}
