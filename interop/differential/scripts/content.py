"""Content: method, header, body, and what breaks their order."""

import struct

from differential import amqp
from differential.script import script


def publishing(t):
    """A channel on which a publish was begun, and its queue."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue)
    channel.send("basic.publish", routing_key=queue)
    return channel, queue


@script
def empty_body(t):
    """A message without a body has no body frame."""
    channel, queue = publishing(t)
    channel.header(0)
    channel.consume(queue, no_ack=True)
    channel.wait()


@script
def empty_body_frames(t):
    """Empty body frames are skipped."""
    channel, queue = publishing(t)
    channel.header(3)
    for piece in (b"", b"a", b"", b"bc"):
        channel.body(piece)
    channel.quiet()
    channel.get(queue)


@script
def empty_body_frame_behind_an_empty_body(t):
    """Behind an empty body no body frame may come."""
    channel, _ = publishing(t)
    channel.header(0)
    channel.body(b"")
    channel.wait()


@script
def large_body(t):
    """A body is cut to the consumer's own frame_max less eight octets."""
    publisher = t.channel()
    queue = t.queue()
    publisher.declare(queue)
    publisher.fill(queue, bytes(range(250)) * 1200)
    t.channel().get(queue, no_ack=False)
    t.channel(frame_max=4096).get(queue, no_ack=False)
    publisher.connection.channel(2).get(queue)


@script
def body_in_many_frames(t):
    """A body may come in any number of frames."""
    channel, queue = publishing(t)
    channel.header(50)
    for octet in range(50):
        channel.body(bytes([65 + octet % 26]))
    channel.quiet()
    channel.get(queue)


@script
def interleaved_channels(t):
    """Frames of other channels and heartbeats may come within a content."""
    connection = t.connection()
    first, second = connection.channel(1), connection.channel(2)
    queue, other = t.queue("q1"), t.queue("q2")
    first.declare(queue)
    second.declare(other)
    first.send("basic.publish", routing_key=queue)
    second.send("basic.publish", routing_key=other)
    first.header(2)
    connection.frame(amqp.HEARTBEAT, 0, b"")
    second.header(2)
    first.body(b"1")
    second.body(b"2")
    connection.channel(3).declare(queue, passive=True)
    second.body(b"2")
    first.body(b"1")
    first.quiet()
    first.get(queue)
    second.get(other)


@script
def method_instead_of_header(t):
    """Behind a publish a header must come: no method."""
    channel, _ = publishing(t)
    channel.send("basic.qos", prefetch_count=1)
    channel.wait()


@script
def body_instead_of_header(t):
    """Behind a publish a header must come: no body."""
    channel, _ = publishing(t)
    channel.body(b"x")
    channel.wait()


@script
def close_instead_of_header(t):
    """Behind a publish a header must come: no channel.close either."""
    channel, _ = publishing(t)
    channel.send("channel.close", reply_code=200)
    channel.wait()


@script
def header_with_a_weight(t):
    """A header has no weight."""
    channel, _ = publishing(t)
    channel.header(1, weight=1)
    channel.wait()


@script
def header_of_another_class(t):
    """A header has its method's class."""
    channel, _ = publishing(t)
    channel.header(1, class_id=50)
    channel.wait()


@script
def method_instead_of_body(t):
    """Within a body nothing but body frames may come."""
    channel, _ = publishing(t)
    channel.header(2)
    channel.body(b"x")
    channel.send("basic.qos", prefetch_count=1)
    channel.wait()


@script
def close_within_a_body(t):
    """Within a body even channel.close is unexpected."""
    channel, _ = publishing(t)
    channel.header(2)
    channel.send("channel.close", reply_code=200)
    channel.wait()


@script
def header_within_a_body(t):
    """Within a body no second header may come."""
    channel, _ = publishing(t)
    channel.header(2)
    channel.header(2)
    channel.wait()


@script
def header_without_a_method(t):
    """A header needs a publish before it."""
    channel = t.channel()
    channel.header(0)
    channel.wait()


@script
def body_without_a_method(t):
    """A body needs a publish before it."""
    channel = t.channel()
    channel.body(b"x")
    channel.wait()


@script
def content_on_channel_0(t):
    """Channel 0 carries no content."""
    for kind in (amqp.HEADER, amqp.BODY):
        t.connection().frame(kind, 0, b"abc\x00\xff")


@script
def body_longer_than_announced(t):
    """A body is not longer than its header says."""
    channel, queue = publishing(t)
    channel.header(2)
    channel.body(b"xyz")
    channel.quiet()
    channel.call("queue.declare", queue=queue, passive=True)


@script
def body_of_fantastic_size(t):
    """A body of more than 512 MiB is refused at the header."""
    for size in (536870913, 2**64 - 1):
        channel, _ = publishing(t)
        channel.header(size)
        channel.quiet(1)


@script
def message_over_the_limit(t):
    """A message larger than the limit closes the channel."""
    channel, _ = publishing(t)
    channel.header(134217729)
    channel.quiet(1)


@script
def properties_that_do_not_decode(t):
    """Properties are consumed exactly, and must be there."""
    for octets in (b"\x80\x00", b"\x80\x00\x05abc", b"\x00\x00\x00", b"\x10\x00", b"\x00\x01\x00\x00", b"\x00"):
        channel, _ = publishing(t)
        channel.header(0, octets)
        channel.connection.end()


@script
def headers_that_do_not_decode(t):
    """The headers must be a table."""
    for octets in (b"\x01kU\0\0", b"\x01kS\0\0\0\x09a", b"\x09k"):
        channel, _ = publishing(t)
        channel.header(0, b"\x20\x00" + amqp.longstr(octets))
        channel.connection.end()


@script
def flag_1_is_ignored(t):
    """Of the two lowest flags the second is ignored."""
    channel, queue = publishing(t)
    channel.header(0, struct.pack(">H", 1 << 15 | 1 << 1) + amqp.shortstr("text"))
    channel.quiet()
    channel.get(queue)


@script
def all_properties(t):
    """All fourteen properties are relayed."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue)
    channel.publish(
        "", queue, b"body", content_type="text/plain", content_encoding="gzip", headers={"k": "v"}, delivery_mode=2,
        priority=255, correlation_id="c", reply_to="r", expiration="60000", message_id="m", timestamp=2**64 - 1,
        type="t", user_id="guest", app_id="a", cluster_id="cl",
    )  # fmt: skip
    channel.quiet()
    channel.get(queue)


@script
def properties_need_not_be_utf8(t):
    """Properties may hold any octets."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue)
    channel.publish("", queue, b"", correlation_id=b"\xff\xfe", content_type=b"\x80", type=b"\0")
    channel.quiet()
    channel.get(queue)


@script
def content_errors_on_a_closing_channel(t):
    """What breaks the order of content is a hard error on a closing channel too."""
    connection = t.connection()
    connection.answers = False
    channel = connection.channel(1)
    channel.call("queue.declare", queue=t.name("none"), passive=True)
    channel.body(b"x")
    connection.wait()
