// Through Redis: PUBLISH to a channel, one subscriber.

import { createClient } from 'redis';
import { Window } from '../window.js';

const CHANNEL = 'hop';

async function connected(address) {
  // The client's timer for each command costs five times as much as the command.
  const client = createClient({ url: address, commandOptions: { timeout: undefined } });
  client.on('error', (error) => console.error(error.message));
  await client.connect();
  return client;
}

export async function openSender(address) {
  const client = await connected(address);
  const window = new Window();
  return {
    async send(body) {
      await window.enter();
      client.publish(CHANNEL, body).finally(() => window.leave());
    },
    async close() {
      await window.empty();
      await client.close();
    },
  };
}

export async function openReceiver(address, take) {
  const client = await connected(address);
  await client.subscribe(CHANNEL, take, true); // true: the body as a Buffer
}
