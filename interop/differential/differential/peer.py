"""One side of a connection, for scripts: sends methods, content, frames or bare octets, and writes down the answers.

Everything that arrives becomes an event in the transcript of its channel (`A.1` is channel 1 of the script's first
connection), in the order of arrival. A script waits for what it expects; what does not come is written down too.
"""

import select
import socket
import time
from contextlib import contextmanager

from . import amqp
from .transcript import Event, flatten

# How long an expected answer may take. Only what never comes costs this time.
ANSWER_SECS = 6.0
# How long silence must last to be believed.
SILENCE_SECS = 0.5

CAPABILITIES = {
    "authentication_failure_close": True,
    "basic.nack": True,
    "connection.blocked": True,
    "consumer_cancel_notify": True,
    "exchange_exchange_bindings": True,
    "publisher_confirms": True,
}

# What may come at any time, and so is no answer to a method.
_UNASKED = {"basic.deliver", "basic.return", "basic.ack", "basic.nack", "basic.cancel"}


class Connection:
    """A TCP connection to the broker. Its own methods act on channel 0."""

    def __init__(self, session, label, address):
        self.label = label
        self.session = session
        self.channels = {}
        self.ended = None
        self.closed = False
        # Whether closes of the broker are answered with close-ok.
        self.answers = True
        self.heartbeats_recorded = False
        self.last_sent = time.monotonic()
        self.ended_at = None
        self._buffer = b""
        self._used = 0
        self._socket = socket.create_connection(address, timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.zero = Channel(self, 0)

    # --- opening ---

    def start(self):
        """Sends the protocol header and waits for connection.start, which is not written down."""
        self.octets(amqp.PROTOCOL_HEADER)
        return self.zero.await_unrecorded("connection.start")

    def log_in(self, user="guest", password="guest", properties=None):
        """Logs in and waits for connection.tune, which is not written down unless it is something else."""
        if properties is None:
            properties = {"capabilities": CAPABILITIES}
        response = f"\0{user}\0{password}"
        self.send("connection.start-ok", client_properties=properties, mechanism="PLAIN", response=response,
                  locale="en_US")  # fmt: skip
        return self.zero.await_unrecorded("connection.tune")

    def tune(self, channel_max=2047, frame_max=131072, heartbeat=0):
        self.send("connection.tune-ok", channel_max=channel_max, frame_max=frame_max, heartbeat=heartbeat)

    def open_vhost(self, vhost="/"):
        self.send("connection.open", virtual_host=vhost)
        return self.zero.await_unrecorded("connection.open-ok")

    def channel(self, number=1):
        """A new channel that is open; channel.open-ok is not written down."""
        channel = self.unopened(number)
        channel.send("channel.open")
        channel.await_unrecorded("channel.open-ok")
        return channel

    def unopened(self, number):
        """A channel number for scripts that open it themselves, or do not."""
        return self.channels.get(number) or Channel(self, number)

    # --- sending ---

    def octets(self, octets):
        """Sends bare octets. Once TCP has ended nothing happens."""
        self._write(octets)
        self.last_sent = time.monotonic()

    def _write(self, octets):
        if self.ended:
            return
        try:
            self._socket.sendall(octets)
        except OSError:
            # What the broker had to say stands in the socket still, and is read first.
            pass

    def answer(self, channel, name):
        """Answers a method of the broker. This is no sending from which times are measured."""
        self._write(amqp.frame(amqp.METHOD, channel, amqp.method(name)))

    def frame(self, kind, channel, payload, end=amqp.FRAME_END):
        self.octets(amqp.frame(kind, channel, payload, end))

    def send(self, name, **fields):
        self.zero.send(name, **fields)

    def call(self, name, **fields):
        return self.zero.call(name, **fields)

    def wait(self, count=1, within=ANSWER_SECS):
        self.zero.wait(count, within)

    def quiet(self, seconds=SILENCE_SECS):
        self.zero.quiet(seconds)

    # --- receiving ---

    def end(self, within=15.0, classes=None, since=None):
        """Waits for the end of TCP and writes it down. Classes: bounds in seconds by word, since the last sending."""
        since = since or self.last_sent
        self.pump(lambda: self.ended, within)
        if not self.ended:
            self.zero.note("tcp", how="still open")
            return
        fields = {"how": self.ended}
        if classes:
            seconds = self.ended_at - since
            fitting = [word for word, (low, high) in classes.items() if low <= seconds < high]
            fields["when"] = fitting[0] if fitting else f"after {seconds:.1f} s"
        self.zero.note("tcp", **fields)
        self.zero.end_noted = True

    def drop(self):
        """Ends TCP without a word."""
        self.ended = "dropped by the script"
        self._socket.close()

    def pump(self, until, within):
        """Takes in frames until the condition holds, TCP has ended or the time is over."""
        deadline = time.monotonic() + within
        while not until():
            if self._take_frame():
                continue
            left = deadline - time.monotonic()
            if self.ended or left <= 0:
                return
            self._receive(left)

    def _receive(self, seconds):
        readable, _, _ = select.select([self._socket], [], [], seconds)
        if not readable:
            return
        try:
            octets = self._socket.recv(1 << 20)
            how = "closed"
        except OSError:
            octets, how = b"", "reset"
        if not octets:
            self.ended, self.ended_at = how, time.monotonic()
            self._socket.close()
        self._buffer = self._buffer[self._used :] + octets
        self._used = 0

    def _take_frame(self):
        rest = self._buffer[self._used :] if self._used else self._buffer
        if rest[:4] == b"AMQP" and len(rest) >= 8:
            self.zero.note("protocol header", octets=" ".join(str(octet) for octet in rest[4:8]))
            self._buffer, self._used = rest[8:], 0
            return True
        split = amqp.split_frame(rest)
        if split is None:
            return False
        (kind, channel, payload), self._buffer = split
        self._used = 0
        self.unopened(channel).take(kind, payload)
        return True

    def finish(self):
        """Closes in order at the script's end, so that nothing that the broker said is missed."""
        if self.closed and not self.zero.end_noted and self.answers:
            self.end()
        elif not self.ended:
            self.zero.finishing = True
            for channel in self.channels.values():
                channel.finishing = True
            self.send("connection.close", reply_code=200)
            self.pump(lambda: self.closed, ANSWER_SECS)
            if not self.closed and not self.ended:
                self.zero.note("no close-ok")
        elif not self.zero.end_noted and self.ended != "dropped by the script":
            self.zero.note("tcp", how=self.ended)
        if not self.ended:
            self.drop()


class Channel:
    """A channel: what a script does on it, and the events that came."""

    def __init__(self, connection, number):
        connection.channels[number] = self
        self.connection = connection
        self.number = number
        self.closed = False
        self.finishing = False
        self.end_noted = False
        self.events = []
        self._names = connection.session.names
        self._seen = 0
        self._after = ""
        self._content = None
        self._last = {}
        self._unrecorded = None
        # The numbers of publishes that the broker has not confirmed; None without confirm.select.
        self._unconfirmed = None
        self._published = 0

    @property
    def gone(self):
        """Whether nothing more can come of it."""
        return self.closed or self.connection.closed or bool(self.connection.ended)

    def note(self, name, **fields):
        """Writes an event down that is no method."""
        self.events.append(Event(name, {key: str(value) for key, value in fields.items()}, self._after))

    # --- sending ---

    def send(self, name, **fields):
        """Sends a method, whatever state the channel is in."""
        self._after = f"{name} {_short(fields)}".strip()
        if name == "confirm.select" and self._unconfirmed is None:
            self._unconfirmed = set()
        self.connection.frame(amqp.METHOD, self.number, amqp.method(name, **fields))

    def call(self, name, within=ANSWER_SECS, **fields):
        """Sends a method and waits for its answer; returns the answer's fields, empty if there was none."""
        if self.gone:
            self.note("not sent", method=name)
            return Fields()
        seen = self._seen = len(self.events)
        self.send(name, **fields)
        self._last = Fields()

        def answered():
            return self.gone or any(event.name not in _UNASKED for event in self.events[seen:])

        self.connection.pump(answered, within)
        if not answered():
            self.note("no answer")
        self._seen = len(self.events)
        return self._last

    def frame(self, kind, payload, end=amqp.FRAME_END):
        self.connection.frame(kind, self.number, payload, end)

    def header(self, size, properties=None, class_id=60, weight=0):
        self.frame(amqp.HEADER, amqp.content_header(size, properties, class_id, weight))

    def body(self, octets):
        self.frame(amqp.BODY, octets)

    def publish(self, exchange="", key="", body=b"", mandatory=False, immediate=False, **properties):
        """Publishes in one piece (body frames of at most 131064 octets); properties by name."""
        if self.gone:
            self.note("not sent", method="basic.publish")
            return
        self._after = f"basic.publish {_short({'exchange': exchange, 'key': key, **properties})}"
        self.publish_anyway(exchange, key, body, mandatory, immediate, **properties)

    def publish_anyway(self, exchange="", key="", body=b"", mandatory=False, immediate=False, **properties):
        """The same, also on a channel that is closed."""
        body = body.encode() if isinstance(body, str) else body
        if self._unconfirmed is not None:
            self._published += 1
            self._unconfirmed.add(self._published)
        method = amqp.method(
            "basic.publish", exchange=exchange, routing_key=key, mandatory=mandatory, immediate=immediate
        )
        frames = [
            amqp.frame(amqp.METHOD, self.number, method),
            amqp.frame(amqp.HEADER, self.number, amqp.content_header(len(body), properties)),
        ]
        pieces = range(0, len(body), 131064)
        frames += [amqp.frame(amqp.BODY, self.number, body[at : at + 131064]) for at in pieces]
        self.connection.octets(b"".join(frames))

    # --- methods that many scripts use ---

    def declare(self, queue, arguments=None, **flags):
        return self.call("queue.declare", queue=queue, arguments=arguments or {}, **flags)

    def exchange(self, exchange, type="direct", arguments=None, **flags):
        return self.call("exchange.declare", exchange=exchange, type=type, arguments=arguments or {}, **flags)

    def bind(self, queue, exchange, key="", arguments=None):
        return self.call("queue.bind", queue=queue, exchange=exchange, routing_key=key, arguments=arguments or {})

    def consume(self, queue, tag="c", arguments=None, **flags):
        return self.call("basic.consume", queue=queue, consumer_tag=tag, arguments=arguments or {}, **flags)

    def get(self, queue, no_ack=True):
        return self.call("basic.get", queue=queue, no_ack=no_ack)

    def ack(self, tag, multiple=False):
        self.send("basic.ack", delivery_tag=tag, multiple=multiple)

    def nack(self, tag, multiple=False, requeue=True):
        self.send("basic.nack", delivery_tag=tag, multiple=multiple, requeue=requeue)

    def reject(self, tag, requeue=True):
        self.send("basic.reject", delivery_tag=tag, requeue=requeue)

    def qos(self, count, is_global=False):
        self.call("basic.qos", prefetch_count=count, **{"global": is_global})

    def fill(self, queue, *bodies, **properties):
        """Publishes to a queue and waits until all of it is confirmed: then it is there."""
        if self._unconfirmed is None:
            self.call("confirm.select")
        for body in bodies:
            self.publish("", queue, body, **properties)
        self.confirmed()

    # --- waiting ---

    def wait(self, count=1, within=ANSWER_SECS):
        """Waits for so many more events; too few are written down."""
        wanted = self._seen + count
        self.connection.pump(lambda: len(self.events) >= wanted or self.gone, within)
        if len(self.events) < wanted and not self.gone:
            self.note("no more came")
        self._seen = len(self.events)

    def confirmed(self, within=ANSWER_SECS):
        """Waits until every publish is confirmed."""
        self.connection.pump(lambda: not self._unconfirmed or self.gone, within)
        if self._unconfirmed and not self.gone:
            self.note("not confirmed", tags=sorted(self._unconfirmed))
        self._seen = len(self.events)

    def quiet(self, seconds=SILENCE_SECS):
        """Waits until nothing has come for so long, and writes the silence down."""
        while not self.gone:
            count = len(self.events)
            self.connection.pump(lambda count=count: len(self.events) > count or self.gone, seconds)
            if len(self.events) == count:
                break
        self.note("silence")
        self._seen = len(self.events)

    def await_unrecorded(self, name):
        """Waits for one method and keeps it out of the transcript; anything else is written down. Returns fields."""
        self._unrecorded = name
        count = len(self.events)
        self.connection.pump(lambda: self._unrecorded is None or self.gone or len(self.events) > count, 15)
        if self._unrecorded is not None:
            self.note(f"no {name}")
            self._unrecorded = None
            return Fields()
        return self._last

    @contextmanager
    def unrecorded(self):
        """What happens within is kept out of the transcript; a script may note what matters of it."""
        start = len(self.events)
        yield
        del self.events[start:]
        self._seen = start

    # --- what comes ---

    def take(self, kind, payload):
        """Takes in a frame of this channel."""
        try:
            if kind == amqp.METHOD:
                self._take_method(payload)
            elif kind == amqp.HEADER and self._content:
                self._content.size, self._content.properties = amqp.read_content_header(payload)
                self._finish_content()
            elif kind == amqp.BODY and self._content and self._content.properties is not None:
                self._content.pieces.append(payload)
                self._finish_content()
            elif kind == amqp.HEARTBEAT and self.number == 0 and not payload:
                if self.connection.heartbeats_recorded:
                    self.note("heartbeat")
            else:
                self.note("stray frame", type=kind, octets=payload.hex())
        except amqp.Malformed as error:
            self.note("malformed frame", type=kind, octets=payload.hex(), error=error)

    def _take_method(self, payload):
        name, fields = amqp.read_method(payload)
        if self._content:
            self.note("content cut", by=name)
            self._content = None
        if name in amqp.WITH_CONTENT:
            self._content = Content(name, fields)
            return
        if name in ("basic.ack", "basic.nack") and self._unconfirmed is not None:
            self._take_confirm(name, fields)
            return
        self._record(name, fields)
        self._answer(name)

    def _take_confirm(self, name, fields):
        tag, multiple = fields.pop("delivery-tag"), fields.pop("multiple")
        tags = sorted(known for known in self._unconfirmed if known <= tag) if multiple else [tag]
        if tag not in self._unconfirmed:
            self.note("confirm of an unknown tag", tag=tag)
        self._unconfirmed.difference_update(tags)
        for each in tags:
            self._record(name, {"delivery-tag": each, **fields})

    def _answer(self, name):
        connection = self.connection
        if name == "channel.close":
            self.closed = connection.answers
            if connection.answers:
                connection.answer(self.number, "channel.close-ok")
        elif name == "connection.close":
            connection.closed = True
            if connection.answers:
                connection.answer(0, "connection.close-ok")
        elif name == "connection.close-ok":
            connection.closed = True
        elif name == "channel.open-ok":
            # A new life, without confirms.
            self.closed, self._unconfirmed, self._published = False, None, 0

    def _finish_content(self):
        content = self._content
        if sum(map(len, content.pieces)) < content.size:
            return
        self._content = None
        fields = dict(content.fields)
        fields.update({f"properties.{name}": value for name, value in content.properties.items()})
        fields["body"] = b"".join(content.pieces)
        if len(content.pieces) > 1:
            fields["body frames"] = " ".join(str(len(piece)) for piece in content.pieces)
        self._record(content.name, fields)

    def _record(self, name, fields):
        # At the script's end messages may come or not: a consumer may get what another one gives back.
        if self.finishing and name in ("basic.deliver", "connection.close-ok"):
            return
        if name not in _UNASKED:
            self._last = Fields(fields)
        if self._unrecorded == name:
            self._unrecorded = None
            return
        self.events.append(Event(name, flatten(fields, self._names), self._after))


class Content:
    """A message on its way in."""

    def __init__(self, name, fields):
        self.name = name
        self.fields = fields
        self.size = 0
        self.properties = None
        self.pieces = []


class Fields(dict):
    """Fields of an answer. One that did not come is empty, so that a script can go on."""

    def __missing__(self, key):
        return b""


def _short(fields):
    shown = {key: value for key, value in fields.items() if value not in ("", b"", {}, False)}
    text = " ".join(f"{key}={value!r}" for key, value in shown.items())
    return text if len(text) <= 150 else text[:150] + ".."
