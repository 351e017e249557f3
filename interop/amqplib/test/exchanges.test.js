'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, ready, text } = require('../session');
const { expectChannelError, expectConnectionError } = require('../failures');
const { send } = require('../methods');

for (const type of ['direct', 'fanout', 'topic', 'headers']) {
  test(`a ${type} exchange is declared, declared again, checked and deleted`, async (t) => {
    const session = new Session(t);
    const channel = await session.channel();
    const exchange = await session.exchange(channel, type);
    await channel.assertExchange(exchange, type, { durable: false });
    await channel.checkExchange(exchange);
    await channel.deleteExchange(exchange);
    await expectChannelError(channel, 404, /NOT_FOUND - no exchange/, () => channel.checkExchange(exchange));
  });
}

test('the standard exchanges are there and may be declared again as they are', async (t) => {
  const channel = await new Session(t).channel();
  for (const exchange of ['amq.direct', 'amq.fanout', 'amq.topic', 'amq.headers', 'amq.match', 'amq.rabbitmq.trace']) {
    await channel.checkExchange(exchange);
  }
  await channel.assertExchange('amq.topic', 'topic', { durable: true });
});

const INEQUIVALENT = [
  ['type', 'fanout', { durable: false }],
  ['durable', 'direct', { durable: true }],
  ['auto_delete', 'direct', { durable: false, autoDelete: true }],
  ['internal', 'direct', { durable: false, internal: true }],
  ['alternate-exchange', 'direct', { durable: false, alternateExchange: 'amq.fanout' }],
];
for (const [property, type, options] of INEQUIVALENT) {
  test(`declaring an exchange with another ${property} is refused with 406`, async (t) => {
    const session = new Session(t);
    const channel = await session.channel();
    const exchange = await session.exchange(channel, 'direct');
    await expectChannelError(channel, 406, new RegExp(`inequivalent arg '${property}' for exchange '${exchange}'`), () =>
      channel.assertExchange(exchange, type, options),
    );
  });
}

test('arguments other than alternate-exchange are not compared', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'direct', { arguments: { 'x-mine': 1 } });
  await channel.assertExchange(exchange, 'direct', { durable: false, arguments: { 'x-mine': 'two' } });
});

test('an unknown exchange type ends the connection with 503', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  await expectConnectionError(await session.connection(), 503, /exchange type 'bogus'/, () =>
    channel.assertExchange(session.exchangeName(), 'bogus'),
  );
});

test('new names with the prefix amq. are refused with 403', async (t) => {
  const channel = await new Session(t).channel();
  await expectChannelError(channel, 403, /ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix/, () =>
    channel.assertExchange('amq.mine', 'direct'),
  );
});

test('the default exchange can be neither declared nor deleted', async (t) => {
  const session = new Session(t);
  for (const action of [
    (channel) => channel.assertExchange('', 'direct'),
    (channel) => channel.checkExchange(''),
    (channel) => channel.deleteExchange(''),
  ]) {
    const channel = await session.channel();
    await expectChannelError(channel, 403, /operation not permitted on the default exchange/, () => action(channel));
  }
});

test('a standard exchange cannot be deleted', async (t) => {
  const channel = await new Session(t).channel();
  await expectChannelError(channel, 403, /deletion of system exchange 'amq.direct'/, () =>
    channel.deleteExchange('amq.direct'),
  );
});

test('deleting a missing exchange is fine', async (t) => {
  const session = new Session(t);
  await (await session.channel()).deleteExchange(session.exchangeName());
});

test('delete if-unused refuses while there is a binding from the exchange', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'fanout');
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, '');
  await expectChannelError(channel, 406, /PRECONDITION_FAILED - exchange .* in use/, () =>
    channel.deleteExchange(exchange, { ifUnused: true }),
  );
  const next = await session.channel();
  await next.unbindQueue(queue, exchange, '');
  await next.deleteExchange(exchange, { ifUnused: true });
});

test('a deleted exchange takes its bindings along', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const exchange = await session.exchange(channel, 'fanout');
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, '');
  await channel.deleteExchange(exchange);
  await channel.assertExchange(exchange, 'fanout', { durable: false });
  channel.publish(exchange, '', Buffer.from('to nobody'));
  assert.equal(await ready(channel, queue), 0);
});

test('an auto-delete exchange lives until its last binding goes', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'direct', { autoDelete: true });
  const queue = await session.queue(channel);
  await channel.checkExchange(exchange); // never bound yet, so still there
  await channel.bindQueue(queue, exchange, 'a');
  await channel.bindQueue(queue, exchange, 'b');
  await channel.unbindQueue(queue, exchange, 'a');
  await channel.checkExchange(exchange);
  await channel.unbindQueue(queue, exchange, 'b');
  await expectChannelError(channel, 404, /no exchange/, () => channel.checkExchange(exchange));
});

test('an auto-delete exchange goes with its last queue', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'fanout', { autoDelete: true });
  const queue = await session.queue(channel);
  await channel.bindQueue(queue, exchange, '');
  await channel.deleteQueue(queue);
  await expectChannelError(channel, 404, /no exchange/, () => channel.checkExchange(exchange));
});

test('an internal exchange takes nothing from clients', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'fanout', { internal: true });
  await expectChannelError(channel, 403, /cannot publish to internal exchange/, () =>
    channel.publish(exchange, '', Buffer.from('no')),
  );
});

test('an internal exchange serves as the target of another exchange', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const internal = await session.exchange(channel, 'fanout', { internal: true });
  const front = await session.exchange(channel, 'fanout');
  const queue = await session.queue(channel);
  await channel.bindExchange(internal, front, '');
  await channel.bindQueue(queue, internal, '');
  channel.publish(front, '', Buffer.from('through'));
  assert.equal(text(await channel.get(queue, { noAck: true })), 'through');
});

test('the alternate exchange gets what the exchange itself cannot route', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const alternate = await session.exchange(channel, 'fanout');
  const exchange = await session.exchange(channel, 'direct', { alternateExchange: alternate });
  const routed = await session.queue(channel);
  const stray = await session.queue(channel);
  await channel.bindQueue(routed, exchange, 'known');
  await channel.bindQueue(stray, alternate, '');
  channel.publish(exchange, 'known', Buffer.from('one'));
  channel.publish(exchange, 'unknown', Buffer.from('two'));
  assert.equal(text(await channel.get(routed, { noAck: true })), 'one');
  const message = await channel.get(stray, { noAck: true });
  assert.equal(text(message), 'two');
  assert.equal(message.fields.exchange, exchange); // where it was published, not where it went through
  assert.equal(await channel.get(stray), false);
});

test('a mandatory message is returned when the alternate exchange reaches no queue either', async (t) => {
  const session = new Session(t);
  const channel = await session.confirmChannel();
  const returned = [];
  channel.on('return', (message) => returned.push(text(message)));
  const alternate = await session.exchange(channel, 'fanout');
  const exchange = await session.exchange(channel, 'direct', { alternateExchange: alternate });
  channel.publish(exchange, 'k', Buffer.from('lost'), { mandatory: true });
  await channel.waitForConfirms();
  await channel.bindQueue(await session.queue(channel), alternate, '');
  channel.publish(exchange, 'k', Buffer.from('found'), { mandatory: true });
  await channel.waitForConfirms();
  assert.deepEqual(returned, ['lost']);
});

test('a no-wait declare succeeds in silence', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = session.exchangeName();
  send(channel, 'exchangeDeclare', { exchange, type: 'fanout', nowait: true, arguments: {} });
  await channel.checkExchange(exchange);
});

test('a no-wait declare that fails still closes the channel', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'direct');
  await expectChannelError(channel, 406, /inequivalent arg 'type'/, () =>
    send(channel, 'exchangeDeclare', { exchange, type: 'fanout', nowait: true, arguments: {} }),
  );
});
