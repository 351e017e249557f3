"""Limits of vhosts and users, as `definitions.json` sets them."""

from differential.script import script


@script(defined=True)
def queues_of_a_vhost(t):
    """More queues than a vhost may have are refused; those that are there may be declared again."""
    names = [t.name(word) for word in ("1", "2", "3")]
    channel = t.channel(vhost="few")
    for name in names:
        channel.declare(name, exclusive=True)
    again = t.channel(vhost="few")
    for name in names[:2]:
        again.declare(name, exclusive=True, passive=True)


@script(defined=True)
def connections_of_a_vhost(t):
    """A vhost that may have no connection refuses them when they open it."""
    t.connection(vhost="closed")


@script(defined=True)
def connections_and_channels_of_a_user(t):
    """A user has as many connections and channels as it may."""
    connection = t.connection(vhost="walls", user="narrow")
    t.connection(vhost="walls", user="narrow")
    connection.channel(1)
    connection.channel(2)
    connection.channel(3)
