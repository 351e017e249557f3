'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, text } = require('../session');
const { expectChannelError } = require('../failures');

test('get tells how many messages are left', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  for (const body of ['a', 'b']) channel.sendToQueue(queue, Buffer.from(body));
  const first = await channel.get(queue);
  assert.deepEqual(
    { ...first.fields },
    { deliveryTag: 1, redelivered: false, exchange: '', routingKey: queue, messageCount: 1 },
  );
  assert.equal((await channel.get(queue)).fields.messageCount, 0);
});

test('get on an empty queue says so', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  assert.equal(await channel.get(await session.queue(channel)), false);
});

test('get on a missing queue is refused with 404', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  await expectChannelError(channel, 404, /no queue/, () => channel.get(session.queueName()));
});

test('what was fetched and not acknowledged comes back when the channel closes', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  channel.sendToQueue(queue, Buffer.from('m'));
  await channel.get(queue);
  await channel.close();
  const again = await (await session.channel()).get(queue, { noAck: true });
  assert.equal(again.fields.redelivered, true);
});

test('a no-ack get takes the message for good', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  channel.sendToQueue(queue, Buffer.from('m'));
  await channel.get(queue, { noAck: true });
  await channel.close();
  assert.equal(await (await session.channel()).get(queue), false);
});

test('gets and deliveries share one run of tags, and get knows no prefetch', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  for (let i = 1; i <= 4; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
  await channel.prefetch(1);
  const inbox = await session.consume(channel, queue);
  assert.equal((await inbox.next()).fields.deliveryTag, 1);
  assert.equal((await channel.get(queue)).fields.deliveryTag, 2);
  assert.equal((await channel.get(queue, { noAck: true })).fields.deliveryTag, 3);
  channel.ack(inbox.received[0]);
  const next = await inbox.next();
  assert.deepEqual([next.fields.deliveryTag, text(next)], [4, '4']);
});
