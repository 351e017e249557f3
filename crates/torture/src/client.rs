//! A client on a blocking TCP stream that expects the broker to die at any moment.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use leveret_wire::method::{basic, channel, connection};
use leveret_wire::{AMQPClass, AMQPValue, FieldTable, parse_content_header, parse_method};

use crate::frame::{BODY, Frame, HEADER, HEARTBEAT, METHOD, Outgoing, put_method};
use crate::message::MessageId;

/// How long an answer is waited for. A broker that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const READ: usize = 128 * 1024;

/// Why a client can't go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The connection is gone, as it must be when the broker is killed.
    #[error("the connection is gone: {0}")]
    Gone(#[from] io::Error),
    /// The broker closed the connection, or a channel.
    #[error("closed with {0}: {1}")]
    Closed(u16, String),
    /// What came is not AMQP.
    #[error("what came cannot be read: {0}")]
    Garbled(String),
    /// Something else than the answer.
    #[error("came instead of an answer: {0}")]
    Unexpected(String),
    /// No answer for a long time.
    #[error("no answer for {} s", PATIENCE.as_secs())]
    Silent,
}

impl Failure {
    /// Whether a broker that is killed or stopped explains it.
    pub(crate) fn is_end(&self) -> bool {
        // 320 is CONNECTION_FORCED.
        matches!(self, Self::Gone(_) | Self::Closed(320, _))
    }

    /// The reply code of a close.
    pub(crate) fn code(&self) -> Option<u16> {
        match self {
            Self::Closed(code, _) => Some(*code),
            _ => None,
        }
    }
}

/// A message that has come.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    /// Header `x-delivery-count`.
    pub(crate) count: Option<i64>,
    /// Whose it is, or what is wrong with it.
    pub(crate) message: Result<MessageId, String>,
}

/// What comes from the broker.
#[derive(Debug)]
pub(crate) enum Event {
    /// basic.deliver or basic.get-ok.
    Message(Incoming),
    /// basic.return.
    Returned(Result<MessageId, String>),
    /// basic.ack or, if not `taken`, basic.nack of publishes.
    Confirm {
        tag: u64,
        multiple: bool,
        taken: bool,
    },
    /// Any other method.
    Method(AMQPClass),
}

/// A client that uses one channel, [`Client::CHANNEL`].
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    /// Came while an answer was waited for.
    waiting: VecDeque<Event>,
}

impl Client {
    pub(crate) const CHANNEL: u16 = 1;

    /// Log in as the default user, and open the channel.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut client = Self {
            stream,
            input: Vec::new(),
            taken: 0,
            output: b"AMQP\x00\x00\x09\x01".to_vec(),
            waiting: VecDeque::new(),
        };
        client.log_in()?;
        client.open_channel()?;
        Ok(client)
    }

    fn log_in(&mut self) -> Result<(), Failure> {
        self.answer()?;
        let capabilities = ["basic.nack", "consumer_cancel_notify", "publisher_confirms"];
        let mut supported = FieldTable::default();
        for name in capabilities {
            supported.insert(name.into(), AMQPValue::Boolean(true));
        }
        let mut properties = FieldTable::default();
        properties.insert("capabilities".into(), AMQPValue::FieldTable(supported));
        let start_ok = connection::StartOk {
            client_properties: properties,
            mechanism: "PLAIN".into(),
            response: "\0guest\0guest".into(),
            locale: "en_US".into(),
        };
        self.send_on(0, connection::AMQPMethod::StartOk(start_ok));
        let tune = match self.answer()? {
            AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) => tune,
            other => return Err(Failure::Unexpected(format!("{other:?}"))),
        };
        let tune_ok = connection::TuneOk {
            channel_max: tune.channel_max,
            frame_max: tune.frame_max,
            heartbeat: 0,
        };
        self.send_on(0, connection::AMQPMethod::TuneOk(tune_ok));
        let open = connection::Open {
            virtual_host: "/".into(),
        };
        self.send_on(0, connection::AMQPMethod::Open(open));
        self.answer()?;
        Ok(())
    }

    /// Open the channel, anew if it was closed.
    pub(crate) fn open_channel(&mut self) -> Result<(), Failure> {
        self.call(channel::AMQPMethod::Open(channel::Open {}))?;
        Ok(())
    }

    /// Close the channel. What came before its end stays to be taken.
    pub(crate) fn close_channel(&mut self) -> Result<(), Failure> {
        let close = channel::Close {
            reply_code: 200,
            ..channel::Close::default()
        };
        self.call(channel::AMQPMethod::Close(close))?;
        Ok(())
    }

    /// Have a method written with the next [`Client::flush`].
    pub(crate) fn send(&mut self, method: impl IntoMethod) {
        self.send_on(Self::CHANNEL, method);
    }

    fn send_on(&mut self, channel: u16, method: impl IntoMethod) {
        put_method(&mut self.output, channel, &method.into_method());
    }

    /// Have a message written with the next [`Client::flush`].
    pub(crate) fn publish(&mut self, message: &Outgoing<'_>) {
        message.put(&mut self.output, Self::CHANNEL);
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let done = self.stream.write_all(&self.output);
        self.output.clear();
        done?;
        Ok(())
    }

    /// Send a method and wait for its answer.
    pub(crate) fn call(&mut self, method: impl IntoMethod) -> Result<AMQPClass, Failure> {
        self.send(method);
        self.answer()
    }

    /// Wait for a method that is no confirm. Other things wait in order.
    fn answer(&mut self) -> Result<AMQPClass, Failure> {
        self.flush()?;
        loop {
            match self.read_event(PATIENCE)? {
                Some(Event::Method(method)) => return Ok(method),
                Some(event) => self.waiting.push_back(event),
                None => return Err(Failure::Silent),
            }
        }
    }

    /// The next that comes within `patience`, if anything does.
    pub(crate) fn next(&mut self, patience: Duration) -> Result<Option<Event>, Failure> {
        match self.waiting.pop_front() {
            Some(event) => Ok(Some(event)),
            None => self.read_event(patience),
        }
    }

    /// The next that comes.
    pub(crate) fn expect(&mut self) -> Result<Event, Failure> {
        self.next(PATIENCE)?.ok_or(Failure::Silent)
    }

    fn read_event(&mut self, patience: Duration) -> Result<Option<Event>, Failure> {
        loop {
            let Some(frame) = self.read_frame(patience)? else {
                return Ok(None);
            };
            if frame.kind == HEARTBEAT {
                continue;
            }
            if frame.kind != METHOD || frame.channel > Self::CHANNEL {
                return Err(Failure::Garbled(format!("a frame of type {}", frame.kind)));
            }
            if let Some(event) = self.event(&frame)? {
                return Ok(Some(event));
            }
        }
    }

    fn event(&mut self, frame: &Frame) -> Result<Option<Event>, Failure> {
        let method =
            parse_method(&frame.payload).map_err(|error| Failure::Garbled(error.to_string()))?;
        Ok(Some(match method {
            AMQPClass::Basic(basic::AMQPMethod::Deliver(method)) => {
                Event::Message(self.incoming(method.delivery_tag, method.redelivered)?)
            }
            AMQPClass::Basic(basic::AMQPMethod::GetOk(method)) => {
                Event::Message(self.incoming(method.delivery_tag, method.redelivered)?)
            }
            AMQPClass::Basic(basic::AMQPMethod::Return(_)) => {
                Event::Returned(self.incoming(0, false)?.message)
            }
            AMQPClass::Basic(basic::AMQPMethod::Ack(method)) => Event::Confirm {
                tag: method.delivery_tag,
                multiple: method.multiple,
                taken: true,
            },
            AMQPClass::Basic(basic::AMQPMethod::Nack(method)) => Event::Confirm {
                tag: method.delivery_tag,
                multiple: method.multiple,
                taken: false,
            },
            AMQPClass::Channel(channel::AMQPMethod::Close(method)) => {
                self.send(channel::AMQPMethod::CloseOk(channel::CloseOk {}));
                self.flush()?;
                return Err(Failure::Closed(
                    method.reply_code,
                    method.reply_text.to_string(),
                ));
            }
            AMQPClass::Connection(connection::AMQPMethod::Close(method)) => {
                self.send_on(0, connection::AMQPMethod::CloseOk(connection::CloseOk {}));
                self.flush()?;
                return Err(Failure::Closed(
                    method.reply_code,
                    method.reply_text.to_string(),
                ));
            }
            AMQPClass::Connection(
                connection::AMQPMethod::Blocked(_) | connection::AMQPMethod::Unblocked(_),
            ) => return Ok(None),
            method => Event::Method(method),
        }))
    }

    /// Header and body frames that follow a method.
    fn incoming(&mut self, tag: u64, redelivered: bool) -> Result<Incoming, Failure> {
        let header = self.piece_of_content(HEADER)?;
        let header =
            parse_content_header(&header).map_err(|error| Failure::Garbled(error.to_string()))?;
        let properties = header.properties();
        let count = properties
            .headers()
            .and_then(|headers| headers.get(b"x-delivery-count"))
            .and_then(|value| value.as_integer());
        let named = properties.message_id().map(<[u8]>::to_vec);
        let mut body = Vec::new();
        while (body.len() as u64) < header.body_size {
            body.extend(self.piece_of_content(BODY)?);
        }
        let message = MessageId::of_body(&body).and_then(|id| {
            if named.as_deref() == Some(id.to_string().as_bytes()) {
                Ok(id)
            } else {
                Err(format!("the body of {id} came with message_id {named:?}"))
            }
        });
        Ok(Incoming {
            tag,
            redelivered,
            count,
            message,
        })
    }

    fn piece_of_content(&mut self, kind: u8) -> Result<Vec<u8>, Failure> {
        loop {
            let frame = self.read_frame(PATIENCE)?.ok_or(Failure::Silent)?;
            if frame.kind == kind {
                return Ok(frame.payload);
            }
            if frame.kind != HEARTBEAT {
                let text = format!("a frame of type {} within content", frame.kind);
                return Err(Failure::Garbled(text));
            }
        }
    }

    fn read_frame(&mut self, patience: Duration) -> Result<Option<Frame>, Failure> {
        let until = Instant::now() + patience;
        loop {
            let input = self.input.get(self.taken..).unwrap_or_default();
            if let Some((frame, length)) = Frame::cut(input).map_err(Failure::Garbled)? {
                self.taken += length;
                return Ok(Some(frame));
            }
            // A timeout of zero would be none.
            let left = until
                .saturating_duration_since(Instant::now())
                .max(Duration::from_micros(1));
            if !self.read(left)? && Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// Read once; tells whether anything came in time.
    fn read(&mut self, patience: Duration) -> Result<bool, Failure> {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.stream.set_read_timeout(Some(patience))?;
        let before = self.input.len();
        self.input.resize(before + READ, 0);
        let read = self
            .stream
            .read(self.input.get_mut(before..).unwrap_or_default());
        self.input.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(Failure::Gone(ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(Failure::Gone(error)),
        }
    }
}

/// Any method, as itself or as one of its class.
pub(crate) trait IntoMethod {
    fn into_method(self) -> AMQPClass;
}

macro_rules! classes {
    ($($class:ident $module:ident),*) => { $(
        impl IntoMethod for leveret_wire::method::$module::AMQPMethod {
            fn into_method(self) -> AMQPClass {
                AMQPClass::$class(self)
            }
        }
    )* };
}

classes!(Basic basic, Channel channel, Confirm confirm, Connection connection, Exchange exchange, Queue queue);
