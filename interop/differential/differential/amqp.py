"""AMQP 0-9-1 as octets: frames, methods, content headers and field tables, both ways.

Written to be able to say what no client library would: every part can be built alone, and wrongly. Nothing here
knows of sockets or of the order of frames.

Values of tables are typed: `Typed("s", 5)`. Reading gives a list of `(key, Typed)` in the order of the wire, so that
order, duplicates and types can be compared. Writing takes the same, or plain Python: see `typed`.
"""

import struct
from dataclasses import dataclass

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

# name: (class, method, fields). A field is `name type`; types are those of AMQP 4.2.5.
_LAYOUTS = """
connection.start 10 10 version-major octet, version-minor octet, server-properties table, mechanisms longstr, locales longstr
connection.start-ok 10 11 client-properties table, mechanism shortstr, response longstr, locale shortstr
connection.secure 10 20 challenge longstr
connection.secure-ok 10 21 response longstr
connection.tune 10 30 channel-max short, frame-max long, heartbeat short
connection.tune-ok 10 31 channel-max short, frame-max long, heartbeat short
connection.open 10 40 virtual-host shortstr, capabilities shortstr, insist bit
connection.open-ok 10 41 known-hosts shortstr
connection.close 10 50 reply-code short, reply-text shortstr, class-id short, method-id short
connection.close-ok 10 51
connection.blocked 10 60 reason shortstr
connection.unblocked 10 61
connection.update-secret 10 70 new-secret longstr, reason shortstr
connection.update-secret-ok 10 71
channel.open 20 10 out-of-band shortstr
channel.open-ok 20 11 channel-id longstr
channel.flow 20 20 active bit
channel.flow-ok 20 21 active bit
channel.close 20 40 reply-code short, reply-text shortstr, class-id short, method-id short
channel.close-ok 20 41
access.request 30 10 realm shortstr, exclusive bit, passive bit, active bit, write bit, read bit
access.request-ok 30 11 ticket short
exchange.declare 40 10 ticket short, exchange shortstr, type shortstr, passive bit, durable bit, auto-delete bit, internal bit, no-wait bit, arguments table
exchange.declare-ok 40 11
exchange.delete 40 20 ticket short, exchange shortstr, if-unused bit, no-wait bit
exchange.delete-ok 40 21
exchange.bind 40 30 ticket short, destination shortstr, source shortstr, routing-key shortstr, no-wait bit, arguments table
exchange.bind-ok 40 31
exchange.unbind 40 40 ticket short, destination shortstr, source shortstr, routing-key shortstr, no-wait bit, arguments table
exchange.unbind-ok 40 51
queue.declare 50 10 ticket short, queue shortstr, passive bit, durable bit, exclusive bit, auto-delete bit, no-wait bit, arguments table
queue.declare-ok 50 11 queue shortstr, message-count long, consumer-count long
queue.bind 50 20 ticket short, queue shortstr, exchange shortstr, routing-key shortstr, no-wait bit, arguments table
queue.bind-ok 50 21
queue.purge 50 30 ticket short, queue shortstr, no-wait bit
queue.purge-ok 50 31 message-count long
queue.delete 50 40 ticket short, queue shortstr, if-unused bit, if-empty bit, no-wait bit
queue.delete-ok 50 41 message-count long
queue.unbind 50 50 ticket short, queue shortstr, exchange shortstr, routing-key shortstr, arguments table
queue.unbind-ok 50 51
basic.qos 60 10 prefetch-size long, prefetch-count short, global bit
basic.qos-ok 60 11
basic.consume 60 20 ticket short, queue shortstr, consumer-tag shortstr, no-local bit, no-ack bit, exclusive bit, no-wait bit, arguments table
basic.consume-ok 60 21 consumer-tag shortstr
basic.cancel 60 30 consumer-tag shortstr, no-wait bit
basic.cancel-ok 60 31 consumer-tag shortstr
basic.publish 60 40 ticket short, exchange shortstr, routing-key shortstr, mandatory bit, immediate bit
basic.return 60 50 reply-code short, reply-text shortstr, exchange shortstr, routing-key shortstr
basic.deliver 60 60 consumer-tag shortstr, delivery-tag longlong, redelivered bit, exchange shortstr, routing-key shortstr
basic.get 60 70 ticket short, queue shortstr, no-ack bit
basic.get-ok 60 71 delivery-tag longlong, redelivered bit, exchange shortstr, routing-key shortstr, message-count long
basic.get-empty 60 72 cluster-id shortstr
basic.ack 60 80 delivery-tag longlong, multiple bit
basic.reject 60 90 delivery-tag longlong, requeue bit
basic.recover-async 60 100 requeue bit
basic.recover 60 110 requeue bit
basic.recover-ok 60 111
basic.nack 60 120 delivery-tag longlong, multiple bit, requeue bit
confirm.select 85 10 no-wait bit
confirm.select-ok 85 11
tx.select 90 10
tx.select-ok 90 11
tx.commit 90 20
tx.commit-ok 90 21
tx.rollback 90 30
tx.rollback-ok 90 31
"""

# The basic properties from flag 15 down (AMQP 4.2.6.1).
PROPERTIES = [
    ("content-type", "shortstr"),
    ("content-encoding", "shortstr"),
    ("headers", "table"),
    ("delivery-mode", "octet"),
    ("priority", "octet"),
    ("correlation-id", "shortstr"),
    ("reply-to", "shortstr"),
    ("expiration", "shortstr"),
    ("message-id", "shortstr"),
    ("timestamp", "longlong"),
    ("type", "shortstr"),
    ("user-id", "shortstr"),
    ("app-id", "shortstr"),
    ("cluster-id", "shortstr"),
]

# Methods behind which content follows.
WITH_CONTENT = {"basic.publish", "basic.return", "basic.deliver", "basic.get-ok"}


@dataclass(frozen=True)
class Layout:
    name: str
    class_id: int
    method_id: int
    fields: tuple


def _layouts():
    for line in _LAYOUTS.strip().splitlines():
        name, class_id, method_id, *rest = line.split(" ", 3)
        fields = tuple(tuple(field.split(" ")) for field in rest[0].split(", ")) if rest else ()
        yield Layout(name, int(class_id), int(method_id), fields)


METHODS = {layout.name: layout for layout in _layouts()}
METHODS_BY_ID = {(layout.class_id, layout.method_id): layout for layout in METHODS.values()}


class Malformed(Exception):
    """Octets that are not what they should be."""


@dataclass(frozen=True)
class Typed:
    """A table's value with its type's octet: `Typed("s", -1)` is a signed 16 bit number.

    `F` holds a list of `(key, Typed)`, `A` a list of `Typed`, `D` a pair of scale and value, `S` and `x` bytes, `t` the
    octet itself, and any other type octet raw bytes that are written behind it.
    """

    tag: str
    value: object = None


_NUMBERS = {
    "b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "L": ">q", "f": ">f", "d": ">d",
    "T": ">Q", "t": ">B",
}  # fmt: skip


def typed(value):
    """Plain Python as a table's value: str and bytes are `S`, bool `t`, int `I` or `l`, float `d`, None `V`."""
    match value:
        case Typed():
            return value
        case bool():
            return Typed("t", int(value))
        case int():
            return Typed("I" if -(2**31) <= value < 2**31 else "l", value)
        case float():
            return Typed("d", value)
        case str():
            return Typed("S", value.encode())
        case bytes():
            return Typed("S", value)
        case dict():
            return Typed("F", entries(value))
        case list() | tuple():
            return Typed("A", [typed(item) for item in value])
        case None:
            return Typed("V")
    raise TypeError(f"no table value: {value!r}")


def entries(table):
    """A dict, or pairs, as `(key, Typed)` pairs."""
    pairs = table.items() if isinstance(table, dict) else table
    return [(key, typed(value)) for key, value in pairs]


# --- writing ---


def frame(kind, channel, payload, end=FRAME_END):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([end])


def method(name, **fields):
    """The payload of a method frame. Fields that are not given are 0, empty or false; `_` stands for `-`."""
    layout = METHODS[name]
    values = {key.replace("_", "-"): value for key, value in fields.items()}
    known = {field for field, _ in layout.fields}
    if unknown := set(values) - known:
        raise TypeError(f"{name} has no {unknown}")
    return struct.pack(">HH", layout.class_id, layout.method_id) + _write_fields(layout.fields, values)


def _write_fields(fields, values):
    out, bits, bit_count = b"", 0, 0
    for name, kind in fields:
        value = values.get(name)
        if kind == "bit":
            if bit_count == 8:
                out, bits, bit_count = out + bytes([bits]), 0, 0
            bits |= bool(value) << bit_count
            bit_count += 1
            continue
        if bit_count:
            out, bits, bit_count = out + bytes([bits]), 0, 0
        out += _write_field(kind, value)
    return out + bytes([bits]) if bit_count else out


def _write_field(kind, value):
    match kind:
        case "octet" | "short" | "long" | "longlong":
            return struct.pack({"octet": ">B", "short": ">H", "long": ">I", "longlong": ">Q"}[kind], value or 0)
        case "shortstr":
            return shortstr(value or b"")
        case "longstr":
            return longstr(value or b"")
        case "table":
            # Bytes are a table's octets without its length, right or wrong.
            return longstr(value if isinstance(value, bytes) else table_octets(value or {}))
    raise ValueError(kind)


def _octets(text):
    return text.encode() if isinstance(text, str) else text


def shortstr(text):
    octets = _octets(text)
    return bytes([len(octets)]) + octets


def longstr(text):
    octets = _octets(text)
    return struct.pack(">I", len(octets)) + octets


def table_octets(table):
    """The entries of a table, without its length."""
    return b"".join(shortstr(key) + value_octets(value) for key, value in entries(table))


def value_octets(value):
    """A value with its type's octet before it."""
    value = typed(value)
    tag = value.tag.encode("latin-1")
    if value.tag in _NUMBERS:
        return tag + struct.pack(_NUMBERS[value.tag], value.value)
    match value.tag:
        case "S" | "x":
            return tag + longstr(value.value)
        case "F":
            return tag + longstr(table_octets(value.value))
        case "A":
            return tag + longstr(b"".join(value_octets(item) for item in value.value))
        case "D":
            return tag + struct.pack(">BI", *value.value)
        case "V":
            return tag
    return tag + (value.value or b"")


def content_header(size, properties=None, class_id=60, weight=0):
    """The payload of a header frame. Properties: a dict by name, or the octets of flags and values."""
    start = struct.pack(">HHQ", class_id, weight, size)
    return start + (properties if isinstance(properties, bytes) else property_octets(properties or {}))


def property_octets(properties):
    values = {key.replace("_", "-"): value for key, value in properties.items()}
    if unknown := set(values) - {name for name, _ in PROPERTIES}:
        raise TypeError(f"no properties: {unknown}")
    flags, out = 0, b""
    for at, (name, kind) in enumerate(PROPERTIES):
        if name in values:
            flags |= 1 << (15 - at)
            out += _write_field(kind, values[name])
    return struct.pack(">H", flags) + out


# --- reading ---


class Reader:
    """Takes values off octets; raises `Malformed` where they end too early."""

    def __init__(self, octets):
        self.octets = octets
        self.at = 0

    def take(self, count):
        taken = self.octets[self.at : self.at + count]
        if len(taken) < count:
            raise Malformed(f"{count} octets wanted at {self.at} of {len(self.octets)}")
        self.at += count
        return taken

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def done(self):
        return self.at == len(self.octets)

    def shortstr(self):
        return self.take(self.number(">B"))

    def longstr(self):
        return self.take(self.number(">I"))

    def field(self, kind):
        match kind:
            case "octet":
                return self.number(">B")
            case "short":
                return self.number(">H")
            case "long":
                return self.number(">I")
            case "longlong":
                return self.number(">Q")
            case "shortstr":
                return self.shortstr()
            case "longstr":
                return self.longstr()
            case "table":
                return read_table(self.longstr())
        raise ValueError(kind)


def read_table(octets):
    """The entries of a table, from its octets without the length."""
    reader, found = Reader(octets), []
    while not reader.done():
        key = reader.shortstr().decode("utf-8", "replace")
        found.append((key, read_value(reader)))
    return found


def read_value(reader):
    tag = chr(reader.number(">B"))
    if tag in _NUMBERS:
        return Typed(tag, reader.number(_NUMBERS[tag]))
    match tag:
        case "S" | "x":
            return Typed(tag, reader.longstr())
        case "F":
            return Typed(tag, read_table(reader.longstr()))
        case "A":
            items, found = Reader(reader.longstr()), []
            while not items.done():
                found.append(read_value(items))
            return Typed(tag, found)
        case "D":
            return Typed(tag, (reader.number(">B"), reader.number(">I")))
        case "V":
            return Typed(tag)
    raise Malformed(f"no table value has the type {tag!r}")


def read_method(payload):
    """Name and fields (a dict by name) of a method frame's payload."""
    reader = Reader(payload)
    ids = (reader.number(">H"), reader.number(">H"))
    if ids not in METHODS_BY_ID:
        raise Malformed(f"no method {ids[0]}/{ids[1]}")
    layout = METHODS_BY_ID[ids]
    fields, bits, bit_count = {}, 0, 8
    for name, kind in layout.fields:
        if kind == "bit":
            if bit_count == 8:
                bits, bit_count = reader.number(">B"), 0
            fields[name] = bool(bits >> bit_count & 1)
            bit_count += 1
        else:
            bit_count = 8
            fields[name] = reader.field(kind)
    if not reader.done():
        raise Malformed(f"octets behind {layout.name}")
    return layout.name, fields


def read_content_header(payload):
    """Body size, and properties by name in their order."""
    reader = Reader(payload)
    class_id, weight, size = reader.number(">H"), reader.number(">H"), reader.number(">Q")
    if (class_id, weight) != (60, 0):
        raise Malformed(f"content header of class {class_id}, weight {weight}")
    flags = reader.number(">H")
    found = {}
    for at, (name, kind) in enumerate(PROPERTIES):
        if flags >> (15 - at) & 1:
            found[name] = reader.field(kind)
    if not reader.done():
        raise Malformed("octets behind the properties")
    return size, found


def split_frame(octets):
    """The first frame of what was read, as `(type, channel, payload)` and the octets behind it; None if it is cut."""
    if len(octets) < 7:
        return None
    kind, channel, size = struct.unpack(">BHI", octets[:7])
    if len(octets) < size + 8:
        return None
    if octets[size + 7] != FRAME_END:
        raise Malformed(f"a frame ends with {octets[size + 7]}")
    return (kind, channel, bytes(octets[7 : size + 7])), octets[size + 8 :]
