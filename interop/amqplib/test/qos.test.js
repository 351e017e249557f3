'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, pause, text } = require('../session');
const { expectConnectionError } = require('../failures');
const { call } = require('../methods');

/** A channel, and a queue with `count` numbered messages. */
async function backlog(t, count) {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  for (let i = 0; i < count; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
  return { session, channel, queue };
}

test('prefetch bounds what is out, and each ack lets one more through', async (t) => {
  const { session, channel, queue } = await backlog(t, 5);
  await channel.prefetch(2);
  const inbox = await session.consume(channel, queue);
  const [first] = await inbox.take(2);
  await inbox.silence();
  channel.ack(first);
  assert.equal(text(await inbox.next()), '2');
  await inbox.silence();
});

test('a nack gives the credit back as well', async (t) => {
  const { session, channel, queue } = await backlog(t, 3);
  await channel.prefetch(1);
  const inbox = await session.consume(channel, queue);
  channel.nack(await inbox.next(), false, false);
  assert.equal(text(await inbox.next()), '1');
  await inbox.silence();
});

test('an ack of several lets as many through', async (t) => {
  const { session, channel, queue } = await backlog(t, 10);
  await channel.prefetch(4);
  const inbox = await session.consume(channel, queue);
  const taken = await inbox.take(4);
  channel.ack(taken[2], true);
  assert.deepEqual(await inbox.bodies(3), ['4', '5', '6']);
  await inbox.silence();
});

test('without global the limit is per consumer', async (t) => {
  const { session, channel, queue } = await backlog(t, 10);
  await channel.prefetch(2);
  const inboxes = [await session.consume(channel, queue), await session.consume(channel, queue)];
  for (const inbox of inboxes) {
    await inbox.take(2);
    await inbox.silence();
  }
});

test('a change without global spares the consumers already there', async (t) => {
  const { session, channel, queue } = await backlog(t, 10);
  await channel.prefetch(1);
  const before = await session.consume(channel, queue);
  await channel.prefetch(3);
  const after = await session.consume(channel, queue);
  await before.take(1);
  await after.take(3);
  await before.silence();
  await after.silence();
});

test('a global limit is shared by all consumers of the channel', async (t) => {
  const { session, channel, queue } = await backlog(t, 10);
  await channel.prefetch(3, true);
  const inboxes = [await session.consume(channel, queue), await session.consume(channel, queue)];
  await pause(300);
  // How the three are shared out is the broker's affair.
  assert.equal(inboxes[0].received.length + inboxes[1].received.length, 3);
});

test('both limits hold at once', async (t) => {
  const { session, channel, queue } = await backlog(t, 10);
  await channel.prefetch(2, false);
  await channel.prefetch(3, true); // in this order: RabbitMQ takes a later global=false as the end of the global limit
  const first = await session.consume(channel, queue);
  await first.take(2); // its own limit
  await first.silence();
  const second = await session.consume(channel, queue);
  await second.take(1); // what the channel's limit leaves
  await second.silence();
});

test('raising the global limit lets messages through at once', async (t) => {
  const { session, channel, queue } = await backlog(t, 5);
  await channel.prefetch(1, true);
  const inbox = await session.consume(channel, queue);
  await inbox.take(1);
  await inbox.silence();
  await channel.prefetch(3, true);
  await inbox.take(2);
  await inbox.silence();
});

test('prefetch 0 means no limit', async (t) => {
  const { session, channel, queue } = await backlog(t, 1000);
  await channel.prefetch(1);
  await channel.prefetch(0);
  const inbox = await session.consume(channel, queue);
  await inbox.take(1000);
});

test('no-ack consumers know no prefetch', async (t) => {
  const { session, channel, queue } = await backlog(t, 50);
  await channel.prefetch(1);
  const inbox = await session.consume(channel, queue, { noAck: true });
  await inbox.take(50);
});

test('a prefetch size is refused with 540', async (t) => {
  const { session, channel } = await backlog(t, 0);
  await expectConnectionError(await session.connection(), 540, /NOT_IMPLEMENTED - prefetch_size!=0/, () =>
    call(channel, 'basicQos', { prefetchSize: 5, prefetchCount: 1, global: false }),
  );
});
