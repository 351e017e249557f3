'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, ready, text } = require('../session');
const { expectChannelError } = require('../failures');

test('a message flows from the source exchange to the destination', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const source = await session.exchange(channel, 'topic');
  const destination = await session.exchange(channel, 'direct');
  const queue = await session.queue(channel);
  await channel.bindExchange(destination, source, 'orders.#');
  await channel.bindQueue(queue, destination, 'orders.new');
  channel.publish(source, 'orders.new', Buffer.from('both keys match'));
  channel.publish(source, 'orders.old', Buffer.from('only the first'));
  channel.publish(destination, 'orders.new', Buffer.from('direct'));
  assert.equal(text(await channel.get(queue, { noAck: true })), 'both keys match');
  assert.equal(text(await channel.get(queue, { noAck: true })), 'direct');
  assert.equal(await channel.get(queue), false);
});

test('unbinding stops the flow', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const [source, destination] = [await session.exchange(channel, 'fanout'), await session.exchange(channel, 'fanout')];
  const queue = await session.queue(channel);
  await channel.bindExchange(destination, source, '');
  await channel.bindQueue(queue, destination, '');
  await channel.unbindExchange(destination, source, '');
  channel.publish(source, '', Buffer.from('nowhere'));
  assert.equal(await ready(channel, queue), 0);
});

test('unbinding what was never bound is fine', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const source = await session.exchange(channel, 'direct');
  await channel.unbindExchange(await session.exchange(channel, 'direct'), source, 'k');
  await channel.unbindExchange(session.exchangeName(), session.exchangeName(), 'k');
});

test('a cycle of exchanges delivers one copy', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const [a, b] = [await session.exchange(channel, 'fanout'), await session.exchange(channel, 'fanout')];
  const queue = await session.queue(channel);
  await channel.bindExchange(b, a, '');
  await channel.bindExchange(a, b, '');
  await channel.bindExchange(a, a, '');
  await channel.bindQueue(queue, a, '');
  await channel.bindQueue(queue, b, '');
  channel.publish(a, '', Buffer.from('round'));
  assert.equal(await ready(channel, queue), 1);
});

test('binding a missing exchange is refused with 404', async (t) => {
  const session = new Session(t);
  const exchange = await session.exchange(await session.channel(), 'fanout');
  for (const [destination, source] of [
    [exchange, session.exchangeName()],
    [session.exchangeName(), exchange],
  ]) {
    const channel = await session.channel();
    await expectChannelError(channel, 404, /NOT_FOUND - no exchange/, () =>
      channel.bindExchange(destination, source, ''),
    );
  }
});

test('the default exchange cannot be bound', async (t) => {
  const session = new Session(t);
  const exchange = await session.exchange(await session.channel(), 'fanout');
  for (const [destination, source] of [
    ['', exchange],
    [exchange, ''],
  ]) {
    const channel = await session.channel();
    await expectChannelError(channel, 403, /operation not permitted on the default exchange/, () =>
      channel.bindExchange(destination, source, 'k'),
    );
  }
});

test('an auto-delete source goes with its last exchange binding, the destination stays', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const source = await session.exchange(channel, 'fanout', { autoDelete: true });
  const destination = await session.exchange(channel, 'fanout', { autoDelete: true });
  await channel.bindExchange(destination, source, '');
  await channel.unbindExchange(destination, source, '');
  await channel.checkExchange(destination);
  await expectChannelError(channel, 404, /no exchange/, () => channel.checkExchange(source));
});
