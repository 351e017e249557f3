"""How a refusal reaches a pika user: as an exception that carries the broker's code and text."""

import re
from contextlib import contextmanager

import pytest
from pika.exceptions import ChannelClosedByBroker, ConnectionClosedByBroker


@contextmanager
def channel_error(code, pattern):
    """Expects the block to make the broker close the channel, and nothing but the channel."""
    with pytest.raises(ChannelClosedByBroker) as closed:
        yield
    assert (closed.value.reply_code, closed.value.reply_text) == (code, _Matching(pattern))


@contextmanager
def connection_error(code, pattern):
    """Expects the block to make the broker close the connection."""
    with pytest.raises(ConnectionClosedByBroker) as closed:
        yield
    assert (closed.value.reply_code, closed.value.reply_text) == (code, _Matching(pattern))


class _Matching:
    """Equal to any text in which the pattern is found, so that a failure shows code and text together."""

    def __init__(self, pattern):
        self._pattern = pattern

    def __eq__(self, text):
        return re.search(self._pattern, text) is not None

    def __repr__(self):
        return f"/{self._pattern}/"
