"""Connections: opening, login, negotiation, vhosts, states, ending."""

from differential import amqp
from differential.peer import CAPABILITIES
from differential.script import script

SOON_OR_LATER = {"at once": (0, 2), "after about 3 s": (2, 9)}


@script
def protocol_headers_that_are_served(t):
    """0-9-1 and 0-9 are answered with connection.start."""
    for octets in (b"AMQP\x00\x00\x09\x01", b"AMQP\x01\x01\x00\x09"):
        connection = t.socket()
        connection.octets(octets)
        connection.wait()
        connection.drop()


@script
def protocol_headers_of_0_8(t):
    """The headers of 0-8."""
    for octets in (b"AMQP\x01\x01\x08\x00", b"AMQP\x01\x01\x09\x01"):
        connection = t.socket()
        connection.octets(octets)
        connection.wait()
        connection.drop()


@script
def protocol_headers_that_are_not_served(t):
    """Anything else is answered with the header that is served, and the end of TCP."""
    for octets in (b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x00\x09\x02", b"GET / HTTP/1.1\r\n\r\n",
                   b"AMQP\x00\x00\x0a\x00", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"AMQX\x00\x00\x09\x01"):  # fmt: skip
        connection = t.socket()
        connection.octets(octets)
        connection.end(classes=SOON_OR_LATER)


@script(slow=True)
def silence_before_the_header(t):
    """A client that says nothing is dropped after ten seconds."""
    connection = t.socket()
    connection.end(within=30, classes={"after 10 s": (8, 20)})


@script(slow=True)
def silence_before_start_ok(t):
    """A client that does not log in is dropped after ten seconds."""
    connection = t.socket()
    connection.start()
    connection.end(within=30, classes={"after 10 s": (8, 20)})


@script
def mechanism_that_is_not_offered(t):
    """A mechanism that is not offered is met with silence; names are case-sensitive."""
    for mechanism in ("EXTERNAL", "plain", "SCRAM-SHA-256", ""):
        connection = t.socket()
        connection.start()
        connection.send("connection.start-ok", client_properties={"capabilities": CAPABILITIES}, mechanism=mechanism,
                        response="\0guest\0guest", locale="en_US")  # fmt: skip
        connection.end(classes=SOON_OR_LATER)


@script
def malformed_plain(t):
    """PLAIN is NUL user NUL password, and nothing else."""
    for response in ("", "guest\0guest", "\0guest", "me\0guest\0guest", "\0guest\0guest\0"):
        connection = t.socket()
        connection.start()
        connection.send("connection.start-ok", client_properties={"capabilities": CAPABILITIES}, mechanism="PLAIN",
                        response=response, locale="en_US")  # fmt: skip
        connection.end(classes=SOON_OR_LATER)


@script
def amqplain(t):
    """AMQPLAIN is the content of a table with LOGIN and PASSWORD; the locale is ignored."""
    connection = t.socket()
    connection.start()
    response = amqp.table_octets({"LOGIN": "guest", "PASSWORD": "guest"})
    connection.call("connection.start-ok", mechanism="AMQPLAIN", response=response, locale="xx")
    connection.drop()


@script
def malformed_amqplain(t):
    """AMQPLAIN needs both keys as long strings."""
    for response in (
        amqp.table_octets({"LOGIN": "guest"}), amqp.table_octets({"LOGIN": "guest", "PASSWORD": 5}), b"\x05LOG",
        amqp.longstr(amqp.table_octets({"LOGIN": "guest", "PASSWORD": "guest"})),
    ):  # fmt: skip
        connection = t.socket()
        connection.start()
        connection.send("connection.start-ok", client_properties={"capabilities": CAPABILITIES}, mechanism="AMQPLAIN",
                        response=response, locale="en_US")  # fmt: skip
        connection.end(classes=SOON_OR_LATER)


@script
def wrong_password(t):
    """A refused login is explained to a client that can take it."""
    for user, password in (("guest", "wrong"), ("nobody", "guest"), ("", "")):
        connection = t.socket()
        connection.start()
        connection.log_in(user, password)
        connection.end(classes=SOON_OR_LATER)


@script
def wrong_password_by_amqplain(t):
    """The explanation names the mechanism."""
    connection = t.socket()
    connection.start()
    connection.send("connection.start-ok", client_properties={"capabilities": CAPABILITIES}, mechanism="AMQPLAIN",
                    response=amqp.table_octets({"LOGIN": "guest", "PASSWORD": "no"}), locale="en_US")  # fmt: skip
    connection.end(classes=SOON_OR_LATER)


@script
def wrong_password_without_the_capability(t):
    """Without authentication_failure_close a refused login is met with silence."""
    for properties in ({}, {"capabilities": {"authentication_failure_close": False}}, {"capabilities": 5},
                       {"capabilities": {"authentication_failure_close": "yes"}}):  # fmt: skip
        connection = t.socket()
        connection.start()
        connection.log_in("guest", "wrong", properties)
        connection.end(classes=SOON_OR_LATER)


@script
def tune_is_offered(t):
    """tune offers channel_max 2047, frame_max 131072 and a heartbeat of 60 s."""
    connection = t.socket()
    connection.start()
    connection.call("connection.start-ok", mechanism="PLAIN", response="\0guest\0guest", locale="en_US")
    connection.drop()


@script
def tune_ok_within_bounds(t):
    """Less may be asked for, and any heartbeat."""
    for tune in ({"frame_max": 4096}, {"channel_max": 1}, {"heartbeat": 65535}, {"frame_max": 131071}):
        t.connection(**tune).channel(1).call("basic.qos")


@script
def tune_ok_out_of_bounds(t):
    """More than offered, less than the minimum, or no limit at all, is refused."""
    for tune in ({"frame_max": 4095}, {"frame_max": 131073}, {"frame_max": 0}, {"channel_max": 0},
                 {"channel_max": 2048}):  # fmt: skip
        connection = t.socket()
        connection.start()
        connection.log_in()
        connection.tune(**tune)
        connection.end(classes=SOON_OR_LATER)


@script
def open_gets_open_ok(t):
    """connection.open is answered with open-ok; its reserved fields are ignored."""
    connection = t.socket()
    connection.start()
    connection.log_in()
    connection.tune()
    connection.call("connection.open", virtual_host="/", capabilities="any", insist=True)


@script
def vhost_that_is_missing(t):
    """A vhost that does not exist is refused."""
    for vhost in ("none", "", "//", "/\0"):
        connection = t.socket()
        connection.start()
        connection.log_in()
        connection.tune()
        connection.call("connection.open", virtual_host=vhost)


@script
def client_properties_of_every_kind(t):
    """Client properties may hold anything."""
    connection = t.connection(
        properties={"capabilities": CAPABILITIES, "product": 5, "connection_name": {"a": [1, None]}, "": ""}
    )
    connection.channel(1).call("basic.qos")


@script
def order_before_open(t):
    """Before open-ok only the expected method is taken; all else is met with silence."""
    connection = t.socket()
    connection.start()
    connection.send("connection.open", virtual_host="/")
    connection.end(classes=SOON_OR_LATER)

    connection = t.socket()
    connection.start()
    connection.log_in()
    connection.send("connection.open", virtual_host="/")
    connection.end(classes=SOON_OR_LATER)

    connection = t.socket()
    connection.start()
    connection.log_in()
    connection.tune()
    connection.send("connection.start-ok")
    connection.end(classes=SOON_OR_LATER)


@script
def channels_before_open(t):
    """Before open-ok no other channel is taken."""
    for steps in (0, 1, 2):
        connection = t.socket()
        connection.start()
        if steps > 0:
            connection.log_in()
        if steps > 1:
            connection.tune()
        connection.frame(amqp.METHOD, 1, amqp.method("channel.open"))
        connection.end(classes=SOON_OR_LATER)


@script
def close_before_open(t):
    """connection.close before open-ok."""
    connection = t.socket()
    connection.start()
    connection.log_in()
    connection.tune()
    connection.send("connection.close", reply_code=200)
    connection.end(classes=SOON_OR_LATER)


@script
def heartbeats_before_open(t):
    """Heartbeats are ignored while a connection is opened."""
    connection = t.socket()
    connection.start()
    connection.frame(amqp.HEARTBEAT, 0, b"")
    connection.log_in()
    connection.frame(amqp.HEARTBEAT, 0, b"")
    connection.tune()
    connection.frame(amqp.HEARTBEAT, 0, b"")
    connection.call("connection.open", virtual_host="/")


@script
def pipelined_opening(t):
    """What comes behind open is answered after open-ok."""
    connection = t.socket()
    connection.start()
    connection.log_in()
    connection.tune()
    connection.send("connection.open", virtual_host="/")
    connection.frame(amqp.METHOD, 1, amqp.method("channel.open"))
    connection.wait()
    connection.unopened(1).wait()


@script
def methods_on_channel_0_in_use(t):
    """On channel 0 of an open connection there is nothing to do but to close it."""
    t.connection().call("connection.open", virtual_host="/")
    for name in ("connection.start-ok", "connection.tune-ok", "connection.secure-ok", "channel.open", "channel.close",
                 "queue.declare", "basic.ack", "tx.select", "connection.blocked", "connection.unblocked",
                 "connection.start", "connection.open-ok"):  # fmt: skip
        t.connection().call(name)


@script
def publish_on_channel_0(t):
    """Channel 0 takes no publish."""
    t.connection().call("basic.publish")


@script
def connection_methods_on_channels(t):
    """Methods of the class connection belong to channel 0."""
    for name in ("connection.close", "connection.open", "connection.start-ok", "connection.blocked",
                 "connection.close-ok", "connection.update-secret"):  # fmt: skip
        t.channel().call(name)


@script
def connection_method_on_an_unopened_channel(t):
    """On a channel that is not open, too, methods of the class connection have no place."""
    t.connection().unopened(5).call("connection.close")


@script
def update_secret(t):
    """A new secret is taken from users with a password too."""
    connection = t.connection()
    connection.call("connection.update-secret", new_secret="guest", reason="none")
    connection.channel(1).call("basic.qos")


@script
def update_secret_of_another_kind(t):
    """Any secret is taken where no token is looked at."""
    t.connection().call("connection.update-secret", new_secret="wrong", reason="none")


@script
def close_gets_close_ok(t):
    """connection.close is answered with close-ok; TCP is left to the client."""
    connection = t.connection()
    connection.channel(1).declare(t.queue(), exclusive=True)
    connection.call("connection.close", reply_code=200, reply_text="bye")
    connection.answers = False
    connection.end(within=2)


@script
def exclusive_queues_are_gone_at_close_ok(t):
    """When close-ok comes, exclusive queues are gone."""
    queue = t.queue()
    connection = t.connection()
    connection.channel(1).declare(queue, exclusive=True)
    connection.call("connection.close", reply_code=200)
    t.channel().declare(queue, exclusive=True, durable=True)


@script
def close_while_the_broker_closes(t):
    """After the broker's close only close, which gets close-ok, and close-ok count."""
    connection = t.connection()
    connection.answers = False
    connection.call("connection.open", virtual_host="/")
    connection.frame(amqp.METHOD, 1, amqp.method("channel.open"))
    connection.send("connection.update-secret")
    connection.quiet()
    connection.send("connection.close", reply_code=200)
    connection.quiet()
    connection.send("connection.close-ok")
    connection.end(classes=SOON_OR_LATER)


@script
def close_ok_ends_tcp(t):
    """With close-ok for the broker's close TCP ends at once."""
    connection = t.connection()
    connection.call("connection.open", virtual_host="/")
    connection.end(classes=SOON_OR_LATER)


@script
def missing_close_ok_with_a_heartbeat(t):
    """Without close-ok TCP ends after the heartbeat's interval, if that is shorter than 30 s."""
    connection = t.connection(heartbeat=3)
    connection.answers = False
    connection.call("connection.open", virtual_host="/")
    connection.end(classes={"after about 3 s": (1.5, 7)})


@script(slow=True)
def missing_close_ok(t):
    """Without close-ok TCP ends after 30 s."""
    connection = t.connection()
    connection.answers = False
    connection.call("connection.open", virtual_host="/")
    connection.end(within=60, classes={"after 30 s": (27, 45)})


@script(slow=True)
def client_close_without_tcp_end(t):
    """A client that closed and does not end TCP is dropped after 30 s."""
    connection = t.connection()
    connection.call("connection.close", reply_code=200)
    connection.answers = False
    connection.end(within=60, classes={"after 30 s": (27, 45)})


@script
def heartbeats_are_sent(t):
    """A heartbeat is sent after half the interval without other octets."""
    connection = t.connection(heartbeat=2)
    connection.heartbeats_recorded = True
    connection.wait(1, within=5)


@script
def silent_clients_are_dropped(t):
    """Who is silent for two to three intervals is dropped without a word."""
    connection = t.connection(heartbeat=1)
    connection.end(within=20, classes={"after 2 to 3 intervals": (1.8, 5)})


@script
def any_octet_is_a_sign_of_life(t):
    """Any octet counts as a sign of life, one of a frame too."""
    connection = t.connection(heartbeat=1)
    frame = amqp.frame(amqp.METHOD, 1, amqp.method("channel.open"))
    for octet in frame:
        connection.quiet(0.4)
        connection.octets(bytes([octet]))
    connection.unopened(1).wait()
    connection.answers = False


@script
def without_heartbeats_silence_is_fine(t):
    """With interval 0 nobody is dropped."""
    connection = t.connection(heartbeat=0)
    connection.quiet(4)
    connection.channel(1).call("basic.qos")


@script
def hard_error_keeps_what_was_published(t):
    """What was published before a hard error is kept, and what was out comes back."""
    queue = t.queue()
    watcher = t.channel()
    watcher.declare(queue)
    channel = t.channel()
    channel.fill(queue, b"1", b"2")
    channel.get(queue, no_ack=False)
    channel.connection.channel(2).publish("", queue, b"3")
    channel.connection.channels[2].call("channel.open")
    watcher.quiet(1)
    for _ in range(3):
        watcher.get(queue)


@script
def methods_of_the_server(t):
    """What only a server says is refused."""
    for name in ("basic.get-empty", "basic.qos-ok", "queue.declare-ok",
                 "channel.open-ok", "exchange.bind-ok", "tx.select-ok", "confirm.select-ok", "basic.consume-ok",
                 "basic.recover-ok", "access.request-ok"):  # fmt: skip
        t.channel().call(name)


@script
def methods_of_the_server_with_content(t):
    """What only a server says is refused with its content too."""
    for name in ("basic.deliver", "basic.get-ok", "basic.return"):
        channel = t.channel()
        channel.send(name)
        channel.header(1)
        channel.body(b"x")
        channel.connection.wait()


@script
def long_reply_texts_are_cut(t):
    """A reply text has 252 octets and three dots at most."""
    channel = t.channel()
    channel.call("queue.declare", queue="q" * 255, passive=True)
    channel = t.channel()
    channel.call("queue.declare", queue="é" * 127, passive=True)
