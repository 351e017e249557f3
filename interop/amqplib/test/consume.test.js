'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, pause, ready, text } = require('../session');
const { expectChannelError, expectConnectionError } = require('../failures');
const { Inbox } = require('../inbox');
const { send } = require('../methods');

const publish = (channel, queue, bodies) => bodies.forEach((body) => channel.sendToQueue(queue, Buffer.from(`${body}`)));

test('the server names consumers that the client does not', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const inbox = await session.consume(channel, await session.queue(channel));
  assert.match(inbox.tag, /^amq\.ctag-[\w-]{22}$/);
});

test('a delivery says where it came from', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'topic');
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, '#');
  const inbox = await session.consume(channel, queue, { consumerTag: 'mine' });
  channel.publish(exchange, 'a.b', Buffer.from('m'));
  const { fields } = await inbox.next();
  assert.deepEqual({ ...fields }, { consumerTag: 'mine', deliveryTag: 1, redelivered: false, exchange, routingKey: 'a.b' });
});

test('a backlog is delivered in order', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  const bodies = Array.from({ length: 5000 }, (_, i) => `${i}`);
  publish(channel, queue, bodies);
  const inbox = await session.consume(channel, queue);
  assert.deepEqual(await inbox.bodies(bodies.length), bodies);
  assert.deepEqual(inbox.received.map((message) => message.fields.deliveryTag), bodies.map((_, i) => i + 1));
});

test('consume-ok comes before the first delivery', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  publish(channel, queue, [1, 2, 3]);
  // amqplib registers the callback on consume-ok and fails the channel on a delivery for a tag it does not know.
  for (let round = 0; round < 20; round++) {
    const inbox = await session.consume(channel, queue);
    await inbox.take(3);
    await channel.cancel(inbox.tag);
    channel.nackAll();
  }
});

test('nothing is delivered after cancel-ok', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel);
  const inbox = await session.consume(channel, queue, { noAck: true });
  await channel.cancel(inbox.tag);
  publish(channel, queue, ['stays']);
  await inbox.silence();
  assert.equal(await ready(channel, queue), 1);
});

test('what was delivered before the cancel can be acknowledged after it', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  publish(channel, queue, ['m']);
  const inbox = await session.consume(channel, queue);
  const message = await inbox.next();
  await channel.cancel(inbox.tag);
  assert.equal(await ready(channel, queue), 0); // still out, not requeued
  channel.ack(message);
  await channel.close();
  assert.equal(await ready(await session.channel(), queue), 0);
});

test('cancelling an unknown consumer is fine', async (t) => {
  const channel = await new Session(t).channel();
  assert.equal((await channel.cancel('nobody')).consumerTag, 'nobody');
});

test('a consumer tag used twice on a channel ends the connection with 530', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await session.consume(channel, queue, { consumerTag: 'twice' });
  await expectConnectionError(await session.connection(), 530, /NOT_ALLOWED - attempt to reuse consumer tag 'twice'/, () =>
    channel.consume(queue, () => {}, { consumerTag: 'twice' }),
  );
});

test('the same tag may be used on another channel, and again after a cancel', async (t) => {
  const session = new Session(t);
  const [first, second] = [await session.channel(), await session.channel()];
  const queue = await session.queue(first);
  await session.consume(first, queue, { consumerTag: 'tag' });
  await session.consume(second, queue, { consumerTag: 'tag' });
  await first.cancel('tag');
  await session.consume(first, queue, { consumerTag: 'tag' });
});

test('consuming a missing queue is refused with 404', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  await expectChannelError(channel, 404, /no queue/, () => channel.consume(session.queueName(), () => {}));
});

test('deleting the queue cancels its consumers', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  const inboxes = [await session.consume(channel, queue), await session.consume(await session.channel(), queue)];
  await (await session.channel()).deleteQueue(queue);
  for (const inbox of inboxes) assert.equal(await inbox.next(), null);
  // The channel lives on and the tag is free again.
  await session.consume(channel, await session.queue(channel), { consumerTag: inboxes[0].tag });
});

test('a client without the capability hears nothing of the queue going', async (t) => {
  const session = new Session(t);
  const clientProperties = { capabilities: { consumer_cancel_notify: false } };
  const channel = await session.channel(await session.connect({ socket: { clientProperties } }));
  const queue = await session.queue(channel);
  const inbox = await session.consume(channel, queue);
  await (await session.channel(await session.connect())).deleteQueue(queue);
  await inbox.silence();
});

test('an exclusive consumer shuts out every other', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await session.consume(channel, queue, { exclusive: true });
  const second = await session.channel();
  await expectChannelError(second, 403, /ACCESS_REFUSED - queue .* in exclusive use/, () => second.consume(queue, () => {}));
  publish(channel, queue, ['m']);
  await (await session.channel()).get(queue); // a get is not a consumer
});

test('exclusive is refused while there are consumers', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await session.consume(channel, queue);
  await expectChannelError(channel, 403, /in exclusive use/, () => channel.consume(queue, () => {}, { exclusive: true }));
});

test('consumers of equal priority take turns', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  const inboxes = [];
  for (let i = 0; i < 3; i++) inboxes.push(await session.consume(await session.channel(), queue, { noAck: true }));
  publish(channel, queue, Array.from({ length: 300 }, (_, i) => i));
  const shares = await Promise.all(inboxes.map((inbox) => inbox.bodies(100)));
  for (const share of shares) {
    const numbers = share.map(Number);
    assert.ok(numbers.every((number, i) => i === 0 || number - numbers[i - 1] === 3), `not every third: ${numbers}`);
  }
});

test('the consumer of higher priority goes first while it has credit', async (t) => {
  const session = new Session(t);
  const publisher = await session.channel();
  const queue = await session.queue(publisher);
  const [low, high] = [await session.channel(), await session.channel()];
  await high.prefetch(2);
  const lowInbox = await session.consume(low, queue, { priority: -1 });
  const highInbox = await session.consume(high, queue, { priority: 10 });
  publish(publisher, queue, ['1', '2', '3']);
  const taken = await highInbox.take(2);
  assert.deepEqual(taken.map(text), ['1', '2']);
  assert.deepEqual(await lowInbox.bodies(1), ['3']); // the other one's credit is used up
  high.ack(taken[1], true);
  await pause(100); // the acknowledgement travels on another channel
  publish(publisher, queue, ['4']);
  assert.deepEqual(await highInbox.bodies(1), ['4']);
});

test('an x-priority that is no integer is refused with 406', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await expectChannelError(channel, 406, /PRECONDITION_FAILED - .*x-priority/, () =>
    channel.consume(queue, () => {}, { arguments: { 'x-priority': 'high' } }),
  );
});

test('no-ack deliveries are settled as they leave', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  publish(channel, queue, ['m']);
  const inbox = await session.consume(channel, queue, { noAck: true });
  const message = await inbox.next();
  await expectChannelError(channel, 406, /unknown delivery tag 1/, () => channel.ack(message));
  assert.equal(await ready(await session.channel(), queue), 0);
});

test('no-local is accepted and means nothing', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  const inbox = await session.consume(channel, queue, { noLocal: true, noAck: true });
  publish(channel, queue, ['from myself']);
  assert.equal(text(await inbox.next()), 'from myself');
});

test('a no-wait consume delivers, a no-wait cancel stops', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel);
  const inbox = new Inbox();
  channel.registerConsumer('quiet', (message) => inbox.put(message));
  send(channel, 'basicConsume', { queue, consumerTag: 'quiet', noAck: true, nowait: true, arguments: {} });
  publish(channel, queue, ['m']);
  assert.equal(text(await inbox.next()), 'm');
  send(channel, 'basicCancel', { consumerTag: 'quiet', nowait: true });
  publish(channel, queue, ['late']);
  assert.equal(await ready(channel, queue), 1);
  await inbox.silence();
});
