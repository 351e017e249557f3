"""Frames: types, ends, sizes, and methods and tables that do not decode."""

import struct

from differential import amqp
from differential.amqp import Typed
from differential.script import script

# What TCP does when the broker ends it after an error that it did, or did not, explain.
SOON_OR_LATER = {"at once": (0, 2), "after about 3 s": (2, 9)}


@script
def unknown_frame_types(t):
    """A frame of another type than 1, 2, 3 and 8 is a frame error."""
    for kind in (4, 5, 7, 9, 255):
        t.connection().frame(kind, 0, b"")
    for kind in (0, 6):
        t.connection().frame(kind, 1, b"abc\x00")


@script
def heartbeat_on_another_channel(t):
    """A heartbeat belongs to channel 0."""
    t.connection().frame(amqp.HEARTBEAT, 1, b"")


@script
def heartbeat_on_an_open_channel(t):
    """A heartbeat belongs to channel 0, whatever other channels are open."""
    channel = t.channel()
    channel.frame(amqp.HEARTBEAT, b"")
    channel.wait()


@script
def heartbeat_with_a_payload(t):
    """A heartbeat is empty."""
    t.connection().frame(amqp.HEARTBEAT, 0, b"\x01\x00")


@script
def heartbeats_at_any_time(t):
    """Heartbeats are taken though none were negotiated."""
    connection = t.connection()
    connection.frame(amqp.HEARTBEAT, 0, b"")
    connection.channel(1).call("basic.qos", prefetch_count=1)


@script
def bad_frame_end(t):
    """A wrong end octet stops the parsing; TCP ends later, without regard to close-ok."""
    connection = t.connection()
    connection.frame(amqp.METHOD, 1, amqp.method("channel.open"), end=0xCD)
    connection.wait()
    connection.frame(amqp.METHOD, 1, amqp.method("channel.open"))
    connection.end(classes=SOON_OR_LATER)


@script
def bad_frame_end_of_a_long_payload(t):
    """Of a payload over sixteen octets the first sixteen are shown."""
    connection = t.connection()
    connection.frame(amqp.METHOD, 1, b"\x00\x14\x00\x0a" + bytes(range(13)), end=0)
    connection.end(classes=SOON_OR_LATER)


@script
def payload_of_frame_max(t):
    """The eight octets around a payload are forgiven to clients that forget them."""
    channel = t.channel(frame_max=4096)
    queue = t.queue()
    channel.declare(queue)
    channel.send("basic.publish", routing_key=queue)
    channel.header(4096)
    channel.body(b"x" * 4096)
    channel.get(queue)


@script
def payload_over_frame_max(t):
    """One octet more than frame_max is refused from the frame's first seven octets."""
    connection = t.connection()
    connection.octets(struct.pack(">BHI", 1, 1, 131073))
    connection.end(classes=SOON_OR_LATER)


@script
def payload_over_the_negotiated_frame_max(t):
    """The negotiated frame_max counts, and not the offered one."""
    connection = t.connection(frame_max=4096)
    connection.octets(struct.pack(">BHI", 3, 1, 4097))
    connection.end(classes=SOON_OR_LATER)


@script
def large_frame_before_login(t):
    """A frame that is too large before login is met with silence, and the end of TCP."""
    connection = t.socket()
    connection.start()
    connection.octets(struct.pack(">BHI", 1, 0, 65536) + b"x" * 65536)
    connection.end(classes=SOON_OR_LATER)


@script
def frames_in_pieces(t):
    """Octets may come in any pieces."""
    connection = t.connection()
    for octet in amqp.frame(amqp.METHOD, 1, amqp.method("channel.open")):
        connection.octets(bytes([octet]))
    connection.unopened(1).wait()


@script
def several_frames_at_once(t):
    """Many frames in one piece are answered one by one."""
    connection = t.connection()
    connection.octets(b"".join(amqp.frame(amqp.METHOD, n, amqp.method("channel.open")) for n in range(1, 20)))
    for number in range(1, 20):
        connection.unopened(number).wait()


@script
def methods_that_are_too_short(t):
    """A method frame holds at least class and method id."""
    for octets in (b"", b"\x00", b"\x00\x14\x00"):
        t.connection().frame(amqp.METHOD, 1, octets)


@script
def truncated_arguments(t):
    """Arguments that end too early do not decode."""
    channel = t.channel()
    channel.frame(amqp.METHOD, amqp.method("queue.declare", queue="q")[:-1])
    channel.wait()


@script
def octets_behind_the_arguments(t):
    """Arguments are consumed exactly."""
    channel = t.channel()
    channel.frame(amqp.METHOD, amqp.method("basic.qos", prefetch_count=1) + b"\x00")
    channel.wait()


@script
def arguments_of_many_kinds_that_do_not_decode(t):
    """What does not decode names its class and method, on a closed channel too."""
    for name in ("exchange.declare", "basic.consume", "tx.select", "channel.open", "basic.publish"):
        connection = t.connection()
        connection.frame(amqp.METHOD, 1, amqp.method(name) + b"\xff\xfe\xfd")


@script
def unused_bits(t):
    """Bits that no argument uses are ignored."""
    channel = t.channel()
    payload = amqp.method("channel.flow", active=True)[:-1] + b"\xff"
    channel.frame(amqp.METHOD, payload)
    channel.wait()


@script
def names_that_are_not_utf8(t):
    """Short strings of methods without content are UTF-8."""
    for name, field in (("queue.declare", "queue"), ("basic.get", "queue"), ("basic.cancel", "consumer_tag")):
        channel = t.channel()
        channel.send(name, **{field: b"a\xff\xfe"})
        channel.connection.wait()


@script
def keys_that_are_not_utf8(t):
    """Routing keys of publishes may be any octets."""
    channel = t.channel()
    channel.publish("", b"\xff\xfe", b"", mandatory=True)
    channel.wait()


@script
def names_with_nul(t):
    """Names may hold NUL."""
    channel = t.channel()
    queue = t.queue("a\0b")
    channel.declare(queue)
    channel.get(queue)


@script
def names_with_line_breaks(t):
    """CR and LF are taken out of names in declare, delete, bind and unbind."""
    channel = t.channel()
    queue, exchange = t.queue("q"), t.exchange("x")
    broken, broken_exchange = "\r\n" + queue + "\n", exchange[0] + "\r" + exchange[1:]
    channel.declare(broken)
    channel.declare(queue, passive=True)
    channel.exchange(broken_exchange)
    channel.exchange(exchange, passive=True)
    channel.bind(broken, broken_exchange, "k")
    channel.publish(exchange, "k", b"found")
    channel.quiet()
    channel.get(queue)
    channel.call("queue.unbind", queue=broken, exchange=broken_exchange, routing_key="k")
    channel.call("exchange.delete", exchange=broken_exchange)
    channel.call("queue.delete", queue=broken)
    channel.declare(queue, passive=True)


@script
def names_with_line_breaks_elsewhere(t):
    """CR and LF stay in names of other methods."""
    for name in ("basic.get", "basic.consume", "queue.purge"):
        channel = t.channel()
        queue = t.queue(name)
        channel.declare(queue)
        channel.call(name, queue=queue + "\n")
    channel = t.channel()
    channel.call("queue.declare", queue=queue + "\n", passive=True)


@script
def unknown_class(t):
    """A class that does not exist is not implemented."""
    channel = t.channel()
    channel.frame(amqp.METHOD, b"\x00\x63\x00\x0a")
    channel.wait()
    channel.connection.end()


@script
def unknown_method(t):
    """A method that its class does not have is not implemented."""
    channel = t.channel()
    channel.frame(amqp.METHOD, b"\x00\x3c\x00\x63")
    channel.wait()
    channel.connection.end()


@script
def unknown_field_type(t):
    """A table's value of a type that does not exist is a syntax error."""
    for tag in ("U", "Z", "\0"):
        channel = t.channel()
        channel.send("queue.declare", queue=t.queue(), arguments=[("k", Typed(tag, b"\0\0\0\0"))])
        channel.connection.end()


@script
def broken_tables(t):
    """Lengths in tables end where their content ends."""
    for octets in (b"\x01", b"\x05abc", b"\x01kS\0\0\0\x09abc", b"\x01kF\0\0\0\x02\x01", b"\x01kA\0\0\0\x01I", b"\x01kI\0"):
        channel = t.channel()
        channel.send("queue.declare", queue=t.queue(), arguments=octets)
        channel.connection.end()


@script
def duplicate_table_keys(t):
    """Of duplicate keys the first counts."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue, [("x-max-length", 1), ("x-max-length", 5)])
    channel.fill(queue, b"1", b"2", b"3")
    channel.declare(queue, {"x-max-length": 5})
    channel = t.channel()
    channel.declare(queue, {"x-max-length": 1})


@script
def tables_of_every_type(t):
    """Arguments may hold values of every type."""
    channel = t.channel()
    channel.declare(t.queue(), every_type())


@script
def headers_of_every_type(t):
    """Headers are relayed octet for octet: order, duplicates and unusual codings."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue)
    headers = [*every_type(), ("bool 7", Typed("t", 7)), ("twice", 1), ("a", 1), ("twice", 2), ("", "")]
    channel.publish("", queue, b"", headers=headers)
    channel.quiet()
    channel.get(queue)


def every_type():
    return [
        ("bool", True), ("i8", Typed("b", -8)), ("u8", Typed("B", 200)), ("i16", Typed("s", -300)),
        ("u16", Typed("u", 60000)), ("i32", Typed("I", -70000)), ("u32", Typed("i", 4000000000)),
        ("i64", Typed("l", -(2**40))), ("L", Typed("L", -5)), ("f32", Typed("f", 0.5)), ("f64", Typed("d", 1.25)),
        ("decimal", Typed("D", (2, 4000000000))), ("text", "word"), ("octets", Typed("S", b"\xff\0")),
        ("array of octets", Typed("x", b"\0\1")), ("time", Typed("T", 2**63)), ("void", None),
        ("table", {"b": 1, "a": {"c": None}}), ("array", [1, "two", [3.0], {"four": 4}]), ("empty array", []),
    ]  # fmt: skip


@script
def deep_tables(t):
    """Tables nest as deep as anybody needs."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue)
    channel.publish("", queue, b"", headers=nested(60))
    channel.quiet()
    channel.get(queue)


@script
def tables_of_absurd_depth(t):
    """A table of thousands of levels is no table that anybody sends."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue)
    inner = b""
    for _ in range(2000):
        inner = b"\x01kF" + struct.pack(">I", len(inner)) + inner
    channel.call("confirm.select")
    channel.publish("", queue, b"", headers=inner)
    channel.wait()


def nested(levels):
    table = {"bottom": True}
    for _ in range(levels - 1):
        table = {"k": table}
    return table
