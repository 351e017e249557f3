"""pika's other face: callbacks on an event loop, where every method has a no-wait form and confirms come in bulk."""

import asyncio

import pytest
from pika import BasicProperties, spec
from pika.adapters.asyncio_connection import AsyncioConnection

from session import parameters

TIMEOUT_SECS = 10


class Loop:
    """One asyncio connection and its channel, with pika's callbacks turned into awaitables."""

    def __init__(self):
        self.closed = asyncio.get_running_loop().create_future()

    async def open(self):
        opened = asyncio.get_running_loop().create_future()
        self.connection = AsyncioConnection(
            parameters(),
            on_open_callback=opened.set_result,
            on_open_error_callback=lambda _connection, error: opened.set_exception(error),
            on_close_callback=lambda _connection, reason: self.closed.set_result(reason),
        )
        await opened
        return self

    async def channel(self):
        opened = asyncio.get_running_loop().create_future()
        self.connection.channel(on_open_callback=opened.set_result)
        return await opened

    async def close(self):
        if not self.closed.done():
            self.connection.close()
        await self.closed


async def answer(method, *arguments, **options):
    """Calls a channel's method and waits for the broker's answer."""
    answered = asyncio.get_running_loop().create_future()
    method(*arguments, callback=answered.set_result, **options)
    return (await answered).method


@pytest.fixture
def run(session):
    def run(scenario):
        async def bounded():
            loop = await Loop().open()
            await scenario(loop)
            await loop.close()

        asyncio.run(asyncio.wait_for(bounded(), TIMEOUT_SECS))

    return run


def test_a_connection_opens_and_closes(run):
    async def scenario(loop):
        channel = await loop.channel()
        await answer(channel.exchange_declare, "amq.direct", passive=True)

    run(scenario)


def test_no_wait_forms_act_in_silence(run, session):
    async def scenario(loop):
        channel = await loop.channel()
        queue, exchange = session.queue_name(), session.exchange_name()
        destination = session.exchange_name()
        # Without a callback pika sets no-wait.
        channel.exchange_declare(exchange, "fanout")
        channel.exchange_declare(destination, "fanout")
        channel.queue_declare(queue)
        channel.exchange_bind(destination, exchange)
        channel.queue_bind(queue, destination)
        channel.basic_publish(exchange, "", b"purged")
        assert (await answer(channel.queue_purge, queue)).message_count == 1
        channel.exchange_unbind(destination, exchange)
        channel.basic_publish(exchange, "", b"unbound")
        channel.queue_purge(queue)
        channel.basic_publish("", queue, b"kept")
        assert (await answer(channel.queue_delete, queue)).message_count == 1
        channel.exchange_delete(exchange)
        closed = asyncio.get_running_loop().create_future()
        channel.add_on_close_callback(lambda _channel, reason: closed.set_result(reason))
        channel.exchange_declare(exchange, passive=True)
        assert (await closed).reply_code == 404

    run(scenario)


def test_confirms_cover_every_number(run, session):
    async def scenario(loop):
        channel = await loop.channel()
        queue = session.queue_name()
        await answer(channel.queue_declare, queue, durable=True)
        count, covered = 5000, set()
        done = asyncio.get_running_loop().create_future()

        def confirmed(frame):
            assert isinstance(frame.method, spec.Basic.Ack)
            first = 1 if frame.method.multiple else frame.method.delivery_tag
            covered.update(range(first, frame.method.delivery_tag + 1))
            if len(covered) == count:
                done.set_result(None)

        await answer(channel.confirm_delivery, confirmed)
        for _ in range(count):
            channel.basic_publish("", queue, b"m", BasicProperties(delivery_mode=2))
        await done
        assert covered == set(range(1, count + 1))
        assert (await answer(channel.queue_declare, queue, passive=True)).message_count == count

    run(scenario)


def test_a_consumer_takes_what_comes(run, session):
    async def scenario(loop):
        channel = await loop.channel()
        queue = session.queue_name()
        await answer(channel.queue_declare, queue)
        bodies, done = [], asyncio.get_running_loop().create_future()

        def deliver(channel, method, _properties, body):
            bodies.append(body)
            channel.basic_ack(method.delivery_tag)
            if len(bodies) == 1000:
                done.set_result(None)

        await answer(channel.basic_qos, prefetch_count=50)
        await answer(channel.basic_consume, queue, deliver)
        for i in range(1000):
            channel.basic_publish("", queue, b"%d" % i)
        await done
        assert bodies == [b"%d" % i for i in range(1000)]

    run(scenario)


def test_a_deleted_queue_cancels_the_consumer(run, session):
    async def scenario(loop):
        channel = await loop.channel()
        queue = session.queue_name()
        await answer(channel.queue_declare, queue)
        cancelled = asyncio.get_running_loop().create_future()
        channel.add_on_cancel_callback(cancelled.set_result)
        tag = (await answer(channel.basic_consume, queue, lambda *_: None)).consumer_tag
        await answer((await loop.channel()).queue_delete, queue)
        assert (await cancelled).method.consumer_tag == tag

    run(scenario)


def test_a_hard_error_closes_the_connection(run, session):
    async def scenario(loop):
        channel = await loop.channel()
        channel.exchange_declare(session.exchange_name(), "no-such-type")
        assert (await loop.closed).reply_code == 503

    run(scenario)


def test_flow_is_answered(run):
    async def scenario(loop):
        channel = await loop.channel()
        active = asyncio.get_running_loop().create_future()
        channel.flow(True, callback=active.set_result)
        assert await active is True

    run(scenario)
