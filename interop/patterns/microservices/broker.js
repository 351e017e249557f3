// A connection to the broker that comes back by itself. The same file stands in every folder beside this one, so that
// each folder can be copied alone.

import { setTimeout as pause } from 'node:timers/promises';
import amqp from 'amqplib';

const url = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672';
const RETRY_MS = 100;

/**
 * Connects, and whenever the connection is lost connects again, for ever. `setup` declares what is needed and starts
 * consumers; it is run on every new connection before 'connect' is told. Returns at once: until there is a connection,
 * createChannel() waits.
 */
export async function connect(setup = async () => {}) {
  const connection = await amqp.connect(url, {
    // Nagle's algorithm would hold a small message back until the one before is acknowledged: up to 40 ms.
    noDelay: true,
    recovery: {
      waitForConnect: false,
      initialDelay: 100,
      maxDelay: 2000,
      setup: async (model) => {
        // amqplib listens for itself only after the setup, and an 'error' that nobody hears ends the process.
        model.on('error', () => {});
        await setup(model);
      },
    },
  });
  connection.on('error', () => {}); // always followed by 'disconnect'
  connection.on('disconnect', (error) => console.error(`broker lost: ${error.message}`));
  connection.on('reconnect-scheduled', ({ attempt, error }) => {
    if (attempt === 1) console.error(`trying again until the broker is there (${error.message})`);
  });
  return connection;
}

/** Publishes on a confirm channel. Settles when the broker has the message safe, or when that cannot be known. */
export function publish(channel, exchange, routingKey, content, options) {
  return new Promise((resolve, reject) => {
    channel.publish(exchange, routingKey, content, options, (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * Publishes until the broker has confirmed it. `channel` gives the confirm channel of the day. Whether the broker had
 * the message before a line broke cannot be known, so it may be there twice: give it a `messageId`, which stays the
 * same at each try.
 */
export async function publishUntilConfirmed(channel, exchange, routingKey, content, options) {
  for (;;) {
    try {
      return await publish(channel(), exchange, routingKey, content, options);
    } catch {
      await pause(RETRY_MS);
    }
  }
}
