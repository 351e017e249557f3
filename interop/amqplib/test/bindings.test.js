'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, ready } = require('../session');
const { expectChannelError } = require('../failures');

test('binding twice is binding once', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const exchange = await session.exchange(channel, 'direct');
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, 'k');
  await channel.bindQueue(queue, exchange, 'k');
  channel.publish(exchange, 'k', Buffer.from('m'));
  assert.equal(await ready(channel, queue), 1);
  await channel.unbindQueue(queue, exchange, 'k');
  channel.publish(exchange, 'k', Buffer.from('m'));
  assert.equal(await ready(channel, queue), 1);
});

test('a queue gets one copy however many of its bindings match', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const exchange = await session.exchange(channel, 'topic');
  const queue = await session.queue(channel);
  for (const key of ['#', 'a.*', 'a.b', '*.b']) await channel.bindQueue(queue, exchange, key);
  channel.publish(exchange, 'a.b', Buffer.from('m'));
  assert.equal(await ready(channel, queue), 1);
});

test('bindings that differ in their arguments are different bindings', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const exchange = await session.exchange(channel, 'headers');
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, '', { colour: 'red' });
  await channel.bindQueue(queue, exchange, '', { colour: 'blue' });
  await channel.unbindQueue(queue, exchange, '', { colour: 'red' });
  channel.publish(exchange, '', Buffer.from('m'), { headers: { colour: 'red' } });
  assert.equal(await ready(channel, queue), 0);
  channel.publish(exchange, '', Buffer.from('m'), { headers: { colour: 'blue' } });
  assert.equal(await ready(channel, queue), 1);
});

test('the order of binding arguments does not matter', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const exchange = await session.exchange(channel, 'headers');
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, '', { a: 1, b: 2 });
  await channel.unbindQueue(queue, exchange, '', { b: 2, a: 1 });
  channel.publish(exchange, '', Buffer.from('m'), { headers: { a: 1, b: 2 } });
  assert.equal(await ready(channel, queue), 0);
});

test('unbinding what is not there is fine', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'direct');
  const queue = await session.queue(channel);
  await channel.unbindQueue(queue, exchange, 'never bound');
  await channel.unbindQueue(session.queueName(), exchange, 'k');
  await channel.unbindQueue(queue, session.exchangeName(), 'k');
});

test('binding a missing exchange or queue is refused with 404', async (t) => {
  const session = new Session(t);
  const queue = await session.queue(await session.channel());
  const noExchange = await session.channel();
  await expectChannelError(noExchange, 404, /no exchange/, () => noExchange.bindQueue(queue, session.exchangeName(), 'k'));
  const noQueue = await session.channel();
  await expectChannelError(noQueue, 404, /no queue/, () => noQueue.bindQueue(session.queueName(), 'amq.direct', 'k'));
});

test('the default exchange can be neither bound nor unbound', async (t) => {
  const session = new Session(t);
  const queue = await session.queue(await session.channel());
  for (const verb of ['bindQueue', 'unbindQueue']) {
    const channel = await session.channel();
    await expectChannelError(channel, 403, /operation not permitted on the default exchange/, () =>
      channel[verb](queue, '', 'k'),
    );
  }
});

test('a deleted queue takes its bindings along', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const exchange = await session.exchange(channel, 'fanout');
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, '');
  await channel.deleteQueue(queue);
  await channel.assertQueue(queue, { durable: false });
  channel.publish(exchange, '', Buffer.from('m'));
  assert.equal(await ready(channel, queue), 0);
});
