"""What a script is given: names of its own, connections to one broker, and the transcript that grows of them."""

import hashlib

from .peer import Connection
from .transcript import Names

_LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Session:
    """One script's play against one broker."""

    def __init__(self, broker, script, run):
        self.broker = broker
        # Names of different scripts and runs never meet.
        self._suffix = "~" + hashlib.sha256(f"{run} {script}".encode()).hexdigest()[:8]
        self.names = Names(self._suffix)
        self._queues = []
        self._exchanges = []
        self._connections = []

    def name(self, word):
        """A name that no other script has. The transcript shows the word alone."""
        return word + self._suffix

    def queue(self, word="q"):
        """A name for a queue, which is deleted at the end."""
        self._queues.append(self.name(word))
        return self._queues[-1]

    def exchange(self, word="x"):
        """A name for an exchange, which is deleted at the end."""
        self._exchanges.append(self.name(word))
        return self._exchanges[-1]

    def also_delete(self, queue):
        """A queue of another name that is to be deleted at the end."""
        self._queues.append(queue)

    def socket(self):
        """A connection on which nothing was said yet."""
        connection = Connection(self, _LABELS[len(self._connections)], self.broker.address)
        self._connections.append(connection)
        return connection

    def connection(self, vhost="/", user="guest", properties=None, **tune):
        """An open connection; `tune` are fields of tune-ok (`frame_max=4096`). Passwords are as the users' names."""
        connection = self.socket()
        connection.start()
        connection.log_in(user, user, properties)
        connection.tune(**tune)
        connection.open_vhost(vhost)
        return connection

    def channel(self, **options):
        """Channel 1 of a connection of its own."""
        return self.connection(**options).channel(1)

    def control(self, *arguments):
        """Has the broker's control command do something, as `rabbitmqctl` or `leveret ctl`."""
        self.broker.control(*arguments)

    def finish(self):
        """Closes and cleans up; returns the transcript: events by place."""
        for connection in self._connections:
            connection.finish()
        transcript = {}
        for connection in self._connections:
            for number, channel in sorted(connection.channels.items()):
                if channel.events:
                    transcript[f"{connection.label}.{number}"] = channel.events
        self._clean()
        return transcript

    def _clean(self):
        if not self._queues and not self._exchanges:
            return
        connection = Connection(Session(self.broker, "", ""), "-", self.broker.address)
        connection.start()
        connection.log_in()
        connection.tune()
        connection.open_vhost()
        channel = connection.channel(1)
        for number, (kind, name) in enumerate(
            [("queue", name) for name in self._queues] + [("exchange", name) for name in self._exchanges], 1
        ):
            if channel.gone:
                channel = connection.channel(number + 1)
            channel.call(f"{kind}.delete", **{kind: name})
        connection.finish()
