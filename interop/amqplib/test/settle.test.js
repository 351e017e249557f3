'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, ready, text } = require('../session');
const { expectChannelError } = require('../failures');
const { send } = require('../methods');

/** A channel with `count` messages fetched and not yet settled. */
async function withUnsettled(t, count, published = count) {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  for (let i = 0; i < published; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
  const messages = [];
  for (let i = 0; i < count; i++) messages.push(await channel.get(queue));
  return { session, channel, queue, messages };
}

/** Closes the channel and tells which bodies, in order, are back in the queue. */
async function leftAfterClose({ session, channel, queue }) {
  await channel.close();
  const next = await session.channel();
  const bodies = [];
  for (let message; (message = await next.get(queue, { noAck: true })); ) bodies.push(text(message));
  return bodies;
}

test('ack settles one message', async (t) => {
  const given = await withUnsettled(t, 3);
  given.channel.ack(given.messages[1]);
  assert.deepEqual(await leftAfterClose(given), ['0', '2']);
});

test('ack multiple settles all up to the tag', async (t) => {
  const given = await withUnsettled(t, 4);
  given.channel.ack(given.messages[2], true);
  assert.deepEqual(await leftAfterClose(given), ['3']);
});

test('ack multiple after acks out of order settles the rest', async (t) => {
  const given = await withUnsettled(t, 5);
  given.channel.ack(given.messages[3]);
  given.channel.ack(given.messages[1]);
  given.channel.ack(given.messages[2], true);
  assert.deepEqual(await leftAfterClose(given), ['4']);
});

test('tag 0 with multiple settles everything, and may find nothing', async (t) => {
  const given = await withUnsettled(t, 3);
  given.channel.ackAll();
  given.channel.ackAll();
  given.channel.nackAll();
  assert.deepEqual(await leftAfterClose(given), []);
});

const UNKNOWN = [
  ['a tag never delivered', ({ channel }) => channel.ack({ fields: { deliveryTag: 99 } })],
  ['a tag never delivered, multiple', ({ channel }) => channel.ack({ fields: { deliveryTag: 99 } }, true)],
  ['tag 0 without multiple', ({ channel }) => channel.ack({ fields: { deliveryTag: 0 } })],
  ['a nack of a tag never delivered', ({ channel }) => channel.nack({ fields: { deliveryTag: 99 } })],
  ['a reject of a tag never delivered', ({ channel }) => channel.reject({ fields: { deliveryTag: 99 } })],
  [
    'the same tag twice',
    ({ channel, messages }) => {
      channel.ack(messages[0]);
      channel.ack(messages[0]);
    },
  ],
];
for (const [name, action] of UNKNOWN) {
  test(`settling is refused with 406: ${name}`, async (t) => {
    const given = await withUnsettled(t, 2);
    await expectChannelError(given.channel, 406, /PRECONDITION_FAILED - unknown delivery tag \d+/, () => action(given));
  });
}

test("another channel's tag is unknown", async (t) => {
  const { session, messages } = await withUnsettled(t, 1);
  const other = await session.channel();
  await expectChannelError(other, 406, /unknown delivery tag 1/, () => other.ack(messages[0]));
});

test('nack with requeue returns the message to its place, marked redelivered', async (t) => {
  const { channel, queue, messages } = await withUnsettled(t, 2, 4);
  channel.nack(messages[0]);
  const again = await channel.get(queue);
  assert.equal(text(again), '0');
  assert.equal(again.fields.redelivered, true);
  const fresh = await channel.get(queue);
  assert.equal(text(fresh), '2');
  assert.equal(fresh.fields.redelivered, false);
});

test('requeued messages go where they were, whatever the order of return', async (t) => {
  const { channel, queue, messages } = await withUnsettled(t, 4, 6);
  channel.reject(messages[2]);
  channel.reject(messages[0]);
  const order = [];
  for (let i = 0; i < 4; i++) order.push(text(await channel.get(queue)));
  assert.deepEqual(order, ['0', '2', '4', '5']);
});

test('nack multiple returns all up to the tag in order', async (t) => {
  const given = await withUnsettled(t, 4);
  given.channel.nack(given.messages[2], true);
  const order = [];
  for (let i = 0; i < 3; i++) order.push(text(await given.channel.get(given.queue)));
  assert.deepEqual(order, ['0', '1', '2']);
});

test('nack without requeue drops, with multiple too', async (t) => {
  const given = await withUnsettled(t, 4);
  given.channel.nack(given.messages[3], false, false);
  given.channel.nack(given.messages[1], true, false);
  assert.deepEqual(await leftAfterClose(given), ['2']);
});

test('reject drops or requeues', async (t) => {
  const given = await withUnsettled(t, 2);
  given.channel.reject(given.messages[0], false);
  given.channel.reject(given.messages[1], true);
  assert.deepEqual(await leftAfterClose(given), ['1']);
});

test('a rejected message goes to the consumer that is there', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  channel.sendToQueue(queue, Buffer.from('again and again'));
  const inbox = await session.consume(channel, queue);
  for (let round = 0; round < 5; round++) {
    const message = await inbox.next();
    assert.equal(message.fields.redelivered, round > 0);
    assert.equal(message.fields.deliveryTag, round + 1);
    channel.reject(message);
  }
});

test('a lost connection returns what it held', async (t) => {
  const session = new Session(t);
  const holder = await session.connect();
  const channel = await session.channel(holder);
  const queue = await session.queue(channel);
  for (const body of ['a', 'b']) channel.sendToQueue(queue, Buffer.from(body));
  await (await session.consume(channel, queue)).take(2);
  holder.connection.stream.destroy(new Error('as if the client had died')); // no connection.close
  const inbox = await session.consume(await session.channel(await session.connect()), queue);
  const messages = await inbox.take(2);
  assert.deepEqual(messages.map(text), ['a', 'b']);
  assert.ok(messages.every((message) => message.fields.redelivered));
});

test('acknowledging after the queue was deleted is fine', async (t) => {
  const { channel, queue, messages } = await withUnsettled(t, 2);
  await channel.deleteQueue(queue);
  channel.ack(messages[0]);
  channel.nack(messages[1]);
  await channel.checkExchange('amq.direct');
});

test('an acknowledged message is gone before the next command is answered', async (t) => {
  const { session, channel, queue, messages } = await withUnsettled(t, 1);
  send(channel, 'basicAck', { deliveryTag: messages[0].fields.deliveryTag, multiple: false });
  await channel.close();
  assert.equal(await ready(await session.channel(), queue), 0);
});
