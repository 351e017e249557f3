"""Methods that pika's codec knows but its blocking channel has no function for, or refuses before the broker can.

They go out through the channel that BlockingChannel wraps; an answer, if there is one, is not waited for."""


def send(channel, method):
    channel._impl._send_method(method)
    channel.connection.process_data_events(time_limit=0)


def server_properties(connection):
    return connection._impl.server_properties
