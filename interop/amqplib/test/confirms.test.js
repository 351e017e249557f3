'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, eventually, ready } = require('../session');
const { expectChannelError } = require('../failures');
const { call } = require('../methods');

/** Which publish numbers the broker's acks cover, with multiple=true spread out. */
function covered(acks) {
  const numbers = new Set();
  for (const { deliveryTag, multiple } of acks) {
    for (let n = multiple ? 1 : deliveryTag; n <= deliveryTag; n++) numbers.add(n);
  }
  return numbers;
}

test('every publish is confirmed', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel);
  let confirmed = 0;
  for (let i = 0; i < 100; i++) channel.sendToQueue(queue, Buffer.from('m'), {}, (error) => error ?? confirmed++);
  await channel.waitForConfirms();
  assert.equal(confirmed, 100);
  assert.equal(await ready(channel, queue), 100);
});

test('ten thousand persistent messages are confirmed and kept in order', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel, { durable: true });
  const count = 10_000;
  for (let i = 0; i < count; i++) channel.sendToQueue(queue, Buffer.from(`${i}`), { persistent: true });
  await channel.waitForConfirms();
  const inbox = await session.consume(channel, queue, { noAck: true });
  const bodies = await inbox.bodies(count);
  assert.deepEqual(bodies, Array.from({ length: count }, (_, i) => `${i}`));
});

test('the acks, multiple or not, cover each number and no more', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const [durable, transient] = [await session.queue(channel, { durable: true }), await session.queue(channel)];
  const acks = [];
  channel.on('ack', (fields) => acks.push(fields));
  const count = 1000;
  // Two queues of different speed, so that acks may well come out of order.
  for (let i = 0; i < count; i++) channel.sendToQueue(i % 2 ? durable : transient, Buffer.from('m'), { persistent: true });
  await eventually(() => covered(acks).size >= count, 'all are confirmed');
  assert.deepEqual([...covered(acks)].sort((a, b) => a - b), Array.from({ length: count }, (_, i) => i + 1));
});

test('numbers start at the select, not at the first publish', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  channel.sendToQueue(queue, Buffer.from('before'));
  await call(channel, 'confirmSelect');
  const ack = new Promise((resolve) => channel.once('ack', resolve));
  channel.sendToQueue(queue, Buffer.from('after'));
  assert.equal((await ack).deliveryTag, 1);
});

test('unroutable messages are confirmed too', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  channel.sendToQueue(session.queueName(), Buffer.from('m'), { persistent: true });
  channel.publish('amq.topic', session.queueName(), Buffer.from('m'));
  await channel.waitForConfirms();
});

test('a message to several queues is confirmed once', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const exchange = await session.exchange(channel, 'fanout');
  for (const durable of [true, false, true]) {
    await channel.bindQueue(await session.queue(channel, { durable }), exchange, '');
  }
  const acks = [];
  channel.on('ack', (fields) => acks.push(fields.deliveryTag));
  channel.publish(exchange, '', Buffer.from('m'), { persistent: true });
  await channel.waitForConfirms();
  await channel.checkExchange(exchange);
  assert.deepEqual(acks, [1]);
});

test('confirms come while the messages are consumed', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel, { durable: true });
  const consumer = await session.channel();
  let seen = 0;
  await consumer.consume(queue, (message) => {
    seen++;
    consumer.ack(message);
  });
  for (let i = 0; i < 2000; i++) channel.sendToQueue(queue, Buffer.from('m'), { persistent: true });
  await channel.waitForConfirms();
  await eventually(() => seen === 2000, 'all are consumed');
});

test('confirm.select may be repeated', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  channel.sendToQueue(await session.queue(channel), Buffer.from('m'));
  await call(channel, 'confirmSelect');
  await channel.waitForConfirms();
});

test('a channel error leaves later publishes unconfirmed', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  let outcome;
  await expectChannelError(channel, 404, /no exchange/, () =>
    channel.publish(session.exchangeName(), 'k', Buffer.from('m'), {}, (error) => {
      outcome = error;
    }),
  );
  await eventually(() => outcome !== undefined, 'the publish fails');
  assert.ok(outcome instanceof Error);
});
