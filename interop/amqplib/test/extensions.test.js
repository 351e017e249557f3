'use strict';
// What RabbitMQ adds beyond queues and exchanges; run.sh runs this file only with INTEROP_EXTENSIONS=1.
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, eventually, pause, ready, text } = require('../session');
const { expectChannelError } = require('../failures');

test('CC and BCC add routing keys, and only CC is shown', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'direct');
  const queues = await Promise.all(['to', 'cc', 'bcc'].map(() => session.queue(channel)));
  for (const [i, key] of ['to', 'cc', 'bcc'].entries()) await channel.bindQueue(queues[i], exchange, key);
  channel.publish(exchange, 'to', Buffer.from('m'), { CC: ['cc'], BCC: ['bcc'] });
  for (const queue of queues) {
    const message = await channel.get(queue, { noAck: true });
    assert.equal(message.fields.routingKey, 'to');
    assert.deepEqual(message.properties.headers.CC, ['cc']);
    assert.equal(message.properties.headers.BCC, undefined);
  }
});

test('a reply finds its way over direct reply-to', async (t) => {
  const session = new Session(t);
  const server = await session.channel(await session.connect());
  const requests = await session.queue(server);
  await server.consume(requests, (request) => {
    const { replyTo, correlationId } = request.properties;
    server.sendToQueue(replyTo, Buffer.from(`re: ${text(request)}`), { correlationId });
  });
  const client = await session.channel(await session.connect());
  const replies = await session.consume(client, 'amq.rabbitmq.reply-to', { noAck: true });
  for (let i = 0; i < 3; i++) {
    const options = { replyTo: 'amq.rabbitmq.reply-to', correlationId: `${i}` };
    client.sendToQueue(requests, Buffer.from(`${i}`), options);
    const reply = await replies.next();
    assert.equal(text(reply), `re: ${i}`);
    assert.equal(reply.properties.correlationId, `${i}`);
  }
});

test('direct reply-to demands a no-ack consumer on the same channel', async (t) => {
  const session = new Session(t);
  const acking = await session.channel();
  await expectChannelError(acking, 406, /reply consumer cannot acknowledge/, () =>
    acking.consume('amq.rabbitmq.reply-to', () => {}),
  );
  const without = await session.channel();
  const queue = await session.queue(without);
  await expectChannelError(without, 406, /fast reply consumer does not exist/, () =>
    without.sendToQueue(queue, Buffer.from('m'), { replyTo: 'amq.rabbitmq.reply-to' }),
  );
});

test("the lower of the queue's and the message's time to live counts", async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel, { messageTtl: 100 });
  channel.sendToQueue(queue, Buffer.from('mine'), { expiration: '1' });
  channel.sendToQueue(queue, Buffer.from("the queue's"), { expiration: '60000' });
  assert.equal(await ready(channel, queue) > 0, true);
  await eventually(async () => (await ready(channel, queue)) === 0, 'both expire', 2000);
});

test('max-length drops the oldest and still confirms', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel, { maxLength: 3 });
  for (let i = 0; i < 5; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
  await channel.waitForConfirms();
  const inbox = await session.consume(channel, queue, { noAck: true });
  assert.deepEqual(await inbox.bodies(3), ['2', '3', '4']);
  await inbox.silence();
});

test('reject-publish nacks what does not fit', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel, { maxLength: 1, overflow: 'reject-publish' });
  const outcomes = [];
  for (const body of ['fits', 'does not']) {
    await new Promise((resolve) => {
      channel.sendToQueue(queue, Buffer.from(body), {}, (error) => {
        outcomes.push(error ? 'nack' : 'ack');
        resolve();
      });
    });
  }
  assert.deepEqual(outcomes, ['ack', 'nack']);
});

test('rejected and expired messages are dead-lettered with their history', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const graveyard = await session.queue(channel);
  const options = { deadLetterExchange: '', deadLetterRoutingKey: graveyard };
  const queue = await session.queue(channel, options);
  const dead = await session.consume(channel, graveyard, { noAck: true });

  channel.sendToQueue(queue, Buffer.from('rejected'), { messageId: '1' });
  channel.reject(await channel.get(queue), false);
  const rejected = await dead.next();
  const [death] = rejected.properties.headers['x-death'];
  assert.equal(text(rejected), 'rejected');
  assert.equal(rejected.properties.messageId, '1');
  assert.deepEqual([death.reason, death.queue, death.count, death.exchange], ['rejected', queue, 1, '']);
  assert.deepEqual(death['routing-keys'], [queue]);
  assert.equal(rejected.properties.headers['x-first-death-reason'], 'rejected');

  channel.sendToQueue(queue, Buffer.from('expired'), { expiration: '20' });
  const expired = await dead.next();
  assert.equal(expired.properties.headers['x-death'][0].reason, 'expired');
  assert.equal(expired.properties.headers['x-death'][0]['original-expiration'], '20');
  assert.equal(expired.properties.expiration, undefined); // or it would expire again
});

test('messages of higher priority go first', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const queue = await session.queue(channel, { maxPriority: 5 });
  for (const priority of [undefined, 3, 5, 1, 9, 3]) channel.sendToQueue(queue, Buffer.from(`${priority}`), { priority });
  await channel.waitForConfirms();
  const inbox = await session.consume(channel, queue, { noAck: true });
  assert.deepEqual(await inbox.bodies(6), ['5', '9', '3', '3', '1', 'undefined']);
});

test('x-expires deletes an unused queue', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel, { expires: 200 });
  await pause(600);
  await expectChannelError(channel, 404, /no queue/, () => channel.checkQueue(queue));
});

test('a single active consumer hands over when it leaves', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel, { arguments: { 'x-single-active-consumer': true } });
  const [active, waiting] = [await session.consume(channel, queue), await session.consume(channel, queue)];
  for (let i = 0; i < 3; i++) channel.sendToQueue(queue, Buffer.from(`${i}`));
  await active.take(3);
  await waiting.silence();
  await channel.cancel(active.tag);
  channel.sendToQueue(queue, Buffer.from('3'));
  assert.deepEqual(await waiting.bodies(1), ['3']);
});

test('delayed messages come in order of their due times', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const exchange = `delayed-${process.pid}-${Date.now()}`;
  const options = { durable: false, arguments: { 'x-delayed-type': 'direct' } };
  await channel.assertExchange(exchange, 'x-delayed-message', options);
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, 'k');
  for (const delay of [1200, 400, 800, 0]) {
    channel.publish(exchange, 'k', Buffer.from(`${delay}`), { headers: { 'x-delay': delay } });
  }
  await channel.waitForConfirms();
  const inbox = await session.consume(channel, queue, { noAck: true });
  for (const delay of [0, 400, 800, 1200]) {
    const message = await inbox.next();
    assert.equal(text(message), `${delay}`);
    assert.equal(message.properties.headers['x-delay'], delay === 0 ? 0 : -delay);
  }
  await channel.deleteExchange(exchange);
});
