'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, ready, text } = require('../session');
const { BrokerProcess, needsBroker } = require('../broker_process');
const { call } = require('../methods');

const durable = { durable: true };

test('durable exchanges, queues and bindings survive a kill', needsBroker, async (t) => {
  const broker = await BrokerProcess.start(t);
  const before = await new Session(t, broker.url).channel();
  await before.assertExchange('front', 'topic', { durable: true, alternateExchange: 'stray' });
  await before.assertExchange('back', 'headers', durable);
  await before.assertExchange('stray', 'fanout', durable);
  await before.assertQueue('kept', { durable: true, arguments: { 'x-max-length': 1000 } });
  await before.assertQueue('lost-and-found', durable);
  await before.bindExchange('back', 'front', 'a.#');
  await before.bindQueue('kept', 'back', '', { 'x-match': 'any', colour: 'red' });
  await before.bindQueue('lost-and-found', 'stray', '');

  await broker.killAndRestart();
  const after = await new Session(t, broker.url).channel();
  await after.assertExchange('front', 'topic', { durable: true, alternateExchange: 'stray' });
  await after.assertQueue('kept', { durable: true, arguments: { 'x-max-length': 1000 } });
  after.publish('front', 'a.b', Buffer.from('bound'), { headers: { colour: 'red' } });
  after.publish('front', 'x', Buffer.from('stray'));
  assert.equal(text(await after.get('kept', { noAck: true })), 'bound');
  assert.equal(text(await after.get('lost-and-found', { noAck: true })), 'stray');
});

test('transient exchanges and queues do not survive, nor what was deleted', needsBroker, async (t) => {
  const broker = await BrokerProcess.start(t);
  const before = await new Session(t, broker.url).channel();
  await before.assertExchange('transient-exchange', 'direct', { durable: false });
  await before.assertQueue('transient-queue', { durable: false });
  await before.assertQueue('deleted', durable);
  await before.deleteQueue('deleted');

  await broker.killAndRestart();
  const session = new Session(t, broker.url);
  for (const check of [
    (channel) => channel.checkExchange('transient-exchange'),
    (channel) => channel.checkQueue('transient-queue'),
    (channel) => channel.checkQueue('deleted'),
  ]) {
    const channel = await session.channel();
    await assert.rejects(check(channel), { code: 404 });
  }
});

test('confirmed persistent messages survive a kill in order, transient ones do not', needsBroker, async (t) => {
  const broker = await BrokerProcess.start(t);
  const before = await new Session(t, broker.url).confirmChannel();
  await before.assertQueue('q', durable);
  const options = { persistent: true, messageId: 'id', headers: { a: { b: [1, 'two'] } } };
  for (let i = 0; i < 2000; i++) {
    before.sendToQueue('q', Buffer.from(`${i}`), options);
    before.sendToQueue('q', Buffer.from('transient'), { persistent: false });
  }
  await before.waitForConfirms();

  await broker.killAndRestart();
  const session = new Session(t, broker.url);
  const after = await session.channel();
  assert.equal(await ready(after, 'q'), 2000);
  const inbox = await session.consume(after, 'q', { noAck: true });
  const messages = await inbox.take(2000);
  assert.deepEqual(messages.map(text), Array.from({ length: 2000 }, (_, i) => `${i}`));
  assert.equal(messages[0].properties.messageId, 'id');
  assert.deepEqual(messages[0].properties.headers, { a: { b: [1, 'two'] } });
});

/** Six messages 0..5 in `q`, of which 0, 2 and 3 are out and 1 is acknowledged. */
async function partlyConsumed(t, broker) {
  const session = new Session(t, broker.url);
  const channel = await session.confirmChannel();
  await channel.assertQueue('q', durable);
  for (let i = 0; i < 6; i++) channel.sendToQueue('q', Buffer.from(`${i}`), { persistent: true });
  await channel.waitForConfirms();
  await channel.prefetch(3);
  const inbox = await session.consume(channel, 'q');
  const out = await inbox.take(3);
  channel.ack(out[1]);
  await inbox.next(); // the ack has been taken: its credit let 3 through
  // Marks are written on the broker's own time; the confirm of a later publish shows that it has written.
  channel.sendToQueue('q', Buffer.from('6'), { persistent: true });
  await channel.waitForConfirms();
}

async function redelivery(t, broker) {
  const session = new Session(t, broker.url);
  const messages = await (await session.consume(await session.channel(), 'q')).take(6);
  return new Map(messages.map((message) => [text(message), message.fields.redelivered]));
}

test('after a kill the messages that were out are back in order, marked redelivered', needsBroker, async (t) => {
  const broker = await BrokerProcess.start(t);
  await partlyConsumed(t, broker);
  await broker.killAndRestart();
  const marks = await redelivery(t, broker);
  assert.deepEqual([...marks.keys()], ['0', '2', '3', '4', '5', '6']);
  // RabbitMQ marks the untouched ones too after a kill, to be on the safe side; so nothing is asked of those here.
  for (const body of ['0', '2', '3']) assert.equal(marks.get(body), true, body);
});

test('after an orderly stop only the messages that were out are marked redelivered', needsBroker, async (t) => {
  const broker = await BrokerProcess.start(t);
  await partlyConsumed(t, broker);
  await broker.stopAndRestart();
  const marks = await redelivery(t, broker);
  assert.deepEqual([...marks], [['0', true], ['2', true], ['3', true], ['4', false], ['5', false], ['6', false]]);
});

test('a committed transaction survives a kill, an open one does not', needsBroker, async (t) => {
  const broker = await BrokerProcess.start(t);
  const before = await new Session(t, broker.url).channel();
  await before.assertQueue('q', durable);
  await call(before, 'txSelect');
  for (let i = 0; i < 100; i++) before.sendToQueue('q', Buffer.from(`${i}`), { persistent: true });
  await call(before, 'txCommit');
  before.sendToQueue('q', Buffer.from('open'), { persistent: true });

  await broker.killAndRestart();
  const session = new Session(t, broker.url);
  const after = await session.channel();
  assert.equal(await ready(after, 'q'), 100);
  const bodies = await (await session.consume(after, 'q', { noAck: true })).bodies(100);
  assert.deepEqual(bodies, Array.from({ length: 100 }, (_, i) => `${i}`));
});

test('the broker survives being killed again and again', needsBroker, async (t) => {
  const broker = await BrokerProcess.start(t);
  for (let round = 0; round < 3; round++) {
    const channel = await new Session(t, broker.url).confirmChannel();
    assert.equal((await channel.assertQueue('q', durable)).messageCount, round * 50);
    for (let i = 0; i < 50; i++) channel.sendToQueue('q', Buffer.from(`${round}.${i}`), { persistent: true });
    await channel.waitForConfirms();
    await broker.killAndRestart();
  }
  assert.equal(await ready(await new Session(t, broker.url).channel(), 'q'), 150);
});
