'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, text } = require('../session');
const { expectChannelError, expectConnectionError } = require('../failures');

/** Publishes one message and fetches it back. */
async function relayed(session, channel, body, options) {
  const queue = await session.queue(channel);
  channel.sendToQueue(queue, body, options);
  return channel.get(queue, { noAck: true });
}

for (const size of [0, 1, 4096, 131_064, 131_065, 300_000, 2_000_000]) {
  test(`a body of ${size} bytes arrives whole`, async (t) => {
    const session = new Session(t);
    const body = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7) % 256));
    const message = await relayed(session, await session.channel(), body);
    assert.ok(message.content.equals(body));
  });
}

test('every property is relayed', async (t) => {
  const session = new Session(t);
  const properties = {
    contentType: 'application/json',
    contentEncoding: 'utf-8',
    deliveryMode: 2,
    priority: 7,
    correlationId: 'correlation',
    replyTo: 'somewhere',
    expiration: '3600000',
    messageId: 'message',
    timestamp: 1_700_000_000,
    type: 'greeting',
    userId: 'guest',
    appId: 'interop',
  };
  const message = await relayed(session, await session.channel(), Buffer.from('m'), properties);
  for (const [name, value] of Object.entries(properties)) assert.equal(message.properties[name], value, name);
});

test('a message without properties gets none on the way', async (t) => {
  const session = new Session(t);
  const { properties } = await relayed(session, await session.channel(), Buffer.from('m'));
  const { headers, ...rest } = properties;
  assert.deepEqual({ ...headers }, {});
  for (const [name, value] of Object.entries(rest)) assert.equal(value, undefined, name);
});

test('header values of every type are relayed', async (t) => {
  const session = new Session(t);
  const headers = {
    string: 'grüße',
    empty: '',
    yes: true,
    no: false,
    byte: { '!': 'int8', value: -5 },
    unsignedByte: { '!': 'uint8', value: 250 },
    short: { '!': 'int16', value: -3000 },
    unsignedShort: { '!': 'uint16', value: 60_000 },
    int: { '!': 'int32', value: -2_000_000_000 },
    unsignedInt: { '!': 'uint32', value: 4_000_000_000 },
    long: { '!': 'int64', value: -(2 ** 52) },
    float: { '!': 'float', value: 0.5 },
    double: 3.14,
    decimal: { '!': 'decimal', value: { places: 2, digits: 314 } },
    timestamp: { '!': 'timestamp', value: 1_700_000_000 },
    bytes: Buffer.from([0, 255, 206]),
    nothing: null,
    list: [1, 'two', [3, null], { four: 4 }],
    table: { a: { b: { c: 'deep' } } },
  };
  const { properties } = await relayed(session, await session.channel(), Buffer.from('m'), { headers });
  // amqplib hands plain integers back without the width it was told to send them in.
  const plain = (value) => (value && typeof value['!'] === 'string' && /int|float/.test(value['!']) ? value.value : value);
  for (const [name, value] of Object.entries(headers)) assert.deepEqual(properties.headers[name], plain(value), name);
});

test('a routing key may be 255 bytes long and need not be ASCII', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'direct');
  const queue = await session.queue(channel);
  for (const key of ['k'.repeat(255), 'schlüssel.鍵']) {
    await channel.bindQueue(queue, exchange, key);
    channel.publish(exchange, key, Buffer.from('m'));
    assert.equal((await channel.get(queue, { noAck: true })).fields.routingKey, key);
  }
});

test('a mandatory message that no queue takes is returned as it was sent', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const returned = new Promise((resolve) => channel.once('return', resolve));
  const exchange = await session.exchange(channel, 'direct');
  channel.publish(exchange, 'nowhere', Buffer.from('back'), { mandatory: true, messageId: '42', headers: { a: 1 } });
  const message = await returned;
  assert.deepEqual({ ...message.fields }, { replyCode: 312, replyText: 'NO_ROUTE', exchange, routingKey: 'nowhere' });
  assert.equal(text(message), 'back');
  assert.equal(message.properties.messageId, '42');
  assert.equal(message.properties.headers.a, 1);
});

test('the return comes before the confirm', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const order = [];
  channel.on('return', (message) => order.push(`return ${text(message)}`));
  for (const body of ['1', '2', '3']) {
    channel.publish('', session.queueName(), Buffer.from(body), { mandatory: true }, () => order.push(`ack ${body}`));
  }
  await channel.waitForConfirms();
  assert.deepEqual(order.filter((event) => event.startsWith('return')), ['return 1', 'return 2', 'return 3']);
  for (const body of ['1', '2', '3']) assert.ok(order.indexOf(`return ${body}`) < order.indexOf(`ack ${body}`));
});

test('a mandatory message that a queue takes is not returned', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  channel.on('return', () => assert.fail('returned'));
  channel.sendToQueue(await session.queue(channel), Buffer.from('m'), { mandatory: true });
  await channel.waitForConfirms();
});

test('an unroutable message without mandatory vanishes', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  channel.on('return', () => assert.fail('returned'));
  channel.sendToQueue(session.queueName(), Buffer.from('m'));
  await channel.waitForConfirms();
});

test('immediate is refused with 540', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await expectConnectionError(await session.connection(), 540, /NOT_IMPLEMENTED - immediate=true/, () =>
    channel.sendMessage({ exchange: '', routingKey: queue, immediate: true }, {}, Buffer.from('m')),
  );
});

test('publishing to a missing exchange closes the channel with 404', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  await expectChannelError(channel, 404, /NOT_FOUND - no exchange .* in vhost '\/'/, () =>
    channel.publish(session.exchangeName(), 'k', Buffer.from('m')),
  );
});

test("another user's user_id is refused with 406", async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await expectChannelError(channel, 406, /user_id property set to 'someone' but authenticated user was 'guest'/, () =>
    channel.sendToQueue(queue, Buffer.from('m'), { userId: 'someone' }),
  );
});

test('a delivery mode other than 1 and 2 is refused with 406', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await expectChannelError(channel, 406, /PRECONDITION_FAILED - invalid message/, () =>
    channel.sendToQueue(queue, Buffer.from('m'), { deliveryMode: 7 }),
  );
});

test('an expiration that is no number of milliseconds is refused with 406', async (t) => {
  const session = new Session(t);
  for (const expiration of ['soon', '-1', '1.5', '315360000001']) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    await expectChannelError(channel, 406, /PRECONDITION_FAILED - invalid expiration/, () =>
      channel.sendToQueue(queue, Buffer.from('m'), { expiration }),
    );
  }
});

test('one publish reaches many queues as independent messages', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'fanout');
  const queues = await Promise.all(Array.from({ length: 20 }, () => session.queue(channel)));
  for (const queue of queues) await channel.bindQueue(queue, exchange, '');
  channel.publish(exchange, '', Buffer.from('all'));
  channel.reject(await channel.get(queues[0])); // comes back redelivered there, and only there
  const messages = await Promise.all(queues.map((queue) => channel.get(queue, { noAck: true })));
  assert.deepEqual(messages.map(text), queues.map(() => 'all'));
  assert.deepEqual(messages.map((message) => message.fields.redelivered), queues.map((_, i) => i === 0));
});
