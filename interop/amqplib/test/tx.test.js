'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session, ready, text } = require('../session');
const { expectChannelError } = require('../failures');
const { call } = require('../methods');

async function transaction(t) {
  const session = new Session(t);
  const channel = await session.channel();
  const queue = await session.queue(channel);
  await call(channel, 'txSelect');
  return { session, channel, queue, outside: await session.channel() };
}

const publish = (channel, queue, bodies) => bodies.forEach((body) => channel.sendToQueue(queue, Buffer.from(body)));

test('publishes are held until the commit, then arrive in order', async (t) => {
  const { channel, queue, outside } = await transaction(t);
  const bodies = Array.from({ length: 100 }, (_, i) => `${i}`);
  publish(channel, queue, bodies);
  assert.equal(await outside.get(queue), false);
  await call(channel, 'txCommit');
  const seen = [];
  for (let i = 0; i < bodies.length; i++) seen.push(text(await outside.get(queue, { noAck: true })));
  assert.deepEqual(seen, bodies);
});

test('rollback drops the publishes', async (t) => {
  const { channel, queue, outside } = await transaction(t);
  publish(channel, queue, ['dropped']);
  await call(channel, 'txRollback');
  publish(channel, queue, ['kept']);
  await call(channel, 'txCommit');
  assert.equal(text(await outside.get(queue, { noAck: true })), 'kept');
  assert.equal(await outside.get(queue), false);
});

test('a committed ack is final', async (t) => {
  const { session, channel, queue, outside } = await transaction(t);
  publish(outside, queue, ['m']);
  const inbox = await session.consume(channel, queue);
  channel.ack(await inbox.next());
  await call(channel, 'txCommit');
  await channel.close();
  assert.equal(await ready(outside, queue), 0);
});

test('a rolled back ack leaves the message out, to be settled again', async (t) => {
  const { session, channel, queue, outside } = await transaction(t);
  publish(outside, queue, ['m']);
  const inbox = await session.consume(channel, queue);
  const message = await inbox.next();
  channel.ack(message);
  await call(channel, 'txRollback');
  assert.equal(await outside.get(queue), false); // not requeued
  channel.ack(message);
  await call(channel, 'txCommit');
  await channel.close();
  assert.equal(await ready(outside, queue), 0);
});

test('a reject takes effect at the commit', async (t) => {
  const { session, channel, queue, outside } = await transaction(t);
  publish(outside, queue, ['m']);
  const inbox = await session.consume(channel, queue);
  const message = await inbox.next();
  await channel.cancel(inbox.tag);
  channel.reject(message);
  assert.equal(await outside.get(queue), false);
  await call(channel, 'txCommit');
  assert.equal(text(await outside.get(queue, { noAck: true })), 'm');
});

test('closing the channel without a commit undoes everything', async (t) => {
  const { session, channel, queue, outside } = await transaction(t);
  publish(outside, queue, ['out']);
  const inbox = await session.consume(channel, queue);
  channel.ack(await inbox.next());
  publish(channel, queue, ['never']);
  await channel.close();
  const back = await outside.get(queue, { noAck: true });
  assert.deepEqual([text(back), back.fields.redelivered], ['out', true]);
  assert.equal(await outside.get(queue), false);
});

test('returns come with the commit, before commit-ok', async (t) => {
  const { session, channel, outside } = await transaction(t);
  const returned = [];
  channel.on('return', (message) => returned.push(text(message)));
  channel.publish('amq.direct', session.queueName(), Buffer.from('nobody'), { mandatory: true });
  await outside.checkExchange('amq.direct');
  assert.deepEqual(returned, []);
  await call(channel, 'txCommit');
  assert.deepEqual(returned, ['nobody']);
});

test('select may be repeated and an empty commit is fine', async (t) => {
  const { channel } = await transaction(t);
  await call(channel, 'txSelect');
  await call(channel, 'txCommit');
  await call(channel, 'txRollback');
});

for (const method of ['txCommit', 'txRollback']) {
  test(`${method} without a select is refused with 406`, async (t) => {
    const channel = await new Session(t).channel();
    await expectChannelError(channel, 406, /PRECONDITION_FAILED - channel is not transactional/, () => call(channel, method));
  });
}

test('a channel is transactional or confirming, never both', async (t) => {
  const { session, channel } = await transaction(t);
  await expectChannelError(channel, 406, /cannot switch from tx to confirm mode/, () => call(channel, 'confirmSelect'));
  const confirming = await session.confirmChannel();
  await expectChannelError(confirming, 406, /cannot switch from confirm to tx mode/, () => call(confirming, 'txSelect'));
});

test('an unknown tag is refused at once, not at the commit', async (t) => {
  const { channel } = await transaction(t);
  await expectChannelError(channel, 406, /unknown delivery tag 7/, () => channel.ack({ fields: { deliveryTag: 7 } }));
});

test('a missing exchange is refused at once, not at the commit', async (t) => {
  const { session, channel } = await transaction(t);
  await expectChannelError(channel, 404, /no exchange/, () =>
    channel.publish(session.exchangeName(), 'k', Buffer.from('m')),
  );
});
