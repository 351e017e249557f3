'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, eventually, text } = require('../session');
const { expectChannelError } = require('../failures');
const { call, send } = require('../methods');

test('the server names queues that the client does not', async (t) => {
  const channel = await new Session(t).channel();
  const first = await channel.assertQueue('', { exclusive: true });
  const second = await channel.assertQueue('', { exclusive: true });
  assert.match(first.queue, /^amq\.gen-[\w-]{22}$/);
  assert.notEqual(first.queue, second.queue);
});

test('declare-ok counts ready messages and consumers', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = session.queueName();
  const declared = await channel.assertQueue(queue, { durable: false });
  assert.deepEqual({ ...declared }, { queue, messageCount: 0, consumerCount: 0 });
  for (let i = 0; i < 5; i++) channel.sendToQueue(queue, Buffer.from('m'));
  await channel.waitForConfirms(); // RabbitMQ answers a declare ahead of publishes that are still on their way
  await channel.prefetch(2);
  const inbox = await session.consume(channel, queue);
  await inbox.take(2); // unacknowledged, so no longer counted
  assert.deepEqual({ ...(await channel.checkQueue(queue)) }, { queue, messageCount: 3, consumerCount: 1 });
});

test('checking a missing queue is refused with 404', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = session.queueName();
  await expectChannelError(channel, 404, new RegExp(`NOT_FOUND - no queue '${queue}' in vhost '/'`), () =>
    channel.checkQueue(queue),
  );
});

test('new names with the prefix amq. are refused with 403', async (t) => {
  const channel = await new Session(t).channel();
  await expectChannelError(channel, 403, /queue name 'amq.mine' contains reserved prefix 'amq\.\*'/, () =>
    channel.assertQueue('amq.mine'),
  );
});

test('declaring a queue again as it is changes nothing', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const options = { durable: true, autoDelete: true, arguments: { 'x-max-length': 10 } };
  const queue = await session.queue(channel, options);
  channel.sendToQueue(queue, Buffer.from('kept'));
  await channel.waitForConfirms();
  assert.equal((await channel.assertQueue(queue, options)).messageCount, 1);
});

const INEQUIVALENT = [
  ['durable', { durable: true }],
  ['auto_delete', { durable: false, autoDelete: true }],
  ['x-max-length', { durable: false, maxLength: 20 }],
];
for (const [property, options] of INEQUIVALENT) {
  test(`declaring a queue with another ${property} is refused with 406`, async (t) => {
    const session = new Session(t);
    const channel = await session.channel();
    const queue = await session.queue(channel, { maxLength: 10 });
    const redeclared = { maxLength: 10, ...options };
    await expectChannelError(channel, 406, new RegExp(`inequivalent arg '${property}' for queue '${queue}'`), () =>
      channel.assertQueue(queue, redeclared),
    );
  });
}

test('leaving out an argument that the queue has is refused with 406', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel, { messageTtl: 100_000 });
  await expectChannelError(channel, 406, /inequivalent arg 'x-message-ttl'.*received none but current is the value '100000'/, () =>
    channel.assertQueue(queue, { durable: false }),
  );
});

test('integer arguments are compared by value, whatever their width', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel, { arguments: { 'x-max-length': { '!': 'int', value: 1000 } } });
  for (const type of ['long', 'short', 'unsignedint']) {
    await channel.assertQueue(queue, { durable: false, arguments: { 'x-max-length': { '!': type, value: 1000 } } });
  }
});

test('arguments of the wrong type or range are refused with 406', async (t) => {
  const session = new Session(t);
  for (const [key, value] of [
    ['x-message-ttl', 'soon'],
    ['x-message-ttl', -1],
    ['x-expires', 0],
    ['x-max-length', -1],
    ['x-overflow', 'spill'],
    ['x-queue-type', 'no-such-type'],
    ['x-dead-letter-routing-key', 'without an exchange'],
  ]) {
    const channel = await session.channel();
    await expectChannelError(channel, 406, new RegExp(`PRECONDITION_FAILED - .*${key}`), () =>
      channel.assertQueue(session.queueName(), { durable: false, arguments: { [key]: value } }),
    );
  }
});

test('an exclusive queue is locked to its connection', async (t) => {
  const session = new Session(t);
  const owner = await session.channel();
  const queue = await session.queue(owner, { exclusive: true });
  const stranger = await session.connect();
  for (const action of [
    (channel) => channel.assertQueue(queue, { exclusive: true, durable: false }),
    (channel) => channel.checkQueue(queue),
    (channel) => channel.consume(queue, () => {}),
    (channel) => channel.get(queue),
    (channel) => channel.purgeQueue(queue),
    (channel) => channel.bindQueue(queue, 'amq.direct', 'k'),
    (channel) => channel.deleteQueue(queue),
  ]) {
    const channel = await session.channel(stranger);
    await expectChannelError(channel, 405, /RESOURCE_LOCKED - cannot obtain exclusive access to locked queue/, () =>
      action(channel),
    );
  }
  await owner.checkQueue(queue);
});

test('anyone may publish to an exclusive queue', async (t) => {
  const session = new Session(t);
  const owner = await session.channel();
  const queue = await session.queue(owner, { exclusive: true });
  const inbox = await session.consume(owner, queue, { noAck: true });
  (await session.channel(await session.connect())).sendToQueue(queue, Buffer.from('from outside'));
  assert.equal(text(await inbox.next()), 'from outside');
});

test('an exclusive queue is gone before its connection is closed', async (t) => {
  const session = new Session(t);
  const other = await session.channel(await session.connect());
  for (let round = 0; round < 10; round++) {
    const owner = await session.connect();
    const queue = await session.queue(await session.channel(owner), { exclusive: true });
    await owner.close();
    await other.assertQueue(queue, { durable: false }); // 405 if the broker was late
  }
});

test('an exclusive queue cannot be declared again as a shared one, not even by its owner', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel, { exclusive: true });
  await expectChannelError(channel, 405, /RESOURCE_LOCKED/, () => channel.assertQueue(queue, { durable: false }));
});

test('an auto-delete queue goes when its last consumer is cancelled', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel, { autoDelete: true });
  await channel.get(queue); // a get is no consumer
  await channel.checkQueue(queue);
  const [first, second] = [await session.consume(channel, queue), await session.consume(channel, queue)];
  await channel.cancel(first.tag);
  await channel.checkQueue(queue);
  await channel.cancel(second.tag);
  await expectChannelError(channel, 404, /no queue/, () => channel.checkQueue(queue));
});

test("an auto-delete queue goes with its last consumer's channel", async (t) => {
  const session = new Session(t);
  const consumer = await session.channel();
  const queue = await session.queue(consumer, { autoDelete: true });
  await session.consume(consumer, queue);
  await consumer.close();
  await eventually(async () => {
    const channel = await session.channel();
    return channel.checkQueue(queue).then(
      () => false,
      (error) => error.code === 404,
    );
  }, 'the queue goes');
});

test('delete answers with the number of messages that went along', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  for (let i = 0; i < 3; i++) channel.sendToQueue(queue, Buffer.from('m'));
  assert.equal((await channel.deleteQueue(queue)).messageCount, 3);
  assert.equal((await channel.deleteQueue(queue)).messageCount, 0); // already gone: still fine
});

test('delete if-unused refuses while there is a consumer', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await session.consume(await session.channel(), queue);
  await expectChannelError(channel, 406, /PRECONDITION_FAILED - queue .* in use/, () =>
    channel.deleteQueue(queue, { ifUnused: true }),
  );
});

test('delete if-empty refuses while there are messages', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  channel.sendToQueue(queue, Buffer.from('m'));
  await expectChannelError(channel, 406, /PRECONDITION_FAILED - queue .* not empty/, () =>
    channel.deleteQueue(queue, { ifEmpty: true }),
  );
});

test('purge removes what is ready and counts it', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  for (let i = 0; i < 4; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
  const held = await channel.get(queue);
  assert.equal((await channel.purgeQueue(queue)).messageCount, 3);
  channel.nack(held);
  const back = await channel.get(queue, { noAck: true });
  assert.equal(text(back), '0'); // unacknowledged messages are not purged
  assert.equal(await channel.get(queue), false);
});

test('purging a missing queue is refused with 404', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  await expectChannelError(channel, 404, /no queue/, () => channel.purgeQueue(session.queueName()));
});

test('an empty name means the queue declared last on the channel', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue('', 'amq.direct', queue);
  channel.publish('amq.direct', queue, Buffer.from('one'));
  assert.equal(text(await channel.get('', { noAck: true })), 'one');
  channel.publish('amq.direct', queue, Buffer.from('two'));
  assert.equal((await channel.purgeQueue('')).messageCount, 1);
  const inbox = await session.consume(channel, '', { noAck: true });
  channel.publish('amq.direct', queue, Buffer.from('three'));
  assert.equal(text(await inbox.next()), 'three');
  await channel.deleteQueue('');
  await expectChannelError(channel, 404, /no queue/, () => channel.checkQueue(queue));
});

test('an empty name without a declared queue is refused with 404', async (t) => {
  const channel = await new Session(t).channel();
  await expectChannelError(channel, 404, /NOT_FOUND - no previously declared queue/, () => channel.get(''));
});

test('no-wait declare, bind, purge and delete act in silence', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = session.queueName();
  send(channel, 'queueDeclare', { queue, nowait: true, arguments: {} });
  send(channel, 'queueBind', { queue, exchange: 'amq.direct', routingKey: queue, nowait: true, arguments: {} });
  channel.publish('amq.direct', queue, Buffer.from('purged'));
  send(channel, 'queuePurge', { queue, nowait: true });
  channel.publish('amq.direct', queue, Buffer.from('kept'));
  assert.equal(text(await channel.get(queue, { noAck: true })), 'kept');
  send(channel, 'queueDelete', { queue, nowait: true });
  await expectChannelError(channel, 404, /no queue/, () => channel.checkQueue(queue));
});

test('a passive declare ignores every flag', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel, { autoDelete: true });
  const answer = await call(channel, 'queueDeclare', { queue, passive: true, durable: true, arguments: { 'x-expires': 5 } });
  assert.equal(answer.queue, queue);
});
