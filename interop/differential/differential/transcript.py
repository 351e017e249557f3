"""What a broker said, in a form that can be compared: events whose fields are paths and texts.

Here also is taken out what may differ between two brokers, or two runs, without meaning anything: names that the
broker makes up, names of the run, moments in time, and how confirms are put together.
"""

import re
import zlib
from dataclasses import dataclass, field

from .amqp import Typed

# Longer texts and bodies are shown by length and checksum.
SHOWN_OCTETS = 160

CONFIRMS = {"basic.ack", "basic.nack"}

_GENERATED = [
    ("gen", re.compile(r"amq\.gen-[A-Za-z0-9_-]{22}")),
    ("ctag", re.compile(r"amq\.ctag-[A-Za-z0-9_-]{22}")),
    ("reply-to", re.compile(r"amq\.rabbitmq\.reply-to\.[A-Za-z0-9+/=_.-]+")),
    ("pid", re.compile(r"<\d+\.\d+\.\d+>")),
]

# RabbitMQ breaks long terms in its error texts into lines.
_WRAPPED = re.compile(r"(?<=,)\n +")

# Every broker has its own, so only that they are there and texts is compared.
_OWN_PROPERTIES = re.compile(
    r"server-properties\.(cluster_name|copyright|information|platform|product|version)$"
)
_MOMENTS = re.compile(r"headers\.x-death\[\d+\]\.time$")


@dataclass
class Event:
    """One thing that a broker did: its name (of a method, or `tcp`, `silence`, ..) and its fields by path."""

    name: str
    fields: dict = field(default_factory=dict)
    # What the script had done last: for people, and not compared.
    after: str = ""

    def __str__(self):
        return " ".join([self.name, *(f"{path}={text}" for path, text in self.fields.items())])


class Names:
    """Gives the same token to the same name, in the order in which they turn up."""

    def __init__(self, suffix=""):
        self._suffix = suffix
        self._tokens = {}

    def tokens(self, text):
        """The text with generated names as `<gen 1>`, and those of the script without the suffix of the run."""
        if self._suffix:
            text = text.replace(self._suffix, "")
        for kind, pattern in _GENERATED:
            text = pattern.sub(lambda found, kind=kind: self._token(kind, found[0]), text)
        return _WRAPPED.sub("", text)

    def _token(self, kind, name):
        if name not in self._tokens:
            count = sum(1 for known in self._tokens.values() if known.startswith(f"<{kind} "))
            self._tokens[name] = f"<{kind} {count + 1}>"
        return self._tokens[name]


def flatten(fields, names):
    """Fields of a method, or properties, as texts by path: `headers.x-death[0].count` is `l:1`."""
    flat = {}
    for name, value in fields.items():
        _flatten(name, value, names, flat)
    return flat


def _flatten(path, value, names, flat):
    match value:
        case Typed("F", entries):
            flat[path] = "F"
            _flatten_table(path, entries, names, flat)
        case Typed("A", items):
            flat[path] = f"A of {len(items)}"
            for at, item in enumerate(items):
                _flatten(f"{path}[{at}]", item, names, flat)
        case Typed("T", _) if _MOMENTS.search(path):
            flat[path] = "T:<time>"
        case Typed("S", _) if _OWN_PROPERTIES.search(path):
            flat[path] = "S:<its own>"
        case Typed("V", _):
            flat[path] = "V"
        case Typed(tag, inner):
            flat[path] = f"{tag}:{names.tokens(text(inner))}"
        case list():
            _flatten_table(path, value, names, flat)
        case _:
            flat[path] = names.tokens(text(value))


def _flatten_table(path, entries, names, flat):
    seen = {}
    for key, value in entries:
        seen[key] = seen.get(key, 0) + 1
        again = f"#{seen[key]}" if seen[key] > 1 else ""
        _flatten(f"{path}.{names.tokens(key)}{again}", value, names, flat)
    if entries:
        flat[f"{path}.(order)"] = " ".join(names.tokens(key) for key, _ in entries)


def text(value):
    """A value as a person would read it; octets that are no text as hexadecimal digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, bytes):
        return str(value)
    if len(value) > SHOWN_OCTETS and not _is_reply(value):
        return f"<{len(value)} octets, checksum {zlib.crc32(value):08x}>"
    try:
        shown = value.decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()
    return shown if shown.isprintable() or "\n" in shown else "0x" + value.hex()


def _is_reply(value):
    # Reply texts are up to 255 octets, and worth reading.
    return len(value) <= 255 and b" - " in value[:40]


def settled(events):
    """The events with every run of confirms in the order of their tags: how they are put together is free."""
    out, run = [], []
    for event in events:
        if event.name in CONFIRMS:
            run.append(event)
            continue
        out += sorted(run, key=_tag) + [event]
        run = []
    return out + sorted(run, key=_tag)


def _tag(event):
    return int(event.fields["delivery-tag"])
