'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const amqp = require('amqplib');
const { Session, address, pause, ready, text } = require('../session');
const { expectConnectionError } = require('../failures');

const CAPABILITIES = [
  'publisher_confirms',
  'exchange_exchange_bindings',
  'basic.nack',
  'consumer_cancel_notify',
  'connection.blocked',
  'consumer_priorities',
  'authentication_failure_close',
  'per_consumer_qos',
  'direct_reply_to',
];

test('the server announces every capability that clients test for', async (t) => {
  const connection = await new Session(t).connect();
  const { capabilities } = connection.connection.serverProperties;
  for (const capability of CAPABILITIES) assert.equal(capabilities[capability], true, capability);
});

test('the server says what it is', async (t) => {
  const connection = await new Session(t).connect();
  const properties = connection.connection.serverProperties;
  assert.equal(typeof properties.product, 'string');
  assert.match(properties.version, /^\d+\.\d+\.\d+/); // client libraries parse it
});

test('a wrong password is answered with 403', async () => {
  await assert.rejects(amqp.connect(address({ password: 'wrong' })), /403.*ACCESS_REFUSED - Login was refused/s);
});

test('an unknown vhost is answered with connection.close', async () => {
  // amqplib 2.3 does not show the code, only that a close came instead of open-ok (a bare hang-up reads differently).
  await assert.rejects(amqp.connect(address({ vhost: 'no-such-vhost' })), /ConnectionClose|530/);
});

test('AMQPLAIN logs in as well as PLAIN', async (t) => {
  const session = new Session(t);
  const credentials = amqp.credentials.amqplain('guest', 'guest');
  const channel = await session.channel(await session.connect({ socket: { credentials } }));
  await channel.checkExchange('amq.direct');
});

test('AMQPLAIN with a wrong password is answered with 403', async () => {
  const credentials = amqp.credentials.amqplain('guest', 'wrong');
  await assert.rejects(amqp.connect(address(), { credentials }), /403/);
});

test('client properties of every kind are accepted', async (t) => {
  const clientProperties = { connection_name: 'interop', nested: { list: [1, 'two', true, null] }, pi: 3.14 };
  const session = new Session(t);
  await session.channel(await session.connect({ socket: { clientProperties } }));
});

test('heartbeat 0 switches heartbeats off', async (t) => {
  const connection = await new Session(t).connect({ query: { heartbeat: 0 } });
  assert.equal(connection.connection.heartbeat, 0);
});

test('heartbeats keep an idle consumer alive', async (t) => {
  const session = new Session(t);
  const idle = await session.connect({ query: { heartbeat: 1 } });
  assert.equal(idle.connection.heartbeat, 1);
  const channel = await session.channel(idle);
  const queue = await session.queue(channel);
  const inbox = await session.consume(channel, queue, { noAck: true });

  await pause(4500); // both sides would have given up by now without the other's heartbeats

  (await session.channel(await session.connect())).sendToQueue(queue, Buffer.from('awake?'));
  assert.equal(text(await inbox.next()), 'awake?');
});

test('a peer that falls silent is dropped within three heartbeats', async (t) => {
  const connection = await new Session(t).connect({ query: { heartbeat: 1 } });
  connection.connection.heartbeater.clear(); // no heartbeats are sent from here on
  const dropped = new Promise((resolve) => connection.once('close', resolve));
  const outcome = await Promise.race([dropped.then(() => 'dropped'), pause(5000).then(() => 'still open')]);
  assert.equal(outcome, 'dropped');
});

test('the broker enforces the negotiated channel_max', async (t) => {
  const session = new Session(t);
  const connection = await session.connect({ query: { channelMax: 2 } });
  await session.channel(connection);
  await session.channel(connection);
  connection.connection.channelMax = 10; // amqplib itself would refuse the third
  await expectConnectionError(connection, 530, /channel_max|channels/, () => session.channel(connection));
});

test('frame_max 4096 splits bodies in both directions', async (t) => {
  const session = new Session(t);
  const narrow = await session.connect({ query: { frameMax: 4096 } });
  assert.equal(narrow.connection.frameMax, 4096);
  const channel = await session.channel(narrow);
  const queue = await session.queue(channel);
  const body = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
  channel.sendToQueue(queue, body);
  const message = await channel.get(queue, { noAck: true });
  assert.ok(message.content.equals(body));
});

test("a body is split by the consumer's frame_max, not the publisher's", async (t) => {
  const session = new Session(t);
  const wide = await session.channel(await session.connect());
  const narrow = await session.channel(await session.connect({ query: { frameMax: 4096, maxFrameSize: 4096 } }));
  const queue = await session.queue(wide);
  const inbox = await session.consume(narrow, queue, { noAck: true });
  const body = Buffer.alloc(300_000, 'leveret');
  wide.sendToQueue(queue, body);
  assert.ok((await inbox.next()).content.equals(body));
});

test('the secret can be updated', async (t) => {
  const session = new Session(t);
  const connection = await session.connect();
  await connection.updateSecret(Buffer.from('guest'), 'rotation');
  await session.channel(connection);
});

test('a hard error ends its connection and no other', async (t) => {
  const session = new Session(t);
  const bystander = await session.channel(await session.connect());
  const culprit = await session.connect();
  const channel = await session.channel(culprit);
  await expectConnectionError(culprit, 503, /COMMAND_INVALID|unknown exchange type/, () =>
    channel.assertExchange(session.exchangeName(), 'no-such-type'),
  );
  await bystander.checkExchange('amq.direct');
});

test('closing with channels, consumers and unacknowledged messages open is clean', async (t) => {
  const session = new Session(t);
  const connection = await session.connect();
  const channel = await session.channel(connection);
  const queue = await session.queue(channel);
  const inbox = await session.consume(channel, queue);
  channel.sendToQueue(queue, Buffer.from('held'));
  await inbox.next();
  await connection.close();
  const other = await session.channel(await session.connect());
  assert.equal(await ready(other, queue), 1);
});

test('fifty connections live side by side', async (t) => {
  const session = new Session(t);
  const connections = await Promise.all(Array.from({ length: 50 }, () => session.connect()));
  const channels = await Promise.all(connections.map((connection) => session.channel(connection)));
  await Promise.all(channels.map((channel) => channel.checkExchange('amq.direct')));
});
