'use strict';
// How a refusal reaches an amqplib user: a rejected call, and an 'error' event on the channel or the connection.

const assert = require('node:assert/strict');

const TIMEOUT_MS = 5000;

function errorEvent(emitter, what) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no error event on the ${what}`)), TIMEOUT_MS);
    emitter.once('error', (error) => {
      clearTimeout(timer);
      resolve(error);
    });
  });
}

async function expectError(emitter, what, code, pattern, action) {
  const event = errorEvent(emitter, what);
  // The call's own promise may reject, or (for what has no answer) resolve; only the event is the same for all.
  await Promise.allSettled([(async () => action())()]);
  const error = await event;
  assert.equal(error.code, code, error.message);
  assert.match(error.message, pattern);
  return error;
}

/** Runs `action` and expects the broker to close the channel, and nothing but the channel. */
const expectChannelError = (channel, code, pattern, action) => expectError(channel, 'channel', code, pattern, action);

/** Runs `action` and expects the broker to close the connection. */
const expectConnectionError = (connection, code, pattern, action) =>
  expectError(connection, 'connection', code, pattern, action);

module.exports = { expectChannelError, expectConnectionError };
