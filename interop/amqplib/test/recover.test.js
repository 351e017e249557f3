'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, text } = require('../session');
const { expectChannelError, expectConnectionError } = require('../failures');
const { call, send } = require('../methods');

async function consuming(t, bodies) {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body));
  const inbox = await session.consume(channel, queue);
  const messages = await inbox.take(bodies.length);
  return { session, channel, queue, inbox, messages };
}

test('recover delivers again what was out, with new tags', async (t) => {
  const { channel, inbox, messages } = await consuming(t, ['a', 'b', 'c']);
  channel.ack(messages[1]);
  await channel.recover();
  const again = await inbox.take(2);
  assert.deepEqual(again.map(text), ['a', 'c']);
  assert.deepEqual(again.map((message) => message.fields.deliveryTag), [4, 5]);
  assert.ok(again.every((message) => message.fields.redelivered));
});

test('after a recover the old tags are unknown', async (t) => {
  const { channel, inbox, messages } = await consuming(t, ['a']);
  await channel.recover();
  await inbox.next();
  await expectChannelError(channel, 406, /unknown delivery tag 1/, () => channel.ack(messages[0]));
});

test('recover-async does the same without an answer', async (t) => {
  const { channel, inbox } = await consuming(t, ['a', 'b']);
  send(channel, 'basicRecoverAsync', { requeue: true });
  const again = await inbox.take(2);
  assert.deepEqual(again.map(text), ['a', 'b']);
  assert.ok(again.every((message) => message.fields.redelivered));
});

test('without a consumer, recovered messages go back to the queue', async (t) => {
  const { channel, queue, inbox } = await consuming(t, ['a']);
  await channel.cancel(inbox.tag);
  await channel.recover();
  const message = await channel.get(queue);
  assert.equal(text(message), 'a');
  assert.equal(message.fields.redelivered, true);
});

test('recover without requeue is refused with 540', async (t) => {
  const { session, channel } = await consuming(t, ['a']);
  await expectConnectionError(await session.connection(), 540, /NOT_IMPLEMENTED - requeue=false/, () =>
    call(channel, 'basicRecover', { requeue: false }),
  );
});
