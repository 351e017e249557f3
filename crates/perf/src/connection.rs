//! A connection as cheap as it can be: a socket, the handshake, calls, and octets in and out.
//!
//! Reads and writes give up after [`TICK`], so that a thread can look whether the run has ended, even
//! while the broker holds it back.

use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leveret_wire::method::{channel, connection, queue};
use leveret_wire::{AMQPClass, AMQPValue, FieldTable, parse_method};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};

use crate::error::{PerfError, Result};
use crate::frames::put_method;
use crate::inbox::{Frame, Inbox, METHOD};
use crate::requests;
use crate::uri::Uri;

/// The longest time in a system call.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// How long a call waits for its answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Octets of one frame that we ask for; the broker's limit if that is lower.
const FRAME_MAX: u32 = 128 * 1024;
/// Octets read at once while calls are answered.
const CALL_INBOX: usize = 4096;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The socket.
    stream: TcpStream,
    /// What came and was not parsed.
    pub(crate) inbox: Inbox,
    /// The largest frame in octets.
    pub(crate) frame_max: usize,
    /// Product and version that the broker named.
    pub(crate) product: String,
}

impl Connection {
    /// Connect, log in, open the vhost.
    pub(crate) fn open(uri: &Uri) -> Result<Self> {
        let address = (uri.host.as_str(), uri.port);
        let connect = |source| PerfError::Connect {
            address: uri.address(),
            source,
        };
        let stream = TcpStream::connect(address).map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        stream.set_read_timeout(Some(TICK)).map_err(connect)?;
        stream.set_write_timeout(Some(TICK)).map_err(connect)?;
        let mut this = Self {
            stream,
            inbox: Inbox::new(CALL_INBOX, true),
            frame_max: FRAME_MAX as usize,
            product: String::new(),
        };
        this.handshake(uri)?;
        Ok(this)
    }

    fn handshake(&mut self, uri: &Uri) -> Result<()> {
        self.send(b"AMQP\x00\x00\x09\x01")?;
        match self.answer("the protocol header")? {
            AMQPClass::Connection(connection::AMQPMethod::Start(start)) => {
                self.product = product(&start.server_properties);
            }
            other => return Err(unexpected("the protocol header", &other)),
        }
        let tune = match self.call(0, &requests::start_ok(uri), "connection.start-ok")? {
            AMQPClass::Connection(connection::AMQPMethod::Tune(tune)) => tune,
            other => return Err(unexpected("connection.start-ok", &other)),
        };
        let frame_max = match tune.frame_max {
            0 => FRAME_MAX,
            max => max.min(FRAME_MAX),
        };
        self.frame_max = frame_max as usize;
        let mut octets = Vec::new();
        put_method(
            &mut octets,
            0,
            &requests::tune_ok(tune.channel_max, frame_max),
        );
        put_method(&mut octets, 0, &requests::open(&uri.vhost));
        self.send(&octets)?;
        self.answer("connection.open").map(drop)
    }

    /// Open the channel.
    pub(crate) fn open_channel(&mut self, channel: u16) -> Result<()> {
        self.call(channel, &requests::open_channel(), "channel.open")
            .map(drop)
    }

    /// Send a method and take the next method for its answer.
    pub(crate) fn call(
        &mut self,
        channel: u16,
        method: &AMQPClass,
        asked: &'static str,
    ) -> Result<AMQPClass> {
        let mut octets = Vec::new();
        put_method(&mut octets, channel, method);
        self.send(&octets)?;
        self.answer(asked)
    }

    /// Send many methods on channel 1, in runs, and take as many answers.
    pub(crate) fn call_all(
        &mut self,
        methods: impl IntoIterator<Item = AMQPClass>,
        asked: &'static str,
    ) -> Result<()> {
        const RUN: usize = 200;
        let mut methods = methods.into_iter().peekable();
        while methods.peek().is_some() {
            let mut octets = Vec::new();
            let mut count = 0;
            for method in methods.by_ref().take(RUN) {
                put_method(&mut octets, 1, &method);
                count += 1;
            }
            self.send(&octets)?;
            for _ in 0..count {
                self.answer(asked)?;
            }
        }
        Ok(())
    }

    /// Messages that are ready in a queue.
    pub(crate) fn ready_messages(&mut self, queue: &str) -> Result<u64> {
        match self.call(1, &requests::look_at_queue(queue), "queue.declare")? {
            AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => Ok(u64::from(ok.message_count)),
            other => Err(unexpected("queue.declare", &other)),
        }
    }

    /// The next method; a close is an error.
    pub(crate) fn answer(&mut self, asked: &'static str) -> Result<AMQPClass> {
        let began = Instant::now();
        loop {
            while let Some(frame) = self.inbox.next_frame() {
                if frame.kind == METHOD {
                    check_close(&frame)?;
                    return Ok(parse_method(frame.payload)?);
                }
            }
            if !self.receive(asked)? && began.elapsed() > PATIENCE {
                return Err(PerfError::Unexpected {
                    asked,
                    got: format!("nothing for {} s", PATIENCE.as_secs()),
                });
            }
        }
    }

    /// Read once, waiting at most a [`TICK`]: whether anything came.
    pub(crate) fn receive(&mut self, doing: &'static str) -> Result<bool> {
        match self.inbox.fill_from(&mut self.stream) {
            Ok(_) => Ok(true),
            Err(error) if is_tick(&error) => Ok(false),
            Err(source) => Err(PerfError::Lost { doing, source }),
        }
    }

    /// Read once what is there already: whether anything was.
    pub(crate) fn receive_now(&mut self, doing: &'static str) -> Result<bool> {
        let stream = &self.stream;
        let read = |free: &mut [u8]| {
            let (_, count) = recv(stream, free, RecvFlags::DONTWAIT)?;
            Ok(count)
        };
        match self.inbox.fill(read) {
            Ok(_) => Ok(true),
            Err(error) if is_tick(&error) => Ok(false),
            Err(source) => Err(PerfError::Lost { doing, source }),
        }
    }

    /// Wait until something comes or the time is over: whether something came.
    pub(crate) fn wait(&self, longest: Duration) -> bool {
        let mut descriptors = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)];
        let longest = longest.min(TICK);
        let Ok(timeout) = Timespec::try_from(longest) else {
            return false;
        };
        matches!(poll(&mut descriptors, Some(&timeout)), Ok(count) if count > 0)
    }

    /// Write all of it.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Result<()> {
        let began = Instant::now();
        if self.write(octets, || began.elapsed() > PATIENCE)? {
            return Ok(());
        }
        Err(PerfError::Lost {
            doing: "writing",
            source: io::ErrorKind::TimedOut.into(),
        })
    }

    /// Write all of it, or give up between two [`TICK`]s when `stop` is set: whether all was written.
    /// A connection that was given up is of no more use.
    pub(crate) fn send_unless(&mut self, octets: &[u8], stop: &AtomicBool) -> Result<bool> {
        self.write(octets, || stop.load(Ordering::Relaxed))
    }

    fn write(&mut self, octets: &[u8], give_up: impl Fn() -> bool) -> Result<bool> {
        let mut rest = octets;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if is_tick(&error) => {
                    if give_up() {
                        return Ok(false);
                    }
                    // A broker that closes a channel or the connection may read no further.
                    if self.receive_now("writing")? {
                        self.look_for_close()?;
                    }
                }
                Err(source) => return Err(self.explain(source)),
            }
        }
        Ok(true)
    }

    /// Whether a close stands in the inbox, from which nothing is taken.
    fn look_for_close(&self) -> Result<()> {
        let mut copy = self.inbox.peeked();
        while let Some(frame) = copy.next_frame() {
            check_close(&frame)?;
        }
        Ok(())
    }

    /// Why writing failed: the close that the broker sent before, if it did.
    fn explain(&mut self, source: io::Error) -> PerfError {
        let began = Instant::now();
        loop {
            if let Err(close) = self.look_for_close() {
                return close;
            }
            match self.receive("writing") {
                Ok(_) if began.elapsed() < Duration::from_secs(2) => {}
                _ => break,
            }
        }
        PerfError::Lost {
            doing: "writing",
            source,
        }
    }

    /// Close it in good order, whatever the broker still sends meanwhile.
    pub(crate) fn close(mut self) -> Result<()> {
        let mut octets = Vec::new();
        put_method(&mut octets, 0, &requests::close());
        self.send(&octets)?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            while let Some(frame) = self.inbox.next_frame() {
                // connection.close-ok.
                if frame.kind == METHOD && frame.payload.starts_with(&[0, 10, 0, 51]) {
                    return Ok(());
                }
            }
            match self.receive("closing") {
                // Gone before the close-ok was read: gone all the same.
                Err(PerfError::Lost { .. }) => return Ok(()),
                outcome => outcome?,
            };
        }
        Ok(())
    }
}

/// Nothing happened within a tick.
fn is_tick(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// The broker's close of a channel or of the connection, or a cancelled consumer, as an error.
pub(crate) fn check_close(frame: &Frame<'_>) -> Result<()> {
    if frame.kind != METHOD {
        return Ok(());
    }
    match frame.payload.first_chunk::<4>() {
        Some([0, 10, 0, 50] | [0, 20, 0, 40] | [0, 60, 0, 30]) => {}
        _ => return Ok(()),
    }
    match parse_method(frame.payload)? {
        AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
            Err(PerfError::ConnectionClosed {
                code: close.reply_code,
                text: close.reply_text.to_string(),
            })
        }
        AMQPClass::Channel(channel::AMQPMethod::Close(close)) => Err(PerfError::ChannelClosed {
            channel: frame.channel,
            code: close.reply_code,
            text: close.reply_text.to_string(),
        }),
        _ => Err(PerfError::Unexpected {
            asked: "basic.consume with deliveries",
            got: "it cancelled the consumer, as when a queue is deleted".to_owned(),
        }),
    }
}

/// The error for an answer of the wrong kind.
pub(crate) fn unexpected(asked: &'static str, got: &AMQPClass) -> PerfError {
    let mut got = format!("{got:?}");
    got.truncate(got.char_indices().nth(80).map_or(got.len(), |(at, _)| at));
    PerfError::Unexpected { asked, got }
}

/// Product and its own version among the server properties; the one that clients compare if there is
/// no other.
fn product(properties: &FieldTable) -> String {
    let text = |key: &str| match properties.inner().get(key) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        _ => String::new(),
    };
    // What clients compare with RabbitMQ's releases is not the product's own.
    let own = text("product_version");
    let version = if own.is_empty() { text("version") } else { own };
    format!("{} {version}", text("product")).trim().to_owned()
}
