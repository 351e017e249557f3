'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, ready, text } = require('../session');
const { expectChannelError, expectConnectionError } = require('../failures');
const { call } = require('../methods');

test('a closed channel number can be opened again', async (t) => {
  const session = new Session(t);
  const first = await session.channel();
  const number = first.ch;
  await first.close();
  const second = await session.channel();
  assert.equal(second.ch, number);
  await second.checkExchange('amq.direct');
});

test('a soft error closes its channel and leaves the others alive', async (t) => {
  const session = new Session(t);
  const healthy = await session.channel();
  const failing = await session.channel();
  await expectChannelError(failing, 404, /NOT_FOUND - no queue/, () => failing.checkQueue(session.queueName()));
  await healthy.checkExchange('amq.direct');
});

test('the number of a channel that failed can be opened again', async (t) => {
  const session = new Session(t);
  const failing = await session.channel();
  const number = failing.ch;
  await expectChannelError(failing, 404, /NOT_FOUND/, () => failing.checkExchange(session.exchangeName()));
  const next = await session.channel();
  assert.equal(next.ch, number);
  await next.checkExchange('amq.direct');
});

test('what is published after the failing command is ignored', async (t) => {
  const session = new Session(t);
  const failing = await session.channel();
  const other = await session.channel();
  const queue = await session.queue(other);
  await expectChannelError(failing, 404, /no exchange/, () => {
    failing.publish(session.exchangeName(), 'k', Buffer.from('into nowhere'));
    for (let i = 0; i < 20; i++) failing.sendToQueue(queue, Buffer.from('too late'));
  });
  assert.equal(await ready(other, queue), 0);
});

test('flow(active=true) is answered with the same', async (t) => {
  const channel = await new Session(t).channel();
  assert.deepEqual({ ...(await call(channel, 'channelFlow', { active: true })) }, { active: true });
});

test('flow(active=false) is refused with 540', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  await expectConnectionError(await session.connection(), 540, /NOT_IMPLEMENTED - active=false/, () =>
    call(channel, 'channelFlow', { active: false }),
  );
});

test('access.request is answered for clients of old', async (t) => {
  const channel = await new Session(t).channel();
  const { ticket } = await call(channel, 'accessRequest', { realm: '/data', active: true, read: true });
  assert.equal(ticket, 1);
});

test('two hundred channels share a connection', async (t) => {
  const session = new Session(t);
  await session.connection();
  const channels = await Promise.all(Array.from({ length: 200 }, () => session.channel()));
  await Promise.all(channels.map((channel) => channel.checkExchange('amq.direct')));
  await Promise.all(channels.map((channel) => channel.close()));
});

test('bodies published on several channels at once do not mix', async (t) => {
  const session = new Session(t);
  const channels = [await session.channel(), await session.channel(), await session.channel()];
  const queues = await Promise.all(channels.map((channel) => session.queue(channel)));
  // amqplib's multiplexer interleaves the channels' body frames on the wire.
  channels.forEach((channel, i) => channel.sendToQueue(queues[i], Buffer.alloc(1_000_000, `${i}`)));
  for (const [i, channel] of channels.entries()) {
    const message = await channel.get(queues[i], { noAck: true });
    assert.ok(message.content.equals(Buffer.alloc(1_000_000, `${i}`)));
  }
});

test('closing a channel returns its unacknowledged messages, marked redelivered', async (t) => {
  const session = new Session(t);
  const holder = await session.channel();
  const queue = await session.queue(holder);
  for (const body of ['a', 'b', 'c']) holder.sendToQueue(queue, Buffer.from(body));
  const inbox = await session.consume(holder, queue);
  await inbox.take(3);
  await holder.close();

  const next = await session.consume(await session.channel(), queue);
  const messages = await next.take(3);
  assert.deepEqual(messages.map(text), ['a', 'b', 'c']);
  assert.deepEqual(messages.map((message) => message.fields.redelivered), [true, true, true]);
});
