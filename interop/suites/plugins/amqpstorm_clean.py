

def clean(names, queue=False, exchange=False):
    """The same without the management API, for which it is all that most of these tests want."""
    with Connection(HOST, USERNAME, PASSWORD) as connection, connection.channel() as channel:
        for name in names:
            if queue:
                channel.queue.delete(name)
            if exchange:
                channel.exchange.delete(name)
